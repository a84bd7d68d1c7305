"""Installing a verified bundle below a prefix: versions side by side, one link that says which is current.

A version is whole or not there: its folder says "installing" until everything is in place and checked, and only then is
``current`` switched to it, by one rename. What a killed installation leaves behind is removed by the next one.

``PREFIX/versions/NAME/``: ``venv``, ``store`` (the models), ``bin/dysenvdm``, ``manifest.json``, ``installation.json``;
``PREFIX/current`` is a link to one of them.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import shlex
import shutil
import signal
import subprocess
import sys
import time
import venv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from dysenvdm.airgap.installer.layout import LOCK, MANIFEST, BundleError, File, Payload, read_manifest
from dysenvdm.airgap.installer.state import STATE, read_state, version_problems, write_json
from dysenvdm.airgap.installer.verify import problems, verify

_MARGIN = 64 * 2**20
_REMOVED = ".removing."
_LOCK = ".dysenvdm-prefix"
_PATIENCE = 20.0
"""Seconds that a call waits for the lock: a killed installation's children need a moment to end."""


def install(root: Path, prefix: Path, key: Path | None, say: Callable[[str], None]) -> Path:
    """Verify the bundle in ``root``, install it below ``prefix`` and make it current; returns the version's folder.

    Raises :class:`BundleError`, and then nothing has changed below ``prefix``.
    """
    rows = verify(root, key)
    if wrong := problems(rows):
        more = f" (and {len(wrong) - 1} more)" if wrong[1:] else ""
        raise BundleError(f"{root}: not installed, {wrong[0].what}: {wrong[0].found}{more}; see: bundle verify")
    manifest = read_manifest(root)
    check_target(manifest)
    prefix = prefix.expanduser().absolute()
    with _locked(prefix) as lock:
        clean(prefix, say)
        version = prefix / "versions" / str(manifest["name"])
        if version.exists():
            say(f"{manifest['name']} is installed already")
            if wrong_there := version_problems(version):
                raise BundleError(f"{version}: {wrong_there[0]}; remove this folder, then install again")
        else:
            check_space(prefix, manifest)
            with _rolled_back(version):
                _build(root, manifest, prefix, version, lock, say)
        switch(prefix, manifest["name"])
    return version


def use(prefix: Path, name: str) -> None:
    """Make an installed version current; raises :class:`BundleError` unless it is whole."""
    prefix = prefix.expanduser().absolute()
    version = prefix / "versions" / name
    there = sorted(path.name for path in (prefix / "versions").glob("*") if (path / STATE).is_file())
    if name not in there:
        raise BundleError(f"{prefix}: no version {name!r} (there are: {', '.join(there) or 'none'})")
    with _locked(prefix):
        if wrong := version_problems(version):
            raise BundleError(f"{version}: {wrong[0]}; install its bundle again")
        switch(prefix, name)


def switch(prefix: Path, name: str) -> None:
    """Point ``PREFIX/current`` at a version, in one step."""
    fresh = prefix / f".current.{os.getpid()}"
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(Path("versions", name))
    fresh.replace(prefix / "current")


def check_target(manifest: dict[str, Any]) -> None:
    """Raise :class:`BundleError` unless this Python and machine are those that the bundle was made for."""
    target = manifest["target"]
    here = ".".join(platform.python_version_tuple()[:2])
    if target["python"] != here:
        raise BundleError(
            f"the bundle is for Python {target['python']}, this is {here}; run it with python{target['python']}"
        )
    if target["machine"] not in ("any", platform.machine()):
        raise BundleError(
            f"the bundle is for {target['machine']} machines, this is {platform.machine()}; bring another"
        )


def needed_bytes(manifest: dict[str, Any]) -> int:
    """What an installation takes at its height: compiled packages, models, wheels out of volumes."""
    size = sum(item["installed_size"] for item in manifest["packages"])
    for item in manifest["files"]:
        if item["kind"] != "wheel" or manifest["volumes"]:
            size += item["size"]
    return int(size) + _MARGIN


