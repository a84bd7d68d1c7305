"""What a misspelt key or name of a recipe was probably meant to be, read off its pydantic model."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ValidationError


def suggestion(error: ValidationError, schema: type[BaseModel]) -> str:
    """The end of the error's line: the nearest key or name, else all that there are; "" for other mistakes."""
    first, *others = error.errors(include_url=False)
    if first["type"] == "missing":  # perhaps it is there, misspelt
        wanted, beside = str(first["loc"][-1]), first["loc"][:-1]
        extra = [str(e["loc"][-1]) for e in others if e["type"] == "extra_forbidden" and e["loc"][:-1] == beside]
        return next((f"; for {key}, did you mean {wanted}?" for key in extra if nearest(key, [wanted])), "")
    if first["type"] == "extra_forbidden":
        known = list(
            dict.fromkeys(key for model in _models_at(schema, first["loc"][:-1]) for key in model.model_fields)
        )
        return nearest(str(first["loc"][-1]), known) or f"; known: {', '.join(known)}"
    if first["type"] == "literal_error" and isinstance(first["input"], str):  # pydantic's own line lists the names
        return nearest(first["input"], _names(first["ctx"]["expected"]))
    if first["type"] == "union_tag_invalid":
        return nearest(str(first["ctx"]["tag"]), _names(first["ctx"]["expected_tags"]))
    return ""


def nearest(word: str, known: Iterable[str]) -> str:
    """The end of an error's line that names what the word was probably meant to be; "" where nothing is near."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.65)
    return f"; did you mean {near[0]}?" if near else ""


def _names(listed: str) -> list[str]:
    """Of pydantic's ``'a', 'b' or 'c'``."""
    return listed.split("'")[1::2]


def _models_at(schema: type[BaseModel], place: Iterable[int | str]) -> list[type[BaseModel]]:
    """The models that may lie at a place of a document; one, unless a union without a tag is on the way."""
    models = [schema]
    for part in place:
        owners = [model for model in models if part in model.model_fields]
        if owners:
            models = [inner for model in owners for inner in _inside(model.model_fields[str(part)].annotation)]
        elif isinstance(part, str):  # the tag of a union's member, or the key of a mapping
            models = [model for model in models if _tagged(model, part)] or models
    return models


def _inside(annotation: Any) -> list[type[BaseModel]]:
    """All models in an annotation: itself, or the members of its unions and containers."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _inside(part)]


def _tagged(model: type[BaseModel], tag: str) -> bool:
    fields = [field.annotation for field in model.model_fields.values()]
    return any(get_origin(kind) is Literal and tag in get_args(kind) for kind in fields)
