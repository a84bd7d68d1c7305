"""The one hook of the planners' plugin seam.

A plugin is a module or object with a ``register_planners`` function, found by the entry-point group
``dysenvdm.planners``:

    from planners.hookspecs import hookimpl

    @hookimpl
    def register_planners(register):
        register("mine", "one line of help", "what it needs", MyPlanner)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import pluggy

from planners.contracts import Planner

PROJECT = "dysenvdm.planners"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


class Register(Protocol):
    """Makes a planner known by ``name``.

    ``factory`` is called with the options of :func:`planners.plugins.get_planner`.
    """

    def __call__(self, name: str, help: str, needs: str, factory: Callable[..., Planner]) -> None: ...


@hookspec
def register_planners(register: Register) -> None:
    """Call ``register`` once for each planner. Import heavy libraries in the factory, not here: ``--help`` comes by."""
