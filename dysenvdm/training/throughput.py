"""How fast a run is: samples a second and, on GPUs, memory and the share of the device's measured peak (MFU)."""

from __future__ import annotations

import time
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode


def matmul_peak(device: torch.device, dtype: torch.dtype, size: int = 8192, repeats: int = 20) -> float:
    """FLOP per second of square matrix products of that size, the best of ``repeats``."""
    a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    best = float("inf")
    for _ in range(repeats + 1):
        _wait(device)
        start = time.perf_counter()
        a @ b
        _wait(device)
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@dataclass
class _Repeated:
    """What of a counter's FLOPs was computed again."""

    counter: FlopCounterMode
    flops: int = 0


_repeated: list[_Repeated] = []
"""Of the counter at work, if one is."""


@contextmanager
def recomputation() -> Iterator[None]:
    """Around what activation checkpointing computes again, which is no progress."""
    before = [one.counter.get_total_flops() for one in _repeated]
    try:
        yield
    finally:
        for one, flops in zip(_repeated, before, strict=True):
            one.flops += one.counter.get_total_flops() - flops


@contextmanager
def _counted() -> Iterator[_Repeated]:
    with FlopCounterMode(display=False) as counter:
        _repeated.append(_Repeated(counter))
        try:
            yield _repeated[-1]
        finally:
            _repeated.pop()


class Throughput:
    """What the log says of speed: samples per second of all ranks and, on GPUs, one rank's memory and MFU.

    MFU is for GPUs: counting is not free, and what a CPU can reach depends on who else computes. What activation
    checkpointing computes again counts for nothing in it.
    """

    def __init__(self, device: torch.device, dtype: torch.dtype) -> None:
        self.device = device
        self.peak = matmul_peak(device, dtype) if device.type == "cuda" else None
        self.known: dict[Hashable, int] = {}
        self.restart()

    def restart(self) -> None:
        """Forget what was before."""
        self.seconds, self.steps, self.samples, self.flops = 0.0, 0, 0, 0
        if self.peak:
            torch.cuda.reset_peak_memory_stats(self.device)

    @contextmanager
    def counting(self, shape: Hashable) -> Iterator[None]:
        """Around a forward and a backward pass, whose FLOPs are counted the first time a ``shape`` of batch is met."""
        if self.peak is None or shape in self.known:
            yield
        else:
            with _counted() as count:
                yield
            self.known[shape] = count.counter.get_total_flops() - count.flops
        self.flops += self.known.get(shape, 0)

    def stepped(self, samples: int, seconds: float) -> None:
        """A step is over that saw so many samples on all ranks and took so long."""
        self.seconds += seconds
        self.steps, self.samples = self.steps + 1, self.samples + samples

    def figures(self) -> dict[str, float]:
        """Since the last call: seconds per step, samples per second; on GPUs MFU and this rank's memory peak in GB."""
        found = {"seconds_per_step": self.seconds / self.steps, "samples_per_second": self.samples / self.seconds}
        if self.peak:
            found["mfu"] = self.flops / self.seconds / self.peak
            found["memory_gb"] = torch.cuda.max_memory_allocated(self.device) / 1e9
        self.restart()
        return found
