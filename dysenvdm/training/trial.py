"""One forward and backward pass over the largest micro-batch that a run will meet, before its first step.

A curriculum's largest steps come last: what does not fit would otherwise be known when most of the run is over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from dysenvdm.data.steps import Steps
from planners.dsg import UserError

if TYPE_CHECKING:
    from dysenvdm.training.loop import Phase


def try_largest(engine: Any, phase: Phase, steps: Steps, first: int, stop: int, parts: int) -> bool:
    """Try the largest of the steps from ``first`` to ``stop``, unless that is the first; whether one was tried.

    All ranks must call it. Weights, optimizer, random numbers and the samples of every step stay what they are: the
    gradient is that of zero times the loss, and is dropped; the optimizer takes no step.
    """
    step = steps.curriculum.largest(steps.frames, first, stop)
    if step == first:
        return False
    devices = [engine.device] if engine.device.type == "cuda" else []
    with torch.random.fork_rng(devices):
        samples = steps[step]
        if isinstance(samples, UserError):
            raise samples
        inputs = phase.prepare(phase.collate(samples[: len(samples) // parts]))
        reserved = _states_to_come(engine.optimizer, phase.module)
        engine.train()
        loss, _ = engine(**inputs)
        engine.set_gradient_accumulation_boundary(False)
        engine.backward(0 * loss)
        engine.set_gradient_accumulation_boundary(None)  # from here on counted again
        engine.optimizer.zero_grad()
    del loss, inputs, reserved
    return True


def _states_to_come(optimizer: Any, module: torch.nn.Module) -> list[torch.Tensor]:
    """Room for both moments of every weight, where torch's optimizer will only take it in its first step."""
    if not isinstance(optimizer, torch.optim.Optimizer) or optimizer.state:
        return []
    return [torch.empty_like(weight) for weight in module.parameters() if weight.requires_grad for _ in range(2)]
