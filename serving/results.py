"""Files of the server: results of jobs, and uploads. Nothing in here takes a path from anybody: ids that the server
made, and the fixed names in :data:`NAMES`.

::

    results/video_ID/FOLDER/video.mp4 ...   one publication, whole from the moment it is there
    results/video_ID/preview.webp           the latest look at a job under way
    uploads/upload_ID.png                   a picture that was decoded, checked and encoded anew
    making/                                 what is being written, and what is being deleted

Each publication has a folder of its own, and ``Job.result["folder"]`` says which one counts. So which worker's files
are the job's is decided where it is decided who completed the job, in one transaction of the store, and whatever a
worker writes that lost the job is never seen.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal, get_args

from dysenvdm.files import disk_trouble, sha256, synchronised
from serving.jobs import Job

Name = Literal["video.mp4", "thumbnail.webp", "spritesheet.jpg", "dsg.json", "recipe.json"]
NAMES: tuple[Name, ...] = get_args(Name)
"""What a publication may hold; ``video.mp4`` and ``recipe.json`` are always there."""

_ALWAYS = ("video.mp4", "recipe.json")
_JOB = re.compile(r"(plan|video)_[0-9a-f]{32}", re.ASCII)
_UPLOAD = re.compile(r"upload_[0-9a-f]{32}", re.ASCII)
_FOLDER = re.compile(r"[0-9a-f]{32}", re.ASCII)
_ADVICE = "make room, or set disk_quota_bytes or a shorter keep_hours"


class Publication:
    """``folder`` is where to write; ``result`` is there when the files are: folder, bytes and sha256 of the video."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.result: dict[str, Any] = {}

    def path(self, name: Name) -> Path:
        """Where to write one of :data:`NAMES`."""
        return self.folder / _checked_name(name)


