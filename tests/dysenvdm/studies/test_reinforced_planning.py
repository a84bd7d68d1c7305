"""Training the policy by a recipe: what it learns from, what it leaves behind, resuming, and mistakes in the recipe."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import recipes
from benchmarks.icl import Found, gains_table, interval, measure
from dysenvdm.cli.main import main
from dysenvdm.stage import VAL_SEED0, sample
from dysenvdm.studies import reinforced_planning
from dysenvdm.studies.reinforced_planning import (
    TEST_SEEDS,
    DataSection,
    ReinforceRecipe,
    held_out_captions,
    training_captions,
)
from dysenvdm.training.logs import read_log
from dysenvdm.training.recipe import read_recipe, validated
from planners import plugins
from planners.demonstrations import demonstrations
from planners.dsg import UserError
from planners.dysen import DysenPlanner
from planners.engines import Capabilities, Reply, Request
from planners.language import words_of
from planners.questions import instructions
from planners.rules import RulesPlanner
from planners.selection import StructureSelector, load_policy

RECIPE = Path(recipes.__file__).parent / "planner" / "reinforce.yaml"
SMALL = (
    "data={first: 5, prompts: 3, held_out_first: 7000, held_out_prompts: 2}",
    "train={steps: [split], width: 4, epochs: 2, batch_size: 2, samples: 2, validate_every: 3}",
)


class Lazy:
    """Takes the prompt for one action and of every list the first answer."""

    name = "lazy"
    capabilities = Capabilities(constrained=True, batched=True, seeded=True, local=True)

    def generate(self, requests: Sequence[Request]) -> list[Reply]:
        return [
            Reply(text=json.dumps(self._said(r)), finish_reason="stop", prompt_tokens=1, completion_tokens=1, seconds=0)
            for r in requests
        ]

    def _said(self, request: Request) -> Any:
        if request.messages[0].content == instructions("split"):
            return " ".join(words_of(request.messages[-1].content))
        return request.json_schema["enum"][0]


class Lengths:
    """An embedder without a model."""

    def embed(self, texts: Sequence[str]) -> Any:
        angles = np.array([len(text) / 10 for text in texts])
        return np.stack((np.sin(angles), np.cos(angles)), axis=1).astype(np.float32)


@pytest.fixture
def lazy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The planner "lazy" and, for comparison, "rules"."""

    def factory(imagine: bool = True) -> DysenPlanner:
        return DysenPlanner(Lazy(), imagine=imagine)

    infos = {
        name: plugins.PlannerInfo(name, "help", "nothing", "test", made)
        for name, made in {"lazy": factory, "rules": lambda imagine: RulesPlanner()}.items()  # type: ignore[dict-item]
    }
    monkeypatch.setattr(plugins, "registry", lambda: plugins.Registry(infos, {}))


def train(folder: Path, *overrides: str) -> Path:
    return reinforced_planning.run(
        RECIPE, ["planner=lazy", "options={}", f"run={folder}", *SMALL, *overrides], Lengths()
    )


def test_the_shipped_recipe_is_valid() -> None:
    recipe = validated(RECIPE, read_recipe(RECIPE, []), ReinforceRecipe)
    assert recipe.run.name == recipe.name


def test_a_run_leaves_policy_log_curves_recipe_and_replies(lazy: None, tmp_path: Path) -> None:
    policy = train(tmp_path / "run")
    assert policy == tmp_path / "run" / "policy"
    assert load_policy(policy)["split"].shape == (4, 3)
    lines = read_log(tmp_path / "run")
    kinds = [(line["kind"], line["step"]) for line in lines]
    assert kinds == [("validation", 0), *[("train", i) for i in (1, 2, 3)], ("validation", 3), *kinds[5:]]
    assert kinds[5:] == [("train", 4), ("validation", 4)]
    assert all(0 <= line["reward"] <= 1 for line in lines)
    assert max(line["asked"] for line in lines) > 0
    assert (tmp_path / "run" / "curves.png").read_bytes().startswith(b"\x89PNG")
    card = (policy / "README.md").read_text()
    assert "| language model | lazy |" in card
    assert "REINFORCE, 4 updates, 12 plans |" in card
    assert yaml.safe_load((tmp_path / "run" / "recipe.yaml").read_text())["train"]["width"] == 4


