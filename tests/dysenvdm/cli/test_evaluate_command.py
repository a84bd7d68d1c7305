"""``dysenvdm evaluate`` as users give it: finished folders, every mistake one line and exit code 2."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from dysenvdm.files import sha256
from dysenvdm.models import CHECKPOINTS
from dysenvdm.stage import sample
from dysenvdm.video import write_mp4


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DYSENVDM_HOME", str(tmp_path / "home"))


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Three videos, and their gold renders with captions and scene graphs, as ``dysenvdm stage export`` has them."""
    rng = np.random.default_rng(0)
    mine, gold = tmp_path / "mine", tmp_path / "gold"
    for folder in (mine, gold):
        folder.mkdir()
    for i in range(3):
        clip = sample(i, split="val")
        video = clip.render()
        noise = (video + rng.normal(0, 20, video.shape)).clip(0, 255).astype(np.uint8)
        write_mp4(gold / f"{i}.mp4", video, 8, {})
        write_mp4(mine / f"{i}.mp4", noise, 8, {})
        (gold / f"{i}.txt").write_text(clip.caption, encoding="utf-8")
        clip.dsg.save(gold / f"{i}.dsg.json")
    return mine, gold


def test_a_folder_against_gold_renders(run, folders: tuple[Path, Path], tmp_path: Path) -> None:
    mine, gold = folders
    done = run(
        "evaluate", "--videos", mine, "--reference", gold, "-o", tmp_path / "out", "--metric", "faithfulness",
        "--metric", "fvd-stage", "--metric", "motion", "--metric", "is", "--set", "is.clips=3",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert "floor" in done.out
    assert "ceiling" in done.out
    assert "clips: 8 fps 16 frames 64x64" in done.out
    assert "weights: stage-referee:" in done.out
    assert "not measured: metric is: needs 'c3d-ucf101'" in done.err
    data = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    assert {result["metric"] for result in data["results"]} == {"faithfulness", "fvd-stage", "motion"}
    assert list(data["missing"]) == ["is"]
    assert "| fvd-stage ↓ |" in (tmp_path / "out" / "results.md").read_text(encoding="utf-8")
    again = run("evaluate", "--videos", mine, "--metric", "motion")
    assert again.out.count("motion.") == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--videos", "mine", "--metric", "fdv"], "metric 'fdv': not known; did you mean 'fvd'"),
        (["--videos", "mine", "--metric", "clipsin"], "did you mean 'clipsim'"),
        (["--videos", "mine", "--metric", "fvd", "--reference", "gold"], "3 given, it needs at least 2048"),
        (["--videos", "mine", "--metric", "fvd-stage"], "fvd-stage: reference: 0 given, it needs at least 2"),
        (["--videos", "mine", "--metric", "faithfulness", "--reference", "mine"], "0: its prompt has no gold scene"),
        (["--videos", "mine", "--metric", "plan"], "plan: 0: its prompt has no gold plan"),
        (["--videos", "mine", "--metric", "clipsim"], "clipsim: 0: has no prompt"),
        (["--videos", "mine", "--metric", "motion", "--set", "fvd.clips=3"], "'fvd' is not measured"),
        (["--videos", "mine", "--metric", "motion", "--set", "motion=3"], "write METRIC.KEY=VALUE"),
        (["--videos", "mine", "--metric", "motion", "--size", "64"], "--size '64': write WIDTHxHEIGHT"),
        (["--videos", "mine"], "say what to measure with --metric NAME"),
        (["--videos", "nowhere", "--metric", "motion"], "nowhere: no such folder"),
        (["--videos", "mine", "model", "stage", "--metric", "motion"], "leave out MODEL"),
        (["--metric", "motion"], "go with --videos"),
        (["stage-nano"], "give MODEL and RECIPE"),
        (["stage-nano", "stage"], "say where to with -o"),
        (["stage-nano", "stag", "-o", "out"], "did you mean stage"),
        (["no-model", "stage", "-o", "out"], "no-model"),
        (["stage-nano", "ucf101", "-o", "out", "--limit", "9"], "fvd: needs at least 2048 videos, and 9 would be made"),
        (["stage-nano", "stage", "-o", "out", "--vbench", "mine"], "mine: is there already"),
    ],
)
def test_mistakes_are_one_line(
    run, folders: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run("evaluate", *arguments)
    assert done.code == 2
    error = [line for line in done.err.splitlines() if line.startswith("error:")]
    assert len(error) == 1
    assert message in error[0]
    assert not (tmp_path / "out" / "videos").exists()


def test_sides_that_differ_are_named_and_resampled_only_on_request(
    run, folders: tuple[Path, Path], tmp_path: Path
) -> None:
    mine, gold = folders
    video = np.full((12, 96, 96, 3), 90, np.uint8)
    write_mp4(mine / "3.mp4", video, 24, {})
    measured = ("evaluate", "--videos", mine, "--metric", "motion")
    assert "3: 24 fps, but 0 has 8; bring all to one rate with --fps" in run(*measured).err
    assert "3: 96x96 pixels, but 0 has 64x64; resize all with --size WxH" in run(*measured, "--fps", 8).err
    done = run(*measured, "--fps", 8, "--size", "64x64")
    assert done.code == 0
    assert "clips: 8 fps 4, 16 frames 64x64" in done.out
    done = run(*measured, "--fps", 8, "--size", "64x64", "--reference", gold)
    assert (done.code, "--reference: 3 videos, --videos has 4" in done.err) == (2, True)
    (mine / "4.mp4").write_bytes(b"no video")
    assert "4.mp4: cannot be read as a video" in run(*measured).err


def test_the_list_says_what_is_there(run) -> None:
    referee = CHECKPOINTS / "stage-referee"
    out = run("evaluate", "--metrics").out
    lines = {line.split()[0]: line for line in out.splitlines() if line and not line.startswith(" ")}
    assert {"fvd", "kvd", "is", "fid", "clipsim", "faithfulness", "fvd-stage", "motion", "plan", "trirec"} <= set(lines)
    assert " no " in lines["fvd"]
    assert " yes " in lines["motion"]
    assert " lower  set  " in re.sub(" {2,}", "  ", lines["fvd"])
    assert " higher; extra: lower  micro  " in re.sub(" {2,}", "  ", lines["faithfulness"])
    assert f"stage-referee:{sha256(referee / 'model.safetensors')[:8]}" in lines["faithfulness"]
    assert "of 6726825d" in lines["fid"]
