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
from dysenvdm.stage.referee_maps import GRID, Maps, classes_of, read_maps
from planners.dsg import UserError, one_line

SIZE = 64
"""Pixels of the pictures it looks at; others are resized."""


class RefereeConfig(BaseModel):
    """Sizes of a referee: channels at 32, 16 and 8 cells a side, and blocks at the last."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    channels: tuple[int, int, int]
    blocks: int
    head: int
    head_width: int = 32
    frames: int = 16
    """Length of the clips it is trained on: longer ones are read window by window."""
    vocabulary: Vocabulary = Vocabulary()


REFEREES = {
    "micro": RefereeConfig(channels=(8, 16, 32), blocks=1, head=32, head_width=16),
    "nano": RefereeConfig(channels=(16, 32, 64), blocks=2, head=64),
    "tiny": RefereeConfig(channels=(24, 64, 128), blocks=4, head=128),
}
"""By the recipe's preset; ``tiny`` is the one that ships."""


class _Residual(nn.Module):
    """Norm, activation and convolution, twice, around which the input is added."""

    def __init__(self, width: int) -> None:
        super().__init__()
        layers = [(nn.GroupNorm(8, width), nn.SiLU(), nn.Conv2d(width, width, 3, padding=1)) for _ in range(2)]
        self.layers = nn.Sequential(*layers[0], *layers[1])

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.layers(x)
        return y


class _Block(nn.Module):
    """Convolution over space, over time, attention over the whole clip, MLP, each with a residual: (b f h w c)."""

    def __init__(self, width: int, head_width: int) -> None:
        super().__init__()
        self.heads = width // head_width
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(4))
        self.space = nn.Conv2d(width, width, 3, padding=1)
        self.time = nn.Conv1d(width, width, 3, padding=1)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        b, f, h, w, _ = x.shape
        y = self.space(rearrange(F.gelu(self.norms[0](x)), "b f h w c -> (b f) c h w"))
        x = x + rearrange(y, "(b f) c h w -> b f h w c", b=b)
        y = self.time(rearrange(F.gelu(self.norms[1](x)), "b f h w c -> (b h w) c f"))
        x = x + rearrange(y, "(b h w) c f -> b f h w c", b=b, h=h)
        q, k, v = rearrange(self.qkv(self.norms[2](x)), "b f h w (i n d) -> i b n (f h w) d", i=3, n=self.heads)
        frame = torch.arange(f, device=x.device).repeat_interleave(h * w)
        y = F.scaled_dot_product_attention(turned(q, frame), turned(k, frame), v)
        x = x + self.out(rearrange(y, "b n (f h w) d -> b f h w (n d)", f=f, h=h))
        result: Tensor = x + self.mlp(self.norms[3](x))
        return result


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
    """Clips to maps; :meth:`read` gives readings."""

    def __init__(self, config: RefereeConfig) -> None:
        super().__init__()
        self.config = config
        fine, middle, coarse = config.channels
        words = config.vocabulary
        self.classes = {"heat": len(words.kinds), "actor_box": 4, "prop_box": 4, "offset": 2, **classes_of(words)}
        self.to32 = nn.Sequential(nn.Conv2d(3, fine, 4, stride=2, padding=1), _Residual(fine))
        self.to16 = nn.Sequential(nn.Conv2d(fine, middle, 4, stride=2, padding=1), _Residual(middle))
        self.to8 = nn.Conv2d(middle, coarse, 4, stride=2, padding=1)
        self.place = nn.Parameter(torch.randn(GRID // 2, GRID // 2, coarse) * 0.1)
        self.blocks = nn.ModuleList(_Block(coarse, config.head_width) for _ in range(config.blocks))
        self.back = nn.Linear(coarse, 4 * config.head)  # four cells of the fine grid from each of the coarse one
        self.skip = nn.Conv2d(middle, config.head, 1)
        self.fuse = nn.Sequential(
            nn.SiLU(), nn.Conv2d(config.head, config.head, 3, padding=1), nn.SiLU(),
            nn.Conv2d(config.head, sum(self.classes.values()), 1),
        )  # fmt: skip
        last = self.fuse[-1]
        assert isinstance(last, nn.Conv2d)
        assert last.bias is not None
        nn.init.constant_(last.bias[: self.classes["heat"]], -4.0)  # nearly everywhere is nothing
        self.setting = nn.Linear(coarse, len(words.settings))
        self.weather = nn.Linear(coarse, len(words.weathers))

    def forward(self, images: Tensor) -> Maps:
        """Images (b f 3 64 64) in [-1, 1] to maps (b f k 16 16), "setting" and "weather" (b k), by name; all logits."""
        b = len(images)
        x16, x = self._trunk(images)
        fine = rearrange(self.back(x), "b f h w (i j c) -> (b f) c (h i) (w j)", i=2, j=2)
        maps = rearrange(self.fuse(fine + self.skip(x16)), "(b f) k h w -> b f k h w", b=b)
        parts = dict(zip(self.classes, maps.split(list(self.classes.values()), dim=2), strict=True))
        whole = x.mean(dim=(1, 2, 3))
        return {**parts, "setting": self.setting(whole), "weather": self.weather(whole)}

    def _trunk(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Images (b f 3 64 64) to features of the middle ((b f) c 16 16) and of the end (b f 8 8 c)."""
        x16 = self.to16(self.to32(rearrange(images, "b f c h w -> (b f) c h w")))
        x = rearrange(self.to8(x16), "(b f) c h w -> b f h w c", b=len(images)) + self.place
        for block in self.blocks:
            x = block(x)
        return x16, x

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

    def save(self, folder: Path, *, source: str) -> None:
        """Write config.json, 16-bit safetensors weights, the card and the manifest into ``folder``."""
        folder.mkdir(parents=True, exist_ok=True)
        weights = {name: value.detach().half().cpu().contiguous() for name, value in self.state_dict().items()}
        save_file(weights, folder / "model.safetensors")
        (folder / "model.safetensors").chmod(0o644)
        (folder / "config.json").write_text(self.config.model_dump_json(indent=1) + "\n", encoding="utf-8")
        millions = sum(p.numel() for p in self.parameters()) / 1e6
        (folder / "README.md").write_text(_CARD.format(name=folder.name, source=source, millions=millions), "utf-8")
        write_manifest(folder, source=source, licence="Apache-2.0")

    @classmethod
    def from_pretrained(cls, name_or_path: str | Path = "stage-referee") -> Self:
        """Load a checkpoint that ships, one of the store, or a local folder, hashes checked; raises UserError."""
        folder = locate(str(name_or_path))
        verify(folder)
        try:
            config = RefereeConfig.model_validate_json((folder / "config.json").read_text(encoding="utf-8"))
            weights = load_file(folder / "model.safetensors")
        except ValidationError as error:
            raise UserError(f"{folder / 'config.json'}: {one_line(error)}; give a referee's folder") from None
        except OSError as error:
            raise UserError(
                f"{folder}: no referee there ({error.strerror or error}); give a referee's folder"
            ) from None
        if config.vocabulary != Vocabulary():
            raise UserError(f"{folder}: was trained on another Stage world; train it anew: recipes/stage/referee.yaml")
        referee = cls(config)
        referee.load_state_dict(weights)
        return referee.eval()


_CARD = """# {name}
The referee of the Stage world: says who does what in which frame of a 64x64 clip. {millions:.2f} M parameters, 16-bit.

Made by {source}, on drawn clips, whole and degraded. How often it is right, on held-out clips and on degraded
ones, says `python -m benchmarks.referee`. It knows nothing but the words in `config.json`. Licence: Apache-2.0.
"""
