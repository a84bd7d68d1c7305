"""``dysenvdm generate`` with a real pipeline, very small and with random weights: from a scene graph file to an MP4."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from dysenvdm import models
from dysenvdm.video import read_mp4, read_recipe
from planners.dsg import DynamicSceneGraph


@pytest.fixture
def model(small_model: Path) -> Path:
    return small_model


def test_generate_writes_a_video_that_repeats_and_obeys_edits(
    run, model: Path, dsg: DynamicSceneGraph, tmp_path: Path
) -> None:
    dsg = dsg.replace(prompt="the girl walk to the box")
    edited = dsg.replace(facts=[fact for fact in dsg.facts if fact.predicate != "jump over"])
    for name, graph in (("a", dsg), ("b", dsg), ("edited", edited)):
        graph.save(tmp_path / f"{name}-scene.json")
        done = run(
            "generate", "--dsg", tmp_path / f"{name}-scene.json", "-o", tmp_path / f"{name}.mp4",
            "--model", model, "--frames", 8, "--steps", 2, "--seed", 3,
        )  # fmt: skip
        assert done.code == 0, done.err
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()
    first, second = (read_mp4(tmp_path / f"{name}.mp4") for name in ("a", "edited"))
    assert first.shape == (8, 16, 16, 3)
    assert not np.array_equal(first, second)
    weights = read_recipe(tmp_path / "a.mp4")["weights"]
    assert set(weights) == {"small", models.TEXT_MODEL}
    assert "unet/diffusion_pytorch_model.safetensors" in weights["small"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--frames", "10"], "multiple of 4"),
        (["--frames", "4"], "4 cannot show a scene graph of 8 ticks"),
        (["--scheduler", "nothing"], "there are: "),
        (["--scene-mode", "sometimes"], "'sometimes'"),
        (["--negative", "a dog jump " * 40], "tokens"),
        (["--guidance", "1", "--negative", "a dog"], "no effect at guidance 1"),
    ],
)
def test_what_the_model_cannot_do_is_one_line(run, only_line, model, dsg_file, tmp_path, arguments, words) -> None:
    before = set(tmp_path.iterdir())
    done = run("generate", "--dsg", dsg_file, "-o", tmp_path / "out.mp4", "--model", model, "--steps", 2, *arguments)
    assert words in only_line(done)
    assert set(tmp_path.iterdir()) == before


def test_a_changed_weight_file_is_refused(run, only_line, model: Path, dsg_file: Path, tmp_path: Path) -> None:
    models.write_manifest(model, source="test", licence="none")
    path = model / "unet" / "diffusion_pytorch_model.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\xff")
    done = run("generate", "--dsg", dsg_file, "-o", tmp_path / "out.mp4", "--model", model)
    assert "SHA-256" in only_line(done)
    assert not (tmp_path / "out.mp4").exists()


def test_labels_that_the_model_was_not_trained_on_are_named_and_drawn_all_the_same(
    run, model: Path, dsg: DynamicSceneGraph, tmp_path: Path
) -> None:
    config = model / "scene_adapter" / "config.json"
    said = {**json.loads(config.read_text()), "trained_labels": ["girl", "walk to", "jump over"]}
    config.write_text(json.dumps(said))
    dsg.replace(prompt="the girl walk to the box").save(tmp_path / "scene.json")
    done = run(
        "generate", "--dsg", tmp_path / "scene.json", "-o", tmp_path / "out.mp4", "--model", model, "--frames", 8,
        "--steps", 1,
    )  # fmt: skip
    assert done.code == 0, done.err
    assert "warning: small was not trained to draw 'box'; expect what resembles it" in done.err
    assert (tmp_path / "out.mp4").is_file()


def test_a_planner_of_another_distribution_makes_a_video(
    run, model: Path, second_distribution: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(second_distribution)
    done = run(
        "generate", "girl > walk to > box; girl > jump over > box", "--planner", "script", "-o", tmp_path / "out.mp4",
        "--model", model, "--frames", 8, "--steps", 1,
    )  # fmt: skip
    assert done.code == 0, done.err
    said = {(fact.subject, fact.label, fact.start) for fact in DynamicSceneGraph.load(tmp_path / "out.dsg.json").facts}
    assert said == {("girl", "walk to", 0), ("girl", "jump over", 4)}
    assert read_recipe(tmp_path / "out.mp4")["planner"] == "script"
    assert read_mp4(tmp_path / "out.mp4").shape == (8, 16, 16, 3)
