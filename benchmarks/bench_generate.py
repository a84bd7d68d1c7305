"""The whole path in a process of its own: planning, denoising, and peak memory."""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from benchmarks.rows import Row, seconds

PROMPT = "In the park, a girl in a red coat walks to the box, then she jumps over it while a dog runs to the left."
RUNS = 3


def run() -> list[Row]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plan, video = folder / "plan.dsg.json", folder / "video.mp4"
        plans = [seconds(partial(dysenvdm, "plan", PROMPT, "-o", plan, "--seed", i)) for i in range(RUNS)]
        videos = [seconds(partial(dysenvdm, "generate", "--dsg", plan, "-o", video, "--seed", i)) for i in range(RUNS)]
        whole = [seconds(partial(dysenvdm, "generate", PROMPT, "-o", video, "--seed", i)) for i in range(RUNS)]
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20  # the largest child's, in KiB on Linux
    return [
        Row("plan of three actions, start to end", "s", tuple(plans), 60),
        Row("video of a given plan, 25 steps, start to end", "s", tuple(videos), 40),
        Row("generate, start to end", "s", tuple(whole), 100),
        Row("peak memory of generate", "GiB", (peak,), 6),
    ]


def dysenvdm(*arguments: object) -> None:
    command = [sys.executable, "-c", "from dysenvdm.cli.main import main; main()", *map(str, arguments)]
    subprocess.run(command, check=True, capture_output=True)
