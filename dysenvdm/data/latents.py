"""A cache of a finite corpus's latents: every clip rendered and encoded once, before the first step.

The file belongs to one autoencoder and one corpus (their key is in its metadata) and is made anew for any other.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from rich.progress import track
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from dysenvdm.files import written_whole
from dysenvdm.stage import sample


class _Renders(Dataset[Tensor]):
    def __init__(self, clips: int, frames: int, size: int, ticks: int) -> None:
        self.clips, self.shape = clips, {"frames": frames, "size": size, "ticks": ticks}

    def __len__(self) -> int:
        return self.clips

    def __getitem__(self, clip: int) -> Tensor:
        return torch.tensor(sample(clip, **self.shape).render())


def cached_latents(
    path: Path,
    key: str,
    encode: Callable[[Tensor], Tensor],
    *,
    clips: int,
    frames: int,
    size: int,
    ticks: int,
    workers: int,
) -> Tensor:
    """Latents of clips 0 to ``clips`` - 1 as fp16 (k f c h w), read from ``path`` or made and written there.

    ``encode`` maps videos (b f h w 3) uint8 to their latents (b f c h w).
    """
    if path.exists():
        with safe_open(path, "pt") as file:
            if (file.metadata() or {}).get("key") == key:
                return file.get_tensor("latents")
    loader = DataLoader(_Renders(clips, frames, size, ticks), batch_size=8, num_workers=workers)
    parts = [encode(videos).half().cpu() for videos in track(loader, "encoding the corpus")]
    latents = torch.cat(parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as temporary:
        save_file({"latents": latents}, temporary, metadata={"key": key})
    return latents
