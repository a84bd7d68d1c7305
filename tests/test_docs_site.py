"""The documentation site: every link leads somewhere, and no page loads anything from elsewhere."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from dysenvdm.cli.schema_reference import schema
from planners.dsg import DSGError, DynamicSceneGraph

ROOT = Path(__file__).parents[1]
LOADED = re.compile(r"""<(?:script|img|iframe|source)[^>]*\ssrc=["']?([^"'\s>]+)|<link[^>]*\shref=["']?([^"'\s>]+)""")


def test_the_site_builds_strictly_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    site = tmp_path / "site"
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", site],
        cwd=ROOT,
        env={"PATH": "", "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    pages = list(site.rglob("*.html"))
    assert {page.stem for page in (ROOT / "docs").glob("*.md")} <= {page.stem for page in pages}
    for page in pages:
        for match in LOADED.finditer(page.read_text(encoding="utf-8")):
            target = match[1] or match[2]
            assert not re.match(r"(?i)https?:|//", target), f"{page.name} loads {target}"
            if not target.startswith(("#", "data:", "/")):
                assert (page.parent / target.partition("?")[0].partition("#")[0]).exists(), f"{page.name}: {target}"


def test_the_published_schema_is_current_and_takes_the_pages_example() -> None:
    published = (ROOT / "docs" / "dsg.schema.json").read_text(encoding="utf-8")
    assert published == schema(), "run: make docs"
    page = (ROOT / "docs" / "dsg-format.md").read_text(encoding="utf-8")
    [example] = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    jsonschema.validate(json.loads(example), json.loads(published))
    assert DynamicSceneGraph.from_json(example).ticks == 8


@pytest.mark.parametrize(
    "change",
    [
        {"ticks": 0},
        {"ticks": 1025},
        {"more": 1},
        {"format": "dysenvdm.dsg/2"},
        {"objects": [{"id": "a b", "label": "a"}]},
    ],
)
def test_what_the_schema_refuses_readers_refuse(change: dict[str, object]) -> None:
    data = {"format": "dysenvdm.dsg/1", "ticks": 4, "objects": [], "facts": []} | change
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(data, json.loads(schema()))
    with pytest.raises(DSGError):
        DynamicSceneGraph.from_json(json.dumps(data))
