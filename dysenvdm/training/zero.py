"""What of DeepSpeed's ZeRO a loop has to know: its settings, and how to look at weights that are shared out."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from pydantic import ValidationError

from dysenvdm.training.engine_config import engine_config, write_engine_config
from dysenvdm.training.recipe import Recipe
from planners.dsg import UserError, one_line


def precision_of(recipe: Recipe, device: torch.device) -> str:
    """fp32, bf16 or fp16; raises :class:`UserError` for one that cannot be trained with here."""
    wanted = recipe.train.precision
    if wanted == "auto":
        return "bf16" if device.type == "cuda" else "fp32"
    if wanted == "fp16" and device.type != "cuda":
        raise UserError("train.precision: fp16 needs a GPU; use bf16 or fp32 on CPUs")
    if wanted == "fp16" and zero_stage(recipe) == 0:
        raise UserError(
            "train.precision: fp16 needs deepspeed.zero_optimization.stage 1, 2 or 3, which keep the fp32 weights that "
            "are averaged; stage 1 does the same steps as 0"
        )
    return wanted


def zero_stage(recipe: Recipe) -> int:
    """Of ZeRO; what DeepSpeed itself refuses is left to it."""
    section = recipe.deepspeed.get("zero_optimization", {})
    return section.get("stage", 0) if isinstance(section, dict) else 0


def offloads_optimizer(recipe: Recipe) -> bool:
    """Whether the optimizer's steps are taken by the CPU."""
    section = recipe.deepspeed.get("zero_optimization", {})
    return isinstance(section, dict) and bool(section.get("offload_optimizer"))


def initialize(module: Any, optimizer: Any, schedule: Any, recipe: Recipe, *, micro: int, parts: int) -> Any:
    """The DeepSpeed engine around a module; raises :class:`UserError` for settings that DeepSpeed refuses."""
    import deepspeed
    from deepspeed.runtime.config import DeepSpeedConfigError

    device = next(module.parameters()).device
    precision = precision_of(recipe, device)
    config = engine_config(recipe, micro=micro, parts=parts, precision=precision)
    if int(os.environ.get("RANK", "0")) == 0:
        write_engine_config(config, recipe.run)
    try:
        engine, *_ = deepspeed.initialize(model=module, optimizer=optimizer, lr_scheduler=schedule, config=config)
    except (ValidationError, DeepSpeedConfigError) as error:
        raise UserError(f"deepspeed: {one_line(error)}") from None
    return engine


@contextmanager
def without_hooks(engine: Any) -> Iterator[None]:
    """Within this block ZeRO 3 leaves the module alone.

    It neither gathers weights before a layer runs, which all ranks would have to do together, nor drops those that
    were gathered.
    """
    offload = getattr(engine.optimizer, "parameter_offload", None)
    if offload is None:
        yield
        return
    for parameter in engine.module.parameters():
        parameter.ds_active_sub_modules.clear()
    offload._remove_module_hooks()
    offload.forward_hooks, offload.backward_hooks = [], []
    try:
        yield
    finally:
        offload.setup_zero_stage3_hooks()
