"""The data model that everything else speaks: events, plans, facts on a timeline, dynamic scene graphs.

A *dynamic scene graph* (DSG) is a set of objects and of *facts*, each with a half-open interval of ticks
``[start, end)``. The scene graph of one tick is derived (:meth:`DynamicSceneGraph.at`), never stored, so that an edit
is one line of JSON and a diff is readable. Ticks are atomic time steps of the plan; a video of any number of frames
maps onto them by :func:`tick_of_frame`.

Source: Dysen-VDM (arXiv 2308.13812) section 3.2; half-open intervals and sources of facts are ours.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Sequence
from itertools import groupby, pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

FORMAT: Literal["dysenvdm.dsg/1"] = "dysenvdm.dsg/1"
MAX_TICKS = 1024
MAX_OBJECTS = 256
MAX_FACTS = 4096

Source = Literal["prompt", "plan", "imagined", "polished", "user"]
"""Who said a fact: the prompt itself, the action plan, the two rounds of scene imagination, or a person."""
SOURCES: tuple[Source, ...] = get_args(Source)
STATED: frozenset[Source] = frozenset(("prompt", "plan", "user"))
"""Sources that a planner's polish may never remove."""

ObjectId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$")]
Label = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=120)]
Tick = Annotated[int, Field(ge=0, le=MAX_TICKS, strict=True)]


class UserError(ValueError):
    """Anything a user can mend. The message is one line naming the place and the mend; commands exit with code 2."""


class DSGError(UserError):
    """A plan or DSG that breaks a rule. The message is one line that names the place and the mend."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _check_interval(start: int, end: int) -> None:
    if start >= end:
        raise ValueError(f"start {start} is not before end {end}; intervals are half-open, [start, end)")


class SceneObject(_Strict):
    """A person, animal or thing with an identity that holds over time: two dogs stay ``dog_1`` and ``dog_2``.

    ``start`` and ``end`` bound its presence; ``end=None`` means until the last tick.
    """

    id: ObjectId
    label: Label
    start: Tick = 0
    end: Tick | None = None

    @model_validator(mode="after")
    def _interval(self) -> SceneObject:
        if self.end is not None:
            _check_interval(self.start, self.end)
        return self

    def present(self, tick: int) -> bool:
        return self.start <= tick and (self.end is None or tick < self.end)


class Event(_Strict):
    """One action: ``agent`` (object id) does ``predicate`` (to ``target``, an object id) in ``[start, end)``."""

    agent: ObjectId
    predicate: Label
    target: ObjectId | None = None
    start: Tick
    end: Tick

    @model_validator(mode="after")
    def _interval(self) -> Event:
        _check_interval(self.start, self.end)
        return self


class Fact(_Strict):
    """One statement on the timeline, true in the ticks ``[start, end)``.

    Either ``attribute`` ("in a red dress"), or ``predicate`` with an optional ``object`` (object id):
    ``sit on chair``, or just ``jump``.
    """

    subject: ObjectId
    predicate: Label | None = None
    object: ObjectId | None = None
    attribute: Label | None = None
    start: Tick
    end: Tick
    source: Source

    @model_validator(mode="after")
    def _shape(self) -> Fact:
        if (self.predicate is None) == (self.attribute is None):
            raise ValueError("a fact has either a predicate or an attribute, not both and not neither")
        if self.attribute is not None and self.object is not None:
            raise ValueError("an attribute fact takes no object; use a predicate")
        _check_interval(self.start, self.end)
        return self

    @property
    def statement(self) -> tuple[str, str, str, str]:
        """What is said, without when and by whom: (subject, predicate, object, attribute), "" where absent."""
        return (self.subject, self.predicate or "", self.object or "", self.attribute or "")

    @property
    def label(self) -> str:
        """The text of the fact's node: its predicate or its attribute."""
        return self.predicate or self.attribute or ""

    def active(self, tick: int) -> bool:
        return self.start <= tick < self.end

    def describe(self) -> str:
        """One readable line: ``girl · jump over · box [3, 6) plan``."""
        parts = [self.subject, self.label, *([self.object] if self.object else [])]
        return f"{' · '.join(parts)} [{self.start}, {self.end}) {self.source}"


