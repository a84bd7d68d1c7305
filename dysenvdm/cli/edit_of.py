"""``generate --edit-of``: an earlier video's settings from its recipe, for the same video with some facts changed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from planners.dsg import DynamicSceneGraph, UserError

if TYPE_CHECKING:
    from dysenvdm.generation.recipe import Settings

FREE = frozenset(
    ("prompt", "output", "dsg", "edit_of", "model", "first_frame", "first_frame_fit", "lora", "device", "offload",
     "compile_blocks", "scale", "label", "preview")
)  # fmt: skip
"""What may be given beside ``--edit-of``; all else is the original's."""


@dataclass(frozen=True)
class Edited:
    """The video that is edited."""

    settings: Settings
    prompt: str
    seed: int
    dsg: DynamicSceneGraph
    weights: dict[str, dict[str, str]]


def check_options(context: typer.Context) -> None:
    """Raise :class:`UserError` where an option was given that the original decides."""
    for param in context.command.params:
        name = str(param.name)
        source = context.get_parameter_source(name)
        if name not in FREE and source is not None and source.name != "DEFAULT":
            raise UserError(f"{param.opts[0]}: with --edit-of it is as in the original; leave it out")


def read_original(file: Path) -> Edited:
    """What made a video, from its .mp4 or the .json beside it; raises :class:`UserError` where it cannot be edited."""
    from dysenvdm.generation.recipe import read_made

    made = read_made(file)
    if made.edit_of:
        raise UserError(f"{file}: is an edit itself; give the video that it edits, with all changes in one --dsg")
    if made.origin.dsg is None:
        raise UserError(f"{file}: was made without a scene graph, so there are no facts to change; make it with a plan")
    return Edited(made.settings, made.prompt, made.seed, made.origin.dsg, made.weights)


def check_same_model(
    file: Path, original: Edited, weights: dict[str, dict[str, str]], inputs: dict[str, object]
) -> None:
    """Raise :class:`UserError` unless weights, LoRAs and first frame (``inputs``) are those of the original."""
    for name in weights:
        if original.weights.get(name, weights[name]) != weights[name]:
            raise UserError(f"{file}: was made with other weights of {name!r}; give the same --model")
    if original.settings.model not in weights:
        raise UserError(f"{file}: was made with model {original.settings.model!r}; give it as --model")
    for name, given in inputs.items():
        if getattr(original.settings, name) != given:
            option = name.replace("_", "-").removesuffix("s")
            raise UserError(f"{file}: was made with another --{option}, or none; give the same as then")


def stale_words(prompt: str, before: DynamicSceneGraph, after: DynamicSceneGraph) -> list[str]:
    """Words of attributes that an edit took away and that the prompt still says."""
    old, new = ({word for f in dsg.facts if f.attribute for word in f.attribute.split()} for dsg in (before, after))
    said = {word.strip(".,;:!?'\"").lower() for word in prompt.split()}
    return sorted(word for word in old - new if word.lower() in said)
