"""VidVRD and VidOR files in the official format, and what is wrong with them, named with its place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dysenvdm.data.annotations.timeline import BadAnnotation, scene_graph
from dysenvdm.data.annotations.vidor import annotation_files, english, read_file
from planners.dsg import UserError

BOX = {"xmin": 1, "ymin": 2, "xmax": 30, "ymax": 40}


def vidor(frames: int = 80) -> dict[str, Any]:
    """Two dogs, one of which comes halfway, and a child that plays with the first."""
    everywhere = [{"tid": tid, "bbox": BOX, "generated": 0, "tracker": "none"} for tid in (0, 1, 3)]
    return {
        "version": "VERSION 1.0",
        "video_id": "2401075277",
        "video_hash": "0",
        "video_path": "0000/2401075277.mp4",
        "frame_count": frames,
        "fps": 29.97,
        "width": 640,
        "height": 360,
        "subject/objects": [
            {"tid": 0, "category": "dog"},
            {"tid": 1, "category": "dog"},
            {"tid": 3, "category": "ball/sports_ball"},
        ],
        "trajectories": [[box for box in everywhere if box["tid"] != 1 or i >= 40] for i in range(frames)],
        "relation_instances": [
            {"subject_tid": 0, "object_tid": 1, "predicate": "in_front_of", "begin_fid": 40, "end_fid": 80},
            {"subject_tid": 0, "object_tid": 3, "predicate": "bite", "begin_fid": 10, "end_fid": 30},
        ],
    }


def write(path: Path, **changes: Any) -> Path:
    path.write_text(json.dumps(vidor() | changes))
    return path


def test_an_official_file_becomes_a_graph_in_which_two_dogs_stay_two(tmp_path: Path) -> None:
    footage = read_file(write(tmp_path / "a.json"))
    assert (footage.id, footage.video, footage.frames, footage.fps) == ("2401075277", "0000/2401075277.mp4", 80, 29.97)
    dsg = scene_graph(footage, 8)
    assert [(thing.id, thing.label, thing.start) for thing in dsg.objects] == [
        ("dog_1", "dog", 0),
        ("dog_2", "dog", 4),
        ("ball", "ball", 0),
    ]
    assert [fact.describe() for fact in dsg.facts] == [
        "dog_1 · bite · ball [1, 3) user",
        "dog_1 · in front of · dog_2 [4, 8) user",
    ]


def test_vidvrd_names_no_path(tmp_path: Path) -> None:
    content = vidor()
    del content["video_path"], content["version"], content["video_hash"]
    (tmp_path / "a.json").write_text(json.dumps(content | {"video_id": "ILSVRC2015_train_00010001"}))
    assert read_file(tmp_path / "a.json").video == "ILSVRC2015_train_00010001.mp4"


@pytest.mark.parametrize(
    ("predicate", "said"),
    [
        ("stand_left", "stand left of"),
        ("swim_front", "swim in front of"),
        ("walk_next_to", "walk next to"),
        ("creep_away", "creep away from"),
        ("taller", "taller than"),
        ("past", "past"),
        ("in_front_of", "in front of"),
        ("get_on", "get on"),
        ("hold_hand_of", "hold the hand of"),
        ("play(instrument)", "play"),
        ("lean_on", "lean on"),
    ],
)
def test_predicates_are_said_in_english(predicate: str, said: str) -> None:
    assert english(predicate) == said


RELATION = {"subject_tid": 0, "object_tid": 1, "predicate": "bite", "begin_fid": 1, "end_fid": 2}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"relation_instances": [RELATION, RELATION | {"end_fid": 81}]}, r"relation_instances\[1\]: frames \[1, 81\)"),
        ({"relation_instances": [RELATION | {"end_fid": 1}]}, r"relation_instances\[0\]: frames \[1, 1\)"),
        ({"relation_instances": [RELATION | {"object_tid": 9}]}, r"relation_instances\[0\].object_tid: .* tid 9"),
        ({"relation_instances": [RELATION | {"begin_fid": "a"}]}, r"relation_instances\[0\].begin_fid"),
        ({"trajectories": [[{"tid": 5}]] * 80}, r"trajectories\[0\]\[0\].tid: .* tid 5"),
        ({"trajectories": []}, "trajectories: 0 frames, but frame_count is 80"),
        ({"subject/objects": [{"tid": 0, "category": "dog"}] * 2}, "a tid is there twice"),
        ({"fps": 0}, "fps"),
        ({"video_path": "../../etc/passwd"}, "video_path: .* no path inside"),
        ({"video_id": "../x"}, "video_id"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(BadAnnotation, match=message) as error:
        read_file(write(tmp_path / "a.json", **changes))
    assert error.value.reason == "bad annotation"
    assert "\n" not in str(error.value)


def test_a_file_cut_short_and_a_folder_without_files_are_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no \.json files"):
        annotation_files(tmp_path)
    (tmp_path / "a.json").write_text(json.dumps(vidor())[:500])
    with pytest.raises(BadAnnotation, match="JSON"):
        read_file(tmp_path / "a.json")
