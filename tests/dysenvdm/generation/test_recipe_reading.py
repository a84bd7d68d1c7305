"""Recipes of videos that somebody changed: what is missing or of another kind is told in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dysenvdm.generation.recipe import Origin, Settings, read_made, recipe
from planners.dsg import DynamicSceneGraph, UserError

SETTINGS = Settings(
    model="stage-nano", planner=None, negative_prompt="", steps=4, scheduler=None, guidance=1.5, scene_guidance=1.5,
    frames=16, fps=8, scale=4, ticks=6, first_frame={"sha256": "0" * 64}, loras=({"name": "style", "scale": 0.5},),
)  # fmt: skip


def written(folder: Path, **changes: Any) -> Path:
    whole = recipe(SETTINGS, "A girl walks.", 1, Origin(DynamicSceneGraph(ticks=6)), {"stage-nano": {"a": "0"}})
    path = folder / "video.json"
    path.write_text(json.dumps(whole | changes))
    return path


def test_a_recipe_is_read_as_it_was_written(tmp_path: Path) -> None:
    made = read_made(written(tmp_path))
    assert (made.settings, made.prompt, made.seed) == (SETTINGS, "A girl walks.", 1)
    assert "torch" in made.versions


@pytest.mark.parametrize(
    "changes",
    [
        {"versions": "1"},
        {"versions": None},
        {"seed": float("inf")},
        {"seed": None},
        {"first_frame": {}},
        {"loras": [{"name": "style"}]},
        {"loras": [{"name": "style", "scale": "much"}]},
        {"transcript_sha256": {"a": 1}},
        {"edit_of": "x"},
        {"weights": [1]},
        {"steps": "x" * 5000},
    ],
)
def test_what_is_missing_or_of_another_kind_is_told_in_one_line(changes: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"video\.json: its recipe cannot be used .*make the video again") as caught:
        read_made(written(tmp_path, **changes))
    assert len(str(caught.value)) < 2000


def test_a_recipe_of_another_format_is_told_with_both_formats(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"not a dysenvdm\.recipe/1 recipe \(its format is 'dysenvdm\.recipe/9'\)"):
        read_made(written(tmp_path, format="dysenvdm.recipe/9"))


@pytest.mark.parametrize("text", ["[" * 100_000, "{", "1" * 5000])
def test_what_is_no_json_is_told(text: str, tmp_path: Path) -> None:
    (tmp_path / "video.json").write_text(text)
    with pytest.raises(UserError, match="cannot be read as a recipe"):
        read_made(tmp_path / "video.json")
