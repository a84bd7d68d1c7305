"""The figures that a study can show: those of a comparison, of whole scenes, and all that the referee says."""

from __future__ import annotations

from dysenvdm.metrics import Figure
from dysenvdm.metrics.contract import Pair
from dysenvdm.stage.faithfulness import Faithfulness
from dysenvdm.studies.comparison.figures import COLUMNS, MEASURED, shown_parts
from dysenvdm.studies.questions.scenes import SCENE_FIGURES

FURTHER = {
    "extra actors": "extra", "actions shown": "action", "right target": "right_target", "colours shown": "attributes",
    "clothes shown": "clothes", "sizes shown": "sizes", "identity kept": "identity", "setting shown": "setting",
    "weather shown": "weather",
}  # fmt: skip
"""Figures of :class:`Faithfulness` that a comparison has no column for, by the names that studies give them."""
_FURTHER = {name: Figure(name, "lower" if figure == "extra" else "higher", "micro") for name, figure in FURTHER.items()}
VIDEO_FIGURES = (*(column.name for column in COLUMNS if column.group.startswith("Videos")), *FURTHER)
KNOWN = {column.name: column.figure for column in COLUMNS if column.name not in MEASURED} | _FURTHER
KNOWN |= {figure.name: figure for figure in SCENE_FIGURES}
"""All figures that another run of the same study repeats to the digit."""


def video_parts(gold: Faithfulness, own: Faithfulness | None = None) -> dict[str, Pair]:
    """What a caption's videos contribute: held against the gold graph, and against the planner's own."""
    return shown_parts(gold, own) | {name: getattr(gold, figure) for name, figure in FURTHER.items()}
