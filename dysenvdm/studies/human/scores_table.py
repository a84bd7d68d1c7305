"""A study's scores as a table for people and as CSV for a spreadsheet."""

from __future__ import annotations

import csv
import io
from typing import Any

from rich.markup import escape
from rich.table import Table

COLUMNS = ("question", "figure", "system", "over", "value", "low", "high", "n_raters", "n_prompts")


def table(scores: dict[str, Any]) -> Table:
    """Scores in percent by system and question, then preferences and agreement."""
    questions = scores["questions"]
    n = len(scores["raters"])
    found = Table(
        box=None,
        pad_edge=False,
        caption=f"% (1-5 as 0-100), {n} raters, {scores['prompts']} prompts; {scores['interval']}",
    )
    for title in ("", *(q["title"] for q in questions.values())):
        found.add_column(title)
    for system in next(iter(questions.values()))["scores"]:
        found.add_row(escape(system), *(_cell(q["scores"][system], 1) for q in questions.values()))
    for i, pair in enumerate(next(iter(questions.values()))["preferences"]):
        name = escape(f"{pair['system']} over {pair['over']}")
        mine = [q["preferences"][i] for q in questions.values()]
        found.add_row(f"{name}: preferred", *(_cell(one["preferred"], 2) for one in mine))
        found.add_row(f"{name}: ahead by", *(_cell(one["points_ahead"], 1) for one in mine))
        found.add_row(f"{name}: win / tie / loss", *(f"{p['wins']} / {p['ties']} / {p['losses']}" for p in mine))
    alphas = [q["alpha"] for q in questions.values()]
    found.add_row("Krippendorff's alpha", *("-" if value is None else f"{value:.3f}" for value in alphas))
    return found


def _cell(figure: dict[str, float], digits: int) -> str:
    mean, low, high = (f"{figure[name]:.{digits}f}" for name in ("mean", "low", "high"))
    return f"{mean} ({low} to {high})"


def as_csv(scores: dict[str, Any]) -> str:
    """One line a figure, :data:`COLUMNS`; a figure without an interval has none."""
    out = io.StringIO()
    lines = csv.writer(out, lineterminator="\n")
    lines.writerow(COLUMNS)
    n = (len(scores["raters"]), scores["prompts"])
    for name, question in scores["questions"].items():
        for system, figure in question["scores"].items():
            lines.writerow((name, "score", system, "", *_values(figure), *n))
        for pair in question["preferences"]:
            both = (pair["system"], pair["over"])
            for figure in ("preferred", "points_ahead"):
                lines.writerow((name, figure, *both, *_values(pair[figure]), *n))
            for count in ("wins", "ties", "losses"):
                lines.writerow((name, count, *both, pair[count], "", "", *n))
        alpha = question["alpha"]
        lines.writerow((name, "alpha", "", "", "" if alpha is None else alpha, "", "", *n))
    return out.getvalue()


def _values(figure: dict[str, float]) -> tuple[float, float, float]:
    return figure["mean"], figure["low"], figure["high"]
