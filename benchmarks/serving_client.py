"""What the serving benchmarks share as clients: requests that are asked again while a server is away, and the books.

An *accepted* job is one whose creation was answered; it is lost when it does not end as completed with the file that
was promised, and doubled when two jobs came of one idempotency key or it was completed more than once.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import urlsplit

from serving.jobs import Job, JobStore, Kind, Status

AWAY = (OSError, http.client.HTTPException)
"""What a client sees of a server that is being killed or started."""
FINAL = tuple(status for status in Status if status.final)
_KINDS: tuple[Kind, ...] = ("plan", "video")


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Client:
    """Whoever holds one token, with one connection. ``latencies`` are those of answered GETs, in seconds."""

    url: str
    token: str
    patience: float = 120.0
    """Seconds that the server may be away."""
    latencies: list[float] = field(default_factory=list)
    _connection: http.client.HTTPConnection | None = None

    def get(self, path: str) -> Answer:
        return self.ask("GET", path)

    def create(self, work: Mapping[str, Any], key: str | None = None, path: str = "/v1/videos") -> str:
        """The new job's id; asked again with the same idempotency key until it is answered.

        Raises :class:`RuntimeError` where it is refused.
        """
        key = key or uuid.uuid4().hex
        while True:
            answer = self.ask("POST", path, json.dumps(work).encode(), {"Idempotency-Key": key})
            if answer.status != 429:
                break
            time.sleep(1)  # a full queue or too many requests: later, as every client does
        if answer.status not in (200, 201, 202):
            raise RuntimeError(f"POST {path}: {answer.status} {answer.body[:500]!r}")
        return str(answer.json()["id"])

    def ask(self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] = {}) -> Answer:
        """The first answer other than 503. Raises :class:`TimeoutError` where the server stays away."""
        sent = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json", **headers}
        given_up = time.monotonic() + self.patience
        while True:
            try:
                started = time.perf_counter()
                answer = self._once(method, path, body, sent)
                if answer.status != 503:
                    if method == "GET":
                        self.latencies.append(time.perf_counter() - started)
                    return answer
            except AWAY:
                self.close()
            if time.monotonic() > given_up:
                raise TimeoutError(f"{self.url}: no answer to {method} {path} for {self.patience:.0f} s")
            time.sleep(0.1)

    def _once(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        if self._connection is None:
            self._connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=60)
        self._connection.request(method, path, body, dict(headers))
        answer = self._connection.getresponse()
        return Answer(answer.status, answer.read())

    def wait(self, jobs: Iterable[str], *, every: float = 1.0, timeout: float = 3600.0) -> dict[str, str]:
        """Poll, as the openai client does, until every job is final: id -> status. Raises :class:`TimeoutError`."""
        open_, ended, given_up = dict.fromkeys(jobs), {}, time.monotonic() + timeout
        while open_:
            for job in list(open_):
                answer = self.get(f"/v1/{'plans' if job.startswith('plan') else 'videos'}/{job}")
                status = answer.json()["status"] if answer.status == 200 else f"HTTP {answer.status}"
                if answer.status == 429:  # too many questions, nothing about the job
                    continue
                if answer.status != 200 or Status(status).final:
                    ended[job] = status
                    del open_[job]
            if open_ and time.monotonic() > given_up:
                raise TimeoutError(f"{len(open_)} jobs are not final after {timeout:.0f} s")
            time.sleep(every if open_ else 0)
        return ended

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


@dataclass(frozen=True)
class Books:
    """What became of the accepted jobs; ``told`` failed, and say the reason that was to be expected."""

    accepted: int
    completed: int
    told: int
    lost: tuple[str, ...]
    doubled: tuple[str, ...]

    @property
    def right(self) -> bool:
        return not self.lost and not self.doubled

    def __str__(self) -> str:
        numbers = f"{self.accepted} accepted, {self.completed} completed"
        told = f", {self.told} failed and say why" if self.told else ""
        return f"{numbers}{told}, {len(self.lost)} lost, {len(self.doubled)} doubled"


def audit(
    store: JobStore,
    accepted: Sequence[str],
    content: Callable[[Job], bytes | None],
    *,
    others: Iterable[str] = (),
    excuses: Sequence[str] = (),
) -> Books:
    """The books of these jobs: each of ``accepted`` is the answer to one creation.

    ``content`` gives a video's file, ``others`` are accepted jobs of other books. A job that failed with
    one of the words of ``excuses`` was told so, and is not lost. Whatever else is in the store is doubled.
    """
    known = set(accepted)
    doubled = {job for job, times in Counter(accepted).items() if times > 1}
    for kind in _KINDS:
        doubled |= {job.id for job in _all(store, kind)} - known - set(others)
    lost: list[str] = []
    told = 0
    for number in known:
        job = store.get(number)
        if len([event for event in store.events(number, limit=100_000) if event.kind in FINAL]) > 1:
            doubled.add(number)
        if job is not None and job.error is not None and any(word in job.error.message for word in excuses):
            told += 1
        elif job is None or not _kept(job, content):
            lost.append(number)
            why = (job.status, job.error or "its file is another or missing") if job else "not in the store"
            print(f"lost: {number}: {why}", file=sys.stderr)
    completed = len(known) - len(lost) - told
    return Books(len(accepted), completed, told, tuple(sorted(lost)), tuple(sorted(doubled)))


def _kept(job: Job, content: Callable[[Job], bytes | None]) -> bool:
    """Whether the job is completed, with the file that it promises."""
    if job.status is not Status.COMPLETED or job.kind == "plan":
        return job.status is Status.COMPLETED
    file = content(job)
    return job.result is not None and file is not None and hashlib.sha256(file).hexdigest() == job.result["sha256"]


def _all(store: JobStore, kind: Kind) -> Iterator[Job]:
    after = None
    while True:
        page = store.list(kind=kind, after=after, limit=1000)
        yield from page.jobs
        if not page.more:
            return
        after = page.jobs[-1].id


def together(acts: Sequence[Callable[[], None]]) -> None:
    """Run all at once, each in a thread of its own; raises the first one's error."""
    with ThreadPoolExecutor(max(1, len(acts))) as pool:
        for running in [pool.submit(act) for act in acts]:
            running.result()
