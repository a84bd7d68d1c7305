"""Sentence embeddings of all-MiniLM-L6-v2: how alike a question and an example are.

The generator has an encoder of the same model (``dysenvdm.text``); planners do not import the generator.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from planners.dsg import UserError
from planners.engines.transformers import store_model

TEXT_MODEL = "all-minilm-l6-v2"
MAX_TOKENS = 256
"""The length that the model was trained with; of a longer text only the beginning counts."""
KEPT = 8192
"""So many texts' vectors are remembered."""

Features = NDArray[np.float32]


class Embedder(Protocol):
    """Texts to vectors of unit length, (n, width)."""

    def embed(self, texts: Sequence[str]) -> Features: ...


class TextEmbedder:
    """An :class:`Embedder` on a local folder with a BERT-like sentence encoder, by default the imported MiniLM.

    It runs on the CPU, where it takes milliseconds, and remembers the texts seen last. Raises
    :class:`UserError` where the folder holds no such model.
    """

    def __init__(self, model: str | os.PathLike[str] | None = None) -> None:
        folder = store_model(TEXT_MODEL) if model is None else Path(model)
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
        from transformers import AutoModel, AutoTokenizer
        from transformers.utils import logging

        logging.disable_progress_bar()
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            self._model = AutoModel.from_pretrained(
                folder, local_files_only=True, use_safetensors=True, dtype=torch.float32
            ).eval()
        except (OSError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise UserError(f"{folder}: not a usable text encoder ({reason}); import {TEXT_MODEL} again") from None
        self._vector = lru_cache(KEPT)(self._embedded)

    @property
    def width(self) -> int:
        """Numbers in a text's vector: 384 for MiniLM."""
        return int(self._model.config.hidden_size)

    def embed(self, texts: Sequence[str]) -> Features:
        """The mean over each text's tokens, of unit length: (n, width)."""
        return np.stack([self._vector(text) for text in texts]) if texts else np.empty((0, self.width), np.float32)

    @torch.inference_mode()
    def _embedded(self, text: str) -> Features:
        """One text alone, so that its vector does not depend, in the last bits, on what else is asked."""
        tokens = self._tokenizer(text, truncation=True, max_length=MAX_TOKENS, return_tensors="pt")
        mean = self._model(**tokens).last_hidden_state[0].mean(0)
        vector: Features = F.normalize(mean, dim=-1).numpy()
        return vector
