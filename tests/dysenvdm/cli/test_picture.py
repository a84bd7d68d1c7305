"""The picture of ``dysenvdm dsg show``: of 12 objects and 30 facts every word can be read."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from dysenvdm.cli.picture import draw
from dysenvdm.sheet import statement
from planners.dsg import SOURCES, DynamicSceneGraph, Fact, SceneObject

THINGS = ("girl", "boy", "old_woman", "dog_1", "dog_2", "box", "wooden_bench", "ball", "red_car", "apple_tree", "house")
THINGS = (*THINGS, "street_lamp")
ACTS = ("walk to", "jump over", "sit on", "chase", "throw", "push", "stand next to", "look at", "behind", "run around")
LOOKS = ("happy", "in a red coat", "wooden", "tall", "wet", "smiling", "barking loudly")


def crowded(seed: int) -> DynamicSceneGraph:
    """12 objects, 30 facts of all kinds, three segments."""
    draws = random.Random(seed)
    facts: dict[Any, Fact] = {}
    while len(facts) < 30:
        subject, target = draws.sample(THINGS, 2)
        start = draws.choice((0, 2, 4))
        end = draws.choice([tick for tick in (2, 4, 8) if tick > start])
        said = {"attribute": draws.choice(LOOKS)}
        if draws.random() < 2 / 3:
            said = {"predicate": draws.choice(ACTS), "object": target}
        fact = Fact(subject=subject, **said, start=start, end=end, source=draws.choice(SOURCES[:4]))
        facts.setdefault(fact.statement, fact)
    return DynamicSceneGraph(
        prompt="In the park a girl in a red coat walks to the box, then she jumps over it while a boy chases a dog.",
        ticks=8,
        objects=tuple(SceneObject(id=name, label=name.replace("_", " ")) for name in THINGS),
        facts=tuple(facts.values()),
    )


def drawn(figure: Figure) -> Iterator[tuple[str, Any]]:
    """Every text that is seen, with the pixels that it takes, its frame included."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    for axes in (axes for part in figure.subfigs for axes in part.axes):
        legend = axes.get_legend()
        ticks = [*axes.get_xticklabels(), *axes.get_yticklabels(), axes.xaxis.label] if axes.axison else []
        titles = [axes.title, axes._left_title]
        for text in (*axes.texts, *titles, *ticks, *(legend.get_texts() if legend else ())):
            if text.get_text():
                frame = text.get_bbox_patch()
                yield text.get_text(), (frame or text).get_window_extent(renderer)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_label_is_inside_and_none_covers_another(seed: int) -> None:
    dsg = crowded(seed)
    figure = draw(dsg)
    texts = list(drawn(figure))
    said = [text for text, _ in texts]
    assert all(statement(fact) in said for fact in dsg.facts)
    for segment in dsg.segments():
        assert f"ticks [{segment.start}, {segment.end})" in said
    nodes = [text.split("\n")[0] for text in said]
    assert all(nodes.count(thing.id) == len(dsg.segments()) for thing in dsg.objects)
    for text, box in texts:
        inside = box.x0 >= 0 and box.y0 >= 0 and box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1
        assert inside, f"{text!r} is cut off at the edge"
    covered = [
        (first, second)
        for (first, a), (second, b) in combinations(texts, 2)
        if min(a.x1, b.x1) - max(a.x0, b.x0) > 1 and min(a.y1, b.y1) - max(a.y0, b.y0) > 1  # of 100 to an inch
    ]
    assert covered == []
