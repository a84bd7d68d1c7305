"""A run's folder: one process at a time, one recipe, and disks that fill up are named."""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch.distributed as dist
import yaml
from pydantic import ValidationError
from rich.console import Console

from dysenvdm.data.corpora import Corpus
from dysenvdm.files import disk_trouble
from dysenvdm.training.engine_settings import ZERO_LAYOUT
from dysenvdm.training.recipe import Recipe, write_recipe
from planners.dsg import UserError

console = Console(stderr=True, highlight=False)

MAY_CHANGE = (
    "run", "log", "data.workers", "data.source.root", "data.examined", "data.may_miss", "data.caching.folder",
    "data.caching.shard_mb", "data.caching.in_memory", "deepspeed", "train.steps", "train.minutes", "train.lr",
    "train.warmup", "train.cooldown", "train.clip", "train.micro_batch", "train.checkpoint_activations",
    "train.backend", "train.timeout",
)  # fmt: skip
"""Keys and sections of a recipe that may have other values when a run is resumed."""
FIXED = {f"deepspeed.zero_optimization.{key}": usual for key, usual in ZERO_LAYOUT.items()}
"""Keys within those sections that may not, and what they are where nothing is said: optimizer states lie by them."""
CLIPS = "clips.jsonl.gz"
"""In a run's folder: the clips with which it began."""


@runtime_checkable
class Noted(Protocol):
    """A corpus that can change from one start to the next, and so is noted."""

    def note(self, begun: Path) -> None: ...


class RunFolder:
    """Rank 0's claim on a run's folder, until it is released or the process ends, however it ends."""

    def __init__(self, recipe: Recipe, rank: int) -> None:
        """Raises :class:`UserError` where another process trains in the folder or it holds a run of another recipe."""
        self._file = -1
        if rank == 0:
            try:
                recipe.run.mkdir(parents=True, exist_ok=True)
                self._lock(recipe.run)
            except OSError as error:
                raise UserError(
                    f"run: {recipe.run} cannot be made or written ({error.strerror}); choose another folder with "
                    f"--set run=FOLDER"
                ) from None
            if (recipe.run / "log.jsonl").exists():  # a run that ended before its first step binds nobody
                refuse_changes(recipe, recipe.run / "recipe.yaml")
            with disk_trouble(recipe.run):
                write_recipe(recipe, recipe.run)
        dist.barrier()

    def _lock(self, run: Path) -> None:
        # A record lock: the kernel drops it with the process, and the loader's processes do not inherit it.
        self._file = os.open(run / "run.lock", os.O_RDWR | os.O_CREAT, 0o644)
        owner = os.read(self._file, 1000).decode(errors="replace").strip()
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            raise UserError(
                f"{run}: {owner or 'another process'} trains in this folder; wait for its end, or choose another "
                f"folder with --set run=FOLDER"
            ) from None
        except OSError as error:
            say(f"{run}: cannot be locked there ({error.strerror}); see to it that no other process trains in it")
        if owner:
            kept = any((run / "checkpoints").glob("step-*"))
            goes_on = "going on from its last checkpoint" if kept else "it left no checkpoint, so this one begins anew"
            say(f"{run}: the run of {owner} ended before its time; {goes_on}")
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"process {os.getpid()} on {socket.gethostname()}".encode(), 0)

    def release(self) -> None:
        """Say that the run came to its end."""
        if self._file >= 0:
            os.ftruncate(self._file, 0)
            os.close(self._file)
            self._file = -1


def say(message: str) -> None:
    """One line on standard error, as it is."""
    console.print(message, markup=False, soft_wrap=True)


def clips_of_run(run: Path) -> Path | None:
    """The list of the clips with which a run began; None before its first step, when they may still change."""
    path = run / CLIPS
    return path if path.exists() and (run / "log.jsonl").exists() else None


def keep_clips(run: Path, corpus: Corpus) -> None:
    """Note a claimed run's clips before its first step, so that no file that is lost or added later moves a draw."""
    if isinstance(corpus, Noted) and (run / "run.lock").exists() and not (run / "log.jsonl").exists():
        corpus.note(run / CLIPS)


def refuse_changes(recipe: Recipe, path: Path) -> None:
    """Raise :class:`UserError` that names every key which differs from the recipe at ``path`` and may not."""
    if not path.exists():
        return
    there = yaml.safe_load(path.read_text(encoding="utf-8"))
    with suppress(ValidationError):  # so that keys which are newer than the run have their defaults
        there = Recipe.model_validate(there).model_dump(mode="json")
    old, new = ({**FIXED, **dict(_flat(values))} for values in (there, recipe.model_dump(mode="json")))
    changed = [key for key in sorted(old.keys() | new.keys()) if old.get(key) != new.get(key) and not may_change(key)]
    if changed:
        named = ", ".join(f"another {key!r} ({old.get(key)} there, {new.get(key)} here)" for key in changed)
        raise UserError(f"{path}: that run has {named}; choose another folder with --set run=FOLDER")


def may_change(key: str) -> bool:
    """Whether a run may be resumed with another value of this key of its recipe, such as ``train.lr``."""
    return key not in FIXED and any(key == free or key.startswith(f"{free}.") for free in MAY_CHANGE)


def _flat(values: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
