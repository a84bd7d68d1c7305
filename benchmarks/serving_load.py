"""What the server does under load: ``python -m benchmarks.serving_load [--jobs 200] [--clients 50]``.

Each client has a token of its own and polls its jobs as the openai client does; the first one asks for a quarter of
all jobs before the others come. Then videos of given scene graphs are made three ways: by calling the pipeline in a
loop, by the server one at a time, and by the server in batches.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.rows import Row
from benchmarks.run import machine
from benchmarks.serving_client import Books, Client, audit, together
from benchmarks.serving_server import Server, table, write_report
from planners.dsg import DynamicSceneGraph
from planners.plugins import get_planner
from serving.jobs import Event, JobStore, Status
from serving.requests import APART, VideoWork

PROMPTS = (
    "A girl in a red coat walks to the box, then she jumps over it.",
    "A boy runs to the ball and kicks it while a dog runs to the left.",
    "In the snow a woman waves, then she walks to the tree.",
    "A man sits on a chair, then he walks to the right.",
)


Work = Callable[[int], dict[str, Any]]
"""What is asked for of the server, by number."""


def shares(jobs: int, clients: int, limit: int) -> list[int]:
    """How many jobs each client asks for: the first one a quarter of all (at most ``limit``), the others alike."""
    if clients == 1:
        return [jobs]
    first = min(max(jobs // 4, jobs // clients), limit)
    each, more = divmod(jobs - first, clients - 1)
    return [first, *(each + (number < more) for number in range(clients - 1))]


def jain(values: Sequence[float]) -> float:
    """Jain's index of fairness: 1 where all have the same, 1/n where one has everything (Jain et al. 1984)."""
    return sum(values) ** 2 / (len(values) * sum(value * value for value in values))


def fairness(ends: Mapping[str, Sequence[float]], wanted: Mapping[str, int]) -> float:
    """Jain's index over owners of how many jobs each had been given when the first of them had all of its own.

    ``ends``: owner -> when its jobs were completed. Up to that moment every owner had something waiting, so that
    whoever takes turns gives all of them the same.
    """
    satisfied = min(sorted(times)[wanted[owner] - 1] for owner, times in ends.items() if len(times) >= wanted[owner])
    return jain([sum(time <= satisfied for time in ends.get(owner, ())) for owner in wanted])


def burst(clients: Sequence[Client], jobs: Sequence[int], work: Work, every: float) -> list[str]:
    """Have every client ask for its number of jobs and wait for them; returns the ids in the order of acceptance."""
    accepted: list[list[str]] = [[] for _ in clients]
    numbers = [sum(jobs[:i]) for i in range(len(jobs))]

    def ask(i: int) -> None:
        for number in range(numbers[i], numbers[i] + jobs[i]):
            accepted[i].append(clients[i].create(work(number)))

    def act(i: int) -> None:
        if i:
            ask(i)
        clients[i].wait(accepted[i], every=every)
        clients[i].close()

    ask(0)
    together([partial(act, i) for i in range(len(clients))])
    return [job for ids in accepted for job in ids]


def completed_at(events: Sequence[Event]) -> list[float]:
    return [event.at for event in events if event.kind == "completed"]


