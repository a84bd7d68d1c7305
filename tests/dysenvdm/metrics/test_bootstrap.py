"""Intervals of the benchmarks: shares weigh by what was judged, and clips are what is drawn anew."""

from dysenvdm.metrics.bootstrap import cell, share


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
