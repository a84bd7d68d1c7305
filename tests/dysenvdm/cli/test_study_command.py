"""``dysenvdm study`` from the command line: what it writes, and one line for what cannot be done."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dysenvdm.cli.main import main
from dysenvdm.studies.human.files import QUESTIONS
from dysenvdm.video import write_mp4


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as end:
        main(["study", *arguments])
    return int(end.value.code or 0)


@pytest.fixture
def folders(tmp_path: Path) -> list[str]:
    for name, tint in (("one", 40), ("two", 200)):
        (tmp_path / name).mkdir()
        for i in range(2):
            write_mp4(tmp_path / name / f"{i}.mp4", np.full((3, 32, 32, 3), tint, np.uint8), 8, {"prompt": f"p{i}"})
    return ["--videos", str(tmp_path / "one"), "--videos", f"other={tmp_path / 'two'}"]


def test_from_videos_to_scores(folders: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("create", *folders, "-o", str(tmp_path / "study"), "--title", "Videos") == 0
    key = json.loads((tmp_path / "study.key.json").read_text())
    assert key["systems"] == ["one", "other"]
    files = []
    for rater in ("a", "b"):
        answers: dict[str, Any] = {}
        for item in key["items"]:
            answers[item["id"]] = {
                side: dict.fromkeys(QUESTIONS, 4 if item[side]["system"] == "one" else 2) for side in ("left", "right")
            } | {"seconds": 1, "plays": {"left": 1, "right": 1}}
        told = {"format": "dysenvdm.ratings/1", "study": key["study"], "rater": rater, "answers": answers}
        (tmp_path / f"{rater}.json").write_text(json.dumps(told))
        files.append(str(tmp_path / f"{rater}.json"))
    capsys.readouterr()
    out, table = tmp_path / "scores.json", tmp_path / "scores.csv"
    assert run("score", str(tmp_path / "study.key.json"), *files, "--json", str(out), "--csv", str(table)) == 0
    said = capsys.readouterr().out
    assert "75.0 (75.0 to 75.0)" in said
    assert "25.0 (25.0 to 25.0)" in said
    assert json.loads(out.read_text())["questions"]["scene"]["scores"]["one"]["mean"] == 75
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert {row["value"] for row in rows if row["figure"] == "score" and row["system"] == "other"} == {"25.0"}
    assert run("score", str(tmp_path / "study.key.json"), *files, files[0]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--size", "64"], "write WIDTHxHEIGHT"),
        (["--limit", "0"], "--limit"),
        (["--prompts", "/nothing.txt"], "/nothing.txt: cannot be read"),
    ],
)
def test_what_cannot_be_made_is_said_in_a_line(
    folders: list[str], tmp_path: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("create", *folders, "-o", str(tmp_path / "study"), *arguments) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not (tmp_path / "study").exists()


def test_an_unknown_study_is_answered_with_those_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("run", "eventz") == 2
    error = capsys.readouterr().err
    assert "ablations, actors, claim, events, guidance, imagination, length, planner, schedulers, telling, " in error


def test_a_study_that_trains_nothing_takes_no_training(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("run", "events", "-o", str(tmp_path / "x"), "--training", "stage/denoiser-tiny") == 2
    assert "--training: this study trains no models" in capsys.readouterr().err
    assert run("run", "events", "-o", str(tmp_path / "x"), "--ranks", "2") == 2
    assert "--ranks: this study trains no models" in capsys.readouterr().err
