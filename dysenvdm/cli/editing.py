"""The edits of ``dysenvdm dsg edit``: words of the command line -> a changed graph."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from planners.dsg import DynamicSceneGraph, UserError

FIELDS = {
    "fact": ("subject", "predicate", "object", "attribute", "start", "end"),
    "object": ("label", "start", "end"),
}


def edited(
    dsg: DynamicSceneGraph, *, add: Sequence[str], change: Sequence[str], remove: Sequence[str]
) -> DynamicSceneGraph:
    """The graph after all edits, made as one step; facts that were added or changed have the source ``user``.

    Raises :class:`UserError` where an edit names nothing, or the graph after all of them would break a rule.
    """
    if not (add or change or remove):
        raise UserError("nothing to change; give --add, --set or --remove")
    data = dsg.to_dict()
    facts: dict[int, dict[str, Any]] = dict(enumerate(data["facts"], 1))
    objects: dict[str, dict[str, Any]] = {thing["id"]: thing for thing in data["objects"]}

    def find(what: str, option: str) -> tuple[str, dict[str, Any]]:
        if what.isdecimal() and int(what) in facts:
            return "fact", facts[int(what)]
        if what in objects:
            return "object", objects[what]
        raise UserError(f"{option}: no fact has the number and no object the id {what!r}; 'dsg show' lists them")

    for text in change:
        where, equals, value = text.partition("=")
        what, dot, field = where.rpartition(".")
        if not equals or not dot:
            raise UserError(f"--set {text!r}: write it as WHAT.FIELD=VALUE, for example 3.predicate=lie down")
        kind, item = find(what, f"--set {text!r}")
        if field not in FIELDS[kind]:
            raise UserError(f"--set {text!r}: a {kind} has no field {field!r} to set; it has {', '.join(FIELDS[kind])}")
        if kind == "fact":
            item["source"] = "user"
        if not value:
            item.pop(field, None)
        else:
            item[field] = _number(value, text) if field in ("start", "end") else value
    for what in remove:
        kind, _ = find(what, f"--remove {what!r}")
        if kind == "fact":
            del facts[int(what)]
        else:
            del objects[what]
    added = [_parsed(text) for text in add]
    new_facts = [{**item, "source": "user"} for item in added if "subject" in item]
    new_objects = [item for item in added if "subject" not in item]
    data = {**data, "objects": [*objects.values(), *new_objects], "facts": [*facts.values(), *new_facts]}
    return DynamicSceneGraph.parse(data, "after these edits")


def _number(value: str, text: str) -> int:
    if not value.isdecimal():
        raise UserError(f"--set {text!r}: {value!r} is not a tick; give a whole number")
    return int(value)


def _parsed(text: str) -> dict[str, Any]:
    try:
        item = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"--add {text!r}: not valid JSON ({error})") from None
    if not isinstance(item, dict):
        raise UserError(f"--add {text!r}: give one fact or one object, like a line of the file")
    return item
