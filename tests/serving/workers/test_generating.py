"""The generator worker on a tiny model: what is made, that it is what the command line makes, and stopping it."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dysenvdm.cli.main import main
from dysenvdm.video import read_mp4, read_recipe
from planners.dsg import DynamicSceneGraph, UserError
from serving.jobs import Job, JobStore, Stage, Status
from serving.results import Results
from serving.workers.generating import GeneratorWorker
from serving.workers.worker import Workplace
from tests.serving.workers.conftest import SCENE, now

Ask = Callable[..., Job]
Make = Callable[..., Workplace]

pytestmark = pytest.mark.usefixtures("model")


def video(place: Workplace, store: JobStore, job: Job) -> Path:
    done = now(store, job)
    assert done.status == Status.COMPLETED, done.error
    path = place.results.path(done, "video.mp4")
    assert path is not None
    return path


def test_a_video_made_alone_is_the_command_lines_byte_for_byte(
    workplace: Make, ask: Ask, jobs: JobStore, tmp_path: Path
) -> None:
    place, job = workplace(), ask(seed=7, scene_guidance_scale=2.0)
    assert GeneratorWorker(place).turn()
    (tmp_path / "scene.json").write_text(json.dumps(SCENE))
    with pytest.raises(SystemExit) as ended:
        main(["generate", "a girl jumps over a box", "--dsg", str(tmp_path / "scene.json"), "--seed", "7",
              "--model", str(tmp_path / "tiny"), "--frames", "8", "--fps", "8", "--size", "16x16", "--steps", "4",
              "--ticks", "2", "--guidance", "1.5", "--scene-guidance", "2", "--device", "cpu",
              "-o", str(tmp_path / "cli.mp4")])  # fmt: skip
    assert not ended.value.code
    mp4 = video(place, jobs, job)
    assert mp4.read_bytes() == (tmp_path / "cli.mp4").read_bytes()
    done = now(jobs, job)
    recipe = place.results.path(done, "recipe.json")
    assert recipe is not None
    assert recipe.read_bytes() == (tmp_path / "cli.json").read_bytes()


def test_all_files_are_published_and_the_result_describes_the_video(workplace: Make, ask: Ask, jobs: JobStore) -> None:
    place, job = workplace(), ask(num_frames=72)
    GeneratorWorker(place).turn()
    mp4, done = video(place, jobs, job), now(jobs, job)
    frames = read_mp4(mp4)
    assert done.result is not None
    assert {name: done.result[name] for name in ("frames", "fps", "width", "height", "bytes")} == {
        "frames": 72, "fps": 8, "width": 16, "height": 16, "bytes": mp4.stat().st_size,
    }  # fmt: skip
    assert len(frames) == 72
    assert done.expires_at is not None
    graph = place.results.path(done, "dsg.json")
    assert graph is not None
    assert DynamicSceneGraph.load(graph).to_dict() == SCENE == read_recipe(mp4)["dsg"]
    sheet, thumbnail = (place.results.path(done, name) for name in ("spritesheet.jpg", "thumbnail.webp"))
    assert sheet is not None
    assert thumbnail is not None
    with Image.open(sheet) as opened, Image.open(thumbnail) as small:
        assert (opened.size, small.size) == ((8 * 16, 8 * 16), (16, 16))
        last = np.asarray(opened.crop((7 * 16, 7 * 16, 8 * 16, 8 * 16)).convert("RGB"), dtype=float)
    assert np.abs(last - frames[71]).mean() < 25  # frame 71 of 72 is tile 63 of 64; JPEG and H.264 apart


def test_a_batch_is_made_together_and_differs_from_alone_by_rounding_only(
    workplace: Make, ask: Ask, jobs: JobStore
) -> None:
    together = [ask(prompt, seed=seed) for seed, prompt in enumerate(("a girl runs", "a dog", "a red box"))]
    other = ask("a dog", seed=1, num_inference_steps=3)
    place = workplace()
    worker = GeneratorWorker(place)
    worker.turn()
    assert [now(jobs, job).status for job in (*together, other)] == [*[Status.COMPLETED] * 3, Status.QUEUED]
    told = [event.data for event in jobs.events(together[0].id) if event.kind == "stage"]
    assert told == [{"stage": "generate", "together": 3}]
    alone = workplace("alone", max_batch=1)
    for job, (seed, prompt) in zip(together, enumerate(("a girl runs", "a dog", "a red box")), strict=True):
        jobs.cancel(other.id)
        single = ask(prompt, seed=seed)
        GeneratorWorker(alone).turn()
        batched, by_itself = (read_mp4(video(place, jobs, each)).astype(int) for each in (job, single))
        assert np.abs(batched - by_itself).max() <= 8  # one level in a pixel before H.264
        recipe = read_recipe(video(place, jobs, job))
        assert recipe.pop("batch") == {"videos": 3, "place": seed}
        assert recipe == {
            key: value for key, value in read_recipe(video(place, jobs, single)).items() if key != "batch"
        }


def test_progress_never_falls_also_over_windows_and_every_step_is_told(
    workplace: Make, ask: Ask, jobs: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = ask(num_frames=40, num_inference_steps=6)  # three windows of 16
    place = workplace()
    seen: list[float] = []
    report = place.store.report

    def spy(*arguments: Any) -> None:
        report(*arguments)
        seen.append(now(jobs, job).progress)

    monkeypatch.setattr(place.store, "report", spy)
    GeneratorWorker(place).turn()
    steps = [event.data for event in jobs.events(job.id) if event.kind == "step"]
    assert steps == [{"step": step, "steps": 6} for step in range(1, 7)]
    assert all(before <= after for before, after in pairwise(seen))
    assert max(seen) == pytest.approx(99)
    assert now(jobs, job).progress == 100
    looks = [event.data for event in jobs.events(job.id) if event.kind == "preview"]
    # None after the last step: the video itself comes next.
    assert looks == [{"step": step, "steps": 6, "frames": 4} for step in range(1, 6)]


class Interfering(GeneratorWorker):
    """Lets something happen after the second step of a batch; ``steps`` counts those that were taken."""

    def __init__(self, place: Workplace, happens: Callable[[], object]) -> None:
        super().__init__(place)
        self.happens, self.steps = happens, 0

    def load(self, name: str) -> Any:
        loaded = super().load(name)
        pipe, worker = loaded.pipe, self

        class Spied:
            def __getattr__(self, name: str) -> Any:
                return getattr(pipe, name)

            def __call__(self, *arguments: Any, on_step: Callable[..., bool], **more: Any) -> Any:
                def step(*told: Any) -> bool:
                    worker.steps += 1
                    if worker.steps == 2:
                        worker.happens()
                    return on_step(*told)

                return pipe(*arguments, on_step=step, **more)

        return type(loaded)(Spied(), loaded.weights)


def hear(worker: GeneratorWorker) -> None:
    """What the heartbeat's thread does every second."""
    held = worker.held
    assert held is not None
    held.beat()


