"""Known answers of what is computed from pixels."""

import numpy as np
import pytest

from dysenvdm.metrics import Material, measure
from dysenvdm.metrics.motion import dynamic_degree, flicker, smoothness
from planners.dsg import UserError
from tests.dysenvdm.metrics.conftest import items

STILL = np.full((8, 16, 16, 3), 90, np.uint8)


def test_a_still_video_is_smooth_steady_and_does_not_move() -> None:
    assert (smoothness(STILL), flicker(STILL), dynamic_degree(STILL)) == (1, 0, 0)


def test_an_even_change_of_light_is_smooth_and_an_alternating_one_flickers() -> None:
    ramp = STILL + (np.arange(8, dtype=np.uint8) * 2)[:, None, None, None]
    assert smoothness(ramp) == pytest.approx(1)
    assert flicker(ramp) == pytest.approx(0, abs=1e-12)
    blink = STILL.copy()
    blink[::2] = 141
    assert flicker(blink) == pytest.approx(51 / 255)
    assert smoothness(blink) == pytest.approx(1 - 51 / 255)
    assert dynamic_degree(blink) == 1


def test_dynamic_degree_is_the_share_of_pixels_that_change() -> None:
    square = np.zeros((3, 8, 8, 3), np.uint8)
    for f in range(3):
        square[f, :4, f : f + 2] = 255
    assert dynamic_degree(square) == pytest.approx(8 / 64)
    assert flicker(square) <= 1 - smoothness(square)


def test_the_metric_gives_all_three_and_names_a_clip_that_is_too_short() -> None:
    found = measure("motion", Material(items([STILL, STILL])))
    assert {result.figure: result.value for result in found} == {"smoothness": 1, "flicker": 0, "dynamic_degree": 0}
    with pytest.raises(UserError, match="clip1: has 2 frames, it needs at least 3"):
        measure("motion", Material(items([STILL, STILL[:2]])))
