"""What the tests of the pipeline's parts share: prompts, scene graphs, and a call of few steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from torch import Tensor

from dysenvdm.pipeline import DysenVDMPipeline
from planners.dsg import DynamicSceneGraph, Fact, SceneObject

PROMPT = "the girl walk to the box"

Run = Callable[..., Tensor]


@pytest.fixture
def scene() -> DynamicSceneGraph:
    return DynamicSceneGraph(
        ticks=4,
        objects=(SceneObject(id="girl", label="girl"), SceneObject(id="box", label="box")),
        facts=(
            Fact(subject="girl", predicate="walk to", object="box", start=1, end=3, source="plan"),
            Fact(subject="girl", attribute="red", start=0, end=4, source="prompt"),
        ),
    )


@pytest.fixture
def last_latents(pipeline: DysenVDMPipeline, scene: DynamicSceneGraph) -> Run:
    """The latents (b c f h w) that a call ends with: one prompt with its scene, 4 frames and 3 steps unless given."""

    def run(**options: Any) -> Tensor:
        seen: list[Tensor] = []
        given = {"num_frames": 4, "num_inference_steps": 3, "seeds": [1], **options}
        prompts = given.pop("prompts", [PROMPT] * len(given["seeds"]))
        dsgs = given.pop("dsgs", [scene] * len(prompts))
        pipeline(prompts, dsgs, **given, on_step=lambda _step, _total, latents: seen.append(latents.clone()))
        return seen[-1]

    return run
