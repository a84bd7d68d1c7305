"""``dysenvdm check-data``: every clip is either usable or has its reason, as training will see it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from dysenvdm.cli import check_data
from dysenvdm.data import examining
from dysenvdm.data.checking import Encoder
from dysenvdm.data.corpora import open_corpus
from dysenvdm.training.recipe import load_recipe
from dysenvdm.video import write_mp4
from planners.dsg import DynamicSceneGraph, Fact, SceneObject, UserError


def video(path: Path, frames: int = 16, seed: int = 0, size: tuple[int, int] = (48, 64)) -> None:
    write_mp4(path, np.random.default_rng(seed).integers(0, 256, (frames, *size, 3), np.uint8), 8, {})


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Videos of which two are one and the same, a scene graph, a broken one, and a file that is no video."""
    root = tmp_path_factory.mktemp("data") / "clips"
    root.mkdir()
    for i in range(5):
        video(root / f"good{i}.mp4", seed=i)
    video(root / "copy.mp4", seed=0)
    video(root / "short.mp4", frames=3, seed=6)
    video(root / "graph.mp4", seed=8)
    video(root / "silent.mp4", seed=9)
    (root / "broken.mp4").write_bytes(b"no video")
    (root / "graph.dsg.json").write_text("{}")
    dog = SceneObject(id="dog", label="dog")
    fact = Fact(subject="dog", predicate="run", start=0, end=4, source="user")
    DynamicSceneGraph(ticks=8, objects=(dog,), facts=(fact,)).save(root / "good1.dsg.json")
    return root


