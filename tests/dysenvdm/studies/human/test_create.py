"""The page of a study: blind, balanced, the same for the same seed, and refusing what does not fit together."""

from __future__ import annotations

import base64
import json
import re
from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from dysenvdm.studies.human.create import Created, create
from dysenvdm.studies.human.files import Key, read
from dysenvdm.studies.human.pairing import systems
from dysenvdm.studies.human.videos import examine
from dysenvdm.video import read_mp4, read_recipe
from planners.dsg import UserError
from tests.dysenvdm.studies.human.conftest import PROMPTS, SECRET, write_videos

Study = Callable[..., Created]


def data_of(page: Path) -> Any:
    found = re.search(r'id="study">(.*?)</script>', page.read_text(encoding="utf-8"), re.DOTALL)
    assert found
    return json.loads(found[1])


def test_the_page_and_its_videos_tell_nothing_of_the_systems(study: Study, folders: dict[str, Path]) -> None:
    made = study(embed_mib=0, checks=1)
    names = {path.name for folder in folders.values() for path in folder.iterdir()} | {*folders, SECRET, "recipe"}
    for path in made.page.parent.rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        for name in names:
            assert name.encode() not in content, (path, name)
            assert name not in path.name
    copies = list((made.page.parent / "videos").iterdir())
    assert len(copies) == 6
    for path in copies:
        with av.open(str(path)) as file:
            assert not file.metadata.keys() - {"major_brand", "minor_version", "compatible_brands"}
        with pytest.raises(UserError, match="no recipe"):
            read_recipe(path)


def test_embedded_and_beside_show_the_same_videos(study: Study) -> None:
    inside, beside = study("a"), study("b", embed_mib=0)
    assert not (inside.page.parent / "videos").exists()
    assert (inside.beside, beside.beside) == (False, True)
    for one, other in zip(data_of(inside.page)["items"], data_of(beside.page)["items"], strict=True):
        for side in ("left", "right"):
            content = base64.b64decode(one[side].removeprefix("data:video/mp4;base64,"))
            assert content == (beside.page.parent / other[side]).read_bytes()


def test_the_key_says_which_video_is_which(study: Study, folders: dict[str, Path]) -> None:
    made = study(embed_mib=0)
    key = read(Key, made.key)
    assert sorted(item.prompt for item in key.items) == sorted(PROMPTS)
    for item, shown in zip(key.items, data_of(made.page)["items"], strict=True):
        assert item.id == shown["id"]
        for side in ("left", "right"):
            known = getattr(item, side)
            original = read_mp4(folders[known.system] / known.file).astype(int)
            copy = read_mp4(made.page.parent / shown[side]).astype(int)
            assert abs(original - copy).mean() < 3


def test_sides_are_balanced_and_everything_follows_from_the_seed(tmp_path: Path) -> None:
    folders = {n: write_videos(tmp_path / n, tint=60 * i, count=5, frames=2) for i, n in enumerate(("a", "b", "c"))}
    made = [create(folders, tmp_path / f"study-{i}", title="t", seed=seed) for i, seed in enumerate((0, 0, 1))]
    keys = [read(Key, one.key) for one in made]
    assert keys[0] == keys[1]
    assert made[0].page.read_bytes() == made[1].page.read_bytes()
    assert keys[0].items != keys[2].items
    assert len(keys[0].items) == 15
    for one, other in (("a", "b"), ("a", "c"), ("b", "c")):
        left = Counter(i.left.system for i in keys[0].items if {i.left.system, i.right.system} == {one, other})
        assert sorted(left.values()) == [2, 3]


def test_no_text_ends_the_script_or_becomes_part_of_the_page(study: Study) -> None:
    page = study().page.read_text(encoding="utf-8")
    assert page.count("</script>") == 2
    assert "alert(1)" in page  # as data
    assert {item["prompt"] for item in data_of(study("again").page)["items"]} == {*PROMPTS}


