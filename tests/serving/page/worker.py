"""A worker of both stages that makes tiny real MP4s at once, so that a browser has something to play."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import Any

import numpy as np

from planners.dsg import DynamicSceneGraph, Fact, SceneObject
from serving.jobs import Job, JobError, LostJob, Stage
from serving.results import Results
from serving.workers.files import preview_picture, write_result

NAME = "fake"
FAIL = "fail this"
"""A prompt with these words fails in the stage that comes first."""


class FakeWorker:
    """``hold`` keeps it from finishing a generation until it is set; ``steps`` are as many as asked for."""

    def __init__(self, store: Any, results: Results) -> None:
        self.store, self.results = store, results
        self.hold = threading.Event()
        self.hold.set()
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        for stage in Stage:
            thread = threading.Thread(target=self._work, args=(stage,), daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        self._over.set()
        self.hold.set()
        for thread in self._threads:
            thread.join()

    def _work(self, stage: Stage) -> None:
        worker = f"{NAME}-{stage}"
        while not self._over.is_set():
            jobs = self.store.claim(stage, worker, lease=60)
            for job in jobs:
                with suppress(LostJob):
                    self._do(job, stage, worker)
            if not jobs:
                self._over.wait(0.05)

    def _do(self, job: Job, stage: Stage, worker: str) -> None:
        if FAIL in job.request["prompt"]:
            self.store.fail(job.id, worker, JobError(code="fake_failure", message="this prompt always fails"))
        elif stage is Stage.PLAN:
            request = job.request
            self.store.report(job.id, worker, "stage", {"stage": "plan", "doing": "events", "done": 0.0})
            plan = {"planner": request["planner"], "degraded": None}
            self.store.planned(job.id, worker, scene(request["prompt"], request["ticks"]).to_dict(), plan)
        else:
            self._generate(job, worker)

    def _generate(self, job: Job, worker: str) -> None:
        request = job.request
        frames = moving(request["num_frames"], request["height"], request["width"], request["seed"])
        steps = request["num_inference_steps"]
        self.store.report(job.id, worker, "stage", {"stage": "generate"})
        for step in range(1, steps + 1):
            if step == 2:
                while not self.hold.wait(0.1):
                    if self.store.heartbeat([job.id], worker, lease=60).get(job.id, True):
                        break
            asked = self.store.heartbeat([job.id], worker, lease=60)
            if job.id not in asked:  # deleted
                return
            if asked[job.id]:
                self.store.stopped(job.id, worker)
                return
            self.store.report(job.id, worker, "step", {"step": step, "steps": steps}, 99 * step / steps)
            if step == 1:
                self.results.write_preview(job.id, preview_picture(frames[:4]))
                self.store.report(job.id, worker, "preview", {"step": step})
        with self.results.publish(job.id) as made:
            given = None if job.dsg is None else DynamicSceneGraph.parse(job.dsg)
            write_result(made, frames, {**request, "scale": 1}, given)
        self.store.complete(job.id, worker, {**made.result, "frames": len(frames), "fps": request["fps"]})


def scene(prompt: str, ticks: int) -> DynamicSceneGraph:
    """A girl, a box, a dog; the label of the first event is the prompt's first words, whatever they are."""
    words = " ".join(prompt.split()[:4])[:60] or "wait"
    half = max(ticks // 2, 1)
    people = tuple(SceneObject(id=name, label=name) for name in ("girl", "box", "dog"))
    facts = (
        Fact(subject="girl", predicate=words, object="box", start=0, end=half, source="plan"),
        Fact(subject="girl", predicate="jump over", object="box", start=half, end=ticks, source="plan"),
        Fact(subject="dog", predicate="run to left", start=half, end=ticks, source="plan"),
        Fact(subject="girl", attribute="in a red coat", start=0, end=ticks, source="prompt"),
        Fact(subject="dog", attribute="happy", start=0, end=ticks, source="imagined"),
    )
    return DynamicSceneGraph(prompt=prompt, ticks=ticks, objects=people, facts=facts if ticks > 1 else facts[:1])


def moving(frames: int, height: int, width: int, seed: int) -> np.ndarray:
    """A square that moves from left to right, (f, h, w, 3); its colour is the seed's."""
    video = np.full((frames, height, width, 3), 235, dtype=np.uint8)
    colour = np.random.default_rng(seed).integers(0, 200, 3)
    side = max(height // 4, 1)
    for index in range(frames):
        left = index * (width - side) // max(frames - 1, 1)
        video[index, height // 2 : height // 2 + side, left : left + side] = colour
    return video
