"""Stage III, scene imagination: what the prompt leaves unsaid, asked of the language model in two rounds.

Round 1 slides a window over the *segments* of the graph (runs of ticks with one scene graph): the model sees the
prompt, the enriched previous, the raw current and the raw next segment, and adds lines such as "girl is smiling" or
"ball near box". Round 2 shows all lines; the model removes, changes or adds. Only lines that were imagined can be
removed or changed.

Source: Dysen-VDM (arXiv 2308.13812) section 3.2, step III; segments and edits are ours.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from planners.audit import contradict
from planners.dsg import STATED, DSGError, DynamicSceneGraph, Edit, Fact, SceneObject, Segment, Source
from planners.language import slug
from planners.questions import Question, chat

MAX_ADDED = 2
"""Lines a window may add; also what the polish may add."""
RELATIONS = (
    "in front of",
    "looking at",
    "on",
    "in",
    "near",
    "behind",
    "beside",
    "under",
    "above",
    "holding",
    "wearing",
)
_FREE = "[a-z]{3,12}( [a-z]{2,12}){0,2}"
"""Up to three words of the model's own."""


@dataclass(frozen=True)
class Vocabulary:
    """The words that imagined lines may use. A small model that may spell anything spells "onle"."""

    properties: tuple[str, ...]
    things: tuple[str, ...]


@cache
def visual_words() -> Vocabulary:
    """Some hundred words for what can be seen, ``planners/data/visual_words.txt``."""
    text = resources.files("planners").joinpath("data", "visual_words.txt").read_text(encoding="utf-8")
    words: dict[str, list[str]] = {"properties": [], "things": []}
    for row in text.splitlines():
        if not row.startswith("#"):
            kind, _, listed = row.partition(": ")
            words[kind] += listed.split()
    return Vocabulary(tuple(words["properties"]), tuple(words["things"]))


@dataclass(frozen=True)
class SceneExample:
    """A demonstration as a graph, with what a person imagined for each segment, and a line to be removed."""

    dsg: DynamicSceneGraph
    imagined: tuple[tuple[str, ...], ...]
    flaw: str = ""


# -- lines -----------------------------------------------------------------------------------------------------------


def line(fact: Fact) -> str:
    """A fact as the model reads it: "girl is in a red coat", "girl jump over box"."""
    if fact.attribute is not None:
        return f"{fact.subject} is {fact.attribute}"
    return " ".join(part for part in (fact.subject, fact.predicate, fact.object) if part)


def parse_line(
    text: str, dsg: DynamicSceneGraph, start: int, end: int, source: Source
) -> tuple[Fact, list[SceneObject]]:
    """The fact that an imagined line states in ``[start, end)``, and the object it introduces, if any.

    Raises ValueError for a line that is no statement about an object of the graph.
    """
    known = {thing.id for thing in dsg.objects}
    subject, _, rest = text.partition(" ")
    if subject not in known:
        raise ValueError(f"nothing is called {subject!r}")
    span: dict[str, Any] = {"subject": subject, "start": start, "end": end, "source": source}
    if rest.startswith("is ") and rest[3:].strip():
        return Fact(attribute=rest[3:], **span), []
    relation = next((relation for relation in RELATIONS if rest.startswith(f"{relation} ")), None)
    if relation is None:
        raise ValueError(f"{text!r} is neither a property nor a relation")
    other = rest.removeprefix(relation).strip()
    ident = slug(other)
    if ident == subject:
        raise ValueError(f"{text!r} relates a thing to itself")
    new = [] if ident in known else [SceneObject(id=ident, label=other)]
    return Fact(predicate=relation, object=ident, **span), new


def line_pattern(dsg: DynamicSceneGraph, words: Vocabulary | None = None, within: tuple[int, int] | None = None) -> str:
    """What an added line may look like: an object of the graph, then a property or a relation to something else.

    A line that already holds in some of the ticks ``within`` (all by default) is not offered, as far as ``words`` or
    the graph's objects spell it: a small model would choose nothing else.
    """
    start, end = within or (0, dsg.ticks)
    said = {line(fact) for fact in dsg.facts if fact.start < end and start < fact.end}
    ids = [thing.id for thing in dsg.objects]
    relations = "|".join(RELATIONS)
    things = _FREE if words is None else "|".join(word for word in words.things if slug(word) not in ids)
    subjects = []
    for subject in ids:
        properties = f"(in an? )?{_FREE}"
        if words is not None:
            properties = "|".join(word for word in words.properties if f"{subject} is {word}" not in said)
        offers = [f"is ({properties})", f"({relations}) ({things})"]
        for relation in RELATIONS:
            others = [other for other in ids if other != subject and f"{subject} {relation} {other}" not in said]
            if others:
                offers.append(f"{relation} ({'|'.join(map(re.escape, others))})")
        subjects.append(f"{re.escape(subject)} ({'|'.join(offers)})")
    return f"({'|'.join(subjects)})"


