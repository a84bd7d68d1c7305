"""LoRA (Hu et al. 2021) of UNet and scene adapter by peft: put in, and saved as ``generate --lora`` reads it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.lora import LoraLayer
from peft.utils import get_peft_model_state_dict
from safetensors.torch import save_file
from torch import nn

from dysenvdm.files import folder_written_whole
from dysenvdm.generation.lora import PEFT_WEIGHTS
from dysenvdm.models import write_manifest
from dysenvdm.training.sections import LoraSection
from planners.dsg import UserError

ADAPTED = (nn.Linear, nn.Conv2d, nn.Conv3d)


def add_lora(lora: LoraSection, parts: Mapping[str, nn.Module]) -> None:
    """Freeze the parts and put trained updates, zero as yet, beside all layers that ``targets`` name.

    Raises :class:`UserError` for a target that is no layer's.
    """
    layers = {part: layers_of(module) for part, module in parts.items()}
    for target in lora.targets:
        if not any(_ends(name, target) for names in layers.values() for name in names):
            ends = {re.sub(r"^\d+$", "", name.rpartition(".")[2]) or ".".join(name.rsplit(".", 2)[-2:])
                    for names in layers.values() for name in names}  # fmt: skip
            raise UserError(f"lora.targets: no layer's name ends in {target!r}; there are: {', '.join(sorted(ends))}")
    for part, module in parts.items():
        module.requires_grad_(False)
        targets = [target for target in lora.targets if any(_ends(name, target) for name in layers[part])]
        if targets:
            config = LoraConfig(r=lora.rank, lora_alpha=lora.alpha, target_modules=targets)  # type: ignore[arg-type]
            inject_adapter_in_model(config, module)


def layers_of(module: nn.Module) -> list[str]:
    """Names of the layers that may be adapted."""
    return [name for name, layer in module.named_modules() if isinstance(layer, ADAPTED)]


def save_lora(lora: LoraSection, parts: Mapping[str, nn.Module], folder: Path, *, base: str, source: str) -> None:
    """Write a folder with a peft folder for each adapted part, whole or not at all."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder_written_whole(folder) as fresh:
        for name, part in parts.items():
            if not any(isinstance(layer, LoraLayer) for layer in part.modules()):
                continue
            weights = get_peft_model_state_dict(part)
            (fresh / name).mkdir()
            LoraConfig(
                r=lora.rank,
                lora_alpha=lora.alpha,  # type: ignore[arg-type]  # fractions are as good
                target_modules=list(lora.targets),
                base_model_name_or_path=base,
                inference_mode=True,
            ).save_pretrained(str(fresh / name))
            plain = {f"base_model.model.{key}": value.float().contiguous().cpu() for key, value in weights.items()}
            save_file(plain, fresh / name / PEFT_WEIGHTS)
        write_manifest(fresh, source=source, licence="Apache-2.0")


def _ends(name: str, target: str) -> bool:
    return name == target or name.endswith(f".{target}")
