"""Videos from every planner's scene graphs with the same seeds, and what the referee sees in them.

Each video is made by itself, since its last bits depend on what it is made together with; so equal scene graphs of two
planners give one video, made once. The referee reads the files that the report shows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dysenvdm.files import disk_trouble, sha256
from dysenvdm.generation.loading import Weights, hashes, used_models
from dysenvdm.generation.recipe import Origin, Settings, recipe, versions
from dysenvdm.model_facts import ModelFacts, Precision, SceneMode, Scheduler, facts, usual
from dysenvdm.models import locate
from dysenvdm.stage import STAGE_VERSION, StageClip
from dysenvdm.stage.faithfulness import Faithfulness, added, faithfulness
from dysenvdm.stage.reading import Reading
from dysenvdm.stage.referee_accuracy import noted_accuracy, said_of
from dysenvdm.studies.comparison.store import Store, key_of
from dysenvdm.video import read_mp4, write_mp4
from planners.dsg import DynamicSceneGraph, UserError

if TYPE_CHECKING:
    from dysenvdm.pipeline import DysenVDMPipeline
    from dysenvdm.stage.referee import Referee

SEED_STEP = 10_000
"""Between a prompt's first and second video; prompts count on by one, so their order decides and their number not."""


@dataclass(frozen=True)
class VideoOptions:
    """``seeds`` videos are made of every scene graph; ``referee`` None leaves out what it would say; ``scheduler``,
    ``scene_mode`` and ``guidance`` None are the model's own, ``scene_guidance`` None is as ``guidance``; ``dtype`` is
    the precision of its networks."""

    model: str
    seeds: int = 1
    steps: int | None = None
    device: str = "auto"
    referee: str | None = None
    scheduler: Scheduler | None = None
    scene_mode: SceneMode | None = None
    guidance: float | None = None
    scene_guidance: float | None = None
    dtype: Precision = "fp32"


@dataclass(frozen=True)
class Made:
    """One video of a scene graph, or why there is none. ``file`` is relative to the comparison's folder."""

    seed: int
    file: str | None
    sha256: str | None
    error: str | None


def check_options(options: VideoOptions, ticks: int) -> None:
    """Raise :class:`UserError` before hours of planning where the model could make no video of such scene graphs."""
    own = facts(options.model)
    name = Path(options.model).name
    if ticks > own.usual.frames:
        raise UserError(
            f"--ticks {ticks}: {name} makes videos of {own.usual.frames} frames, and a tick needs a frame; give "
            f"--ticks {own.usual.frames} or fewer, or --no-videos"
        )
    if options.steps is not None and options.steps > own.max_steps:
        raise UserError(f"--steps {options.steps}: {name} has {own.max_steps}; give no more")


