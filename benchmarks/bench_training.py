"""What the training loop costs, in pairs: over a plain PyTorch loop, per ZeRO stage, and for activation checkpointing.

The twin is a loop as one would write it down: forward, backward, clip, AdamW, average. Both train the same batch of the
same model; once the optimizer's steps alone, once with a loader's process, the log and all that a run does between. On
a GPU also samples per second, memory and MFU, of stage-tiny and of the 1.4 B backbone at 16 x 256 x 256.
"""

from __future__ import annotations

import atexit
import copy
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from shutil import rmtree
from tempfile import mkdtemp
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.rows import Row, paired_ratios, seconds

PAIRS = 9
STEPS, RUN_STEPS = 4, 20
"""Optimizer steps on each side of a pair; those of runs, whose loaders need to start."""
CPU_SIZE = "nano"
"""What is measured on a CPU, and of ZeRO and activation checkpointing everywhere."""
OVERHEAD = 1.05
MFU = 40.0


def run() -> list[Row]:
    from dysenvdm.training.ranks import join_ranks

    _, _, device = join_ranks()
    rows = [*_overhead(device), *_whole_run(device), *_stages(device), *_checkpointing(device)]
    if device.type == "cuda":
        rows += _on_gpu(device)
    return rows


class FixedPhase:
    """One batch over and over, so that steps differ in nothing but who takes them."""

    def __init__(self, module: nn.Module, inputs: dict[str, Any]) -> None:
        self.module, self.inputs = module, inputs

    def prepare(self, inputs: dict[str, Any]) -> dict[str, Any]:
        return inputs

    def name(self, clip: int) -> str:
        return str(clip)


class ReadPhase(FixedPhase):
    """The same batch, which a loader's process hands over in every step."""

    source = SimpleNamespace(clips=0, buckets=None)

    def __init__(self, module: nn.Module, inputs: dict[str, Any]) -> None:
        super().__init__(module, inputs)
        self.device = next(module.parameters()).device
        self.host = _moved(inputs, torch.device("cpu"))

    def read(self, clip: int, draw: int, _rng: Any) -> Any:
        from dysenvdm.data.samples import Sample
        from planners.dsg import DynamicSceneGraph

        return Sample(draw, clip, "", (), DynamicSceneGraph(ticks=1), np.zeros((1, 0, 0), bool), (), None)

    def collate(self, _samples: Any) -> dict[str, Any]:
        return self.host

    def prepare(self, inputs: dict[str, Any]) -> dict[str, Any]:
        return _moved(inputs, self.device)


def _moved(inputs: dict[str, Any], device: torch.device) -> dict[str, Any]:
    return {name: value.to(device) if hasattr(value, "to") else value for name, value in inputs.items()}


class PlainLoop:
    """The obvious twin of one rank without ZeRO, in fp32, or on GPUs in bf16 with fp32 weights kept beside."""

    def __init__(self, module: nn.Module, inputs: dict[str, Any], train: Any) -> None:
        self.module, self.inputs, self.train = module, inputs, train
        device = next(module.parameters()).device
        self.computes: list[Tensor] = [p for p in module.parameters() if p.requires_grad]
        self.masters = [p.detach().float().clone() for p in self.computes]
        if device.type == "cuda":
            module.to(torch.bfloat16)
        self.low = device.type == "cuda"
        stepped = self.masters if self.low else self.computes
        self.optimizer = torch.optim.AdamW(stepped, lr=train.lr, betas=train.betas, weight_decay=train.weight_decay)
        self.averages = [p.detach().float().clone() for p in self.computes]

    def step(self, inputs: dict[str, Any] | None = None) -> float:
        loss, _ = self.module(**(inputs or self.inputs))
        loss.backward()
        if self.low:
            for master, parameter in zip(self.masters, self.computes, strict=True):
                master.grad, parameter.grad = cast(Tensor, parameter.grad).float(), None
        stepped = self.masters if self.low else self.computes
        nn.utils.clip_grad_norm_(stepped, self.train.clip)
        self.optimizer.step()
        self.optimizer.zero_grad()
        with torch.no_grad():
            if self.low:
                torch._foreach_copy_(self.computes, self.masters)
            torch._foreach_lerp_(self.averages, [p.detach() for p in stepped], 1 - self.train.ema)
        return float(loss.detach())


def _trainer(phase: FixedPhase, **settings: Any) -> Any:
    """Our loop around that phase, with nothing to read and nothing to write."""
    from dysenvdm.training.loop import Trainer

    return Trainer(_recipe(**settings), cast(Any, phase), 0, 1)


