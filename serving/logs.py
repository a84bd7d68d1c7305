"""Logs for machines (JSON lines on standard error), without prompts, and the audit log of who asked for what."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any

import structlog


def configure(level: int = logging.INFO) -> None:
    """One JSON object per line; call it once per process."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(ensure_ascii=True),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def trouble(error: BaseException, *, said: bool) -> dict[str, Any]:
    """An unexpected error for the log: its kind and where it was raised. What it says may quote a prompt, and is there
    only where it may be ``said``."""
    frames = traceback.extract_tb(error.__traceback__)[-8:]
    where = [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames]
    return {"error": type(error).__name__, "where": where, **({"message": str(error)} if said else {})}


class AuditLog:
    """Appends a JSON line per change that a client asked for; several processes may write to one file."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._lock = threading.Lock()
        self._render = structlog.processors.JSONRenderer(ensure_ascii=True)

    def write(self, **fields: Any) -> None:
        line = self._render(None, "", {"at": time.time(), **fields})
        data = line.encode("ascii") if isinstance(line, str) else line
        with self._lock:
            os.write(self._file, data + b"\n")

    def close(self) -> None:
        os.close(self._file)
