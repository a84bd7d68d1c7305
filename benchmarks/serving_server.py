"""What the serving benchmarks run: ``dysenvdm serve`` in processes of its own."""

from __future__ import annotations

import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil
import yaml

from benchmarks.rows import Row
from benchmarks.serving_client import Client
from serving.jobs import Job, JobStore
from serving.results import Results
from serving.settings import Settings
from serving.store import open_store

ROLES = ("server", "api", "planner", "generator")
"""The processes of a server: the supervisor that was started, and those that it starts."""


class NotReady(RuntimeError):  # noqa: N818
    """The server ended, or did not answer in time; the text is its own reason, where it gave one."""


class Server:
    """A server in ``folder`` with this many tokens, on a free port that it keeps. Its output goes to ``output.txt``."""

    def __init__(self, folder: Path, tokens: int = 1, **settings: Any) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        names = {f"client-{number}": secrets.token_hex(16) for number in range(tokens)}
        self.settings = Settings(folder=folder / "server", port=free_port(), tokens=names, **settings)
        self.url = f"http://{self.settings.host}:{self.settings.port}"
        self._file, self._output = folder / "settings.yaml", folder / "output.txt"
        self._file.write_text(yaml.safe_dump(self.settings.model_dump(mode="json", exclude_unset=True)), "utf-8")
        self._process: psutil.Popen | None = None

    def __enter__(self) -> Self:
        self.start()
        try:
            self.wait_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is not None:
            print(self.output()[-4000:], file=sys.stderr)
        self.stop()

    def start(self) -> None:
        command = [sys.executable, "-c", "from dysenvdm.cli.main import main; main()", "serve", "--config", self._file]
        with self._output.open("ab") as output:
            self._process = psutil.Popen(
                list(map(str, command)), stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )

    def stop(self, patience: float = 60) -> None:
        """As an operator does; what has not ended then is killed."""
        assert self._process is not None
        every = self.processes()
        with suppress(psutil.NoSuchProcess):
            self._process.send_signal(signal.SIGTERM)
        _, alive = psutil.wait_procs(every, timeout=patience)
        for process in alive:
            with suppress(psutil.NoSuchProcess):
                process.kill()

    def processes(self) -> list[psutil.Process]:
        """The supervisor and all below it."""
        assert self._process is not None
        try:
            return [self._process, *self._process.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def kill(self, role: str, patience: float = 60) -> bool:
        """``kill -9`` of one process of the role; waits for one to be there, False where none comes.

        Where it was the server itself, all its processes are waited for: they have to go by themselves.
        """
        given_up = time.monotonic() + patience
        while not (found := [process for process in self.processes() if role_of(process) == role]):
            if time.monotonic() > given_up:
                return False
            time.sleep(0.05)
        every = self.processes() if role == "server" else found[:1]
        found[0].kill()
        _, alive = psutil.wait_procs(every, timeout=patience)
        assert not alive, f"{alive} outlive what was killed ({role})"
        return True

    def ready(self) -> bool:
        with suppress(TimeoutError), self.client(0, patience=0) as client:
            return client.get("/readyz").status == 200
        return False

    def wait_ready(self, patience: float = 600) -> None:
        """Raises :class:`NotReady`."""
        given_up = time.monotonic() + patience
        while not self.ready():
            assert self._process is not None
            if self._process.poll() is not None or time.monotonic() > given_up:
                said = self.output().strip().splitlines()
                raise NotReady(next((line for line in reversed(said) if "error:" in line), "\n".join(said[-20:])))
            time.sleep(0.2)

    def client(self, number: int, patience: float = 120) -> Client:
        return Client(self.url, self.settings.tokens[f"client-{number}"], patience)

    def store(self) -> JobStore:
        return open_store(self.settings)

    def content(self, job: Job) -> bytes | None:
        """A job's video as it lies in the folder."""
        path = Results(self.settings.folder).path(job, "video.mp4")
        return None if path is None else path.read_bytes()

    def output(self) -> str:
        return self._output.read_text(encoding="utf-8", errors="replace") if self._output.exists() else ""


def role_of(process: psutil.Process) -> str | None:
    """Which of :data:`ROLES` a process has, as its command line says; None for helpers of theirs."""
    try:
        command = process.cmdline()
    except psutil.NoSuchProcess:
        return None
    if "--config" in command:
        return "server"
    return command[-1] if "serving.process" in command else None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def table(rows: Sequence[Row]) -> list[str]:
    """Rows as a Markdown table: median, least and most of the samples, and what is promised."""
    lines = ["| figure | median | min | max | n | bound | |", "|---|---|---|---|---|---|---|"]
    for row in rows:
        cells = [f"{value:.3g} {row.unit}" for value in (row.median, min(row.samples), max(row.samples))]
        bound = "" if row.bound is None else f"{'≥' if row.at_least else '≤'} {row.bound:g} {row.unit}"
        verdict = {None: "", True: "holds", False: "BROKEN"}[row.holds]
        lines.append(" | ".join(["| " + row.name, *cells, str(len(row.samples)), bound, verdict]) + " |")
    return lines


def write_report(lines: Sequence[str], output: Path | None) -> None:
    """Print it, and write it where asked to."""
    text = "\n".join(lines)
    print(text)
    if output is not None:
        output.write_text(text + "\n", encoding="utf-8")
