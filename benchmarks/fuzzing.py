"""``python -m benchmarks.fuzzing [--texts 100000] [--files 10000]``: harmed files through every reader of the project.

Valid files are mutated (:mod:`benchmarks.fuzz_mutations`) and given to their readers (:mod:`benchmarks.fuzz_readers`)
in a worker process that is replaced when it dies. Allowed are success and the documented errors with a short message.
Anything else is a finding: another exception, a crash, more than 5 s of processor time, more than 2 GiB of memory over
what the libraries take. Each finding is told once per kind, with its number and seed and with a file that was made as
small as it could be while failing alike (``-o FOLDER`` keeps those files). Exit code 1 where there is any.
"""

from __future__ import annotations

import argparse
import faulthandler
import importlib
import multiprocessing
import os
import re
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

from benchmarks import fuzz_readers
from benchmarks.fuzz_readers import DOCUMENTED, READERS, Reader, harmed

SECONDS = 5
"""Of processor time for one case, so that a busy machine is no finding."""
MEMORY = 2 * 2**30
"""Bytes of address space over what the worker has once the reader has read a valid file."""
LONGEST_MESSAGE = 2000
PATIENCE = 120
"""Seconds without an answer and without using the processor: a deadlock."""


class Outcome(NamedTuple):
    """What became of one case: "accepted", "refused", or a finding's kind; ``said`` is the message."""

    kind: str
    said: str = ""

    @property
    def wrong(self) -> bool:
        return self.kind not in ("accepted", "refused")


def read_cases(readers: str, name: str, connection: Connection, folder: Path, seconds: float) -> None:
    """The worker: reads what comes through the connection, one after the other, until that is closed.

    ``readers`` is the module whose READERS has the reader.
    """
    log = os.open(folder / "stderr", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 2)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    faulthandler.enable()
    reader: Reader = importlib.import_module(readers).READERS[name]
    work = folder / "work"
    work.mkdir(exist_ok=True)
    if not any(work.iterdir()):
        reader.prepare(work)
    for valid in reader.valid():
        reader.read(valid, work)
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + MEMORY, taken + MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    connection.send(("ready", "", 0))
    with suppress(EOFError):
        while True:
            data = connection.recv_bytes()
            signal.setitimer(signal.ITIMER_PROF, seconds)  # kills: a decoder would not let Python answer a signal
            kind, said = outcome_of(reader, data, work)
            signal.setitimer(signal.ITIMER_PROF, 0)
            connection.send((kind, said, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024))


def outcome_of(reader: Reader, data: bytes, work: Path) -> Outcome:
    """What a reader makes of a case, unless that ends the process."""
    try:
        reader.read(data, work)
    except DOCUMENTED as error:
        said = str(error)
        if not said.strip() or len(said) > LONGEST_MESSAGE:
            return Outcome(f"a message of {'no' if not said.strip() else 'too many'} characters", said[:300])
        return Outcome("refused", said)
    except BaseException as error:
        ours = [line for line in traceback.extract_tb(error.__traceback__) if "site-packages" not in line.filename]
        return Outcome(f"{type(error).__name__} in {Path(ours[-1].filename).name}:{ours[-1].name}", str(error)[:300])
    return Outcome("accepted")


class Worker:
    """One reader's process, made anew whenever it has died."""

    def __init__(self, name: str, folder: Path, readers: str = fuzz_readers.__name__, seconds: float = SECONDS) -> None:
        self.name, self.folder, self.readers, self.seconds, self.peak = name, folder, readers, seconds, 0
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(
            target=read_cases, args=(self.readers, self.name, theirs, self.folder, self.seconds), daemon=True
        )
        self._process.start()
        theirs.close()
        self._connection.recv()

    def outcome(self, data: bytes) -> Outcome:
        """What the reader makes of ``data``."""
        self._connection.send_bytes(data)
        try:
            if not self._connection.poll(PATIENCE) and not self._connection.poll(PATIENCE):
                return self._died("no answer: a deadlock")
            kind, said, peak = self._connection.recv()
        except (EOFError, OSError):
            return self._died("")
        self.peak = max(self.peak, peak)
        return Outcome(kind, said)

    def _died(self, kind: str) -> Outcome:
        if kind:
            self._process.kill()
        self._process.join()
        code = self._process.exitcode or 0
        if not kind and code == -signal.SIGPROF:
            kind = f"a hang of over {self.seconds} s"
        elif not kind:
            kind = f"a crash ({signal.Signals(-code).name if code < 0 else f'exit code {code}'})"
        said = (self.folder / "stderr").read_text(errors="replace")[-600:]
        (self.folder / "stderr").write_text("")
        self._start()
        return Outcome(kind, said)

    def close(self) -> None:
        self._connection.close()
        self._process.join()


