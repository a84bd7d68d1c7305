"""Five thousand requests from the OpenAPI document: python -m pytest -m slow tests/slow/test_api_schema.py -s"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.serving.api.schema_cases import run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(7200)]


def test_five_thousand_made_up_requests_break_nothing(tmp_path: Path) -> None:
    made = run(tmp_path, per_operation=140)
    print(f"{made} requests")
    assert made >= 5000