def _fact_order(fact: Fact) -> tuple[Any, ...]:
    return (fact.start, fact.end, fact.statement, SOURCES.index(fact.source))


class ActionPlan(_Strict):
    """Stage I's result: who is there and what happens when, in order of *occurrence*.

    ``attributes`` are those the prompt itself states, as (object id, attribute) pairs.
    """

    prompt: str
    ticks: Annotated[int, Field(ge=1, le=MAX_TICKS, strict=True)]
    objects: tuple[SceneObject, ...]
    attributes: tuple[tuple[ObjectId, Label], ...] = ()
    events: tuple[Event, ...]

    @model_validator(mode="after")
    def _check(self) -> ActionPlan:
        known = _unique_ids(self.objects)
        for i, event in enumerate(self.events):
            for role, ident in (("agent", event.agent), ("target", event.target)):
                if ident is not None and ident not in known:
                    raise ValueError(f"events[{i}].{role}: no object has the id {ident!r}; known: {_names(known)}")
            if event.end > self.ticks:
                raise ValueError(f"events[{i}].end: {event.end} is beyond the plan's {self.ticks} ticks")
        for i, (ident, _) in enumerate(self.attributes):
            if ident not in known:
                raise ValueError(f"attributes[{i}]: no object has the id {ident!r}; known: {_names(known)}")
        starts = [event.start for event in self.events]
        if starts != sorted(starts):
            raise ValueError("events: not in order of occurrence; sort them by start")
        return self


class SceneGraph(_Strict):
    """The derived graph of one tick (or of a run of equal ticks): the objects present and the facts active."""

    objects: tuple[SceneObject, ...]
    facts: tuple[Fact, ...]

    @property
    def triplets(self) -> frozenset[tuple[str, str, str, str]]:
        return frozenset(fact.statement for fact in self.facts)


class Segment(_Strict):
    """A maximal run of ticks ``[start, end)`` with one and the same scene graph."""

    start: int
    end: int
    graph: SceneGraph


class Edit(_Strict):
    """One change of a DSG: ``add``, ``remove`` a fact or object, or ``change`` it into ``to_fact`` / ``to_object``."""

    op: Literal["add", "remove", "change"]
    fact: Fact | None = None
    object: SceneObject | None = None
    to_fact: Fact | None = None
    to_object: SceneObject | None = None

    @model_validator(mode="after")
    def _shape(self) -> Edit:
        if (self.fact is None) == (self.object is None):
            raise ValueError("an edit names either a fact or an object")
        wanted = (self.op == "change" and self.fact is not None, self.op == "change" and self.object is not None)
        if (self.to_fact is not None, self.to_object is not None) != wanted:
            raise ValueError(
                "'change' takes the new value of the same kind in to_fact or to_object; other edits take none"
            )
        if self.op == "change" and self.object and self.to_object and self.object.id != self.to_object.id:
            raise ValueError("an object's id is its identity and cannot be changed; remove it and add another")
        return self

    def describe(self) -> str:
        """One readable line, with ``+``, ``-`` or ``~`` first."""

        def text(fact: Fact | None, thing: SceneObject | None) -> str:
            if fact is not None:
                return fact.describe()
            assert thing is not None
            return f"object {thing.id} ({thing.label}) [{thing.start}, {'end' if thing.end is None else thing.end})"

        sign = {"add": "+", "remove": "-", "change": "~"}[self.op]
        after = f"  ->  {text(self.to_fact, self.to_object)}" if self.op == "change" else ""
        return f"{sign} {text(self.fact, self.object)}{after}"


