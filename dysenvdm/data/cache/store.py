"""Numbered items in safetensors shards with an index: written whole, found by content, read by memory map.

A *store* is a folder ``<root>/<kind>-<digest>``; the digest follows from everything that the items follow from, so
that other content is another folder and nothing is ever out of date. Item i is a few named tensors, or the reason why
there is none. A shard holds the items of a fixed range, whoever writes it; ``index.json`` is written last.

Everything read is checked: a shard's size and header against the index, each tensor against the CRC-32 in the header.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from dysenvdm.files import synchronised, written_whole
from planners.dsg import UserError

FORMAT = "dysenvdm.cache/1"
INDEX = "index.json"

Item = dict[str, Tensor]


@dataclass(frozen=True)
class Skipped:
    """An item that there is none of, and why."""

    reason: str


@dataclass(frozen=True)
class Store:
    """Where items of one kind are kept. ``key`` (plain JSON) is all that they follow from."""

    root: Path
    kind: str
    key: Mapping[str, Any]
    items: int
    per_shard: int
    item_bytes: int
    """About so many, for the room that is needed."""
    recipe: str = "RECIPE"
    """For people: what ``dysenvdm cache`` is given for this store to be made."""

    @property
    def mend(self) -> str:
        """What to do about damage."""
        return f"make it anew with: dysenvdm cache {self.recipe} --repair"

    @cached_property
    def digest(self) -> str:
        said = [FORMAT, self.kind, self.key, self.items, self.per_shard]
        return hashlib.sha256(json.dumps(said, sort_keys=True, ensure_ascii=False).encode()).hexdigest()

    @cached_property
    def folder(self) -> Path:
        return self.root / f"{self.kind}-{self.digest[:16]}"

    @property
    def shards(self) -> int:
        return -(-self.items // self.per_shard)

    def path(self, shard: int) -> Path:
        return self.folder / f"{shard:06d}.safetensors"

    def numbers(self, shard: int) -> range:
        """The items of a shard."""
        return range(shard * self.per_shard, min((shard + 1) * self.per_shard, self.items))

    @property
    def complete(self) -> bool:
        return (self.folder / INDEX).exists()


def crc32(tensor: Tensor) -> int:
    """Of the tensor's bytes."""
    return zlib.crc32(tensor.contiguous().view(-1).view(torch.uint8).numpy().data) if tensor.numel() else 0


def packed(text: str) -> Tensor:
    """Text as UTF-8 bytes."""
    return torch.frombuffer(bytearray(text.encode()), dtype=torch.uint8)


def unpacked(tensor: Tensor) -> str:
    """The text of :func:`packed`."""
    return tensor.numpy().tobytes().decode()


def write_shard(store: Store, shard: int, items: Sequence[Item | Skipped]) -> None:
    """Write a shard so that it is there completely or not at all; raises :class:`UserError` where there is no room."""
    tensors: dict[str, Tensor] = {}
    skipped: dict[int, str] = {}
    for number, item in zip(store.numbers(shard), items, strict=True):
        if isinstance(item, Skipped):
            skipped[number] = item.reason
        else:
            tensors |= {f"{number}.{name}": tensor.cpu().contiguous() for name, tensor in item.items()}
    crcs = {name: crc32(tensor) for name, tensor in tensors.items()}
    said = {"format": FORMAT, "store": store.digest, "shard": shard, "skipped": skipped, "crc32": crcs}
    path = store.path(shard)
    try:
        with written_whole(path) as temporary:
            # One key, since safetensors writes several in any order, and equal shards are to be equal files.
            save_file(tensors, temporary, metadata={"dysenvdm": json.dumps(said, ensure_ascii=False)})
            synchronised(temporary)
        synchronised(path.parent)
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(
            f"{path}: cannot be written ({reason}); make room and run the same command again, finished shards are kept"
        ) from None


@dataclass(frozen=True)
class Header:
    """What a shard says of itself."""

    bytes: int
    sha256: str
    skipped: dict[int, str]
    crc32: dict[str, int]


