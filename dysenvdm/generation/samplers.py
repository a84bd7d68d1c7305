"""Schedulers by name, and what a network's output says about the clean latents.

A network predicts noise, velocity or the clean latents; everything here is per element, so shapes are free.
"""

from __future__ import annotations

from typing import Any

from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from diffusers.schedulers.scheduling_dpmsolver_multistep import DPMSolverMultistepScheduler
from diffusers.schedulers.scheduling_unipc_multistep import UniPCMultistepScheduler
from torch import Tensor

from dysenvdm.model_facts import Scheduler
from planners.dsg import UserError

SCHEDULERS: dict[Scheduler, Any] = {
    "ddim": DDIMScheduler,
    "dpmsolver++": DPMSolverMultistepScheduler,
    "unipc": UniPCMultistepScheduler,
}


def new_sampler(own: Any, name: str | None) -> Any:
    """A scheduler for one call, since schedulers hold state: the model's ``own`` kind, or one of SCHEDULERS by name.

    Raises :class:`UserError` for an unknown name.
    """
    if name is not None and name not in SCHEDULERS:
        raise UserError(f"scheduler {name!r} is not known; use one of: {', '.join(SCHEDULERS)}")
    kind = type(own) if name is None else SCHEDULERS[name]
    return kind.from_config(own.config)


def clean_estimate(sampler: Any, output: Tensor, latents: Tensor, timestep: Tensor) -> Tensor:
    """The clean latents that the network's output stands for at noisy ``latents``."""
    signal, noise = scales(sampler, timestep)
    match sampler.config.prediction_type:
        case "v_prediction":
            return signal * latents - noise * output
        case "epsilon":
            return (latents - noise * output) / signal
        case _:
            return output


def output_for(sampler: Any, clean: Tensor, latents: Tensor, timestep: Tensor) -> Tensor:
    """The output that stands for these clean latents: the inverse of :func:`clean_estimate`.

    A deterministic solver that is given it at every step ends in ``clean`` exactly.
    """
    signal, noise = scales(sampler, timestep)
    match sampler.config.prediction_type:
        case "v_prediction":
            return (signal * latents - clean) / noise
        case "epsilon":
            return (latents - signal * clean) / noise
        case _:
            return clean


def scales(sampler: Any, timestep: Tensor) -> tuple[Tensor, Tensor]:
    """Standard deviations of signal and noise."""
    alpha = sampler.alphas_cumprod.to(timestep.device)[timestep.long()]
    return alpha.sqrt(), (1 - alpha).sqrt()