def _recipe(zero: dict[str, Any] | None = None, *, batch: int = 4, checkpointed: bool = False) -> Any:
    from dysenvdm.training.recipe import Recipe

    run = mkdtemp(prefix="dysenvdm-bench-")  # DeepSpeed's configuration is left there
    atexit.register(rmtree, run)
    train = {"steps": 10**6, "batch_size": batch, "lr": 1e-6, "checkpoint_activations": checkpointed}
    return Recipe.model_validate(
        {
            "name": "bench", "phase": "denoiser", "run": run, "model": {"preset": "nano", "vae": "none"},
            "train": train, "deepspeed": {"zero_optimization": zero or {"stage": 0}},
        }
    )  # fmt: skip


def _steps(trainer: Any, phase: FixedPhase, batch: int, count: int = STEPS) -> Callable[[], None]:
    from dysenvdm.data.steps import Batch

    batches = [Batch(tuple(range(batch)), phase.inputs)]

    def steps() -> None:
        for _ in range(count):
            trainer._optimize(batches)
        _wait()

    return steps


def denoiser(
    size: str, device: torch.device, batch: int, frames: int = 16, pixels: int = 64, width: int = 384
) -> tuple[nn.Module, dict[str, Any]]:
    """The loss of a denoiser with random weights, ``full`` for the 1.4 B backbone, and a batch for it."""
    from diffusers import UNet3DConditionModel
    from torch.nn.functional import normalize

    from benchmarks.random_backbone import UNETS
    from dysenvdm.backbones import build_unet, flatten_temporal_convolutions
    from dysenvdm.scene_attention import SceneAdapter
    from dysenvdm.scene_tensors import SceneTensors
    from dysenvdm.stage import sample
    from dysenvdm.training.denoiser import DenoiserLoss
    from dysenvdm.training.networks import build_scheduler
    from dysenvdm.training.sections import LossSection

    torch.manual_seed(0)
    full = size == "full"
    with device:
        unet = UNet3DConditionModel(**UNETS["full"]) if full else build_unet(size)
    flatten_temporal_convolutions(unet)
    adapter = SceneAdapter.for_unet(unet, label_dim=width).to(device)
    embed = lambda labels: normalize(torch.randn(len(labels), width), dim=-1)  # noqa: E731
    scene = SceneTensors.from_dsgs([sample(i).dsg for i in range(batch)], embed, adapter.positions)
    loss = DenoiserLoss(unet, adapter, build_scheduler().alphas_cumprod, LossSection()).to(device)
    side = pixels // (8 if full else 4)
    latents = torch.randn(batch, 4, frames, side, side, device=device)
    inputs = {
        "latents": latents, "noise": torch.randn_like(latents), "num_frames": frames,
        "timesteps": torch.randint(1000, (batch,), device=device),
        "text": torch.randn(batch, 77, width, device=device), "scene": scene.to(device),
        "foreground": torch.ones(batch, frames, side, side, dtype=torch.bool, device=device),
        "shown": torch.arange(frames, device=device).expand(batch, -1),
    }  # fmt: skip
    return loss, inputs


def _overhead(device: torch.device) -> list[Row]:
    batch = 32 if device.type == "cuda" else 4
    size = "tiny" if device.type == "cuda" else CPU_SIZE
    module, inputs = denoiser(size, device, batch)
    plain = PlainLoop(copy.deepcopy(module), inputs, _recipe(batch=batch).train)
    phase = FixedPhase(module, inputs)
    ours = _steps(_trainer(phase, batch=batch), phase, batch)

    def twin() -> None:
        for _ in range(STEPS):
            plain.step()
        _wait()

    return [Row(f"{size}: a step of our loop / of a plain one", "", paired_ratios(ours, twin, PAIRS), OVERHEAD)]


