"""Verifying a bundle: names, hashes, signature, and what must not be inside; every problem is named."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from dysenvdm.airgap.installer.content import file_problems, model_problems, wheel_problems
from dysenvdm.airgap.installer.layout import (
    LOCK,
    MANIFEST,
    SIGNATURE,
    BundleError,
    File,
    Payload,
    read_manifest,
)
from dysenvdm.airgap.installer.signature import check_signature

_LOCKED = re.compile(r"([A-Za-z0-9._-]+)==(\S+) --hash=sha256:([0-9a-f]{64})")


class Check(NamedTuple):
    """One row of the verdict; ``level`` is "ok", "note" (worth knowing) or "error"."""

    level: str
    what: str
    found: str


def verify(root: Path, key: Path | None = None) -> list[Check]:
    """Everything that is right and wrong with the bundle in ``root``; wrong ones have the level "error"."""
    try:
        manifest = read_manifest(root)
    except BundleError as error:
        return [Check("error", "manifest", str(error))]
    rows = [Check("ok", "manifest", f"{manifest['name']}, {len(manifest['files'])} files")]
    rows.append(_signature(root, key))
    payload = Payload(root, manifest)
    rows += _verdict("files", f"{len(payload.on_disk()) + 1} in place, none besides", presence(root, payload))
    bad: set[str] = set()
    total = sum(file.size for file in payload.files.values())
    rows += _verdict("hashes", f"{total / 2**20:.1f} MiB as recorded", _hash_problems(payload, bad))
    test_data: list[str] = []
    rows += _verdict("content", "no pickles, no code in models", _content(payload, bad, test_data))
    rows += [Check("note", "content", f"{name}: a pickle among a library's tests") for name in test_data]
    rows += _verdict(
        "lock", f"{len(manifest['packages'])} packages with hashes", _lock_problems(payload, manifest, bad)
    )
    return rows


def problems(rows: list[Check]) -> list[Check]:
    """The rows that are errors."""
    return [row for row in rows if row.level == "error"]


def _verdict(what: str, good: str, found: Iterator[str]) -> list[Check]:
    return [Check("error", what, problem) for problem in found] or [Check("ok", what, good)]


def _signature(root: Path, key: Path | None) -> Check:
    if key is None:
        there = "there, not checked (give --key)" if (root / SIGNATURE).exists() else "none"
        return Check("note", "signature", there)
    try:
        return Check("ok", "signature", f"by the key {check_signature(root, key)}…")
    except BundleError as error:
        return Check("error", "signature", str(error))


def presence(root: Path, payload: Payload) -> Iterator[str]:
    """Files too many or missing, links, devices, and sizes that differ."""
    expected = payload.on_disk()
    found: set[str] = set()
    for folder, folders, files in os.walk(root, onerror=_raise):
        for name in [*folders, *files]:
            path = Path(folder, name)
            relative = path.relative_to(root).as_posix()
            mode = path.lstat().st_mode
            if stat.S_ISLNK(mode):
                yield f"{relative!r}: a link"
            elif stat.S_ISDIR(mode):
                if not any(known.startswith(f"{relative}/") for known in expected):
                    yield f"{relative!r}: a folder that the manifest does not know"
            elif not stat.S_ISREG(mode):
                yield f"{relative!r}: neither file nor folder"
            elif relative in expected:
                if path.lstat().st_size != expected[relative].size:
                    yield f"{relative}: {path.lstat().st_size} bytes, recorded are {expected[relative].size}"
            elif relative not in (MANIFEST, SIGNATURE):
                yield f"{relative!r}: a file that the manifest does not know"
            found.add(relative)
    for name in sorted(expected.keys() - found):
        yield f"{name}: missing"


def _raise(error: OSError) -> None:
    raise BundleError(f"{error.filename}: cannot be read ({error.strerror})")


def _hash_problems(payload: Payload, bad: set[str]) -> Iterator[str]:
    """Files whose bytes are not as recorded, with the volumes at fault; their paths are added to ``bad``."""
    for file in [*payload.parts, *payload.files.values()]:
        if not _as_recorded(payload, file):
            bad.add(file.path)
            yield f"{file.path}: damaged or missing; copy {'this volume' if file.kind == 'part' else 'it'} again"


def _as_recorded(payload: Payload, file: File) -> bool:
    try:
        return payload.hash(file) == file.sha256
    except OSError:
        return False


def _content(payload: Payload, bad: set[str], test_data: list[str]) -> Iterator[str]:
    for file in payload.files.values():
        if file.path in bad or file.kind not in ("model", "weights", "wheel"):
            continue
        with payload.open(file) as stream:
            if file.kind == "wheel":
                yield from wheel_problems(file.path, stream, test_data)
            elif file.kind == "model":
                yield from model_problems(file.path, stream)
            else:
                yield from file_problems(file.path, stream)


def _lock_problems(payload: Payload, manifest: dict[str, Any], bad: set[str]) -> Iterator[str]:
    """Whether the lock names exactly the wheels of the bundle, each with its hash."""
    if LOCK in bad:
        return
    with payload.open(payload.files[LOCK]) as stream:
        lines = stream.read().decode("utf-8", "replace").splitlines()
    locked: set[tuple[str, str, str]] = set()
    for line in lines:
        entry = _LOCKED.fullmatch(line)
        if entry:
            locked.add((entry[1], entry[2], entry[3]))
        elif line and not line.startswith("#"):
            yield f"{LOCK}: not NAME==VERSION --hash=sha256:…: {line[:100]!r}"
    packed = {(item["name"], item["version"], payload.files[item["file"]].sha256) for item in manifest["packages"]}
    for name, version, _ in sorted(locked ^ packed):
        yield f"{LOCK}: {name} {version} is not the wheel of the bundle"
