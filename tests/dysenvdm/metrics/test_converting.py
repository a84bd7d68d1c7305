"""Public checkpoints become entries of the model store, and nothing else does."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from dysenvdm.metrics import converting
from dysenvdm.metrics.contract import Weights
from dysenvdm.metrics.converting import convert
from dysenvdm.metrics.weights import loaded
from dysenvdm.models import locate, read_manifest, verify
from planners.dsg import UserError


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 3)


@pytest.fixture(autouse=True)
def kinds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    small = converting._Kind(Weights("small", "small.pt", "its makers", "MIT", ""), Small, left_out="fc.")
    monkeypatch.setitem(converting.KINDS, "small", small)
    monkeypatch.setenv("DYSENVDM_HOME", str(tmp_path / "home"))


def test_a_state_dict_comes_into_the_store_whole_with_its_origin(tmp_path: Path) -> None:
    network = Small()
    torch.save(network.state_dict() | {"fc.weight": torch.zeros(2)}, tmp_path / "small.pt")
    folder = convert("small", tmp_path / "small.pt")
    assert folder == locate("small")
    assert list(verify(folder)) == ["model.safetensors"]
    manifest = read_manifest(folder)
    assert "small.pt (SHA-256" in manifest["source"]
    assert manifest["licence"] == "MIT"
    again = loaded(Small(), folder, "cpu")
    assert torch.equal(again.layer.weight, network.layer.weight)


def test_what_is_no_such_checkpoint_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    def refused(match: str, content: object = None, name: str = "small") -> None:
        path = tmp_path / "file.pt"
        if isinstance(content, bytes):
            path.write_bytes(content)
        elif content is not None:
            torch.save(content, path)
        with pytest.raises(UserError, match=match):
            convert(name, path)

    state = Small().state_dict()
    refused("cannot be read")
    refused("not a checkpoint of plain tensors", b"nonsense")
    refused("not a checkpoint of plain tensors", pickle.dumps(print))
    refused("not a plain state dict", [1, 2])
    refused("has no 'layer.bias'; give small.pt", {"layer.weight": state["layer.weight"]})
    refused("has 'other' too", state | {"other": torch.zeros(1)})
    refused(r"'layer.bias' has the shape \(4,\), not \(3,\)", state | {"layer.bias": torch.zeros(4)})
    refused("SHA-256 is .* begins with 6726825d", state, "inception-2015")
    refused("needs its mean clip: --mean", state, "c3d-ucf101")
    refused("'smal' is not known; there are: i3d-kinetics-400", state, "smal")
    assert not (tmp_path / "home" / "models" / "small").exists()


def test_c3ds_names_of_chainer_and_of_pytorch_become_ours() -> None:
    one = torch.ones(1, dtype=torch.float64)
    found = converting._c3d_state({"conv1a/W": one, "conv2/b": one, "conv3a.weight": one, "/fc8/W": one})
    assert list(found) == ["conv1a.weight", "conv2a.bias", "conv3a.weight", "fc8.weight"]
    assert all(value.dtype == torch.float32 for value in found.values())


def test_the_mean_clip_is_cut_from_the_middle(tmp_path: Path) -> None:
    mean = np.arange(3 * 16 * 128 * 171, dtype=np.float32).reshape(3, 16, 128, 171)
    np.savez(tmp_path / "mean.npz", mean=mean)
    cut = converting._mean_clip(tmp_path / "mean.npz")
    assert cut.shape == (3, 16, 112, 112)
    assert cut[1, 2, 0, 0] == mean[1, 2, 8, 8]
    np.savez(tmp_path / "other.npz", mean=mean[:2])
    for name, match in (("other.npz", r"shape \(3, 16, 128, 171\)"), ("none.npz", "not a mean clip")):
        with pytest.raises(UserError, match=match):
            converting._mean_clip(tmp_path / name)
