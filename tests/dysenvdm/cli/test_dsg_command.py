"""``dysenvdm dsg``: what is shown is what the file says."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image

from planners.dsg import DynamicSceneGraph, Fact, SceneObject


def test_show_draws_the_timeline_and_every_segment(run, dsg: DynamicSceneGraph, dsg_file: Path) -> None:
    done = run("dsg", "show", dsg_file)
    assert done.code == 0
    assert dsg.prompt in done.out
    lines = {line.lstrip("0123456789 ").split("  ")[0]: line for line in done.out.splitlines()}
    assert lines["girl · walk to · box"].count("██") == 4
    assert lines["girl · happy"].count("██") == 3
    for segment in dsg.segments():
        assert f"ticks [{segment.start}, {segment.end})" in done.out
    assert "jump over → box" in done.out


def test_show_takes_any_label_as_text(run, dsg: DynamicSceneGraph, tmp_path: Path) -> None:
    label = "[bold]$x_1$[/nope] <&\x1b[31m 犬"
    dsg.extended([Fact(subject="girl", predicate=label, object="box", start=0, end=8, source="user")]).save(
        tmp_path / "odd.json"
    )
    assert "[bold]$x_1$[/nope] <&\ufffd[31m 犬" in run("dsg", "show", tmp_path / "odd.json").out


@pytest.mark.parametrize("suffix", [".svg", ".png"])
def test_show_draws_a_picture_with_equal_bytes_each_time(run, dsg_file: Path, tmp_path: Path, suffix: str) -> None:
    for name in ("a", "b"):
        assert run("dsg", "show", dsg_file, "-o", tmp_path / f"{name}{suffix}").code == 0
    data = (tmp_path / f"a{suffix}").read_bytes()
    assert data == (tmp_path / f"b{suffix}").read_bytes()
    if suffix == ".svg":
        text = " ".join(ElementTree.fromstring(data).itertext())
        assert all(words in text for words in ("girl · walk to · box", "jump over", "ticks [4, 5)", "imagined"))
    else:
        with Image.open(tmp_path / "a.png") as picture:
            assert len(picture.convert("RGB").getcolors(2**20) or ()) > 10


def test_show_refuses_other_pictures_and_missing_folders(run, only_line, dsg_file: Path, tmp_path: Path) -> None:
    assert ".svg or a .png" in only_line(run("dsg", "show", dsg_file, "-o", tmp_path / "a.gif"))
    assert "does not exist" in only_line(run("dsg", "show", dsg_file, "-o", tmp_path / "no" / "a.svg"))
    assert list(tmp_path.iterdir()) == [dsg_file]


def test_validate_names_every_broken_file(run, dsg_file: Path, tmp_path: Path) -> None:
    good = run("dsg", "validate", dsg_file)
    assert (good.code, good.err) == (0, "")
    assert "valid, 8 ticks, 2 objects, 3 facts, 3 segments" in good.out
    text = dsg_file.read_text()
    harms = {
        "format.json": text.replace("dysenvdm.dsg/1", "dysenvdm.dsg/99"),
        "interval.json": text.replace('"end": 4', '"end": 40'),
        "id.json": text.replace(
            '"subject": "girl", "predicate": "walk to"', '"subject": "boy", "predicate": "walk to"'
        ),
        "key.json": text.replace('"ticks"', '"tocks"'),
        "json.json": text[:-5],
    }
    for name, harmed in harms.items():
        (tmp_path / name).write_text(harmed)
    done = run("dsg", "validate", dsg_file, *(tmp_path / name for name in harms), tmp_path / "none.json")
    assert done.code == 2
    lines = done.err.strip().splitlines()
    assert len(lines) == len(harms) + 1
    assert all(name in line for name, line in zip([*harms, "none.json"], lines, strict=True))
    assert "valid" in done.out


def test_diff_lists_edits_and_says_by_its_code_whether_there_are_any(run, only_line, dsg, dsg_file, tmp_path) -> None:
    same = run("dsg", "diff", dsg_file, dsg_file)
    assert (same.code, same.out) == (0, "")
    dsg.veto(["imagined"]).save(tmp_path / "less.json")
    less = run("dsg", "diff", dsg_file, tmp_path / "less.json")
    assert (less.code, less.out.strip()) == (1, "- girl · happy [5, 8) imagined")
    DynamicSceneGraph(ticks=3).save(tmp_path / "short.json")
    assert "8 and 3 ticks" in only_line(run("dsg", "diff", dsg_file, tmp_path / "short.json"))


def test_veto_deletes_a_source_and_refuses_an_unknown_one(run, only_line, dsg, dsg_file: Path, tmp_path: Path) -> None:
    done = run("dsg", "veto", dsg_file, "--source", "imagined", "-o", tmp_path / "less.json")
    assert (done.code, "- girl · happy" in done.err) == (0, True)
    assert DynamicSceneGraph.load(tmp_path / "less.json") == dsg.veto(["imagined"])
    assert "'gossip'" in only_line(run("dsg", "veto", dsg_file, "--source", "gossip", "-o", tmp_path / "no.json"))
    assert not (tmp_path / "no.json").exists()


def test_edits_are_one_step_and_make_the_user_the_source(run, dsg: DynamicSceneGraph, dsg_file, tmp_path) -> None:
    number = 1 + [fact.label for fact in dsg.facts].index("jump over")
    more = '{"subject": "girl", "predicate": "near", "object": "dog", "start": 0, "end": 8}'
    done = run(
        "dsg", "edit", dsg_file, "-o", tmp_path / "edited.json",
        "--set", f"{number}.predicate=lie down", "--set", f"{number}.object=", "--set", "girl.label=woman",
        "--add", '{"id": "dog", "label": "dog"}', "--add", more, "--remove", 1,
    )  # fmt: skip
    assert done.code == 0, done.err
    after = DynamicSceneGraph.load(tmp_path / "edited.json")
    said = {(fact.subject, fact.label, fact.object, fact.source) for fact in after.facts}
    assert said == {
        ("girl", "lie down", None, "user"),
        ("girl", "near", "dog", "user"),
        ("girl", "happy", None, "imagined"),
    }
    assert after.object("girl").label == "woman"
    assert after.prompt == dsg.prompt


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "nothing to change"),
        (["--set", "9.end=2"], "no fact has the number"),
        (["--set", "1.end"], "WHAT.FIELD=VALUE"),
        (["--set", "1.source=plan"], "has no field 'source'"),
        (["--set", "1.end=soon"], "'soon' is not a tick"),
        (["--set", "².end=2"], "no fact has the number"),
        (["--set", "1.end=²"], "'²' is not a tick"),
        (["--set", "1.subject="], "subject"),
        (["--set", "1.end=99"], "beyond the graph's 8 ticks"),
        (["--remove", "girl"], "no object has the id 'girl'"),
        (["--add", "{"], "not valid JSON"),
        (["--add", '{"subject": "girl", "colour": "red", "start": 0, "end": 1}'], "colour"),
    ],
)
def test_an_edit_that_cannot_be_made_leaves_no_file(run, only_line, dsg_file, tmp_path, arguments, message) -> None:
    assert message in only_line(run("dsg", "edit", dsg_file, "-o", tmp_path / "edited.json", *arguments))
    assert list(tmp_path.iterdir()) == [dsg_file]


def test_audit_shows_the_words_and_its_code_tells_of_facts_without_them(run, dsg, dsg_file: Path, tmp_path) -> None:
    done = run("dsg", "audit", dsg_file)
    assert done.code == 0
    lines = {line.split("  ")[1].strip(): line for line in done.out.splitlines() if " · " in line}
    assert "girl walks to … box" in lines["girl · walk to · box"]
    assert "happy" in lines["girl · happy"].split("imagined")[1]
    claimed = Fact(subject="girl", predicate="eat", object="box", start=0, end=1, source="plan")
    dsg.extended([claimed]).save(tmp_path / "claimed.json")
    assert run("dsg", "audit", tmp_path / "claimed.json").code == 1


def test_a_picture_of_very_many_objects_and_segments_is_drawn(run, tmp_path: Path) -> None:
    things = tuple(SceneObject(id=f"o{i}", label="thing") for i in range(40))
    facts = tuple(
        Fact(subject=f"o{i}", predicate="near", object=f"o{i + 1}", start=i, end=i + 1, source="plan")
        for i in range(39)
    )
    DynamicSceneGraph(ticks=40, objects=things, facts=facts).save(tmp_path / "many.json")
    assert run("dsg", "show", tmp_path / "many.json", "-o", tmp_path / "many.png").code == 0
