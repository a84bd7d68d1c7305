"""Exponential moving average of the trained weights, in fp32, shared out among the ranks.

Each rank keeps the average of some whole parameters, about as many numbers as every other rank. The union over ranks is
the whole average, so another number of ranks only shares it out anew (:func:`merged`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from types import MappingProxyType
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn


def owners(sizes: Mapping[str, int], world: int) -> dict[str, int]:
    """Which of ``world`` ranks keeps which parameter, given how many numbers each has: the largest go first."""
    loads, result = [0] * world, {}
    for name in sorted(sizes, key=lambda name: (-sizes[name], name)):
        result[name] = min(range(world), key=loads.__getitem__)
        loads[result[name]] += sizes[name]
    return result


def merged(states: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
    """The whole average, by parameter, of the :meth:`~ExponentialMovingAverage.state_dict` of all ranks."""
    whole: dict[str, Tensor] = {}
    for state in states:
        assert whole.keys().isdisjoint(state["average"]), "two ranks kept the average of the same parameter"
        whole |= state["average"]
    return whole


def trained_parameters(module: nn.Module) -> dict[str, nn.Parameter]:
    """By name, in the module's order."""
    return {name: parameter for name, parameter in module.named_parameters() if parameter.requires_grad}


def gathered(parameters: Sequence[nn.Parameter]) -> Any:
    """Within this block parameters that ZeRO 3 has partitioned are whole, on every rank, which must all enter it.

    What is written to them there is forgotten at its end.
    """
    if not any(hasattr(parameter, "ds_id") for parameter in parameters):
        return nullcontext()
    from deepspeed import zero

    return zero.GatheredParameters(list(parameters), modifier_rank=None)


def masters(optimizer: Any) -> dict[int, Tensor]:
    """The fp32 weights that DeepSpeed's optimizer steps, by ``id`` of their 16-bit parameters, without ZeRO.

    Empty where there are none, and where ZeRO has them (:func:`_master` asks it).
    """
    if not hasattr(optimizer, "fp32_groups"):
        return {}
    pairs = zip(optimizer.fp16_groups, optimizer.fp32_groups, strict=True)
    return {id(parameter): full for group, fulls in pairs for parameter, full in zip(group, fulls, strict=True)}


def _master(parameter: nn.Parameter, masters: Mapping[int, Tensor]) -> Tensor:
    """The fp32 value of a parameter; a collective call where ZeRO has partitioned it."""
    from deepspeed.utils import safe_get_full_fp32_param

    if id(parameter) in masters:
        return masters[id(parameter)].detach()
    partitioned = hasattr(parameter, "ds_id")
    if parameter.dtype == torch.float32 and not partitioned:
        return parameter.detach()  # ZeRO 0, 1 and 2 have it whole on every rank after each step
    full = safe_get_full_fp32_param(parameter) if partitioned or hasattr(parameter, "_hp_mapping") else None
    return (parameter.detach() if full is None else full).float()


class ExponentialMovingAverage:
    """``average = decay * average + (1 - decay) * weights``; early steps use a smaller decay, (1 + n) / (10 + n).

    With ``every`` above 1, steps between are passed over and ``decay`` is taken to that power: on a GPU, gathering
    hundreds of small parameters takes as long as a step. To be made of a module that is not yet partitioned.
    """

    def __init__(self, module: nn.Module, decay: float, every: int = 1, *, rank: int = 0, world: int = 1) -> None:
        self.decay, self.every, self.steps, self.updates, self.rank = decay**every, every, 0, 0, rank
        trained = trained_parameters(module)
        self.owners = owners({name: p.numel() for name, p in trained.items()}, world)
        self.average = {n: p.detach().float().clone() for n, p in trained.items() if self.owners[n] == rank}
        """Of this rank's parameters."""

    @torch.no_grad()
    def update(self, module: nn.Module, masters: Mapping[int, Tensor] = MappingProxyType({})) -> None:
        """Fold in the module's weights, those in ``masters`` as they are there; every rank, after every step."""
        self.steps += 1
        if self.steps % self.every:
            return
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        for name, parameter in trained_parameters(module).items():
            value = _master(parameter, masters)
            if name in self.average:
                self.average[name].lerp_(value.to(self.average[name].device), 1 - decay)

    @contextmanager
    def applied(self, module: nn.Module, *, in_fp32: bool = False) -> Iterator[None]:
        """Within the block the module has the averaged weights, whole; every rank must enter and leave it.

        They have the precision that the module computes in, or with ``in_fp32`` that of the averages, and so have the
        weights that are not trained. After that a module is not to be trained further.
        """
        parameters = dict(module.named_parameters())
        with gathered(list(parameters.values())), torch.no_grad():
            kept = {name: parameter.data for name, parameter in parameters.items()}
            for name, parameter in parameters.items():
                value = self._whole(name, parameter) if name in self.owners else parameter.data
                parameter.data = value.float() if in_fp32 else value.to(parameter.dtype)
            try:
                yield
            finally:
                for name, parameter in parameters.items():
                    parameter.data = kept[name]

    def _whole(self, name: str, like: Tensor) -> Tensor:
        """The average of one parameter from the rank that keeps it."""
        mine = self.average.get(name)
        value = torch.empty(like.shape, device=like.device) if mine is None else mine.to(like.device, copy=True)
        if len(set(self.owners.values())) > 1:
            dist.broadcast(value, self.owners[name])
        return value

    def state_dict(self) -> dict[str, Any]:
        """This rank's share: ``steps`` and ``updates`` are the same on all ranks, ``average`` holds its parameters."""
        return {"steps": self.steps, "updates": self.updates, "average": self.average}

    def load_state_dict(self, states: Sequence[Mapping[str, Any]]) -> None:
        """Take this rank's share from those of all ranks that saved, however many they were."""
        whole = merged(states)
        assert whole.keys() == self.owners.keys()
        self.steps, self.updates = states[0]["steps"], states[0]["updates"]
        for name, average in self.average.items():
            average.copy_(whole[name])
