"""What a checkpoint is on disk: a folder, its manifest, a file per rank; finding the complete ones among them."""

from __future__ import annotations

import json
import os
import random
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel, ValidationError
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from planners.dsg import UserError

MANIFEST = "checkpoint.json"
FORMAT = "dysenvdm.checkpoint/1"
GENERATOR, BUFFER = "rng/", "buffer/"
"""Prefixes of what a rank's file holds beside its share of the average, whose names have no slash."""


class Manifest(BaseModel):
    """``checkpoint.json``: where the run stood, what wrote it, and every other file's size in bytes."""

    format: str
    step: int
    seconds: float
    world: int
    precision: str
    validation: dict[str, float]
    """Of this very step; empty where it was not validated."""
    written: datetime
    version: str
    commit: str | None
    files: dict[str, int]


@dataclass(frozen=True)
class RankFile:
    """What one rank adds to a checkpoint: its share of the average, its generators; rank 0 also the buffers."""

    average: dict[str, Tensor]
    ema: dict[str, int]
    """How often the average was told of weights (``steps``) and took them in (``updates``)."""
    buffers: dict[str, Tensor]
    generators: dict[str, Tensor]
    python: list[Any]

    @classmethod
    def of_process(cls, average: Mapping[str, Tensor], ema: dict[str, int], buffers: Mapping[str, Tensor]) -> RankFile:
        """With the generators of this process as they stand: Python's, numpy's, torch's, CUDA's."""
        _, keys, position, has_gauss, gauss = np.random.get_state(legacy=True)
        generators = {
            "numpy": torch.from_numpy(np.asarray(keys, np.int64)),
            "numpy_rest": torch.tensor([position, has_gauss, gauss], dtype=torch.float64),
            "torch": torch.get_rng_state(),
        }
        if torch.cuda.is_available():
            generators["cuda"] = torch.cuda.get_rng_state()
        version, numbers, rest = random.getstate()
        return cls(dict(average), ema, dict(buffers), generators, [version, list(numbers), rest])

    def write(self, path: Path) -> None:
        named = {
            **self.average,
            **{f"{BUFFER}{name}": value for name, value in self.buffers.items()},
            **{f"{GENERATOR}{name}": value for name, value in self.generators.items()},
        }
        tensors = {name: value.detach().cpu().contiguous() for name, value in named.items()}
        save_file(tensors, path, metadata={"notes": json.dumps({"ema": self.ema, "python": self.python})})

    @classmethod
    def read(cls, path: Path) -> RankFile:
        parts: dict[str, dict[str, Tensor]] = {"": {}, BUFFER: {}, GENERATOR: {}}
        with safe_open(path, "pt") as file:
            notes = json.loads(file.metadata()["notes"])
            for key in file.keys():  # noqa: SIM118 - not a mapping
                prefix = next((p for p in (BUFFER, GENERATOR) if key.startswith(p)), "")
                parts[prefix][key.removeprefix(prefix)] = file.get_tensor(key)
        return cls(parts[""], notes["ema"], parts[BUFFER], parts[GENERATOR], notes["python"])

    def restore_generators(self) -> None:
        """Have this process draw what the one that wrote the file would have drawn next."""
        position, has_gauss, gauss = self.generators["numpy_rest"].tolist()
        keys = self.generators["numpy"].numpy().astype(np.uint32)
        np.random.set_state(("MT19937", keys, int(position), int(has_gauss), gauss))
        torch.set_rng_state(self.generators["torch"])
        if "cuda" in self.generators and torch.cuda.is_available():
            torch.cuda.set_rng_state(self.generators["cuda"])
        version, numbers, rest = self.python
        random.setstate((version, tuple(numbers), rest))


@dataclass(frozen=True)
class Checkpoint:
    """A complete checkpoint."""

    folder: Path
    manifest: Manifest

    @property
    def step(self) -> int:
        return self.manifest.step

    @property
    def rank_files(self) -> list[Path]:
        """By rank."""
        return [rank_file(self.folder, rank) for rank in range(self.manifest.world)]

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Of the trained parameters, by name; only the files' headers are read."""
        return {name: shape for path in self.rank_files for name, shape in _shapes(path)}

    def average(self) -> dict[str, Tensor]:
        """The averaged weights, fp32, by name of the module's parameters."""
        return {name: value for path in self.rank_files for name, value in RankFile.read(path).average.items()}


