"""What a recipe's phase reads, from its caches; what is missing of them is made first, by all ranks together."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import Tensor

from dysenvdm.data.cache.clips import TOLD_BYTES, CachedCorpus, held_out, reading, sizing
from dysenvdm.data.cache.filling import Make, Ranks, fill, repair, size_of
from dysenvdm.data.cache.notes import recall, remember
from dysenvdm.data.cache.plan_file import PlanFile, check_planned
from dysenvdm.data.cache.plans import CachedPlans, ScenePlanner, planning, with_plans, without_scenes
from dysenvdm.data.cache.store import Items, Store
from dysenvdm.data.cache.texts import CachedTexts, captions_of, encoding, listed, listing
from dysenvdm.data.corpora import Corpus, open_corpus
from dysenvdm.data.samples import Sample
from dysenvdm.progress import ProgressLines
from dysenvdm.text import TextEncoder
from dysenvdm.training.captions import check_captions
from dysenvdm.training.ranks import join_ranks, launched, meet
from dysenvdm.training.run_folder import clips_of_run, keep_clips
from planners.dsg import UserError

if TYPE_CHECKING:
    from dysenvdm.data.section import ScenesSection
    from dysenvdm.training.frozen import FrozenParts
    from dysenvdm.training.recipe import Recipe

console = Console(stderr=True)

NOT_CONTENT = {"workers", "cache", "caching", "scenes", "examined", "may_miss"}
"""Keys of a data section that no clip's content follows from."""
TEXT_TOKENS, PLAN_BYTES = 32, 4096
"""About what a caption has, and what a plan takes."""
MEETINGS = count()
"""Of this process; all ranks have the same in the same order."""
DTYPES = {"fp16": torch.float16, "bf16": torch.bfloat16, "fp32": torch.float32}
EXAMPLES = 5
"""Reasons of one kind that are said one by one."""


def launched_ranks() -> Ranks:
    """The ranks of this process' group; they wait for each other for as long as it takes."""
    if not dist.is_initialized() or dist.get_world_size() == 1:
        return Ranks()
    return Ranks(dist.get_rank(), dist.get_world_size(), lambda error: meet(next(MEETINGS), error))


@dataclass
class Prepared:
    """What a phase reads."""

    corpus: Corpus
    """With the scene graphs that the recipe asks for."""
    held_out: list[Sample]
    cached: CachedCorpus | None = None
    texts: CachedTexts | None = None
    plans: CachedPlans | None = None
    stores: list[Items] = field(default_factory=list)
    """All that were opened."""

    def latents_on(self, device: torch.device, in_memory: bool | None) -> Tensor | None:
        """All latents (item f c h w) where they are to stay on the device: as asked, else if a GPU has ample room."""
        if self.cached is None:
            return None
        if in_memory is None:
            room = torch.cuda.mem_get_info(device)[1] / 4 if device.type == "cuda" else 0
            in_memory = self.cached.buckets is None and self.cached.latents_bytes <= room
        return self.cached.load(device) if in_memory else None


@dataclass(frozen=True)
class _RecordedCorpus:
    """What is left of a corpus whose videos are gone: enough to find its caches."""

    clips: int
    key: str
    lost: str
    buckets: None = None

    def _gone(self, *_: Any, **__: Any) -> Any:
        raise UserError(self.lost)

    name = told = read = held_out = _gone


