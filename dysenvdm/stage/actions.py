"""What the people and animals of the Stage world do: every action with who can do it, to what, and for how long.

Times are beats: a quarter of a second, two frames of a clip of 8 frames a second. Lengths are pixels of a 64-pixel
picture.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from dysenvdm.stage.world import ACTORS, PROPS, SEATS

BEATS = 8
"""Beats of the shortest clip, which has 16 frames."""
FRAMES_PER_BEAT = 2
SHORTEST_ACT = 2
"""Beats."""
_LONG = 24
"""Beats that somebody waves or dances at most."""

STANDS: dict[str, float] = {"box": 12.0, "bench": 8.0, "rock": 8.5, "table": 13.5}
"""Props that people climb onto, with the height at which they stand there."""


@dataclass(frozen=True, eq=False)
class Action:
    """One verb: its lemma is the event's predicate, ``third`` and ``gerund`` are its forms in captions.

    An act on two things names one of them in its verb: ``hand the ball to`` has the ``thing`` "ball", which its agent
    holds, and whoever gets it for a target.

    ``move`` is how it changes places and what it needs:

    - ``stay`` where one is, facing the target if there is one; ``left`` and ``right``; ``go`` ends beside the target
    - ``over`` jumps to the target's other side, ``onto`` sits on it, ``climb`` stands on it
    - ``push``, ``pull`` and ``kick`` move the target; ``pick`` takes it up; ``put``, ``throw``, ``bounce`` need it held
    - ``hug``, ``shake``, ``pet``, ``hand`` touch somebody; ``toss`` throws to somebody; ``chase``, ``follow`` and
      ``ride`` take somebody along

    ``agents`` are kinds of actors. ``targets`` are kinds of props and actors, "actor", "person" or "animal".
    ``speed`` is in pixels per beat, lowest and highest; ``shortest`` and ``longest`` bound the duration in beats;
    ``last`` ends the agent's part.
    """

    lemma: str
    third: str
    gerund: str
    move: str
    agents: frozenset[str]
    targets: frozenset[str] = frozenset()
    speed: tuple[float, float] = (0, 0)
    shortest: int = SHORTEST_ACT
    longest: int = _LONG
    last: bool = False
    weight: float = 1.0
    thing: str = ""

    @property
    def at_actors(self) -> bool:
        """Whether an actor can be the target."""
        return bool(self.targets - PROPS.keys())

    def aims_at(self, kind: str) -> bool:
        """Whether a prop or actor of that kind can be the target."""
        if kind in PROPS:
            return kind in self.targets
        group = "person" if ACTORS[kind].person else "animal"
        return bool(self.targets & {kind, group, "actor"})


_PEOPLE = frozenset(kind for kind, actor in ACTORS.items() if actor.person)
_ALL = frozenset(ACTORS)
_FOUR_LEGGED = frozenset(kind for kind, actor in ACTORS.items() if actor.body == "four legs")
_BIRDS = frozenset(kind for kind, actor in ACTORS.items() if actor.body == "bird")
_STRONG = _ALL - _BIRDS - {"cat"}
_WALK, _RUN, _SLOW = (3.4, 5.0), (6.2, 7.6), (3.0, 3.6)
_STROLL, _HUNT = (4.2, 4.8), (4.5, 7.6)
_RUNNERS = _ALL - _BIRDS
_LOW = frozenset({"box", "ball", "rock"})
_ROLLING = frozenset({"box", "wagon"})
_MOUNTS = frozenset({"horse", "elephant"})
_GOALS = frozenset(PROPS) | {"actor"}
_PERSON, _ACTOR = frozenset({"person"}), frozenset({"actor"})
_PORTABLE = tuple(kind for kind, prop in PROPS.items() if prop.portable)
_THROWN = tuple(kind for kind in ("ball", "hat", "flower", "book") if kind in PROPS)


def _handling(thing: str) -> Iterable[Action]:
    """What people do with a thing that they can hold."""
    it = frozenset({thing})
    yield Action("pick up", "picks up", "picking up", "pick", _PEOPLE, it, longest=5, weight=3)
    yield Action("put down", "puts down", "putting down", "put", _PEOPLE, it, longest=5, weight=1.2)
    if thing in _THROWN:
        yield Action("throw", "throws", "throwing", "throw", _PEOPLE, it, shortest=3, longest=5, weight=1.2)
        yield _with(thing, "throw", "throws", "throwing", "toss", _PERSON, weight=1.5)
    yield _with(thing, "hand", "hands", "handing", "hand", _PERSON, weight=2)
    yield _with(thing, "carry", "carries", "carrying", "go", _GOALS - it, _WALK, weight=0.25)


def _with(
    thing: str,
    verb: str,
    third: str,
    gerund: str,
    move: str,
    targets: frozenset[str],
    speed: tuple[float, float] = (0, 0),
    weight: float = 1.0,
) -> Action:
    """ "hand the ball to"."""
    to = f"the {thing} to"
    return Action(
        f"{verb} {to}", f"{third} {to}", f"{gerund} {to}", move, _PEOPLE, targets, speed,
        shortest=3 if move == "toss" else SHORTEST_ACT, longest=_LONG if move == "go" else 5,
        weight=weight, thing=thing,
    )  # fmt: skip


def _merged(actions: Iterable[Action]) -> dict[str, Action]:
    """By lemma; the same verb for several things is one action with all of them as targets."""
    found: dict[str, Action] = {}
    for action in actions:
        known = found.get(action.lemma)
        found[action.lemma] = (
            action if known is None else Action(**{**vars(action), "targets": known.targets | action.targets})
        )
    return found


ACTIONS: dict[str, Action] = _merged(
    (
        Action("walk to", "walks to", "walking to", "go", _ALL, _GOALS, _WALK, weight=4),
        Action("run to", "runs to", "running to", "go", _RUNNERS, _GOALS, _RUN, longest=5, weight=3),
        Action("walk to the left", "walks to the left", "walking to the left", "left", _ALL, speed=_STROLL, weight=1.1),
        Action(
            "walk to the right", "walks to the right", "walking to the right", "right", _ALL, speed=_STROLL, weight=1.1
        ),
        Action(
            "run to the left", "runs to the left", "running to the left", "left", _RUNNERS, speed=_RUN, longest=6,
            weight=1.1,
        ),
        Action(
            "run to the right", "runs to the right", "running to the right", "right", _RUNNERS, speed=_RUN, longest=6,
            weight=1.1,
        ),
        Action("jump over", "jumps over", "jumping over", "over", _ALL, _LOW, shortest=3, longest=5, weight=3),
        Action("kick", "kicks", "kicking", "kick", _PEOPLE | {"horse"}, frozenset({"ball"}), longest=5, weight=2.0),
        Action("push", "pushes", "pushing", "push", _STRONG, _ROLLING | _PERSON, _SLOW, 3, 12, weight=1.6),
        Action("sit on", "sits on", "sitting on", "onto", _PEOPLE, frozenset(SEATS), shortest=3, weight=2.4),
        Action("hug", "hugs", "hugging", "hug", _PEOPLE, _PERSON, shortest=3, longest=12, weight=7),
        Action("wave at", "waves at", "waving at", "stay", _PEOPLE, _ACTOR, weight=1.4),
        Action("wave", "waves", "waving", "stay", _PEOPLE),
        Action("jump", "jumps", "jumping", "stay", _ALL, weight=0.8),
        Action("spin", "spins", "spinning", "stay", _PEOPLE | _BIRDS | {"dog", "cat"}, weight=0.6),
        Action("dance", "dances", "dancing", "stay", _PEOPLE, weight=1.5),
        Action("fall down", "falls down", "falling down", "stay", _PEOPLE, longest=6, last=True, weight=2.0),
        Action(
            "lie down", "lies down", "lying down", "stay", _PEOPLE | _FOUR_LEGGED, shortest=3, last=True, weight=0.6
        ),
        Action("sit down", "sits down", "sitting down", "stay", frozenset({"dog", "cat"}), shortest=3),
        Action("flap its wings", "flaps its wings", "flapping its wings", "stay", _BIRDS, weight=1.6),
        Action("clap", "claps", "clapping", "stay", _PEOPLE, weight=0.8),
        Action("bow", "bows", "bowing", "stay", _PEOPLE, longest=8, weight=0.8),
        Action("stretch", "stretches", "stretching", "stay", _PEOPLE, shortest=3, weight=0.6),
        Action("crouch down", "crouches down", "crouching down", "stay", _PEOPLE, longest=12, weight=0.8),
        Action("turn a cartwheel", "turns a cartwheel", "turning a cartwheel", "stay", _PEOPLE, longest=5, weight=0.7),
        Action("roll over", "rolls over", "rolling over", "stay", frozenset({"dog", "cat"}), longest=6),
        Action("rear up", "rears up", "rearing up", "stay", frozenset({"horse", "elephant"}), longest=8),
        Action("point at", "points at", "pointing at", "stay", _PEOPLE, _GOALS, longest=12, weight=1.0),
        Action("pull", "pulls", "pulling", "pull", _STRONG, _ROLLING, _SLOW, 3, 12, weight=1.6),
        Action("climb onto", "climbs onto", "climbing onto", "climb", _PEOPLE, frozenset(STANDS), longest=6, weight=2),
        Action("bounce", "bounces", "bouncing", "bounce", _PEOPLE, frozenset({"ball"}), weight=2.0),
        Action("chase", "chases", "chasing", "chase", _RUNNERS, _ACTOR, _HUNT, 2, 6, weight=4),
        Action("follow", "follows", "following", "follow", _ALL, _ACTOR, _WALK, 3, 10, weight=2),
        Action(
            "shake hands with", "shakes hands with", "shaking hands with", "shake", _PEOPLE, _PERSON, longest=8,
            weight=6.0,
        ),
        Action("pet", "pets", "petting", "pet", _PEOPLE, frozenset({"animal"}), longest=12, weight=4),
        Action("ride", "rides", "riding", "ride", _PEOPLE, _MOUNTS, _SLOW, 4, 12, last=True, weight=150),
        *(action for thing in _PORTABLE for action in _handling(thing)),
    )
)  # fmt: skip
