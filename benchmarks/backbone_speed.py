"""``python -m benchmarks.backbone_speed [FOLDER]``: our videos against plain diffusers', same weights, in pairs.

Without a folder, one of ModelScope's architecture (1.4 B parameters) with random weights is written first. Both make
whole videos (text, denoising with guidance 9, decoding) in one process, in turns: ours with a scene graph and a scene
adapter of the paper's size, diffusers' TextToVideoSDPipeline from the folder as it is. FLOPs are those of torch's
counter; the device's peak is that of its largest matrix products of the same type, as in ``benchmarks.run training``.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.backbone import PROMPT, add, scene, source_of
from benchmarks.rows import Row, seconds
from benchmarks.run import table

GUIDANCE = 9.0
CPU_MATMUL = 512
"""Size of the matrices whose products are a CPU's peak."""


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.backbone_speed", description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", help="a ModelScope or ZeroScope folder in diffusers layout")
    parser.add_argument("--tiny", action="store_true", help="random weights of a tiny architecture, to try the command")
    parser.add_argument("--pairs", type=int, default=5, help="videos of each, after one to warm up")
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--size", type=int, default=256, help="pixels of a side")
    parser.add_argument("--dtype", default="bfloat16")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--work", type=Path, help="where the folders are written; a temporary place unless given")
    return parser.parse_args(given)


def measured(options: argparse.Namespace, work: Path) -> list[Row]:
    """Both pipelines on one device, whole videos in turns."""
    import torch

    from dysenvdm.generation.placement import checked_device
    from dysenvdm.training.throughput import matmul_peak

    device, dtype = torch.device(checked_device(options.device)), getattr(torch, options.dtype)
    source = source_of(options, work)
    add(source, work / "added", tiny=options.tiny)
    makers = {"ours": ours(work / "added", options, device), "diffusers": plain(source, options, device)}
    flops = {name: counted(make) for name, make in makers.items()}  # which warms up, too
    sizes = () if device.type == "cuda" else (CPU_MATMUL,)
    peak = matmul_peak(device, dtype, *sizes)
    took: dict[str, list[float]] = {name: [] for name in makers}
    memory: dict[str, list[float]] = {name: [] for name in makers}
    for i in range(options.pairs):
        for name in list(makers) if i % 2 else reversed(makers):
            held = _begin(device)
            took[name].append(seconds(makers[name]))
            if device.type == "cuda":
                memory[name].append((torch.cuda.max_memory_allocated(device) - held) / 2**30)
    ratios = tuple(mine / theirs for mine, theirs in zip(took["ours"], took["diffusers"], strict=True))
    what = f"{options.frames}x{options.size}x{options.size}, {options.steps} steps, {options.dtype}, {device.type}"
    rows = [Row(f"ours / diffusers: seconds of a video of {what}", "", ratios)]
    for name in makers:
        shares = tuple(100 * flops[name] / one / peak for one in took[name])
        rows += [
            Row(f"{name}: a video", "s", tuple(took[name])),
            Row(f"{name}: FLOPs of a video", "TFLOP", (flops[name] / 1e12,)),
            Row(f"{name}: share of the matmul peak, {peak / 1e12:.3g} TFLOP/s", "%", shares),
        ]
        if memory[name]:
            rows.append(Row(f"{name}: memory beyond the weights", "GiB", tuple(memory[name])))
    return rows


def ours(folder: Path, options: argparse.Namespace, device: Any) -> Callable[[], object]:
    """Makes a video with a scene graph."""
    import torch

    from dysenvdm.generation.placement import place
    from dysenvdm.pipeline import DysenVDMPipeline

    pipe = DysenVDMPipeline.from_pretrained(folder, dtype=getattr(torch, options.dtype))
    pipe.set_progress_bar_config(disable=True)
    place(pipe, device)
    return lambda: pipe([PROMPT], [scene()], seeds=[0], **_settings(options))


def plain(folder: Path, options: argparse.Namespace, device: Any) -> Callable[[], object]:
    """Makes a video of the same noise as diffusers does, without a scene graph."""
    import torch
    from diffusers.pipelines.deprecated.text_to_video_synthesis import TextToVideoSDPipeline

    dtype = getattr(torch, options.dtype)
    pipe = TextToVideoSDPipeline.from_pretrained(str(folder), dtype=dtype, local_files_only=True).to(device)
    pipe.set_progress_bar_config(disable=True)
    return lambda: pipe(PROMPT, generator=torch.Generator().manual_seed(0), output_type="np", **_settings(options))


def _settings(options: argparse.Namespace) -> dict[str, Any]:
    size = {"num_frames": options.frames, "height": options.size, "width": options.size}
    return {**size, "num_inference_steps": options.steps, "guidance_scale": GUIDANCE}


def counted(action: Callable[[], object]) -> int:
    """FLOPs of matrix products, convolutions and attention in one call."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        action()
    return int(counter.get_total_flops())


def _begin(device: Any) -> int:
    """Bytes that are allocated already; the peak is counted from here on."""
    import torch

    if device.type != "cuda":
        return 0
    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    return int(torch.cuda.memory_allocated(device))


def main() -> int:
    options = arguments()
    with tempfile.TemporaryDirectory(dir=options.work) as work:
        rows = measured(options, Path(work))
    Console(width=140).print(table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
