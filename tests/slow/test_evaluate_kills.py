"""``dysenvdm evaluate`` killed between its videos: the same command goes on, and the results are the same."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from dysenvdm.pipeline import DysenVDMPipeline
from dysenvdm.stage.referee import REFEREES, Referee

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

CHANGES = (
    "generation.size=16", "data.size=16", "generation.frames=8", "data.frames=8",
    "generation.steps=8", "generation.batch=1", "data.scenes.batch=2",
    "events=[1]", "actors=[1]",
)  # fmt: skip
VIDEOS = 5
RUN = "from dysenvdm.cli.main import main; main()"


def test_a_killed_evaluation_goes_on_with_identical_results(pipeline: DysenVDMPipeline, tmp_path: Path) -> None:
    pipeline.save_pretrained(tmp_path / "model")
    torch.manual_seed(0)
    Referee(REFEREES["micro"]).save(tmp_path / "referee", source="random weights")
    referees = [f"metrics.{name}.referee={tmp_path / 'referee'}" for name in ("faithfulness", "fvd-stage")]
    changes = [part for change in (*CHANGES, *referees) for part in ("--set", change)]

    def started(folder: Path) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", RUN, "evaluate", tmp_path / "model", "stage", "-o", folder]
        return subprocess.Popen([*command, "--limit", str(VIDEOS), *changes], env=os.environ)

    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert started(whole).wait() == 0
    kept: dict[str, int] = {}
    for wanted in (1, 3):
        process = started(broken)
        while len(list((broken / "videos").glob("0*.mp4"))) < wanted:
            assert process.poll() is None, "it ended before it could be killed"
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        now = {path.name: path.stat().st_mtime_ns for path in (broken / "videos").glob("0*.mp4")}
        assert wanted <= len(now) < VIDEOS
        assert {name: now[name] for name in kept} == kept
        kept = now
    assert started(broken).wait() == 0
    assert {name: (broken / "videos" / name).stat().st_mtime_ns for name in kept} == kept
    for name in ("results.json", "results.md", "plans.jsonl"):
        assert (broken / name).read_bytes() == (whole / name).read_bytes(), name
