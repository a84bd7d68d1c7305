"""How much memory models take: what this process holds and held at most, and what was measured before, in files.

Letters: all amounts are bytes. A *size* is what the working memory of a model depends on: prompts of a batch for a
planner, frames x height x width of all videos of a batch for a generator.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import psutil
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dysenvdm.files import written_whole
from dysenvdm.models import MANIFEST, PORTABLE


class Gauge(Protocol):
    """What this process holds of its device."""

    def held(self) -> int: ...

    def reset_peak(self) -> None: ...

    def peak(self) -> int:
        """The most that was held since :meth:`reset_peak`."""
        ...


class MainMemory:
    """Resident memory, and its high-water mark as the kernel keeps it."""

    def held(self) -> int:
        return int(psutil.Process().memory_info().rss)

    def reset_peak(self) -> None:
        with suppress(OSError):  # some containers forbid it: the mark is then that of the whole life, which is no less
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")

    def peak(self) -> int:
        found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"))
        return max(int(found[1]) * 1024 if found else 0, self.held())


class GpuMemory:
    """What torch's allocator reserved on the first visible GPU, and what the process holds there besides.

    ``besides`` (the driver's context, above all) is found by :meth:`settle`; what strangers hold there counts as ours
    where we are alone otherwise, for we cannot have it either.
    """

    def __init__(self) -> None:
        self.besides = 0

    def held(self) -> int:
        import torch

        return int(torch.cuda.memory_reserved()) + self.besides if _cuda_in_use() else 0

    def reset_peak(self) -> None:
        import torch

        if _cuda_in_use():
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()

    def peak(self) -> int:
        import torch

        return int(torch.cuda.max_memory_reserved()) + self.besides if _cuda_in_use() else 0

    def settle(self, *, alone: bool, known: int | None) -> None:
        """Find what is held besides, after the first model was loaded; ``known``: what loading took when it was
        measured."""
        import torch

        if not _cuda_in_use() or self.besides:
            return
        reserved = int(torch.cuda.memory_reserved())
        free, total = torch.cuda.mem_get_info() if alone else (0, 0)
        self.besides = max(0, (total - free if alone else known or 0) - reserved)


def _cuda_in_use() -> bool:
    """Asking must not itself load torch, nor make a context."""
    torch = sys.modules.get("torch")
    return torch is not None and bool(torch.cuda.is_initialized())


class Measured(BaseModel):
    """A model's memory: ``loaded`` beyond what the process held before, and while it worked beyond that, by size."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    what: str
    device: str
    loaded: int = Field(ge=0)
    working: Mapping[int, int] = {}

    def with_work(self, size: int, amount: int) -> Measured:
        most = max(amount, self.working.get(size, 0))
        return self.model_copy(update={"working": {**self.working, size: most}})

    def work(self, size: int) -> int | None:
        """What working on so much takes beyond ``loaded``: as measured, or in proportion where it is more than ever
        was; None where nothing was measured."""
        if not self.working:
            return None
        enough = [amount for measured, amount in self.working.items() if measured >= size]
        if enough:
            return min(enough)
        largest = max(self.working)
        return max(self.working.values()) * size // largest

    @property
    def peak(self) -> int:
        """The most that was ever seen."""
        return self.loaded + max(self.working.values(), default=0)


class Measurements:
    """What was measured, one file per model in ``folder``: a name for people, a hash of what was measured."""

    def __init__(self, folder: Path, device: str) -> None:
        self._folder, self._device = folder, device

    def read(self, what: str, identity: str) -> Measured | None:
        try:
            return Measured.model_validate_json(self._file(what, identity).read_text(encoding="utf-8"))
        except (FileNotFoundError, ValidationError):  # of another version, or half of a file that was copied
            return None

    def write(self, measured: Measured, identity: str) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        with written_whole(self._file(measured.what, identity)) as temporary:
            temporary.write_text(measured.model_dump_json(indent=1) + "\n", encoding="utf-8")

    def _file(self, what: str, identity: str) -> Path:
        plain = re.sub(r"[^a-z0-9]+", "-", what.lower()).strip("-")[:60]
        digest = hashlib.sha256(f"{identity}\n{self._device}".encode()).hexdigest()[:16]
        return self._folder / f"{plain}-{digest}.json"


def identity_of(folders: list[Path], options: Mapping[str, Any]) -> str:
    """A text that changes with the weights in the folders, and with a planner's options."""
    parts = [json.dumps(options, sort_keys=True, default=str)]
    for folder in folders:
        manifest = folder / MANIFEST
        if manifest.is_file():
            parts.append(manifest.read_text(encoding="utf-8"))
        else:
            files = sorted(file for file in folder.rglob("*") if file.suffix in PORTABLE)
            parts += [f"{file.relative_to(folder)} {file.stat().st_size} {file.stat().st_mtime_ns}" for file in files]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def weights_bytes(folders: list[Path]) -> int:
    """The size of all safetensors files: what loading takes at least."""
    return sum(file.stat().st_size for folder in folders for file in folder.rglob("*.safetensors"))


def main_memory() -> int:
    """What this machine, or the container that we run in, has."""
    limits = [psutil.virtual_memory().total]
    for name in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            limits.append(int(Path(name).read_text(encoding="ascii")))
        except (OSError, ValueError):  # not there, or "max"
            continue
    return min(limits)


def cpu_name() -> str:
    return f"cpu ({os.cpu_count()} cores)"