def test_the_policy_names_the_scripts_own_hash(study: Study) -> None:
    import hashlib

    page = study().page.read_text(encoding="utf-8")
    script = page[page.rindex("<script>") + 8 : page.rindex("</script>")]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}';" in page
    assert "default-src 'none'" in page


def test_checks_ask_for_an_answer_that_the_key_knows(study: Study) -> None:
    key = read(Key, study(checks=2).key)
    asked = [item for item in key.items if item.asked]
    assert len(asked) == 2
    assert key.items[0].asked is None
    for item in asked:
        assert item.asked
        assert f"answer {item.asked['left']} for the left" in item.prompt
        assert f"and {item.asked['right']} for the right" in item.prompt


def test_size_and_rate_change_only_when_asked(tmp_path: Path, folders: dict[str, Path]) -> None:
    large = folders | {"large": write_videos(tmp_path / "large", tint=90, size=48)}
    with pytest.raises(UserError, match=r"northern/0001.mp4 is 32x32 .*large/0001.mp4 48x48 .*--size"):
        create(large, tmp_path / "out", title="t")
    slow = folders | {"slow": write_videos(tmp_path / "slow", tint=90, fps=4, frames=3)}
    with pytest.raises(UserError, match=r"at 8 frames a second, .*slow/0001.mp4 32x32 at 4 .*--fps"):
        create(slow, tmp_path / "out", title="t")
    assert not (tmp_path / "out").exists()
    made = create(large | slow, tmp_path / "out", title="t", size=(64, 48), fps=Fraction(4), embed_mib=0)
    assert made.uneven == 0
    for path in (tmp_path / "out" / "videos").iterdir():
        video = examine(path)
        assert (video.size, video.fps, video.frames) == ((64, 48), 4, 3)


def test_a_higher_rate_repeats_frames(tmp_path: Path, folders: dict[str, Path]) -> None:
    made = create(folders, tmp_path / "out", title="t", fps=Fraction(16), embed_mib=0)
    key, data = read(Key, made.key), data_of(made.page)
    original = read_mp4(folders[key.items[0].left.system] / key.items[0].left.file).astype(int)
    copy = read_mp4(made.page.parent / data["items"][0]["left"]).astype(int)
    assert abs(original.repeat(2, axis=0) - copy).mean() < 3


def test_what_does_not_fit_is_named(tmp_path: Path, folders: dict[str, Path]) -> None:
    def refused(match: str, **options: Any) -> None:
        with pytest.raises(UserError, match=match) as error:
            create(options.pop("folders", folders), tmp_path / "out", title="t", **options)
        assert "\n" not in str(error.value)
        assert not (tmp_path / "out").exists()

    refused("2 prompts, but 3 videos", prompts=["a", "b"])
    refused("of the prompt 'A girl waves.', not 'x'", prompts=["x", "y", "z"])
    refused("--checks 4: there are 3 pairs", checks=4)
    (tmp_path / "empty").mkdir()
    refused("empty: no videos", folders=folders | {"empty": tmp_path / "empty"})
    fewer = write_videos(tmp_path / "fewer", tint=1, count=2)
    refused("has 3 videos, .*fewer 2: '0003' is only in .*northern", folders=folders | {"fewer": fewer})
    (folders["southern"] / "0002.mp4").write_bytes((folders["southern"] / "0002.mp4").read_bytes()[:600])
    refused("0002.mp4: cannot be read as a video")
    (tmp_path / "out.key.json").write_text("{}")
    with pytest.raises(UserError, match=r"out.key.json: is there"):
        create(folders, tmp_path / "out", title="t")


def test_systems_are_named_by_folder_or_by_name(tmp_path: Path, folders: dict[str, Path]) -> None:
    one, other = folders.values()
    assert systems([str(one), f"ours={other}"]) == {"northern": one, "ours": other}
    with pytest.raises(UserError, match="is called 'northern' too"):
        systems([str(one), f"northern={other}"])
    with pytest.raises(UserError, match="1 folder"):
        systems([str(one)])
    with pytest.raises(UserError, match="no such folder"):
        systems([str(one), "nothing"])
