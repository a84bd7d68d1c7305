"""The clips that the tests of the Stage world look at, drawn once."""

from __future__ import annotations

import pytest

from dysenvdm.stage import StageClip, sample


@pytest.fixture(scope="session")
def clips() -> tuple[StageClip, ...]:
    return tuple(sample(seed) for seed in range(400))