def rank_file(folder: Path, rank: int) -> Path:
    return folder / f"rank-{rank:05d}.safetensors"


def _shapes(path: Path) -> Iterator[tuple[str, tuple[int, ...]]]:
    with safe_open(path, "pt") as file:
        for key in file.keys():  # noqa: SIM118 - not a mapping
            if not key.startswith((GENERATOR, BUFFER)):
                yield key, tuple(file.get_slice(key).get_shape())


def read_checkpoint(folder: Path) -> Checkpoint:
    """The checkpoint in ``folder``; raises :class:`UserError` where it is not complete."""
    try:
        manifest = Manifest.model_validate_json((folder / MANIFEST).read_bytes())
    except OSError:
        raise UserError(f"{folder} is not complete (no {MANIFEST}; an older version wrote none)") from None
    except ValidationError:
        raise UserError(f"{folder} is damaged ({MANIFEST} cannot be read)") from None
    if manifest.format != FORMAT:
        raise UserError(f"{folder} is of format {manifest.format!r}; this version reads {FORMAT!r}")
    for name, size in manifest.files.items():
        path = folder / name
        if not path.is_file():
            raise UserError(f"{folder} is damaged ({name} is missing)")
        if path.stat().st_size != size:
            raise UserError(f"{folder} is damaged ({name} has {path.stat().st_size} of {size} bytes)")
    return Checkpoint(folder, manifest)


def find_checkpoints(run: Path) -> tuple[list[Checkpoint], dict[int, str]]:
    """The complete checkpoints of a run folder, oldest first, and of those that are not, by step, what is wrong."""
    numbers = ((path.name.removeprefix("step-"), path) for path in (run / "checkpoints").glob("step-*"))
    whole, faults = [], {}
    for step, folder in sorted((int(number), path) for number, path in numbers if number.isdecimal()):
        try:
            whole.append(read_checkpoint(folder))
        except UserError as error:
            faults[step] = str(error)
    return whole, faults


def best_of(checkpoints: Iterable[Checkpoint], name: str, *, lowest: bool) -> Checkpoint | None:
    """The one with the lowest or highest validation value ``name``, of equals the earliest; None where none has it."""
    having = [checkpoint for checkpoint in checkpoints if name in checkpoint.manifest.validation]
    sign = 1 if lowest else -1
    return min(having, key=lambda c: (sign * c.manifest.validation[name], c.step), default=None)


def differing_keys(theirs: Mapping[str, tuple[int, ...]], ours: Mapping[str, tuple[int, ...]]) -> str:
    """How a checkpoint's parameters differ from the model's, in words; empty where they do not."""
    kinds = {
        "missing": sorted(ours.keys() - theirs.keys()),
        "unexpected": sorted(theirs.keys() - ours.keys()),
        "of another shape": [
            f"{name} {list(theirs[name])}, here {list(ours[name])}"
            for name in sorted(theirs.keys() & ours.keys())
            if theirs[name] != ours[name]
        ],
    }
    return "; ".join(f"{len(names)} {kind} ({_some(names)})" for kind, names in kinds.items() if names)


def shapes_of(state: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """The shapes of a state dict's tensors."""
    return {name: tuple(tensor.shape) for name, tensor in state.items()}


def _some(names: list[str], shown: int = 3) -> str:
    return ", ".join(names[:shown]) + (", ..." if len(names) > shown else "")


def commit_of_code() -> str | None:
    """The git commit of the code that runs, ``+`` appended where it was changed since; None outside a checkout."""
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        return None
    try:
        answers = [
            subprocess.run(["git", "-C", root, *command], capture_output=True, text=True, check=True).stdout.strip()
            for command in (("rev-parse", "HEAD"), ("status", "--porcelain", "--untracked-files=no"))
        ]
    except (OSError, subprocess.CalledProcessError):
        return None
    return answers[0] + ("+" if answers[1] else "")


def to_disk(path: Path) -> None:
    """Return when a file's contents, or a folder's entries, would survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
