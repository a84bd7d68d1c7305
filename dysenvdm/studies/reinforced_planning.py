"""Training the policy of reinforced in-context learning on captions of the Stage world, whose gold plans are exact.

Rewards compare stages I and II with the gold plan (:func:`planners.scores.reward`); the captions are those of training
seeds, without the ones that are demonstrations themselves. The policy that is best on captions of held-out seeds is
kept, so those are not to be reported on: ``python -m benchmarks.icl`` measures on others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from itertools import count, islice
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, model_validator
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from dysenvdm.data.section import Section
from dysenvdm.stage import VAL_SEED0, sample
from dysenvdm.training.logs import RunLog, draw_curves, read_log
from dysenvdm.training.recipe import check_run_folder, read_recipe, validated, write_recipe
from planners.contracts import PlanResult
from planners.demonstrations import demonstrations
from planners.dsg import ActionPlan, UserError
from planners.dysen import DysenPlanner
from planners.engines.embedding import TEXT_MODEL, Embedder, TextEmbedder
from planners.plugins import get_planner
from planners.reinforce import POLICY, Reinforcement, Settings
from planners.reply_cache import CachedEngine
from planners.scores import reward

TEST_SEEDS = range(6000, 6600)
"""Held-out seeds, counted from the first one, that figures are reported on: nothing is chosen by them."""

console = Console(stderr=True)


class DataSection(Section):
    """Captions: ``prompts`` of training seeds from ``first`` on, those with at least ``events`` events, and
    ``held_out_prompts`` of held-out seeds, counted from the first of those. Plans have ``ticks`` ticks."""

    first: int = Field(100000, ge=0, lt=VAL_SEED0)
    prompts: int = Field(ge=1)
    events: int = Field(1, ge=1, le=3)
    held_out_first: int = Field(7000, ge=0)
    held_out_prompts: int = Field(64, ge=1)
    ticks: int = Field(8, ge=4)

    @model_validator(mode="after")
    def _check(self) -> DataSection:
        if self.held_out_first < TEST_SEEDS.stop and self.held_out_first + self.held_out_prompts > TEST_SEEDS.start:
            raise ValueError(f"held_out_first: figures are reported on {TEST_SEEDS.start}-{TEST_SEEDS.stop - 1}")
        return self


class ReinforceRecipe(Section):
    """One training run. ``planner`` is one of Dysen's with ``options``; ``replies`` is the cache of the engine's
    replies, in the run's folder unless another file, which runs may share, is named."""

    name: str = Field(pattern=r"^[A-Za-z0-9._-]+$")
    phase: Literal["reinforce"]
    run: Path
    seed: int = Field(0, ge=0)
    planner: str = "smollm2"
    options: dict[str, Any] = Field(default_factory=dict)
    replies: Path | None = None
    data: DataSection
    train: Settings = Settings()


def training_captions(data: DataSection) -> list[ActionPlan]:
    """Gold plans of training captions; a plan's ``prompt`` is the caption."""
    shown = {example.prompt for example in demonstrations()}

    def plans() -> Iterator[ActionPlan]:
        for seed in count(data.first):
            plan = sample(seed, ticks=data.ticks).plan
            if len(plan.events) >= data.events and plan.prompt not in shown:
                yield plan

    return list(islice(plans(), data.prompts))


def held_out_captions(first: int, prompts: int, ticks: int) -> list[ActionPlan]:
    """Gold plans of held-out captions, counted from the first held-out seed."""
    return [sample(VAL_SEED0 + first + i, ticks=ticks).plan for i in range(prompts)]


def run(recipe_path: Path, overrides: list[str], embedder: Embedder | None = None) -> Path:
    """Train by a recipe, resuming where its run folder has a checkpoint; returns the policy's folder.

    Raises :class:`UserError` for a recipe that breaks a rule, a run folder that belongs to another recipe, and a
    planner that shows no examples.
    """
    recipe = validated(recipe_path, read_recipe(recipe_path, overrides), ReinforceRecipe)
    check_run_folder(recipe, recipe.run, ("name", "phase", "seed", "planner", "options", "data"))
    planner = get_planner(recipe.planner, **{"imagine": False, **recipe.options})
    if not isinstance(planner, DysenPlanner) or not planner.pool:
        raise UserError(f"{recipe_path}: planner: {recipe.planner!r} shows no examples; name one that does")
    write_recipe(recipe, recipe.run)
    cache = CachedEngine(planner.engine, recipe.replies or recipe.run / "replies.sqlite")
    planner.engine = cache
    gold = training_captions(recipe.data)
    held_out = held_out_captions(recipe.data.held_out_first, recipe.data.held_out_prompts, recipe.data.ticks)
    with closing(RunLog(recipe.run, writes=True, board=False)) as log:

        def write(update: int, kind: str, values: dict[str, float]) -> None:
            log.scalars(update, kind, {**values, "asked": cache.asked})

        training = Reinforcement(
            planner, embedder or TextEmbedder(), recipe.train, prompts=_prompts(gold), reward=_against(gold),
            held_out=_prompts(held_out), held_out_reward=_against(held_out), ticks=recipe.data.ticks,
            seed=recipe.seed, run=recipe.run, log=write,
        )  # fmt: skip
        if training.resume():
            console.print(f"resuming {recipe.name} at update {training.update}")
        with _progress() as bars:
            bar = bars.add_task(recipe.name, total=training.updates, completed=training.update, reward=float("nan"))
            training.train(lambda done, reward: bars.update(bar, completed=done, reward=reward))
    draw_curves(recipe.run)
    (recipe.run / POLICY / "README.md").write_text(_card(recipe, planner.engine.name), encoding="utf-8")
    console.print(f"best policy (held-out reward {training.best:.3f}): {recipe.run / POLICY}")
    return recipe.run / POLICY


def _card(recipe: ReinforceRecipe, engine: str) -> str:
    """What the policy is, how it was trained, and how it fared on the captions that it was chosen by."""
    data, train = recipe.data, recipe.train
    lines = read_log(recipe.run)
    rewards = {line["step"]: line["reward"] for line in lines if line["kind"] == "validation"}
    best = max(rewards, key=lambda update: (rewards[update], -update))
    plans = sum(line["plans"] for line in lines if line["kind"] == "train")
    return f"""# Demonstration policy {recipe.name}
Chooses which examples a language model is shown in {", ".join(train.steps)}: `--planner-option policy=FOLDER`.

| | |
|---|---|
| language model | {engine} |
| text features | {TEXT_MODEL}, frozen; one linear map to {train.width} per step, half precision |
| trained by | `dysenvdm train`, the recipe below: REINFORCE, {max(rewards)} updates, \
{plans:.0f} plans |
| captions | {data.prompts} of Stage training seeds from {data.first} on, with at least {data.events} events |
| chosen by | {data.held_out_prompts} captions of held-out seeds from {data.held_out_first} on: mean reward \
{rewards[0]:.3f} before training, {rewards[best]:.3f} at update {best}, the one that is here |

```yaml
{yaml.safe_dump(recipe.model_dump(mode="json", exclude={"run", "replies"}), sort_keys=False)}```
"""


def _prompts(gold: Sequence[ActionPlan]) -> list[str]:
    return [plan.prompt for plan in gold]


def _against(gold: Sequence[ActionPlan]) -> Callable[[int, PlanResult], float]:
    return lambda number, result: reward(result.plan, gold[number])


def _progress() -> Progress:
    columns = (
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:.1f}/{task.total} updates"),
        TextColumn("reward {task.fields[reward]:.3f}"), TimeElapsedColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    return Progress(*columns, console=console)
