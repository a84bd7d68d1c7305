"""Which videos stand side by side: those of one prompt, of every two systems, sides and order drawn by a seed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations
from pathlib import Path
from random import Random

from dysenvdm.studies.human.videos import SUFFIXES, Video, examine
from planners.dsg import UserError


@dataclass(frozen=True)
class Pair:
    """Two systems' videos of one prompt, as they stand on the page."""

    prompt: str
    left: tuple[str, Video]
    right: tuple[str, Video]


def systems(given: Sequence[str]) -> dict[str, Path]:
    """Folders by system, from ``FOLDER`` (its name is the system's) and ``NAME=FOLDER``; raises :class:`UserError`."""
    found: dict[str, Path] = {}
    for text in given:
        name, equals, folder = text.partition("=")
        path = Path(folder if equals and not Path(text).is_dir() else text)
        name = name if equals and str(path) != text else path.resolve().name
        if not path.is_dir():
            raise UserError(f"--videos {text}: no such folder; give a folder of videos, or NAME=FOLDER")
        if name in found:
            raise UserError(f"--videos {text}: {found[name]} is called {name!r} too; give NAME=FOLDER")
        found[name] = path
    if len(found) < 2:
        raise UserError(f"--videos: {len(found)} folder; give one for each of two or more systems")
    return found


def gathered(folders: Mapping[str, Path], prompts: Sequence[str] | None) -> list[tuple[str, dict[str, Video]]]:
    """For each prompt its video by every system, in the order of the files' names.

    Videos belong together where their files have the same name, whatever its ending. Prompts are those of ``prompts``,
    in that order, or those in the videos' recipes. Raises :class:`UserError` for folders that do not fit together.
    """
    files = {name: _videos(folder) for name, folder in folders.items()}
    first, *others = files
    for name in others:
        odd = sorted(files[first].keys() ^ files[name].keys())
        if odd:
            here, there = (first, name) if odd[0] in files[first] else (name, first)
            raise UserError(
                f"{folders[first]} has {len(files[first])} videos, {folders[name]} {len(files[name])}: {odd[0]!r} is "
                f"only in {folders[here]}; make it for {there}, or take it away"
            )
    stems = sorted(files[first])
    if prompts is not None and len(prompts) != len(stems):
        raise UserError(f"--prompts: {len(prompts)} prompts, but {len(stems)} videos a folder; give one line for each")
    found = []
    for i, stem in enumerate(stems):
        videos = {name: examine(files[name][stem]) for name in files}
        found.append((_prompt(videos, prompts[i] if prompts is not None else None), videos))
    return found


def _videos(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in SUFFIXES and not path.name.startswith("."):
            if path.stem in found:
                raise UserError(f"{path}: beside {found[path.stem].name}; leave one of the two")
            found[path.stem] = path
    if not found:
        raise UserError(f"{folder}: no videos in it ({', '.join(SUFFIXES)})")
    return found


def _prompt(videos: Mapping[str, Video], given: str | None) -> str:
    known = [video for video in videos.values() if video.prompt is not None]
    prompt = given if given is not None else next((video.prompt for video in known), None)
    if prompt is None:
        path = next(iter(videos.values())).path
        raise UserError(f"{path}: says no prompt, nor do those beside it; give --prompts FILE, a line for each video")
    for video in known:
        if video.prompt != prompt:
            said = f"of the prompt {video.prompt!r}, not {prompt[:60]!r}"
            raise UserError(f"{video.path}: {said}; videos of one name must be of one prompt")
    return prompt


def common_shape(
    videos: Sequence[Video], size: tuple[int, int] | None, fps: Fraction | None
) -> tuple[tuple[int, int], Fraction]:
    """Size and rate of all copies; raises :class:`UserError` naming two videos that differ, where none is given."""
    for what, given, option in (("size", size, "--size WIDTHxHEIGHT"), ("fps", fps, "--fps N")):
        other = next((video for video in videos if getattr(video, what) != getattr(videos[0], what)), None)
        if given is None and other is not None:
            one = videos[0]
            raise UserError(f"{one.path} is {one.shape}, {other.path} {other.shape}; {option} brings all to one")
    chosen = size or videos[0].size
    if chosen[0] % 2 or chosen[1] % 2 or min(chosen) < 2:
        raise UserError(f"size {chosen[0]}x{chosen[1]}: the page's videos have even sides; give --size WIDTHxHEIGHT")
    return chosen, fps or videos[0].fps


def pairs(gathered: Sequence[tuple[str, dict[str, Video]]], seed: int, limit: int | None = None) -> list[Pair]:
    """Every two systems' videos of every prompt, or of ``limit`` prompts, in an order that the seed draws.

    Of every two systems each is on the left as often as on the right, or once more.
    """
    rng = Random(seed)
    chosen = [*gathered] if limit is None else rng.sample(gathered, min(limit, len(gathered)))
    found: list[Pair] = []
    for one, other in combinations(gathered[0][1], 2):
        turned = [i % 2 == 0 for i in range(len(chosen))]
        rng.shuffle(turned)
        for (prompt, videos), turn in zip(chosen, turned, strict=True):
            left, right = (other, one) if turn else (one, other)
            found.append(Pair(prompt, (left, videos[left]), (right, videos[right])))
    rng.shuffle(found)
    return found


def lengths_apart(found: Sequence[Pair]) -> int:
    """Pairs whose videos do not last equally long."""
    counts = Counter(p.left[1].frames / p.left[1].fps == p.right[1].frames / p.right[1].fps for p in found)
    return counts[False]
