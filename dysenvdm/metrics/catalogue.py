"""What there is to know about a metric before it is measured, as cells of a table."""

from __future__ import annotations

from dysenvdm.metrics.contract import Metric
from dysenvdm.metrics.registry import MissingWeightsError, settings_of, weights_folders
from dysenvdm.models import read_manifest

COLUMNS = ("name", "better", "aggregation", "needs", "weights", "there", "what it is")


def cells(metric: Metric) -> tuple[str, ...]:
    """A metric in the order of :data:`COLUMNS`.

    Of weights that are there the first digits of their recorded SHA-256, of others those of the checkpoint that they
    are made of, where it is known.
    """
    try:
        folders = weights_folders(metric, settings_of(metric))
    except MissingWeightsError:
        weights = [f"{one.name} (of {one.sha256[:8]})" if one.sha256 else one.name for one in metric.weights]
        there = "no"
    else:
        weights = [
            f"{name}:{file['sha256'][:8]}"
            for name, folder in folders.items()
            for path, file in read_manifest(folder)["files"].items()
            if path.endswith(".safetensors")
        ]
        there = "yes"
    return (
        metric.name,
        _common({figure.name: figure.direction for figure in metric.figures}),
        _common({figure.name: figure.aggregation for figure in metric.figures}),
        ", ".join(sorted(metric.needs)),
        ", ".join(weights) or "none",
        there,
        metric.about,
    )


def _common(said: dict[str, str]) -> str:
    """What most figures have, and the names of those that have something else: "higher; extra: lower"."""
    most = max(dict.fromkeys(said.values()), key=list(said.values()).count)
    return "; ".join([most, *(f"{name}: {value}" for name, value in said.items() if value != most)])
