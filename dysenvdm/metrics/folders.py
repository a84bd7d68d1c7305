"""Folders of finished videos as items: what each file holds, its prompt and its gold scene graph beside it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import av
import numpy as np
from av.error import FFmpegError
from PIL import Image

from dysenvdm.metrics.contract import Item
from dysenvdm.video import Frames, read_mp4
from planners.dsg import DynamicSceneGraph, UserError

VIDEOS = (".mp4", ".mkv", ".webm", ".avi", ".mov")


@dataclass(frozen=True)
class Asked:
    """What is done to videos on request only: frames taken at ``fps``, pictures resized to ``size`` (width, height)."""

    fps: float | None = None
    size: tuple[int, int] | None = None


def read_folder(folder: Path, asked: Asked = Asked()) -> list[Item]:
    """The videos of a folder by name, decoded when they are read.

    ``clip.txt`` beside ``clip.mp4`` is its prompt, else the recipe that the file carries; ``clip.dsg.json`` its scene
    graph. Raises :class:`UserError` for a file that cannot be read, and where there is none.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; give a folder of videos")
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in VIDEOS)
    if not files:
        raise UserError(f"{folder}: no videos there ({', '.join(VIDEOS)})")
    return [_item(path, asked) for path in files]


@dataclass(frozen=True)
class Probed:
    """What a file says of itself, its frames counted without decoding them."""

    shape: tuple[int, int, int]
    fps: float
    prompt: str | None


def _item(path: Path, asked: Asked) -> Item:
    said = probed(path)
    prompt, (frames, height, width) = said.prompt, said.shape
    beside, graph = path.with_suffix(".txt"), path.with_suffix(".dsg.json")
    if beside.is_file():
        try:
            prompt = " ".join(beside.read_text(encoding="utf-8").split())
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{beside}: cannot be read as text ({error})") from None
    if asked.fps:
        frames = max(1, round(frames / said.fps * asked.fps))
    if asked.size:
        width, height = asked.size
    return Item(
        path.stem,
        lambda: _as_asked(read_mp4(path), said.fps, asked),
        asked.fps or said.fps,
        (frames, height, width),
        prompt,
        gold_graph=DynamicSceneGraph.load(graph) if graph.is_file() else None,
    )


def probed(path: Path) -> Probed:
    """Shape, frame rate and the prompt of the recipe that a video carries; raises :class:`UserError`."""
    try:
        with av.open(str(path), metadata_errors="replace") as file:
            stream = file.streams.video[0]
            rate = stream.average_rate or stream.guessed_rate
            frames = stream.frames or sum(1 for packet in file.demux(stream) if packet.size)
            told, height, width = file.metadata.get("recipe"), stream.height, stream.width
    except (FFmpegError, OSError, IndexError) as error:
        raise UserError(f"{path}: cannot be read as a video ({error})") from None
    if not frames or not rate:
        raise UserError(f"{path}: cannot be read as a video (it has no frames, or no frame rate)")
    return Probed((frames, height, width), round(float(rate), 3), _prompt(told))


def _prompt(recipe: str | None) -> str | None:
    """The prompt of a recipe, None where somebody else's metadata is no recipe of ours."""
    try:
        said = json.loads(recipe or "{}")
    except ValueError:
        return None
    prompt = said.get("prompt") if isinstance(said, dict) else None
    return prompt if isinstance(prompt, str) else None


def _as_asked(video: Frames, fps: float, asked: Asked) -> Frames:
    """The frame on screen at each of the new times, resized."""
    if asked.fps and asked.fps != fps:
        count = max(1, round(len(video) / fps * asked.fps))
        times = np.arange(count) / asked.fps * fps
        video = video[np.minimum((times + 1e-6).astype(int), len(video) - 1)]
    if asked.size and video.shape[2:0:-1] != asked.size:
        pictures = [Image.fromarray(frame).resize(asked.size, Image.Resampling.BICUBIC) for frame in video]
        video = np.stack([np.asarray(picture) for picture in pictures])
    return video


def check_alike(videos: Sequence[Item], reference: Sequence[Item], *, unequal: bool) -> None:
    """Raise :class:`UserError` where clips differ in frame rate or size, or the sides in number.

    With ``unequal`` the sides may differ in number.
    """
    first = videos[0]
    for item in (*videos[1:], *reference):
        if item.fps != first.fps:
            raise UserError(
                f"{item.id}: {item.fps:g} fps, but {first.id} has {first.fps:g}; bring all to one rate with --fps"
            )
        assert item.shape is not None
        assert first.shape is not None
        if item.shape[1:] != first.shape[1:]:
            mine, other = (f"{shape[2]}x{shape[1]}" for shape in (item.shape, first.shape))
            raise UserError(f"{item.id}: {mine} pixels, but {first.id} has {other}; resize all with --size WxH")
    if reference and len(videos) != len(reference) and not unequal:
        raise UserError(
            f"--reference: {len(reference)} videos, --videos has {len(videos)}; give as many, or say --unequal"
        )


def with_gold(videos: Sequence[Item], reference: Sequence[Item]) -> list[Item]:
    """The videos with prompt and gold scene graph of the reference clip of the same name, where they have none."""
    gold = {item.id: item for item in reference}
    found = []
    for item in videos:
        other = gold.get(item.id)
        if other is not None:
            graph = other.gold_graph or item.gold_graph
            item = replace(item, prompt=item.prompt or other.prompt, gold_graph=graph)
        found.append(item)
    return found
