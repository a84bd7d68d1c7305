"""The referee: a small video network that says who does what in which frame of a clip of the Stage world.

Per frame and cell of a 16 x 16 grid it gives the kinds of things centred there, their box, colour and size and, of
actors, garment, action and target (after CenterNet, Zhou et al. 2019); :mod:`dysenvdm.stage.referee_maps` turns these
maps into a :class:`dysenvdm.stage.reading.Reading`. What somebody does shows over time, so features pass through
convolutions over space and time and through attention over the whole clip.

Letters: ``b`` clip, ``f`` frame, ``h w`` cells, ``c`` channels, ``k`` classes of a map.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Self

import numpy as np
import torch
from einops import rearrange
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from dysenvdm.models import locate, verify, write_manifest
from dysenvdm.stage.reading import Reading, Vocabulary
from dysenvdm.stage.referee_accuracy import NotedAccuracy, noted_accuracy
from dysenvdm.stage.referee_maps import GRID, Maps, classes_of, read_maps
from planners.dsg import UserError, one_line

SIZE = 64
"""Pixels of the pictures it looks at; others are resized."""
PATCH = SIZE // GRID
"""Pixels of a cell's side."""


class RefereeConfig(BaseModel):
    """Sizes of a referee: of its channels and blocks the first number is at 16 cells a side, the second at 8."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    channels: tuple[int, int]
    blocks: tuple[int, int]
    head: int
    head_width: int = 32
    frames: int = 16
    """Length of the clips it is trained on: longer ones are read window by window."""
    vocabulary: Vocabulary = Vocabulary()


REFEREES = {
    "micro": RefereeConfig(channels=(16, 32), blocks=(1, 1), head=32, head_width=16),
    "nano": RefereeConfig(channels=(64, 96), blocks=(2, 4), head=64, head_width=24),
    "tiny": RefereeConfig(channels=(80, 128), blocks=(3, 4), head=96),
}
"""By the recipe's preset."""


