"""DeepSpeed's configuration of a run: its own settings from the recipe, and what follows from the train section."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dysenvdm.training.recipe import Recipe


def engine_config(recipe: Recipe, *, micro: int, parts: int, precision: str) -> dict[str, Any]:
    """What ``deepspeed.initialize`` gets, for steps of ``parts`` micro-batches of ``micro`` samples on each rank."""
    return {
        "train_micro_batch_size_per_gpu": micro,
        "gradient_accumulation_steps": parts,
        "gradient_clipping": recipe.train.clip,
        # The loop looks at the loss itself, and names the clips. (Stage 0 looks all the same, weight by weight.)
        "bf16": {"enabled": precision == "bf16", "check_grad_overflow": False},
        "fp16": {"enabled": precision == "fp16"},  # with dynamic loss scaling
        "zero_allow_untested_optimizer": True,
        # Torch's fused AdamW steps as fast on CPUs as DeepSpeed's own, which would have to be compiled.
        "zero_force_ds_cpu_optimizer": False,
        **recipe.deepspeed,
    }


def write_engine_config(config: dict[str, Any], run: Path) -> None:
    """Leave it in the run's folder."""
    (run / "deepspeed.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
