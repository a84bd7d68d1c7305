"""A study that trains its own models for real: a twin and an ablation of micro size, their videos; and never twice.

By two ranks, as on a machine with two GPUs.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from dysenvdm.backbones import UNETS, build_unet, build_vae
from dysenvdm.models import write_manifest
from dysenvdm.pipeline import DysenVDMPipeline
from dysenvdm.scene_attention import SceneAdapter
from dysenvdm.stage.referee import REFEREES, Referee
from dysenvdm.studies.comparison.videos import VideoOptions
from dysenvdm.studies.questions.recipe import StudyRecipe
from dysenvdm.studies.questions.run import run
from dysenvdm.text import TextEncoder

TRAINING = {
    "name": "micro", "phase": "denoiser", "run": "elsewhere",
    "data": {"frames": 16, "size": 64, "ticks": 8, "clips": 4, "cache": True, "validation_clips": 1, "workers": 0},
    # The stand-in for MiniLM spells most words letter by letter and needs more tokens.
    "model": {"preset": "micro", "vae": "elsewhere", "gate": 0.0, "max_tokens": 256},
    "train": {"steps": 2, "batch_size": 2, "lr": 1e-3},
    "log": {"every": 1, "validate_every": 2, "sample_every": 2, "checkpoint_every": 2, "sample_steps": 2},
}  # fmt: skip
STUDY: dict[str, Any] = {
    "question": "Do videos follow?", "factor": "variant", "n": 3, "events": [1, 3], "balanced": ["events", "order"],
    "frames": None, "ticks": None, "planners": ["gold"], "videos": ["events shown", "right target", "setting shown"],
    "by": ["events", "order"],
    "variants": {
        "text only": {"set": ["scene.mode=none"]},
        "recurrent GNN": {"set": ["scene.encoder=recurrent_gnn"]},
        "shuffled": {"scene_mode": "shuffled"},
        "aligned": {},
    },
}  # fmt: skip


@pytest.fixture
def videos(store: Path, tmp_path: Path) -> VideoOptions:
    """A model and a referee of random weights and micro size."""
    from dysenvdm.generation.samplers import SCHEDULERS

    torch.manual_seed(0)
    unet = build_unet(UNETS["micro"].model_copy(update={"text_width": 32}))
    parts = (build_vae("micro").eval(), unet.eval(), SceneAdapter.for_unet(unet, width=16, heads=2).eval())
    encoder = TextEncoder(TextEncoder.from_store().folder, max_tokens=256)
    DysenVDMPipeline(*parts, encoder, SCHEDULERS["ddim"]()).save_pretrained(tmp_path / "model")
    write_manifest(tmp_path / "model", source="random weights", licence="Apache-2.0")
    Referee(REFEREES["micro"]).save(tmp_path / "referee", source="random weights")
    return VideoOptions(str(tmp_path / "model"), steps=1, device="cpu", referee=str(tmp_path / "referee"))


def _study(folder: Path, videos: VideoOptions, training: Path) -> dict[str, Any]:
    recipe = StudyRecipe.model_validate(STUDY | {"training": {"recipe": str(training)}})
    run(
        "claim", recipe, folder, planners=recipe.planners, videos=videos, limit=None, command="dysenvdm study run x",
        document=folder.parent / "results.md", on_progress=lambda *_: None, ranks=2,
    )  # fmt: skip
    found: dict[str, Any] = json.loads((folder / "results.json").read_text())
    return found


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_twins_are_trained_and_compared(tmp_path: Path, videos: VideoOptions) -> None:
    training = tmp_path / "micro.yaml"
    training.write_text(yaml.safe_dump(TRAINING))
    found = _study(tmp_path / "x", videos, training)
    runs = [folder.parent for folder in sorted((tmp_path / "x" / "training").glob("*/model"))]
    adapters = {
        run.name.rpartition("-")[0]: json.loads((run / "model" / "scene_adapter" / "config.json").read_text())
        for run in runs
    }
    assert {name: (told["mode"], told["encoder"]) for name, told in adapters.items()} == {
        "text-only": ("none", "rgtrm"),
        "recurrent-gnn": ("aligned", "recurrent_gnn"),
    }
    for run_folder in runs:
        [checkpoint] = (run_folder / "checkpoints").glob("step-*")
        assert len(list(checkpoint.glob("rank-*.safetensors"))) == 2
    assert found["failures"] == []
    assert [(row["level"], row["n"]) for row in found["rows"]] == [(name, 3) for name in STUDY["variants"]]
    assert {gain["than"] for gain in found["differences"]} == {"text only"}
    made = [
        {r["figure"]: r["weights"] for r in row["results"]}["events shown"][
            "model/unet/diffusion_pytorch_model.safetensors"
        ]
        for row in found["rows"]
    ]
    assert made[2] == made[3]
    assert len({*made}) == 3
    written = [file.stat().st_mtime_ns for file in sorted((tmp_path / "x" / "training").rglob("*.safetensors"))]
    assert _study(tmp_path / "x", videos, training) == found
    assert [f.stat().st_mtime_ns for f in sorted((tmp_path / "x" / "training").rglob("*.safetensors"))] == written
    document = (tmp_path / "results.md").read_text()
    assert document.count("<!-- study claim -->") == 1
    assert "**By events**" in document
    assert "Videos made on a CPU with" in document


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_what_several_ranks_cannot_do_is_said_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "micro.yaml").write_text(yaml.safe_dump(TRAINING | {"run": str(tmp_path / "run")}))
    command = [sys.executable, "-m", "dysenvdm.training.launch", "2", str(tmp_path / "micro.yaml")]
    done = subprocess.run([*command, "--set", "train.stepz=3"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    said = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(said) == 1
    assert "train.stepz" in said[0]
    assert "Traceback" not in done.stderr
