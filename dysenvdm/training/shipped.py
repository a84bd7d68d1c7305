"""Finding a recipe: a file, a folder with a recipe.yaml, or the name of one that ships in the package."""

from __future__ import annotations

import difflib
from importlib.resources import files
from pathlib import Path

from planners.dsg import UserError

FILE = "recipe.yaml"


def shipped_recipes() -> dict[str, Path]:
    """By name, such as ``backbone`` and ``stage/denoiser-nano``."""
    root = Path(str(files("recipes")))
    found = {}
    for path in sorted(root.rglob("*.yaml")):
        place = path.relative_to(root)
        found[str(place.parent if path.name == FILE else place.with_suffix(""))] = path
    return found


def find_recipe(name: str | Path) -> Path:
    """The file that is meant by ``backbone``, ``recipes/backbone``, ``stage/denoiser-nano.yaml`` or any path.

    What lies in the working directory comes first. Raises :class:`UserError` with the nearest name and all there are.
    """
    path = Path(name)
    if path.is_dir() and (path / FILE).is_file():
        return path / FILE
    if path.is_file():
        return path
    shipped = shipped_recipes()
    wanted = str(path).removeprefix("recipes/").removesuffix(f"/{FILE}").removesuffix(".yaml")
    if wanted in shipped:
        return shipped[wanted]
    near = difflib.get_close_matches(wanted, shipped, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    raise UserError(
        f"{name}: cannot be read (no such recipe file); {hint}there are: {', '.join(shipped)}, or give a file"
    )