def _add(dsg: DynamicSceneGraph, lines: Iterable[str], start: int, end: int, source: Source) -> DynamicSceneGraph:
    """The graph with these lines added; raises ValueError where one says nothing new, or what cannot be.

    A line that is said twice counts once: a small model has often no second idea.
    """
    for text in dict.fromkeys(lines):
        fact, new = parse_line(text, dsg, start, end, source)
        if any(line(old).lower() == text.lower() for old in dsg.facts if old.start < end and start < old.end):
            raise ValueError(f"{text!r} is already there")
        _check_against_stated(fact, dsg)
        try:
            dsg = dsg.extended([fact], new)
        except DSGError as error:
            raise ValueError(str(error)) from None
    return dsg


def _check_against_stated(fact: Fact, dsg: DynamicSceneGraph) -> None:
    against = next((old for old in dsg.facts if old.source in STATED and contradict(old, fact)), None)
    if against is not None:
        raise ValueError(f"{line(fact)!r} contradicts {line(against)!r}, which the {against.source} states")


# -- round 1: a window over the segments -------------------------------------------------------------------------------


def window_question(
    dsg: DynamicSceneGraph,
    raw: Sequence[Segment],
    index: int,
    examples: Sequence[SceneExample],
    words: Vocabulary | None = None,
    *,
    window: bool = True,
) -> Question[DynamicSceneGraph]:
    """Ask what else segment ``index`` of ``raw`` shows; the answer is ``dsg`` with the lines added in its ticks.

    Without ``window`` the segment is shown alone, as if nothing came before or after (the paper's ablation).
    """
    segment = raw[index]
    shown = []
    for example in examples:
        segments = example.dsg.segments()
        at = min(index, len(segments) - 1)
        enriched = enriched_example(example, upto=at)
        shown.append((_window(enriched, segments, at, window), {"add": list(example.imagined[at][:MAX_ADDED])}))
    item = {"type": "string", "pattern": f"^{line_pattern(dsg, words, (segment.start, segment.end))}$"}
    return Question(
        step=f"imagine {index + 1}/{len(raw)}",
        messages=chat("imagine", shown, _window(dsg, raw, index, window)),
        json_schema=_object({"add": {"type": "array", "items": item, "minItems": 1, "maxItems": MAX_ADDED}}),
        max_tokens=32 + 32 * MAX_ADDED,
        check=lambda value: _add(dsg, _lines(value, "add"), segment.start, segment.end, "imagined"),
    )


def enriched_example(example: SceneExample, upto: int | None = None) -> DynamicSceneGraph:
    """A demonstration's graph with what was imagined for its first ``upto`` segments (all by default)."""
    dsg = example.dsg
    for segment, lines in list(zip(example.dsg.segments(), example.imagined, strict=True))[:upto]:
        dsg = _add(dsg, lines, segment.start, segment.end, "imagined")
    return dsg


def _window(dsg: DynamicSceneGraph, raw: Sequence[Segment], index: int, window: bool) -> str:
    before = dsg.at(raw[index - 1].start).facts if window and index else ()
    after = raw[index + 1].graph.facts if window and index + 1 < len(raw) else ()
    return "\n".join(
        (
            dsg.prompt,
            f"before: {_listed(before)}",
            f"now: {_listed(raw[index].graph.facts)}",
            f"next: {_listed(after)}",
        )
    )


def _listed(facts: Sequence[Fact]) -> str:
    return "; ".join(line(fact) for fact in facts) or "-"


# -- round 2: the polish ---------------------------------------------------------------------------------------------


