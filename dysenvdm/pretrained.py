"""Pretrained backbones: a ModelScope or ZeroScope folder becomes a folder of ours, with an untrained scene adapter.

Both are diffusers' TextToVideoSDPipeline: a ``UNet3DConditionModel``, an ``AutoencoderKL`` for images, CLIP for text.
Their weights are taken as they are; the last projections of the scene adapter are zero, so the videos of the new folder
are those of the backbone until the adapter is trained.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dysenvdm.files import folder_written_whole
from dysenvdm.models import shapes, write_manifest
from planners.dsg import UserError

NEEDED = {
    "unet": ("UNet3DConditionModel",),
    "vae": ("AutoencoderKL",),
    "text_encoder": ("CLIPTextModel",),
    "tokenizer": ("CLIPTokenizer", "CLIPTokenizerFast"),
    "scheduler": (),
}
"""The parts of a backbone and the classes that each may have; any of diffusers' schedulers will do."""
WEIGHTS = {"unet": "diffusion_pytorch_model", "vae": "diffusion_pytorch_model", "text_encoder": "model"}
TO_SAFETENSORS = (
    'on a machine that you trust it with: python -c "from diffusers import DiffusionPipeline as P; '
    "P.from_pretrained('FOLDER', use_safetensors=False).save_pretrained('NEW')\""
)
PAPER_WIDTH, PAPER_LAYERS, HEADS = 768, 12, 8
"""RGTrm's size in the paper (METHOD section 2)."""


@dataclass(frozen=True)
class Defaults:
    """What a backbone was trained on, and how it is usually sampled; pixels."""

    trained_frames: int
    trained_fps: int
    height: int
    width: int
    usual_steps: int = 50
    usual_guidance: float = 9.0


KINDS = {
    "modelscope": Defaults(trained_frames=16, trained_fps=8, height=256, width=256),
    "zeroscope": Defaults(trained_frames=24, trained_fps=8, height=320, width=576),
}
"""By name; steps and guidance are those that diffusers' pipeline takes unless told otherwise."""


@dataclass(frozen=True)
class Added:
    """What :func:`add_backbone` made: ``linked`` and ``copied`` are bytes of the backbone's files."""

    folder: Path
    kind: str
    adapter_parameters: int
    linked: int
    copied: int


def add_backbone(
    source: Path,
    target: Path,
    *,
    kind: str | None = None,
    copy: bool = False,
    adapter_width: int = PAPER_WIDTH,
    adapter_layers: int = PAPER_LAYERS,
) -> Added:
    """Write ``target``, a folder for ``DysenVDMPipeline.from_pretrained``, whole or not at all.

    Weights are hard links to the files of ``source`` where the file system can do that and ``copy`` is not asked for;
    either way ``target`` stands alone. ``kind`` is a name of KINDS, by default the one that the folder's name or
    configuration says. Raises :class:`UserError`.
    """
    if target.exists():
        raise UserError(f"{target}: exists already; choose another place, or remove it first")
    if adapter_width < HEADS or adapter_width % HEADS:
        raise UserError(f"adapter width {adapter_width}: is not a multiple of {HEADS}, its number of heads")
    index = _read_index(source)
    configs = {part: _read_config(source / part) for part in ("unet", "vae", "text_encoder")}
    files = _files_of(source)
    kind = _kind(source, configs, kind)
    adapter = _adapter(source, configs, files, adapter_width, adapter_layers)
    parameters = sum(weight.numel() for weight in adapter.parameters())
    with folder_written_whole(target) as fresh:
        links = not copy and _can_link(source / files["unet/config.json"], fresh)
        there = {name: (source / path).resolve() for name, path in files.items()}
        _check_space(fresh, 4 * parameters + sum(0 if links else path.stat().st_size for path in there.values()))
        copied = sum(_bring(path, fresh / name, links=links) for name, path in there.items())
        adapter.save_pretrained(fresh / "scene_adapter")
        _write_configs(fresh, index, configs["unet"], _scale(configs["vae"]), KINDS[kind])
        write_manifest(fresh, source=f"folder {source.resolve().name}, scene adapter added", licence=_licence(source))
    total = sum(path.stat().st_size for path in there.values())
    return Added(target, kind, parameters, linked=total - copied, copied=copied)


