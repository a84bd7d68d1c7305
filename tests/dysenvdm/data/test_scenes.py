"""The scene graph of a part of a clip says of each of its ticks what the whole one says."""

import numpy as np
import pytest

from dysenvdm.data.scenes import during
from dysenvdm.stage import sample
from planners.dsg import DynamicSceneGraph


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("start", "end"), [(0.0, 0.5), (0.25, 0.75), (0.5, 1.0), (0.125, 0.25)])
def test_each_tick_of_a_part_is_the_wholes(seed: int, start: float, end: float) -> None:
    whole = sample(seed, frames=16, size=32, ticks=8).dsg
    part = during(whole, start, end)
    first = round(start * 8)
    assert part.ticks == round((end - start) * 8)
    for tick in range(part.ticks):
        ours, theirs = part.at(tick), whole.at(first + tick)
        assert {thing.id for thing in ours.objects} == {thing.id for thing in theirs.objects}
        assert {fact.statement for fact in ours.facts} == {fact.statement for fact in theirs.facts}


def test_all_ticks_that_a_part_touches_are_in_it() -> None:
    whole = DynamicSceneGraph(ticks=10)
    assert during(whole, 0.0, 1.0) is whole
    assert during(whole, 0.19, 0.31).ticks == 3
    for start in np.linspace(0, 1, 21):
        assert during(whole, start, min(1.0, start + 0.01)).ticks in (1, 2)
