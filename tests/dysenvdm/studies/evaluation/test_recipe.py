"""The shipped recipes follow the paper's protocols, and what could not be measured in the end is refused at once."""

from __future__ import annotations

import pytest

from dysenvdm.metrics import find
from dysenvdm.studies.evaluation.recipe import load_recipe
from dysenvdm.training.shipped import shipped_recipes
from planners.dsg import UserError

SHIPPED = ("activitynet", "msrvtt", "stage", "ucf101")


def test_all_of_them_ship_and_train_nothing() -> None:
    assert tuple(shipped_recipes("eval")) == SHIPPED
    assert not {name for name in shipped_recipes() if name.startswith("eval")}


@pytest.mark.parametrize("name", SHIPPED)
def test_each_is_valid_and_can_be_measured(name: str) -> None:
    recipe = load_recipe(name, [], None)
    assert recipe.name == name
    assert recipe.data.source.kind == name
    assert recipe.generation.frames == recipe.data.frames == 16
    assert recipe.generation.size == recipe.data.size
    for metric in recipe.metrics:
        assert find(metric)


def test_the_papers_protocols() -> None:
    ucf, msrvtt, activitynet = (load_recipe(name, [], None) for name in ("ucf101", "msrvtt", "activitynet"))
    for recipe in (ucf, msrvtt, activitynet):
        assert recipe.metrics["fvd"] == {"clips": 2048, "runs": 10, "frames": 16}
        assert recipe.data.size == 256
        assert recipe.generation.fps == 8
    assert {"fvd", "kvd", "is"} <= ucf.metrics.keys()
    assert {"fid", "clipsim"} <= msrvtt.metrics.keys()
    assert msrvtt.videos == 2990


@pytest.mark.parametrize(
    ("name", "changes", "limit", "message"),
    [
        ("ucf101", [], 8, r"fvd: needs at least 2048 videos, and 8 would be made; .*metrics\.fvd\.clips=8"),
        ("stage", [], 1, "fvd-stage: needs at least 2 videos, and 1 would be made"),
        ("stage", ["metrics.fdv={}"], None, r"metric 'fdv': not known; did you mean '(fvd|kvd|fid)'"),
        ("stage", ["metrics.motion.speed=1"], None, "motion: settings: .*it knows: none"),
        ("stage", ["split=trained"], None, "split: 'trained' is none of stage; choose one of val, test, new-pairs"),
        ("ucf101", ["split=test"], None, "split: 'test' is none of ucf101; choose one of trained, held_out"),
        ("stage", ["events=[6]"], None, "events 6: split test has 1 to 5; split more-events has more"),
        ("stage", ["data.scenes.from=none"], None, "trirec: needs planned scene graphs"),
        ("ucf101", ["metrics.faithfulness={}"], None, "faithfulness: needs gold graphs and gold videos, and ucf101"),
        ("ucf101", ["data.scenes.from=gold"], None, "no gold scene graphs"),
        ("ucf101", ["first=3"], None, "first"),
        ("stage", ["generation.stepps=3"], None, "did you mean steps"),
        ("stag", [], None, "did you mean stage"),
    ],
)
def test_bad_input_is_named(name: str, changes: list[str], limit: int | None, message: str) -> None:
    with pytest.raises(UserError, match=message):
        load_recipe(name, changes, limit)
