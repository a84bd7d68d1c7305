"""Groups of items share out what all items gave, and stand between bounds of their own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dysenvdm.metrics import Item, Material, measure
from dysenvdm.metrics.bootstrap import share
from dysenvdm.metrics.groups import TITLES, in_groups, markdown
from dysenvdm.stage import sample

CLIPS = [sample(i, split="test") for i in range(8)]


def items() -> list[Item]:
    return [
        Item(str(i), clip.render, 8.0, (16, 64, 64), clip.caption, gold_graph=clip.dsg) for i, clip in enumerate(CLIPS)
    ]


def test_each_group_is_its_clips_alone(referee: Path) -> None:
    mine = items()
    results = measure("faithfulness", Material(mine, mine), {"referee": str(referee)})
    found = in_groups(results, mine)
    assert found.keys() == TITLES.keys()
    wanted = {
        "events": [str(len(clip.plan.events)) for clip in CLIPS],
        "actors": [str(len(clip.script.roles)) for clip in CLIPS],
        "words": [f"{len(clip.caption.split()) // 10 * 10}-" for clip in CLIPS],
    }
    for key, names in wanted.items():
        assert len(found[key]) == len(set(names)) > 1
        assert sum(group["n"] for group in found[key]) == len(CLIPS)
        starts = [int(group["group"].partition("-")[0]) for group in found[key]]
        assert starts == sorted(starts)
        for group in found[key]:
            inside = [i for i, name in enumerate(names) if group["group"].startswith(name)]
            assert group["n"] == len(inside)
            for result in results:
                figure = group["figures"][result.name]
                told = share([result.pairs[str(i)] for i in inside])
                assert figure["value"] == (told and told[0])
                assert figure["ceiling"] == (None if told is None else pytest.approx(told[0])), (
                    "both saw the same videos"
                )
        for result in results:
            judged = sum(group["figures"][result.name]["judged"] for group in found[key])
            assert judged == sum(n for _, n in result.pairs.values())
    lines = markdown(found, results).splitlines()
    assert sum(line.startswith("| faithfulness.recall ↑ |") for line in lines) == 3
    assert any(f"| {group['group']} (n {group['n']})" in line for group in found["events"] for line in lines)


def test_what_is_held_against_no_gold_has_no_groups() -> None:
    mine = items()
    assert in_groups(measure("motion", Material(mine)), mine) == {}


def test_items_without_a_gold_graph_are_not_left_out_in_silence(referee: Path) -> None:
    mine = items()
    results = measure("faithfulness", Material(mine, mine), {"referee": str(referee)})
    assert in_groups(results, [*mine[:-1], replace(mine[-1], prompt=None)]) == {}
