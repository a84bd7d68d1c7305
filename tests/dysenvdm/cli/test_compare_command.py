"""``dysenvdm compare``: videos with the same seeds, what a killed run left is gone on with, mistakes are one line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.compare import repeatable
from dysenvdm.stage.referee import REFEREES, Referee

KILLED = """
import os, signal, sys
from pathlib import Path
from dysenvdm.cli.main import main
replace, left = Path.replace, int(sys.argv.pop(1))
def struck(self, target):
    global left
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)  # the file is written, and has not got its name yet
    return replace(self, target)
Path.replace = struck
main(sys.argv[1:])
"""


@pytest.fixture(scope="session")
def micro_referee(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A referee with random weights."""
    folder = tmp_path_factory.mktemp("referees") / "micro"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        Referee(REFEREES["micro"]).save(folder, source="random weights")
    return folder


def command(folder: Path, model: Path, referee: Path) -> list[str]:
    planners = ["--planner", "rules", "--planner", "gold"]
    videos = ["--model", str(model), "--steps", "2", "--seeds", "2", "--referee", str(referee), "--device", "cpu"]
    return ["compare", "--prompts", "stage:2", *planners, *videos, "-o", str(folder)]


def test_a_killed_run_goes_on_and_its_results_are_the_same(
    run: Any, small_model: Path, micro_referee: Path, tmp_path: Path
) -> None:
    encoder = small_model / "text_encoder" / "config.json"
    encoder.write_text(json.dumps(json.loads(encoder.read_text()) | {"max_tokens": 128}))  # its tokens are letters
    done = run(*command(tmp_path / "whole", small_model, micro_referee))
    assert done.code == 0, done.err
    assert "| event F1" in done.out
    assert "How often this referee is right was never measured. dysenvdm" in done.out
    whole = repeatable(tmp_path / "whole")
    videos = [outcome["videos"] for told in whole["prompts"] for outcome in told["planners"].values()]
    assert [[video["seed"] for video in of_plan] for of_plan in videos] == [[0, 10000]] * 2 + [[1, 10001]] * 2
    assert all(video["sha256"] for of_plan in videos for video in of_plan)
    assert {"ceiling", "floor"} == whole["bounds"].keys()

    # Two batches of plans, then videos: struck in the middle of the third one.
    arguments = command(tmp_path / "struck", small_model, micro_referee)
    struck = subprocess.run([sys.executable, "-c", KILLED, "5", *arguments], capture_output=True, check=False)
    assert struck.returncode == -signal.SIGKILL, struck.stderr
    assert len(list((tmp_path / "struck" / "videos").glob("[!.]*.mp4"))) == 2
    before = {path: os.stat(path).st_mtime_ns for path in (tmp_path / "struck" / "videos").glob("[!.]*.mp4")}
    assert run(*arguments).code == 0
    assert repeatable(tmp_path / "struck") == whole
    assert {path: os.stat(path).st_mtime_ns for path in before} == before, "what was made is not made again"
    for path in (tmp_path / "whole" / "videos").glob("*.mp4"):
        assert path.read_bytes() == (tmp_path / "struck" / "videos" / path.name).read_bytes()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--no-videos", "--steps", "3"], "--no-videos: takes no options of videos"),
        (["--referee", "nobody"], "model 'nobody': no such folder"),
        (["--model", "nobody"], "model 'nobody': no such folder"),
        (["--no-videos", "--price", "rules"], "--price rules: write PLANNER=IN/OUT"),
        (["--no-videos", "--planner", "rules"], "a second one called 'rules'"),
    ],
)
def test_mistakes_are_one_line(run: Any, only_line: Any, options: list[str], words: str, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    done = run("compare", "--prompts", "stage:1", "--planner", "rules", *options, "-o", folder)
    assert words in only_line(done)
    assert not folder.exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            ["--ticks", "17"],
            "--ticks 17: small makes videos of 16 frames, and a tick needs a frame; give --ticks 16 or",
        ),
        (["--steps", "1000"], "--steps 1000: small has 500; give no more"),
    ],
)
def test_what_the_model_cannot_make_is_refused_before_anything_is_planned(
    run: Any, only_line: Any, small_model: Path, options: list[str], words: str, tmp_path: Path
) -> None:
    schedule = small_model / "scheduler" / "scheduler_config.json"
    schedule.write_text(json.dumps(json.loads(schedule.read_text()) | {"num_train_timesteps": 500}))
    base = ["compare", "--prompts", "stage:1", "--planner", "rules", "--model", small_model, "--referee", "none"]
    assert words in only_line(run(*base, *options, "-o", tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_videos_can_be_made_without_a_referee(run: Any, store: Path, small_model: Path, tmp_path: Path) -> None:
    base = ["compare", "--prompts", "stage:1", "--planner", "rules", "--model", small_model, "--steps", "1"]
    done = run(*base, "--referee", "none", "-o", tmp_path / "out")
    assert done.code == 0, done.err
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert "events shown" not in results["figures"]["rules"]
    assert results["prompts"][0]["planners"]["rules"]["videos"][0]["file"]
