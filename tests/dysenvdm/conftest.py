"""A ModelScope-like backbone of random weights, and a model made of it."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ModelScope-like folder of random weights: 2 pixels per latent, text of width 32; not to be written to."""
    from benchmarks.random_backbone import write_random_backbone

    folder = tmp_path_factory.mktemp("backbone") / "text-to-video-ms"
    write_random_backbone(folder)
    return folder


@pytest.fixture(scope="session")
def backbone_model(backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with a small scene adapter, as a model of ours; not to be written to."""
    from dysenvdm.pretrained import add_backbone

    return add_backbone(backbone, tmp_path_factory.mktemp("added") / "model", adapter_width=16, adapter_layers=1).folder
