"""A dynamic scene graph in plain English, for text-to-video models that read nothing else.

The whole graph becomes one prompt that tells its events in order; a window of ticks, or a single frame, becomes
sentences of what is to be seen there, with words for how far every event has run ("begins to walk", "is walking",
"finishes walking"). Everything that the facts say is said, and nothing else. Source: ours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from planners.dsg import DynamicSceneGraph, Fact
from planners.noun_phrases import Names, listed
from planners.verb_phrases import Phase, conjugated, is_relation

IMAGINED = ("imagined", "polished")
EDGE = Fraction(1, 4)
"""The share of an event in which it begins, and in which it ends, for the sentences of frames."""
CONNECTIVES = ("Then", "After that", "Next")

Fits = Callable[[str], bool]


@dataclass(frozen=True)
class Narration:
    """What is said of the ticks [start, end), and which sentences or kinds of facts were left out to make it fit."""

    start: Fraction
    end: Fraction
    text: str
    left_out: tuple[str, ...] = ()


def narrate(dsg: DynamicSceneGraph, *, fits: Fits | None = None) -> Narration:
    """The whole graph as one prompt.

    ``fits`` says of a text whether it is short enough; by default every length is. What does not fit loses its imagined
    facts first, then its last sentences, and :attr:`Narration.left_out` names them.
    """
    return _fitted(dsg, Fraction(0), Fraction(dsg.ticks), _whole, fits)


def narrate_windows(dsg: DynamicSceneGraph, windows: int | None = None, *, fits: Fits | None = None) -> list[Narration]:
    """One prompt per window, each to be understood alone: ``windows`` of equal length, or one per segment."""
    if windows is None:
        spans = [(Fraction(segment.start), Fraction(segment.end)) for segment in dsg.segments()]
    else:
        spans = [(Fraction(i * dsg.ticks, windows), Fraction((i + 1) * dsg.ticks, windows)) for i in range(windows)]
    return [_fitted(dsg, start, end, _cut, fits) for start, end in spans]


def narrate_frames(dsg: DynamicSceneGraph, num_frames: int, *, fits: Fits | None = None) -> list[Narration]:
    """One text per frame, of what that frame shows."""
    moments = [Fraction(frame * dsg.ticks, num_frames) for frame in range(num_frames + 1)]
    return [_fitted(dsg, moments[i], moments[i + 1], _run, fits) for i in range(num_frames)]


PhaseOf = Callable[[Fact, Fraction, Fraction], Phase]


def _whole(_fact: Fact, _start: Fraction, _end: Fraction) -> Phase:
    return "whole"


def _cut(fact: Fact, start: Fraction, end: Fraction) -> Phase:
    """What of an event a window shows."""
    before, after = fact.start < start, fact.end > end
    return "middle" if before and after else "end" if before else "begin" if after else "whole"


def _run(fact: Fact, start: Fraction, end: Fraction) -> Phase:
    """How far an event has run in the middle of a frame."""
    done = ((start + end) / 2 - fact.start) / (fact.end - fact.start)
    return "begin" if done < EDGE else "end" if done > 1 - EDGE else "middle"


def _fitted(dsg: DynamicSceneGraph, start: Fraction, end: Fraction, phase: PhaseOf, fits: Fits | None) -> Narration:
    sentences = _Telling(dsg, start, end, phase).sentences()
    if fits is None or fits(" ".join(sentences)):
        return Narration(start, end, " ".join(sentences))
    left_out: list[str] = []
    cut: list[str] = []
    stated = dsg.veto(IMAGINED)  # type: ignore[arg-type]
    if stated != dsg:
        left_out.append("what was imagined")
        sentences = _Telling(stated, start, end, phase).sentences()
    while len(sentences) > 1 and not fits(" ".join(sentences)):
        cut.insert(0, sentences.pop())
    return Narration(start, end, " ".join(sentences), (*left_out, *cut))


class _Telling:
    """One text about the ticks [start, end)."""

    def __init__(self, dsg: DynamicSceneGraph, start: Fraction, end: Fraction, phase: PhaseOf) -> None:
        self.dsg, self.start, self.end, self.phase = dsg, start, end, phase
        self.names = Names(dsg)
        there = [fact for fact in dsg.facts if fact.start < end and fact.end > start]
        self.events = [fact for fact in there if fact.predicate and not is_relation(fact)]
        self.relations = [fact for fact in there if fact.predicate and is_relation(fact)]
        self.attributes = [fact for fact in there if fact.attribute]
        self.place = {thing.id: i for i, thing in enumerate(dsg.objects)}
        self.placed: set[tuple[str, str, str, str]] = set()
        """Relations that have been said."""
        self.settings: set[tuple[str, str | None]] = set()
        """Where all that is told happens, as (predicate, object): who comes in later is there too."""
        self.done: set[tuple[str, str, str, str]] = set()
        """Events that have been said."""
        self.connective = ""
        """What the sentence before began with."""
        self.last: str | None = None
        """The only subject of the sentence before, where there is one."""

    def sentences(self) -> list[str]:
        """What is said, in order; the prompt itself where the graph says nothing."""
        begins = sorted({max(Fraction(event.start), self.start) for event in self.events}) or [self.start]
        steps = [(a, b) for a, b in zip(begins, [*begins[1:], self.end], strict=True)]
        steps[0] = (self.start, steps[0][1])
        said = [sentence for i, step in enumerate(steps) for sentence in self._step(i, len(steps), *step)]
        said += self._remaining()
        return said or [text for text in [self.dsg.prompt] if text]

    def _step(self, number: int, count: int, start: Fraction, end: Fraction) -> Iterator[str]:
        """What begins with one moment, and what else is so until the next."""
        now = [event for event in self.events if start <= max(Fraction(event.start), self.start) < end]
        facts = [fact for fact in self.attributes if fact.start < end and fact.end > start]
        relations = [fact for fact in self.relations if fact.start < end and fact.end > start]
        clauses = self._clauses(now)
        if clauses:
            yield self._sentence(number, count, start, clauses, facts, relations)
        later = {
            ident
            for event in self.events
            if event.start >= end
            for ident in (event.subject, event.object)
            if ident is not None
        }
        for fact in (*relations, *facts):
            told = fact.statement in self.placed if fact.predicate else not self.names.news(fact.subject, [fact])
            waits = fact.subject in later and fact.subject not in self.names.known and fact.end > end
            if not told and not waits:
                yield self._statement(fact.subject, facts, relations)

    def _clauses(self, events: Sequence[Fact]) -> list[tuple[list[str], list[Fact]]]:
        """Events as (subjects, what they all do), those first who were named first."""
        doers: dict[tuple[str, str | None, Phase], list[Fact]] = {}
        for event in events:
            key = (event.label, event.object, self.phase(event, self.start, self.end))
            doers.setdefault(key, []).append(event)
        clauses: dict[tuple[str, ...], list[Fact]] = {}
        for same in doers.values():
            subjects = tuple(sorted({event.subject for event in same}, key=self.place.__getitem__))
            clauses.setdefault(subjects, []).append(same[0])

        def order(subjects: tuple[str, ...]) -> tuple[bool, int]:
            return (subjects[0] not in self.names.known, self.place[subjects[0]])

        return [(list(subjects), clauses[subjects]) for subjects in sorted(clauses, key=order)]

    def _sentence(
        self,
        number: int,
        count: int,
        start: Fraction,
        clauses: list[tuple[list[str], list[Fact]]],
        facts: list[Fact],
        relations: list[Fact],
    ) -> str:
        subjects = {ident for idents, _ in clauses for ident in idents}
        ongoing = [event for event in self.events if event.statement in self.done and event.start < start < event.end]
        lead = []
        if number:
            aside = ongoing and not subjects & {event.subject for event in ongoing}
            last = number == count - 1 and count > 2
            word = "Meanwhile" if aside else "Finally" if last else CONNECTIVES[(number - 1) % len(CONNECTIVES)]
            lead.append("Then" if word == self.connective else word)
            self.connective = word
        targets = {event.object for _, events in clauses for event in events}
        lead += self._shared_places(subjects, [r for r in relations if r.object not in targets], facts)
        still = [event for event in ongoing if [event.subject] == clauses[0][0]]
        if still:
            doing = listed([f"{conjugated(event.label, 'doing')}{self._object(event, facts)}" for event in still])
            lead.append(f"still {doing}")
        opening = "Then " if lead == ["Then"] else "".join(f"{text}, " for text in lead)
        told = [self._clause(idents, events, facts, relations) for idents, events in clauses]
        self._settle(relations)
        text = told[0] + (f" while {listed(told[1:])}" if told[1:] else "")
        [*_, self.last] = [None, *(ident for ident in subjects if len(subjects) == 1)]
        return _capital(f"{opening}{text}".rstrip(",") + ".")

    def _clause(self, idents: list[str], events: list[Fact], facts: list[Fact], relations: list[Fact]) -> str:
        several = len(idents) > 1 or self.names.plural(idents[0])
        pronoun = self.names.pronoun(idents[0]) if [self.last] == idents else None
        if pronoun and not self.names.news(idents[0], facts):
            who = pronoun
        elif len(idents) == 1:
            who = self._named(idents[0], facts, relations, doing=True)
        else:
            who = self.names.together(idents, facts)
        deeds = []
        for event in events:
            verb = conjugated(event.label, self.phase(event, self.start, self.end), several=several)
            again = " again" if event.statement in self.done else ""
            self.done.add(event.statement)
            deeds.append(f"{verb}{self._object(event, facts)}{again}")
        return f"{who} {listed(deeds)}"

    def _named(self, ident: str, facts: list[Fact], relations: list[Fact], *, doing: bool = False) -> str:
        """An object, where it is new with the places that have not been said; ``doing`` something, in the setting."""
        if ident in self.names.known:
            return self.names.phrase(ident, facts)
        own = [r for r in relations if r.subject == ident and r.statement not in self.placed and r.object != ident]
        if doing:
            own = [r for r in own if (r.label, r.object) not in self.settings]
        self.placed |= {relation.statement for relation in own}
        self.names.known.add(ident)  # a place may be said to be near it
        where = [f"{relation.label}{self._object(relation, facts)}" for relation in own]
        self.names.known.remove(ident)
        return self.names.phrase(ident, facts, where)

    def _object(self, fact: Fact, facts: list[Fact]) -> str:
        """A fact's object, behind a blank; nothing where it has none."""
        if fact.object is None:
            return ""
        if fact.object == fact.subject:
            return {"he": " himself", "she": " herself"}.get(self.names.pronoun(fact.subject) or "", " itself")
        return f" {self.names.phrase(fact.object, facts)}"

    def _settle(self, relations: list[Fact]) -> None:
        """What has been named is where everything is, which need not be said of each."""
        here = [r for r in relations if (r.label, r.object) in self.settings and r.subject in self.names.known]
        self.placed |= {relation.statement for relation in here}

    def _shared_places(self, subjects: set[str], relations: list[Fact], facts: list[Fact]) -> list[str]:
        """Where everybody is who does something now, as "in a park"."""
        who: dict[tuple[str, str], list[Fact]] = {}
        for relation in relations:
            if relation.object is not None and relation.object not in subjects:
                who.setdefault((relation.label, relation.object), []).append(relation)
        shared = [same for same in who.values() if subjects <= {relation.subject for relation in same}]
        new = [
            [r for r in same if r.subject in subjects]
            for same in shared
            if (same[0].label, same[0].object) not in self.settings
            and any(r.subject in subjects and r.statement not in self.placed for r in same)
        ]
        self.placed |= {relation.statement for same in new for relation in same}
        self.settings |= {(same[0].label, same[0].object) for same in new}
        return [f"{same[0].label}{self._object(same[0], facts)}" for same in new]

    def _statement(self, ident: str, facts: list[Fact], relations: list[Fact]) -> str:
        """A sentence of an object that does nothing new: what it is like, and where."""
        several = self.names.plural(ident)
        be = "are" if several else "is"
        self.last = None
        if ident not in self.names.known:
            also = " also" if self.names.known else ""
            return f"There {be}{also} {self._named(ident, facts, relations)}."
        news = self.names.news(ident, facts)
        own = [r for r in relations if r.subject == ident and r.statement not in self.placed]
        self.placed |= {relation.statement for relation in own}
        self.names.told |= {(ident, text) for text in news}
        what = listed([*news, *(f"{relation.label}{self._object(relation, facts)}" for relation in own)])
        return _capital(f"{self.names.phrase(ident, [])} {be} {what}.")

    def _remaining(self) -> Iterator[str]:
        """A sentence of the objects that are there and have not been named."""
        rest = []
        also, be = " also" if self.names.known else "", ""
        for thing in self.dsg.objects:
            present = thing.start < self.end and (thing.end is None or thing.end > self.start)
            if present and thing.id not in self.names.known:
                be = be or ("are" if self.names.plural(thing.id) else "is")
                rest.append(self._named(thing.id, self.attributes, self.relations))
        if rest:
            yield f"There {be}{also} {listed(rest)}."


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
