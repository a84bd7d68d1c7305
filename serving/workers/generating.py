"""The generator worker: prompts and scene graphs to videos, compatible ones in one batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from dysenvdm.generation.limits import FRAMES_AT_ONCE
from planners.dsg import DynamicSceneGraph, UserError
from serving import offers
from serving.jobs import Job, Stage, StoreUnavailable
from serving.requests import VideoWork
from serving.workers.holding import Holding, job_error
from serving.workers.planning import PLAN_SHARE, planner_folders
from serving.workers.worker import Stopped, Unloaded, Worker, Workplace

if TYPE_CHECKING:
    from dysenvdm.generation.loading import Weights
    from dysenvdm.generation.recipe import Batch, Origin, Settings
    from dysenvdm.pipeline import DysenVDMPipeline
    from dysenvdm.video import Frames

LOOKS = 5
"""Previews of one video."""
FIT: Literal["crop"] = "crop"
"""What becomes of a first frame of another aspect."""


@dataclass(frozen=True)
class Pipeline:
    """A video model, and the hashes of its weights and its text encoder's."""

    pipe: DysenVDMPipeline
    weights: Weights


@dataclass(frozen=True)
class Item:
    """One video of a batch. ``settings`` are those of its recipe."""

    job: Job
    work: VideoWork
    settings: Settings
    origin: Origin


