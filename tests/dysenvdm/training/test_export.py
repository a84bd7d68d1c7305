"""``dysenvdm export``: pipelines that generate, and errors in one line."""

import json
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

from dysenvdm.backbones import build_vae
from dysenvdm.cli.main import main
from dysenvdm.models import MANIFEST, verify
from dysenvdm.pipeline import DysenVDMPipeline
from dysenvdm.training import run
from dysenvdm.training.denoiser import DenoiserPhase


@pytest.fixture(autouse=True)
def _store(store: Path) -> None: ...


@pytest.fixture
def killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a denoiser's run that died in its third step."""
    build_vae("micro").save_pretrained(tmp_path / "vae")
    recipe = {
        "name": "micro-denoiser",
        "phase": "denoiser",
        "run": str(tmp_path / "run"),
        "data": {"frames": 8, "size": 64, "clips": 4, "cache": True, "validation_clips": 1, "workers": 0},
        "model": {"preset": "micro", "vae": str(tmp_path / "vae"), "gate": 0.0, "max_tokens": 256},
        "train": {"steps": 3, "batch_size": 2, "lr": 1e-3},
        "log": {"every": 1, "validate_every": 9, "sample_every": 9, "checkpoint_every": 1, "sample_steps": 2},
    }
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe))
    prepare, steps = DenoiserPhase.prepare, []

    def power_cut(self: DenoiserPhase, inputs: dict) -> dict:
        steps.append(inputs)
        if len(steps) == 3:
            raise KeyboardInterrupt
        return prepare(self, inputs)

    with monkeypatch.context() as patch:
        patch.setattr(DenoiserPhase, "prepare", power_cut)
        with pytest.raises(KeyboardInterrupt):
            run(path, [])
    return tmp_path / "run"


def exported(*arguments: object) -> int:
    with pytest.raises(SystemExit) as left:
        main(["export", *map(str, arguments)])
    return int(left.value.code or 0)


def test_a_killed_denoiser_run_gives_a_pipeline_that_generates(
    killed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, exact = tmp_path / "out", tmp_path / "exact"
    assert exported(killed, "-o", folder) == 0
    assert f"wrote {folder}: step 2 of" in capsys.readouterr().err.replace("\n", "")
    assert exported(killed, "-o", exact, "--dtype", "fp32") == 0
    assert {path.suffix for path in folder.rglob("*") if path.is_file()} <= {".safetensors", ".json", ".txt", ".md"}
    verify(folder)
    assert json.loads((folder / MANIFEST).read_text())["source"].endswith(", 2 steps")  # that it has learnt
    for model in (folder, exact):
        pipeline = DysenVDMPipeline.from_pretrained(model)
        video = pipeline(["a girl walks"], None, num_frames=8, num_inference_steps=1, seeds=[0])[0]
        assert video.shape == (8, 64, 64, 3)
    half, full = (load_file(f / "unet" / "diffusion_pytorch_model.safetensors") for f in (folder, exact))
    assert all(value.dtype == torch.float32 for value in full.values())
    assert all(torch.equal(value.half(), half[name]) for name, value in full.items())


def test_a_damaged_newest_checkpoint_is_named(killed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    newest = killed / "checkpoints" / "step-0000002"
    max(newest.iterdir(), key=lambda path: path.stat().st_size).unlink()
    assert exported(killed, "-o", tmp_path / "out") == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "step-0000002" in said
    assert "; step 1 is taken instead" in said


def test_errors_are_one_line(killed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert exported(killed, "-o", tmp_path / "out", "--step", 7) == 2
    assert capsys.readouterr().err.replace("\n", "") == "error: --step 7: no such checkpoint; there are 1, 2"
    assert exported(killed, "-o", tmp_path / "out", "--step", 1, "--best") == 2
    assert exported(tmp_path / "absent", "-o", tmp_path / "out") == 2
    assert not (tmp_path / "out").exists()
