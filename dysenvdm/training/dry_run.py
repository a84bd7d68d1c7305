"""What a run would be, without running: configuration, parameter groups, memory, work. Nothing is written.

The networks are built on torch's meta device, so neither their weights nor a GPU are needed.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from pathlib import Path

import torch
import yaml
from torch import nn

from dysenvdm.data.section import DataSection, StageSource
from dysenvdm.data.sources import find
from dysenvdm.training.batches import micro_batches
from dysenvdm.training.cost import Cost
from dysenvdm.training.engine_config import engine_config
from dysenvdm.training.groups import parameter_groups
from dysenvdm.training.logs import read_log
from dysenvdm.training.loop import check_enough
from dysenvdm.training.on_paper import Notes, on_paper
from dysenvdm.training.recipe import Recipe, load_recipe
from dysenvdm.training.zero import precision_of
from dysenvdm.training.zero_memory import (
    GIB,
    PLANS,
    SPARE,
    Buckets,
    Parameters,
    Plan,
    largest_micro_batch,
    states,
)
from planners.dsg import UserError

STOPS = "What training would stop at"
WAITS = "waits for the model to start from, which alone says how large the networks are"
LOGGED = 50
"""Last logged steps that a measured step's time is the median of."""


def dry_run(path: str | Path, overrides: list[str], *, ranks: int, gpu_memory: float, tflops: float | None) -> str:
    """The report of a video model's recipe on ``ranks`` GPUs of ``gpu_memory`` GiB.

    Data, an autoencoder, a text encoder or a model to start from that are missing are notes at its end. Raises
    :class:`UserError` for a recipe that breaks a rule, or that contradicts what is there.
    ``tflops`` is the throughput of a rank in 10^12 operations per second, where no step of the run has been measured.
    """
    recipe, notes = load_recipe(path, overrides), Notes()
    micro, parts = micro_batches(recipe.train, ranks)
    precision = precision_of(recipe, torch.device("cuda"))
    buckets = Buckets.of(recipe.deepspeed)
    clips = _clips(recipe, ranks, notes)
    paper = on_paper(recipe, precision, notes)
    config = engine_config(recipe, micro=micro, parts=parts, precision=precision)
    resolved = yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False)
    groups = memory = WAITS
    if paper:
        module, cost, beside = paper
        groups = _groups(module, recipe)
        memory = _memory(
            module, cost, beside, Plan.of(recipe.deepspeed), buckets,
            ranks=ranks, micro=micro, precision=precision, memory=int(gpu_memory * GIB),
        )  # fmt: skip
    sections = [
        ("The resolved recipe", resolved.rstrip()),
        (f"DeepSpeed's configuration ({precision})", json.dumps(config, indent=2)),
        ("Parameter groups", groups),
        (f"Memory per GPU, {ranks} rank(s) of {gpu_memory:g} GiB", memory),
        ("Work", _work(recipe, paper[1] if paper else None, clips, ranks, tflops)),
    ]
    if notes:
        sections.append((STOPS, str(notes)))
    return "\n\n".join(f"# {title}\n{text}" for title, text in sections)


def _clips(recipe: Recipe, ranks: int, notes: Notes) -> int | None:
    """How many clips are trained on (0: without end), or None where the data set is missing."""
    try:
        clips = clips_of(recipe.data)
    except UserError as error:
        notes.add("data", error, "clips are not counted")
        clips = None
    check_enough(recipe, recipe.data.clips if clips is None else clips, ranks)
    return clips


def clips_of(data: DataSection) -> int:
    """How many clips are trained on, as the data set's annotations have it (0: without end); nothing is decoded.

    Raises :class:`UserError` for missing data.
    """
    if isinstance(data.source, StageSource):
        return data.clips
    found, _ = find(data.source, held_out=False), find(data.source, held_out=True)
    return min(len(found.entries), data.clips or len(found.entries))


def _groups(module: nn.Module, recipe: Recipe) -> str:
    names = {id(parameter): name for name, parameter in module.named_parameters()}
    rows: list[Sequence[str]] = [("group", "tensors", "parameters", "lr", "decay", "first of them")]
    for group in parameter_groups(module, recipe.train):
        count = sum(parameter.numel() for parameter in group["params"])
        first = names[id(group["params"][0])]
        rows.append((
            group["name"], str(len(group["params"])), f"{count:,}", f"{group['lr']:g}", f"{group['weight_decay']:g}",
            first,
        ))  # fmt: skip
    frozen = [parameter for parameter in module.parameters() if not parameter.requires_grad]
    if frozen:
        rows.append(("frozen", str(len(frozen)), f"{sum(p.numel() for p in frozen):,}", "-", "-", ""))
    return _table(rows)


