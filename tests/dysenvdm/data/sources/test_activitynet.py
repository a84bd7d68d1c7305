"""ActivityNet Captions: sentences in the order in which things happen."""

import json
from pathlib import Path

import pytest

from dysenvdm.data.section import ActivityNetSource
from dysenvdm.data.sources import find
from dysenvdm.data.sources.activitynet import joined
from planners.dsg import UserError

VIDEOS = {
    "v_aaa": {
        "duration": 55.15,
        "timestamps": [[13.79, 54.32], [0.28, 20], [20, 55.15]],
        "sentences": ["Then the man lifts  it.", "  A man stands before a weight", "Anna claps."],
    },
    "v_bbb": {"duration": 9.5, "timestamps": [[0, 9.5]], "sentences": ["A dog runs."]},
}


@pytest.fixture
def source(tmp_path: Path) -> ActivityNetSource:
    root, path = tmp_path / "videos", tmp_path / "train.json"
    for name in ("v1-2/train/v_aaa.mkv", "v1-3/train_val/v_bbb.webm"):
        (root / name).parent.mkdir(parents=True)
        (root / name).touch()
    path.write_text(json.dumps(VIDEOS))
    (tmp_path / "val_1.json").write_text(json.dumps({"v_bbb": VIDEOS["v_bbb"]}))
    return ActivityNetSource(kind="activitynet", root=root, annotations=path, validation=tmp_path / "val_1.json")


def test_sentences_are_joined_in_their_order_with_their_times(source: ActivityNetSource) -> None:
    found = find(source, held_out=False)
    (entry,) = found.entries
    assert entry.captions == ("First, a man stands before a weight. Then the man lifts it. Then Anna claps.",)
    assert entry.span == (0.28, 55.15)
    assert [start for start, _, _ in entry.sentences] == [0.28, 13.79, 20]
    assert entry.sentences[1] == (13.79, 54.32, "Then the man lifts it.")
    assert [(r.id, r.reason) for r in found.rejected] == [("v_bbb", "duplicate")], "held out, hence not trained on"


def test_single_sentences_are_clips_of_their_own(source: ActivityNetSource) -> None:
    found = find(source.model_copy(update={"single_sentences": True}), held_out=False)
    assert [(e.id, e.span, e.captions[0]) for e in found.entries] == [
        ("v_aaa#0", (0.28, 20.0), "A man stands before a weight"),
        ("v_aaa#1", (13.79, 54.32), "Then the man lifts it."),
        ("v_aaa#2", (20.0, 55.15), "Anna claps."),
    ]


def test_a_single_sentence_stays_as_it_is(source: ActivityNetSource) -> None:
    (entry,) = find(source, held_out=True).entries
    assert entry.captions == ("A dog runs.",)
    assert entry.path.suffix == ".webm"


def test_sentences_of_one_video_are_never_on_both_sides(source: ActivityNetSource) -> None:
    shared = source.model_copy(update={"validation": None, "validation_share": 0.5, "single_sentences": True})
    sides = [{e.id.partition("#")[0] for e in find(shared, held).entries} for held in (False, True)]
    assert sides[0] | sides[1] == {"v_aaa", "v_bbb"}
    assert not sides[0] & sides[1]


@pytest.mark.parametrize(
    "said",
    [
        {"timestamps": [[0, 5]], "sentences": []},
        {"timestamps": [[5, 5]], "sentences": ["A dog."]},
        {"timestamps": [[-1, 5]], "sentences": ["A dog."]},
        {"timestamps": [[0, float("inf")]], "sentences": ["A dog."]},
        {"timestamps": [["0", 5]], "sentences": ["A dog."]},
        {"timestamps": [[0, 5]], "sentences": [7]},
        ["A dog."],
    ],
)
def test_bad_annotations_reject_their_video_alone(source: ActivityNetSource, said: object) -> None:
    source.annotations.write_text(json.dumps({"v_aaa": VIDEOS["v_aaa"], "v_ccc": said}))
    found = find(source, held_out=False)
    assert [entry.id for entry in found.entries] == ["v_aaa"]
    assert [(r.id, r.reason) for r in found.rejected] == [("v_ccc", "bad annotation")]


def test_no_words_and_no_file(source: ActivityNetSource) -> None:
    said = {**VIDEOS, "v_bbb": {"timestamps": [[0, 5]], "sentences": ["  "]}, "v_ddd": VIDEOS["v_bbb"]}
    source.annotations.write_text(json.dumps(said))
    found = (
        find(source.model_copy(update={"validation": None}), False),
        find(source.model_copy(update={"validation": None}), True),
    )
    assert sorted((r.id, r.reason) for part in found for r in part.rejected) == [
        ("v_bbb", "no caption"),
        ("v_ddd", "missing file"),
    ]


def test_another_json_is_an_error(source: ActivityNetSource) -> None:
    source.annotations.write_text('["v_aaa"]')
    with pytest.raises(UserError, match=r"train.json is no object of videos"):
        find(source, held_out=False)


def test_connectives_are_not_doubled_and_names_keep_their_capital() -> None:
    parts = tuple(
        (float(i), i + 1.0, text)
        for i, text in enumerate(["He sits", "Next, he eats!", "After,all leave.", "Bob leaves."])
    )
    assert joined(parts) == "First, he sits. Then he eats! Then after,all leave. Then Bob leaves."
