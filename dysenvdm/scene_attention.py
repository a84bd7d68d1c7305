"""Scene attention: the 3D-UNet's spatial blocks look at the scene graph of the tick that their frame shows.

Source: METHOD section 3 (Dysen-VDM section 3.3). Order in a block: spatial self-attention, text, *scene*, then temporal
attention. It is added from outside, by hooks behind every spatial transformer, so the UNet's class and weights stay
those of diffusers and a ModelScope or ZeroScope folder loads unchanged. The output projection starts at zero:
untrained, the network equals its backbone bit for bit.

Letters: ``b`` video, ``f`` frame, ``t`` tick, ``n`` node, ``m`` token (the scene's, then the nodes'), ``d`` width of
features, ``c`` channels of a site, ``k`` width of a head, ``p`` pixel.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, cast, get_args

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin  # also looked up here by diffusers when it loads a pipeline
from diffusers.models.transformers.transformer_2d import Transformer2DModel
from diffusers.models.unets.unet_3d_condition import UNet3DConditionModel
from einops import rearrange, repeat
from torch import Tensor, nn

from dysenvdm.model_facts import SceneMode
from dysenvdm.recurrent_gnn import RecurrentGNN
from dysenvdm.rgtrm import RecurrentGraphTransformer
from dysenvdm.scene_encoder import SceneEncoder, fourier
from dysenvdm.scene_positions import Positions
from dysenvdm.scene_tensors import Embed, SceneTensors, labels_of
from planners.dsg import STATED, DynamicSceneGraph, UserError

SCENE_MODES: tuple[SceneMode, ...] = get_args(SceneMode)

Encoder = Literal["rgtrm", "recurrent_gnn"]
ENCODERS: tuple[Encoder, ...] = get_args(Encoder)

KeyValue = tuple[Tensor, Tensor, Tensor]
"""Of one site and one batch of videos: keys and values (b*f h m k), and which tokens are there (b*f 1 1 m)."""


@dataclass(frozen=True)
class SceneFeatures:
    """What each frame may look at: the scene's token first, then the nodes of its tick."""

    tokens: Tensor
    """(b f m d)."""
    mask: Tensor
    """(b f m) bool: True where there is something to look at; the scene's token always is."""


class PhaseEmbedding(nn.Module):
    """How far each node's interval has run at a moment, and how long since its start and until its end."""

    OCTAVES = 4

    def __init__(self, width: int) -> None:
        super().__init__()
        output = nn.Linear(width, width)
        nn.init.normal_(output.weight, std=4 * width**-0.5)  # as large as the nodes that it is added to
        self.layers = nn.Sequential(nn.Linear(1 + 6 * self.OCTAVES, width), nn.SiLU(), output)

    def forward(self, interval: Tensor, time: Tensor) -> Tensor:
        """Intervals (b n 2) and moments (b f), both in ticks -> (b f n d)."""
        start, end = interval[:, None].unbind(-1)
        since, until = time.unsqueeze(-1) - start, end - time.unsqueeze(-1)
        phase = (since / (end - start).clamp(min=1)).clamp(0, 1)
        waves = [fourier(phase, self.OCTAVES, longest=2.0)]
        waves += [fourier(distance, self.OCTAVES, longest=32.0) for distance in (since, until)]
        weight = next(self.parameters())
        return self.layers(torch.cat([phase.unsqueeze(-1), *waves], dim=-1).to(weight.dtype))


