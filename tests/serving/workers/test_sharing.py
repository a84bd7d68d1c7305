"""Who must make room for whom: the policy alone, and a simulated device that many jobs share."""

from __future__ import annotations

import random

import pytest

from serving.settings import Sharing
from serving.sharing import (
    Answer,
    DeviceTooSmall,
    Level,
    Party,
    Want,
    answer,
    asked,
    decide,
    levels,
    on_device,
)

GIB = 2**30


def party(name: str, level: Level, held: float = 0, idle: float = 0, **more: object) -> Party:
    return Party(name=name, level=level, held=int(held * GIB), idle=int(idle * GIB), **more)


def wanting(of: Party, need: float | None, since: float) -> Party:
    return of.model_copy(update={"want": Want(need=None if need is None else int(need * GIB), since=since)})


@pytest.mark.parametrize(
    ("budget", "level"),
    [(10, Level.WORKING), (9, Level.IDLE), (7, Level.ASLEEP), (5, Level.ASLEEP), (4, Level.GONE)],
)
def test_others_come_down_no_further_than_the_need_demands(budget: float, level: Level) -> None:
    planner = party("planner", Level.WORKING, 6, 4, asleep=GIB)
    assert levels(4 * GIB, [planner], budget=budget * GIB, sharing="auto") == {"planner": level}


def test_who_cannot_sleep_is_unloaded_instead() -> None:
    planner = party("planner", Level.IDLE, 4, 4)
    assert levels(4 * GIB, [planner], budget=7 * GIB, sharing="auto") == {"planner": Level.GONE}
    assert levels(4 * GIB, [planner], budget=9 * GIB, sharing="sleep") == {"planner": Level.GONE}


@pytest.mark.parametrize(
    ("sharing", "level"),
    [
        ("auto", Level.WORKING),
        ("coexist", Level.WORKING),
        ("turns", Level.IDLE),
        ("sleep", Level.ASLEEP),
        ("unload", Level.GONE),
    ],
)
def test_the_operator_may_choose(sharing: Sharing, level: Level) -> None:
    planner = party("planner", Level.WORKING, 1, 1, asleep=0)
    assert levels(GIB, [planner], budget=100 * GIB, sharing=sharing) == {"planner": level}


def test_what_was_never_measured_works_alone_but_who_holds_nothing_may_stay() -> None:
    others = [party("a", Level.IDLE, 1, 1), party("rules", Level.WORKING)]
    assert levels(None, others, budget=100 * GIB, sharing="auto") == {"a": Level.GONE, "rules": Level.WORKING}


def test_too_small_a_device_is_refused_with_the_numbers() -> None:
    with pytest.raises(DeviceTooSmall, match=r"needs 5\.00 GiB .* 4\.00 GiB"):
        levels(5 * GIB, [], budget=4 * GIB, sharing="auto")


def told(me: Party, *others: Party, budget: float = 8, now: float = 100, sharing: Sharing = "auto") -> Answer:
    return answer(me, others, budget=int(budget * GIB), sharing=sharing, now=now, patience=30)


def test_dear_switches_wait_for_patience_and_then_come() -> None:
    generator = wanting(party("generator", Level.IDLE, 5, 5), 6, 100)
    planner = wanting(party("planner", Level.GONE), 6, 75)
    assert told(generator, planner) == Answer(granted=True)
    assert told(generator, planner, now=105) == Answer(down=Level.GONE)


def test_cheap_turns_go_to_who_waits_longest() -> None:
    generator = wanting(party("generator", Level.IDLE, 2, 2), 5, 100)
    planner = wanting(party("planner", Level.IDLE, 2, 2), 5, 99)
    assert told(generator, planner) == Answer()
    assert told(planner, generator) == Answer(granted=True)


def test_two_that_hold_nothing_do_not_wait_for_each_other() -> None:
    first, second = (wanting(party(name, Level.GONE), None, since) for name, since in (("a", 1.0), ("b", 2.0)))
    assert told(first, second).granted
    assert not told(second, first).granted


def test_who_has_nothing_to_do_makes_room_at_once_and_only_then() -> None:
    idle = party("planner", Level.IDLE, 5, 5)
    waiting = wanting(party("generator", Level.GONE), 6, 100)
    assert asked(idle, [waiting], budget=8 * GIB, sharing="auto") == Level.GONE
    assert asked(idle, [waiting], budget=11 * GIB, sharing="auto") is None
    assert asked(idle, [party("generator", Level.GONE)], budget=8 * GIB, sharing="auto") is None
    assert asked(idle, [wanting(party("generator", Level.GONE), 9, 1)], budget=8 * GIB, sharing="auto") is None


@pytest.mark.parametrize(
    ("budget", "mode"),
    [(20, "coexist"), (11, "coexist"), (10, "in turns"), (9, "in turns"), (8, "sleep"), (6, "sleep")],
)
def test_the_decision_is_told_with_the_numbers(budget: int, mode: str) -> None:
    peaks = {"planner": (4 * GIB, 6 * GIB), "generator": (2 * GIB, 5 * GIB)}
    decision = decide(peaks, budget=budget * GIB, sharing="auto", can_sleep=True, device="GPU 0")
    assert decision.mode == mode
    assert all(number in decision.text for number in (f"{budget}.00 GiB", "6.00 GiB", "5.00 GiB", mode))
    if mode == "sleep":
        assert decide(peaks, budget=budget * GIB, sharing="auto", can_sleep=False, device="").mode == "unload"


