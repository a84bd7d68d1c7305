"""What the benchmark of long videos measures, on videos whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.generation import ACTS, girl, identity, part


def walking(stretches: list[int], colours: list[tuple[int, int, int]]) -> np.ndarray:
    """A square of each stretch's colour that walks over a ground of its grey; 16 frames a stretch."""
    frames = []
    for grey, colour in zip(stretches, colours, strict=True):
        for i in range(16):
            frame = np.full((16, 16, 3), grey, np.uint8)
            frame[4:8, i % 12 : i % 12 + 4] = colour
            frames.append(frame)
    return np.stack(frames)


def test_what_stays_the_same_is_told_from_what_does_not() -> None:
    red, blue = (220, 20, 20), (20, 20, 220)
    same = identity(walking([100, 100, 100], [red, red, red]))
    other_scenery = identity(walking([100, 110, 130], [red, red, red]))
    other_colour = identity(walking([100, 100, 100], [red, blue, blue]))
    assert list(same.values())[:2] == [pytest.approx(0), pytest.approx(1)]
    assert list(other_scenery.values())[:2] == [pytest.approx(20, abs=1), pytest.approx(1, abs=0.1)]
    assert list(other_colour.values())[:2] == [pytest.approx(0, abs=2), pytest.approx(0, abs=0.2)]
    jump = "jump between stretches / within"
    assert other_scenery[jump] > 2 * same[jump]


def test_parts_of_a_graph_hold_the_facts_of_their_ticks() -> None:
    whole = girl("red", 32, ACTS)
    for start in range(0, 32, 8):
        piece = part(whole, start, start + 8)
        for tick in range(8):
            assert piece.at(tick).triplets == whole.at(start + tick).triplets
