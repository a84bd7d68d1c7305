"""The real bundle of this machine, made, verified, and at work where there is no network. Takes minutes and 3 GB."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.airgap import main


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_real_bundle_plans_and_generates_without_a_network(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["-o", str(tmp_path), "--only", "create", "--only", "install"]) == 0, capsys.readouterr().out
