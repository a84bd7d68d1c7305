"""The readers of files that come from elsewhere, each with valid files to begin with and a way to harm them.

A reader takes a file as a user's command would, up to where its content is used. It may raise what is documented
(:data:`DOCUMENTED`), nothing else.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from random import Random
from typing import Any, Literal

from benchmarks.fuzz_mutations import (
    RECIPE_ROOM,
    Mutation,
    mutated_json,
    mutated_mp4,
    mutated_safetensors,
    mutated_yaml,
)
from dysenvdm.airgap.installer.layout import MANIFEST, BundleError, Payload, read_manifest
from dysenvdm.data.decoding import UndecodableError
from planners.demonstrations import demonstrations
from planners.dsg import DynamicSceneGraph, UserError

DOCUMENTED = (UserError, BundleError, UndecodableError)


@dataclass(frozen=True)
class Reader:
    """``valid`` makes the files that are harmed; ``read`` takes one and a folder to write to, which ``prepare`` may
    fill once."""

    kind: Literal["texts", "files"]
    valid: Callable[[], list[bytes]]
    mutated: Mutation
    read: Callable[[bytes, Path], object]
    prepare: Callable[[Path], object] = lambda _: None


# -- texts ---------------------------------------------------------------------------------------------------------


@cache
def _graphs() -> list[DynamicSceneGraph]:
    from dysenvdm.stage import sample

    return [sample(seed, ticks=6).dsg for seed in range(4)]


def _read_graph(data: bytes, folder: Path) -> None:
    del folder
    graph = DynamicSceneGraph.from_json(data)
    assert DynamicSceneGraph.from_json(graph.to_json()) == graph, "is not read as it is written"
    graph.to_json().encode()
    graph.segments()


def _manifests() -> list[bytes]:
    digest = "0" * 64
    files = [
        {"path": path, "size": 3, "sha256": digest, "kind": kind, "source": "here", "revision": "1", "licence": "MIT"}
        for path, kind in (
            ("wheels/tiny-1.0-py3-none-any.whl", "wheel"),
            ("models/tiny/model.safetensors", "model"),
            ("requirements.lock", "lock"),
            ("docs/index.md", "document"),
            ("install.py", "installer"),
        )
    ]
    package = {
        "name": "tiny",
        "version": "1.0",
        "file": "wheels/tiny-1.0-py3-none-any.whl",
        "licence": "MIT",
        "installed_size": 10,
        "requires": ["torch"],
    }
    model = {"name": "tiny", "folder": "models/tiny", "source": "here", "licence": "MIT", "sha256": digest}
    whole = {
        "format": "dysenvdm.bundle/1",
        "name": "dysenvdm",
        "version": "0.1.0",
        "created": "2026-01-01",
        "target": {"python": "3.11", "machine": "x86_64", "platforms": ["manylinux_2_31_x86_64"]},
        "extras": ["serve"],
        "packages": [package],
        "models": [model],
        "files": files,
        "volumes": None,
    }
    parts = [{"path": f"volumes/000{i}.part", "size": 6, "sha256": digest} for i in (1, 2)]
    return [json.dumps(each).encode() for each in (whole, whole | {"volumes": {"size": 6, "parts": parts}})]


def _read_bundle(data: bytes, folder: Path) -> None:
    (folder / MANIFEST).write_bytes(data)
    Payload(folder, read_manifest(folder)).on_disk()


def _recipes() -> list[bytes]:
    root = Path(str(files("recipes")))
    return [path.read_bytes() for path in sorted(root.rglob("*.yaml"))]


def _with_deepspeed(folder: Path) -> None:
    """The settings that recipes name; they lie beside them."""
    shutil.copyfile(str(files("recipes").joinpath("backbone", "deepspeed.json")), folder / "deepspeed.json")


def _read_training_recipe(data: bytes, folder: Path) -> None:
    """As ``dysenvdm train`` does."""
    from dysenvdm.studies.planner_recipes import FinetuneRecipe
    from dysenvdm.studies.reinforced_planning import ReinforceRecipe
    from dysenvdm.training.recipe import load_recipe, read_recipe, validated

    path = folder / "recipe.yaml"
    path.write_bytes(data)
    phase = read_recipe(path, []).get("phase")
    if phase == "finetune":
        validated(path, read_recipe(path, []), FinetuneRecipe)
    elif phase == "reinforce":
        validated(path, read_recipe(path, []), ReinforceRecipe)
    else:
        load_recipe(path, [])


@cache
def _video_recipe() -> dict[str, Any]:
    from dysenvdm.generation.recipe import Origin, Settings, recipe

    settings = Settings(
        model="stage-nano", planner="smollm2", negative_prompt="", steps=4, scheduler="ddim", guidance=1.5,
        scene_guidance=2.0, frames=16, fps=8, scale=4, ticks=6, width=64, height=64, window=16, overlap=8, label="made",
        first_frame={"sha256": "0" * 64, "fit": "crop"}, loras=({"name": "style", "scale": 0.5},),
    )  # fmt: skip
    graph = _graphs()[0]
    origin = Origin(graph, "smollm2", "0" * 64, "the plan is short")
    weights = {"stage-nano": {"unet/config.json": "0" * 64, "unet/diffusion_pytorch_model.safetensors": "1" * 64}}
    edited = {"prompt": "A girl walks.", "dsg": graph.to_dict()}
    return recipe(settings, graph.prompt, 1, origin, weights, edited)


def _read_video_recipe(data: bytes, folder: Path) -> None:
    from dysenvdm.cli.inspect import inspect

    (folder / "video.json").write_bytes(data)
    inspect(folder / "video.json")


def _transcripts() -> list[bytes]:
    from planners.contracts import Call, calls_sha256
    from planners.engines import Message

    example = demonstrations()[0]
    call = Call(
        step="plan", attempt=0, engine="e", messages=(Message(role="user", content=example.prompt),), reply="{}",
        thinking="", finish_reason="stop", prompt_tokens=1, completion_tokens=1, seconds=0.5, error=None,
    )  # fmt: skip
    told = {
        "format": "dysenvdm.transcript/1", "prompt": example.prompt, "planner": "smollm2", "ticks": 6, "seed": 0,
        "imagine": True, "sha256": calls_sha256([call]), "dsg_sha256": "0" * 64,
        "calls": [call.model_dump(mode="json")],
    }  # fmt: skip
    return [json.dumps(told).encode()]


def _read_transcript(data: bytes, folder: Path) -> None:
    from planners.replay import ReplayPlanner

    (folder / "transcript.json").write_bytes(data)
    ReplayPlanner(folder / "transcript.json")


def _model(folder: Path) -> Path:
    """A model folder of a few weights with its manifest."""
    import numpy
    from safetensors.numpy import save_file

    from dysenvdm.models import write_manifest

    model = folder / "model"
    model.mkdir()
    (model / "config.json").write_text('{"hidden_size": 4}')
    save_file({"weight": numpy.zeros((4, 4), "float32")}, model / "model.safetensors")
    write_manifest(model, source="zeros", licence="MIT")
    return model


def _model_manifests() -> list[bytes]:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        return [(_model(Path(folder)) / MANIFEST).read_bytes()]


def _read_model_manifest(data: bytes, folder: Path) -> None:
    from dysenvdm.models import verify

    (folder / "model" / MANIFEST).write_bytes(data)
    verify(folder / "model")


# -- files ---------------------------------------------------------------------------------------------------------


def _adapters() -> list[bytes]:
    import torch
    from safetensors.torch import save

    tensors = {f"unet.to_q.lora_{half}.weight": torch.ones(shape) for half, shape in (("A", (2, 4)), ("B", (4, 2)))} | {
        "unet.to_q.alpha": torch.tensor(2.0)
    }
    return [save(tensors, {"lora_adapter_metadata": json.dumps({"unet.lora_alpha": 2})})]


def _read_adapter(data: bytes, folder: Path) -> None:
    """As the ``--lora`` of ``dysenvdm generate`` does."""
    from torch import nn

    from dysenvdm.generation.lora import DIFFUSERS_WEIGHTS, Lora, merge

    (folder / DIFFUSERS_WEIGHTS).write_bytes(data)
    unet = nn.Module()
    unet.to_q = nn.Linear(4, 4)
    merge(Lora(folder), {"unet": unet}, "tiny")


def _read_weights(data: bytes, folder: Path) -> None:
    """A bundle's content is looked through, and a model folder is verified before its weights are loaded."""
    from safetensors.torch import load_file

    from dysenvdm.airgap.installer.content import model_problems
    from dysenvdm.models import verify

    path = folder / "model.safetensors"
    path.write_bytes(data)
    with path.open("rb") as stream:
        list(model_problems(path.name, stream))
    verify(folder)
    load_file(path)