def test_another_run_with_the_same_replies_asks_nothing(lazy: None, tmp_path: Path) -> None:
    shared = f"replies={tmp_path / 'replies.sqlite'}"
    first = train(tmp_path / "a", shared)
    again = train(tmp_path / "b", shared)
    assert {line["asked"] for line in read_log(tmp_path / "b")} == {0}
    assert load_policy(again)["split"].tolist() == load_policy(first)["split"].tolist()


def test_a_finished_run_is_prolonged_and_another_recipes_is_refused(lazy: None, tmp_path: Path) -> None:
    train(tmp_path / "run")
    train(tmp_path / "run", "train.epochs=3")
    assert [line["step"] for line in read_log(tmp_path / "run") if line["kind"] == "train"] == [1, 2, 3, 4, 5, 6]
    with pytest.raises(UserError, match="that run has another 'data'; choose another folder"):
        train(tmp_path / "run", "data.prompts=4")


def test_captions_are_kept_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = training_captions(DataSection(first=0, prompts=20, events=2))
    shown = {plan.prompt for plan in drawn[::2]}
    pool = [demonstrations()[0].model_copy(update={"prompt": prompt}) for prompt in shown]
    monkeypatch.setattr("dysenvdm.studies.reinforced_planning.demonstrations", lambda: pool)
    gold = training_captions(DataSection(first=0, prompts=20, events=2))
    assert len(gold) == 20
    assert all(len(plan.events) >= 2 and plan.prompt not in shown for plan in gold)
    assert [plan.prompt for plan in held_out_captions(7000, 2, 8)] == [
        sample(VAL_SEED0 + seed).caption for seed in (7000, 7001)
    ]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("train.epoch=3", r"train\.epoch.*did you mean epochs\?"),
        ("colour=3", r"colour.*known: name, phase"),
        ("train.steps=[spilt]", "spilt: steps that choose examples are split, act, name, refer, order"),
        (
            "data.held_out_first=5990",
            f"held_out_first: figures are reported on {TEST_SEEDS.start}-{TEST_SEEDS.stop - 1}",
        ),
        ("planner=nobody", "no such planner"),
        ("planner=rules", "'rules' shows no examples"),
        ("options={depth: 3}", "takes no option 'depth'"),
    ],
)
def test_a_mistake_in_the_recipe_is_one_line(
    lazy: None, tmp_path: Path, capfd: pytest.CaptureFixture[str], override: str, message: str
) -> None:
    overrides = ["planner=lazy", "options={}", f"run={tmp_path / 'run'}", override]
    with pytest.raises(UserError, match=message) as caught:
        reinforced_planning.run(RECIPE, overrides, Lengths())
    assert "\n" not in str(caught.value)
    with pytest.raises(SystemExit) as end:
        main(["train", str(RECIPE), *(word for text in overrides for word in ("--set", text))])
    assert end.value.code == 2
    assert not (tmp_path / "run").exists()


# -- the benchmark ---------------------------------------------------------------------------------------------------


def test_the_benchmark_measures_plans_and_pairs_its_gains(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.icl.selector", lambda _name: StructureSelector())
    gold = held_out_captions(7000, 12, 8)
    figures = measure(Lazy(), "structure", gold, 0)
    assert figures.shape == (12, 3)
    assert ((figures >= 0) & (figures <= 1)).all()
    assert 0 < figures[:, 0].mean() < 1
    better, worse = Found("policy", np.array([figures + 0.5, figures + 0.7])), Found("fixed", figures[None])
    row = [next(iter(column.cells)) for column in gains_table(better, [worse]).columns]
    assert row == ["fixed", "12", *["+0.600 (+0.600 to +0.600)"] * 3, "2 of 2"]
    low, high = interval(np.arange(100) / 100)
    assert 0.42 < low < 0.46 < 0.53 < high < 0.57
