"""WebVid: the official CSV, its videos as WebVid's downloader or video2dataset lay them out."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path

from dysenvdm.data.entries import Found
from dysenvdm.data.section import WebVidSource
from dysenvdm.data.sources.collecting import Collector, Folders, check_folder, shared_out
from planners.dsg import UserError

LAYOUT = "page_dir/videoid.mp4 (WebVid's downloader) or 00000/….mp4 beside ….json (video2dataset, unpacked)"
Row = dict[str, str]
Locate = Callable[[Row], Path | None]


def find(source: WebVidSource, held_out: bool) -> Found:
    """The rows of the training CSV, or of the validation CSV, or a share. (See ``dysenvdm.data.sources.find``.)"""
    check_folder("data.source.root", source.root, LAYOUT)
    locate, collector = _layout(source.root), Collector()
    validation = held_out and source.validation is not None
    key, path = ("validation", source.validation) if validation else ("annotations", source.annotations)
    assert path is not None
    elsewhere = _ids(source.validation) if source.validation and not held_out else set()
    for number, row in _rows(f"data.source.{key}", path):
        clip = (row["videoid"] or "").strip()
        if not clip or row["name"] is None:
            collector.reject(f"{path.name}:{number}", "bad annotation", "the row lacks a videoid or a name")
        elif None in row:
            collector.reject(
                f"{path.name}:{number}",
                "bad annotation",
                "more columns than the header; quote a text with commas",
            )
        elif _runs_on(row):
            collector.reject(f"{path.name}:{number}", "bad annotation", "it runs on over the next row; close its quote")
        elif clip in elsewhere:
            collector.reject(clip, "duplicate", "it is also in the validation CSV, and held out")
        else:
            expected = f"{row.get('page_dir') or '…'}/{clip}.mp4"
            collector.add(clip, locate(row), [row["name"]], expected=expected)
    found = collector.found()
    return found if source.validation else shared_out(found, source.validation_share, held_out)


def _runs_on(row: Row) -> bool:
    """Whether a cell of several lines has in its first as many commas as follow the cell: the rest of its own row."""
    cells = [(cell or "").partition("\n") for cell in row.values()]
    return any(rest and line.count(",") >= after for after, (line, _, rest) in enumerate(reversed(cells)))


def _rows(key: str, path: Path) -> Iterator[tuple[int, Row]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            missing = {"videoid", "name"} - set(reader.fieldnames or ())
            if missing:
                raise UserError(f"{key}: {path} has no column {min(missing)!r}; is it WebVid's CSV?")
            first = reader.line_num + 1  # of the row's lines: where a quote is open, the last is far below
            for row in reader:
                yield first, row
                first = reader.line_num + 1
    except OSError as error:
        raise UserError(f"{key}: {path} cannot be read ({error.strerror})") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{key}: {path} is no CSV in UTF-8 ({error}); is it the official file?") from None


def _ids(path: Path) -> set[str]:
    return {(row["videoid"] or "").strip() for _, row in _rows("data.source.validation", path)}


def _layout(root: Path) -> Locate:
    """Where a row's video is: by page_dir, or by what video2dataset noted beside each of its numbered files."""
    shards = [path for path in sorted(root.iterdir()) if path.is_dir() and path.name.isdigit()]
    if not shards and any(root.glob("*.tar")):
        raise UserError(
            f"data.source.root: {root} has video2dataset's tar shards; unpack each into a folder of its name"
        )
    if not shards:
        return _by_page(root)
    noted: dict[str, Path] = {}
    for shard in shards:
        for note in sorted(shard.glob("*.json")):
            try:
                said = json.loads(note.read_bytes())
            except (OSError, ValueError, RecursionError):
                continue  # its row will be reported without a file
            if isinstance(said, dict):
                for name in ("videoid", "url"):
                    if said.get(name) is not None:
                        noted[str(said[name])] = note.with_suffix(".mp4")
    folders = Folders()

    def locate(row: Row) -> Path | None:
        path = noted.get(row["videoid"].strip()) or noted.get(row.get("contentUrl") or "")
        return folders.file(path) if path else None

    return locate


def _by_page(root: Path) -> Locate:
    folders = Folders()

    def locate(row: Row) -> Path | None:
        return folders.file(root / (row.get("page_dir") or "") / f"{row['videoid'].strip()}.mp4")

    return locate
