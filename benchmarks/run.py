"""``python -m benchmarks.run [NAME ...]``: run bench_*.py (all, or those named) and print one table."""

from __future__ import annotations

import importlib
import os
import platform
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.rows import Row

FOLDER = Path(__file__).parent


def names() -> list[str]:
    return sorted(path.stem.removeprefix("bench_") for path in FOLDER.glob("bench_*.py"))


def machine() -> str:
    import torch

    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    cores = len(os.sched_getaffinity(0))
    return f"{platform.machine()}, {cores} cores, {torch.get_num_threads()} threads, torch {torch.__version__}{gpu}"


def table(rows: list[Row]) -> Table:
    result = Table(box=None, pad_edge=False, caption=machine())
    for title in ("figure", "median", "min", "max", "n", "bound", ""):
        result.add_column(title, justify="left" if title in ("figure", "") else "right")
    for row in rows:
        cells = [f"{value:.3g} {row.unit}" for value in (row.median, min(row.samples), max(row.samples))]
        bound = "" if row.bound is None else f"{'≥' if row.at_least else '≤'} {row.bound:g} {row.unit}"
        verdict = {None: "", True: "holds", False: "BROKEN"}[row.holds]
        result.add_row(row.name, *cells, str(len(row.samples)), bound, verdict)
    return result


def main(wanted: list[str]) -> int:
    unknown = sorted(set(wanted) - set(names()))
    if unknown:
        print(f"error: no benchmark {unknown[0]!r}; there are: {', '.join(names())}", file=sys.stderr)
        return 2
    os.environ.update({"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "DO_NOT_TRACK": "1"})
    rows: list[Row] = []
    for name in wanted or names():
        rows += importlib.import_module(f"benchmarks.bench_{name}").run()
    Console(width=120).print(table(rows))
    return int(any(row.holds is False for row in rows))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
