"""Stage I's questions: what their schemas allow, and what their checks refuse; who is who; what happens when."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planners.action_planning import (
    MAX_SEGMENTS,
    Clause,
    Mention,
    act_question,
    name_question,
    order_question,
    parse_order,
    parsed,
    plain_name,
    refer_question,
    split_question,
)
from planners.demonstrations import demonstrations
from planners.plan_assembly import Action, Cast, build_plan, cast_actions, phrases, retellings, time_steps
from planners.questions import Question

POOL = demonstrations()


def allows(question: Question[Any], reply: str) -> bool:
    """Whether the question's schema lets this string through."""
    schema = question.json_schema
    return reply in schema["enum"] if "enum" in schema else re.fullmatch(schema["pattern"], reply) is not None


def clauses(*marked: str) -> list[Clause]:
    return [parsed(text) for text in marked]


# -- split -------------------------------------------------------------------------------------------------------------


@given(st.lists(st.sampled_from(["a", "dog", "runs", "don't", "t-shirt", "läuft"]), min_size=1, max_size=8), st.data())
def test_any_division_of_the_text_is_allowed_and_nothing_else(words: list[str], data: st.DataObject) -> None:
    question = split_question(" ".join(words).capitalize() + ".", ())
    breaks = [data.draw(st.booleans()) for _ in words[1:]]
    divided = words[0] + "".join((" / " if b else " ") + w for b, w in zip(breaks, words[1:], strict=True))
    assert allows(question, divided)
    assert question.check(divided) == divided.split(" / ")
    for wrong in (divided + " cat", divided.replace("a", "o", 1) + "x", " / ".join([divided, "dog"])):
        assert not allows(question, wrong)
        with pytest.raises(ValueError, match="does not repeat the text"):
            question.check(wrong)


def test_no_segment_begins_with_a_preposition_of_direction() -> None:
    question = split_question("A horse walks to the tree in a park", ())
    assert allows(question, "a horse walks to the tree / in a park")
    assert not allows(question, "a horse walks / to the tree in a park")


def test_too_many_actions_are_refused() -> None:
    words = [chr(ord("a") + i) for i in range(MAX_SEGMENTS + 1)]
    question = split_question(" ".join(words), ())
    assert question.check(f"{' / '.join(words[:-1])} {words[-1]}")
    with pytest.raises(ValueError, match="13 actions are too many"):
        question.check(" / ".join(words))


@pytest.mark.parametrize("value", [None, 3, ["a"], {"a": 1}])
def test_a_reply_of_another_kind_is_refused(value: Any) -> None:
    for question in (
        split_question("a dog runs", ()),
        act_question("a dog runs", ()),
        name_question(("old", "dog"), ()),
    ):
        with pytest.raises(ValueError, match="the reply"):
            question.check(value)


# -- act ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("clause", [clause for example in POOL for clause in example.clauses])
def test_every_demonstrated_mark_is_among_the_options(clause: str) -> None:
    question = act_question(clause.replace("[", "").replace("]", ""), ())
    assert allows(question, clause)
    assert question.check(clause) == parsed(clause)


def test_function_words_bound_what_can_be_an_action() -> None:
    options = act_question("then the old dog runs to it", ()).json_schema["enum"]
    assert "then the old dog [runs to] it" in options
    starts = {option.partition("[")[2].split("]")[0].split()[0] for option in options}
    assert starts == {"runs"}
    assert "a girl [is jumping over] it" in act_question("a girl is jumping over it", ()).json_schema["enum"]


@pytest.mark.parametrize(
    ("marked", "never"),
    [
        ("a cat [watches] birds", "a cat watches [birds]"),
        ("a cat [is watching] birds", "a [cat is watching] birds"),
        ("a white dog [spins]", "a white [dog spins]"),
        ("a girl in an orange coat [spins]", "a girl in an orange [coat] spins"),
        ("a yellow duck [flaps its wings]", "a yellow [duck flaps its wings]"),
        ("[waves at] a brown horse", "waves at a brown [horse]"),
        ("two dogs [chase] a cat", "two [dogs] chase a cat"),
        ("a lad wearing a green coat [throws] the book", "a lad [wearing] a green coat throws the book"),
        ("a girl who wears a red dress [walks to] a tree", "a girl who [wears] a red dress walks to a tree"),
        ("a boy dressed in a green suit [jumps]", "a boy [dressed in] a green suit jumps"),
        ("a man is [wearing] a hat", "a [man] is wearing a hat"),
        ("the girl [wears] a red coat", "the [girl] wears a red coat"),
        ("a man wearing a red hat [walks to] the box", "a man wearing a red [hat walks to] the box"),
    ],
)
def test_endings_keep_nouns_from_being_actions(marked: str, never: str) -> None:
    options = act_question(marked.replace("[", "").replace("]", ""), ()).json_schema["enum"]
    assert marked in options
    assert never not in options


