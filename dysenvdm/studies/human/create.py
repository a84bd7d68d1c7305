"""Making the page of a study, and its key."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from importlib.resources import files
from pathlib import Path
from random import Random
from typing import Any

from dysenvdm.files import check_parent, folder_written_whole, sha256, written_whole
from dysenvdm.studies.human.files import HIGHEST, LOWEST, QUESTIONS, RATINGS_FORMAT, Item, Key, Shown
from dysenvdm.studies.human.pairing import Pair, common_shape, gathered, lengths_apart, pairs
from dysenvdm.studies.human.videos import Video, blind_copy
from planners.dsg import UserError

PAGE, VIDEOS = "index.html", "videos"
MIB = 2**20


@dataclass(frozen=True)
class Created:
    """What was made: ``beside`` says whether videos lie beside the page, ``uneven`` how many pairs differ in length."""

    page: Path
    key: Path
    items: int
    beside: bool
    uneven: int


def create(
    folders: Mapping[str, Path],
    output: Path,
    *,
    title: str,
    seed: int = 0,
    prompts: Sequence[str] | None = None,
    limit: int | None = None,
    checks: int = 0,
    size: tuple[int, int] | None = None,
    fps: Fraction | None = None,
    embed_mib: float = 32,
    on_copy: Callable[[int, int], None] = lambda _done, _total: None,
) -> Created:
    """Write the folder ``output`` with the page, and beside it the key, which raters must not have.

    Videos are embedded where all of them take at most ``embed_mib``, and lie in a folder beside the page otherwise.
    ``checks`` pairs are asked for with a text that says what to answer. Raises :class:`UserError`.
    """
    check_parent(output)
    key_file = output.with_name(f"{output.name}.key.json")
    for path in (output, key_file):
        if path.exists():
            raise UserError(f"{path}: is there; choose another -o, since raters may have that study already")
    found = gathered(folders, prompts)
    everything = [video for _, videos in found for video in videos.values()]
    shape = common_shape(everything, size, fps)
    shown = pairs(found, seed, limit)
    rng = Random(f"{seed} of the page")
    items = _items(shown, checks, rng)
    with folder_written_whole(output) as folder:
        names = _copied(folder / VIDEOS, shown, shape, rng, on_copy)
        total = sum(path.stat().st_size for path in (folder / VIDEOS).iterdir())
        beside = total > embed_mib * MIB
        sources = {
            path: f"{VIDEOS}/{name}" if beside else _data(folder / VIDEOS / name) for path, name in names.items()
        }
        copies = {name: sha256(folder / VIDEOS / name) for name in names.values()}
        study = _digest([[item.id, item.prompt, *(copies[names[v.path]] for _, v in _sides(p))] for item, p in items])
        data = {
            "format": RATINGS_FORMAT,
            "study": study,
            "title": title,
            "questions": [{"id": name, "title": q[0], "text": q[1]} for name, q in QUESTIONS.items()],
            "lowest": LOWEST,
            "highest": HIGHEST,
            "items": [
                {"id": i.id, "prompt": i.prompt, "check": i.asked is not None}
                | {side: sources[video.path] for side, (_, video) in zip(("left", "right"), _sides(p), strict=True)}
                for i, p in items
            ],
        }
        (folder / PAGE).write_text(page(title, data), encoding="utf-8")
        if not beside:
            for name in names.values():
                (folder / VIDEOS / name).unlink()
            (folder / VIDEOS).rmdir()
        key = Key(study=study, title=title, seed=seed, systems=tuple(folders), items=tuple(item for item, _ in items))
        with written_whole(key_file) as temporary:
            temporary.write_text(key.model_dump_json(indent=1) + "\n", encoding="utf-8")
    return Created(output / PAGE, key_file, len(items), beside, lengths_apart(shown))


def _sides(pair: Pair) -> tuple[tuple[str, Video], tuple[str, Video]]:
    return pair.left, pair.right


def _items(shown: Sequence[Pair], checks: int, rng: Random) -> list[tuple[Item, Pair]]:
    """The pairs as items of the key, attention checks spread among them."""
    if checks > len(shown):
        raise UserError(f"--checks {checks}: there are {len(shown)} pairs; ask for fewer")
    items = [(_item(f"pair-{i:03d}", pair, pair.prompt), pair) for i, pair in enumerate(shown, 1)]
    for i, pair in enumerate(rng.sample(shown, checks), 1):
        low, high = rng.sample(range(LOWEST, HIGHEST + 1), 2)
        text = f"Are you with us? Please answer {low} for the left video and {high} for the right one in all questions."
        item = _item(f"check-{i:03d}", pair, text).model_copy(update={"asked": {"left": low, "right": high}})
        items.insert(rng.randrange(1, len(items) + 1), (item, pair))
    return items


def _item(ident: str, pair: Pair, prompt: str) -> Item:
    left, right = (
        Shown(system=name, file=video.path.name, sha256=sha256(video.path)) for name, video in (pair.left, pair.right)
    )
    return Item(id=ident, prompt=prompt, left=left, right=right)


def _copied(
    folder: Path,
    shown: Sequence[Pair],
    shape: tuple[tuple[int, int], Fraction],
    rng: Random,
    on_copy: Callable[[int, int], None],
) -> dict[Path, str]:
    """Each video's copy under a name that says nothing; written in a drawn order, so that no date says anything."""
    folder.mkdir()
    videos = list({video.path: video for pair in shown for _, video in _sides(pair)}.values())
    rng.shuffle(videos)
    names: dict[Path, str] = {}
    for i, video in enumerate(videos):
        names[video.path] = f"{rng.getrandbits(48):012x}.mp4"
        blind_copy(video, folder / names[video.path], *shape)
        on_copy(i + 1, len(videos))
    return names


def _data(path: Path) -> str:
    return f"data:video/mp4;base64,{base64.b64encode(path.read_bytes()).decode()}"


def _digest(data: Any) -> str:
    return hashlib.sha256(json.dumps(data, ensure_ascii=False).encode()).hexdigest()[:16]


def page(title: str, data: Mapping[str, Any]) -> str:
    """The page's HTML: nothing but what is in it may run or be loaded, videos beside it apart."""
    here = files("dysenvdm.studies.human")
    script, style, frame = (
        (here / "page" / name).read_text(encoding="utf-8") for name in ("page.js", "page.css", "page.html")
    )
    parts = {
        "title": html.escape(title),
        "script-hash": _source_hash(script),
        "style-hash": _source_hash(style),
        "style": style,
        "script": script,
        # "<" as an escape: no prompt can end the element that it stands in.
        "data": json.dumps(data, ensure_ascii=False).replace("<", "\\u003c"),
    }
    return re.sub(r"\{\{([a-z-]+)\}\}", lambda place: parts[place[1]], frame)


def _source_hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
