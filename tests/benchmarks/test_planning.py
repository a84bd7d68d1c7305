"""What benchmarks of planners share: no prompt is lost or doubled, and intervals are what they are called."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.planning import contestants, judged, options_of, parser, share, wilson
from dysenvdm.metrics.bootstrap import cell
from planners.contracts import PlanResult
from planners.dsg import UserError
from planners.rules import RulesPlanner

PROMPTS = ["a dog", "a cat", "a cow", "…", "a hen"]


def options(*given: str) -> argparse.Namespace:
    return parser("x", "Doc.").parse_args(given)


def label(i: int, result: PlanResult) -> dict[str, Any]:
    return {"number": i, "label": result.plan.objects[0].label if result.plan else None, "why": result.degraded}


def test_every_prompt_is_judged_in_order_batch_by_batch(walkers: Any, tmp_path: Path) -> None:
    output = tmp_path / "lines.jsonl"
    found = judged(options("--batch", "2", "--output", str(output)), "me", walkers, PROMPTS, 4, label)
    assert [line["label"] for line in found] == ["dog", "cat", "cow", None, "hen"]
    assert found[3]["why"].startswith("prompt: no words in '…'")
    assert walkers.batches == [["a dog", "a cat"], ["a cow"], ["a hen"]]
    lines = [json.loads(line) for line in output.read_text("utf-8").splitlines()]
    assert [line["prompt"] for line in lines] == PROMPTS
    assert lines[0]["plan"]["events"][0]["predicate"] == "walk"


def test_a_run_that_was_cut_goes_on_where_it_ended(walkers: Any, tmp_path: Path) -> None:
    output = tmp_path / "lines.jsonl"
    arguments = options("--batch", "2", "--output", str(output), "--resume")
    whole = judged(arguments, "me", walkers, PROMPTS, 4, label)
    lines = output.read_bytes().splitlines(keepends=True)
    output.write_bytes(b"".join(lines[:2]) + lines[2][:20])
    judged(arguments, "other", walkers, PROMPTS[:1], 4, label)
    walkers.batches.clear()
    assert judged(arguments, "me", walkers, PROMPTS, 4, label) == whole
    assert walkers.batches == [["a cow"], ["a hen"]]
    assert sorted(json.loads(line)["number"] for line in output.read_bytes().splitlines()) == [0, 0, 1, 2, 3, 4]
    with pytest.raises(UserError, match="prompt 0 was another one"):
        judged(arguments, "me", walkers, ["a sheep"], 4, label)


def test_limits_leave_the_last_prompts_out(walkers: Any) -> None:
    assert len(judged(options("--limit", "2"), "me", walkers, PROMPTS, 4, label)) == 2
    assert judged(options("--minutes", "0"), "me", walkers, PROMPTS, 4, label) == []


def test_mistakes_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    (tmp_path / "old.jsonl").write_text("{}\n")
    for given in (["--output", str(tmp_path / "old.jsonl")], ["--planner", "nobody"], ["--planner-option", "x"]):
        monkeypatch.setattr("sys.argv", ["x", *given])
        with pytest.raises(SystemExit) as caught, options_of(parser("x", "Doc.")) as arguments:
            list(contestants(arguments))
        assert caught.value.code == 2
    said = capsys.readouterr().err
    assert "old.jsonl: is there; give --resume" in said
    assert "planner 'nobody': no such planner" in said
    assert "--planner-option 'x': write KEY=VALUE" in said


def test_planners_get_the_options_that_they_know() -> None:
    [(name, planner)] = contestants(options("--planner", "rules", "--planner-option", "imagine=false"), device="cpu")
    assert name == "rules imagine=false"
    assert isinstance(planner, RulesPlanner)
    [(name, _)] = contestants(options("--planner", "rules:imagine=false", "--planner-option", "imagine=true"))
    assert name == "rules imagine=false"


def test_ratios_have_their_bootstrap_intervals() -> None:
    assert cell([(1, 1)] * 20) == "1.000 (1.00-1.00)"
    assert cell([(0, 0), (3, 4)]) == "0.750 (0.75-0.75)"
    assert cell([(0, 0)]) == cell([]) == "-"
    numbers = cell([(1, 1), (0, 1)] * 50).replace("(", "").replace(")", "").replace("-", " ")
    value, low, high = map(float, numbers.split())
    assert value == 0.5
    # The binomial's standard error is 0.05.
    assert 0.38 <= low <= 0.42
    assert 0.58 <= high <= 0.62


def test_wilson_intervals_are_those_of_the_textbook() -> None:
    low, high = wilson(8, 10)
    assert (round(low, 3), round(high, 3)) == (0.490, 0.943)
    assert share(500, 500) == "1.000 (0.992-1.000)"
    assert share(0, 0) == "-"
