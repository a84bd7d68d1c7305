"""What a server lets clients choose from: planners and video models, by names that are never paths."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dysenvdm.models import DEFAULT_MODEL
from planners.dsg import UserError
from serving.settings import Settings


def models(settings: Settings) -> dict[str, str]:
    """Model id -> name or folder as :func:`dysenvdm.models.locate` takes it, the default first.

    A folder's id is its last part. Raises :class:`UserError` where two have one id.
    """
    offered: dict[str, str] = {}
    for given in settings.models or (DEFAULT_MODEL,):
        name = Path(given).expanduser().name
        if name in offered:
            raise UserError(f"model {given!r}: another one is called {name!r} too; clients choose by that name")
        offered[name] = given
    return offered


def planners(settings: Settings) -> Mapping[str, Mapping[str, Any]]:
    """Planner -> its options, the default first; with ``planner_url`` that server plans, and ``rules`` stays."""
    if settings.planner_url is None:
        return settings.planners
    own = {name: options for name, options in settings.planners.items() if name == "rules"}
    return {"openai": {**settings.planners.get("openai", {}), "base_url": settings.planner_url}, **own}
