"""Notes on what files hold: made once, for ever valid, and no file can stop them."""

import json
import os
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from dysenvdm.data import decoding, examining
from dysenvdm.data.decoding import Info
from dysenvdm.data.examining import Notes, examine_all
from planners.dsg import UserError

MakeVideo = Callable[..., Path]


@pytest.fixture
def looked_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """Names of the files that were decoded so far, in whatever process."""
    decode, log = decoding.examine, tmp_path / "looked-into"

    def noted(path: Path, alive: Callable[[], None]) -> Info:
        with log.open("a") as file:
            file.write(path.name + "\n")
        return decode(path, alive)

    monkeypatch.setattr(decoding, "examine", noted)
    return lambda: sorted(log.read_text().split()) if log.exists() else []


def test_no_file_is_decoded_twice_until_it_changes(
    tmp_path: Path, make_video: MakeVideo, looked_into: Callable[[], list[str]]
) -> None:
    a, b = (make_video(tmp_path / "set" / f"{name}.mp4", frames) for name, frames in (("a", 8), ("b", 12)))
    notes = Notes(tmp_path / "notes.jsonl", tmp_path / "set")
    first = notes.of([a, b, tmp_path / "set" / "gone.mp4"], workers=2)
    assert {path.name: held.holds.frames for path, held in first.items()} == {"a.mp4": 8, "b.mp4": 12}
    assert looked_into() == ["a.mp4", "b.mp4"]
    assert Notes(tmp_path / "notes.jsonl", tmp_path / "set").of([a, b], workers=1) == first
    assert looked_into() == ["a.mp4", "b.mp4"]
    make_video(a, 20)
    assert notes.of([a, b], workers=1)[a].holds.frames == 20
    assert looked_into() == ["a.mp4", "a.mp4", "b.mp4"]


def test_an_examination_that_was_killed_goes_on(
    tmp_path: Path, make_video: MakeVideo, looked_into: Callable[[], list[str]]
) -> None:
    paths = [make_video(tmp_path / f"{name}.mp4", 8) for name in "ab"]
    notes = Notes(tmp_path / "notes.jsonl", tmp_path)
    notes.of(paths[:1], workers=1)
    whole = (tmp_path / "notes.jsonl").read_text()
    (tmp_path / "notes.jsonl").write_text(whole + '{"file": "b.mp4", "si')
    assert notes.of(paths, workers=1)[paths[1]].holds.frames == 8
    notes.of(paths, workers=1)
    assert looked_into() == ["a.mp4", "b.mp4"]
    lines = (tmp_path / "notes.jsonl").read_text().splitlines()
    assert json.loads(lines[-1])["file"] == "b.mp4"


def crash_or_hang(path: Path, alive: Callable[[], None]) -> Info:
    alive()
    if path.stem == "crash":
        os.kill(os.getpid(), signal.SIGKILL)
    if path.stem == "hang":
        time.sleep(60)
    return Info(int(path.stem), 1.0, 8, 8)


def test_a_file_that_crashes_or_hangs_the_decoder_is_named_and_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(decoding, "examine", crash_or_hang)
    paths = [Path(name) for name in ("1.mp4", "crash.mp4", "2.mp4", "hang.mp4", "3.mp4", "crash.mp4", "4.mp4")]
    for workers in (1, 3):
        said = [(path.stem, holds) for path, holds in examine_all(paths, workers, patience=1.0)]
        assert sorted(name for name, _ in said) == sorted(path.stem for path in paths)
        for name, holds in said:
            if name == "crash":
                assert holds == "it crashes the decoder (SIGKILL)"
            elif name == "hang":
                assert holds == "decoding it does not come to an end"
            else:
                assert holds == Info(int(name), 1.0, 8, 8)


def test_what_says_nothing_of_a_file_is_not_noted(
    tmp_path: Path, make_video: MakeVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An examiner that is killed, for want of memory or by a person, and a file that cannot be opened for now."""
    good, closed = make_video(tmp_path / "good.mp4", 8), make_video(tmp_path / "closed.mp4", 8)
    notes, opens = Notes(tmp_path / "notes.jsonl", tmp_path), Path.open

    def refused(path: Path, *arguments: object, **named: object) -> object:
        if path == closed:
            raise PermissionError(13, "Permission denied")
        return opens(path, *arguments, **named)  # type: ignore[call-overload]

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", refused)
        patch.setattr(decoding, "examine", lambda *_: os.kill(os.getpid(), signal.SIGKILL))
        held = notes.of([good, closed], workers=1)
    assert "SIGKILL" in str(held[good].holds)
    assert "Permission denied" in str(held[closed].holds)
    again = notes.of([good, closed], workers=1)
    assert [again[path].holds.frames for path in (good, closed)] == [8, 8]


def test_a_decoder_that_hung_once_is_tried_again(
    tmp_path: Path, make_video: MakeVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, notes = make_video(tmp_path / "slow.mp4", 8), Notes(tmp_path / "notes.jsonl", tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(decoding, "examine", lambda *_: time.sleep(60))
        patch.setattr(examining, "examine_all", partial(examine_all, patience=0.5))
        assert notes.of([path], workers=1)[path].holds == "decoding it does not come to an end"
    held = notes.of([path], workers=1)[path].holds
    assert isinstance(held, Info)


def test_signs_of_life_are_no_answer_and_keep_a_long_file_going(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(path: Path, alive: Callable[[], None]) -> Info:
        for _ in range(8):
            time.sleep(0.25)
            alive()
        return Info(9, 1.0, 8, 8)

    monkeypatch.setattr(decoding, "examine", slow)
    assert list(examine_all([Path("long.mp4")], 1, patience=1.5)) == [(Path("long.mp4"), Info(9, 1.0, 8, 8))]


def test_notes_that_cannot_be_written_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"data\.examined: .* cannot be written"):
        Notes(tmp_path / "file" / "notes.jsonl", tmp_path)
