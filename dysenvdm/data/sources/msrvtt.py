"""MSR-VTT: the official JSON files with 20 captions a clip, and the lists that go round, such as 1k-A."""

from __future__ import annotations

import csv
import io
import zipfile
from pathlib import Path
from typing import Any

from dysenvdm.data.entries import Found
from dysenvdm.data.section import MsrVttSource
from dysenvdm.data.sources.collecting import Collector, check_folder, parse_json, read_text, videos_below
from planners.dsg import UserError

LAYOUT = "video0.mp4 and so on, in that folder or in folders below it such as TrainValVideo/ and TestVideo/"


def find(source: MsrVttSource, held_out: bool) -> Found:
    """The clips of the official split or of the list. (See the door, ``dysenvdm.data.sources.find``.)"""
    check_folder("data.source.root", source.root, LAYOUT)
    listed = _listed(source.test_list) if source.test_list else None
    files, collector = videos_below(source.root), Collector()
    captions: dict[str, list[str]] = {}
    videos: list[dict[str, Any]] = []
    for path in source.annotations:
        content = _content(path)
        videos += content["videos"]
        for sentence in content["sentences"]:
            captions.setdefault(str(sentence.get("video_id")), []).append(str(sentence.get("caption") or ""))
    known = {str(video.get("video_id")) for video in videos}
    for video in videos:
        clip, split = str(video.get("video_id")), video.get("split")
        if listed is not None:
            belongs = (clip in listed) == held_out
        else:
            belongs = split == (source.validation if held_out else "train")
        if belongs:
            collector.add(clip, files.get(clip), captions.get(clip, ()), expected=f"{clip}.mp4")
    if not held_out:
        for clip in sorted(captions.keys() - known):
            collector.reject(clip, "bad annotation", "captions of a clip that the file does not list")
    if held_out and listed:
        for clip in sorted(listed - known):
            collector.reject(clip, "bad annotation", "it is in the test list and in no annotation file")
    found = collector.found()
    if not found.entries and not found.rejected:
        what = f"split {source.validation!r}" if held_out else "split 'train'"
        raise UserError(
            f"data.source.annotations: {', '.join(map(str, source.annotations))}: no clips of "
            f"{'the test list' if listed is not None and held_out else what}; the official files are "
            f"train_val_videodatainfo.json and test_videodatainfo.json"
        )
    return found


def _content(path: Path) -> dict[str, list[dict[str, Any]]]:
    """``videos`` and ``sentences`` of a JSON file, or of the only one in a zip archive."""
    key = "data.source.annotations"
    if path.suffix == ".zip":
        try:
            with zipfile.ZipFile(path) as archive:
                names = [name for name in archive.namelist() if name.endswith(".json") and "__MACOSX" not in name]
                if len(names) != 1:
                    raise UserError(f"{key}: {path} holds {len(names)} JSON files, not one; unpack it")
                content = parse_json(key, path, archive.read(names[0]))
        except OSError as error:
            raise UserError(f"{key}: {path} cannot be read ({error.strerror})") from None
        except zipfile.BadZipFile:
            raise UserError(f"{key}: {path} is not a whole zip archive; download it again") from None
    else:
        content = parse_json(key, path, read_text(key, path))
    for part in ("videos", "sentences"):
        rows = content.get(part) if isinstance(content, dict) else None
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise UserError(f"{key}: {path} has no list {part!r}; is it MSR-VTT's videodatainfo JSON?")
    return dict(content)


def _listed(path: Path) -> set[str]:
    reader = csv.DictReader(io.StringIO(read_text("data.source.test_list", path), newline=""))
    if "video_id" not in (reader.fieldnames or ()):
        raise UserError(f"data.source.test_list: {path} has no column 'video_id'; is it a list such as 1k-A?")
    listed = set()
    for row in reader:
        if not row["video_id"]:
            raise UserError(f"data.source.test_list: {path}, line {reader.line_num}: a row without its video_id")
        listed.add(row["video_id"])
    return listed
