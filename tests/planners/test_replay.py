"""Replay: a transcript gives the identical plan without a language model, and says why where it does not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planners.contracts import PlanResult
from planners.demonstrations import demonstrations
from planners.dsg import UserError
from planners.dysen import DysenPlanner
from planners.plugins import get_planner
from planners.replay import ReplayEngine, ReplayPlanner, Transcript

PROMPTS = [example.prompt for example in demonstrations()]
BAD = ['"nonsense"', "prose", '{"add": ["moon is made of cheese"]}', "<think>hm</think>[1", "a</think>b</think>3"]
"""Replies that no step takes."""


def record(result: PlanResult, file: Path, ticks: int = 6) -> Path:
    transcript = Transcript.of(result, planner="mine", ticks=ticks, seed=0)
    file.write_text(transcript.to_json(), encoding="utf-8")
    return file


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("transcripts")


@pytest.fixture
def kept(oracle: Callable[..., Any], tmp_path: Path) -> Path:
    [result] = DysenPlanner(oracle()).plan(PROMPTS[:1], ticks=6, seed=0)
    return record(result, tmp_path / "kept.json")


def edit(file: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    data = json.loads(file.read_text(encoding="utf-8"))
    change(data)
    file.write_text(json.dumps(data), encoding="utf-8")


def rehashed(file: Path) -> None:
    """As someone would who changes the calls and knows of the hash."""
    data = json.loads(file.read_text(encoding="utf-8"))
    fields = {**data, "calls": []}
    calls = [Transcript.model_validate({**fields, "calls": [call]}).calls[0] for call in data["calls"]]
    result = PlanResult.model_construct(transcript=calls)
    edit(file, lambda data: data.update(sha256=result.transcript_sha256))


@pytest.mark.parametrize("imagine", [True, False])
def test_every_demonstration_replays_to_the_same_plan(oracle: Callable[..., Any], folder: Path, imagine: bool) -> None:
    prompts = PROMPTS if imagine else PROMPTS[::5]
    together = DysenPlanner(oracle(), imagine=imagine).plan(prompts, ticks=6, seed=0)
    for result in together:
        [again] = ReplayPlanner(record(result, folder / "one.json")).plan([result.prompt], ticks=6, seed=99)
        assert again == result
        assert again.dsg.to_json() == result.dsg.to_json()
        assert again.transcript_sha256 == result.transcript_sha256


def test_a_plan_without_the_window_replays_without_it(oracle: Callable[..., Any], folder: Path) -> None:
    [result] = DysenPlanner(oracle(), window=False).plan(PROMPTS[:1], ticks=6, seed=0)
    assert ReplayPlanner(record(result, folder / "one.json")).plan(PROMPTS[:1], ticks=6, seed=0) == [result]


@settings(max_examples=30)
@given(
    prompt=st.sampled_from(PROMPTS),
    ticks=st.integers(1, 12),
    bad=st.dictionaries(st.integers(0, 25), st.sampled_from(BAD), max_size=12),
)
def test_failed_and_repeated_questions_replay_too(
    oracle: Callable[..., Any], folder: Path, prompt: str, ticks: int, bad: dict[int, str]
) -> None:
    asked = iter(range(10_000))
    engine = oracle(lambda step, request, calls: bad.get(next(asked)))
    [result] = DysenPlanner(engine).plan([prompt], ticks=ticks, seed=0)
    replay = ReplayPlanner(record(result, folder / "failed.json", ticks))
    assert replay.plan([prompt], ticks=ticks, seed=0) == [result]
    assert replay.plan([prompt, prompt], ticks=ticks, seed=1) == [result, result]


def test_alike_questions_get_their_replies_in_order(oracle: Callable[..., Any], kept: Path) -> None:
    transcript = Transcript.load(kept)
    call = transcript.calls[0]
    twice = transcript.model_copy(update={"calls": (call, call.model_copy(update={"reply": '"b"', "thinking": "hm"}))})
    engine = oracle()
    DysenPlanner(engine).plan(PROMPTS[:1], ticks=6, seed=0)
    asked = engine.batches[0][0]
    replies = ReplayEngine(twice).generate([asked, asked])
    assert [(reply.text, reply.thinking) for reply in replies] == [(call.reply, ""), ('"b"', "hm")]


def test_the_planner_is_registered_and_reports_progress(kept: Path) -> None:
    seen: list[float] = []
    planner = get_planner("replay", transcript=str(kept))
    planner.plan(PROMPTS[:1], ticks=6, seed=0, on_progress=lambda title, done: seen.append(done))
    assert seen == [0, 1]
    with pytest.raises(UserError, match=r"needs the option 'transcript': --planner-option transcript=VALUE"):
        get_planner("replay")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda data: data.pop("format"), "it has no format"),
        (lambda data: data.update(format="dysenvdm.transcript/9"), "its format is 'dysenvdm.transcript/9', not"),
        (lambda data: data.update(extra=1), "extra: Extra inputs are not permitted"),
        (lambda data: data.pop("ticks"), "ticks: Field required"),
        (lambda data: data["calls"][0].update(attempt="x"), "calls[0].attempt"),
        (lambda data: data["calls"][0].update(reply='"other"'), "its calls do not have the recorded SHA-256"),
        (lambda data: data["calls"].pop(), "its calls do not have the recorded SHA-256"),
        (lambda data: data["calls"].reverse(), "its calls do not have the recorded SHA-256"),
    ],
)
def test_a_file_that_is_no_transcript_or_was_changed_is_refused(kept: Path, change: Any, words: str) -> None:
    edit(kept, change)
    with pytest.raises(UserError) as caught:
        ReplayPlanner(kept)
    assert str(caught.value).startswith(f"{kept}: ")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b"[" * 100_000, b'"text"', b"{"])
def test_a_broken_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "t.json").write_bytes(content)
    with pytest.raises(UserError, match=r"t\.json: not (valid JSON|a transcript)"):
        ReplayPlanner(tmp_path / "t.json")
    with pytest.raises(UserError, match="cannot be read"):
        ReplayPlanner(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda data: data["calls"].pop(0), "has no answer to "),
        (lambda data: data["calls"][0]["messages"][0].update(content="Say it anew."), "has no answer to "),
        (lambda data: data["calls"][0].update(attempt=1), "(attempt 0)"),
        (lambda data: data["calls"].append(data["calls"][0]), "gives another plan than recorded"),
        (lambda data: data["calls"][-1].update(prompt_tokens=77), None),
        (lambda data: data.update(dsg_sha256="ab" * 32), "gives another plan than recorded"),
        (lambda data: data.update(imagine=False), "gives another plan than recorded"),
    ],
)
def test_what_the_planner_would_not_ask_so_is_found(kept: Path, change: Any, words: str | None) -> None:
    edit(kept, change)
    rehashed(kept)
    planner = ReplayPlanner(kept)
    if words is None:  # tokens are counted, not interpreted
        planner.plan(PROMPTS[:1], ticks=6, seed=0)
        return
    with pytest.raises(UserError) as caught:
        planner.plan(PROMPTS[:1], ticks=6, seed=0)
    assert str(caught.value).startswith(f"{kept}: ")
    assert words in str(caught.value)


def test_a_plan_that_no_calls_give_again_is_kept_itself(oracle: Callable[..., Any], tmp_path: Path) -> None:
    """Of a planner without a language model, and of one that asks in its own way."""
    [result] = DysenPlanner(oracle()).plan(PROMPTS[:1], ticks=6, seed=0)
    own = [call.model_copy(update={"step": "my own", "messages": call.messages[-1:]}) for call in result.transcript[:2]]
    for calls in ([], own):
        kept = record(result.model_copy(update={"transcript": calls}), tmp_path / "kept.json")
        [again] = ReplayPlanner(kept).plan(PROMPTS[:1], ticks=6, seed=3)
        assert (again.plan, again.stages, again.transcript) == (result.plan, result.stages, calls)
        edit(kept, lambda data: data["result"]["stages"]["polished"]["facts"].pop())
        with pytest.raises(UserError, match=r"kept\.json: replayed, it gives another plan than recorded"):
            ReplayPlanner(kept).plan(PROMPTS[:1], ticks=6, seed=0)
        edit(kept, lambda data: data.pop("result"))
        with pytest.raises(UserError, match=r"kept\.json: has "):
            ReplayPlanner(kept).plan(PROMPTS[:1], ticks=6, seed=0)


def test_a_plan_that_its_calls_give_again_is_kept_as_calls_alone(kept: Path) -> None:
    assert json.loads(kept.read_text(encoding="utf-8"))["result"] is None


def test_half_a_character_in_a_reply_is_named(kept: Path) -> None:
    edit(kept, lambda data: data["calls"][0].update(reply="\ud800"))
    with pytest.raises(UserError, match=r"holds half a character .*plan anew"):
        ReplayPlanner(kept)


def test_another_prompt_and_other_ticks_are_refused(kept: Path) -> None:
    planner = ReplayPlanner(kept)
    with pytest.raises(UserError, match=r"is of the prompt 'A .*', not of 'A dog runs\.'"):
        planner.plan([PROMPTS[0], "A dog runs."], ticks=6, seed=0)
    with pytest.raises(UserError, match="is of 6 ticks; add --ticks 6"):
        planner.plan(PROMPTS[:1], ticks=8, seed=0)
