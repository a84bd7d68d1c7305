"""LoRA adapters as peft saves them: is a folder one, and does it fit a model? Only headers of files are read.

A planner's adapter has ``planner.json`` beside peft's files: how the tuned model wants to be asked, and which base
model it was tuned on.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from planners.dsg import UserError, one_line

CARD = "planner.json"
SHIPPED = Path(__file__).parents[1] / "data" / "smollm2-planner-lora"
"""The adapter that ships, tuned on SmolLM2-135M-Instruct by ``recipes/planner/finetune.yaml`` and then by
``recipes/planner/finetune-cpu.yaml``."""


class AdapterCard(BaseModel):
    """``planner.json``. ``demonstrations``: whether questions come with worked examples; ``base_fingerprint`` is
    :func:`fingerprint` of the model that was tuned."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal["dysenvdm.planner-lora/1"] = "dysenvdm.planner-lora/1"
    base: str
    base_fingerprint: str
    demonstrations: bool = False


def read_card(folder: Path) -> AdapterCard:
    """The folder's card; raises :class:`UserError` where there is none or it is not understood."""
    try:
        return AdapterCard.model_validate_json((folder / CARD).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(
            f"{folder / CARD}: cannot be read ({reason}); give lora=none or a tuned adapter's folder"
        ) from None
    except ValidationError as error:
        raise UserError(f"{folder / CARD}: {one_line(error)}") from None


PREFIX = "base_model.model."
"""What peft puts before the names of a model's modules."""


def check_adapter(folder: Path, model: Path) -> int:
    """The largest rank of the adapter in ``folder``; raises :class:`UserError` unless it is a LoRA for ``model``.

    ``model`` is a transformers folder with safetensors weights. Every adapted module must be one of the model's, and
    where the model holds its weights unpacked, the two matrices must fit them.
    """
    ranks = _ranks(_config(folder / "adapter_config.json"), folder)
    weights = _shapes(folder / "adapter_model.safetensors")
    modules = {_module(name) for name in weights}
    theirs: dict[str, tuple[int, ...]] = {}
    for file in sorted(model.glob("*.safetensors")):
        theirs |= _shapes(file)
    owned = {name.rpartition(".")[0] for name in theirs}
    for name in sorted(modules):
        if name not in owned:
            raise UserError(f"{folder}: adapts {name!r}, which {model.name} does not have; it is for another model")
        weight = theirs.get(f"{name}.weight")
        down, up = (weights.get(f"{PREFIX}{name}.lora_{part}.weight") for part in "AB")
        if not down or not up:
            raise UserError(f"{folder}: one of the two LoRA matrices of {name!r} is missing; save the adapter again")
        if weight and (up[0], down[-1]) != weight:
            raise UserError(
                f"{folder}: {name!r} is adapted as {up[0]}x{down[-1]}, {model.name} has {weight[0]}x{weight[-1]}; "
                f"it is for another model"
            )
    return max(ranks)


def _config(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{file}: not there; lora is a folder that peft's save_pretrained wrote") from None
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{file}: cannot be read ({error}); save the adapter again") from None
    if not isinstance(found, dict) or found.get("peft_type") != "LORA":
        kind = found.get("peft_type") if isinstance(found, dict) else None
        raise UserError(f"{file}: peft_type is {kind!r}; only LORA adapters can be used")
    return found


def _ranks(config: dict[str, Any], folder: Path) -> list[int]:
    ranks = [config.get("r"), *(config.get("rank_pattern") or {}).values()]
    if not all(isinstance(rank, int) and rank > 0 for rank in ranks):
        raise UserError(f"{folder / 'adapter_config.json'}: r is {config.get('r')!r}; a rank is a whole number above 0")
    return ranks


def _shapes(file: Path) -> dict[str, tuple[int, ...]]:
    """The tensors of a safetensors file with their shapes; raises :class:`UserError` where it is none."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="numpy") as tensors:
            return {name: tuple(tensors.get_slice(name).get_shape()) for name in tensors.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise UserError(f"{file}: cannot be read as safetensors ({error}); save it again") from None


def _module(name: str) -> str:
    """The module of a model that an adapter's tensor belongs to."""
    return name.removeprefix(PREFIX).partition(".lora_")[0]
