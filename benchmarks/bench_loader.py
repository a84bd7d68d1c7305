"""How fast videos become training clips: decoded frames per second and core by decord, PyAV and torchcodec, and what
the loader delivers.

    python -m benchmarks.run loader

reads the real clips of ../shared/data (or of $DYSENVDM_SHARED_DATA), without them clips that it makes itself.
torchcodec is left out where it cannot be imported: its builds are linked against CUDA and need a torch that is too,
though no GPU. With FFmpeg's libraries (apt-get install ffmpeg) and an index whose torch is built for CUDA:

    python3 -m venv cuda && cuda/bin/pip install torch==2.13.0 torchcodec decord2 .
    cuda/bin/python -m benchmarks.run loader

Every decoder runs on one thread, reads every frame of a file in order, scaled to cover 256 x 256, as RGB in memory.
What counts is processor time of all threads, so that a busy machine changes little; one after the other, in rounds, so
that it meets all alike.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.rows import Row

ROUNDS = 3
SIZE = 256
FRAMES = 16
DRAWS = 12
"""Clips that the loader delivers in a round."""
SUFFIXES = (".mp4", ".avi")


def shared_clips() -> list[Path]:
    """The real clips; none where they are not on this machine."""
    shared = Path(os.environ.get("DYSENVDM_SHARED_DATA") or Path(__file__).parents[2] / "shared" / "data")
    folders = (shared / "clips", shared / "ucf101")
    return sorted(path for folder in folders if folder.is_dir() for path in folder.iterdir() if path.suffix in SUFFIXES)


def made_clips(folder: Path) -> list[Path]:
    """Three clips of the Stage world at the size of UCF-101's."""
    from dysenvdm.stage import sample
    from dysenvdm.video import write_mp4

    paths = []
    for number in range(3):
        path = folder / f"{number}.mp4"
        write_mp4(path, sample(number, frames=96, size=320).render()[:, 40:280], 25, {})
        paths.append(path)
    return paths


def run() -> list[Row]:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        paths = shared_clips()
        what = "real clips"
        if not paths:
            paths, what = made_clips(folder), "made clips"
        return [*_decoders(paths, what), *_loader(paths, folder, what)]


# -- decoders ----------------------------------------------------------------------------------------------------------


def _cover(path: Path) -> tuple[int, int]:
    """(h, w) that a file's pictures are scaled to."""
    from dysenvdm.data.decoding import examine

    info = examine(path)
    scale = SIZE / min(info.height, info.width)
    return max(SIZE, round(info.height * scale)), max(SIZE, round(info.width * scale))


def by_decord(path: Path, tall: int, wide: int) -> int:
    import decord

    reader = decord.VideoReader(str(path), width=wide, height=tall, num_threads=1)
    return sum(len(reader.next().asnumpy()) > 0 for _ in range(len(reader)))


def by_pyav(path: Path, tall: int, wide: int) -> int:
    import av

    count = 0
    with av.open(str(path), metadata_errors="replace") as file:
        stream = file.streams.video[0]
        stream.thread_count = 1
        for frame in file.decode(stream):
            count += len(frame.reformat(wide, tall, "rgb24").to_ndarray()) > 0
    return count


def by_torchcodec(path: Path, tall: int, wide: int) -> int:
    from torchcodec.decoders import VideoDecoder
    from torchcodec.transforms import Resize

    decoder = VideoDecoder(path, num_ffmpeg_threads=1, transforms=[Resize((tall, wide))])
    count = 0
    try:
        for frame in decoder:
            count += frame.numel() > 0
    except RuntimeError as error:
        if "no more frames" not in str(error):  # some AVI headers promise one more than there is
            raise
    return count


def _decoders(paths: list[Path], what: str) -> list[Row]:
    sizes = {path: _cover(path) for path in paths}
    decoders: dict[str, Callable[[Path, int, int], int]] = {"decord": by_decord, "PyAV": by_pyav}
    if _imports("torchcodec.decoders"):
        decoders["torchcodec"] = by_torchcodec
    rates: dict[str, list[float]] = {name: [] for name in decoders}
    for number in range(ROUNDS + 1):
        for name, decode in decoders.items():
            started = time.process_time()
            frames = sum(decode(path, *size) for path, size in sizes.items())
            if number:  # the first round fills the file cache
                rates[name].append(frames / (time.process_time() - started))
    rows = [Row(f"{name}: frames a second and core, {what}", "", tuple(values)) for name, values in rates.items()]
    for name, values in rates.items():
        if name != "decord":
            ratios = tuple(ours / theirs for ours, theirs in zip(rates["decord"], values, strict=True))
            rows.append(Row(f"decord / {name}", "", ratios))
    return rows


def _imports(module: str) -> bool:
    import importlib

    try:
        importlib.import_module(module)
    except (ImportError, OSError, RuntimeError):
        return False
    return True


# -- the loader --------------------------------------------------------------------------------------------------------


def _loader(paths: list[Path], scratch: Path, what: str) -> list[Row]:
    """Samples a second and core of 16 frames at 8 fps, from random starts."""
    from dysenvdm.data.corpora import open_corpus
    from dysenvdm.data.section import DataSection

    root = scratch / "root"
    root.mkdir()
    for path in paths:
        (root / path.name).symlink_to(path)
        (root / path.name).with_suffix(".txt").write_text("a clip")
    rows = []
    for buckets in (False, True):
        settings: dict[str, Any] = {"frames": FRAMES, "size": SIZE, "fps": 8, "buckets": buckets, "workers": 1}
        source = {"kind": "folder", "root": root, "validation_share": 0.1}
        corpus = open_corpus(
            DataSection.model_validate(
                {**settings, "source": source, "validation_clips": 1, "examined": scratch / "examined.jsonl"}
            )
        )

        rates = []
        for _ in range(ROUNDS + 1):
            started = time.process_time()
            for draw in range(DRAWS):
                corpus.read(draw % corpus.clips, draw, np.random.default_rng(draw))
            rates.append(DRAWS / (time.process_time() - started))
        shapes = ", buckets" if buckets else ""
        name = f"loader: samples a second and core, {FRAMES}x{SIZE}x{SIZE}{shapes}, {what}"
        rows.append(Row(name, "", tuple(rates[1:])))
    return rows