def _videos() -> list[bytes]:
    import tempfile

    import numpy

    from dysenvdm.video import write_mp4

    frames = numpy.random.default_rng(0).integers(0, 255, (8, 4, 4, 3), dtype="uint8").repeat(8, 1).repeat(8, 2)
    with tempfile.TemporaryDirectory() as folder:
        write_mp4(Path(folder) / "video.mp4", frames, 8, {**_video_recipe(), "zz": " " * RECIPE_ROOM})
        data = (Path(folder) / "video.mp4").read_bytes()
    # The last entry becomes blanks behind the recipe, as JSON allows: another recipe may take their place.
    last = b', "zz": "' + b" " * RECIPE_ROOM + b'"}'
    return [data.replace(last, b"}".ljust(len(last)))]


def _read_video(data: bytes, folder: Path) -> None:
    """As ``inspect`` and ``replay`` do."""
    from dysenvdm.cli.inspect import inspect
    from dysenvdm.video import read_mp4

    path = folder / "video.mp4"
    path.write_bytes(data)
    inspect(path)
    read_mp4(path)


def _read_clip(data: bytes, folder: Path) -> None:
    """As ``check-data`` and the loader of training do."""
    from dysenvdm.data.decoding import Sampling, decode, examine

    path = folder / "video.mp4"
    path.write_bytes(data)
    info = examine(path)
    decode(path, info, None, Sampling(frames=2), (32, 32), 0.0)


