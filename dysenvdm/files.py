"""Writing files whole: a reader sees the old file or the complete new one, and a failure leaves nothing behind."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from planners.dsg import UserError

_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)
_WRITERS = ("PytorchStreamWriter", "inline_container", "unexpected pos", "os error 28", "os error 122", "os error 27")
"""What torch and safetensors say of a write that failed: neither raises an OSError."""


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` to write to; it becomes ``path`` when the block ends well.

    Raises :class:`UserError` where the folder is missing.
    """
    check_parent(path)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}.", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def folder_written_whole(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside ``path``; it takes the place of ``path`` when the block ends well."""
    check_parent(path)
    temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    try:
        fresh = temporary / "new"
        fresh.mkdir()
        yield fresh
        if path.exists():
            path.replace(temporary / "old")
        fresh.replace(path)
    finally:
        shutil.rmtree(temporary)


@contextmanager
def disk_trouble(
    path: Path | None = None, advice: str = "make room, then run the same command again"
) -> Iterator[None]:
    """Turn a write that failed for want of space into a :class:`UserError` that names the file, or ``path``."""
    try:
        yield
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _DISK:
            place, reason = error.filename or path, error.strerror
        elif not isinstance(error, UserError) and any(sign in str(error) for sign in _WRITERS):
            place, reason = path, "the write failed, as on a full disk"
        else:
            raise
        raise UserError(f"{place or 'the disk'}: cannot be written ({reason}); {advice}") from None


def check_parent(path: Path) -> None:
    """Raise :class:`UserError` unless ``path`` can be created: its folder exists and may be written to."""
    if not path.parent.is_dir():
        raise UserError(f"{path}: the folder {str(path.parent)!r} does not exist; create it first (mkdir -p)")
    if not os.access(path.parent, os.W_OK):
        raise UserError(f"{path}: the folder {str(path.parent)!r} cannot be written to; choose another")


def parsed_yaml(text: str) -> Any:
    """YAML as plain data; raises :class:`ValueError` with one short line, also where PyYAML fails in other ways."""
    import yaml

    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(" ".join(str(error).split())[:300]) from None


def sha256(path: Path) -> str:
    """The file's SHA-256 as hexadecimal text; raises :class:`UserError` where it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None


def synchronised(path: Path) -> None:
    """Have what was written to a file or folder reach the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
