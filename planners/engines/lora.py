"""A planner's LoRA adapter (Hu et al. 2021, arXiv 2106.09685): a normal peft folder, added to the weights at loading.

What the folder holds beside the weights: :mod:`planners.engines.adapter_files`.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from planners.dsg import UserError
from planners.engines.adapter_files import CARD, read_card


def fingerprint(model: Any) -> str:
    """SHA-256 of all weights' names and shapes and of the vectors' values (norms and biases): what tells models apart
    without reading hundreds of megabytes."""
    digest = hashlib.sha256()
    for name, weight in sorted(model.state_dict().items()):
        digest.update(f"{name} {tuple(weight.shape)}\n".encode())
        if weight.ndim == 1:
            digest.update(weight.detach().float().cpu().numpy().tobytes())
    return digest.hexdigest()


@torch.no_grad()
def merge(model: Any, folder: Path) -> None:
    """Add a planner's adapter to a model's weights in place: W + (alpha / r) B A for every adapted linear layer.

    Raises :class:`UserError` for a folder that holds no such adapter, or one for another model.
    """
    card = read_card(folder)
    mine = fingerprint(model)
    if card.base_fingerprint != mine:
        raise UserError(
            f"{folder}: tuned on another model ({card.base} {card.base_fingerprint[:12]}, this one is {mine[:12]}); "
            f"give lora=none or its own adapter"
        )
    _add(model, folder)


def save_merged(model_folder: Path, adapter: Path, into: Path) -> None:
    """Write a transformers folder with ``adapter`` in its weights, in the precision of ``model_folder``'s.

    For engines that load folders and compute an adapter beside the weights slowly. An adapter without a planner's card
    is taken as one for this model. Raises :class:`UserError` as :func:`merge` does.
    """
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    try:
        model = AutoModelForCausalLM.from_pretrained(
            model_folder, dtype="auto", local_files_only=True, use_safetensors=True
        )
    except (OSError, ValueError) as error:
        raise UserError(f"{model_folder}: not a usable language model ({str(error).splitlines()[0]})") from None
    (merge if (adapter / CARD).exists() else _add)(model, adapter)
    for file in model_folder.iterdir():
        if file.suffix in (".json", ".jinja", ".model", ".txt"):
            shutil.copyfile(file, into / file.name)
    model.save_pretrained(into)


@torch.no_grad()
def _add(model: Any, folder: Path) -> None:
    try:
        config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
        weights = load_file(folder / "adapter_model.safetensors")
        scale = _scale(config)
        for name, a in weights.items():
            if not name.endswith(".lora_A.weight"):
                continue
            layer = name.removeprefix("base_model.model.").removesuffix(".lora_A.weight")
            weight = model.get_parameter(f"{layer}.weight")
            b = weights[name.replace(".lora_A.", ".lora_B.")]
            weight += scale * (b.float() @ a.float()).to(weight)
        others = [name for name in weights if not name.endswith((".lora_A.weight", ".lora_B.weight"))]
        if others or not weights:
            raise ValueError(f"{others[0]} is no LoRA weight" if others else "there are no weights")
    except (OSError, ValueError, KeyError, AttributeError, RuntimeError, SafetensorError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{folder}: not a usable LoRA adapter ({reason}); tune it anew or give lora=none") from None


def _scale(config: dict[str, Any]) -> float:
    odd = [key for key in ("use_rslora", "use_dora", "rank_pattern", "alpha_pattern") if config.get(key)]
    if config.get("peft_type") != "LORA" or odd:
        raise ValueError(f"its {odd[0] if odd else 'peft_type'} is not supported")
    return float(config["lora_alpha"]) / int(config["r"])
