"""``dysenvdm stage``: sheets, and data sets that can be stopped, gone on with, and written again to the byte."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dysenvdm.cli.main import main
from dysenvdm.stage import sample
from dysenvdm.stage.captions.inflection import gerund, participle, third
from dysenvdm.stage.export import ExportSettings, export, sheet
from dysenvdm.video import read_mp4, read_recipe
from planners.corpus import plan_corpus
from planners.dsg import ActionPlan, DynamicSceneGraph, UserError
from planners.plugins import get_planner


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as end:
        main(["stage", *map(str, arguments)])
    return int(end.value.code or 0)


def index(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "index.jsonl").read_text("utf-8").splitlines()]


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four clips of the training split, written in one go."""
    folder = tmp_path_factory.mktemp("export") / "clips"
    assert run("export", folder, "--clips", 4, "--seed", 40) == 0
    return folder


def test_an_exported_folder_is_complete(exported: Path) -> None:
    lines = index(exported)
    assert [line["seed"] for line in lines] == [40, 41, 42, 43]
    assert [line["id"] for line in lines] == [f"train-{n}" for n in (40, 41, 42, 43)]
    for line in lines:
        clip, folder = sample(line["seed"]), exported
        error = np.abs(read_mp4(folder / line["video"]).astype(int) - clip.render()).mean()
        assert error < 6
        assert read_recipe(folder / line["video"])["prompt"] == clip.caption == line["caption"]
        assert DynamicSceneGraph.load(folder / line["dsg"]) == clip.dsg
        assert line["captions"] == [clip.caption, *clip.captions]
        assert line["captions"] == (folder / f"{line['seed']:010d}.txt").read_text("utf-8").splitlines()
        assert ActionPlan.model_validate(line["plan"]) == clip.plan
        for ident, box in clip.boxes.items():
            np.testing.assert_allclose(line["boxes"][ident], box, atol=1e-4)


def test_spans_are_the_words_of_the_plan(exported: Path) -> None:
    for line in index(exported):
        labels = {thing["id"]: thing["label"] for thing in line["plan"]["objects"]}
        for ident, (start, end) in line["spans"]["objects"].items():
            assert line["caption"][start:end].lower() == labels[ident]
        assert len(line["spans"]["events"]) == len(line["plan"]["events"]) == line["events"]
        for (start, end), event in zip(line["spans"]["events"], line["plan"]["events"], strict=True):
            verb = event["predicate"]
            forms = (third(verb), gerund(verb), participle(verb), f"is {participle(verb)} by")
            assert line["caption"][start:end].lower() in forms


def test_the_card_counts_what_is_there(exported: Path) -> None:
    text = (exported / "README.md").read_text("utf-8")
    lines = index(exported)
    for name in ("events", "actors", "style"):
        for value, count in Counter(line[name] for line in lines).items():
            assert f"| {value} | {count} |" in text
    for value, count in Counter(action for line in lines for action in line["actions"]).items():
        assert f"| {value} | {count} |" in text
    assert "--split train --clips 4 --seed 40 --size 64 --fps 8 --frames 16" in text
    assert "version 2: 4 clips of train" in text


def test_the_index_can_be_planned(exported: Path, tmp_path: Path) -> None:
    done = plan_corpus(
        exported / "index.jsonl",
        tmp_path / "plans.jsonl",
        [get_planner("rules")],
        ticks=8,
        seed=0,
        batch=4,
        settings={},
    )
    assert done.counts["failed"] == 0
    assert done.counts.total() == 4


