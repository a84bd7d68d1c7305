"""Writes the JSON Schema of DSG files, from the code: ``python -m dysenvdm.cli.schema_reference FILE``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from dysenvdm.files import written_whole
from planners.dsg import DynamicSceneGraph


def schema() -> str:
    """The schema as JSON text."""
    told = {"$schema": "https://json-schema.org/draft/2020-12/schema", **DynamicSceneGraph.model_json_schema()}
    return json.dumps(told, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    with written_whole(Path(sys.argv[1])) as temporary:
        temporary.write_text(schema(), encoding="utf-8")