def test_only_a_segment_that_begins_with_a_preposition_of_place_may_be_without_action() -> None:
    assert "in a park" in act_question("in a park", ()).json_schema["enum"]
    assert "a park" not in act_question("a park", ()).json_schema["enum"]
    assert parsed("in a park").place == ("a", "park")


@pytest.mark.parametrize(
    ("marked", "agent", "predicate", "target"),
    [
        ("a girl in a red coat [walks to] the box", "a girl in a red coat", "walk to", "the box"),
        ("a girl [walks] to the box", "a girl", "walk to", "the box"),
        ("while a dog [runs] to the left", "a dog", "run to the left", ""),
        ("then [falls] down", "", "fall down", ""),
        ("and at the same time she [is sitting] on the bench", "she", "sit on", "the bench"),
        ("it [washes] itself", "it", "wash itself", ""),
        ("he [runs] quickly", "he", "run quickly", ""),
        ("before [walking to] it", "", "walk to", "it"),
    ],
)
def test_a_marked_clause_is_read(marked: str, agent: str, predicate: str, target: str) -> None:
    clause = parsed(marked)
    assert (" ".join(clause.agent), clause.predicate, " ".join(clause.target)) == (agent, predicate, target)


# -- name --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("marked", "mentions"),
    [
        ("a [girl] in a red coat", [Mention("girl", ("in a red coat",), 1, "a")]),
        ("an old [man]", [Mention("man", ("old",), 1, "an")]),
        ("two black [dogs]", [Mention("dogs", ("black",), 2)]),
        ("a [dog] and an old [cat]", [Mention("dog", (), 1, "a"), Mention("cat", ("old",), 1, "an")]),
        ("the [ice cream]", [Mention("ice cream", (), 1, "the")]),
        ("a black and white [cat]", [Mention("cat", ("black and white",), 1, "a")]),
        ("his old [hat] with a feather", [Mention("hat", ("old", "with a feather"), 1, "his")]),
    ],
)
def test_a_marked_name_is_read(marked: str, mentions: list[Mention]) -> None:
    question = name_question(marked.replace("[", "").replace("]", "").split(), ())
    assert allows(question, marked)
    assert list(question.check(marked)) == mentions


def test_one_content_word_needs_no_question() -> None:
    assert plain_name(("the", "box")) == (Mention("box", (), 1, "the"),)
    assert plain_name(("two", "dogs")) == (Mention("dogs", (), 2),)
    assert plain_name(("an", "old", "man")) is None


# -- cast --------------------------------------------------------------------------------------------------------------


def cast_of(*mentions: Mention) -> Cast:
    cast = Cast()
    for mention in mentions:
        cast.meet([mention])
    return cast


def test_articles_say_who_is_new() -> None:
    dog = Mention("dog", (), 1, "a")
    assert cast_of(dog, Mention("dog", (), 1, "the")).ids() == ["dog"]
    assert cast_of(dog, Mention("dog", (), 1, "another")).ids() == ["dog_1", "dog_2"]
    assert cast_of(Mention("dogs", (), 2), Mention("dogs", (), 1, "the")).groups == [(0, 1)]
    red, blue = Mention("girl", ("in red",), 1, "a"), Mention("girl", ("in blue",), 1, "a")
    told = cast_of(red, blue, Mention("girl", ("in red",), 1, "the"))
    assert told.groups == [(0,), (1,)]
    assert [told.describe(group) for group in told.groups] == ["the girl in red", "the girl in blue"]


def test_pronouns_can_mean_everybody_but_oneself_and_no_place() -> None:
    told = clauses("in a park", "a woman [waves at] a man", "then she [hugs] him")
    cast, actions = cast_actions(told, {phrase: plain_name(phrase) or () for phrase in phrases(told)})
    options = retellings(cast, actions[1])
    assert set(options) == {("the woman", "the man"), ("the man", "the woman")}
    question = refer_question("…", told[2], options, POOL[:2])
    assert set(question.json_schema["enum"]) == {"then the woman hugs the man", "then the man hugs the woman"}
    assert question.check("then the woman hugs the man") == Action(told[2], (1,), (2,), ((1,), (2,)))


def test_a_pronoun_means_what_was_mentioned_before_unless_nothing_was() -> None:
    told = clauses("a duck [spins]", "then it [jumps]", "as a girl [waves]")
    cast, actions = cast_actions(told, {phrase: plain_name(phrase) or () for phrase in phrases(told)})
    assert set(retellings(cast, actions[1])) == {("the duck", None)}
    told = clauses("before he [sits]", "the boy [waves]")
    cast, actions = cast_actions(told, {phrase: plain_name(phrase) or () for phrase in phrases(told)})
    assert set(retellings(cast, actions[0])) == {("the boy", None)}


# -- order -------------------------------------------------------------------------------------------------------------


