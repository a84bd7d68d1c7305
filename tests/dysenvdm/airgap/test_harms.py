"""The harms that benchmarks/airgap.py does to the real bundle, a few of each on the tiny one."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.airgap import Report, fingerprint, flips, half_made, main
from dysenvdm.airgap.installer.prefix import install
from dysenvdm.airgap.installer.state import STATE


def test_every_harm_is_noticed(plain: Path, key: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--bundle", str(plain), "--key", str(key.with_suffix(".pub")), "-o", str(tmp_path / "work")]
    words += ["--flips", "10", "--kills", "2", "--only", "flips", "--only", "kills", "--only", "disk"]
    assert main(words) == 0
    out = capsys.readouterr().out
    assert "10 of 10" in out
    assert "none half-made looks whole" in out


def test_a_harm_that_verify_misses_fails_the_run(plain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.airgap.verify", lambda *_: [])
    report = Report()
    flips(report, plain, None, 1, 0)
    assert "was not found" in report.wrong[0]


def test_only_an_installation_with_every_file_in_place_may_look_whole(plain: Path, tmp_path: Path) -> None:
    prefix = tmp_path / "prefix"
    version = install(plain, prefix, None, lambda _: None)
    whole = fingerprint(prefix)
    assert whole
    assert not half_made(prefix, whole)  # killed after its last step
    (prefix / "current").unlink()
    assert not half_made(prefix, whole)  # killed between the last file and the switch
    state = version / STATE
    says_installed = state.read_text()
    state.write_text(says_installed.replace('"installed"', '"installing"'))
    assert not half_made(prefix, whole)  # says itself that it is not
    state.write_text(says_installed)
    script = next(path for path in (version / "venv").rglob("*.py") if path.stat().st_size)
    script.write_bytes(b"#" + script.read_bytes()[1:])  # of the right size
    assert half_made(prefix, whole)
