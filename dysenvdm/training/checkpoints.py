"""Checkpoints of a run: all that a resumed run needs to repeat an uninterrupted one, written whole or not at all.

``checkpoints/step-0000250/`` holds DeepSpeed's own files (model, optimizer, schedule, loss scale; pickles, for this run
only), a ``rank-00000.safetensors`` per rank (its share of the average, its random number generators), the recipe, and
``checkpoint.json``, which is written last and lists every file's size. A folder gets its name when all of that is on
the disk; whatever else lies there is not a checkpoint, and is said so.
"""

from __future__ import annotations

import shutil
from argparse import Namespace
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from datetime import UTC, datetime
from functools import cached_property
from io import StringIO
from pathlib import Path
from typing import Any

import torch.distributed as dist
from torch import Tensor, nn

from dysenvdm import __version__
from dysenvdm.files import disk_trouble, written_whole
from dysenvdm.training.checkpoint_files import (
    FORMAT,
    MANIFEST,
    Checkpoint,
    Manifest,
    RankFile,
    best_of,
    commit_of_code,
    differing_keys,
    find_checkpoints,
    rank_file,
    to_disk,
)
from dysenvdm.training.logs import read_log
from dysenvdm.training.recipe import Recipe, write_recipe
from dysenvdm.training.run_folder import say
from dysenvdm.training.sections import KeepBest
from planners.dsg import UserError

HALF, OLD, UNIVERSAL = ".writing-", ".removing-", ".universal-"
"""Prefixes of folders that are no checkpoints: being written, being removed, converted for another number of ranks."""


