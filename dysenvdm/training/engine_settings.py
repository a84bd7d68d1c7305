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
OFFLOADS = {"offload_param": 3, "offload_optimizer": 1}
"""What ZeRO can move to the host, and from which stage on."""
TAKEN = (
    "zero_optimization", "zero_allow_untested_optimizer", "zero_force_ds_cpu_optimizer", "aio",
    "communication_data_type", "gradient_allreduce_op",
    "disable_allgather", "comms_logger", "flops_profiler", "wall_clock_breakdown", "memory_breakdown", "dump_state",
    "steps_per_print", "log_level", "disable_python_gc", "timers", "compile",
)  # fmt: skip
"""Settings that are handed on as they are. DeepSpeed itself ignores one that it does not know: a typo is no setting."""


ZERO_LAYOUT: dict[str, Any] = {
    "stage": 0, "elastic_checkpoint": False, "round_robin_gradients": False, "sub_group_size": 1_000_000_000,
    "zero_hpz_partition_size": 1, "zero_quantized_weights": False, "zero_quantized_nontrainable_weights": False,
    "zero_quantized_gradients": False,
}  # fmt: skip
"""ZeRO's settings, with DeepSpeed's defaults, that say what of the optimizer states lies where: a run keeps them."""
ZERO_COURSE = (
    "offload_optimizer", "offload_param", "contiguous_gradients", "reduce_scatter", "reduce_bucket_size",
    "use_multi_rank_bucket_allreduce", "allgather_partitions", "allgather_bucket_size", "overlap_comm",
    "load_from_fp32_weights", "ignore_unused_parameters", "memory_efficient_linear", "log_trace_cache_warnings",
    "enable_sanity_checks", "module_granularity_threshold",
    *(f"stage3_{name}" for name in (
        "prefetch_bucket_size", "param_persistence_threshold", "model_persistence_threshold", "max_live_parameters",
        "max_reuse_distance", "gather_16bit_weights_on_model_save", "use_all_reduce_for_fetch_params",
        "allgather_sequential",
    )),
)  # fmt: skip
"""ZeRO's settings that say how it goes about it: a run may be resumed with others."""


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
    _check_zero(zero)
    offloads = any(isinstance(zero.get(key), dict) for key in OFFLOADS)
    if settings.get("zero_force_ds_cpu_optimizer") and offloads:
        raise ValueError("deepspeed.zero_force_ds_cpu_optimizer: the loop's own AdamW steps there; leave it out")
    for key in ("comms_logger", "flops_profiler", "aio", "compile"):
        if key in settings and not isinstance(settings[key], dict):
            raise ValueError(f"deepspeed.{key}: {settings[key]!r} is no mapping; write its settings as {{key: value}}")
    kind = settings.get("communication_data_type")
    if kind not in (None, "fp32", "fp16", "bf16", "bfp16"):
        raise ValueError(f"deepspeed.communication_data_type: {kind!r} is none; use fp32, fp16 or bf16")


def _check_zero(zero: Mapping[str, Any]) -> None:
    here = "deepspeed.zero_optimization"
    known = (*ZERO_LAYOUT, *ZERO_COURSE)
    for key in zero:
        if key not in known:
            hint = nearest(key, known) or f"; known: {', '.join(known)}"
            raise ValueError(f"{here}.{key}: no setting of ZeRO that a recipe takes{hint}")
    stage = zero.get("stage", 0)
    if stage not in range(4) or isinstance(stage, bool):
        raise ValueError(f"{here}.stage: {stage!r} is no stage of ZeRO; use 0, 1, 2 or 3")
    numbers = zero.get("reduce_bucket_size", 1)
    if isinstance(numbers, bool) or not isinstance(numbers, int | float) or numbers < 1 or numbers % 1:
        raise ValueError(
            f"{here}.reduce_bucket_size: {numbers!r} is no number of parameters; write one, such as 500000000"
        )
    for key, least in OFFLOADS.items():
        moved = zero.get(key)
        if moved is None:
            continue
        if not isinstance(moved, dict):
            raise ValueError(f"{here}.{key}: {moved!r} is no mapping; write {{device: cpu}}")
        device = moved.get("device", "none")
        if device not in ("none", "cpu", "nvme"):
            raise ValueError(f"{here}.{key}.device: {device!r} is none; use cpu, nvme or none")
        if device == "nvme" and not moved.get("nvme_path"):
            raise ValueError(f"{here}.{key}.nvme_path: say in which folder of that disk; or use device cpu")
        if device != "none" and stage < least:
            raise ValueError(f"{here}.{key}: does nothing at stage {stage}; set stage {least}")
