"""The text encoder of a pretrained backbone: the CLIP text model and tokenizer that its UNet was trained with.

It takes the place of :class:`dysenvdm.text.TextEncoder` in pipelines made by ``dysenvdm backbone add``. Weights and
tokenizer lie in one folder of the pipeline, so that it needs nothing from the model store.

Letters: ``b`` prompt, ``l`` token (77 for CLIP), ``k`` label, ``d`` width.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import torch
from diffusers.models.modeling_utils import ModelMixin  # also looked up here by diffusers when it loads a pipeline
from torch import Tensor
from torch.nn import functional as F
from transformers import BatchEncoding, CLIPTextModel, CLIPTokenizer
from transformers.utils.logging import disable_progress_bar


class TextCutWarning(UserWarning):
    """A text is longer than its encoder reads; the message names the words that count for nothing."""


class ClipTextEncoder(ModelMixin):
    """CLIP for prompts (a vector per token) and for node labels (the pooled vector, of unit length); never trained."""

    config_name = "config.json"

    def __init__(self, folder: str | Path, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        disable_progress_bar()
        self.tokenizer = CLIPTokenizer.from_pretrained(folder, local_files_only=True)
        self.model = CLIPTextModel.from_pretrained(folder, local_files_only=True, use_safetensors=True, dtype=dtype)
        self.eval().requires_grad_(False)
        self._known: dict[str, Tensor] = {}

    @property
    def width(self) -> int:
        """d."""
        return int(self.model.config.hidden_size)

    @property
    def max_tokens(self) -> int:
        """l, the length of every prompt's encoding."""
        return int(min(self.tokenizer.model_max_length, self.model.config.max_position_embeddings))

    def unread(self, text: str) -> str:
        """The end of a text that the encoder does not read; "" where it reads all."""
        starts = [start for start, _ in self.tokenizer(text, return_offsets_mapping=True)["offset_mapping"]]
        return text[starts[self.max_tokens - 1] :] if len(starts) > self.max_tokens else ""

    @torch.no_grad()
    def encode(self, prompts: Sequence[str]) -> Tensor:
        """Hidden states (b l d), exactly those that diffusers' TextToVideoSDPipeline gives its UNet.

        What is too long is cut, as there, with a :class:`TextCutWarning`.
        """
        tokens = self._tokens(prompts)
        masked = getattr(self.model.config, "use_attention_mask", False)
        mask = tokens["attention_mask"] if masked else None
        return self.model(tokens["input_ids"], attention_mask=mask).last_hidden_state

    @torch.no_grad()
    def embed(self, labels: Sequence[str]) -> Tensor:
        """Pooled embeddings (k d) of unit length; known labels are remembered."""
        new = [label for label in dict.fromkeys(labels) if label not in self._known]
        if new:
            self._known.update(zip(new, self.read(new), strict=True))
        none = torch.empty(0, self.width)
        return torch.cat([none, *(self._known[label][None] for label in labels)]).to(self.device, self.dtype)

    @torch.no_grad()
    def read(self, labels: Sequence[str]) -> Tensor:
        """The same (k d), on the CPU: all are read together now, and none is remembered."""
        pooled = self.model(self._tokens(labels)["input_ids"]).pooler_output.float()
        return F.normalize(pooled, dim=-1).cpu()

    def _tokens(self, texts: Sequence[str]) -> BatchEncoding:
        for text in dict.fromkeys(texts):
            rest = self.unread(text)
            if rest:
                said = f"{text[:40]!r}…: the text encoder reads {self.max_tokens} tokens and leaves out: {rest!r}"
                warnings.warn(said, TextCutWarning, stacklevel=3)
        length = {"padding": "max_length", "max_length": self.max_tokens, "truncation": True}
        return self.tokenizer(list(texts), **length, return_tensors="pt").to(self.device)

    def save_pretrained(self, save_directory: str | Path) -> None:  # type: ignore[override]
        """Weights and tokenizer, as one folder in transformers layout."""
        self.model.save_pretrained(save_directory)
        self.tokenizer.save_pretrained(save_directory)

    @classmethod
    def from_pretrained(  # type: ignore[override]  # diffusers gives many loading options, of which one counts
        cls, folder: str | Path, torch_dtype: torch.dtype | None = None, **_loading: Any
    ) -> Self:
        """A saved encoder, in the dtype that the pipeline is loaded in."""
        return cls(folder, torch_dtype or torch.float32)
