"""A comparison's figures follow from its plans, nothing is planned or made twice, and what is broken is named."""

from __future__ import annotations

import json
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from dysenvdm.stage import sample
from dysenvdm.studies import scene_planning
from dysenvdm.studies.comparison import Comparison, run
from dysenvdm.studies.comparison.contestants import loaded, read_contestants
from dysenvdm.studies.comparison.figures import significance
from dysenvdm.studies.comparison.prompts import name_of, read_prompts
from dysenvdm.studies.comparison.run import read_prices
from dysenvdm.studies.comparison.store import alone
from dysenvdm.studies.reply_checks import watch
from planners import plugins
from planners.dsg import UserError
from planners.dysen import DysenPlanner
from planners.engines import Capabilities, Reply, Request
from planners.questions import instructions
from planners.rules import RulesPlanner

PROMPT = "A dog runs."


class Script:
    """Answers every question of "A dog runs.", the first ``wrong`` ones with what no schema allows."""

    name = "script (test)"
    capabilities = Capabilities(constrained=True, batched=True, seeded=True, local=True)

    def __init__(self, wrong: int) -> None:
        self.wrong, self.closed = wrong, 0

    def generate(self, requests: Sequence[Request]) -> list[Reply]:
        return [self._reply(request) for request in requests]

    def _reply(self, request: Request) -> Reply:
        if self.wrong:
            self.wrong -= 1
            said: Any = 7
        elif request.messages[0].content == instructions("imagine"):
            said = {"add": ["dog is brown"]}
        elif request.messages[0].content == instructions("polish"):
            said = {"remove": [], "change": [], "add": []}
        elif "enum" in request.json_schema:
            said = request.json_schema["enum"][0]
        else:
            said = "a dog runs"
        return Reply(text=json.dumps(said), finish_reason="stop", prompt_tokens=100, completion_tokens=10, seconds=0.0)

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Adds the planner ``script``; the list gets every planner that is built."""
    found: list[Any] = []
    known = plugins.registry()

    def script(*, wrong: int = 0, model: str = "") -> DysenPlanner:
        found.append(DysenPlanner(Script(wrong)))
        return found[-1]

    def rules() -> RulesPlanner:
        found.append(RulesPlanner())
        return found[-1]

    added = {
        "script": plugins.PlannerInfo("script", "help", "nothing", "test", script),
        "rules": plugins.PlannerInfo("rules", "help", "nothing", "test", rules),
    }
    registry = plugins.Registry(known.planners | added, {})
    for module in (plugins, scene_planning):
        monkeypatch.setattr(module, "registry", lambda: registry)
    return found


def gold_file(folder: Path, *prompts: str) -> Path:
    """Prompts whose gold plan is a dog that runs, then one without gold."""
    plan = {
        "ticks": 8,
        "objects": [{"id": "dog", "label": "dog"}],
        "events": [{"agent": "dog", "predicate": "run", "start": 0, "end": 8}],
    }
    lines = [json.dumps({"prompt": prompt, "plan": plan}) for prompt in prompts]
    path = folder / "prompts.jsonl"
    path.write_text("\n".join([*lines, json.dumps({"prompt": "A cat sits."})]) + "\n")
    return path


def compared(folder: Path, prompts: object, *planners: str, **more: Any) -> dict[str, Any]:
    return run(Comparison(str(prompts), planners, **more), folder, lambda *_: None)


def test_figures_are_those_of_the_plans(built: list[Any], tmp_path: Path) -> None:
    prompts = gold_file(tmp_path, PROMPT)
    prompts.write_text(prompts.read_text().splitlines()[0] + "\n")
    found = compared(tmp_path / "out", prompts, "rules", "script:wrong=1", "gold", prices=["script=1/10"])
    rules, script, gold = (found["figures"][name] for name in ("rules", "script wrong=1", "gold"))
    for one in (rules, script, gold):
        assert [one[name]["value"] for name in ("event F1", "interval IoU", "triplet recall", "right")] == [1] * 4
        assert "order" not in one, "one event has no order"
    assert "schema-valid" not in rules, "it has no language model"
    assert script["schema-valid"]["value"] == 1, "the last reply to each question counts"
    assert script["repairs"]["value"] == 1
    calls = script["LLM calls"]["value"]
    assert script["tokens in"]["value"] == 100 * calls
    assert script["cost"]["value"] == pytest.approx(1000 * (100 * calls * 1 + 10 * calls * 10) / 1e6)
    assert "cost" not in rules
    assert script["imagined per tick"]["value"] == 1
    assert rules["imagined per tick"]["value"] == 0
    assert script["imagined, consistent"]["value"] == 1
    assert "imagined, consistent" not in rules
    assert script["RAM"]["value"] > 0.1
    assert "seconds" not in gold
    assert built[-1].engine is None, "what it held is freed"


def test_prompts_without_gold_count_where_none_is_needed(built: list[Any], tmp_path: Path) -> None:
    found = compared(tmp_path / "out", gold_file(tmp_path, PROMPT), "rules")
    assert found["figures"]["rules"]["event F1"]["prompts"] == 1
    assert found["figures"]["rules"]["degraded"]["prompts"] == 2
    (tmp_path / "plain.txt").write_text("A cat sits.\n\nA dog runs.\n")
    found = compared(tmp_path / "out", tmp_path / "plain.txt", "rules")
    assert "event F1" not in found["figures"]["rules"]
    assert found["settings"]["n"] == 2
    assert "no gold" not in (tmp_path / "out" / "results.md").read_text(), "a group without figures is left out"


def test_each_planner_is_loaded_once_and_what_is_planned_is_not_planned_again(built: list[Any], tmp_path: Path) -> None:
    prompts = gold_file(tmp_path, PROMPT)
    prompts.write_text(prompts.read_text().splitlines()[0] + "\n")
    first = compared(tmp_path / "out", prompts, "rules", "script")
    files = {path.name: path.read_bytes() for path in (tmp_path / "out").glob("re*")}
    assert len(built) == 2
    assert compared(tmp_path / "out", prompts, "rules", "script") == first
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").glob("re*")} == files
    assert len(built) == 2
    compared(tmp_path / "out", prompts, "script", "script:wrong=1")
    assert len(built) == 3, "the new one alone"
    compared(tmp_path / "out", prompts, "rules", seed=1)
    assert len(built) == 4, "another seed gives other plans"


def test_a_planner_is_closed_and_gone_when_its_turn_is_over(built: list[Any]) -> None:
    [contestant] = read_contestants(["script"], [])
    with pytest.raises(ZeroDivisionError), loaded(contestant, []) as planner:
        engine = planner.engine  # type: ignore[attr-defined]
        watch(planner)
        raise ZeroDivisionError
    assert engine.closed == 1
    gone = weakref.ref(engine)
    del engine, planner
    built.clear()
    assert gone() is None


def test_a_planners_folder_counts_by_what_is_in_it(built: list[Any], tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "weights").write_text("1")
    (tmp_path / "p.txt").write_text(PROMPT)
    for _ in range(2):
        compared(tmp_path / "out", tmp_path / "p.txt", f"script:model={folder}")
    assert len(built) == 1
    assert str(tmp_path) not in (tmp_path / "out" / "results.json").read_text(), "where it lay is nobody's business"
    (folder / "weights").write_text("2")
    compared(tmp_path / "out", tmp_path / "p.txt", f"script:model={folder}")
    assert len(built) == 2


def test_stage_prompts_are_held_out_captions_with_their_gold(tmp_path: Path) -> None:
    asked = read_prompts("stage:3", 8)
    assert [one.prompt for one in asked] == [sample(i, split="test", ticks=8).caption for i in range(3)]
    assert all(one.gold_plan and one.gold_plan.ticks == 8 and one.clip for one in asked)
    assert [len(one.gold_plan.events) > 5 for one in read_prompts("stage:more-events:2", 8) if one.gold_plan] == [
        True
    ] * 2
    assert name_of("stage:3") == "stage:test:3", "what an earlier version called stage:3 were other captions"
    assert name_of("stage:val:3") == "stage:val:3"
    for wrong in ("stage:0", "stage:x", "stage:1001", "stage:train:3", "stage::3", "stage:more:3"):
        with pytest.raises(UserError, match=r"stage:N or stage:SPLIT:N, .*more-events.*N from 1 to 1000"):
            read_prompts(wrong, 8)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "line 1: not JSON"),
        ("[]", 'line 1: write an object with a "prompt"'),
        ('{"prompt": "A dog runs.", "plans": 1}', "'plans' is not known"),
        ('{"prompt": "A dog runs.", "plan": {"ticks": 8}}', "line 1: plan: objects: Field required"),
        ('{"prompt": "A dog runs.", "plan": {"ticks": 4, "objects": [], "events": []}}', "4 ticks, .* give --ticks 4"),
        ('{"prompt": "…"}', "no words"),
        ('{"prompt": "A dog runs."}\n{"prompt": "A dog runs."}', "there twice"),
        ("", "0 prompts"),
    ],
)
def test_prompts_that_are_none_are_named(line: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "prompts.jsonl"
    path.write_text(line)
    with pytest.raises(UserError, match=words):
        read_prompts(str(path), 8)


@pytest.mark.parametrize(
    ("planners", "words"),
    [
        (["oracle"], "--planner oracle: planner 'oracle': no such planner"),
        (["rules:speed=3"], "takes no option 'speed'"),
        (["rules:speed"], "write KEY=VALUE"),
        (["rules", "rules"], "a second one called 'rules'"),
        (["gold"], "no gold plan for 'A cat sits.'"),
    ],
)
def test_planners_that_are_none_are_named(planners: list[str], words: str, tmp_path: Path) -> None:
    asked = read_prompts(str(gold_file(tmp_path, PROMPT)), 8)
    with pytest.raises(UserError, match=words):
        read_contestants(planners, asked)


def test_planners_are_tested_on_the_prompts_that_both_can_be_judged_on() -> None:
    always, never, golden = {"degraded": (1.0, 1.0)}, {"degraded": (0.0, 1.0)}, {"event F1": (2.0, 2.0)}
    few = significance({"a": [always] * 9, "b": [never] * 9})
    assert few == []
    found = significance({"a": [always | golden] * 12, "b": [never] * 12, "c": [never | golden] * 10 + [never] * 2})
    assert [(row["column"], row["first"], row["second"], row["prompts"]) for row in found] == [
        ("degraded", "a", "b", 12), ("degraded", "a", "c", 12), ("degraded", "b", "c", 12), ("event F1", "a", "c", 10),
    ]  # fmt: skip
    assert [row["difference"] for row in found] == [1, 1, 0, 0]
    assert [row["p_holm"] < 0.05 for row in found] == [True, True, False, False]


def test_prices_belong_to_a_planner_or_to_all_of_a_name(built: list[Any]) -> None:
    contestants = read_contestants(["script", "script:wrong=1", "rules"], [])
    assert read_prices(["script:wrong=1=2/8"], contestants) == {"script wrong=1": (2, 8)}
    assert read_prices(["script=1/4"], contestants) == {"script": (1, 4), "script wrong=1": (1, 4)}
    both = read_prices(["script:wrong=1=2/8", "script=1/4"], contestants)
    assert both == {"script": (1, 4), "script wrong=1": (2, 8)}
    for wrong in ("script", "script=1", "script=a/b", "script=-1/2", "script=nan/2", "oracle=1/2"):
        with pytest.raises(UserError, match="--price"):
            read_prices([wrong], contestants)


def test_one_run_at_a_time(tmp_path: Path) -> None:
    with alone(tmp_path), pytest.raises(UserError, match="another comparison is writing"), alone(tmp_path):
        pass


def test_a_table_keeps_texts_that_would_be_markup_or_formulas(built: list[Any], tmp_path: Path) -> None:
    (tmp_path / "p.txt").write_text("=1+1 a dog runs | ![x](http://example.org)\n")
    compared(tmp_path / "out", tmp_path / "p.txt", "rules")
    [_, row] = (tmp_path / "out" / "results.csv").read_text().splitlines()
    assert row.startswith("rules,1,'=1+1 a dog")
