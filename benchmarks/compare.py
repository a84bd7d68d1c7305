"""``python -m benchmarks.compare``: what a comparison of planners takes, and whether a killed one ends the same.

Planners (unless others are named: rules, SmolLM2 as it came, SmolLM2 as it ships) plan ``--prompts`` Stage captions,
and videos are made of all plans, in a process of its own each time: once undisturbed, and once killed (SIGKILL)
``--kills`` times and started again by the same command. It is killed by its progress, when it has found as much as the
undisturbed run had at moments spread evenly over its length. Both must have equal plans, videos and figures; what
clocks measured is left out. Memory is the most that the process and its children held.

A part of the benchmark that is finished is not repeated by ``--resume``; one that was broken off begins anew, except
that a run to be killed goes on.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

from dysenvdm.files import written_whole
from dysenvdm.studies.comparison.figures import MEASURED
from planners.dsg import UserError

ENGINES = {"transformers": "smollm2", "vllm": "vllm"}
PIECES = ("plans", "videos", "verdicts", "failures")
"""Folders of a comparison in which each file is a piece of its work."""
ASKED = ("prompts", "planner", "steps", "no_videos", "kills")
POLLED_SECONDS = 0.05


@dataclass
class Watched:
    """A run of the comparison: how long, the most bytes held, its exit status, and its progress."""

    seconds: float = 0.0
    most: int = 0
    status: int = 0
    progress: list[tuple[float, int]] = field(default_factory=list)
    """(seconds since it began, pieces that are there), whenever there are more."""

    def pieces_at(self, seconds: float) -> int:
        """How much there was at that moment."""
        return max((pieces for when, pieces in self.progress if when <= seconds), default=0)


def command(given: argparse.Namespace, folder: Path) -> list[str]:
    """The command line of the comparison."""
    videos = ["--steps", str(given.steps)] if given.steps else []
    return [
        *(sys.executable, "-c", "from dysenvdm.cli.main import main; main()"),
        *("compare", "--prompts", f"stage:{given.prompts}", "-o", str(folder)),
        *(part for planner in given.planner for part in ("--planner", planner)),
        *(["--no-videos"] if given.no_videos else videos),
    ]


def watched(arguments: Sequence[str], folder: Path, kill_at: tuple[int, float] | None = None) -> Watched:
    """Run a command that works in ``folder``.

    ``kill_at``: it is killed when so many pieces are there, and it has run for so many seconds.
    """
    run, began = Watched(), time.monotonic()
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, preexec_fn=_die_together)
    try:
        while process.poll() is None:
            run.seconds, pieces = time.monotonic() - began, pieces_in(folder)
            run.most = max(run.most, held(process.pid))
            if not run.progress or pieces > run.progress[-1][1]:
                run.progress.append((run.seconds, pieces))
            if kill_at is not None and pieces >= kill_at[0] and run.seconds >= kill_at[1]:
                process.kill()
            time.sleep(POLLED_SECONDS)
    finally:
        process.kill()
        run.status = process.wait()
    run.seconds = time.monotonic() - began
    return run


def _die_together() -> None:
    """In the new process: it is killed when the benchmark is, and cannot write on into a folder that is begun anew."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def pieces_in(folder: Path) -> int:
    """Whole files of the comparison's work; those being written have names that begin with a dot."""
    return sum(not path.name.startswith(".") for kind in PIECES for path in (folder / kind).glob("*"))


def held(pid: int) -> int:
    """Bytes in memory of a process and all its children, those that they share counted in each."""
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
    except psutil.Error:
        return 0
    found = 0
    for one in family:
        try:
            found += int(one.memory_info().rss)
        except psutil.Error:
            continue  # it has just ended
    return found


def repeatable(folder: Path) -> dict[str, Any]:
    """The results without what was measured with a clock."""
    results: dict[str, Any] = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    outcomes = [outcome["parts"] for told in results["prompts"] for outcome in told["planners"].values()]
    for figures in (*results["figures"].values(), *outcomes):
        for name in MEASURED:
            figures.pop(name, None)
    return results


