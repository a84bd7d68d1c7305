"""Strategies: each chooses what its name says, whatever else is asked with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from planners.demonstrations import demonstrations
from planners.dsg import UserError
from planners.dysen import CHOSEN, FIRST, DysenPlanner
from planners.engines.embedding import TextEmbedder
from planners.language import words_of
from planners.plugins import get_planner
from planners.replay import ReplayPlanner, Transcript
from planners.selection import (
    STRATEGIES,
    Choice,
    FixedSelector,
    NearestSelector,
    PolicySelector,
    RandomSelector,
    StructureSelector,
    best,
    load_policy,
    save_policy,
    selector,
)

POOL = tuple(example.prompt for example in demonstrations())


class Letters:
    """An embedder without a model: how often each letter is there, of unit length."""

    def embed(self, texts: Sequence[str]) -> Any:
        counts = np.array([[text.lower().count(chr(97 + i)) for i in range(26)] for text in texts]).reshape(-1, 26)
        return (counts / np.linalg.norm(counts, axis=1, keepdims=True)).astype(np.float32)


def choice(*questions: str, pool: Sequence[str] = POOL, count: int = 3, step: str = "split", seed: int = 0) -> Choice:
    return Choice(step, questions, tuple(range(len(questions))), tuple(pool), count, seed)


def every() -> list[Any]:
    weights = {"split": np.eye(26, 27, dtype=np.float32)}
    simple = [FixedSelector(), RandomSelector(), StructureSelector()]
    return [*simple, NearestSelector(Letters()), PolicySelector(weights, Letters())]


@pytest.mark.parametrize("chosen_by", every(), ids=lambda s: s.name)
def test_every_strategy_chooses_different_places_and_question_by_question(chosen_by: Any) -> None:
    together = chosen_by.choose(choice("A dog runs.", "A cat sits, then it jumps."))
    assert [chosen_by.choose(choice(text))[0] for text in ("A dog runs.", "A cat sits, then it jumps.")] == together
    assert all(len(set(row)) == 3 and set(row) <= set(range(len(POOL))) for row in together)
    assert sorted(chosen_by.choose(choice("A dog runs.", pool=POOL[:2]))[0]) == [0, 1]
    assert chosen_by.choose(choice("A dog runs.", count=0)) == [[]]
    assert chosen_by.choose(choice()) == []


def test_fixed_are_the_first_and_the_very_first_is_last() -> None:
    assert FixedSelector().choose(choice("one", "two")) == [[2, 1, 0]] * 2


def test_random_follows_from_seed_step_and_question_and_reaches_everything() -> None:
    def drawn(**changes: Any) -> list[int]:
        return RandomSelector().choose(choice(changes.pop("question", "A dog runs."), **changes))[0]

    assert drawn() == drawn()
    others = [drawn(seed=1), drawn(step="order"), drawn(question="A cat runs.")]
    assert all(other != drawn() for other in others)
    reached = {i for seed in range(300) for i in drawn(seed=seed)}
    assert reached == set(range(len(POOL)))


def test_structure_looks_for_the_same_connectives() -> None:
    def nearest(text: str) -> list[str]:
        [[place]] = StructureSelector().choose(choice(text, count=1))
        return words_of(POOL[place])

    assert nearest("Before the boy sits on the bench, he kicks a ball.")[0] == "before"
    assert "while" in nearest("A horse walks to the tree while a duck spins.")
    assert "after" in nearest("The cat lies down after the boy kicks the ball.")[1:]
    assert nearest(POOL[4]) == words_of(POOL[4])


def test_nearest_looks_for_the_same_meaning_last() -> None:
    texts = ("A man cooks soup.", "A puppy plays with a ball.", "Rain falls on the roof.", "A dog runs after a ball.")
    by_meaning = NearestSelector(TextEmbedder())
    assert by_meaning.choose(choice("The dog chases the ball.", pool=texts, count=2)) == [[1, 3]]
    assert by_meaning.choose(choice("Somebody prepares a meal.", pool=texts, count=1)) == [[0]]


def test_an_embedding_has_unit_length_and_does_not_depend_on_its_company() -> None:
    embedder = TextEmbedder()
    together = embedder.embed(["a dog", "a much longer text about a cat " * 100])
    assert together.shape == (2, embedder.width)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(TextEmbedder().embed(["a dog"]), together[:1])
    assert embedder.embed([]).shape == (0, embedder.width)


def test_a_policy_scores_by_its_map_and_its_bias_and_leaves_other_steps_to_structure() -> None:
    texts = ("aab", "abb", "bbb")
    only_b = np.zeros((1, 27), np.float32)
    only_b[0, 1] = 1
    assert PolicySelector({"split": only_b}, Letters()).choose(choice("b", pool=texts)) == [[0, 1, 2]]
    against = only_b.copy()
    against[0, -1] = -2  # every feature is below it: a question's and a candidate's signs both turn
    assert PolicySelector({"split": against}, Letters()).choose(choice("b", pool=texts)) == [[2, 1, 0]]
    other = choice("A dog runs.", step="order")
    assert PolicySelector({"split": only_b}, Letters()).choose(other) == StructureSelector().choose(other)


def test_of_equal_scores_the_first_counts_as_higher() -> None:
    assert best([1.0, 2.0, 2.0, 0.0], 3) == [0, 2, 1]


def test_a_policy_is_written_in_half_precision_and_read_again(tmp_path: Path) -> None:
    weights = {"split": np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4)}
    save_policy(tmp_path / "policy", weights)
    read = load_policy(tmp_path / "policy")["split"]
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, weights["split"].astype(np.float16).astype(np.float32))
    assert (tmp_path / "policy" / "policy.safetensors").stat().st_size < 200


def test_strategies_by_name(tmp_path: Path) -> None:
    assert {selector(name).name for name in STRATEGIES if name != "policy"} == {*STRATEGIES} - {"policy"}
    assert selector().name == "structure"
    save_policy(tmp_path, {"split": np.zeros((2, 385), np.float32)})
    mine = selector(policy=tmp_path)
    assert mine.name == f"policy={tmp_path}"
    assert isinstance(selector(mine.name), PolicySelector)


@pytest.mark.parametrize(
    ("strategy", "policy", "message"),
    [
        ("nearset", None, "strategy: 'nearset'; there are: structure, fixed, random, nearest, policy"),
        ("fixed", "folder", "policy: goes with strategy=policy, not with strategy=fixed"),
        ("policy", "absent", "absent: no policy there"),
        ("policy", None, r"strategy=policy: .* none ships; train one .dysenvdm train recipes/planner/reinforce.yaml"),
        (None, "broken", "broken/policy.safetensors: not a safetensors file"),
    ],
)
def test_a_bad_strategy_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, strategy: str | None, policy: str | None, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "policy.safetensors").write_bytes(b"no")
    with pytest.raises(UserError, match=message) as caught:
        selector(strategy, policy)
    assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match="strategy: "):
        get_planner("smollm2", strategy="nobody")


def test_the_planner_shows_the_first_then_the_chosen(oracle: Callable[..., Any]) -> None:
    engine = oracle()
    DysenPlanner(engine, imagine=False, selector=FixedSelector()).plan([POOL[0]], ticks=6, seed=0)
    [[split], *_] = engine.batches
    shown = [message.content for message in split.messages[1:-1] if message.role == "user"]
    first, others = POOL[: FIRST["split"]], POOL[FIRST["split"] :][: CHOSEN["split"]]
    assert shown == [*reversed(first), *reversed(others)]


def test_a_transcript_names_its_strategy_and_replays(oracle: Callable[..., Any], tmp_path: Path) -> None:
    planner = DysenPlanner(oracle(), imagine=False, selector=RandomSelector())
    [result] = planner.plan([POOL[8]], ticks=6, seed=5)
    transcript = Transcript.of(result, planner="smollm2", ticks=6, seed=5)
    assert transcript.strategy == "random"
    file = tmp_path / "calls.json"
    file.write_text(transcript.to_json())
    assert ReplayPlanner(file).plan([POOL[8]], ticks=6, seed=0) == [result]
    file.write_text(transcript.model_copy(update={"strategy": "fixed"}).to_json())
    with pytest.raises(UserError, match="recorded by another version or with other options"):
        ReplayPlanner(file).plan([POOL[8]], ticks=6, seed=0)
