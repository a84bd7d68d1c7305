"""Reinforced in-context learning: a policy learns which examples a question is asked with, from the plans' rewards.

A candidate's score is the dot product of its own and the question's features after one linear map of frozen text
features; examples are drawn without replacement from the softmax of the scores. REINFORCE raises the probability of
draws whose plan is better than the mean of the other plans of the same prompt. Plans are dear and gradients are not, so
a batch of plans is gone over several times, with clipped importance weights. What makes a plan good is the caller's to
say: a gold plan, a video's faithfulness.

Source: Dysen-VDM (arXiv 2308.13812), reinforced in-context learning; the baseline is that of Kool et al. 2019, the
clipped weights are those of Schulman et al. 2017. Bounded reward, centred features and validation are ours.

Letters: ``q`` question, ``n`` candidate, ``k`` drawn, ``d`` width of the text features, ``p`` plan.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, field_validator
from torch import Tensor, nn

from planners.contracts import PlanResult
from planners.dsg import UserError
from planners.dysen import CHOSEN, DysenPlanner
from planners.engines.embedding import Embedder, Features
from planners.selection import Choice, PolicySelector, Selector, StructureSelector, best, save_policy

CHECKPOINT = "checkpoint.pt"
POLICY = "policy"
"""The folder, within a run's, of the policy with the best reward in validation."""
CLIP = 0.2
"""How far from 1 an importance weight may go before a draw is let be."""

Reward = Callable[[int, PlanResult], float]
"""The reward, in [0, 1], of a plan of the prompt with that number."""
Log = Callable[[int, str, dict[str, float]], None]
"""Called with the number of updates done, "train" or "validation", and the values."""


