"""What a bundle is on disk: its manifest, the names it may hold, and its files, in a folder or in volumes."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

FORMAT = "dysenvdm.bundle/1"
MANIFEST = "manifest.json"
SIGNATURE = "manifest.json.sig"
LOCK = "requirements.lock"
INSTALLER = "installer"
"""The kind of the files that are never put into volumes: they read the volumes."""

KINDS = ("wheel", "model", "weights", "lock", "sbom", "recipe", "document", "installer")
MAX_MANIFEST_BYTES = 64 * 2**20
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+!@=,()\[\]-]{0,199}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[a-z0-9][a-z0-9._+-]{0,79}")

FIELDS: dict[str, dict[str, Callable[[Any], bool]]] = {}
"""Keys of every object of a manifest and the test that each value must pass; filled below."""


class BundleError(Exception):
    """What is wrong with a bundle or a prefix, in one line that names the place and the mend."""


class File(NamedTuple):
    """One file of a bundle, as its manifest records it."""

    path: str
    size: int
    sha256: str
    kind: str


def is_safe_path(path: Any) -> bool:
    """Whether ``path`` is relative, plain ASCII, without hidden or ``..`` parts, and fit for any file system."""
    if not isinstance(path, str) or not 0 < len(path) <= 400:
        return False
    return all(_PART.fullmatch(part) and not part.endswith(".") for part in path.split("/"))


def _text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= 4000 and value.isprintable()


def _count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**53


def _hash(value: Any) -> bool:
    return isinstance(value, str) and bool(_SHA256.fullmatch(value))


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_text, value))


def _objects(kind: str) -> Callable[[Any], bool]:
    def check(value: Any) -> bool:
        return isinstance(value, list) and all(_fits(item, kind) for item in value)

    return check


def _fits(value: Any, kind: str) -> bool:
    fields = FIELDS[kind]
    return isinstance(value, dict) and value.keys() == fields.keys() and all(fields[key](value[key]) for key in fields)


FIELDS.update(
    file={
        "path": is_safe_path,
        "size": _count,
        "sha256": _hash,
        "kind": lambda value: isinstance(value, str) and value in KINDS,
        "source": _text,
        "revision": _text,
        "licence": _text,
    },
    package={
        "name": _text,
        "version": _text,
        "file": is_safe_path,
        "licence": _text,
        "installed_size": _count,
        "requires": _texts,
    },
    model={
        "name": lambda value: isinstance(value, str) and bool(_NAME.fullmatch(value)),
        "folder": lambda value: value is None or is_safe_path(value),
        "source": _text,
        "licence": _text,
        "sha256": _hash,
    },
    target={"python": _text, "machine": _text, "platforms": _texts},
    part={"path": is_safe_path, "size": _count, "sha256": _hash},
    volumes={"size": _count, "parts": _objects("part")},
    manifest={
        "format": lambda value: value == FORMAT,
        "name": lambda value: isinstance(value, str) and bool(_NAME.fullmatch(value)),
        "version": _text,
        "created": _text,
        "target": lambda value: _fits(value, "target"),
        "extras": _texts,
        "packages": _objects("package"),
        "models": _objects("model"),
        "files": _objects("file"),
        "volumes": lambda value: value is None or _fits(value, "volumes"),
    },
)


def read_manifest(root: Path) -> dict[str, Any]:
    """The manifest of the bundle or installed version in ``root``; raises :class:`BundleError` unless strict."""
    path = root / MANIFEST
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            raise BundleError(f"{path}: not a plain file; copy the bundle again")
        if path.stat().st_size > MAX_MANIFEST_BYTES:
            raise BundleError(f"{path}: longer than any manifest; copy the bundle again")
        data = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_unique)
    except OSError as error:
        raise BundleError(f"{path}: cannot be read ({error.strerror}); is this a finished bundle?") from None
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{path}: not readable as JSON ({str(error)[:200]}); copy the bundle again") from None
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise BundleError(f"{path}: not a {FORMAT} manifest; is it from another version of dysenvdm?")
    _check_fields(path, data)
    _check_names(path, data)
    return data


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is given twice")
    return found


def _check_fields(path: Path, data: dict[str, Any]) -> None:
    known = FIELDS["manifest"]
    for key in sorted(known.keys() ^ data.keys()):
        raise BundleError(f"{path}: key {key[:200]!r} is {'missing' if key in known else 'unknown'}")
    for key, check in known.items():
        if check(data[key]):
            continue
        kind = {"packages": "package", "models": "model", "files": "file"}.get(key)
        bad = data[key]
        if kind and isinstance(bad, list):
            bad = next(item for item in bad if not _fits(item, kind))
        raise BundleError(f"{path}: {key}: not allowed: {repr(bad)[:200]}")


def _check_names(path: Path, data: dict[str, Any]) -> None:
    """No path twice (not even in other letter case), none that is another's folder, every reference kept."""
    parts = data["volumes"]["parts"] if data["volumes"] else []
    names = [MANIFEST, SIGNATURE, *(item["path"] for item in [*data["files"], *parts])]
    seen = {name.lower() for name in names}
    if len(seen) != len(names):
        twice = sorted({name for name in names if [other.lower() for other in names].count(name.lower()) > 1})
        raise BundleError(f"{path}: a path is there twice: {twice[0]!r}")
    for name in seen:
        folder = name.rpartition("/")[0]
        while folder:
            if folder in seen:
                raise BundleError(f"{path}: {folder!r} is a file and a folder")
            folder = folder.rpartition("/")[0]
    wheels = {item["path"] for item in data["files"] if item["kind"] == "wheel"}
    if wheels != {item["file"] for item in data["packages"]}:
        raise BundleError(f"{path}: packages and wheel files do not agree")
    if LOCK not in names:
        raise BundleError(f"{path}: no {LOCK}")
    packed = sum(item["size"] for item in data["files"] if item["kind"] != INSTALLER)
    if data["volumes"] and packed != sum(part["size"] for part in parts):
        raise BundleError(f"{path}: the volumes' sizes are not those of the files in them")