def test_cancelling_stops_between_steps(workplace: Make, ask: Ask, jobs: JobStore) -> None:
    job = ask(num_inference_steps=9)
    worker = Interfering(workplace(), lambda: (jobs.cancel(job.id), hear(worker)))
    worker.turn()
    assert worker.steps == 2
    done = now(jobs, job)
    assert (done.status, done.result) == (Status.CANCELLED, None)
    assert not list((worker.place.settings.folder / "results").rglob("*.mp4"))


def test_a_cancelled_member_is_cancelled_at_once_and_spoils_nothing(workplace: Make, ask: Ask, jobs: JobStore) -> None:
    first, second = ask("a dog", seed=1), ask("a box", seed=2)
    worker = Interfering(workplace(), lambda: (jobs.cancel(first.id), hear(worker)))
    worker.turn()
    assert worker.steps == 4
    assert now(jobs, first).status == Status.CANCELLED
    assert [event.data["step"] for event in jobs.events(first.id) if event.kind == "step"] == [1]
    undisturbed = [ask("a dog", seed=1), ask("a box", seed=2)]
    GeneratorWorker(workplace("other")).turn()
    assert video(worker.place, jobs, second).read_bytes() == video(worker.place, jobs, undisturbed[1]).read_bytes()


def test_who_lost_the_job_stops_and_leaves_no_trace(workplace: Make, ask: Ask, jobs: JobStore) -> None:
    job = ask(num_inference_steps=9)
    worker = Interfering(workplace(), lambda: (jobs.release([job.id], "worker"), hear(worker)))
    worker.turn()
    assert worker.steps == 2
    assert now(jobs, job).status != Status.COMPLETED
    worker.place.lease.close()
    GeneratorWorker(workplace("second")).turn()
    assert now(jobs, job).status == Status.COMPLETED


