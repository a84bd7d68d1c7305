"""Making a bundle: wheels, models, documents, lock, bill of materials, manifest and signature.

Until the manifest is written, as the last file, the folder is no bundle. A killed call leaves ``.create`` in it and
what was fetched so far; the same call goes on from there.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shutil
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from packaging.utils import canonicalize_name, parse_wheel_filename

from dysenvdm import models as store
from dysenvdm.airgap import resolving, sbom, signing, volumes
from dysenvdm.airgap.installer.layout import INSTALLER, LOCK, MANIFEST, SIGNATURE
from dysenvdm.airgap.manifest import BundledModel, BundleFile, Kind, Manifest, Package, Target
from dysenvdm.airgap.wheels import Wheel, machine_of, needs, read_wheel
from dysenvdm.files import sha256
from planners.dsg import UserError

WORK = ".create"
SBOM = "sbom.cdx.json"
LICENCE = "Apache-2.0"
AT_ONCE = 12
"""Files per call of pip: what a killed call has to fetch again, where pip's own cache does not have it."""

DEFAULT_MODELS = (store.DEFAULT_MODEL, store.PLANNER_MODEL, store.TEXT_MODEL)

_OWN = Path(__file__).parents[1]
_INSTALLER = Path(__file__).parent / "installer"


@dataclass(frozen=True)
class Order:
    """What a bundle shall hold. ``tree`` is the project's source tree, ``wheel`` its wheel where one is given."""

    output: Path
    wanted: resolving.Wanted
    models: tuple[str, ...] = DEFAULT_MODELS
    weights: tuple[Path, ...] = ()
    tree: Path | None = None
    wheel: Path | None = None
    key: Path | None = None
    volume_size: int | None = None


def create(order: Order, say: Callable[[str], None]) -> Manifest:
    """Make the bundle, or go on with one that was begun by the same order; raises :class:`UserError`."""
    if order.key:
        signing.check_key(order.key)
    root = order.output
    _begin(order)
    (root / "wheels").mkdir(exist_ok=True)
    own = _own_wheel(order, say)
    wheels = dict(_fetch_wheels(order, own, say))
    for stale in set((root / "wheels").iterdir()) - wheels.keys():
        shutil.rmtree(stale) if stale.is_dir() else stale.unlink()
    read = [read_wheel(path) for path in sorted(wheels)]
    machine = machine_of(order.wanted.platforms) or platform.machine()
    requires = needs(read, "dysenvdm", order.wanted.extras, order.wanted.python, machine)
    files = [_wheel_file(root, wheel, *wheels[wheel.path]) for wheel in read]
    packages = [_package(root, wheel, requires[wheel.name]) for wheel in read]
    bundled = []
    for name in order.models:
        say(f"model {name}")
        model, its_files = _copy_model(root, name)
        bundled.append(model)
        files += its_files
    files += _documents(order, own)
    files += [_lock(root, read), *_installer(root)]
    version = next(wheel.version for wheel in read if canonicalize_name(wheel.name) == "dysenvdm")
    created = datetime.now(UTC).date().isoformat()
    libraries = {wheel.name: wheel.libraries for wheel in read}
    text = sbom.bill_of_materials(version, created, packages, bundled, {file.path: file for file in files}, libraries)
    files.append(_write(root, SBOM, text, "sbom"))
    digest = hashlib.sha256("\n".join(sorted(f"{file.sha256} {file.path}" for file in files)).encode()).hexdigest()
    manifest = Manifest(
        format="dysenvdm.bundle/1",
        name=f"{version}-{digest[:8]}".lower(),
        version=version,
        created=created,
        target=Target(python=order.wanted.python, machine=machine, platforms=list(order.wanted.platforms)),
        extras=list(order.wanted.extras),
        packages=packages,
        models=bundled,
        files=files,
        volumes=None,
    )
    return _finish(order, manifest, say)


def _begin(order: Order) -> None:
    """The output folder, new or left by the same order; raises :class:`UserError` for any other."""
    root, work = order.output, order.output / WORK
    if root.is_dir() and not work.is_dir() and any(root.iterdir()):
        kind = "a finished bundle" if (root / MANIFEST).exists() else "not empty"
        raise UserError(f"{root}: {kind}; choose a new folder")
    try:
        work.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{root}: cannot be made ({error.strerror}); choose another folder") from None
    notes = {
        "extras": order.wanted.extras,
        "python": order.wanted.python,
        "platforms": order.wanted.platforms,
        "constraints": sha256(order.wanted.constraints) if order.wanted.constraints else None,
        "listed": [sha256(path) for path in order.wanted.listed],
        "sources": sha256(order.wheel) if order.wheel else _tree_digest(order.tree),
    }
    said = json.dumps(notes, indent=1)
    path = work / "order.json"
    if path.is_file() and path.read_text(encoding="utf-8") != said:
        raise UserError(
            f"{root}: was begun with other options, pins or sources; remove the folder, or choose a new one"
        )
    path.write_text(said, encoding="utf-8")


