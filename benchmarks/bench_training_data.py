"""Training itself on clips from the cache against decoding them in every step: samples per second, ratio.

The same recipe both ways: a denoiser behind the shipped autoencoder, on clips that are made for it. What the loop waits
for the loader counts, as it does in every run's log.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import yaml

from benchmarks.bench_cache import write_clips
from benchmarks.rows import Row

STEPS, WARM_UP, BATCH, PRESET = 14, 4, 4, "nano"
FRAMES, SIZE = 16, 64
VAE = "dysenvdm/checkpoints/stage-nano/vae"


def run() -> list[Row]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_clips(folder / "videos")
        rates = {cache: _rates(folder, cache) for cache in (True, False)}
    ratios = tuple(a / b for a, b in zip(sorted(rates[True]), sorted(rates[False]), strict=True))
    shape = f"{PRESET}, clips of {FRAMES}x{SIZE}x{SIZE}"
    return [
        Row(f"{shape}: samples trained, latents from the cache", "/s", rates[True]),
        Row(f"{shape}: samples trained, decoded and encoded in every step", "/s", rates[False]),
        Row("training from the cache / decoding", "x", ratios, 1.0, at_least=True),
    ]


def _rates(folder: Path, cache: bool) -> tuple[float, ...]:
    """Samples per second of the steps behind the first ones."""
    from dysenvdm.training.logs import read_log
    from dysenvdm.training.loop import run as train

    run = folder / f"run-{cache}"
    recipe: dict[str, Any] = {
        "name": "bench", "phase": "denoiser", "run": str(run),
        "data": {
            "source": {"kind": "folder", "root": str(folder / "videos"), "validation_share": 0.1},
            "examined": str(folder / "examined"), "frames": FRAMES, "size": SIZE, "cache": cache, "workers": 1,
            "validation_clips": 1, "scenes": {"from": "none"},
        },
        "model": {"preset": PRESET, "vae": VAE, "gate": 0.0},
        "train": {"steps": STEPS, "batch_size": BATCH, "lr": 1e-4},
        "log": {"every": 1, "validate_every": STEPS, "sample_every": STEPS, "checkpoint_every": STEPS,
                "sample_steps": 1},
    }  # fmt: skip
    path = folder / f"recipe-{cache}.yaml"
    path.write_text(yaml.safe_dump(recipe), encoding="utf-8")
    train(path, [])
    lines = [line for line in read_log(run) if line["kind"] == "train"]
    return tuple(line["samples_per_second"] for line in lines[WARM_UP:])