def _memory(
    module: nn.Module, cost: Cost, beside: int, chosen: Plan, buckets: Buckets,
    *, ranks: int, micro: int, precision: str, memory: int,
) -> str:  # fmt: skip
    trained = sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)
    parameters = Parameters(sum(parameter.numel() for parameter in module.parameters()), trained, beside)
    rows: list[Sequence[str]] = [(
        "GiB", "weights", "gradients", "optimizer", "EMA", "buckets", "frozen", "activations", "total", "host",
        "largest micro-batch",
    )]  # fmt: skip
    plans = list(dict.fromkeys([*PLANS, chosen]))
    for plan in plans:
        kept = states(parameters, plan, buckets, ranks=ranks, precision=precision)
        activations = cost.activations(micro)
        most = largest_micro_batch(kept, cost, memory)
        parts = (kept.weights, kept.gradients, kept.optimizer, kept.average, kept.buckets, kept.beside, activations)
        numbers = [f"{part / GIB:.2f}" for part in (*parts, kept.total + activations, kept.host)]
        mark = " <- the recipe's" if plan == chosen else ""
        rows.append((str(plan), *numbers, (str(most) if most else "none fits") + mark))
    most = largest_micro_batch(states(parameters, chosen, buckets, ranks=ranks, precision=precision), cost, memory)
    verdict = f"train.micro_batch {micro} fits" if micro <= most else _too_large(micro, most)
    return "\n".join([
        _table(rows),
        f"Activations are those of a micro-batch of {micro}, measured: the bytes that autograd keeps of one sample on "
        f"the meta device, {cost.kept_each / GIB:.2f} GiB, and what any batch keeps. {SPARE:.0%} of the GPU is left.",
        f"With {chosen}: {verdict}.",
    ])  # fmt: skip


def _too_large(micro: int, most: int) -> str:
    if most:
        return f"train.micro_batch {micro} does not fit; lower it to {most} or less"
    return (
        f"train.micro_batch {micro} does not fit, nor would 1; raise deepspeed.zero_optimization.stage, offload, or "
        f"lower data.frames or data.size"
    )


def _work(recipe: Recipe, cost: Cost | None, clips: int | None, ranks: int, tflops: float | None) -> str:
    train = recipe.train
    flops = cost.flops * train.batch_size if cost else None
    lines = [_corpus(clips)]
    if flops is None:
        lines.append(f"FLOPs: {WAITS}")
    else:
        lines.append(
            f"{flops / 1e12:.4g} TFLOP a step of {train.batch_size} whole clips, forward and backward, "
            f"encoding of frames and captions apart; {flops * train.steps / 1e18:.4g} EFLOP in {train.steps:,} steps"
        )
    seconds, how = _step_time(recipe.run, flops / ranks if flops else None, tflops)
    epoch = (clips or 0) / train.batch_size
    if epoch:
        lines.append(f"an epoch is {epoch:,.1f} steps; the run sees each clip {train.steps / epoch:.2f} times")
    if seconds is None:
        lines.append(how)
    else:
        lines.append(f"{seconds:.3g} s a step ({how}): {_lasting(seconds * train.steps)} for the run")
        if epoch:
            lines.append(f"time per epoch: {_lasting(seconds * epoch)}")
    return "\n".join(lines)


def _corpus(clips: int | None) -> str:
    if clips is None:
        return "clips: not known before the data set is there, so neither is how long an epoch is"
    return f"{clips:,} clips by the annotations" if clips else "clips without end: every sample is a fresh one"


def _step_time(run: Path, flops: float | None, tflops: float | None) -> tuple[float | None, str]:
    """Seconds of a step, and where they are from."""
    if (run / "log.jsonl").is_file():
        seconds = [line["seconds_per_step"] for line in read_log(run) if line["kind"] == "train"][-LOGGED:]
        if seconds:
            return statistics.median(seconds), f"measured: the median of the last {len(seconds)} logged in {run}"
    if tflops and flops:
        return flops / (tflops * 1e12), f"assumed: {tflops:g} TFLOP/s on each rank, as --tflops says"
    if tflops:
        return None, f"time: {WAITS}"
    return None, "time: not known before a step was measured; give what a rank sustains with --tflops"


def _lasting(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _table(rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as they need to be, the first one to the left."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    last = len(widths) - 1

    def aligned(row: Sequence[str]) -> str:
        cells = enumerate(zip(row, widths, strict=True))
        return "  ".join(cell.ljust(w) if i in (0, last) else cell.rjust(w) for i, (cell, w) in cells).rstrip()

    return "\n".join(map(aligned, rows))
