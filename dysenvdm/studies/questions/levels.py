"""The levels of a study: what is asked at each, drawn from clips of the Stage world that no model has seen."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field, replace
from itertools import count, cycle
from random import Random

from dysenvdm.stage import StageClip, sample
from dysenvdm.stage.actions import FRAMES_PER_BEAT
from dysenvdm.stage.captions import MAX_WORDS, STYLES
from dysenvdm.stage.captions.teller import Telling, tell
from dysenvdm.stage.compositions import SPLITS
from dysenvdm.stage.gold import gold_dsg, gold_plan
from dysenvdm.studies.comparison.prompts import Asked
from dysenvdm.studies.questions.recipe import ALIKE, MAX_TICKS, StudyRecipe, Variant
from planners.dsg import UserError

IN_ORDER, OUT_OF_ORDER = "in order", "out of order"
TELLINGS = (*STYLES, OUT_OF_ORDER)
WITH, WITHOUT = "with", "without"
_TRIES = 60
"""Tellings that are drawn of one script until one is as wanted."""
_PATIENCE = 2000
"""Clips in a row that may be of no use before a level is given up."""


@dataclass(frozen=True)
class Level:
    """``asked`` have their gold plans and clips; imagined facts are vetoed where ``imagined`` is not; ``clips`` is the
    number of clips that the level's own model is trained on; ``variant`` says how its videos are made."""

    name: str
    asked: tuple[Asked, ...]
    imagined: bool = True
    clips: int | None = None
    variant: Variant = field(default_factory=Variant)


def levels(recipe: StudyRecipe, limit: int | None = None) -> list[Level]:
    """All levels, each with ``recipe.n`` different captions, or ``limit``; raises :class:`UserError` for a level that
    the world does not have."""
    n = min(recipe.n, limit or recipe.n)
    if recipe.factor == "telling":
        return _tellings(recipe, n)
    if recipe.factor in ALIKE:
        asked = _alike(recipe, n)
        return [_of_alike(recipe, level, asked) for level in recipe.levels]
    return [_level(recipe, level, n) for level in recipe.levels]


def _of_alike(recipe: StudyRecipe, level: int | str, asked: tuple[Asked, ...]) -> Level:
    name = str(level)
    if recipe.factor == "imagination" and name not in (WITH, WITHOUT):
        raise UserError(f"levels: {name!r}: imagination has {WITH} and {WITHOUT}")
    variant = recipe.variants.get(name, Variant())
    clips = level if recipe.factor == "clips" and isinstance(level, int) else None
    return Level(name, asked, imagined=name != WITHOUT and variant.imagined, clips=clips, variant=variant)


