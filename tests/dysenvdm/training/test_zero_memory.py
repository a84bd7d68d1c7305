"""What ZeRO keeps, on paper and in real engines."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.serving_server import free_port
from dysenvdm.training.cost import Cost
from dysenvdm.training.zero_memory import PLANS, Buckets, Parameters, Plan, States, largest_micro_batch, states

SMALL = Buckets(10)
PARAMETERS = Parameters(module=1000, trained=800, beside=100)


def kept(plan: Plan, buckets: Buckets = SMALL, ranks: int = 4, precision: str = "bf16") -> States:
    return states(PARAMETERS, plan, buckets, ranks=ranks, precision=precision)


def test_states_divide_as_zero_says() -> None:
    none = kept(Plan(0), precision="fp32")
    assert (none.weights, none.gradients, none.optimizer, none.average) == (4000, 3200, 6400, 800)
    one, two, three = (kept(Plan(stage)) for stage in (1, 2, 3))
    assert (one.weights, one.gradients, one.optimizer) == (2000, 1600, 2400)
    assert (two.weights, two.gradients, two.optimizer) == (2000, 400, 2400)
    assert (three.weights, three.gradients, three.optimizer) == (500, 400, 2400)
    moved = kept(Plan(3, True, True))
    assert (moved.weights, moved.optimizer, moved.host) == (0, 0, 500 + 2400 + 800)
    assert moved.total < three.total < two.total < one.total


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_stage_0_divides_nothing_and_the_others_what_the_optimizer_keeps(precision: str) -> None:
    for plan in PLANS:
        alone, shared = (kept(plan, ranks=ranks, precision=precision) for ranks in (1, 8))
        share = 1 if plan.stage == 0 else 8
        assert alone.optimizer == share * shared.optimizer
        assert alone.gradients == (8 if plan.stage >= 2 else 1) * shared.gradients
        assert alone.weights == (8 if plan.stage == 3 else 1) * shared.weights
        assert alone.average == 8 * shared.average, "the average is ours, and shared out whatever ZeRO does"
    assert kept(Plan(0), precision=precision).total > kept(Plan(1), precision=precision).total


def test_a_frozen_backbone_needs_states_of_its_adapter_only() -> None:
    whole, adapter = (states(Parameters(1000, n, 0), Plan(1), SMALL, ranks=1, precision="bf16") for n in (1000, 100))
    assert adapter.weights == whole.weights
    assert adapter.optimizer == whole.optimizer // 10


def test_nothing_fits_where_the_states_alone_are_too_large() -> None:
    large = states(Parameters(10**9, 10**9, 0), Plan(0), Buckets(), ranks=1, precision="bf16")
    assert largest_micro_batch(large, Cost(0, 1, 0), 10**9) == 0


# -- buckets ---------------------------------------------------------------------------------------------------------


def test_buckets_are_as_large_as_the_recipe_says() -> None:
    def buckets(stage: int, **zero: Any) -> int:
        return kept(Plan(stage), Buckets.of({"zero_optimization": {"stage": stage, **zero}})).buckets

    assert buckets(0, reduce_bucket_size=100) == 0
    for stage in (1, 2, 3):
        assert buckets(stage) == 2 * 500_000_000, "DeepSpeed's own, which is all there whatever is trained"
        assert buckets(stage, reduce_bucket_size=2e8) == 2 * 200_000_000
        assert buckets(stage, reduce_bucket_size=300) == 2 * 300
        assert buckets(stage, reduce_bucket_size=300, contiguous_gradients=False) == 2 * 300
        assert buckets(stage, contiguous_gradients=False) == 2 * PARAMETERS.trained
    assert [buckets(stage, reduce_bucket_size=300, overlap_comm=True) for stage in (1, 2, 3)] == [1200, 1200, 600]
    offloaded = kept(Plan(2, True), Buckets(300, contiguous=False))
    assert offloaded.buckets == 600, "with the optimizer on the host there is a buffer in any case"


# -- real engines ----------------------------------------------------------------------------------------------------

TRAINED = 2 * 64 * 64
"""Of two_ranks_memory.py's module."""
ZERO: list[dict[str, Any]] = [
    {"stage": 0},
    {"stage": 1},
    {"stage": 1, "overlap_comm": True},
    {"stage": 2},
    {"stage": 2, "overlap_comm": True},
    {"stage": 3, "stage3_param_persistence_threshold": 0},
]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_two_real_ranks_keep_what_is_said(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    content = {"name": "micro", "phase": "autoencoder", "run": str(tmp_path / "run"), "model": {"preset": "micro"}}
    recipe.write_text(yaml.safe_dump({**content, "train": {"steps": 1, "batch_size": 2, "lr": 1e-3}}))
    cases = [(precision, {**zero, "reduce_bucket_size": 20_000}) for precision, zero in product(("bf16", "fp32"), ZERO)]
    script = str(Path(__file__).with_name("two_ranks_memory.py"))
    shared = {**os.environ, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    ranks = [
        subprocess.Popen(
            [sys.executable, script, str(tmp_path), str(recipe), json.dumps(cases)],
            env={**shared, "OMP_NUM_THREADS": "1", "RANK": str(rank), "LOCAL_RANK": str(rank)},
        )
        for rank in range(2)
    ]
    assert [rank.wait(timeout=280) for rank in ranks] == [0, 0]
    for rank in range(2):
        for (precision, zero), told in zip(cases, json.loads((tmp_path / f"kept{rank}.json").read_text()), strict=True):
            settings = {"zero_optimization": zero}
            said = states(
                Parameters(TRAINED, TRAINED, 0), Plan.of(settings), Buckets.of(settings), ranks=2, precision=precision
            )
            assert told["optimizer"] == said.optimizer, (precision, zero)
            assert told["buckets"] == said.buckets, (precision, zero)
            if zero["stage"] == 0:
                assert told["fp32 gradients"] == (4 * TRAINED if precision == "bf16" else 0)
