"""What clients send and what they get: the fields of OpenAI's videos API, vLLM-Omni's extensions, and ours."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from dysenvdm.model_facts import SceneMode, Scheduler
from planners.contracts import MAX_PROMPT_CHARACTERS
from planners.dsg import MAX_TICKS
from serving.jobs import Stage, Status

Prompt = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True,
        min_length=1,
        max_length=MAX_PROMPT_CHARACTERS,
        pattern=r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$",
    ),
]
Name = Annotated[str, StringConstraints(min_length=1, max_length=100)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Seconds = Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)]
SecondsText = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,4}(\.[0-9]{1,3})?$")]
Scale = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]
Graph = Annotated[dict[str, Any], Field(description="a dynamic scene graph: a file of format dysenvdm.dsg/1")]


class _Fields(BaseModel):
    model_config = ConfigDict(extra="forbid")


class VideoOptions(_Fields):
    """What may be said about a video besides its prompt; what is left out takes the model's or the server's default."""

    model: Name | None = None
    planner: Name | None = Field(None, description='null or "none": no plan, made from the prompt alone')
    dsg: Graph | None = Field(None, description="made from this scene graph; nothing is planned then")
    ticks: int | None = Field(None, ge=1, le=MAX_TICKS, description="time steps of the plan, 8 by default")
    seed: Seed | None = Field(None, description="0 by default")
    size: str | None = Field(None, pattern=r"^[0-9]{1,5}x[0-9]{1,5}$", description="WIDTHxHEIGHT in pixels")
    seconds: Seconds | SecondsText | None = Field(
        None, description="to the nearest number of frames that the model can make"
    )
    num_frames: int | None = Field(None, ge=1, le=100_000)
    fps: int | None = Field(None, ge=1, le=120)
    num_inference_steps: int | None = Field(None, ge=1, le=100_000)
    guidance_scale: Scale | None = None
    scene_guidance: Scale | None = Field(
        None, description="how much the scene graph counts; as guidance_scale unless given"
    )
    negative_prompt: str | None = Field(
        None, max_length=MAX_PROMPT_CHARACTERS, pattern=r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$"
    )
    scheduler: Scheduler | None = None
    scene_mode: SceneMode | Literal["prompts"] | None = Field(
        None, description="prompts: each frame reads sentences of its moment instead of the scene graph"
    )
    imagined_weight: Scale | None = Field(None, description="0 ignores what the planner imagined, 1 obeys it")


class VideoCreate(VideoOptions):
    """A video to make, from a prompt, a scene graph, or both."""

    prompt: Prompt | None = Field(None, description="may be left out where dsg names one")
    priority: int = Field(0, ge=-9, le=0, description="below 0: after everybody else's")


class Remix(VideoOptions):
    """What shall be different; all else, the seed too, is as in the video that is remixed."""

    prompt: Prompt | None = None


class PlanCreate(_Fields):
    """One prompt to plan, or several."""

    prompt: Prompt | None = None
    prompts: list[Prompt] | None = Field(None, min_length=1)
    planner: Name | None = None
    ticks: int | None = Field(None, ge=1, le=MAX_TICKS)
    seed: Seed | None = None
    background: bool = Field(False, description="answer 202 at once instead of waiting for the plan")


class SessionCreate(_Fields):
    token: Annotated[str, StringConstraints(min_length=1, max_length=1000)]


class Failure(BaseModel):
    code: str
    message: str


class _Job(BaseModel):
    id: str
    status: Status
    progress: int = Field(description="per cent, never falls; 100 only when completed")
    created_at: int
    completed_at: int | None
    error: Failure | None
    prompt: str
    planner: str | None
    ticks: int
    seed: int
    degraded: str | None = Field(description="why the plan is less than what was asked for")


class Plan(_Job):
    """A prompt's plan; ``dsg`` is there when it is completed."""

    object: Literal["plan"] = "plan"
    dsg: dict[str, Any] | None


class Video(_Job):
    """A video and everything that makes it again."""

    object: Literal["video"] = "video"
    model: str
    size: str
    seconds: str
    expires_at: int | None
    remixed_from_video_id: str | None
    stage: Stage
    expired: bool
    has_dsg: bool
    num_frames: int
    fps: int
    num_inference_steps: int
    guidance_scale: float
    scene_guidance: float | None
    negative_prompt: str
    scheduler: str | None
    scene_mode: str | None
    imagined_weight: float


class _List(BaseModel):
    object: Literal["list"] = "list"
    first_id: str | None
    last_id: str | None
    has_more: bool


class VideoList(_List):
    data: list[Video]


class PlanList(_List):
    data: list[Plan]


class Deleted(BaseModel):
    id: str
    deleted: bool = True
    object: Literal["video.deleted", "plan.deleted"]


class Model(BaseModel):
    """A video model and how it is sampled unless a request says otherwise."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str
    description: str
    num_frames: int
    fps: int
    width: int
    height: int
    num_inference_steps: int
    guidance_scale: float
    frame_multiple: int
    side_multiple: int


class Planner(BaseModel):
    id: str
    object: Literal["planner"] = "planner"
    description: str
    needs: str


class ModelList(BaseModel):
    object: Literal["list"] = "list"
    data: list[Model]
    has_more: bool = False


class PlannerList(BaseModel):
    object: Literal["list"] = "list"
    data: list[Planner]
    has_more: bool = False


class Health(BaseModel):
    status: Literal["ok"] = "ok"
