"""The planners that ship with the package, registered through the public hook."""

from __future__ import annotations

import os

from planners.contracts import Planner
from planners.hookspecs import Register, hookimpl


@hookimpl
def register_planners(register: Register) -> None:
    """Make the built-in planners known."""
    register(
        "smollm2",
        "Dysen's three stages on SmolLM2-135M-Instruct, in this process, on CPU or GPU",
        "the model: dysenvdm models import smollm2-135m-instruct",
        smollm2,
    )


def smollm2(
    model: str | os.PathLike[str] | None = None, *, device: str = "auto", imagine: bool = True, temperature: float = 0.0
) -> Planner:
    """Dysen on a local transformers model: a folder, by default the imported SmolLM2."""
    from planners.dysen import DysenPlanner
    from planners.engines.transformers import TransformersEngine
    from planners.scene_imagination import visual_words

    engine = TransformersEngine(model, device=device)
    return DysenPlanner(engine, imagine=imagine, temperature=temperature, words=visual_words())