class Notes:
    """The benchmark's finished parts, kept in its folder."""

    def __init__(self, given: argparse.Namespace) -> None:
        folder: Path = given.output
        self.path = folder / "bench.json"
        self.asked = {name: getattr(given, name) for name in ASKED}
        self.parts: dict[str, Watched] = {}
        if folder.exists() and not given.resume:
            raise UserError(f"{folder}: is there; give --resume to go on with it, or another --output")
        if self.path.exists():
            data = json.loads(self.path.read_text(encoding="utf-8"))
            if data["asked"] != self.asked:
                other = next(name for name in ASKED if data["asked"].get(name) != self.asked[name])
                raise UserError(f"{folder}: was begun with another --{other.replace('_', '-')}; give another --output")
            for name, part in data["parts"].items():
                self.parts[name] = Watched(**part | {"progress": [tuple(one) for one in part["progress"]]})
        elif folder.exists() and any(folder.iterdir()):
            raise UserError(f"{folder}: not written by this benchmark; give another --output")
        folder.mkdir(parents=True, exist_ok=True)
        self._write()

    def add(self, name: str, part: Watched) -> Watched:
        self.parts[name] = part
        self._write()
        return part

    def _write(self) -> None:
        data = {"asked": self.asked, "parts": {name: asdict(part) for name, part in self.parts.items()}}
        with written_whole(self.path) as temporary:
            temporary.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


def measure(given: argparse.Namespace) -> tuple[Notes, bool]:
    """Do what is missing; whether all kills struck and both comparisons ended equal."""
    notes = Notes(given)
    whole, struck = given.output / "whole", given.output / "struck"

    def finished(name: str, folder: Path) -> Watched:
        run = notes.parts.get(name) or watched(command(given, folder), folder)
        if run.status:
            raise UserError(f"the comparison ended with exit code {run.status}; its own message says why")
        return notes.parts.get(name) or notes.add(name, run)

    if "whole" not in notes.parts:
        shutil.rmtree(whole, ignore_errors=True)  # what was broken off is not undisturbed
    undisturbed = finished("whole", whole)
    finished("again", whole)
    share = undisturbed.seconds / (given.kills + 1)
    for i in range(given.kills):
        name, goal = f"kill {i + 1}", undisturbed.pieces_at(share * (i + 1))
        run = notes.parts.get(name) or watched(command(given, struck), struck, (goal, share / 2))
        if run.status != -signal.SIGKILL:
            raise UserError(
                f"{name}: the run ended with exit code {run.status} before it could be killed; ask for more"
            )
        notes.add(name, run)
    finished("last", struck)
    return notes, repeatable(whole) == repeatable(struck)


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compare", description=__doc__.splitlines()[0])
    parser.add_argument("--prompts", type=int, default=100)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--planner", action="append", help="as 'dysenvdm compare' takes it; may be repeated")
    parser.add_argument("--engine", choices=ENGINES, default="transformers", help="what runs SmolLM2")
    parser.add_argument("--steps", type=int, help="denoising steps; else the model's usual")
    parser.add_argument("--no-videos", action="store_true", help="plans alone: minutes instead of hours")
    parser.add_argument("-o", "--output", type=Path, default=Path("out/bench-compare"))
    parser.add_argument("--resume", action="store_true", help="go on with the parts that --output lacks")
    options = parser.parse_args(given)
    engine = ENGINES[options.engine]
    options.planner = options.planner or ["rules", f"{engine}:lora=none", engine]
    return options


def main() -> None:
    given = arguments()
    try:
        notes, same = measure(given)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    whole, kills = given.output / "whole", [part for name, part in notes.parts.items() if name.startswith("kill")]
    size = sum(path.stat().st_size for path in whole.rglob("*") if path.is_file())
    seconds = sum(part.seconds for part in (*kills, notes.parts["last"]))
    pieces = ", ".join(str(part.progress[-1][1]) for part in kills)
    table = Table(box=None, pad_edge=False, show_header=False)
    for row in (
        ("prompts x planners", f"{given.prompts} x {len(given.planner)} ({', '.join(given.planner)})"),
        ("machine", f"{os.cpu_count()} CPU cores"),
        ("seconds, undisturbed", f"{notes.parts['whole'].seconds:.0f}"),
        ("most memory, children counted", f"{notes.parts['whole'].most / 1e9:.2f} GB"),
        ("seconds, the finished one again", f"{notes.parts['again'].seconds:.0f}"),
        ("killed with SIGKILL", f"{len(kills)} times, {seconds:.0f} s in all"),
        ("pieces there at the kills", f"{pieces} of {pieces_in(whole)}"),
        ("plans, videos and figures afterwards", "equal" if same else "DIFFERENT"),
        ("folder", f"{size / 1e6:.0f} MB, report.html {(whole / 'report.html').stat().st_size / 1e6:.1f} MB"),
    ):
        table.add_row(*row)
    Console(width=120).print(table)
    sys.exit(0 if same else 1)


if __name__ == "__main__":
    main()
