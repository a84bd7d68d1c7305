"""The training loop, native DeepSpeed: one loop for every phase, one rank or many, resumable at any step.

A *phase* says what is trained: its module maps a prepared batch to a loss. The loop owns ranks, precision, optimizer,
EMA, logs and checkpoints. Everything random is seeded by the number of the sample drawn, so a resumed run repeats an
uninterrupted one, and the batch of a step is the same on any number of ranks.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from math import isfinite
from pathlib import Path
from typing import Any, Protocol

import torch
import torch.distributed as dist
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import Tensor, nn

from dysenvdm.data.corpora import Corpus
from dysenvdm.data.samples import Read, Sample
from dysenvdm.data.steps import Batch, Steps, step_loader
from dysenvdm.files import disk_trouble
from dysenvdm.progress import ProgressLines
from dysenvdm.training.activations import checkpoint_activations
from dysenvdm.training.batches import micro_batches
from dysenvdm.training.checkpoints import Checkpoints, check_best
from dysenvdm.training.ema import ExponentialMovingAverage, masters
from dysenvdm.training.groups import parameter_groups
from dysenvdm.training.logs import RunLog, check_installed, draw_curves, note_replaced
from dysenvdm.training.memory import lack_named, look_named
from dysenvdm.training.ranks import join_ranks
from dysenvdm.training.recipe import Recipe, load_recipe
from dysenvdm.training.run_folder import RunFolder
from dysenvdm.training.sections import TrainSection
from dysenvdm.training.stopping import Told, told_to_stop
from dysenvdm.training.throughput import Throughput
from dysenvdm.training.trial import try_largest
from dysenvdm.training.zero import initialize, offloads_optimizer, precision_of, without_hooks
from planners.dsg import UserError

console = Console(stderr=True)


class Phase(Protocol):
    """What a recipe's ``phase`` must bring. ``validate`` and what follows run on rank 0, with the averaged weights.

    One whose ``export`` heeds an attribute ``export_dtype`` can be exported in other precisions.
    """

    @property
    def source(self) -> Corpus:
        """The clips."""

    @property
    def read(self) -> Read:
        """Where samples of them come from."""

    def name(self, clip: int) -> str:
        """How people find the clip with that number."""

    @property
    def module(self) -> nn.Module:
        """Trained. ``module(**prepared)`` returns (loss, {name: value})."""

    def collate(self, samples: list[Sample]) -> dict[str, Any]:
        """What of a batch can be made without the GPU: it runs in the loader's processes."""

    def prepare(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Of what ``collate`` returned, the module's inputs, on its device; the same bits whatever came before."""

    def validate(self) -> dict[str, float]: ...

    def sheet(self) -> Any: ...

    def export(self, folder: Path, steps: int) -> None:
        """Write what the run is for, of weights that have learnt for ``steps``."""


def build_phase(recipe: Recipe, device: torch.device) -> Phase:
    """The phase that the recipe names; only its own modules are imported."""
    if recipe.phase == "autoencoder":
        from dysenvdm.training.autoencoder import AutoencoderPhase

        return AutoencoderPhase(recipe, device)
    if recipe.phase == "referee":
        from dysenvdm.training.referee import RefereePhase

        return RefereePhase(recipe, device)
    from dysenvdm.training.denoiser import DenoiserPhase

    return DenoiserPhase(recipe, device)


@disk_trouble()
def run(recipe_path: str | Path, overrides: list[str]) -> Path:
    """Train a recipe to its end, resuming where its run folder has a checkpoint; returns the exported model folder.

    Raises :class:`UserError` for a recipe that breaks a rule or a run folder that belongs to another recipe.
    """
    recipe = load_recipe(recipe_path, overrides)
    check_installed(recipe.log)
    rank, world, device = join_ranks(recipe.train.backend, recipe.train.timeout)
    micro_batches(recipe.train, world)
    claim = RunFolder(recipe, rank)
    torch.manual_seed(recipe.seed)
    phase = build_phase(recipe, device)
    check_enough(recipe, phase.source.clips, world)
    trainer = Trainer(recipe, phase, rank, world)
    trainer.resume()
    try:
        trainer.train()
    except KeyboardInterrupt:
        if rank == 0 and not trainer.stopped:
            console.print(f"stopped in step {trainer.step}; the same command resumes at the last checkpoint")
        raise
    folder = recipe.run / "model"
    trainer.export(folder)
    if rank == 0:
        draw_curves(recipe.run)
        console.print(f"exported to {folder}")
    dist.barrier()
    claim.release()
    return folder


def check_enough(recipe: Recipe, clips: int, world: int) -> None:
    """Raise :class:`UserError` where a finite corpus is smaller than the ranks or a batch need."""
    if not clips:
        return
    if clips < world:
        raise UserError(f"data: {clips} clips for {world} ranks; start at most {clips}")
    keys = ("batch_size", *(("stills_batch",) if recipe.train.stills else ()))
    for key in keys:
        if getattr(recipe.train, key) > clips:
            raise UserError(f"train.{key}: {getattr(recipe.train, key)} is more than the {clips} clips; lower it")


class Trainer:
    """One run: the phase's module inside a DeepSpeed engine, its average, its log."""

    def __init__(self, recipe: Recipe, phase: Phase, rank: int, world: int) -> None:
        device = next(phase.module.parameters()).device
        self.recipe, self.phase, self.rank, self.world = recipe, phase, rank, world
        micro, self.parts = micro_batches(recipe.train, world)
        self.precision = precision_of(recipe, device)
        if recipe.train.checkpoint_activations and not checkpoint_activations(phase.module):
            raise UserError(f"train.checkpoint_activations: phase {recipe.phase} has no layers for it; leave it out")
        optimizer = torch.optim.AdamW(
            parameter_groups(phase.module, recipe.train),
            betas=recipe.train.betas,
            fused=offloads_optimizer(recipe) or None,
        )
        self.seconds = 0.0
        """Time spent in steps, over all resumed parts."""
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: learning_rate_factor(step, recipe.train, self.seconds)
        )
        self.ema = ExponentialMovingAverage(
            phase.module, recipe.train.ema, recipe.train.ema_every, rank=rank, world=world
        )
        share = micro * self.parts
        self.lack_named = partial(lack_named, micro, share, checkpointed=recipe.train.checkpoint_activations)
        self.look_named = partial(look_named, recipe)
        with self.lack_named():
            self.engine = initialize(phase.module, optimizer, schedule, recipe, micro=micro, parts=self.parts)
        dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[self.precision]
        self.throughput = Throughput(device, dtype)
        self.step = 0
        self.stopped = False
        """Whether it was told to stop, and has saved its last step."""
        self.validation: dict[str, float] = {}
        """Of this step, where it was validated."""
        self.checkpoints = Checkpoints(recipe, self.engine, self.ema, rank=rank, world=world, precision=self.precision)

    # -- checkpoints -----------------------------------------------------------------------------------------------

    def resume(self) -> None:
        """Go on from the newest complete checkpoint of the run folder, if there is one."""
        self.step, self.seconds = self.checkpoints.restore()

    def checkpoint(self) -> None:
        """Save all of the run's state."""
        self.checkpoints.save(self.step, self.seconds, self.validation)

    # -- training --------------------------------------------------------------------------------------------------

    def train(self) -> None:
        """Run the steps that are left, logging, validating, drawing and saving as the recipe says.

        Told to stop by a signal, it saves the step in hand, and then does what the signal would have done at once.
        """
        recipe, stop = self.recipe, self.recipe.train.steps
        data = recipe.data
        steps = Steps(
            recipe.train.curriculum, seed=recipe.seed, rank=self.rank, world=self.world,
            clips=self.phase.source.clips, frames=data.frames, read=self.phase.read, buckets=self.phase.source.buckets,
        )  # fmt: skip
        with self.lack_named():
            if try_largest(self.engine, self.phase, steps, self.step, stop, self.parts):
                self.throughput.restart()
        with (
            closing(RunLog(recipe.run, writes=self.rank == 0, wandb=recipe.name if recipe.log.wandb else None)) as log,
            _progress(enabled=self.rank == 0) as progress,
            told_to_stop() as told,
        ):
            bar = progress.add_task(recipe.name, total=stop, completed=self.step, loss=float("nan"))
            loader = step_loader(
                steps, self.step, stop, workers=data.workers, collate=self.phase.collate, parts=self.parts
            )
            lap = time.perf_counter()
            for batches in loader:
                with self.lack_named():
                    values = self._optimize(batches)
                self.step += 1
                replaced = [name for batch in batches for name in batch.replaced]
                if replaced:
                    note_replaced(recipe.run, self.step, replaced)
                    console.print(
                        f"step {self.step}: cannot be read, another clip instead: {', '.join(replaced)}", soft_wrap=True
                    )
                lasted, self.stopped = self._lasted(lap, told)
                self.seconds += lasted
                over = done(self.step, recipe.train, self.seconds) == 1
                self.throughput.stepped(self.world * sum(len(batch.clips) for batch in batches), lasted)
                if self.step % recipe.log.every == 0:
                    speed = self.throughput.figures()
                    log.scalars(self.step, "train", {**values, "lr": self.engine.get_lr()[0], **speed})
                loss = values["loss"]
                progress.update(bar, completed=self.step, loss=loss, also=f", step {self.step}, loss {loss:.4f}")
                self._look(log, last=over)
                if over:
                    self.stopped = False
                    break
                if self.stopped:
                    break
                lap = time.perf_counter()

        if self.stopped:
            if self.rank == 0:
                console.print(f"told to stop: step {self.step} is saved, and the same command goes on from it")
            told.end()

    def _lasted(self, since: float, told: Told) -> tuple[float, bool]:
        """Seconds, rank 0's, and whether any rank was told to stop: the same on all, so that they end together."""
        seconds = time.perf_counter() - since if self.rank == 0 else 0.0
        said = torch.tensor([seconds, float(told.signal is not None)], device=self.engine.device)
        dist.all_reduce(said)
        return said[0].item(), said[1].item() > 0

    def _optimize(self, batches: list[Batch]) -> dict[str, float]:
        """One optimizer step over this rank's samples; returns the means of loss and logged values over all ranks.

        Raises :class:`UserError` before the optimizer's step where the loss is not finite, and right behind it, before
        anything is averaged or saved, where only the gradient is not.
        """
        self.engine.train()
        totals: dict[str, Tensor] = {}
        losses: list[Tensor] = []
        for i, batch in enumerate(batches, start=1):
            inputs = self.phase.prepare(batch.inputs)
            shape = tuple(value.shape for value in inputs.values() if isinstance(value, Tensor))
            with self.throughput.counting(shape):
                loss, values = self.engine(**inputs)
                losses.append(loss.detach())
                for name, value in {"loss": loss, **values}.items():
                    totals[name] = totals.get(name, 0) + value.detach().float() / self.parts
                if i == self.parts:
                    means = _to_host(_mean_of_ranks(torch.stack(list(totals.values())), self.world))
                self.engine.backward(loss)
            if i == self.parts:
                numbers = dict(zip(totals, means().tolist(), strict=True))
                numbers |= self._plain_gradient_norm()
                self._check_finite(numbers, batches, losses)
            self.engine.step()
        if self.engine.get_global_grad_norm() is not None:
            numbers["gradient_norm"] = float(self.engine.get_global_grad_norm())
            if self.precision != "fp16":  # whose loss scaling passes over steps that overflow
                self._check_finite(numbers, batches, losses)
        self.ema.update(self.phase.module, masters(self.engine.optimizer))
        return numbers

    def _plain_gradient_norm(self) -> dict[str, float]:
        """Before clipping, where DeepSpeed leaves the optimizer as it is and tells no norm: in fp32 without ZeRO."""
        if not isinstance(self.engine.optimizer, torch.optim.Optimizer):
            return {}
        gradients = [p.grad for p in self.phase.module.parameters() if p.grad is not None]
        return {"gradient_norm": torch.nn.utils.get_total_norm(gradients).item()}

    def _check_finite(self, numbers: dict[str, float], batches: list[Batch], losses: list[Tensor]) -> None:
        if all(isfinite(number) for number in numbers.values()):
            return
        bad = [batch for batch, loss in zip(batches, losses, strict=True) if not torch.isfinite(loss).all()]
        found: list[list[int]] = [[]] * self.world
        dist.all_gather_object(found, [clip for batch in bad for clip in batch.clips])
        if not any(found):  # each loss is finite, so the gradient is not, or a sum
            dist.all_gather_object(found, [clip for batch in batches for clip in batch.clips])
        clips = sorted(clip for clips in found for clip in clips)
        names = ", ".join(dict.fromkeys(map(self.phase.name, clips)))
        raise UserError(
            f"step {self.step}: {numbers} is not finite on clips {clips} ({names}); nothing of this step was saved: "
            f"look at these clips, or lower train.lr, and resume by the same command"
        )

    def _look(self, log: RunLog, *, last: bool) -> None:
        recipe, due = self.recipe.log, lambda every: last or self.step % every == 0
        self.validation = {}
        if due(recipe.validate_every) or due(recipe.sample_every):
            with self.averaged():
                if self.rank == 0 and due(recipe.validate_every):
                    with self.look_named("validation"):
                        self.validation = self.phase.validate()
                    log.scalars(self.step, "validation", self.validation)
                    check_best(recipe.keep_best, self.validation)
                if self.rank == 0 and due(recipe.sample_every):
                    with self.look_named("the sample sheet"):
                        sheet = self.phase.sheet()
                    log.sheet(self.step, sheet)
                dist.barrier()
        if due(recipe.checkpoint_every) or self.stopped:
            self.checkpoint()

    def export(self, folder: Path) -> None:
        """What the run is for, from the averages; the end of training."""
        self.engine.eval()
        with without_hooks(self.engine), self.ema.applied(self.phase.module, in_fp32=True):
            if self.rank == 0:
                self.phase.export(folder, self.step)
            dist.barrier()

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Within the block the phase's module is in evaluation mode and has the averaged weights, whole.

        All ranks must enter and leave it; within, each may do without the others.
        """
        self.engine.eval()
        with without_hooks(self.engine), self.ema.applied(self.phase.module):
            yield


def done(step: int, train: TrainSection, seconds: float = 0.0) -> float:
    """How much of a run is over, of its steps or of its time, in [0, 1]."""
    return min(1.0, max(step / train.steps, seconds / (60 * train.minutes) if train.minutes else 0.0))


def learning_rate_factor(step: int, train: TrainSection, seconds: float = 0.0) -> float:
    """Warm-up, plateau, linear fall to zero: the factor of ``lr`` at a step."""
    left, fall = 1 - done(step, train, seconds), max(train.cooldown, 1 / train.steps)
    return max(0.0, min(1.0, (step + 1) / (train.warmup + 1), left / fall))


def _mean_of_ranks(values: Tensor, world: int) -> Tensor:
    dist.all_reduce(values)
    return values / world


def _to_host(values: Tensor) -> Callable[[], Tensor]:
    """Start a copy off the GPU; the result waits for that copy alone, not for what was asked of the GPU since."""
    if not values.is_cuda:
        return lambda: values
    copied, host = torch.cuda.Event(), torch.empty(values.shape, pin_memory=True)
    host.copy_(values, non_blocking=True)
    copied.record()

    def waited() -> Tensor:
        copied.synchronize()
        return host

    return waited


def _progress(*, enabled: bool) -> Progress:
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("loss {task.fields[loss]:.4f}"),
        TimeElapsedColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    if console.is_terminal or not enabled:
        return Progress(*columns, console=console, disable=not enabled)
    return ProgressLines(*columns, console=console, disable=True)
