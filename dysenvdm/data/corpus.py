"""A finite corpus made ready once, before the first step: every clip played, rendered and encoded.

Playing a clip takes longer than a GPU needs to learn from it. What a step reads of a clip is kept: latents, captions,
gold DSG and where its actors are. The file belongs to one autoencoder and one corpus (their key is in its metadata)
and is made anew for any other.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import track
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from dysenvdm.data.samples import CELLS, Sample
from dysenvdm.data.stage import load_sample
from dysenvdm.files import written_whole
from planners.dsg import DynamicSceneGraph


@dataclass(frozen=True)
class CachedCorpus:
    """Clips 0 to k - 1. Captions and DSGs are JSON in one array, which processes share without copying."""

    latents: Tensor
    """(k f c h w) fp16."""
    foreground: NDArray[np.uint8]
    """(k, f * CELLS * CELLS / 8): :func:`dysenvdm.data.stage.foreground_cells`, eight cells a byte."""
    told: NDArray[np.uint8]
    """All clips' ``{"captions": […], "dsg": {…}}``, one after the other."""
    ends: NDArray[np.int64]
    """(k): where each clip's text ends."""

    def read(self, clip: int, draw: int, rng: np.random.Generator) -> Sample:
        """The clip told in one of its phrasings, all frames shown; as ``load_sample`` without a video."""
        start, end = (self.ends[clip - 1] if clip else 0), self.ends[clip]
        told = json.loads(self.told[start:end].tobytes())
        frames = self.latents.shape[1]
        return Sample(
            draw=draw,
            clip=clip,
            caption=told["captions"][rng.integers(len(told["captions"]))],
            captions=tuple(told["captions"]),
            dsg=DynamicSceneGraph.parse(told["dsg"]),
            foreground=np.unpackbits(self.foreground[clip]).reshape(frames, CELLS, CELLS).astype(bool),
            shown=tuple(range(frames)),
            video=None,
        )


class _Clips(Dataset[tuple[Tensor, NDArray[np.uint8], bytes]]):
    def __init__(self, clips: int, frames: int, size: int, ticks: int) -> None:
        self.clips, self.shape = clips, {"frames": frames, "size": size, "ticks": ticks}

    def __len__(self) -> int:
        return self.clips

    def __getitem__(self, clip: int) -> tuple[Tensor, NDArray[np.uint8], bytes]:
        played = load_sample(clip, 0, np.random.default_rng(0), **self.shape, render=True)
        told = {"captions": played.captions, "dsg": played.dsg.to_dict()}
        return torch.tensor(played.pixels), np.packbits(played.foreground), json.dumps(told).encode()


def _together(
    clips: list[tuple[Tensor, NDArray[np.uint8], bytes]],
) -> tuple[Tensor, NDArray[np.uint8], list[bytes]]:
    videos, foregrounds, told = zip(*clips, strict=True)
    return torch.stack(videos), np.stack(foregrounds), list(told)


def cached_corpus(
    path: Path,
    key: str,
    encode: Callable[[Tensor], Tensor],
    *,
    clips: int,
    frames: int,
    size: int,
    ticks: int,
    workers: int,
) -> CachedCorpus:
    """The corpus of clips 0 to ``clips`` - 1, read from ``path`` or made and written there.

    ``encode`` maps videos (b f h w 3) uint8 to their latents (b f c h w).
    """
    if path.exists():
        with safe_open(path, "pt") as file:
            if (file.metadata() or {}).get("key") == key:
                parts = {name: file.get_tensor(name) for name in ("latents", "foreground", "told", "ends")}
                return CachedCorpus(
                    parts["latents"], parts["foreground"].numpy(), parts["told"].numpy(), parts["ends"].numpy()
                )
    loader = DataLoader(_Clips(clips, frames, size, ticks), batch_size=32, num_workers=workers, collate_fn=_together)
    latents, foregrounds, told = [], [], []
    for videos, foreground, texts in track(loader, "playing and encoding the corpus"):
        latents.append(encode(videos).half().cpu())
        foregrounds.append(foreground)
        told += texts
    corpus = CachedCorpus(
        torch.cat(latents),
        np.concatenate(foregrounds),
        np.frombuffer(b"".join(told), dtype=np.uint8),
        np.cumsum([len(text) for text in told]),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as temporary:
        arrays = {name: torch.tensor(getattr(corpus, name)) for name in ("foreground", "told", "ends")}
        save_file({"latents": corpus.latents, **arrays}, temporary, metadata={"key": key})
    return corpus
