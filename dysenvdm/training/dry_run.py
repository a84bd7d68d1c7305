"""What a run would be, without running: configuration, parameter groups, memory, work. Nothing is written.

The networks are built on torch's meta device, so neither their weights nor a GPU are needed.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import nn

from dysenvdm.data.section import DataSection, StageSource
from dysenvdm.data.sources import find
from dysenvdm.stage import sample as play
from dysenvdm.training.activations import checkpoint_activations
from dysenvdm.training.batches import micro_batches
from dysenvdm.training.cost import META, Cost, autoencoder_cost, denoiser_cost, referee_cost
from dysenvdm.training.engine_config import engine_config
from dysenvdm.training.groups import parameter_groups
from dysenvdm.training.logs import read_log
from dysenvdm.training.loop import check_enough
from dysenvdm.training.networks import (
    build_parts,
    checked_vae,
    choose_trained,
    fit_for_training,
    max_tokens,
    read_config,
    text_encoder_bytes,
    text_width,
    vae_folder,
)
from dysenvdm.training.recipe import Recipe, load_recipe
from dysenvdm.training.zero_memory import GIB, PLANS, SPARE, Parameters, Plan, largest_micro_batch, states

LOGGED = 50
"""Last logged steps that a measured step's time is the median of."""


def dry_run(path: str | Path, overrides: list[str], *, ranks: int, gpu_memory: float, tflops: float | None) -> str:
    """The report of a video model's recipe on ``ranks`` GPUs of ``gpu_memory`` GiB; raises :class:`UserError`.

    ``tflops`` is the throughput of a rank in 10^12 operations per second, where no step of the run has been measured.
    """
    recipe = load_recipe(path, overrides)
    micro, parts = micro_batches(recipe.train, ranks)
    clips = clips_of(recipe.data)
    check_enough(recipe, clips, ranks)
    precision = "bf16" if recipe.train.precision == "auto" else recipe.train.precision
    module, cost, beside = on_paper(recipe, precision)
    config = engine_config(recipe, micro=micro, parts=parts, precision=precision)
    resolved = yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False)
    sections = [
        ("The resolved recipe", resolved.rstrip()),
        (f"DeepSpeed's configuration ({precision})", json.dumps(config, indent=2)),
        ("Parameter groups", _groups(module, recipe)),
        (f"Memory per GPU, {ranks} rank(s) of {gpu_memory:g} GiB", _memory(
            module, cost, beside, Plan.of(recipe.deepspeed),
            ranks=ranks, micro=micro, precision=precision, memory=int(gpu_memory * GIB),
        )),
        ("Work", _work(recipe, cost, clips, ranks, tflops)),
    ]  # fmt: skip
    return "\n\n".join(f"# {title}\n{text}" for title, text in sections)


def clips_of(data: DataSection) -> int:
    """How many clips are trained on, as the data set's annotations have it (0: without end); nothing is decoded.

    Raises :class:`UserError` for missing data.
    """
    if isinstance(data.source, StageSource):
        return data.clips
    found, _ = find(data.source, held_out=False), find(data.source, held_out=True)
    return min(len(found.entries), data.clips or len(found.entries))


