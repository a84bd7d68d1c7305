"""Stores: whole shards or none, the same from any number of ranks, and nothing damaged is ever used."""

import json
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import torch

from dysenvdm.data.cache import filling
from dysenvdm.data.cache.filling import Ranks, fill, repair
from dysenvdm.data.cache.store import INDEX, Item, Items, Skipped, Store
from planners.dsg import UserError

ITEMS = 10


def store_in(root: Path, **key: object) -> Store:
    return Store(root, "numbers", {"corpus": "a", **key}, ITEMS, 3, 64)


def number_item(number: int) -> Item | Skipped:
    """Items of several shapes; number 4 cannot be had."""
    if number == 4:
        return Skipped("clip 4: cannot be decoded")
    return {"a": torch.full((number + 1, 2), number, dtype=torch.bfloat16), "b": torch.tensor([number])}


class Numbers:
    """Makes items and remembers which."""

    def __init__(self) -> None:
        self.made: list[int] = []

    def __call__(self, shards: Sequence[range]) -> Iterator[list[Item | Skipped]]:
        for shard in shards:
            self.made += shard
            yield [number_item(number) for number in shard]


def contents(store: Store) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in store.folder.iterdir() if not path.name.startswith(".")}


def check_items(items: Items) -> None:
    for number in (9, 0, 5, 3, 5):
        wanted = number_item(number)
        assert isinstance(wanted, dict)
        assert items[number].keys() == wanted.keys()
        assert all(torch.equal(items[number][name], wanted[name]) for name in wanted)
    assert items.skipped == {4: "clip 4: cannot be decoded"}
    assert list(items.present()) == [0, 1, 2, 3, 5, 6, 7, 8, 9]
    with pytest.raises(KeyError):
        items[4]
    with pytest.raises(IndexError):
        items[ITEMS]


def test_items_are_read_back_in_any_order_and_in_other_processes(tmp_path: Path) -> None:
    items = fill(store_in(tmp_path), Numbers(), Ranks())
    check_items(items)
    check_items(pickle.loads(pickle.dumps(items)))  # noqa: S301  # as a loader's process gets it


def test_what_is_there_is_not_made_again_and_another_key_is_another_store(tmp_path: Path) -> None:
    fill(store_in(tmp_path), Numbers(), Ranks())
    again, other = Numbers(), Numbers()
    fill(store_in(tmp_path), again, Ranks())
    fill(store_in(tmp_path, dtype="bf16"), other, Ranks())
    assert again.made == []
    assert other.made == list(range(ITEMS))


def filled_by_ranks(store: Store, world: int) -> list[Numbers]:
    """Ranks as threads of this process."""
    barrier, errors, makers = threading.Barrier(world), [None] * world, [Numbers() for _ in range(world)]

    def work(rank: int) -> None:
        def gather(error: str | None) -> str | None:
            errors[rank] = error  # type: ignore[call-overload]
            barrier.wait()
            first = next((said for said in errors if said), None)
            barrier.wait()
            return first

        fill(store, makers[rank], Ranks(rank, world, gather))

    threads = [threading.Thread(target=work, args=(rank,)) for rank in range(world)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return makers


@pytest.mark.parametrize("world", [2, 3, 7])
def test_any_number_of_ranks_makes_the_same_files(tmp_path: Path, world: int) -> None:
    one, many = store_in(tmp_path / "one"), store_in(tmp_path / "many")
    fill(one, Numbers(), Ranks())
    makers = filled_by_ranks(many, world)
    assert contents(one) == contents(many)
    assert sorted(number for maker in makers for number in maker.made) == list(range(ITEMS))
    assert sum(bool(maker.made) for maker in makers) == min(world, one.shards)


KILLED = """
import sys, time
from pathlib import Path
from test_store import Numbers, store_in
from dysenvdm.data.cache.filling import Ranks, fill
from dysenvdm.data.cache import store as module

save = module.save_file
def slowly(tensors, path, metadata):
    save(tensors, path, metadata=metadata)
    if len(list(Path(path).parent.glob("0*.safetensors"))) == 2:
        Path(sys.argv[1], "now").touch()
        time.sleep(60)  # the third shard is written and not yet in its place
module.save_file = slowly
fill(store_in(Path(sys.argv[1])), Numbers(), Ranks())
"""


def test_a_killed_run_goes_on_where_it_was(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)], env=environment)
    while not (tmp_path / "now").exists():
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    store, maker = store_in(tmp_path), Numbers()
    assert not store.complete
    assert list(store.folder.glob(".*.safetensors")), "a half-written shard is left"
    finished = {path: path.stat().st_mtime_ns for path in store.folder.glob("0*.safetensors")}
    check_items(fill(store, maker, Ranks()))
    assert maker.made == [6, 7, 8, 9]
    assert {path: path.stat().st_mtime_ns for path in finished} == finished
    assert not list(store.folder.glob(".*.safetensors"))
    whole = store_in(tmp_path / "uninterrupted")
    fill(whole, Numbers(), Ranks())
    assert contents(whole) == contents(store)


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def of_another_run(path: Path) -> None:
    """The header's last bracket but one, of the checksums, changed."""
    data = path.read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    said = json.loads(header["__metadata__"]["dysenvdm"])
    name = min(said["crc32"])
    said["crc32"][name] = 10 ** (len(str(said["crc32"][name])) - 1)
    header["__metadata__"]["dysenvdm"] = json.dumps(said)
    text = json.dumps(header, separators=(",", ":")).encode().ljust(int.from_bytes(data[:8], "little"))
    path.write_bytes(data[:8] + text + data[8 + len(text) :])


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (truncated, r"000001\.safetensors: missing or not of its"),
        (Path.unlink, r"000001\.safetensors: missing"),
        (flipped, r"000001\.safetensors: item 5 is damaged"),
        (of_another_run, r"000001\.safetensors: "),
    ],
)
def test_a_damaged_shard_is_named_and_made_anew_when_asked(tmp_path: Path, damage, words: str) -> None:
    store = store_in(tmp_path)
    fill(store, Numbers(), Ranks())
    before = contents(store)
    damage(store.path(1))
    with pytest.raises(UserError, match=words + ".*--repair"):
        check_items(fill(store, Numbers(), Ranks()))
    repaired = repair(store)
    assert len(repaired) == 1
    maker = Numbers()
    check_items(fill(store, maker, Ranks()))
    assert maker.made == [3, 4, 5]
    assert contents(store) == before


