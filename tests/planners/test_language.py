"""The closed classes of English and the base forms."""

from __future__ import annotations

import re

import pytest

from planners.language import base_form, is_pronoun, predicate_form, singular, slug, without_leads, words_of

BASE_FORMS = """
walk walks walking walked; run runs running ran; sit sits sitting sat; jump jumps jumping; kick kicks kicking; push
pushes pushing; wave waves waving waved; fall falls falling fell; spin spins spinning; lie lies lying; dance dances
dancing; hug hugs hugging; flap flaps flapping; catch catches catching; carry carries carried carrying; chase chases
chasing; throw throws throwing threw; watch watches watching; kiss kisses kissing; open opens opening opened; close
closes closing; ride rides riding; go goes going; make makes making; sweep sweeps sweeping swept; organize organizes
organizing; drink drinks drinking; trot trots trotting; groom grooms grooming; clean cleans cleaning; change changes
changing; juggle juggles juggling; skate skates skating; hang hangs hanging; crawl crawls crawling; curl curls
curling; create creates creating; breathe breathes breathing; fly flies flying; tie ties tying; play plays playing;
see sees seeing; fix fixes fixing; cry cries crying; float floats floating; have has having; pass passes passing; use
uses using; visit visits visiting; type types typing; leave leaves leaving; sing sings singing
"""


@pytest.mark.parametrize("forms", [line.split() for line in BASE_FORMS.split(";")], ids=lambda forms: forms[0])
def test_every_form_of_a_verb_has_its_base(forms: list[str]) -> None:
    assert {base_form(form) for form in forms} == {forms[0]}


@pytest.mark.parametrize(
    ("said", "predicate"),
    [
        ("walks to", "walk to"),
        ("is sitting on", "sit on"),
        ("starts to run", "run"),
        ("flaps its wings", "flap its wings"),
        ("is", "be"),
        ("runs to the left", "run to the left"),
        ("does a cartwheel", "do a cartwheel"),
        ("is doing a cartwheel", "do a cartwheel"),
    ],
)
def test_predicates_lose_auxiliaries_and_inflection(said: str, predicate: str) -> None:
    assert predicate_form(said.split()) == predicate


@pytest.mark.parametrize(
    ("plural", "one"), [("dogs", "dog"), ("women", "woman"), ("puppies", "puppy"), ("boxes", "box"), ("glass", "glass")]
)
def test_counted_nouns_become_singular(plural: str, one: str) -> None:
    assert singular(plural) == one


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("and at the same time a dog runs", "a dog runs"),
        ("after that it sings", "it sings"),
        ("and then", ""),
        ("a dog and then a cat", "a dog and then a cat"),
    ],
)
def test_leads_are_taken_off_whole(said: str, left: str) -> None:
    assert without_leads(said.split()) == left.split()


def test_words_keep_letters_of_any_language_and_apostrophes() -> None:
    assert words_of("The girl's T-shirt, «grün»!") == ["the", "girl's", "t-shirt", "grün"]


@pytest.mark.parametrize("label", ["snow field", "grün", "日本", "girl's hat", "x" * 200])
def test_slugs_are_object_ids(label: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}", slug(label))


@pytest.mark.parametrize(
    ("phrase", "expected"),
    [("her", True), ("her dog", False), ("he", True), ("them", True), ("the girl", False), ("his", False)],
)
def test_her_is_somebody_where_nothing_follows(phrase: str, expected: bool) -> None:
    assert is_pronoun(phrase.split()) == expected
