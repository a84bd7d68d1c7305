"""CLIPSIM: how near CLIP finds the frames to the prompt. Source: Wu et al. 2021 (GODIVA).

Letters: ``f`` frame, ``d`` features.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from dysenvdm.metrics import weights
from dysenvdm.metrics.contract import Figure, Item, Material, Measured, Metric, Settings
from dysenvdm.metrics.features import Look, features, spread_frames
from dysenvdm.models import locate
from planners.dsg import UserError


class ClipSettings(Settings):
    """``model`` names one of the model store, or a folder. ``frames`` of each clip, evenly spread (0: all), are judged.

    A prompt that is too long for the model is refused unless ``cut`` is set.
    """

    model: str = "clip-vit-base-patch32"
    frames: int = Field(0, ge=0)
    cut: bool = False


def _clipsim(material: Material, settings: ClipSettings) -> Sequence[Measured]:
    folder = locate(settings.model)
    tokenizer, processor, model = _loaded(folder, material.device)
    texts = [_text_features(item, tokenizer, model, settings) for item in material.items]

    def build() -> Look:
        def look(video: NDArray[Any]) -> Tensor:
            pixels = processor(images=list(video), return_tensors="pt")["pixel_values"].to(material.device)
            return _unit(model.get_image_features(pixel_values=pixels))

        return look

    key = f"clip {settings.model} {settings.frames}"
    seen = features(material, "items", key, partial(spread_frames, count=settings.frames), build)
    pairs = [(float((found @ text).mean()), 1.0) for found, text in zip(seen, texts, strict=True)]
    return [Measured("clipsim", pairs=pairs)]


def _loaded(folder: Path, device: str) -> tuple[Any, Any, Any]:
    from transformers import AutoTokenizer, CLIPModel
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        processor = CLIPImageProcessorPil.from_pretrained(folder, local_files_only=True)
        model = CLIPModel.from_pretrained(folder, local_files_only=True, use_safetensors=True, dtype=torch.float32)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise UserError(f"{folder}: not a CLIP folder ({' '.join(str(error).split())[:160]})") from None
    return tokenizer, processor, model.eval().to(device)


@torch.no_grad()
def _text_features(item: Item, tokenizer: Any, model: Any, settings: ClipSettings) -> NDArray[Any]:
    longest = model.config.text_config.max_position_embeddings
    tokens = tokenizer(item.prompt, return_tensors="pt", truncation=settings.cut, max_length=longest)
    if (count := tokens["input_ids"].shape[1]) > longest:
        raise UserError(
            f"metric clipsim: {item.id}: its prompt has {count} tokens, {settings.model} reads {longest}; shorten it, "
            f"or have it cut with the setting cut=true"
        )
    found: NDArray[Any] = _unit(model.get_text_features(**tokens.to(model.device)))[0].cpu().numpy()
    return found


def _unit(output: Any) -> Tensor:
    """Features (n d) of length 1; newer transformers wrap them in an output object."""
    found: Tensor = getattr(output, "pooler_output", output)
    return found / found.norm(dim=-1, keepdim=True)


CLIPSIM = Metric(
    "clipsim",
    "mean cosine between CLIP's features of the frames and of the prompt",
    (Figure("clipsim", "higher", "mean"),),
    frozenset({"videos", "prompts"}),
    _clipsim,
    settings=ClipSettings,
    weights=(weights.CLIP,),
)
