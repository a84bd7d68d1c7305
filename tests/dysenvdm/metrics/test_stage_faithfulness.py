"""Faithfulness of gold readings is its own ceiling; held against other scene graphs it is the floor."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dysenvdm.metrics import Item, Material, markdown, measure
from dysenvdm.metrics.stage_faithfulness import judged
from dysenvdm.stage import sample
from dysenvdm.stage.reading import gold_reading
from planners.dsg import UserError

CLIPS = [sample(i, split="val") for i in range(12)]


def test_a_perfect_eye_reaches_the_ceiling_and_chance_stays_far_below() -> None:
    readings = [gold_reading(clip) for clip in CLIPS]
    found = {one.figure: one for one in judged(readings, readings, [clip.dsg for clip in CLIPS])}
    for one in found.values():
        right, n = (sum(column) for column in zip(*one.pairs, strict=True))
        assert right / n == pytest.approx(one.ceiling)
    for figure in ("actors", "recall", "right_actor"):
        assert found[figure].ceiling == pytest.approx(1)
    recall = found["recall"]
    assert recall.floor is not None
    assert recall.floor < 0.5


def stage_items() -> list[Item]:
    return [
        Item(f"{clip.seed}", clip.render, 8.0, (16, 64, 64), clip.caption, gold_graph=clip.dsg) for clip in CLIPS[:3]
    ]


def test_the_metric_reads_videos_and_gold_videos_and_every_table_shows_both_bounds(referee: Path) -> None:
    mine = stage_items()
    found = measure("faithfulness", Material(mine, list(reversed(mine))), {"referee": str(referee)})
    for result in found:
        assert result.value == pytest.approx(result.ceiling) if result.value is not None else result.ceiling is None
    table = markdown(found).splitlines()
    assert "| floor | ceiling |" in table[0]
    assert table[-1] == "How often this referee is right was never measured."
    recall = next(result for result in found if result.figure == "recall")
    assert f"| {recall.floor:.3f} | {recall.ceiling:.3f} |" in next(line for line in table if "recall" in line)


def test_what_is_missing_is_named(referee: Path) -> None:
    mine, settings = stage_items(), {"referee": str(referee)}
    with pytest.raises(UserError, match=rf"{mine[2].id}: has no gold video of that name"):
        measure("faithfulness", Material(mine, mine[:2]), settings)
    without = [*mine[:2], replace(mine[2], gold_graph=None)]
    with pytest.raises(UserError, match=rf"{mine[2].id}: its prompt has no gold scene graph"):
        measure("faithfulness", Material(without, mine), settings)
