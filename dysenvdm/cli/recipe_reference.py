"""Writes the keys of docs/recipes.md from the models: ``python -m dysenvdm.cli.recipe_reference docs/recipes.md``."""

from __future__ import annotations

import inspect
import json
import re
import sys
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from dysenvdm.files import written_whole
from dysenvdm.studies.planner_recipes import FinetuneRecipe
from dysenvdm.studies.reinforced_planning import ReinforceRecipe
from dysenvdm.training.recipe import Recipe

MARK = "<!-- Below: made by `make docs` from the code; do not edit. -->\n"


def markdown() -> str:
    """Every key of the recipes, by section: of video models, and of the two kinds that train a planner."""
    return "\n".join([
        *_keys(Recipe, "the recipe"),
        "## All keys of planners' recipes",
        *_keys(FinetuneRecipe, "phase: finetune"),
        *_keys(ReinforceRecipe, "phase: reinforce"),
    ])  # fmt: skip


def _keys(recipe: type[BaseModel], title: str) -> list[str]:
    page: list[str] = []
    for name, model in sections(recipe, ""):
        place = name if recipe is Recipe else f"{title}, {name}"
        page += [f"### {place if name else title}", "", _told(model), "", "| key | value | default |", "|---|---|---|"]
        for key, field in model.model_fields.items():
            page.append(f"| `{field.alias or key}` | {_value(field)} | {_default(field)} |")
        page.append("")
    return page


def sections(model: type[BaseModel], place: str) -> Iterator[tuple[str, type[BaseModel]]]:
    """A model and all that lie in it, with their places; the members of a union with their kinds."""
    yield place, model
    for key, field in model.model_fields.items():
        inner = list(dict.fromkeys(_models(field.annotation)))
        for member in inner:
            where = f"{place}.{key}".lstrip(".")
            yield from sections(member, f"{where} ({_kind(member)})" if len(inner) > 1 else where)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models(part)


def _kind(model: type[BaseModel]) -> str:
    return f"kind: {get_args(model.model_fields['kind'].annotation)[0]}"


def _told(model: type[BaseModel]) -> str:
    """The docstring, its references as plain code."""
    return re.sub(r":(class|func|mod):", "", inspect.cleandoc(model.__doc__ or "").replace("``", "`"))


def _value(field: FieldInfo) -> str:
    if list(_models(field.annotation)):
        return "a section, below"
    schema = _plain(field.annotation)
    bounds = ((sign, getattr(limit, name, None)) for name, sign in SIGNS for limit in field.metadata)
    limits = [f"{sign} {bound}" for sign, bound in bounds if bound is not None]
    return (schema + (f", {' and '.join(limits)}" if limits else "")).replace("|", "or")


WORDS = (
    ("typing.", ""), ("pathlib.", ""), ("NoneType", "null"), ("None", "null"), ("dict[str, Any]", "mapping"),
    ("Literal", "one of "),
)  # fmt: skip
SIGNS = (("ge", "at least"), ("gt", "above"), ("le", "at most"), ("lt", "below"))


def _plain(annotation: Any) -> str:
    """A type in words."""
    name = str(annotation) if get_args(annotation) else getattr(annotation, "__name__", str(annotation))
    for old, new in WORDS:
        name = name.replace(old, new)
    return name


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "**required**"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, BaseModel) or value is PydanticUndefined:
        return ""
    if isinstance(value, Enum | Path):
        value = str(value)
    return f"`{json.dumps(value)}`"


if __name__ == "__main__":
    path = Path(sys.argv[1])
    written = path.read_text(encoding="utf-8").partition(MARK)[0]
    with written_whole(path) as temporary:
        temporary.write_text(written + MARK + markdown(), encoding="utf-8")
