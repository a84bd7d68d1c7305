"""Logs of a run, written by rank 0: JSON lines, TensorBoard, sample sheets and curves as PNG."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dysenvdm.files import disk_trouble
from dysenvdm.training.sections import LogSection
from planners.dsg import UserError

if TYPE_CHECKING:
    from PIL.Image import Image


class RunLog:
    """``log.jsonl``, ``tensorboard/`` and ``samples/step-000500.png`` in a run's folder; other ranks write nothing.

    ``board=False`` leaves out TensorBoard; with ``wandb``, a run's name, Weights & Biases writes into ``wandb/`` beside
    them, offline.
    """

    def __init__(self, folder: Path, *, writes: bool, board: bool = True, wandb: str | None = None) -> None:
        self.folder, self.writes = folder, writes
        self._board: Any = None
        if writes:
            folder.mkdir(parents=True, exist_ok=True)
            for name in ("log.jsonl", "replaced.jsonl"):
                _drop_half_line(folder / name)
            self._file = (folder / "log.jsonl").open("a", encoding="utf-8", buffering=1)
        if writes and board:
            from torch.utils.tensorboard import SummaryWriter

            self._board = SummaryWriter(str(folder / "tensorboard"))
        self._wandb = _open_wandb(folder, wandb) if writes and wandb else None

    def scalars(self, step: int, kind: str, values: dict[str, float]) -> None:
        """One line ``{"step", "kind", "time", ...values}`` and a TensorBoard point per value."""
        if not self.writes:
            return
        rounded = {name: float(f"{value:.6g}") for name, value in values.items()}
        line = json.dumps({"step": step, "kind": kind, "time": round(time.time(), 2), **rounded}) + "\n"
        with disk_trouble(self.folder / "log.jsonl"):
            self._file.write(line)
        if self._board:
            with disk_trouble(self.folder / "tensorboard"):
                for name, value in values.items():
                    self._board.add_scalar(f"{kind}/{name}", value, step)
        if self._wandb:
            self._wandb.log({f"{kind}/{name}": value for name, value in values.items()}, step=step)

    def sheet(self, step: int, image: Image) -> None:
        if self.writes:
            (self.folder / "samples").mkdir(exist_ok=True)
            path = self.folder / "samples" / f"step-{step:06d}.png"
            with disk_trouble(path):
                image.save(path)

    def close(self) -> None:
        if self.writes:
            with disk_trouble(self.folder / "log.jsonl"):
                self._file.close()
        if self._board:
            with disk_trouble(self.folder / "tensorboard"):
                self._board.close()
        if self._wandb:
            self._wandb.finish()


def check_installed(log: LogSection) -> None:
    """Raise :class:`UserError` where the log section asks for what is not installed."""
    if log.wandb and find_spec("wandb") is None:
        raise UserError("log.wandb: the package wandb is not installed; run: pip install wandb, or leave it out")


def _open_wandb(folder: Path, name: str) -> Any:
    # Whatever a user's own settings say: nothing here calls out. The package looks at the second when it is imported.
    os.environ |= {"WANDB_MODE": "offline", "WANDB_ERROR_REPORTING": "false"}
    import wandb

    return wandb.init(project="dysenvdm", name=name, dir=folder, mode="offline", id=name, resume="allow")


def _drop_half_line(path: Path) -> None:
    """A process that was killed may have left the beginning of a line."""
    if path.exists():
        text = path.read_bytes()
        os.truncate(path, text.rfind(b"\n") + 1)


def note_replaced(folder: Path, step: int, clips: Sequence[str]) -> None:
    """Add clips that could not be read, by name and reason, to ``replaced.jsonl``; any rank may."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "replaced.jsonl").open("a", encoding="utf-8") as file:
        file.writelines(json.dumps({"step": step, "clip": clip}) + "\n" for clip in clips)


def read_log(folder: Path) -> list[dict[str, Any]]:
    """The lines of a run's ``log.jsonl``; of steps repeated after a resume only the last."""
    text = (folder / "log.jsonl").read_text(encoding="utf-8")
    lines = [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]  # a kill may leave half a line
    return list({(line["kind"], line["step"]): line for line in lines}.values())


def draw_curves(folder: Path) -> None:
    """Write ``curves.png``: every logged value over the steps, a panel each; training losses also smoothed."""
    from matplotlib.figure import Figure

    lines = read_log(folder)
    panels = [
        (kind, name, [(line["step"], line[name]) for line in lines if line["kind"] == kind])
        for kind in ("train", "validation")
        for name in next((line for line in lines if line["kind"] == kind), {})
        if name not in ("step", "kind", "time")
    ]
    columns = 4
    figure = Figure(figsize=(4 * columns, 2.6 * -(-len(panels) // columns)), layout="constrained")
    axes = figure.subplots(-(-len(panels) // columns), columns, squeeze=False)
    for axis in axes.flat[len(panels) :]:
        axis.remove()
    for axis, (kind, name, points) in zip(axes.flat, panels, strict=False):
        steps, values = zip(*points, strict=True)
        axis.plot(steps, values, color="#9ecae1" if kind == "train" else "#d55e00", linewidth=1)
        if kind == "train" and name not in ("lr", "seconds_per_step"):
            axis.plot(steps, _smoothed(values), color="#08519c", linewidth=1.5)
        axis.set_title(f"{kind}: {name}", fontsize=10)
        axis.grid(alpha=0.3)
    figure.savefig(folder / "curves.png", dpi=80)


def _smoothed(values: Sequence[float], keep: float = 0.9) -> list[float]:
    """A running mean that forgets; its beginning is the mean of what there is."""
    result, total, weight = [], 0.0, 0.0
    for value in values:
        total, weight = keep * total + value, keep * weight + 1
        result.append(total / weight)
    return result
