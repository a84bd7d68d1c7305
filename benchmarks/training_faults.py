"""What faults do to a training run: ``python -m benchmarks.training_faults [--kills 20] [--seed 0]``.

Runs of a micro model are killed, starved of disk, robbed of a rank, find their newest checkpoint cut short, or lose a
clip of the videos that they read; then the same command is given again. A row says how often the run came to its end,
how many steps were made twice, and whether the final weights are those of an undisturbed run, bit by bit (of one that
lost the same clip behind the same step). Torch is imported once: ranks are forks of this process.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import yaml

RECIPE: dict[str, Any] = {
    "name": "faults",
    "phase": "autoencoder",
    "data": {"frames": 8, "size": 32, "validation_clips": 2, "workers": 0},
    "model": {"preset": "micro"},
    "train": {"steps": 12, "batch_size": 2, "lr": 1e-3, "warmup": 1, "ema": 0.9},
    "log": {"every": 1, "validate_every": 100, "sample_every": 100, "checkpoint_every": 3},
    "deepspeed": {"zero_optimization": {"stage": 1}},
}
CLIPS, LENGTH = 6, 12
"""Videos that a run reads, of which one is held out, and frames of each."""
HARMS: dict[str, Callable[[Path], object]] = {
    "cut short": lambda path: os.truncate(path, path.stat().st_size // 3),
    "overwritten": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "removed": Path.unlink,
}
_FILE_EVENTS = ("open", "os.rename", "os.mkdir", "os.remove", "os.rmdir")


@dataclass
class Run:
    """One run's folder, recipe and output; ``start`` gives the same command each time."""

    folder: Path
    recipe: dict[str, Any] = field(default_factory=lambda: RECIPE)

    @property
    def run(self) -> Path:
        return self.folder / "run"

    @property
    def output(self) -> str:
        path = self.folder / "output.txt"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def file(self) -> Path:
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / "recipe.yaml"
        path.write_text(yaml.safe_dump({**self.recipe, "run": str(self.run)}), encoding="utf-8")
        return path

    def start(self, *, ranks: int = 1, before: Callable[[], None] = lambda: None) -> list[int]:
        """Fork the ranks; returns their process ids. ``before`` runs in each of them first."""
        recipe = self.file()
        port, pids = free_port(), []
        for rank in range(ranks):
            pid = os.fork()
            if pid == 0:
                places = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": ranks, "MASTER_ADDR": "127.0.0.1"}
                os.environ.update({name: str(value) for name, value in places.items()}, MASTER_PORT=port)
                self._train(recipe, before)
            pids.append(pid)
        return pids

    def _train(self, recipe: Path, before: Callable[[], None]) -> NoReturn:
        from dysenvdm.training.__main__ import main

        code: Any = 1
        output = os.open(self.folder / "output.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(output, 1)
        os.dup2(output, 2)
        sys.argv = ["dysenvdm.training", str(recipe)]
        try:
            before()
            main()
            code = 0
        except SystemExit as leaving:
            code = leaving.code
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)

    def finish(self, **options: Any) -> int:
        """Start and wait; returns the exit code of the first rank that has one other than 0."""
        return next((code for code in map(wait, self.start(**options)) if code), 0)

    def weights(self) -> bytes:
        return (self.run / "model" / "diffusion_pytorch_model.safetensors").read_bytes()

    def beside(self, other: Run) -> str:
        """From which step on the losses of two runs differ, in words."""
        from dysenvdm.training.logs import read_log

        ours, theirs = (
            {line["step"]: line["loss"] for line in read_log(one.run) if line["kind"] == "train"}
            for one in (self, other)
        )
        return f"from step {min((s for s in ours if ours[s] != theirs.get(s)), default='none')} on"

    def steps_made_twice(self) -> int:
        """As the run itself has said when it was resumed."""
        return sum(int(number) for number in re.findall(r"the (\d+) after it are made again", self.output))


