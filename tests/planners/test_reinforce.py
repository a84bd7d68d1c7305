"""Reinforced in-context learning: draws and their probability, learning what helps, resuming, bad settings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from planners.contracts import PlanResult
from planners.demonstrations import demonstrations
from planners.dsg import UserError
from planners.dysen import CHOSEN, FIRST, DysenPlanner
from planners.reinforce import (
    CHECKPOINT,
    POLICY,
    PolicyNetwork,
    Reinforcement,
    SamplingSelector,
    Settings,
    leave_one_out,
    log_probability,
)
from planners.selection import Choice, PolicySelector, StructureSelector, load_policy

POOL = demonstrations()[:16]
PROMPTS = [example.prompt for example in POOL]
USEFUL = {0: PROMPTS[9], 1: PROMPTS[9], 2: PROMPTS[13], 3: PROMPTS[13]}
"""For each of the first four prompts, the candidate that makes its plan good."""


class Directions:
    """An embedder without a model: every text has a direction of its own, always the same."""

    def embed(self, texts: Sequence[str]) -> Any:
        rows = [np.random.default_rng(list(text.encode())).normal(size=32) for text in texts]
        return np.array([row / np.linalg.norm(row) for row in rows], np.float32).reshape(-1, 32)


def network() -> PolicyNetwork:
    torch.manual_seed(0)
    return PolicyNetwork(["split"], torch.from_numpy(Directions().embed(PROMPTS)), 8)


def useful_was_shown(number: int, result: PlanResult) -> float:
    [split] = [call for call in result.transcript if call.step == "split"]
    return float(any(message.content == USEFUL[number] for message in split.messages))


def training(oracle: Callable[..., Any], run: Path, log: Any = None, **settings: Any) -> Reinforcement:
    run.mkdir(exist_ok=True)
    small: dict[str, Any] = {"steps": ["split"], "width": 8, "batch_size": 2, "samples": 4, "lr": 0.01}
    return Reinforcement(
        DysenPlanner(oracle(), imagine=False, pool=POOL),
        Directions(),
        Settings.model_validate({**small, "epochs": 2, "validate_every": 100, **settings}),
        prompts=PROMPTS[:4],
        reward=useful_was_shown,
        held_out=PROMPTS[:4],
        held_out_reward=useful_was_shown,
        ticks=6,
        seed=0,
        run=run,
        log=log or (lambda *_: None),
    )


def test_the_probabilities_of_all_draws_sum_to_one() -> None:
    scores = torch.randn(1, 5, generator=torch.Generator().manual_seed(0))
    draws = torch.tensor(list(permutations(range(5), 3)))
    total = log_probability(scores.expand(len(draws), -1), draws).exp().sum()
    assert total == pytest.approx(1, abs=1e-5)
    p = torch.softmax(scores[0], 0)
    expected = p[2] * p[0] / (1 - p[2])
    assert log_probability(scores, torch.tensor([[2, 0]])).exp().item() == pytest.approx(expected.item(), abs=1e-5)


def test_draws_are_as_likely_as_the_policy_says() -> None:
    policy = network()
    choice = Choice("split", ("asked",) * 4000, tuple(range(4000)), tuple("abcde"), 2, 0)
    sampler = SamplingSelector(policy, Directions(), 0.05, np.random.default_rng(0))
    shown = sampler.choose(choice)
    [draws] = sampler.draws
    with torch.no_grad():
        [scores] = policy.scores("split", draws.questions[:1], draws.pool) / 0.05
    first = torch.bincount(draws.drawn[:, 0], minlength=5) / 4000
    torch.testing.assert_close(first, torch.softmax(scores, 0), atol=0.03, rtol=0)
    assert scores.max() - scores.min() > 0.5
    assert all(scores[row[0]] <= scores[row[1]] for row in shown)
    assert [sorted(row) for row in shown] == draws.drawn.sort(1).values.tolist()


def test_the_written_map_scores_plain_features_alike() -> None:
    policy, embedder = network(), Directions()
    questions, pool = (torch.from_numpy(embedder.embed(texts)) for texts in (["asked", "else"], PROMPTS))
    with torch.no_grad():
        scores = policy.scores("split", questions, pool).numpy()
    choice = Choice("split", ("asked", "else"), (0, 1), tuple(PROMPTS), len(PROMPTS), 0)
    chosen = PolicySelector(policy.weights(), embedder).choose(choice)
    assert chosen == np.argsort(scores, axis=1).tolist()


def test_steps_without_a_map_choose_by_structure() -> None:
    sampler = SamplingSelector(network(), Directions(), 1.0, np.random.default_rng(0))
    choice = Choice("order", ("A dog runs.",), (0,), tuple(PROMPTS), 3, 0)
    assert sampler.choose(choice) == StructureSelector().choose(choice)
    assert sampler.choose(Choice("split", (), (), tuple(PROMPTS), 3, 0)) == []
    assert sampler.draws == []


def test_the_baseline_is_the_mean_of_the_other_samples() -> None:
    found = leave_one_out(np.array([[1.0, 0.0, 0.5], [0.7, 0.7, 0.7]]))
    np.testing.assert_allclose(found, [[0.75, -0.75, 0.0], [0, 0, 0]], atol=1e-12)


def test_it_learns_which_example_helps_which_prompt(oracle: Callable[..., Any], tmp_path: Path) -> None:
    logged: list[tuple[int, str, dict[str, float]]] = []
    run = training(oracle, tmp_path, lambda *line: logged.append(line), epochs=40)
    seen: list[float] = []
    run.train(lambda done, reward: seen.append(done))
    validation = [values["reward"] for _, kind, values in logged if kind == "validation"]
    rewards = [values["reward"] for _, kind, values in logged if kind == "train"]
    assert validation[0] < 1.0
    assert validation[-1] == run.best == 1.0
    assert np.mean(rewards[:10]) < 0.5 < 0.9 < np.mean(rewards[-10:])
    assert seen == sorted(seen)
    assert seen[-1] == run.update == 80
    chosen_by = PolicySelector(load_policy(tmp_path / POLICY), Directions())
    candidates = tuple(PROMPTS[FIRST["split"] :])
    choice = Choice("split", tuple(PROMPTS[:4]), (0, 1, 2, 3), candidates, CHOSEN["split"], 0)
    shown = [[candidates[i] for i in row] for row in chosen_by.choose(choice)]
    assert all(USEFUL[number] in row for number, row in enumerate(shown))


def test_a_resumed_run_gives_the_identical_policy(oracle: Callable[..., Any], tmp_path: Path) -> None:
    whole = training(oracle, tmp_path / "whole", epochs=3)
    whole.train(lambda *_: None)
    for stop in (2, 5):  # killed within the third update, and again within the sixth

        def killed(done: float, reward: float, stop: int = stop) -> None:
            if done > stop:
                raise KeyboardInterrupt

        part = training(oracle, tmp_path / "parts", epochs=3)
        assert part.resume() == (stop > 2)
        with pytest.raises(KeyboardInterrupt):
            part.train(killed)
        assert part.update == stop
    rest = training(oracle, tmp_path / "parts", epochs=3)
    assert rest.resume()
    rest.train(lambda *_: None)
    assert rest.update == whole.update == 6
    for name, value in whole.network.state_dict().items():
        assert torch.equal(rest.network.state_dict()[name], value)
    files = [(tmp_path / run / POLICY / "policy.safetensors").read_bytes() for run in ("whole", "parts")]
    assert files[0] == files[1]


def test_a_run_ends_when_its_time_is_up_and_validates(oracle: Callable[..., Any], tmp_path: Path) -> None:
    logged: list[tuple[int, str]] = []
    run = training(oracle, tmp_path, lambda update, kind, _: logged.append((update, kind)), minutes=1e-9)
    run.train(lambda *_: None)
    assert logged == [(0, "validation")]
    assert (tmp_path / POLICY / "policy.safetensors").is_file()


def test_another_runs_checkpoint_is_refused(oracle: Callable[..., Any], tmp_path: Path) -> None:
    training(oracle, tmp_path).save()
    with pytest.raises(UserError, match=r"checkpoint\.pt: not a checkpoint of this recipe"):
        training(oracle, tmp_path, width=9).resume()
    (tmp_path / CHECKPOINT).write_bytes(b"no")
    with pytest.raises(UserError, match=r"checkpoint\.pt: not a checkpoint of this recipe"):
        training(oracle, tmp_path).resume()


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"steps": ["splitt"]}, "splitt: steps that choose"), ({"samples": 1}, "samples"), ({"temperature": 0}, "temp")],
)
def test_bad_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Settings.model_validate(settings)
