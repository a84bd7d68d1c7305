"""What RGTrm costs: over its loop twin, a common library's graph attention, and itself with other switches, in pairs.

Encoders have the sizes that ship (width 128, 2 layers, 4 heads) and random weights; scenes are those of Stage clips.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from benchmarks.rows import Row, paired_ratios

if TYPE_CHECKING:
    from dysenvdm.scene_encoder import SceneEncoder
    from dysenvdm.scene_positions import Positions
    from dysenvdm.scene_tensors import SceneTensors
    from dysenvdm.stage import StageClip

WIDTH, LAYERS, HEADS, LABELS = 128, 2, 4, 384
VIDEOS = 8
"""Scenes in a batch; the loop twin gets one of them."""
PAIRS, LOOP_PAIRS = 15, 3


def run() -> list[Row]:
    import torch

    from dysenvdm.recurrent_gnn import RecurrentGNN
    from dysenvdm.rgtrm import RecurrentGraphTransformer
    from dysenvdm.scene_positions import Positions
    from dysenvdm.stage import sample

    torch.manual_seed(0)
    clips = [sample(i) for i in range(VIDEOS)]
    none, both = Positions(), Positions(laplacian=4, weisfeiler_lehman=2)
    plain, placed = scenes(clips, none), scenes(clips, both)
    sizes: dict[str, Any] = {"label_dim": LABELS, "width": WIDTH, "layers": LAYERS}
    rgtrm = RecurrentGraphTransformer(**sizes, heads=HEADS).eval()
    others: dict[str, tuple[SceneEncoder, SceneTensors]] = {
        "with positional encodings": (RecurrentGraphTransformer(**sizes, heads=HEADS, positions=both), placed),
        "without recurrence": (RecurrentGraphTransformer(**sizes, heads=HEADS, recurrence=False), plain),
        "recurrent GNN": (RecurrentGNN(**sizes), plain),
    }
    encode = without_gradient(lambda: rgtrm(plain))
    rows = [loop_row(rgtrm, scenes(clips[:1], none))]
    for name, (encoder, scene) in others.items():
        other = without_gradient(partial(encoder, scene))
        share = parameters(encoder) / parameters(rgtrm)
        title = f"{name} / RGTrm ({share:.2f} of its parameters), {VIDEOS} scenes"
        rows.append(Row(title, "", paired_ratios(other, encode, PAIRS)))
    rows.append(tensors_row(clips, none, both))
    if find_spec("torch_geometric"):
        rows.append(library_row(rgtrm, plain))
    return rows


def scenes(clips: list[StageClip], positions: Positions) -> SceneTensors:
    """The clips' gold scene graphs with random labels of unit length."""
    import torch
    from torch.nn.functional import normalize

    from dysenvdm.scene_tensors import SceneTensors

    def embed(labels: Any) -> torch.Tensor:
        return normalize(torch.randn(len(labels), LABELS), dim=-1)

    return SceneTensors.from_dsgs([clip.dsg for clip in clips], embed, positions)


def parameters(module: SceneEncoder) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def without_gradient(action: Callable[[], object]) -> Callable[[], object]:
    import torch

    wrapped: Callable[[], object] = torch.no_grad()(action)
    return wrapped


def loop_row(rgtrm: Any, scene: SceneTensors) -> Row:
    """RGTrm against one Python loop per index, on one scene; they must agree."""
    import torch

    from benchmarks.loop_twin import loop_encode

    with torch.no_grad():
        for fast, slow in zip(rgtrm(scene), loop_encode(rgtrm, scene), strict=True):
            torch.testing.assert_close(fast, slow, atol=1e-4, rtol=1e-4)
    ratios = paired_ratios(
        without_gradient(lambda: loop_encode(rgtrm, scene)), without_gradient(lambda: rgtrm(scene)), LOOP_PAIRS
    )
    return Row("loop twin / RGTrm, one scene", "", ratios, 20, True)


def tensors_row(clips: list[StageClip], none: Positions, both: Positions) -> Row:
    """Making the tensors, which a loader's processes do, with and without encodings; graphs are not remembered."""
    from dysenvdm.scene_positions import _encoded
    from dysenvdm.scene_tensors import SceneTensors

    dsgs = [clip.dsg for clip in clips]

    def with_positions() -> None:
        _encoded.cache_clear()
        SceneTensors.numbered(dsgs, both)

    ratios = paired_ratios(with_positions, lambda: SceneTensors.numbered(dsgs, none), PAIRS)
    return Row(f"tensors with positional encodings / without, {VIDEOS} scenes", "", ratios)


def library_row(rgtrm: Any, scene: SceneTensors) -> Row:
    """torch-geometric's TransformerConv over the same nodes and edges, as many layers with norm and feed-forward.

    It has no memory and no edge updates, so it does less: RGTrm without recurrence is what to hold it against.
    """
    import torch
    from torch import Tensor, nn

    from dysenvdm.rgtrm import RecurrentGraphTransformer, ResidualUpdate, TickEdges

    convolution: Any = importlib.import_module("torch_geometric.nn").TransformerConv

    class Library(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            sizes = {"heads": HEADS, "edge_dim": WIDTH, "root_weight": False}
            self.layers = nn.ModuleList(convolution(WIDTH, WIDTH // HEADS, **sizes) for _ in range(LAYERS))
            self.updates = nn.ModuleList(ResidualUpdate(WIDTH) for _ in range(LAYERS))

        def forward(self) -> Tensor:
            where = TickEdges.of(scene)
            edges = rgtrm.edge(where.kind)
            rows: Tensor = rgtrm.embedded(scene).flatten(0, 2)
            for layer, update in zip(self.layers, self.updates, strict=True):
                rows = update(rows, layer(rows, torch.stack([where.sender, where.receiver]), edges))
            return rows

    mine = RecurrentGraphTransformer(LABELS, WIDTH, LAYERS, HEADS, recurrence=False)
    ratios = paired_ratios(without_gradient(lambda: mine(scene)), without_gradient(Library()), PAIRS)
    return Row(f"RGTrm without recurrence / TransformerConv layers, {VIDEOS} scenes", "", ratios)
