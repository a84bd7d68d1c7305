"""The harms that benchmarks/airgap.py does to the real bundle, a few of each on the tiny one."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.airgap import Report, flips, main


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
