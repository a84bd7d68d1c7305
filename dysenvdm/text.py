"""The text encoder: all-MiniLM-L6-v2 for prompts (a vector per token) and for node labels (a vector per label).

The encoder is frozen and its weights (91 MB) live in the model store; a saved pipeline holds only their name and hash.

Letters: ``b`` prompt, ``l`` token, ``k`` label, ``d`` width (384 for MiniLM).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import torch
from diffusers.models.modeling_utils import ModelMixin  # also looked up here by diffusers when it loads a pipeline
from torch import Tensor
from torch.nn import functional as F
from transformers import AutoModel, AutoTokenizer, BatchEncoding
from transformers.utils.logging import disable_progress_bar

from dysenvdm.files import sha256
from dysenvdm.models import TEXT_MODEL, locate, verify
from planners.dsg import UserError

WEIGHTS = "model.safetensors"
MAX_TOKENS = 64
"""Tokens of a prompt that a model reads which does not say how many."""


class TextEncoder(ModelMixin):
    """A BERT-like sentence encoder from a local folder with safetensors weights and a tokenizer; never trained."""

    config_name = "config.json"

    def __init__(self, folder: str | Path, max_tokens: int = MAX_TOKENS) -> None:
        """``max_tokens`` of a prompt are read, begin and end mark included: shorter prompts are padded with zeros,
        longer ones refused. Raises :class:`UserError` where the folder is no such model."""
        super().__init__()
        self.folder, self.max_tokens = Path(folder), max_tokens
        if not (self.folder / WEIGHTS).is_file():
            raise UserError(f"{folder}: no {WEIGHTS} there; give a text encoder's folder in transformers layout")
        self.tokenizer = AutoTokenizer.from_pretrained(self.folder, local_files_only=True)
        disable_progress_bar()
        self.model = AutoModel.from_pretrained(
            self.folder, local_files_only=True, use_safetensors=True, dtype=torch.float32
        )
        self.eval().requires_grad_(False)
        self._known: dict[str, Tensor] = {}

    @classmethod
    def from_store(cls, name: str = TEXT_MODEL) -> Self:
        """The model store's encoder, its hashes checked; raises :class:`UserError`."""
        folder = locate(name)
        verify(folder)
        return cls(folder)

    @property
    def width(self) -> int:
        """d."""
        return int(self.model.config.hidden_size)

    @cached_property
    def weights_sha256(self) -> str:
        return sha256(self.folder / WEIGHTS)

    def unread(self, text: str) -> str:
        """The end of a text that is beyond ``max_tokens``; "" where all can be read."""
        starts = [start for start, _ in self.tokenizer(text, return_offsets_mapping=True)["offset_mapping"]]
        return text[starts[self.max_tokens - 1] :] if len(starts) > self.max_tokens else ""

    @torch.no_grad()
    def encode(self, prompts: Sequence[str]) -> Tensor:
        """Hidden states (b l d) of the prompts' tokens, l = ``max_tokens``, zero where padded; "" is no prompt at all.

        Raises :class:`UserError` for a prompt of more tokens.
        """
        tokens = self._tokens(prompts)
        for prompt, length in zip(prompts, tokens["attention_mask"].sum(1).tolist(), strict=True):
            if length > self.max_tokens:
                raise UserError(
                    f"prompt {prompt[:40]!r}…: {length} tokens, the text encoder reads at most {self.max_tokens}; "
                    f"shorten it"
                )
        hidden = self.model(**tokens).last_hidden_state * tokens["attention_mask"].unsqueeze(-1)
        return F.pad(hidden, (0, 0, 0, self.max_tokens - hidden.shape[1]))

    @torch.no_grad()
    def embed(self, labels: Sequence[str]) -> Tensor:
        """Sentence embeddings (k d) of unit length, the mean over each label's tokens; known labels are remembered."""
        new = [label for label in dict.fromkeys(labels) if label not in self._known]
        if new:
            self._known.update(zip(new, self.read(new), strict=True))
        none = torch.empty(0, self.width)
        return torch.cat([none, *(self._known[label][None] for label in labels)]).to(self.device, self.dtype)

    @torch.no_grad()
    def read(self, labels: Sequence[str]) -> Tensor:
        """The same (k d), on the CPU: all are read together now, and none is remembered."""
        tokens = self._tokens(labels)
        there = tokens["attention_mask"].unsqueeze(-1)
        mean = (self.model(**tokens).last_hidden_state * there).sum(1) / there.sum(1)
        return F.normalize(mean, dim=-1).cpu()

    def _tokens(self, texts: Sequence[str]) -> BatchEncoding:
        return self.tokenizer(list(texts), padding=True, return_tensors="pt").to(self.device)

    def save_pretrained(self, save_directory: str | Path) -> None:  # type: ignore[override]
        """Write which store entry this is and the hash of its weights, not the weights."""
        folder = Path(save_directory)
        folder.mkdir(parents=True, exist_ok=True)
        said = {"store": self.folder.name, "sha256": self.weights_sha256, "max_tokens": self.max_tokens}
        (folder / self.config_name).write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def from_pretrained(cls, folder: str | Path, **_loading: Any) -> Self:  # type: ignore[override]
        """Resolve a saved encoder through the model store, in float32 whatever diffusers' loading options say.

        Raises :class:`UserError` where the store lacks the entry or its weights are not those that were saved.
        """
        path = Path(folder) / cls.config_name
        try:
            said = json.loads(path.read_text(encoding="utf-8"))
            name, wanted, max_tokens = said["store"], said["sha256"], int(said.get("max_tokens", MAX_TOKENS))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise UserError(f"{path}: not a saved text encoder ({error!r}); save the pipeline again") from None
        store = locate(name)
        found = verify(store).get(WEIGHTS, "none")
        if found != wanted:
            raise UserError(
                f"{store / WEIGHTS}: SHA-256 is {found[:12]}…, {path} wants {wanted[:12]}…; import that model as {name}"
            )
        return cls(store, max_tokens)
