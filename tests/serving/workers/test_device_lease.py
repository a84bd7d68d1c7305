"""The lease itself: several processes on one device, and what is left when one is killed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from serving.device_lease import DeviceLease
from serving.sharing import DeviceTooSmall, Level

GIB = 2**30
HOLD = """
import sys, time
from pathlib import Path
from serving.device_lease import DeviceLease
lease = DeviceLease(Path(sys.argv[1]), "planner", budget=8 * 2**30, sharing="auto")
assert lease.request(6 * 2**30).granted
print("held", flush=True)
time.sleep(600)
"""


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def lease(folder: Path, name: str, clock: Clock, budget: int = 8 * GIB) -> DeviceLease:
    return DeviceLease(folder, name, budget=budget, sharing="auto", patience=30, clock=clock)


def test_two_that_fit_work_at_once_and_two_that_do_not_in_turns(tmp_path: Path, clock: Clock) -> None:
    planner, generator = (lease(tmp_path, name, clock) for name in ("planner", "generator"))
    assert planner.request(4 * GIB).granted
    assert generator.request(4 * GIB).granted
    generator.rest(3 * GIB)
    assert not generator.request(5 * GIB, idle=3 * GIB).granted
    planner.rest(3 * GIB)
    assert generator.request(5 * GIB, idle=3 * GIB).granted
    assert not planner.request(4 * GIB, idle=3 * GIB).granted
    generator.rest(3 * GIB)
    assert planner.request(4 * GIB, idle=3 * GIB).granted


def test_the_switch_planner_to_generator_and_back(tmp_path: Path, clock: Clock) -> None:
    planner, generator = (lease(tmp_path, name, clock) for name in ("planner", "generator"))
    assert planner.request(6 * GIB).granted
    planner.rest(5 * GIB)
    assert not generator.request(6 * GIB).granted
    assert planner.request(6 * GIB, idle=5 * GIB).granted  # it has work, and the other has not waited long
    planner.rest(5 * GIB)
    assert planner.asked() == Level.GONE  # it has none
    clock.now += 31
    assert planner.request(6 * GIB, idle=5 * GIB).down == Level.GONE  # it has work, but the other has waited long
    planner.withdraw()
    planner.gone()
    assert generator.request(6 * GIB).granted


def test_a_killed_holder_is_in_nobodys_way(tmp_path: Path, clock: Clock) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    generator = lease(tmp_path, "generator", clock)
    assert not generator.request(6 * GIB).granted
    holder.kill()
    holder.wait()
    holder.stdout.close()
    assert generator.request(6 * GIB).granted
    assert sorted(file.name for file in tmp_path.glob("*.json")) == ["generator.json"]


def test_who_asks_for_more_does_not_keep_what_it_has(tmp_path: Path, clock: Clock) -> None:
    """Two that work, and both need more for what they claimed, would wait for each other for ever."""
    planner, generator = (lease(tmp_path, name, clock) for name in ("planner", "generator"))
    assert planner.request(4 * GIB).granted
    assert generator.request(4 * GIB).granted
    assert not planner.request(6 * GIB).granted
    clock.now += 1
    assert not generator.request(6 * GIB).granted
    assert planner.request(6 * GIB).granted


def test_who_asks_again_is_seen_with_what_it_has_loaded_meanwhile(tmp_path: Path, clock: Clock) -> None:
    planner, generator = (lease(tmp_path, name, clock) for name in ("planner", "generator"))
    assert planner.request(6 * GIB).granted
    assert not generator.request(6 * GIB).granted
    assert planner.request(7 * GIB, idle=5 * GIB).granted  # a second batch, nobody having waited long
    clock.now += 31
    assert planner.request(7 * GIB, idle=5 * GIB).down == Level.GONE
    assert not generator.request(6 * GIB).granted  # for the planner has not come down yet


def test_a_refusal_leaves_nothing_behind(tmp_path: Path, clock: Clock) -> None:
    planner, generator = (lease(tmp_path, name, clock) for name in ("planner", "generator"))
    with pytest.raises(DeviceTooSmall, match=r"9\.00 GiB of the device's memory, which is 8\.00 GiB"):
        planner.request(9 * GIB)
    assert generator.request(8 * GIB).granted


def test_one_name_is_one_party(tmp_path: Path, clock: Clock) -> None:
    first = lease(tmp_path, "planner", clock)
    with pytest.raises(BlockingIOError):
        lease(tmp_path, "planner", clock)
    first.close()
    lease(tmp_path, "planner", clock).close()
    assert [file.name for file in tmp_path.iterdir()] == ["mutex"]
