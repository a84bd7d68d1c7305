"""``dysenvdm plan --input``: a corpus through a planner, with a summary, gone on with by the same command."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from planners import plugins
from planners.dsg import UserError
from planners.replay import ReplayPlanner

PLUGIN = Path(__file__).parents[2] / "planner_plugin" / "script_planner.py"


class Dead:
    """A planner whose endpoint does not answer."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url

    def plan(self, prompts: object, **options: object) -> list[object]:
        raise UserError(f"{self.base_url}: no connection; start the server")


@pytest.fixture(autouse=True)
def _script(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests' own plugin, as if installed, and a planner that takes an endpoint."""
    spec = importlib.util.spec_from_file_location("script_planner", PLUGIN)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def at(base_url: str) -> object:
        return Dead(base_url) if "dead" in base_url else module.ScriptPlanner()

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


def test_a_dead_worker_is_named_and_the_others_do_its_work(run, only_line, corpus, tmp_path) -> None:
    command = ["plan", "--input", corpus, "-o", tmp_path / "plans.jsonl", "--planner", "remote", "--batch", 1]
    dead = ["--workers", "http://dead1/v1", "--workers", "http://dead2/v1"]
    failed = run(*command, *dead)
    assert failed.code == 2
    assert "(0 of 3 lines are written; the same command goes on)" in failed.err.splitlines()[-1]
    done = run(*command, *dead[:2], "--workers", "http://a/v1")
    assert done.code == 0, done.err
    assert "warning: goes on without one of the workers: http://dead1/v1: no connection; start the server" in done.err
    assert done.out.splitlines() == [
        "2 valid, 0 repaired, 0 degraded, 1 failed",
        "lost on the way: http://dead1/v1: no connection; start the server",
    ]


def test_the_transcripts_of_a_corpus_replay_line_by_line(run, corpus, tmp_path) -> None:
    plans, calls = tmp_path / "plans.jsonl", tmp_path / "calls.jsonl"
    assert run("plan", "--input", corpus, "-o", plans, "--planner", "script", "--transcripts", calls).code == 0
    planned = json.loads(plans.read_text().splitlines()[2])
    result = ReplayPlanner(calls, line=3).plan([planned["prompt"]], ticks=8, seed=0)[0]
    assert result.dsg.to_dict() == planned["dsg"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "either a prompt or an --input"),
        (["girl > run", "--input", "x.jsonl"], "either a prompt or an --input"),
        (["--input", "none.jsonl"], "cannot be read"),
        (["--input", "x.jsonl", "--transcript", "t.json"], "belongs to a single prompt"),
        (["--input", "x.jsonl", "--allow-empty"], "belongs to a single prompt"),
        (["--input", "x.jsonl", "--transcripts", "{out}/plans.jsonl"], "is the file of --input or --output"),
        (["--input", "x.jsonl", "--transcripts", "none/t.jsonl"], "does not exist; create it first"),
        (["girl > run", "--transcripts", "t.jsonl"], "--transcripts: belongs to --input"),
        (["--input", "x.jsonl", "--workers", "http://a"], "takes no option 'base_url'"),
        (["--input", "x.jsonl", "--workers", "http://a", "--base-url", "http://b"], "leave one of the two out"),
        (["girl > run", "--workers", "http://a"], "--base-url"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(run, only_line, tmp_path, arguments, message) -> None:
    arguments = [text.format(out=tmp_path) for text in arguments]
    assert message in only_line(run("plan", *arguments, "--planner", "script", "-o", tmp_path / "plans.jsonl"))
    assert not (tmp_path / "plans.jsonl").exists()
