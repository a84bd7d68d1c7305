"""``python -m benchmarks.backbone [FOLDER]``: adding, loading and sampling a pretrained backbone; seconds and memory.

Without a folder, one of ModelScope's architecture (1.4 B parameters in its UNet) with random weights is written first,
some 4 GB in bf16. Every run is a process of its own, so that peak memory is that of loading and sampling alone.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from benchmarks.random_backbone import write_random_backbone
from benchmarks.rows import Row, seconds
from benchmarks.run import table

if TYPE_CHECKING:
    from planners.dsg import DynamicSceneGraph

PROMPT = "a girl in a red coat jumps over a box"
MEMORY_GIB = 16.0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.backbone", description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", help="a ModelScope or ZeroScope folder in diffusers layout")
    parser.add_argument("--tiny", action="store_true", help="random weights of a tiny architecture, to try the command")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--steps", type=int, default=2, help="denoising steps of a run; the first is not counted")
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--size", type=int, default=256, help="pixels of a side")
    parser.add_argument("--dtype", default="bfloat16")
    parser.add_argument("--work", type=Path, help="where the folders are written; a temporary place unless given")
    parser.add_argument("--sample", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.steps < 2 or options.runs < 1:
        parser.error("--steps: at least 2, since the first is not counted; --runs: at least 1")
    return options


def main() -> int:
    options = arguments()
    if options.sample is not None:
        print(json.dumps(sample(options)))
        return 0
    with tempfile.TemporaryDirectory(dir=options.work) as work:
        rows = measured(options, Path(work))
    Console(width=120).print(table(rows))
    return int(any(row.holds is False for row in rows))


def measured(options: argparse.Namespace, work: Path) -> list[Row]:
    """Add the backbone once, and sample it in processes of their own."""
    source = source_of(options, work)
    adding = seconds(lambda: add(source, work / "added", tiny=options.tiny))
    command = [sys.executable, "-m", "benchmarks.backbone", "--sample", str(work / "added")]
    for name in ("steps", "frames", "size", "dtype"):
        command += [f"--{name}", str(getattr(options, name))]
    runs = []
    for _ in range(options.runs):
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        runs.append(json.loads(done.stdout.splitlines()[-1]))

    def row(name: str, unit: str, key: str, bound: float | None = None) -> Row:
        return Row(name, unit, tuple(value for run in runs for value in run[key]), bound)

    what = f"{options.frames} frames of {options.size}x{options.size}, {options.dtype}"
    return [
        *(row(f"parameters of {part}", "M", part) for part in ("unet", "vae", "text_encoder", "scene_adapter")),
        Row("backbone add: check, link, hash", "s", (adding,)),
        row("load, hashes checked", "s", "load"),
        row(f"denoising step, guidance 9, {what}", "s", "step"),
        row("decoding", "s", "decode"),
        row("peak memory of load, steps and decoding", "GiB", "peak", MEMORY_GIB),
        row("largest difference that the untrained adapter makes", "", "difference", 0.0),
    ]


def source_of(options: argparse.Namespace, work: Path) -> Path:
    """The user's folder, or one of random weights, tiny or of the full architecture."""
    if options.folder is not None:
        return Path(options.folder)
    write_random_backbone(work / "random", "tiny" if options.tiny else "full", options.dtype)
    return work / "random"


def add(source: Path, folder: Path, *, tiny: bool) -> None:
    """Make a model of ours of the backbone, with a scene adapter of the paper's size unless it is tiny."""
    from dysenvdm.pretrained import add_backbone

    sizes: dict[str, Any] = {"adapter_width": 16, "adapter_layers": 1} if tiny else {}
    add_backbone(source, folder, **sizes)


def scene() -> DynamicSceneGraph:
    """What the prompt says, a girl that jumps and then does not."""
    from planners.dsg import DynamicSceneGraph, Fact, SceneObject

    girl = SceneObject(id="girl", label="girl")
    jump = Fact(subject="girl", predicate="jump", start=0, end=1, source="plan")
    return DynamicSceneGraph(ticks=2, objects=(girl,), facts=(jump,))


def sample(options: argparse.Namespace) -> dict[str, Any]:
    """One run: load, a few guided steps with a scene, decoding."""
    import torch

    from dysenvdm.pipeline import DysenVDMPipeline

    start = time.perf_counter()
    pipe = DysenVDMPipeline.from_pretrained(options.sample, dtype=getattr(torch, options.dtype))
    loaded = time.perf_counter() - start
    shown = scene()
    size: dict[str, Any] = {"num_frames": options.frames, "height": options.size, "width": options.size}
    ends: list[float] = []
    last: list[torch.Tensor] = []

    def on_step(_step: int, _total: int, latents: torch.Tensor) -> None:
        ends.append(time.perf_counter())
        last[:] = [latents]

    pipe([PROMPT], [shown], seeds=[0], num_inference_steps=options.steps, guidance_scale=9.0, on_step=on_step, **size)
    decoded = time.perf_counter() - ends[-1]
    difference = _difference(pipe, shown, last[0][:, :, :1].to(pipe.unet.dtype))
    parts = {name: getattr(pipe, name) for name in ("unet", "vae", "text_encoder", "scene_adapter")}
    return {
        **{name: [sum(weight.numel() for weight in part.parameters()) / 1e6] for name, part in parts.items()},
        "load": [loaded],
        "step": [after - before for before, after in pairwise(ends)],
        "decode": [decoded],
        "peak": [resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20],  # KiB on Linux
        "difference": [difference],
    }


def _difference(pipe: Any, scene: Any, latents: Any) -> float:
    """Between the UNet with the scene adapter and without it, on one frame."""
    import torch

    from dysenvdm.scene_tensors import SceneTensors

    text = pipe.text_encoder.encode([PROMPT]).to(pipe.unet.dtype)
    with torch.no_grad():
        alone = pipe.unet(latents, 500, encoder_hidden_states=text).sample
        tensors = SceneTensors.from_dsgs([scene], pipe.text_encoder.embed).to(dtype=pipe.scene_adapter.dtype)
        keys_values = pipe.scene_adapter.keys_values(pipe.scene_adapter.encode(tensors, 1))
        with pipe.scene_adapter.attached(pipe.unet, keys_values) as unet:
            together = unet(latents, 500, encoder_hidden_states=text).sample
    return float((alone - together).abs().max())


if __name__ == "__main__":
    sys.exit(main())
