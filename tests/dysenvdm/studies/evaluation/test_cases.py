"""Which Stage clips an evaluation asks: those of its split in their order, what the model cannot read counted."""

from __future__ import annotations

from pathlib import Path

import pytest

from dysenvdm.pipeline import DysenVDMPipeline
from dysenvdm.stage import sample
from dysenvdm.studies.evaluation.cases import read_benchmark, reader
from dysenvdm.studies.evaluation.recipe import load_recipe
from planners.dsg import UserError


@pytest.mark.parametrize("split", ["test", "val", "new-pairs", "more-events", "more-actors"])
def test_each_split_can_be_asked(split: str) -> None:
    found = read_benchmark(load_recipe("stage", [f"split={split}", "first=2"], 3), lambda _: True)
    clips = [sample(i, split=split, ticks=8) for i in (2, 3, 4)]
    assert [case.prompt for case in found.cases] == [clip.caption for clip in clips]
    assert [case.gold_plan for case in found.cases] == [clip.plan for clip in clips]
    assert found.rejected == ""


def test_what_the_model_cannot_read_gives_way_and_is_counted() -> None:
    captions = [sample(i, split="test", ticks=8).caption for i in range(40)]
    short = [caption for caption in captions if len(caption) < 60]
    found = read_benchmark(load_recipe("stage", [], 5), lambda prompt: len(prompt) < 60)
    assert [case.prompt for case in found.cases] == short[:5]
    assert found.rejected == f"{captions.index(short[4]) - 4} with captions longer than the model reads"
    assert [item.id for item in found.reference] == [case.id for case in found.cases]
    with pytest.raises(UserError, match="reads none of 200 captions"):
        read_benchmark(load_recipe("stage", [], 5), lambda _: False)


def test_a_model_says_what_it_reads(pipeline: DysenVDMPipeline, backbone_model: Path, tmp_path: Path) -> None:
    pipeline.save_pretrained(tmp_path / "model")
    readable = reader(str(tmp_path / "model"))
    assert readable("a girl jumps")
    assert not readable("a girl jumps " * 40)
    assert reader(str(backbone_model))("a girl jumps " * 40), "CLIP cuts, with a warning"