@dataclass
class Row:
    """What became of the runs of one fault."""

    fault: str
    runs: int = 0
    ended: int = 0
    identical: int = 0
    made_twice: list[int] = field(default_factory=list)

    def add(self, run: Run, code: int, undisturbed: Run) -> None:
        identical = code == 0 and run.weights() == undisturbed.weights()
        self.runs += 1
        self.ended += code == 0
        self.identical += identical
        self.made_twice.append(run.steps_made_twice())
        if not identical:
            why = f"exit code {code}" if code else f"losses are others {run.beside(undisturbed)}"
            both = "\n-- undisturbed:\n".join(one.output[-1500:] for one in (run, undisturbed))
            print(f"{run.folder}: {why}\n{both}", file=sys.stderr, flush=True)

    def __str__(self) -> str:
        mean = sum(self.made_twice) / max(1, len(self.made_twice))
        again = f"{mean:.1f}, at most {max(self.made_twice, default=0)}"
        return f"| {self.fault} | {self.runs} | {self.ended} | {again} | {self.identical} |"


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def wait(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def at_file_operation(number: int, tell: Path | None = None) -> None:
    """Have this process kill itself at its ``number``-th operation on a file of a checkpoint; ``tell`` counts them."""
    made = 0

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal made
        if event in _FILE_EVENTS and "/checkpoints/" in str(arguments[0]):
            made += 1
            if tell is not None:
                handle = os.open(str(tell), os.O_WRONLY | os.O_CREAT)
                os.pwrite(handle, str(made).encode(), 0)
                os.close(handle)
            if made == number:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def killed(base: Path, draw: random.Random, kills: int, undisturbed: Run, lasted: float, operations: int) -> list[Row]:
    """Half of the kills at any moment of a run, half within the writing and removing of checkpoints."""
    rows = [Row("kill -9 at any moment"), Row("kill -9 while a checkpoint is written")]
    for number in range(kills):
        run = Run(base / f"kill-{number}")
        within = number % 2 == 1
        if within:
            moment = draw.randint(1, operations)
            wait(run.start(before=lambda moment=moment: at_file_operation(moment))[0])  # type: ignore[misc]
        else:
            (pid,) = run.start()
            time.sleep(draw.uniform(0, lasted))
            os.kill(pid, signal.SIGKILL)
            wait(pid)
        rows[within].add(run, run.finish(), undisturbed)
    return rows


def full_disk(base: Path, undisturbed: Run, size: int) -> tuple[Row, str]:
    """A disk with room for a checkpoint or two: a mounted one where that is allowed, else a limit on files."""
    run, mounted = Run(base / "full-disk"), False
    run.run.mkdir(parents=True)
    room = [*["mount", "-t", "tmpfs", "-o"], f"size={size * 5 // 2}", "tmpfs", str(run.run)]
    mounted = subprocess.run(room, capture_output=True, check=False).returncode == 0
    try:
        if mounted:
            code = run.finish()
            remount = ["mount", "-o", f"remount,size={size * 100}", str(run.run)]
            subprocess.run(remount, check=True, capture_output=True)
        else:
            run.finish(before=lambda: at_file_operation(10**9))
            code = run.finish(before=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size // 10, size // 10)))
        said = next((line for line in run.output.splitlines() if line.startswith("error:")), "nothing")
        row = Row("a full disk")
        row.add(run, run.finish() if code == 2 else 1, undisturbed)
    finally:
        if mounted:
            subprocess.run(["umount", str(run.run)], check=True)
    return row, f"{'a mounted tmpfs' if mounted else 'RLIMIT_FSIZE'}, exit code {code}: {said}"


def cut_short(base: Path, undisturbed: Run) -> Row:
    """Each file of the newest checkpoint in turn loses its last byte while the run is down."""
    row, run = Row("a file of the newest checkpoint cut short"), Run(base / "cut-0")
    number, files = 0, 1
    while number < files:
        run = Run(base / f"cut-{number}")
        run.finish()
        newest = sorted((run.run / "checkpoints").glob("step-*"))[-1]
        paths = sorted(path for path in newest.iterdir() if path.is_file())
        files = len(paths)
        os.truncate(paths[number], paths[number].stat().st_size - 1)
        row.add(run, run.finish(), undisturbed)
        number += 1
    return row


def on_videos(folder: Path) -> Run:
    """A run of videos that it writes: each a red block that moves over noise of its own."""
    import numpy as np

    from dysenvdm.video import write_mp4  # as it stands, x264 gives equal frames unequal bytes now and then

    clips = folder / "clips"
    clips.mkdir(parents=True)
    for number in range(CLIPS):
        ground = np.random.default_rng(number).integers(0, 256, (32, 32, 3), dtype=np.uint8)
        frames = np.stack([ground] * LENGTH)
        for frame in range(LENGTH):
            frames[frame, 8:24, frame : frame + 8] = (255, 0, 0)
        write_mp4(clips / f"{number}.mp4", frames, 8, {})
        (clips / f"{number}.txt").write_text(f"Clip {number}.", encoding="utf-8")
    source = {"kind": "folder", "root": str(clips), "validation_share": 0.01}
    examined = str(folder / "examined.jsonl")
    return Run(folder, {**RECIPE, "data": {**RECIPE["data"], "source": source, "examined": examined}})


def behind_step(step: int, act: Callable[[], object], kill: tuple[int, float] | None = None) -> None:
    """Have this process act when a step and its checkpoint are made.

    With ``kill`` it then kills itself behind another step, within the next one: at so much of the time that one takes.
    """
    from dysenvdm.training import loop

    look, before = loop.Trainer._look, time.perf_counter()

    def acting(self: loop.Trainer, log: Any, *, last: bool) -> None:
        nonlocal before
        lasted, before = time.perf_counter() - before, time.perf_counter()
        look(self, log, last=last)
        if self.step == step:
            act()
        if kill is not None and self.step == kill[0]:
            threading.Timer(kill[1] * lasted, os.kill, (os.getpid(), signal.SIGKILL)).start()

    loop.Trainer._look = acting  # type: ignore[method-assign]


def lose_clip(run: Run, chosen: int, step: int, harm: str, kill: tuple[int, float] | None) -> int:
    """Play a run whose chosen clip breaks behind the step; returns its exit code, 1 where the clip was not named."""
    from dysenvdm.data.section import FolderSource
    from dysenvdm.data.sources import find

    path = find(FolderSource.model_validate(run.recipe["data"]["source"]), held_out=False).entries[chosen].path
    (pid,) = run.start(before=lambda: behind_step(step, lambda: HARMS[harm](path), kill))
    code = wait(pid)
    if kill is not None:
        code = run.finish()
    noted = run.run / "replaced.jsonl"
    named = noted.exists() and path.name in noted.read_text(encoding="utf-8") and path.name in run.output
    return code if code or named else 1


def clip_breaks(base: Path, draw: random.Random, runs: int) -> list[Row]:
    """A clip's file becomes unreadable behind a step; the same again; and the same with a kill after it.

    Those that are killed lose their clip behind a step with a checkpoint, so that no step which had shown the clip is
    made again without it.
    """
    rows = [Row("a corrupt clip in the middle"), Row("a corrupt clip in the middle, then kill -9")]
    every, batch = RECIPE["log"]["checkpoint_every"], RECIPE["train"]["batch_size"]
    last = RECIPE["train"]["steps"] - -(-(2 * CLIPS - 3) // batch)  # behind it every clip is drawn once more
    for number in range(runs):
        harm = list(HARMS)[number % len(HARMS)]
        killed = number % 2 == 1
        step = draw.choice(range(every, last + 1, every)) if killed else draw.randint(1, last)
        twin, run = (on_videos(base / f"clip-{number}-{name}") for name in ("twin", "run"))
        chosen = draw.randrange(CLIPS - 1)

        kill = (draw.randint(step, RECIPE["train"]["steps"] - 1), draw.random()) if killed else None
        assert lose_clip(twin, chosen, step, harm, None) == 0, twin.output
        rows[killed].add(run, lose_clip(run, chosen, step, harm, kill), twin)
    return rows


def rank_dies(base: Path, draw: random.Random) -> Row:
    """DeepSpeed's own launcher, two ranks, one killed once the run has a checkpoint."""
    import psutil

    undisturbed = Run(base / "two-ranks")
    assert undisturbed.finish(ranks=2) == 0, undisturbed.output
    run = Run(base / "rank-dies")
    launch = [sys.executable, "-m", "deepspeed.launcher.runner", "--num_accelerators", "2", "--master_addr"]
    launch += ["127.0.0.1", "--master_port", free_port(), "--module", "dysenvdm.training", str(run.file())]
    with (run.folder / "output.txt").open("ab") as output:
        launcher = subprocess.Popen(launch, stdout=output, stderr=output)
        while launcher.poll() is None and not list((run.run / "checkpoints").glob("step-*")):
            time.sleep(0.05)
        time.sleep(draw.uniform(0, 1))
        ranks = [
            child
            for child in psutil.Process(launcher.pid).children(recursive=True)
            if "--local_rank=1" in child.cmdline()
        ]
        for child in ranks:
            child.kill()
        code = launcher.wait()
    assert ranks, run.output
    assert code != 0, run.output
    row = Row("one rank of two dies")
    row.add(run, run.finish(ranks=2), undisturbed)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    import deepspeed  # noqa: F401 - all that takes its time is imported once, before the forks
    import torch.utils.tensorboard
    from matplotlib import figure  # noqa: F401

    import dysenvdm.data.videos
    import dysenvdm.training.autoencoder  # noqa: F401

    torch.set_num_threads(1)
    draw = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        undisturbed, counter = Run(base / "undisturbed"), base / "operations"
        started = time.perf_counter()
        assert undisturbed.finish(before=lambda: at_file_operation(-1, tell=counter)) == 0, undisturbed.output
        lasted = time.perf_counter() - started
        newest = sorted((undisturbed.run / "checkpoints").glob("step-*"))[-1]
        size = sum(path.stat().st_size for path in newest.iterdir())
        rows = killed(base, draw, arguments.kills, undisturbed, lasted, int(counter.read_text()))
        disk, how = full_disk(base, undisturbed, size)
        rows += [disk, cut_short(base, undisturbed), *clip_breaks(base, draw, arguments.kills), rank_dies(base, draw)]
    print("| fault | runs | came to their end | steps made twice (mean) | weights identical |\n|---|---|---|---|---|")
    print("\n".join(map(str, rows)))
    print(f"\nfull disk: {how}")
    every = RECIPE["log"]["checkpoint_every"]
    whole = all(row.runs == row.ended == row.identical for row in rows)
    sys.exit(0 if whole and max(max(row.made_twice) for row in rows) <= every else 1)


if __name__ == "__main__":
    main()
