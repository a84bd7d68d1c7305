"""What planners are tuned on: right by construction, deterministic, and nothing of what measures quality."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest

from dysenvdm.stage import VAL_SEED0
from dysenvdm.studies import planner_corpus
from dysenvdm.studies.planner_corpus import HELD_OUT, corpus, questions, read, text, validation, write
from dysenvdm.studies.planner_sentences import gerund, sentence, third, unreadable
from planners.action_planning import act_question, name_question
from planners.demonstrations import Demonstration, demonstrations, hand_written
from planners.dsg import UserError
from planners.dysen import demonstrated
from planners.gold_answers import STEPS, answered
from planners.scene_imagination import visual_words


@pytest.fixture(scope="module")
def sentences() -> list[Demonstration]:
    return [example for i in range(300) for example in [sentence(Random(f"test:{i}"))] if example]


def test_most_sentences_are_kept_and_give_the_events_that_were_meant(sentences: list[Demonstration]) -> None:
    assert len(sentences) > 200
    for example in sentences:
        plan = demonstrated(example, len(example.imagined))
        label = {thing.id: thing.label for thing in plan.objects}
        found = {(label[e.agent], e.predicate, e.start) for e in plan.events}
        assert found == {(event.agent, event.predicate, event.step) for event in example.events}


def test_sentences_are_varied(sentences: list[Demonstration]) -> None:
    opened = {example.clauses[0].split()[0] for example in sentences}
    assert {"after", "before", "while", "first", "in"} <= opened
    assert {len(example.clauses) for example in sentences} >= {1, 2, 3, 4, 5, 6}
    assert sum(bool(example.references) for example in sentences) > 60
    assert len({event.predicate for example in sentences for event in example.events}) > 150


def test_every_verbs_forms_are_undone_by_the_planners_grammar() -> None:
    assert unreadable() == []
    assert [third("carry"), third("push"), third("walk to")] == ["carries", "pushes", "walks to"]
    assert [gerund("lie down"), gerund("run"), gerund("taste"), gerund("look at")] == [
        "lying down", "running", "tasting", "looking at",
    ]  # fmt: skip


def test_every_hand_written_mark_is_among_its_questions_answers() -> None:
    for example in hand_written():
        found = answered(example, visual_words())
        assert {item.step for item in found} <= set(STEPS)
        assert all(len(item.messages) == 2 for item in found)
        assert sum(item.step == "act" for item in found) == len(example.clauses)
        for item in found:
            json.loads(item.answer)


def test_worked_examples_may_come_first() -> None:
    example, other = hand_written()[:2]
    first = answered(example, imagine=False, pool=[other])[0]
    assert [message.role for message in first.messages] == ["system", "user", "assistant", "user"]


def test_a_wrong_mark_is_refused() -> None:
    example = hand_written()[0]
    wrong = example.model_copy(update={"clauses": ("a [bird] flies to the branch", *example.clauses[1:])})
    with pytest.raises(ValueError, match="not among the allowed answers"):
        answered(wrong)


def test_the_same_arguments_give_the_same_questions() -> None:
    whole = list(corpus(40, seed=3))
    assert whole == questions(range(40), 3)
    assert whole != questions(range(40), 4)
    assert whole == list(corpus(40, seed=3, workers=2))
    assert {item.step for item in whole} == set(STEPS)


def test_the_share_of_stage_captions_is_a_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[int] = []
    monkeypatch.setattr(planner_corpus, "demonstration", lambda clip, _: drawn.append(clip.seed))
    for share in (0.0, 0.45, 0.8):
        drawn.clear()
        _ = [text(number, 0, share) for number in range(400)]
        assert len(drawn) == pytest.approx(400 * share, abs=30)


def test_answers_pass_their_own_questions_checks() -> None:
    for item in questions(range(30), 5):
        asked, answer = item.messages[-1].content, json.loads(item.answer)
        if item.step == "act":
            act_question(asked, ()).check(answer)
        if item.step == "name":
            name_question(asked.split(), ()).check(answer)


def test_nothing_held_out_is_trained_on(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[int] = []
    monkeypatch.setattr(planner_corpus, "demonstration", lambda clip, _: drawn.append(clip.seed))
    texts = [text(number, 0) for number in range(400)]
    assert len(drawn) > 100
    assert max(drawn) < VAL_SEED0
    written = {example.prompt for example in hand_written()}
    seen = {example.prompt for example in texts if example} & written
    assert len(seen) > 5
    assert not any(prompt.startswith(HELD_OUT) for prompt in seen)


def test_validation_has_other_texts_by_source() -> None:
    groups = validation(5)
    assert set(groups) == {"stage", "sentences", "written"}
    held_out = [example.prompt for example in demonstrations() if example.prompt.startswith(HELD_OUT)]
    assert len(held_out) == len(HELD_OUT)
    assert {item.messages[-1].content for item in groups["written"] if item.step == "split"} == set(held_out)


def test_a_corpus_file_is_read_back_and_anything_else_refused(tmp_path: Path) -> None:
    examples = questions(range(20), 0)
    assert write(examples, tmp_path / "corpus.jsonl.gz") == len(examples)
    assert read(tmp_path / "corpus.jsonl.gz") == examples
    (tmp_path / "other").write_text("no corpus")
    with pytest.raises(UserError, match="not a corpus"):
        read(tmp_path / "other")
