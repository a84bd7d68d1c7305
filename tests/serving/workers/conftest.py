"""A server's folder, a job store in it, and workers in this process on a tiny model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from serving.device_lease import DeviceLease
from serving.jobs import Job, JobStore, NewJob, Stage
from serving.memory import MainMemory, Measurements
from serving.requests import PlanWork, VideoWork
from serving.results import Results
from serving.settings import Settings
from serving.store import open_store
from serving.workers.worker import Workplace

if TYPE_CHECKING:
    from dysenvdm.pipeline import DysenVDMPipeline

SCENE = {
    "format": "dysenvdm.dsg/1",
    "prompt": "a girl jumps over a box",
    "ticks": 2,
    "objects": [{"id": "girl", "label": "girl"}, {"id": "box", "label": "box"}],
    "facts": [{"subject": "girl", "predicate": "jump over", "object": "box", "start": 0, "end": 2, "source": "plan"}],
}


@pytest.fixture
def model(pipeline: DysenVDMPipeline, tmp_path: Path) -> Path:
    """The tiny pipeline as a folder."""
    folder = tmp_path / "tiny"
    pipeline.save_pretrained(folder)
    return folder


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(folder=tmp_path / "server", planners={"rules": {}}, models=(str(tmp_path / "tiny"),))


@pytest.fixture
def jobs(settings: Settings) -> Iterator[JobStore]:
    store = open_store(settings)
    yield store
    store.close()


@pytest.fixture
def workplace(settings: Settings, jobs: JobStore) -> Callable[..., Workplace]:
    """Makes places to work at."""

    def make(name: str = "worker", **changes: Any) -> Workplace:
        chosen = settings.model_copy(update=changes)
        budget = chosen.memory_budget_bytes or 2**40
        return Workplace(
            settings=chosen,
            store=jobs,
            results=Results(chosen.folder),
            lease=DeviceLease(chosen.folder / "devices", name, budget=budget, sharing=chosen.sharing),
            gauge=MainMemory(),
            measurements=Measurements(chosen.folder / "measured", "cpu"),
            name=name,
        )

    return make


@pytest.fixture
def ask(jobs: JobStore) -> Callable[..., Job]:
    """Adds a video's job: 8 frames of 16x16 in 4 steps, already planned unless ``dsg=None``."""

    def add(prompt: str = "a girl jumps over a box", dsg: dict[str, Any] | None = SCENE, **changes: Any) -> Job:
        fields: dict[str, Any] = {
            "prompt": prompt, "model": "tiny", "planner": None, "ticks": 2, "num_frames": 8, "fps": 8, "width": 16,
            "height": 16, "num_inference_steps": 4, "guidance_scale": 1.5, **changes,
        }  # fmt: skip
        work = VideoWork(**fields)
        planned = dsg is not None or work.planner is not None
        stage = Stage.PLAN if dsg is None and work.planner else Stage.GENERATE
        new = NewJob(
            kind="video",
            stage=stage,
            owner="lab",
            request=work.model_dump(),
            dsg=dsg,
            batch_key=work.batch_key(planned),
            cost=work.cost,
        )
        return jobs.add(new)[0]

    return add


@pytest.fixture
def ask_plan(jobs: JobStore) -> Callable[..., Job]:
    def add(prompt: str, planner: str = "rules", **changes: Any) -> Job:
        work = PlanWork(prompt=prompt, planner=planner, **changes)
        new = NewJob(kind="plan", stage=Stage.PLAN, owner="lab", request=work.model_dump(), cost=len(prompt))
        return jobs.add(new)[0]

    return add


def now(store: JobStore, job: Job) -> Job:
    """The job as it is now."""
    found = store.get(job.id)
    assert found is not None
    return found
