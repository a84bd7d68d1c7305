"""What the stages of a job read: requests with every default filled in, so that a worker does just what stands there.

The API makes these from what clients send; :attr:`serving.jobs.NewJob.request` is one of them as JSON.
"""

from __future__ import annotations

import hashlib

from pydantic import BaseModel, ConfigDict, Field

APART = ("prompt", "planner", "ticks", "seed")
"""What videos that are generated together may differ in."""


class PlanWork(BaseModel):
    """A prompt to plan. ``planner`` is one of those that the server offers."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    prompt: str
    planner: str
    ticks: int = Field(8, ge=1)
    seed: int = Field(0, ge=0)


class VideoWork(BaseModel):
    """A video to make; the names are those of :meth:`dysenvdm.pipeline.DysenVDMPipeline.__call__`.

    ``model`` is one of those that the server offers. ``planner`` None: made from the prompt alone, unless the job has a
    scene graph. ``input_reference`` is the number of an upload (a checked picture: the first frame), never a path.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    prompt: str
    model: str
    planner: str | None
    ticks: int = Field(8, ge=1)
    seed: int = Field(0, ge=0)
    num_frames: int = Field(ge=1)
    fps: int = Field(ge=1)
    width: int = Field(ge=8)
    height: int = Field(ge=8)
    num_inference_steps: int = Field(ge=1)
    guidance_scale: float = Field(ge=0)
    scene_guidance_scale: float | None = Field(None, ge=0)
    negative_prompt: str = ""
    scheduler: str | None = None
    scene_mode: str | None = None
    imagined_weight: float = Field(1.0, ge=0)
    input_reference: str | None = None

    @property
    def cost(self) -> int:
        """Frames x height x width x steps."""
        return self.num_frames * self.height * self.width * self.num_inference_steps

    def batch_key(self, planned: bool) -> str | None:
        """Equal for videos that one pass can make together (``planned``: those with a scene graph), None for one that
        is made alone."""
        if self.input_reference is not None:
            return None
        alike = self.model_dump_json(exclude=set(APART))
        return hashlib.sha256(f"{planned} {alike}".encode()).hexdigest()[:32]
