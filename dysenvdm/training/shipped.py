"""Finding a recipe: a file, a folder with a recipe.yaml, or the name of one that ships in the package."""

from __future__ import annotations

import difflib
from importlib.resources import files
from pathlib import Path

from planners.dsg import UserError

FILE = "recipe.yaml"
UNTRAINED = ("eval", "studies")
"""Folders whose recipes train nothing."""


def shipped_recipes(folder: str | None = None) -> dict[str, Path]:
    """Those that train, by name, such as ``backbone`` and ``stage/denoiser-nano``; or those of one folder."""
    root = Path(str(files("recipes")))
    found = {}
    for path in sorted((root / folder if folder else root).rglob("*.yaml")):
        place = path.relative_to(root / folder if folder else root)
        if folder or place.parts[0] not in UNTRAINED:
            found[str(place.parent if path.name == FILE else place.with_suffix(""))] = path
    return found


def find_recipe(name: str | Path, folder: str | None = None) -> Path:
    """The file that is meant by ``backbone``, ``recipes/backbone``, ``stage/denoiser-nano.yaml`` or any path.

    With ``folder`` by the name of one of its recipes, such as ``ucf101`` for ``eval``. What lies in the working
    directory comes first. Raises :class:`UserError` with the nearest name and all there are.
    """
    path = Path(name)
    if path.is_dir() and (path / FILE).is_file():
        return path / FILE
    if path.is_file():
        return path
    shipped = shipped_recipes(folder)
    wanted = (
        str(path).removeprefix("recipes/").removeprefix(f"{folder}/").removesuffix(f"/{FILE}").removesuffix(".yaml")
    )
    if wanted in shipped:
        return shipped[wanted]
    near = difflib.get_close_matches(wanted, shipped, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    raise UserError(
        f"{name}: cannot be read (no such recipe file); {hint}there are: {', '.join(shipped)}, or give a file"
    )
