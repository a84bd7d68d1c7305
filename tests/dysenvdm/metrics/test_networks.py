"""The networks have the published sizes, parameter names and output shapes; numbers beside an independent
implementation come from ``python -m benchmarks.metric_networks``."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from dysenvdm.metrics.networks.c3d import C3D
from dysenvdm.metrics.networks.i3d import I3D
from dysenvdm.metrics.networks.inception import Inception


@pytest.mark.parametrize(
    ("build", "parameters", "names"),
    [
        (I3D, 12_697_264, ("Conv3d_1a_7x7.conv3d.weight", "Mixed_4f.b2b.bn.running_var", "logits.conv3d.bias")),
        (C3D, 78_409_573, ("conv1a.weight", "conv5b.bias", "fc8.weight", "mean")),
        (Inception, 21_785_568, ("Conv2d_1a_3x3.conv.weight", "Mixed_7c.branch3x3dbl_3b.bn.bias")),
    ],
)
def test_sizes_and_names_are_the_published_ones(
    build: type[nn.Module], parameters: int, names: tuple[str, ...]
) -> None:
    with torch.device("meta"):
        network = build()
    assert sum(p.numel() for p in network.parameters()) == parameters
    assert set(names) <= network.state_dict().keys()


@pytest.mark.parametrize(
    ("build", "shape", "out"),
    [
        (I3D, (2, 3, 16, 224, 224), (2, 400)),
        (I3D, (1, 3, 9, 224, 224), (1, 400)),
        (C3D, (2, 3, 16, 64, 80), (2, 101)),
        (Inception, (3, 3, 299, 299), (3, 2048)),
    ],
)
def test_what_comes_out(build: type[nn.Module], shape: tuple[int, ...], out: tuple[int, ...]) -> None:
    with torch.device("meta"):
        assert build().eval()(torch.zeros(shape)).shape == out


def test_c3d_sees_blue_first_and_less_the_mean_clip() -> None:
    seen: list[torch.Tensor] = []
    network = C3D.__new__(C3D)
    nn.Module.__init__(network)
    first = nn.Conv3d(3, 64, 3, padding=1)
    first.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    network.conv1a = first
    network.register_buffer("mean", torch.full((3, 16, 112, 112), 100.0))
    red = torch.full((1, 3, 16, 112, 112), -1.0)
    red[:, 0] = 1.0
    with pytest.raises(AttributeError, match="conv2a"):
        network(red)
    assert seen[0][0, :, 0, 0, 0].tolist() == [-100, -100, 156]