def read_fairness(store: JobStore, accepted: Sequence[str]) -> float:
    ends: dict[str, list[float]] = {}
    wanted: dict[str, int] = {}
    for number in accepted:
        job = store.get(number)
        assert job is not None, number
        ends.setdefault(job.owner, []).extend(completed_at(store.events(number, limit=100_000)))
        wanted[job.owner] = wanted.get(job.owner, 0) + 1
    return fairness(ends, wanted)


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that so much of all is not above."""
    return sorted(values)[max(0, math.ceil(len(values) * share) - 1)]


def under_load(server: Server, jobs: int, work: Work, every: float) -> tuple[Books, list[Row]]:
    """All clients at once: the books, and the figures of latency and fairness."""
    clients = [server.client(number) for number in range(len(server.settings.tokens))]
    limit = min(server.settings.limits.queued_jobs, jobs)
    accepted = burst(clients, shares(jobs, len(clients), limit), work, every)
    store = server.store()
    books = audit(store, accepted, server.content)
    latencies = [1000 * seconds for client in clients for seconds in client.latencies]
    rows = [
        Row(f"GET while generating, p{share}, of {len(latencies)}", "ms", (percentile(latencies, share / 100),), bound)
        for share, bound in ((50, None), (95, 50.0), (99, None))
    ]
    rows.append(Row(f"fairness between {len(clients)} tokens (Jain)", "", (read_fairness(store, accepted),)))
    return books, rows


# -- throughput --------------------------------------------------------------------------------------------------------


def graphs() -> list[dict[str, Any]]:
    """Scene graphs of :data:`PROMPTS`: planning is no part of the comparison."""
    planned = get_planner("rules").plan(PROMPTS, ticks=8, seed=0)
    return [each.dsg.to_dict() for each in planned]


def loop_seconds(works: Sequence[VideoWork], graphs: Sequence[Mapping[str, Any]]) -> float:
    """Seconds of calling the pipeline for one video after another; the first one warms up and does not count."""
    from dysenvdm.models import locate
    from dysenvdm.pipeline import DysenVDMPipeline

    pipe = DysenVDMPipeline.from_pretrained(locate(works[0].model))
    started = 0.0
    for number, (work, graph) in enumerate(zip(works, graphs, strict=True)):
        if number == 1:
            started = time.perf_counter()
        arguments = work.model_dump(exclude={"model", "fps", "input_reference", *APART})
        pipe([work.prompt], [DynamicSceneGraph.parse(dict(graph))], seeds=[work.seed], **arguments)
    return time.perf_counter() - started


def served_seconds(
    server: Server, count: int, steps: int, every: float
) -> tuple[float, list[VideoWork], list[dict[str, Any]]]:
    """Seconds between the end of a first video, behind which the others queue up, and the end of the last.

    Also what was asked for: as the stages read it, and the scene graphs.
    """
    planned = graphs()
    asked = [planned[number % len(planned)] for number in range(count + 1)]
    works = [{"dsg": graph, "seed": number, "num_inference_steps": steps} for number, graph in enumerate(asked)]
    with server.client(0) as client:
        ids = [client.create(work) for work in works]
        for job in ids:  # as somebody does who calls the openai client's poll for each
            client.wait([job], every=every)
    store = server.store()
    jobs = [job for job in map(store.get, ids) if job is not None]
    if unfinished := [job for job in jobs if job.status is not Status.COMPLETED]:
        raise RuntimeError(f"{unfinished[0].id}: {unfinished[0].error}")
    ends = [job.completed_at for job in jobs if job.completed_at is not None]
    return max(ends) - ends[0], [VideoWork(**job.request) for job in jobs], asked


def throughput(folder: Path, count: int, steps: int, rounds: int, batch: int, every: float) -> list[Row]:
    """Videos per second of the server as a share of the loop's, one at a time and in batches; paired by round."""
    alone, batched = [], []
    for number in range(rounds):
        settings: dict[str, Any] = {"planners": {"rules": {}}, "sharing": "coexist"}
        with Server(folder / f"alone-{number}", max_batch=1, **settings) as server:
            by_one, works, asked = served_seconds(server, count, steps, every)
        with Server(folder / f"batched-{number}", max_batch=batch, **settings) as server:
            by_batch, _, _ = served_seconds(server, count, steps, every)
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as fresh:
            direct = fresh.submit(loop_seconds, works, asked).result()
        alone.append(100 * direct / by_one)
        batched.append(100 * direct / by_batch)
    name = f"throughput of the loop's, {count} videos"
    return [
        Row(f"{name}, one at a time", "%", tuple(alone), 95, at_least=True),
        Row(f"{name}, up to {batch} at once", "%", tuple(batched), 100, at_least=True),
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=200)
    parser.add_argument("--clients", type=int, default=50, help="each with a token of its own")
    parser.add_argument("--steps", type=int, default=4, help="denoising steps of a video under load")
    parser.add_argument("--planner", default="smollm2")
    parser.add_argument("--every", type=float, default=1.0, help="seconds between two polls of a client")
    parser.add_argument("--videos", type=int, default=12, help="of each round of the throughput; 0 leaves it out")
    parser.add_argument("--video-steps", type=int, default=25, help="denoising steps of those")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--output", type=Path, help="a Markdown file besides the standard output")
    given = parser.parse_args(arguments)

    def work(number: int) -> dict[str, Any]:
        about = {"prompt": PROMPTS[number % len(PROMPTS)], "planner": given.planner, "seed": number}
        return {**about, "num_inference_steps": given.steps}

    lines: list[str] = []
    rows: list[Row] = []
    right = True
    with tempfile.TemporaryDirectory() as name:
        if given.jobs:
            settings: dict[str, Any] = {"planners": {given.planner: {}}, "max_batch": given.batch}
            with Server(Path(name) / "load", given.clients, **settings) as server:
                started = time.perf_counter()
                books, rows = under_load(server, given.jobs, work, given.every)
                seconds = time.perf_counter() - started
            lines += [f"{books}, by {given.clients} clients in {seconds:.0f} s, planned by {given.planner}", ""]
            right = books.right
        if given.videos:
            rows += throughput(Path(name), given.videos, given.video_steps, given.rounds, given.batch, given.every)
    write_report([*lines, *table(rows), "", machine()], given.output)
    return 0 if right and all(row.holds is not False for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
