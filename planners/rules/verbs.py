"""Verbs in a dependency parse: which words are verbs, and which verbs only carry others. Source: ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from planners.language import base_form
from planners.rules import words as w

if TYPE_CHECKING:
    from spacy.tokens import Token

SUBJECTS = ("nsubj", "nsubjpass")


def negated(verb: Token) -> bool:
    """Whether a verb, or one that carries it, is said not to happen."""
    if verb.dep_ == "pcomp" and verb.head.lower_ in w.UNREAL:
        return True
    outer = outermost(verb)
    return any(child.dep_ == "neg" or child.lower_ == "never" for word in (verb, outer) for child in word.children)


def outermost(verb: Token) -> Token:
    """The verb that carries this one and has its place in the sentence: "starts" of "starts to run"; or itself."""
    carrier = carried(verb)
    if carrier is not None:
        return outermost(carrier)
    above = verb.head.head if verb.head.pos_ == "ADP" else verb.head
    if verb.dep_ in ("xcomp", "pcomp", "pobj") and above != verb and carries(above):
        return outermost(above)
    return verb


def carries(verb: Token) -> bool:
    """Whether a verb only says that another one is done: "starts" in "starts to run", "goes" in "goes on to run"."""
    below = [child for child in verb.children if child.dep_ == "xcomp" and child.pos_ == "VERB"]
    if verb.lemma_ in w.ENDERS:
        return any(child.tag_ == "VBG" for child in below)
    if verb.lemma_ not in w.CARRIERS or any(child.dep_ == "dobj" for child in verb.children):
        return False
    return bool(below) or any(holds_verb(child) for child in verb.children)


def carried(token: Token) -> Token | None:
    """Of "drinking" in "begins drinking water", taken for a compound by the parser, the verb that carries it."""
    before = token.nbor(-1) if token.i else None
    mistaken = token.tag_ == "VBG" and token.dep_ in ("compound", "amod", "dobj") and before is not None
    if mistaken and before is not None and before.lemma_ in w.CARRIERS and before.pos_ == "VERB":
        return before
    return None


def holds_verb(preposition: Token) -> bool:
    """Whether a preposition leads to a verb: "by" in "by jumping", even where "jumping" was taken for a noun."""
    if preposition.lower_ not in ("with", "to", "from", "by", "into", "on"):
        return False
    return any(
        child.dep_ == "pcomp" or (child.dep_ == "pobj" and child.lower_.endswith("ing") and not [*child.lefts])
        for child in preposition.children
    )


def is_changed(token: Token) -> bool:
    """Whether a word tagged as a noun is a verb by what leads to it: "changes from crying to laughing"."""
    preposition, carrier = token.head, token.head.head
    if token.dep_ != "pobj" or not token.lower_.endswith("ing") or [*token.lefts]:
        return False
    if preposition.lower_ in w.SUBORDINATORS:
        return base_form(token.lower_) in w.NOUNLIKE_VERBS
    if not holds_verb(preposition):
        return False
    return carries(carrier) or (carrier.dep_ == "pcomp" and carries(carrier.head.head))


def is_progressive(token: Token) -> bool:
    """Whether "spinning" in "is spinning" was taken for an adjective."""
    is_said = token.dep_ in ("acomp", "attr") and token.head.lemma_ == "be" and token.lower_.endswith("ing")
    return is_said and base_form(token.lower_) in w.NOUNLIKE_VERBS


def is_order(verb: Token) -> bool:
    """Whether a verb without a subject is an imperative."""
    return verb.dep_ == "ROOT" and verb.tag_ == "VB"


def mistaken_noun(token: Token) -> bool:
    """Whether a word tagged as a noun has what only verbs have: a subject, or an adverb of time and a verb above it."""
    if token.tag_ != "NNS" or any(child.dep_ == "det" for child in token.children):
        return False
    subject = any(child.dep_ in SUBJECTS for child in token.children)
    return subject or (token.dep_ == "conj" and token.head.pos_ == "VERB")


def misread_opener(verb: Token) -> Token | None:
    """The "as" of "as a duck jumps" where the parser took it for a preposition of the duck."""
    before = next((token for token in reversed(verb.doc[: verb.i]) if token.pos_ not in ("ADV", "AUX")), None)
    if before is None or before.dep_ != "pobj" or before.head.lower_ not in w.SUBORDINATORS:
        return None
    return before.head
