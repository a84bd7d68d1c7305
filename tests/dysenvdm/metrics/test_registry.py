"""A metric's declaration is what measuring holds its material, settings and weights against."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from pydantic import Field

from dysenvdm.metrics import (
    Figure,
    Item,
    Material,
    Measured,
    Metric,
    Settings,
    Weights,
    measure,
    measure_all,
    names,
    registry,
)
from dysenvdm.models import write_manifest
from planners.dsg import UserError


class Bounds(Settings):
    clips: int = Field(2, ge=1)


def mean_brightness(material: Material, settings: Bounds) -> Sequence[Measured]:
    assert all(item.read for item in material.items)
    return [Measured("brightness", pairs=[(float(item.read().mean()), 1) for item in material.items if item.read])]


def spread(material: Material, settings: Bounds) -> Sequence[Measured]:
    return [Measured("spread", runs=[1.0, 3.0], n=settings.clips)]


WEIGHTS = Weights("lamp", "lamp.pt", "the lamp's makers", "MIT", "run: dysenvdm models convert lamp FILE")
BRIGHTNESS = Metric(
    "brightness",
    "how bright",
    (Figure("brightness", "higher", "mean"),),
    frozenset({"videos"}),
    mean_brightness,
    settings=Bounds,
)
SPREAD = Metric(
    "spread",
    "how far apart",
    (Figure("spread", "lower", "set"),),
    frozenset({"videos", "reference"}),
    spread,
    settings=Bounds,
    weights=(WEIGHTS,),
    minimum=2,
)


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("DYSENVDM_HOME", str(tmp_path))
    monkeypatch.setattr(registry, "_ADDED", {"brightness": BRIGHTNESS, "spread": SPREAD})
    return


def clips(*levels: int) -> list[Item]:
    return [
        Item(f"clip{i}", lambda level=level: np.full((2, 4, 4, 3), level, np.uint8)) for i, level in enumerate(levels)
    ]


def test_a_mean_carries_n_its_standard_error_its_interval_and_every_clips_value() -> None:
    [result] = measure("brightness", Material(clips(10, 20, 60)))
    assert (result.value, result.n, result.direction, result.name) == (30, 3, "higher", "brightness")
    assert result.stderr == pytest.approx(np.std([10, 20, 60], ddof=1) / 3**0.5)
    assert result.interval is not None
    assert 10 <= result.interval[0] < 30 < result.interval[1] <= 60
    assert result.pairs == {"clip0": (10, 1), "clip1": (20, 1), "clip2": (60, 1)}
    assert result.settings == {"clips": 2}


def test_a_metric_without_its_weights_says_what_it_wants_and_the_others_run() -> None:
    material = Material(clips(1, 2), clips(3, 4))
    results, missing = measure_all(["spread", "brightness"], material)
    assert [result.metric for result in results] == ["brightness"]
    assert list(missing) == ["spread"]
    for part in ("lamp.pt", "the lamp's makers", "MIT", "dysenvdm models convert lamp"):
        assert part in missing["spread"]


def test_weights_are_stamped_with_their_hash_and_checked(tmp_path: Path) -> None:
    folder = tmp_path / "models" / "lamp"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"light")
    write_manifest(folder, source="here", licence="MIT")
    material = Material(clips(1, 2), clips(3, 4))
    [result] = measure("spread", material)
    assert result.weights == {"lamp/model.safetensors": hashlib.sha256(b"light").hexdigest()}
    assert (result.value, result.stderr, result.runs, result.n) == (2.0, 1.0, 2, 2)
    (folder / "model.safetensors").write_bytes(b"other")
    with pytest.raises(UserError, match="SHA-256"):
        measure("spread", material)


def test_bad_input_is_named() -> None:
    with pytest.raises(UserError, match="did you mean 'brightness'"):
        measure("brightnes", Material(clips(1, 2)))
    with pytest.raises(UserError, match="did you mean 'spread'"):
        measure_all(["brightness", "spred"], Material(clips(1, 2)))
    with pytest.raises(UserError, match=r"brightness: videos: 1 given, it needs at least 2"):
        measure("brightness", Material(clips(1)))
    with pytest.raises(UserError, match=r"spread: reference: 0 given"):
        measure("spread", Material(clips(1, 2)))
    with pytest.raises(UserError, match=r"settings: .*; it knows: clips"):
        measure("brightness", Material(clips(1, 2)), {"clip": 3})
    with pytest.raises(UserError, match="b: has no video"):
        measure("brightness", Material([*clips(1), Item("b")]))


def test_a_name_is_given_once() -> None:
    registry.register(Metric("new", "", (), frozenset(), mean_brightness))
    assert names()[-3:] == ("brightness", "spread", "new")
    for taken in ("new", "fvd"):
        with pytest.raises(ValueError, match=taken):
            registry.register(Metric(taken, "", (), frozenset(), mean_brightness))
