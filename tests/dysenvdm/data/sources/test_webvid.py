"""WebVid: its CSV, and videos in either downloader's layout."""

import json
from pathlib import Path

import pytest

from dysenvdm.data.section import WebVidSource
from dysenvdm.data.sources import find
from planners.dsg import UserError

HEADER = "videoid,name,page_idx,page_dir,duration,contentUrl\n"
ROWS = [
    '11,"A horse, grazing",1,000001_000050,PT00H00M17S,https://example.org/11.mp4\n',
    '12,"Two lines\nof text",1,000001_000050,PT00H00M24S,https://example.org/12.mp4\n',
    "13,A dog runs,2,000051_000100,PT00H00M24S,https://example.org/13.mp4\n",
]


@pytest.fixture
def source(tmp_path: Path) -> WebVidSource:
    root, annotations = tmp_path / "videos", tmp_path / "results_2M_train.csv"
    for name in ("000001_000050/11.mp4", "000001_000050/12.mp4", "000051_000100/13.mp4"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    annotations.write_text(HEADER + "".join(ROWS))
    validation = tmp_path / "results_2M_val.csv"
    validation.write_text(HEADER + ROWS[2])
    return WebVidSource(kind="webvid", root=root, annotations=annotations, validation=validation)


def test_rows_and_their_files(source: WebVidSource) -> None:
    train, held_out = (find(source, held) for held in (False, True))
    assert [(e.id, e.captions, e.path.name) for e in train.entries] == [
        ("11", ("A horse, grazing",), "11.mp4"),
        ("12", ("Two lines of text",), "12.mp4"),
    ]
    assert [(r.id, r.reason) for r in train.rejected] == [("13", "duplicate")], "held out, hence not trained on"
    assert [entry.id for entry in held_out.entries] == ["13"]


def test_video2datasets_numbered_files_are_found_by_their_notes(source: WebVidSource, tmp_path: Path) -> None:
    root = tmp_path / "dataset"
    (root / "00000").mkdir(parents=True)
    for number, note in enumerate(({"videoid": 12}, {"url": "https://example.org/11.mp4"})):
        (root / "00000" / f"0000000{number}.mp4").touch()
        (root / "00000" / f"0000000{number}.json").write_text(json.dumps(note))
    found = find(source.model_copy(update={"root": root}), held_out=False)
    assert [(e.id, e.path.name) for e in found.entries] == [("11", "00000001.mp4"), ("12", "00000000.mp4")]


def test_shards_that_are_still_packed_are_an_error(source: WebVidSource, tmp_path: Path) -> None:
    root = tmp_path / "dataset"
    root.mkdir()
    (root / "00000.tar").touch()
    with pytest.raises(UserError, match="tar shards; unpack"):
        find(source.model_copy(update={"root": root}), held_out=False)


def test_what_is_wrong_with_a_row_is_said(source: WebVidSource) -> None:
    source.annotations.write_text(
        HEADER
        + ROWS[0]
        + ROWS[0]
        + ",A cat,1,000001_000050,,\n"
        + "99,A cat,1,000001_000050,,\n12,,1,000001_000050,,\n"
    )
    found = find(source, held_out=False)
    reasons = [(r.id, r.reason, r.detail) for r in found.rejected]
    assert [part[:2] for part in reasons] == [
        ("11", "duplicate"),
        ("results_2M_train.csv:4", "bad annotation"),
        ("99", "missing file"),
        ("12", "no caption"),
    ]
    assert reasons[2][2] == "000001_000050/99.mp4"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"id,text\n1,a\n", "has no column 'name'"),
        (b"videoid,name\n1,caf\xe9\n", "is no CSV in UTF-8"),
        (None, "cannot be"),
    ],
)
def test_another_csv_is_an_error(source: WebVidSource, content: bytes | None, message: str) -> None:
    source.annotations.unlink()
    if content is not None:
        source.annotations.write_bytes(content)
    with pytest.raises(UserError, match=rf"data\.source\.annotations: .* {message}"):
        find(source, held_out=False)


def test_commas_and_line_breaks_that_no_quotes_hold_are_named(source: WebVidSource) -> None:
    """Else the caption is cut at the comma, or runs on over the rows that follow."""
    columns = HEADER.strip().split(",").index("name")
    assert columns == 1
    source.annotations.write_text(
        HEADER + "11,A man, a dog,1,000001_000050,,\n" + '12,"A cat,1,p,,\n13,A cow,1,p,,\n14,"A hen",1,p,,\n'
    )
    found = find(source, held_out=False)
    assert not found.entries
    assert [(r.id.partition(":")[0], r.reason) for r in found.rejected] == [
        (source.annotations.name, "bad annotation")
    ] * 2


def test_without_a_validation_file_a_fixed_share_is_held_out(tmp_path: Path) -> None:
    root, annotations = tmp_path / "videos", tmp_path / "all.csv"
    (root / "p").mkdir(parents=True)
    rows = ""
    for number in range(400):
        (root / "p" / f"{number}.mp4").touch()
        rows += f"{number},A dog,1,p,,\n"
    annotations.write_text(HEADER + rows)
    source = WebVidSource(kind="webvid", root=root, annotations=annotations, validation_share=0.1)
    train, held_out = ({e.id for e in find(source, held).entries} for held in (False, True))
    assert train | held_out == {str(number) for number in range(400)}
    assert not train & held_out
    assert 20 < len(held_out) < 60
    annotations.write_text(HEADER + "".join(reversed(rows.splitlines(keepends=True)[:200])))
    assert {e.id for e in find(source, True).entries} == {id for id in held_out if int(id) < 200}
