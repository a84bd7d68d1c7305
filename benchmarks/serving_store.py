"""How long a GET of a job takes while 200 jobs are under way and report steps: ``python -m benchmarks.serving_store``.

Four processes report for the jobs they hold, as fast as they are told to; one asks for jobs, their events and lists.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from multiprocessing.synchronize import Event
from pathlib import Path

from serving.jobs import JobStore, NewJob, Stage
from serving.settings import Settings
from serving.store import open_store

LEASE = 3600.0


def report(settings: Settings, jobs: int, seconds: float, ready: Event, ended: Event) -> None:
    """Claim some jobs and report a step of each every ``seconds``."""
    with closing(open_store(settings)) as store:
        name = multiprocessing.current_process().name
        mine = [store.claim(Stage.GENERATE, name, lease=LEASE)[0].id for _ in range(jobs)]
        ready.set()
        step = 0
        while not ended.is_set():
            begun = time.monotonic()
            step += 1
            for job in mine:
                store.report(job, name, "step", {"step": step})
                ended.wait(max(0.0, seconds / jobs - 0.001))
            store.heartbeat(mine, name, lease=LEASE)
            ended.wait(max(0.0, begun + seconds - time.monotonic()))


def timed(what: Callable[[], object], count: int) -> str:
    """Milliseconds: median, 95th percentile and worst of ``count``."""
    found = []
    for _ in range(count):
        begun = time.perf_counter()
        what()
        found.append(1000 * (time.perf_counter() - begun))
        time.sleep(0.005)
    high = statistics.quantiles(found, n=20)[-1]
    return f"p50 {statistics.median(found):.1f}, p95 {high:.1f}, worst {max(found):.1f} ms"


def fill(store: JobStore, jobs: int) -> str:
    request = {"prompt": "a girl jumps over a box, then walks to the tree"}
    dsg = {"facts": [{"subject": i, "action": "walks", "from": i, "to": i + 1} for i in range(60)]}
    new = NewJob(kind="video", stage=Stage.GENERATE, owner="ann", request=request, dsg=dsg)
    return [store.add(new)[0].id for _ in range(jobs)][-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", help="an empty one, as an SQLAlchemy URL [SQLite in a temporary folder]")
    parser.add_argument("--jobs", type=int, default=200)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--every", type=float, default=1.0, help="seconds between two steps of a job")
    parser.add_argument("--count", type=int, default=300, help="how often each question is asked")
    asked = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(folder=Path(folder), database=asked.database)
        with closing(open_store(settings)) as store:
            job = fill(store, asked.jobs)
            ended = context.Event()
            running = []
            for _ in range(asked.processes):
                ready = context.Event()
                each = asked.jobs // asked.processes
                running.append(context.Process(target=report, args=(settings, each, asked.every, ready, ended)))
                running[-1].start()
                ready.wait()
            try:
                last = store.events(job)[-1].number
                questions: dict[str, Callable[[], object]] = {
                    "get": lambda: store.get(job),
                    "events": lambda: store.events(job, after=last),
                    "list of 20": lambda: store.list(kind="video"),
                    "add": lambda: fill(store, 1),
                }
                print(
                    f"{asked.jobs} jobs in {asked.processes} processes, a step every {asked.every:g} s; n={asked.count}"
                )
                for name, what in questions.items():
                    print(f"{name:10s} {timed(what, asked.count)}")
            finally:
                ended.set()
                for process in running:
                    process.join()


if __name__ == "__main__":
    main()
