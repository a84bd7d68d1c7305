"""The measurement that waits for a GPU works at a tiny size on a CPU, and its figures belong together."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks.backbone_speed import arguments, counted, measured, ours, plain

SMALL = ["--tiny", "--frames", "4", "--size", "16", "--pairs", "2", "--device", "cpu"]
CPU = torch.device("cpu")
MAKERS = {"ours": ours, "diffusers": plain}
FOLDERS = {"ours": "added", "diffusers": "random"}


def test_both_pipelines_are_measured_in_pairs(tmp_path: Path) -> None:
    options = arguments([*SMALL, "--steps", "2"])
    found = {row.name.partition(",")[0]: row for row in measured(options, tmp_path)}
    for name in ("ours", "diffusers"):
        took, shares = (found[f"{name}: {what}"].samples for what in ("a video", "share of the matmul peak"))
        products = [share * second for share, second in zip(shares, took, strict=True)]
        assert products[0] == pytest.approx(products[1]), "a share is FLOPs over seconds"
        one_step = counted(MAKERS[name](tmp_path / FOLDERS[name], arguments([*SMALL, "--steps", "1"]), CPU)) / 1e12
        assert 0 < one_step < found[f"{name}: FLOPs of a video"].median < 2 * one_step, "text and decoding are once"
    assert found["ours: FLOPs of a video"].median > found["diffusers: FLOPs of a video"].median, "it reads a scene"
    mine, theirs = (found[f"{name}: a video"].samples for name in ("ours", "diffusers"))
    [ratios] = [row.samples for name, row in found.items() if name.startswith("ours / diffusers")]
    assert ratios == pytest.approx([a / b for a, b in zip(mine, theirs, strict=True)])


def test_flops_are_those_of_the_operations() -> None:
    left, right = torch.ones(2, 3), torch.ones(3, 4)
    assert counted(lambda: left @ right) == 2 * 2 * 3 * 4