def test_a_shard_damaged_before_the_index_is_written_is_not_taken(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    fill(store, Numbers(), Ranks())
    (store.folder / INDEX).unlink()
    truncated(store.path(0))
    with pytest.raises(UserError, match=r"000000\.safetensors: damaged .*--repair"):
        fill(store, Numbers(), Ranks())


def test_a_whole_cache_has_nothing_to_repair(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    assert repair(store) == []
    fill(store, Numbers(), Ranks())
    assert repair(store) == []
    assert store.complete


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"format": "other"}'])
def test_a_broken_index_is_named_and_written_anew_from_the_shards(tmp_path: Path, text: str) -> None:
    store = store_in(tmp_path)
    fill(store, Numbers(), Ranks())
    (store.folder / INDEX).write_text(text)
    with pytest.raises(UserError, match=r"index\.json: not a usable index.*--repair"):
        fill(store, Numbers(), Ranks())
    assert repair(store) == [str(store.folder / INDEX)]
    maker = Numbers()
    check_items(fill(store, maker, Ranks()))
    assert maker.made == []


def test_room_is_looked_for_before_anything_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage:
        free = ITEMS * 64 - 1

    maker = Numbers()
    with monkeypatch.context() as patch:
        patch.setattr(filling.shutil, "disk_usage", lambda _: Usage)
        with pytest.raises(UserError, match=r"numbers need about 640 B, 639 B are free; make room"):
            fill(store_in(tmp_path), maker, Ranks())
    assert maker.made == []
    check_items(fill(store_in(tmp_path), maker, Ranks()))


def test_a_disk_that_fills_up_is_one_line_and_breaks_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dysenvdm.data.cache import store as module

    synchronise, store = module.synchronised, store_in(tmp_path)

    def full(path: Path) -> None:
        if store.path(0).exists():
            raise OSError(28, "No space left on device")
        synchronise(path)

    with monkeypatch.context() as patch:
        patch.setattr(module, "synchronised", full)
        with pytest.raises(UserError, match=r"cannot be written \(No space left on device\); make room"):
            fill(store, Numbers(), Ranks())
    check_items(fill(store, Numbers(), Ranks()))
    assert not list(store.folder.glob(".*.safetensors"))


def test_two_runs_do_not_write_the_same_store(tmp_path: Path) -> None:
    store, refused = store_in(tmp_path), []

    def make(shards: Sequence[range]) -> Iterator[list[Item | Skipped]]:
        with pytest.raises(UserError, match="another process is writing it"):
            fill(store, Numbers(), Ranks())
        refused.append(True)
        yield from Numbers()(shards)

    check_items(fill(store, make, Ranks()))
    assert refused
