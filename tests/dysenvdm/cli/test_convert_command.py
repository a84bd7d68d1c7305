"""``dysenvdm dsg convert``: what it writes is what training reads."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dysenvdm.data.section import FolderSource
from dysenvdm.data.sources import find
from dysenvdm.video import write_mp4
from planners.dsg import DynamicSceneGraph

BOX = {"xmin": 0, "ymin": 0, "xmax": 9, "ymax": 9}


def annotation(video: str, frames: int = 32, **changes: Any) -> dict[str, Any]:
    return {
        "video_id": video,
        "video_path": f"0000/{video}.mp4",
        "frame_count": frames,
        "fps": 8,
        "subject/objects": [{"tid": 0, "category": "dog"}, {"tid": 1, "category": "dog"}],
        "trajectories": [[{"tid": 0, "bbox": BOX}, {"tid": 1, "bbox": BOX}]] * frames,
        "relation_instances": [
            {"subject_tid": 1, "object_tid": 0, "predicate": "chase", "begin_fid": 8, "end_fid": 24},
        ],
    } | changes


@pytest.fixture
def vidor(tmp_path: Path) -> Path:
    """Two annotated videos of 32 frames, one with a mistake, one without a file, one annotated twice."""
    (tmp_path / "annotation/0000").mkdir(parents=True)
    (tmp_path / "video/0000").mkdir(parents=True)
    for video in ("11", "22"):
        write_mp4(tmp_path / f"video/0000/{video}.mp4", np.zeros((32, 16, 16, 3), np.uint8), 8, {})
    files = {
        "11": annotation("11"),
        "22": annotation("22"),
        "33": annotation("33", frame_count=31),
        "44": annotation("44"),
        "55": annotation("11"),
    }
    for name, content in files.items():
        (tmp_path / f"annotation/0000/{name}.json").write_text(json.dumps(content))
    return tmp_path


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_graphs_and_a_list_are_written_and_what_is_rejected_is_named(run, vidor: Path) -> None:
    done = run("dsg", "convert", "vidor", vidor / "annotation", "-o", vidor / "dsg", "--videos", vidor / "video")
    assert done.code == 0
    assert done.out == ""
    assert "wrote 2 scene graphs" in done.err
    listed = lines(vidor / "dsg/captions.jsonl")
    assert [line["file"] for line in listed] == ["0000/11.mp4", "0000/22.mp4"]
    dsg = DynamicSceneGraph.load(vidor / "video" / listed[0]["dsg"])
    assert [fact.describe() for fact in dsg.facts] == ["dog_2 · chase · dog_1 [2, 6) user"]
    assert dsg.prompt == listed[0]["captions"][0]
    assert "chases" in dsg.prompt
    rejected = {line["id"]: line["reason"] for line in lines(vidor / "dsg/rejected.jsonl")}
    assert rejected == {"0000/33.json": "bad annotation", "44": "missing file", "11": "duplicate"}


def test_a_video_that_is_shorter_than_annotated_is_rejected(run, vidor: Path) -> None:
    """Its graph would be stretched over what there is."""
    write_mp4(vidor / "video/0000/11.mp4", np.zeros((28, 16, 16, 3), np.uint8), 8, {})
    (vidor / "video/0000/44.mp4").write_text("<html>403 Forbidden</html>")
    done = run("dsg", "convert", "vidor", vidor / "annotation", "-o", vidor / "dsg", "--videos", vidor / "video")
    assert done.code == 0
    assert [line["file"] for line in lines(vidor / "dsg/captions.jsonl")] == ["0000/22.mp4"]
    rejected = [(line["reason"], line["detail"]) for line in lines(vidor / "dsg/rejected.jsonl")]
    assert rejected[0] == (
        "too short",
        "0000/11.mp4: shorter than annotated (3.5 s of 4.0 s): download it again",
    )
    assert "undecodable" in [reason for reason, _ in rejected]


def test_videos_are_cut_into_clips_with_graphs_of_their_own(run, vidor: Path) -> None:
    done = run(
        *("dsg", "convert", "vidor", vidor / "annotation", "-o", vidor / "dsg", "--videos", vidor / "video"),
        *("--seconds", 2, "--ticks", 4),
    )
    assert done.code == 0
    listed = lines(vidor / "dsg/captions.jsonl")
    assert [(line["file"], line["start"], line["end"]) for line in listed[:2]] == [
        ("0000/11.mp4", 0, 2),
        ("0000/11.mp4", 2, 4),
    ]
    before, after = (DynamicSceneGraph.load(vidor / "video" / line["dsg"]) for line in listed[:2])
    assert [(fact.start, fact.end) for fact in (*before.facts, *after.facts)] == [(2, 4), (0, 2)]


def test_the_folder_source_reads_the_list_as_it_is(run, vidor: Path) -> None:
    arguments = ("dsg", "convert", "vidor", vidor / "annotation", "-o", vidor / "dsg")
    for more in ((), ("--seconds", 2)):
        assert run(*arguments, "--videos", vidor / "video", *more).code == 0
        source = FolderSource(kind="folder", root=vidor / "video", annotations=vidor / "dsg/captions.jsonl")
        found = [find(source, held_out) for held_out in (False, True)]
        entries = [entry for part in found for entry in part.entries]
        assert not [rejected for part in found for rejected in part.rejected]
        assert len(entries) == (4 if more else 2)
        for entry in entries:
            assert entry.path.is_file()
            assert entry.dsg is not None
            assert DynamicSceneGraph.load(entry.dsg).prompt == entry.captions[0]
            assert (entry.span is None) == (not more)


def test_equal_input_gives_equal_files(run, vidor: Path) -> None:
    def content() -> dict[str, bytes]:
        run("dsg", "convert", "vidvrd", vidor / "annotation", "-o", vidor / "dsg")
        return {path.name: path.read_bytes() for path in (vidor / "dsg").iterdir()}

    assert content() == content()


def test_action_genome_takes_the_length_of_its_videos_from_the_files(run, tmp_path: Path) -> None:
    cup = {"class": "cup/glass/bottle", "visible": True, "contacting_relationship": ["holding"]}
    bad = {"class": "cup"}
    things = {f"{video}.mp4/000009.png": [cup] for video in ("AAAAA", "GONE0", "BROKE")}
    things |= {"BAD00.mp4/000009.png": [cup, bad], "no key": []}
    (tmp_path / "ag").mkdir()
    (tmp_path / "ag/object_bbox_and_relationship.pkl").write_bytes(pickle.dumps(things))
    (tmp_path / "ag/person_bbox.pkl").write_bytes(
        pickle.dumps({key: {"bbox": np.zeros((1, 4), np.float32)} for key in things})
    )
    for video in ("AAAAA", "BAD00"):
        write_mp4(tmp_path / f"{video}.mp4", np.zeros((32, 16, 16, 3), np.uint8), 8, {})
    (tmp_path / "BROKE.mp4").write_bytes(b"no video")
    done = run("dsg", "convert", "action-genome", tmp_path / "ag", "-o", tmp_path / "dsg", "--videos", tmp_path)
    assert done.code == 0
    [clip] = lines(tmp_path / "dsg/captions.jsonl")
    dsg = DynamicSceneGraph.load(tmp_path / clip["dsg"])
    assert [fact.describe() for fact in dsg.facts] == ["person · hold · cup [0, 4) user"]
    assert clip["captions"] == ["A person holds a cup."]
    assert {line["id"]: line["reason"] for line in lines(tmp_path / "dsg/rejected.jsonl")} == {
        "no key": "bad annotation",
        "BAD00": "bad annotation",
        "BROKE": "undecodable",
        "GONE0": "missing file",
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("vidor", "nowhere", "-o", "out"), "nowhere: no such folder"),
        (("vidor", "annotation", "-o", "out", "--videos", "nowhere"), "nowhere: no such folder"),
        (("vidor", "annotation", "-o", "no/out"), "does not exist"),
        (("vidor", "video", "-o", "out"), "no .json files"),
        (("vidor", "annotation", "-o", "out", "--ticks", "64"), "no clip could be converted, 5 were rejected"),
        (("action-genome", "annotation", "-o", "out", "--videos", "video"), "person_bbox.pkl: cannot be read"),
    ],
)
def test_mistakes_are_one_line(
    run, vidor: Path, arguments: tuple[str, ...], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(vidor)
    done = run("dsg", "convert", *arguments)
    assert done.code == 2
    assert message in done.err
    assert done.err.count("\n") == 1
    assert not Path("out/captions.jsonl").exists()
