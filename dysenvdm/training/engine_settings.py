"""Which of DeepSpeed's settings a recipe's ``deepspeed`` section may hold, and where the others are said."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dysenvdm.training.suggestions import nearest

OURS = {
    "train_batch_size": "train.batch_size",
    "train_micro_batch_size_per_gpu": "train.micro_batch",
    "gradient_accumulation_steps": "train.micro_batch",
    "gradient_clipping": "train.clip",
    "optimizer": "train.lr, train.betas and train.weight_decay",
    "scheduler": "train.warmup and train.cooldown",
    "activation_checkpointing": "train.checkpoint_activations",
    **dict.fromkeys(("bf16", "bfloat16", "fp16", "amp", "data_types", "torch_autocast"), "train.precision"),
}
"""Settings that follow from the train section, and from which of its keys."""
TAKEN = (
    "zero_optimization", "zero_allow_untested_optimizer", "zero_force_ds_cpu_optimizer", "aio",
    "communication_data_type", "prescale_gradients", "gradient_predivide_factor", "gradient_allreduce_op",
    "disable_allgather", "comms_logger", "flops_profiler", "wall_clock_breakdown", "memory_breakdown", "dump_state",
    "steps_per_print", "log_level", "disable_python_gc", "timers", "compile",
)  # fmt: skip
"""Settings that are handed on as they are. DeepSpeed itself ignores one that it does not know: a typo is no setting."""


def check_settings(settings: Mapping[str, Any]) -> None:
    """Raise :class:`ValueError` for a setting that contradicts the recipe, is unknown, or would do nothing."""
    for key in settings:
        if key in OURS:
            raise ValueError(f"deepspeed.{key}: comes from the train section ({OURS[key]}); set it there")
        if key not in TAKEN:
            known = nearest(key, TAKEN) or f"; known: {', '.join(TAKEN)}"
            raise ValueError(f"deepspeed.{key}: no setting of DeepSpeed that a recipe takes{known}")
    zero = settings.get("zero_optimization", {})
    if not isinstance(zero, dict):
        raise ValueError(f"deepspeed.zero_optimization: {zero!r} is no mapping; write {{stage: 2}} for ZeRO's stage 2")
    stage = zero.get("stage", 0)
    for key, least in (("offload_param", 3), ("offload_optimizer", 1)):
        if zero.get(key) and stage in range(least):
            raise ValueError(f"deepspeed.zero_optimization.{key}: does nothing at stage {stage}; set stage {least}")
