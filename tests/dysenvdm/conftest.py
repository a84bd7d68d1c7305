"""A model store with a text encoder of width 32 and random weights, which stands in for all-MiniLM-L6-v2."""

from __future__ import annotations

import string
from pathlib import Path

import pytest

from dysenvdm.models import TEXT_MODEL, write_manifest

WORDS = ("girl", "dog", "box", "chair", "red", "brown", "walk", "jump", "run", "over", "to", "a", "the", "then")


@pytest.fixture(scope="session")
def store_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ``DYSENVDM_HOME``."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizer

    home = tmp_path_factory.mktemp("store")
    folder = home / "models" / TEXT_MODEL
    letters = [prefix + letter for letter in string.ascii_lowercase for prefix in ("", "##")]
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *dict.fromkeys((*letters, *WORDS)), ".", ","]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = BertModel(
            BertConfig(
                vocab_size=len(vocabulary),
                hidden_size=32,
                num_hidden_layers=1,
                num_attention_heads=2,
                intermediate_size=32,
                max_position_embeddings=256,
            )
        )
    model.save_pretrained(folder)
    BertTokenizer(vocab={word: i for i, word in enumerate(vocabulary)}).save_pretrained(folder)
    write_manifest(folder, source="random weights", licence="Apache-2.0")
    return home


@pytest.fixture
def store(store_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same as the current ``DYSENVDM_HOME``; not to be written to."""
    monkeypatch.setenv("DYSENVDM_HOME", str(store_folder))
    return store_folder