def test_a_worker_that_is_told_to_end_gives_its_jobs_back(workplace: Make, ask: Ask, jobs: JobStore) -> None:
    job = ask(num_inference_steps=9)
    worker = Interfering(workplace(), lambda: worker.stop())
    worker.run()
    given_back = now(jobs, job)
    assert (worker.steps, given_back.worker, given_back.attempts) == (2, None, 0)
    assert jobs.waiting()[Stage.GENERATE] == 1


def test_one_bad_member_fails_alone(workplace: Make, ask: Ask, jobs: JobStore) -> None:
    bad = ask("a dog", seed=1, dsg={**SCENE, "ticks": 30, "facts": [{**SCENE["facts"][0], "end": 30}]})  # type: ignore[index]
    good = ask("a box", seed=2)
    worker = GeneratorWorker(workplace())
    while any(now(jobs, job).status in (Status.QUEUED, Status.IN_PROGRESS) for job in (bad, good)):
        worker.turn()
    assert now(jobs, good).status == Status.COMPLETED
    error = now(jobs, bad).error
    assert error is not None
    assert error.code == "generation_failed"
    assert "8 cannot show a scene graph of 30 ticks" in error.message


def test_a_device_too_small_is_refused_with_the_numbers_before_loading(
    workplace: Make, ask: Ask, jobs: JobStore
) -> None:
    job = ask()
    worker = GeneratorWorker(workplace(memory_budget_bytes=10_000))
    with pytest.raises(UserError, match=r"its weights alone are .* MiB"):
        worker.turn()
    assert now(jobs, job).status == Status.QUEUED


def test_what_is_more_than_the_budget_allows_is_made_in_smaller_batches(
    workplace: Make, ask: Ask, jobs: JobStore
) -> None:
    place = workplace()
    first = ask("a dog")
    worker = GeneratorWorker(place)
    worker.turn()
    assert now(jobs, first).status == Status.COMPLETED
    [measured] = [each.measured for each in worker._loaded.values()]
    assert measured.loaded > 0
    assert list(measured.working) == [8 * 16 * 16]
    doubled = measured.model_copy(update={"working": {2048: 2**30}})  # as if one video took a GiB
    worker._loaded["tiny"].measured = doubled
    place.lease.budget = place.gauge.held() + 2 * 2**30 + 2**29
    several = [ask(f"a dog {number}") for number in range(4)]
    worker.turn()
    assert [now(jobs, job).status == Status.COMPLETED for job in several] == [True, True, False, False]
    assert jobs.waiting()[Stage.GENERATE] == 2


def test_a_first_frame_is_obeyed(workplace: Make, ask: Ask, jobs: JobStore, settings: Any) -> None:
    results = Results(settings.folder)
    upload = results.add_upload(_png())
    place, job = workplace(), ask(input_reference=upload)
    GeneratorWorker(place).turn()
    recipe = read_recipe(video(place, jobs, job))
    assert recipe["first_frame"]["fit"] == "crop"
    gone = ask(input_reference="upload_" + "0" * 32)
    GeneratorWorker(place).turn()
    error = now(jobs, gone).error
    assert error is not None
    assert "send it again" in error.message


def _png() -> bytes:
    import io

    buffer = io.BytesIO()
    Image.new("RGB", (32, 16), "red").save(buffer, "PNG")
    return buffer.getvalue()
