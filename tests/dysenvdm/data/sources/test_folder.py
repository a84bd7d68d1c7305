"""A plain folder: caption files beside videos, or one JSONL."""

import json
import os
from pathlib import Path

import pytest

from dysenvdm.data.entries import Found
from dysenvdm.data.section import FolderSource
from dysenvdm.data.sources import find
from planners.dsg import UserError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "clips"
    (folder / "more").mkdir(parents=True)
    for name in ("a.mp4", "b.webm", "more/c.MOV", "no-words.avi"):
        (folder / name).touch()
    (folder / "a.txt").write_text("A dog\nruns.\n")
    (folder / "a.dsg.json").write_text("{}")
    (folder / "b.txt").write_text(" \n")
    (folder / "more" / "c.txt").write_text("A cat sits.")
    return folder


def everything(source: FolderSource) -> Found:
    parts = [find(source, held) for held in (False, True)]
    return Found(parts[0].entries + parts[1].entries, parts[0].rejected + parts[1].rejected)


def test_each_video_is_told_by_the_text_beside_it(root: Path) -> None:
    found = everything(FolderSource(kind="folder", root=root))
    assert {e.id: (e.captions, e.dsg) for e in found.entries} == {
        "a.mp4": (("A dog runs.",), root / "a.dsg.json"),
        "more/c.MOV": (("A cat sits.",), None),
    }
    assert {(r.id, r.reason) for r in found.rejected} == {("b.webm", "no caption"), ("no-words.avi", "no caption")}


def test_a_text_without_a_video_is_named_and_what_tells_of_the_set_is_not(root: Path) -> None:
    (root / "lost.txt").write_text("a girl runs")
    (root / "README.txt").write_text("Where these clips are from.")
    found = everything(FolderSource(kind="folder", root=root))
    assert [(r.id, r.reason) for r in found.rejected if r.id.endswith(".txt")] == [("lost.txt", "no video")]


def test_a_jsonl_tells_spans_captions_and_scene_graphs(root: Path, tmp_path: Path) -> None:
    lines = [
        {"file": "b.webm", "text": "A man runs.", "start": 0.5, "end": 2},
        {"file": "b.webm", "captions": ["A man jumps.", "Someone jumps."], "start": 2, "end": 4.5},
        {"file": "a.mp4", "text": "A dog."},
    ]
    path = tmp_path / "clips.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = everything(FolderSource(kind="folder", root=root, annotations=path))
    assert not found.rejected
    assert {e.id: (e.captions, e.span, e.dsg) for e in found.entries} == {
        "b.webm#0.5-2": (("A man runs.",), (0.5, 2.0), None),
        "b.webm#2-4.5": (("A man jumps.", "Someone jumps."), (2.0, 4.5), None),
        "a.mp4": (("A dog.",), None, root / "a.dsg.json"),
    }


def test_a_validation_file_says_what_is_held_out_and_nothing_of_it_is_trained_on(root: Path, tmp_path: Path) -> None:
    train, held = tmp_path / "train.jsonl", tmp_path / "held.jsonl"
    lines = [{"file": "b.webm", "text": "A man runs.", "start": i, "end": i + 1} for i in range(3)]
    train.write_text("".join(json.dumps(line) + "\n" for line in lines))
    held.write_text(json.dumps(lines[2]) + "\n")
    source = FolderSource(kind="folder", root=root, annotations=train, validation=held)
    assert [entry.id for entry in find(source, held_out=True).entries] == ["b.webm#2-3"]
    found = find(source, held_out=False)
    assert [entry.id for entry in found.entries] == ["b.webm#0-1", "b.webm#1-2"]
    assert [(one.id, one.reason) for one in found.rejected] == [("b.webm#2-3", "duplicate")]
    with pytest.raises(UserError, match=r"data\.source\.validation: .*none\.jsonl"):
        find(source.model_copy(update={"validation": tmp_path / "none.jsonl"}), held_out=False)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ({"file": "gone.mp4", "text": "A dog."}, "missing file"),
        ({"file": "a.mp4", "text": "A dog.", "dsg": "gone.json"}, "missing file"),
        ({"file": "a.mp4"}, "no caption"),
        ({"file": "a.mp4", "text": "A dog.", "caption": "x"}, "bad annotation"),
        ({"file": "a.mp4", "text": "A dog.", "start": 1}, "bad annotation"),
        ({"file": "a.mp4", "text": "A dog.", "start": 2, "end": 1}, "bad annotation"),
        ({"text": "A dog."}, "bad annotation"),
        ("half a li", "bad annotation"),
    ],
)
def test_what_is_wrong_with_a_line_is_said(root: Path, tmp_path: Path, line: object, reason: str) -> None:
    path = tmp_path / "clips.jsonl"
    good = json.dumps({"file": "more/c.MOV", "text": "A cat."})
    path.write_text(good + "\n" + (line if isinstance(line, str) else json.dumps(line)) + "\n")
    found = everything(FolderSource(kind="folder", root=root, annotations=path))
    assert [entry.id for entry in found.entries] == ["more/c.MOV"]
    assert [rejected.reason for rejected in found.rejected] == [reason]


def test_the_same_clip_twice_is_a_duplicate(root: Path, tmp_path: Path) -> None:
    path = tmp_path / "clips.jsonl"
    path.write_text((json.dumps({"file": "a.mp4", "text": "A dog."}) + "\n") * 2)
    found = everything(FolderSource(kind="folder", root=root, annotations=path))
    assert len(found.entries) == 1
    assert [rejected.reason for rejected in found.rejected] == ["duplicate"]


def test_links_in_circles_names_and_captions_that_are_no_text(root: Path) -> None:
    (root / "self").symlink_to(root)
    (root / "linked.mp4").write_bytes(b"x")
    (root / "linked.txt").symlink_to(root / "nowhere.txt")
    (root / "halved.mp4").write_bytes(b"x")
    (root / "halved.txt").mkdir()
    (root / os.fsdecode(b"caf\xe9.mp4")).write_bytes(b"x")
    (root / os.fsdecode(b"caf\xe9.txt")).write_text("A cup.")
    found = everything(FolderSource(kind="folder", root=root))
    assert sorted(entry.id for entry in found.entries) == ["a.mp4", "more/c.MOV"]
    said = {rejected.id: rejected.detail for rejected in found.rejected}
    assert "cannot be read" in said["linked.mp4"]
    assert "cannot be read" in said["halved.mp4"]
    assert "not UTF-8" in said["caf\\udce9.mp4"]


def test_half_a_character_in_a_caption_is_named(root: Path, tmp_path: Path) -> None:
    path = tmp_path / "clips.jsonl"
    path.write_text('{"file": "a.mp4", "text": "A dog \\ud83d runs."}\n')
    found = everything(FolderSource(kind="folder", root=root, annotations=path))
    assert not found.entries
    assert [(r.id, r.reason) for r in found.rejected] == [("a.mp4", "bad annotation")]


def test_no_videos_is_an_error_that_shows_the_layout(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(UserError, match=r"no videos .*expected clip.mp4 beside clip.txt"):
        find(FolderSource(kind="folder", root=tmp_path), held_out=False)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"is empty; expected"):
        find(FolderSource(kind="folder", root=tmp_path / "empty"), held_out=False)
