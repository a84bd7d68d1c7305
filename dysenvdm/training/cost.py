"""What one sample costs a network, found without weights and without computing: on torch's meta device.

Shapes run through the real modules, forward and backward. Counted are the floating-point operations of products and
convolutions (``torch.utils.flop_counter``) and the bytes of what autograd keeps for the backward pass. The scene
encoder is taken to join every node to every other, since there are no values to say which edges there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from diffusers.models.attention_processor import AttnProcessor
from einops import rearrange
from torch import Tensor, nn
from torch.fx.experimental import _config as symbolic
from torch.utils.flop_counter import FlopCounterMode

from dysenvdm.scene_attention import SceneAdapter
from dysenvdm.scene_tensors import SceneTensors
from dysenvdm.training.activations import is_checkpointed
from planners.dsg import DynamicSceneGraph

META = torch.device("meta")


@dataclass(frozen=True)
class Cost:
    """``kept`` and ``kept_each``: bytes of activations of any batch, and of each sample; ``flops`` of each sample."""

    kept: int
    kept_each: int
    flops: int

    def activations(self, samples: int) -> int:
        """Bytes that a micro-batch keeps for its backward pass."""
        return self.kept + samples * self.kept_each


def denoiser_cost(
    unet: nn.Module, adapter: SceneAdapter, dsg: DynamicSceneGraph, *, frames: int, size: tuple[int, int], text: int
) -> Cost:
    """Of UNet and scene adapter, both on the meta device; ``size`` of the latents, ``text`` tokens of a caption."""
    config: Any = unet.config
    for name, processor in unet.attn_processors.items():  # type: ignore[operator, union-attr]
        if not isinstance(processor, AttnProcessor):
            unet.get_submodule(name.removesuffix(".processor")).set_processor(_Fused())  # type: ignore[operator]
    dtype = next(unet.parameters()).dtype

    def passed(samples: int) -> Tensor:
        _, numbered = SceneTensors.numbered([dsg] * samples, adapter.positions)
        table = torch.empty(len(dsg.objects) + len(dsg.facts), adapter.config["label_dim"], device=META, dtype=dtype)
        features = adapter.encode(numbered.labelled(table).to(dtype=dtype), frames)
        latents = torch.empty(samples, config["in_channels"], frames, *size, device=META, dtype=dtype)
        texts = torch.empty(samples, text, config["cross_attention_dim"], device=META, dtype=dtype)
        with adapter.attached(unet, adapter.keys_values(features)):  # type: ignore[arg-type]
            timesteps = torch.zeros(samples, device=META, dtype=torch.long)
            return unet(latents, timesteps, encoder_hidden_states=texts).sample.float().square().mean()

    return _cost(passed, [unet, adapter])


def autoencoder_cost(vae: Any, *, size: tuple[int, int], stills: int) -> Cost:
    """Of an autoencoder on the meta device; a sample is ``stills`` frames of a clip."""
    dtype = next(vae.parameters()).dtype

    def passed(samples: int) -> Tensor:
        images = torch.empty(samples * stills, 3, *size, device=META, dtype=dtype)
        latents = vae.encode(images).latent_dist.mean
        return (vae.decode(latents).sample - images).float().square().mean()

    return _cost(passed, [vae])


def referee_cost(referee: nn.Module, *, frames: int, size: tuple[int, int]) -> Cost:
    """Of a referee on the meta device; a sample is a clip. Its loss is left out, which is a small part."""
    dtype = next(referee.parameters()).dtype

    def passed(samples: int) -> Tensor:
        maps = referee(torch.empty(samples, frames, 3, *size, device=META, dtype=dtype))
        return torch.stack([value.float().square().mean() for value in maps.values()]).sum()

    return _cost(passed, [referee])


class _Fused:
    """Attention as a GPU's fused kernel does it: on the meta device torch would take the written-out one instead."""

    def __call__(
        self, attn: Any, hidden_states: Tensor, encoder_hidden_states: Tensor | None = None, **_none: Any
    ) -> Tensor:
        read = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        query, key, value = (
            rearrange(project(states), "b l (h k) -> b h l k", h=attn.heads)
            for project, states in ((attn.to_q, hidden_states), (attn.to_k, read), (attn.to_v, read))
        )
        heard = torch.ops.aten._scaled_dot_product_flash_attention(query, key, value)[0]
        return attn.to_out[0](rearrange(heard, "b h l k -> b l (h k)"))


def _cost(passed: Callable[[int], Tensor], modules: Iterable[nn.Module]) -> Cost:
    modules = list(modules)
    with symbolic.patch(  # type: ignore[attr-defined]
        meta_nonzero_assume_all_nonzero=True
    ):
        one, two = (_kept(partial(passed, samples), modules) for samples in (1, 2))
        with FlopCounterMode(display=False) as counter:
            passed(1).backward()
    for module in modules:
        module.zero_grad()
    return Cost(kept=max(0, 2 * one - two), kept_each=two - one, flops=counter.get_total_flops())


def _kept(passed: Callable[[], Tensor], modules: Iterable[nn.Module]) -> int:
    """Bytes of the distinct storages that autograd keeps, weights apart: those are there in any case.

    Where activations are checkpointed, what a layer reads is kept, and what is computed in it is not.
    """
    modules = list(modules)
    weights = {_key(p) for module in modules for p in (*module.parameters(), *module.buffers())}
    found: dict[int, int] = {}
    read: list[Tensor] = []

    def note_read(_layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        read.extend(value for value in (*args, *kwargs.values()) if isinstance(value, Tensor))

    checkpointed = [layer for module in modules for layer in module.modules() if is_checkpointed(layer)]
    hooks = [layer.register_forward_pre_hook(note_read, with_kwargs=True) for layer in checkpointed]

    def note(tensor: Tensor) -> Tensor:
        if _key(tensor) not in weights:
            found[_key(tensor)] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        loss = passed()  # kept alive until all is noted, so that no storage's key is given to another
    for tensor in read:
        note(tensor)
    total = sum(found.values())
    del loss
    for hook in hooks:
        hook.remove()
    return total


def _key(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata
