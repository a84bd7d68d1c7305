"""Replies kept by content: what an engine was asked before, by whichever run, costs nothing again.

The file is an SQLite database: every batch is one transaction, so a killed run leaves whole batches, and several runs
may share it.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from planners.dsg import UserError
from planners.engines import UNANSWERED, Capabilities, Engine, Reply, Request

BATCH = 256
"""At most so many requests go to the engine before their replies are written."""
WAIT = 60.0
"""Seconds to wait for another run that is writing."""
LOOKUP = 500
"""Keys in one query; SQLite bounds how many it takes."""


class CachedEngine:
    """An :class:`planners.engines.Engine` that asks another one only what ``path`` does not hold yet.

    The key is the SHA-256 of the engine's name and of the request, its seed left out where decoding is greedy: a model
    that is replaced under the same name needs another file. ``asked`` counts the requests that the engine got.
    Raises :class:`UserError` where the file cannot be used.
    """

    def __init__(self, engine: Engine, path: Path) -> None:
        self.engine, self.path = engine, path
        self.asked = 0
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"{path.parent}: cannot be made ({error.strerror}); choose another folder") from None
        with self._open() as database:
            database.execute("CREATE TABLE IF NOT EXISTS replies (key TEXT PRIMARY KEY, reply TEXT NOT NULL)")

    @property
    def name(self) -> str:
        """The engine's: a transcript says who answered, not when."""
        return self.engine.name

    @property
    def capabilities(self) -> Capabilities:
        return self.engine.capabilities

    def generate(self, requests: Sequence[Request]) -> list[Reply]:
        """Answer all requests, in order; equal ones are asked once."""
        keys = [self._key(request) for request in requests]
        with self._open() as database:
            known = _known(database, keys)
            new = {key: request for key, request in zip(keys, requests, strict=True) if key not in known}
            for i in range(0, len(new), BATCH):
                some = list(new.items())[i : i + BATCH]
                replies = self.engine.generate([request for _, request in some])
                self.asked += len(some)
                fresh = {key: reply for (key, _), reply in zip(some, replies, strict=True)}
                with database:
                    answered = {key: reply for key, reply in fresh.items() if reply.finish_reason not in UNANSWERED}
                    rows = [(key, reply.model_dump_json()) for key, reply in answered.items()]
                    database.executemany("INSERT OR IGNORE INTO replies VALUES (?, ?)", rows)
                known |= fresh
        return [known[key] for key in keys]

    def _key(self, request: Request) -> str:
        said = request.model_dump(mode="json")
        if request.temperature == 0:
            del said["seed"]
        text = json.dumps([self.name, said], ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(self.path, timeout=WAIT)) as database:
                yield database
        except sqlite3.Error as error:
            raise UserError(f"{self.path}: not a usable reply cache ({error}); choose another file") from None


def _known(database: sqlite3.Connection, keys: Sequence[str]) -> dict[str, Reply]:
    """The replies that are there."""
    found: dict[str, Reply] = {}
    for i in range(0, len(keys), LOOKUP):
        some = keys[i : i + LOOKUP]
        marks = ",".join("?" * len(some))
        rows = database.execute(f"SELECT key, reply FROM replies WHERE key IN ({marks})", some)
        found |= {key: Reply.model_validate_json(text) for key, text in rows}
    return found