def check_space(prefix: Path, manifest: dict[str, Any]) -> None:
    """Raise :class:`BundleError` where the disk of ``prefix`` has not the room."""
    needed, free = needed_bytes(manifest), shutil.disk_usage(prefix).free
    if free < needed:
        raise BundleError(f"{prefix}: {needed / 2**20:.0f} MiB are needed, {free / 2**20:.0f} are free; make room")


def clean(prefix: Path, say: Callable[[str], None] = lambda _: None) -> None:
    """Remove what installations that were killed have left; the caller holds the prefix's lock."""
    for folder in sorted(path for path in (prefix / "versions").iterdir() if path.is_dir()):
        begun = read_state(folder).get("state") == "installing" or not any(
            path.name != f".{STATE}" for path in folder.iterdir()
        )
        if begun or folder.name.startswith(_REMOVED):
            say(f"removing {folder.name}, which an earlier installation left unfinished")
            _remove(folder)
    for link in prefix.glob(".current.*"):
        link.unlink()


def _remove(version: Path) -> None:
    """Remove a version's folder; a kill in between leaves a name that :func:`clean` knows."""
    doomed = version
    if not version.name.startswith(_REMOVED):
        doomed = version.with_name(f"{_REMOVED}{version.name}.{os.getpid()}")
        version.rename(doomed)
    shutil.rmtree(doomed, ignore_errors=True)


def _build(
    root: Path, manifest: dict[str, Any], prefix: Path, version: Path, lock: int, say: Callable[[str], None]
) -> None:
    version.mkdir()
    state = {"format": "dysenvdm.installation/1", "state": "installing", "name": manifest["name"]}
    write_json(version / STATE, state)
    payload = Payload(root, manifest)
    # pip finds a dirty environment's settings by itself; without them it sees only what this bundle brings.
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON"))}
    env |= {"PIP_CONFIG_FILE": os.devnull}
    say(f"making the virtual environment {version / 'venv'}")
    venv.create(version / "venv", symlinks=True, with_pip=False)
    python = version / "venv" / "bin" / "python"
    say(f"installing {len(manifest['packages'])} packages")
    with _wheels(payload, version) as (folder, requirements):
        # The lock is all that is installed, and was found complete when the bundle was made: nothing is resolved here.
        command = [python, _runnable_pip(), "install", "--no-index", "--no-deps", "--require-hashes"]
        command += [
            "--only-binary=:all:",
            "--no-cache-dir",
            "--no-input",
            "--disable-pip-version-check",
            "--quiet",
            "--no-warn-script-location",
        ]
        command += ["--find-links", folder, "-r", requirements]
        _run(command, env, lock, "pip")
    say(f"copying {len(manifest['models'])} models and the documents")
    _copy_files(payload, prefix, version, say)
    _write_command(version)
    write_json(version / MANIFEST, manifest)
    if wrong := version_problems(version, finished=False):
        raise BundleError(f"{version}: {wrong[0]}; the bundle does not install here")
    command_file = version / "venv" / "bin" / "dysenvdm"
    if command_file.exists():
        _run([version / "bin" / "dysenvdm", "--version"], env, lock, "dysenvdm --version")
    os.sync()
    digest = hashlib.sha256((version / MANIFEST).read_bytes()).hexdigest()
    write_json(version / STATE, {**state, "state": "installed", "manifest_sha256": digest})


@contextmanager
def _wheels(payload: Payload, version: Path) -> Iterator[tuple[Path, Path]]:
    """The folder of wheels and the lock; out of volumes they are copied for as long as pip needs them."""
    if not payload.parts:
        yield payload.root / "wheels", payload.root / LOCK
        return
    folder = version / "unpacked"
    try:
        for file in payload.files.values():
            if file.kind == "wheel" or file.path == LOCK:
                payload.copy(file, folder / file.path)
        yield folder / "wheels", folder / LOCK
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _copy_files(payload: Payload, prefix: Path, version: Path, say: Callable[[str], None]) -> None:
    """Models into the version's store, the rest beside it; files that the current version has already are linked."""
    current = prefix / "current"
    for file in payload.files.values():
        if file.kind in ("wheel", "installer", "lock"):
            continue
        relative = f"store/{file.path}" if file.kind == "model" else file.path
        there, target = current / relative, version / relative
        target.parent.mkdir(parents=True, exist_ok=True)
        if not _linked(there, target, file):
            payload.copy(file, target)
    (version / "store" / "models").mkdir(parents=True, exist_ok=True)
    for folder in sorted((current / "store" / "models").glob("[!.]*")):
        if not (version / "store" / "models" / folder.name).exists() and not _shipped(current, folder.name):
            say(f"keeping the model {folder.name}, which came from no bundle")
            shutil.copytree(folder, version / "store" / "models" / folder.name, copy_function=os.link)


