"""`bundle install`: whole or not at all, versions side by side, and nothing half-installed ever looks healthy."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dysenvdm.airgap.creating import create
from dysenvdm.airgap.installer import prefix as module
from dysenvdm.airgap.installer.layout import BundleError, read_manifest
from dysenvdm.airgap.installer.prefix import install, needed_bytes, use
from dysenvdm.airgap.installer.state import STATE, prefix_states, version_problems

Order = Callable[..., Any]


def quiet(line: str) -> None:
    pass


def answer(prefix: Path) -> str:
    return subprocess.run(
        [prefix / "current" / "bin" / "dysenvdm", "hello"], capture_output=True, text=True, check=True
    ).stdout


def whole(prefix: Path) -> bool:
    states = prefix_states(prefix)
    return bool(states) and not any(states.values())


def nothing_there(prefix: Path) -> bool:
    """Neither a version nor a link to one."""
    return not list((prefix / "versions").glob("*")) and not (prefix / "current").is_symlink()


def test_an_installed_bundle_runs_and_knows_its_models(bundle: Path, key: Path, tmp_path: Path) -> None:
    prefix = tmp_path / "has a space"
    version = install(bundle, prefix, key.with_suffix(".pub"), quiet)
    assert answer(prefix) == "tiny 0.1.0 hello\n"
    assert whole(prefix)
    assert (version / "store" / "models" / "tiny-model" / "model.safetensors").is_file()
    assert (prefix / "current").readlink() == Path("versions", version.name)
    assert not (version / "unpacked").exists()
    program = version / "bin" / "dysenvdm"
    assert str(version / "store") in program.read_text()
    assert install(bundle, prefix, None, quiet) == version  # again: nothing to do


def test_the_script_in_the_bundle_installs_without_our_package(plain: Path, key: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-I", str(plain / "install.py"), "--prefix", str(tmp_path / "p")]
    done = subprocess.run(
        [*command, "--key", str(key.with_suffix(".pub"))], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert answer(tmp_path / "p") == "tiny 0.1.0 hello\n"
    (plain / "extra").write_text("x")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "extra" in done.stderr


@pytest.mark.usefixtures("world")
def test_versions_lie_side_by_side_and_the_way_back_is_open(plain: Path, order: Order, tmp_path: Path) -> None:
    prefix = tmp_path / "p"
    old = install(plain, prefix, None, quiet)
    shutil.copytree(old / "store" / "models" / "tiny-model", old / "store" / "models" / "my-own")
    create(order(tmp_path / "new", version="0.2.0"), quiet)
    new = install(tmp_path / "new", prefix, None, quiet)
    assert (prefix / "current").resolve() == new
    assert whole(prefix)
    assert {path.name for path in (new / "store" / "models").iterdir()} == {"tiny-model", "my-own"}
    weights = Path("store", "models", "tiny-model", "model.safetensors")
    assert (old / weights).samefile(new / weights)  # the same bytes take their room once
    use(prefix, old.name)
    assert (prefix / "current").resolve() == old
    with pytest.raises(BundleError, match="no version 'x' "):
        use(prefix, "x")
    (new / "venv" / "bin" / "python").unlink()
    with pytest.raises(BundleError, match="venv/bin/python is missing"):
        use(prefix, new.name)
    assert (prefix / "current").resolve() == old


@pytest.mark.parametrize(
    ("step", "trouble"),
    [
        ("_wheels", BundleError("no")),
        ("_copy_files", OSError(28, "No space left on device")),
        ("_write_command", KeyboardInterrupt()),
        ("version_problems", OSError(5, "Input/output error")),
        ("_run", KeyboardInterrupt()),
        ("switch", OSError(28, "No space left on device")),
    ],
)
def test_a_failure_at_any_step_leaves_the_prefix_as_it_was(
    plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, trouble: BaseException
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise trouble

    with monkeypatch.context() as patch:
        patch.setattr(module, step, fail)
        with pytest.raises((BundleError, KeyboardInterrupt, OSError)):
            install(plain, tmp_path / "p", None, quiet)
    if step != "switch":  # by then the version is whole, only not current yet
        assert nothing_there(tmp_path / "p")
    assert not (tmp_path / "p" / "current").is_symlink()


def test_a_folder_of_something_else_is_no_prefix(plain: Path, tmp_path: Path) -> None:
    other = tmp_path / "p" / "versions" / "3.11.7"
    other.mkdir(parents=True)
    with pytest.raises(BundleError, match="not empty, and no earlier installation"):
        install(plain, tmp_path / "p", None, quiet)
    assert other.is_dir()


def test_cleaning_takes_only_what_an_installation_left(tmp_path: Path) -> None:
    versions = tmp_path / "versions"
    for name in ("empty", "begun", "written", "foreign", ".removing.x.1"):
        (versions / name).mkdir(parents=True)
    (versions / "begun" / STATE).write_text('{"state": "installing"}')
    (versions / "written" / f".{STATE}").write_text("")
    (versions / "foreign" / "file").write_text("x")
    (versions / ".removing.x.1" / "file").write_text("x")
    module.clean(tmp_path)
    assert [path.name for path in versions.iterdir()] == ["foreign"]
    assert prefix_states(tmp_path)["foreign"]


def script(bundle: Path, prefix: Path, **options: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-I", str(bundle / "install.py"), "--prefix", str(prefix)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def test_a_killed_installation_is_cleaned_up_by_the_next(plain: Path, tmp_path: Path) -> None:
    prefix = tmp_path / "p"
    stages = {
        "begun": lambda version: (version / STATE).exists(),
        "environment": lambda version: (version / "venv" / "pyvenv.cfg").exists(),
        "packages": lambda version: list(version.glob("venv/lib/*/site-packages/*.dist-info")),
        "models": lambda version: (version / "store").exists(),
    }
    name = read_manifest(plain)["name"]
    version = prefix / "versions" / name
    for stage in stages.values():
        run = script(plain, prefix)
        until = time.monotonic() + 60
        while not stage(version) and run.poll() is None and time.monotonic() < until:
            time.sleep(0.001)
        run.send_signal(signal.SIGKILL)
        run.communicate()
        if run.returncode == 0:  # it was done before the blow fell
            shutil.rmtree(prefix)
            continue
        if version.exists() and json.loads((version / STATE).read_text())["state"] != "installed":
            assert not whole(prefix)
            assert version_problems(version)
            assert not (prefix / "current").exists()
    done = script(plain, prefix)
    assert done.communicate()[1] is not None
    assert done.returncode == 0
    assert whole(prefix)
    assert answer(prefix) == "tiny 0.1.0 hello\n"


def test_a_terminated_installation_leaves_nothing(plain: Path, tmp_path: Path) -> None:
    run = script(plain, tmp_path / "p")
    while not (tmp_path / "p" / "versions" / read_manifest(plain)["name"] / "venv").exists() and run.poll() is None:
        time.sleep(0.001)
    run.terminate()
    run.communicate()
    assert run.returncode == 130
    assert nothing_there(tmp_path / "p")


@pytest.mark.parametrize("limit", [100, 300, 5_000, 12_000])
def test_a_disk_that_fills_up_leaves_nothing(bundle: Path, tmp_path: Path, limit: int) -> None:
    def starve() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    run = script(bundle, tmp_path / "p", preexec_fn=starve)
    errors = run.communicate()[1]
    assert run.returncode == 2, errors
    assert "error: " in errors
    assert nothing_there(tmp_path / "p")


def test_a_disk_without_the_room_is_refused_before_anything_is_written(
    plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = read_manifest(plain)
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: _Usage())
    with pytest.raises(BundleError, match="MiB are needed, 1 are free"):
        install(plain, tmp_path / "p", None, quiet)
    assert nothing_there(tmp_path / "p")
    assert needed_bytes(manifest) > sum(item["size"] for item in manifest["files"] if item["kind"] == "model")


class _Usage:
    free = 2**20


def test_a_bundle_for_another_machine_or_python_is_refused(plain: Path) -> None:
    manifest = read_manifest(plain)
    for change, words in (({"python": "3.9"}, r"for Python 3\.9"), ({"machine": "s390x"}, "for s390x machines")):
        with pytest.raises(BundleError, match=words):
            module.check_target({**manifest, "target": {**manifest["target"], **change}})


def test_two_installations_at_once_wait_for_each_other(plain: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(module, "_PATIENCE", 0.2)
    with (
        module._locked(tmp_path / "p"),
        pytest.raises(BundleError, match="another installation is at work"),
    ):
        install(plain, tmp_path / "p", None, quiet)
    install(plain, tmp_path / "p", None, quiet)
    assert whole(tmp_path / "p")


HARMS: dict[str, Callable[[Path], object]] = {
    "state": lambda version: (version / STATE).unlink(),
    "unfinished": lambda version: (version / STATE).write_text('{"state": "installing"}'),
    "manifest": lambda version: (version / "manifest.json").write_text("{}"),
    "a module": lambda version: next(version.glob("venv/lib/*/site-packages/tiny_part.py")).unlink(),
    "a module cut short": lambda version: next(version.glob("venv/lib/*/site-packages/tiny_part.py")).write_text(""),
    "a package": lambda version: shutil.rmtree(next(version.glob("venv/lib/*/site-packages/tiny_part-*"))),
    "a model": lambda version: shutil.rmtree(version / "store" / "models" / "tiny-model"),
    "weights": lambda version: os.truncate(version / "store" / "models" / "tiny-model" / "model.safetensors", 9),
    "all packages": lambda version: shutil.rmtree(version / "venv" / "lib"),
    "python": lambda version: (version / "venv" / "bin" / "python").unlink(),
}


def test_an_installation_that_was_harmed_is_not_called_whole(plain: Path, tmp_path: Path) -> None:
    prefix = tmp_path / "p"
    version = install(plain, prefix, None, quiet)
    for name, harm in HARMS.items():
        assert whole(prefix)
        shutil.copytree(version, tmp_path / "kept", symlinks=True)
        harm(version)
        assert prefix_states(prefix)[version.name], name
        assert not whole(prefix)
        shutil.rmtree(version)
        (tmp_path / "kept").rename(version)
    shutil.rmtree(version)
    assert not whole(prefix)
    assert "not there" in prefix_states(prefix)[version.name][0]
