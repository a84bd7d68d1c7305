"""Intervals of the benchmarks: shares weigh by what was judged, and clips are what is drawn anew."""

import numpy as np
import pytest

from dysenvdm.metrics.bootstrap import RESAMPLES, cell, difference, holm, share


def test_shares_weigh_by_what_was_judged() -> None:
    found = share([(1, 1), (0, 3)])
    assert found is not None
    assert found[0] == 0.25
    assert found[1] <= 0.25 <= found[2]


def test_like_clips_leave_nothing_open_and_more_of_them_less() -> None:
    assert share([(1, 2)] * 9) == (0.5, 0.5, 0.5)
    few, many = share([(1, 1), (0, 1)] * 5), share([(1, 1), (0, 1)] * 500)
    assert few is not None
    assert many is not None
    assert many[2] - many[1] < (few[2] - few[1]) / 5


def test_nothing_judged_is_no_figure() -> None:
    assert share([(0, 0), (0, 0)]) is None
    assert cell([]) == cell([(0, 0)]) == "-"


def test_a_paired_difference_has_the_interval_of_its_differences() -> None:
    draw = np.random.default_rng(1)
    hard = draw.normal(size=200)  # what both share, and what pairing takes out
    first = [(float(x), 1.0) for x in hard + draw.normal(0.2, 0.3, size=200)]
    second = [(float(x), 1.0) for x in hard]
    found = difference(first, second)
    assert found is not None
    gains = np.array(first)[:, 0] - np.array(second)[:, 0]
    error = gains.std(ddof=1) / np.sqrt(len(gains))
    assert found[0] == pytest.approx(gains.mean())
    assert found[1:3] == pytest.approx((gains.mean() - 1.96 * error, gains.mean() + 1.96 * error), abs=0.15 * error)
    assert found[3] == pytest.approx(2 / (RESAMPLES + 1))
    mirrored = difference(second, first)
    assert mirrored is not None
    assert mirrored[:3] == pytest.approx((-found[0], -found[2], -found[1]))


def test_equal_planners_do_not_differ_and_what_is_not_judged_is_no_difference() -> None:
    same = [(1.0, 2.0), (0.0, 3.0), (2.0, 2.0)]
    assert difference(same, same) == (0, 0, 0, 1)
    assert difference(same, [(0.0, 0.0)] * 3) is None


def test_chance_is_found_significant_about_as_often_as_it_says() -> None:
    draw = np.random.default_rng(2)
    p_values = []
    for _ in range(200):
        x, y = draw.integers(0, 2, size=(2, 60)).astype(float)
        found = difference([(v, 1.0) for v in x], [(v, 1.0) for v in y])
        assert found is not None
        p_values.append(found[3])
    assert 0.01 <= np.mean(np.array(p_values) < 0.05) <= 0.1


def test_holms_correction_is_the_textbooks() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert holm([]) == []
