"""Activation checkpointing: layers forget what they computed on the way and compute it again in the backward pass."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Any

import torch
from diffusers.models.resnet import ResnetBlock2D, TemporalConvLayer
from diffusers.models.transformers.transformer_2d import Transformer2DModel
from diffusers.models.transformers.transformer_temporal import TransformerTemporalModel
from torch import nn
from torch.utils.checkpoint import checkpoint

from dysenvdm.recurrent_gnn import MessagePassing
from dysenvdm.rgtrm import GraphTransformerLayer
from dysenvdm.scene_attention import SceneAttention
from dysenvdm.training.throughput import recomputation

LAYERS = (
    ResnetBlock2D, TemporalConvLayer, Transformer2DModel, TransformerTemporalModel, SceneAttention,
    GraphTransformerLayer, MessagePassing,
)  # fmt: skip
"""What keeps only its inputs. Single layers, not the UNet's blocks: a block computed again in the backward pass would
no longer find the scene attention, which hangs on its layers only during the forward pass. (diffusers itself has no
activation checkpointing for this UNet.)"""


def checkpoint_activations(module: nn.Module) -> int:
    """From now on the module's :data:`LAYERS` keep only their inputs; returns how many there are. Weights stay."""
    layers = [layer for layer in module.modules() if isinstance(layer, LAYERS)]
    for layer in layers:
        layer.forward = partial(_checkpointed, layer.forward)  # type: ignore[method-assign]
    return len(layers)


def is_checkpointed(layer: nn.Module) -> bool:
    """Whether :func:`checkpoint_activations` has changed this layer."""
    forward = layer.__dict__.get("forward")
    return isinstance(forward, partial) and forward.func is _checkpointed


def _checkpointed(forward: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    if not torch.is_grad_enabled():
        return forward(*args, **kwargs)
    return checkpoint(
        forward, *args, use_reentrant=False, context_fn=lambda: (nullcontext(), recomputation()), **kwargs
    )
