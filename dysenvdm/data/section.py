"""The data section of a recipe: which clips are trained on, and what is made of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator


class Section(BaseModel):
    """A part of a recipe, or a whole one: keys that it does not know are refused, and numbers without end."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class StageSource(Section):
    """The procedural Stage world: nothing on disk."""

    kind: Literal["stage"] = "stage"


class WebVidSource(Section):
    """WebVid: ``annotations`` is the official CSV (videoid, name, page_dir, contentUrl), ``root`` holds the videos.

    ``validation`` is WebVid's own validation CSV; without it ``validation_share`` of the clips is held out.
    """

    kind: Literal["webvid"]
    root: Path
    annotations: Path
    validation: Path | None = None
    validation_share: float = Field(0.02, gt=0, lt=1)


class Ucf101Source(Section):
    """UCF-101: ``root`` is the folder ``UCF-101``, ``lists`` the folder ``ucfTrainTestlist``, ``split`` 1 to 3.

    The split's train list is trained on, its test list held out.
    """

    kind: Literal["ucf101"]
    root: Path
    lists: Path
    split: int = Field(1, ge=1, le=3)


class MsrVttSource(Section):
    """MSR-VTT: ``annotations`` are official JSON files, or zip archives of them, ``root`` holds the videos.

    Held out is the official split ``validation``; with ``test_list`` (a CSV such as the 1k-A list) the clips that it
    lists, and everything else is trained on.
    """

    kind: Literal["msrvtt"]
    root: Path
    annotations: tuple[Path, ...] = Field(min_length=1)
    test_list: Path | None = None
    validation: Literal["validate", "test"] = "validate"

    @field_validator("annotations", mode="before")
    @classmethod
    def _one_or_many(cls, value: object) -> object:
        return [value] if isinstance(value, str | Path) else value


class ActivityNetSource(Section):
    """ActivityNet Captions: ``annotations`` such as ``train.json``, ``validation`` such as ``val_1.json``.

    A clip is all that a video's sentences tell, its caption "First …. Then …."; with ``single_sentences`` every
    sentence is a clip of its own. Without ``validation`` ``validation_share`` of the videos is held out.
    """

    kind: Literal["activitynet"]
    root: Path
    annotations: Path
    validation: Path | None = None
    validation_share: float = Field(0.02, gt=0, lt=1)
    single_sentences: bool = False


class FolderSource(Section):
    """Any folder: ``clip.mp4`` beside ``clip.txt``, or ``annotations``, a JSONL file of clips with their captions.

    ``validation`` is such a file of the clips that are held out, else they are a share.
    """

    kind: Literal["folder"]
    root: Path
    annotations: Path | None = None
    validation: Path | None = None
    validation_share: float = Field(0.02, gt=0, lt=1)


VideoSource = WebVidSource | Ucf101Source | MsrVttSource | ActivityNetSource | FolderSource
Source = Annotated[StageSource | VideoSource, Field(discriminator="kind")]


class CachingSection(Section):
    """How a recipe's caches are kept; docs/caches.md.

    ``folder`` holds the caches of any number of recipes, each found by its content (by default ``cache`` beside the
    run's folder). A shard has about ``shard_mb`` MiB. ``draws``: versions kept of each clip where reading one is random
    (its first frame). ``in_memory``: latents stay on the training device (by default where they fill at most a quarter
    of a GPU).
    """

    folder: Path | None = None
    shard_mb: int = Field(64, ge=1)
    draws: int = Field(1, ge=1)
    precision: Literal["fp16", "bf16", "fp32"] = "fp16"
    in_memory: bool | None = None


