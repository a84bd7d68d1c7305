"""Harmed files through every reader, a few hundred; and that the harness sees what it is there to see."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.fuzz_readers import READERS, harmed
from benchmarks.fuzzing import Outcome, Worker, outcome_of, smallest

CASES = {"texts": 40, "files": 30}
SABOTAGE = """
import ctypes
from benchmarks.fuzz_readers import Reader
from planners.dsg import UserError

def read(data, folder):
    if data == b"crash":
        ctypes.string_at(0)
    if data == b"hang":
        while True:
            pass
    if data == b"memory":
        bytearray(3 << 30)
    if data == b"bug":
        raise KeyError("x")
    if data == b"no":
        raise UserError("file: wrong; mend it")
    if data == b"long":
        raise UserError("x" * 5000)

READERS = {"any": Reader("texts", lambda: [b"fine"], None, read)}
"""


@pytest.mark.parametrize("name", READERS)
def test_a_reader_says_in_one_short_line_what_is_wrong_with_a_harmed_file(name: str, tmp_path: Path) -> None:
    reader = READERS[name]
    reader.prepare(tmp_path)
    for valid in reader.valid():
        assert outcome_of(reader, valid, tmp_path).kind in ("accepted", "refused")
    outcomes = {number: outcome_of(reader, harmed(name, 0, number), tmp_path) for number in range(CASES[reader.kind])}
    wrong = {number: outcome for number, outcome in outcomes.items() if outcome.wrong}
    assert not wrong
    assert "refused" in {outcome.kind for outcome in outcomes.values()}


def test_a_case_is_the_same_bytes_in_every_run() -> None:
    cases = [harmed("scene graph", 3, number) for number in range(50)]
    assert cases == [harmed("scene graph", 3, number) for number in range(50)]
    assert len(set(cases)) > 40


def test_crashes_hangs_hunger_and_bugs_are_told_apart_and_the_worker_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sabotage.py").write_text(SABOTAGE)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "own").mkdir()
    worker = Worker("any", tmp_path / "own", readers="sabotage", seconds=0.3)
    kinds = {
        case: worker.outcome(case).kind for case in (b"fine", b"crash", b"hang", b"memory", b"bug", b"no", b"long")
    }
    worker.close()
    assert kinds == {
        b"fine": "accepted",
        b"crash": "a crash (SIGSEGV)",
        b"hang": "a hang of over 0.3 s",
        b"memory": "MemoryError in sabotage.py:read",
        b"bug": "KeyError in sabotage.py:read",
        b"no": "refused",
        b"long": "a message of too many characters",
    }


def test_a_finding_is_told_with_the_smallest_case_that_gives_it() -> None:
    class Reads:
        def outcome(self, data: bytes) -> Outcome:
            return Outcome("bug" if b"b" in data and b"d" in data else "refused")

    assert smallest(Reads(), b"xxaabbccddee" * 7, "bug") in (b"bd", b"db")  # type: ignore[arg-type]
