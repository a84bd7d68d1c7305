"""Planners as training sees them: captions in, scene graphs out, and what these follow from."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import planners
from dysenvdm import __version__
from dysenvdm.data.cache.plans import Planned
from dysenvdm.data.section import ScenesSection
from dysenvdm.files import sha256
from dysenvdm.models import PLANNER_MODEL, home
from planners.contracts import Planner
from planners.dsg import UserError
from planners.plugins import check_options, get_planner, registry
from planners.replay import FORMAT


class CorpusPlanner:
    """The planner that a recipe's ``data.scenes`` names; loaded when it is first asked for a plan.

    Raises :class:`UserError` for an unknown planner or option.
    """

    def __init__(self, scenes: ScenesSection) -> None:
        self.name = scenes.planner
        known = registry().planners
        if self.name not in known:
            raise UserError(f"data.scenes.planner: no planner {self.name!r}; there are: {', '.join(sorted(known))}")
        try:
            self.options = check_options(self.name, scenes.options)
        except UserError as error:
            raise UserError(f"data.scenes.options: {error}") from None

    @cached_property
    def identity(self) -> Mapping[str, Any]:
        """What its plans follow from; see :func:`planner_identity`."""
        return planner_identity(self.name, self.options)

    @cached_property
    def _planner(self) -> Planner:
        return get_planner(self.name, **self.options)

    def plan(self, captions: Sequence[str], *, ticks: int, seed: int) -> list[Planned]:
        """One per caption, in order."""
        return [
            Planned(result.dsg if result.stages else None, result.degraded, result.transcript_sha256)
            for result in self._planner.plan(captions, ticks=ticks, seed=seed)
        ]


def planner_identity(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Name, plugin, versions, options with the hashes of folders they name, instruction texts, transcript format.

    Of a model that nothing says, the default one's manifest in the model store counts.
    """
    default = home() / "models" / PLANNER_MODEL / "manifest.json"
    uses_default = name in ("smollm2", "vllm") and options.get("model") is None
    return {
        "planner": name,
        "plugin": registry().planners[name].plugin,
        "version": __version__,
        "options": {key: _said(value) for key, value in sorted(options.items())},
        "instructions": _digest(Path(planners.__file__).parent / "prompts"),
        "model": sha256(default) if uses_default and default.is_file() else None,
        "transcript": FORMAT,
    }


def _said(value: Any) -> Any:
    """An option's value; of a file or folder the hash of what is in it, wherever it lies."""
    if isinstance(value, str | os.PathLike) and Path(value).exists():
        return _digest(Path(value))
    return value if isinstance(value, bool | int | float | None) else str(value)


def _digest(path: Path) -> str:
    """SHA-256 over a file, or over names and contents of all files of a folder."""
    if path.is_file():
        return sha256(path)
    files = sorted(file for file in path.rglob("*") if file.is_file() and "__pycache__" not in file.parts)
    text = "".join(f"{file.relative_to(path)} {sha256(file)}\n" for file in files)
    return hashlib.sha256(text.encode()).hexdigest()
