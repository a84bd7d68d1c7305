"""Histograms of check-data: every value is in one bar."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dysenvdm.data.checking import SECONDS, binned, counted


@given(st.lists(st.floats(0, 1e4)))
def test_every_value_is_in_the_bar_that_its_name_says(values: list[float]) -> None:
    bars = binned(values, SECONDS)
    assert sum(bars.values()) == len(values)
    for name, number in bars.items():
        low, _, high = name.partition("-")
        assert number == sum(float(low) <= value < float(high or "inf") for value in values)


def test_the_most_frequent_comes_first() -> None:
    assert list(counted("abbcc").items()) == [("b", 2), ("c", 2), ("a", 1)]
