"""``python -m benchmarks.replay``: videos made with random settings, replayed; how many come out bit for bit.

Each video and each replay is a process of its own, as users run them. Settings are drawn from what ``dysenvdm
generate`` takes: scheduler, steps, guidance, scene mode, weight of imagined facts, frames, windows, number format,
videos in one pass, enlargement and label.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from random import Random

from rich.console import Console
from rich.progress import track

from dysenvdm.stage import VAL_SEED0, sample

CAPTIONS = VAL_SEED0 + 8000
COMMAND = (sys.executable, "-c", "from dysenvdm.cli.main import main; main()")


def drawn_settings(rng: Random) -> list[str]:
    """Options of ``dysenvdm generate``."""
    options = ["--seed", str(rng.randrange(10**6)), "--steps", str(rng.randint(2, 6))]
    options += ["--guidance", f"{rng.uniform(1.1, 4):.2f}", "--scene-guidance", f"{rng.uniform(1.1, 4):.2f}"]
    options += rng.choice([[], ["--scheduler", "ddim"], ["--scheduler", "unipc"], ["--scheduler", "dpmsolver++"]])
    options += rng.choice(
        [[], ["--scene-mode", "prompts"], ["--scene-mode", "broadcast"], ["--imagined-weight", f"{rng.random():.2f}"]]
    )
    options += rng.choice([[], ["--frames", "8"], ["--frames", "24", "--window", "16", "--overlap", "8"]])
    options += rng.choice([[], ["--dtype", "bf16"], ["--scale", "6", "--label", "generated"], ["--fps", "12"]])
    options += rng.choice([[], ["--negative", "a blurred picture"], ["--count", "2"], []])
    return options


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, check=False)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--videos", type=int, default=20, help="how many (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the settings")
    parser.add_argument("--model", default="stage-nano", help="the video model (default: %(default)s)")
    given = parser.parse_args(arguments)
    console, rng, same = Console(), Random(given.seed), 0
    with tempfile.TemporaryDirectory() as name:
        for i in track(range(given.videos), "replaying", console=Console(stderr=True)):
            options, folder = drawn_settings(rng), Path(name)
            graph = folder / f"{i}-scene.json"
            sample(CAPTIONS + i, ticks=8).dsg.save(graph)
            several = "--count" in options
            output = folder / f"{i}" if several else folder / f"{i}.mp4"
            made = run("generate", "--dsg", str(graph), "-o", str(output), "--model", given.model, *options)
            if made.returncode:
                console.print(f"not made: {' '.join(options)}: {made.stderr.strip()}", markup=False)
                continue
            video = output / "0002.mp4" if several else output
            replayed = run("replay", str(video), "--model", given.model)
            if replayed.returncode == 0:
                same += 1
            else:
                said = " ".join((replayed.stdout + replayed.stderr).split())
                console.print(f"differs: {' '.join(options)}: {said}", markup=False, soft_wrap=True)
    console.print(f"{same} of {given.videos} videos replayed bit-identically")
    return int(same != given.videos)


if __name__ == "__main__":
    sys.exit(main())
