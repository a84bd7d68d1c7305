"""The text encoder: padding, unit length, memory, and weights that stay in the store."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from dysenvdm.models import TEXT_MODEL, write_manifest
from dysenvdm.text import MAX_TOKENS, WEIGHTS, TextEncoder
from planners.dsg import UserError


@pytest.fixture
def encoder(store: Path) -> TextEncoder:
    return TextEncoder.from_store()


def test_hidden_states_are_zero_where_padded_and_blind_to_their_neighbours(encoder: TextEncoder) -> None:
    long, short = encoder.encode(["the girl walk to the box, then the dog run over the chair", "a dog"])
    assert long.shape == (MAX_TOKENS, encoder.width)
    assert short[4:].abs().sum() == 0  # [CLS] a dog [SEP]
    assert (short[:4].abs().sum(-1) > 0).all()
    torch.testing.assert_close(encoder.encode(["a dog"])[0], short)


def test_empty_prompt_is_a_prompt(encoder: TextEncoder) -> None:
    assert (encoder.encode([""])[0].abs().sum(-1) > 0).sum() == 2  # [CLS] [SEP]


def test_prompt_of_too_many_tokens_is_refused(encoder: TextEncoder) -> None:
    fits = " ".join(["dog"] * (MAX_TOKENS - 2))
    assert encoder.encode([fits]).shape == (1, MAX_TOKENS, encoder.width)
    with pytest.raises(UserError, match=f"{MAX_TOKENS + 1} tokens"):
        encoder.encode(["a dog", fits + " dog"])


def test_label_embeddings_have_unit_length_and_do_not_depend_on_company(encoder: TextEncoder) -> None:
    together = encoder.embed(["dog", "jump over the red box", "dog"])
    torch.testing.assert_close(together.norm(dim=-1), torch.ones(3))
    assert torch.equal(together[0], together[2])
    torch.testing.assert_close(TextEncoder(encoder.folder).embed(["dog"])[0], together[0])


def test_no_labels_have_no_embeddings(encoder: TextEncoder) -> None:
    assert encoder.embed([]).shape == (0, encoder.width)


def test_known_labels_are_not_computed_again(encoder: TextEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    first = encoder.embed(["dog", "box"])
    monkeypatch.setattr(encoder, "_tokens", lambda texts: pytest.fail(f"computed again: {texts}"))
    assert torch.equal(encoder.embed(["box", "dog"]), first.flip(0))


def test_nothing_of_it_is_trained(encoder: TextEncoder) -> None:
    assert not any(parameter.requires_grad for parameter in encoder.parameters())
    assert not encoder.encode(["a dog"]).requires_grad


def test_saving_writes_a_reference_and_loading_resolves_it(encoder: TextEncoder, tmp_path: Path) -> None:
    encoder.save_pretrained(tmp_path / "text_encoder")
    assert [path.name for path in (tmp_path / "text_encoder").iterdir()] == ["config.json"]
    loaded = TextEncoder.from_pretrained(tmp_path / "text_encoder")
    assert torch.equal(loaded.encode(["a red dog"]), encoder.encode(["a red dog"]))


def test_other_weights_under_the_same_name_are_refused(
    encoder: TextEncoder, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder.save_pretrained(tmp_path / "text_encoder")
    other = tmp_path / "home" / "models" / TEXT_MODEL
    shutil.copytree(store / "models" / TEXT_MODEL, other)
    changed = TextEncoder(other).model
    torch.nn.init.ones_(changed.embeddings.LayerNorm.bias)
    changed.save_pretrained(other)
    write_manifest(other, source="changed", licence="none")
    monkeypatch.setenv("DYSENVDM_HOME", str(tmp_path / "home"))
    with pytest.raises(UserError, match=rf"{WEIGHTS}: SHA-256 is \w+…, .* wants"):
        TextEncoder.from_pretrained(tmp_path / "text_encoder")


def test_how_many_tokens_are_read_belongs_to_the_model(store: Path, tmp_path: Path) -> None:
    long = " ".join(["dog"] * (MAX_TOKENS + 6))
    roomy = TextEncoder(store / "models" / TEXT_MODEL, max_tokens=MAX_TOKENS + 8)
    roomy.save_pretrained(tmp_path)
    loaded = TextEncoder.from_pretrained(tmp_path)
    assert loaded.encode([long]).shape == (1, MAX_TOKENS + 8, roomy.width)
    assert loaded.unread(long) == ""
    assert loaded.unread(long + " dog") == "dog"  # the end mark needs a place too
    (tmp_path / "config.json").write_text(json.dumps({"store": TEXT_MODEL, "sha256": roomy.weights_sha256}))
    assert TextEncoder.from_pretrained(tmp_path).max_tokens == MAX_TOKENS  # a model of before


@pytest.mark.parametrize("text", ["", "[]", json.dumps({"store": TEXT_MODEL})])
def test_broken_reference_is_named(store: Path, tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(UserError, match="not a saved text encoder"):
        TextEncoder.from_pretrained(tmp_path)


def test_folder_without_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"no {WEIGHTS}"):
        TextEncoder(tmp_path)