def _alike(recipe: StudyRecipe, n: int) -> tuple[Asked, ...]:
    """The captions of all levels; where they are balanced, in turn of each number of events, and told in each order."""
    if not recipe.balanced:
        return _drawn(_clips(recipe), n, "all")
    counts = recipe.events if "events" in recipe.balanced and recipe.events else (None,)
    sources = [_clips(recipe if one is None else replace_events(recipe, one)) for one in counts]
    found: dict[str, Asked] = {}
    for i, clips in zip(range(n), cycle(sources), strict=False):
        order = (OUT_OF_ORDER if i // len(sources) % 2 else IN_ORDER) if "order" in recipe.balanced else None
        found |= _one_more(clips, order, found)
    return tuple(found.values())


def _one_more(clips: Iterator[StageClip], order: str | None, known: Collection[str]) -> dict[str, Asked]:
    """The first caption that is new and told in that order; what is one event has no other than its own."""
    for _, clip in zip(range(_PATIENCE), clips, strict=False):
        told = order if len(clip.script.acts) > 1 else None
        one = _ordered(clip, told) if told else Asked(clip.caption, clip.plan, clip.dsg, clip)
        if one is not None and one.prompt not in known:
            return {one.prompt: one}
    raise UserError(f"balanced: only {len(known)} captions found; ask for fewer with --limit")


def _level(recipe: StudyRecipe, level: int | str, n: int) -> Level:
    name = str(level)
    if recipe.factor == "events":
        return Level(name, _drawn(_clips(replace_events(recipe, level)), n, name))
    if recipe.factor == "actors":
        return Level(name, _drawn(_clips(recipe.model_copy(update={"actors": (level,)})), n, name))
    if recipe.factor == "frames":
        return Level(name, _drawn(_clips(recipe.model_copy(update={"frames": level})), n, name))
    wanted = _words(name)
    return Level(name, _drawn(_clips(recipe), n, name, lambda one: len(one.prompt.split()) in wanted))


def replace_events(recipe: StudyRecipe, level: int | str) -> StudyRecipe:
    """The recipe with that number of events."""
    return recipe.model_copy(update={"events": (level,)})


def _words(name: str) -> range:
    found = re.fullmatch(r"(\d+)-(\d+)", name)
    if found is None or int(found[1]) > int(found[2]):
        raise UserError(f"levels: {name!r}: words are a range, 10-19")
    return range(int(found[1]), int(found[2]) + 1)


def _clips(recipe: StudyRecipe) -> Iterator[StageClip]:
    """Clips of the split that has such numbers of events and actors, from the first one on."""
    split = "test"
    if recipe.events and min(recipe.events) not in SPLITS[split].events:
        split = "more-events"
    if recipe.actors and min(recipe.actors) not in SPLITS[split].actors:
        split = "more-actors"
    ticks = recipe.ticks
    if ticks is None and recipe.frames is not None:  # clips that are as long as their events need are never too long
        ticks = min(recipe.frames // FRAMES_PER_BEAT, MAX_TICKS)
    for number in count(recipe.first):
        yield sample(
            number,
            split=split,
            events=recipe.events,
            actors=recipe.actors,
            frames=recipe.frames,
            ticks=ticks,
        )


def _drawn(
    clips: Iterator[StageClip], n: int, level: str, fits: Callable[[Asked], bool] = lambda _: True
) -> tuple[Asked, ...]:
    """The first ``n`` that fit and whose caption no earlier one has."""
    found: dict[str, Asked] = {}
    useless = 0
    for clip in clips:
        one = Asked(clip.caption, clip.plan, clip.dsg, clip)
        if one.prompt in found or not fits(one):
            useless += 1
            if useless > _PATIENCE:
                raise UserError(f"level {level}: only {len(found)} captions found; ask for fewer with --limit")
            continue
        useless = 0
        found[one.prompt] = one
        if len(found) == n:
            break
    return tuple(found.values())


# -- one script told in several ways -----------------------------------------------------------------------------------


def _tellings(recipe: StudyRecipe, n: int) -> list[Level]:
    """The same clips in every level: those of which each wanted telling was found."""
    unknown = next((level for level in recipe.levels if level not in TELLINGS), None)
    if unknown is not None:
        raise UserError(f"levels: {unknown!r}: there are the tellings {', '.join(TELLINGS)}")
    found: dict[str, dict[str, Asked]] = {str(level): {} for level in recipe.levels}
    for clip in _clips(recipe):
        told = [(name, _told(clip, name)) for name in found]
        if all(one is not None and one.prompt not in found[name] for name, one in told):
            for name, one in told:
                assert one is not None
                found[name][one.prompt] = one
        if all(len(mine) == n for mine in found.values()):
            break
    return [Level(name, tuple(mine.values())) for name, mine in found.items()]


def _told(clip: StageClip, name: str) -> Asked | None:
    """The clip with a telling of that style, its events in order; or told plainly, but out of order."""
    style, order = ("plain", OUT_OF_ORDER) if name == OUT_OF_ORDER else (name, IN_ORDER)
    return _retold(clip, style, order, Random(f"{clip.seed} {name}"))


def _ordered(clip: StageClip, order: str) -> Asked | None:
    """The clip in the style of its caption, told in that order."""
    if order_of(clip) == order:
        return Asked(clip.caption, clip.plan, clip.dsg, clip)
    return _retold(clip, clip.tellings[0].style, order, Random(f"{clip.seed} {order}"))


def order_of(clip: StageClip) -> str:
    """Whether its caption tells the events in their order."""
    return OUT_OF_ORDER if OUT_OF_ORDER in clip.tellings[0].phrasing else IN_ORDER


def _retold(clip: StageClip, style: str, order: str, rng: Random) -> Asked | None:
    for _ in range(_TRIES):
        telling = tell(clip.script, clip.wording, style, rng)
        if (OUT_OF_ORDER in telling.phrasing) == (order == OUT_OF_ORDER) and telling.words <= MAX_WORDS:
            return _asked(clip, telling)
    return None


def _asked(clip: StageClip, telling: Telling) -> Asked:
    plan = gold_plan(clip.script, telling.text, clip.wording)
    graph = gold_dsg(clip.script, telling.text, clip.wording)
    return Asked(telling.text, plan, graph, replace(clip, tellings=(telling,)))
