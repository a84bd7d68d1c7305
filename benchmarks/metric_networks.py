"""``python -m benchmarks.metric_networks UNPACKED``: metrics' networks beside independent implementations of them.

``UNPACKED`` is a folder with the unpacked packages cd-fvd 0.1.1 (I3D, of the public PyTorch conversion) and
torch-fidelity 0.4.0 (Inception of 2015)::

    mkdir UNPACKED
    pip download --no-deps cd-fvd==0.1.1 && tar xzf cd-fvd-0.1.1.tar.gz -C UNPACKED
    pip install --no-deps --target UNPACKED torch-fidelity==0.4.0

Neither is installed: what they need beside torch (torchvision) does not go with every torch, and is not needed for
their networks. Both sides get the same random weights and the same input; said is the largest difference of an output,
as a share of the largest output. C3D has no such package: its layers and sizes are held in the tests.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import sys
import tempfile
import types
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.planning import print_table
from dysenvdm.metrics.networks.i3d import I3D
from dysenvdm.metrics.networks.inception import Inception

FRAMES = (9, 16, 20)
EPSILON = 1e-3
"""Of I3D's batch norms, in DeepMind's network and its public conversion; cd-fvd has 1e-5 there."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.metric_networks", description=__doc__.splitlines()[0])
    parser.add_argument("unpacked", type=Path, help="the folder with the unpacked packages")
    folder = parser.parse_args().unpacked
    torch.manual_seed(0)
    with torch.no_grad():
        rows = [*compare_i3d(folder), compare_inception(folder)]
    print_table("metrics' networks beside independent ones, the same random weights", ("network", "difference"), rows)


def compare_i3d(folder: Path) -> list[tuple[str, str]]:
    """Differences for clips of several lengths."""
    [file] = folder.rglob("pytorch_i3d.py")
    spec = importlib.util.spec_from_file_location("independent_i3d", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    theirs, mine = module.InceptionI3d(400, in_channels=3).eval(), I3D().eval()
    _randomize(theirs)
    for layer in theirs.modules():
        if isinstance(layer, nn.BatchNorm3d):
            layer.eps = EPSILON
    mine.load_state_dict(theirs.state_dict())
    rows = []
    for frames in FRAMES:
        clip = torch.rand(1, 3, frames, 224, 224) * 2 - 1
        rows.append((f"I3D, {frames} frames", _difference(theirs(clip), mine(clip))))
    return rows


def compare_inception(folder: Path) -> tuple[str, str]:
    """The difference for two random pictures."""
    sys.path.append(str(folder))
    package: Any = types.ModuleType("torch_fidelity")  # its own __init__ imports torchvision
    package.__path__ = [str(folder / "torch_fidelity")]
    sys.modules["torch_fidelity"] = package
    mine = Inception().eval()
    _randomize(mine)
    state = mine.state_dict() | {"fc.weight": torch.zeros(1008, 2048), "fc.bias": torch.zeros(1008)}
    with tempfile.NamedTemporaryFile(suffix=".pth") as file:
        torch.save(state, file.name)
        extractor = importlib.import_module("torch_fidelity.feature_extractor_inceptionv3").FeatureExtractorInceptionV3
        theirs = extractor("inception", ["2048"], feature_extractor_weights_path=file.name).eval()
    pictures = torch.randint(0, 256, (2, 3, 299, 299), dtype=torch.uint8)
    return "Inception", _difference(theirs(pictures)[0], mine((pictures.float() - 128) / 128))


def _randomize(network: nn.Module) -> None:
    """Weights that neither fade nor grow from layer to layer, and batch norms that do something."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Conv3d):
            nn.init.kaiming_normal_(layer.weight)
        elif isinstance(layer, nn.BatchNorm2d | nn.BatchNorm3d):
            assert layer.running_mean is not None
            assert layer.running_var is not None
            nn.init.normal_(layer.running_mean, std=0.1)
            nn.init.uniform_(layer.running_var, 0.5, 1.5)


def _difference(theirs: Tensor, mine: Tensor) -> str:
    return f"{float((theirs - mine).abs().max() / theirs.abs().max()):.1e}"


if __name__ == "__main__":
    main()
