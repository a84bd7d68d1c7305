"""Which wheels a bundle needs, by pip itself: its resolver says which files, one call each fetches or builds them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from packaging.utils import canonicalize_name

from dysenvdm.files import sha256, written_whole
from planners.dsg import UserError

PACKAGES = ("planners", "dysenvdm", "serving", "recipes")
SOURCE_FILES = ("pyproject.toml", "README.md", "LICENSE")
BUILT_HERE = {"train": ("deepspeed",), "dev": ("deepspeed",)}
"""Packages that come as source, by the extra that asks for them: for another platform they are built beforehand."""


@dataclass(frozen=True)
class Wanted:
    """What to resolve: extras, the Python ("3.11") and platforms of the target (none: this machine's), the pins.

    ``listed`` are files of requirements whose packages come as they are listed, without what these ask for in turn.
    """

    extras: tuple[str, ...]
    python: str
    platforms: tuple[str, ...]
    constraints: Path | None
    listed: tuple[Path, ...] = ()

    @property
    def native(self) -> bool:
        """Whether the target is this Python on this machine, so that source packages can be built for it."""
        return not self.platforms and self.python == this_python()

    def pip_target(self) -> list[str]:
        """pip's options for another target."""
        if self.native:
            return []
        options = ["--only-binary=:all:", "--implementation", "cp", "--python-version", self.python]
        for platform in self.platforms:
            options += ["--platform", platform]
        return options


@dataclass(frozen=True)
class Artifact:
    """One file that pip chose, with where it lies and the hash that its index gives (where it gives one)."""

    name: str
    version: str
    url: str
    sha256: str | None

    @property
    def file_name(self) -> str:
        return unquote(urlsplit(self.url).path.rpartition("/")[2])

    @property
    def is_wheel(self) -> bool:
        return self.file_name.endswith(".whl")


def this_python() -> str:
    """The running Python as "3.11"."""
    return f"{sys.version_info[0]}.{sys.version_info[1]}"


def source_tree() -> Path | None:
    """The tree that an editable installation points at (where pyproject.toml lies beside the package), if any."""
    tree = Path(__file__).resolve().parents[2]
    return tree if (tree / "pyproject.toml").is_file() else None


def build_own_wheel(tree: Path, folder: Path) -> Path:
    """Build the project's wheel from a copy of its sources, so that nothing is left in the tree."""
    with tempfile.TemporaryDirectory() as work:
        copy = Path(work, "source")
        for package in PACKAGES:
            if (tree / package).is_dir():
                shutil.copytree(tree / package, copy / package, ignore=shutil.ignore_patterns("__pycache__", ".*"))
        for name in SOURCE_FILES:
            if (tree / name).is_file():
                shutil.copy(tree / name, copy)
        return _built(copy, folder)


def resolve(wheel: Path, wanted: Wanted, notes: Path, find_links: Sequence[Path] = ()) -> list[Artifact]:
    """All files that the wheel with these extras needs, itself left out, and those listed, as pip resolves them.

    The answer is kept in ``notes``, and read from there by the next call. Raises :class:`UserError`, also where a list
    asks for another version than the extras.
    """
    if not notes.is_file():
        extras = f"[{','.join(wanted.extras)}]" if wanted.extras else ""
        items = _pip_report([f"dysenvdm{extras} @ {wheel.resolve().as_uri()}"], wanted, find_links)
        for path in wanted.listed:
            items += _pip_report(["--no-deps", "--requirement", str(path)], wanted, find_links)
        with written_whole(notes) as fresh:
            fresh.write_text(json.dumps(items), encoding="utf-8")
    found: dict[str, Artifact] = {}
    for item in json.loads(notes.read_text(encoding="utf-8")):
        artifact = _artifact(item)
        other = found.setdefault(canonicalize_name(artifact.name), artifact)
        if other.version != artifact.version:
            raise UserError(
                f"{artifact.name}: the extras take {other.version}, a list {artifact.version}; pin it in --constraints"
            )
    return sorted((item for item in found.values() if item.file_name != wheel.name), key=lambda item: item.name.lower())


def _pip_report(asked: Sequence[str], wanted: Wanted, find_links: Sequence[Path]) -> list[Any]:
    """What pip would install, item by item, with the metadata that the rest needs."""
    with tempfile.TemporaryDirectory() as nowhere:
        report = Path(nowhere, "report.json")
        command = ["install", "--dry-run", "--ignore-installed", "--report", str(report)]
        command += ["--target", nowhere, *wanted.pip_target()] if not wanted.native else ["--no-build-isolation"]
        command += ["--constraint", str(wanted.constraints)] if wanted.constraints else []
        for folder in find_links:
            command += ["--find-links", str(folder)]
        pip([*command, *asked])
        return list(json.loads(report.read_text(encoding="utf-8"))["install"])


def _artifact(item: dict[str, dict[str, object]]) -> Artifact:
    metadata, download = item["metadata"], item["download_info"]
    archive = download.get("archive_info")
    if not isinstance(archive, dict):
        raise UserError(
            f"{metadata['name']}: pip takes it from {download.get('url')}, which is no file that can be pinned"
        )
    hashes = archive.get("hashes") or {}
    return Artifact(str(metadata["name"]), str(metadata["version"]), str(download["url"]), hashes.get("sha256"))


def fetch(artifacts: Sequence[Artifact], wanted: Wanted, folder: Path, incoming: Path) -> list[Path]:
    """Bring files into ``folder`` as wheels, hash checked, by one call of pip; one that is source is built.

    Raises :class:`UserError`. The paths come in the order of ``artifacts``.
    """
    shutil.rmtree(incoming, ignore_errors=True)
    incoming.mkdir(parents=True)
    asked = {artifact: f"{artifact.name} @ {artifact.url}" for artifact in artifacts}
    asked |= {one: f"{words}#sha256={one.sha256}" for one, words in asked.items() if one.sha256}
    if wheels := [asked[artifact] for artifact in artifacts if artifact.is_wheel]:
        pip(["download", "--quiet", "--no-deps", *wanted.pip_target(), "-d", str(incoming), *wheels])
    fetched = []
    for artifact in artifacts:
        wheel = incoming / artifact.file_name if artifact.is_wheel else _built(asked[artifact], incoming)
        if artifact.is_wheel and artifact.sha256 and sha256(wheel) != artifact.sha256:
            raise UserError(f"{wheel.name}: not the file that the index describes (SHA-256 differs); run this again")
        fetched.append(wheel.replace(folder / wheel.name))
    shutil.rmtree(incoming)
    return fetched


def prebuild(wanted: Wanted, folder: Path, say: Callable[[str], None]) -> None:
    """Build for any platform what the extras need and what comes as source only."""
    for name in sorted({name for extra in wanted.extras for name in BUILT_HERE.get(extra, ())}):
        if not list(folder.glob(f"{name}-*.whl")):
            say(f"building {name}")
            wheel = _built(name, folder, wanted.constraints)
            if not wheel.name.endswith("-py3-none-any.whl"):
                wheel.unlink()
                raise UserError(
                    f"{wheel.name}: runs on this platform only; create the bundle on a machine of the target's kind"
                )


def _built(what: str | Path, folder: Path, constraints: Path | None = None) -> Path:
    """A wheel made by pip from source with what is installed here; DeepSpeed's compiled operators are left out."""
    for module in ("setuptools", "wheel"):
        if not _importable(module):
            raise UserError(f"building {what} needs {module}: pip install 'dysenvdm[airgap]'")
    with tempfile.TemporaryDirectory(dir=folder) as fresh:
        pin = ["--constraint", str(constraints)] if constraints else []
        pip(["wheel", "--quiet", "--no-deps", "--no-build-isolation", *pin, "-w", fresh, str(what)])
        [wheel] = Path(fresh).glob("*.whl")
        return wheel.replace(folder / wheel.name)


def _importable(module: str) -> bool:
    from importlib.util import find_spec

    return find_spec(module) is not None


def pip(arguments: Sequence[str]) -> None:
    """Run pip; raises :class:`UserError` with its first error line."""
    env = {**os.environ, "DS_BUILD_OPS": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1"}
    command = [sys.executable, "-m", "pip", *arguments]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line.strip() for line in done.stderr.splitlines() if re.match(r"\s*(ERROR|error)", line)]
        # The resolver says what it could not reconcile among its remarks.
        lines += done.stdout.partition("The conflict is caused by:")[2].strip().splitlines()[:6]
        raise UserError(
            f"pip {arguments[0]} failed: {' '.join(' '.join(lines).split())[:900] or 'it does not say why'}"
        )