def on_paper(recipe: Recipe, precision: str) -> tuple[nn.Module, Cost, int]:
    """The module that would be trained, on the meta device; what a clip costs it; bytes frozen beside it.

    Raises :class:`UserError` where an autoencoder, a text encoder or a model to start from is missing.
    """
    data = recipe.data
    dtype = torch.float32 if precision == "fp32" else torch.bfloat16
    if recipe.phase == "referee":
        from dysenvdm.training.referee import corpus_bytes, sized_referee

        with META:
            referee = sized_referee(recipe).to(dtype)
            vae = build_vae_of(checked_vae(recipe.model.vae)) if recipe.model.vae else nn.Module()
        cost = referee_cost(referee, frames=data.frames, size=(data.size, data.size))
        beside = corpus_bytes(recipe) + 2 * sum(weight.numel() for weight in vae.parameters())
        return nn.ModuleDict({"referee": referee}), cost, beside
    if recipe.phase == "autoencoder":
        from dysenvdm.training.autoencoder import STILLS, sized_vae

        with META:
            vae = sized_vae(recipe).to(dtype)
        cost = autoencoder_cost(vae, size=(data.size, data.size), stills=min(STILLS, data.frames))
        return nn.ModuleDict({"vae": vae}), cost, 0
    folder = vae_folder(recipe)
    with META:
        unet, adapter = build_parts(recipe, text_width(recipe))
        vae = build_vae_of(folder)
        choose_trained(recipe, {"unet": unet, "scene_adapter": adapter})
    fit_for_training(unet, torch.device("cuda"))
    module = nn.ModuleDict({"unet": unet, "scene_adapter": adapter}).to(dtype)
    if recipe.train.checkpoint_activations:
        checkpoint_activations(module)
    side = data.size // 2 ** (len(vae.config["block_out_channels"]) - 1)
    cost = denoiser_cost(
        unet, adapter, play(1, frames=max(data.frames, 8)).dsg,
        frames=data.frames, size=(side, side), text=max_tokens(recipe),
    )  # fmt: skip
    beside = 4 * sum(weight.numel() for weight in vae.parameters()) + text_encoder_bytes(recipe)
    return module, cost, beside


def build_vae_of(folder: Path) -> Any:
    """The autoencoder of a folder, without its weights."""
    from diffusers import AutoencoderKL

    return AutoencoderKL.from_config(read_config(folder))


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
    module: nn.Module, cost: Cost, beside: int, chosen: Plan, *, ranks: int, micro: int, precision: str, memory: int
) -> str:
    trained = sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)
    parameters = Parameters(sum(parameter.numel() for parameter in module.parameters()), trained, beside)
    rows: list[Sequence[str]] = [(
        "GiB", "weights", "gradients", "optimizer", "EMA", "buckets", "frozen", "activations", "total", "host",
        "largest micro-batch",
    )]  # fmt: skip
    plans = list(dict.fromkeys([*PLANS, chosen]))
    for plan in plans:
        kept = states(parameters, plan, ranks=ranks, precision=precision)
        activations = cost.activations(micro)
        most = largest_micro_batch(kept, cost, memory)
        parts = (kept.weights, kept.gradients, kept.optimizer, kept.average, kept.buckets, kept.beside, activations)
        numbers = [f"{part / GIB:.2f}" for part in (*parts, kept.total + activations, kept.host)]
        mark = " <- the recipe's" if plan == chosen else ""
        rows.append((str(plan), *numbers, (str(most) if most else "none fits") + mark))
    most = largest_micro_batch(states(parameters, chosen, ranks=ranks, precision=precision), cost, memory)
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


def _work(recipe: Recipe, cost: Cost, clips: int, ranks: int, tflops: float | None) -> str:
    train = recipe.train
    flops = cost.flops * train.batch_size
    lines = [
        f"{clips:,} clips by the annotations" if clips else "clips without end: every sample is a fresh one",
        f"{flops / 1e12:.4g} TFLOP a step of {train.batch_size} whole clips, forward and backward, "
        f"encoding of frames and captions apart; {flops * train.steps / 1e18:.4g} EFLOP in {train.steps:,} steps",
    ]
    seconds, how = _step_time(recipe.run, flops / ranks, tflops)
    epoch = clips / train.batch_size
    if epoch:
        lines.append(f"an epoch is {epoch:,.1f} steps; the run sees each clip {train.steps / epoch:.2f} times")
    if seconds is None:
        lines.append(how)
    else:
        lines.append(f"{seconds:.3g} s a step ({how}): {_lasting(seconds * train.steps)} for the run")
        if epoch:
            lines.append(f"time per epoch: {_lasting(seconds * epoch)}")
    return "\n".join(lines)


def _step_time(run: Path, flops: float, tflops: float | None) -> tuple[float | None, str]:
    """Seconds of a step, and where they are from."""
    if (run / "log.jsonl").is_file():
        seconds = [line["seconds_per_step"] for line in read_log(run) if line["kind"] == "train"][-LOGGED:]
        if seconds:
            return statistics.median(seconds), f"measured: the median of the last {len(seconds)} logged in {run}"
    if tflops:
        return flops / (tflops * 1e12), f"assumed: {tflops:g} TFLOP/s on each rank, as --tflops says"
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
