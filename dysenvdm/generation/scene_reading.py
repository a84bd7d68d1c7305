"""How the pipeline is to read scene graphs: by their features, or by sentences for every frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from dysenvdm.generation.recipe import Settings
from planners.dsg import DynamicSceneGraph

if TYPE_CHECKING:
    from dysenvdm.pipeline import DysenVDMPipeline

PROMPTS = "prompts"
"""The scene mode that has each frame read sentences of its moment."""


class Told(Protocol):
    """A frame's text, and what of the scene graph was too long for it (:class:`planners.narration.Narration`)."""

    @property
    def text(self) -> str: ...

    @property
    def left_out(self) -> Sequence[str]: ...


Narrate = Callable[..., Sequence[Told]]
""":func:`planners.narration.narrate_frames`."""


@dataclass(frozen=True)
class SceneReading:
    """``dsgs`` and further ``arguments`` of the pipeline, and what was ``left_out`` of some frames' texts."""

    dsgs: list[DynamicSceneGraph] | None
    arguments: dict[str, Any]
    left_out: tuple[str, ...] = ()


def scene_reading(
    pipe: DysenVDMPipeline, settings: Settings, graphs: Sequence[DynamicSceneGraph], narrate: Narrate
) -> SceneReading:
    """What the settings' scene mode makes of the graphs of videos that are made together, all or none of which have
    one."""
    if settings.scene_mode != PROMPTS:
        arguments = {"scene_mode": settings.scene_mode, "imagined_weight": settings.imagined_weight}
        return SceneReading(list(graphs) or None, arguments)

    def fits(text: str) -> bool:
        return not pipe.text_encoder.unread(text)

    told = [narrate(graph, settings.frames, fits=fits) for graph in graphs]
    left_out = dict.fromkeys(part for of_video in told for frame in of_video for part in frame.left_out)
    texts = [[frame.text for frame in of_video] for of_video in told]
    return SceneReading(None, {"frame_prompts": texts}, tuple(left_out))
