"""The preflight of `doctor`: every trouble has its finding and its mend."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from dysenvdm.airgap import preflight
from dysenvdm.airgap.installer.prefix import install
from dysenvdm.airgap.preflight import Gpu, installation, memory_for_models, torch_and_driver

GPU = Gpu("a GPU", 80 * 2**30)


@pytest.mark.parametrize(
    ("build", "driver", "gpus", "level"),
    [
        (None, None, [], "ok"),
        (None, (13, 0), [], "warning"),
        ("13.0", None, [], "warning"),
        ("13.0", (12, 8), [], "error"),
        ("13.0", (13, 0), [], "error"),
        ("13.2", (13, 0), [GPU], "ok"),  # minor versions of one major run each other's programs
        ("12.8", (13, 0), [GPU], "ok"),
    ],
)
def test_torch_and_the_driver(build: str | None, driver: tuple[int, int] | None, gpus: list[Gpu], level: str) -> None:
    finding = torch_and_driver(build, driver, gpus)
    assert finding.level == level
    assert bool(finding.mend) == (level != "ok")


def test_models_that_do_not_fit_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "models" / "huge"
    folder.mkdir(parents=True)
    with (folder / "model.safetensors").open("wb") as file:
        file.truncate(60 * 2**30)  # a hole
    monkeypatch.setenv("DYSENVDM_HOME", str(tmp_path))
    assert [finding.name for finding in memory_for_models([GPU], 2**40) if finding.level != "ok"] == ["memory for huge"]
    assert not [finding for finding in memory_for_models([], 2**40) if finding.level != "ok"]
    assert [finding for finding in memory_for_models([], 2**36) if finding.level != "ok"]


def test_a_folder_that_cannot_be_written_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    [good] = preflight.write_access({"model store": tmp_path / "not" / "yet"})
    assert good.level == "ok"

    def refuse(**_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(preflight.tempfile, "TemporaryFile", refuse)
    bad = list(preflight.write_access({"model store": tmp_path, "temporary folder": tmp_path}))
    assert [finding.level for finding in bad] == ["warning", "error"]
    assert all(finding.mend for finding in bad)


def test_offline_switches_and_proxies() -> None:
    from dysenvdm.cli.main import OFFLINE

    assert OFFLINE is preflight.SWITCHES
    assert [finding.level for finding in preflight.offline_switches(OFFLINE)] == ["ok"]
    [missing] = preflight.offline_switches({**OFFLINE, "HF_HUB_OFFLINE": "0"})
    assert missing.mend == "export HF_HUB_OFFLINE=1"
    [_, proxy] = preflight.offline_switches({**OFFLINE, "HTTPS_PROXY": "http://proxy:3128"})
    assert (proxy.name, proxy.level) == ("proxy", "warning")
    assert (
        len(list(preflight.offline_switches({**OFFLINE, "HTTPS_PROXY": "x", "no_proxy": "localhost,127.0.0.1"}))) == 1
    )


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_port_that_is_taken_is_found(taken: int) -> None:
    finding = preflight.port(taken)
    assert finding.level == "warning"
    assert str(taken) in finding.mend
    assert preflight.port(0).level == "ok"


def test_the_installed_bundle_and_those_beside_it(plain: Path, tmp_path: Path) -> None:
    assert [finding.found for finding in installation(tmp_path / ".venv")] == ["not installed from a bundle"]
    version = install(plain, tmp_path / "p", None, lambda line: None)
    [good] = installation(version / "venv")
    assert good.level == "ok"
    half = version.with_name("half")
    (half / "venv").mkdir(parents=True)
    states = {finding.name: finding.level for finding in installation(version / "venv")}
    assert states == {f"bundle {version.name}": "ok", "bundle half": "warning"}
    assert {finding.name: finding.level for finding in installation(half / "venv")}["bundle half"] == "error"
    os.truncate(version / "store" / "models" / "tiny-model" / "config.json", 1)
    bad = next(finding for finding in installation(version / "venv") if finding.name == f"bundle {version.name}")
    assert bad.level == "error"
    assert "config.json is missing or cut short" in bad.found
    assert bad.mend


def test_doctor_reports_all_of_it(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from dysenvdm.cli.main import main

    with pytest.raises(SystemExit):
        main(["doctor", "--json"])
    findings = json.loads(capsys.readouterr().out)
    names = {finding["name"] for finding in findings}
    assert {"cuda", "devices", "offline switches", "port 8000", "bundle", "write to model store"} <= names
    assert all(finding["mend"] for finding in findings if finding["level"] != "ok")
