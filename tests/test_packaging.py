"""The wheel: everything that is data in the packages is in it, and nothing else from the tree."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("planners", "dysenvdm", "serving", "recipes")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The names in a wheel that is built from a copy, so that building leaves nothing in the tree."""
    folder = tmp_path_factory.mktemp("packaging")
    copy = folder / "source"
    for package in PACKAGES:
        shutil.copytree(ROOT / package, copy / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        "-w",
        folder,
        copy,
    ]
    subprocess.run(build, check=True, capture_output=True)
    [file] = folder.glob("dysenvdm-*.whl")
    return set(zipfile.ZipFile(file).namelist())


def test_the_wheel_has_every_file_of_the_packages(wheel: set[str]) -> None:
    files = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    packed = {name for name in wheel if ".dist-info/" not in name}
    assert files - packed == set()
    assert packed - files == set()


def test_the_wheel_carries_licence_and_command(wheel: set[str]) -> None:
    [info] = {name.split("/")[0] for name in wheel if ".dist-info/" in name}
    assert {f"{info}/licenses/LICENSE", f"{info}/entry_points.txt"} <= wheel