def _read_index(source: Path) -> dict[str, Any]:
    path = source / "model_index.json"
    if not path.is_file():
        raise UserError(f"{source}: no model_index.json there; give the folder of a pipeline in diffusers layout")
    index = _read_json(path)
    for part, classes in NEEDED.items():
        found = index.get(part)
        library, name = found if isinstance(found, list) and len(found) == 2 else (None, None)
        if library not in ("diffusers", "transformers") or (classes and name not in classes):
            raise UserError(
                f"{path}: holds a {index.get('_class_name')} whose {part} is {name or 'missing'}; needed is a "
                f"TextToVideoSDPipeline with {part} {' or '.join(classes) or 'of diffusers'}, "
                f"such as ModelScope text-to-video-synthesis 1.7B or ZeroScope v2"
            )
        if not (source / part).is_dir():
            raise UserError(f"{source / part}: missing; copy the whole folder again")
    return index


def _read_config(part: Path) -> dict[str, Any]:
    if not (part / "config.json").is_file():
        raise UserError(f"{part / 'config.json'}: missing; copy the whole folder again")
    return _read_json(part / "config.json")


def _read_json(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: cannot be read ({error}); copy the folder again") from None
    if not isinstance(data, dict):
        raise UserError(f"{path}: not a JSON object; copy the folder again")
    return data


def _files_of(source: Path) -> dict[str, str]:
    """What the new folder takes over: its name there -> its path in ``source``; raises :class:`UserError`."""
    files = {f"{part}/config.json": f"{part}/config.json" for part in WEIGHTS}
    for part, stem in WEIGHTS.items():
        files |= {f"{part}/{new}": f"{part}/{old}" for new, old in _weights(source / part, stem)}
    files["scheduler/scheduler_config.json"] = "scheduler/scheduler_config.json"
    # The tokenizer goes in with its text encoder, as one folder in transformers layout.
    names = sorted(path.name for path in (source / "tokenizer").iterdir() if path.suffix in (".json", ".txt"))
    files |= {f"text_encoder/{name}": f"tokenizer/{name}" for name in names if name != "config.json"}
    files |= {name: name for name in ("README.md", "LICENSE", "LICENSE.md") if (source / name).is_file()}
    for path in files.values():
        if not (source / path).is_file():
            raise UserError(f"{source / path}: missing; copy the whole folder again")
    if not {"text_encoder/vocab.json", "text_encoder/merges.txt"} <= files.keys() and (
        "text_encoder/tokenizer.json" not in files
    ):
        raise UserError(f"{source / 'tokenizer'}: neither vocab.json and merges.txt nor tokenizer.json; copy it again")
    return files


def _weights(part: Path, stem: str) -> Iterator[tuple[str, str]]:
    """A part's safetensors files as (name to give, name): whole, in shards, or in half precision."""
    whole, half = f"{stem}.safetensors", f"{stem}.fp16.safetensors"
    index = part / f"{whole}.index.json"
    if (part / whole).is_file():
        yield whole, whole
    elif index.is_file():
        shards = _read_json(index).get("weight_map", {})
        yield from ((name, name) for name in (index.name, *sorted(set(shards.values()))))
    elif (part / half).is_file():
        yield whole, half
    elif any(path.suffix in (".bin", ".pt", ".pth", ".ckpt") for path in part.iterdir()):
        raise UserError(f"{part}: pickled weights only, which can run code; write them as safetensors {TO_SAFETENSORS}")
    else:
        raise UserError(f"{part / whole}: missing; copy the whole folder again")


def _kind(source: Path, configs: dict[str, dict[str, Any]], kind: str | None) -> str:
    if kind is None:
        names = " ".join([source.resolve().name, *(str(config.get("_name_or_path")) for config in configs.values())])
        return "zeroscope" if "zeroscope" in names.lower() else "modelscope"
    if kind not in KINDS:
        raise UserError(f"kind {kind!r}: no such backbone; there are: {', '.join(KINDS)}")
    return kind


def _adapter(
    source: Path, configs: dict[str, dict[str, Any]], files: dict[str, str], width: int, layers: int
) -> Any:  # a SceneAdapter; torch is imported late
    """An untrained scene adapter for the backbone's UNet, the same for the same sizes; raises :class:`UserError`."""
    import torch
    from diffusers.models.unets.unet_3d_condition import UNet3DConditionModel

    from dysenvdm.scene_attention import SceneAdapter

    for part in WEIGHTS:
        weights = [path for name, path in files.items() if name.startswith(part) and name.endswith(".safetensors")]
        found = {name: shape for path in weights for name, shape in shapes(source / path).items()}
        if part == "unet":
            of_unet = found
    try:
        with torch.device("meta"):
            unet = UNet3DConditionModel.from_config(configs["unet"])
    except (ValueError, TypeError, KeyError, NotImplementedError) as error:
        raise UserError(
            f"{source / 'unet/config.json'}: no UNet3DConditionModel can be built of it ({error})"
        ) from None
    wanted = {name: tuple(tensor.shape) for name, tensor in unet.state_dict().items()}
    wrong = sorted(name for name in wanted.keys() | of_unet.keys() if wanted.get(name) != of_unet.get(name))
    if wrong:
        name = wrong[0]
        raise UserError(
            f"{source / 'unet'}: {len(wrong)} tensors are not those of its config.json, such as {name}: "
            f"{of_unet.get(name, 'none')} in the weights, {wanted.get(name, 'none')} wanted; copy the folder again"
        )
    for ours, theirs, what in (
        (unet.config["cross_attention_dim"], configs["text_encoder"].get("hidden_size"), "text width"),
        (unet.config["in_channels"], configs["vae"].get("latent_channels"), "latent channels"),
    ):
        if ours != theirs:
            raise UserError(f"{source}: the parts do not fit: {what} is {ours} in unet, {theirs} beside it")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return SceneAdapter.for_unet(unet, width=width, layers=layers, heads=HEADS, site_heads=HEADS)


def _can_link(example: Path, folder: Path) -> bool:
    """Whether hard links from the backbone's folder into the new one are possible: one file system, and allowed."""
    probe = folder / ".probe"
    try:
        os.link(example.resolve(), probe)
    except OSError:
        return False
    probe.unlink()
    return True


def _check_space(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise UserError(
            f"{folder.parents[1]}: {needed / 2**30:.1f} GiB are needed and {free / 2**30:.1f} GiB free; "
            f"choose another place, or one beside the backbone, where its files are linked and not copied"
        )


def _bring(path: Path, target: Path, *, links: bool) -> int:
    """Link or copy one file; the bytes copied."""
    target.parent.mkdir(exist_ok=True)
    if links:
        os.link(path, target)
        return 0
    shutil.copyfile(path, target)
    return path.stat().st_size


def _scale(vae: dict[str, Any]) -> int:
    """Pixels of a frame along one side of a latent."""
    return int(2 ** (len(vae["block_out_channels"]) - 1))


def _write_configs(fresh: Path, index: dict[str, Any], unet: dict[str, Any], scale: int, defaults: Defaults) -> None:
    """The pipeline's index, and the UNet's configuration with the size of the latents that it is to make."""
    size = [defaults.height // scale, defaults.width // scale]
    (fresh / "unet/config.json").unlink()  # it may be a link
    (fresh / "unet/config.json").write_text(json.dumps({**unet, "sample_size": size}, indent=2) + "\n", "utf-8")
    ours = {
        "_class_name": "DysenVDMPipeline",
        "_diffusers_version": index.get("_diffusers_version"),
        "frame_multiple": 1,
        "scene_adapter": ["dysenvdm.scene_attention", "SceneAdapter"],
        "scheduler": index["scheduler"],
        "shared_noise": 0.0,
        "text_encoder": ["dysenvdm.clip_text", "ClipTextEncoder"],
        "unet": ["diffusers", "UNet3DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
        **{name: value for name, value in asdict(defaults).items() if name not in ("height", "width")},
    }
    (fresh / "model_index.json").write_text(json.dumps(ours, indent=2) + "\n", encoding="utf-8")


def _licence(source: Path) -> str:
    """What the front matter of the folder's README.md says."""
    readme = source / "README.md"
    found = re.search(r"^license:\s*(\S+)", readme.read_text("utf-8", "replace"), re.M) if readme.is_file() else None
    return found[1] if found else "as the source says"