def _linked(there: Path, target: Path, file: File) -> bool:
    """Link to a file that is there already with the right bytes; False where it is not, or cannot be linked."""
    if there.is_symlink() or not there.is_file() or there.stat().st_size != file.size or _sha256(there) != file.sha256:
        return False
    try:
        os.link(there, target)
    except OSError:  # another file system, or one without links
        return False
    return True


def _shipped(version: Path, name: str) -> bool:
    return any(model["name"] == name for model in read_manifest(version)["models"])


def _write_command(version: Path) -> None:
    """A command that knows its store; settings of the caller's environment go before it."""
    script = version / "bin" / "dysenvdm"
    script.parent.mkdir()
    store, command = shlex.quote(str(version / "store")), shlex.quote(str(version / "venv" / "bin" / "dysenvdm"))
    script.write_text(
        f'#!/bin/sh\n[ -n "$DYSENVDM_HOME" ] || DYSENVDM_HOME={store}\nexport DYSENVDM_HOME\nexec {command} "$@"\n',
        encoding="utf-8",
    )
    script.chmod(0o755)


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _runnable_pip() -> Path:
    """pip's own entry for running it with another interpreter (what ``pip --python`` does); raises BundleError."""
    for python in dict.fromkeys([sys.executable, getattr(sys, "_base_executable", sys.executable)]):
        command = [python, "-P", "-c", "import pip; print(pip.__path__[0])"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        runner = Path(done.stdout.strip(), "__pip-runner__.py")
        if done.returncode == 0 and runner.is_file():
            return runner
    raise BundleError(f"{sys.executable}: has no pip; install pip for it, or run install.py with a Python that has it")


def _run(command: list[Any], env: dict[str, str], lock: int, name: str) -> None:
    """Run a child that holds the prefix's lock as long as it lives, and dies with this process."""
    done = subprocess.run(
        [str(word) for word in command],
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        pass_fds=(lock,),
        preexec_fn=_die_with_parent if sys.platform == "linux" else None,
    )
    if done.returncode:
        lines = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        said = next((line for line in lines if line.startswith("ERROR")), lines[-1] if lines else "no word")
        raise BundleError(f"{name} failed with code {done.returncode}: {said[:500]}")


def _die_with_parent() -> None:
    import ctypes

    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


@contextmanager
def _rolled_back(version: Path) -> Iterator[None]:
    """Remove the version's folder where the block fails, also by an interrupt or a SIGTERM."""

    def stop(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    except BaseException as error:
        if version.exists():
            _remove(version)
        if isinstance(error, OSError):
            raise BundleError(f"{error.filename or version}: {error.strerror}; nothing was installed") from None
        raise
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _locked(prefix: Path) -> Iterator[int]:
    """Hold the prefix's lock; raises :class:`BundleError` where another installation keeps it."""
    if prefix.is_dir() and any(prefix.iterdir()) and not (prefix / _LOCK).exists():
        raise BundleError(f"{prefix}: not empty, and no earlier installation of a bundle; choose another --prefix")
    try:
        prefix.mkdir(parents=True, exist_ok=True)
        lock = os.open(prefix / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise BundleError(f"{prefix}: cannot be written ({error.strerror}); choose another --prefix") from None
    try:
        until = time.monotonic() + _PATIENCE
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    raise BundleError(f"{prefix}: another installation is at work; wait for it") from None
                time.sleep(0.1)
        (prefix / "versions").mkdir(exist_ok=True)
        yield lock
    finally:
        os.close(lock)
