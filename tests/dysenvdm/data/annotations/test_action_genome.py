"""Action Genome's pickles as released, Charades' lists beside them, and pickles that want to run code."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dysenvdm.data.annotations.action_genome import ActionGenome, spoken
from dysenvdm.data.annotations.plain_pickle import read_pickle
from dysenvdm.data.annotations.timeline import BadAnnotation, scene_graph
from planners.dsg import UserError


def thing(name: str, visible: bool = True, **relations: Any) -> dict[str, Any]:
    return {
        "class": name,
        "bbox": (1.0, 2.0, 30.0, 40.0) if visible else None,
        "attention_relationship": relations.get("attention"),
        "spatial_relationship": relations.get("spatial"),
        "contacting_relationship": relations.get("contacting"),
        "visible": visible,
        "metadata": {"tag": "001YG.mp4/table/000001", "set": "train"},
    }


def things() -> dict[str, Any]:
    """Holding a cup, then sitting on a chair, four seconds each: the middle frame of every second at 10 fps."""
    cup = thing(
        "cup/glass/bottle", attention=["looking_at"], spatial=["in_front_of"], contacting=["holding", "touching"]
    )
    chair = thing("chair", attention=["unsure"], spatial=["beneath"], contacting=["sitting_on"])
    table = thing("table", visible=False)
    return {f"001YG.mp4/{10 * i + 6:06}.png": [cup if i < 4 else chair, table] for i in range(8)}


def people() -> dict[str, Any]:
    frame = {"bbox": np.array([[1, 2, 3, 4]], np.float32), "bbox_score": np.float32(0.9), "bbox_size": (480, 270)}
    return {key: frame if i else frame | {"bbox": np.zeros((0, 4), np.float32)} for i, key in enumerate(things())}


def genome(folder: Path, content: Any = None, protocol: int = 2) -> Path:
    (folder / "person_bbox.pkl").write_bytes(pickle.dumps(people(), protocol))
    (folder / "object_bbox_and_relationship.pkl").write_bytes(
        pickle.dumps(things() if content is None else content, protocol)
    )
    return folder


def charades(folder: Path, actions: str = "c000 0.00 4.00;c001 4.00 99.00;c002 60.00 70.00") -> Path:
    (folder / "Charades_v1_train.csv").write_text(
        "id,subject,scene,quality,relevance,verified,script,objects,descriptions,actions,length\n"
        f'001YG,S1,Kitchen,6,7,Yes,"A person drinks from a glass, then sits.",cup,He drinks.;He sits.,{actions},8.00\n'
    )
    (folder / "Charades_v1_mapping.txt").write_text("c000 o001 v000\nc001 o002 v001\nc002 o000 v002\n")
    (folder / "Charades_v1_objectclasses.txt").write_text("o000 None\no001 cup/glass/bottle\no002 chair\n")
    (folder / "Charades_v1_verbclasses.txt").write_text("v000 drink\nv001 sit\nv002 sneeze\n")
    return folder


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_relations_become_facts_of_person_and_thing(tmp_path: Path, protocol: int) -> None:
    footage = ActionGenome(genome(tmp_path, protocol=protocol)).footage("001YG", 80, 10.0)
    dsg = scene_graph(footage, 8)
    said = {(fact.subject, fact.predicate, fact.object): (fact.start, fact.end) for fact in dsg.facts}
    assert said == {
        ("person", "look at", "cup"): (0, 4),
        ("person", "hold", "cup"): (0, 4),
        ("person", "touch", "cup"): (0, 4),
        ("cup", "in front of", "person"): (0, 4),
        ("person", "sit on", "chair"): (4, 8),
        ("chair", "beneath", "person"): (4, 8),
    }
    assert {thing.id for thing in dsg.objects} == {"person", "cup", "chair"}


def test_an_annotated_frame_speaks_for_a_second_around_it(tmp_path: Path) -> None:
    content = {key: value for i, (key, value) in enumerate(things().items()) if i in (0, 5)}
    footage = ActionGenome(genome(tmp_path, content)).footage("001YG", 200, 10.0)
    assert {statement.frames for statement in footage.statements} == {(0, 16), (45, 66)}


def test_captions_and_actions_come_from_charades(tmp_path: Path) -> None:
    footage = ActionGenome(genome(tmp_path), charades(tmp_path)).footage("001YG", 80, 10.0)
    assert footage.captions == ("A person drinks from a glass, then sits.", "He drinks.", "He sits.")
    dsg = scene_graph(footage, 8)
    assert {(fact.subject, fact.predicate, fact.object, fact.start, fact.end) for fact in dsg.facts} >= {
        ("person", "drink", "glass", 0, 4),
        ("person", "hold", "glass", 0, 4),
        ("person", "sit on", "chair", 4, 8),
    }
    assert "sneeze" not in {fact.predicate for fact in dsg.facts}  # behind the video's end


def test_a_thing_is_called_as_the_caption_calls_it() -> None:
    assert spoken("cup/glass/bottle", ("Two bottles stand there",)) == "bottle"
    assert spoken("cup/glass/bottle", ()) == "cup"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"001YG.mp4/000001.png": [thing("cup", contacting=["kissing"])]}, r"000001\.png\[0\]: .*'kissing'"),
        ({"001YG.mp4/000001.png": [thing("cup"), {"class": "cup"}]}, r"000001\.png\[1\]: visible"),
        ({"001YG.mp4/000001.png": thing("cup")}, "a list of things"),
        ({"001YG.mp4/000900.png": []}, "the video has 80 frames"),
    ],
)
def test_what_is_wrong_with_a_video_is_named_with_its_place(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(BadAnnotation, match=message):
        ActionGenome(genome(tmp_path, content)).footage("001YG", 80, 10.0)


@pytest.mark.parametrize("actions", ["c000 0.00", "c900 0.00 1.00", "c000 3.00 2.00"])
def test_a_bad_action_is_named(tmp_path: Path, actions: str) -> None:
    with pytest.raises(BadAnnotation, match=f"actions: '{actions}'"):
        ActionGenome(genome(tmp_path), charades(tmp_path, actions)).footage("001YG", 80, 10.0)


def test_a_key_that_names_no_frame_is_a_rejected_one(tmp_path: Path) -> None:
    read = ActionGenome(genome(tmp_path, {**things(), "../x/1.png": []}))
    assert read.videos == ["001YG"]
    assert [(one.id, one.reason) for one in read.rejected] == [("../x/1.png", "bad annotation")]


class Harm:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.target),)


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_that_runs_code_is_refused_before_it_has_run(tmp_path: Path, protocol: int) -> None:
    path = tmp_path / "x.pkl"
    path.write_bytes(pickle.dumps({"a": [1, Harm(tmp_path / "harm")]}, protocol))
    with pytest.raises(UserError, match=r"it names posix\.mkdir"):
        read_pickle(path)
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize("protocol", range(6))
def test_plain_data_comes_back_as_it_was(tmp_path: Path, protocol: int) -> None:
    data = {
        "a": [1, 2.5, None, "é", b"\xff", (True,)],
        "b": np.arange(6, dtype=np.float32).reshape(2, 3),
        "c": np.int64(3),
    }
    path = tmp_path / "x.pkl"
    path.write_bytes(pickle.dumps(data, protocol))
    read = read_pickle(path)
    np.testing.assert_array_equal(read.pop("b"), data.pop("b"))
    assert read == data


def test_files_that_are_missing_or_damaged_are_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"person_bbox\.pkl: cannot be read"):
        ActionGenome(tmp_path)
    genome(tmp_path)
    whole = (tmp_path / "person_bbox.pkl").read_bytes()
    for content in (b"", whole[: len(whole) // 2], b"not a pickle"):
        (tmp_path / "person_bbox.pkl").write_bytes(content)
        with pytest.raises(UserError, match=r"person_bbox\.pkl: not a pickle"):
            ActionGenome(tmp_path)
    with pytest.raises(UserError, match=r"Charades_v1_train\.csv"):
        ActionGenome(genome(tmp_path), tmp_path)
    charades(tmp_path)
    (tmp_path / "Charades_v1_verbclasses.txt").unlink()
    with pytest.raises(UserError, match=r"Charades_v1_verbclasses\.txt: not there"):
        ActionGenome(tmp_path, tmp_path)


def test_every_relationship_of_the_release_is_a_fact_or_states_none(tmp_path: Path) -> None:
    spatial = ["above", "beneath", "in_front_of", "behind", "on_the_side_of", "in"]
    contacting = [
        *("carrying", "covered_by", "drinking_from", "eating", "have_it_on_the_back", "holding", "leaning_on"),
        *("lying_on", "not_contacting", "other_relationship", "sitting_on", "standing_on", "touching", "twisting"),
        *("wearing", "wiping", "writing_on"),
    ]
    bed = thing("bed", attention=["looking_at", "not_looking_at", "unsure"], spatial=spatial, contacting=contacting)
    footage = ActionGenome(genome(tmp_path, {"001YG.mp4/000006.png": [bed]})).footage("001YG", 80, 10.0)
    assert len(footage.statements) == 26 - 4
