"""The training loop, native DeepSpeed: one loop for every phase, one rank or many, resumable at any step.

A *phase* says what is trained: its module maps a prepared batch to a loss. The loop owns ranks, precision, optimizer,
EMA, logs and checkpoints. Everything random is seeded by the number of the sample drawn, so a resumed run repeats an
uninterrupted one, and the batch of a step is the same on any number of ranks.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Protocol

import torch
import torch.distributed as dist
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import Tensor, nn

from dysenvdm.data.samples import Read, Sample
from dysenvdm.data.steps import Batch, Steps, step_loader
from dysenvdm.training.ema import ExponentialMovingAverage
from dysenvdm.training.logs import RunLog, draw_curves
from dysenvdm.training.ranks import join_ranks
from dysenvdm.training.recipe import Recipe, check_run_folder, load_recipe, write_recipe
from dysenvdm.training.sections import TrainSection
from dysenvdm.training.zero import without_hooks
from planners.dsg import UserError

console = Console(stderr=True)


class Phase(Protocol):
    """What a recipe's ``phase`` must bring. ``validate`` and what follows run on rank 0, with the averaged weights."""

    @property
    def read(self) -> Read:
        """Where samples come from."""

    @property
    def module(self) -> nn.Module:
        """Trained. ``module(**prepared)`` returns (loss, {name: value})."""

    def collate(self, samples: list[Sample]) -> dict[str, Any]:
        """What of a batch can be made without the GPU: it runs in the loader's processes."""

    def prepare(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Of what ``collate`` returned, the module's inputs, on its device."""

    def validate(self) -> dict[str, float]: ...

    def sheet(self) -> Any: ...

    def export(self, folder: Path) -> None: ...


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


def run(recipe_path: str | Path, overrides: list[str]) -> Path:
    """Train a recipe to its end, resuming where its run folder has a checkpoint; returns the exported model folder.

    Raises :class:`UserError` for a recipe that breaks a rule or a run folder that belongs to another recipe.
    """
    recipe = load_recipe(recipe_path, overrides)
    rank, world, device = join_ranks()
    if recipe.train.batch_size % world:
        raise UserError(
            f"train.batch_size: {recipe.train.batch_size} cannot be shared by {world} ranks; use a multiple"
        )
    _claim_run_folder(recipe, rank)
    torch.manual_seed(recipe.seed)
    phase = build_phase(recipe, device)
    trainer = Trainer(recipe, phase, rank, world)
    trainer.resume()
    trainer.train()
    folder = recipe.run / "model"
    trainer.export(folder)
    if rank == 0:
        draw_curves(recipe.run)
        console.print(f"exported to {folder}")
    dist.barrier()
    return folder


class Trainer:
    """One run: the phase's module inside a DeepSpeed engine, its average, its log."""

    def __init__(self, recipe: Recipe, phase: Phase, rank: int, world: int) -> None:
        import deepspeed

        self.recipe, self.phase, self.rank, self.world = recipe, phase, rank, world
        share = recipe.train.batch_size // world
        micro = min(recipe.train.micro_batch or share, share)
        if share % micro:
            raise UserError(f"train.micro_batch: {micro} does not divide the {share} samples of a rank")
        self.parts = share // micro
        if recipe.train.stills and recipe.train.stills_batch % (world * self.parts):
            raise UserError(
                f"train.stills_batch: {recipe.train.stills_batch} cannot be shared by {world} ranks with {self.parts} "
                f"micro-batches each; use a multiple of {world * self.parts}"
            )
        self.precision = _precision(recipe.train)
        trained = [p for p in phase.module.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(
            trained, lr=recipe.train.lr, betas=recipe.train.betas, weight_decay=recipe.train.weight_decay
        )
        self.seconds = 0.0
        """Time spent in steps, over all resumed parts."""
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: learning_rate_factor(step, recipe.train, self.seconds)
        )
        self.ema = ExponentialMovingAverage(
            phase.module, recipe.train.ema, recipe.train.ema_every, rank=rank, world=world
        )
        self.engine, *_ = deepspeed.initialize(
            model=phase.module, optimizer=optimizer, lr_scheduler=schedule, config=self._deepspeed_config(micro)
        )
        self.step = 0

    def _deepspeed_config(self, micro: int) -> dict[str, Any]:
        return {
            "train_micro_batch_size_per_gpu": micro,
            "gradient_accumulation_steps": self.parts,
            "gradient_clipping": self.recipe.train.clip,
            # The loop looks at the loss itself, and names the clips. (Stage 0 looks all the same, weight by weight.)
            "bf16": {"enabled": self.precision == "bf16", "check_grad_overflow": False},
            "zero_allow_untested_optimizer": True,
            **self.recipe.deepspeed,
        }

    # -- checkpoints -----------------------------------------------------------------------------------------------

    def resume(self) -> None:
        """Load the newest complete checkpoint of the run folder, if there is one."""
        folder = self.recipe.run / "checkpoints"
        if not (folder / "latest").exists():
            return
        _, state = self.engine.load_checkpoint(str(folder))
        self.step, self.seconds = state["step"], state["seconds"]
        shares = sorted((folder / (folder / "latest").read_text()).glob("ema-rank*.pt"))
        self.ema.load_state_dict([torch.load(path, map_location="cpu", weights_only=True) for path in shares])
        if self.rank == 0:
            console.print(f"resuming {self.recipe.name} at step {self.step}")

    def checkpoint(self) -> None:
        """Save all of the run's state; DeepSpeed names it ``latest`` only when every rank has written."""
        folder = self.recipe.run / "checkpoints"
        state, tag = {"step": self.step, "seconds": self.seconds}, f"step-{self.step:07d}"
        (folder / tag).mkdir(parents=True, exist_ok=True)
        torch.save(self.ema.state_dict(), folder / tag / f"ema-rank{self.rank:05d}.pt")
        self.engine.save_checkpoint(str(folder), tag=tag, client_state=state)
        if self.rank == 0:
            for old in sorted(folder.glob("step-*"))[: -self.recipe.log.keep]:
                shutil.rmtree(old)

    # -- training --------------------------------------------------------------------------------------------------

    def train(self) -> None:
        """Run the steps that are left, logging, validating, drawing and saving as the recipe says."""
        recipe, stop = self.recipe, self.recipe.train.steps
        data = recipe.data
        steps = Steps(
            recipe.train.curriculum, seed=recipe.seed, rank=self.rank, world=self.world, clips=data.clips,
            frames=data.frames, read=self.phase.read,
        )  # fmt: skip
        started = time.perf_counter()
        with closing(RunLog(recipe.run, writes=self.rank == 0)) as log, _progress(enabled=self.rank == 0) as progress:
            bar = progress.add_task(recipe.name, total=stop, completed=self.step, loss=float("nan"))
            loader = step_loader(
                steps, self.step, stop, workers=data.workers, collate=self.phase.collate, parts=self.parts
            )
            lap = time.perf_counter()
            for batches in loader:
                values = self._optimize(batches)
                self.step += 1
                self.seconds += self._lasted(lap)
                over = done(self.step, recipe.train, self.seconds) == 1
                if self.step % recipe.log.every == 0:
                    seconds, started = (time.perf_counter() - started) / recipe.log.every, time.perf_counter()
                    rate = self.engine.get_lr()[0]
                    log.scalars(self.step, "train", {**values, "lr": rate, "seconds_per_step": seconds})
                progress.update(bar, completed=self.step, loss=values["loss"])
                self._look(log, last=over)
                if over:
                    break
                lap = time.perf_counter()

    def _lasted(self, since: float) -> float:
        """Seconds, rank 0's on all ranks, so that all stop together."""
        seconds = torch.tensor(time.perf_counter() - since, device=self.engine.device)
        dist.broadcast(seconds, 0)
        return seconds.item()

    def _optimize(self, batches: list[Batch]) -> dict[str, float]:
        """One optimizer step over this rank's samples; returns the means of loss and logged values over all ranks."""
        self.engine.train()
        totals: dict[str, Tensor] = {}
        for batch in batches:
            loss, values = self.engine(**self.phase.prepare(batch.inputs))
            self.engine.backward(loss)
            self.engine.step()
            for name, value in {"loss": loss, **values}.items():
                totals[name] = totals.get(name, 0) + value.detach().float() / self.parts
        self.ema.update(self.phase.module)
        means = torch.stack(list(totals.values()))
        dist.all_reduce(means)
        numbers = dict(zip(totals, (means / self.world).tolist(), strict=True))
        if not torch.isfinite(means).all():
            clips = [clip for batch in batches for clip in batch.clips]
            raise UserError(f"step {self.step}: {numbers} is not finite on clips {clips}; lower train.lr and resume")
        return numbers

    def _look(self, log: RunLog, *, last: bool) -> None:
        recipe, due = self.recipe.log, lambda every: last or self.step % every == 0
        if due(recipe.validate_every) or due(recipe.sample_every):
            with self.averaged():
                if self.rank == 0 and due(recipe.validate_every):
                    log.scalars(self.step, "validation", self.phase.validate())
                if self.rank == 0 and due(recipe.sample_every):
                    log.sheet(self.step, self.phase.sheet())
                dist.barrier()
        if due(recipe.checkpoint_every):
            self.checkpoint()

    def export(self, folder: Path) -> None:
        """What the run is for, from the averages; the end of training."""
        self.engine.eval()
        with without_hooks(self.engine), self.ema.applied(self.phase.module, in_fp32=True):
            if self.rank == 0:
                self.phase.export(folder)
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


def _precision(train: TrainSection) -> str:
    if train.precision != "auto":
        return train.precision
    return "bf16" if torch.cuda.is_available() else "fp32"


def _claim_run_folder(recipe: Recipe, rank: int) -> None:
    """Write the resolved recipe into the run folder; refuse a folder that holds a run of something else."""
    check_run_folder(recipe, recipe.run, ("name", "phase", "seed", "data", "model", "scene"))
    dist.barrier()
    if rank == 0:
        write_recipe(recipe, recipe.run)
    dist.barrier()


def _progress(*, enabled: bool) -> Progress:
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("loss {task.fields[loss]:.4f}"),
        TimeElapsedColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    return Progress(*columns, console=console, disable=not enabled)
