"""A scene graph in English: everything is said, in order, and nothing that does not fit goes silently."""

from __future__ import annotations

import re
from fractions import Fraction
from itertools import groupby

import pytest

from planners.dsg import DynamicSceneGraph, Fact, SceneObject
from planners.language import is_plural, plural, present_participle, third_person, with_article
from planners.narration import narrate, narrate_frames, narrate_windows


def graph(
    *facts: tuple[str, str, int, int] | tuple[str, str, int, int, str], ticks: int = 8, **labels: str
) -> DynamicSceneGraph:
    """Facts as ("girl | walk to | box", start, end): two parts are an attribute ("= ...") or a predicate alone."""
    made, ids = [], dict[str, None]()
    for text, source, start, end, *_ in facts:
        subject, label, target = (*(part.strip() for part in text.split("|")), "")[:3]
        ids |= dict.fromkeys(filter(None, (subject, target)))
        said = {"attribute": label[1:].strip()} if label.startswith("=") else {"predicate": label}
        made.append(Fact(subject=subject, object=target or None, start=start, end=end, source=source, **said))  # type: ignore[arg-type]
    objects = tuple(SceneObject(id=ident, label=labels.get(ident, ident)) for ident in ids)
    return DynamicSceneGraph(prompt="the prompt", ticks=ticks, objects=objects, facts=tuple(made))


PARK = graph(
    ("girl | walk to | box", "plan", 0, 4),
    ("girl | jump over | box", "plan", 4, 8),
    ("dog | run to the left", "plan", 4, 8),
    ("girl | = in a red coat", "prompt", 0, 8),
    ("girl | in | park", "prompt", 0, 8),
    ("dog | in | park", "prompt", 0, 8),
    ("dog | = brown", "imagined", 0, 4),
)


def test_the_whole_is_told_in_order_of_occurrence() -> None:
    assert narrate(PARK).text == (
        "In a park, a girl in a red coat walks to a box. There is also a brown dog in the park. "
        "Then the girl jumps over the box while the dog runs to the left."
    )


def test_windows_stand_alone_and_say_what_goes_on() -> None:
    long = graph(("man | walk to | chair", "plan", 0, 6), ("man | sit down", "plan", 6, 8))
    texts = [window.text for window in narrate_windows(long, 4)]
    assert texts == [
        "A man begins to walk to a chair.",
        "A man is walking to a chair.",
        "A man finishes walking to a chair.",
        "A man sits down. There is also a chair.",
    ]


def test_segments_are_windows() -> None:
    told = narrate_windows(PARK)
    assert [(window.start, window.end) for window in told] == [(s.start, s.end) for s in PARK.segments()]


def test_a_frame_says_how_far_its_events_have_run() -> None:
    texts = [frame.text for frame in narrate_frames(graph(("dog | jump over | box", "plan", 0, 8)), 16)]
    runs = [(text, len(list(run))) for text, run in groupby(texts)]
    assert runs == [
        ("A dog begins to jump over a box.", 4),
        ("A dog is jumping over a box.", 8),
        ("A dog finishes jumping over a box.", 4),
    ]


def test_frames_follow_their_ticks() -> None:
    frames = narrate_frames(PARK, 16)
    assert all("walk" in frame.text and "jump" not in frame.text for frame in frames[:8])
    assert all("jump" in frame.text and "walk" not in frame.text for frame in frames[8:])
    assert frames[0].start == 0
    assert frames[-1].end == Fraction(8)


def test_everything_that_a_fact_says_is_said() -> None:
    rich = graph(
        ("lady | sit on | chair", "plan", 0, 6),
        ("lady | drink | coffee", "plan", 2, 4),
        ("friend | wave at | lady", "plan", 4, 8),
        ("friend | = cheerful", "imagined", 2, 4),
        ("lady | = now old", "imagined", 6, 8),
        ("lamp | on | table", "imagined", 0, 8),
        ("table | = wooden", "imagined", 0, 8),
        ("vase | behind | lamp", "imagined", 5, 8),
    )
    text = narrate(rich).text
    for word in (
        "sit",
        "chair",
        "drink",
        "coffee",
        "wave",
        "cheerful",
        "old",
        "lamp",
        "wooden table",
        "behind",
        "vase",
    ):
        assert re.search(rf"\b{word}", text), (word, text)


