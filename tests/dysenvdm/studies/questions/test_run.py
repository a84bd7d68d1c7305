"""A study from its recipe to its files: right figures, resumed after a kill, written into a document once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from dysenvdm.models import write_manifest
from dysenvdm.pipeline import DysenVDMPipeline
from dysenvdm.stage.referee import REFEREES, Referee
from dysenvdm.studies.comparison.videos import VideoOptions
from dysenvdm.studies.questions.recipe import StudyRecipe
from dysenvdm.studies.questions.run import run
from planners.dsg import UserError

EVENTS = {
    "question": "How many events?", "factor": "events", "levels": [1, 3], "n": 3, "planners": ["gold"],
    "plans": ["event F1", "order", "scene recall"], "videos": ["events shown", "actors shown"],
}  # fmt: skip


def study(folder: Path, given: dict[str, Any], planners: Sequence[str] = ("gold",), **options: Any) -> dict[str, Any]:
    settings = {"videos": None, "limit": None, "command": "dysenvdm study run x", "document": None} | options
    run(
        "x",
        StudyRecipe.model_validate(given),
        folder,
        planners=planners,
        on_progress=lambda *_: None,
        **settings,  # type: ignore[arg-type]
    )
    found: dict[str, Any] = json.loads((folder / "results.json").read_text())
    return found


def figure(found: dict[str, Any], row: int, name: str) -> dict[str, Any]:
    [result] = [result for result in found["rows"][row]["results"] if result["figure"] == name]
    return dict(result)


def test_gold_is_always_right_and_never_by_chance(tmp_path: Path) -> None:
    found = study(tmp_path / "x", EVENTS)
    assert [(row["level"], row["planner"], row["n"]) for row in found["rows"]] == [("1", "gold", 3), ("3", "gold", 3)]
    for row in (0, 1):
        right = figure(found, row, "event F1")
        assert (right["value"], right["interval"], right["n"]) == (1, [1, 1], 3)
        assert right["floor"] < 0.5
    table = (tmp_path / "x" / "table.md").read_text()
    assert "| 3 | gold | 3 | 1 (1 to 1) |" in table
    assert "(floor)" in table
    assert (tmp_path / "x" / "plot.png").read_bytes().startswith(b"\x89PNG")


def test_without_imagination_a_scene_has_less_and_the_difference_is_paired(tmp_path: Path) -> None:
    given = EVENTS | {"factor": "imagination", "levels": ["with", "without"], "n": 8}
    found = study(tmp_path / "x", given)
    assert figure(found, 0, "scene recall")["value"] == 1
    less = figure(found, 1, "scene recall")
    assert less["value"] < 1
    [gain] = [gain for gain in found["differences"] if gain["figure"] == "scene recall"]
    assert (gain["level"], gain["than"], gain["n"]) == ("without", "with", 8)
    assert " *" not in (tmp_path / "x" / "table.md").read_text().partition("In brackets")[0]  # of too few
    assert gain["difference"] == pytest.approx(less["value"] - 1)
    assert gain["high"] < 0
    assert gain["p_holm"] < 0.05
    [same] = [gain for gain in found["differences"] if gain["figure"] == "event F1"]
    assert (same["difference"], same["p"]) == (0, 1)


@pytest.fixture
def videos(pipeline: DysenVDMPipeline, tmp_path: Path) -> VideoOptions:
    """A model and a referee of random weights, quick to run."""
    pipeline.save_pretrained(tmp_path / "model")
    torch.manual_seed(0)
    Referee(REFEREES["micro"]).save(tmp_path / "referee", source="random weights")
    return VideoOptions(str(tmp_path / "model"), seeds=1, steps=1, device="cpu", referee=str(tmp_path / "referee"))


def test_videos_have_floor_and_ceiling_and_are_as_long_as_their_clips(tmp_path: Path, videos: VideoOptions) -> None:
    from dysenvdm.video import read_mp4

    given = EVENTS | {"factor": "frames", "levels": [16, 24], "n": 2, "events": [2], "ticks": 12}
    found = study(tmp_path / "x", given, videos=videos)
    shown = figure(found, 1, "actors shown")
    assert None not in (shown["value"], shown["floor"], shown["ceiling"])
    assert {name.partition("/")[0] for name in shown["weights"]} >= {"model", "referee"}
    lengths = [len(read_mp4(path)) for path in (tmp_path / "x" / "videos").glob("*.mp4")]
    assert sorted(lengths) == [16] * 4 + [24] * 4  # two drawn and two made at each level
    table = (tmp_path / "x" / "table.md").read_text()
    assert "(ceiling)" in table
    assert "(floor)" in table


def test_clips_of_other_ticks_are_planned_with_theirs(tmp_path: Path) -> None:
    given = EVENTS | {"levels": [6], "n": 6, "frames": None, "ticks": None, "planners": ["rules", "gold"]}
    study(tmp_path / "x", given, ["rules", "gold"])
    batches = [json.loads(path.read_text())["plans"] for path in (tmp_path / "x" / "plans").glob("*.json")]
    ticks = [{plan["dsg"]["ticks"] for plan in batch} for batch in batches]
    assert all(len(each) == 1 for each in ticks)
    assert len(set.union(*ticks)) > 1
    table = (tmp_path / "x" / "table.md").read_text()
    assert "| gold | 6 | 1 (1 to 1) |" in table
    assert "ticks half the frames, at most 64" in table


def test_settings_that_no_video_can_have_end_the_study_and_count_as_nothing(
    tmp_path: Path, videos: VideoOptions
) -> None:
    from dataclasses import replace

    given = EVENTS | {"levels": [1], "n": 1}
    with pytest.raises(UserError, match="level 1: ticks: 32 in a video of 16 frames"):
        study(tmp_path / "x", given | {"ticks": 32}, videos=videos)
    with pytest.raises(UserError, match="level 16: steps: 1001 is not between 1 and 1000"):
        study(tmp_path / "x", given | {"factor": "frames", "levels": [16]}, videos=replace(videos, steps=1001))
    with pytest.raises(UserError, match="level 18: frames: 18 is not a multiple of 4"):
        study(tmp_path / "x", given | {"factor": "frames", "levels": [18]}, videos=videos)
    assert not list((tmp_path / "x").glob("failures/*"))
    assert not list((tmp_path / "x").glob("plans/*"))  # said before hours of planning


def test_a_killed_run_goes_on_and_finds_the_same(tmp_path: Path, videos: VideoOptions) -> None:
    given = EVENTS | {"n": 3}
    whole = study(tmp_path / "whole", given, videos=videos)
    code = (
        "import sys, json\nfrom pathlib import Path\nsys.path.insert(0, '.')\n"
        "from dysenvdm.studies.comparison.videos import VideoOptions\n"
        "from tests.dysenvdm.studies.questions.test_run import study\n"
        "given, videos = json.loads(sys.argv[2])\n"
        "study(Path(sys.argv[1]), given, videos=VideoOptions(**videos))\n"
    )
    from dataclasses import asdict

    folder, told = tmp_path / "killed", json.dumps([given, asdict(videos)])
    process = subprocess.Popen([sys.executable, "-c", code, str(folder), told], env=os.environ)
    end = time.monotonic() + 200
    while len(list(folder.glob("videos/*.mp4"))) < 4:
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (folder / "results.json").exists()
    kept = {path.name: path.stat().st_mtime_ns for path in folder.glob("videos/*.mp4")}
    assert study(folder, given, videos=videos) == whole
    assert {name: (folder / "videos" / name).stat().st_mtime_ns for name in kept} == kept


def test_the_document_gets_the_section_once_and_keeps_what_else_it_says(tmp_path: Path) -> None:
    document = tmp_path / "studies.md"
    document.write_text("# Studies\n\nBefore.\n")
    for n in (2, 3):
        study(tmp_path / str(n), EVENTS, document=document, limit=n)
        if n == 2:
            document.write_text(document.read_text() + "\nAfter.\n")
    text = document.read_text()
    assert text.count("## How many events?") == 1
    assert "| 1 | gold | 3 |" in text
    assert text.index("Before.") < text.index("## How many") < text.index("After.")
    assert (tmp_path / "studies" / "x.png").exists()


def test_what_cannot_be_run_is_refused_at_once(tmp_path: Path, videos: VideoOptions) -> None:
    from dataclasses import replace

    trained = {**EVENTS, "factor": "clips", "levels": [100], "training": {"recipe": "stage/denoiser-nano"}}
    with pytest.raises(UserError, match="--no-videos: this study trains"):
        study(tmp_path / "a", trained)
    with pytest.raises(UserError, match="no such folder and no model"):
        study(tmp_path / "b", EVENTS, videos=replace(videos, referee="nothing"))
    with pytest.raises(UserError, match="nobody"):
        study(tmp_path / "c", EVENTS, planners=["nobody"])


def test_every_size_has_a_model_of_its_own_which_is_trained_once(
    tmp_path: Path, videos: VideoOptions, pipeline: DysenVDMPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[dict[str, str]] = []

    def train(command: list[str], **_: Any) -> subprocess.CompletedProcess[bytes]:
        assert command[1:4] == ["-m", "dysenvdm.training", "stage/denoiser-nano"]
        told = dict(part.split("=", 1) for part in command[5::2])
        trained.append(told)
        if told["data.clips"] == "13":
            return subprocess.CompletedProcess(command, 2)
        with torch.no_grad():  # another model for every size
            pipeline.unet.conv_out.weight.mul_(int(told["data.clips"]))
        pipeline.save_pretrained(Path(told["run"]) / "model")
        write_manifest(Path(told["run"]) / "model", source="random weights", licence="Apache-2.0")  # as exports do
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr("dysenvdm.studies.questions.asking.subprocess.run", train)
    given = {**EVENTS, "factor": "clips", "levels": [10, 20], "n": 2, "training": {"recipe": "stage/denoiser-nano"}}
    found = study(tmp_path / "x", given, videos=videos)
    assert [told["data.clips"] for told in trained] == ["10", "20"]
    assert {told["model.vae"] for told in trained} == {str(Path(videos.model) / "vae")}
    assert figure(found, 0, "actors shown")["weights"] != figure(found, 1, "actors shown")["weights"]
    # Both drawn clips, and a video of each caption by each model; the small text encoder finds one caption too long.
    assert [(told["level"], "at most 64" in told["error"]) for told in found["failures"]] == [
        ("10", True),
        ("20", True),
    ]
    assert len(list((tmp_path / "x" / "videos").glob("*.mp4"))) == 2 + 2 * 1
    assert "2 videos could not be made" in (tmp_path / "x" / "table.md").read_text()
    study(tmp_path / "x", given, videos=videos)
    assert len(trained) == 2
    with pytest.raises(UserError, match=r"13-clips: training ended with code 2"):
        study(tmp_path / "y", {**given, "levels": [13]}, videos=videos)
