"""Telling a script once, clause by clause: subjects, verbs, targets, and whom a pronoun may mean."""

from __future__ import annotations

import re
from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from random import Random

from dysenvdm.stage.captions.inflection import gerund, participle, third
from dysenvdm.stage.captions.lexicon import PASSIVE, Wording
from dysenvdm.stage.captions.structure import Run, outline
from dysenvdm.stage.script import Prop, Script, with_article
from dysenvdm.stage.world import ACTORS, SETTINGS, WEATHERS

Span = tuple[int, int]
"""Characters ``[start, end)`` of a caption."""

_ANY_GENDER = frozenset({"toddler"})
_OBJECT_CASE = {"she": "her", "he": "him", "it": "it"}
_PLACES = {"room": "a room", "snow field": "a snow field", "desert": "the desert", "farm": "a farm"}
_PLACES |= {"kitchen": "a kitchen", "lake shore": "a lake shore", "playground": "a playground", "forest": "a forest"}
_PAIRED = {
    "plain": ("{a} while {b}", "{a} while {b}", "{a} as {b}", "{a} and at the same time {b}"),
    "rich": ("{a} while {b}", "{a} as {b}", "{a} and at the same time {b}", "{a}, and meanwhile {b}"),
    "terse": ("{a} while {b}", "{a} as {b}"),
}
_PAIRED_APART = ("{a}. Meanwhile, {b}", "{a}. At the same time, {b}", "while {b}, {a}", "as {b}, {a}")
"""For acts that have a sentence to themselves."""
_PARTICLES = (" up", " down")
_PRONOUNS = {"plain": 0.65, "rich": 0.75, "terse": 0.0}
_SILENT = {"plain": 0.35, "rich": 0.45, "terse": 0.85}
_PASSIVE = 0.2
_LOOKS = ("in {}", "in {}", "wearing {}", "dressed in {}", "who wears {}")
_PLACEHOLDER = re.compile(r"\{(\d)([sgph]?)\}")
_MARK = re.compile(r"<([^|<>]+)\|([^<>]*)>")


@dataclass(frozen=True)
class Telling:
    """A caption, and where it says what of the script that it tells."""

    text: str
    style: str
    """``plain``, ``rich`` (more connectives, relative clauses, passives) or ``terse`` (without articles)."""
    order: tuple[int, ...]
    """The script's acts in the order in which they are told."""
    phrasing: tuple[str, ...]
    """``single`` has one event; others are ``simultaneous`` where some happen at the same time, ``out of order`` where
    one is told before another that happens first, perhaps both; ``chained`` are neither."""
    beyond: tuple[str, ...]
    """What makes it hard to read by clauses of subject, verb and target: ``passive``, ``perfect``, ``relative``."""
    verbs: tuple[Span, ...]
    """For each act the words of its predicate."""
    names: dict[str, Span]
    """For each actor and prop that is told the words of its label, where first named."""

    @property
    def words(self) -> int:
        return len(self.text.split())


def tell(script: Script, wording: Wording, style: str, rng: Random) -> Telling:
    """Draw one telling of a style."""
    return _Teller(script, wording, style, rng).tell()


