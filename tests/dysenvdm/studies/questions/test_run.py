"""A study from its recipe to its files: right figures, resumed after a kill, written into a document once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dysenvdm import __version__
from dysenvdm.models import write_manifest
from dysenvdm.pipeline import DysenVDMPipeline
from dysenvdm.stage.referee import REFEREES, Referee
from dysenvdm.studies.comparison.contestants import Contestant, loaded
from dysenvdm.studies.comparison.prompts import Asked
from dysenvdm.studies.comparison.store import Store
from dysenvdm.studies.comparison.videos import Studio, VideoOptions
from dysenvdm.studies.questions.figures import VIDEO_FIGURES
from dysenvdm.studies.questions.levels import levels
from dysenvdm.studies.questions.recipe import StudyRecipe
from dysenvdm.studies.questions.run import run
from planners.contracts import Planner
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


def run_of(command: Sequence[str]) -> Path:
    """The run folder that a training is told."""
    [folder] = [Path(part.removeprefix("run=")) for part in command if part.startswith("run=")]
    return folder


def export(pipeline: DysenVDMPipeline, folder: Path) -> None:
    """What a training leaves."""
    pipeline.save_pretrained(folder)
    write_manifest(folder, source="random weights", licence="Apache-2.0")


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
    assert found["settings"]["device"] == "CPU"
    assert found["settings"]["versions"]["torch"] == torch.__version__
    assert f"Videos made on a CPU with dysenvdm {__version__} " in table


def test_levels_have_drawn_clips_of_their_own(tmp_path: Path, videos: VideoOptions) -> None:
    from dysenvdm.video import read_mp4

    recipe = StudyRecipe.model_validate(EVENTS | {"levels": [1, 2], "n": 1})
    studio = Studio(Store(tmp_path), videos, ticks=8, seed=0)
    one, two = (level.asked[0].clip for level in levels(recipe, None))
    assert one.seed == two.seed  # of one number, but with one event and with two
    for clip in (one, two, one):
        shown = read_mp4(tmp_path / studio.drawn(clip).file)
        assert np.abs(shown.astype(int) - clip.render()).mean() < 5


def test_the_precision_of_videos_is_said(tmp_path: Path, videos: VideoOptions) -> None:
    given = EVENTS | {"n": 1, "levels": [1]}
    found = [study(tmp_path / "x", given, videos=replace(videos, dtype=dtype)) for dtype in ("fp32", "bf16")]
    assert [one["settings"]["precision"] for one in found] == ["fp32", "bf16"]
    assert "precision bf16" in (tmp_path / "x" / "table.md").read_text()
    assert len(list((tmp_path / "x" / "videos").glob("*.mp4"))) == 3  # one drawn, and one of either precision


VARIANTS = {
    "aligned": {},
    "none": {"scene_mode": "none"},
    "unipc 2": {"scheduler": "unipc", "steps": 2},
    "bare": {"imagined": False},
    "pulled": {"guidance": 3, "scene_guidance": 2},
    "pulled together": {"guidance": 4},
}


@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")  # diffusers' schedulers
def test_variants_are_paired_made_as_they_say_and_planned_once(
    tmp_path: Path, videos: VideoOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dysenvdm.studies.comparison import plans
    from dysenvdm.video import read_recipe

    loads: list[str] = []

    def counted(contestant: Contestant, asked: Sequence[Asked]) -> AbstractContextManager[Planner]:
        loads.append(contestant.label)
        return loaded(contestant, asked)

    monkeypatch.setattr(plans, "loaded", counted)
    given = EVENTS | {"factor": "variant", "levels": [], "variants": VARIANTS, "n": 2, "videos": [*VIDEO_FIGURES]}
    found = study(tmp_path / "x", given, ["gold", "rules"], videos=videos)
    assert loads == ["gold", "rules"]
    assert [(row["level"], row["planner"]) for row in found["rows"]] == [
        (name, planner) for name in VARIANTS for planner in ("gold", "rules")
    ]
    assert {*VIDEO_FIGURES} >= {
        result["figure"] for result in found["rows"][0]["results"] if result["metric"] == "video"
    }
    assert None not in [figure(found, 0, name)["value"] for name in ("extra actors", "actions shown", "setting shown")]
    gains = {(gain["level"], gain["planner"], gain["than"]) for gain in found["differences"]}
    assert gains >= {(name, planner, "aligned") for name in list(VARIANTS)[1:] for planner in ("gold", "rules")}
    told = [read_recipe(file) for file in (tmp_path / "x" / "videos").glob("*.mp4")]
    made = [one for one in told if "prompt" in one]
    assert {(one["scene_mode"], one["scheduler"], one["steps"]) for one in made} == {
        (None, None, 1), ("none", None, 1), (None, "unipc", 2),
    }  # fmt: skip
    assert {(one["guidance"], one["scene_guidance"]) for one in made} == {(1.5, 1.5), (3, 2), (4, 4)}
    prompt = made[0]["prompt"]
    whole, bare = (
        sum(any(fact["source"] == "imagined" for fact in one["dsg"]["facts"]) is wanted for one in made)
        for wanted in (True, False)
    )
    assert whole
    assert bare
    frames = {
        one["scene_mode"]: file.read_bytes()
        for file in (tmp_path / "x" / "videos").glob("*.mp4")
        if (one := read_recipe(file)).get("prompt") == prompt and one["steps"] == 1
    }
    assert frames["none"] != frames[None]


def test_variants_with_other_settings_are_trained_once_each(
    tmp_path: Path, videos: VideoOptions, pipeline: DysenVDMPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[list[str]] = []

    def train(command: list[str], **_: Any) -> subprocess.CompletedProcess[bytes]:
        trained.append(command[5::2])
        with torch.no_grad():
            pipeline.unet.conv_out.weight.mul_(2)
        export(pipeline, run_of(command) / "model")
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr("dysenvdm.studies.questions.training.subprocess.run", train)
    variants = {
        "text only": {"set": ["scene.mode=none"]},
        "again": {"set": ["scene.mode=none"], "steps": 2},
        "whole": {"set": []},
        "as it is": {},
    }
    given = EVENTS | {
        "factor": "variant", "levels": [], "variants": variants, "n": 1,
        "training": {"recipe": "stage/denoiser-nano", "set": ["model.gate=15"]},
    }  # fmt: skip
    found = study(tmp_path / "x", given, videos=videos)
    assert [told[-1] for told in trained] == ["scene.mode=none", "model.gate=15"]
    assert all(f"model.vae={videos.model}/vae" in told for told in trained)
    weights = [figure(found, i, "actors shown")["weights"] for i in range(4)]
    assert weights[0] == weights[1]
    assert len({json.dumps(each) for each in weights}) == 3
    study(tmp_path / "x", given, videos=videos)
    assert len(trained) == 2
    other = {"training": {"recipe": "stage/denoiser-nano", "set": ["model.gate=10"]}}  # makes other models
    study(tmp_path / "x", given | other, videos=videos)
    assert len(trained) == 4


def test_a_model_begun_from_other_weights_is_another(
    tmp_path: Path, videos: VideoOptions, pipeline: DysenVDMPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[Path] = []

    def train(command: list[str], **_: Any) -> subprocess.CompletedProcess[bytes]:
        trained.append(run_of(command))
        export(pipeline, run_of(command) / "model")
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr("dysenvdm.studies.questions.training.subprocess.run", train)
    start = tmp_path / "start"
    training = {"recipe": "stage/denoiser-nano", "set": [f"model.init={start}"]}
    given = EVENTS | {
        "factor": "variant", "levels": [], "variants": {"text only": {"set": ["scene.mode=none"]}}, "n": 1,
        "training": training,
    }  # fmt: skip
    for scale in (1, 1, 2):
        with torch.no_grad():
            pipeline.unet.conv_out.weight.mul_(scale)
        export(pipeline, start)
        study(tmp_path / "x", given, videos=videos)
    assert len(trained) == len({*trained}) == 2


def test_several_ranks_are_launched_on_this_machine(
    tmp_path: Path, videos: VideoOptions, pipeline: DysenVDMPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    launched: list[list[str]] = []

    def train(command: list[str], **_: Any) -> subprocess.CompletedProcess[bytes]:
        launched.append(command)
        export(pipeline, run_of(command) / "model")
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr("dysenvdm.studies.questions.training.subprocess.run", train)
    given = {**EVENTS, "factor": "clips", "levels": [10], "n": 1, "training": {"recipe": "stage/denoiser-nano"}}
    study(tmp_path / "x", given, videos=videos, ranks=3)
    assert [command[1:5] for command in launched] == [["-m", "dysenvdm.training.launch", "3", "stage/denoiser-nano"]]


def test_groups_part_the_captions_and_have_what_the_whole_has(tmp_path: Path) -> None:
    by = ["events", "actors", "words", "order"]
    given = EVENTS | {
        "factor": "planner", "levels": ["all"], "n": 12, "events": [1, 2, 3], "balanced": ["events", "order"], "by": by,
        "plans": ["right", "event F1"],
    }  # fmt: skip
    document = tmp_path / "studies.md"
    found = study(tmp_path / "x", given, ["gold", "rules"], document=document)
    whole = figure(found, 1, "right")["value"]
    assert 0 < whole < 1
    for key in by:
        rows = [row for group in found["groups"] if group["by"] == key for row in group["rows"]]
        mine = [row for row in rows if row["planner"] == "rules"]
        assert sum(row["n"] for row in mine) == 12
        of_right = [(row["n"], result) for row in mine for result in row["results"] if result["figure"] == "right"]
        assert sum(n * result["value"] for n, result in of_right) / 12 == pytest.approx(whole)
        assert all(r["value"] == 1 for row in rows if row["planner"] == "gold" for r in row["results"])
    assert [group["group"] for group in found["groups"] if group["by"] in ("events", "order")] == [
        "1", "2", "3", "in order", "out of order",
    ]  # fmt: skip
    [gain] = [
        gain
        for group in found["groups"]
        if group["group"] == "out of order"
        for gain in group["differences"]
        if gain["figure"] == "right"
    ]
    assert (gain["planner"], gain["than"], gain["n"]) == ("rules", "gold", 4)
    table = (tmp_path / "x" / "table.md").read_text()
    assert "| events | planner | n | right ↑ | event F1 ↑ |" in table
    assert "| 3 | gold | 4 | 1 (1 to 1) | 1 (1 to 1) |" in table
    for file in (tmp_path / "x" / "plot-by-events.png", tmp_path / "studies" / "x-by-events.png"):
        assert file.read_bytes().startswith(b"\x89PNG")
    assert "![x](studies/x-by-events.png)" in document.read_text()


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
    with pytest.raises(UserError, match="--no-videos: this study looks at videos alone"):
        study(tmp_path / "a", EVENTS | {"plans": []})
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
        export(pipeline, Path(told["run"]) / "model")
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr("dysenvdm.studies.questions.training.subprocess.run", train)
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
    training = {"recipe": "stage/denoiser-nano", "set": ["model.gate=10"]}  # makes other models
    study(tmp_path / "x", {**given, "training": training}, videos=videos)
    assert len(trained) == 4
    with pytest.raises(UserError, match=r"13-clips-\w{8}: training ended with code 2"):
        study(tmp_path / "y", {**given, "levels": [13]}, videos=videos)
