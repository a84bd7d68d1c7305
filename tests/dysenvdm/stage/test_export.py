"""``dysenvdm stage``: sheets and folders of clips, whole or not at all, and mistakes in one line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dysenvdm.cli.main import main
from dysenvdm.stage import StageClip, sample
from dysenvdm.stage.export import export, sheet
from dysenvdm.video import read_mp4, read_recipe
from planners.dsg import DynamicSceneGraph, UserError


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as end:
        main(["stage", *map(str, arguments)])
    return int(end.value.code or 0)


def test_an_exported_folder_is_complete(tmp_path: Path) -> None:
    assert run("export", tmp_path / "clips", "--clips", 2, "--seed", 40) == 0
    lines = [json.loads(line) for line in (tmp_path / "clips" / "index.jsonl").read_text("utf-8").splitlines()]
    assert [line["seed"] for line in lines] == [40, 41]
    for line in lines:
        clip, folder = sample(line["seed"]), tmp_path / "clips"
        error = np.abs(read_mp4(folder / line["video"]).astype(int) - clip.render()).mean()
        assert error < 6
        assert read_recipe(folder / line["video"])["prompt"] == clip.caption
        assert DynamicSceneGraph.load(folder / line["dsg"]) == clip.dsg
        assert line["captions"] == [clip.caption, *clip.captions]
        assert line["captions"] == (folder / f"{line['seed']:010d}.txt").read_text("utf-8").splitlines()
        for ident, box in clip.boxes.items():
            np.testing.assert_allclose(line["boxes"][ident], box, atol=1e-4)


def test_an_interrupted_export_leaves_nothing(tmp_path: Path) -> None:
    def clips() -> Iterator[StageClip]:
        yield sample(0)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export(tmp_path / "clips", clips(), lambda: None)
    assert list(tmp_path.iterdir()) == []


def test_a_used_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="already holds something"):
        export(tmp_path, [sample(0)], lambda: None)
    assert (tmp_path / "mine.txt").read_text() == "mine"


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
