"""A backbone's own text encoder: what its UNet was trained to read, and vectors for node labels."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from dysenvdm.clip_text import ClipTextEncoder, TextCutWarning

TOO_LONG = " ".join(f"{letter}{letter}{letter}" for letter in "abcdefghijklmnopqrstuvwxyz")  # 78 tokens


@pytest.fixture(scope="module")
def encoder(backbone_model: Path) -> ClipTextEncoder:
    return ClipTextEncoder(backbone_model / "text_encoder")


def test_a_prompt_is_encoded_as_diffusers_does(backbone: Path, encoder: ClipTextEncoder) -> None:
    from diffusers.pipelines.deprecated.text_to_video_synthesis import TextToVideoSDPipeline

    plain = TextToVideoSDPipeline.from_pretrained(str(backbone), local_files_only=True)
    wanted, unwanted = plain.encode_prompt(["a dog runs"], torch.device("cpu"), 1, True, negative_prompt=[""])
    assert torch.equal(encoder.encode(["a dog runs"]), wanted)
    assert torch.equal(encoder.encode([""]), unwanted)


def test_what_is_not_read_is_named(encoder: ClipTextEncoder) -> None:
    assert encoder.max_tokens == 77
    assert encoder.unread("a dog runs") == ""
    assert encoder.unread(TOO_LONG) == "zzz"
    with pytest.warns(TextCutWarning, match="77 tokens and leaves out: 'zzz'"):
        cut = encoder.encode([TOO_LONG])
    assert torch.equal(cut, encoder.encode([TOO_LONG.removesuffix(" zzz")]))


def test_labels_are_unit_vectors_whatever_their_company(encoder: ClipTextEncoder) -> None:
    together = encoder.embed(["dog", "a red coat", "dog"])
    assert together.shape == (3, encoder.width)
    torch.testing.assert_close(together.norm(dim=-1), torch.ones(3))
    assert torch.equal(together[0], together[2])
    assert (together[0] - together[1]).abs().max() > 1e-2
    alone = ClipTextEncoder(encoder.tokenizer.name_or_path).embed(["dog"])
    torch.testing.assert_close(alone[0], together[0], atol=1e-6, rtol=1e-5)
    assert encoder.embed([]).shape == (0, encoder.width)


def test_saved_and_loaded_it_reads_the_same(encoder: ClipTextEncoder, tmp_path: Path) -> None:
    encoder.save_pretrained(tmp_path)
    again = ClipTextEncoder.from_pretrained(tmp_path, torch_dtype=torch.bfloat16)
    assert again.dtype == torch.bfloat16
    again = ClipTextEncoder.from_pretrained(tmp_path)
    assert torch.equal(again.encode(["a dog"]), encoder.encode(["a dog"]))
