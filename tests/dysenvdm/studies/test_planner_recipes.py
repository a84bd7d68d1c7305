"""``dysenvdm train`` with a planner's recipe, on a tiny random model."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch
import yaml
from peft import LoraConfig, get_peft_model

import recipes
from dysenvdm.cli.train import PLANNER_PHASES, train
from dysenvdm.studies.planner_recipes import FinetuneRecipe
from dysenvdm.training.recipe import read_recipe, validated
from planners.dsg import UserError
from planners.engines.transformers import TransformersEngine
from planners.finetune import start_from

SHIPPED = Path(recipes.__file__).parent / "planner" / "finetune.yaml"


def test_the_shipped_recipe_is_valid_and_its_adapter_small() -> None:
    recipe = validated(SHIPPED, read_recipe(SHIPPED, []), FinetuneRecipe)
    assert recipe.phase in PLANNER_PHASES
    assert recipe.run.name == recipe.name
    # SmolLM2-135M: 30 layers of width 576, keys and values of 192, feed-forward 1536; bfloat16
    layer = 2 * (576 + 576) + 2 * (576 + 192) + 3 * (576 + 1536)
    assert 2 * 30 * recipe.lora.rank * layer <= 8 * 2**20


def test_a_run_writes_log_curves_and_an_adapter_and_is_nobody_elses(micro_model: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    mine = [f"model={micro_model}", f"run={run}", "data.texts=6", "data.validation=1", "data.workers=1"]
    mine += [
        "train.steps=3",
        "train.minutes=null",
        "train.batch_tokens=2048",
        "lora.rank=2",
        "log.every=1",
        "device=cpu",
    ]
    train(SHIPPED, mine)
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if line["kind"] == "train"] == [1, 2, 3]
    assert {"loss", "exact_stage", "exact_sentences", "exact_written", "exact_split"} <= lines[-1].keys()
    assert (run / "curves.png").stat().st_size > 1000
    assert "| exact_split |" in (run / "adapter" / "README.md").read_text()
    TransformersEngine(micro_model, device="cpu", lora=run / "adapter")
    assert str(tmp_path) not in (run / "adapter" / "adapter_config.json").read_text()
    with pytest.raises(UserError, match="another 'lora'"):
        train(SHIPPED, [*mine, "lora.rank=3"])


def test_a_misspelt_key_is_one_line_with_the_nearest_one(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump({**yaml.safe_load(SHIPPED.read_text()), "lora": {"rnk": 3}}))
    with pytest.raises(UserError, match=r"lora\.rnk.*did you mean rank") as caught:
        train(recipe, [])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["finetune", "finetune-cpu", "reinforce"])
def test_a_dry_run_says_what_would_be_trained_and_writes_nothing(
    name: str, micro_model: Path, store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    overrides = [f"run={tmp_path / 'run'}"]
    if name != "reinforce":
        overrides += [f"model={micro_model}", "lora.rank=2", "train.steps=3", "train.batch_tokens=100"]
    train(f"planner/{name}", overrides, dry_run=True)
    said = capsys.readouterr().out
    assert f"run: {tmp_path / 'run'}" in said
    assert list(tmp_path.iterdir()) == []
    if name == "reinforce":  # two linear layers' worth of a text encoder of width 32 would be one step's
        assert "trained: 4,224 in 2 tensors, a map for each of split" in said
        assert "200 updates of 32 prompts (10 an epoch, 20 epochs)" in said
        assert "at most 51,200 plans" in said
    else:
        # Two layers of width 32: queries, outputs and three of the feed-forward are 32 x 32, keys and values 32 x 16.
        assert f"trained: {2 * 2 * (5 * 64 + 2 * 48):,} in 28 tensors, rank 2" in said
        assert "memory: 0.00 GiB of weights" in said
        assert "3 steps of at most 100 tokens" in said
        assert "at most 300 tokens" in said


@pytest.mark.parametrize("name", ["finetune", "finetune-cpu", "reinforce"])
def test_a_dry_run_without_the_models_says_the_rest(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DYSENVDM_HOME", str(tmp_path / "store"))
    train(f"planner/{name}", [], dry_run=True)
    said = capsys.readouterr().out
    assert "which is missing and alone says how many there are" in said
    assert re.search(
        r"^- the .*is not in the store .* dysenvdm models import .* \[parameters are not counted\]$", said, re.M
    )
    assert "# Work" in said
    assert list(tmp_path.iterdir()) == []


def test_the_adapter_that_ships_is_found_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``lora.start: shipped`` is no path: what is wrong with it here is its shape alone."""
    monkeypatch.chdir(tmp_path)
    recipe = validated("cpu", read_recipe("planner/finetune-cpu", []), FinetuneRecipe)
    assert recipe.lora.start == Path("shipped")
    layer = torch.nn.Linear(2, 2)
    model = get_peft_model(torch.nn.Sequential(layer), LoraConfig(r=1, target_modules=["0"]))
    with pytest.raises(UserError, match="smollm2-planner-lora is of another shape"):
        start_from(model, recipe.lora.start)
