"""Public checkpoints of metrics' networks become entries of the model store: safetensors with a manifest.

Checkpoints are read as plain data (``torch.load(weights_only=True)``, NumPy archives without pickles) and only on the
machine where somebody runs ``dysenvdm models convert``; measuring reads safetensors alone.
"""

from __future__ import annotations

import pickle
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor, nn

from dysenvdm.files import folder_written_whole, sha256
from dysenvdm.metrics import weights
from dysenvdm.metrics.contract import Weights
from dysenvdm.metrics.networks.c3d import C3D, CONVOLUTIONS, SIZE
from dysenvdm.metrics.networks.i3d import I3D
from dysenvdm.metrics.networks.inception import Inception
from dysenvdm.models import new_entry, write_manifest
from planners.dsg import UserError

State = dict[str, Tensor]


@dataclass(frozen=True)
class _Kind:
    weights: Weights
    network: Callable[[], nn.Module]
    left_out: str = ""
    """Beginning of the names that the checkpoint has and the metric has no use for."""
    mean: bool = False
    """Whether the mean clip comes in a file of its own."""


KINDS = {
    kind.weights.name: kind
    for kind in (
        _Kind(weights.I3D, I3D),
        _Kind(weights.C3D, C3D, mean=True),
        _Kind(weights.INCEPTION, Inception, left_out="fc."),
    )
}
"""What can be converted, by its name in the model store."""


def convert(name: str, checkpoint: Path, mean: Path | None = None) -> Path:
    """Put a public checkpoint into the model store under the name that its metrics ask for; returns its folder.

    ``mean`` is C3D's mean clip (an .npz or .npy file). Raises :class:`UserError` for files that are something else.
    """
    if name not in KINDS:
        raise UserError(f"models convert: {name!r} is not known; there are: {', '.join(KINDS)}")
    kind = KINDS[name]
    if kind.mean != (mean is not None):
        said = "needs its mean clip: --mean mean2.npz" if kind.mean else "has no mean clip; leave out --mean"
        raise UserError(f"models convert: {name} {said}")
    state = _state(checkpoint)
    if name == weights.C3D.name and mean is not None:
        state = _c3d_state(state) | {"mean": _mean_clip(mean)}
    state = {key: value for key, value in state.items() if not (kind.left_out and key.startswith(kind.left_out))}
    digest = sha256(checkpoint)
    if kind.weights.sha256 and not digest.startswith(kind.weights.sha256):
        raise UserError(
            f"{checkpoint}: SHA-256 is {digest[:12]}…, that of {kind.weights.file} begins with {kind.weights.sha256}; "
            f"download it again"
        )
    _check(checkpoint, state, kind)
    target = new_entry(name)
    with folder_written_whole(target) as fresh:
        save_file({key: value.contiguous() for key, value in state.items()}, fresh / weights.FILE)
        (fresh / weights.FILE).chmod(0o644)
        write_manifest(
            fresh,
            source=f"{checkpoint.name} (SHA-256 {digest}), {kind.weights.source}",
            licence=kind.weights.licence,
        )
    return target


def _state(path: Path) -> State:
    """A checkpoint's tensors by name, read as plain data."""
    try:
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as archive:
                return {key: torch.from_numpy(np.asarray(archive[key])) for key in archive.files}
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Detected pickle protocol")  # what it cannot read, it refuses
            state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from None
    except (pickle.UnpicklingError, ValueError, RuntimeError, EOFError, KeyError, zipfile.BadZipFile) as error:
        reason = str(error).strip().splitlines()[0][:120] if str(error).strip() else type(error).__name__
        raise UserError(
            f"{path}: not a checkpoint of plain tensors ({reason}); give the published file, a state dict or an .npz"
        ) from None
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise UserError(f"{path}: not a plain state dict of tensors by name; give the published file")
    return state


def _c3d_state(state: State) -> State:
    """C3D's parameters by our names, from Chainer's (conv1a/W), Caffe's or PyTorch's (conv1.weight)."""
    suffixes = {"W": "weight", "b": "bias"}
    short = {name[:-1]: name for name in CONVOLUTIONS if name in ("conv1a", "conv2a")}
    renamed: State = {}
    for key, value in state.items():
        layer, _, kind = key.replace("/", ".").strip(".").rpartition(".")
        renamed[f"{short.get(layer, layer)}.{suffixes.get(kind, kind)}"] = value.float()
    return renamed


def _mean_clip(path: Path) -> Tensor:
    """The mean clip (3 16 112 112), blue first, cut from the middle of the published 128x171 pixels."""
    try:
        found = np.load(path, allow_pickle=False)
        clip: NDArray[np.floating] = found["mean"] if path.suffix == ".npz" else found
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"{path}: not a mean clip ({error}); give the mean2.npz that goes with C3D") from None
    clip = clip.reshape(clip.shape[-4:]) if clip.ndim == 5 else clip
    if clip.shape != (3, 16, 128, 171):
        raise UserError(f"{path}: a mean clip has the shape (3, 16, 128, 171), this one {clip.shape}")
    return torch.from_numpy(np.ascontiguousarray(clip[:, :, 8 : 8 + SIZE, 8 : 8 + SIZE])).float()


def _check(path: Path, state: State, kind: _Kind) -> None:
    with torch.device("meta"):
        wanted = kind.network().state_dict()
    for key in sorted(wanted.keys() | state.keys()):
        if key not in state:
            raise UserError(f"{path}: has no {key!r}; give {kind.weights.file} ({kind.weights.source})")
        if key not in wanted:
            raise UserError(f"{path}: has {key!r} too; give {kind.weights.file} ({kind.weights.source})")
        if wanted[key].shape != state[key].shape:
            raise UserError(
                f"{path}: {key!r} has the shape {tuple(state[key].shape)}, not {tuple(wanted[key].shape)}; "
                f"give {kind.weights.file} ({kind.weights.source})"
            )
