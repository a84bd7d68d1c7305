"""What the server does under load: ``python -m benchmarks.serving_load [--jobs 200] [--clients 50]``.

Each client has a token of its own and polls its jobs as the openai client does; the first one asks for a quarter of
all jobs before the others come. Then videos of given scene graphs are made three ways: by calling the pipeline in a
loop, by the server one at a time, and by the server in batches.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.rows import Row
from benchmarks.serving_client import Books, Client, audit, together
from serving.jobs import Event, JobStore

PROMPTS = (
    "A girl in a red coat walks to the box, then she jumps over it.",
    "A boy runs to the ball and kicks it while a dog runs to the left.",
    "In the snow a woman waves, then she walks to the tree.",
    "A man sits on a chair, then he walks to the right.",
)


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


def burst(clients: Sequence[Client], jobs: Sequence[int], work: Callable[[int], dict[str, Any]], every: float) -> list[str]:
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
    return sorted(values)[max(0, -(-len(values) * round(share * 100) // 100) - 1)]
