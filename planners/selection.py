"""Which of the pool's examples a question is asked with: the strategies of in-context learning.

Each step shows the pool's first examples whatever the strategy, since their tokens are then shared by all its questions
and computed once. A strategy picks the others, question by question; the one that matters most is shown last, next to
the question.

Source: Dysen-VDM (arXiv 2308.13812), reinforced in-context learning; ``structure`` is ours.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Protocol

from planners.demonstrations import likeness
from planners.dsg import UserError

if TYPE_CHECKING:
    from planners.engines.embedding import Embedder, Features

STRATEGIES = ("structure", "fixed", "random", "nearest", "policy")
"""The default first."""
WEIGHTS = "policy.safetensors"


@dataclass(frozen=True)
class Choice:
    """``count`` of the texts in ``pool`` are wanted for each of ``questions``, which all belong to one ``step``.

    ``owners`` are the numbers of the prompts, within their batch, that the questions belong to. ``seed`` is the plan's.
    """

    step: str
    questions: tuple[str, ...]
    owners: tuple[int, ...]
    pool: tuple[str, ...]
    count: int
    seed: int


class Selector(Protocol):
    """A strategy. ``name`` is what a transcript calls it, so that :func:`selector` makes it again."""

    @property
    def name(self) -> str: ...

    def choose(self, choice: Choice) -> list[list[int]]:
        """For each question ``count`` different places in the pool (all of a smaller pool), the most useful last."""
        ...


class FixedSelector:
    """The pool's first, for every question the same."""

    name = "fixed"

    def choose(self, choice: Choice) -> list[list[int]]:
        return [list(reversed(range(len(choice.pool))[: choice.count])) for _ in choice.questions]


class RandomSelector:
    """Drawn anew for every question, by the seed and the question alone."""

    name = "random"

    def choose(self, choice: Choice) -> list[list[int]]:
        return [
            Random(f"{choice.seed} {choice.step} {question}").sample(
                range(len(choice.pool)), min(choice.count, len(choice.pool))
            )
            for question in choice.questions
        ]


class StructureSelector:
    """Those built most like the question: the same connectives in the same places, then shared words."""

    name = "structure"

    def choose(self, choice: Choice) -> list[list[int]]:
        return [list(_built_alike(question, choice.pool, choice.count)) for question in choice.questions]


@lru_cache(4096)  # a corpus, and every sample of a training prompt, asks the same again
def _built_alike(question: str, pool: tuple[str, ...], count: int) -> tuple[int, ...]:
    return tuple(best([likeness(question, text) for text in pool], count))


class NearestSelector:
    """Those whose meaning is nearest to the question's, by the cosine of their embeddings."""

    name = "nearest"

    def __init__(self, embedder: Embedder) -> None:
        self.embedder = embedder

    def choose(self, choice: Choice) -> list[list[int]]:
        likenesses = self.embedder.embed(choice.questions) @ self.embedder.embed(choice.pool).T
        return [best(row.tolist(), choice.count) for row in likenesses]


class PolicySelector:
    """Those with the highest scores of a trained policy, in the steps that it was trained for.

    Its ``weights`` are a matrix (k, width + 1) for each step, the last column a bias; a score is the dot product of the
    question's and the example's features after that map. Other steps choose as :class:`StructureSelector`.
    """

    def __init__(self, weights: Mapping[str, Features], embedder: Embedder, folder: str = "") -> None:
        self.weights, self.embedder = weights, embedder
        self.name = f"policy={folder}" if folder else "policy"

    def choose(self, choice: Choice) -> list[list[int]]:
        if choice.step not in self.weights:
            return StructureSelector().choose(choice)
        weights = self.weights[choice.step]
        questions, pool = (
            self.embedder.embed(texts) @ weights[:, :-1].T + weights[:, -1] for texts in (choice.questions, choice.pool)
        )
        return [best(row.tolist(), choice.count) for row in questions @ pool.T]


BY_PROMPT = (FixedSelector, StructureSelector, NearestSelector, PolicySelector)
"""The strategies that no seed decides."""


def best(scores: Sequence[float], count: int) -> list[int]:
    """The places of the ``count`` highest scores, the highest last; of equal ones the first counts as higher."""
    return sorted(range(len(scores)), key=scores.__getitem__, reverse=True)[:count][::-1]


def selector(strategy: str | None = None, policy: str | os.PathLike[str] | None = None) -> Selector:
    """The strategy of a name in :data:`STRATEGIES`; ``policy`` is the folder of a trained one, and its strategy then.

    Also takes the ``name`` of a selector, ``policy=FOLDER``. Raises :class:`UserError` for an unknown name, a folder
    that goes with another strategy or holds no policy, and where the text encoder is needed and was not imported.
    """
    if strategy is None:
        strategy = STRATEGIES[0] if policy is None else "policy"
    if policy is None and strategy.startswith("policy="):
        strategy, _, policy = strategy.partition("=")
    if strategy not in STRATEGIES:
        raise UserError(f"strategy: {strategy[:60]!r}; there are: {', '.join(STRATEGIES)}")
    if policy is not None and strategy != "policy":
        raise UserError(f"policy: goes with strategy=policy, not with strategy={strategy}; leave one out")
    if strategy in SIMPLE:
        return SIMPLE[strategy]()
    if strategy == "policy" and policy is None:
        raise UserError(
            "strategy=policy: needs a policy's folder, and none ships; train one (dysenvdm train "
            "recipes/planner/reinforce.yaml) and give policy=runs/planner-reinforce/policy"
        )
    weights = None if policy is None else load_policy(Path(policy))
    from planners.engines.embedding import TextEmbedder

    embedder = TextEmbedder()
    if weights is None:
        return NearestSelector(embedder)
    return PolicySelector(weights, embedder, str(policy))


SIMPLE: dict[str, Callable[[], Selector]] = {
    "structure": StructureSelector,
    "fixed": FixedSelector,
    "random": RandomSelector,
}
"""Strategies that need no text encoder."""


def load_policy(folder: Path) -> dict[str, Features]:
    """A policy's matrices by step; raises :class:`UserError` where the folder holds none."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        weights = load(folder.joinpath(WEIGHTS).read_bytes())
    except OSError as error:
        raise UserError(
            f"{folder}: no policy there ({WEIGHTS}: {error.strerror or error}); "
            f"give a folder that dysenvdm train recipes/planner/reinforce.yaml wrote"
        ) from None
    except SafetensorError as error:
        raise UserError(
            f"{folder.joinpath(WEIGHTS)}: not a safetensors file ({error}); train the policy anew"
        ) from None
    return {step: matrix.astype("float32") for step, matrix in weights.items()}


def save_policy(folder: Path, weights: Mapping[str, Features]) -> None:
    """Write a policy's matrices, in half precision."""
    from safetensors.numpy import save

    folder.mkdir(parents=True, exist_ok=True)
    halves = {step: matrix.astype("float16") for step, matrix in sorted(weights.items())}
    fresh = folder / f".{WEIGHTS}"
    fresh.write_bytes(save(halves))
    fresh.replace(folder / WEIGHTS)
