"""UCF-101: official lists, captions that are sentences."""

from pathlib import Path

import pytest

from dysenvdm.data.section import Ucf101Source
from dysenvdm.data.sources import find
from dysenvdm.data.sources.ucf101 import captions_of
from dysenvdm.data.sources.ucf101_classes import ACTORS, DOINGS
from planners.dsg import UserError

TRAIN = "HorseRiding/v_HorseRiding_g08_c01.avi 42\r\nHandstandPushups/v_HandStandPushups_g08_c01.avi 37\r\n"
TEST = "HorseRiding/v_HorseRiding_g01_c01.avi\r\n"


@pytest.fixture
def source(tmp_path: Path) -> Ucf101Source:
    lists, root = tmp_path / "ucfTrainTestlist", tmp_path / "UCF-101"
    lists.mkdir()
    (lists / "trainlist01.txt").write_text(TRAIN)
    (lists / "testlist01.txt").write_text(TEST)
    for line in (TRAIN + TEST).split():
        if "/" in line:
            (root / line).parent.mkdir(parents=True, exist_ok=True)
            (root / line).touch()
    return Ucf101Source(kind="ucf101", root=root, lists=lists)


def test_the_lists_say_what_is_trained_on_and_what_is_held_out(source: Ucf101Source) -> None:
    train, held_out = (find(source, held) for held in (False, True))
    assert [entry.id for entry in train.entries] == ["v_HorseRiding_g08_c01", "v_HandStandPushups_g08_c01"]
    assert [entry.id for entry in held_out.entries] == ["v_HorseRiding_g01_c01"]
    assert train.entries[0].captions[0] == "A person is riding a horse."
    assert not train.rejected
    assert not held_out.rejected


def test_capitals_of_file_names_do_not_matter(source: Ucf101Source) -> None:
    """The lists spell one class in two ways, and copies of the data set follow either."""
    folder = source.root / "HandstandPushups"
    (folder / "v_HandStandPushups_g08_c01.avi").rename(folder / "v_HandstandPushups_g08_c01.avi")
    found = find(source, held_out=False)
    assert [entry.path.name for entry in found.entries][1] == "v_HandstandPushups_g08_c01.avi"


def test_missing_files_doubled_and_broken_lines_are_named(source: Ucf101Source) -> None:
    (source.root / "HorseRiding" / "v_HorseRiding_g08_c01.avi").unlink()
    path = source.lists / "trainlist01.txt"
    path.write_text(TRAIN + TRAIN.splitlines()[1] + "\nnonsense\n")
    found = find(source, held_out=False)
    assert [(r.id, r.reason) for r in found.rejected] == [
        ("v_HorseRiding_g08_c01", "missing file"),
        ("v_HandStandPushups_g08_c01", "duplicate"),
        ("trainlist01.txt:4", "bad annotation"),
    ]
    assert "HorseRiding/v_HorseRiding_g08_c01.avi" in found.rejected[0].detail


def test_a_data_set_that_is_not_there_is_said_with_its_layout(source: Ucf101Source, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no folder .*nowhere; expected UCF-101/"):
        find(source.model_copy(update={"root": tmp_path / "nowhere"}), held_out=False)
    with pytest.raises(UserError, match=r"data\.source\.lists: .*trainlist03.txt cannot be read"):
        find(source.model_copy(update={"split": 3}), held_out=False)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "README").touch()
    with pytest.raises(UserError, match="0 of 2 ucf101 clips"):
        find(source.model_copy(update={"root": tmp_path / "other"}), held_out=False)


def test_all_101_classes_are_told_in_sentences() -> None:
    assert len(DOINGS) == 101
    assert set(ACTORS) < set(DOINGS)
    for category in DOINGS:
        captions = captions_of(category)
        assert len(set(captions)) == 4
        assert all(text[0].isupper() and text.endswith(".") and "  " not in text for text in captions)
    assert captions_of("HorseRace")[0] == "Horses are racing."
    assert captions_of("BabyCrawling")[0] == "A baby is crawling."
    assert captions_of("SoccerJuggling")[3] == "Soccer juggling."
    assert captions_of("OpeningTwoDoors") == ("A video of opening two doors.", "Opening two doors.")
