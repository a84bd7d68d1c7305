"""How right a reading is, frame by frame, beside the gold reading of the same clip.

The rule: in every frame the actors of both readings are matched by the overlap of their boxes, best first, at 0.3 or
more. An actor is *right* where the kind is; colour, garment, size, place, action and target are judged of matched
actors, action, colour and size counting as wrong where an actor was missed. In the frames right before and right after
a change of what somebody does, either of the two actions is right: the change itself takes a frame to show
(``actions_strict`` has no such leave). Targets are judged where there is one and the action is right. A prop is right
where its kind is and the boxes overlap that much; its colour and size are wrong where it was missed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from dysenvdm.stage.reading import Reading, Seen
from dysenvdm.stage.referee_maps import overlap
from dysenvdm.stage.world import ACTORS, PROPS

LEAST = 0.3
"""Overlap (intersection over union) from which two boxes can be one actor."""


FIGURES = (
    "actors", "precision", "colors", "garments", "sizes", "place", "actions", "actions_strict", "targets", "props",
    "prop_colors", "prop_sizes", "setting", "weather",
)  # fmt: skip
"""Actors: share of the gold ones that are seen; precision: of the seen ones that are there; place: mean overlap.

Sizes are judged of kinds that come in several, colours of props likewise.
"""


@dataclass
class Accuracy:
    """(right, judged) of one clip, by figure."""

    counts: dict[str, tuple[float, int]] = field(default_factory=dict)

    def add(self, name: str, right: float) -> None:
        value, judged = self.counts.get(name, (0.0, 0))
        self.counts[name] = (value + right, judged + 1)


def compared(reading: Reading, gold: Reading) -> Accuracy:
    """Hold a reading against the gold one of a clip of as many frames."""
    assert len(reading.frames) == len(gold.frames)
    result = Accuracy()
    result.add("setting", reading.setting == gold.setting)
    result.add("weather", reading.weather == gold.weather)
    doing = {ident: gold.track(ident) for ident in gold.actors}
    for f, (mine, golden) in enumerate(zip(reading.frames, gold.frames, strict=True)):
        pairs = _matched(_actors(mine), _actors(golden))
        right = {thing.ident for thing, other in pairs if thing.kind == other.kind}
        for seen in _actors(mine):
            result.add("precision", seen.ident in right)
        names = {thing.ident: other.ident for thing, other in pairs}
        for other in _actors(golden):
            thing = next((thing for thing, partner in pairs if partner is other), None)
            result.add("actors", thing is not None and thing.kind == other.kind)
            result.add("colors", thing is not None and thing.color == other.color)
            if ACTORS[other.kind].sizes:
                result.add("sizes", thing is not None and thing.size == other.size)
            if other.garment:
                result.add("garments", thing is not None and thing.garment == other.garment)
            if thing is not None:
                result.add("place", overlap(thing.box, other.box))
            track = doing[other.ident]
            leave = {track[g].action for g in (f - 1, f, f + 1) if g in track}
            result.add("actions", thing is not None and thing.action in leave)
            result.add("actions_strict", thing is not None and thing.action == other.action)
            if thing is not None and other.target and thing.action == other.action:
                result.add("targets", names.get(thing.target or "", thing.target) == other.target)
        _compare_props(result, _props(mine), _props(golden))
    return result


def _compare_props(result: Accuracy, mine: dict[str, Seen], golden: dict[str, Seen]) -> None:
    for kind, other in golden.items():
        thing = mine.get(kind)
        if thing is not None and overlap(thing.box, other.box) < LEAST:
            thing = None
        result.add("props", thing is not None)
        if other.color:
            result.add("prop_colors", thing is not None and thing.color == other.color)
        if PROPS[kind].sizes:
            result.add("prop_sizes", thing is not None and thing.size == other.size)


def _props(frame: Sequence[Seen]) -> dict[str, Seen]:
    return {thing.kind: thing for thing in frame if thing.kind in PROPS}


def _actors(frame: Sequence[Seen]) -> list[Seen]:
    return [thing for thing in frame if thing.kind in ACTORS]


def _matched(mine: Sequence[Seen], golden: Sequence[Seen]) -> list[tuple[Seen, Seen]]:
    options = [(overlap(a.box, b.box), i, j) for i, a in enumerate(mine) for j, b in enumerate(golden)]
    pairs: dict[int, int] = {}
    for value, i, j in sorted(options, reverse=True):
        if value >= LEAST and i not in pairs and j not in pairs.values():
            pairs[i] = j
    return [(mine[i], golden[j]) for i, j in pairs.items()]


def summed(parts: Sequence[Accuracy]) -> dict[str, float]:
    """Shares over all clips together, frames and actors weighing the same."""
    names = dict.fromkeys(name for part in parts for name in part.counts)
    totals = {name: [part.counts[name] for part in parts if name in part.counts] for name in names}
    return {name: sum(right for right, _ in pairs) / sum(n for _, n in pairs) for name, pairs in totals.items()}
