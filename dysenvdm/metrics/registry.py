"""The metrics that there are, by name, and the one way to have them measured."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from dysenvdm.metrics.bootstrap import share
from dysenvdm.metrics.contract import Figure, Item, Material, Measured, Metric, Need, Result, Settings
from dysenvdm.models import locate, verify
from planners.dsg import UserError, one_line

_ADDED: dict[str, Metric] = {}


@cache
def _builtin() -> dict[str, Metric]:
    from dysenvdm.metrics.builtin import METRICS  # loads torch

    return {metric.name: metric for metric in METRICS}


class MissingWeightsError(UserError):
    """A metric's weights are not in the model store; the message says which file it wants and how to bring it."""


def register(metric: Metric) -> Metric:
    """Make a metric known by its name; a name that is taken is a ValueError."""
    if metric.name in names():
        raise ValueError(f"two metrics are called {metric.name!r}")
    _ADDED[metric.name] = metric
    return metric


def names() -> tuple[str, ...]:
    """All metrics, those that were added last."""
    return (*_builtin(), *_ADDED)


def find(name: str) -> Metric:
    """The metric of that name; raises :class:`UserError` with a suggestion."""
    if name in names():
        return (_builtin() | _ADDED)[name]
    near = difflib.get_close_matches(name, names(), n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(names())}"
    raise UserError(f"metric {name!r}: not known; {hint}")


def settings_of(metric: Metric, given: Mapping[str, Any] | None = None) -> Settings:
    """A metric's settings, defaults filled in; raises :class:`UserError` for keys and values that it does not take."""
    try:
        return metric.settings.model_validate(dict(given or {}))
    except ValidationError as error:
        known = ", ".join(metric.settings.model_fields) or "none"
        raise UserError(f"metric {metric.name}: settings: {one_line(error)}; it knows: {known}") from None


def weights_folders(metric: Metric, settings: Settings) -> dict[str, Path]:
    """Where each of a metric's weights lies, by the name that the settings give it; hashes are not checked yet.

    Raises :class:`MissingWeightsError` where one is not there.
    """
    folders = {}
    for needed in metric.weights:
        name = getattr(settings, needed.setting) if needed.setting else needed.name
        try:
            folders[name] = locate(name)
        except UserError:
            other = f", or name another with the setting {needed.setting}" if needed.setting else ""
            raise MissingWeightsError(
                f"metric {metric.name}: needs {name!r} in the model store, made of {needed.file} "
                f"({needed.source}, licence {needed.licence}); {needed.mend}{other}"
            ) from None
    return folders


def check_weights(metric: Metric, settings: Settings | None = None) -> None:
    """Raise :class:`MissingWeightsError` where the model store lacks a file of the metric's."""
    weights_folders(metric, settings or settings_of(metric))


def weights_hashes(metric: Metric, settings: Settings) -> dict[str, str]:
    """SHA-256 by "model/file" of every weights file that a metric reads, held against the manifests."""
    return {
        f"{folder.name}/{file}": value
        for folder in weights_folders(metric, settings).values()
        for file, value in verify(folder).items()
        if file.endswith(".safetensors")
    }


def least_items(metric: Metric, settings: Settings) -> int:
    """How many items, and reference items where it needs such, a metric must be given."""
    return max(metric.minimum, int(getattr(settings, "clips", 0)))


def check_material(metric: Metric, material: Material, settings: Settings) -> None:
    """Raise :class:`UserError` where the material is not what the metric needs, the first such item named."""
    least = least_items(metric, settings)
    sides: list[tuple[str, Sequence[Item]]] = [("videos", material.items)]
    if "reference" in metric.needs:
        sides.append(("reference", material.reference))
    for side, items in sides:
        if len(items) < least:
            raise UserError(
                f"metric {metric.name}: {side}: {len(items)} given, it needs at least {least}"
                + (f" (setting clips={least}; the least is {metric.minimum})" if least > metric.minimum else "")
            )
    if "gold videos" in metric.needs:
        _check_gold_videos(metric, material)
    for need in sorted(metric.needs - {"reference", "gold videos"}):
        for item in material.items:
            if not _has(item, need):
                raise UserError(f"metric {metric.name}: {item.id}: {_LACKS[need]}")


