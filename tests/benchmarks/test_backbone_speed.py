"""The measurement that waits for a GPU works at a tiny size on a CPU, and its figures belong together."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.backbone_speed import arguments, measured
from benchmarks.rows import Row

SMALL = ["--tiny", "--frames", "4", "--size", "16", "--pairs", "2", "--device", "cpu"]


def rows(work: Path, steps: int) -> dict[str, Row]:
    work.mkdir()
    return {row.name.partition(",")[0]: row for row in measured(arguments([*SMALL, "--steps", str(steps)]), work)}


@pytest.mark.filterwarnings("ignore:.*deprecated.*:FutureWarning")
def test_both_pipelines_are_measured_in_pairs_and_flops_grow_with_the_steps(tmp_path: Path) -> None:
    found = {steps: rows(tmp_path / str(steps), steps) for steps in (1, 2, 3)}
    for name in ("ours", "diffusers"):
        flops = [found[steps][f"{name}: FLOPs of a video"].median for steps in (1, 2, 3)]
        assert 0 < flops[1] - flops[0] == pytest.approx(flops[2] - flops[1]), "each step costs the same"
        took, shares = (found[2][f"{name}: {what}"].samples for what in ("a video", "share of the matmul peak"))
        products = [share * second for share, second in zip(shares, took, strict=True)]
        assert products[0] == pytest.approx(products[1]), "a share is FLOPs over seconds"
    assert found[2]["ours: FLOPs of a video"].median > found[2]["diffusers: FLOPs of a video"].median
    mine, theirs = (found[2][f"{name}: a video"].samples for name in ("ours", "diffusers"))
    [ratios] = [row.samples for name, row in found[2].items() if name.startswith("ours / diffusers")]
    assert ratios == pytest.approx([a / b for a, b in zip(mine, theirs, strict=True)])
