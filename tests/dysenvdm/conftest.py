"""A model store with a text encoder of width 32 and random weights, which stands in for all-MiniLM-L6-v2, and a tiny
pipeline on it."""

from __future__ import annotations

import string
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dysenvdm.models import TEXT_MODEL, write_manifest

if TYPE_CHECKING:
    from dysenvdm.pipeline import DysenVDMPipeline

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


@pytest.fixture
def pipeline(store: Path) -> DysenVDMPipeline:
    """16x16 pixels, 8x8 latents, random weights, the scene attention as if trained."""
    import torch
    from diffusers.schedulers.scheduling_ddim import DDIMScheduler

    from dysenvdm.backbones import UNetConfig, VAEConfig, build_unet, build_vae
    from dysenvdm.pipeline import DysenVDMPipeline
    from dysenvdm.scene_attention import SceneAdapter
    from dysenvdm.text import TextEncoder

    torch.manual_seed(0)
    sizes = UNetConfig(
        channels=(16, 32), attention=(False, True), head_width=8, norm_groups=8, latent_size=8, text_width=32
    )
    unet = build_unet(sizes)
    adapter = SceneAdapter.for_unet(unet, width=16, heads=2)
    for site in adapter.sites:
        torch.nn.init.normal_(site.output.weight, std=0.5)
    vae = build_vae(VAEConfig(channels=(8, 16), norm_groups=4, sample_size=16))
    vae.register_to_config(scaling_factor=0.5)
    scheduler = DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
        clip_sample=False,
    )
    return DysenVDMPipeline(vae.eval(), unet.eval(), adapter.eval(), TextEncoder.from_store(), scheduler)


@pytest.fixture(scope="session")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ModelScope-like folder of random weights: 2 pixels per latent, text of width 32; not to be written to."""
    from benchmarks.random_backbone import write_random_backbone

    folder = tmp_path_factory.mktemp("backbone") / "text-to-video-ms"
    write_random_backbone(folder)
    return folder


@pytest.fixture(scope="session")
def backbone_model(backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with a small scene adapter, as a model of ours; not to be written to."""
    from dysenvdm.pretrained import add_backbone

    return add_backbone(backbone, tmp_path_factory.mktemp("added") / "model", adapter_width=16, adapter_layers=1).folder
