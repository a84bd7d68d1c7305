"""How the models of several processes share one device: pure functions of what each holds, and what it needs.

A *party* is a worker process. It holds nothing, or its model asleep (weights in main memory), loaded, or at work. Who
wants to work states how many bytes it needs at most; the others must come down as far as that needs, no further:

* nothing to do, where all of it fits (*coexist*: both may even work at the same time; not on a CPU, whose cores each
  of them uses all: two at once take longer there than one after the other),
* finish the present batch, where both fit while only one of them works,
* sleep, where that makes room (GPUs only),
* unload: the process ends, and gives everything back.

A party whose need was never measured works alone, so that it can be. Who waits longest goes first; but to come down is
dear, so a party with work left does it only for one that has waited for ``patience`` seconds. That bounds the wait of
both sides, and how often a queue of prompts makes the device change hands. All amounts are bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict

from planners.dsg import UserError
from serving.settings import Sharing


class Level(IntEnum):
    """How much of its model a party holds on the device."""

    GONE = 0
    ASLEEP = 1
    IDLE = 2
    WORKING = 3


def on_device(sharing: Sharing, kind: str) -> Sharing:
    """What ``auto`` means on this kind of device."""
    return "turns" if sharing == "auto" and kind == "cpu" else sharing


class DeviceTooSmall(UserError):  # noqa: N818
    """What is needed is more than the device, or its budget, has, even for one alone."""


class Want(BaseModel):
    """What a party waits for: ``need`` bytes (None: never measured), since when (seconds since the epoch)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    need: int | None
    since: float


class Party(BaseModel):
    """``held``: what it may be using now; ``idle``: what it holds when it does not work; ``asleep``: what stays when it
    sleeps, None where it cannot."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    level: Level = Level.GONE
    held: int = 0
    idle: int = 0
    asleep: int | None = None
    want: Want | None = None

    def down_to(self, level: Level) -> tuple[Level, int]:
        """Where it is, and what it holds, once it went no further down than to ``level``."""
        if level >= self.level or not (self.held or self.idle):  # who holds nothing is in nobody's way
            return self.level, self.held
        if level == Level.IDLE:
            return level, self.idle
        if level == Level.ASLEEP and self.asleep is not None:
            return level, self.asleep
        return Level.GONE, 0


_ALLOWED: Mapping[Sharing, Sequence[Level]] = {
    "auto": (Level.WORKING, Level.IDLE, Level.ASLEEP),
    "turns": (Level.IDLE, Level.ASLEEP),
    "sleep": (Level.ASLEEP,),
}
"""How far the others come down at first, further where that is not enough, and in the end all the way."""


def levels(need: int | None, others: Sequence[Party], *, budget: int, sharing: Sharing) -> dict[str, Level]:
    """How far each of the others must come down for one of them to work that needs ``need``.

    Raises :class:`DeviceTooSmall` where it does not fit alone.
    """
    if need is not None and need > budget:
        raise DeviceTooSmall(f"needs {said(need)} of the device's memory, which is {said(budget)}")
    if sharing == "coexist" or need == 0:
        return {party.name: party.level for party in others}
    if need is None or sharing == "unload":
        return {party.name: party.down_to(Level.GONE)[0] for party in others}
    for level in _ALLOWED[sharing]:
        lowered = {party.name: party.down_to(level) for party in others}
        if need + sum(held for _, held in lowered.values()) <= budget:
            return {name: reached for name, (reached, _) in lowered.items()}
    return {party.name: party.down_to(Level.GONE)[0] for party in others}


class Answer(BaseModel):
    """``granted``: it may work. Else it waits, unless it must itself come ``down`` for one that waits longer."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    granted: bool = False
    down: Level | None = None


