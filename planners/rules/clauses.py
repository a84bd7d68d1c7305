"""Who does what, read from a dependency parse: a text becomes clauses, states and places.

Labels of dependencies are those of spaCy's English models (ClearNLP style). Source: ours.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from planners.action_planning import Mention
from planners.language import DETERMINERS, DIRECTIONS, LOCATIVE, NUMBERS, PREPOSITIONS, REFLEXIVES, base_form
from planners.rules import words as w
from planners.rules.parsing import Parse
from planners.rules.verbs import (
    SUBJECTS,
    carried,
    carries,
    holds_verb,
    is_changed,
    is_order,
    is_progressive,
    misread_opener,
    mistaken_noun,
    negated,
    outermost,
)

if TYPE_CHECKING:
    from spacy.tokens import Token

_OBJECTS = ("dobj", "dative", "attr", "oprd")
_RELATIVES = ("who", "which", "that", "whom")


@dataclass(frozen=True)
class Noun:
    """A noun or, where ``pronoun``, a pronoun of the text; ``at`` is its place in it."""

    at: int
    mention: Mention
    pronoun: bool = False


Phrase = tuple[Noun, ...]
"""One noun, or several joined by "and"."""


@dataclass
class Clause:
    """A verb that happens: who acts, and what on, each phrase with the predicate that leads to it.

    ``targets`` is empty where there are none: then ``predicate`` says it all. A clause that is not ``real`` only
    mentions somebody: "the dog does not bark", "there is a cat".
    """

    verb: Token
    predicate: str
    agents: Phrase
    targets: list[tuple[str, Phrase]] = field(default_factory=list)
    passive: bool = False
    real: bool = True


@dataclass
class Reading:
    """What a text says: clauses in its order, states (attributes said of nouns), and where it all happens."""

    clauses: list[Clause] = field(default_factory=list)
    states: list[tuple[Phrase, str]] = field(default_factory=list)
    places: list[Phrase] = field(default_factory=list)


def read(parsed: Parse) -> Reading:
    """Who does what in a parsed text."""
    return _Reader(parsed).read()


class _Reader:
    """Reads one parsed text."""

    def __init__(self, parsed: Parse) -> None:
        self.doc, self.looks = parsed.doc, parsed.looks
        self.reading = Reading()

    def read(self) -> Reading:
        for token in self.doc:
            if self._happens(token):
                clause = self._clause(token)
                clause.real = not negated(token)
                self.reading.clauses.append(clause)
            elif token.lemma_ == "be" and token.dep_ not in ("aux", "auxpass"):
                self._state(token)
            elif token.dep_ == "ROOT":
                self._prepositions(token, [], ())
                if token.pos_ in ("NOUN", "PROPN"):
                    self.reading.clauses.append(Clause(token, "", self._phrase(token), real=False))
        for at, texts in self.looks.items():
            if self.doc[at].pos_ in ("VERB", "AUX"):
                self.reading.states += [(self._subject(self.doc[at])[0], text) for text in texts]
        return self.reading

    # -- verbs -----------------------------------------------------------------------------------------------------

    def _happens(self, token: Token) -> bool:
        """Whether a word is a verb that is an event of its own."""
        if carried(token) is not None or is_changed(token) or is_progressive(token):
            return True
        if token.dep_ in ("aux", "auxpass", "amod", "punct", "prt", "case"):
            return False
        if token.dep_ == "prep" and not any(child.dep_ in SUBJECTS for child in token.children):
            return False
        if token.pos_ != "VERB" and not mistaken_noun(token):
            return False
        if token.dep_ == "compound" or token.lemma_ == "be" or carries(token):
            return False
        participle = token.dep_ == "acl" and token.tag_ in ("VBN", "VBD")
        followed = token.lower_ == "followed" and any(holds_verb(child) for child in token.children)
        return not followed and not (participle and token.lemma_ in w.STATES)

    def _clause(self, verb: Token) -> Clause:
        subject, passive = self._subject(verb)
        word = verb.lemma_.lower() if verb.pos_ == "VERB" else base_form(verb.lower_)
        by = [child for child in verb.children if child.dep_ == "agent"]
        ended = outermost(verb)
        if ended != verb and ended.lemma_ in w.ENDERS:
            word = f"{ended.lemma_} {verb.lower_}"
        clause = Clause(verb, word, subject, passive=passive)
        objects: list[Phrase] = []
        if passive and by:
            clause.agents = self._phrase(_object_of(by[0]))
            if any(child.dep_ == "dobj" for child in verb.children):
                clause.targets.append((f"{word} to", subject))
            else:
                objects.append(subject)
        elif passive:
            word = f"be {verb.lower_}"
        particles = [child for child in verb.children if child.i > verb.i and _is_particle(child)]
        for child in _objects(verb):
            if child.dep_ == "dative" and child.pos_ != "ADP" and len(_objects(verb)) > 1:
                clause.targets.append((f"{word} to", self._phrase(child)))
            elif _is_gesture(child) or child.lower_ in REFLEXIVES | w.MANNERS:
                particles += self.doc[child.left_edge.i : child.i + 1]
            elif child.lower_ not in w.TIMES and child.pos_ != "ADP":
                objects.append(self._phrase(child))
        if not objects:
            objects += [self._phrase(seen) for seen in _perceived(verb)]
        manners = self._prepositions(verb, particles, (objects[0] if objects else ()))
        adverbs = [child for child in verb.rights if child.dep_ == "advmod" and child.lower_.endswith("ly")]
        said = [*particles, *manners]
        if not objects and not clause.targets and not self._found:
            said += adverbs
        clause.predicate = _joined(word, said)
        leading = _joined(word, [token for token in said if token in particles])
        clause.targets = [(clause.predicate, phrase) for phrase in objects if phrase] + clause.targets
        clause.targets += [(_joined(leading, chain), phrase) for chain, phrase in self._found]
        return clause

    def _subject(self, verb: Token) -> tuple[Phrase, bool]:
        """Who or what a verb is said of, and whether it is passive. Verbs without a subject share another verb's."""
        helpers = [child for child in verb.children if child.dep_ in ("aux", "auxpass")]
        for child in [child for holder in (verb, *helpers) for child in holder.children]:
            if child.dep_ in SUBJECTS:
                return self._phrase(child), child.dep_ == "nsubjpass"
        carrier = carried(verb)
        if carrier is not None:
            return self._subject(carrier)[0], False
        passive = any(child.dep_ in ("auxpass", "agent") for child in verb.children)
        if verb.dep_ in ("acl", "relcl") and verb.head.pos_ in ("NOUN", "PROPN", "PRON"):
            return self._phrase(verb.head), passive or verb.tag_ == "VBN"
        if verb.dep_ in ("xcomp", "ccomp") and not carries(verb.head):
            for child in verb.head.children:
                if child.dep_ in ("dobj", "dative"):
                    return self._phrase(child), passive
        opener = misread_opener(verb)
        if opener is not None:
            return self._phrase(_object_of(opener)), passive
        above = verb.head
        while above.pos_ == "ADP" and above.head != above:
            above = above.head
        if above != verb and above.pos_ in ("VERB", "AUX", "NOUN"):
            subject, passive_above = self._subject(above) if above.pos_ != "NOUN" else ((), False)
            shared = verb.dep_ == "conj" and passive_above and verb.tag_ == "VBN"
            if subject:
                return subject, passive or shared
        if self.reading.clauses and not is_order(verb):
            return self.reading.clauses[-1].agents, passive
        return (), passive

    # -- what hangs on a verb --------------------------------------------------------------------------------------

    def _prepositions(self, verb: Token, particles: list[Token], objects: Phrase) -> list[Token]:
        """Sort a verb's prepositional phrases: words that say how are returned, targets go to ``_found``."""
        self._found: list[tuple[list[Token], Phrase]] = []
        manners: list[Token] = []
        helpers = [child for child in verb.children if child.dep_ == "aux"]
        holders = [verb, *helpers, *(self.doc[noun.at] for noun in objects if noun.at > verb.i), *particles]
        waiting = [child for holder in holders for child in holder.children]
        while waiting:
            preposition = waiting.pop(0)
            chain, noun = _chain(preposition)
            part_of_name = preposition.lower_ == "of" and preposition.head.pos_ == "NOUN"
            if noun is None or preposition.dep_ not in ("prep", "dative", "prt") or part_of_name:
                continue
            name, last = noun.lower_, chain[-1].lower_
            if (
                name in w.TIMES
                or name in ("that", "this", "which")
                or last in ("before", "after", "until", "as", "during")
            ):
                continue
            waiting += noun.children
            if name in DIRECTIONS | w.MANNERS | REFLEXIVES:
                manners += [*chain, *self.doc[chain[-1].i + 1 : noun.i + 1]]
            elif last in LOCATIVE and (name in w.SCENERY or preposition.i < verb.i):
                self.reading.places.append(self._phrase(noun))
            elif noun.pos_ != "VERB" and not is_changed(noun) and not (name in w.BODY and noun.tag_ != "PRP"):
                self._found.append((chain, self._phrase(noun)))
        return manners

    def _state(self, verb: Token) -> None:
        """ "The dog is brown": an attribute of the dog. "There is a man in the park": a man, a place."""
        subject, _ = self._subject(verb)
        there = any(child.lower_ == "there" for child in verb.children)
        named = next(
            (self._phrase(child) for child in verb.children if there and child.dep_ in ("attr", "nsubj")), subject
        )
        self.reading.clauses.append(Clause(verb, "", named, real=False))
        for child in verb.children:
            if child.dep_ == "acomp" and not is_progressive(child) and not negated(verb):
                self.reading.states.append((subject, child.lower_))
            elif child.dep_ == "prep" and verb.dep_ not in ("aux", "auxpass"):
                noun = _object_of(child)
                if noun is not None and noun.lower_ in w.SCENERY and child.lower_ in LOCATIVE:
                    self.reading.places.append(self._phrase(noun))

    # -- nouns -----------------------------------------------------------------------------------------------------

    def _phrase(self, noun: Token | None) -> Phrase:
        """A noun and those joined to it; of a relative pronoun the noun that it stands for."""
        if noun is None:
            return ()
        if noun.lower_ in _RELATIVES:
            clause = next((above for above in noun.ancestors if above.dep_ == "relcl"), None)
            return self._phrase(clause.head) if clause is not None else ()
        if noun.lower_ in w.PARTITIVES:
            inner = [_object_of(child) for child in noun.children if child.lower_ == "of"]
            if inner and inner[0] is not None:
                return self._phrase(inner[0])
        joined = [child for child in noun.children if child.dep_ == "conj" and child.pos_ in ("NOUN", "PROPN", "PRON")]
        others = [other for child in joined if not mistaken_noun(child) for other in self._phrase(child)]
        return (self._noun(noun), *others)

    def _noun(self, noun: Token) -> Noun:
        if noun.tag_ in ("PRP", "DT", "WP", "EX"):
            return Noun(noun.i, Mention(noun.lower_), pronoun=True)
        determiner, number, adjectives, name = "", 1, [], [noun.lower_]
        for child in noun.lefts:
            text = child.lower_
            if text in ("other", "second", "third"):
                determiner = "other" if text == "other" else "another"
            elif text in DETERMINERS and child.dep_ in ("det", "poss", "predet"):
                determiner = text
            elif child.dep_ == "nummod":
                number = NUMBERS.get(text, 1)
            elif child.dep_ == "compound" and text not in w.COLORS and noun.i - child.i < 4:
                name.insert(-1, text)
            elif (child.dep_ in ("amod", "poss", "nmod", "npadvmod") or text in w.COLORS) and text not in (
                "first",
                "same",
            ):
                adjectives.append(" ".join(part.lower_ for part in child.subtree if part.pos_ != "PUNCT"))
        of = [child for child in noun.rights if child.lower_ == "of"]
        inner = _object_of(of[0]) if of else None
        if inner is not None and inner.pos_ == "NOUN":
            name += ["of", *(part.lower_ for part in inner.lefts if part.dep_ in ("amod", "compound")), inner.lower_]
        attributes = (*([" ".join(adjectives)] if adjectives else ()), *self.looks.get(noun.i, ()))
        return Noun(noun.i, Mention(" ".join(name), attributes, number, determiner))


