"""What the Ray deployment decides by itself: how many generators, and what it refuses. A cluster: tests/slow."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from planners.dsg import UserError
from serving import ray_app
from serving.jobs import NewJob, Stage
from serving.settings import Settings
from serving.store import SqlStore, open_store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqlStore]:
    opened = open_store(Settings(folder=tmp_path))
    assert isinstance(opened, SqlStore)
    yield opened
    opened.close()


def add(store: SqlStore, count: int, stage: Stage = Stage.GENERATE) -> None:
    for number in range(count):
        store.add(NewJob(kind="video", stage=stage, owner="ann", request={"prompt": str(number)}, batch_key="alike"))


def test_a_generator_for_each_batch_that_waits_and_each_that_works(store: SqlStore) -> None:
    assert ray_app.wanted(store, max_batch=4) == 0
    add(store, 9)
    assert ray_app.wanted(store, max_batch=4) == 3
    store.claim(Stage.GENERATE, "one", lease=60, limit=4)
    assert ray_app.wanted(store, max_batch=4) == 3  # two batches wait, one is made
    store.claim(Stage.GENERATE, "two", lease=60, limit=4)
    store.claim(Stage.GENERATE, "three", lease=60, limit=4)
    assert ray_app.wanted(store, max_batch=4) == 3


def test_what_is_being_planned_needs_no_generator_yet(store: SqlStore) -> None:
    add(store, 3, Stage.PLAN)
    store.claim(Stage.PLAN, "planner", lease=60)
    assert ray_app.wanted(store, max_batch=1) == 0


def context(told: dict[str, float] | None, now: int = 2, least: int = 1, most: int = 4) -> Any:
    metrics = {} if told is None else {"wanted": told}
    return SimpleNamespace(
        aggregated_metrics=metrics,
        target_num_replicas=now,
        capacity_adjusted_min_replicas=least,
        capacity_adjusted_max_replicas=most,
    )


@pytest.mark.parametrize(
    ("told", "replicas"), [({"a": 0.0}, 1), ({"a": 1.2, "b": 2.6}, 3), ({"a": 40.0}, 4), ({}, 2), (None, 2)]
)
def test_the_policy_keeps_to_what_was_told_and_to_its_bounds(told: dict[str, float] | None, replicas: int) -> None:
    assert ray_app.generators(context(told))[0] == replicas


def test_what_several_machines_cannot_share_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    postgres = Settings(folder=tmp_path, database="postgresql://ann:secret@db/jobs")
    monkeypatch.setattr(ray_app, "find_spec", lambda name: object())
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    ray_app.check_ray(postgres)
    for database in (None, f"sqlite:///{tmp_path}/jobs"):
        with pytest.raises(UserError, match="--database postgresql"):
            ray_app.check_ray(postgres.model_copy(update={"database": database}))
    monkeypatch.delenv("RAY_AUTH_MODE")
    with pytest.raises(UserError, match="RAY_AUTH_MODE=token"):
        ray_app.check_ray(postgres)
    monkeypatch.setattr(ray_app, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"dysenvdm\[ray\]"):
        ray_app.check_ray(postgres)
