"""Reading samples from a cache against decoding the same clips with decord, on one core: samples per second, ratio."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from benchmarks.rows import Row, seconds

CLIPS, FRAMES, SIZE = 12, 16, 256
ROUNDS = 5
DOWN, CHANNELS = 8, 4
"""Of the latents of an f8 autoencoder; which numbers they are costs no time."""


def run() -> list[Row]:
    from dysenvdm.data.cache.clips import CachedCorpus, held_out, reading
    from dysenvdm.data.cache.filling import Ranks, fill
    from dysenvdm.data.cache.store import Store
    from dysenvdm.data.corpora import open_corpus
    from dysenvdm.data.section import DataSection

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_clips(folder / "videos")
        data = DataSection.model_validate(
            {
                "source": {"kind": "folder", "root": str(folder / "videos"), "validation_share": 0.1},
                "examined": str(folder / "examined"), "frames": FRAMES, "size": SIZE, "workers": 0,
                "validation_clips": 1,
            }
        )  # fmt: skip
        corpus = open_corpus(data)

        def latents(videos: torch.Tensor) -> torch.Tensor:
            return torch.zeros(*videos.shape[:2], CHANNELS, SIZE // DOWN, SIZE // DOWN)

        def cached(kind: str, encode: Callable[[torch.Tensor], torch.Tensor] | None) -> CachedCorpus:
            store = Store(folder, kind, {}, corpus.clips, 4, 0)
            items = fill(store, reading(corpus, 1, 0, encode, torch.float16), Ranks())
            validation = fill(Store(folder, f"held-out-{kind}", {}, 1, 1, 0), held_out(corpus), Ranks())
            return CachedCorpus(items, validation, corpus.key, starts=True)

        sources = {"latents": cached("latents", latents), "frames": cached("frames", None), "decord": corpus}
        rates: dict[str, list[float]] = {name: [] for name in sources}
        for i in range(ROUNDS + 1):
            for name, source in sources.items():
                rng = np.random.default_rng(i)
                order = rng.permutation(corpus.clips)

                def epoch(source=source, order=order, rng=rng) -> None:  # type: ignore[no-untyped-def]
                    for clip in order:
                        sample = source.read(int(clip), 0, rng)
                        touched = sample.pixels if sample.latents is None else sample.latents.numpy()
                        touched.sum(dtype=np.float32)

                rate = corpus.clips / seconds(epoch)
                if i:  # the first round warms up
                    rates[name].append(rate)
    shape = f"{FRAMES}x{SIZE}x{SIZE}"
    ratios = {
        name: tuple(a / b for a, b in zip(rates[name], rates["decord"], strict=True)) for name in ("latents", "frames")
    }
    return [
        Row(f"samples of {shape} decoded by decord", "/s", tuple(rates["decord"])),
        Row("samples as frames from the cache", "/s", tuple(rates["frames"])),
        Row("samples as latents from the cache", "/s", tuple(rates["latents"])),
        Row("frames from the cache / decoding", "x", ratios["frames"]),
        Row("latents from the cache / decoding", "x", ratios["latents"], 1.0, at_least=True),
    ]


def write_clips(folder: Path) -> None:
    """Moving noise under a grid, 3 seconds at 320 x 240 and 25 fps, each with a caption beside it."""
    import av

    folder.mkdir()
    for clip in range(CLIPS + 1):
        rng = np.random.default_rng(clip)
        background = rng.integers(0, 255, (240 // 8, 320 // 8, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
        with av.open(str(folder / f"clip-{clip:02}.mp4"), "w") as file:
            stream = file.add_stream("libx264", rate=25)
            stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
            for shift in range(75):
                picture = av.VideoFrame.from_ndarray(np.roll(background, 2 * shift, axis=1), format="rgb24")
                for packet in stream.encode(picture):
                    file.mux(packet)
            for packet in stream.encode():
                file.mux(packet)
        (folder / f"clip-{clip:02}.txt").write_text("A pattern of squares moves to the right.", encoding="utf-8")