class Results:
    """The files in ``folder``, which may be shared by all processes of a server, on several hosts too.

    Any method may be called at any time from any process. Raises :class:`planners.dsg.UserError` where the disk is full
    or cannot be written to, and :class:`ValueError` for an id or a name that is none.
    """

    def __init__(self, folder: Path) -> None:
        self._results, self._uploads, self._making = (folder / name for name in ("results", "uploads", "making"))
        with disk_trouble(folder, _ADVICE):
            for each in (self._results, self._uploads, self._making):
                each.mkdir(parents=True, exist_ok=True)

    # -- results --
    @contextmanager
    def publish(self, job: str) -> Iterator[Publication]:
        """Write a job's files; when the block ends well they are all there, safe from a power cut, else none is.

        ::

            with results.publish(job.id) as made:
                write_video(made.path("video.mp4"))
                ...
            store.complete(job.id, worker, {**made.result, "frames": 16})
        """
        home, name = self._results / _checked(_JOB, job), secrets.token_hex(16)
        made = Publication(self._making / name)
        with disk_trouble(self._results, _ADVICE):
            made.folder.mkdir()
            try:
                yield made
                for file in made.folder.iterdir():
                    _checked_name(file.name)
                    synchronised(file)
                if missing := [each for each in _ALWAYS if not (made.folder / each).is_file()]:
                    raise ValueError(f"{job}: published without {missing[0]}")
                video = made.folder / "video.mp4"
                result = {"folder": name, "bytes": video.stat().st_size, "sha256": sha256(video)}
                synchronised(made.folder)
                _place(made.folder, home / name)
                synchronised(home)
                synchronised(self._results)
            finally:
                shutil.rmtree(made.folder, ignore_errors=True)
        made.result = result

    def path(self, job: Job, name: Name) -> Path | None:
        """One of the files that count, None where the job has it not (yet, or any more)."""
        if job.expired or job.result is None or "folder" not in job.result:
            return None
        path = self._results / _checked(_JOB, job.id) / _checked(_FOLDER, job.result["folder"]) / _checked_name(name)
        return path if path.is_file() else None

    def write_preview(self, job: str, picture: bytes) -> None:
        """The latest look at a job under way, a WebP; it takes the place of the one before."""
        self._write(picture, self._results / _checked(_JOB, job) / "preview.webp", durable=False)

    def preview(self, job: str) -> Path | None:
        path = self._results / _checked(_JOB, job) / "preview.webp"
        return path if path.is_file() else None

    def delete(self, job: str) -> None:
        """All files of the job, at once; those that are open stay readable."""
        self._remove(self._results / _checked(_JOB, job))

    def tidy(self, job: str, folder: str | None) -> None:
        """Delete of a final job what does not count: previews, and publications other than ``folder`` (None: all)."""
        home = self._results / _checked(_JOB, job)
        if folder is None:
            self.delete(job)
        else:
            with suppress(FileNotFoundError):
                for each in list(home.iterdir()):
                    if each.name != folder:
                        self._remove(each)

    def sizes(self) -> Mapping[str, int]:
        """Bytes of all that is kept for each job, by its id."""
        return {home.name: _size(home) for home in self._entries(self._results, _JOB)}

    # -- uploads --
    def add_upload(self, picture: bytes) -> str:
        """Keep a PNG that was checked; returns its id."""
        upload = f"upload_{secrets.token_hex(16)}"
        self._write(picture, self._uploads / f"{upload}.png", durable=True)
        return upload

    def upload(self, upload: str) -> Path | None:
        path = self._uploads / f"{_checked(_UPLOAD, upload)}.png"
        return path if path.is_file() else None

    def delete_upload(self, upload: str) -> None:
        (self._uploads / f"{_checked(_UPLOAD, upload)}.png").unlink(missing_ok=True)

    def uploads(self) -> Mapping[str, float]:
        """When each was written (seconds since the epoch), by its id."""
        return {path.stem: _newest(path) for path in self._entries(self._uploads, _UPLOAD)}

    # -- what killed processes left --
    def sweep(self, before: float) -> int:
        """Delete what was being written or deleted, and not touched since ``before`` (seconds since the epoch): its
        process is gone. Returns how many things went."""
        old = [each for each in list(self._making.iterdir()) if 0 < _newest(each) < before]
        for each in old:
            self._remove(each)
        return len(old)

    def _entries(self, folder: Path, ids: re.Pattern[str]) -> Iterator[Path]:
        return (each for each in sorted(folder.iterdir()) if ids.fullmatch(each.name.partition(".")[0]))

    def _write(self, data: bytes, path: Path, *, durable: bool) -> None:
        made = self._making / secrets.token_hex(16)
        with disk_trouble(path, _ADVICE):
            try:
                made.write_bytes(data)
                if durable:
                    synchronised(made)
                _place(made, path)
            finally:
                made.unlink(missing_ok=True)
            if durable:
                synchronised(path.parent)

    def _remove(self, path: Path) -> None:
        """Rename, so that it is gone at once and for one caller only, then delete."""
        trash = self._making / secrets.token_hex(16)
        try:
            path.replace(trash)
        except FileNotFoundError:
            return
        if trash.is_dir():
            shutil.rmtree(trash, ignore_errors=True)
        else:
            trash.unlink(missing_ok=True)


def _checked(pattern: re.Pattern[str], text: str) -> str:
    if pattern.fullmatch(text) is None:
        raise ValueError(f"{text!r} is no id")
    return text


def _checked_name(name: str) -> str:
    if name not in NAMES:
        raise ValueError(f"{name!r} is no result file: {', '.join(NAMES)}")
    return name


def _place(made: Path, path: Path) -> None:
    """Give what is whole its name, also while another process deletes the folder that it is to be in."""
    for is_last in (False, False, True):
        path.parent.mkdir(exist_ok=True)
        try:
            made.replace(path)
            return
        except FileNotFoundError:
            if is_last:
                raise


def _files(path: Path) -> Iterator[os.stat_result]:
    """Of a file, or of a folder and all in it, as far as they are still there."""
    inside = (os.path.join(folder, name) for folder, *names in os.walk(path) for name in (*names[0], *names[1]))
    for each in (str(path), *inside):
        with suppress(FileNotFoundError):
            yield os.lstat(each)


def _size(path: Path) -> int:
    return sum(found.st_blocks * 512 for found in _files(path))


def _newest(path: Path) -> float:
    """When it was last changed, seconds since the epoch; 0 where it is gone."""
    return max((found.st_mtime for found in _files(path)), default=0.0)
