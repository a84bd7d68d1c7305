"""Recipes: every shipped one is valid, overrides work, and a mistake is one line that names the key."""

from pathlib import Path

import pytest
import yaml

import recipes
from dysenvdm.training.loop import learning_rate_factor
from dysenvdm.training.recipe import Recipe, load_recipe
from dysenvdm.training.sections import TrainSection
from planners.dsg import UserError

SHIPPED = sorted((Path(recipes.__file__).parent / "stage").glob("*.yaml"))


def test_recipes_ship() -> None:
    assert {path.stem for path in SHIPPED} >= {"autoencoder-nano", "denoiser-nano", "autoencoder-tiny", "denoiser-tiny"}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_recipes_are_valid_and_have_runs_of_their_own(path: Path) -> None:
    recipe = load_recipe(path, [])
    assert recipe.run.name == recipe.name


def test_overrides_are_yaml_and_reach_every_depth() -> None:
    recipe = load_recipe(SHIPPED[0], ["train.lr=1e-4", "seed=7", "deepspeed.zero_optimization.stage=2"])
    assert recipe.train.lr == 1e-4
    assert recipe.seed == 7
    assert recipe.deepspeed["zero_optimization"]["stage"] == 2


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("train.stepps=3", r"train\.stepps.*did you mean steps\?"),
        ("colour=3", r"colour.*known: name, phase"),
        ("train.lr=-1", r"train\.lr"),
        ("train.lr", "write it as key=value"),
        ("name.x=1", "name is not a section"),
        ("train.lr=[", "not valid YAML"),
        ("deepspeed=/dev/zero", r"deepspeed: /dev/zero cannot be read \(no plain file\)"),
        ("deepspeed.gradient_clipping=1.0", "deepspeed.gradient_clipping.*train section"),
        ("deepspeed.torch_autocast={enabled: true}", r"deepspeed\.torch_autocast: .*train\.precision"),
        ("deepspeed.zero_optimisation={stage: 2}", r"deepspeed\.zero_optimisation: .*did you mean zero_optimization"),
        ("deepspeed.wheels=4", r"deepspeed\.wheels: no setting of DeepSpeed .*known: zero_optimization, "),
        ("deepspeed.zero_optimization={stage: 2, overlap_com: true}", r"overlap_com: no setting .*mean overlap_comm\?"),
        ("deepspeed.zero_optimization={stage: two}", r"stage: 'two' is no stage of ZeRO; use 0, 1, 2 or 3"),
        ("deepspeed.zero_optimization={stage: null}", r"stage: None is no stage of ZeRO"),
        ("deepspeed.zero_optimization={stage: 7}", r"stage: 7 is no stage of ZeRO"),
        ("deepspeed.zero_optimization={stage: 1, offload_optimizer: cpu}", r"offload_optimizer: 'cpu' is no mapping"),
        ("deepspeed.zero_optimization={stage: 3, offload_param: {device: disk}}", r"device: 'disk' is none; use cpu"),
        ("deepspeed.zero_optimization={stage: 3, offload_param: {device: nvme}}", r"offload_param\.nvme_path: say in"),
        ("deepspeed.prescale_gradients=true", r"deepspeed\.prescale_gradients: no setting of DeepSpeed that a recipe"),
        ("deepspeed.gradient_predivide_factor=2.0", r"deepspeed\.gradient_predivide_factor: no setting of DeepSpeed"),
        *(
            (f"deepspeed.zero_optimization={{reduce_bucket_size: {size}}}", r"reduce_bucket_size: .* is no number of p")
            for size in ("2e8", "0", "-5", "1.5", "true", "null", ".nan", "[1]")
        ),
        ("deepspeed.communication_data_type=fp8", r"communication_data_type: 'fp8' is none; use fp32"),
        ("deepspeed.flops_profiler=true", r"deepspeed\.flops_profiler: True is no mapping"),
        ("train.betas=[1.5, 0.99]", r"train\.betas.*less than 1"),
        ("train.timeout=.inf", r"train\.timeout: .*finite"),
        ("train.lr=.nan", r"train\.lr: .*finite"),
        ("seed=99999999999999999999", r"seed: .*less than"),
        ("data.size=50", r"data\.size: .*multiple of 8"),
        ("deepspeed.zero_optimization=2", r"deepspeed\.zero_optimization: 2 is no mapping"),
        ("deepspeed.zero_optimization={stage: 2, offload_param: {device: cpu}}", r"offload_param: does nothing at sta"),
        (
            "deepspeed.zero_optimization={stage: 0, offload_optimizer: {device: cpu}}",
            r"offload_optimizer: does nothing",
        ),
    ],
)
def test_a_bad_override_is_one_line(override: str, message: str) -> None:
    path = next(path for path in SHIPPED if path.stem == "autoencoder-nano")
    with pytest.raises(UserError, match=message) as caught:
        load_recipe(path, [override])
    assert "\n" not in str(caught.value)


def test_a_cache_needs_a_bounded_corpus() -> None:
    path = next(path for path in SHIPPED if path.stem == "denoiser-nano")
    with pytest.raises(UserError, match=r"data\.clips"):
        load_recipe(path, ["data.clips=0"])
    with pytest.raises(UserError, match=r"model\.vae"):
        load_recipe(path, ["model.vae=null"])


@pytest.mark.parametrize(
    ("content", "message"), [("a: [", "not valid YAML"), ("- a", "a recipe is a YAML mapping"), ("\xff", "recipe")]
)
def test_unreadable_recipes(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(content, encoding="latin-1")
    with pytest.raises(UserError, match=message):
        load_recipe(path, [])
    with pytest.raises(UserError, match="cannot be read"):
        load_recipe(tmp_path / "absent.yaml", [])


def test_learning_rate_rises_stays_and_falls_to_zero() -> None:
    train = TrainSection(steps=100, batch_size=1, lr=1.0, warmup=10, cooldown=0.2)
    factors = [learning_rate_factor(step, train) for step in range(101)]
    assert factors == sorted(factors[:50]) + sorted(factors[50:], reverse=True)
    assert factors[0] < 0.1
    assert factors[50] == 1
    assert factors[100] == 0


def test_the_resolved_recipe_reads_back() -> None:
    recipe = load_recipe(SHIPPED[0], [])
    assert Recipe.model_validate(yaml.safe_load(yaml.safe_dump(recipe.model_dump(mode="json")))) == recipe
