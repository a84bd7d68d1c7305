"""Stage captions as demonstrations: any caption can be one, and the shipped file is what the study writes."""

from __future__ import annotations

import pytest

from dysenvdm.stage import sample
from dysenvdm.studies.stage_demonstrations import TARGET, as_json, chosen, demonstration
from planners.dysen import demonstrated
from planners.scores import score


@pytest.mark.parametrize("seed", range(1000, 1040))
def test_marks_of_a_caption_are_its_gold_plan_however_it_is_told(seed: int) -> None:
    clip = sample(seed)
    for caption in (clip.caption, *clip.captions):
        found = demonstration(clip, caption)
        assert found is not None, caption
        assert score(demonstrated(found, clip.plan.ticks), clip.plan).right


def test_the_shipped_ones_are_what_the_study_writes() -> None:
    written = TARGET.read_text(encoding="utf-8").splitlines()
    again = as_json(chosen(10)).splitlines()
    assert [line.rstrip(",") for line in again[1:-1]] == [line.rstrip(",") for line in written[1:11]]
