"""Other words for the Stage world's actions, actors and props, and the way back to the world's own.

A word means one thing only, so that every caption has one meaning: no word is listed twice. Source: ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from dysenvdm.stage.actions import ACTIONS
from dysenvdm.stage.script import Script
from dysenvdm.stage.world import ACTORS, PROPS

_WITH_THINGS = {"carry": ("take", "bring"), "hand": ("pass", "give"), "throw": ("toss",)}

VERBS: dict[str, tuple[str, ...]] = {
    "walk to": ("stroll over to", "head to", "wander over to", "go over to", "walk over to"),
    "run to": ("dash to", "race to", "rush to", "sprint to", "run over to", "hurry over to"),
    "walk to the left": ("stroll to the left", "head to the left", "wander to the left"),
    "walk to the right": ("stroll to the right", "head to the right", "wander to the right"),
    "run to the left": ("dash to the left", "race to the left", "sprint to the left"),
    "run to the right": ("dash to the right", "race to the right", "sprint to the right"),
    "jump over": ("leap over", "hop over"),
    "push": ("shove",),
    "pull": ("drag", "tug"),
    "sit on": ("sit down on", "settle down on", "perch on"),
    "climb onto": ("climb up onto", "clamber onto"),
    "hug": ("embrace", "cuddle"),
    "wave at": ("wave to",),
    "point at": ("point to",),
    "jump": ("hop", "leap", "jump up"),
    "spin": ("twirl", "spin around", "twirl around"),
    "dance": ("dance around",),
    "clap": ("applaud",),
    "fall down": ("fall over", "topple over", "tumble down", "collapse"),
    "crouch down": ("crouch", "squat down"),
    "turn a cartwheel": ("do a cartwheel",),
    "sit down": ("sit",),
    "flap its wings": ("beat its wings", "flutter its wings"),
    "bounce": ("dribble",),
    "follow": ("walk behind", "trail"),
    "pet": ("stroke", "pat"),
    "pick up": ("lift up", "grab"),
    "put down": ("set down",),
    "throw": ("toss", "hurl"),
    **{
        action.lemma: tuple(f"{verb} the {action.thing} to" for verb in _WITH_THINGS[action.lemma.split()[0]])
        for action in ACTIONS.values()
        if action.thing
    },
}
"""Action -> other ways to say it, in the base form; a target follows."""

PASSIVE = frozenset(["push", "pull", "kick", "hug", "chase", "follow", "pet", "ride", "bounce", "throw"]) | {
    "pick up",
    "put down",
}
"""Actions whose target can be told first: "the box is pushed by a girl"."""

NOUNS: dict[str, tuple[str, ...]] = {
    "man": ("guy", "gentleman"),
    "woman": ("lady",),
    "boy": ("lad",),
    "girl": ("lass",),
    "dog": ("hound",),
    "cat": ("kitty",),
    "box": ("crate", "carton"),
    "rock": ("stone", "boulder"),
    "wagon": ("cart",),
}
"""Kind of actor or prop -> other names for it."""

_ACTIONS = {said: action for action, others in VERBS.items() for said in others}
_KINDS = {said: kind for kind, others in NOUNS.items() for said in others}
CANONICAL = 0.65
"""The share of clips told in the world's own words alone."""
_OTHER = 0.55
"""Elsewhere, how likely each word is another than the world's own."""


def action_of(predicate: str) -> str | None:
    """The world's action that a predicate names, "stroll over to" -> "walk to"; None for what it does not know."""
    return predicate if predicate in ACTIONS else _ACTIONS.get(predicate)


def kind_of(label: str) -> str | None:
    """The world's kind of actor or prop that a label names, "lady" -> "woman"; None for what it does not know."""
    return label if label in ACTORS or label in PROPS else _KINDS.get(label)


@dataclass(frozen=True)
class Wording:
    """The words in which all captions of a clip tell it, and in which its plan and scene graph speak therefore."""

    nouns: tuple[tuple[str, str], ...] = ()
    """(kind, name) of kinds that do not go by their own name; beings of one kind share it."""
    verbs: tuple[str, ...] = ()
    """The base form for each act; () where all go by the world's own."""

    def noun(self, kind: str) -> str:
        return dict(self.nouns).get(kind, kind)

    def verb(self, script: Script, act: int) -> str:
        return self.verbs[act] if self.verbs else script.acts[act].predicate


def chosen_wording(script: Script, rng: Random) -> Wording:
    """The world's own words, or synonyms here and there."""
    if rng.random() < CANONICAL:
        return Wording()

    def another(word: str, others: dict[str, tuple[str, ...]]) -> str:
        return rng.choice(others[word]) if word in others and rng.random() < _OTHER else word

    kinds = dict.fromkeys([*(role.kind for role in script.roles), *(prop.kind for prop in script.props)])
    nouns = ((kind, another(kind, NOUNS)) for kind in kinds)
    return Wording(
        tuple((kind, name) for kind, name in nouns if name != kind),
        tuple(another(act.predicate, VERBS) for act in script.acts),
    )