class SceneAttention(nn.Module):
    """Cross-attention from the pixels of one spatial transformer to the scene tokens of each frame."""

    def __init__(self, channels: int, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(channels)
        self.query = nn.Linear(channels, channels, bias=False)
        self.key_value = nn.Linear(width, 2 * channels, bias=False)
        self.output = nn.Linear(channels, channels)
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    def project(self, features: SceneFeatures) -> KeyValue:
        """Keys and values of all frames; once per video, they serve every denoising step."""
        both = self.key_value(features.tokens)
        key, value = rearrange(both, "b f m (two h k) -> two (b f) h m k", two=2, h=self.heads)
        return key, value, rearrange(features.mask, "b f m -> (b f) 1 1 m")

    def forward(self, hidden: Tensor, key_value: KeyValue) -> Tensor:
        """(b*f c h w) -> the same shape, to be added.

        Written out, not ``scaled_dot_product_attention``: there are a dozen tokens, and on CPUs the fused kernel's
        backward pass takes five times as long under bf16.
        """
        key, value, mask = key_value
        pixels = self.norm(rearrange(hidden, "bf c h w -> bf (h w) c"))
        query = rearrange(self.query(pixels), "bf p (h k) -> bf h p k", h=self.heads)
        logits = query @ (key * key.shape[-1] ** -0.5).transpose(-1, -2)
        heard = logits.masked_fill(~mask, -torch.inf).softmax(-1).to(value.dtype) @ value
        added = self.output(rearrange(heard, "bf h p k -> bf p (h k)"))
        return rearrange(added, "bf (h w) c -> bf c h w", h=hidden.shape[-2])


class SceneAdapter(ModelMixin, ConfigMixin):  # type: ignore[misc]  # diffusers' own mixins disagree on config_name
    """All that a scene adds to a 3D-UNet: RGTrm, each node's phase, and one scene attention per spatial transformer.

    ``channels`` are the widths of the UNet's spatial transformers in the order of :func:`scene_sites`. The switches, in
    docs/scene-adapter.md with what each is for: ``encoder`` (RGTrm or its ablation twin), ``laplacian`` eigenvalues and
    ``weisfeiler_lehman`` rounds of positional encodings, ``recurrence`` over ticks, ``phases`` of nodes, ``mode`` (the
    :data:`SceneMode` it is trained and used in, unless told otherwise). ``max_nodes`` bounds objects and facts of a
    scene, and ``trained_labels`` are those that it was trained to draw, None where nobody noted them.

    Raises :class:`UserError` for an unknown encoder or mode.
    """

    @register_to_config
    def __init__(
        self,
        channels: Sequence[int],
        label_dim: int = 384,
        width: int = 128,
        layers: int = 2,
        heads: int = 4,
        site_heads: int = 2,
        encoder: Encoder = "rgtrm",
        laplacian: int = 0,
        weisfeiler_lehman: int = 0,
        recurrence: bool = True,
        phases: bool = True,
        mode: SceneMode = "aligned",
        max_nodes: int = 256,
        trained_labels: Sequence[str] | None = None,  # noqa: ARG002  (kept in the configuration alone)
    ) -> None:
        super().__init__()
        _check_mode(mode)
        self.mode: SceneMode = mode
        self.max_nodes = max_nodes
        self.positions = Positions(laplacian, weisfeiler_lehman)
        options: dict[str, Any] = {"positions": self.positions, "recurrence": recurrence}
        self.graph: SceneEncoder
        if encoder == "rgtrm":
            self.graph = RecurrentGraphTransformer(label_dim, width, layers, heads, **options)
        elif encoder == "recurrent_gnn":
            self.graph = RecurrentGNN(label_dim, width, layers, **options)
        else:
            raise UserError(f"scene encoder {encoder!r} is not known; use one of: {', '.join(ENCODERS)}")
        self.phase = PhaseEmbedding(width) if phases else None
        self.norm = nn.LayerNorm(width)
        self.sites = nn.ModuleList(SceneAttention(site, width, site_heads) for site in channels)

    @classmethod
    def for_unet(cls, unet: UNet3DConditionModel, **config: Any) -> SceneAdapter:
        """A new adapter with a scene attention for every spatial transformer of this UNet.

        Labels are taken to be as wide as the UNet's text, since one encoder embeds both.
        """
        widths = {
            "label_dim": unet.config["cross_attention_dim"],
            "channels": [s.in_channels for s in scene_sites(unet)],
        }
        return cls(**{**widths, **config})

    def tensors(self, dsgs: Sequence[DynamicSceneGraph], embed: Embed) -> SceneTensors:
        """DSGs as this adapter reads them; raises :class:`UserError` where one has more nodes than it takes."""
        self.check(dsgs)
        return SceneTensors.from_dsgs(dsgs, embed, self.positions)

    def check(self, dsgs: Sequence[DynamicSceneGraph]) -> None:
        """Raise :class:`UserError` for a scene with more objects and facts than ``max_nodes``."""
        for dsg in dsgs:
            objects, facts = len(dsg.objects), len(dsg.facts)
            if objects + facts > self.max_nodes:
                raise UserError(
                    f"scene graph: {objects} objects and {facts} facts are {objects + facts} nodes, this model takes "
                    f"{self.max_nodes}; remove some, or split the scene into several videos"
                )

    def untrained_labels(self, dsg: DynamicSceneGraph) -> list[str]:
        """Labels of objects and of stated facts that this adapter was not trained to draw; [] where nobody noted them.

        They are no error: labels are embedded as text, and what is drawn is what resembles them in training.
        """
        known = self.config["trained_labels"]
        if known is None:
            return []
        said = dsg.replace(facts=tuple(fact for fact in dsg.facts if fact.source in STATED))
        return [label for label in dict.fromkeys(labels_of(said)) if label.lower() not in known]

    def encode(
        self, scene: SceneTensors, num_frames: int, scene_mode: SceneMode | None = None, shown: Tensor | None = None
    ) -> SceneFeatures:
        """Features of the frames, ``num_frames`` of a video or those of them that are ``shown`` (b f); RGTrm runs once.

        ``scene_mode`` is the adapter's own unless given. Raises :class:`UserError` for an unknown one.
        """
        scene_mode = self.mode if scene_mode is None else _check_mode(scene_mode)
        if shown is None:
            shown = torch.arange(num_frames, device=scene.ticks.device).expand(len(scene.ticks), -1)
        if scene_mode == "none":
            tokens = repeat(self.graph.null, "d -> b f 1 d", b=len(shown), f=shown.shape[1])
            return SceneFeatures(self.norm(tokens), scene.mask.new_ones(tokens.shape[:3]))
        nodes, pooled = cast(tuple[Tensor, Tensor], self.graph(scene))
        if scene_mode == "broadcast":
            return self._of_all_ticks(scene, nodes, pooled, shown.shape[1])
        time = shown * scene.ticks[:, None] / num_frames
        tick = shown * scene.ticks[:, None] // num_frames
        if scene_mode == "shuffled":
            elsewhere = _shuffled(tick, scene.ticks)
            time, tick = time - tick + elsewhere, elsewhere
        video = torch.arange(len(tick), device=tick.device)[:, None]
        at_frame = self._in_phase(nodes[video, tick], scene, time)
        return self._features(pooled[video, tick], at_frame, scene.active[video, tick])

    def keys_values(self, features: SceneFeatures) -> list[KeyValue]:
        """What :meth:`attached` takes: keys and values of every site."""
        return [cast(SceneAttention, site).project(features) for site in self.sites]

    @contextmanager
    def attached(self, unet: UNet3DConditionModel, keys_values: Sequence[KeyValue]) -> Iterator[UNet3DConditionModel]:
        """Within this block the UNet sees the scene; afterwards, error or not, it is what it was.

        The UNet's batch must be that of ``keys_values``. Raises :class:`UserError` where the UNet has other widths than
        those that the adapter was made for.
        """
        sites = scene_sites(unet)
        widths, wanted = [site.in_channels for site in sites], list(self.config["channels"])
        if widths != wanted:
            raise UserError(f"scene adapter: made for UNet widths {wanted}, this UNet has {widths}")
        hooks = [
            site.register_forward_hook(partial(_add_scene, cast(SceneAttention, attention), key_value))
            for site, attention, key_value in zip(sites, self.sites, keys_values, strict=True)
        ]
        try:
            yield unet
        finally:
            for hook in hooks:
                hook.remove()

    def _in_phase(self, nodes: Tensor, scene: SceneTensors, time: Tensor) -> Tensor:
        """Nodes (b f n d) with their phases at moments (b f), in ticks."""
        return nodes if self.phase is None else nodes + self.phase(scene.interval, time)

    def _features(self, pooled: Tensor, nodes: Tensor, active: Tensor) -> SceneFeatures:
        """Scene tokens (b f d) and nodes (b f n d) as one sequence."""
        tokens = self.norm(torch.cat([pooled.unsqueeze(2), nodes], dim=2))
        return SceneFeatures(tokens, torch.cat([active.new_ones(*active.shape[:2], 1), active], dim=2))

    def _of_all_ticks(self, scene: SceneTensors, nodes: Tensor, pooled: Tensor, num_frames: int) -> SceneFeatures:
        """Every frame sees the tokens of every tick, each in the phase of that tick's beginning."""
        tick = torch.arange(nodes.shape[1], device=nodes.device)
        time = repeat(tick.float(), "t -> b t", b=len(nodes))
        of_ticks = self._features(pooled, self._in_phase(nodes, scene, time), scene.active)
        there = of_ticks.mask & (tick < scene.ticks[:, None]).unsqueeze(-1)
        tokens = repeat(of_ticks.tokens, "b t m d -> b f (t m) d", f=num_frames)
        return SceneFeatures(tokens, repeat(there, "b t m -> b f (t m)", f=num_frames))


def scene_sites(unet: nn.Module) -> list[Transformer2DModel]:
    """The spatial transformers of a 3D-UNet, in the order of its modules; each is followed by a temporal one."""
    return [module for module in unet.modules() if isinstance(module, Transformer2DModel)]


def _add_scene(
    attention: SceneAttention, key_value: KeyValue, _site: nn.Module, _args: tuple[Any, ...], output: tuple[Tensor]
) -> tuple[Tensor]:
    """Forward hook of a spatial transformer, which answers the UNet with a tuple of one."""
    (hidden,) = output
    return (hidden + attention(hidden, key_value),)


def _check_mode(mode: SceneMode) -> SceneMode:
    if mode not in SCENE_MODES:
        raise UserError(f"scene mode {mode!r} is not known; use one of: {', '.join(SCENE_MODES)}")
    return mode


def _shuffled(tick: Tensor, ticks: Tensor) -> Tensor:
    """For ticks (b f) of videos that have so many (b): which ones are seen instead.

    Every tick is seen, and none (of two or more) at its own time: a random cycle through all of them, which
    depends on nothing but their number.
    """
    orders = torch.zeros(len(ticks), int(ticks.max()), dtype=torch.long)
    for i, count in enumerate(ticks.tolist()):
        cycle = torch.randperm(count, generator=torch.Generator().manual_seed(count))
        orders[i, cycle] = cycle.roll(1)
    return orders.to(tick.device).gather(1, tick)
