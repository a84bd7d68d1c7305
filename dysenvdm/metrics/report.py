"""Results as data and as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from dysenvdm.metrics.contract import Direction, Result

ARROWS: dict[Direction, str] = {"higher": "↑", "lower": "↓", "neither": ""}
COLUMNS = ("metric", "value", "n", "floor", "ceiling", "clips", "weights")


def as_data(results: Sequence[Result]) -> list[dict[str, Any]]:
    """Results as plain JSON data, pairs included."""
    return [asdict(result) for result in results]


def from_data(data: Sequence[Mapping[str, Any]]) -> list[Result]:
    """What :func:`as_data` gave, read back from JSON."""
    return [
        Result(
            **{
                **row,
                "interval": row["interval"] and tuple(row["interval"]),
                **{
                    key: {ident: tuple(pair) for ident, pair in row.get(key, {}).items()}
                    for key in ("pairs", "floor_pairs", "ceiling_pairs")
                },
            }
        )
        for row in data
    ]


def rows(results: Sequence[Result]) -> list[tuple[str, ...]]:
    """A line of cells per result, in the order of :data:`COLUMNS`."""
    return [
        (
            f"{result.name} {ARROWS[result.direction]}".strip(),
            value_cell(result),
            f"{result.n}" + (f" x {result.runs} runs" if result.runs > 1 else ""),
            number(result.floor),
            number(result.ceiling),
            " ".join(f"{_listed(value)}{_UNITS[key]}" for key, value in result.material.items()),
            " ".join(f"{name.partition('/')[0]}:{value[:8]}" for name, value in result.weights.items()) or "none",
        )
        for result in results
    ]


_UNITS = {"fps": " fps", "frames": " frames", "size": ""}


def value_cell(result: Result) -> str:
    """The value with its 95 % interval, else with its standard error; "-" where nothing could be judged."""
    if result.value is None:
        return "-"
    if result.interval is not None:
        low, high = result.interval
        return f"{number(result.value)} ({number(low)}-{number(high)})"
    if result.stderr is not None:
        return f"{number(result.value)} ± {number(result.stderr)}"
    return number(result.value)


def markdown(results: Sequence[Result]) -> str:
    """A Markdown table of all results."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    lines += ["| " + " | ".join(row) + " |" for row in rows(results)]
    for note in notes(results):
        lines += ["", f"{note}."]
    return "\n".join(lines) + "\n"


def notes(results: Sequence[Result]) -> list[str]:
    """What is to be read with these figures, each sentence once."""
    return list(dict.fromkeys(result.note for result in results if result.note))


def number(value: float | None) -> str:
    """A value as tables show it; "-" for none."""
    if value is None:
        return "-"
    return f"{value:.3f}" if abs(value) < 100 else f"{value:.2f}"


def _listed(value: Any) -> str:
    values = value if isinstance(value, list) else [value]
    return ", ".join(f"{one:g}" if isinstance(one, float) else str(one) for one in values)