@pytest.mark.parametrize(
    ("facts", "labels", "text"),
    [
        (
            [("a | chase | cat", "plan", 0, 8), ("b | chase | cat", "plan", 0, 8)],
            {"a": "dog", "b": "dog"},
            "Two dogs chase a cat.",
        ),
        (
            [("a | run", "plan", 0, 4), ("b | sleep", "plan", 4, 8), ("a | sit", "plan", 4, 8)],
            {"a": "dog", "b": "dog"},
            "A dog runs. Then the first dog sits while another dog sleeps.",
        ),
        (
            [("a | hug | b", "plan", 0, 4), ("a | wave", "plan", 4, 8), ("a | = in a red coat", "prompt", 0, 8),
             ("b | = in a blue coat", "prompt", 0, 8)],
            {"a": "girl", "b": "girl"},
            "A girl in a red coat hugs another girl in a blue coat. Then the girl in a red coat waves.",
        ),
        (
            [("lady | sit on | chair", "plan", 0, 6), ("lady | drink | coffee", "plan", 2, 4)],
            {},
            "A lady sits on a chair. Then, still sitting on the chair, she drinks coffee.",
        ),
        (
            [("man | walk", "plan", 0, 8), ("dog | bark", "plan", 4, 6)],
            {},
            "A man walks. Meanwhile, a dog barks.",
        ),
        (
            [("man | jump", "plan", 0, 2), ("man | wave", "plan", 2, 5), ("man | jump", "plan", 5, 8)],
            {},
            "A man jumps. Then he waves. Finally, he jumps again.",
        ),
        ([("birds | fly away", "plan", 0, 8)], {}, "Birds fly away."),
        ([("girl | walk", "plan", 0, 8), ("girl | wave", "plan", 0, 8)], {}, "A girl walks and waves."),
        ([("rock | = old", "prompt", 0, 8), ("rock | = grey", "prompt", 0, 8)], {}, "There is an old grey rock."),
    ],
)  # fmt: skip
def test_it_reads_as_a_person_would_write(facts: list, labels: dict[str, str], text: str) -> None:
    assert narrate(graph(*facts, **labels)).text == text


def test_an_empty_graph_is_told_by_its_prompt() -> None:
    assert narrate(DynamicSceneGraph(prompt="Sunset over the sea.", ticks=4)).text == "Sunset over the sea."
    assert narrate_frames(DynamicSceneGraph(prompt="Sunset.", ticks=2), 4)[3].text == "Sunset."


def test_what_was_imagined_goes_first_and_then_the_last_sentences_and_all_is_named() -> None:
    def fits(most: int):
        return lambda text: len(text.split()) <= most

    assert narrate(PARK, fits=fits(100)).left_out == ()
    stated = narrate(PARK, fits=fits(26))
    assert stated.left_out == ("what was imagined",)
    assert "brown" not in stated.text
    short = narrate(PARK, fits=fits(12))
    assert short.left_out == ("what was imagined", "Then she jumps over the box while a dog runs to the left.")
    assert short.text == "In a park, a girl in a red coat walks to a box."


@pytest.mark.parametrize(
    ("base", "third", "participle"),
    [
        ("walk", "walks", "walking"), ("carry", "carries", "carrying"), ("run", "runs", "running"),
        ("catch", "catches", "catching"), ("lie", "lies", "lying"), ("ride", "rides", "riding"),
        ("see", "sees", "seeing"), ("sit", "sits", "sitting"), ("go", "goes", "going"), ("play", "plays", "playing"),
        ("open", "opens", "opening"), ("have", "has", "having"), ("be", "is", "being"), ("feed", "feeds", "feeding"),
        ("fix", "fixes", "fixing"), ("begin", "begins", "beginning"), ("quit", "quits", "quitting"),
    ],
)  # fmt: skip
def test_verbs_are_inflected(base: str, third: str, participle: str) -> None:
    assert (third_person(base), present_participle(base)) == (third, participle)


def test_nouns_are_counted() -> None:
    assert [with_article(noun) for noun in ("umbrella", "unicorn", "hour", "horse", "old man", "one-eyed cat")] == [
        "an umbrella", "a unicorn", "an hour", "a horse", "an old man", "a one-eyed cat",
    ]  # fmt: skip
    assert [plural(noun) for noun in ("dog", "box", "old man", "baby")] == ["dogs", "boxes", "old men", "babies"]
    assert [is_plural(noun) for noun in ("dogs", "people", "bus", "grass", "dog")] == [True, True, False, False, False]


@pytest.mark.parametrize(
    "relation",
    [
        "above", "beneath", "left of", "right of", "in front of", "behind", "next to", "past", "toward", "away from",
        "with", "inside", "in", "beside", "taller than", "larger than", "faster than",
    ],
)  # fmt: skip
def test_relations_of_annotated_data_sets_are_no_verbs(relation: str) -> None:
    """Those of VidVRD, VidOR and Action Genome; behind a verb, as in "run away from", the verb is inflected."""
    assert narrate(graph((f"dog | {relation} | sofa", "user", 0, 8))).text == f"There is a dog {relation} a sofa."
    if not relation.endswith(" than"):
        assert narrate(graph((f"dog | run {relation} | sofa", "user", 0, 8))).text == f"A dog runs {relation} a sofa."
