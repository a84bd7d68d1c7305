"""Exponential moving average of the trained weights, in fp32."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


def _master(parameter: nn.Parameter) -> Tensor:
    """The fp32 value of a parameter; a collective call where ZeRO has partitioned it."""
    from deepspeed.utils import safe_get_full_fp32_param

    full = safe_get_full_fp32_param(parameter) if hasattr(parameter, "_hp_mapping") else None
    return (parameter.detach() if full is None else full).float()


class ExponentialMovingAverage:
    """``average = decay * average + (1 - decay) * weights``; early steps use a smaller decay, (1 + n) / (10 + n).

    With ``every`` above 1, steps between are passed over and ``decay`` is taken to that power: on a GPU, gathering
    hundreds of small parameters takes as long as a step.
    """

    def __init__(self, module: nn.Module, decay: float, every: int = 1) -> None:
        self.decay, self.every, self.steps, self.updates = decay**every, every, 0, 0
        self.average = {name: p.detach().float().clone() for name, p in module.named_parameters() if p.requires_grad}

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        """Fold in the module's weights; every rank must call it, after every step."""
        self.steps += 1
        if self.steps % self.every:
            return
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        for name, parameter in module.named_parameters():
            if parameter.requires_grad:
                self.average[name].lerp_(_master(parameter), 1 - decay)

    @contextmanager
    def applied(self, module: nn.Module) -> Iterator[None]:
        """Within the block the module computes with the averaged weights."""
        kept = {name: p.detach().clone() for name, p in module.named_parameters() if name in self.average}
        try:
            with torch.no_grad():
                for name, parameter in module.named_parameters():
                    if name in kept:
                        parameter.copy_(self.average[name])
            yield
        finally:
            with torch.no_grad():
                for name, parameter in module.named_parameters():
                    if name in kept:
                        parameter.copy_(kept[name])

    def state_dict(self) -> dict[str, object]:
        return {"steps": self.steps, "updates": self.updates, "average": self.average}

    def load_state_dict(self, state: dict) -> None:
        assert self.average.keys() == state["average"].keys()
        self.steps, self.updates = state["steps"], state["updates"]
        for name, value in state["average"].items():
            self.average[name].copy_(value)
