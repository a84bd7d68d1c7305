"""What test_zero_memory.py starts on each of two ranks: engines of DeepSpeed, one by one, and what they keep."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dysenvdm.training.engine_config import engine_config
from dysenvdm.training.ranks import join_ranks
from dysenvdm.training.recipe import load_recipe

WIDTH = 64


def size(tensors: Any) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def kept(recipe: str, precision: str, stage: dict[str, Any]) -> dict[str, int]:
    """Bytes on this rank: of the optimizer, of the fp32 gradients that its step sees, of ZeRO's buckets."""
    import deepspeed

    module = nn.Sequential(nn.Linear(WIDTH, WIDTH, bias=False), nn.Linear(WIDTH, WIDTH, bias=False))
    config = engine_config(load_recipe(recipe, []), micro=1, parts=1, precision=precision)
    config["zero_optimization"] = stage
    adam = torch.optim.AdamW(module.parameters(), lr=1e-3)
    engine, *_ = deepspeed.initialize(model=module, optimizer=adam, config=config)
    found = {"buckets": 0, "fp32 gradients": 0}
    masters: dict[int, Tensor] = {}

    def look(_gradient: Tensor) -> None:
        for bucket in getattr(engine.optimizer, "ipg_buckets", {}).values():
            found["buckets"] = size(bucket.buffer if isinstance(bucket.buffer, list) else [bucket.buffer])

    def before_step(optimizer: Any, _args: Any, _kwargs: Any) -> None:
        weights = {weight.untyped_storage()._cdata for weight in module.parameters()}
        moved = [weight for group in optimizer.param_groups for weight in group["params"]]
        own = {id(weight): weight for weight in moved if weight.untyped_storage()._cdata not in weights}
        masters.update(own)
        found["fp32 gradients"] = max(found["fp32 gradients"], size(w.grad for w in own.values() if w.grad is not None))

    adam.register_step_pre_hook(before_step)
    inputs = torch.ones(1, WIDTH, dtype=torch.bfloat16 if precision == "bf16" else torch.float32)
    inputs.requires_grad_().register_hook(look)  # the end of the backward pass, when gradients are gathered already
    engine.backward(engine(inputs).float().sum())
    engine.step()
    states = [value for state in adam.state.values() for value in state.values() if value.numel() > 1]
    engine.destroy()
    return {"optimizer": size([*masters.values(), *states]), **found}


if __name__ == "__main__":
    folder, recipe, plans = Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])
    join_ranks()
    told = [kept(recipe, precision, stage) for precision, stage in plans]
    (folder / f"kept{os.environ['RANK']}.json").write_text(json.dumps(told))
