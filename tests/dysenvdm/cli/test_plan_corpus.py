"""``dysenvdm plan --input``: a corpus through a planner, with a summary, gone on with by the same command."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from planners import plugins

PLUGIN = Path(__file__).parents[2] / "planner_plugin" / "script_planner.py"


@pytest.fixture(autouse=True)
def _script(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests' own plugin, as if installed, and a planner that takes an endpoint."""
    spec = importlib.util.spec_from_file_location("script_planner", PLUGIN)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def at(base_url: str) -> object:
        del base_url
        return module.ScriptPlanner()

    known = {
        "script": plugins.PlannerInfo("script", "help", "nothing", "test", module.ScriptPlanner),
        "remote": plugins.PlannerInfo("remote", "help", "nothing", "test", at),
    }
    monkeypatch.setattr(plugins, "registry", lambda: plugins.Registry(known, {}))


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    prompts = ["girl > walk to > box", "a girl walks", "dog > run; dog > jump"]
    path = tmp_path / "captions.jsonl"
    path.write_text("".join(json.dumps({"prompt": prompt}) + "\n" for prompt in prompts))
    return path


def test_a_corpus_is_planned_and_summed_up_and_the_same_command_changes_nothing(run, corpus, tmp_path) -> None:
    command = ["plan", "--input", corpus, "-o", tmp_path / "plans.jsonl", "--planner", "script", "--batch", 2]
    for _ in range(2):
        done = run(*command)
        assert done.code == 0, done.err
        assert done.out.strip() == "2 valid, 0 repaired, 0 degraded, 1 failed"
        lines = [json.loads(line) for line in (tmp_path / "plans.jsonl").read_text().splitlines()]
        assert [line["status"] for line in lines] == ["valid", "failed", "valid"]


def test_workers_share_a_corpus_and_may_change(run, corpus, tmp_path) -> None:
    command = ["plan", "--input", corpus, "-o", tmp_path / "plans.jsonl", "--planner", "remote"]
    assert run(*command, "--workers", "http://a/v1", "--workers", "http://b/v1").code == 0
    assert run(*command, "--base-url", "http://c/v1").code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "either a prompt or an --input"),
        (["girl > run", "--input", "x.jsonl"], "either a prompt or an --input"),
        (["--input", "none.jsonl"], "cannot be read"),
        (["--input", "x.jsonl", "--transcript", "t.json"], "belongs to a single prompt"),
        (["--input", "x.jsonl", "--workers", "http://a"], "takes no option 'base_url'"),
        (["--input", "x.jsonl", "--workers", "http://a", "--base-url", "http://b"], "leave one of the two out"),
        (["girl > run", "--workers", "http://a"], "--base-url"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(run, only_line, tmp_path, arguments, message) -> None:
    assert message in only_line(run("plan", *arguments, "--planner", "script", "-o", tmp_path / "plans.jsonl"))
    assert not (tmp_path / "plans.jsonl").exists()
