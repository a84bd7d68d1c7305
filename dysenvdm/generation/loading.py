"""The folders that making videos needs, and the hashes of all weights in them."""

from __future__ import annotations

from pathlib import Path

from dysenvdm import models

Weights = dict[str, dict[str, str]]
"""Model name -> file -> SHA-256."""


def used_models(model: str) -> list[Path]:
    """The folders that a video model needs: its own, and the text encoder's where it brings none."""
    folder = models.locate(model)
    if (folder / "text_encoder" / "model.safetensors").is_file():  # a backbone brings its own
        return [folder]
    return [folder, models.locate(models.TEXT_MODEL)]


def planner_models(planner: str | None, model: str | None) -> list[Path]:
    """The folders of a planner whose weights recipes name, ``model`` being the planner's option of that name."""
    return [models.locate(model or models.PLANNER_MODEL)] if planner == "smollm2" else []


def hashes(folders: list[Path]) -> Weights:
    """Every folder's files, held against its manifest; raises :class:`UserError`."""
    return {path.name: models.verify(path) for path in folders}