def _check_gold_videos(metric: Metric, material: Material) -> None:
    gold = {item.id for item in material.reference if item.read is not None}
    lost = next((item.id for item in material.items if item.id not in gold), None)
    if lost is not None:
        raise UserError(
            f"metric {metric.name}: {lost}: has no gold video of that name among the reference, for the ceiling; give "
            f"the renders of the same prompts"
        )


_LACKS: dict[Need, str] = {
    "videos": "has no video",
    "prompts": "has no prompt; give one per video",
    "graphs": "its prompt was not planned",
    "gold graphs": "its prompt has no gold scene graph; give a data set that has them, such as Stage",
    "gold plans": "its prompt has no gold plan; give a data set that has them, such as Stage",
}


def _has(item: Item, need: Need) -> bool:
    return {
        "videos": item.read is not None,
        "prompts": item.prompt is not None,
        "graphs": item.graph is not None,
        "gold graphs": item.gold_graph is not None,
        "gold plans": item.gold_plan is not None,
    }.get(need, True)


def measure(name: str, material: Material, given: Mapping[str, Any] | None = None) -> list[Result]:
    """All figures of a metric on the material, stamped with its settings and its weights' hashes.

    Raises :class:`UserError`: an unknown name or setting, material that lacks something, too few items, and
    :class:`MissingWeightsError`.
    """
    metric = find(name)
    settings = settings_of(metric, given)
    check_material(metric, material, settings)
    hashes = weights_hashes(metric, settings)
    stamp = settings.model_dump(mode="json")
    declared = {figure.name: figure for figure in metric.figures}
    return [
        _result(metric, declared[measured.figure], measured, material, stamp, hashes)
        for measured in metric.measure(material, settings)
    ]


def measure_all(
    wanted: Mapping[str, Mapping[str, Any]] | Sequence[str], material: Material
) -> tuple[list[Result], dict[str, str]]:
    """Results of all metrics, and why those without their weights have none, by name; all others still run."""
    asked = dict(wanted) if isinstance(wanted, Mapping) else {name: {} for name in wanted}
    for name in asked:
        find(name)
    results: list[Result] = []
    missing: dict[str, str] = {}
    for name, given in asked.items():
        try:
            results += measure(name, material, given)
        except MissingWeightsError as error:
            missing[name] = str(error)
    return results, missing


def stamp_of(material: Material) -> dict[str, Any]:
    """fps, frames and size of the clips: the value that all have, or a sorted list; what nobody knows is left out."""
    seen: dict[str, set[Any]] = {"fps": set(), "frames": set(), "size": set()}
    for item in material.items:
        if item.fps is not None:
            seen["fps"].add(item.fps)
        if item.shape is not None:
            frames, height, width = item.shape
            seen["frames"].add(frames)
            seen["size"].add(f"{width}x{height}")
    return {key: found.pop() if len(found) == 1 else sorted(found) for key, found in seen.items() if found}


def _result(
    metric: Metric,
    figure: Figure,
    measured: Measured,
    material: Material,
    stamp: Mapping[str, Any],
    hashes: Mapping[str, str],
) -> Result:
    common: dict[str, Any] = {"floor": measured.floor, "ceiling": measured.ceiling, "note": measured.note}
    common |= {"material": stamp_of(material), "settings": stamp, "weights": hashes}
    head = (metric.name, figure.name, figure.direction, figure.aggregation)
    if figure.aggregation == "set":
        runs = np.array(measured.runs, dtype=float)
        stderr = float(runs.std(ddof=1) / np.sqrt(len(runs))) if len(runs) > 1 else None
        n = len(material.items) if measured.n is None else measured.n
        return Result(*head, float(runs.mean()), n, stderr, runs=len(runs), **common)
    ids = [item.id for item in material.items]
    pairs = dict(zip(ids, measured.pairs, strict=True))
    for key in ("floor_pairs", "ceiling_pairs"):
        given = getattr(measured, key)
        common[key] = dict(zip(ids, given, strict=True)) if given else {}
    found = share(list(pairs.values()))
    if found is None:
        return Result(*head, None, len(pairs), pairs=pairs, **common)
    value, low, high = found
    stderr = None
    if figure.aggregation == "mean" and len(pairs) > 1:
        stderr = float(np.std([right for right, _ in pairs.values()], ddof=1) / np.sqrt(len(pairs)))
    return Result(*head, value, len(pairs), stderr, (low, high), pairs=pairs, **common)