class GeneratorWorker(Worker):
    """Makes videos of one batch key together. A member that is cancelled, or lost, is made to the end with the others
    and thrown away: to take it out would change the others' numbers; when nobody is left, all stops."""

    stage = Stage.GENERATE
    role = "generator"

    def __init__(self, place: Workplace) -> None:
        super().__init__(place)
        self._offers = offers.models(place.settings)
        self._planners = offers.planners(place.settings)
        self._planner_hashes: Weights | None = None

    @property
    def at_once(self) -> int:
        return self.place.settings.max_batch

    def usual(self) -> str:
        return next(iter(self._offers))

    def folders(self, name: str) -> list[Path]:
        from dysenvdm.generation.loading import used_models

        return used_models(self._offers[name])

    def options(self, name: str) -> dict[str, Any]:
        return {"model": name}

    def load(self, name: str) -> Pipeline:
        from dysenvdm.generation.loading import hashes
        from dysenvdm.generation.placement import checked_device, place
        from dysenvdm.models import locate
        from dysenvdm.pipeline import DysenVDMPipeline

        weights = hashes(self.folders(name))
        pipe = DysenVDMPipeline.from_pretrained(locate(self._offers[name]))
        place(pipe, checked_device(self.place.device))
        return Pipeline(pipe, weights)

    def sleep(self, model: Pipeline) -> None:
        import torch

        model.pipe.to("cpu")
        torch.cuda.empty_cache()

    def wake(self, model: Pipeline) -> None:
        model.pipe.to(self.place.device)

    def work(self, held: Holding) -> None:
        jobs = held.alive()
        if not jobs:
            return
        works = [VideoWork.model_validate(job.request) for job in jobs]
        name = works[0].model
        if name not in self._offers:
            for job in jobs:
                held.fail(job.id, job_error("unknown_model", f"model {name!r}: this server has it no more"))
            return
        jobs, works = self._as_many_as_fit(held, jobs, works)
        try:
            items = [self._item(job, work) for job, work in zip(jobs, works, strict=True)]
            model = self.ready(held, name, sum(map(_size, works)))
            self._generate(held, items, model)
        except (Stopped, Unloaded, StoreUnavailable):
            raise
        except UserError as error:
            # Of several it is not known whose mistake it is: the store gives each out again, alone.
            self._fail(held, jobs, "generation_failed", error, again=len(jobs) > 1)
        except Exception as error:
            self.say_trouble(f"model {name}", error)
            code = "out_of_memory" if "OutOfMemory" in type(error).__name__ else "generation_failed"
            self._fail(held, jobs, code, error, again=True)
            if self.place.device != "cpu":
                raise Unloaded from error  # after an error of CUDA nothing works any more in this process

    def _fail(self, held: Holding, jobs: Sequence[Job], code: str, error: Exception, *, again: bool) -> None:
        alive = {job.id for job in held.alive()}
        for job in jobs:
            if job.id in alive:
                held.fail(job.id, job_error(code, error), again=again)

    def _as_many_as_fit(
        self, held: Holding, jobs: list[Job], works: list[VideoWork]
    ) -> tuple[list[Job], list[VideoWork]]:
        """The first jobs, as many as may be made together; the others are given back."""
        most = max(1, FRAMES_AT_ONCE // works[0].num_frames)
        budget, size = self.place.lease.budget, _size(works[0])
        while most > 1 and (self.need(works[0].model, min(most, len(jobs)) * size) or 0) > budget:
            most -= 1
        held.release([job.id for job in jobs[most:]])
        return jobs[:most], works[:most]

    def _item(self, job: Job, work: VideoWork) -> Item:
        from dysenvdm.generation.recipe import Origin, Settings

        graph = None if job.dsg is None else DynamicSceneGraph.parse(job.dsg, "dsg")
        plan = job.plan or {}
        origin = Origin(graph, plan.get("planner"), plan.get("transcript_sha256"), plan.get("degraded"))
        guidance, scene_guidance = work.guidance_scale, work.scene_guidance_scale
        settings = Settings(
            model=self._offers[work.model],
            planner=origin.planner,
            negative_prompt=work.negative_prompt,
            steps=work.num_inference_steps,
            scheduler=work.scheduler,
            guidance=guidance,
            scene_guidance=guidance if scene_guidance is None else scene_guidance,
            frames=work.num_frames,
            fps=work.fps,
            scale=1,
            ticks=work.ticks,
            width=work.width,
            height=work.height,
            scene_mode=work.scene_mode,
            imagined_weight=work.imagined_weight,
            first_frame=self._first_frame_facts(work),
        )
        return Item(job, work, settings, origin)

    def _generate(self, held: Holding, items: Sequence[Item], model: Pipeline) -> None:
        from dysenvdm.generation.preview import Preview
        from dysenvdm.generation.recipe import Batch
        from dysenvdm.generation.scene_reading import scene_reading
        from dysenvdm.pipeline import Cancelled
        from planners.narration import narrate_frames

        settings = items[0].settings  # alike in all that the pipeline is told
        graphs = [item.origin.dsg for item in items if item.origin.dsg is not None]
        scenes = scene_reading(model.pipe, settings, graphs, narrate_frames)
        begun = {item.job.id: PLAN_SHARE if item.job.plan else 0.0 for item in items}
        ids = [item.job.id for item in items]

        def on_step(step: int, steps: int, latents: Any) -> bool:
            del latents
            alive = {job.id for job in held.alive()}
            for job in alive & set(ids):
                done = begun[job] + (99.0 - begun[job]) * step / steps
                held.report(job, "step", {"step": step, "steps": steps}, done)
            return self.stopping.is_set() or not alive

        def show(step: int, steps: int, videos: Frames) -> None:
            alive = {job.id for job in held.alive()}
            for job, frames in zip(ids, videos, strict=True):
                if job in alive:
                    self._preview(held, job, frames, {"step": step, "steps": steps})

        for job in ids:
            held.report(job, "stage", {"stage": "generate", "together": len(items)})
        size = sum(_size(item.work) for item in items)
        gauge = self.place.gauge
        gauge.reset_peak()
        before = gauge.held()
        try:
            videos = model.pipe(
                [item.work.prompt for item in items],
                scenes.dsgs,
                seeds=[item.work.seed for item in items],
                on_step=on_step,
                preview=Preview(show, every=max(1, settings.steps // LOOKS), last=False),
                **settings.arguments(),
                **scenes.arguments,
                **self._first_frames(items),
            )
        except Cancelled:
            raise Stopped from None
        self.measure_work(items[0].work.model, size, before)
        for place, (item, video) in enumerate(zip(items, videos, strict=True)):
            self._finish(held, item, video, model.weights, scenes.left_out, Batch(len(items), place))

    def _preview(self, held: Holding, job: str, frames: Frames, data: dict[str, Any]) -> None:
        from serving.workers.files import preview_picture

        try:
            self.place.results.write_preview(job, preview_picture(frames))
        except UserError as error:  # a full disk: it may have room again when the video is done
            self.say(f"no preview: {error}")
        else:
            held.report(job, "preview", {**data, "frames": len(frames)})

    def _finish(
        self, held: Holding, item: Item, video: Frames, weights: Weights, left_out: Sequence[str], batch: Batch
    ) -> None:
        from dysenvdm.generation.recipe import recipe
        from serving.workers.files import write_result

        job, work = item.job, item.work
        if job.id not in {each.id for each in held.alive()}:
            return
        weights = {**weights, **self._planner_weights(item)}
        said = recipe(item.settings, work.prompt, work.seed, item.origin, weights, batch=batch)
        try:
            with self.place.results.publish(job.id) as made:
                write_result(made, video, said, item.origin.dsg)
        except UserError as error:
            held.fail(job.id, job_error("not_written", error), again=True)
            return
        frames, height, width, _ = video.shape
        result = {**made.result, "frames": frames, "fps": work.fps, "width": width, "height": height}
        held.complete(job.id, result | ({"left_out": list(left_out)} if left_out else {}))

    def _planner_weights(self, item: Item) -> Weights:
        """As ``dysenvdm generate`` records them: of the planner whose weights it knows."""
        from dysenvdm.generation.loading import hashes

        if item.origin.planner != "smollm2":
            return {}
        if self._planner_hashes is None:
            self._planner_hashes = hashes(planner_folders("smollm2", self._planners.get("smollm2", {})))
        return self._planner_hashes

    # -- first frames ----------------------------------------------------------------------------------------------

    def _first_frame_facts(self, work: VideoWork) -> dict[str, str | None] | None:
        from dysenvdm.files import sha256

        return None if work.input_reference is None else {"sha256": sha256(self._upload(work)), "fit": FIT}

    def _first_frames(self, items: Sequence[Item]) -> dict[str, Any]:
        import numpy as np

        from dysenvdm.generation.first_frame import read_image

        works = [item.work for item in items]
        if works[0].input_reference is None:
            return {}
        pictures = [read_image(self._upload(work), work.width, work.height, FIT) for work in works]
        return {"first_frames": np.stack(pictures)}

    def _upload(self, work: VideoWork) -> Path:
        assert work.input_reference is not None
        path = self.place.results.upload(work.input_reference)
        if path is None:
            raise UserError("input_reference: the picture is not there any more; send it again")
        return path


def _size(work: VideoWork) -> int:
    """What the memory that making a video takes depends on: frames x height x width."""
    return work.num_frames * work.height * work.width
