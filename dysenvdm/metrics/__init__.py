"""Metrics: each declares its name, direction, aggregation, settings and weights (docs/metrics.md).

``measure("fvd", Material(videos, reference))`` gives results that carry n, spread, settings and weights' hashes;
``register`` adds a metric. Plan metrics need the planners and are added by :mod:`dysenvdm.studies.plan_metrics`.
"""

from dysenvdm.metrics.contract import (
    Figure,
    Item,
    Material,
    Measured,
    Metric,
    Result,
    Settings,
    Weights,
)
from dysenvdm.metrics.registry import (
    MissingWeightsError,
    check_weights,
    find,
    measure,
    measure_all,
    names,
    register,
)
from dysenvdm.metrics.report import as_data, from_data, markdown

__all__ = [
    "Figure",
    "Item",
    "Material",
    "Measured",
    "Metric",
    "MissingWeightsError",
    "Result",
    "Settings",
    "Weights",
    "as_data",
    "check_weights",
    "find",
    "from_data",
    "markdown",
    "measure",
    "measure_all",
    "names",
    "register",
]
