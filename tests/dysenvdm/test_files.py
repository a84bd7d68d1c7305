"""Reading foreign YAML: whatever is wrong is one kind of error with one short line."""

from __future__ import annotations

import pytest

from dysenvdm.files import parsed_yaml


def test_yaml_is_plain_data() -> None:
    assert parsed_yaml("a: [1, 2.5, x]\nb: {c: null}\n") == {"a": [1, 2.5, "x"], "b": {"c": None}}


@pytest.mark.parametrize(
    "text",
    [
        "a: [", "2020-13-45", "!!timestamp x", "!!python/object:os.system {}", "*nobody", "[" * 3000, "? [a]\n: b",
        "!!binary x", "!!float x", "\x00", "--- 1\n--- 2", "x: " + "1" * 5000,
    ],
)  # fmt: skip
def test_what_is_no_yaml_is_one_kind_of_error(text: str) -> None:
    with pytest.raises(ValueError) as caught:
        parsed_yaml(text)
    said = str(caught.value)
    assert "\n" not in said
    assert len(said) <= 300
