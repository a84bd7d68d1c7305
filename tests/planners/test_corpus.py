"""Planning a corpus: every line once, whatever kills the run, and every failure named."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from planners.contracts import PlanResult, Progress
from planners.corpus import Summary, plan_corpus
from planners.demonstrations import demonstrations
from planners.dsg import ActionPlan, DynamicSceneGraph, Event, Fact, SceneObject, UserError
from planners.dysen import DysenPlanner
from planners.engines import Request, TooLongError
from planners.replay import ReplayPlanner

ROOT = Path(__file__).parents[2]


class OneGirl:
    """Every prompt is a girl who walks; ``fail_at`` batches in, the planner is out of order."""

    def __init__(self, fail_at: int | None = None, seconds: float = 0.0) -> None:
        self.fail_at, self.seconds = fail_at, seconds
        self.batches: list[list[str]] = []

    def plan(
        self, prompts: Sequence[str], *, ticks: int, seed: int, on_progress: Progress | None = None
    ) -> list[PlanResult]:
        del seed, on_progress
        self.batches.append(list(prompts))
        time.sleep(self.seconds)
        if self.fail_at is not None and len(self.batches) > self.fail_at:
            raise UserError("http://127.0.0.1:1: does not answer; start it")
        return [self._result(prompt, ticks) for prompt in prompts]

    def _result(self, prompt: str, ticks: int) -> PlanResult:
        girl = SceneObject(id="girl", label="girl")
        walk = Event(agent="girl", predicate="walk", start=0, end=ticks)
        plan = ActionPlan(prompt=prompt, ticks=ticks, objects=(girl,), events=(walk,))
        dsg = DynamicSceneGraph(prompt=prompt, ticks=ticks, objects=(girl,))
        failed = "no verb" in prompt
        return PlanResult(
            prompt=prompt,
            plan=None if failed else plan,
            stages={"converted": dsg},
            transcript=[],
            degraded="no action was found" if failed else None,
        )


def captions(folder: Path, count: int) -> Path:
    path = folder / "captions.jsonl"
    path.write_text("".join(json.dumps({"caption": f"Girl number {i} walks."}) + "\n" for i in range(count)))
    return path


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def corpus(source: Path, output: Path, *planners: Any, batch: int = 4, settings: Any = None, **more: Any) -> Summary:
    made = planners or (OneGirl(),)
    return plan_corpus(source, output, made, ticks=8, seed=0, batch=batch, settings=settings or {}, **more)


def planned(source: Path, output: Path, *planners: OneGirl, batch: int = 4, **settings: Any) -> dict[str, int]:
    return dict(corpus(source, output, *planners, batch=batch, settings=settings).counts)


def test_every_line_is_written_once_with_its_dsg(tmp_path: Path) -> None:
    source, output = captions(tmp_path, 10), tmp_path / "plans.jsonl"
    assert planned(source, output) == {"valid": 10}
    assert [line["line"] for line in lines(output)] == list(range(1, 11))
    for line in lines(output):
        assert DynamicSceneGraph.parse(line["dsg"]).prompt == line["prompt"]


def test_several_planners_share_the_lines(tmp_path: Path) -> None:
    source, output = captions(tmp_path, 40), tmp_path / "plans.jsonl"
    workers = OneGirl(seconds=0.01), OneGirl(seconds=0.01)
    assert planned(source, output, *workers) == {"valid": 40}
    assert all(worker.batches for worker in workers)
    assert sorted(line["line"] for line in lines(output)) == list(range(1, 41))


def test_lines_that_cannot_be_planned_are_written_with_the_reason(tmp_path: Path) -> None:
    source, output = tmp_path / "captions.jsonl", tmp_path / "plans.jsonl"
    source.write_text(
        '{"prompt": "A girl walks.", "id": "a"}\n\n{"prompt": "no verb"}\nnot json\n{"text": "?"}\n'
        '{"prompt": "…", "id": 7}\n[1]\n{"prompt": "A girl', encoding="utf-8",
    )  # fmt: skip
    assert planned(source, output) == {"valid": 1, "failed": 6}
    found = lines(output)
    assert [line["line"] for line in found] == [1, 3, 4, 5, 6, 7, 8]
    assert [line["id"] for line in found] == ["a", None, None, None, 7, None, None]
    reasons = ("no action was found", "not valid JSON", "no 'prompt'", "no words", "no 'prompt'", "not valid JSON")
    for line, reason in zip(found[1:], reasons, strict=True):
        assert (line["status"], line["plan"]) == ("failed", None)
        assert reason in line["reason"]


def test_half_a_character_fails_its_line_alone_and_is_kept_as_it_was(tmp_path: Path) -> None:
    source, output = tmp_path / "captions.jsonl", tmp_path / "plans.jsonl"
    source.write_text('{"prompt": "A girl \\ud83d walks.", "id": "\\ud83d"}\n{"prompt": "A girl walks."}\n')
    for _ in range(2):
        assert planned(source, output) == {"failed": 1, "valid": 1}
    first = lines(output)[0]
    assert first["prompt"] == "A girl \ud83d walks."
    assert first["reason"] == "prompt: character 8 is half of one (a lone surrogate); mend its encoding"


def test_a_question_too_long_for_the_model_fails_its_line_alone(tmp_path: Path, oracle: Callable[..., Any]) -> None:
    good, long = demonstrations()[0].prompt, demonstrations()[1].prompt

    def twist(step: str, request: Request, calls: int) -> None:
        if request.messages[-1].content == long:
            raise TooLongError("oracle: 600 prompt and 24 reply tokens exceed 512; shorten", request)

    source, output = tmp_path / "captions.jsonl", tmp_path / "plans.jsonl"
    source.write_text("".join(json.dumps({"prompt": prompt}) + "\n" for prompt in (good, long)), encoding="utf-8")
    done = corpus(source, output, DysenPlanner(oracle(twist), imagine=False))
    assert done.counts == {"valid": 1, "failed": 1}
    assert "600 prompt and 24 reply tokens exceed 512" in lines(output)[1]["reason"]


def test_a_torn_line_is_planned_again_and_nothing_is_doubled(tmp_path: Path) -> None:
    source, whole, torn = captions(tmp_path, 10), tmp_path / "whole.jsonl", tmp_path / "torn.jsonl"
    planned(source, whole)
    for cut in (1, 200, whole.stat().st_size // 2, whole.stat().st_size - 1):
        planned(source, torn)
        os.truncate(torn, cut)
        again = OneGirl()
        assert planned(source, torn, again) == {"valid": 10}
        assert torn.read_bytes() == whole.read_bytes()
        assert sum(map(len, again.batches)) == 10 - whole.read_bytes()[:cut].count(b"\n")


def test_a_planner_that_fails_leaves_what_is_done_and_the_next_run_goes_on(tmp_path: Path) -> None:
    source, output = captions(tmp_path, 20), tmp_path / "plans.jsonl"
    with pytest.raises(UserError, match=r"does not answer.*8 of 20 lines are written"):
        planned(source, output, OneGirl(fail_at=2))
    assert len(lines(output)) == 8
    assert planned(source, output) == {"valid": 20}
    assert [line["line"] for line in lines(output)] == list(range(1, 21))


def test_a_lost_planners_batches_are_done_by_the_others(tmp_path: Path) -> None:
    source, output = captions(tmp_path, 40), tmp_path / "plans.jsonl"
    lost: list[str] = []
    workers = OneGirl(fail_at=0), OneGirl(seconds=0.01), OneGirl(fail_at=2)
    done = corpus(source, output, *workers, on_lost=lost.append)
    assert done.counts == {"valid": 40}
    assert sorted(line["line"] for line in lines(output)) == list(range(1, 41))
    assert done.lost == lost == ["http://127.0.0.1:1: does not answer; start it"] * 2
    assert [len(worker.batches) for worker in workers[::2]] == [1, 3]


def test_a_batch_that_comes_back_last_is_done_too(tmp_path: Path) -> None:
    """The other planner has nothing more to do when the failing one gives up."""
    source, output = captions(tmp_path, 8), tmp_path / "plans.jsonl"

    class Slow(OneGirl):
        def plan(self, prompts: Sequence[str], **options: Any) -> list[PlanResult]:
            time.sleep(0.2)
            raise UserError("http://127.0.0.1:2: does not answer")

    done = corpus(source, output, Slow(), OneGirl())
    assert (done.counts, done.lost) == ({"valid": 8}, ["http://127.0.0.1:2: does not answer"])


class Mortal(OneGirl):
    """The caption that it dies of is number 5, whoever asks."""

    def plan(self, prompts: Sequence[str], **options: Any) -> list[PlanResult]:
        if any("number 5 " in prompt for prompt in prompts):
            raise UserError("http://127.0.0.1:3: no connection")
        return super().plan(prompts, **options)


def test_a_caption_that_kills_planners_is_asked_last_and_fails_alone(tmp_path: Path) -> None:
    source, output = captions(tmp_path, 40), tmp_path / "plans.jsonl"
    done = corpus(source, output, Mortal(), Mortal(), Mortal())
    assert done.counts == {"valid": 39, "failed": 1}
    assert len(done.lost) == 2
    found = lines(output)
    assert sorted(line["line"] for line in found) == list(range(1, 41))
    assert {line["line"] for line in found[36:]} == {5, 6, 7, 8}  # those of the batch that lost a planner
    [failed] = [line for line in found if line["status"] == "failed"]
    assert failed["line"] == 6
    assert failed["reason"].startswith("lost two planners: http://127.0.0.1:3: no connection (asked for line 6 alone")


def test_with_nobody_left_it_is_not_said_to_be_the_captions_fault(tmp_path: Path) -> None:
    source, output = captions(tmp_path, 40), tmp_path / "plans.jsonl"
    with pytest.raises(UserError, match=r"no connection.*3[6-9] of 40 lines are written"):
        corpus(source, output, Mortal(), Mortal())
    assert planned(source, output) == {"valid": 40}


class Unreachable(OneGirl):
    """All of them lose the network once most is done."""

    done = 0
    one_at_a_time = threading.Lock()

    def plan(self, prompts: Sequence[str], **options: Any) -> list[PlanResult]:
        with Unreachable.one_at_a_time:
            if Unreachable.done >= 36:
                raise UserError("http://127.0.0.1:4: no connection")
            Unreachable.done += len(prompts)
        return super().plan(prompts, **options)


def test_when_nobody_is_within_reach_no_caption_is_blamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Unreachable, "done", 0)
    source, output = captions(tmp_path, 40), tmp_path / "plans.jsonl"
    with pytest.raises(UserError, match=r"no connection.*36 of 40 lines are written"):
        corpus(source, output, *(Unreachable() for _ in range(8)))
    assert planned(source, output) == {"valid": 40}


def test_where_all_planners_are_lost_the_run_ends_and_goes_on_later(tmp_path: Path) -> None:
    source, output = captions(tmp_path, 20), tmp_path / "plans.jsonl"
    lost: list[str] = []
    with pytest.raises(UserError, match=r"does not answer.*12 of 20 lines are written"):
        corpus(source, output, OneGirl(fail_at=1), OneGirl(fail_at=2), on_lost=lost.append)
    assert len(lost) == 1  # the other one's reason is the error's
    assert planned(source, output) == {"valid": 20}
    assert sorted(line["line"] for line in lines(output)) == list(range(1, 21))


def test_a_line_says_what_it_took_and_what_contradicts(tmp_path: Path, oracle: Callable[..., Any]) -> None:
    class Torn(OneGirl):
        def _result(self, prompt: str, ticks: int) -> PlanResult:
            result = super()._result(prompt, ticks)
            facts = [Fact(subject="girl", attribute=look, start=0, end=1, source="imagined") for look in ("wet", "dry")]
            return result.model_copy(update={"stages": {"converted": result.dsg.extended(facts)}})

    source, output, torn = tmp_path / "captions.jsonl", tmp_path / "plans.jsonl", tmp_path / "torn.jsonl"
    prompts = [example.prompt for example in demonstrations()[:2]]
    source.write_text("".join(json.dumps({"prompt": prompt}) + "\n" for prompt in (*prompts, "…")), encoding="utf-8")
    engine = oracle()
    done = corpus(source, output, DysenPlanner(engine))
    calls = [call for result in DysenPlanner(oracle()).plan(prompts, ticks=8, seed=0) for call in result.transcript]
    assert done.usage == {
        "calls": len(calls),
        "prompt_tokens": sum(call.prompt_tokens for call in calls),
        "completion_tokens": sum(call.completion_tokens for call in calls),
    }
    assert lines(output)[2]["usage"] == {"calls": 0, "prompt_tokens": 0, "completion_tokens": 0}
    assert done.contradictory == 0
    for _ in range(2):  # counted when they are made, and when they are there
        assert corpus(source, torn, Torn()).contradictory == 2
    assert [line["contradictions"] for line in lines(torn)] == [[[1, 2]], [[1, 2]], []]


def test_transcripts_are_kept_of_every_planned_line_and_replay(tmp_path: Path, oracle: Callable[..., Any]) -> None:
    source, output, calls = (tmp_path / name for name in ("captions.jsonl", "plans.jsonl", "calls.jsonl"))
    prompts = [example.prompt for example in demonstrations()[:6]]
    source.write_text("".join(json.dumps({"prompt": prompt}) + "\n" for prompt in ("…", *prompts)), encoding="utf-8")

    def run() -> Summary:
        planner = DysenPlanner(oracle(), imagine=False)
        return corpus(source, output, planner, batch=2, transcripts=calls, settings={"planner": "mine"})

    run()
    whole = output.read_bytes(), calls.read_bytes()
    for line in lines(output)[1:]:
        replay = ReplayPlanner(calls, line=line["line"])
        [again] = replay.plan([line["prompt"]], ticks=8, seed=0)
        assert again.dsg.to_dict() == line["dsg"]
        assert replay.transcript.planner == "mine"
    with pytest.raises(UserError, match="has no transcript of line 1"):
        ReplayPlanner(calls, line=1)
    # killed between the two files, and within either
    for plans, kept in ((3, 5), (0, 2), (2, 3)):
        output.write_bytes(b"".join(whole[0].splitlines(keepends=True)[:plans]) + b'{"line"')
        calls.write_bytes(b"".join(whole[1].splitlines(keepends=True)[:kept]) + b'{"li')
        run()
        assert (output.read_bytes(), calls.read_bytes()) == whole
    with pytest.raises(UserError, match=r"begun with transcripts = 'calls\.jsonl', not None"):
        corpus(source, output, settings={"planner": "mine"})


def test_another_runs_output_is_refused(tmp_path: Path) -> None:
    source, output = captions(tmp_path, 2), tmp_path / "plans.jsonl"
    planned(source, output, planner="a")
    with pytest.raises(UserError, match=r"begun with planner = 'a', not 'b'"):
        planned(source, output, planner="b")
    foreign = tmp_path / "mine.txt"
    foreign.write_text("dear diary\n")
    with pytest.raises(UserError, match="does not say what it is"):
        planned(source, foreign)
    with pytest.raises(UserError, match="cannot be read"):
        planned(tmp_path / "none.jsonl", output)


def test_kill_9_at_any_moment_loses_and_doubles_nothing(tmp_path: Path) -> None:
    source, output = captions(tmp_path, 60), tmp_path / "plans.jsonl"
    code = (
        "import sys; from pathlib import Path; sys.path[:0] = sys.argv[3:]\n"
        "from test_corpus import OneGirl, planned\n"
        "planned(Path(sys.argv[1]), Path(sys.argv[2]), OneGirl(seconds=0.02), OneGirl(seconds=0.03), batch=2)"
    )
    command = [sys.executable, "-c", code, str(source), str(output), str(ROOT), str(Path(__file__).parent)]
    for _ in range(3):
        running = subprocess.Popen(command)
        before = output.stat().st_size if output.exists() else 0
        while running.poll() is None and (output.stat().st_size if output.exists() else 0) <= before + 500:
            time.sleep(0.005)
        running.send_signal(signal.SIGKILL)
        running.wait()
    subprocess.run(command, check=True)
    assert sorted(line["line"] for line in lines(output)) == list(range(1, 61))


def test_a_changed_input_a_second_run_and_a_spoiled_run_file_are_refused(tmp_path: Path) -> None:
    source, output = captions(tmp_path, 4), tmp_path / "plans.jsonl"
    planned(source, output)
    source.write_text(source.read_text().replace("number 2", "number 9"))
    with pytest.raises(UserError, match=r"line 3: was another prompt"):
        planned(source, output)

    class Nosy(OneGirl):
        def plan(self, prompts: Sequence[str], **options: Any) -> list[PlanResult]:
            with pytest.raises(UserError, match="another run is writing it"):
                planned(source, tmp_path / "new.jsonl")
            return super().plan(prompts, **options)

    assert planned(source, tmp_path / "new.jsonl", Nosy()) == {"valid": 4}
    (tmp_path / "new.jsonl.run.json").write_text("")
    with pytest.raises(UserError, match="does not say what the run was"):
        planned(source, tmp_path / "new.jsonl")
    with pytest.raises(UserError, match="No such file"):
        planned(source, tmp_path / "absent" / "plans.jsonl")