READERS: dict[str, Reader] = {
    "scene graph": Reader("texts", lambda: [g.to_json().encode() for g in _graphs()], mutated_json, _read_graph),
    "bundle manifest": Reader("texts", _manifests, mutated_json, _read_bundle),
    "model manifest": Reader("texts", _model_manifests, mutated_json, _read_model_manifest, _model),
    "training recipe": Reader("texts", _recipes, mutated_yaml, _read_training_recipe, _with_deepspeed),
    "video recipe": Reader("texts", lambda: [json.dumps(_video_recipe()).encode()], mutated_json, _read_video_recipe),
    "transcript": Reader("texts", _transcripts, mutated_json, _read_transcript),
    "weights": Reader("files", _adapters, mutated_safetensors, _read_weights),
    "LoRA": Reader("files", _adapters, mutated_safetensors, _read_adapter),
    "video": Reader("files", _videos, mutated_mp4, _read_video),
    "clip": Reader("files", _videos, mutated_mp4, _read_clip),
}


def harmed(name: str, seed: int, number: int) -> bytes:
    """The case of that number: the same bytes in every run."""
    chance = Random(f"{seed} {name} {number}")
    return READERS[name].mutated(chance, chance.choice(_valid(name)))


@cache
def _valid(name: str) -> list[bytes]:
    return READERS[name].valid()