def read_header(store: Store, shard: int) -> Header:
    """A shard's header, held against its size; raises :class:`UserError` for one that is missing, cut or foreign."""
    path = store.path(shard)
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            raw = file.read(8)
            raw += file.read(min(size, int.from_bytes(raw, "little")))
        with safe_open(path, "pt") as opened:  # refuses a file that is shorter or longer than its header says
            said = json.loads((opened.metadata() or {})["dysenvdm"])
        if (said["format"], said["store"], said["shard"]) != (FORMAT, store.digest, shard):
            raise UserError(f"{path}: belongs to another cache; {store.mend}")
        skipped = {int(number): reason for number, reason in said["skipped"].items()}
        return Header(size, hashlib.sha256(raw).hexdigest(), skipped, said["crc32"])
    except FileNotFoundError:
        raise UserError(f"{path}: missing; {store.mend}") from None
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise UserError(f"{path}: damaged ({error}); {store.mend}") from None


def write_index(store: Store) -> None:
    """Close a store all of whose shards are there."""
    headers = [read_header(store, shard) for shard in range(store.shards)]
    index = {
        "format": FORMAT,
        "kind": store.kind,
        "key": store.key,
        "items": store.items,
        "per_shard": store.per_shard,
        "bytes": sum(header.bytes for header in headers),
        "skipped": {number: reason for header in headers for number, reason in header.skipped.items()},
        "shards": [
            {"file": store.path(i).name, "bytes": header.bytes, "header_sha256": header.sha256}
            for i, header in enumerate(headers)
        ],
    }
    path = store.folder / INDEX
    try:
        with written_whole(path) as temporary:
            temporary.write_text(json.dumps(index, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
            synchronised(temporary)
        synchronised(path.parent)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror}); make room and run the command again") from None


class Shard:
    """One shard, memory-mapped."""

    def __init__(self, store: Store, shard: int) -> None:
        self.path, self.header, self._mend = store.path(shard), read_header(store, shard), store.mend
        self._file = safe_open(self.path, "pt")
        self._names: dict[int, list[str]] = {}
        for name in self.header.crc32:
            self._names.setdefault(int(name.partition(".")[0]), []).append(name)

    @property
    def numbers(self) -> list[int]:
        """The items that it holds, skipped ones left out."""
        return list(self._names)

    def read(self, number: int, leaving: str = "") -> Item:
        """An item's tensors but the one named, each held against its checksum; raises :class:`UserError` for damage."""
        item = {}
        for name in self._names[number]:
            if name == f"{number}.{leaving}":
                continue
            tensor = self._file.get_tensor(name)
            if crc32(tensor) != self.header.crc32[name]:
                raise UserError(f"{self.path}: item {number} is damaged; {self._mend}")
            item[name.partition(".")[2]] = tensor
        return item


class Items(Sequence[Item]):
    """The items of a complete store, in any order and any process; skipped ones raise :class:`KeyError`.

    Raises :class:`UserError` naming a shard that is missing, cut or changed, when it is opened or the item is read.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        path = store.folder / INDEX
        try:
            index = json.loads(path.read_text(encoding="utf-8"))
            self.skipped = {int(number): str(reason) for number, reason in index["skipped"].items()}
            self.bytes = int(index["bytes"])
            self._shards = [(entry["bytes"], entry["header_sha256"]) for entry in index["shards"]]
            if index["format"] != FORMAT or len(self._shards) != store.shards:
                raise ValueError("not the index of this cache")
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(f"{path}: not a usable index ({error}); {store.mend}") from None
        for shard, (size, _) in enumerate(self._shards):
            there = store.path(shard)
            if not there.exists() or there.stat().st_size != size:
                raise UserError(f"{there}: missing or not of its {size} bytes; {store.mend}")
        self._opened: dict[int, Shard] = {}

    def __len__(self) -> int:
        return self.store.items

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_opened": {}}  # memory maps do not travel to other processes

    def __getitem__(self, number: int) -> Item:  # type: ignore[override]
        """Its tensors, views of the memory map: not to be written to."""
        return self.read(number)

    def read(self, number: int, leaving: str = "") -> Item:
        """The same without the tensor of one name."""
        if number in self.skipped:
            raise KeyError(number)
        if not 0 <= number < len(self):
            raise IndexError(number)
        return self.shard(number // self.store.per_shard).read(number, leaving)

    def shard(self, shard: int) -> Shard:
        """A shard, opened once in every process."""
        if shard not in self._opened:
            opened = Shard(self.store, shard)
            if opened.header.sha256 != self._shards[shard][1]:
                raise UserError(f"{self.store.path(shard)}: not as it was written; {self.store.mend}")
            self._opened[shard] = opened
        return self._opened[shard]

    def present(self) -> Iterator[int]:
        """The numbers of the items that are not skipped."""
        return (number for number in range(len(self)) if number not in self.skipped)
