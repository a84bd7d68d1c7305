"""DysenPlanner with a scripted language model: lockstep, repair, degradation, transcripts."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from planners.contracts import PlanResult, seed_matters
from planners.demonstrations import Demonstration, demonstrations
from planners.dsg import STATED, UserError
from planners.dysen import DysenPlanner, demonstrated, scene_example
from planners.engines import Request, TooLongError
from planners.event_conversion import convert
from planners.replay import ReplayEngine, Transcript
from planners.scene_imagination import enriched_example
from planners.selection import RandomSelector

PROMPTS = [example.prompt for example in demonstrations()]
BIRD, CHEF, GOAT = (next(prompt for prompt in PROMPTS if word in prompt) for word in ("bird", "chef", "goat"))


def same(a: PlanResult, b: PlanResult) -> bool:
    return a == b and a.transcript_sha256 == b.transcript_sha256


@pytest.mark.parametrize("example", demonstrations(), ids=lambda example: example.prompt[:30])
def test_a_demonstrations_marks_are_its_events_and_its_imagination_fits(example: Demonstration) -> None:
    plan = demonstrated(example, len(example.imagined))
    labels = {(event.agent, event.predicate, event.target, event.step) for event in example.events}
    assert {(e.agent, e.predicate, e.target, e.start) for e in plan.events} == labels
    assert len(plan.events) == len(example.events)
    enriched = enriched_example(scene_example(example))
    assert {fact.source for fact in enriched.facts} == {"imagined", "plan"} | (
        {"prompt"} & {f.source for f in enriched.facts}
    )
    assert enriched.veto(["imagined"]).facts == convert(plan).facts


def test_the_pool_is_large_and_mixed() -> None:
    pool = demonstrations()
    assert len(pool) >= 24
    assert len({example.prompt for example in pool}) == len(pool)
    plans = [demonstrated(example, len(example.imagined)) for example in pool]
    mixture = {
        "chained": [len(example.imagined) > 2 for example in pool],
        "simultaneous": [len({e.start for e in plan.events}) < len(plan.events) for plan in plans],
        "out of order": [example.order.startswith("before") or ", after" in example.order for example in pool],
        "no target": [any(e.target is None for e in plan.events) for plan in plans],
        "same label": [len({o.label for o in plan.objects}) < len(plan.objects) for plan in plans],
        "place": [any(f.predicate == "in" and f.source == "prompt" for f in convert(plan).facts) for plan in plans],
    }
    assert {name: sum(found) >= 2 for name, found in mixture.items()} == dict.fromkeys(mixture, True)


def test_every_demonstration_is_planned_as_it_says(oracle: Callable[..., Any]) -> None:
    for example, result in zip(demonstrations(), DysenPlanner(oracle()).plan(PROMPTS, ticks=6, seed=0), strict=True):
        assert result.degraded is None
        assert result.plan == demonstrated(example, 6)
        assert list(result.stages) == ["converted", "imagined", "polished"]
        assert result.stages["converted"] == convert(result.plan)
        assert set(result.stages["converted"].facts) <= set(result.stages["imagined"].facts)
        assert result.dsg == result.stages["polished"]


def test_lockstep_equals_one_by_one_with_one_engine_call_per_step(oracle: Callable[..., Any]) -> None:
    engine = oracle()
    together = DysenPlanner(engine).plan(PROMPTS, ticks=6, seed=0)
    assert all(same(a, DysenPlanner(oracle()).plan([a.prompt], ticks=6, seed=0)[0]) for a in together)
    segments = max(len(result.stages["converted"].segments()) for result in together)
    assert len(engine.batches) == 5 + segments + 1


def test_the_seed_decides_nothing_where_the_planner_says_so(oracle: Callable[..., Any]) -> None:
    greedy = DysenPlanner(oracle())
    assert not seed_matters(greedy)
    [one], [other] = (greedy.plan([BIRD], ticks=6, seed=seed) for seed in (0, 7))
    assert same(one, other)
    assert seed_matters(DysenPlanner(oracle(), temperature=0.5))
    drawn = DysenPlanner(oracle(), selector=RandomSelector())
    assert seed_matters(drawn)
    [one], [other] = (drawn.plan([BIRD], ticks=6, seed=seed) for seed in (0, 7))
    assert one.transcript_sha256 != other.transcript_sha256


def test_the_transcript_holds_every_request(oracle: Callable[..., Any]) -> None:
    engine = oracle()
    results = DysenPlanner(engine).plan(PROMPTS[:5], ticks=6, seed=0)
    sent = sorted((request.messages for batch in engine.batches for request in batch), key=str)
    kept = sorted((call.messages for result in results for call in result.transcript), key=str)
    assert sent == kept
    assert all(call.engine == "oracle" and call.error is None for result in results for call in result.transcript)
    assert json.loads(results[0].model_dump_json())["transcript"][0]["reply"]


def test_a_bad_reply_is_asked_again_with_the_error_and_only_that_one(oracle: Callable[..., Any]) -> None:
    def twist(step: str, request: Any, calls: int) -> str | None:
        return '"nonsense"' if step == "split" and calls == 1 and request.messages[-1].content == PROMPTS[1] else None

    engine = oracle(twist)
    results = DysenPlanner(engine).plan(PROMPTS[:3], ticks=6, seed=0)
    right = DysenPlanner(oracle()).plan(PROMPTS[:3], ticks=6, seed=0)
    assert [r.dsg for r in results] == [r.dsg for r in right]
    assert [r.degraded for r in results] == [None] * 3
    assert [len(batch) for batch in engine.batches[:2]] == [3, 1]
    first, second = results[1].transcript[:2]
    assert (first.step, first.attempt, first.reply) == ("split", 0, '"nonsense"')
    assert first.error == "the reply does not repeat the text word by word"
    assert (second.attempt, second.error) == (1, None)
    assert second.messages[-2].content == '"nonsense"'
    assert first.error in second.messages[-1].content


def test_a_reply_of_brackets_alone_is_a_failure(oracle: Callable[..., Any]) -> None:
    [result] = DysenPlanner(oracle(lambda step, *_: "[" * 100_000)).plan([GOAT], ticks=6, seed=0)
    assert result.degraded is not None
    assert result.degraded.startswith("step 'split' failed 3 times: the reply is not JSON")


@pytest.mark.parametrize("temperature", [-1.0, float("nan"), float("inf")])
def test_a_temperature_that_is_none_is_refused(oracle: Callable[..., Any], temperature: float) -> None:
    with pytest.raises(UserError, match="temperature: "):
        DysenPlanner(oracle(), temperature=temperature)


def test_a_cut_reply_is_a_failure_even_if_it_reads_well(
    oracle: Callable[..., Any], make_reply: Callable[..., Any]
) -> None:
    def twist(step: str, request: Any, calls: int) -> Any:
        return make_reply(f'"{GOAT}"', "length") if step == "split" and calls < 3 and GOAT in str(request) else None

    [result] = DysenPlanner(oracle(twist)).plan([GOAT], ticks=6, seed=0)
    assert [call.error for call in result.transcript[:3]] == ["the reply was cut off after 2 tokens"] * 2 + [None]
    assert result.degraded is None


def test_a_prompt_that_fails_three_times_has_no_plan_and_the_others_go_on(oracle: Callable[..., Any]) -> None:
    def twist(step: str, request: Any, calls: int) -> str | None:
        return (
            '"?"' if step == "order" and request.messages[-1].content.startswith(("before the chef", "That")) else None
        )

    engine = oracle(twist)
    bad, good = DysenPlanner(engine).plan([CHEF, BIRD], ticks=6, seed=0)
    assert bad.plan is None
    assert bad.dsg.facts == ()
    assert list(bad.stages) == ["converted"]
    assert bad.degraded is not None
    assert bad.degraded.startswith("step 'order' failed 3 times: the reply must repeat the actions")
    assert [call.attempt for call in bad.transcript if call.step == "order"] == [0, 1, 2]
    assert good == DysenPlanner(oracle()).plan([BIRD], ticks=6, seed=0)[0]


def test_a_question_too_long_for_the_model_fails_its_prompt_alone_and_replays(oracle: Callable[..., Any]) -> None:
    def twist(step: str, request: Request, calls: int) -> None:
        asked = request.messages[-1].content
        if (step == "split" and asked == CHEF) or (step == "polish" and asked.startswith(GOAT)):
            raise TooLongError("oracle: 600 prompt and 24 reply tokens exceed 512; shorten", request)

    chef, bird, goat = DysenPlanner(oracle(twist)).plan([CHEF, BIRD, GOAT], ticks=6, seed=0)
    numbers = "failed 1 times: oracle: 600 prompt and 24 reply tokens exceed 512; shorten"
    assert (chef.plan, chef.degraded) == (None, f"step 'split' {numbers}")
    assert bird == DysenPlanner(oracle()).plan([BIRD], ticks=6, seed=0)[0]
    assert goat.degraded == f"step 'polish' {numbers}"
    assert goat.dsg == goat.stages["imagined"]
    for result in (chef, goat):
        kept = Transcript.of(result, planner="oracle", ticks=6, seed=0)
        assert DysenPlanner(ReplayEngine(kept)).plan([result.prompt], ticks=6, seed=0) == [result]


def test_a_name_too_long_for_a_graph_is_reported_in_one_line(oracle: Callable[..., Any]) -> None:
    thing = "x" * 150
    told = {"split": f"the {thing} flies", "act": f"the {thing} [flies]"}
    [result] = DysenPlanner(oracle(lambda step, *_: json.dumps(told[step]))).plan(
        [f"The {thing} flies."], ticks=6, seed=0
    )
    assert result.plan is None
    assert result.degraded == "label: String should have at most 120 characters"


def test_a_refused_reply_of_any_length_is_quoted_in_one_short_line(oracle: Callable[..., Any]) -> None:
    def twist(step: str, request: Request, calls: int) -> str | None:
        if step == "imagine":
            return json.dumps({"add": [f"{'moon' * 100_000} is yellow"]})
        return json.dumps({"remove": [], "change": [], "add": [f"bird is {'y' * 200}"]}) if step == "polish" else None

    [result] = DysenPlanner(oracle(twist)).plan([BIRD], ticks=6, seed=0)
    errors = [call.error for call in result.transcript if call.error]
    assert len(errors) == 9
    assert all(len(error) <= 500 and "\n" not in error for error in errors)
    assert errors[-1] == "attribute: String should have at most 120 characters"


def test_more_actions_than_ticks_are_reported(oracle: Callable[..., Any]) -> None:
    [result] = DysenPlanner(oracle()).plan([BIRD], ticks=1, seed=0)
    assert (result.plan, result.degraded) == (None, "2 actions one after the other do not fit into 1 ticks")


def test_failing_imagination_leaves_the_converted_graph(oracle: Callable[..., Any]) -> None:
    def twist(step: str, request: Any, calls: int) -> str | None:
        return '{"add": ["moon is made of cheese"]}' if step in ("imagine", "polish") else None

    [result] = DysenPlanner(oracle(twist)).plan([BIRD], ticks=6, seed=0)
    assert result.dsg == result.stages["imagined"] == result.stages["converted"]
    assert result.degraded is not None
    assert result.degraded.count("failed 3 times") == 3
    assert "step 'imagine 1/2' failed 3 times: nothing is called 'moon'" in result.degraded
    assert "\n" not in result.degraded


def test_the_polish_cannot_touch_what_is_stated(oracle: Callable[..., Any]) -> None:
    def twist(step: str, request: Any, calls: int) -> str | None:
        if step != "polish":
            return None
        complained = request.messages[-1].content.startswith("That was wrong")
        asked = [
            message.content for message in request.messages if message.role == "user" and "\n1. " in message.content
        ]
        stated = next(text for text in asked[-1].split("\n")[1:] if "(imagined)" not in text)
        number, _, text = stated.partition(". ")
        changes = [f"{number}: {text.split(' ')[0]} is very real"] if complained else []
        return json.dumps({"remove": [] if complained else [int(number)], "change": changes, "add": []})

    for prompt in PROMPTS[:4]:
        [result] = DysenPlanner(oracle(twist)).plan([prompt], ticks=6, seed=0)
        stated = [fact for fact in result.stages["imagined"].facts if fact.source in STATED]
        assert [fact for fact in result.dsg.facts if fact.source in STATED] == stated
        errors = [call.error or "" for call in result.transcript if call.step == "polish"]
        assert len(errors) == 3
        assert all("and stays" in error for error in errors)


def test_without_imagination_nothing_is_imagined(oracle: Callable[..., Any]) -> None:
    results = DysenPlanner(oracle(), imagine=False).plan(PROMPTS, ticks=6, seed=0)
    assert all(list(result.stages) == ["converted"] for result in results)
    assert not any(call.step.startswith(("imagine", "polish")) for result in results for call in result.transcript)


def test_without_the_window_a_segment_is_imagined_as_if_it_were_alone(oracle: Callable[..., Any]) -> None:
    def seen(**options: bool) -> set[str]:
        results = DysenPlanner(oracle(), **options).plan(PROMPTS, ticks=6, seed=0)
        calls = [call for result in results for call in result.transcript if call.step.startswith("imagine")]
        asked = [m.content for call in calls for m in call.messages if m.role == "user" and "\nnow: " in m.content]
        return {line for text in asked for line in text.splitlines() if line.startswith(("before: ", "next: "))}

    assert seen(window=False) == {"before: -", "next: -"}
    assert len(seen()) > 2


def test_progress_rises_from_zero_to_one(oracle: Callable[..., Any]) -> None:
    seen: list[tuple[str, float]] = []
    DysenPlanner(oracle()).plan(
        PROMPTS[:2], ticks=6, seed=0, on_progress=lambda title, done: seen.append((title, done))
    )
    fractions = [done for _, done in seen]
    assert (fractions[0], fractions[-1]) == (0, 1)
    assert fractions == sorted(fractions)
    assert all(title for title, _ in seen)


def test_the_transcripts_hash_ignores_seconds_alone(oracle: Callable[..., Any]) -> None:
    [result] = DysenPlanner(oracle()).plan([PROMPTS[0]], ticks=6, seed=0)

    def with_first(**changes: Any) -> str:
        calls = [result.transcript[0].model_copy(update=changes), *result.transcript[1:]]
        return result.model_copy(update={"transcript": calls}).transcript_sha256

    assert with_first(seconds=7.5) == result.transcript_sha256
    assert with_first(reply="x") != result.transcript_sha256
    assert with_first(completion_tokens=9) != result.transcript_sha256


@pytest.mark.parametrize(
    ("prompts", "ticks", "message"),
    [
        (["A dog runs.", "  "], 8, r"prompts\[1\]: no words in '  '"),
        (["!!"], 8, "prompt: no words"),
        (["a " * 1001], 8, "prompt: 2002 characters; shorten it to at most 2000"),
        (["A dog runs."], 0, "ticks: 0"),
        (["A dog \udcff runs."], 8, "prompt: character 7 is half of one"),
    ],
)
def test_unusable_input_is_refused_before_any_call(
    oracle: Callable[..., Any], prompts: list[str], ticks: int, message: str
) -> None:
    engine = oracle()
    with pytest.raises(UserError, match=message):
        DysenPlanner(engine).plan(prompts, ticks=ticks, seed=0)
    assert not engine.batches


def test_no_prompts_no_results(oracle: Callable[..., Any]) -> None:
    assert DysenPlanner(oracle()).plan([], ticks=8, seed=0) == []
