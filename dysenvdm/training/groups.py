"""Which parameters the optimizer moves, and how: parameter groups."""

from __future__ import annotations

from typing import Any

from torch import nn

from dysenvdm.training.sections import TrainSection

SCENE = "scene_adapter."


def parameter_groups(module: nn.Module, train: TrainSection) -> list[dict[str, Any]]:
    """torch's parameter groups of what is trained, each with the ``name`` of the group, none of them empty.

    Norms, biases and other vectors are not decayed: nothing is gained by pulling a scale towards zero. The scene
    adapter has groups of its own where it has a learning rate of its own.
    """
    groups: dict[str, dict[str, Any]] = {}
    for name, parameter in module.named_parameters():
        if not parameter.requires_grad:
            continue
        apart = train.scene_lr is not None and name.startswith(SCENE)
        decayed = parameter.ndim > 1
        title = f"{'scene adapter, ' if apart else ''}{'weights' if decayed else 'norms and biases'}"
        group = groups.setdefault(
            title,
            {
                "name": title,
                "params": [],
                "lr": train.scene_lr if apart else train.lr,
                "weight_decay": train.weight_decay if decayed else 0.0,
            },
        )
        group["params"].append(parameter)
    return list(groups.values())
