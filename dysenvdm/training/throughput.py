"""How fast a run is: samples a second and, on GPUs, memory and the share of the device's measured peak (MFU)."""

from __future__ import annotations

import time
from collections.abc import Hashable, Iterator
from contextlib import contextmanager

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


class FlopCounting:
    """FLOPs of a forward and a backward pass: products and convolutions."""

    def __init__(self, counter: FlopCounterMode | None) -> None:
        self.counter, self.forward = counter, 0

    def forward_done(self) -> None:
        """To be called between the passes."""
        if self.counter is not None:
            self.forward = self.counter.get_total_flops()


class Throughput:
    """What the log says of speed: samples per second of all ranks and, on GPUs, one rank's memory and MFU.

    MFU is for GPUs: counting is not free, and what a CPU can reach depends on who else computes. What activation
    checkpointing computes again counts for nothing in it.
    """

    def __init__(self, device: torch.device, dtype: torch.dtype, *, checkpointed: bool) -> None:
        self.device, self.checkpointed = device, checkpointed
        self.peak = matmul_peak(device, dtype) if device.type == "cuda" else None
        self.known: dict[Hashable, int] = {}
        self.restart()

    def restart(self) -> None:
        """What was before does not count, validation and checkpoints for example."""
        self.since, self.steps, self.samples, self.flops = time.perf_counter(), 0, 0, 0
        if self.peak:
            torch.cuda.reset_peak_memory_stats(self.device)

    @contextmanager
    def counting(self, shape: Hashable) -> Iterator[FlopCounting]:
        """Around a forward and a backward pass, whose FLOPs are counted the first time a ``shape`` of batch is met."""
        if self.peak is None or shape in self.known:
            yield FlopCounting(None)
        else:
            with FlopCounterMode(display=False) as counter:
                passes = FlopCounting(counter)
                yield passes
            self.known[shape] = counter.get_total_flops() - (passes.forward if self.checkpointed else 0)
        self.flops += self.known.get(shape, 0)

    def stepped(self, samples: int) -> None:
        """A step is over that saw so many samples on all ranks."""
        self.steps, self.samples = self.steps + 1, self.samples + samples

    def figures(self) -> dict[str, float]:
        """Since the last call: seconds per step, samples per second; on GPUs MFU and this rank's memory peak in GB."""
        seconds = time.perf_counter() - self.since
        found = {"seconds_per_step": seconds / self.steps, "samples_per_second": self.samples / seconds}
        if self.peak:
            found["mfu"] = self.flops / seconds / self.peak
            found["memory_gb"] = torch.cuda.max_memory_allocated(self.device) / 1e9
        self.restart()
        return found
