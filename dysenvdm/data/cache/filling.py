"""Filling a store: every rank makes its own shards, any number of ranks makes the same, and what is done is kept."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

from dysenvdm.data.cache.store import INDEX, Item, Items, Shard, Skipped, Store, read_header, write_index, write_shard
from planners.dsg import UserError

Make = Callable[[Sequence[range]], Iterator[Sequence[Item | Skipped]]]
"""Ranges of item numbers, one per shard -> their items, shard by shard in the same order."""
Progress = Callable[[str, int, int], None]
"""(kind, items made, items to make) of this rank."""


def _alone(error: str | None) -> str | None:
    return error


@dataclass(frozen=True)
class Ranks:
    """The processes that fill a store together.

    ``gather`` returns when every rank has called it, with the first error that one of them brings.
    """

    rank: int = 0
    world: int = 1
    gather: Callable[[str | None], str | None] = _alone

    @property
    def first(self) -> bool:
        return self.rank == 0

    @contextmanager
    def together(self) -> Iterator[None]:
        """Left by all ranks at once; where one of them raises :class:`UserError`, all do."""
        error = None
        try:
            yield
        except UserError as raised:
            error = str(raised)
        common = self.gather(error)
        if common is not None:
            raise UserError(common)


def fill(store: Store, make: Make, ranks: Ranks, on_progress: Progress | None = None) -> Items:
    """The store's items; those of shards that are not there yet are made first.

    Raises :class:`UserError` where there is no room, another process is at it, or a shard that is there is damaged.
    """
    with ranks.together():
        complete = store.complete
    if complete:
        return Items(store)
    lock: IO[str] | None = None
    try:
        with ranks.together():
            if ranks.first:
                lock = _claim(store)
        with ranks.together():
            missing = [shard for shard in range(store.shards) if not _there(store, shard)]
            if ranks.first:
                _check_room(store, missing)
        with ranks.together():
            mine = [shard for shard in missing if shard % ranks.world == ranks.rank]
            _make(store, mine, make, on_progress)
        with ranks.together():
            if ranks.first:
                write_index(store)
    finally:
        if lock is not None:
            lock.close()
    return Items(store)


def _make(store: Store, shards: Sequence[int], make: Make, on_progress: Progress | None) -> None:
    if not shards:
        return
    done, total = 0, sum(len(store.numbers(shard)) for shard in shards)
    if on_progress:
        on_progress(store.kind, done, total)
    made = make([store.numbers(shard) for shard in shards])
    for shard, items in zip(shards, made, strict=True):
        write_shard(store, shard, items)
        done += len(items)
        if on_progress:
            on_progress(store.kind, done, total)


def _claim(store: Store) -> IO[str]:
    """A lock: while it is open no other run writes to the store. What a killed one left half written is gone.

    The lock is the operating system's: it ends with the process that holds it, however that ends.
    """
    try:
        store.folder.mkdir(parents=True, exist_ok=True)
        lock = (store.folder / ".lock").open("w")
    except OSError as error:
        raise UserError(
            f"{store.folder}: cannot be written to ({error.strerror}); set data.caching.folder to another"
        ) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise UserError(f"{store.folder}: another process is writing it; wait for that one to end") from None
    for left in store.folder.glob(".*.safetensors"):
        left.unlink()
    return lock


def _there(store: Store, shard: int) -> bool:
    """Whether a shard is finished; raises :class:`UserError` where one is that cannot be read."""
    if not store.path(shard).exists():
        return False
    read_header(store, shard)
    return True


def _check_room(store: Store, missing: Sequence[int]) -> None:
    needed = sum(len(store.numbers(shard)) for shard in missing) * store.item_bytes
    free = shutil.disk_usage(store.folder).free
    if needed > free:
        raise UserError(
            f"{store.folder}: {store.kind} need about {size_of(needed)}, {size_of(free)} are free; "
            f"make room, or set data.caching.folder to another disk"
        )


def size_of(count: int) -> str:
    """Bytes as people read them."""
    value, units = float(count), ["B", "KiB", "MiB", "GiB"]
    while value >= 1024 and len(units) > 1:
        value /= 1024
        units.pop(0)
    return f"{value:.0f} B" if units[0] == "B" else f"{value:.1f} {units[0]}"


def repair(store: Store) -> list[str]:
    """Read all that is there, delete damaged shards, and the index where anything of it is not right; name them."""
    bad = []
    for shard in range(store.shards):
        path = store.path(shard)
        if path.exists():
            try:
                opened = Shard(store, shard)
                for number in opened.numbers:
                    opened.read(number)
            except UserError:
                path.unlink()
                bad.append(str(path))
    index = store.folder / INDEX
    if index.exists():
        try:
            items = Items(store)
            for shard in range(store.shards):
                items.shard(shard)
        except UserError:
            index.unlink()
            bad = bad or [str(index)]
    return bad