def files_of(manifest: dict[str, Any]) -> list[File]:
    """The files of a manifest in its order, which is their order in volumes."""
    return [File(item["path"], item["size"], item["sha256"], item["kind"]) for item in manifest["files"]]


class Payload:
    """The files of a bundle by their path, wherever their bytes lie: in the folder itself or across volumes."""

    def __init__(self, root: Path, manifest: dict[str, Any]) -> None:
        self.root = root
        self.files = {file.path: file for file in files_of(manifest)}
        volumes = manifest["volumes"]
        self.parts = (
            [File(item["path"], item["size"], item["sha256"], "part") for item in volumes["parts"]] if volumes else []
        )
        self._starts: dict[str, int] = {}
        start = 0
        for file in self.files.values():
            if self.parts and file.kind != INSTALLER:
                self._starts[file.path] = start
                start += file.size

    def on_disk(self) -> dict[str, File]:
        """What must lie in the bundle's folder beside manifest and signature."""
        plain = [file for file in self.files.values() if file.path not in self._starts]
        return {file.path: file for file in [*plain, *self.parts]}

    def open(self, file: File) -> io.BufferedReader:
        """A seekable stream of one file's bytes (of ``files`` or ``parts``); raises OSError."""
        return io.BufferedReader(_Spans(list(self._spans(file))), 2**20)

    def hash(self, file: File) -> str:
        """The SHA-256 of a file's bytes; raises OSError."""
        with self.open(file) as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()

    def copy(self, file: File, target: Path) -> None:
        """Write a file to ``target`` and hash it; raises :class:`BundleError` where it is not as recorded."""
        digest = hashlib.sha256()
        target.parent.mkdir(parents=True, exist_ok=True)
        with self.open(file) as stream, target.open("wb") as out:
            while chunk := stream.read(2**20):
                digest.update(chunk)
                out.write(chunk)
        if digest.hexdigest() != file.sha256:
            raise BundleError(f"{file.path}: changed while it was read; copy the bundle again")

    def _spans(self, file: File) -> Iterator[tuple[Path, int, int]]:
        if file.path not in self._starts:
            yield self.root / file.path, 0, file.size
            return
        start, end, at = self._starts[file.path], self._starts[file.path] + file.size, 0
        for part in self.parts:
            low, high = max(start, at), min(end, at + part.size)
            if low < high:
                yield self.root / part.path, low - at, high - low
            at += part.size


class _Spans(io.RawIOBase):
    """Pieces of files, one after the other, as one seekable stream; no piece may be a link."""

    def __init__(self, spans: list[tuple[Path, int, int]]) -> None:
        self._spans = spans
        self._size = sum(length for _, _, length in spans)
        self._at = 0
        self._open: tuple[Path, int] | None = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError("before the beginning")
        self._at = base + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        before = 0
        for path, offset, length in self._spans:
            inside = self._at - before
            if inside < length:
                data = os.pread(self._descriptor(path), min(len(buffer), length - inside), offset + inside)
                buffer[: len(data)] = data
                self._at += len(data)
                return len(data)
            before += length
        return 0

    def close(self) -> None:
        if self._open:
            os.close(self._open[1])
            self._open = None
        super().close()

    def _descriptor(self, path: Path) -> int:
        if self._open and self._open[0] == path:
            return self._open[1]
        if self._open:
            os.close(self._open[1])
            self._open = None
        self._open = (path, os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC))
        return self._open[1]