def polish_question(
    dsg: DynamicSceneGraph, examples: Sequence[SceneExample], words: Vocabulary | None = None
) -> Question[DynamicSceneGraph]:
    """Ask for edits of the whole enriched graph; the answer is the graph after them."""
    facts = dsg.facts
    mine = [number for number, fact in enumerate(facts, 1) if fact.source not in STATED]
    shown = [_polished_example(example) for example in examples]
    text = line_pattern(dsg, words)
    changes = {"type": "string", "pattern": f"^({'|'.join(map(str, mine))}): {text}$"}
    schema = _object(
        {
            "remove": {"type": "array", "items": {"enum": mine}, "maxItems": min(2, len(mine))},
            "change": {"type": "array", "items": changes, "maxItems": min(1, len(mine))},
            "add": {"type": "array", "items": {"type": "string", "pattern": f"^{text}$"}, "maxItems": 1},
        }
    )
    return Question(
        step="polish",
        messages=chat("polish", shown, _whole(dsg)),
        json_schema=schema,
        max_tokens=128,
        check=lambda value: polish(dsg, value),
    )


def _polished_example(example: SceneExample) -> tuple[str, dict[str, list[Any]]]:
    """An example's whole graph with its flaw and the edits that mend it."""
    dsg, remove = flawed_example(example)
    return _whole(dsg), {"remove": remove, "change": [], "add": []}


def flawed_example(example: SceneExample) -> tuple[DynamicSceneGraph, list[int]]:
    """A demonstration's enriched graph with its flaw, a line that does not fit; and the numbers of the flaw's lines."""
    dsg = enriched_example(example)
    if not example.flaw:
        return dsg, []
    flawed = _add(dsg, [example.flaw], 0, dsg.ticks, "imagined")
    return flawed, [i for i, fact in enumerate(flawed.facts, 1) if fact not in dsg.facts]


def polish(dsg: DynamicSceneGraph, value: Any) -> DynamicSceneGraph:
    """Apply a reply's edits; raises ValueError where one touches what prompt, plan or user state, or names nothing."""
    facts = dsg.facts
    edits: list[Edit] = []
    objects: list[SceneObject] = []

    def imagined(number: Any) -> Fact:
        if not isinstance(number, int) or not 1 <= number <= len(facts):
            raise ValueError(f"there is no line {number!r}; lines are 1 to {len(facts)}")
        fact = facts[number - 1]
        if fact.source in STATED:
            raise ValueError(f"line {number} ({line(fact)!r}) is stated by the {fact.source} and stays")
        return fact

    for number in _lines(value, "remove", int):
        edits.append(Edit(op="remove", fact=imagined(number)))
    for text in _lines(value, "change"):
        number, _, new_text = text.partition(": ")
        old = imagined(int(number) if number.isdigit() else number)
        new, things = parse_line(new_text, dsg, old.start, old.end, "polished")
        _check_against_stated(new, dsg)
        edits.append(Edit(op="change", fact=old, to_fact=new))
        objects += things
    edits += [Edit(op="add", object=thing) for thing in objects]
    try:
        edited = dsg.apply(edits)
    except DSGError as error:
        raise ValueError(str(error)) from None
    return _without_orphans(_add(edited, _lines(value, "add"), 0, dsg.ticks, "polished"), dsg)


def _without_orphans(dsg: DynamicSceneGraph, before: DynamicSceneGraph) -> DynamicSceneGraph:
    """The graph without objects that only removed facts had introduced."""
    stated = {ident for fact in before.facts if fact.source in STATED for ident in (fact.subject, fact.object)}
    once = {ident for fact in before.facts for ident in (fact.subject, fact.object)} - stated
    now = {ident for fact in dsg.facts for ident in (fact.subject, fact.object)}
    return dsg.replace(objects=tuple(thing for thing in dsg.objects if thing.id not in once or thing.id in now))


def _whole(dsg: DynamicSceneGraph) -> str:
    lines = [
        f"{i}. {line(fact)}{'' if fact.source in STATED else ' (imagined)'}" for i, fact in enumerate(dsg.facts, 1)
    ]
    return "\n".join((dsg.prompt, *lines))


# -- replies ---------------------------------------------------------------------------------------------------------


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _lines(value: Any, key: str, kind: type = str) -> list[Any]:
    items = value.get(key) if isinstance(value, dict) else None
    if not isinstance(items, list) or not all(isinstance(item, kind) for item in items):
        raise ValueError(f"{key!r} must be a list")
    return items