# -- words -----------------------------------------------------------------------------------------------------------


def _perceived(verb: Token) -> list[Token]:
    """Who does what the verb sees, helps or makes happen: "the dog" in "watches the dog run"."""
    below = [child for child in verb.rights if child.dep_ == "ccomp" and child.tag_ in ("VB", "VBG", "VBP", "VBD")]
    bare = [child for child in below if not any(word.dep_ in ("mark", "aux") for word in child.children)]
    return [child for clause in bare[:1] for child in clause.lefts if child.dep_ == "nsubj"]


def _is_particle(token: Token) -> bool:
    bare = token.dep_ == "prep" and _chain(token)[1] is None and not any(c.dep_ == "pcomp" for c in token.children)
    adverb = token.dep_ == "advmod" and token.lower_ in w.PARTICLES
    if token.dep_ == "prt":
        return _object_of(token) is None
    if token.dep_ == "acomp":
        return True
    return (bare and token.lower_ in w.PARTICLES) or adverb


def _objects(verb: Token) -> list[Token]:
    if verb.dep_ in ("compound", "amod"):
        return [verb.head]
    return [child for child in verb.rights if child.dep_ in _OBJECTS and not mistaken_noun(child)]


def _is_gesture(noun: Token) -> bool:
    """Whether a verb's object is a body of its own, "flaps its wings", "shakes hands": part of the predicate."""
    return noun.lower_ in w.BODY and (not [*noun.lefts] or any(owner.tag_ == "PRP$" for owner in noun.lefts))


def _object_of(preposition: Token) -> Token | None:
    return next((child for child in preposition.children if child.dep_ == "pobj"), None)


def _chain(preposition: Token) -> tuple[list[Token], Token | None]:
    """A preposition with those it leads to ("out of"), and the noun at their end."""
    before = [child for child in preposition.lefts if child.lower_ in PREPOSITIONS]
    chain = [*before, preposition]
    noun = _object_of(preposition)
    ahead = preposition.doc[preposition.i + 1 : preposition.i + 3]
    misread = noun is None or noun.lower_ in w.SUBORDINATORS
    if misread and len(ahead) == 2 and ahead[0].lower_ == "the" and ahead[1].lower_ in DIRECTIONS:
        return chain, ahead[1]
    while noun is None:
        preposition = next((child for child in preposition.children if child.dep_ == "prep"), preposition)
        if preposition in chain:
            return chain, None
        chain.append(preposition)
        noun = _object_of(preposition)
    return chain, noun


def _joined(word: str, tokens: Iterable[Token]) -> str:
    return " ".join([word, *(token.lower_ for token in sorted(set(tokens), key=lambda token: token.i))])
