"""Recipes that train a planner instead of a video model: what ``phase`` names, and the run of one.

A run's folder gets ``recipe.yaml``, ``log.jsonl``, ``curves.png``, ``checkpoint.pt`` while it lasts, and ``adapter/``.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field
from rich.console import Console

from dysenvdm.stage import STAGE_VERSION
from dysenvdm.training.logs import draw_curves
from dysenvdm.training.recipe import check_run_folder, read_recipe, validated, write_recipe
from planners.finetune import LoraSettings, TuneLog, Tuner, TuneSettings, encode, tune
from planners.gold_answers import Answered

if TYPE_CHECKING:
    from rich.progress import Progress

console = Console(stderr=True)


class CorpusSection(BaseModel):
    """``texts`` of :mod:`dysenvdm.studies.planner_corpus`, made by ``workers`` processes; or its ``file``.

    ``stage``: the share of Stage captions among the texts, where it shall be another than the corpus's own.
    ``validation``: how many captions and how many sentences validation has.
    """

    model_config = ConfigDict(extra="forbid")

    texts: int = Field(20_000, ge=1)
    file: Path | None = None
    workers: int = Field(1, ge=1)
    stage: float | None = Field(None, ge=0, le=0.96)
    validation: int = Field(100, ge=1)


class FinetuneRecipe(BaseModel):
    """LoRA tuning of a planner's model. ``model`` is a transformers folder, by default the imported SmolLM2."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(pattern=r"^[A-Za-z0-9._-]+$")
    phase: Literal["finetune"]
    run: Path
    seed: int = Field(0, ge=0)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    model: Path | None = None
    data: CorpusSection = CorpusSection()
    lora: LoraSettings = LoraSettings()
    train: TuneSettings
    log: TuneLog = TuneLog()


def run(path: Path, overrides: list[str]) -> Path:
    """Train a planner's recipe to its end, going on where its run folder has a checkpoint; returns what was made.

    Raises :class:`UserError` for a recipe that breaks a rule or a run folder that belongs to another recipe.
    """
    return finetune(validated(path, read_recipe(path, overrides), FinetuneRecipe))


def finetune(recipe: FinetuneRecipe) -> Path:
    """Tune by a recipe; returns the adapter's folder."""
    import torch

    from planners.engines.transformers import default_model

    check_run_folder(recipe, recipe.run, ("name", "phase", "seed", "model", "data", "lora"))
    write_recipe(recipe, recipe.run)
    device = recipe.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    with console.status("making the corpus"):  # before the GPU is touched: its workers are processes
        train, groups = _corpus(recipe.data, recipe.seed)
    tuner = Tuner(recipe.model or default_model(), recipe.lora, recipe.train, seed=recipe.seed, device=device)
    examples = encode(tuner.tokenizer, train)
    console.print(f"{len(examples)} questions with {sum(len(e.tokens) for e in examples)} tokens; {device}")
    with _progress() as progress:
        bar = progress.add_task(recipe.name, total=1.0, loss=float("nan"), step=0)

        def on_step(tuner: Tuner, loss: float) -> None:
            progress.update(bar, completed=tuner.done, loss=loss, step=tuner.step)

        tune(
            tuner,
            examples,
            {name: encode(tuner.tokenizer, asked) for name, asked in groups.items()},
            recipe.log,
            checkpoint=recipe.run / "checkpoint.pt",
            log=lambda step, kind, values: write_log(recipe.run, step, kind, values),
            on_step=on_step,
        )
    folder = recipe.run / "adapter"
    tuner.export(folder, readme(recipe, tuner, len(train)))
    draw_curves(recipe.run)
    console.print(f"exported to {folder}")
    return folder


def write_log(folder: Path, step: int, kind: str, values: dict[str, float]) -> None:
    """One line of ``log.jsonl``, as :mod:`dysenvdm.training.logs` writes them."""
    rounded = {name: float(f"{value:.6g}") for name, value in values.items()}
    with (folder / "log.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps({"step": step, "kind": kind, "time": round(time.time(), 2), **rounded}) + "\n")


def readme(recipe: FinetuneRecipe, tuner: Tuner, count: int) -> str:
    """The adapter's model card, with the last validation's figures."""
    lines = [json.loads(line) for line in (recipe.run / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    last = next(line for line in reversed(lines) if line["kind"] == "validation")
    figures = "\n".join(
        f"| {name} | {value:.4g} |" for name, value in last.items() if name not in ("step", "kind", "time")
    )
    return CARD_TEXT.format(
        base=tuner.folder.name, name=recipe.name, tokens=recipe.train.batch_tokens, version=STAGE_VERSION,
        start="its weights go on from those of another adapter" if recipe.lora.start else "from scratch",
        steps=tuner.step, minutes=tuner.seconds / 60, count=count, rank=recipe.lora.rank,
        alpha=recipe.lora.alpha, seed=recipe.seed, figures=figures,
    )  # fmt: skip


CARD_TEXT = """---
base_model: {base}
library_name: peft
license: apache-2.0
language: en
---
# {base} as a planner: LoRA adapter
Answers the marking questions of `planners/` (DysenVDM) without worked examples. Rank {rank}, alpha {alpha:g}, all
linear layers. `planner.json` says how the tuned model wants to be asked.

Recipe `{name}` ({start}): {steps} steps in {minutes:.1f} minutes, on batches of up to {tokens} tokens of {count}
questions (seed {seed}) about captions of the Stage world (version {version}, training seeds), templated everyday
sentences and 30 hand-written demonstrations; no benchmark's prompts.

Validation at the last step: mean loss of the replies' tokens, and how many replies are right in every token
(teacher-forced), by source (`stage`: captions of held-out seeds; `sentences`: of other seeds; `written`: five
held-out demonstrations) and by question.

| | |
|---|---|
{figures}

English only. It marks, it does not write: its replies are bound to copies of the prompt. Base model:
SmolLM2-135M-Instruct, Apache-2.0.
"""


def _corpus(data: CorpusSection, seed: int) -> tuple[list[Answered], dict[str, list[Answered]]]:
    from dysenvdm.studies import planner_corpus

    train = planner_corpus.read(data.file) if data.file else _made(data, seed)
    return train, planner_corpus.validation(data.validation)


def _made(data: CorpusSection, seed: int) -> list[Answered]:
    from dysenvdm.studies import planner_corpus

    stage = planner_corpus.STAGE if data.stage is None else data.stage
    return list(planner_corpus.corpus(data.texts, seed, data.workers, stage))


def _progress() -> Progress:
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    return Progress(
        TextColumn("{task.description}"), BarColumn(), TextColumn("step {task.fields[step]}"),
        TextColumn("loss {task.fields[loss]:.4f}"), TimeElapsedColumn(), TimeRemainingColumn(), console=console,
    )  # fmt: skip
