"""The audit: facts find their words in the prompt, and only contradictions are called so."""

from __future__ import annotations

import pytest

from planners.audit import audit, contradict, quoted
from planners.demonstrations import demonstrations
from planners.dsg import DynamicSceneGraph, Fact, SceneObject
from planners.dysen import demonstrated
from planners.event_conversion import convert

PROMPT = "The girl in a red coat walks to the box, then two dogs are running to the left while she jumps over it."
OBJECTS = tuple(SceneObject(id=ident, label=label) for ident, label in (("girl", "girl"), ("box", "box"), ("d", "dog")))


def graph(*facts: Fact) -> DynamicSceneGraph:
    return DynamicSceneGraph(prompt=PROMPT, ticks=8, objects=OBJECTS, facts=facts)


def fact(subject: str, predicate: str, other: str | None = None, start: int = 0, end: int = 8) -> Fact:
    return Fact(subject=subject, predicate=predicate, object=other, start=start, end=end, source="plan")


@pytest.mark.parametrize(
    ("said", "words", "missing"),
    [
        (fact("girl", "walk to", "box"), "girl … walks to … box", ()),
        (fact("girl", "jump over", "box"), "girl … box … jumps over", ()),
        (fact("d", "run to the left"), "dogs … running to the left", ()),
        (fact("girl", "wave at", "box"), "girl … box", ("wave",)),
        (Fact(subject="girl", attribute="in a red coat", start=0, end=8, source="prompt"), "girl in a red coat", ()),
        (Fact(subject="d", attribute="brown", start=0, end=8, source="imagined"), "dogs", ("brown",)),
    ],
)
def test_facts_find_their_words(said: Fact, words: str, missing: tuple[str, ...]) -> None:
    [found] = audit(graph(said))
    assert (quoted(PROMPT, found.words), found.missing) == (words, missing)
    assert found.ungrounded == (bool(missing) and said.source != "imagined")


def test_what_a_person_demonstrated_is_all_in_the_prompt() -> None:
    for example in demonstrations():
        dsg = convert(demonstrated(example, len(example.imagined)))
        found = [f for f in audit(dsg) if f.ungrounded or f.against]
        assert not found, (example.prompt, found)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (fact("d", "on", "box"), fact("d", "under", "box"), True),
        (fact("d", "on", "box", 0, 4), fact("d", "under", "box", 4, 8), False),
        (fact("d", "on", "box"), fact("box", "on", "d"), True),
        (fact("d", "near", "box"), fact("box", "near", "d"), False),
        (fact("d", "on", "box"), fact("girl", "under", "box"), False),
        (fact("d", "on", "box"), fact("d", "near", "box"), False),
    ],
)
def test_contradictions_need_the_same_things_at_the_same_time(a: Fact, b: Fact, expected: bool) -> None:
    assert contradict(a, b) == contradict(b, a) == expected
    assert [f.against for f in audit(graph(a, b))] == ([(2,), (1,)] if expected else [(), ()])