@pytest.fixture
def recipe(tmp_path: Path, clips: Path) -> Path:
    """Thirteen lines, of which six can be used."""
    lines = [{"file": f"{name}.mp4", "text": "A dog runs."} for name in ("copy", "short", "broken", "graph", "gone")]
    lines += [{"file": f"good{i}.mp4", "captions": ["A dog runs.", "It runs " + "on " * i]} for i in range(5)]
    lines += [{"file": "good0.mp4", "text": "again"}, {"file": "silent.mp4"}]
    (tmp_path / "list.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + "no JSON\n")
    return write(tmp_path, {"kind": "folder", "root": str(clips), "annotations": str(tmp_path / "list.jsonl")})


def write(folder: Path, source: dict[str, Any], **data: Any) -> Path:
    content = {
        "name": "look",
        "phase": "autoencoder",
        "run": str(folder / "run"),
        "data": {"source": source, "frames": 4, "size": 32, "may_miss": 0.5} | data,
        "model": {"preset": "micro"},
        "train": {"steps": 1, "batch_size": 1, "lr": 1e-3},
    }
    if source["kind"] != "stage":
        content["data"]["examined"] = str(Path(source["root"]).parent / "examined.jsonl")
    (folder / "recipe.yaml").write_text(yaml.safe_dump(content))
    return folder / "recipe.yaml"


REJECTED = {
    "short.mp4": "too short",
    "broken.mp4": "undecodable",
    "graph.mp4": "bad scene graph",
    "gone.mp4": "missing file",
    "good0.mp4": "duplicate",
    "silent.mp4": "no caption",
    "list.jsonl:13": "bad annotation",
}


def test_every_clip_is_usable_or_has_its_reason(run, recipe: Path, tmp_path: Path) -> None:
    done = run("check-data", recipe, "--json")
    assert done.code == 0
    said = json.loads(done.out)
    parts = said["parts"].values()
    assert sum(part["usable"] for part in parts) == 6
    assert sum(part["looked_at"] for part in parts) == 13
    assert sum(part["with_scene_graph"] for part in parts) == 1
    assert sum(part["looked_at"] - part["with_caption"] for part in parts) == 1
    assert [tuple(pair.values()) for pair in said["same_content"]] in (
        [("copy.mp4", "good0.mp4")],
        [("good0.mp4", "copy.mp4")],
    )
    folder = tmp_path / "run/check-data"
    listed = [json.loads(line) for line in (folder / "rejected.jsonl").read_text().splitlines()]
    assert {line["id"]: line["reason"] for line in listed} == REJECTED
    assert all(line["detail"] for line in listed)
    assert json.loads((folder / "report.json").read_text()) == said


def test_its_counts_are_those_of_training(run, recipe: Path) -> None:
    said = json.loads(run("check-data", recipe, "--json").out)
    corpus = open_corpus(load_recipe(recipe, []).data)
    assert said["parts"]["trained"]["usable"] == corpus.clips
    assert said["parts"]["held_out"]["usable"] == len(corpus.held_out())


def test_the_sheet_shows_a_row_for_each_clip_that_is_trained_on(run, recipe: Path, tmp_path: Path) -> None:
    heights = {}
    for clips in (1, 3):
        assert run("check-data", recipe, "--clips", clips, "-o", tmp_path / "seen").code == 0
        with Image.open(tmp_path / "seen/sheet.png") as sheet:
            heights[clips] = sheet.height
            frames = sheet.crop((12, 60, 300, 160))
            assert frames.getcolors(maxcolors=1000) is None  # noise, as the videos are
    assert heights[3] > 2 * heights[1]


def test_people_read_counts_and_the_first_of_each_reason(run, recipe: Path) -> None:
    done = run("check-data", recipe)
    for id, reason in REJECTED.items():
        assert f"{id}: {reason}, " in done.err
        assert f"rejected: {reason}" in done.out
    assert "seconds" in done.out
    assert "64x48" in done.out


def test_nothing_is_looked_into_twice(run, recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = json.loads(run("check-data", recipe, "--json").out)

    def never(*_: object) -> None:
        raise AssertionError("a file was decoded again")

    monkeypatch.setattr(examining, "examine_all", never)
    assert json.loads(run("check-data", recipe, "--json").out) == before


def test_with_a_limit_it_stops_early(run, recipe: Path) -> None:
    said = json.loads(run("check-data", recipe, "--limit", 2, "--json").out)
    assert said["parts"]["trained"]["usable"] == 2


def test_where_nothing_can_be_used_one_line_names_the_clips_and_no_old_sheet_is_left(
    run, recipe: Path, tmp_path: Path
) -> None:
    assert run("check-data", recipe).code == 0
    done = run("check-data", recipe, "--set", "data.frames=64")
    assert done.code == 2
    [line] = [line for line in done.err.splitlines() if line.startswith("error: ")]
    assert "good2.mp4" in line
    assert "too short" in line
    assert not (tmp_path / "run/check-data/sheet.png").exists()


def test_captions_that_are_too_long_are_found_before_training_stops_at_them(
    run, recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = Encoder(lambda texts: [len(text.split()) for text in texts], 8, fixed=False, cuts=False)
    monkeypatch.setattr(check_data, "_encoder", lambda _: words)
    done = run("check-data", recipe, "--set", "model.max_tokens=8", "--json")
    assert json.loads(done.out)["tokens"]["too_long"] == []
    text = (recipe.parent / "list.jsonl").read_text()
    (recipe.parent / "list.jsonl").write_text(text.replace("on on on on", "on " * 12))
    said = json.loads(run("check-data", recipe, "--set", "model.max_tokens=8", "--json").out)
    assert said["tokens"]["too_long"] == ["good4.mp4"]
    assert said["tokens"]["longest"] == 14
    assert any("model.max_tokens=8" in problem for problem in said["problems"])


def test_files_that_training_would_miss_are_a_problem(run, recipe: Path) -> None:
    said = json.loads(run("check-data", recipe, "--set", "data.may_miss=0", "--json").out)
    assert any("data.may_miss=0;" in problem for problem in said["problems"])


def test_stage_recipes_are_looked_at_too(run, tmp_path: Path) -> None:
    recipe = write(tmp_path, {"kind": "stage"}, may_miss=0.1, frames=16, size=64)
    said = json.loads(run("check-data", recipe, "--limit", 2, "--clips", 1, "--json").out)
    assert said["parts"]["trained"]["usable"] == said["parts"]["trained"]["with_scene_graph"] == 2
    assert Path(said["files"]["sheet"]).is_file()


def test_a_planners_recipe_is_none_for_it(run) -> None:
    done = run("check-data", "recipes/planner/finetune.yaml")
    assert done.code == 2
    assert "trains a planner" in done.err


def test_a_text_encoder_that_is_not_there_is_said_before_anything_is_decoded(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def decoded(*_: Any, **__: Any) -> None:
        raise AssertionError("clips were looked into")

    content = yaml.safe_load(recipe.read_text())
    content["model"]["vae"] = "vae"
    recipe.write_text(yaml.safe_dump({**content, "phase": "denoiser"}))
    monkeypatch.setenv("DYSENVDM_HOME", str(tmp_path / "empty"))
    monkeypatch.setattr("dysenvdm.data.checking.look", decoded)
    with pytest.raises(UserError, match="all-minilm-l6-v2"):
        check_data.check_data(str(recipe), limit=0, clips=1, workers=0, as_json=False)
