"""Levels of a study: the factor varies, nothing else does, and clips are those that no model has seen."""

from __future__ import annotations

from collections import Counter
from typing import Any, get_args

import pytest

from dysenvdm.pipeline import DysenVDMPipeline
from dysenvdm.stage import sample
from dysenvdm.stage.compositions import SPLITS
from dysenvdm.stage.faithfulness import FIGURES
from dysenvdm.studies.comparison.contestants import read_contestants
from dysenvdm.studies.comparison.figures import SHOWN
from dysenvdm.studies.questions.figures import FURTHER
from dysenvdm.studies.questions.levels import Level, levels, order_of
from dysenvdm.studies.questions.recipe import Factor, StudyRecipe, load_study
from dysenvdm.studies.questions.scenes import scene_parts, triplets
from dysenvdm.training.recipe import load_recipe
from dysenvdm.training.shipped import find_recipe, shipped_recipes
from planners.dsg import UserError

SHIPPED = sorted(shipped_recipes("studies"))


def recipe(**given: Any) -> StudyRecipe:
    return StudyRecipe.model_validate({"question": "?", "planners": ["gold"], "n": 4, **given})


def prompts(level: Level) -> list[str]:
    return [one.prompt for one in level.asked]


@pytest.mark.parametrize("name", SHIPPED)
def test_every_recipe_that_ships_has_its_levels(name: str) -> None:
    _, shipped = load_study(name)
    found = levels(shipped, limit=2)
    assert [level.name for level in found] == [str(level) for level in shipped.levels]
    train = range(len(SPLITS["train"].seeds))
    for level in found:
        assert len({*prompts(level)}) == 2
        for one in level.asked:
            assert one.clip is not None
            assert one.clip.seed not in train
            assert one.gold_plan is not None
            assert one.gold_plan.ticks == (shipped.ticks or min(one.clip.frames // 2, 64))
            assert one.gold_plan.prompt == one.prompt == one.clip.caption


@pytest.mark.parametrize("name", SHIPPED)
def test_of_every_level_of_every_recipe_that_ships_videos_can_be_made(name: str, pipeline: DysenVDMPipeline) -> None:
    _, shipped = load_study(name)
    for level in levels(shipped, limit=8):
        for one in level.asked:
            assert one.clip is not None
            assert one.gold_dsg is not None
            assert one.gold_dsg.ticks <= one.clip.frames
            pipeline.check_inputs([one.prompt], [one.gold_dsg], [0], one.clip.frames, 25)


def test_every_factor_ships() -> None:
    assert {load_study(name)[1].factor for name in SHIPPED} == {*get_args(Factor)}


@pytest.mark.parametrize("name", SHIPPED)
def test_planners_and_trainings_of_every_recipe_that_ships_are_known(name: str) -> None:
    _, shipped = load_study(name)
    assert len(read_contestants(shipped.planners, levels(shipped, limit=1)[0].asked)) == len(shipped.planners)
    if shipped.training is not None:
        sets = [variant.set for variant in shipped.variants.values() if variant.set is not None] or [()]
        trained = {
            str(load_recipe(find_recipe(shipped.training.recipe), [*shipped.training.set, *more])) for more in sets
        }
        assert len(trained) == len(sets)  # each changes something


def test_variants_ask_the_same_and_are_the_levels() -> None:
    given = recipe(factor="variant", variants={"none": {"scene_mode": "none"}, "bare": {"imagined": False}})
    none, bare = levels(given)
    assert none.asked == bare.asked
    assert (none.name, none.imagined, none.variant.scene_mode) == ("none", True, "none")
    assert (bare.name, bare.imagined, bare.variant.scene_mode) == ("bare", False, None)
    assert StudyRecipe.model_validate(given.model_dump(mode="json")) == given


def test_balanced_captions_are_as_many_of_each_number_of_events_and_order() -> None:
    given = recipe(
        factor="planner", levels=["all"], events=[1, 2, 7], balanced=["events", "order"], frames=None, ticks=None, n=12
    )
    asked = levels(given)[0].asked
    clips = [one.clip for one in asked if one.clip]
    assert Counter((len(clip.script.acts), order_of(clip)) for clip in clips) == {
        (1, "in order"): 4, (2, "in order"): 2, (2, "out of order"): 2, (7, "in order"): 2, (7, "out of order"): 2,
    }  # fmt: skip
    assert all(one.clip and one.clip.caption == one.prompt for one in asked)
    assert prompts(levels(given, limit=5)[0]) == prompts(levels(given)[0])[:5]


def test_all_figures_of_faithfulness_can_be_chosen() -> None:
    assert sorted((*SHOWN.values(), *FURTHER.values())) == sorted(FIGURES)
    recipe(factor="planner", levels=["all"], videos=[*SHOWN, *FURTHER])


def test_events_and_actors_are_as_many_as_the_level_says() -> None:
    for level in levels(recipe(factor="events", levels=[1, 6], frames=None, ticks=32)):
        assert {len(one.gold_plan.events) for one in level.asked if one.gold_plan} == {int(level.name)}
    for level in levels(recipe(factor="actors", levels=[2, 4], events=[3])):
        clips = [one.clip for one in level.asked if one.clip]
        assert {len(clip.script.roles) for clip in clips} == {int(level.name)}
        assert {len(clip.script.acts) for clip in clips} == {3}


def test_tellings_are_of_the_same_scripts_and_out_of_order_where_they_say_so() -> None:
    found = {x.name: x for x in levels(recipe(factor="telling", levels=["plain", "terse", "out of order"], events=[3]))}
    for plain, terse, other in zip(*(found[name].asked for name in ("plain", "terse", "out of order")), strict=True):
        assert plain.clip is not None
        assert terse.clip is not None
        assert other.clip is not None
        assert plain.clip.script == terse.clip.script == other.clip.script
        assert plain.gold_plan is not None
        assert other.gold_plan is not None
        assert plain.gold_plan.events == other.gold_plan.events
        assert "out of order" not in plain.clip.tellings[0].phrasing
        assert "out of order" in other.clip.tellings[0].phrasing
        assert terse.clip.tellings[0].style == "terse"


def test_words_are_within_the_range_and_events_stay_as_many() -> None:
    for level in levels(recipe(factor="words", levels=["10-15", "25-40"], events=[3])):
        low, high = map(int, level.name.split("-"))
        assert all(low <= len(prompt.split()) <= high for prompt in prompts(level))


def test_length_is_in_frames() -> None:
    for level in levels(recipe(factor="frames", levels=[16, 64], events=[2], ticks=32)):
        assert {one.clip.frames for one in level.asked if one.clip} == {int(level.name)}


def test_ticks_left_open_are_half_the_frames() -> None:
    long = levels(recipe(factor="frames", levels=[16, 64, 240], events=[2], ticks=None))
    assert [{one.gold_dsg.ticks for one in level.asked if one.gold_dsg} for level in long] == [{8}, {32}, {64}]
    [many] = levels(recipe(factor="events", levels=[8], frames=None, ticks=None, n=6))
    found = {(one.clip.frames, one.gold_dsg.ticks) for one in many.asked if one.clip and one.gold_dsg}
    assert len(found) > 1
    assert all(frames == 2 * ticks for frames, ticks in found)


def test_a_smaller_limit_has_the_first_captions() -> None:
    many = recipe(factor="planner", levels=["all"], n=6)
    assert prompts(levels(many, limit=3)[0]) == prompts(levels(many)[0])[:3]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"factor": "events", "levels": ["one"]}, "factor events has numbers"),
        ({"factor": "events", "levels": [1, 1]}, "twice"),
        ({"factor": "clips", "levels": [100]}, "training"),
        ({"factor": "events", "levels": [1], "plans": ["events shown"]}, "no figure 'events shown'"),
        ({"factor": "events", "levels": [1], "colour": "red"}, "colour"),
        ({"factor": "events", "levels": []}, "at least one"),
        ({"factor": "events", "levels": [1], "variants": {"a": {}}}, "no other has them"),
        ({"factor": "events", "levels": [1], "balanced": ["order"]}, "draws its own captions"),
        ({"factor": "planner", "levels": ["all"], "balanced": ["events"]}, "which numbers"),
        ({"factor": "variant"}, "needs them"),
        ({"factor": "variant", "variants": {"a": {}}, "levels": ["b"]}, "leave them out"),
        ({"factor": "variant", "variants": {"a": {"scene_mode": "prompts"}}}, "scene_mode"),
        ({"factor": "variant", "variants": {"a": {"set": []}}}, "training"),
        ({"factor": "variant", "variants": {"a": {}}, "training": {"recipe": "x"}}, "training"),
    ],
)
def test_recipes_that_make_no_sense_are_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        recipe(**given)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"factor": "events", "levels": [9]}, "events 9"),
        ({"factor": "words", "levels": ["many"]}, "words are a range"),
        ({"factor": "words", "levels": ["1-1"]}, "level 1-1: only 0 captions"),
        ({"factor": "telling", "levels": ["sung"]}, "there are the tellings"),
        ({"factor": "imagination", "levels": ["half"]}, "imagination has with and without"),
    ],
)
def test_levels_that_the_world_does_not_have_are_named(
    given: dict[str, Any], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dysenvdm.studies.questions.levels._PATIENCE", 50)
    with pytest.raises(UserError, match=said):
        levels(recipe(**given))


def test_scene_figures_count_facts_once_and_copies_of_things_each() -> None:
    gold = sample(3, split="test").dsg
    assert scene_parts(gold, gold)["scene recall"] == (triplets(gold).total(),) * 2
    stated = gold.veto(("imagined",))
    parts = scene_parts(stated, gold)
    assert parts["scene precision"][0] == parts["scene precision"][1]
    assert parts["scene recall"][0] < parts["scene recall"][1]
