"""Videos as a corpus: what is usable, what a draw is, and what happens when a file breaks."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dysenvdm.data.corpora import open_corpus
from dysenvdm.data.section import DataSection
from dysenvdm.data.videos import NOTHING, TRIES, VideoCorpus, check_clips
from planners.dsg import DynamicSceneGraph, Fact, SceneObject, UserError

MakeVideo = Callable[..., Path]
NumbersOf = Callable[[np.ndarray], list[int]]

DSG = DynamicSceneGraph(
    ticks=6,
    objects=(SceneObject(id="dog", label="dog"),),
    facts=tuple(
        Fact(subject="dog", predicate=word, start=start, end=start + 3, source="prompt")
        for word, start in (("run", 0), ("jump", 3))
    ),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, make_video: MakeVideo) -> Path:
    """Eight clips of 24 frames: five of them square, three wide; and one that is too short, one that is no video."""
    root = tmp_path_factory.mktemp("clips")
    for number in range(8):
        make_video(root / f"{number}.mp4", 24, width=64 if number < 5 else 112, height=64)
    make_video(root / "short.mp4", 3)
    (root / "words.mp4").write_text("no video")
    for path in root.glob("*.mp4"):
        path.with_suffix(".txt").write_text(f"Clip {path.stem}.")
    DSG.save(root / "3.dsg.json")
    return root


@pytest.fixture
def own_folder(folder: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    root = tmp_path / "own"
    root.mkdir()
    for path in folder.iterdir():
        (root / path.name).write_bytes(path.read_bytes())
    return root


def section(root: Path, notes: Path, **more: Any) -> DataSection:
    source = {"kind": "folder", "root": str(root), "validation_share": 0.01}
    values = {"source": source, "frames": 4, "size": 64, "validation_clips": 1, "examined": str(notes), "workers": 1}
    return DataSection.model_validate({**values, **more})


@pytest.fixture
def corpus(folder: Path, tmp_path: Path) -> VideoCorpus:
    opened = open_corpus(section(folder, tmp_path / "notes.jsonl"))
    assert isinstance(opened, VideoCorpus)
    return opened


def test_clips_that_cannot_be_used_are_counted_with_reasons(folder: Path, tmp_path: Path, capsys: Any) -> None:
    checked = check_clips(section(folder, tmp_path / "notes.jsonl"), held_out=False)
    assert {(r.id, r.reason) for r in checked.rejected} == {("short.mp4", "too short"), ("words.mp4", "undecodable")}
    open_corpus(section(folder, tmp_path / "notes.jsonl"))
    assert "folder: 7 clips; rejected are 1 too short, 1 undecodable, such as " in capsys.readouterr().err


def test_a_read_is_a_pure_function_of_its_arguments(corpus: VideoCorpus, numbers_of: NumbersOf) -> None:
    starts = set()
    for draw in range(12):
        one, again = (corpus.read(3, draw, np.random.default_rng(draw)) for _ in range(2))
        assert np.array_equal(one.pixels, again.pixels)
        assert (one.caption, one.dsg, one.clip) == (again.caption, again.dsg, 3)
        numbers = numbers_of(one.pixels)
        assert numbers == list(range(numbers[0], numbers[0] + 4))
        starts.add(numbers[0])
        assert one.foreground.all()
        assert one.pixels.shape == (4, 64, 64, 3)
    assert len(starts) > 4


def test_what_is_held_out_is_not_trained_on_and_always_the_same(corpus: VideoCorpus) -> None:
    (held_out,) = corpus.held_out()
    assert held_out.caption not in {corpus.told(clip).caption for clip in range(corpus.clips)}
    assert corpus.clips == 7
    again = corpus.held_out()[0]
    assert np.array_equal(held_out.pixels, again.pixels)
    assert replace(held_out, video=None, foreground=None) == replace(again, video=None, foreground=None)


def test_the_scene_graph_is_that_of_the_frames_shown(corpus: VideoCorpus, numbers_of: NumbersOf) -> None:
    told = {corpus.name(clip): clip for clip in range(corpus.clips)}
    assert corpus.told(told["0.mp4"]).dsg == NOTHING
    for draw in range(12):
        sample = corpus.read(told["3.mp4"], draw, np.random.default_rng(draw))
        first, *_, last = numbers_of(sample.pixels)
        assert sample.dsg.ticks == last // 4 - first // 4 + 1  # four of 24 frames are a tick
        words = {fact.predicate for fact in sample.dsg.facts}
        assert words == {
            word for word, tick in (("run", first // 4), ("jump", last // 4)) if (tick < 3) == (word == "run")
        }


def test_the_key_follows_from_content_and_settings_alone(folder: Path, own_folder: Path, tmp_path: Path) -> None:
    def key(root: Path, **more: Any) -> str:
        return open_corpus(section(root, tmp_path / f"{root.name}.jsonl", **more)).key

    first = key(folder)
    assert key(own_folder) == first, "another place, other dates, the same clips"
    assert key(folder, workers=0) == first
    others = [key(folder, stride=2), key(folder, frames=5), key(folder, buckets=True), key(folder, fps=4)]
    (own_folder / "1.txt").write_text("Another caption.")
    others.append(key(own_folder))
    assert len({first, *others}) == 6


def test_buckets_keep_shapes(folder: Path, tmp_path: Path) -> None:
    corpus = open_corpus(section(folder, tmp_path / "notes.jsonl", buckets=True))
    assert corpus.buckets is not None
    for clip in range(corpus.clips):
        shape = corpus.read(clip, 0, np.random.default_rng(0)).pixels.shape[1:3]
        assert shape == ((48, 88) if int(corpus.name(clip)[0]) >= 5 else (64, 64))
    assert len(set(corpus.buckets.tolist())) == 2
    assert {sample.pixels.shape for sample in corpus.held_out()} == {(4, 64, 64, 3)}


def test_clips_bounds_the_corpus_and_looks_into_few_files(folder: Path, tmp_path: Path) -> None:
    notes = tmp_path / "notes.jsonl"
    corpus = open_corpus(section(folder, notes, clips=2))
    assert corpus.clips == 2
    looked_into = [json.loads(line)["file"] for line in notes.read_text().splitlines() if line]
    assert len(looked_into) < 9
    assert [corpus.name(clip) for clip in (0, 1)] == [
        open_corpus(section(folder, notes, clips=2)).name(clip) for clip in (0, 1)
    ]


def test_a_file_that_breaks_gives_way_to_another_of_its_size(own_folder: Path, tmp_path: Path) -> None:
    corpus = open_corpus(section(own_folder, tmp_path / "notes.jsonl", buckets=True))
    assert corpus.buckets is not None
    broken = 2
    path = own_folder / corpus.name(broken)
    path.write_bytes(path.read_bytes()[:500])
    for draw in range(8):
        one, again = (corpus.read(broken, draw, np.random.default_rng(draw)) for _ in range(2))
        assert one.clip == again.clip != broken
        assert corpus.buckets[one.clip] == corpus.buckets[broken]
        assert one.captions == corpus.told(one.clip).captions
        assert set(one.replaced) == {f"{path.name} (the file is gone or has changed)"}
    assert corpus.read(0, 0, np.random.default_rng(0)).replaced == ()


def test_a_run_keeps_the_clips_it_began_with(own_folder: Path, tmp_path: Path, capsys: Any) -> None:
    def opened(root: Path) -> VideoCorpus:
        return VideoCorpus(section(root, tmp_path / "notes.jsonl"), begun)

    begun = tmp_path / "clips.jsonl.gz"
    first = opened(own_folder)
    first.note(begun)
    (own_folder / first.name(2)).write_bytes(b"no video any more")
    (own_folder / first.name(4)).with_suffix(".txt").write_text("Other words.")
    (own_folder / "0.5.mp4").write_bytes((own_folder / first.name(3)).read_bytes())
    (own_folder / "0.5.txt").write_text("A clip added later.")
    moved = own_folder.rename(tmp_path / "moved")
    again = opened(moved)
    assert (
        f"1 of the run's 8 clips are gone or have changed, such as {first.name(2)}: undecod" in capsys.readouterr().err
    )
    assert [again.name(clip) for clip in range(again.clips)] == [first.name(clip) for clip in range(first.clips)]
    assert again.key == first.key, "caches are found again"
    assert again.told(4).captions == first.told(4).captions
    for draw in range(4):
        sample = again.read(2, draw, np.random.default_rng(draw))
        assert set(sample.replaced) == {f"{first.name(2)} (the file is gone or has changed)"}
        assert again.read(3, draw, np.random.default_rng(draw)).replaced == ()
    (held_out,) = again.held_out()
    for path in moved.glob("*.txt"):
        if path.read_text() == held_out.caption:
            path.with_suffix(".mp4").unlink()
    with pytest.raises(UserError, match=r"all other clips held out are gone or have changed; restore one"):
        opened(moved)
    begun.write_bytes(begun.read_bytes()[:-20])
    with pytest.raises(UserError, match=r"clips\.jsonl\.gz: the list of the run's clips is damaged"):
        opened(moved)


def test_when_nothing_can_be_read_any_more_the_run_stops(own_folder: Path, tmp_path: Path) -> None:
    corpus = open_corpus(section(own_folder, tmp_path / "notes.jsonl"))
    for path in own_folder.glob("*.mp4"):
        path.unlink()
    with pytest.raises(UserError, match=f"^{TRIES} clips in a row cannot be read, the last .*still in its place"):
        corpus.read(0, 0, np.random.default_rng(0))


def test_a_scene_graph_that_breaks_a_rule_rejects_its_clip(own_folder: Path, tmp_path: Path) -> None:
    (own_folder / "3.dsg.json").write_text('{"format": "dysenvdm.dsg/1", "ticks": 0}')
    checked = check_clips(section(own_folder, tmp_path / "notes.jsonl"), held_out=False)
    (bad,) = [rejected for rejected in checked.rejected if rejected.reason == "bad scene graph"]
    assert bad.id == "3.mp4"
    assert "3.dsg.json" in bad.detail


def test_a_half_downloaded_set_is_an_error_unless_allowed(own_folder: Path, tmp_path: Path) -> None:
    annotations = tmp_path / "clips.jsonl"
    names = [*(f"{number}.mp4" for number in range(8)), "lost-1.mp4", "lost-2.mp4"]
    annotations.write_text("".join(json.dumps({"file": name, "text": "A dog."}) + "\n" for name in names))
    data = section(own_folder, tmp_path / "notes.jsonl")
    data.source = data.source.model_copy(update={"annotations": annotations})
    with pytest.raises(UserError, match=r"\d of \d+ folder clips are in .*fewer than data.may_miss=0.1 allows"):
        open_corpus(data)
    assert open_corpus(data.model_copy(update={"may_miss": 0.5})).clips == 7


def test_no_usable_clip_is_one_line_with_the_reasons(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        open_corpus(section(folder, tmp_path / "notes.jsonl", frames=30))
    assert "none of the folder clips can be used: 8 too short, 1 undecodable; the first is " in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"spread": True, "fps": 8}, "leave fps and stride out"),
        ({"size": 96, "buckets": True}, "multiple of 64"),
        ({"source": {"kind": "stage"}, "fps": 8, "examined": None}, "fps is for videos"),
        ({"source": {"kind": "activitynet", "root": "a", "annotations": "b"}}, "set data.spread"),
        ({"source": {"kind": "ucf101", "root": "a", "lists": "b", "split": 4}}, "split"),
        ({"source": {"kind": "kinetics"}}, "kind"),
    ],
)
def test_sections_that_contradict_themselves_are_refused(tmp_path: Path, more: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        section(tmp_path, tmp_path / "notes", **more)
