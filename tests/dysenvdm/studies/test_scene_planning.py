"""Planners as training sees them."""

from pathlib import Path

import pytest

from dysenvdm.data.section import ScenesSection
from dysenvdm.studies import scene_planning
from dysenvdm.studies.scene_planning import CorpusPlanner
from planners.contracts import PlanResult
from planners.dsg import DynamicSceneGraph, UserError


def planner(name: str = "smollm2", **options: object) -> CorpusPlanner:
    return CorpusPlanner(ScenesSection.model_validate({"from": "planned", "planner": name, "options": options}))


def test_plans_come_in_order_with_what_went_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    class Terse:
        def plan(self, prompts, *, ticks, seed):
            asked.append((tuple(prompts), ticks, seed))
            return [
                PlanResult(
                    prompt=prompt,
                    plan=None,
                    stages={"converted": DynamicSceneGraph(prompt=prompt, ticks=ticks)} if prompt == "a dog" else {},
                    transcript=[],
                    degraded=None if prompt == "a dog" else "nothing found",
                )
                for prompt in prompts
            ]

    built = []
    monkeypatch.setattr(scene_planning, "get_planner", lambda name, **options: built.append(options) or Terse())
    ours = planner(imagine=False)
    assert not built, "it is loaded only when it is asked"
    first, second = ours.plan(["a dog", "…"], ticks=4, seed=3)
    ours.plan(["a dog"], ticks=4, seed=3)
    assert built == [{"imagine": False}]
    assert asked[0] == (("a dog", "…"), 4, 3)
    assert (first.dsg, first.degraded) == (DynamicSceneGraph(prompt="a dog", ticks=4), None)
    assert (second.dsg, second.degraded) == (None, "nothing found")
    assert first.transcript_sha256


def test_identity_follows_name_options_and_what_is_in_the_folders_they_name(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    weights = tmp_path / "model" / "model.safetensors"
    weights.write_bytes(b"1")
    one = planner(model=str(tmp_path / "model")).identity
    assert one == planner(model=str(tmp_path / "model")).identity
    (tmp_path / "model").rename(tmp_path / "moved")
    assert one == planner(model=str(tmp_path / "moved")).identity
    (tmp_path / "moved" / "model.safetensors").write_bytes(b"2")
    others = [planner(model=str(tmp_path / "moved")), planner(), planner(imagine=False), planner("rules")]
    assert len({str(other.identity) for other in others} | {str(one)}) == 5


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("oracle", {}, r"data\.scenes\.planner: no planner 'oracle'; there are: .*rules"),
        ("rules", {"window": True}, r"data\.scenes\.options: planner 'rules': takes no option 'window'"),
        ("smollm2", {"window": "often"}, r"data\.scenes\.options: .*window"),
    ],
)
def test_what_no_planner_takes_is_refused(name: str, options: dict, words: str) -> None:
    with pytest.raises(UserError, match=words):
        planner(name, **options)