class Caching:
    """The caches of one recipe.

    ``planner`` is needed only where plans are missing. With ``mends`` damaged shards are deleted, to be made anew.
    """

    def __init__(
        self, recipe: Recipe, ranks: Ranks, *, planner: ScenePlanner | None = None, mends: bool = False
    ) -> None:
        self.recipe, self.ranks, self.planner, self.mends = recipe, ranks, planner, mends
        self.data = recipe.data
        self.root: Path = self.data.caching.folder or recipe.run.parent / "cache"
        self.opened: list[Items] = []

    def prepare(self, frozen: FrozenParts | None) -> Prepared:
        """Open what the recipe's phase reads, made first where it is missing; ``frozen`` is None for an autoencoder.

        Raises :class:`UserError` where it cannot be made, or is damaged.
        """
        data = self.data
        settings = data.model_dump(mode="json", exclude=NOT_CONTENT)
        corpus = self._source(settings)
        cached: CachedCorpus | None = None
        if data.cache:
            validation = self._validation(corpus)
            if frozen and not self._clips_store(corpus, frozen).complete:
                self._checked_gate(frozen, validation)
                if isinstance(frozen.text_encoder, TextEncoder) and data.source.kind != "stage":
                    check_captions(corpus, frozen.text_encoder)  # before hours of encoding frames
            cached = CachedCorpus(
                self._clips(corpus, frozen), validation, corpus.key, draws=data.caching.draws,
                starts=data.source.kind != "stage", buckets=self._buckets(corpus),
            )  # fmt: skip
            if not cached.clips:
                raise UserError(f"{cached.items.store.folder}: none of the {corpus.clips} clips could be read")
            if self.ranks.first:
                remember(self.root, "corpus", settings, {"clips": corpus.clips, "key": corpus.key})
            corpus = cached
        samples = corpus.held_out()
        if frozen is None:
            return Prepared(corpus, samples, cached, stores=self.opened)
        planned, captions = data.scenes.source == "planned", None
        if planned or cached:
            captions = self._captions(corpus, samples)
        texts = self._texts(captions, frozen) if cached and captions is not None else None
        plans = None
        if planned and captions is not None:
            plans = self._plans(captions)
            corpus = with_plans(corpus, plans, self._ticks, data.scenes.imagination)
        elif data.scenes.source == "none":
            corpus = without_scenes(corpus)
        samples = corpus.held_out() if corpus is not cached else samples
        return Prepared(corpus, samples, cached, texts, plans, self.opened)

    def drawn(self, key: dict[str, Any], clips: int, size: int, make: Make) -> Items:
        """A referee's corpus: ``clips`` items of ``size`` bytes that follow from ``key``."""
        return self._filled(self._sharded("drawn", key, clips, size), make)

    @property
    def _ticks(self) -> int:
        return self.data.scenes.ticks or self.data.ticks

    def _source(self, settings: dict[str, Any]) -> Corpus:
        """The corpus; where its files are gone and its caches are here, what was noted of it."""
        try:
            corpus = open_corpus(self.data, clips_of_run(self.recipe.run))
        except UserError as error:
            noted = recall(self.root, "corpus", settings) if self.data.cache else None
            if noted is None:
                raise
            if self.ranks.first:
                console.print(f"warning: {error}; reading from the cache", style="yellow", highlight=False)
            return _RecordedCorpus(noted["clips"], noted["key"], str(error))
        if self.ranks.first:
            keep_clips(self.recipe.run, corpus)
        return corpus

    # -- the kinds -------------------------------------------------------------------------------------------------

    def _validation(self, corpus: Corpus) -> Items:
        count = self.data.validation_clips
        key = {"corpus": corpus.key, "clips": count}
        store = self._store("held-out", key, count, count, self._frame_bytes + TOLD_BYTES)
        return self._filled(store, held_out(corpus))

    @property
    def _frame_bytes(self) -> int:
        return 3 * self.data.frames * self.data.size**2

    def _clips_store(self, corpus: Corpus, frozen: FrozenParts | None) -> Store:
        caching = self.data.caching
        key: dict[str, Any] = {"corpus": corpus.key, "fixed draws": caching.draws}
        kind, size = "frames", self._frame_bytes
        if frozen:
            key |= {"autoencoder": frozen.vae_key, "dtype": caching.precision}
            kind, size = "latents", frozen.latent_bytes * (2 if caching.precision == "fp32" else 1)
        return self._sharded(kind, key, corpus.clips * caching.draws, size + TOLD_BYTES)

    def _clips(self, corpus: Corpus, frozen: FrozenParts | None) -> Items:
        caching = self.data.caching
        encode = frozen.encode if frozen else None
        make = reading(corpus, caching.draws, self.data.workers, encode, DTYPES[caching.precision])
        return self._filled(self._clips_store(corpus, frozen), make)

    def _checked_gate(self, frozen: FrozenParts, validation: Items) -> None:
        frozen.check_gate(CachedCorpus(validation, validation, "").held_out())

    def _buckets(self, corpus: Corpus) -> Any:
        """The number of each clip's size (clip), where there are several."""
        if not self.data.buckets:
            return None
        store = self._store("buckets", {"corpus": corpus.key}, 1, 1, 2 * corpus.clips)
        return self._filled(store, sizing(lambda: corpus.buckets))[0]["buckets"].numpy()

    def _captions(self, corpus: Corpus, samples: Sequence[Sample]) -> list[str]:
        if not corpus.clips:
            raise UserError("data.clips: plans are made once, for a bounded corpus; set it")
        key = {"corpus": corpus.key, "validation": self.data.validation_clips}
        if isinstance(corpus, CachedCorpus):
            key["clips"] = corpus.items.store.digest
        size = corpus.clips * TOLD_BYTES // 8
        store = self._store("captions", key, 1, 1, size)
        return listed(self._filled(store, listing(partial(captions_of, corpus, samples))))

    def _texts(self, captions: Sequence[str], frozen: FrozenParts) -> CachedTexts:
        encoder, texts = frozen.text_encoder, ["", *captions]
        key = {"captions": _digest(texts), "encoder": frozen.text_key, "max_tokens": encoder.max_tokens}
        store = self._sharded("texts", key, len(texts), 2 * TEXT_TOKENS * encoder.width)
        return CachedTexts(self._filled(store, encoding(texts, encoder.encode)), texts)

    def _plans(self, captions: Sequence[str]) -> CachedPlans:
        scenes = self.data.scenes
        if scenes.file:
            return self._plans_of(PlanFile(scenes.file), captions)
        settings = {
            **scenes.model_dump(mode="json", exclude={"imagination", "source", "file", "unplanned"}),
            "ticks": self._ticks,
            "captions": _digest(captions),
        }
        if self.planner is None:
            noted = recall(self.root, "plans", settings)
            if noted is None:
                raise UserError(
                    f"data.scenes: the {len(captions)} captions are not planned yet; "
                    f"run: dysenvdm cache {self.recipe.arguments}"
                )
            return CachedPlans(Items(self._plans_store(noted["key"], len(captions))), captions)
        key = {
            "captions": _digest(captions),
            "planner": dict(self.planner.identity),
            "ticks": self._ticks,
            "seed": scenes.seed,
        }
        store = self._plans_store(key, len(captions))
        items = self._filled(store, planning(captions, self.planner, self._ticks, scenes.seed))
        if self.ranks.first:
            remember(self.root, "plans", settings, {"key": key})
        return CachedPlans(items, captions)

    def _plans_of(self, file: PlanFile, captions: Sequence[str]) -> CachedPlans:
        stamps = file.stamps
        with self.ranks.together():
            if self.ranks.first and recall(self.root, "plan-file", stamps) is None:  # gigabytes are hashed once
                remember(self.root, "plan-file", stamps, file.identity)
        noted = recall(self.root, "plan-file", stamps)
        assert noted is not None
        key = {"captions": _digest(captions), "planner": noted, "unplanned": self.data.scenes.unplanned}
        store = self._sharded("plans", key, len(captions), PLAN_BYTES)
        with self.ranks.together():
            if self.ranks.first and not store.complete:
                told = check_planned(file, captions, self.data.scenes.unplanned)
                if told:
                    console.print(f"warning: {told}", style="yellow", highlight=False, markup=False, soft_wrap=True)
        return CachedPlans(self._filled(store, planning(captions, file, self._ticks, self.data.scenes.seed)), captions)

    def _plans_store(self, key: dict[str, Any], captions: int) -> Store:
        return self._store("plans", key, captions, self.data.scenes.batch, PLAN_BYTES)

    def _sharded(self, kind: str, key: dict[str, Any], items: int, size: int) -> Store:
        """With shards as big as the recipe says."""
        return self._store(kind, key, items, max(1, (self.data.caching.shard_mb << 20) // size), size)

    def _store(self, kind: str, key: dict[str, Any], items: int, per_shard: int, size: int) -> Store:
        return Store(self.root, kind, key, items, per_shard, size, self.recipe.arguments)

    def _filled(self, store: Store, make: Make) -> Items:
        if self.mends and store.folder.exists():
            with self.ranks.together():
                for path in repair(store) if self.ranks.first else ():
                    console.print(f"damaged, made anew: {path}", style="yellow", highlight=False, soft_wrap=True)
        with _progress(self.ranks) as on_progress:
            items = fill(store, make, self.ranks, on_progress)
        self.opened.append(items)
        return items


def make_caches(
    recipe_path: str | Path, overrides: list[str], planner_of: Callable[[ScenesSection], ScenePlanner], *, mends: bool
) -> Iterator[str]:
    """Make all that a recipe's phase reads, on this process or on all launched ranks; the first says what there is.

    ``planner_of`` brings the planner where scene graphs are planned. Raises :class:`UserError`.
    """
    from dysenvdm.training.frozen import FrozenParts
    from dysenvdm.training.recipe import load_recipe

    recipe = load_recipe(recipe_path, overrides)
    planned = recipe.data.scenes.source == "planned" and recipe.phase == "denoiser"
    if not (recipe.data.cache or planned):
        raise UserError(f"{recipe_path}: nothing to cache; set data.cache to true")
    device = torch.device("cpu")
    if launched() or torch.cuda.is_available():
        _, _, device = join_ranks(recipe.train.backend, recipe.train.timeout)
    ranks = launched_ranks()
    if recipe.phase == "referee":
        from dysenvdm.training.referee import kept_corpus, open_autoencoder

        items = kept_corpus(recipe, open_autoencoder(recipe, device), Caching(recipe, ranks, mends=mends))
        prepared = Prepared(open_corpus(recipe.data), [], stores=[items])
    else:
        frozen = None if recipe.phase == "autoencoder" else FrozenParts.open(recipe, device)
        planner = planner_of(recipe.data.scenes) if planned and not recipe.data.scenes.file else None
        prepared = Caching(recipe, ranks, planner=planner, mends=mends).prepare(frozen)
    if ranks.first:
        yield from report(prepared)


def report(prepared: Prepared) -> Iterator[str]:
    """Lines for people: what is kept, where, how big it is; what was skipped, and which plans are degraded."""
    for items in prepared.stores:
        store = items.store
        there = len(items) - len(items.skipped)
        yield f"{store.kind}: {there} in {store.shards} shards, {size_of(items.bytes)}, {store.folder}"
        if store.kind != "held-out":
            yield from _counted(f"{store.kind} skipped", list(items.skipped.values()))
    if prepared.plans is not None:
        yield from _counted(
            "plans degraded", [f"{caption[:60]!r}: {why}" for caption, why in prepared.plans.degraded()]
        )


def _counted(title: str, reasons: list[str]) -> Iterator[str]:
    if reasons:
        yield f"{title}: {len(reasons)}"
        yield from (f"  {reason}" for reason in reasons[:EXAMPLES])
        if len(reasons) > EXAMPLES:
            yield f"  and {len(reasons) - EXAMPLES} more"


def _digest(captions: Sequence[str]) -> str:
    return hashlib.sha256(json.dumps(captions, ensure_ascii=False).encode()).hexdigest()


@contextmanager
def _progress(ranks: Ranks) -> Iterator[Callable[[str, int, int], None]]:
    """A bar on the first rank, from the moment there is anything to do."""
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    kind, drawn = (Progress, ranks.first) if console.is_terminal or not ranks.first else (ProgressLines, False)
    bar = kind(*columns, console=console, disable=not drawn)

    def on_progress(kind: str, done: int, total: int) -> None:
        if not bar.task_ids:
            bar.start()
            bar.add_task(kind if ranks.world == 1 else f"{kind} (one rank's of {ranks.world})")
        bar.update(bar.task_ids[0], completed=done, total=total)

    try:
        yield on_progress
    finally:
        if bar.task_ids:
            bar.stop()
