"""What sharing a device costs: ``python -m benchmarks.serving_lease [--jobs 64]``.

For each way of sharing, a server gets the same mixture of jobs at once: prompts to plan, prompts to plan and to make a
video of, videos of given scene graphs. A *switch* is from the last that one kind of worker did to the first that the
other one did. Memory is that of both workers together: of main memory, and of GPUs where there are any.
"""

from __future__ import annotations

import argparse
import itertools
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import psutil

from benchmarks.rows import Row
from benchmarks.run import machine
from benchmarks.serving_client import Books, audit
from benchmarks.serving_load import PROMPTS, graphs
from benchmarks.serving_server import NotReady, Server, role_of, table, write_report
from serving.jobs import Event

MODES = ("turns", "coexist", "sleep", "unload")
GIBI = 2**30


@dataclass
class Peak:
    """Looks, in a ``with`` block, at the memory of processes: the most that all of them held together, in bytes."""

    processes: Callable[[], Iterable[psutil.Process]]
    every: float = 0.2
    main: int = 0
    gpu: int = 0
    _ended: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while True:
            found = list(self.processes())
            self.main = max(self.main, sum(map(_main_memory, found)))
            self.gpu = max(self.gpu, _gpu_memory({process.pid for process in found}))
            if self._ended.wait(self.every):
                return


def _main_memory(process: psutil.Process) -> int:
    """Shared pages count in part (PSS), so that two processes' sum is what both take."""
    with suppress(psutil.Error):
        return int(process.memory_full_info().pss)
    return 0


def _gpu_memory(pids: set[int]) -> int:
    if shutil.which("nvidia-smi") is None:
        return 0
    command = ["nvidia-smi", "--query-compute-apps=pid,used_memory", "--format=csv,noheader,nounits"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rows = [line.split(",") for line in said.splitlines() if line.strip()]
    return sum(int(used) * 2**20 for pid, used in rows if int(pid) in pids)


def switches(events: Iterable[Event]) -> list[float]:
    """Seconds of each change from one kind of worker to the other, by what they reported of their work."""
    done = sorted((event.at, kind) for event in events if (kind := _whose(event)) is not None)
    return [after - before for (before, one), (after, other) in itertools.pairwise(done) if one != other]


def _whose(event: Event) -> str | None:
    """The kind of worker whose work an event tells of."""
    if event.kind == "step":
        return "generator"
    return "planner" if event.kind == "stage" and event.data.get("stage") == "plan" else None


def mixture(jobs: int, planner: str, steps: int) -> list[tuple[str, dict[str, Any]]]:
    """Path and body of what is asked for: of four jobs one plan, two videos of prompts, one of a scene graph."""
    known = graphs()
    asked: list[tuple[str, dict[str, Any]]] = []
    for number in range(jobs):
        prompt = {"prompt": PROMPTS[number % len(PROMPTS)], "planner": planner, "seed": number}
        video = {"num_inference_steps": steps}
        if number % 4 == 0:
            asked.append(("/v1/plans", {**prompt, "background": True}))
        elif number % 4 == 3:
            asked.append(("/v1/videos", {"dsg": known[number % len(known)], "seed": number, **video}))
        else:
            asked.append(("/v1/videos", {**prompt, **video}))
    return asked


def shared(server: Server, mode: str, asked: Sequence[tuple[str, Mapping[str, Any]]]) -> tuple[Books, list[Row]]:
    """The books and figures of one way of sharing; the first of the jobs load the models and are not timed."""
    store = server.store()
    with server.client(0) as client:
        warm = [client.create(body, path=path) for path, body in asked[:2]]
        client.wait(warm, every=0.5)
        with Peak(lambda: [each for each in server.processes() if role_of(each) in ("planner", "generator")]) as peak:
            started = time.perf_counter()
            accepted = [client.create(body, path=path) for path, body in asked]
            client.wait(accepted, every=0.5)
            seconds = time.perf_counter() - started
    took = switches(event for job in accepted for event in store.events(job, limit=100_000))
    rows = [
        Row(f"{mode}: jobs per hour", "", (3600 * len(accepted) / seconds,)),
        Row(f"{mode}: peak of main memory", "GiB", (peak.main / GIBI,)),
    ]
    if peak.gpu:
        rows.append(Row(f"{mode}: peak of GPU memory", "GiB", (peak.gpu / GIBI,)))
    if took:
        rows.append(Row(f"{mode}: a switch", "s", tuple(took)))
    return audit(store, accepted, server.content, others=warm), rows


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=64)
    parser.add_argument("--steps", type=int, default=25, help="denoising steps of a video")
    parser.add_argument("--planner", default="smollm2")
    parser.add_argument("--mode", choices=MODES, action="append", help="only these ways of sharing")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--output", type=Path, help="a Markdown file besides the standard output")
    given = parser.parse_args(arguments)
    asked = mixture(given.jobs, given.planner, given.steps)
    rows: list[Row] = []
    notes: list[str] = []
    right = True
    with tempfile.TemporaryDirectory() as name:
        for mode in given.mode or MODES:
            settings: dict[str, Any] = {"planners": {given.planner: {}}, "sharing": mode, "max_batch": given.batch}
            try:
                with Server(Path(name) / mode, **settings) as server:
                    books, found = shared(server, mode, asked)
            except NotReady as reason:
                notes.append(f"{mode} was not run: {reason}")
                continue
            rows += found
            notes.append(f"{mode}: {books}")
            right = right and books.right
    write_report([*table(rows), "", *notes, "", machine()], given.output)
    return 0 if right and rows else 1


if __name__ == "__main__":
    sys.exit(main())
