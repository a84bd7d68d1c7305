"""What every test runs under: nothing but this machine can be reached. And what many use: a model store with a text
encoder of width 32 and random weights, which stands in for all-MiniLM-L6-v2, and a tiny pipeline on it."""

from __future__ import annotations

import ipaddress
import os
import shutil
import socket
import string
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

from tests.browser import chromium  # noqa: F401  (a fixture, here so that there is one of it)

if TYPE_CHECKING:
    from dysenvdm.pipeline import DysenVDMPipeline

os.environ.update({"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "DO_NOT_TRACK": "1", "MPLBACKEND": "agg"})

# A busy machine is no bug: what is checked is what code does, not how fast; and the same in every run.
settings.register_profile("unhurried", deadline=None, derandomize=True)
settings.load_profile("unhurried")

_LOCAL_NAMES = {"", "localhost", socket.gethostname()}


class OutsideWorldError(RuntimeError):
    """A test tried to reach another machine."""


def _is_local(host: Any) -> bool:
    if isinstance(host, bytes):
        host = host.decode()
    if host is None or host in _LOCAL_NAMES:
        return True
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


def _guard(event: str, arguments: tuple[Any, ...]) -> None:
    """An audit hook: it sees every socket of this process, also those of libraries, and cannot be taken off."""
    if event in ("socket.connect", "socket.sendto"):
        address = arguments[1]
        host = address[0] if isinstance(address, tuple) else None  # anything else is a Unix socket
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        host = arguments[0]
    else:
        return
    if not _is_local(host):
        raise OutsideWorldError(f"{event} to {host!r}: tests run without a network")


sys.addaudithook(_guard)


@pytest.fixture(scope="session")
def second_distribution(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that pip has installed a real plugin of the planners into."""
    folder = tmp_path_factory.mktemp("plugin")
    source = shutil.copytree(Path(__file__).parent / "planner_plugin", folder / "source")
    pip = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-build-isolation", "--no-index", "-q"]
    subprocess.run([*pip, "--target", folder / "site", source], check=True, capture_output=True)
    return folder / "site"


_TEMPLATE = "{% for m in messages %}{{ m['role'] + ': ' + m['content'] + '\n' }}{% endfor %}assistant: "


@pytest.fixture(scope="session")
def random_model() -> Callable[..., Path]:
    """Writes a model of a few thousand random weights into a folder."""
    return _random_model


@pytest.fixture(scope="session")
def micro_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of a few thousand random weights whose context is short."""
    return _random_model(tmp_path_factory.mktemp("model"), 512)


def _random_model(path: Path, context: int, template: str | None = _TEMPLATE) -> Path:
    """A Llama with a byte-level tokenizer, as a transformers folder."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: i for i, token in enumerate(["<end>", *alphabet])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>", pad_token="<end>")
    fast.chat_template = template
    fast.save_pretrained(path)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=context,
        initializer_range=0.4,
        eos_token_id=0,
        pad_token_id=0,
    )
    LlamaForCausalLM(config).save_pretrained(path)
    return path


WORDS = ("girl", "dog", "box", "chair", "red", "brown", "walk", "jump", "run", "over", "to", "a", "the", "then")


@pytest.fixture(scope="session")
def store_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ``DYSENVDM_HOME``."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizer

    from dysenvdm.models import TEXT_MODEL, write_manifest

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
