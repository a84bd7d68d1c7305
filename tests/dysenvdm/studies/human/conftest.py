"""Folders of small videos as two systems would have made them, and the page of a study of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dysenvdm.studies.human.create import Created, create
from dysenvdm.video import write_mp4

PROMPTS = ("A girl waves.", "A dog runs </script><script>alert(1)</script> away.", "A {{script}} boy & a cat jump.")
SECRET = "secret-of-the-system"


def write_videos(folder: Path, *, tint: int, count: int = 3, size: int = 32, fps: int = 8, frames: int = 6) -> Path:
    folder.mkdir(parents=True)
    for i in range(count):
        video = np.full((frames, size, size, 3), tint, np.uint8)
        for f in range(frames):
            video[f, 4 * f : 4 * f + 6, 8 * i : 8 * i + 8] = 255 - tint
        write_mp4(folder / f"{i + 1:04d}.mp4", video, fps, {"prompt": PROMPTS[i % 3], "model": SECRET})
    return folder


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Path]:
    return {
        "northern": write_videos(tmp_path / "videos" / "northern", tint=40),
        "southern": write_videos(tmp_path / "videos" / "southern", tint=200),
    }


@pytest.fixture
def study(folders: dict[str, Path], tmp_path: Path) -> Callable[..., Created]:
    def make(name: str = "study", **options: object) -> Created:
        return create(folders, tmp_path / name, title="Which is better?", **options)  # type: ignore[arg-type]

    return make
