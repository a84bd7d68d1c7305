"""One study from its recipe to results, table and plot."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dysenvdm.models import locate
from dysenvdm.stage import STAGE_VERSION
from dysenvdm.stage.referee_accuracy import noted_accuracy, said_of
from dysenvdm.studies.comparison.plans import OnProgress
from dysenvdm.studies.comparison.store import alone, write
from dysenvdm.studies.comparison.videos import VideoOptions
from dysenvdm.studies.questions import report
from dysenvdm.studies.questions.asking import ask
from dysenvdm.studies.questions.levels import levels
from dysenvdm.studies.questions.recipe import MAX_TICKS, StudyRecipe
from dysenvdm.studies.questions.results import as_data, gains, rows

RESULTS, PLOT, TABLE = "results.json", "plot.png", "table.md"


@dataclass(frozen=True)
class Done:
    """The files of a study and its tables."""

    tables: Sequence[tuple[str, report.Cells]]
    note: str
    files: Sequence[Path]


def run(
    name: str,
    recipe: StudyRecipe,
    folder: Path,
    *,
    planners: Sequence[str],
    videos: VideoOptions | None,
    limit: int | None,
    command: str,
    document: Path | None,
    on_progress: OnProgress,
) -> Done:
    """Do what ``folder`` lacks and write results, table and plot there, and the section of ``document``.

    Raises :class:`UserError` for what a user can mend; the same call goes on after that, or after a kill.
    """
    with alone(folder):
        asked = levels(recipe, limit)
        answers = ask(recipe, asked, planners, folder, videos, on_progress)
        settings: dict[str, Any] = {
            "captions a level": len(asked[0].asked),
            "split": "test (more-events, more-actors where it has no such clips)",
            "first clip": recipe.first,
            "ticks": recipe.ticks or f"half the frames, at most {MAX_TICKS}",
            "Stage": STAGE_VERSION,
        }
        if videos is not None:
            settings |= {"videos a plan": videos.seeds, "steps": videos.steps or "usual"}
        found = rows(answers, settings)
        gained = gains(recipe, found)
        made = report.tables(recipe, found, gained)
        weights: dict[str, dict[str, None]] = {}  # of one name several, where every level has its own model
        for result in (result for row in found for result in row.results.values()):
            for file, value in result.weights.items():
                weights.setdefault(file, {})[value[:8]] = None
        note = report.caption(settings, weights, answers.failures)
        if videos is not None and videos.referee is not None:
            note += f" {said_of(noted_accuracy(locate(videos.referee)))}."
        write(
            folder / RESULTS,
            json.dumps(as_data(name, recipe, found, gained, settings, answers.failures), indent=1) + "\n",
        )
        report.draw(recipe, found, folder / PLOT)
        write(folder / TABLE, report.markdown(name, recipe, made, note, command, PLOT))
        files = [folder / RESULTS, folder / TABLE, folder / PLOT]
        if document is not None:
            pictures = document.parent / document.stem
            pictures.mkdir(exist_ok=True)
            report.draw(recipe, found, pictures / f"{name}.png")
            text = report.markdown(name, recipe, made, note, command, f"{document.stem}/{name}.png")
            report.put_section(document, name, text)
            files.append(document)
    return Done(made, note, files)
