"""Who is meant: nouns by English articles, pronouns by gender, animacy, number, role and recency.

The cast itself is that of :mod:`planners.plan_assembly`. Source: ours; role and recency after the centering and
salience literature (Lappin and Leass 1994), much simplified.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from planners.action_planning import Mention
from planners.language import singular
from planners.plan_assembly import Cast, Group
from planners.rules import words as w
from planners.rules.clauses import Clause, Noun, Phrase, Reading

Role = Literal["subject", "object", "other"]
"""Grammatical roles: of a passive, who acts is "other", and so is what only a preposition adds to an object."""

_CERTAIN, _POSSIBLE, _IMPOSSIBLE = 40, 20, 0
"""How well a pronoun fits a thing. Everything below only decides between things that it fits equally well."""
_SAME_ROLE = 3
_ANIMACY = 6
_RECENCY = (8, 7, 3, 2, 1)
"""Salience of what was mentioned in the same clause, the one before, the one before that, …"""


@dataclass(frozen=True)
class Action:
    """A clause's event with its things: every agent does ``predicate`` to every target, if there are any."""

    clause: int
    predicate: str
    agents: Group
    targets: Group


@dataclass
class Resolved:
    """The cast of a text, its actions by clause, and the verbs of which nobody is named who could do them."""

    cast: Cast = field(default_factory=Cast)
    actions: list[Action] = field(default_factory=list)
    nobody: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Seen:
    """A group as it was mentioned: in which clause, and in which role."""

    clause: int
    role: Role
    group: Group


def resolve(reading: Reading) -> Resolved:
    """Say for every clause who acts and what on."""
    return _Resolver(reading).resolve()


