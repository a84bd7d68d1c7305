"""``python -m benchmarks.compare``: what a comparison of three planners takes, and whether a killed one ends the same.

Three planners (rules, SmolLM2 as it came, SmolLM2 as it ships) plan ``--prompts`` held-out Stage captions, and videos
are made of all plans, in a process of its own each time: once undisturbed, and once killed (SIGKILL) ``--kills`` times
at moments spread over the undisturbed run's length and started again by the same command. Both must have equal plans,
videos and figures; what clocks measured is left out. Memory is the most that the process held.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

from dysenvdm.studies.comparison.figures import MEASURED

ENGINES = {"transformers": "smollm2", "vllm": "vllm"}


def command(given: argparse.Namespace, folder: Path) -> list[str]:
    """The command line of the comparison."""
    engine = ENGINES[given.engine]
    planners = ["rules", f"{engine}:lora=none", engine]
    videos = ["--steps", str(given.steps)] if given.steps else []
    return [
        *(sys.executable, "-c", "from dysenvdm.cli.main import main; main()"),
        *("compare", "--prompts", f"stage:{given.prompts}", "-o", str(folder)),
        *(part for planner in planners for part in ("--planner", planner)),
        *(["--no-videos"] if given.no_videos else videos),
    ]


def watched(arguments: Sequence[str], kill_after: float | None = None) -> tuple[float, int, int]:
    """Run a command, killed after so many seconds if it is still there: (seconds, most bytes held, exit status)."""
    began, most = time.monotonic(), 0
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL)
    told = psutil.Process(process.pid)
    while process.poll() is None:
        try:
            most = max(most, told.memory_info().rss)
        except psutil.Error:
            break
        if kill_after is not None and time.monotonic() - began > kill_after:
            process.send_signal(signal.SIGKILL)
        time.sleep(0.05)
    return time.monotonic() - began, most, process.wait()


def repeatable(folder: Path) -> dict[str, Any]:
    """The results without what was measured with a clock."""
    results: dict[str, Any] = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    outcomes = [outcome["parts"] for told in results["prompts"] for outcome in told["planners"].values()]
    for figures in (*results["figures"].values(), *outcomes):
        for name in MEASURED:
            figures.pop(name, None)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compare", description=__doc__.splitlines()[0])
    parser.add_argument("--prompts", type=int, default=100)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--engine", choices=ENGINES, default="transformers", help="what runs SmolLM2")
    parser.add_argument("--steps", type=int, help="denoising steps; else the model's usual")
    parser.add_argument("--no-videos", action="store_true")
    parser.add_argument("-o", "--output", type=Path, default=Path("out/bench-compare"), help="a new folder")
    given = parser.parse_args()
    if given.output.exists():
        parser.error(f"{given.output}: is there; give another --output")
    given.output.mkdir(parents=True)
    whole, struck = given.output / "whole", given.output / "struck"
    seconds, most, status = watched(command(given, whole))
    if status:
        parser.error(f"the comparison ended with exit code {status}")
    again, _, _ = watched(command(given, whole))
    kills, killed = 0, 0.0
    for i in range(given.kills):
        took, _, status = watched(command(given, struck), kill_after=seconds * (i + 1) / (given.kills + 1))
        kills, killed = kills + (status == -signal.SIGKILL), killed + took
    took, _, status = watched(command(given, struck))
    same = status == 0 and repeatable(whole) == repeatable(struck)

    table = Table(box=None, pad_edge=False, show_header=False)
    size = sum(path.stat().st_size for path in whole.rglob("*") if path.is_file())
    for row in (
        ("prompts x planners", f"{given.prompts} x 3 ({given.engine}), {os.cpu_count()} CPU cores"),
        ("seconds, undisturbed", f"{seconds:.0f}"),
        ("most memory", f"{most / 1e9:.2f} GB"),
        ("seconds, the finished one again", f"{again:.0f}"),
        ("killed with SIGKILL", f"{kills} times, {killed + took:.0f} s in all"),
        ("plans, videos and figures afterwards", "equal" if same else "DIFFERENT"),
        ("folder", f"{size / 1e6:.0f} MB, report.html {(whole / 'report.html').stat().st_size / 1e6:.1f} MB"),
    ):
        table.add_row(*row)
    Console(width=120).print(table)
    sys.exit(0 if same and kills == given.kills else 1)


if __name__ == "__main__":
    main()
