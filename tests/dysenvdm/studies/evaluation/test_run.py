"""An evaluation is made once, goes on where it stopped, and comes out the same."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from dysenvdm.pipeline import DysenVDMPipeline
from dysenvdm.stage import STAGE_VERSION, sample
from dysenvdm.stage.referee import REFEREES, Referee
from dysenvdm.studies.evaluation import making, run
from dysenvdm.studies.evaluation.recipe import load_recipe
from dysenvdm.video import read_recipe, write_mp4
from planners.dsg import UserError

CHANGES = [
    "generation.size=16", "generation.frames=8", "generation.steps=2", "generation.batch=2",
    "data.frames=8", "data.size=16", "data.scenes.batch=2", "events=[1]", "actors=[1]",
]  # fmt: skip


@pytest.fixture
def model(pipeline: DysenVDMPipeline, tmp_path: Path) -> str:
    pipeline.save_pretrained(tmp_path / "model")
    return str(tmp_path / "model")


@pytest.fixture
def changes(tmp_path: Path) -> list[str]:
    torch.manual_seed(0)
    Referee(REFEREES["micro"]).save(tmp_path / "referee", source="random weights")
    return [*CHANGES, *(f"metrics.{name}.referee={tmp_path / 'referee'}" for name in ("faithfulness", "fvd-stage"))]


def evaluated(model: str, changes: list[str], folder: Path, limit: int = 5) -> dict[str, Any]:
    run.evaluate(model, load_recipe("stage", changes, limit), folder, "cpu", lambda *_: None)
    found: dict[str, Any] = json.loads((folder / run.RESULTS).read_text(encoding="utf-8"))
    return found


def test_a_broken_off_evaluation_goes_on_and_gives_the_same_results(
    model: str, changes: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = evaluated(model, changes, tmp_path / "whole")
    assert whole["missing"] == {}
    assert whole["plans"] == {"prompts": 5, "degraded": whole["plans"]["degraded"], "without_plan": 0}
    assert whole["stage"] == {"version": STAGE_VERSION, "split": "test", "first": 0, "clips": 5}
    captions = [sample(i, split="test", events=[1], actors=[1], frames=8, size=16, ticks=8).caption for i in range(5)]
    assert [read_recipe(tmp_path / "whole" / "videos" / f"{i:06d}.mp4")["prompt"] for i in range(5)] == captions
    assert [(group["group"], group["n"]) for group in whole["groups"]["events"]] == [("1", 5)]
    assert {"faithfulness.recall", "plan.event_f1", "trirec"} <= whole["groups"]["events"][0]["figures"].keys()
    assert "## By number of actors" in (tmp_path / "whole" / "results.md").read_text(encoding="utf-8")
    names = {result["metric"] for result in whole["results"]}
    assert names == {"faithfulness", "fvd-stage", "plan", "trirec", "motion"}
    assert all(len(result["pairs"]) == 5 for result in whole["results"] if result["aggregation"] != "set")
    assert {path.name for path in (tmp_path / "whole").iterdir()} == {
        "evaluation.json", "plans.jsonl", "videos", "results.json", "results.md", "results.png",
    }  # fmt: skip

    part = tmp_path / "part"
    shutil.copytree(tmp_path / "whole", part)
    for name in ("results.json", "results.md", "results.png", "videos/000003.mp4", "videos/000004.mp4"):
        (part / name).unlink()
    lines = (part / "plans.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    (part / "plans.jsonl").write_text("".join(lines[:2]) + lines[2][:20], encoding="utf-8")
    kept = {path.name: path.stat().st_mtime_ns for path in (part / "videos").iterdir()}
    made: list[list[int]] = []
    call = DysenVDMPipeline.__call__

    def watched(self: DysenVDMPipeline, *arguments: Any, **more: Any) -> Any:
        made.append(more["seeds"])
        return call(self, *arguments, **more)

    monkeypatch.setattr(DysenVDMPipeline, "__call__", watched)
    assert evaluated(model, changes, part) == whole
    assert made == [[2, 3], [4]]  # groups that were broken off, as they were
    assert {name: (part / "videos" / name).stat().st_mtime_ns for name in kept} == kept
    for file in (tmp_path / "whole" / "videos").iterdir():
        assert (part / "videos" / file.name).read_bytes() == file.read_bytes()
    monkeypatch.setattr(making, "_loaded", None)  # nothing is missing: no model is loaded
    assert evaluated(model, changes, part) == whole


def test_a_folder_belongs_to_one_evaluation(model: str, changes: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "out"
    evaluated(model, [*changes, "data.scenes.from=gold"], folder, 2)
    with pytest.raises(UserError, match="holds an evaluation with another recipe"):
        evaluated(model, changes, folder, 2)
    with pytest.raises(UserError, match="not empty, and no evaluation"):
        evaluated(model, changes, tmp_path, 2)


def test_gold_graphs_leave_no_planner_to_measure(model: str, changes: list[str], tmp_path: Path) -> None:
    found = evaluated(model, [*changes, "data.scenes.from=gold"], tmp_path / "out", 2)
    plan = {result["figure"]: result["value"] for result in found["results"] if result["metric"] == "plan"}
    assert set(plan.values()) <= {1.0, None}
    assert not (tmp_path / "out" / "plans.jsonl").exists()


def test_missing_weights_are_named_and_all_else_is_measured(model: str, tmp_path: Path) -> None:
    nobody = [f"metrics.{name}.referee=nobody" for name in ("faithfulness", "fvd-stage")]
    found = evaluated(model, [*CHANGES, *nobody], tmp_path / "out", 2)
    assert sorted(found["missing"]) == ["faithfulness", "fvd-stage"]
    assert "stage-referee" in (tmp_path / "out" / "results.md").read_text(encoding="utf-8")
    assert {result["metric"] for result in found["results"]} == {"plan", "trirec", "motion"}


def test_a_data_set_of_videos_is_asked_in_its_order_and_is_the_reference(
    model: str, changes: list[str], tmp_path: Path
) -> None:
    clips = tmp_path / "clips"
    clips.mkdir()
    for i in range(3):
        write_mp4(clips / f"{i}.mp4", sample(i, split="val", size=32).render(), 8, {})
        (clips / f"{i}.txt").write_text(f"a dog {i}", encoding="utf-8")
    (clips / "bad.mp4").write_bytes(b"no video")
    (clips / "bad.txt").write_text("a dog", encoding="utf-8")
    recipe = tmp_path / "mine.yaml"
    recipe.write_text(
        yaml.safe_dump({
            "name": "mine",
            "data": {
                "source": {"kind": "folder", "root": str(clips), "validation_share": 0.01},
                "frames": 8, "size": 16, "fps": 8, "workers": 0, "examined": str(tmp_path / "examined.jsonl.gz"),
                "scenes": {"from": "none"},
            },
            "split": "trained",
            "videos": 5,
            "generation": {"size": 16, "frames": 8, "steps": 2},
            "metrics": {"motion": {}, "fvd-stage": {"referee": str(tmp_path / "referee"), "clips": 2, "runs": 3}},
        }),
        encoding="utf-8",
    )  # fmt: skip
    del changes  # the referee is there
    run.evaluate(model, load_recipe(recipe, [], None), tmp_path / "out", "cpu", lambda *_: None)
    found = json.loads((tmp_path / "out" / run.RESULTS).read_text(encoding="utf-8"))
    assert found["rejected_clips"] == "1 undecodable"
    [distance] = [result for result in found["results"] if result["metric"] == "fvd-stage"]
    assert (distance["n"], distance["runs"]) == (2, 3)
    assert found["plans"]["without_plan"] == 5
    prompts = [read_recipe(tmp_path / "out" / "videos" / f"{i:06d}.mp4")["prompt"] for i in range(5)]
    assert prompts[:2] == prompts[2:4]  # two clips, one of the three is held out
    with pytest.raises(UserError, match=r"fvd-stage: needs at least 3 reference clips, the data has 2 \(1 undec"):
        changed = load_recipe(recipe, ["metrics.fvd-stage.clips=3"], None)
        run.evaluate(model, changed, tmp_path / "out", "cpu", lambda *_: None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("generation.size=32", "generation.size: 32x32, but the reference clips have 16x16"),
        ("generation.frames=16", "generation.frames: 16, but the reference clips have 8"),
        ("generation.fps=4", "generation.fps: 4, but the reference clips have 8.0"),
        ("data.ticks=9", "data.ticks: 9, but the videos have 8 frames, .* generation.frames to at least 9"),
        ("data.scenes.ticks=9", "data.scenes.ticks: 9, but the videos have 8 frames"),
    ],
)
def test_videos_that_cannot_be_made_or_measured_are_refused_before_anything_is_made(
    model: str, changes: list[str], tmp_path: Path, change: str, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        evaluated(model, [*changes, change], tmp_path / "out", 2)
    assert not (tmp_path / "out").exists()
