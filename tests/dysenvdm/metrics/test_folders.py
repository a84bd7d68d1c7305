"""Folders of videos: what files say, what is refused, what is resampled only on request."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dysenvdm.metrics.folders import Asked, _prompt, check_alike, read_folder, with_gold
from dysenvdm.video import read_mp4, write_mp4
from planners.dsg import DynamicSceneGraph, UserError


def film(path: Path, frames: int = 8, size: int = 32, fps: int = 8, prompt: str = "A dog runs.") -> Path:
    levels = np.linspace(20, 230, frames).astype(np.uint8)
    path.parent.mkdir(exist_ok=True)
    write_mp4(path, np.tile(levels[:, None, None, None], (1, size, size, 3)), fps, {"prompt": prompt})
    return path


def test_a_file_says_its_shape_rate_and_prompt_and_what_lies_beside_counts(tmp_path: Path) -> None:
    film(tmp_path / "a.mp4")
    film(tmp_path / "b.mp4")
    (tmp_path / "b.txt").write_text("Two\ndogs.\n")
    DynamicSceneGraph(prompt="Two dogs.", ticks=4).save(tmp_path / "b.dsg.json")
    (tmp_path / "notes.md").write_text("no video")
    a, b = read_folder(tmp_path)
    assert (a.id, a.fps, a.shape, a.prompt, a.gold_graph) == ("a", 8, (8, 32, 32), "A dog runs.", None)
    assert b.prompt == "Two dogs."
    assert b.gold_graph is not None
    assert a.read is not None
    assert (a.read() == read_mp4(tmp_path / "a.mp4")).all()
    check_alike([a], [b], unequal=False)
    [filled] = with_gold([a], [type(b)("a", gold_graph=b.gold_graph, prompt="other")])
    assert filled.gold_graph == b.gold_graph
    assert filled.prompt == "A dog runs."


def test_on_request_rate_and_size_change_and_shapes_say_so(tmp_path: Path) -> None:
    film(tmp_path / "a.mp4")
    for fps, frames in ((4, 4), (16, 16)):
        [item] = read_folder(tmp_path, Asked(fps, (48, 16)))
        assert item.read is not None
        video = item.read()
        assert item.shape == video.shape[:3] == (frames, 16, 48)
        assert item.fps == fps
        original = read_mp4(tmp_path / "a.mp4")[:, 0, 0, 0].astype(int)
        wanted = original[::2] if fps == 4 else original.repeat(2)
        assert np.abs(video[:, 0, 0, 0].astype(int) - wanted).max() <= 2


@pytest.mark.parametrize(
    ("mine", "theirs", "message"),
    [
        ({"b": {"fps": 4}}, {}, "b: 4 fps, but a has 8; .*--fps"),
        ({"b": {"size": 48}}, {}, "b: 48x48 pixels, but a has 32x32; .*--size"),
        ({}, {"c": {"fps": 16}}, "c: 16 fps, but a has 8"),
        ({"b": {}}, {"c": {}}, "--reference: 1 videos, --videos has 2; .*--unequal"),
    ],
)
def test_what_cannot_be_compared_is_named(
    tmp_path: Path, mine: dict[str, dict[str, int]], theirs: dict[str, dict[str, int]], message: str
) -> None:
    for name, kinds in (("mine", {"a": {}, **mine}), ("theirs", theirs)):
        for file, given in kinds.items():
            film(tmp_path / name / f"{file}.mp4", **given)
    reference = read_folder(tmp_path / "theirs") if theirs else []
    with pytest.raises(UserError, match=message):
        check_alike(read_folder(tmp_path / "mine"), reference, unequal=False)
    if "unequal" in message:
        check_alike(read_folder(tmp_path / "mine"), reference, unequal=True)


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="none: no such folder"):
        read_folder(tmp_path / "none")
    with pytest.raises(UserError, match="no videos there"):
        read_folder(tmp_path)
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    with pytest.raises(UserError, match=r"bad\.mp4: cannot be read as a video"):
        read_folder(tmp_path)
    film(tmp_path / "bad.mp4")
    (tmp_path / "bad.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match=r"bad\.txt: cannot be read as text"):
        read_folder(tmp_path)


@pytest.mark.parametrize("recipe", ["{", "[]", '{"prompt": 3}', "{}"])
def test_somebody_elses_recipe_has_no_prompt_for_us(recipe: str) -> None:
    assert _prompt(recipe) is None
