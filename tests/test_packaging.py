"""The wheel: everything that is data in the packages is in it, and nothing else from the tree."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

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


def test_every_constrained_release_installs_on_the_oldest_promised_pythons() -> None:
    """Debian 12 has Python 3.11.2; a release that asks for 3.11.5 ends the set-up there, and nowhere else."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [Requirement(line.split("#")[0]) for line in lines if line and not line.startswith("#")]
    installed = {item.name.lower().replace("_", "-"): item for item in metadata.distributions()}
    present = [installed[pin.name.lower()] for pin in pins if pin.name.lower() in installed]
    assert len(present) > 100
    refusing = {
        f"{item.name} {item.version} asks for Python {needed}"
        for item in present
        if (needed := item.metadata["Requires-Python"])
        for python in ("3.11.0", "3.12.0", "3.13.0")
        if not SpecifierSet(needed).contains(python)
    }
    assert refusing == set()