def test_order_is_retold_with_links_only() -> None:
    told = clauses("in a park", "before the boy [sits on] the bench", "he [kicks] a ball", "and then [runs]")
    question = order_question(told, [example for example in POOL if example.order])
    reply = "before the boy sits on the bench, he kicks a ball, then runs"
    assert allows(question, reply)
    assert question.check(reply) == [("before", 1), ("", 2), ("then", 3)]
    assert question.messages[-1].content == "before the boy sits on the bench, he kicks a ball, and then runs"
    assert question.check(reply.replace("then", "at the same time"))[2] == ("while", 3)
    assert question.check(reply.replace("then", "after that"))[2] == ("then", 3)
    for wrong in ("he kicks a ball, then runs", reply + ", then runs", reply.replace("then", "until")):
        assert not allows(question, wrong)
        with pytest.raises(ValueError, match="in the same order"):
            question.check(wrong)


def test_after_that_cannot_be_retold_as_after() -> None:
    question = order_question(clauses("a cat [runs]", "after that it [sits down]"), ())
    assert allows(question, "a cat runs, after that it sits down")
    assert not allows(question, "a cat runs, after it sits down")
    assert allows(order_question(clauses("a cat [runs]", "after it [sits down]"), ()), "a cat runs, after it sits down")


@pytest.mark.parametrize(
    ("order", "steps"),
    [
        ("1", [[1]]),
        ("1, then 2", [[1], [2]]),
        ("1, 2", [[1], [2]]),
        ("1, while 2", [[1, 2]]),
        ("1, then 2, while 3", [[1], [2, 3]]),
        ("1, while 2, then 3", [[1, 2], [3]]),
        ("before 1, 2", [[2], [1]]),
        ("after 1, 2", [[1], [2]]),
        ("while 1, 2, then 3", [[1, 2], [3]]),
        ("1, after 2", [[2], [1]]),
        ("1, before 2", [[1], [2]]),
        ("1, after 2, then 3", [[2], [1], [3]]),
        ("before 1, 2, then 3", [[2], [3], [1]]),
        ("after 1, 2, then 3", [[1], [2], [3]]),
        ("1, then 2, before 3", [[1], [2], [3]]),
        ("before 1, 2, while 3", [[2, 3], [1]]),
        ("1, then 2, then 3, then 4", [[1], [2], [3], [4]]),
    ],
)
def test_links_are_read_as_english_means_them(order: str, steps: list[list[int]]) -> None:
    expected = {action: step for step, actions in enumerate(steps) for action in actions}
    assert time_steps(parse_order(order)) == expected


@given(st.lists(st.sampled_from(["", "then", "before", "after", "while"]), min_size=1, max_size=6))
def test_every_action_gets_one_step_and_no_step_is_empty(links: list[str]) -> None:
    first = "" if links[0] == "then" else links[0]
    steps = time_steps([(link, i) for i, link in enumerate([first, *links[1:]], start=1)])
    assert sorted(steps) == list(range(1, len(links) + 1))
    assert set(steps.values()) == set(range(max(steps.values()) + 1))


@given(st.integers(1, 4), st.integers(1, 20))
def test_steps_share_the_ticks_without_gap(count: int, ticks: int) -> None:
    told = clauses(*(f"a dog{i} [runs]" for i in range(count)))
    cast, actions = cast_actions(told, {phrase: plain_name(phrase) or () for phrase in phrases(told)})
    order = [("then" if i > 1 else "", i) for i in range(1, count + 1)]
    if count > ticks:
        with pytest.raises(ValueError, match="do not fit"):
            build_plan("p", ticks, cast, actions, order)
        return
    plan = build_plan("p", ticks, cast, actions, order)
    assert [event.start for event in plan.events] == [0, *(event.end for event in plan.events[:-1])]
    assert plan.events[-1].end == ticks
    lengths = [event.end - event.start for event in plan.events]
    assert max(lengths) - min(lengths) <= 1


def test_two_dogs_are_two_events() -> None:
    told = clauses("two dogs [chase] a cat")
    cast, actions = cast_actions(told, {phrase: plain_name(phrase) or () for phrase in phrases(told)})
    plan = build_plan("p", 4, cast, actions, [("", 1)])
    assert [(e.agent, e.predicate, e.target, e.start, e.end) for e in plan.events] == [
        ("dog_1", "chase", "cat", 0, 4),
        ("dog_2", "chase", "cat", 0, 4),
    ]


@pytest.mark.parametrize(
    ("phrase", "attribute"),
    [
        ("a [lad] wearing a green coat", "in a green coat"),
        ("a [girl] who wears a red dress", "in a red dress"),
        ("a [man] who is dressed in blue", "in blue"),
        ("a [boy] in a red coat", "in a red coat"),
        ("a [dog] that is brown", "that is brown"),
    ],
)
def test_clothes_that_are_worn_are_an_attribute(phrase: str, attribute: str) -> None:
    question = name_question(phrase.replace("[", "").replace("]", "").split(), ())
    [mention] = question.check(phrase)
    assert mention.attributes == (attribute,)