class ScenesSection(Section):
    """Where scene graphs come from: ``gold`` ones of the data set, ``planned`` by a planner, or ``none`` at all.

    ``options`` are the planner's own, ``ticks`` those of a plan (by default ``data.ticks``). ``batch`` captions are
    planned together and kept together. Without ``imagination`` only what prompt and plan state is left of a graph.

    With ``file``, one or several that ``dysenvdm plan --input`` wrote, plans are taken from there, found by caption.
    Captions without a line there, or whose planning failed, are refused unless ``unplanned`` is ``empty``.
    """

    model_config = ConfigDict(extra="forbid", populate_by_name=True, serialize_by_alias=True)

    source: Literal["gold", "planned", "none"] = Field("gold", alias="from")
    planner: str = "rules"
    options: dict[str, bool | int | float | str] = {}
    ticks: int | None = Field(None, ge=1)
    seed: int = Field(0, ge=0)
    batch: int = Field(64, ge=1)
    file: tuple[Path, ...] = ()
    unplanned: Literal["refuse", "empty"] = "refuse"
    imagination: bool = True

    @field_validator("file", mode="before")
    @classmethod
    def _one_or_many(cls, value: object) -> object:
        return [value] if isinstance(value, str | Path) else value

    @model_validator(mode="after")
    def _check(self) -> ScenesSection:
        if not self.file:
            if self.unplanned != "refuse":
                raise ValueError("unplanned is about a file of plans; name it as file, or leave unplanned out")
            return self
        if self.source != "planned":
            raise ValueError(f"file holds plans, and from is {self.source}; set from: planned")
        for key in ("planner", "options", "seed", "batch"):
            if getattr(self, key) != ScenesSection.model_fields[key].default:
                raise ValueError(f"{key} is for planning, and file has the plans; leave it out")
        return self


class DataSection(Section):
    """Clips of ``frames`` x ``size`` x ``size`` pixels with plans of ``ticks`` ticks.

    ``clips`` bounds the corpus: for Stage 0 is a fresh clip for every sample, for videos all there are.
    ``cache`` renders and encodes the clips once, before the first step, instead of in every step: worth it where the
    corpus is seen often.

    Of videos, every ``stride``-th frame is taken after conversion to ``fps`` (None: the file's own), from a start
    drawn anew each time; with ``spread`` the frames are spread evenly over the whole clip instead, which a caption of
    several actions needs. ``buckets`` keeps aspect ratios: batches of about size x size pixels, wide or tall.
    ``may_miss`` is the share of the clips whose files may be missing before that counts as a half-downloaded set.
    ``examined`` is where is noted what the files hold (None: a file in the model store).
    """

    source: Source = StageSource()
    frames: int = Field(16, ge=1)
    size: int = Field(64, ge=16, multiple_of=8)
    ticks: int = Field(8, ge=1)
    fps: float | None = Field(None, gt=0)
    stride: int = Field(1, ge=1)
    spread: bool = False
    buckets: bool = False
    may_miss: float = Field(0.1, ge=0, le=1)
    clips: int = Field(0, ge=0)
    cache: bool = False
    caching: CachingSection = CachingSection()
    scenes: ScenesSection = ScenesSection()
    workers: int = Field(1, ge=0)
    validation_clips: int = Field(32, ge=1)
    examined: Path | None = None

    @model_validator(mode="after")
    def _check(self) -> DataSection:
        if isinstance(self.source, StageSource):
            self._check_stage()
        elif self.spread and (self.fps or self.stride != 1):
            raise ValueError("spread takes frames evenly from the whole clip; leave fps and stride out")
        elif isinstance(self.source, ActivityNetSource) and not (self.source.single_sentences or self.spread):
            raise ValueError(
                "a prompt of several actions is true of the whole clip only; set data.spread, or single_sentences of "
                "data.source"
            )
        if self.buckets and self.size % 64:
            raise ValueError(f"buckets needs a size that is a multiple of 64, not {self.size}")
        return self

    def _check_stage(self) -> None:
        if self.cache and not self.clips:
            raise ValueError("a cache needs a bounded corpus; set data.clips")
        for key in ("fps", "stride", "spread", "buckets", "may_miss", "examined"):
            if getattr(self, key) != DataSection.model_fields[key].default:
                raise ValueError(f"{key} is for videos, and data.source is Stage; leave it out")
