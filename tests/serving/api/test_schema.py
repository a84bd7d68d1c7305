"""A few requests from the OpenAPI document; thousands in tests/slow/test_api_schema.py."""

from __future__ import annotations

from pathlib import Path

from tests.serving.api.schema_cases import run


def test_made_up_requests_break_nothing(tmp_path: Path) -> None:
    assert run(tmp_path, per_operation=3) > 100