def test_on_a_cpu_all_stay_loaded_and_one_works() -> None:
    peaks = {"planner": (4 * GIB, 6 * GIB), "generator": (2 * GIB, 5 * GIB)}
    assert (on_device("auto", "cpu"), on_device("auto", "cuda"), on_device("unload", "cpu")) == (
        "turns",
        "auto",
        "unload",
    )
    modes = [decide(peaks, budget=n * GIB, sharing="turns", can_sleep=False, device="CPU").mode for n in (20, 9, 8)]
    assert modes == ["in turns", "in turns", "unload"]


def test_the_decision_refuses_what_cannot_be() -> None:
    peaks = {"planner": (4 * GIB, 6 * GIB), "generator": (2 * GIB, 5 * GIB)}
    with pytest.raises(DeviceTooSmall, match=r"planner does not fit even alone"):
        decide(peaks, budget=5 * GIB, sharing="auto", can_sleep=True, device="GPU 0")
    with pytest.raises(DeviceTooSmall, match=r"together 11\.00 GiB"):
        decide(peaks, budget=10 * GIB, sharing="coexist", can_sleep=True, device="GPU 0")
    assert (
        decide({**peaks, "planner": None}, budget=8 * GIB, sharing="auto", can_sleep=True, device="").mode == "unload"
    )


class Simulated:
    """Workers that share a device, in simulated time: each claims what waits for it, works, rests, comes down."""

    def __init__(self, seed: int, names: tuple[str, ...], sharing: Sharing, budget: float, can_sleep: bool) -> None:
        self.random = random.Random(seed)
        self.budget, self.sharing = int(budget * GIB), sharing
        self.asleep = GIB // 2 if can_sleep else None
        self.parties = {name: Party(name=name) for name in names}
        self.jobs: dict[str, list[float]] = {name: [] for name in names}
        self.until: dict[str, float] = {}
        self.loads = dict.fromkeys(names, 0)
        self.waits: list[float] = []
        self.together = 0
        self.now = 0.0

    def step(self) -> None:
        self.now += 1
        for name in self.random.sample(sorted(self.parties), len(self.parties)):
            self._act(name)
        assert sum(each.held for each in self.parties.values()) <= self.budget
        self.together = max(self.together, sum(each.level == Level.WORKING for each in self.parties.values()))

    def _act(self, name: str) -> None:
        me = self.parties[name]
        others = [other for other in self.parties.values() if other is not me]
        if me.level == Level.WORKING:
            if self.now >= self.until[name]:
                self._set(name, level=Level.IDLE, held=me.idle)
            return
        if not self.jobs[name]:
            self._set(name, want=None)
            self._down(name, asked(self.parties[name], others, budget=self.budget, sharing=self.sharing))
            return
        need = 5 * GIB
        me = me.model_copy(update={"want": me.want or Want(need=need, since=self.now)})
        said = answer(me, others, budget=self.budget, sharing=self.sharing, now=self.now, patience=40)
        self.parties[name] = me
        if said.granted:
            self.loads[name] += me.level < Level.IDLE
            self._set(name, level=Level.WORKING, held=need, idle=3 * GIB, asleep=self.asleep, want=None)
            count = len(self.jobs[name]) if name == "planner" else 1
            self.waits += [self.now - asked_at for asked_at in self.jobs[name][:count]]
            del self.jobs[name][:count]
            self.until[name] = self.now + self.random.randint(2, 8)
        elif said.down is not None:
            self._set(name, want=None)
            self._down(name, said.down)

    def _down(self, name: str, level: Level | None) -> None:
        me = self.parties[name]
        if level is not None and level < Level.IDLE:
            reached, held = me.down_to(level)
            self._set(name, level=reached, held=held, idle=me.idle if reached else 0)

    def _set(self, name: str, **values: object) -> None:
        self.parties[name] = self.parties[name].model_copy(update=values)


@pytest.mark.parametrize("sharing", ["auto", "turns", "unload", "sleep"])
@pytest.mark.parametrize("budget", [5, 6, 8, 10, 13])
@pytest.mark.parametrize("names", [("planner", "generator"), ("planner", "generator 0", "generator 1")])
def test_never_beyond_the_budget_no_starvation_no_thrashing(
    sharing: Sharing, budget: float, names: tuple[str, ...]
) -> None:
    device = Simulated(int(budget), names, sharing, budget, can_sleep=sharing == "sleep")
    for _ in range(3000):
        for name, rate in zip(names, (0.2, 0.04, 0.04), strict=False):
            if device.random.random() < rate:
                device.jobs[name].append(device.now)
        device.step()
    last = device.now
    while any(device.jobs.values()):
        device.step()
        assert device.now < last + 3000, f"stuck: {device.parties}"
    assert max(device.waits) < 600  # each side's turn comes within some times the patience of 40
    if sharing in ("auto", "turns") and budget >= 5 * len(names):
        assert set(device.loads.values()) == {1}
        assert device.together == (1 if sharing == "turns" else len(names))
    else:
        assert sum(device.loads.values()) < 3000 / 10  # a switch for many jobs, not one for each