def smallest(worker: Worker, data: bytes, kind: str, tries: int = 300) -> bytes:
    """``data`` with as much taken out as still gives an outcome of that kind, in a bounded number of tries."""
    step = max(1, len(data) // 2)
    while step and tries > 0:
        at = 0
        while at < len(data) and tries > 0:
            shorter = data[:at] + data[at + step :]
            tries -= 1
            if worker.outcome(shorter).kind == kind:
                data = shorter
            else:
                at += step
        step //= 2
    return data


@dataclass
class Result:
    """One reader's cases. ``findings`` are outcomes with number, case and how often, by kind."""

    name: str
    cases: int = 0
    accepted: int = 0
    seconds: float = 0.0
    peak: int = 0
    findings: dict[str, tuple[Outcome, int, bytes, int]] = field(default_factory=dict)


def fuzz(name: str, numbers: Iterable[int], seed: int, shrink: bool = True) -> Result:
    """Give a reader the cases of these numbers."""
    result, start = Result(name), time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        worker = Worker(name, Path(folder))
        for number in numbers:
            outcome = worker.outcome(harmed(name, seed, number))
            result.cases += 1
            result.accepted += outcome.kind == "accepted"
            if outcome.wrong:
                known = result.findings.get(outcome.kind)
                case = known[2] if known else harmed(name, seed, number)
                if known is None and shrink:
                    case = smallest(worker, case, outcome.kind, 30 if "hang" in outcome.kind else 300)
                first = known[:2] if known else (outcome, number)
                result.findings[outcome.kind] = (*first, case, known[3] + 1 if known else 1)
        worker.close()
    result.seconds, result.peak = time.perf_counter() - start, worker.peak
    return result


def tell(result: Result, seed: int, folder: Path | None) -> None:
    """A row for the reader, and a paragraph for each kind of finding."""
    print(
        f"{result.name:<18} {result.cases:>7} cases {result.accepted:>7} accepted {result.seconds:>8.0f} s "
        f"{result.peak / 2**20:>7.0f} MiB {sum(count for *_, count in result.findings.values()):>6} findings",
        flush=True,
    )
    for kind, (outcome, number, case, count) in result.findings.items():
        print(f"  WRONG: {kind}, {count} times; first: --reader '{result.name}' --seed {seed} --from {number}")
        print(f"    {' '.join(outcome.said.split())}")
        print(f"    {len(case)} bytes: {case[:300]!r}", flush=True)
        if folder:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / re.sub(r"\W+", "-", f"{result.name}-{number}")).write_bytes(case)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=100_000, help="scene graphs, manifests and recipes, in all")
    parser.add_argument("--files", type=int, default=10_000, help="weights and videos, in all")
    parser.add_argument("--reader", action="append", choices=READERS, help="only this one; repeat it")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--from", dest="start", type=int, default=0, metavar="N", help="begin with case N")
    parser.add_argument("-o", "--output", type=Path, help="a folder for the findings' cases")
    given = parser.parse_args(arguments)
    wanted = {"texts": given.texts, "files": given.files}
    kinds = [reader.kind for reader in READERS.values()]
    wrong = False
    for name in given.reader or READERS:
        number = -(-wanted[READERS[name].kind] // kinds.count(READERS[name].kind))
        result = fuzz(name, range(given.start, given.start + number), given.seed)
        tell(result, given.seed, given.output)
        wrong |= bool(result.findings)
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