class _Resolver:
    """Goes through a text once, in its order, and remembers who was mentioned."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.result = Resolved()
        self.cast = self.result.cast
        self.meant: dict[int, Group] = {}
        self.seen: list[_Seen] = []
        self.places: set[int] = set()

    def resolve(self) -> Resolved:
        for number, clause in enumerate(self.reading.clauses):
            agents = self._group(clause.agents, number, "other" if clause.passive else "subject", ())
            if not clause.real:
                self._see(number, "subject", agents)
            elif not agents:
                self.result.nobody.append(clause.predicate)
            else:
                self._act(number, clause, agents)
        for phrase in self.reading.places:
            for noun in phrase:
                if not noun.pronoun and noun.at not in self.meant:
                    self.meant[noun.at] = self.cast.meet([noun.mention], place=True)
                if not noun.pronoun:
                    self.places |= set(self.meant[noun.at])
        for phrase, text in self.reading.states:
            for i in {i for noun in phrase for i in self.meant.get(noun.at, ())}:
                thing = self.cast.things[i]
                if text not in thing.attributes:
                    self.cast.things[i] = replace(thing, attributes=(*thing.attributes, text))
        return self._without_bystanders()

    def _without_bystanders(self) -> Resolved:
        """Only things that act, are acted on or are places: of a "dog that does not bark" nothing is to be seen."""
        actions = self.result.actions
        kept = sorted(self.places.union(*((*action.agents, *action.targets) for action in actions)))
        number = {old: new for new, old in enumerate(kept)}

        def renumbered(group: Group) -> Group:
            return tuple(number[i] for i in group)

        return Resolved(
            Cast([self.cast.things[i] for i in kept]),
            [replace(a, agents=renumbered(a.agents), targets=renumbered(a.targets)) for a in actions],
            self.result.nobody,
        )

    def _act(self, number: int, clause: Clause, agents: Group) -> None:
        """A clause's actions: on each of its targets, or on none; nobody acts on himself."""
        self._see(number, "other" if clause.passive and clause.targets else "subject", agents)
        done = []
        for i, (predicate, phrase) in enumerate(clause.targets):
            role: Role = "other" if i else "subject" if clause.passive else "object"
            targets = tuple(i for i in self._group(phrase, number, role, agents) if i not in agents)
            self._see(number, role, targets)
            done += [Action(number, predicate, agents, targets)] if targets else []
        self.result.actions += done or [Action(number, clause.predicate, agents, ())]

    def _see(self, clause: int, role: Role, group: Group) -> None:
        if group:
            self.seen.append(_Seen(clause, role, group))

    def _group(self, phrase: Phrase, clause: int, role: Role, others: Group) -> Group:
        """What a phrase means; of its pronouns, ``others`` are who cannot be meant, since nobody acts on himself."""
        found = tuple(i for noun in phrase for i in self._one(noun, clause, role, others))
        return tuple(dict.fromkeys(found))

    def _one(self, noun: Noun, clause: int, role: Role, others: Group) -> Group:
        if noun.at not in self.meant:
            if noun.pronoun:
                self.meant[noun.at] = self._pronoun(noun.mention.label, clause, role, others)
            elif role == "subject" and noun.mention.label.split(" of ")[0] in w.PICTURES:
                self.meant[noun.at] = ()
            else:
                self.meant[noun.at] = self._named(noun)
        return self.meant[noun.at]

    def _named(self, noun: Noun) -> Group:
        """A named thing. "The other dog" is the one that did not act last; "the truck" may be a fire truck."""
        mention = noun.mention
        same = [i for i, thing in enumerate(self.cast.things) if thing.label == mention.label]
        if mention.determiner == "other":
            acted = [seen.group for seen in reversed(self.seen) if seen.role == "subject"]
            last = next((group for group in acted if set(group) & set(same)), ())
            left = [i for i in same if i not in last]
            if left:
                return tuple(left[-1:])
            mention = replace(mention, determiner="another")
        longer = [t.label for t in self.cast.things if t.label.endswith(f" {mention.label}")]
        if longer and not same and mention.determiner not in ("a", "an", "another", "some"):
            mention = replace(mention, label=longer[-1])
        return self.cast.meet([mention])

    # -- pronouns --------------------------------------------------------------------------------------------------

    def _pronoun(self, pronoun: str, clause: int, role: Role, others: Group) -> Group:
        before = self._best(pronoun, clause, role, others)
        if before:
            return before
        if pronoun in ("they", "them"):
            everyone = self._everyone(others)
            if everyone:
                return everyone
        return self._ahead(pronoun, clause)

    def _best(self, pronoun: str, clause: int, role: Role, others: Group) -> Group:
        """The most salient group mentioned so far that a pronoun fits; () where it fits none."""
        scores: dict[Group, int] = {}
        for seen in self.seen:
            fit = self._fit(pronoun, seen.group)
            if fit == _IMPOSSIBLE or set(seen.group) & set(others):
                continue
            ago = min(clause - seen.clause, len(_RECENCY) - 1)
            score = fit + _RECENCY[ago] + _SAME_ROLE * (seen.role == role) - _SAME_ROLE * (seen.role == "other")
            if pronoun == "it":
                score += _ANIMACY * ((self._label(seen.group) in w.ANIMALS) == (role == "subject"))
            scores[seen.group] = max(score, scores.get(seen.group, 0))
        return max(scores, key=lambda group: (scores[group], group), default=())

    def _fit(self, pronoun: str, group: Group) -> int:
        label = self._label(group)
        acts = any(seen.role == "subject" and seen.group == group for seen in self.seen)
        return self._fits(pronoun, label, len(group) > 1 or (singular(label) != label), acts)

    @staticmethod
    def _fits(pronoun: str, label: str, plural: bool, acts: bool) -> int:
        """How well a pronoun fits a label; of unknown things those that act can be a "he" or "she"."""
        head = label.split()[-1]
        if pronoun in ("they", "them", "these", "those"):
            return _CERTAIN if plural else _POSSIBLE if head in w.PEOPLE else _IMPOSSIBLE
        if plural or pronoun not in ("he", "him", "she", "her", "it", "this", "that"):
            return _IMPOSSIBLE
        if pronoun in ("it", "this", "that"):
            person = head in w.MALE | w.FEMALE | w.PEOPLE
            return _IMPOSSIBLE if person and head not in ("baby", "child", "crowd", "audience") else _CERTAIN
        mine, theirs = (w.MALE, w.FEMALE) if pronoun in ("he", "him") else (w.FEMALE, w.MALE)
        if head in theirs or head in w.SCENERY:
            return _IMPOSSIBLE
        if head in mine or head in w.PEOPLE:
            return _CERTAIN
        return _POSSIBLE if acts else _IMPOSSIBLE

    def _everyone(self, others: Group) -> Group:
        """Of "they" where no group was mentioned: the last two who could act."""
        living = [i for seen in reversed(self.seen) for i in seen.group if self._lives(i) and i not in others]
        return tuple(sorted(list(dict.fromkeys(living))[:2])) if len(set(living)) > 1 else ()

    def _lives(self, i: int) -> bool:
        label = self.cast.things[i].label.split()[-1]
        acts = any(seen.role == "subject" and i in seen.group for seen in self.seen)
        return acts or label in w.MALE | w.FEMALE | w.PEOPLE | w.ANIMALS

    def _ahead(self, pronoun: str, clause: int) -> Group:
        """Who is named only later: "before he sits, the boy waves"; else a "she" is a woman and a "he" a man."""
        for number, later in enumerate(self.reading.clauses[clause + 1 :], clause + 1):
            names = [noun for noun in later.agents if not noun.pronoun]
            if names and self._could_be(pronoun, names[0].mention.label):
                return self._group(later.agents, number, "subject", ())
        unnamed = {"he": "man", "him": "man", "she": "woman", "her": "woman"}.get(pronoun)
        return self.cast.meet([Mention(unnamed)]) if unnamed else ()

    def _could_be(self, pronoun: str, label: str) -> bool:
        return self._fits(pronoun, label, plural=singular(label) != label, acts=True) != _IMPOSSIBLE

    def _label(self, group: Group) -> str:
        return self.cast.things[group[0]].label.split(" of ")[0]
