"""Triplets: FACTUAL's notation, base forms, and matching one to one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.triplets import Item, gold_triplets, judge, load, matched, normal, synonyms, triplets
from dysenvdm.text import TextEncoder
from planners.dsg import DynamicSceneGraph, UserError

DSG = DynamicSceneGraph.parse(
    {
        "prompt": "Two dogs chase a ball, then it rolls.",
        "ticks": 4,
        "objects": [{"id": "dog_1", "label": "dog"}, {"id": "dog_2", "label": "dog"}, {"id": "ball", "label": "ball"}],
        "facts": [
            {"subject": "dog_1", "predicate": "chase", "object": "ball", "start": 0, "end": 2, "source": "plan"},
            {"subject": "dog_2", "predicate": "chase", "object": "ball", "start": 0, "end": 2, "source": "plan"},
            {"subject": "ball", "predicate": "roll", "start": 2, "end": 4, "source": "plan"},
            {"subject": "ball", "attribute": "red", "start": 0, "end": 4, "source": "prompt"},
        ],
    }
)


def test_the_first_graph_counts_each_triplet_once() -> None:
    assert triplets(DSG, 0) == {("dog", "chase", "ball"), ("ball", "is", "red")}


def test_gold_is_read_in_base_forms_and_what_is_no_triplet_is_left_out() -> None:
    found = gold_triplets("( dogs , chasing , the balls ) , ( machine ) , ( man , is , brushing teeth )")
    assert found == {("dog", "chase", "ball"), ("man", "is", "brush teeth")}
    assert normal("a man", "is sitting on", "chairs") == ("man", "sit on", "chair")
    assert normal("eye", "have", "lash") == ("eye", "have", "lash")


@pytest.mark.parametrize(
    ("mine", "gold", "expected"),
    [("ab", "ab", 2), ("ab", "b", 1), ("", "a", 0), ("aA", "aA", 2), ("aA", "a", 1), ("A", "aA", 1)],
)
def test_matching_is_one_to_one_and_as_large_as_can_be(mine: str, gold: str, expected: int) -> None:
    def same(a: str, b: str) -> bool:
        return a.lower() == b.lower()

    a, b = (frozenset((letter, "is", "x") for letter in letters) for letters in (mine, gold))
    assert matched(a, b, same) == expected


def test_an_early_match_gives_way_where_more_fit() -> None:
    fits = {("a", "1"), ("a", "2"), ("b", "1")}
    mine, gold = (frozenset((x, "is", "x") for x in letters) for letters in ("ab", "12"))
    assert matched(mine, gold, lambda a, b: a == b or (a, b) in fits) == 2


def test_synonyms_are_as_near_as_the_threshold_wants(monkeypatch: pytest.MonkeyPatch) -> None:
    """Angles in degrees stand for the encoder's vectors."""

    class Dial:
        def embed(self, labels: list[str]) -> torch.Tensor:
            angles = torch.tensor([float(label) for label in labels]).deg2rad()
            return torch.stack((angles.cos(), angles.sin()), dim=1)

    monkeypatch.setattr(TextEncoder, "from_store", Dial)
    same = synonyms(0.8, [Item("", frozenset({("0", "90", "")}))])
    assert same("0", "36")
    assert not same("0", "38")
    assert same("nothing", "nothing")
    assert not same("", "0")


def test_a_caption_is_judged_both_ways(walkers: Any) -> None:
    [result] = walkers.plan(["a couch"], ticks=4, seed=0)
    items = [Item("a couch", frozenset({("couch", "is", "walk"), ("sofa", "is", "run")}))]
    found = judge(items, lambda a, b: True, 0, result)
    assert [found[key] for key in ("exact", "synonyms", "planned", "gold", "has_plan")] == [1, 1, 1, 2, True]


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "x.csv"
    file.write_text('caption,scene_graph\na dog,"( dog , is , big )"\na cat,( cat )\n', encoding="utf-8")
    assert load(file) == [Item("a dog", frozenset({("dog", "is", "big")}))]
    file.write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"x\.csv: not a table with caption and scene_graph"):
        load(file)
    with pytest.raises(UserError, match="cannot be read"):
        load(tmp_path / "none.csv")