class Settings(BaseModel):
    """One optimisation. ``steps`` of the planner choose by the policy; ``width`` is its map's.

    An update draws ``samples`` plans of each of ``batch_size`` prompts and learns from them ``passes`` times (1 is
    REINFORCE as the paper has it); an epoch shows every prompt once. ``temperature`` divides the scores, ``entropy`` is
    the weight of the policy's entropy in the loss. ``validate_every`` counts updates; ``minutes`` ends a run early.
    """

    model_config = ConfigDict(extra="forbid")

    steps: tuple[str, ...] = ("split",)
    width: int = Field(128, ge=1)
    temperature: float = Field(1.0, gt=0)
    epochs: int = Field(20, ge=1)
    batch_size: int = Field(20, ge=1)
    samples: int = Field(8, ge=2)
    passes: int = Field(4, ge=1)
    entropy: float = Field(0.01, ge=0)
    lr: float = Field(1e-3, gt=0)
    validate_every: int = Field(10, ge=1)
    minutes: float | None = Field(None, gt=0)

    @field_validator("steps")
    @classmethod
    def _known(cls, steps: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [step for step in steps if step not in CHOSEN]
        if unknown or not steps:
            raise ValueError(f"{', '.join(unknown) or 'none'}: steps that choose examples are {', '.join(CHOSEN)}")
        return steps


class PolicyNetwork(nn.Module):
    """A linear map of text features for each step that chooses.

    All texts of one kind have much in common, which would drown what tells them apart: so the mean of the rows of
    ``typical`` (texts d) is taken from the features, and their length made 1 on average.
    """

    centre: Tensor
    length: Tensor

    def __init__(self, steps: Iterable[str], typical: Tensor, width: int) -> None:
        super().__init__()
        self.maps = nn.ModuleDict({step: nn.Linear(typical.shape[1], width) for step in steps})
        self.register_buffer("centre", typical.mean(0))
        self.register_buffer("length", (typical - typical.mean(0)).norm(dim=1).mean())

    def scores(self, step: str, questions: Tensor, pool: Tensor) -> Tensor:
        """How much each candidate suits each question: (q d), (n d) -> (q n)."""
        mapped: list[Tensor] = [self.maps[step]((texts - self.centre) / self.length) for texts in (questions, pool)]
        return mapped[0] @ mapped[1].T

    @torch.no_grad()
    def weights(self) -> dict[str, Features]:
        """Each step's matrix (width, d + 1), its last column the bias, as :class:`PolicySelector` takes it: the map of
        plain features."""
        found = {}
        for step, linear in self.maps.items():
            assert isinstance(linear, nn.Linear)
            matrix = linear.weight / self.length
            found[step] = torch.column_stack((matrix, linear.bias - matrix @ self.centre)).numpy()
        return found


def log_probability(scores: Tensor, drawn: Tensor) -> Tensor:
    """That of drawing the candidates ``drawn`` (q k) one after the other, each from those left, by the softmax of
    ``scores`` (q n): (q,)."""
    total = scores.new_zeros(len(scores))
    left = scores
    for place in drawn.T:
        total = total + torch.log_softmax(left, dim=1).gather(1, place[:, None]).squeeze(1)
        left = left.scatter(1, place[:, None], float("-inf"))
    return total


def leave_one_out(rewards: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rewards (prompts, samples) minus the mean of the same prompt's other samples."""
    samples = rewards.shape[1]
    advantages: NDArray[np.float64] = (rewards - rewards.mean(axis=1, keepdims=True)) * samples / (samples - 1)
    return advantages


@dataclass
class Draws:
    """What was drawn for one step of a batch of prompts. ``drawn`` is (q k), ``owners`` (q,) the prompts' numbers."""

    step: str
    questions: Tensor
    pool: Tensor
    owners: Tensor
    drawn: Tensor


@dataclass
class SamplingSelector:
    """Draws examples as the policy in training says, and remembers what it drew."""

    network: PolicyNetwork
    embedder: Embedder
    temperature: float
    rng: np.random.Generator
    name: str = "sampled policy"
    draws: list[Draws] = field(default_factory=list)

    def choose(self, choice: Choice) -> list[list[int]]:
        """Like the trained policy's choice: the one with the highest score is shown last, whatever was drawn first."""
        if choice.step not in self.network.maps:
            return StructureSelector().choose(choice)
        if not choice.questions:
            return []
        questions, pool = (torch.from_numpy(self.embedder.embed(texts)) for texts in (choice.questions, choice.pool))
        with torch.no_grad():
            scores = (self.network.scores(choice.step, questions, pool) / self.temperature).numpy()
        # The Gumbel trick: the highest of noisy scores, in order, are draws without replacement.
        noisy = scores + self.rng.gumbel(size=scores.shape)
        drawn = np.argsort(-noisy, axis=1)[:, : choice.count]
        self.draws.append(
            Draws(choice.step, questions, pool, torch.tensor(choice.owners), torch.from_numpy(drawn.copy()))
        )
        return [
            [row[i] for i in best([float(value) for value in line[row]], len(row))]
            for line, row in zip(scores, drawn.tolist(), strict=True)
        ]


class Reinforcement:
    """One run: ``planner`` plans the prompts with examples that the policy draws, and the policy learns from it.

    ``reward`` and ``held_out_reward`` judge the plans of ``prompts`` and of ``held_out``. Everything random follows
    from ``seed`` and the number of the update, so a resumed run repeats an uninterrupted one.
    """

    def __init__(
        self,
        planner: DysenPlanner,
        embedder: Embedder,
        settings: Settings,
        *,
        prompts: Sequence[str],
        reward: Reward,
        held_out: Sequence[str],
        held_out_reward: Reward,
        ticks: int,
        seed: int,
        run: Path,
        log: Log,
    ) -> None:
        self.planner, self.embedder, self.settings = planner, embedder, settings
        self.prompts, self.reward = tuple(prompts), reward
        self.held_out, self.held_out_reward = tuple(held_out), held_out_reward
        self.ticks, self.seed, self.run, self.log = ticks, seed, run, log
        torch.manual_seed(seed)
        typical = torch.from_numpy(embedder.embed([example.prompt for example in planner.pool]))
        self.network = PolicyNetwork(settings.steps, typical, settings.width)
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=settings.lr)
        self.update, self.best = 0, -1.0

    @property
    def updates(self) -> int:
        """How many the run has in all."""
        return self.settings.epochs * self._per_epoch

    @property
    def _per_epoch(self) -> int:
        return -(-len(self.prompts) // self.settings.batch_size)

    def train(self, on_progress: Callable[[float, float], None]) -> None:
        """Run the updates that are left, validating, logging and saving on the way; ``on_progress`` is called with
        the updates done, in fractions, and the mean reward of the last one."""
        began = time.monotonic()
        if self.update == 0:
            self.validate()
        validated, reward = self.update, float("nan")
        while self.update < self.updates:
            if self.settings.minutes is not None and time.monotonic() - began > 60 * self.settings.minutes:
                break
            update = self.update
            reward = self.step(lambda done: on_progress(update + done, reward))  # noqa: B023 - called within the step
            on_progress(self.update, reward)
            if self.update % self.settings.validate_every == 0 or self.update == self.updates:
                self.validate()
                validated = self.update
            self.save()
        if validated != self.update:  # the time was up
            self.validate()
            self.save()

    def step(self, on_progress: Callable[[float], None]) -> float:
        """One update; returns the mean reward of its plans."""
        rng = np.random.default_rng((self.seed, self.update))
        numbers = [number for number in self._batch() for _ in range(self.settings.samples)]
        sampler = SamplingSelector(self.network, self.embedder, self.settings.temperature, rng)
        results = self._plan(sampler, [self.prompts[number] for number in numbers], on_progress)
        rewards = np.array([self.reward(number, result) for number, result in zip(numbers, results, strict=True)])
        advantages = leave_one_out(rewards.reshape(-1, self.settings.samples)).ravel()
        entropy = self._learn(sampler.draws, torch.from_numpy(advantages).float())
        self.update += 1
        self.log(
            self.update,
            "train",
            {
                "reward": float(rewards.mean()),
                "perfect": float((rewards > 1 - 1e-9).mean()),
                "plans": float(len(rewards)),
                "advantage": float(np.abs(advantages).mean()),
                "entropy": entropy,
            },
        )
        return float(rewards.mean())

    def _learn(self, draws: Sequence[Draws], advantages: Tensor) -> float:
        """Go over a batch of plans; returns the mean entropy in nats with which its examples were drawn."""
        drawn_with: Tensor | None = None
        entropies = []
        for _ in range(self.settings.passes):
            log_probabilities = torch.zeros(len(advantages))
            entropy = torch.zeros(())
            for one in draws:
                scores = self.network.scores(one.step, one.questions, one.pool) / self.settings.temperature
                log_probabilities = log_probabilities.index_add(0, one.owners, log_probability(scores, one.drawn))
                entropy = entropy + torch.distributions.Categorical(logits=scores).entropy().mean() / len(draws)
            if drawn_with is None:
                drawn_with = log_probabilities.detach()
            weights = (log_probabilities - drawn_with).exp()
            gains = torch.minimum(advantages * weights, advantages * weights.clamp(1 - CLIP, 1 + CLIP))
            loss = -gains.mean() - self.settings.entropy * entropy
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            entropies.append(entropy.item())
        return entropies[0]

    def validate(self) -> None:
        """Judge the policy's best choices on the held-out prompts; the best policy so far is written."""
        selector = PolicySelector(self.network.weights(), self.embedder)
        results = self._plan(selector, self.held_out)
        rewards = [self.held_out_reward(number, result) for number, result in enumerate(results)]
        reward = float(np.mean(rewards))
        self.log(self.update, "validation", {"reward": reward})
        if reward > self.best:
            self.best = reward
            save_policy(self.run / POLICY, self.network.weights())

    def _batch(self) -> list[int]:
        """The numbers of the update's prompts: every epoch shows all of them, in an order of its own."""
        epoch, place = divmod(self.update, self._per_epoch)
        order: list[int] = np.random.default_rng((self.seed, epoch, 1)).permutation(len(self.prompts)).tolist()
        size = self.settings.batch_size
        return order[place * size : (place + 1) * size]

    def _plan(
        self, selector: Selector, prompts: Sequence[str], on_progress: Callable[[float], None] | None = None
    ) -> list[PlanResult]:
        self.planner.selector = selector
        return self.planner.plan(
            prompts,
            ticks=self.ticks,
            seed=self.seed,
            on_progress=None if on_progress is None else lambda _, done: on_progress(done),
        )

    # -- checkpoints -----------------------------------------------------------------------------------------------

    def save(self) -> None:
        """Write all of the run's state, whole or not at all."""
        state = {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "update": self.update,
            "best": self.best,
        }
        fresh = self.run / f".{CHECKPOINT}"
        torch.save(state, fresh)
        fresh.replace(self.run / CHECKPOINT)

    def resume(self) -> bool:
        """Go on from the run folder's checkpoint, if there is one; raises :class:`UserError` where it is another
        policy's."""
        path = self.run / CHECKPOINT
        if not path.exists():
            return False
        try:
            state: Mapping[str, Any] = torch.load(path, weights_only=True)
            self.network.load_state_dict(state["network"])
            self.optimizer.load_state_dict(state["optimizer"])
        except (OSError, RuntimeError, ValueError, KeyError, UnpicklingError) as error:
            reason = str(error).splitlines()[0]
            raise UserError(f"{path}: not a checkpoint of this recipe ({reason}); choose another run folder") from None
        self.update, self.best = state["update"], state["best"]
        return True
