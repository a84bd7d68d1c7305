"""The benchmark of comparisons kills runs by their progress, as often as it says, and goes on where it was stopped."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import compare
from benchmarks.compare import Watched, arguments, held, measure, watched
from planners.dsg import UserError

WORK = """
import json, subprocess, sys, time
from pathlib import Path
folder, pieces, wait = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
(folder / "videos").mkdir(parents=True, exist_ok=True)
time.sleep(wait)
for i in range(pieces):
    path = folder / "videos" / f"{i}.mp4"
    if not path.exists():
        (folder / "videos" / f".{i}.mp4").touch()
        time.sleep(wait)
        (folder / "videos" / f".{i}.mp4").rename(path)
time.sleep(4 * wait)
(folder / "results.json").write_text(json.dumps({"prompts": [], "figures": {}, "pieces": pieces}))
"""


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """A comparison of eight pieces in its place; the list gets the folder of every run."""
    found: list[Path] = []

    def command(_: argparse.Namespace, folder: Path) -> list[str]:
        found.append(folder)
        return [sys.executable, "-S", "-c", WORK, str(folder), "8", "0.15"]

    monkeypatch.setattr(compare, "command", command)
    return found


def test_every_kill_strikes_and_what_was_finished_is_not_repeated(calls: list[Path], tmp_path: Path) -> None:
    given = arguments(["-o", str(tmp_path / "out")])
    notes, same = measure(given)
    assert same
    kills = [notes.parts[f"kill {i}"] for i in (1, 2, 3)]
    assert [run.status for run in kills] == [-signal.SIGKILL] * 3
    there = [run.progress[-1][1] for run in kills]
    whole = notes.parts["whole"]
    assert there == sorted(there)
    assert all(found >= whole.pieces_at(whole.seconds * i / 4) for i, found in enumerate(there, 1))
    assert there[2] > 0
    assert [run.progress[0][1] for run in kills[1:]] >= there[:-1], "a killed run goes on"
    assert len(calls) == 6

    with pytest.raises(UserError, match="is there; give --resume"):
        measure(given)
    again = arguments(["-o", str(tmp_path / "out"), "--resume"])
    path = tmp_path / "out" / "bench.json"
    told: dict[str, Any] = json.loads(path.read_text())
    for name in ("kill 3", "last"):
        del told["parts"][name]
    path.write_text(json.dumps(told))
    for name in ("6.mp4", "7.mp4"):
        (tmp_path / "out" / "struck" / "videos" / name).unlink()
    assert measure(again)[1]
    assert calls[6:] == [tmp_path / "out" / "struck"] * 2
    with pytest.raises(UserError, match="was begun with another --kills"):
        measure(arguments(["-o", str(tmp_path / "out"), "--resume", "--kills", "2"]))


def test_a_result_that_differs_is_seen(calls: list[Path], tmp_path: Path) -> None:
    measure(arguments(["-o", str(tmp_path / "out")]))
    (tmp_path / "out" / "struck" / "results.json").write_text('{"prompts": [], "figures": {}, "pieces": 7}')
    assert not measure(arguments(["-o", str(tmp_path / "out"), "--resume"]))[1]


def test_memory_is_that_of_the_children_too(tmp_path: Path) -> None:
    child = "import time; held = bytearray(b'x' * 200_000_000); time.sleep(1)"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-S', '-c', {child!r}])"
    run = watched([sys.executable, "-S", "-c", parent], tmp_path)
    assert run.status == 0
    assert run.most > 200_000_000
    assert held(2**22 - 1) == 0, "a process that has ended holds nothing"


def test_progress_at_a_moment() -> None:
    run = Watched(progress=[(0.0, 0), (2.0, 3), (5.0, 4)])
    assert [run.pieces_at(seconds) for seconds in (0, 1.9, 2.0, 4.9, 9)] == [0, 0, 3, 3, 4]