def test_a_killed_export_goes_on_without_a_lost_or_doubled_clip(exported: Path, tmp_path: Path) -> None:
    folder = tmp_path / "clips"
    arguments = ["stage", "export", str(folder), "--clips", "4", "--seed", "40"]
    process = subprocess.Popen(
        [sys.executable, "-c", "import sys; from dysenvdm.cli.main import main; main(sys.argv[1:])", *arguments],
        stderr=subprocess.DEVNULL,
    )
    try:
        while process.poll() is None and not (folder / "0000000041.mp4").exists():
            pass
        os.kill(process.pid, signal.SIGKILL)
    finally:
        process.wait()
    with (folder / "index.jsonl").open("ab") as lines:
        lines.write(b'{"id": "train-4')  # what a machine that loses power leaves
    (folder / ".0000000042.torn.mp4").write_bytes(b"half a video")
    assert run("export", folder, "--clips", 4, "--seed", 40) == 0
    assert files(folder) == files(exported)


def test_more_clips_of_the_same_export_are_added(exported: Path, tmp_path: Path) -> None:
    folder = tmp_path / "clips"
    assert export(folder, ExportSettings(first=40, clips=2), lambda: None) == 2
    done: list[int] = []
    assert export(folder, ExportSettings(first=40, clips=4), lambda: done.append(1)) == 2
    assert len(done) == 4
    assert files(folder) == files(exported)
    assert export(folder, ExportSettings(first=40, clips=4), lambda: None) == 0


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"size": 128}, "with size 64"),
        ({"first": 41}, "with first 40"),
        ({"split": "val"}, "with split train"),
        ({"fps": 16}, "with fps 8"),
        ({"clips": 1}, "is an export of 4 clips"),
    ],
)
def test_a_folder_with_another_export_is_refused(exported: Path, other: dict[str, Any], said: str) -> None:
    before = files(exported)
    with pytest.raises(UserError, match=said):
        export(exported, ExportSettings(**{"first": 40, "clips": 4, **other}), lambda: None)
    assert files(exported) == before


def test_a_used_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="already holds something"):
        export(tmp_path, ExportSettings(clips=1), lambda: None)
    assert files(tmp_path) == {"mine.txt": b"mine"}


def test_long_and_large_clips_of_a_held_out_split(tmp_path: Path) -> None:
    folder = tmp_path / "long"
    arguments = ("--clips", 1, "--split", "more-events", "--frames", "240", "--size", 128, "--events", "7-8")
    assert run("export", folder, *arguments) == 0
    [line] = index(folder)
    assert (line["split"], line["frames"], line["size"]) == ("more-events", 240, 128)
    assert line["events"] in (7, 8)
    assert read_mp4(folder / line["video"]).shape == (240, 128, 128, 3)


def test_a_sheet_shows_every_clip(tmp_path: Path) -> None:
    assert run("sheet", "-o", tmp_path / "sheet.png", "--clips", 2, "--seed", 7) == 0
    picture = Image.open(tmp_path / "sheet.png")
    one, two = sheet([sample(7)]), sheet([sample(8)])
    assert picture.size == (max(one.width, two.width), one.height + two.height)
    assert picture.convert("RGB").crop((0, 0, *one.size)).tobytes() == one.tobytes()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("sheet", "-o", "x.jpg"), "must end in .png"),
        (("sheet", "-o", "nowhere/x.png"), "does not exist"),
        (("sheet", "-o", "x.png", "--seed", 2**32 - 1, "--clips", 2), "begin at"),
        (("export", "nowhere/clips", "--clips", 1), "does not exist"),
        (("export", "x", "--clips", 1, "--split", "trian"), "choose one of train"),
        (("export", "x", "--clips", 1, "--events", "9"), "split train has 1 to 5"),
        (("export", "x", "--clips", 1, "--events", "3-1"), "a number or a range"),
        (("export", "x", "--clips", 1, "--frames", "many"), "a number of frames"),
        (("export", "x", "--clips", 1, "--size", 101), "H.264 takes even sizes"),
        (("export", "x", "--clips", 2, "--split", "val", "--seed", 2**28 - 1), "begin at"),
    ],
)
def test_mistakes_are_one_line(
    arguments: tuple[object, ...],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(*arguments) == 2
    [line] = capsys.readouterr().err.strip().splitlines()
    assert said in line
    assert list(tmp_path.iterdir()) == []
