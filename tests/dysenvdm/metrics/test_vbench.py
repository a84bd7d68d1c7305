"""VBench finds every video under its prompt, by its own rules."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from dysenvdm.metrics.vbench import lay_out
from planners.dsg import UserError


def prompt_of(name: str) -> str:
    """VBench's reading of a file's name: what stands before -<number>."""
    return re.sub(r"-\d+$", "", Path(name).stem)


def test_names_and_the_prompt_file(tmp_path: Path) -> None:
    file = tmp_path / "video.mp4"
    file.write_bytes(b"video")
    prompts = ["A dog runs.", "A dog runs.", "Model T-34 drives", "and/or", "x" * 300, "A dog runs."]
    assert lay_out([(prompt, file) for prompt in prompts], tmp_path / "out") == 2
    names = sorted(path.name for path in (tmp_path / "out" / "videos").iterdir())
    told = json.loads((tmp_path / "out" / "prompts.json").read_text(encoding="utf-8"))
    assert sorted(told) == names
    assert sorted(told.values()) == sorted(prompts)
    by_name = [prompt_of(name) for name in names if told[name] == prompt_of(name)]
    assert sorted(by_name) == ["A dog runs."] * 3 + ["Model T-34 drives"]
    assert {"A dog runs.-0.mp4", "A dog runs.-1.mp4", "A dog runs.-2.mp4"} <= set(names)
    assert (tmp_path / "out" / "videos" / names[0]).read_bytes() == b"video"
    with pytest.raises(UserError, match="not empty"):
        lay_out([("a", file)], tmp_path / "out")