def _whole_run(device: torch.device) -> list[Row]:
    """Loader, log, progress and what ranks tell each other included; validation, sheets and checkpoints are not."""
    from dysenvdm.data.steps import Curriculum, Steps, step_loader

    batch = 32 if device.type == "cuda" else 4
    size = "tiny" if device.type == "cuda" else CPU_SIZE
    module, inputs = denoiser(size, device, batch)
    plain, phase = PlainLoop(copy.deepcopy(module), inputs, _recipe(batch=batch).train), ReadPhase(module, inputs)
    trainer = _trainer(phase, batch=batch)
    trainer._look = lambda *_, **__: None

    def ours() -> None:
        train = trainer.recipe.train.model_copy(update={"steps": trainer.step + RUN_STEPS})
        trainer.recipe = trainer.recipe.model_copy(update={"train": train})
        trainer.train()
        _wait()

    steps = Steps(Curriculum(batch), seed=0, rank=0, world=1, clips=0, frames=1, read=phase.read)
    log = trainer.recipe.run / "plain.jsonl"

    def twin() -> None:
        for number, [part] in enumerate(step_loader(steps, 0, RUN_STEPS, workers=1, collate=phase.collate), 1):
            loss = plain.step(_moved(part.inputs, device))
            if number % trainer.recipe.log.every == 0:
                with log.open("a") as file:
                    file.write(json.dumps({"step": number, "loss": loss}) + "\n")
        _wait()

    name = f"{size}: {RUN_STEPS} steps of a run / of a plain loop with a loader"
    return [Row(name, "", paired_ratios(ours, twin, PAIRS), OVERHEAD)]


def _stages(device: torch.device) -> list[Row]:
    """One rank: what the stages' own work costs, without what the ranks of a node tell each other."""
    sides = {}
    for stage in range(4):
        module, inputs = denoiser(CPU_SIZE, device, 4)
        phase = FixedPhase(module, inputs)
        sides[stage] = _steps(_trainer(phase, zero={"stage": stage}), phase, 4, count=2)
    return [
        Row(
            f"{CPU_SIZE}: a step of ZeRO {stage} / of ZeRO 0, one rank",
            "",
            paired_ratios(sides[stage], sides[0], PAIRS),
        )
        for stage in (1, 2, 3)
    ]


def _checkpointing(device: torch.device) -> list[Row]:
    """Time of a step, and what is kept for the backward pass, with activation checkpointing over without."""
    from dysenvdm.training.activations import checkpoint_activations

    plain, inputs = denoiser(CPU_SIZE, device, 4)
    checkpointed = copy.deepcopy(plain)
    checkpoint_activations(checkpointed)

    def steps(module: nn.Module) -> Callable[[], None]:
        def step() -> None:
            module(**inputs)[0].backward()
            _wait()

        return step

    times = paired_ratios(steps(checkpointed), steps(plain), PAIRS)
    kept = [_kept_bytes(module, inputs) for module in (checkpointed, plain)]
    return [
        Row(f"{CPU_SIZE}: a step with activation checkpointing / without", "", times),
        Row(f"{CPU_SIZE}: kept for the backward pass, with it / without", "", (kept[0] / kept[1],)),
    ]


def _kept_bytes(module: nn.Module, inputs: dict[str, Any]) -> int:
    """Of tensors that autograd keeps between forward and backward pass, weights aside."""
    weights = {p.untyped_storage().data_ptr() for p in module.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss, _ = module(**inputs)
    del loss
    return sum(size for place, size in kept.items() if place not in weights)


def _on_gpu(device: torch.device) -> list[Row]:
    tiny = _measured("stage-tiny", device, batch=64, size="tiny")
    return tiny + _measured(
        "1.4 B at 16x256x256", device, batch=8, size="full", pixels=256, width=1024, checkpointed=True, bound=MFU
    )


def _measured(
    name: str, device: torch.device, *, batch: int, checkpointed: bool = False, bound: float | None = None, **model: Any
) -> list[Row]:
    module, inputs = denoiser(device=device, batch=batch, **model)
    phase = FixedPhase(module, inputs)
    with _freed():
        trainer = _trainer(phase, batch=batch, checkpointed=checkpointed, zero={"stage": 1})
        steps = _steps(trainer, phase, batch, count=2)
        steps()
        steps()
        found: list[dict[str, float]] = []
        for _ in range(PAIRS):
            trainer.throughput.restart()
            trainer.throughput.stepped(2 * batch, seconds(steps))
            found.append(trainer.throughput.figures())
        del trainer
    figures = {key: tuple(one[key] for one in found) for key in found[0]}
    return [
        Row(f"{name}, batch {batch}: samples", "/s", figures["samples_per_second"]),
        Row(f"{name}, batch {batch}: memory peak", "GB", figures["memory_gb"]),
        Row(
            f"{name}, batch {batch}: MFU of the measured matmul peak", "%",
            tuple(100 * mfu for mfu in figures["mfu"]), bound, at_least=True,
        ),
    ]  # fmt: skip


@contextmanager
def _freed() -> Iterator[None]:
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    yield
    torch.cuda.empty_cache()


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
