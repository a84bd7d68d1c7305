"""The official annotation files, read whole: the real ones where the shared data lie beside the project, as they are
downloaded, and small ones of the same layout elsewhere."""

import csv
import json
import os
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from dysenvdm.data.entries import Found
from dysenvdm.data.section import Source
from dysenvdm.data.sources import find

SHARED = Path(os.environ.get("DYSENVDM_SHARED_DATA") or Path(__file__).parents[5] / "shared" / "data")


@dataclass(frozen=True)
class Annotations:
    """A folder of them, and how much is in it."""

    folder: Path
    clips: int
    held_out: int
    captions: int


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Where the videos would be; a test touches those that it wants to be there."""
    (tmp_path / "videos").mkdir()
    return tmp_path / "videos"


def touched(folder: Path, names: Iterable[str]) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.touch()


def read(kind: str, root: Path, **keys: Any) -> tuple[Found, Found]:
    """(trained on, held out)."""
    source = TypeAdapter(Source).validate_python({"kind": kind, "root": root, **keys})
    return find(source, held_out=False), find(source, held_out=True)


def captions(*parts: Found) -> int:
    return sum(len(entry.captions) for part in parts for entry in part.entries)


# -- MSR-VTT -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def msrvtt(tmp_path: Path) -> Annotations:
    if (SHARED / "msrvtt").is_dir():
        return Annotations(SHARED / "msrvtt", clips=2990, held_out=1000, captions=59800)
    ids = [f"video{7010 + i}" for i in range(9)]
    content = {
        "info": {"version": "1.0"},
        "videos": [{"category": 9, "url": "…", "video_id": v, "start time": 1.5, "end time": 9, "split": "test",
                    "id": int(v[5:])} for v in ids],
        "sentences": [{"caption": f"{k} in {v}", "video_id": v, "sen_id": k} for v in reversed(ids) for k in range(20)],
    }  # fmt: skip
    with zipfile.ZipFile(tmp_path / "test_videodatainfo.json.zip", "w") as archive:
        archive.writestr("test_videodatainfo.json", json.dumps(content))
    rows = [f"ret{i},msr{v[5:]},{v},a person\n" for i, v in enumerate(ids[4:])]
    (tmp_path / "MSRVTT_JSFUSION_test.csv").write_text("key,vid_key,video_id,sentence\n" + "".join(rows))
    return Annotations(tmp_path, clips=9, held_out=5, captions=180)


def test_msrvtts_archive_and_the_1k_a_list(msrvtt: Annotations, files: Path) -> None:
    archive, listed = msrvtt.folder / "test_videodatainfo.json.zip", msrvtt.folder / "MSRVTT_JSFUSION_test.csv"
    with zipfile.ZipFile(archive) as content:
        videos = json.loads(content.read("test_videodatainfo.json"))["videos"]
    touched(files, (f"{video['video_id']}.mp4" for video in videos))
    trained, held_out = read("msrvtt", files, annotations=archive, test_list=listed)
    assert (len(trained.entries), len(held_out.entries)) == (msrvtt.clips - msrvtt.held_out, msrvtt.held_out)
    assert not trained.rejected
    assert not held_out.rejected
    assert captions(trained, held_out) == msrvtt.captions
    assert {len(entry.captions) for entry in trained.entries} == {20}
    with listed.open(newline="") as lines:
        assert {entry.id for entry in held_out.entries} == {row["video_id"] for row in csv.DictReader(lines)}


# -- WebVid ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def webvid(tmp_path: Path) -> Annotations:
    if (SHARED / "webvid").is_dir():
        return Annotations(SHARED / "webvid", clips=20, held_out=0, captions=20)
    with (tmp_path / "video2dataset_test_webvid.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["videoid", "name", "page_idx", "page_dir", "duration", "contentUrl"])
        for i in range(6):
            rows.writerow([1000 + i, f'A "{i}", and a horse', i, f"00000{i}_00005{i}", "PT00H00M17S", f"https://h/{i}"])
    return Annotations(tmp_path, clips=6, held_out=0, captions=6)


def test_webvids_csv(webvid: Annotations, files: Path) -> None:
    path = webvid.folder / "video2dataset_test_webvid.csv"
    with path.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    touched(files, (f"{row['page_dir']}/{row['videoid']}.mp4" for row in rows))
    trained, held_out = read("webvid", files, annotations=path, validation_share=0.2)
    found = trained.entries + held_out.entries
    assert len(found) == webvid.clips == captions(trained, held_out)
    assert not trained.rejected
    assert not held_out.rejected
    assert 0 < len(held_out.entries) < len(trained.entries)
    told = {entry.id: entry.captions for entry in found}
    assert told == {row["videoid"]: (" ".join(row["name"].split()),) for row in rows}


# -- ActivityNet Captions ----------------------------------------------------------------------------------------------


@pytest.fixture
def activitynet(tmp_path: Path) -> Annotations:
    if (SHARED / "activitynet").is_dir():
        return Annotations(SHARED / "activitynet", clips=4917, held_out=0, captions=17505)
    content = {
        f"v_{i}": {
            "duration": 60.5,
            "timestamps": [[10.5 * k, 10.5 * k + 20] for k in range(1 + i % 3)],
            "sentences": [f"  A man does thing {k}. " for k in range(1 + i % 3)],
        }
        for i in range(30)
    }
    (tmp_path / "val_1.json").write_text(json.dumps(content))
    return Annotations(tmp_path, clips=30, held_out=0, captions=60)


def test_activitynets_sentences_joined_and_one_by_one(activitynet: Annotations, files: Path) -> None:
    path = activitynet.folder / "val_1.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    touched(files, (f"{video}.mp4" for video in content))
    trained, held_out = read("activitynet", files, annotations=path)
    assert len(trained.entries) + len(held_out.entries) == activitynet.clips == captions(trained, held_out)
    assert not trained.rejected
    assert not held_out.rejected
    assert 0 < len(held_out.entries) < activitynet.clips / 10
    for entry in trained.entries:
        assert len(entry.sentences) == len(content[entry.id]["sentences"])
        assert [start for start, _, _ in entry.sentences] == sorted(start for start, _, _ in entry.sentences)
        assert entry.captions[0].count("Then ") >= len(entry.sentences) - 1
    single = read("activitynet", files, annotations=path, single_sentences=True)
    assert captions(*single) == activitynet.captions
    assert not any(part.rejected for part in single)


# -- UCF-101 -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def ucf101(tmp_path: Path) -> Annotations:
    if (SHARED / "ucf101").is_dir():
        return Annotations(SHARED / "ucf101" / "ucfTrainTestlist", clips=9537 + 3783, held_out=3783, captions=0)
    names = [f"{c}/v_{c}_g{g:02}_c01.avi" for c in ("ApplyEyeMakeup", "HandstandPushups") for g in range(1, 6)]
    (tmp_path / "trainlist01.txt").write_text("".join(f"{name} {1 + i // 5}\n" for i, name in enumerate(names[2:])))
    (tmp_path / "testlist01.txt").write_text("".join(f"{name}\r\n" for name in names[:2]))
    return Annotations(tmp_path, clips=10, held_out=2, captions=0)


def test_ucf101s_lists(ucf101: Annotations, files: Path) -> None:
    lists = [(ucf101.folder / f"{part}list01.txt").read_text().split() for part in ("train", "test")]
    touched(files, (name for names in lists for name in names if name.endswith(".avi")))
    trained, held_out = read("ucf101", files, lists=ucf101.folder, split=1)
    assert (len(trained.entries), len(held_out.entries)) == (ucf101.clips - ucf101.held_out, ucf101.held_out)
    assert not trained.rejected
    assert not held_out.rejected
    groups = [{entry.id.rpartition("_c")[0] for entry in part.entries} for part in (trained, held_out)]
    assert not groups[0] & groups[1], "clips of one scene are on one side"
    assert {len(entry.captions) for part in (trained, held_out) for entry in part.entries} == {4}, (
        "all classes are known"
    )
