"""A script: one process asks for jobs and three work; they are killed with ``kill -9`` until every job is
finished. Arguments: the settings as JSON, the number of jobs, a seed, how many kills there are at least (the last job
is not asked for before). Prints how often it killed.

Its children are forks, and begin at once; that takes a process of its own, with no threads.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections.abc import Callable

from planners.dsg import UserError
from serving.housekeeping import keep_house
from serving.jobs import LostJob, NewJob, Quota, Stage, Status, StoreUnavailable
from serving.results import Results
from serving.settings import Settings
from serving.store import open_store

LEASE = 1.0
KILLS = "kills"
"""File in the folder that grows by a byte with each kill."""


def ask(settings: Settings, jobs: int, least: int, draw: random.Random) -> None:
    """Ask for every job, by its key, and write down each that was accepted."""
    store = open_store(settings)
    with (settings.folder / "accepted").open("a") as accepted:
        for number in range(jobs):
            while number == jobs - 1 and (settings.folder / KILLS).stat().st_size < least:
                time.sleep(0.01)
            new = NewJob(
                kind="video",
                stage=Stage.PLAN,
                owner=f"owner {number % 3}",
                request={"prompt": str(number)},
                batch_key="one",
                idempotency_key=str(number),
            )
            job, _ = store.add(new, Quota(jobs=jobs))
            accepted.write(f"{job.id}\n")
            accepted.flush()
            time.sleep(draw.random() * 0.02)


def work(settings: Settings, jobs: int, least: int, draw: random.Random) -> None:
    store, results, name = open_store(settings), Results(settings.folder), f"{os.getpid()}-{time.time_ns()}"
    while True:
        for job in store.claim(Stage.PLAN, name, lease=LEASE, limit=2):
            store.planned(job.id, name, {"prompt": job.request["prompt"]}, {})
        for job in store.claim(Stage.GENERATE, name, lease=LEASE, limit=2):
            try:
                for step in range(3):
                    time.sleep(draw.random() * 0.01)
                    store.report(job.id, name, "step", {"step": step}, 30.0 * step)
                    store.heartbeat([job.id], name, lease=LEASE)
                with results.publish(job.id) as made:
                    made.path("recipe.json").write_text("{}")
                    made.path("video.mp4").write_text(f"{job.id} {name} " * 1000)
                store.complete(job.id, name, made.result)
            except LostJob:
                continue
        keep_house(store, results, settings)
        time.sleep(draw.random() * 0.02)


Part = Callable[[Settings, int, int, random.Random], None]


def start(what: Part, settings: Settings, jobs: int, least: int, seed: int) -> int:
    if (child := os.fork()) == 0:
        while True:
            try:
                what(settings, jobs, least, random.Random(seed))
                os._exit(0)
            except (StoreUnavailable, UserError):  # the database was killed too
                time.sleep(0.1)
            except BaseException:
                sys.excepthook(*sys.exc_info())
                os._exit(1)
    return child


def main(settings: Settings, jobs: int, seed: int, least: int) -> int:
    draw = random.Random(seed)
    (settings.folder / KILLS).touch()
    running = {start(what, settings, jobs, least, draw.getrandbits(32)): what for what in (ask, work, work, work)}
    kills = 0
    try:
        while True:
            begun = time.monotonic()
            if finished(settings, jobs):
                break
            time.sleep(draw.random() * (time.monotonic() - begun))  # more where this machine is slow just now
            for child in list(running):
                ended, status = os.waitpid(child, os.WNOHANG)
                if ended and status:
                    sys.exit(f"a {running[child].__name__} process failed")
                if ended:
                    del running[child]
            child = draw.choice(list(running))
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            what = running.pop(child)
            kills += 1
            with (settings.folder / KILLS).open("ab") as counted:
                counted.write(b".")
            running[start(what, settings, jobs, least, draw.getrandbits(32))] = what
    finally:
        for child in running:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    return kills


def finished(settings: Settings, jobs: int) -> bool:
    """Asked in a fork of its own: a connection that is inherited is a broken one."""
    if (child := os.fork()) == 0:
        try:
            os._exit(0 if open_store(settings).counts() == {("video", Status.COMPLETED): jobs} else 1)
        except (StoreUnavailable, UserError):
            os._exit(1)
    return os.waitpid(child, 0)[1] == 0


if __name__ == "__main__":
    print(main(Settings.model_validate_json(sys.argv[1]), *map(int, sys.argv[2:])))
