"""Patterns of events: how many there are, of how many actors, who acts at the same time as whom, and when.

Times are beats.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from random import Random

from dysenvdm.stage.actions import BEATS, FRAMES_PER_BEAT, SHORTEST_ACT
from planners.dsg import UserError

Pattern = tuple[tuple[int, ...], ...]
"""Which actors act together, group after group."""
Times = tuple[tuple[int, int], ...]
"""The beats ``[start, end)`` of every group."""

_SHARES = {1: 0.345, 2: 0.385, 3: 0.235, 4: 0.025, 5: 0.01}
_SHARES_OF_LONG = {1: 1, 2: 2, 3: 3, 4: 2, 5: 2}
_SHARES_OF_FILM = {1: 0.2, 2: 0.5, 3: 1, 4: 2, 5: 3}
"""Of numbers of events, in clips of 16 frames, in longer ones, and in those of ten seconds and more."""
_FILM = 40
"""Beats."""
_LONGEST, _LONGEST_IN_FILM = (6, 8, 8, 16), (6, 8, 12, 24)
"""Beats that a group lasts at most, one of these by chance."""
_ALONE = {1: 0.8, 2: 0.45, 3: 0.25}
_CROWDED = 0.12
"""Shares of clips with one actor and, among the others, of those with more than two."""
_ROOM, _PER = 3, 8
"""Groups that fit into so many beats."""
_COMFORT = 4
"""Beats of a group in a clip that is as long as its events need."""
_TIMINGS: dict[int, tuple[Sequence[Sequence[int]], Sequence[float]]] = {
    1: (((0, 8), (0, 4), (4, 8), (2, 6), (0, 5), (3, 8)), (5, 1, 1, 1, 1, 1)),
    2: (((0, 4, 8), (0, 3, 8), (0, 5, 8)), (3, 1, 1)),
    3: (((0, 3, 6, 8), (0, 3, 5, 8), (0, 2, 5, 8)), (1, 1, 1)),
}
_PATTERNS: dict[tuple[int, int], tuple[Sequence[Pattern], Sequence[float]]] = {
    (1, 1): ((((0,),),), (1,)),
    (1, 2): ((((0,),),), (1,)),
    (2, 1): ((((0,), (0,)),), (1,)),
    (2, 2): ((((0,), (1,)), ((0, 1),), ((0,), (0,))), (4, 5, 1)),
    (3, 1): ((((0,), (0,), (0,)),), (1,)),
    (3, 2): (
        (((0,), (0, 1)), ((0, 1), (0,)), ((0,), (1,), (0,)), ((0,), (0,), (1,)), ((0,), (0,), (0,))),
        (4, 3, 1.5, 1.5, 0.5),
    ),
}
"""For (events, actors): which actors act together, group after group. Others are made up."""


def most_groups(beats: int) -> int:
    """How many groups, one after the other, fit."""
    return beats * _ROOM // _PER


def most_events(beats: int, actors: int) -> int:
    """How many events of so many actors fit: on average two at a time at most."""
    return min(actors, 2) * most_groups(beats)


def sample_counts(rng: Random, events: Sequence[int], actors: Sequence[int], beats: int | None) -> tuple[int, int]:
    """Numbers of events and of actors out of those given that fit; raises UserError when none does."""
    fitting = {
        count: cast
        for count in events
        if (cast := [n for n in actors if n <= count + 1 and (beats is None or count <= most_events(beats, n))])
    }
    if not fitting:
        _explain(min(events), actors, beats)
    shares = _SHARES if beats == BEATS else _SHARES_OF_LONG if beats is None or beats < _FILM else _SHARES_OF_FILM
    count = rng.choices(list(fitting), [shares.get(count, 1) for count in fitting])[0]
    alone = _ALONE.get(count, 0.15)
    odds = {1: alone, 2: (1 - alone) * (1 - _CROWDED)}
    return count, rng.choices(fitting[count], [odds.get(n, (1 - alone) * _CROWDED) for n in fitting[count]])[0]


def _explain(events: int, actors: Sequence[int], beats: int | None) -> None:
    many = max(actors)
    if beats is None or min(actors) > events + 1:
        raise UserError(f"actors {min(actors)}: {events} events leave somebody out; choose {min(actors) - 1} or more")
    needed = BEATS
    while most_events(needed, many) < events:
        needed += 1
    fit = most_events(beats, many)
    raise UserError(
        f"events {events}: {beats * FRAMES_PER_BEAT} frames have {beats} beats, room for {fit} events of {many} "
        f"actor{'s' if many > 1 else ''}; choose {needed * FRAMES_PER_BEAT} frames or more"
    )


def sample_pattern(rng: Random, events: int, actors: int, beats: int | None) -> Pattern:
    """Who acts together, group after group; ``beats`` bounds the number of groups."""
    known = _PATTERNS.get((events, actors))
    if known is not None and (beats is None or beats >= BEATS):
        return rng.choices(*known)[0]
    most = events if beats is None else min(events, most_groups(beats))
    least = -(-events // actors)
    groups = rng.randint(least, most) if least < most else most
    sizes = [1] * groups
    for _ in range(events - groups):
        sizes[rng.choice([i for i, size in enumerate(sizes) if size < actors])] += 1
    return tuple(tuple(sorted(rng.sample(range(actors), size))) for size in sizes)


def beats_for(pattern: Pattern) -> int:
    """The length of a clip that is as long as its events need."""
    return max(BEATS, _COMFORT * len(pattern))


def sample_times(rng: Random, groups: int, beats: int) -> Times:
    """When each group happens; in long clips there are pauses before, between and after."""
    if beats == BEATS:
        cuts = rng.choices(*_TIMINGS[groups])[0]
        return tuple(pairwise(cuts))
    share = beats // groups
    longest = _LONGEST if beats < _FILM else _LONGEST_IN_FILM
    lasts = [max(SHORTEST_ACT, min(rng.randint(-(-share * 2 // 3), share), rng.choice(longest))) for _ in range(groups)]
    spare = beats - sum(lasts)
    cuts = sorted(rng.randint(0, spare) for _ in range(groups))
    if rng.random() < 0.5:  # one right after the other, one pause in the end or the beginning
        cuts = [rng.choice((0, 0, spare))] * groups
    starts = [cuts[i] + sum(lasts[:i]) for i in range(groups)]
    return tuple((start, start + length) for start, length in zip(starts, lasts, strict=True))