@dataclass
class _Teller:
    """Tells a script once; it knows who was mentioned and therefore whom a pronoun may mean."""

    script: Script
    wording: Wording
    style: str
    rng: Random
    known: set[str] = field(default_factory=set)
    subject: str = ""
    target: str = ""
    named: set[str] = field(default_factory=set)
    """The props that were named by themselves, not only in a verb, "throws the ball to"."""
    things: set[str] = field(default_factory=set)
    """The props of the last clause."""
    active: bool = False
    """Whether a clause without a subject leans on the sentence's other subject, which must be who acts then."""
    silent: str = ""
    """Who may go without saying as the next clause's subject."""
    order: list[int] = field(default_factory=list)
    beyond: set[str] = field(default_factory=set)

    def tell(self) -> Telling:
        self.roles = {role.id: role for role in self.script.roles}
        self.props = {prop.id: prop for prop in self.script.props}
        self.article = self.rng.choice(("the", "a"))
        groups = [list(group) for group in self.script.groups]
        runs = outline([[self.script.acts[i] for i in group] for group in groups], self.style, self.rng)
        text = ". ".join(self._run(run, groups) for run in runs)
        places = [place for place in (self._setting(), self._weather()) if place]
        if places:
            at_end = len(self.script.acts) == 1 and self.rng.random() < 0.5
            place = " ".join(places)
            text = f"{text} {place}" if at_end else f"{place}, {text}"
        return self._unmarked(f"{text}.")

    # -- the whole ------------------------------------------------------------------------------------------------

    def _run(self, run: Run, groups: Sequence[list[int]]) -> str:
        alone = run.template.text == "{1}"
        self.active = "g}" in run.template.text or "h}" in run.template.text

        def told(hole: re.Match[str]) -> str:
            return self._group(groups[run.at + int(hole[1]) - 1], hole[2], alone=alone)

        return run.opener + _PLACEHOLDER.sub(told, run.template.text)

    def _setting(self) -> str:
        if not self.script.says_setting:
            return ""
        setting = self.script.setting
        noun = setting if self.style == "terse" else _PLACES.get(setting, f"the {setting}")
        return f"{SETTINGS[setting]} {noun}"

    def _weather(self) -> str:
        """ "in the rain", "at night"."""
        if not (self.script.says_weather and self.script.weather):
            return ""
        preposition = WEATHERS[self.script.weather]
        article = "the " if preposition == "in" and self.style != "terse" else ""
        return f"{preposition} {article}{self.script.weather}"

    def _unmarked(self, marked: str) -> Telling:
        """The caption without its marks, each sentence with a capital letter."""
        marked = re.sub(r"(^|\. )((?:<[^|<>]+\|)?)([a-z])", lambda m: m[1] + m[2] + m[3].upper(), marked)
        text, at = "", 0
        verbs: dict[int, Span] = {}
        names: dict[str, Span] = {}
        for mark in _MARK.finditer(marked):
            text += marked[at : mark.start()]
            span = (len(text), len(text) + len(mark[2]))
            kind, _, name = mark[1].partition(" ")
            if kind == "act":
                verbs[int(name)] = span
            else:
                names.setdefault(name, span)
            text += mark[2]
            at = mark.end()
        return Telling(
            text=text + marked[at:],
            style=self.style,
            order=tuple(self.order),
            phrasing=self._phrasing(),
            beyond=tuple(sorted(self.beyond)),
            verbs=tuple(verbs[i] for i in range(len(self.script.acts))),
            names=names,
        )

    def _phrasing(self) -> tuple[str, ...]:
        if len(self.order) == 1:
            return ("single",)
        steps = {act: step for step, group in enumerate(self.script.groups) for act in group}
        told = [steps[act] for act in self.order]
        together = any(len(group) > 1 for group in self.script.groups)
        named = (("simultaneous", together), ("out of order", told != sorted(told)))
        return tuple(name for name, holds in named if holds) or ("chained",)

    # -- clauses --------------------------------------------------------------------------------------------------

    def _group(self, acts: list[int], form: str, *, alone: bool) -> str:
        """One act, or some that happen at the same time; who acted last comes first."""
        if len(acts) == 1:
            return self._clause(acts[0], form)
        acts = self.rng.sample(acts, len(acts))
        acts.sort(key=lambda i: self.script.acts[i].agent != self.subject)
        patterns = [*_PAIRED[self.style], *(_PAIRED_APART if alone and self.style == "rich" else ())]
        pattern = self.rng.choice(patterns[: None if len(acts) == 2 else 2])
        first, *others = acts
        text: str
        if pattern.index("{b}") < pattern.index("{a}"):
            told = self._listed(others)
            text = pattern.format(b=told, a=self._clause(first, ""))
        else:
            told = self._clause(first, form)
            text = pattern.format(a=told, b=self._listed(others))
        self.silent = ""
        return text

    def _listed(self, acts: Sequence[int]) -> str:
        *clauses, last = [self._clause(i, "") for i in acts]
        return f"{', '.join(clauses)} and {last}" if clauses else last

    def _clause(self, i: int, form: str) -> str:
        """One act: a whole clause, or one without its subject ("g", "h", often "s"), or in the perfect ("p", "h")."""
        act = self.script.acts[i]
        verb = self.wording.verb(self.script, i)
        self.order.append(i)
        turned = act.predicate in PASSIVE and form == "" and self.style == "rich" and not self.active
        if turned and self.rng.random() < _PASSIVE:
            return self._passive(i, verb)
        omitted = act.agent == self.silent and self.rng.random() < _SILENT[self.style]
        silent = form in ("g", "h") or (form == "s" and omitted)
        subject = "" if silent else self._subject(act.agent)
        said = {"g": gerund, "p": participle, "h": participle}.get(form, third)(verb)
        if form in ("p", "h"):
            self.beyond.add("perfect")
        words = [subject, "has" if form == "p" else "", f"<act {i}|{said}>"]
        self.known.add(act.thing)
        if act.target is not None:
            words.append(self._target(act.target, act.agent, clear=subject != "it" and not verb.endswith(_PARTICLES)))
        self.subject = self.silent = act.agent
        self.target = act.target or ""
        self.things = {act.thing, self.target} & {*self.props}
        return " ".join(word for word in words if word)

    def _passive(self, i: int, verb: str) -> str:
        act = self.script.acts[i]
        assert act.target is not None
        self.beyond.add("passive")
        patient = (
            self._target(act.target, act.agent, clear=False) if act.target in self.props else self._subject(act.target)
        )
        agent = self._named(act.agent)
        self.subject, self.target, self.silent = act.agent, act.target, ""
        self.things = {act.target} & {*self.props}
        return f"{patient} <act {i}|is {participle(verb)} by> {agent}"

    # -- who and what ---------------------------------------------------------------------------------------------

    def _subject(self, ident: str) -> str:
        recent = ident in self.known and ident in (self.subject, self.target)
        if recent and self._clear(ident, self.things) and self.rng.random() < _PRONOUNS[self.style]:
            return ACTORS[self.roles[ident].kind].pronoun
        return self._named(ident)

    def _target(self, ident: str, agent: str, *, clear: bool) -> str:
        """The target of an act; not ``clear`` where "it" is somebody else or would have to stand within the verb."""
        pronoun = self.rng.random() < _PRONOUNS[self.style] and clear
        if ident in self.props:
            animals = any(not role.person and role.id in self.known for role in self.script.roles)
            alone = ident in self.named and self.things == {ident} and not animals
            return "it" if pronoun and alone else self._thing(self.props[ident])
        known = ident in self.known and agent in self.known
        if known and pronoun and self._clear(ident, self.known & {*self.props}):
            return _OBJECT_CASE[ACTORS[self.roles[ident].kind].pronoun]
        return self._named(ident)

    def _clear(self, ident: str, things: Set[str]) -> bool:
        """Whether the pronoun of an actor can mean nobody else, and none of ``things``.

        A toddler may be a girl or a boy: it goes by its name, and so does whoever it could be taken for.
        """
        role = self.roles[ident]
        mine = ACTORS[role.kind].pronoun
        others = [other for other in self.script.roles if other is not role]
        taken = role.person and any(other.kind in _ANY_GENDER for other in others)
        alone = all(ACTORS[other.kind].pronoun != mine for other in others)
        return alone and not taken and role.kind not in _ANY_GENDER and not (mine == "it" and things)

    def _named(self, ident: str) -> str:
        """ "a girl in a red coat" at first, "the girl" later; twins are always told apart."""
        role = self.roles[ident]
        new = ident not in self.known
        self.known.add(ident)
        twins = [other for other in self.script.roles if other.kind == role.kind]
        said = [text for text, told in role.attributes if told] if new else []
        if len(twins) > 1 and role.attribute not in said:
            said.append(role.attribute)
        return self._phrase(ident, role.kind, said, "a" if new else "the")

    def _thing(self, prop: Prop) -> str:
        new = prop.id not in self.known
        self.known.add(prop.id)
        self.named.add(prop.id)
        said = [text for text, told in prop.attributes if told] if new else []
        return self._phrase(prop.id, prop.kind, said, self.article if new else "the")

    def _phrase(self, ident: str, kind: str, said: Sequence[str], article: str) -> str:
        """An article, adjectives (size before colour), the name and what is worn."""
        noun = self.wording.noun(kind)
        worn = [text for text in said if text.startswith("in ")]
        adjectives = [text for text in reversed(said) if text not in worn]
        looks = [self._worn(text.removeprefix("in "), new=article != "the") for text in worn]
        name = " ".join((*adjectives, f"<name {ident}|{noun}>", *looks))
        if self.style == "terse":
            return name
        if article == "the":
            return f"the {name}"
        return f"{with_article(adjectives[0] if adjectives else noun).split()[0]} {name}"

    def _worn(self, garment: str, *, new: bool) -> str:
        if self.style == "terse":
            return f"in {garment.split(maxsplit=1)[1]}"
        pattern = self.rng.choice(_LOOKS) if new and self.style == "rich" else "in {}"
        if garment.endswith("dress"):
            pattern = pattern.replace("dressed ", "")
        if pattern != "in {}":
            self.beyond.add("relative")
        return pattern.format(garment)
