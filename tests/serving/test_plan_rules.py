"""The page's rules for scene graphs (web/src/plan/model/rules.ts) and planners/dsg.py's are the same.

``plans.jsonl`` is written by web/tests/plan/python.test.ts, which also sees to it that it is up to date: scene graphs
after random edits in the page's editor, and files with something broken together with the page's verdict on them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from planners.dsg import DSGError, DynamicSceneGraph

with (Path(__file__).parent / "plans.jsonl").open(encoding="utf-8") as file:  # some labels hold line separators
    LINES: list[dict[str, Any]] = [json.loads(line) for line in file]
EDITED = [line["text"] for line in LINES if "file" not in line]
BENT = [(line["file"], line["text"]) for line in LINES if "file" in line]


def test_edited_plans_are_valid_and_in_the_one_canonical_form() -> None:
    assert len(EDITED) >= 300
    assert len(set(EDITED)) > 250
    for text in EDITED:
        assert DynamicSceneGraph.from_json(text).to_json() == text


def test_edits_leave_some_of_everything() -> None:
    graphs = [DynamicSceneGraph.from_json(text) for text in EDITED]
    assert {fact.source for graph in graphs for fact in graph.facts} == {
        "prompt",
        "plan",
        "imagined",
        "polished",
        "user",
    }
    assert len({graph.ticks for graph in graphs}) > 5
    assert any(thing.end is not None for graph in graphs for thing in graph.objects)
    assert any(ord(letter) > 0xFFFF for graph in graphs for fact in graph.facts for letter in fact.label)


def test_the_page_and_the_planner_refuse_the_same_files() -> None:
    differ = []
    for file, text in BENT:
        try:
            here = DynamicSceneGraph.from_json(json.dumps(file)).to_json()
        except DSGError:
            here = None
        if here != text:
            differ.append((file, here, text))
    assert differ == []
    refused = sum(text is None for _, text in BENT)
    assert 50 < refused < len(BENT) - 50  # both verdicts are tried
