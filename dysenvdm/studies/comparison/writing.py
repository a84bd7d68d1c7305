"""The report's files: results.json with everything, results.csv for statistics, results.md for papers, report.html."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dysenvdm.studies.comparison.figures import LEAST_TESTED
from dysenvdm.studies.comparison.store import write

ARROWS = {"higher": " ↑", "lower": " ↓", "neither": ""}
BOUNDS = {
    "ceiling": "ceiling: the drawn clips",
    "floor": "floor: all videos, the next prompt's gold graph",
}


def write_reports(folder: Path, results: Mapping[str, Any]) -> None:
    """Write all four files into the comparison's folder, each whole or not at all."""
    from dysenvdm.studies.comparison.page import page

    write(folder / "results.json", json.dumps(results, ensure_ascii=False, indent=1) + "\n")
    write(folder / "results.csv", csv_text(results))
    write(folder / "results.md", markdown(results))
    write(folder / "report.html", page(results, folder))


def groups(results: Mapping[str, Any]) -> Iterator[tuple[str, list[Any]]]:
    """The groups of columns that some planner has a figure of, in order."""
    found: dict[str, list[Any]] = {}
    for column in results["columns"]:
        if any(column["name"] in cells for cells in results["figures"].values()):
            found.setdefault(column["group"], []).append(column)
    yield from found.items()


def prompts_of(results: Mapping[str, Any], column: Mapping[str, Any]) -> int:
    """How many prompts a column can be judged on, at most."""
    return max(
        int(cells[column["name"]]["prompts"]) for cells in results["figures"].values() if column["name"] in cells
    )


def best(results: Mapping[str, Any], column: Mapping[str, Any]) -> set[str]:
    """The planners with the best value of a column that has a best; nobody where all are equal."""
    values = {
        label: cells[column["name"]]["value"] for label, cells in results["figures"].items() if column["name"] in cells
    }
    if column["direction"] == "neither" or len(set(values.values())) < 2:
        return set()
    wanted = (max if column["direction"] == "higher" else min)(values.values())
    return {label for label, value in values.items() if value == wanted}


def number(value: float) -> str:
    """A value as tables show it."""
    if value == 0:
        return "0"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}" if abs(value) < 1000 else f"{value:.0f}"


def interval(cell: Mapping[str, Any]) -> str:
    """A value's interval, "" where it has no width to speak of."""
    low, high = number(cell["low"]), number(cell["high"])
    return "" if low == high == number(cell["value"]) else f"{low} – {high}"


# -- CSV ---------------------------------------------------------------------------------------------------------------


def csv_text(results: Mapping[str, Any]) -> str:
    """A row per planner and prompt; of each column what is right and what was judged, empty where nothing can be.

    A text that a spreadsheet would compute begins with an apostrophe.
    """
    names = [column["name"] for column in results["columns"]]
    file = io.StringIO()
    rows = csv.writer(file, lineterminator="\n")
    rows.writerow(["planner", "number", "prompt", "status", *(f"{name}{end}" for name in names for end in ("", " of"))])
    for told in results["prompts"]:
        for label, outcome in told["planners"].items():
            pairs = [outcome["parts"].get(name, ("", "")) for name in names]
            texts = [_no_formula(label), told["number"], _no_formula(told["prompt"]), outcome["status"]]
            rows.writerow([*texts, *(value for pair in pairs for value in pair)])
    return file.getvalue()


def _no_formula(text: str) -> str:
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


# -- Markdown ----------------------------------------------------------------------------------------------------------


def markdown(results: Mapping[str, Any]) -> str:
    """Tables for a paper: a row per figure, a column per planner, the best value bold, intervals in brackets."""
    labels = list(results["figures"])
    lines = ["# Planner comparison", "", settings_line(results), ""]
    for group, columns in groups(results):
        bounds = [
            name for name, cells in results["bounds"].items() if any(column["name"] in cells for column in columns)
        ]
        rows = [
            [
                f"{column['name']}{ARROWS[column['direction']]}",
                str(prompts_of(results, column)),
                *(_figure(results, label, column) for label in labels),
                *(_bound(results, bound, column) for bound in bounds),
            ]
            for column in columns
        ]
        lines += _table([group, "n", *map(_cell_text, labels), *bounds], rows)
    told = [row for row in results["significance"] if row["p_holm"] < 0.05]
    least = f"at least {LEAST_TESTED} of them"
    about = f"Paired bootstrap over prompts ({least}), corrected by Holm's method for the pairs of planners."
    lines += ["## Differences with p < 0.05", "", about, ""]
    differences = [
        [
            row["column"],
            _cell_text(row["first"]),
            _cell_text(row["second"]),
            f"{row['difference']:+.3f} ({row['low']:+.3f} – {row['high']:+.3f})",
            str(row["prompts"]),
            p_text(row["p_holm"]),
        ]
        for row in told
    ]
    head = ["figure", "first", "second", "first − second", "n", "p"]
    lines += _table(head, differences) if differences else ["None.", ""]
    return "\n".join(lines)


def settings_line(results: Mapping[str, Any]) -> str:
    """What the figures depend on, in a sentence or two."""
    said, videos, machine = results["settings"], results["settings"]["videos"], results["machine"]
    parts = [
        f"{said['n']} prompts ({said['prompts']}), {said['with_gold']} with gold plans",
        f"{said['ticks']} ticks, seed {said['seed']}",
    ]
    if videos:
        made = videos["settings"]
        judge = f"judged by {videos['referee']}" if videos["referee"] else "no referee"
        how = f"{made['steps']} steps in {made['dtype']}"
        parts.append(f"videos per plan: {videos['seeds']}, by {made['model']}, {how}, {judge}")
    here = f"dysenvdm {results['versions']['dysenvdm']}, {machine['cpus']} CPU cores, {machine['gpu'] or 'no GPU'}"
    sentences = ["; ".join(parts), "95 % bootstrap intervals over prompts", here]
    if videos and videos["referee_accuracy"]:
        sentences.insert(2, videos["referee_accuracy"])
    return f"{'. '.join(sentences)}."


def p_text(p: float) -> str:
    return "< 0.002" if p < 0.002 else f"{p:.3f}"


def _figure(results: Mapping[str, Any], label: str, column: Mapping[str, Any]) -> str:
    cell = results["figures"][label].get(column["name"])
    if cell is None:
        return str(column["absent"])
    value = number(cell["value"])
    shown = f"**{value}**" if label in best(results, column) else value
    return f"{shown} ({interval(cell)})" if interval(cell) else shown


def _bound(results: Mapping[str, Any], bound: str, column: Mapping[str, Any]) -> str:
    cell = results["bounds"][bound].get(column["name"])
    return number(cell["value"]) if cell else "-"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)] + [""]


def _cell_text(text: str) -> str:
    """Text as Markdown shows it, whatever it contains."""
    return "".join(f"\\{letter}" if letter in "\\`*_{}[]<>()#+!|~&" else letter for letter in text)
