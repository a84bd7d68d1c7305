"""``make bench-planners``: every benchmark of planners is run with its own lines to go on with, or is named."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from benchmarks import every_planning
from benchmarks.every_planning import benchmarks, main


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for name in ("a/vbench2_motion_order.json", "a/vbench_all_dimension.txt", "b/random_dev.csv", "c/d/val_1.json"):
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path / "data"


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that were run; those of triplets fail."""
    commands: list[list[str]] = []

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        commands.append(command[2:])
        return subprocess.CompletedProcess(
            command, int(command[2].endswith("triplets")), stdout=f"{command[2]}'s table"
        )

    monkeypatch.setattr(every_planning.subprocess, "run", run)
    return commands


def started(monkeypatch: pytest.MonkeyPatch, *given: object) -> int:
    monkeypatch.setattr("sys.argv", ["every_planning", *map(str, given)])
    return main()


def test_every_module_that_measures_planners_is_run(data: Path) -> None:
    shared = "contestants("
    folder = Path(every_planning.__file__).parent
    modules = {path.stem for path in folder.glob("*.py") if shared in path.read_text("utf-8")}
    assert modules | {"throughput"} >= {each.module for each in benchmarks(data)} >= modules - {"planning"}
    assert all(each.lacks is None for each in benchmarks(data) if each.module != "throughput")


def test_each_goes_on_with_its_own_lines_and_a_failure_is_named(
    data: Path, tmp_path: Path, ran: list[list[str]], monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr(every_planning, "find_spec", lambda name: True)
    folder = tmp_path / "found"
    given = ("--data", data, "--folder", folder, "--planner", "rules", "--limit", 3)
    assert started(monkeypatch, *given) == 1
    assert [command[0] for command in ran][-1] == "benchmarks.throughput"
    outputs = [command[command.index("--output") + 1] for command in ran[:-1]]
    assert len(set(outputs)) == len(outputs) == 7
    assert all("--resume" in command and command[command.index("--limit") + 1] == "3" for command in ran[:-1])
    assert str(data / "a") in ran[3]
    assert "failed: triplets; the same command goes on" in capsys.readouterr().err
    assert not (folder / "triplets.txt").exists()
    ran.clear()
    started(monkeypatch, *given)
    assert [command[0] for command in ran].count("benchmarks.throughput") == 0  # its table is there
    assert len(ran) == 7


def test_what_lacks_its_data_is_named_and_left_out(
    tmp_path: Path, ran: list[list[str]], monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr(every_planning, "find_spec", lambda name: None)
    assert started(monkeypatch, "--folder", tmp_path) == 0
    assert [command[0] for command in ran] == ["benchmarks.planners"] * 2
    said = capsys.readouterr().err
    for name in ("motion-order", "validity", "triplets", "activitynet-joined", "activitynet-shuffled", "throughput"):
        assert f"left out: {name}, which needs " in said
    with pytest.raises(SystemExit):
        started(monkeypatch, "--only", "nothing")
    assert "there are: stage, stage-events" in capsys.readouterr().err
