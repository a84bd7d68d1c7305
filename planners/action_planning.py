"""Stage I, action planning: what is asked of the language model, as pure functions.

A small model cannot write a whole plan, but it copies faithfully. So it gets its prompt back and decides by
*marking*: it puts a slash between the actions, brackets around each action's verb and around each thing's name,
replaces pronouns by who is meant, and retells how the actions hang together in time. Every reply's schema allows the
copy with its marks and nothing else, hence nothing can be invented; :mod:`planners.plan_assembly` makes an action
plan of the marks.

Source: Dysen-VDM (arXiv 2308.13812) section 3.2, step I; the division into marking questions is ours.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, dropwhile
from typing import Any, TypeVar

from planners.demonstrations import Demonstration
from planners.language import (
    AUXILIARIES,
    DETERMINERS,
    DIRECTIONS,
    FUNCTION_WORDS,
    LEADS,
    LOCATIVE,
    NUMBERS,
    PREPOSITIONS,
    PRONOUNS,
    REFLEXIVES,
    WORN,
    predicate_form,
    without_leads,
    words_of,
)
from planners.questions import Question, chat

T = TypeVar("T")
Retelling = tuple[str | None, str | None]
"""Words for a clause's agent and target, in place of its pronouns; None keeps the clause's own."""

MAX_SEGMENTS = 12
MAX_VERB_WORDS = 6
MAX_NAME_WORDS = 3
LINKS = {
    "then": "then",
    "after that": "then",
    "before": "before",
    "after": "after",
    "while": "while",
    "as": "while",
    "at the same time": "while",
}
"""Words that link a retold action to the others, and what they mean."""


@dataclass(frozen=True)
class Clause:
    """A segment of the prompt cut into who acts, the action's words, and to whom; a mere place has no ``verb``."""

    subject: tuple[str, ...]
    verb: tuple[str, ...]
    rest: tuple[str, ...]

    @property
    def words(self) -> tuple[str, ...]:
        return (*self.subject, *self.verb, *self.rest)

    @property
    def agent(self) -> tuple[str, ...]:
        """The words of who acts, without connectives."""
        return tuple(without_leads(list(self.subject)))

    @property
    def _parts(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """``rest`` as (prepositions it begins with, the phrase after them)."""
        n = next((i for i, word in enumerate(self.rest) if word not in PREPOSITIONS), len(self.rest))
        return self.rest[:n], self.rest[n:]

    @property
    def _is_manner(self) -> bool:
        """Whether ``rest`` says how or whereto instead of naming a thing: "down", "to the left", "itself"."""
        _, phrase = self._parts
        return (
            not phrase or phrase[-1] in DIRECTIONS or phrase[0] in REFLEXIVES or all(w.endswith("ly") for w in phrase)
        )

    @property
    def predicate(self) -> str:
        """The action in its base form, with the preposition that leads to its target: "walk to"."""
        before, _ = self._parts
        return predicate_form([*self.verb, *(self.rest if self._is_manner else before)])

    @property
    def target(self) -> tuple[str, ...]:
        """The words of whom or what the action is done to; empty where there is none."""
        return () if self._is_manner else self._parts[1]

    @property
    def place(self) -> tuple[str, ...]:
        """The words of where it happens, in a segment that says nothing else."""
        return (
            () if self.verb else tuple(word for i, word in enumerate(self.agent) if i > 0 or word not in PREPOSITIONS)
        )


@dataclass(frozen=True)
class Mention:
    """A thing as one phrase names it: "two old dogs" is the label "dogs", the attribute "old" and the number 2."""

    label: str
    attributes: tuple[str, ...] = ()
    number: int = 1
    determiner: str = ""


# -- where does one action end and the next begin? -------------------------------------------------------------------


def split_question(prompt: str, examples: Sequence[Demonstration]) -> Question[list[str]]:
    """Ask for a slash between the actions; the answer is the segments, in lower case and without punctuation."""
    words = words_of(prompt)
    shown = [(example.prompt, " / ".join(_unmarked(clause) for clause in example.clauses)) for example in examples]

    def check(value: Any) -> list[str]:
        segments = str(value).split(" / ")
        if " ".join(segments).split() != words:
            raise ValueError("the reply does not repeat the text word by word")
        if len(segments) > MAX_SEGMENTS:
            raise ValueError(f"{len(segments)} actions are too many; at most {MAX_SEGMENTS}")
        return segments

    # No action and no place begins with a preposition of direction: "walks / to the tree" is never meant.
    breaks = ("" if word in PREPOSITIONS - LOCATIVE else "( /)?" for word in words[1:])
    pattern = re.escape(words[0]) + "".join(
        f"{slash} {re.escape(word)}" for slash, word in zip(breaks, words[1:], strict=True)
    )
    return Question(
        step="split",
        messages=chat("split", shown, prompt),
        json_schema={"type": "string", "pattern": f"^{pattern}$"},
        max_tokens=24 + 8 * len(words),
        check=check,
    )


# -- what is the action of a segment? --------------------------------------------------------------------------------


def act_question(segment: str, examples: Sequence[str]) -> Question[Clause]:
    """Ask for brackets around a segment's action; ``examples`` are segments with theirs."""
    options = {_marked(segment.split(), [span]): span for span in _verb_spans(segment.split())}
    if may_be_place(segment):
        options[segment] = (0, 0)
    return Question(
        step="act",
        messages=chat("act", [(_unmarked(example), example) for example in examples], segment),
        json_schema={"enum": list(options)},
        max_tokens=24 + 8 * len(segment.split()),
        check=lambda value: _clause(segment.split(), _one_of(options, value)),
    )


def may_be_place(segment: str) -> bool:
    """Whether a segment could only say where ("in a park"), so that it may have no action."""
    words = without_leads(segment.split())
    return len(words) > 1 and words[0] in LOCATIVE


def _verb_spans(words: list[str]) -> list[tuple[int, int]]:
    """Spans that could be an action, as far as function words and endings tell.

    It begins with a content word that no article makes a noun, and holds no connective. No word with a verb's ending
    may stand before it, nor, where its own first word has none ("dog runs"), within it or right behind it. Wearing is
    no action of somebody who does something else as well ("a girl wearing a coat runs").
    """
    started = len(words) - len(without_leads(words))
    worn = _worn_beside_an_action(words)
    spans = []
    for i, j in combinations(range(len(words) + 1), 2):
        span = words[i:j]
        begins = span[0] not in FUNCTION_WORDS | REFLEXIVES and not _after_article(words, i)
        bound = span[-1] not in DETERMINERS and not any(word in LEADS | PRONOUNS for word in span)
        is_verb = _inflected(words, i) or span[0] in AUXILIARIES or span[0].endswith(("ing", "ed"))
        missed = {*range(started, i), *(() if is_verb else range(i + 1, min(j + 1, len(words))))} - worn
        act = begins and bound and not worn & set(range(i, j))
        if j - i <= MAX_VERB_WORDS and act and not any(_inflected(words, k) for k in missed):
            spans.append((i, j))
    return spans or [(len(words) - 1, len(words))]


def _worn_beside_an_action(words: list[str]) -> set[int]:
    """Where words of :data:`WORN` say how somebody looks who, by another word with a verb's ending, does something."""
    places = {
        k
        for k, word in enumerate(words)
        if word in WORN
        and k > 0
        and (word in ("wearing", "dressed", "clad") or words[k - 1] in ("who", "which", "that"))
        and not (words[k - 1] in AUXILIARIES and (k < 2 or words[k - 2] not in ("who", "which", "that")))
    }
    return places if any(_inflected(words, k) for k in range(len(words)) if k not in places) else set()


def _after_article(words: list[str], k: int) -> bool:
    return k > 0 and (words[k - 1] in DETERMINERS or words[k - 1] in NUMBERS)


def _inflected(words: list[str], k: int) -> bool:
    """Whether word ``k`` looks like a verb with an ending, "runs"; after an article or a number it is a noun."""
    is_content = words[k] not in FUNCTION_WORDS | REFLEXIVES | AUXILIARIES
    return is_content and not _after_article(words, k) and words[k].endswith("s") and not words[k].endswith("ss")


def _clause(words: list[str], span: tuple[int, int]) -> Clause:
    i, j = span
    if i == j:
        return Clause(tuple(words), (), ())
    return Clause(tuple(words[:i]), tuple(words[i:j]), tuple(words[j:]))


# -- what is a thing called, and how is it described? ----------------------------------------------------------------


def name_question(phrase: Sequence[str], examples: Sequence[str]) -> Question[tuple[Mention, ...]]:
    """Ask for brackets around the name in a phrase such as "a girl in a red coat"; "a dog and a cat" has two."""
    words = list(phrase)
    spans = _name_spans(words)
    choices = [[span] for span in spans]
    choices += [[a, b] for a in spans for b in spans if _joined(words, a, b)]
    options = {_marked(words, choice): choice for choice in choices}
    return Question(
        step="name",
        messages=chat("name", [(_unmarked(example), example) for example in examples], " ".join(words)),
        json_schema={"enum": list(options)},
        max_tokens=24 + 8 * len(words),
        check=lambda value: _mentions(words, _one_of(options, value)),
    )


def plain_name(phrase: Sequence[str]) -> tuple[Mention, ...] | None:
    """The mention of a phrase with one content word, "the box", which leaves nothing to ask; None for any other."""
    words = list(phrase)
    spans = _name_spans(words)
    if len(spans) > 1:
        return None
    return _mentions(words, [spans[0] if spans else (0, len(words))])


def _name_spans(words: list[str]) -> list[tuple[int, int]]:
    """Spans that could be a name: content words that end where their noun phrase ends, as English names do."""
    spans = combinations(range(len(words) + 1), 2)
    return [
        (i, j)
        for i, j in spans
        if j - i <= MAX_NAME_WORDS
        and not any(word in FUNCTION_WORDS | WORN for word in words[i:j])
        and (j == len(words) or words[j] in FUNCTION_WORDS | WORN)
    ]


def _joined(words: list[str], a: tuple[int, int], b: tuple[int, int]) -> bool:
    """Whether two names stand on the two sides of an "and"."""
    return a[1] < b[0] and "and" in words[a[1] : b[0]]


def _as_worn(words: list[str]) -> list[str]:
    """What follows a name, with "who is wearing a coat" and "dressed in a coat" as "in a coat"."""
    at = next((k for k, word in enumerate(words) if word in WORN), None)
    if at is None or any(word not in AUXILIARIES | PRONOUNS | {"that"} for word in words[:at]):
        return words
    clothes = words[at + 1 :]
    return ["in", *(clothes[1:] if clothes[:1] == ["in"] else clothes)]


def _mentions(words: list[str], names: Sequence[tuple[int, int]]) -> tuple[Mention, ...]:
    cuts = [0, *(words.index("and", a[1]) + 1 for a in names[:-1]), len(words) + 1]
    mentions = []
    for (i, j), begin, end in zip(names, cuts, cuts[1:], strict=False):
        before, after = words[begin:i], words[j : end - 1]
        adjectives = list(dropwhile(FUNCTION_WORDS.__contains__, before))
        attributes = tuple(" ".join(part) for part in (adjectives, _as_worn(after)) if part)
        number = next((NUMBERS[word] for word in before if word in NUMBERS), 1)
        determiner = next((word for word in before if word in DETERMINERS), "")
        mentions.append(Mention(" ".join(words[i:j]), attributes, number, determiner))
    return tuple(mentions)


# -- who is meant? ---------------------------------------------------------------------------------------------------


def refer_question(
    prompt: str, clause: Clause, options: Mapping[Retelling, T], examples: Sequence[Demonstration]
) -> Question[T]:
    """Ask to retell a clause without pronouns, as one of ``options``; the answer is that option's value."""
    told = {retold(clause, *retelling): answer for retelling, answer in options.items()}
    shown = [
        (f"{example.prompt}\n{asked}", answer) for example in examples for asked, answer in example.references.items()
    ]
    return Question(
        step="refer",
        messages=chat("refer", shown, f"{prompt}\n{' '.join(clause.words)}"),
        json_schema={"enum": list(told)},
        max_tokens=40 + 8 * len(clause.words),
        check=lambda value: _one_of(told, value),
    )


def retold(clause: Clause, agent: str | None, target: str | None) -> str:
    """The clause's words with these for its agent and its target; None keeps its own."""
    lead = clause.subject[: len(clause.subject) - len(clause.agent)]
    subject = clause.subject if agent is None else (*lead, agent)
    rest = clause.rest
    if target is not None:
        rest = (*rest[: len(rest) - len(clause.target)], target)
    return " ".join((*subject, *clause.verb, *rest))


# -- what happens when? ----------------------------------------------------------------------------------------------


def order_question(clauses: Sequence[Clause], examples: Sequence[Demonstration]) -> Question[list[tuple[str, int]]]:
    """Ask to retell the actions of ``clauses`` with no links but :data:`LINKS`: "before the boy sits, he kicks a ball".

    The answer is (meaning of the link, action) pairs, actions counted from 1; the meaning is "" where no link was put.
    """
    actions = [clause for clause in clauses if clause.verb]
    shown = [(told(marked), _linked(marked, example.order)) for example in examples for marked in [_acts(example)]]
    opening = "|".join(f"{link} " for link, meaning in LINKS.items() if meaning != "then")
    pattern = f"({opening})?{re.escape(_without_lead(actions[0]))}"
    for clause in actions[1:]:
        # "after that" turns "after" round, and a small model drops the "that".
        turned = " ".join(clause.subject).startswith("after that ") or clause.subject == ("after", "that")
        links = "|".join(f"{link} " for link in LINKS if not (turned and link == "after"))
        pattern += f", ({links})?{re.escape(_without_lead(clause))}"

    def check(value: Any) -> list[tuple[str, int]]:
        if not re.fullmatch(pattern, str(value)):
            raise ValueError("the reply must repeat the actions in the same order, with links before them")
        parts = zip(str(value).split(", "), actions, strict=True)
        said = [part.removesuffix(_without_lead(clause)).strip() for part, clause in parts]
        return [(LINKS.get(link, ""), number) for number, link in enumerate(said, 1)]

    return Question(
        step="order",
        messages=chat("order", shown, told(actions)),
        json_schema={"type": "string", "pattern": f"^{pattern}$"},
        max_tokens=24 + 8 * sum(len(clause.words) + 1 for clause in actions),
        check=check,
    )


def told(clauses: Sequence[Clause]) -> str:
    """Clauses as one line, in the prompt's words."""
    return ", ".join(" ".join(clause.words) for clause in clauses)


def parse_order(text: str) -> list[tuple[str, int]]:
    """(link, action) pairs of a demonstration's order, "before 1, 2"."""
    items = (item.rpartition(" ") for item in text.split(", "))
    return [(link, int(number)) for link, _, number in items]


def _acts(example: Demonstration) -> list[Clause]:
    return [clause for clause in map(parsed, example.clauses) if clause.verb]


def _linked(clauses: Sequence[Clause], order: str) -> str:
    pairs = zip(parse_order(order), clauses, strict=True)
    return ", ".join(f"{link} {_without_lead(clause)}".strip() for (link, _), clause in pairs)


def _without_lead(clause: Clause) -> str:
    return " ".join((*clause.agent, *clause.verb, *clause.rest))


# -- marks -----------------------------------------------------------------------------------------------------------


def _marked(words: list[str], spans: Sequence[tuple[int, int]]) -> str:
    begins, ends = {i for i, _ in spans}, {j - 1 for _, j in spans}
    return " ".join(f"{'[' * (k in begins)}{word}{']' * (k in ends)}" for k, word in enumerate(words))


def _unmarked(text: str) -> str:
    return text.replace("[", "").replace("]", "")


def parsed(marked: str) -> Clause:
    """A demonstration's clause: "then she [reads] a book"."""
    before, opened, rest = marked.partition("[")
    if not opened:
        return Clause(tuple(marked.split()), (), ())
    verb, _, after = rest.partition("]")
    return Clause(tuple(before.split()), tuple(verb.split()), tuple(after.split()))


def _one_of(options: Mapping[str, T], value: Any) -> T:
    if not isinstance(value, str) or value not in options:
        raise ValueError("the reply is not the text with its marks")
    return options[value]
