"""Splitting a bundle's files into volumes of a chosen size, for media."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from dysenvdm.airgap.manifest import BundleFile, Part, Volumes
from planners.dsg import UserError

FOLDER = "volumes"
_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30}


def parse_size(text: str) -> int:
    """Bytes of a size such as 4G, 700M or 123456; raises :class:`UserError`."""
    match = re.fullmatch(r"([1-9][0-9]{0,14})([KMG]?)", text.strip().upper().removesuffix("IB").removesuffix("B"))
    if not match:
        raise UserError(f"size {text!r}: give a number of bytes, or one with K, M or G, such as 4G")
    return int(match[1]) * _UNITS[match[2]]


def split(root: Path, files: Iterable[BundleFile], size: int) -> Volumes:
    """Write the bytes of ``files`` (below ``root``), one after the other, as parts of at most ``size`` bytes each."""
    folder = root / FOLDER
    folder.mkdir(exist_ok=True)
    for stale in folder.iterdir():
        stale.unlink()
    parts: list[Part] = []
    chunks = _chunks(root, files)
    rest = next(chunks, b"")
    while rest:
        digest, written, name = hashlib.sha256(), 0, f"{FOLDER}/{len(parts) + 1:04d}.part"
        with (root / name).open("wb") as out:
            while rest and written < size:
                piece, rest = rest[: size - written], rest[size - written :]
                out.write(piece)
                digest.update(piece)
                written += len(piece)
                rest = rest or next(chunks, b"")
        parts.append(Part(path=name, size=written, sha256=digest.hexdigest()))
    return Volumes(size=size, parts=parts)


def _chunks(root: Path, files: Iterable[BundleFile]) -> Iterator[bytes]:
    for file in files:
        with (root / file.path).open("rb") as stream:
            while chunk := stream.read(2**20):
                yield chunk
