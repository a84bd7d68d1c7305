"""Captions: several tellings of one script, in order and out of order, with pronouns and left-out subjects.

All tellings of a script say the same: the same actors' colours or none, the setting or not; they differ in words and
order.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from random import Random

from dysenvdm.stage.actions import ACTIONS
from dysenvdm.stage.script import Act, Role, Script, with_article
from dysenvdm.stage.world import ACTORS, PROPS, SETTINGS

_OBJECT_CASE = {"she": "her", "he": "him", "it": "it"}
_PLACES = {"room": "a room", "snow field": "a snow field"}


@dataclass(frozen=True)
class _Template:
    """A way to tell groups of acts. ``{1}`` is the first group to happen, ``{1s}`` one that may leave out its subject,
    ``{1g}`` one in the -ing form. ``single`` groups have one act; ``same`` needs one agent in all of these groups.
    """

    text: str
    single: str = ""
    same: str = ""

    def suits(self, groups: list[list[Act]]) -> bool:
        agents = {groups[int(i) - 1][0].agent for i in self.same}
        return len(agents) <= 1 and all(len(groups[int(i) - 1]) == 1 for i in self.single + self.same)


_TEMPLATES: dict[int, tuple[_Template, ...]] = {
    1: (_Template("{1}"),),
    2: (
        _Template("{1}, then {2s}"),
        _Template("{1} and then {2s}", single="1"),
        _Template("first {1}, then {2s}"),
        _Template("first {1}. Then {2}"),
        _Template("{1}. After that, {2}"),
        _Template("after {1}, {2}", single="1"),
        _Template("{1} before {2}", single="12"),
        _Template("{1} before {2g}", same="12"),
        _Template("after {1g}, {2}", same="12"),
        _Template("{2} after {1}", single="12"),
        _Template("{2} after {1g}", same="12"),
        _Template("before {2}, {1}", single="2"),
        _Template("before {2g}, {1}", same="12"),
    ),
    3: (
        _Template("{1}, then {2s}, then {3s}"),
        _Template("{1}, then {2s}, and finally {3s}"),
        _Template("first {1}, then {2s}, and finally {3s}"),
        _Template("{1}. Then {2}. After that, {3}"),
        _Template("after {1}, {2} and then {3s}", single="12"),
        _Template("after {1g}, {2}, and then {3s}", same="12"),
        _Template("{2} after {1}. Then {3}", single="12"),
        _Template("before {3}, {1} and then {2s}", single="13"),
        _Template("{1}, then {2s} before {3}", single="123"),
    ),
}
_TOGETHER = ("{a} while {b}", "{a} while {b}", "{a} as {b}", "{a} and at the same time {b}")
_PLACEHOLDER = re.compile(r"\{(\d)([sg]?)\}")


def phrasings(script: Script, rng: Random, count: int = 4) -> list[str]:
    """Up to ``count`` different captions, the first as likely of any kind as the others."""
    groups = [[script.acts[i] for i in group] for group in script.groups]
    templates = [template for template in _TEMPLATES[len(groups)] if template.suits(groups)]
    told = [_Teller(script, rng).tell(template, groups) for template in rng.choices(templates, k=2 * count)]
    return list(dict.fromkeys(told))[:count]


@dataclass
class _Teller:
    """Tells a script once, clause by clause; it knows who was mentioned and therefore whom a pronoun may mean."""

    script: Script
    rng: Random
    known: set[str] = field(default_factory=set)
    subject: str = ""
    target: str = ""
    article: str = ""

    def tell(self, template: _Template, groups: list[list[Act]]) -> str:
        self.article = self.rng.choice(("the", "a"))
        place = ""
        if self.script.says_setting:
            setting = self.script.setting
            place = f"{SETTINGS[setting]} {_PLACES.get(setting, 'the ' + setting)}"
        text = _PLACEHOLDER.sub(lambda hole: self._group(groups[int(hole[1]) - 1], hole[2]), template.text)
        if place:
            at_end = len(self.script.acts) == 1 and self.rng.random() < 0.5
            text = f"{text} {place}" if at_end else f"{place}, {text}"
        return text[0].upper() + text[1:] + "."

    def _group(self, acts: list[Act], form: str) -> str:
        """One act, or two that happen at the same time; who acted last comes first."""
        if len(acts) == 1:
            return self._clause(acts[0], form)
        first, second = acts if self.rng.random() < 0.5 else acts[::-1]
        if second.agent == self.subject:
            first, second = second, first
        told = self._clause(first, form)
        return self.rng.choice(_TOGETHER).format(a=told, b=self._clause(second, ""))

    def _clause(self, act: Act, form: str) -> str:
        action = ACTIONS[act.predicate]
        silent = form == "g" or (form == "s" and act.agent == self.subject and self.rng.random() < 0.35)
        subject = "" if silent else self._subject(act.agent)
        words = [subject, action.gerund if form == "g" else action.third]
        if act.target is not None:
            words.append(self._target(act.target, act.agent, subject))
        self.subject = act.agent
        self.target = act.target or ""
        return " ".join(word for word in words if word)

    def _subject(self, ident: str) -> str:
        role = self._role(ident)
        recent = ident in self.known and ident in (self.subject, self.target)
        if recent and self._clear(role) and self.rng.random() < 0.65:
            return ACTORS[role.kind].pronoun
        return self._name(role)

    def _target(self, ident: str, agent: str, subject: str) -> str:
        pronoun = self.rng.random() < 0.6
        if ident in PROPS:
            animals = any(not role.person and role.id in self.known for role in self.script.roles)
            if ident in self.known and ident == self.target and subject != "it" and not animals and pronoun:
                return "it"
            mention = f"the {ident}" if ident in self.known else f"{self.article} {ident}"
            self.known.add(ident)
            return mention
        role = self._role(ident)
        if ident in self.known and agent in self.known and self._clear(role) and subject != "it" and pronoun:
            return _OBJECT_CASE[ACTORS[role.kind].pronoun]
        return self._name(role)

    def _role(self, ident: str) -> Role:
        return next(role for role in self.script.roles if role.id == ident)

    def _clear(self, role: Role) -> bool:
        """Whether this role's pronoun can mean nobody else; "it" also means props."""
        pronouns = [ACTORS[other.kind].pronoun for other in self.script.roles if other is not role]
        mine = ACTORS[role.kind].pronoun
        return mine not in pronouns and not (mine == "it" and self.target in PROPS)

    def _name(self, role: Role) -> str:
        """ "a girl in a red coat" at first, "the girl" later; twins are always told apart."""
        new = role.id not in self.known
        self.known.add(role.id)
        twins = len({other.kind for other in self.script.roles}) < len(self.script.roles)
        attribute = role.attribute if (new and role.says_color) or twins else ""
        noun = (f"{role.kind} {attribute}" if role.person else f"{attribute} {role.kind}").strip()
        if not new:
            return f"the {noun}"
        return with_article(noun)
