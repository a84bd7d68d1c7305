"""A tiny bundle, made by the real command's code: two wheels, one source package, one model; nothing is fetched."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import shutil
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

PROGRAM = "import sys\ndef main():\n    print('tiny 0.1.0', *sys.argv[1:])\n"


def write_wheel(
    folder: Path,
    name: str,
    version: str,
    files: Mapping[str, bytes],
    *,
    requires: tuple[str, ...] = (),
    extras: Mapping[str, str] | None = None,
    command: str = "",
) -> Path:
    """A pure Python wheel; ``extras`` maps an extra to its requirement, ``command`` names a console script."""
    info = f"{name.replace('-', '_')}-{version}.dist-info"
    lines = [f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\nLicense-Expression: MIT"]
    lines += [f"Requires-Dist: {requirement}" for requirement in requires]
    for extra, requirement in (extras or {}).items():
        lines += [f"Provides-Extra: {extra}", f'Requires-Dist: {requirement}; extra == "{extra}"']
    members = {**files, f"{info}/METADATA": ("\n".join(lines) + "\n").encode()}
    members[f"{info}/WHEEL"] = b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    if command:
        members[f"{info}/entry_points.txt"] = f"[console_scripts]\n{command}\n".encode()
    record = ""
    for member, data in members.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        record += f"{member},sha256={digest},{len(data)}\n"
    members[f"{info}/RECORD"] = (record + f"{info}/RECORD,,\n").encode()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name.replace('-', '_')}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for member, data in members.items():
            wheel.writestr(zipfile.ZipInfo(member), data)
    return path


def write_source(folder: Path, name: str, version: str) -> Path:
    """A source distribution that setuptools builds."""
    files = {
        "PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        "pyproject.toml": f'[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
        f'[project]\nname = "{name}"\nversion = "{version}"\n[tool.setuptools]\npy-modules = ["{name}"]\n',
        f"{name}.py": "VALUE = 3\n",
    }
    path = folder / f"{name}-{version}.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for member, text in files.items():
            info = tarfile.TarInfo(f"{name}-{version}/{member}")
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
    return path


def write_model(folder: Path, seed: int = 0) -> Path:
    """A model folder of the store with a few weights."""
    import numpy
    from safetensors.numpy import save_file

    from dysenvdm.models import write_manifest

    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"hidden_size": 4}')
    (folder / "LICENSE").write_text("MIT\n")
    weights = numpy.random.default_rng(seed).standard_normal((64, 64), dtype="float32")
    save_file({"weight": weights}, folder / "model.safetensors")
    write_manifest(folder, source="a test", licence="MIT")
    return folder


@pytest.fixture(scope="session")
def offline_pip(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """pip's settings: no index, one folder with what the tiny package needs."""
    folder = tmp_path_factory.mktemp("links")
    write_wheel(folder, "tiny-part", "1.0", {"tiny_part.py": b"VALUE = 1\n"})
    write_wheel(folder, "tiny-part", "2.0", {"tiny_part.py": b"VALUE = 2\n"})
    write_wheel(folder, "tiny-engine", "1.0", {"tiny_engine.py": b"VALUE = 4\n"}, requires=("of-no-index",))
    write_source(folder, "tinysource", "3.0")
    return {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder), "PIP_CONFIG_FILE": os.devnull}


@pytest.fixture(scope="session")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A private key; its public half lies beside it with the ending .pub."""
    from dysenvdm.airgap.signing import make_key

    path = tmp_path_factory.mktemp("keys") / "lab.key"
    make_key(path)
    return path


@pytest.fixture(scope="session")
def order(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., object]:
    """Makes an order for a tiny bundle: ``order(output, version="0.1.0", **what Order takes)``."""
    from dysenvdm.airgap.creating import Order
    from dysenvdm.airgap.resolving import Wanted, this_python

    work = tmp_path_factory.mktemp("order")
    pins = work / "constraints.txt"
    pins.write_text("tiny-part==1.0\n")

    def make(
        output: Path,
        version: str = "0.1.0",
        extras: tuple[str, ...] = (),
        listed: tuple[Path, ...] = (),
        **rest: object,
    ) -> Order:
        wheel = write_wheel(
            work / version,
            "dysenvdm",
            version,
            {"dysenvdm/__init__.py": PROGRAM.encode(), "recipes/tiny/recipe.yaml": b"steps: 1\n"},
            requires=("tiny-part>=1",),
            extras={"more": "tinysource==3.0"},
            command="dysenvdm = dysenvdm:main",
        )
        wanted = Wanted(extras, this_python(), (), pins, listed)
        given: dict[str, object] = {"models": ("tiny-model",), "tree": None, "wheel": wheel, **rest}
        return Order(output, wanted, **given)  # type: ignore[arg-type]

    return make


@pytest.fixture(scope="session")
def tiny_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model store with one tiny model."""
    home = tmp_path_factory.mktemp("home")
    write_model(home / "models" / "tiny-model")
    return home


@pytest.fixture
def world(offline_pip: dict[str, str], tiny_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment in which tiny bundles are made."""
    for name, value in offline_pip.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("DYSENVDM_HOME", str(tiny_store))


@pytest.fixture(scope="session")
def made(
    tmp_path_factory: pytest.TempPathFactory,
    order: Callable[..., object],
    offline_pip: dict[str, str],
    tiny_store: Path,
    key: Path,
) -> dict[str, Path]:
    """The same tiny bundle "plain" and in "volumes", both signed; not to be changed."""
    from dysenvdm.airgap.creating import create

    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**offline_pip, "DYSENVDM_HOME": str(tiny_store)}.items():
            patch.setenv(name, value)
        found = {}
        for form, size in (("plain", None), ("volumes", 10_000)):
            path = tmp_path_factory.mktemp("made") / form
            create(order(path, key=key, volume_size=size), lambda line: None)  # type: ignore[arg-type]
            found[form] = path
    return found


@pytest.fixture(params=["plain", "volumes"])
def bundle(made: dict[str, Path], tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A copy of the tiny bundle that a test may harm, in both forms."""
    return Path(shutil.copytree(made[request.param], tmp_path / "bundle"))


@pytest.fixture
def plain(made: dict[str, Path], tmp_path: Path) -> Path:
    """A copy of the tiny bundle as a folder of files."""
    return Path(shutil.copytree(made["plain"], tmp_path / "bundle"))
