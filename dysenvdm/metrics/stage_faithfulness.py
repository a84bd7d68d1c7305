"""Faithfulness on Stage: does a video do what its scene graph asks, as the referee sees it.

Beside every figure stand its ceiling, what the referee makes of the gold videos of the same scene graphs, and its
floor, the same videos held against the next item's scene graph: what is right by chance.
"""

from __future__ import annotations

from collections.abc import Sequence

from dysenvdm.metrics import weights
from dysenvdm.metrics.bootstrap import share
from dysenvdm.metrics.contract import Direction, Figure, Item, Material, Measured, Metric, Settings
from dysenvdm.stage.faithfulness import FIGURES, Faithfulness, faithfulness
from dysenvdm.stage.reading import Reading
from dysenvdm.stage.referee import Referee
from dysenvdm.stage.referee_accuracy import NotedAccuracy, said_of
from planners.dsg import DynamicSceneGraph


class FaithfulnessSettings(Settings):
    """``referee`` names one of the model store, or a folder."""

    referee: str = "stage-referee"


def judged(
    readings: Sequence[Reading],
    gold_readings: Sequence[Reading],
    graphs: Sequence[DynamicSceneGraph],
    accuracy: NotedAccuracy | None = None,
) -> list[Measured]:
    """All figures of videos' readings, with ceiling and floor, given the gold videos' readings and the scene graphs;
    ``accuracy`` is what the referee's folder says of it.
    """
    mine = _against(readings, graphs)
    ceiling = _against(gold_readings, graphs)
    floor = _against(readings, [*graphs[1:], graphs[0]]) if len(graphs) > 1 else []
    return [
        Measured(
            name,
            pairs=[getattr(one, name) for one in mine],
            ceiling=_value(ceiling, name),
            floor=_value(floor, name),
            ceiling_pairs=[getattr(one, name) for one in ceiling],
            floor_pairs=[getattr(one, name) for one in floor],
            note=said_of(accuracy),
        )
        for name in FIGURES
    ]


def _against(readings: Sequence[Reading], graphs: Sequence[DynamicSceneGraph]) -> list[Faithfulness]:
    return [faithfulness(reading, graph) for reading, graph in zip(readings, graphs, strict=True)]


def _value(found: Sequence[Faithfulness], name: str) -> float | None:
    whole = share([getattr(one, name) for one in found])
    return whole[0] if whole else None


def _faithfulness(material: Material, settings: FaithfulnessSettings) -> Sequence[Measured]:
    referee = Referee.from_pretrained(settings.referee).to(material.device)
    gold = {item.id: item for item in material.reference}

    def read(item: Item) -> Reading:
        assert item.read is not None
        [reading] = referee.read([item.read()])
        material.on_item()
        return reading

    graphs = [item.gold_graph for item in material.items if item.gold_graph is not None]
    readings = [read(item) for item in material.items]
    return judged(readings, [read(gold[item.id]) for item in material.items], graphs, referee.accuracy)


def _direction(figure: str) -> Direction:
    return "lower" if figure == "extra" else "higher"


FAITHFULNESS = Metric(
    "faithfulness",
    "right actor, right action, right order, right time, as the Stage referee sees it",
    tuple(Figure(name, _direction(name), "micro") for name in FIGURES),
    frozenset({"videos", "gold graphs", "gold videos"}),
    _faithfulness,
    settings=FaithfulnessSettings,
    weights=(weights.REFEREE,),
)
