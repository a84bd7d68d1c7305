"""Does a video do what was asked? The referee's reading of it held against the scene graph it was made from.

What was asked is put as the eye would see it (:mod:`dysenvdm.stage.reading`): who falls keeps lying, who waves at
nobody in particular may do it in somebody's face. Actors are matched first: of one kind, the colour's agreement counts
before that of what they do. Everything else is compared through that match, as :mod:`planners.scores` compares plans.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import combinations

from dysenvdm.stage.captions import action_of, kind_of
from dysenvdm.stage.poses import KEPT
from dysenvdm.stage.reading import SEEN_AS, Look, Reading, SeenEvent
from dysenvdm.stage.world import ACTORS, COLORS, PROPS, SIZES, WEATHERS
from planners.dsg import DynamicSceneGraph


@dataclass(frozen=True)
class Asked:
    """What a scene graph asks of a video of so many frames, in the words of the Stage world.

    ``looks`` are those of actors and ``props`` those of props, "" where nothing is said. ``unknown``: how many planned
    facts name an action or an actor that the world does not have, and cannot be judged.
    """

    looks: dict[str, Look]
    props: dict[str, Look]
    events: tuple[SeenEvent, ...]
    unknown: int


def asked(dsg: DynamicSceneGraph, frames: int) -> Asked:
    """Actors, their looks, and events with the frames in which they are to be seen."""
    named = {thing.id: kind_of(thing.label) or thing.label for thing in dsg.objects}
    kinds = {ident: kind for ident, kind in named.items() if kind in ACTORS}
    looks = {ident: _look(dsg, ident, kind) for ident, kind in kinds.items()}
    props = {ident: _look(dsg, ident, kind) for ident, kind in named.items() if kind in PROPS}
    facts = [fact for fact in dsg.facts if fact.predicate and fact.source in ("plan", "user")]
    known = [(fact, action) for fact in facts if (action := action_of(fact.predicate or "")) and fact.subject in kinds]
    events = []
    for fact, action in known:
        start, end = (-(-tick * frames // dsg.ticks) for tick in (fact.start, fact.end))
        if action in KEPT:
            later = [-(-other.start * frames // dsg.ticks) for other, _ in known if other.subject == fact.subject]
            end = min((other for other in later if other >= end), default=frames)
        target = fact.object if fact.object is None or fact.object in kinds else named[fact.object]
        events.append(SeenEvent(fact.subject, action, target, start, end))
    events.sort(key=lambda event: event.start)
    return Asked(looks, props, tuple(events), len(facts) - len(known))


def _look(dsg: DynamicSceneGraph, ident: str, kind: str) -> Look:
    words = " ".join(fact.attribute for fact in dsg.facts if fact.subject == ident and fact.attribute).split()
    color = next((word for word in words if word in COLORS), "")
    garment = next((word for word in words if kind in ACTORS and word in ACTORS[kind].garments), "")
    size = next((word for word in words if word in SIZES), "")
    return Look(kind, garment, color, size)


@dataclass(frozen=True)
class Faithfulness:
    """Counts of one video, to be added up; every pair is (how many are right, how many there are)."""

    actors: tuple[float, int]
    """Asked actors that are seen."""
    extra: tuple[float, int]
    """Seen actors that nobody asked for, per asked actor."""
    precision: tuple[float, int]
    """Seen events that were asked for: agent, action and target."""
    recall: tuple[float, int]
    """Asked events that are seen: agent, action and target."""
    action: tuple[float, int]
    """Asked events whose action is seen, whoever does it."""
    right_actor: tuple[float, int]
    """Of these, those that the right actor does."""
    right_target: tuple[float, int]
    """Events with a target that the right actor does, those with the right target."""
    order: tuple[float, int]
    """Pairs of recalled events in the asked relation: before, at the same time, after."""
    interval_iou: tuple[float, int]
    """Overlap in time of recalled events with the asked interval."""
    attributes: tuple[float, int]
    """Stated or imagined colours of seen actors and props that are right."""
    clothes: tuple[float, int]
    """Stated or imagined garments of seen actors that are right."""
    sizes: tuple[float, int]
    """Stated or imagined sizes of seen actors and props that are right."""
    identity: tuple[float, int]
    """Frames in which a matched actor is seen with the kind and colour that it has in most, out of all frames."""
    setting: tuple[float, int]
    weather: tuple[float, int]


FIGURES = tuple(field.name for field in fields(Faithfulness))


def faithfulness(reading: Reading, dsg: DynamicSceneGraph) -> Faithfulness:
    """Hold the reading of a video against the scene graph that it was made from."""
    frames = len(reading.frames)
    wanted = asked(dsg, frames)
    ids = _matched_actors(reading, wanted)
    names = {ident: ids.get(ident, ident if ident not in reading.actors else "") for ident in reading.looks}
    seen = [
        (names[e.agent], e.predicate, names.get(e.target, e.target) if e.target else None, e) for e in reading.events
    ]
    matched = _matched_events(seen, wanted)
    done = [event for event in wanted.events if any(_satisfies(p, event) for _, p, _, _ in seen)]
    by_right = [event for event in done if any(a == event.agent and _satisfies(p, event) for a, p, _, _ in seen)]
    aimed = [event for event in by_right if event.target]
    hit = [
        event
        for event in aimed
        if any(a == event.agent and _satisfies(p, event) and t == event.target for a, p, t, _ in seen)
    ]
    relations = [(_relation(a, c) == _relation(b, d)) for (a, b), (c, d) in combinations(matched, 2)]
    pairs = [(look, wanted.looks[ids[ident]]) for ident, look in reading.looks.items() if ident in ids]
    pairs += [(reading.looks[look.kind], look) for look in wanted.props.values() if look.kind in reading.looks]
    surroundings = {fact.object for fact in dsg.facts if fact.predicate in ("in", "on", "at") and fact.object}
    places = {thing.label for thing in dsg.objects if thing.id in surroundings}
    weathers, settings = places & WEATHERS.keys(), places - WEATHERS.keys()
    return Faithfulness(
        actors=(len(ids), len(wanted.looks)),
        extra=(len(reading.actors) - len(ids), len(wanted.looks)),
        precision=(len(matched), len(seen)),
        recall=(len(matched), len(wanted.events)),
        action=(len(done), len(wanted.events)),
        right_actor=(len(by_right), len(done)),
        right_target=(len(hit), len(aimed)),
        order=(sum(relations), len(relations)),
        interval_iou=(sum(_interval_iou(a, b) for a, b in matched), len(matched)),
        attributes=_agreed([(seen.color, asked.color) for seen, asked in pairs]),
        clothes=_agreed([(seen.garment, asked.garment) for seen, asked in pairs]),
        sizes=_agreed([(seen.size, asked.size) for seen, asked in pairs]),
        identity=(sum(_kept(reading, ident) for ident in ids), frames * len(ids)),
        setting=(float(reading.setting in settings), int(bool(settings))),
        weather=(float(reading.weather in weathers), int(bool(weathers))),
    )


def _agreed(pairs: Sequence[tuple[str, str]]) -> tuple[float, int]:
    """(How many words that were seen are those asked for, how many were asked for)."""
    judged = [(seen, wanted) for seen, wanted in pairs if wanted]
    return float(sum(seen == wanted for seen, wanted in judged)), len(judged)


def added(found: Sequence[Faithfulness]) -> Faithfulness:
    """The counts of several videos together."""
    totals = {name: [getattr(one, name) for one in found] for name in FIGURES}
    sums = {name: (sum(right for right, _ in pairs), sum(n for _, n in pairs)) for name, pairs in totals.items()}
    return Faithfulness(**sums)


def summary(found: Sequence[Faithfulness]) -> dict[str, float]:
    """Shares over all videos together (micro averages); nan where there is nothing to judge."""
    whole = added(found)
    pairs = {name: getattr(whole, name) for name in FIGURES}
    return {name: right / n if n else float("nan") for name, (right, n) in pairs.items()}


def _matched_actors(reading: Reading, wanted: Asked) -> dict[str, str]:
    """Idents of the reading -> ids of the scene graph, for actors of one kind."""
    options = []
    for i, ident in enumerate(reading.actors):
        mine = reading.looks[ident]
        track = reading.track(ident)
        for j, (other, look) in enumerate(wanted.looks.items()):
            if mine.kind == look.kind:
                agreed = sum(
                    f in track and _satisfies(track[f].action, event)
                    for event in wanted.events
                    if event.agent == other
                    for f in range(event.start, event.end)
                )
                same = (-(mine.color == look.color), -(mine.garment == look.garment), -(mine.size == look.size))
                options.append((*same, -agreed, -len(track), i, j))
    matched: dict[int, int] = {}
    for *_, i, j in sorted(options):
        if i not in matched and j not in matched.values():
            matched[i] = j
    wishes = list(wanted.looks)
    return {reading.actors[i]: wishes[j] for i, j in matched.items()}


def _satisfies(predicate: str, event: SeenEvent) -> bool:
    """Whether that action is, to the eye, the asked one."""
    return predicate in (event.predicate, SEEN_AS.get(event.predicate))


def _matched_events(
    seen: Sequence[tuple[str, str, str | None, SeenEvent]], wanted: Asked
) -> list[tuple[SeenEvent, SeenEvent]]:
    """Pairs (seen event, asked event) that say the same; of several the one that overlaps more."""
    options = [
        (-_interval_iou(mine, event), i, j)
        for i, (agent, predicate, target, mine) in enumerate(seen)
        for j, event in enumerate(wanted.events)
        if agent == event.agent
        and _satisfies(predicate, event)
        and (target == event.target or (event.target is None and predicate != event.predicate))
    ]
    pairs: dict[int, int] = {}
    for _, i, j in sorted(options):
        if i not in pairs and j not in pairs.values():
            pairs[i] = j
    return [(seen[i][3], wanted.events[j]) for i, j in pairs.items()]


def _relation(a: SeenEvent, b: SeenEvent) -> int:
    """-1 where a ends before b begins, 1 the other way round, 0 where they overlap; a frame of overlap is forgiven."""
    if a.end <= b.start + 1 and a.start < b.start:
        return -1
    return 1 if b.end <= a.start + 1 and b.start < a.start else 0


def _interval_iou(a: SeenEvent, b: SeenEvent) -> float:
    both = min(a.end, b.end) - max(a.start, b.start)
    return max(0, both) / (max(a.end, b.end) - min(a.start, b.start))


def _kept(reading: Reading, ident: str) -> int:
    look = reading.looks[ident]
    return sum(thing.kind == look.kind and thing.color == look.color for thing in reading.track(ident).values())
