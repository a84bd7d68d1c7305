"""``--planner-option``: read, converted, handed to the planner, and refused where the planner does not take it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from planners import plugins
from planners.contracts import PlanResult
from planners.dsg import DynamicSceneGraph, SceneObject

PROMPT = "A girl walks to the box."


class Recorder:
    """Keeps its options and plans a girl."""

    def __init__(self, depth: int, *, warm: bool = False, base_url: str | None = None) -> None:
        self.options = {"depth": depth, "warm": warm, "base_url": base_url}

    def plan(self, prompts: Sequence[str], *, ticks: int, **_: Any) -> list[PlanResult]:
        graph = DynamicSceneGraph(prompt=prompts[0], ticks=ticks, objects=(SceneObject(id="girl", label="girl"),))
        return [PlanResult(prompt=prompts[0], plan=None, stages={"converted": graph}, transcript=[], degraded=None)]


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[Recorder]:
    """The planners that commands build by the name "mine"."""
    made: list[Recorder] = []

    def factory(depth: int, *, warm: bool = False, base_url: str | None = None) -> Recorder:
        made.append(Recorder(depth, warm=warm, base_url=base_url))
        return made[-1]

    info = plugins.PlannerInfo("mine", "help", "nothing", "test", factory)
    monkeypatch.setattr(plugins, "registry", lambda: plugins.Registry({"mine": info}, {}))
    return made


def test_options_reach_the_planner_as_their_types(run, built: list[Recorder], tmp_path: Path) -> None:
    options = ["--planner-option", "depth=3", "--planner-option", "warm=true", "--base-url", "http://here/v1?a=b"]
    done = run("plan", PROMPT, "-o", tmp_path / "p.json", "--planner", "mine", *options)
    assert done.code == 0, done.err
    assert [planner.options for planner in built] == [{"depth": 3, "warm": True, "base_url": "http://here/v1?a=b"}]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["depth"], "--planner-option 'depth': write KEY=VALUE"),
        (["=3"], "--planner-option '=3': write KEY=VALUE"),
        (["depth=3", "depth=4"], "'depth': given twice"),
        (["depth=3", "base_url=x", "--base-url=y"], "'base_url': given twice"),
        (["depth=3", "hight=1"], "planner 'mine': takes no option 'hight'; it takes: depth, warm, base_url"),
        ([], "planner 'mine': needs the option 'depth': --planner-option depth=VALUE"),
        (["depth=deep"], "planner 'mine': option depth='deep': Input should be a valid integer"),
        (["depth=3", "warm=perhaps"], "planner 'mine': option warm='perhaps': Input should be a valid boolean"),
    ],
)
@pytest.mark.parametrize("command", ["plan", "generate"])
def test_a_wrong_option_is_one_line_before_anything_slow(
    run, only_line, built: list[Recorder], tmp_path: Path, command: str, arguments: list[str], words: str
) -> None:
    given = [part for text in arguments for part in ([text] if text.startswith("--") else ["--planner-option", text])]
    target = tmp_path / ("out.mp4" if command == "generate" else "out.json")
    assert words in only_line(run(command, PROMPT, "-o", target, "--planner", "mine", *given))
    assert built == []
    assert list(tmp_path.iterdir()) == []


def test_options_without_planning_are_refused(run, only_line, dsg_file: Path, tmp_path: Path) -> None:
    for arguments in (["--no-plan"], ["--dsg", dsg_file]):
        line = only_line(run("generate", PROMPT, "-o", tmp_path / "o.mp4", *arguments, "--base-url", "http://here"))
        assert "nothing is planned with --no-plan or --dsg" in line


def test_a_transcript_is_written_and_replays_by_name(run, built, tmp_path: Path, monkeypatch) -> None:
    kept = tmp_path / "t.json"
    options = ["--planner", "mine", "--planner-option", "depth=1", "--ticks", 5, "--seed", 2]
    assert run("plan", PROMPT, "-o", tmp_path / "p.json", "--transcript", kept, *options).code == 0
    data = json.loads(kept.read_text())
    assert {key: data[key] for key in ("planner", "prompt", "ticks", "seed", "imagine", "calls")} == {
        "planner": "mine",
        "prompt": PROMPT,
        "ticks": 5,
        "seed": 2,
        "imagine": False,
        "calls": [],
    }
    monkeypatch.undo()
    replay = ["--planner", "replay", "--planner-option", f"transcript={kept}", "--ticks", 5]
    # This planner asked no language model, so its transcript holds the plan.
    assert run("plan", PROMPT, "-o", tmp_path / "r.json", *replay).code == 0
    assert (tmp_path / "r.json").read_bytes() == (tmp_path / "p.json").read_bytes()