class _Convolutions(nn.Module):
    """A convolution over space, then one over time, each with a residual: (b f h w c).

    Channels come last and are normed alone: on a CPU that is several times as fast as norms over groups of channels.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.space = nn.Conv2d(width, width, 3, padding=1)
        self.time = nn.Linear(3 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + over_space(self.space, F.silu(self.norms[0](x)))
        y = F.pad(F.silu(self.norms[1](x)), (0, 0, 0, 0, 0, 0, 1, 1))  # a frame before the first, one after the last
        result: Tensor = x + self.time(torch.cat([y[:, :-2], y[:, 1:-1], y[:, 2:]], dim=-1))
        return result


def over_space(convolution: nn.Conv2d, x: Tensor) -> Tensor:
    """A convolution of each frame of (b f h w c)."""
    y: Tensor = convolution(rearrange(x, "b f h w c -> (b f) c h w"))
    return rearrange(y, "(b f) c h w -> b f h w c", b=len(x))


class _Attention(nn.Module):
    """Half of the heads look over time from each cell, half over each frame's cells; then an MLP: (b f h w c)."""

    def __init__(self, width: int, head_width: int) -> None:
        super().__init__()
        self.heads = width // head_width
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        b, f, h, *_ = x.shape
        over_time, over_cells = self.qkv(self.norms[0](x)).chunk(2, dim=-1)
        heads = {"i": 3, "n": self.heads // 2}
        q, k, v = rearrange(over_time, "b f h w (i n d) -> i (b h w) n f d", **heads)
        frame = torch.arange(f, device=x.device)
        times = attended(turned(q, frame), turned(k, frame), v)
        q, k, v = rearrange(over_cells, "b f h w (i n d) -> i (b f) n (h w) d", **heads)
        cells = attended(q, k, v)
        seen = [
            rearrange(times, "(b h w) n f d -> b f h w (n d)", b=b, h=h),
            rearrange(cells, "(b f) n (h w) d -> b f h w (n d)", b=b, h=h),
        ]
        x = x + self.out(torch.cat(seen, dim=-1))
        result: Tensor = x + self.mlp(self.norms[1](x))
        return result


def attended(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attention of (b n s d), written out: on a CPU torch's fused one has a slow backward pass on short sequences."""
    weights: Tensor = ((q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)).softmax(dim=-1)
    return weights @ v


def turned(x: Tensor, frame: Tensor) -> Tensor:
    """Rotate half of the channels of (b n s d) by ``frame`` (s): attention then knows how far apart frames are.

    Source: rotary position embedding, Su et al. 2021; the other half stays, for looks without regard to time.
    """
    rotated, kept = x.chunk(2, dim=-1)
    even, odd = rotated.chunk(2, dim=-1)
    pitch = 32.0 ** -torch.linspace(0, 1, even.shape[-1], device=x.device)
    angle = frame[:, None] * pitch
    cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    return torch.cat([even * cos - odd * sin, even * sin + odd * cos, kept], dim=-1)


class Referee(nn.Module):
    """Clips to maps; :meth:`read` gives readings. ``accuracy`` is what its folder says of it."""

    def __init__(self, config: RefereeConfig) -> None:
        super().__init__()
        self.config = config
        self.accuracy: NotedAccuracy | None = None
        fine, coarse = config.channels
        words = config.vocabulary
        self.classes = {"heat": len(words.kinds), "actor_box": 4, "prop_box": 4, "offset": 2, **classes_of(words)}
        self.stem = nn.Conv2d(3 * PATCH**2, fine, 3, padding=1)
        self.fine = nn.Sequential(*(_Convolutions(fine) for _ in range(config.blocks[0])))
        self.down = nn.Linear(4 * fine, coarse)  # a cell of the coarse grid from four of the fine one
        self.place = nn.Parameter(torch.randn(GRID // 2, GRID // 2, coarse) * 0.1)
        blocks = range(config.blocks[1])
        self.coarse = nn.Sequential(
            *(nn.Sequential(_Convolutions(coarse), _Attention(coarse, config.head_width)) for _ in blocks)
        )
        self.back = nn.Linear(coarse, 4 * config.head)
        self.skip = nn.Linear(fine, config.head)
        self.fuse = nn.Conv2d(config.head, config.head, 3, padding=1)
        self.last = nn.Linear(config.head, sum(self.classes.values()))
        nn.init.constant_(self.last.bias[: self.classes["heat"]], -4.0)  # nearly everywhere is nothing
        self.setting = nn.Linear(coarse, len(words.settings))
        self.weather = nn.Linear(coarse, len(words.weathers))

    def forward(self, images: Tensor) -> Maps:
        """Images (b f 3 64 64) in [-1, 1] to maps (b f k 16 16), "setting" and "weather" (b k), by name; all logits."""
        fine, coarse = self._trunk(images)
        x = self.skip(fine) + rearrange(self.back(coarse), "b f h w (i j c) -> b f (h i) (w j) c", i=2, j=2)
        maps = rearrange(self.last(F.silu(over_space(self.fuse, F.silu(x)))), "b f h w k -> b f k h w")
        parts = dict(zip(self.classes, maps.split(list(self.classes.values()), dim=2), strict=True))
        whole = coarse.mean(dim=(1, 2, 3))
        return {**parts, "setting": self.setting(whole), "weather": self.weather(whole)}

    def _trunk(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Images (b f 3 64 64) to features of the fine grid (b f 16 16 c) and of the coarse one (b f 8 8 c)."""
        patches = rearrange(images, "b f c (h i) (w j) -> b f h w (c i j)", i=PATCH, j=PATCH)
        fine = self.fine(over_space(self.stem, patches))
        x = self.down(rearrange(fine, "b f (h i) (w j) c -> b f h w (i j c)", i=2, j=2)) + self.place
        return fine, self.coarse(x)

    @torch.no_grad()
    def features(self, clip: NDArray[np.uint8]) -> Tensor:
        """Features (c) of one clip (f h w 3) uint8, any length and size: its last block's, averaged over the clip.

        They are what the setting and the weather are told from. A longer clip's are the mean of its windows'.
        """
        video, window = self._input(clip), self.config.frames
        parts = [self._trunk(video[None, start : start + window])[1] for start in self._starts(len(video))]
        return torch.stack([part.mean(dim=(0, 1, 2, 3)) for part in parts]).mean(0)

    def _starts(self, frames: int) -> list[int]:
        """Where the windows begin, which overlap by half."""
        window = self.config.frames
        return [*range(0, frames - window, window // 2), max(0, frames - window)]

    def _input(self, clip: NDArray[np.uint8]) -> Tensor:
        """A clip (f h w 3) as (f 3 64 64) in [-1, 1]."""
        weight = self.place
        video = rearrange(torch.from_numpy(clip), "f h w c -> f c h w").to(weight.device).float() / 127.5 - 1
        if video.shape[2:] != (SIZE, SIZE):
            video = F.interpolate(video, (SIZE, SIZE), mode="bilinear", antialias=True).clamp(-1, 1)
        return video.to(weight.dtype)

    @torch.no_grad()
    def maps(self, video: Tensor) -> Maps:
        """Maps of one clip (f 3 64 64) in [-1, 1] of any length, from windows that overlap by half.

        Of each window the frames are used that lie nearest to its middle.
        """
        frames, window = len(video), self.config.frames
        starts = self._starts(frames)
        parts: list[Maps] = [self(video[None, start : start + window]) for start in starts]
        cuts = [0, *((a + b + window) // 2 for a, b in pairwise(starts)), frames]
        whole = {name: torch.stack([part[name] for part in parts]).mean(0) for name in ("setting", "weather")}
        for name in self.classes:
            pieces = zip(parts, starts, pairwise(cuts), strict=True)
            whole[name] = torch.cat([part[name][:, a - start : b - start] for part, start, (a, b) in pieces], dim=1)
        return whole

    def read(self, clips: Sequence[NDArray[np.uint8]]) -> list[Reading]:
        """Read clips (f h w 3) uint8, each of any length and size; works best on whole clips of the trained length."""
        readings = []
        for clip in clips:
            maps = {name: value[0].float().cpu() for name, value in self.maps(self._input(clip)).items()}
            readings.append(read_maps(maps, self.config.vocabulary))
        return readings

    def save(self, folder: Path, *, source: str, accuracy: NotedAccuracy | None = None) -> None:
        """Write config.json, 16-bit safetensors weights, card, measured accuracy and manifest into ``folder``."""
        folder.mkdir(parents=True, exist_ok=True)
        weights = {name: value.detach().half().cpu().contiguous() for name, value in self.state_dict().items()}
        save_file(weights, folder / "model.safetensors")
        (folder / "config.json").write_text(self.config.model_dump_json(indent=1) + "\n", encoding="utf-8")
        millions = sum(p.numel() for p in self.parameters()) / 1e6
        (folder / "README.md").write_text(_CARD.format(source=source, millions=millions), "utf-8")
        if accuracy is not None:
            accuracy.save(folder)
        write_manifest(folder, source=source, licence="Apache-2.0")

    @classmethod
    def from_pretrained(cls, name_or_path: str | Path = "stage-referee") -> Self:
        """Load a checkpoint that ships, one of the store, or a local folder, hashes checked; raises UserError."""
        folder = locate(str(name_or_path))
        verify(folder)
        config = referee_config(folder)
        try:
            weights = load_file(folder / "model.safetensors")
        except OSError as error:
            raise UserError(
                f"{folder}: no referee there ({error.strerror or error}); give a referee's folder"
            ) from None
        referee = cls(config)
        referee.load_state_dict(weights)
        referee.accuracy = noted_accuracy(folder)
        return referee.eval()


def referee_config(folder: Path) -> RefereeConfig:
    """The sizes of the referee in a folder; raises :class:`UserError` for no referee and for one of another world."""
    path = folder / "config.json"
    try:
        config = RefereeConfig.model_validate_json(path.read_text(encoding="utf-8"))
    except ValidationError as error:
        raise UserError(f"{path}: {one_line(error)}; give a referee's folder") from None
    except OSError as error:
        raise UserError(f"{folder}: no referee there ({error.strerror or error}); give a referee's folder") from None
    if config.vocabulary != Vocabulary():
        raise UserError(f"{folder}: was trained on another Stage world; train it anew: recipes/stage/referee.yaml")
    return config


_CARD = """# The referee of the Stage world
Says who does what in which frame of a 64x64 clip. {millions:.2f} M parameters, 16-bit.

Made by {source}, on drawn clips, whole and degraded. How often it is right, on held-out clips and on degraded
ones, says `python -m benchmarks.referee`. It knows nothing but the words in `config.json`. Licence: Apache-2.0.
"""
