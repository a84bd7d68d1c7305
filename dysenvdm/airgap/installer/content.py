"""What must not be inside a bundle's files: pickles, configurations that call for foreign code, broken safetensors."""

from __future__ import annotations

import io
import itertools
import json
import pickletools
import posixpath
import struct
import zipfile
from collections.abc import Iterator
from typing import Any, BinaryIO

PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib", ".dill", ".npy")
WEIGHTS = (".safetensors", ".gguf")
MODEL_FILES = (".safetensors", ".json", ".txt", ".model", ".jinja", ".md")
"""What a model folder may hold, beside licences."""

_REMOTE_CODE = ("auto_map", "custom_pipelines", "_target_")
_MAX_JSON = 256 * 2**20
_MAX_HEADER = 100 * 10**6  # the bound of the safetensors library


def model_problems(path: str, stream: BinaryIO) -> Iterator[str]:
    """What speaks against one file of a model folder."""
    name = posixpath.basename(path)
    if not name.endswith(MODEL_FILES) and not name.startswith(("LICENSE", "LICENCE", "NOTICE")):
        yield f"{path}: no file that a model needs ({', '.join(MODEL_FILES)} and licences are)"
    yield from file_problems(path, stream)


def file_problems(path: str, stream: BinaryIO) -> Iterator[str]:
    """What speaks against any file that something may load weights from."""
    if is_pickle(path, stream):
        yield f"{path}: a pickle, which can run code; convert it to safetensors"
    yield from weight_problems(path, stream)


def weight_problems(path: str, stream: BinaryIO) -> Iterator[str]:
    """Foreign code that a JSON configuration calls for, and safetensors files whose header does not fit."""
    stream.seek(0)
    if path.endswith(".json"):
        yield from _json_problems(path, stream)
    elif path.endswith(".safetensors"):
        yield from _safetensors_problems(path, stream)


def wheel_problems(path: str, stream: BinaryIO, test_data: list[str]) -> Iterator[str]:
    """Odd names, pickles, and configurations beside weights that call for code, inside a wheel.

    Pickles among a library's tests are no weights that anything loads: they are added to ``test_data``.
    """
    try:
        with zipfile.ZipFile(stream) as wheel:
            names = wheel.namelist()
            for name in names:
                if name.startswith(("/", "\\")) or ".." in name.replace("\\", "/").split("/") or ":" in name[:3]:
                    yield f"{path}: holds the name {name!r}"
            folders = {posixpath.dirname(name) for name in names if name.endswith(WEIGHTS)}
            for name in names:
                if name.endswith("/"):
                    continue
                with wheel.open(name) as member:
                    suspicious = name.endswith(PICKLES) or member.read(2) in _PROTOCOLS
                beside = posixpath.dirname(name) in folders and name.endswith((".json", ".safetensors"))
                if suspicious or beside:
                    yield from _member_problems(path, name, io.BytesIO(wheel.read(name)), test_data)
    except (zipfile.BadZipFile, OSError, NotImplementedError, EOFError, RuntimeError, ValueError) as error:
        yield f"{path}: cannot be read as a wheel ({error})"


def _member_problems(wheel: str, name: str, stream: BinaryIO, test_data: list[str]) -> Iterator[str]:
    if is_pickle(name, stream):
        folders, base = posixpath.split(name)
        if {"test", "tests", "testing"} & set(folders.split("/")) or base.startswith("test_"):
            test_data.append(f"{wheel}:{name}")
        else:
            yield f"{wheel}: holds a pickle, {name}"
    for problem in weight_problems(name, stream):
        yield f"{wheel}: {problem}"


_PROTOCOLS = frozenset(bytes((0x80, number)) for number in range(2, 6))


def is_pickle(name: str, stream: BinaryIO) -> bool:
    """Whether the bytes are a pickle of any protocol, torch's archive of pickles, or a NumPy array of objects."""
    stream.seek(0)
    head = stream.read(2**16)
    if head[:4] == b"PK\3\4":
        return _is_archive_of_pickles(stream)
    if head[:6] == b"\x93NUMPY":
        return b"'descr': '|O'" in head[:512] or b'"|O"' in head[:512]
    if head[:2] in _PROTOCOLS:
        return _reads_as_pickle(stream, 3)
    # Protocols 0 and 1 have no mark: what is called a pickle and reads as one to its end is taken for it.
    return name.endswith(PICKLES) and _reads_as_pickle(stream, None)


def _reads_as_pickle(stream: BinaryIO, opcodes: int | None) -> bool:
    """Whether so many opcodes can be read, or all up to the last (None). From the file itself: an argument may be
    longer than any beginning of it."""
    stream.seek(0)
    try:
        return bool(list(itertools.islice(pickletools.genops(stream), opcodes)))
    except Exception:  # whatever malformed data makes of it
        return False


def _is_archive_of_pickles(stream: BinaryIO) -> bool:
    try:
        with zipfile.ZipFile(stream) as archive:
            return any(name.endswith((".pkl", ".pickle")) for name in archive.namelist())
    except (zipfile.BadZipFile, OSError, ValueError):
        return False


def _json_problems(path: str, stream: BinaryIO) -> Iterator[str]:
    raw = stream.read(_MAX_JSON + 1)
    try:
        if len(raw) > _MAX_JSON:
            raise ValueError("too long")
        data = json.loads(raw)
    except (ValueError, RecursionError) as error:
        yield f"{path}: not readable as JSON ({str(error)[:100]})"
        return
    waiting: list[Any] = [data]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            for key in _REMOTE_CODE:
                if value.get(key):
                    yield f"{path}: {key!r} calls for code from elsewhere"
            if value.get("trust_remote_code"):
                yield f"{path}: 'trust_remote_code' is set"
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value


def _safetensors_problems(path: str, stream: BinaryIO) -> Iterator[str]:
    size = stream.seek(0, io.SEEK_END)
    stream.seek(0)
    head = stream.read(8)
    length = struct.unpack("<Q", head)[0] if len(head) == 8 else size
    if length > min(size - 8, _MAX_HEADER):
        yield f"{path}: not a safetensors file"
        return
    try:
        header = json.loads(stream.read(length))
        ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
        if max(ends, default=0) != size - 8 - length:
            yield f"{path}: a safetensors header that does not fit its data"
    except (ValueError, RecursionError, AttributeError, KeyError, TypeError, IndexError):
        yield f"{path}: a safetensors header that cannot be read"
