"""MSR-VTT: official JSON, zipped or not, and the 1k-A list."""

import json
import zipfile
from pathlib import Path

import pytest

from dysenvdm.data.section import MsrVttSource
from dysenvdm.data.sources import find
from planners.dsg import UserError

SPLITS = {"video0": "train", "video1": "train", "video6513": "validate", "video7010": "test"}


def annotations(videos: list[str]) -> dict:
    return {
        "info": {"version": "1.0"},
        "videos": [
            {"category": 9, "url": "…", "video_id": v, "start time": 1.5, "end time": 9, "split": SPLITS[v], "id": i}
            for i, v in enumerate(videos)
        ],
        "sentences": [
            {"caption": f"caption {k} of {v}", "video_id": v, "sen_id": 20 * i + k}
            for i, v in enumerate(videos)
            for k in range(20)
        ],
    }


@pytest.fixture
def source(tmp_path: Path) -> MsrVttSource:
    root = tmp_path / "videos"
    for name in ("TrainValVideo/video0", "TrainValVideo/video1", "TrainValVideo/video6513", "TestVideo/video7010"):
        (root / f"{name}.mp4").parent.mkdir(parents=True, exist_ok=True)
        (root / f"{name}.mp4").touch()
    train, test = tmp_path / "train_val_videodatainfo.json", tmp_path / "test_videodatainfo.json.zip"
    train.write_text(json.dumps(annotations(["video0", "video1", "video6513"])))
    with zipfile.ZipFile(test, "w") as archive:
        archive.writestr("test_videodatainfo.json", json.dumps(annotations(["video7010"])))
    return MsrVttSource.model_validate({"kind": "msrvtt", "root": root, "annotations": [str(train), str(test)]})


def ids(source: MsrVttSource, *, held_out: bool) -> list[str]:
    return [entry.id for entry in find(source, held_out).entries]


def test_the_official_splits_with_twenty_captions_a_clip(source: MsrVttSource) -> None:
    assert ids(source, held_out=False) == ["video0", "video1"]
    assert ids(source, held_out=True) == ["video6513"]
    assert ids(source.model_copy(update={"validation": "test"}), held_out=True) == ["video7010"]
    first = find(source, held_out=False).entries[0]
    assert first.captions == tuple(f"caption {k} of video0" for k in range(20))


def test_a_list_such_as_1k_a_is_held_out_and_all_else_trained_on(source: MsrVttSource, tmp_path: Path) -> None:
    path = tmp_path / "MSRVTT_JSFUSION_test.csv"
    path.write_text("key,vid_key,video_id,sentence\nret0,msr1,video1,a person\nret1,msr5,video5,a person\n")
    listed = source.model_copy(update={"test_list": path})
    assert ids(listed, held_out=False) == ["video0", "video6513", "video7010"]
    assert ids(listed, held_out=True) == ["video1"]
    assert [(r.id, r.reason) for r in find(listed, held_out=True).rejected] == [("video5", "bad annotation")]


def test_a_list_with_half_a_row_is_an_error_with_its_line(source: MsrVttSource, tmp_path: Path) -> None:
    path = tmp_path / "MSRVTT_JSFUSION_test.csv"
    path.write_text("key,vid_key,video_id,sentence\nret0,msr1,video1,a person\nret1\n")
    with pytest.raises(UserError, match=r"test_list: .*line 3: a row without its video_id"):
        find(source.model_copy(update={"test_list": path}), held_out=True)


def test_one_file_alone_may_be_given(source: MsrVttSource) -> None:
    one = MsrVttSource.model_validate(
        {"kind": "msrvtt", "root": source.root, "annotations": str(source.annotations[0])}
    )
    assert ids(one, held_out=False) == ["video0", "video1"]


def test_a_split_without_clips_names_the_official_files(source: MsrVttSource) -> None:
    only_test = source.model_copy(update={"annotations": source.annotations[1:]})
    with pytest.raises(UserError, match=r"no clips of split 'train'; .*train_val_videodatainfo.json"):
        find(only_test, held_out=False)


def test_clips_without_file_or_words_and_words_without_clip(source: MsrVttSource) -> None:
    (source.root / "TrainValVideo" / "video0.mp4").unlink()
    said = annotations(["video0", "video1"])
    said["sentences"] = [s for s in said["sentences"] if s["video_id"] == "video0"]
    said["sentences"].append({"caption": "whose?", "video_id": "video9", "sen_id": 99})
    source.annotations[0].write_text(json.dumps(said))
    found = find(source, held_out=False)
    assert [(r.id, r.reason) for r in found.rejected] == [
        ("video0", "missing file"),
        ("video1", "no caption"),
        ("video9", "bad annotation"),
    ]


@pytest.mark.parametrize("content", ["[]", '{"videos": []}', '{"videos": [1], "sentences": []}', '{"videos": ['])
def test_another_json_is_an_error(source: MsrVttSource, content: str) -> None:
    source.annotations[0].write_text(content)
    with pytest.raises(UserError, match=r"data\.source\.annotations: .*train_val_videodatainfo.json"):
        find(source, held_out=False)


def test_half_a_zip_is_an_error(source: MsrVttSource) -> None:
    path = source.annotations[1]
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(UserError, match="not a whole zip archive"):
        find(source, held_out=False)
