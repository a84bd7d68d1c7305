"""One study from its recipe to results, table and plot."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dysenvdm.generation.placement import checked_device
from dysenvdm.generation.recipe import versions
from dysenvdm.models import locate
from dysenvdm.stage import STAGE_VERSION
from dysenvdm.stage.referee_accuracy import noted_accuracy, said_of
from dysenvdm.studies.comparison.plans import OnProgress
from dysenvdm.studies.comparison.store import alone, write
from dysenvdm.studies.comparison.videos import VideoOptions
from dysenvdm.studies.questions import groups, plots, report
from dysenvdm.studies.questions.asking import ask
from dysenvdm.studies.questions.levels import levels
from dysenvdm.studies.questions.recipe import MAX_TICKS, StudyRecipe
from dysenvdm.studies.questions.results import Row, as_data, gains, rows

RESULTS, PLOT, TABLE = "results.json", "plot", "table.md"


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
    ranks: int | None = None,
) -> Done:
    """Do what ``folder`` lacks and write results, table and plot there, and the section of ``document``.

    ``ranks`` processes train each of the study's own models; else one for every GPU here, or one.

    Raises :class:`UserError` for what a user can mend; the same call goes on after that, or after a kill.
    """
    with alone(folder):
        asked = levels(recipe, limit)
        answers = ask(recipe, asked, planners, folder, videos, on_progress, ranks)
        settings = _settings(recipe, len(asked[0].asked), videos)
        found = rows(answers, settings)
        gained = gains(recipe, found)
        grouped = groups.groups(recipe, answers, asked)
        made = report.tables(recipe, found, gained, grouped)
        weights: dict[str, dict[str, None]] = {}  # of one name several, where every level has its own model
        for result in (result for row in found for result in row.results.values()):
            for file, value in result.weights.items():
                weights.setdefault(file, {})[value[:8]] = None
        note = report.caption(settings, weights, answers.failures)
        if videos is not None and videos.referee is not None:
            note += f" {said_of(noted_accuracy(locate(videos.referee)))}."
        write(
            folder / RESULTS,
            json.dumps(
                as_data(name, recipe, found, gained, settings, answers.failures, groups.as_data(grouped)), indent=1
            )
            + "\n",
        )
        drawn = _draw(recipe, found, grouped, folder, PLOT)
        write(folder / TABLE, report.markdown(name, recipe, made, note, command, [file.name for file in drawn]))
        files = [folder / RESULTS, folder / TABLE, *drawn]
        if document is not None:
            pictures = document.parent / document.stem
            pictures.mkdir(exist_ok=True)
            places = [f"{document.stem}/{file.name}" for file in _draw(recipe, found, grouped, pictures, name)]
            report.put_section(document, name, report.markdown(name, recipe, made, note, command, places))
            files.append(document)
    return Done(made, note, files)


def _settings(recipe: StudyRecipe, captions: int, videos: VideoOptions | None) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "captions a level": captions,
        "split": "test (more-events, more-actors where it has no such clips)",
        "first clip": recipe.first,
        "ticks": recipe.ticks or f"half the frames, at most {MAX_TICKS}",
        "Stage": STAGE_VERSION,
    }
    if videos is not None:
        device = checked_device(videos.device).type
        settings |= {
            "videos a plan": videos.seeds,
            "steps": videos.steps or "usual",
            "precision": videos.dtype,
            report.DEVICE: "CPU" if device == "cpu" else device,
            report.VERSIONS: versions(),
        }
    return settings


def _draw(
    recipe: StudyRecipe, found: Sequence[Row], grouped: Sequence[groups.Group], folder: Path, stem: str
) -> list[Path]:
    """The study's pictures: its figures at every level and, where it tells them apart, by numbers of events."""
    files = [folder / f"{stem}.png"]
    plots.draw(recipe, found, files[0])
    if by_events := [group for group in grouped if group.by == "events"]:
        files.append(folder / f"{stem}-by-events.png")
        plots.draw_groups(recipe, by_events, files[1])
    return files