def answer(me: Party, others: Sequence[Party], *, budget: int, sharing: Sharing, now: float, patience: float) -> Answer:
    """Whether a party that wants to work (``me.want``) may. Raises :class:`DeviceTooSmall`."""
    assert me.want is not None
    need = budget if me.want.need is None else me.want.need
    at_work = me.model_copy(update={"level": Level.WORKING, "held": need})
    seen: list[Party] = []
    for other in others:
        if other.want is None or (other.want.since, other.name) > (me.want.since, me.name):
            seen.append(other)
            continue
        level = _asked_by(other, at_work, others, budget=budget, sharing=sharing)
        if level < min(me.level, Level.IDLE):
            if now - other.want.since >= patience:
                return Answer(down=level)
            seen.append(other)
        elif level < Level.WORKING:  # it goes first: as if it worked already
            most = budget if other.want.need is None else other.want.need
            seen.append(other.model_copy(update={"level": Level.WORKING, "held": most, "idle": most}))
        else:
            seen.append(other)
    allowed = levels(me.want.need, seen, budget=budget, sharing=sharing)
    return Answer(granted=all(party.level <= allowed[party.name] for party in seen))


def asked(me: Party, others: Sequence[Party], *, budget: int, sharing: Sharing) -> Level | None:
    """How far a party that has nothing to do must come down for those that wait, None where it may stay."""
    wanted = [_asked_by(other, me, others, budget=budget, sharing=sharing) for other in others if other.want]
    lowest = min(wanted, default=me.level)
    return lowest if lowest < me.level else None


def _asked_by(other: Party, me: Party, others: Sequence[Party], *, budget: int, sharing: Sharing) -> Level:
    """How far I must come down for another one that waits."""
    assert other.want is not None
    rest = [me, *(party for party in others if party.name != other.name)]
    try:
        return levels(other.want.need, rest, budget=budget, sharing=sharing)[me.name]
    except DeviceTooSmall:
        return Level.WORKING  # it will be told so itself


Mode = Literal["coexist", "in turns", "sleep", "unload", "alone"]


class Decision(BaseModel):
    """What all parties' peaks mean for sharing, and the words for it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mode: Mode
    text: str


def decide(
    peaks: Mapping[str, tuple[int, int] | None], *, budget: int, sharing: Sharing, can_sleep: bool, device: str
) -> Decision:
    """What to expect of parties that were measured: name -> (bytes when idle, at most), None where not yet.

    Raises :class:`DeviceTooSmall`, with the numbers, where one alone does not fit, or where ``coexist`` is asked for
    and they do not fit together.
    """
    listed = ", ".join(f"{name} {said(peak[1]) if peak else 'not measured yet'}" for name, peak in peaks.items())
    numbers = f"{device}, {said(budget)}: {listed}"
    known = {name: peak for name, peak in peaks.items() if peak is not None}
    for name, (_, most) in known.items():
        if most > budget:
            raise DeviceTooSmall(f"{numbers}; {name} does not fit even alone: give it more, or take a smaller model")
    total = sum(most for _, most in known.values())
    if sharing == "coexist" and total > budget:
        raise DeviceTooSmall(f"{numbers}; together {said(total)}: they cannot coexist; use --sharing auto")
    mode: Mode
    if len(peaks) == 1:
        mode, words = "alone", "shares with nobody"
    elif len(known) < len(peaks):
        mode, words = "unload", "one at a time until all are measured by their first job"
        if sharing == "coexist":
            mode, words = "coexist", "all stay loaded, as asked for"
    elif sharing == "coexist" or (sharing == "auto" and total <= budget):
        mode, words = "coexist", "all stay loaded"
    elif sharing in ("auto", "turns") and _in_turns(known, budget):
        mode, words = "in turns", "all stay loaded, and work in turns"
    elif sharing != "unload" and can_sleep:
        mode, words = "sleep", "one sleeps while another works"
    else:
        mode, words = "unload", "one is unloaded before another is loaded"
    return Decision(mode=mode, text=f"{numbers}; {words} ({mode})")


def _in_turns(known: Mapping[str, tuple[int, int]], budget: int) -> bool:
    idle = sum(rest for rest, _ in known.values())
    return all(idle - rest + most <= budget for rest, most in known.values())


def said(amount: int) -> str:
    """Bytes for people."""
    return f"{amount / 2**30:.2f} GiB" if amount >= 2**30 else f"{amount / 2**20:.0f} MiB"