class DynamicSceneGraph(_Strict):
    """A prompt's scene over time. Facts are kept in one canonical order, so equal content means equal bytes."""

    format: Literal["dysenvdm.dsg/1"] = FORMAT
    prompt: str = ""
    ticks: Annotated[int, Field(ge=1, le=MAX_TICKS, strict=True)]
    objects: Annotated[tuple[SceneObject, ...], Field(max_length=MAX_OBJECTS)] = ()
    facts: Annotated[tuple[Fact, ...], Field(max_length=MAX_FACTS)] = ()

    @model_validator(mode="before")
    @classmethod
    def _known_format(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("format", FORMAT) != FORMAT:
            raise ValueError(f"format {str(data['format'])[:60]!r} is not known; this version reads {FORMAT!r}")
        return data

    @model_validator(mode="after")
    def _check(self) -> DynamicSceneGraph:
        known = _unique_ids(self.objects)
        for i, thing in enumerate(self.objects):
            for bound, value in (("start", thing.start + 1), ("end", thing.end or 0)):
                if value > self.ticks:
                    raise ValueError(f"objects[{i}].{bound}: beyond the graph's {self.ticks} ticks")
        for i, fact in enumerate(self.facts):
            if fact.end > self.ticks:
                raise ValueError(f"facts[{i}].end: {fact.end} is beyond the graph's {self.ticks} ticks")
            for role, ident in (("subject", fact.subject), ("object", fact.object)):
                if ident is None:
                    continue
                if ident not in known:
                    raise ValueError(f"facts[{i}].{role}: no object has the id {ident!r}; known: {_names(known)}")
                if not (known[ident].present(fact.start) and known[ident].present(fact.end - 1)):
                    raise ValueError(f"facts[{i}]: {ident!r} is not present in all of [{fact.start}, {fact.end})")
        by_statement = sorted(enumerate(self.facts), key=lambda pair: (pair[1].statement, pair[1].start))
        for (i, a), (j, b) in pairwise(by_statement):
            if a.statement == b.statement and b.start < a.end:
                raise ValueError(
                    f"facts[{i}] and facts[{j}] say the same in overlapping ticks; merge them into one interval"
                )
        object.__setattr__(self, "facts", tuple(sorted(self.facts, key=_fact_order)))
        return self

    # -- reading and writing -------------------------------------------------------------------------------------

    @classmethod
    def from_json(cls, text: str | bytes, where: str = "DSG") -> DynamicSceneGraph:
        """Parse and validate; raises :class:`DSGError` with one line that begins with ``where``."""
        try:
            data = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise DSGError(f"{where}: not valid JSON ({error})") from None
        if not isinstance(data, dict) or "format" not in data:
            raise DSGError(f'{where}: not a DSG file; it must be a JSON object with "format": "{FORMAT}"')
        return cls.parse(data, where)

    @classmethod
    def parse(cls, data: dict[str, Any], where: str = "DSG") -> DynamicSceneGraph:
        """Validate plain data; raises :class:`DSGError` with one line."""
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            raise DSGError(f"{where}: {one_line(error)}") from None

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> DynamicSceneGraph:
        """Read a DSG file; raises :class:`DSGError` when it cannot be read or breaks a rule."""
        try:
            text = Path(path).read_bytes()
        except OSError as error:
            raise DSGError(f"{path}: cannot be read ({error.strerror or error})") from None
        return cls.from_json(text, str(path))

    def to_dict(self) -> dict[str, Any]:
        """Plain data without absent fields and without defaults of objects, in the file's key order."""
        return {
            "format": self.format,
            "prompt": self.prompt,
            "ticks": self.ticks,
            "objects": [thing.model_dump(exclude_defaults=True) for thing in self.objects],
            "facts": [fact.model_dump(exclude_none=True) for fact in self.facts],
        }

    def to_json(self) -> str:
        """The file's text: one line per object and per fact, so that diffs and edits are one line too."""
        head = self.to_dict()
        lists = {
            key: "[" + ",".join(f"\n  {json.dumps(item, ensure_ascii=False)}" for item in head[key]) + "]"
            for key in ("objects", "facts")
        }
        return (
            f'{{"format": {json.dumps(self.format)},\n "prompt": {json.dumps(self.prompt, ensure_ascii=False)},\n'
            f' "ticks": {self.ticks},\n "objects": {lists["objects"]},\n "facts": {lists["facts"]}}}\n'
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write atomically: the file is either the old one or the whole new one."""
        path = Path(path)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(self.to_json())
            os.chmod(name, 0o644)
            os.replace(name, path)
        except BaseException:
            os.unlink(name)
            raise

    # -- looking -------------------------------------------------------------------------------------------------

    def object(self, ident: str) -> SceneObject:
        """The object of that id; raises :class:`DSGError` where there is none."""
        for thing in self.objects:
            if thing.id == ident:
                return thing
        raise DSGError(f"no object has the id {ident!r}; known: {_names([o.id for o in self.objects])}")

    def at(self, tick: int) -> SceneGraph:
        """The scene graph of one tick; raises IndexError outside ``[0, ticks)``."""
        if not 0 <= tick < self.ticks:
            raise IndexError(f"tick {tick} is outside [0, {self.ticks})")
        return SceneGraph(
            objects=tuple(thing for thing in self.objects if thing.present(tick)),
            facts=tuple(fact for fact in self.facts if fact.active(tick)),
        )

    def segments(self) -> tuple[Segment, ...]:
        """Maximal runs of ticks with the same scene graph, in order; together they cover every tick once."""
        runs = groupby(((tick, self.at(tick)) for tick in range(self.ticks)), key=lambda pair: pair[1])
        result = []
        for graph, members in runs:
            ticks = [tick for tick, _ in members]
            result.append(Segment(start=ticks[0], end=ticks[-1] + 1, graph=graph))
        return tuple(result)

    # -- changing: every method returns a new graph ---------------------------------------------------------------

    def replace(self, **changes: Any) -> DynamicSceneGraph:
        """A validated copy with other fields; raises :class:`DSGError`."""
        return type(self).parse({**{name: getattr(self, name) for name in type(self).model_fields}, **changes})

    def extended(self, facts: Iterable[Fact], objects: Iterable[SceneObject] = ()) -> DynamicSceneGraph:
        """Add facts; ticks in which the same statement already holds are not said twice.

        Adjacent intervals of the same statement and source are joined, so that a fact imagined window by window becomes
        one line.
        """
        claimed: dict[tuple[str, str, str, str], list[Source | None]] = {}
        template: dict[tuple[str, str, str, str], Fact] = {}
        for fact in (*self.facts, *facts):
            ticks = claimed.setdefault(fact.statement, [None] * self.ticks)
            template.setdefault(fact.statement, fact)
            if fact.end > self.ticks:
                raise DSGError(f"{fact.describe()}: beyond the graph's {self.ticks} ticks")
            for tick in range(fact.start, fact.end):
                ticks[tick] = ticks[tick] or fact.source
        merged = []
        for statement, sources in claimed.items():
            for source, members in groupby(range(self.ticks), key=sources.__getitem__):
                ticks_of = list(members)
                if source is not None:
                    span = {"start": ticks_of[0], "end": ticks_of[-1] + 1, "source": source}
                    merged.append(template[statement].model_copy(update=span))
        return self.replace(facts=tuple(merged), objects=(*self.objects, *objects))

    def veto(self, sources: Iterable[Source]) -> DynamicSceneGraph:
        """Delete every fact of these sources, and objects that only such facts mentioned."""
        gone = frozenset(sources)
        unknown = gone - set(SOURCES)
        if unknown:
            raise DSGError(f"veto: unknown source {sorted(unknown)[0]!r}; known: {_names(SOURCES)}")
        kept = tuple(fact for fact in self.facts if fact.source not in gone)
        mentioned_before = _mentioned(self.facts)
        orphans = mentioned_before - _mentioned(kept)
        return self.replace(facts=kept, objects=tuple(thing for thing in self.objects if thing.id not in orphans))

    def apply(self, edits: Sequence[Edit]) -> DynamicSceneGraph:
        """Apply all edits as one step, so that only the final graph must be valid; raises :class:`DSGError`."""
        facts, objects = list(self.facts), list(self.objects)
        for i, edit in enumerate(edits):
            where: list[Any] = facts if edit.fact is not None else objects
            old: Any = edit.fact if edit.fact is not None else edit.object
            new: Any = edit.to_fact if edit.fact is not None else edit.to_object
            if edit.op == "add":
                where.append(old)
            elif old not in where:
                raise DSGError(f"edits[{i}]: nothing in the graph equals «{edit.describe()[2:]}»")
            elif edit.op == "remove":
                where.remove(old)
            else:
                where[where.index(old)] = new
        return self.replace(facts=tuple(facts), objects=tuple(objects))

    def diff(self, other: DynamicSceneGraph) -> tuple[Edit, ...]:
        """Edits that turn this graph into ``other`` (same ticks): ``a.apply(a.diff(b))`` has b's objects and facts.

        A removed and an added fact of the same subject and kind are shown as one change. Raises :class:`DSGError` where
        the numbers of ticks differ.
        """
        if self.ticks != other.ticks:
            raise DSGError(f"graphs of {self.ticks} and {other.ticks} ticks cannot be compared fact by fact")
        edits: list[Edit] = []
        mine, theirs = {o.id: o for o in self.objects}, {o.id: o for o in other.objects}
        edits += [Edit(op="remove", object=o) for i, o in mine.items() if i not in theirs]
        edits += [Edit(op="add", object=o) for i, o in theirs.items() if i not in mine]
        edits += [
            Edit(op="change", object=o, to_object=theirs[i]) for i, o in mine.items() if i in theirs and theirs[i] != o
        ]
        gone = [fact for fact in self.facts if fact not in other.facts]
        come = [fact for fact in other.facts if fact not in self.facts]
        for same in (_same_statement, _same_kind):
            for old in list(gone):
                new = next((fact for fact in come if same(old, fact)), None)
                if new is not None:
                    edits.append(Edit(op="change", fact=old, to_fact=new))
                    gone.remove(old)
                    come.remove(new)
        edits += [Edit(op="remove", fact=fact) for fact in gone]
        edits += [Edit(op="add", fact=fact) for fact in come]
        return tuple(edits)


def tick_of_frame(frame: int, num_frames: int, ticks: int) -> int:
    """The tick that frame ``frame`` of ``num_frames`` shows; every frame has exactly one."""
    return frame * ticks // num_frames


def one_line(error: ValidationError) -> str:
    """The first problem of a pydantic error as one short line, ``facts[2].end: …``, and how many more there are."""
    problems = error.errors(include_url=False, include_input=False)
    first = problems[0]
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"]).lstrip(".")
    place, message = _cut(place, 300), _cut(first["msg"].removeprefix("Value error, ").replace("\n", " "), 1000)
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"{place}: {message}{more}" if place else f"{message}{more}"


def _cut(text: str, length: int) -> str:
    """Names in an error come from the file and may be of any length."""
    return text if len(text) <= length else f"{text[:length]}…"


def _unique_ids(objects: Sequence[SceneObject]) -> dict[str, SceneObject]:
    known: dict[str, SceneObject] = {}
    for i, thing in enumerate(objects):
        if thing.id in known:
            raise ValueError(f"objects[{i}].id: {thing.id!r} is used twice; ids are unique")
        known[thing.id] = thing
    return known


def _names(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def _mentioned(facts: Iterable[Fact]) -> set[str]:
    return {ident for fact in facts for ident in (fact.subject, fact.object) if ident is not None}


def _same_statement(a: Fact, b: Fact) -> bool:
    return a.statement == b.statement


def _same_kind(a: Fact, b: Fact) -> bool:
    return (
        a.subject == b.subject
        and (a.predicate is None) == (b.predicate is None)
        and (a.start, a.end) == (b.start, b.end)
    )
