"""When it happens: how a text's clauses are linked, and the steps of time that follow from it. Source: ours."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from planners.rules.verbs import misread_opener, outermost
from planners.rules.words import ADVERBS, OPENING, PHRASES, SUBORDINATORS, Kind

if TYPE_CHECKING:
    from spacy.tokens import Token


@dataclass(frozen=True)
class Link:
    """How a clause relates to another one, its ``anchor``.

    ``then``: it follows. ``before``: it follows, as B does in "A before B". ``after``: it comes first, as B does in
    "A after B". ``while``: at the same time. Without an anchor it is the last clause that carried the story on; a
    ``fronted`` clause relates to the next such clause instead. Not to carry the story on is to be ``aside``.
    """

    kind: Kind = "then"
    anchor: int | None = None
    fronted: bool = False
    aside: bool = False
    opens: bool = False
    """Whether it is the first of its sentence."""


# -- from words to links ---------------------------------------------------------------------------------------------


def links(verbs: Sequence[Token]) -> list[Link]:
    """The link of each clause, in order of the text: from the words that lead to its verb, or else from the parse."""
    found: list[Link] = []
    for number, verb in enumerate(verbs):
        start = _sentence_start(verb)
        opens = number == 0 or verbs[number - 1].i < start
        lead = list(verb.doc[start if opens else verbs[number - 1].i + 1 : verb.i])
        later = number + 1 < len(verbs) and _sentence_start(verbs[number + 1]) == start
        outer = outermost(verb)
        above = next((verbs.index(token) for token in outer.ancestors if token in verbs), None)
        opener = next(_subordinators(lead, verb), None)
        kind = _phrase(lead) or _adverb(lead)
        if opener is not None:
            token, relation = opener
            if relation == "after" and token.lower_ == "when" and not opens and _is_progressive(verbs[number - 1]):
                relation = "before"
            before_main = opens or (above is not None and above > number and _after_pause(token))
            fronted = before_main and later
            beside = above if relation == "while" and not fronted and above is not None and above < number else None
            link = Link(relation, beside, fronted, aside=relation in ("after", "while"), opens=opens)
        elif kind is not None:
            link = Link(kind, aside=kind in ("after", "while"), opens=opens)
        elif outer.dep_ == "conj" and above is not None and above < number and _joins(lead, found[above]):
            together = found[above].kind == "while" and _has_subject(outer)
            link = Link("while" if together else "then", above, fronted=found[above].fronted, aside=True)
        else:
            link = _parsed(outer, number, above, opens)
        found.append(link)
    return found


def _joins(lead: list[Token], other: Link) -> bool:
    """Whether "and" makes a clause a part of the subordinate clause before it."""
    return (other.aside or other.fronted) and any(token.lower_ in ("and", "or") for token in lead)


def _sentence_start(verb: Token) -> int:
    """Sentences end where a writer ends them; the parser also ends some at ", then"."""
    ends = (i for i in range(verb.i - 1, -1, -1) if verb.doc[i].text in (".", "!", "?", ";", "…"))
    return next(ends, -1) + 1


def _after_pause(token: Token) -> bool:
    return token.i > 0 and token.nbor(-1).lower_ in (",", "then", "and", "but")


def _phrase(lead: list[Token]) -> Kind | None:
    """The meaning of a link of several words, such as "at the same time"; the last one counts."""
    text = " ".join(["", *(token.lower_ for token in lead), ""])
    for phrase, kind in PHRASES.items():
        if phrase in OPENING or f" {phrase} " not in text:
            continue
        first, last = phrase.split()[0], phrase.split()[-1]
        ends = [token for token in lead if token.lower_ == last and token.i > lead[0].i - 1]
        if first in ("after", "before") and all(token.dep_ == "det" for token in ends):
            continue
        return kind
    return None


def _subordinators(lead: list[Token], verb: Token) -> Iterator[tuple[Token, Kind]]:
    """Words among ``lead`` that make the clause of ``verb`` a subordinate one, with what they mean; the last first."""
    words = [token.lower_ for token in lead]
    covered: set[int] = set()
    for phrase in OPENING:
        length = len(phrase.split())
        for k in range(len(words) - length + 1):
            if words[k : k + length] == phrase.split():
                covered |= set(range(k, k + length))
                yield lead[k], PHRASES[phrase]
    for k in reversed(range(len(lead))):
        if k not in covered and words[k] in SUBORDINATORS and _governs(lead[k], verb):
            yield lead[k], SUBORDINATORS[words[k]]


def _governs(token: Token, verb: Token) -> bool:
    """Whether "before" and the like begin the clause of ``verb``; "after that" and "after the dog" do not."""
    if token.lower_ in ("before", "after") and token.nbor(1).lower_ in (",", "that", "this", "which"):
        return token.nbor(1).dep_ == "det" and verb in token.subtree
    if token.dep_ in ("mark", "advmod") and token.head != token:
        return verb in token.head.subtree and token.head.i > token.i
    if verb in token.subtree or token == misread_opener(verb):
        return True
    return token.lower_ in ("while", "whilst", "until", "till", "when") or not any(token.children)


def _adverb(lead: list[Token]) -> Kind | None:
    """The meaning of the last adverb of time; "after" and "before" are such ones where nothing follows them."""
    for token in reversed(lead):
        if token.lower_ in ADVERBS and token.nbor(1).lower_ != "to":
            return ADVERBS[token.lower_]
        if token.lower_ in ("after", "before") and token.nbor(1).text == ",":
            return "then" if token.lower_ == "after" else "after"
    return None


def _has_subject(verb: Token) -> bool:
    return any(child.dep_ in ("nsubj", "nsubjpass") for child in verb.children)


def _is_progressive(verb: Token) -> bool:
    return verb.tag_ == "VBG" and any(child.lemma_ == "be" for child in verb.children)


def _parsed(outer: Token, number: int, above: int | None, opens: bool) -> Link:
    """The link of a clause that no word links, by its outermost verb."""
    helpers = [child.lower_ for child in outer.children if child.dep_ == "aux"]
    earlier = outer.tag_ == "VBN" and any(word in ("had", "having") for word in helpers)
    if earlier and above is None and number:
        return Link("after", aside=True, opens=opens)
    if above is None:
        return Link(opens=opens)
    fronted = above > number
    if earlier:
        return Link("after", None if fronted else above, fronted, aside=True, opens=opens)
    participle = outer.dep_ == "advcl" and outer.tag_ in ("VBG", "VBN") and not _has_subject(outer)
    perceived = outer.dep_ in ("ccomp", "xcomp") and not fronted and "to" not in helpers
    means = outer.dep_ == "pcomp" and outer.head.lower_ not in ("to", "into")
    if outer.dep_ in ("acl", "relcl") or means or participle or perceived:
        return Link("while", None if fronted else above, fronted, aside=True, opens=opens)
    return Link(opens=opens)


# -- from links to steps ---------------------------------------------------------------------------------------------


def time_steps(links: Sequence[Link]) -> list[int]:
    """When each clause happens: its step, from 0 on; clauses of one step happen at the same time."""
    line = _Line()
    waiting: list[list[int]] = []
    main: int | None = None
    for number, link in enumerate(links):
        if link.opens:
            main = line.last()
        if link.fronted and any(not later.fronted for later in links[number + 1 :]):
            chain = next((chain for chain in waiting if link.anchor in chain), None)
            if chain is None:
                waiting.append([number])
            else:
                chain.append(number)
            continue
        anchor = link.anchor if link.anchor is not None and line.has(link.anchor) else main
        line.place(number, link.kind, anchor)
        if not link.aside:
            main = number
        for first, *others in waiting:
            line.place(first, links[first].kind, number)
            for before, after in zip([first, *others], others, strict=False):
                line.place(after, "then", before)
        waiting = []
    return [line.step(number) for number in range(len(links))]


class _Line:
    """Steps of time in order, each the clauses that happen in it."""

    def __init__(self) -> None:
        self.steps: list[list[int]] = []

    def has(self, clause: int) -> bool:
        return any(clause in step for step in self.steps)

    def step(self, clause: int) -> int:
        return next(i for i, step in enumerate(self.steps) if clause in step)

    def last(self) -> int | None:
        return self.steps[-1][0] if self.steps else None

    def place(self, clause: int, kind: Kind, anchor: int | None) -> None:
        if anchor is None:
            self.steps.append([clause])
        elif kind == "while":
            self.steps[self.step(anchor)].append(clause)
        else:
            self.steps.insert(self.step(anchor) + (kind != "after"), [clause])
