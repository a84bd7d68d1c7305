"""LoRA adapters (Hu et al. 2021, arXiv 2106.09685) of UNet and scene adapter, merged: W + s (alpha/r) B A.

Three layouts are read: a peft folder (``adapter_config.json``, ``adapter_model.safetensors``); a folder with such
folders named ``unet`` and ``scene_adapter``; and diffusers' single ``pytorch_lora_weights.safetensors``, whose names
begin with ``unet.`` or ``scene_adapter.``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from dysenvdm.files import sha256
from planners.dsg import UserError

PARTS = ("unet", "scene_adapter")
PEFT_CONFIG, PEFT_WEIGHTS, DIFFUSERS_WEIGHTS = (
    "adapter_config.json", "adapter_model.safetensors", "pytorch_lora_weights.safetensors",
)  # fmt: skip
_UNREAD = ("use_dora", "rank_pattern", "alpha_pattern", "modules_to_save")
_PREFIX = "base_model.model."


@dataclass(frozen=True)
class Lora:
    """A folder and how strongly it counts; 0 leaves the model as it is."""

    folder: Path
    scale: float = 1.0

    @classmethod
    def parse(cls, text: str) -> Lora:
        """``FOLDER`` or ``FOLDER:SCALE``; raises :class:`UserError`."""
        path, colon, number = text.rpartition(":")
        if not colon or not path or Path(text).exists():
            return cls(Path(text))
        try:
            return cls(Path(path), float(number))
        except ValueError:
            raise UserError(f"--lora {text!r}: {number!r} is not a scale; write FOLDER or FOLDER:0.8") from None


@dataclass(frozen=True)
class _Layer:
    """One adapted layer: its update is ``scale * up @ down``."""

    name: str
    down: Tensor
    up: Tensor
    scale: float

    def update(self) -> Tensor:
        """(out in*k), kernels flattened."""
        return self.scale * (self.up.float().flatten(1) @ self.down.float().flatten(1))


@torch.no_grad()
def merge(lora: Lora, parts: Mapping[str, nn.Module], model: str) -> dict[str, str]:
    """Add the adapter to the weights of ``parts`` (by PARTS' names) in place; returns file -> SHA-256.

    ``model`` is the name that errors say. Raises :class:`UserError` for a folder without an adapter, a form of LoRA
    that is not known, and one that was made for another model; nothing is changed then.
    """
    files, updates = _weight_files(lora.folder), []
    for file, part in files.items():
        for owner, layer in _layers(file, part, lora.folder):
            weight = _weight(parts, owner, layer, lora.folder, model, _base_of(file))
            updates.append((weight, layer))
    if lora.scale:
        for weight, layer in updates:
            weight.add_((lora.scale * layer.update()).reshape(weight.shape).to(weight))
    return {str(file.relative_to(lora.folder)): sha256(file) for file in files}


def _weight_files(folder: Path) -> dict[Path, str | None]:
    """The files with weights, and of which part they are where the place says so."""
    in_parts = {folder / part / PEFT_WEIGHTS: part for part in PARTS if (folder / part / PEFT_WEIGHTS).is_file()}
    if in_parts:
        return dict(in_parts)
    for name in (PEFT_WEIGHTS, DIFFUSERS_WEIGHTS):
        if (folder / name).is_file():
            return {folder / name: None}
    raise UserError(f"{folder}: no LoRA there; give a folder with {PEFT_WEIGHTS} or {DIFFUSERS_WEIGHTS}")


def _layers(file: Path, part: str | None, folder: Path) -> list[tuple[str | None, _Layer]]:
    """All adapted layers, each with the part it belongs to where the file says so."""
    try:
        with safe_open(file, "pt") as opened:
            weights = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118  (not a dict)
            metadata = opened.metadata() or {}
        config = _config(file, metadata)
        layers = []
        for name, down in weights.items():
            if not name.endswith(".lora_A.weight"):
                continue
            path = name.removesuffix(".lora_A.weight")
            up = weights[f"{path}.lora_B.weight"]
            owner, rest = (part, path.removeprefix(_PREFIX)) if file.name == PEFT_WEIGHTS else _split(path)
            alpha = weights.get(f"{path}.alpha")
            layers.append((owner, _Layer(rest, down, up, _scale(config, down.shape[0], alpha))))
        known = (".lora_A.weight", ".lora_B.weight", ".alpha")
        others = [name for name in weights if not name.endswith(known)]
        if others or not layers:
            raise ValueError(f"{others[0]} is no LoRA weight" if others else "there are no weights")
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise UserError(
            f"{folder}: not a usable LoRA ({' '.join(str(error).split())[:300]}); train or save it anew"
        ) from None
    return layers


def _split(path: str) -> tuple[str | None, str]:
    """diffusers' names begin with the part's."""
    part, _, rest = path.partition(".")
    if part not in PARTS:
        raise ValueError(f"{path} begins with none of: {', '.join(PARTS)}")
    return part, rest


def _config(file: Path, metadata: Mapping[str, str]) -> dict[str, Any]:
    """peft's configuration, or what diffusers keeps of it, as far as scales need it."""
    if file.name == PEFT_WEIGHTS:
        config: dict[str, Any] = json.loads((file.parent / PEFT_CONFIG).read_text(encoding="utf-8"))
        if config.get("peft_type") != "LORA":
            raise ValueError(f"its peft_type is {config.get('peft_type')}")
    else:
        stored = json.loads(metadata.get("lora_adapter_metadata", "{}"))
        config = {key.rpartition(".")[2]: value for key, value in stored.items()}
    odd = [key for key in _UNREAD if config.get(key)]
    if odd:
        raise ValueError(f"its {odd[0]} is not supported")
    return config


def _scale(config: Mapping[str, Any], rank: int, alpha: Tensor | None) -> float:
    """alpha / r, or alpha / sqrt(r) where it was trained so; 1 where no alpha is told."""
    told = float(alpha) if alpha is not None else float(config.get("lora_alpha", rank))
    return told / (rank**0.5 if config.get("use_rslora") else rank)


def _base_of(file: Path) -> str:
    """The model that a LoRA says it was made for."""
    try:
        base = json.loads((file.parent / PEFT_CONFIG).read_text(encoding="utf-8")).get("base_model_name_or_path")
    except (OSError, ValueError):
        base = None
    return f"a LoRA for {Path(base).name!r}" if base else "a LoRA for another model"


def _weight(
    parts: Mapping[str, nn.Module], owner: str | None, layer: _Layer, folder: Path, model: str, base: str
) -> nn.Parameter:
    """The weight that a layer adapts."""
    for name in [owner] if owner else PARTS:
        try:
            weight = parts[name].get_parameter(f"{layer.name}.weight")
        except (AttributeError, KeyError):
            continue
        shape, wanted = tuple(weight.shape), (layer.up.shape[0], *layer.down.shape[1:])
        if shape != tuple(wanted):
            raise UserError(
                f"{folder}: {base}, not for {model!r}: its {name}.{layer.name} has shape {tuple(wanted)}, "
                f"this model's {shape}; give one that was trained on {model!r}"
            )
        return weight
    raise UserError(
        f"{folder}: {base}, not for {model!r}: there is no layer {layer.name} of shape "
        f"{(layer.up.shape[0], *layer.down.shape[1:])} in this model; give one that was trained on {model!r}"
    )
