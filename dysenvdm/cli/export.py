"""``dysenvdm export``: a model folder out of a run's checkpoints."""

from __future__ import annotations

from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from dysenvdm.cli.console import err, say
from planners.dsg import UserError

app = typer.Typer(add_completion=False)


class Weights(StrEnum):
    """Which of a checkpoint's weights."""

    EMA = "ema"
    RAW = "raw"


class Precision(StrEnum):
    """Of the weights that are written."""

    FP16 = "fp16"
    BF16 = "bf16"
    FP32 = "fp32"


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="A run's folder, finished or not: what its recipe's 'run' names.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The model folder to write.")],
    step: Annotated[int | None, typer.Option(min=1, help="The checkpoint of this step; else the newest.")] = None,
    best: Annotated[bool, typer.Option("--best", help="The best checkpoint, by the recipe's log.keep_best.")] = False,
    weights: Annotated[Weights, typer.Option(help="Averaged over the steps, or as they stood.")] = Weights.EMA,
    dtype: Annotated[Precision | None, typer.Option(help="Precision; else what the phase's recipes give.")] = None,
) -> None:
    """Write a run's model in safetensors, from any of its checkpoints; 'generate --model' takes a denoiser's."""
    if best and step is not None:
        raise UserError("export: --best and --step name two checkpoints; give one of them")
    if weights is Weights.RAW and find_spec("deepspeed") is None:
        raise UserError("--weights raw: lie in DeepSpeed's files; install 'dysenvdm[train]', or leave it out")
    from dysenvdm.training.export import export_run

    with err.status("exporting …"):
        done = export_run(
            run, output, step=step, best=best, raw=weights is Weights.RAW, dtype=None if dtype is None else dtype.value
        )
    kind = "averaged weights" if weights is Weights.EMA else "raw weights"
    say(f"wrote {output}: step {done.step} of {run}, {kind}")
