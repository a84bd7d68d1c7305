"""What a run needs of a GPU's memory, for each stage of ZeRO, with and without offload to the host.

Weights, gradients, optimizer states and averages follow exactly from numbers of parameters and the precision, as
DeepSpeed 0.19 keeps them for AdamW; activations are measured (:mod:`dysenvdm.training.cost`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dysenvdm.training.cost import Cost

GIB = 2**30
SPARE = 0.1
"""Of a GPU's memory left free: fragmentation, workspaces of kernels, the CUDA context."""


@dataclass(frozen=True)
class Parameters:
    """Numbers of parameters: of the module that trains, of those the trained ones; and bytes frozen beside it."""

    module: int
    trained: int
    beside: int
    """Of autoencoder and text encoder."""


@dataclass(frozen=True)
class Plan:
    """A stage of ZeRO and what of its states lies on the host."""

    stage: int
    offload_optimizer: bool = False
    offload_parameters: bool = False

    @classmethod
    def of(cls, deepspeed: Mapping[str, Any]) -> Plan:
        """What a recipe's ``deepspeed`` section says, which the recipe has checked."""
        zero = deepspeed.get("zero_optimization", {})
        moved = [
            (zero.get(key) or {}).get("device", "none") != "none" for key in ("offload_optimizer", "offload_param")
        ]
        return cls(int(zero.get("stage", 0)), *moved)

    def __str__(self) -> str:
        moved = [w for w, on in (("optimizer", self.offload_optimizer), ("weights", self.offload_parameters)) if on]
        return f"ZeRO {self.stage}" + (f", {' and '.join(moved)} on the host" if moved else "")


PLANS = (Plan(0), Plan(1), Plan(1, True), Plan(2), Plan(2, True), Plan(3), Plan(3, True), Plan(3, True, True))
"""All that make sense: stage 0 cannot offload, and only stage 3 divides weights."""


@dataclass(frozen=True)
class Buckets:
    """What ZeRO gathers gradients in before ranks sum them; the defaults are DeepSpeed's own."""

    numbers: int = 500_000_000
    contiguous: bool = True
    """Whether each is a buffer of all its numbers, however few are trained."""
    overlap: bool = False
    """Whether stages 1 and 2 fill a second one meanwhile."""

    @classmethod
    def of(cls, deepspeed: Mapping[str, Any]) -> Buckets:
        """What a recipe's ``deepspeed`` section says, which the recipe has checked."""
        zero = deepspeed.get("zero_optimization", {})
        numbers = zero.get("reduce_bucket_size", cls.numbers)
        contiguous, overlap = zero.get("contiguous_gradients", cls.contiguous), zero.get("overlap_comm", cls.overlap)
        return cls(int(numbers), bool(contiguous), bool(overlap))

    def room(self, plan: Plan, trained: int) -> int:
        """For how many numbers each rank has room in them, where so many are trained."""
        if plan.stage == 0:
            return 0
        first = plan.stage < 3
        if not (self.contiguous or (first and plan.offload_optimizer)):
            return min(self.numbers, trained)  # put together out of gradients that are ready
        return self.numbers * (2 if self.overlap and first else 1)


@dataclass(frozen=True)
class States:
    """Bytes per rank, on its GPU but for ``host``."""

    weights: int
    gradients: int
    optimizer: int
    average: int
    buckets: int
    beside: int
    host: int

    @property
    def total(self) -> int:
        return self.weights + self.gradients + self.optimizer + self.average + self.buckets + self.beside


def states(parameters: Parameters, plan: Plan, buckets: Buckets, *, ranks: int, precision: str) -> States:
    """What lies in memory whatever the batch, per rank.

    16-bit weights have fp32 masters beside both moments (12 bytes), fp32 ones need them where ZeRO divides states.
    Stage 0 divides nothing: each rank keeps all states, and of 16-bit weights its step takes the gradients in fp32
    beside them. Averages are fp32, shared out among the ranks.
    """
    size = 4 if precision == "fp32" else 2
    trained = parameters.trained
    weights, gradients = size * parameters.module, size * trained
    if plan.stage:
        optimizer = _share(12 * trained, ranks)
    elif precision == "fp32":
        optimizer = 8 * trained
    else:
        optimizer, gradients = 12 * trained, gradients + 4 * trained
    if plan.stage >= 2:
        gradients = _share(gradients, ranks)
    if plan.stage == 3:
        weights = _share(weights, ranks)
    host = 0
    if plan.offload_optimizer:
        host, optimizer = optimizer + _share(4 * trained, ranks), 0  # the gradients of its share come along, in fp32
    if plan.offload_parameters:
        host, weights = host + weights, 0
    gathered, average = size * buckets.room(plan, trained), _share(4 * trained, ranks)
    return States(weights, gradients, optimizer, average, gathered, parameters.beside, host)


def largest_micro_batch(kept: States, cost: Cost, memory: int) -> int:
    """Samples of the largest micro-batch that fits in so many bytes with :data:`SPARE` of them free; 0: none does."""
    room = int(memory * (1 - SPARE)) - kept.total - cost.kept
    return max(0, room // max(1, cost.kept_each))


def _share(total: int, ranks: int) -> int:
    return -(-total // ranks)
