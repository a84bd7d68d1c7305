"""What a referee learns from: clips drawn once, what is to be seen in them, and some of them behind an autoencoder.

Both take a CPU minutes, so they are kept in a store (:mod:`dysenvdm.data.cache.store`) that a resumed run finds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from rich.console import Console
from rich.progress import track
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from dysenvdm.data.cache.filling import Make
from dysenvdm.data.cache.store import Item, Items, Skipped
from dysenvdm.stage import sample
from dysenvdm.stage.reading import Vocabulary
from dysenvdm.stage.referee_maps import Labels, labels_of
from dysenvdm.training.autoencoder import to_images
from dysenvdm.training.degradations import round_trip, to_pixels
from dysenvdm.training.sections import DegradeSection

LABELS = 1
"""Of :func:`~dysenvdm.stage.referee_maps.labels_of`: to be raised when it says something else of the same clip."""
VIDEO = "video"

Spoil = Callable[[int, Tensor], Tensor]
"""A clip's number and its video (f h w 3) uint8 -> the video as it is learnt from."""


class DrawnClips(Dataset[dict[str, Any]]):
    """Stage clips of these numbers, as arrays: ``video`` (f h w 3) uint8 and their labels."""

    def __init__(self, clips: Sequence[int], frames: int, size: int) -> None:
        self.clips, self.frames, self.size = clips, frames, size

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, i: int) -> dict[str, Any]:
        clip = sample(self.clips[i], frames=self.frames, size=self.size)
        labels = {name: value.numpy() for name, value in labels_of(clip, Vocabulary()).items()}
        return {VIDEO: np.ascontiguousarray(clip.render()), **labels}


def drawing(frames: int, size: int, workers: int, spoil: Spoil) -> Make:
    """How the store is filled: item i is clip i of the Stage world, the same whoever draws it."""

    def make(shards: Sequence[range]) -> Iterator[list[Item | Skipped]]:
        numbers = [number for shard in shards for number in shard]
        clips = DrawnClips(numbers, frames, size)
        # Arrays between the processes: every tensor would hold a file open until its shard is written.
        drawn = iter(DataLoader(clips, batch_size=None, num_workers=workers, collate_fn=_as_it_is))
        for shard in shards:
            items: list[Item | Skipped] = []
            for number in shard:
                item = {name: torch.from_numpy(np.asarray(value)) for name, value in next(drawn).items()}
                items.append({**item, VIDEO: spoil(number, item[VIDEO])})
            yield items

    return make


def _as_it_is(item: Any) -> Any:
    return item


def behind(vae: AutoencoderKL | None, degrade: DegradeSection, seed: int) -> Spoil:
    """Put the share ``degrade.vae`` of all clips behind the autoencoder, which clips it is following from the seed.

    Done once for the whole corpus: in every step it would take longer than the step itself.
    """

    def spoil(number: int, video: Tensor) -> Tensor:
        rng = np.random.default_rng((seed, number, 4))
        if vae is None or rng.random() >= degrade.vae:
            return video
        images = to_images(video[None]).to(vae.device)
        _, f, _, h, w = images.shape
        factor = 2 ** (len(vae.config["block_out_channels"]) - 1)
        noise = rng.standard_normal((1, f, vae.config["latent_channels"], h // factor, w // factor), np.float32)
        wobble = torch.from_numpy(rng.uniform(0, degrade.vae_noise) * noise).to(vae.device)
        return torch.from_numpy(to_pixels(round_trip(vae, images, wobble)[0]))

    return spoil


def loaded(items: Items, device: torch.device, *, shown: bool = True) -> tuple[Tensor, Labels]:
    """All of it in the device's memory: videos (k f h w 3) uint8 and labels, each (k ...); ``shown`` by a bar."""
    whole = {
        name: torch.empty(len(items), *value.shape, dtype=value.dtype, device=device)
        for name, value in items[0].items()
    }
    console = Console(stderr=True)
    for number in track(range(len(items)), "reading the corpus", transient=True, console=console, disable=not shown):
        for name, value in items[number].items():
            whole[name][number] = value
    return whole.pop(VIDEO), whole
