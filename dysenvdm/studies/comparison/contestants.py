"""The planners of a comparison: read from the command line, loaded in their turn, their memory watched, freed."""

from __future__ import annotations

import ctypes
import gc
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from dysenvdm.cli.planning import read_planner
from dysenvdm.studies.comparison.prompts import Asked
from dysenvdm.studies.scene_planning import planner_identity
from planners import plugins
from planners.contracts import Planner, PlanResult, Progress
from planners.dsg import UserError

GOLD = "gold"
"""The planner that knows the right plans: what a perfect planner would gain."""
SAMPLED_SECONDS = 0.02
"""Between two looks at the process's memory."""


@dataclass(frozen=True)
class Contestant:
    """A planner as it was ``given``, under the ``label`` that tables give it."""

    given: str
    label: str
    name: str
    options: Mapping[str, Any]
    identity: Mapping[str, Any]
    """What its plans follow from, hashes of the files that its options name among it."""

    @property
    def is_gold(self) -> bool:
        """Whether it is no planner, but knows the right plans."""
        return "gold" in self.identity


def read_contestants(given: Sequence[str], asked: Sequence[Asked]) -> list[Contestant]:
    """Planners from "NAME:KEY=VALUE,..."; raises :class:`UserError` for an unknown or repeated one."""
    found: dict[str, Contestant] = {}
    for text in given:
        name, options = read_planner(text)
        label = " ".join((name, *(f"{key}={_shown(value)}" for key, value in options.items())))
        if label in found:
            raise UserError(f"--planner {text}: a second one called {label!r}; leave one out, or rename a folder")
        if name == GOLD and not options and GOLD not in plugins.planner_names():
            if missing := next((one for one in asked if one.gold_dsg is None), None):
                raise UserError(f"--planner gold: no gold plan for {missing.prompt[:40]!r}; leave gold out")
            found[label] = Contestant(text, label, name, {}, {"planner": GOLD, "gold": _gold_said(asked)})
            continue
        try:
            checked = plugins.check_options(name, options)
        except UserError as error:
            raise UserError(f"--planner {text}: {error}") from None
        found[label] = Contestant(text, label, name, checked, planner_identity(name, checked))
    return list(found.values())


def _shown(value: str) -> str:
    """A value as tables show it: of a path its last part, for where it lies is nobody's business."""
    return Path(value).name if os.sep in value and "://" not in value else value


def _gold_said(asked: Sequence[Asked]) -> list[Any]:
    return [one.gold_dsg.to_dict() for one in asked if one.gold_dsg]


class GoldPlanner:
    """Knows every prompt's gold plan and graph."""

    def __init__(self, asked: Sequence[Asked]) -> None:
        self.known = {one.prompt: one for one in asked}

    def plan(
        self, prompts: Sequence[str], *, ticks: int, seed: int, on_progress: Progress | None = None
    ) -> list[PlanResult]:
        """See :class:`planners.contracts.Planner`."""
        del ticks, seed, on_progress
        results = []
        for prompt in prompts:
            gold = self.known[prompt]
            assert gold.gold_dsg is not None
            stages = {GOLD: gold.gold_dsg}
            results.append(PlanResult(prompt=prompt, plan=gold.gold_plan, stages=stages, transcript=[], degraded=None))
        return results


@contextmanager
def loaded(contestant: Contestant, asked: Sequence[Asked]) -> Iterator[Planner]:
    """The planner, until the block ends: what it held is freed then, so that the next one finds room."""
    if contestant.is_gold:
        yield GoldPlanner(asked)
        return
    held: Any = plugins.get_planner(contestant.name, **contestant.options)
    try:
        yield held
    finally:
        engine: Any = getattr(held, "engine", None)
        engine = getattr(engine, "engine", engine)  # what watches an engine has nothing to close itself
        if hasattr(engine, "close"):
            engine.close()
        if hasattr(held, "engine"):
            held.engine = None
        del held, engine
        gc.collect()
        _give_back()


def _give_back() -> None:
    """Have freed memory go back to the system: the next planner's peak is to be its own."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    library = ctypes.CDLL(None)
    if hasattr(library, "malloc_trim"):  # glibc keeps what was freed in small pieces, hundreds of megabytes
        library.malloc_trim(0)


class PeakMemory:
    """The most memory that this process has held since the block began, in bytes."""

    def __enter__(self) -> PeakMemory:
        import torch

        self._process, self._done = psutil.Process(), threading.Event()
        self.ram = int(self._process.memory_info().rss)
        self._gpu = torch.cuda.is_available()
        if self._gpu:
            torch.cuda.reset_peak_memory_stats()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(SAMPLED_SECONDS):
            self.ram = max(self.ram, int(self._process.memory_info().rss))

    @property
    def gpu(self) -> int:
        import torch

        return int(torch.cuda.max_memory_allocated()) if self._gpu else 0
