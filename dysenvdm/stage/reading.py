"""What can be read off a Stage clip: who is where in every frame, looks how, and does what to whom.

A reading comes from a clip's script (:func:`gold_reading`) or from pixels (:mod:`dysenvdm.stage.referee`). Both follow
the eye, which cannot see all that a script knows:

- An action whose last pose is kept (falling, lying, sitting) lasts, to the eye, until its actor's next one.
- Somebody who waves and faces somebody waves at them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from dysenvdm.stage.actions import ACTIONS
from dysenvdm.stage.clip import StageClip
from dysenvdm.stage.motion import actor_track
from dysenvdm.stage.poses import KEPT
from dysenvdm.stage.script import Act, Script
from dysenvdm.stage.world import ACTORS, COLORS, PROPS, SETTINGS, SIZES, WEATHERS

SEEN_AS = {"wave": "wave at"}
"""Actions without a target -> what they look like where their actor faces somebody."""


class Vocabulary(BaseModel):
    """The words of the world that a referee was trained on; "" means none."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    actors: tuple[str, ...] = tuple(ACTORS)
    props: tuple[str, ...] = tuple(PROPS)
    colors: tuple[str, ...] = tuple(COLORS)
    garments: tuple[str, ...] = ("", *sorted({garment for actor in ACTORS.values() for garment in actor.garments}))
    actions: tuple[str, ...] = ("", *ACTIONS)
    settings: tuple[str, ...] = tuple(SETTINGS)
    sizes: tuple[str, ...] = ("", *SIZES)
    weathers: tuple[str, ...] = ("", *WEATHERS)

    @property
    def kinds(self) -> tuple[str, ...]:
        return (*self.actors, *self.props)


Box = tuple[float, float, float, float]
"""x0, y0, x1, y1 in 0..1 of the picture, y downwards."""


class Look(NamedTuple):
    """What somebody or something looks like; "" for none, of a size for the usual one."""

    kind: str
    garment: str
    color: str
    size: str


@dataclass(frozen=True)
class Seen:
    """A thing or actor in one frame; ``garment`` and ``action`` are "" for none, ``size`` is for the usual one."""

    ident: str
    kind: str
    box: Box
    garment: str = ""
    color: str = ""
    action: str = ""
    target: str | None = None
    size: str = ""

    @property
    def look(self) -> Look:
        return Look(self.kind, self.garment, self.color, self.size)


@dataclass(frozen=True)
class SeenEvent:
    """What an actor does from frame ``start`` to before frame ``end``."""

    agent: str
    predicate: str
    target: str | None
    start: int
    end: int


@dataclass(frozen=True)
class Reading:
    """A clip as it was seen; idents are stable over its frames. ``weather`` is "" on a clear day."""

    setting: str
    frames: tuple[tuple[Seen, ...], ...]
    weather: str = ""

    @cached_property
    def looks(self) -> dict[str, Look]:
        """What every actor and prop looks like in most of its frames."""
        seen: dict[str, list[Look]] = {}
        for frame in self.frames:
            for thing in frame:
                seen.setdefault(thing.ident, []).append(thing.look)
        return {ident: Look(*(_most(values) for values in zip(*looks, strict=True))) for ident, looks in seen.items()}

    @property
    def actors(self) -> list[str]:
        return [ident for ident, look in self.looks.items() if look.kind in ACTORS]

    def track(self, ident: str) -> dict[int, Seen]:
        """Frame -> what was seen of one actor or prop."""
        return {f: thing for f, frame in enumerate(self.frames) for thing in frame if thing.ident == ident}

    @cached_property
    def events(self) -> tuple[SeenEvent, ...]:
        """Runs of frames in which an actor does one thing, in order of their start.

        A frame at odds with both its neighbours takes their side, so that events are two frames long at least.
        """
        found = []
        for ident in self.actors:
            track = self.track(ident)
            done = [(track[f].action, track[f].target) if f in track else ("", None) for f in range(len(self.frames))]
            found += [SeenEvent(ident, *what, start, end) for what, start, end in _runs(_smoothed(done)) if what[0]]
        return tuple(sorted(found, key=lambda event: (event.start, event.agent)))


Doing = tuple[str, str | None]


def _most(values: Sequence[str]) -> str:
    return max(dict.fromkeys(values), key=values.count)


def _smoothed(done: Sequence[Doing]) -> list[Doing]:
    """A frame unlike both neighbours becomes like the one before it; before the start and after the end is nothing."""
    nothing: Doing = ("", None)
    result = [nothing, *done, nothing]
    for f in range(1, len(result) - 1):
        if result[f] not in (result[f - 1], result[f + 1]):
            result[f] = result[f - 1]
    return result[1:-1]


def _runs(done: Sequence[Doing]) -> list[tuple[Doing, int, int]]:
    cuts = [0, *(f for f in range(1, len(done)) if done[f] != done[f - 1]), len(done)]
    return [(done[start], start, end) for start, end in pairwise(cuts) if start < end]


def visible_acts(script: Script, frames: int) -> list[tuple[Act, int, int]]:
    """The script's acts as the eye has them (see the module's head), each with its frames ``[f0, f1)``."""
    visible = []
    for act in script.acts:
        f0, f1 = script.frames_of(act, frames)
        if act.predicate in KEPT:
            starts = [script.frames_of(other, frames)[0] for other in script.acts_of(act.agent)]
            f1 = min((start for start in starts if start >= f1), default=frames)
        if act.predicate in SEEN_AS:
            faced = _faced(script, act.agent, f0, frames)
            act = replace(act, predicate=SEEN_AS[act.predicate], target=faced) if faced else act
        visible.append((act, f0, f1))
    return visible


def _faced(script: Script, agent: str, frame: int, frames: int) -> str | None:
    """Whom an actor looks at in a frame: the nearest on the side it faces."""
    tracks = {role.id: actor_track(script, role, frames) for role in script.roles}
    me = tracks.pop(agent)
    ahead = {ident: (other.x[frame] - me.x[frame]) * me.facing[frame] for ident, other in tracks.items()}
    return min((ident for ident, way in ahead.items() if way > 0), key=lambda ident: ahead[ident], default=None)


def gold_reading(clip: StageClip) -> Reading:
    """What a perfect eye sees in the clip: things in their order from back to front."""
    roles = {role.id: role for role in clip.script.roles}
    props = {prop.id: prop for prop in clip.script.props}
    doing: dict[tuple[str, int], tuple[str, str | None]] = {}
    for act, f0, f1 in visible_acts(clip.script, clip.frames):
        doing.update({(act.agent, f): (act.predicate, act.target) for f in range(f0, f1)})
    frames = []
    for f in range(clip.frames):
        seen = []
        for ident, boxes in clip.boxes.items():
            box = _box(boxes[f])
            if ident in roles:
                role = roles[ident]
                action, target = doing.get((ident, f), ("", None))
                seen.append(Seen(ident, role.kind, box, role.garment, role.color, action, target, role.size))
            else:
                prop = props[ident]
                seen.append(Seen(ident, prop.kind, box, color=prop.shown_color, size=prop.size))
        frames.append(tuple(seen))
    return Reading(clip.setting, tuple(frames), clip.script.weather)


def _box(row: NDArray[np.float32]) -> Box:
    x0, y0, x1, y1 = (float(value) for value in row)
    return x0, y0, x1, y1