class Studio:
    """Makes videos and has them judged; the model and the referee are loaded when something is missing."""

    def __init__(self, store: Store, options: VideoOptions, *, ticks: int, seed: int) -> None:
        self.store, self.options, self.seed = store, options, seed
        own = usual(options.model)
        guidance = own.guidance if options.guidance is None else options.guidance
        of_scene = guidance if options.scene_guidance is None else options.scene_guidance
        self.settings = Settings(
            model=options.model, planner=None, negative_prompt="", steps=options.steps or own.steps,
            scheduler=options.scheduler, scene_mode=options.scene_mode, guidance=guidance, scene_guidance=of_scene,
            frames=own.frames, fps=own.fps, scale=1, ticks=ticks, dtype=options.dtype,
        )  # fmt: skip
        self.weights: Weights = hashes(used_models(options.model))
        self._readings: dict[str, Reading] = {}
        self.referee_weights: Weights = hashes([locate(options.referee)]) if options.referee else {}
        self.said_of_referee = said_of(noted_accuracy(locate(options.referee))) if options.referee else ""

    @cached_property
    def facts(self) -> ModelFacts:
        return facts(self.options.model)

    def check(self, ticks: int) -> None:
        """Raise :class:`UserError` where these settings suit no scene graph of so many ticks, whatever it says."""
        frames, steps = self.settings.frames, self.settings.steps
        if frames % self.facts.frame_multiple:
            raise UserError(
                f"frames: {frames} is not a multiple of {self.facts.frame_multiple}, which {self.options.model} needs"
            )
        if ticks > frames:
            raise UserError(f"ticks: {ticks} in a video of {frames} frames; give at most {frames}")
        if not 1 <= steps <= self.facts.max_steps:
            raise UserError(f"steps: {steps} is not between 1 and {self.facts.max_steps}")

    @cached_property
    def device(self) -> Any:
        from dysenvdm.generation.placement import checked_device

        return checked_device(self.options.device)

    @cached_property
    def pipe(self) -> DysenVDMPipeline:
        """The video model; raises :class:`UserError` where it cannot be used."""
        from dysenvdm.generation.placement import checked_dtype, place
        from dysenvdm.pipeline import DysenVDMPipeline

        pipe = DysenVDMPipeline.from_pretrained(locate(self.options.model), dtype=checked_dtype(self.options.dtype))
        pipe.set_progress_bar_config(disable=True)
        place(pipe, self.device)
        return pipe

    @cached_property
    def referee(self) -> Referee:
        from dysenvdm.stage.referee import Referee

        assert self.options.referee is not None
        return Referee.from_pretrained(self.options.referee).to(self.device)

    def made(self, prompt: str, number: int, dsg: DynamicSceneGraph) -> list[Made]:
        """The videos of prompt ``number`` from a scene graph, one per seed."""
        seeds = [self.seed + number + SEED_STEP * i for i in range(self.options.seeds)]
        return [self._made(prompt, seed, dsg) for seed in seeds]

    def drawn(self, clip: StageClip) -> Made:
        """The clip as it is drawn: what a perfect planner and a perfect generator would make."""
        fps = self.settings.fps
        said = {"stage": STAGE_VERSION, "seed": clip.seed, "frames": clip.frames, "ticks": clip.dsg.ticks, "fps": fps}
        pixels = clip.render()  # a seed alone is another clip with other numbers of events or in another split
        file = self.store.path(
            "videos", key_of({**said, "pixels": hashlib.sha256(pixels.tobytes()).hexdigest()}), ".mp4"
        )
        if not file.exists():
            with disk_trouble(file):
                write_mp4(file, pixels, fps, said)
        return Made(clip.seed, self._name(file), sha256(file), None)

    def judged(self, videos: Sequence[Made], dsg: DynamicSceneGraph) -> Faithfulness:
        """What these videos show of a scene graph, added up; one that could not be made shows nothing."""
        return added([self._judged(video, dsg) for video in videos])

    def _made(self, prompt: str, seed: int, dsg: DynamicSceneGraph) -> Made:
        self.check(dsg.ticks)  # what is wrong with all videos is no failure of this one
        machine = {"versions": versions(), "device": self.device.type}
        asked = {**asdict(self.settings), "model": self.weights, **machine}
        key = key_of({"prompt": prompt, "seed": seed, "dsg": dsg.to_dict(), "settings": asked})
        file, failure = self.store.path("videos", key, ".mp4"), self.store.get("failures", key)
        if failure is not None:
            return Made(seed, None, None, failure["error"])
        if not file.exists():
            pipe = self.pipe
            try:
                mode = self.options.scene_mode
                video = pipe([prompt], [dsg], seeds=[seed], scene_mode=mode, **self.settings.arguments())[0]
            except UserError as error:  # this graph is too much for the model; the others are not
                self.store.put("failures", key, {"error": str(error)})
                return Made(seed, None, None, str(error))
            with disk_trouble(file):
                told = recipe(self.settings, prompt, seed, Origin(dsg), self.weights)
                write_mp4(file, video, self.settings.fps, told)
        return Made(seed, self._name(file), sha256(file), None)

    def _name(self, file: Path) -> str:
        return file.relative_to(self.store.folder).as_posix()

    def _judged(self, video: Made, dsg: DynamicSceneGraph) -> Faithfulness:
        said = {"video": video.sha256, "referee": self.referee_weights, "dsg": dsg.to_dict(), "frames": self.frames}
        key = key_of(said)
        counts = self.store.get("verdicts", key)
        if counts is None:
            counts = asdict(faithfulness(self._read(video), dsg))
            self.store.put("verdicts", key, counts)
        return Faithfulness(**{name: tuple(pair) for name, pair in counts.items()})

    @property
    def frames(self) -> int:
        return self.settings.frames

    def _read(self, video: Made) -> Reading:
        if video.file is None:
            return Reading("", ((),) * self.frames)
        if video.file not in self._readings:  # one video is held against several graphs
            self._readings = {video.file: self.referee.read([read_mp4(self.store.folder / video.file)])[0]}
        return self._readings[video.file]
