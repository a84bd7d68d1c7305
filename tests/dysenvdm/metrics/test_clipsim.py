"""CLIPSIM on a CLIP of random weights: the mean cosine of frames and prompt; long prompts are not cut in silence."""

from __future__ import annotations

import string
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import CLIPConfig, CLIPModel, CLIPTokenizer
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from dysenvdm.metrics import Item, Material, MissingWeightsError, measure
from planners.dsg import UserError

ENDS = ("<|startoftext|>", "<|endoftext|>")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clip")
    letters = [letter + end for letter in string.ascii_lowercase for end in ("", "</w>")]
    vocabulary = {token: i for i, token in enumerate([*letters, *ENDS])}
    CLIPTokenizer(vocab=vocabulary, merges=[]).save_pretrained(folder)
    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = {**small, "vocab_size": len(vocabulary), "max_position_embeddings": 16}
    text |= {"bos_token_id": len(letters), "eos_token_id": len(letters) + 1, "pad_token_id": len(letters) + 1}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = CLIPConfig(text_config=text, vision_config={**small, "image_size": 32, "patch_size": 8})
        CLIPModel(config).save_pretrained(folder)
    CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


def item(name: str, video: np.ndarray, prompt: str) -> Item:
    return Item(name, lambda: video, 8.0, video.shape[:3], prompt)


def test_it_is_the_mean_cosine_over_frames(clip: Path) -> None:
    rng = np.random.default_rng(0)
    video = rng.integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)
    settings = {"model": str(clip)}
    frames = [item(str(i), video[i : i + 1], "a dog runs") for i in range(4)]
    [whole] = measure("clipsim", Material([item("whole", video, "a dog runs")]), settings)
    [single] = measure("clipsim", Material(frames), settings)
    assert whole.value == pytest.approx(single.value)
    assert single.value is not None
    assert -1 <= single.value <= 1
    assert single.stderr is not None
    [other] = measure("clipsim", Material([item("whole", video, "q")]), settings)
    assert other.value != whole.value
    assert list(whole.weights) == [f"{clip.name}/model.safetensors"]


def test_a_long_prompt_is_cut_only_on_request(clip: Path) -> None:
    material = Material([item("one", np.zeros((1, 32, 32, 3), np.uint8), "abcdefghijklmnopqrstuvwxyz")])
    with pytest.raises(UserError, match=r"one: its prompt has 28 tokens, .* reads 16; .* cut=true"):
        measure("clipsim", material, {"model": str(clip)})
    [result] = measure("clipsim", material, {"model": str(clip), "cut": True})
    assert result.value is not None


def test_without_a_prompt_or_a_model_it_says_what_is_wanted(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match="one: has no prompt"):
        measure("clipsim", Material([Item("one", lambda: np.zeros((1, 32, 32, 3), np.uint8))]), {"model": str(clip)})
    monkeypatch.setenv("DYSENVDM_HOME", str(tmp_path))
    material = Material([item("one", np.zeros((1, 32, 32, 3), np.uint8), "a")])
    with pytest.raises(MissingWeightsError, match=r"clip-vit-base-patch32.*MIT.*models import.*the setting model"):
        measure("clipsim", material)
    with pytest.raises(UserError, match="not a CLIP folder"):
        (tmp_path / "empty").mkdir()
        (tmp_path / "empty" / "model.safetensors").write_bytes((clip / "model.safetensors").read_bytes())
        measure("clipsim", material, {"model": str(tmp_path / "empty")})