class Checkpoints:
    """Writes and reads the checkpoints of one run; every rank has one and calls the same methods."""

    def __init__(self, recipe: Recipe, engine: Any, ema: Any, *, rank: int, world: int, precision: str) -> None:
        self.recipe, self.engine, self.ema = recipe, engine, ema
        self.rank, self.world, self.precision = rank, world, precision
        self.folder = recipe.run / "checkpoints"

    @cached_property
    def _commit(self) -> str | None:
        return commit_of_code()

    # -- writing ---------------------------------------------------------------------------------------------------

    def save(self, step: int, seconds: float, validation: Mapping[str, float]) -> None:
        """Write all of the run's state and then, in one move, make it the newest checkpoint.

        Raises :class:`UserError` where the disk is full; the checkpoints before are untouched then.
        """
        tag = f"step-{step:07d}"
        half = self.folder / f"{HALF}{tag}"
        try:
            with disk_trouble(self.folder / tag, "make room, then run the same command: it goes on from the last one"):
                if self.rank == 0:
                    half.mkdir(parents=True)
                dist.barrier()
                self.engine.save_checkpoint(
                    str(self.folder), tag=half.name, save_latest=False, exclude_frozen_parameters=True
                )
                self._write_rank_file(half)
                dist.barrier()
                if self.rank == 0:
                    self._finish(half, tag, step, seconds, validation)
                    self._prune()
        except UserError:
            shutil.rmtree(half, ignore_errors=True)  # on a full disk, the room that it takes is what is missing
            raise
        dist.barrier()

    def _write_rank_file(self, folder: Path) -> None:
        average = self.ema.state_dict()
        counts = {name: average[name] for name in ("steps", "updates")}
        buffers = persistent_buffers(self.engine.module) if self.rank == 0 else {}
        RankFile.of_process(average["average"], counts, buffers).write(rank_file(folder, self.rank))

    def _finish(self, half: Path, tag: str, step: int, seconds: float, validation: Mapping[str, float]) -> None:
        write_recipe(self.recipe, half)
        files = {str(path.relative_to(half)): path for path in sorted(half.rglob("*")) if path.is_file()}
        manifest = Manifest(
            format=FORMAT, step=step, seconds=seconds, world=self.world, precision=self.precision,
            validation=dict(validation), written=datetime.now(UTC), version=__version__, commit=self._commit,
            files={name: path.stat().st_size for name, path in files.items()},
        )  # fmt: skip
        (half / MANIFEST).write_text(manifest.model_dump_json(indent=1) + "\n", encoding="utf-8")
        for path in (*files.values(), half / MANIFEST, half):
            to_disk(path)
        if (self.folder / tag).exists():  # a damaged one, which this run has gone back behind
            self._remove(self.folder / tag)
        half.rename(self.folder / tag)
        to_disk(self.folder)
        with written_whole(self.folder / "latest") as latest:  # for DeepSpeed's own tools
            latest.write_text(tag, encoding="utf-8")

    def _prune(self) -> None:
        log = self.recipe.log
        whole, _ = find_checkpoints(self.recipe.run)
        kept = {checkpoint.folder for checkpoint in whole[-log.keep :]}
        if log.keep_best and (best := best_of(whole, log.keep_best.name, lowest=log.keep_best.lowest)):
            kept.add(best.folder)
        for checkpoint in whole:
            if checkpoint.folder not in kept:
                self._remove(checkpoint.folder)

    def _remove(self, folder: Path) -> None:
        """In one move, so that a process that dies meanwhile leaves nothing that looks damaged."""
        gone = folder.with_name(f"{OLD}{folder.name}")
        shutil.rmtree(gone, ignore_errors=True)
        folder.rename(gone)
        shutil.rmtree(gone)

    # -- reading ---------------------------------------------------------------------------------------------------

    def restore(self) -> tuple[int, float]:
        """Go back to the newest complete checkpoint; returns its step and the seconds trained, (0, 0.0) without one.

        Raises :class:`UserError` where checkpoints are there but none is complete, or it is of another model.
        """
        if self.rank == 0:
            self._clear()
        dist.barrier()
        whole, faults = find_checkpoints(self.recipe.run)
        dist.barrier()
        if not whole:
            if faults:
                raise UserError(
                    f"{'; '.join(faults.values())}; no complete checkpoint is left: remove {self.folder} to begin "
                    f"anew, or choose another folder with --set run=FOLDER"
                )
            return 0, 0.0
        newest = whole[-1]
        self._check(newest)
        if self.rank == 0:
            for step, fault in faults.items():
                if step > newest.step:
                    say(f"{fault}; going back to step {newest.step}")
        self._load(newest)
        if self.rank == 0:
            say(f"resuming {self.recipe.name} at step {newest.step}{_repeated(self.recipe.run, newest.step)}")
        return newest.step, newest.manifest.seconds

    def _clear(self) -> None:
        for folder in self.folder.glob(".*"):
            if folder.name.startswith(HALF):
                say(f"{folder.parent}: removed a half-written checkpoint of {folder.name.removeprefix(HALF)}")
            if folder.name.startswith((HALF, OLD, UNIVERSAL)):
                shutil.rmtree(folder)

    def _check(self, checkpoint: Checkpoint) -> None:
        """Raise :class:`UserError` that names what differs where the checkpoint is of another model."""
        ours = {
            name: tuple(getattr(parameter, "ds_shape", parameter.shape))
            for name, parameter in self.engine.module.named_parameters()
            if parameter.requires_grad
        }
        differences = differing_keys(checkpoint.shapes(), ours)
        if differences:
            raise UserError(f"{checkpoint.folder} is of another architecture: {differences}")
        if checkpoint.manifest.precision != self.precision:
            raise UserError(
                f"{checkpoint.folder} was trained in {checkpoint.manifest.precision}, this run in {self.precision}; "
                f"add --set train.precision={checkpoint.manifest.precision}"
            )

    def _load(self, checkpoint: Checkpoint) -> None:
        groups = [{k: v for k, v in group.items() if k != "params"} for group in self.engine.optimizer.param_groups]
        rates = list(self.engine.lr_scheduler.base_lrs)
        other_world = checkpoint.manifest.world != self.world
        if other_world and self.engine.zero_optimization_stage() > 0:
            self._load_universal(checkpoint)
        else:
            self.engine.load_checkpoint(str(self.folder), tag=checkpoint.folder.name, load_module_strict=False)
        if other_world and self.rank == 0:
            theirs = checkpoint.manifest.world
            say(f"{checkpoint.folder}: ranks were {theirs} and are {self.world}; its states are shared out anew")
        self._restore_settings(groups, rates)
        self._take_shares(checkpoint)

    def _restore_settings(self, groups: list[dict[str, Any]], rates: list[float]) -> None:
        """The optimizer's settings are the recipe's: ``train.lr`` may have changed."""
        scheduler = self.engine.lr_scheduler
        for group, fresh, rate, before, last in zip(
            self.engine.optimizer.param_groups, groups, rates, scheduler.base_lrs, scheduler.get_last_lr(), strict=True
        ):
            group.update(fresh, lr=last if rate == before else last * rate / before)
        scheduler.base_lrs = rates

    def _load_universal(self, checkpoint: Checkpoint) -> None:
        """ZeRO's states are partitioned by rank: through DeepSpeed's universal form they go to any number of ranks."""
        universal = self.folder / f"{UNIVERSAL}{checkpoint.folder.name}"
        if self.rank == 0:
            from deepspeed.checkpoint.ds_to_universal import main as convert

            arguments = Namespace(
                input_folder=str(checkpoint.folder), output_folder=str(universal), num_extract_workers=1,
                num_merge_workers=1, keep_temp_folder=False, strict=True, inject_missing_state=True,
            )  # fmt: skip
            with disk_trouble(universal), redirect_stdout(StringIO()), redirect_stderr(StringIO()):
                convert(arguments)
        dist.barrier()
        config = self.engine._config
        config.load_universal_checkpoint = True
        try:
            self.engine.load_checkpoint(str(self.folder), tag=universal.name, load_module_strict=False)
        finally:
            config.load_universal_checkpoint = False
        if self.engine.zero_optimization_stage() == 3:
            # DeepSpeed 0.19.8 has all groups of parameters share one count of steps, so that each step counts for each.
            for state in self.engine.optimizer.optimizer.state.values():
                state["step"] = state["step"].clone()
        dist.barrier()
        if self.rank == 0:
            shutil.rmtree(universal)

    def _take_shares(self, checkpoint: Checkpoint) -> None:
        """The average, the buffers, and this rank's random number generators."""
        shares = [RankFile.read(path) for path in checkpoint.rank_files]
        self.ema.load_state_dict([{**share.ema, "average": share.average} for share in shares])
        for name, buffer in persistent_buffers(self.engine.module).items():
            buffer.copy_(shares[0].buffers[name])
        if self.rank < len(shares):  # a rank that is new needs none: what it draws is seeded by the sample's number
            shares[self.rank].restore_generators()


def persistent_buffers(module: nn.Module) -> dict[str, Tensor]:
    """What a module's state holds beside its parameters, by name."""
    kept = module.state_dict(keep_vars=True).keys()
    return {name: buffer for name, buffer in module.named_buffers() if name in kept}


def _repeated(run: Path, step: int) -> str:
    """How many steps were made after ``step`` and are to be made again, in words, as far as the log tells."""
    if not (run / "log.jsonl").exists():
        return ""
    lost = max((line["step"] for line in read_log(run)), default=0) - step
    return f"; the {lost} after it are made again" if lost > 0 else ""


def check_best(best: KeepBest | None, validation: Mapping[str, float]) -> None:
    """Raise :class:`UserError` where ``log.keep_best`` names a value that validation does not give."""
    if best and best.name not in validation:
        raise UserError(f"log.keep_best.name: no {best.name!r} in validation; there are {', '.join(validation)}")