def _tree_digest(tree: Path | None) -> str:
    if tree is None:
        raise UserError("no source tree to build the wheel of dysenvdm from; give the wheel: --wheel FILE")
    digest = hashlib.sha256()
    for package in resolving.PACKAGES:
        for path in sorted((tree / package).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(f"{path.relative_to(tree)} {sha256(path)}\n".encode())
    return digest.hexdigest()


def _own_wheel(order: Order, say: Callable[[str], None]) -> Path:
    folder = order.output / "wheels"
    if order.wheel:
        return Path(shutil.copy(order.wheel, folder / order.wheel.name))
    if there := sorted(folder.glob("dysenvdm-*.whl")):
        return there[0]
    assert order.tree is not None
    say("building the wheel of dysenvdm")
    return resolving.build_own_wheel(order.tree, folder)


def _fetch_wheels(order: Order, own: Path, say: Callable[[str], None]) -> Iterator[tuple[Path, tuple[str, str]]]:
    """All wheels with their (source, revision); what is there already with the right hash is not fetched again."""
    root, wanted = order.output, order.wanted
    known = {canonicalize_name(extra) for extra in _extras(own)}
    for extra in wanted.extras:
        if canonicalize_name(extra) not in known:
            raise UserError(f"--extra {extra}: no such extra; there are: {', '.join(sorted(known))}")
    yield own, ("built from the source tree" if order.wheel is None else "given as a wheel", read_wheel(own).version)
    built_folder = root / WORK / "built"
    built_folder.mkdir(exist_ok=True)
    if not wanted.native:
        resolving.prebuild(wanted, built_folder, say)
    notes = root / WORK / "resolved.json"
    if not notes.is_file():
        say("asking pip which packages that needs")
    artifacts = resolving.resolve(own, wanted, notes, [built_folder])
    there = {artifact: _there(root / "wheels", artifact) for artifact in artifacts}
    missing = [artifact for artifact, path in there.items() if path is None]
    for done in range(0, len(missing), AT_ONCE):
        some = missing[done : done + AT_ONCE]
        say(f"{done + len(some)}/{len(missing)} {', '.join(artifact.name for artifact in some)}")
        there.update(zip(some, resolving.fetch(some, wanted, root / "wheels", root / WORK / "incoming"), strict=True))
    for artifact, path in there.items():
        assert path is not None
        yield path, (_source(artifact, built_folder), artifact.version)


def _extras(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return re.findall(r"^Provides-Extra: (\S+)", archive.read(name).decode("utf-8"), re.MULTILINE)


def _there(folder: Path, artifact: resolving.Artifact) -> Path | None:
    if artifact.is_wheel:
        path = folder / artifact.file_name
        fits = path.is_file() and (not artifact.sha256 or sha256(path) == artifact.sha256)
        return path if fits else None
    for path in folder.glob("*.whl"):
        name, version, *_ = parse_wheel_filename(path.name)
        if name == canonicalize_name(artifact.name) and str(version) == artifact.version:
            return path
    return None


def _source(artifact: resolving.Artifact, built_folder: Path) -> str:
    """Where a wheel comes from, without the paths and hosts of the machine that fetched it."""
    place = "a local folder or index" if artifact.url.startswith("file:") else "Python package index"
    built = not artifact.is_wheel or (built_folder / artifact.file_name).exists()
    return f"{'built from source, ' if built else ''}{place}, {artifact.file_name}"


def _wheel_file(root: Path, wheel: Wheel, source: str, revision: str) -> BundleFile:
    return _recorded(root, f"wheels/{wheel.path.name}", "wheel", source, revision, wheel.licence)


def _package(root: Path, wheel: Wheel, requires: list[str]) -> Package:
    return Package(
        name=wheel.name,
        version=wheel.version,
        file=wheel.path.relative_to(root).as_posix(),
        licence=wheel.licence,
        installed_size=wheel.installed_size,
        requires=requires,
    )


def _copy_model(root: Path, name: str) -> tuple[BundledModel, list[BundleFile]]:
    """Copy a model of the store into the bundle, every file held against its record; embedded ones lie in the wheel."""
    source = store.locate(name)
    record = store.read_manifest(source)
    embedded = source.parent == store.CHECKPOINTS
    model = BundledModel(
        name=source.name,
        folder=None if embedded else f"models/{source.name}",
        source=str(record["source"]),
        licence=str(record["licence"]),
        sha256=sha256(source / store.MANIFEST),
    )
    if embedded:
        store.verify(source)
        return model, []
    copies = {file: str(entry["sha256"]) for file, entry in record["files"].items()}
    copies[store.MANIFEST] = model.sha256
    for file, digest in copies.items():
        target = root / "models" / source.name / file
        if not (target.is_file() and sha256(target) == digest):
            _copy(source / file, target)
            if sha256(target) != digest:
                store.verify(source)  # names the file and the mend
                raise UserError(f"{source / file}: changed while it was copied; run the command again")
    said = (model.source, str(record.get("date", "not stated")), model.licence)
    return model, [_recorded(root, f"models/{source.name}/{file}", "model", *said) for file in sorted(copies)]


def _documents(order: Order, own: Path) -> list[BundleFile]:
    """Recipes out of the wheel, documents out of the source tree, and the weights that were given by hand."""
    root, files = order.output, []
    version = read_wheel(own).version
    with zipfile.ZipFile(own) as archive:
        for name in archive.namelist():
            if name.startswith("recipes/") and not name.endswith(("/", ".py")):
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_bytes(archive.read(name))
                files.append(_recorded(root, name, "recipe", "the wheel of dysenvdm", version, LICENCE))
    if order.tree:
        pages = [order.tree / name for name in ("README.md", "LICENSE", "CHANGELOG.md")]
        pages += [path for path in sorted((order.tree / "docs").rglob("*")) if path.is_file()]
        for path in pages:
            relative = path.relative_to(order.tree)
            if path.is_file() and not any(part.startswith(".") for part in relative.parts):
                _copy(path, root / relative)
                files.append(_recorded(root, relative.as_posix(), "document", "the source tree", version, LICENCE))
    for path in order.weights:
        _copy(path, root / "files" / path.name)
        files.append(_recorded(root, f"files/{path.name}", "weights", "given by hand", "not stated", "not stated"))
    return files


def _lock(root: Path, wheels: Sequence[Wheel]) -> BundleFile:
    lines = [f"{wheel.name}=={wheel.version} --hash=sha256:{sha256(wheel.path)}\n" for wheel in wheels]
    head = "# pip install --no-index --require-hashes --find-links wheels -r requirements.lock\n"
    return _write(root, LOCK, head + "".join(lines), "lock")


def _installer(root: Path) -> list[BundleFile]:
    """install.py and the modules that it runs, which are those of this package."""
    _copy(_INSTALLER / "script.py", root / "install.py")
    _copy(_OWN / "__init__.py", root / "installer" / "dysenvdm" / "__init__.py")
    _copy(_INSTALLER.parent / "__init__.py", root / "installer" / "dysenvdm" / "airgap" / "__init__.py")
    paths = ["install.py", "installer/dysenvdm/__init__.py", "installer/dysenvdm/airgap/__init__.py"]
    for module in sorted(_INSTALLER.glob("*.py")):
        if module.name != "script.py":
            paths.append(f"installer/dysenvdm/airgap/installer/{module.name}")
            _copy(module, root / paths[-1])
    version = _own_version()
    return [_recorded(root, path, "installer", "the source of dysenvdm", version, LICENCE) for path in paths]


def _own_version() -> str:
    from dysenvdm import __version__

    return __version__


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        shutil.copyfile(source, target)
    except OSError as error:
        raise UserError(f"{error.filename}: cannot be copied ({error.strerror})") from None


def _write(root: Path, path: str, text: str, kind: Kind) -> BundleFile:
    (root / path).write_text(text, encoding="utf-8")
    return _recorded(root, path, kind, "made with the bundle", _own_version(), LICENCE)


def _recorded(root: Path, path: str, kind: Kind, source: str, revision: str, licence: str) -> BundleFile:
    file = root / path
    size, digest = file.stat().st_size, sha256(file)
    return BundleFile(
        path=path, size=size, sha256=digest, kind=kind, source=source, revision=revision, licence=_line(licence)
    )


def _line(text: str) -> str:
    return " ".join(text.split())


def _finish(order: Order, manifest: Manifest, say: Callable[[str], None]) -> Manifest:
    """Split where asked, remove what is not of the bundle, then signature and manifest, the manifest last."""
    root, work = order.output, order.output / WORK
    packed = [file for file in manifest.files if file.kind != INSTALLER]
    shutil.rmtree(root / volumes.FOLDER, ignore_errors=True)
    if order.volume_size:
        say(f"writing volumes of {order.volume_size / 2**20:.0f} MiB")
        manifest = manifest.model_copy(update={"volumes": volumes.split(root, packed, order.volume_size)})
    fresh = work / MANIFEST
    fresh.write_text(manifest.model_dump_json(indent=1) + "\n", encoding="utf-8")
    kept = {file.path for file in manifest.files}
    (root / SIGNATURE).unlink(missing_ok=True)
    if order.key:
        signing.sign(fresh, order.key, root / SIGNATURE)
    os.sync()
    fresh.replace(root / MANIFEST)
    if manifest.volumes:
        kept = {part.path for part in manifest.volumes.parts} | kept - {file.path for file in packed}
    _remove_all_but(root, kept | {MANIFEST, SIGNATURE})
    return manifest


def _remove_all_but(root: Path, kept: set[str]) -> None:
    """Remove files of earlier, killed calls and, last of all, the notes of this one."""
    for path in sorted(root.rglob("*"), reverse=True):
        relative = path.relative_to(root).as_posix()
        if relative == WORK or relative.startswith(f"{WORK}/"):
            continue
        if path.is_dir() and not path.is_symlink():
            if not any(path.iterdir()):
                path.rmdir()
        elif relative not in kept:
            path.unlink()
    shutil.rmtree(root / WORK)
