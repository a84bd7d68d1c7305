"""Running a study: plans of every planner at every level, videos from them, each caption's part in every figure.

What was found is kept by content in the study's folder (:mod:`dysenvdm.studies.comparison.store`), so that the same
command goes on where an earlier one was stopped, and gives the same figures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from dysenvdm.metrics.contract import Pair
from dysenvdm.models import locate
from dysenvdm.scene_tensors import without_imagined
from dysenvdm.studies.comparison.contestants import Contestant, read_contestants
from dysenvdm.studies.comparison.figures import plan_parts
from dysenvdm.studies.comparison.plans import OnProgress, Planned, plan_all
from dysenvdm.studies.comparison.prompts import Asked
from dysenvdm.studies.comparison.store import Store
from dysenvdm.studies.comparison.videos import Studio, VideoOptions
from dysenvdm.studies.questions.figures import video_parts
from dysenvdm.studies.questions.levels import Level
from dysenvdm.studies.questions.recipe import StudyRecipe
from dysenvdm.studies.questions.scenes import CAPTION_WORDS, scene_parts
from dysenvdm.studies.questions.training import options_of
from planners.dsg import DynamicSceneGraph, UserError

Parts = dict[str, Pair]


@dataclass
class Answers:
    """Every caption's part in each figure, in the order of the level's captions.

    By (level, planner) what was found and, as ``floor``, the same held against the next caption's gold; by level what
    the drawn clips give, the ``ceiling`` of the referee.
    """

    found: dict[tuple[str, str], list[Parts]] = field(default_factory=dict)
    floor: dict[tuple[str, str], list[Parts]] = field(default_factory=dict)
    ceiling: dict[str, list[Parts]] = field(default_factory=dict)
    weights: dict[str, dict[str, dict[str, str]]] = field(default_factory=dict)
    """By level, the hashes of model and referee; empty without videos."""
    failures: list[dict[str, str]] = field(default_factory=list)
    """Level, planner, prompt and error of each video that could not be made; it shows nothing, and counts as that."""


def ask(
    recipe: StudyRecipe,
    levels: Sequence[Level],
    planners: Sequence[str],
    folder: Path,
    videos: VideoOptions | None,
    on_progress: OnProgress,
    ranks: int | None = None,
) -> Answers:
    """Do what the folder lacks, ``ranks`` processes training each of the study's own models.

    Raises :class:`UserError` for what a user can mend.
    """
    if videos is None and (recipe.training is not None or not recipe.plans):
        does = "trains models and looks at their videos" if recipe.training else "looks at videos alone"
        raise UserError(f"--no-videos: this study {does}; leave it out")
    if videos is not None and videos.referee is not None:
        locate(videos.referee)  # before hours of work
    store, answers = Store(folder), Answers()
    for level in levels:
        studio = None
        if videos is not None:
            options = options_of(recipe, level, videos, folder, ranks)
            studio = Studio(store, options, ticks=_ticks(level.asked[0]), seed=0)
            _check(studio, level)
            answers.weights[level.name] = studio.weights | studio.referee_weights
            answers.ceiling[level.name] = _ceiling(studio, level, on_progress)
        for contestant in read_contestants(planners, level.asked):
            key = (level.name, contestant.label)
            records = _planned(store, contestant, level.asked, on_progress)
            graphs = [_graph(record, level) for record in records]
            answers.found[key] = _plan_parts(records, graphs, level.asked)
            answers.floor[key] = _plan_parts(records, graphs, _next(level.asked))
            if studio is not None:
                _watch(studio, level, contestant, graphs, answers, on_progress)
    return answers


def _planned(store: Store, contestant: Contestant, asked: Sequence[Asked], on_progress: OnProgress) -> list[Planned]:
    """The plans of all captions in order; those of as many ticks are planned together."""
    found: dict[int, Planned] = {}
    for ticks in dict.fromkeys(_ticks(one) for one in asked):
        mine = [i for i, one in enumerate(asked) if _ticks(one) == ticks]
        chosen = [asked[i] for i in mine]
        records = plan_all(store, contestant, chosen, ticks=ticks, seed=0, on_progress=on_progress)
        found |= zip(mine, records, strict=True)
    return [found[i] for i in range(len(asked))]


def _ticks(one: Asked) -> int:
    assert one.gold_dsg is not None
    return one.gold_dsg.ticks


def _check(studio: Studio, level: Level) -> None:
    """Raise :class:`UserError`, before hours of work, for settings that make no videos of the level's clips."""
    for one in level.asked:
        _in_length(studio, one)
        try:
            studio.check(_ticks(one))
        except UserError as error:
            raise UserError(f"level {level.name}: {error}") from None


def _next(asked: Sequence[Asked]) -> list[Asked]:
    """The captions shuffled: each in its predecessor's place."""
    return [*asked[1:], *asked[:1]]


def _graph(record: Planned, level: Level) -> DynamicSceneGraph:
    graph = DynamicSceneGraph.parse(record["dsg"])
    return graph if level.imagined else without_imagined(graph)


def _plan_parts(records: Sequence[Planned], graphs: Sequence[DynamicSceneGraph], asked: Sequence[Asked]) -> list[Parts]:
    looked_at = [record | {"dsg": graph.to_dict()} for record, graph in zip(records, graphs, strict=True)]
    found = []
    for parts, graph, record, one in zip(plan_parts(looked_at, asked, None), graphs, records, asked, strict=True):
        assert one.gold_dsg is not None
        words: Parts = {CAPTION_WORDS: (len(record["prompt"].split()), 1)}
        found.append(parts | scene_parts(graph, one.gold_dsg) | words)
    return found


def _in_length(studio: Studio, one: Asked) -> None:
    """The studio makes this caption's videos as long as its clip is."""
    assert one.clip is not None
    studio.settings = replace(studio.settings, frames=one.clip.frames, ticks=_ticks(one))


def _ceiling(studio: Studio, level: Level, on_progress: OnProgress) -> list[Parts]:
    """What the referee sees in the drawn clips."""
    found = []
    for i, one in enumerate(level.asked):
        on_progress(f"{level.name}: drawn clips", i, len(level.asked))
        assert one.clip is not None
        assert one.gold_dsg is not None
        _in_length(studio, one)
        found.append(video_parts(studio.judged([studio.drawn(one.clip)], one.gold_dsg)))
    return found


def _watch(
    studio: Studio,
    level: Level,
    contestant: Contestant,
    graphs: Sequence[DynamicSceneGraph],
    answers: Answers,
    on_progress: OnProgress,
) -> None:
    key = (level.name, contestant.label)
    for i, (one, other, graph) in enumerate(zip(level.asked, _next(level.asked), graphs, strict=True)):
        on_progress(f"{level.name}, {contestant.label}: videos", i, len(graphs))
        assert one.gold_dsg is not None
        assert other.gold_dsg is not None
        _in_length(studio, one)
        made = studio.made(one.prompt, i, graph)
        answers.failures += [
            {"level": level.name, "planner": contestant.label, "prompt": one.prompt, "error": video.error}
            for video in made
            if video.error
        ]
        answers.found[key][i] |= video_parts(studio.judged(made, one.gold_dsg), studio.judged(made, graph))
        answers.floor[key][i] |= video_parts(studio.judged(made, other.gold_dsg))


def weights_of(weights: Mapping[str, Mapping[str, Mapping[str, str]]]) -> dict[str, str]:
    """All weights of all levels, "model/file" -> SHA-256, configurations and texts beside them left out."""
    return {
        f"{model}/{file}": value
        for models in weights.values()
        for model, files in models.items()
        for file, value in files.items()
        if file.endswith(".safetensors")
    }
