"""The corpus' splits: which seeds each has, and what is in no other.

A clip's number in the whole corpus is its seed, below 2**32; every split has a run of seeds of its own. ``train``,
``val`` and ``test`` are drawn alike. Three held-out tests share no composition with them: ``new-pairs`` (in every clip
somebody does what no actor of that kind ever does elsewhere), ``more-events`` and ``more-actors``.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass

from dysenvdm.stage.actions import ACTIONS
from planners.dsg import UserError

VAL_SEED0 = 2**31
"""Seeds below are for training, seeds from here on (below 2**32) are held out."""
_RUN = 2**28


@dataclass(frozen=True)
class Split:
    """The seeds of a split, its numbers of events and actors, and whether each clip has a pair kept for new-pairs."""

    name: str
    seeds: range
    events: range
    actors: range
    new_pair: bool = False


def _held_out(place: int) -> range:
    return range(VAL_SEED0 + place * _RUN, VAL_SEED0 + (place + 1) * _RUN)


SPLITS: dict[str, Split] = {
    split.name: split
    for split in (
        Split("train", range(VAL_SEED0), range(1, 6), range(1, 4)),
        Split("val", _held_out(0), range(1, 6), range(1, 4)),
        Split("test", _held_out(1), range(1, 6), range(1, 4)),
        Split("new-pairs", _held_out(2), range(1, 6), range(1, 4), new_pair=True),
        Split("more-events", _held_out(3), range(6, 9), range(1, 4)),
        Split("more-actors", _held_out(4), range(3, 6), range(4, 5)),
    )
}

NEW_PAIRS: frozenset[tuple[str, str]] = frozenset(
    (kind, action.lemma)
    for action in ACTIONS.values()
    if len(action.agents) >= 4
    for kind in action.agents
    if zlib.crc32(f"{kind} {action.lemma}".encode()) % 8 == 0
)
"""(kind of actor, lemma) that only ``new-pairs`` has: about an eighth, chosen by a checksum of the words themselves, so
that a new kind or action moves no other pair from one side to the other."""


def split_of(seed: int) -> Split | None:
    """The split that has this seed; None for the seeds that no split uses."""
    return next((split for split in SPLITS.values() if seed in split.seeds), None)


def wanted_counts(
    split: Split, events: Iterable[int] | None, actors: Iterable[int] | None
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The numbers of events and of actors to choose from; raises UserError for one that the split does not have."""
    found = []
    for name, asked, known in (("events", events, split.events), ("actors", actors, split.actors)):
        counts = tuple(known) if asked is None else tuple(asked)
        wrong = next((count for count in counts if count not in known), None)
        if wrong is not None or not counts:
            others = [other.name for other in SPLITS.values() if wrong in getattr(other, name)]
            hint = f"; split {others[0]} has more" if others and wrong is not None else ""
            said = "none" if wrong is None else wrong
            raise UserError(f"{name} {said}: split {split.name} has {known[0]} to {known[-1]}{hint}")
        found.append(counts)
    return found[0], found[1]
