"""Captions: several tellings of one script, in order and out of order, short and long, in the world's words or others.

All tellings of a clip say the same: the same words for its acts and actors, the same looks or none, the setting or not;
they differ in order, connectives and grammar. So one plan and one scene graph belong to all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from random import Random

from dysenvdm.stage.captions.lexicon import Wording, action_of, chosen_wording, kind_of
from dysenvdm.stage.captions.teller import Telling, tell
from dysenvdm.stage.script import Script

__all__ = [
    "CANONICAL",
    "MAX_WORDS",
    "STYLES",
    "Telling",
    "Told",
    "Wording",
    "action_of",
    "kind_of",
    "phrasings",
    "told",
]

MAX_WORDS = 60
STYLES = {"plain": 0.65, "rich": 0.25, "terse": 0.1}
"""The mixture of styles."""


@dataclass(frozen=True)
class Told:
    """A script with its tellings; ``script`` says less than the one drawn where that would not fit into a caption."""

    script: Script
    wording: Wording
    tellings: tuple[Telling, ...]


def told(script: Script, rng: Random, count: int = 4) -> Told | None:
    """Up to ``count`` different tellings, the first as likely of any kind as the others.

    None where too much happens for :data:`MAX_WORDS` words: eight acts of twins, who never go by a pronoun.
    """
    wording = chosen_wording(script, rng)
    for less in _ever_less(script):
        styles = rng.choices(tuple(STYLES), tuple(STYLES.values()), k=2 * count)
        drawn = (tell(less, wording, style, rng) for style in styles)
        found = {telling.text: telling for telling in drawn if telling.words <= MAX_WORDS}
        if found:
            return Told(less, wording, tuple(found.values())[:count])
    return None


def _ever_less(script: Script) -> Iterator[Script]:
    """The script as it is, then with sizes left unsaid, then weather and setting, then colours that tell no twins.

    The looks of what somebody carries, throws or hands over are never said: the verb names it, "throws the ball to".
    """
    things = {act.thing for act in script.acts}
    props = tuple(replace(p, says_color=False, says_size=False) if p.id in things else p for p in script.props)
    script = replace(script, props=props)
    yield script
    roles = tuple(replace(role, says_size=False) for role in script.roles)
    yield (script := replace(script, roles=roles, props=tuple(replace(prop, says_size=False) for prop in props)))
    yield (script := replace(script, says_weather=False, says_setting=False))
    kinds = [role.kind for role in script.roles]
    roles = tuple(replace(role, says_color=kinds.count(role.kind) > 1) for role in script.roles)
    yield replace(script, roles=roles, props=tuple(replace(prop, says_color=False) for prop in script.props))
