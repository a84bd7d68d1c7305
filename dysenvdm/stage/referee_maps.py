"""Between readings and the referee's maps: labels of a clip, maps to learn from them, and maps back to a reading.

Letters: ``b`` clip, ``f`` frame, ``n`` thing (from back to front, padded), ``h w`` cells of the grid, ``k`` classes.
"""

from __future__ import annotations

import numpy as np
import torch
from einops import rearrange
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from dysenvdm.stage.clip import StageClip
from dysenvdm.stage.motion import actor_track
from dysenvdm.stage.reading import Box, Reading, Seen, Vocabulary, gold_reading
from dysenvdm.stage.world import PROPS

GRID = 16
MOST_THINGS = 12
"""Actors and props of one clip."""
SPREAD = 0.8
"""Standard deviation of a centre's heat, in cells."""
THRESHOLD = 0.35
"""Heat at which something is seen."""
SAME = 0.75
"""Two actors in neighbouring cells whose boxes overlap by more than this are one."""
STRIDE = 0.25
"""How far somebody can get from one frame to the next, in picture widths: a jump in a clip of few frames."""
LOST = 4
"""Frames after which somebody who was not seen is somebody new."""

OF_FRAMES = frozenset({"box", "centre", "action", "target"})
"""Labels that every frame has its own of."""

Maps = dict[str, Tensor]
Labels = dict[str, Tensor]


def labels_of(clip: StageClip, words: Vocabulary) -> Labels:
    """Numbers of a clip's gold reading: kind, color, garment, size (n), box (f n 4), centre (f n 2), action and target
    (f n), setting and weather ().

    ``centre`` is a prop's box's and an actor's trunk's, which two who hug have apart; ``target`` is the number of a
    thing, -1 for none; ``kind`` is -1 where there is no thing, ``color`` where there is none to choose.
    """
    reading = gold_reading(clip)
    idents = [thing.ident for thing in reading.frames[0]]
    assert len(idents) <= MOST_THINGS, idents
    frames, pad = len(reading.frames), MOST_THINGS - len(idents)

    def padded(values: list[int]) -> list[int]:
        return values + [-1] * pad

    first = reading.frames[0]
    boxes = np.zeros((frames, MOST_THINGS, 4), np.float32)
    boxes[:, : len(idents)] = [[thing.box for thing in frame] for frame in reading.frames]
    centre = (boxes[..., :2] + boxes[..., 2:]) / 2
    for role in clip.script.roles:
        centre[:, idents.index(role.id), 0] = actor_track(clip.script, role, frames).x / 64
    action = [padded([words.actions.index(thing.action) for thing in frame]) for frame in reading.frames]
    target = [
        padded([idents.index(thing.target) if thing.target else -1 for thing in frame]) for frame in reading.frames
    ]
    return {
        "kind": torch.tensor(padded([words.kinds.index(thing.kind) for thing in first])),
        "color": torch.tensor(padded([words.colors.index(thing.color) if thing.color else -1 for thing in first])),
        "garment": torch.tensor(padded([words.garments.index(thing.garment) for thing in first])),
        "size": torch.tensor(padded([words.sizes.index(thing.size) for thing in first])),
        "box": torch.from_numpy(boxes),
        "centre": torch.from_numpy(centre),
        "action": torch.tensor(action),
        "target": torch.tensor(target),
        "setting": torch.tensor(words.settings.index(reading.setting)),
        "weather": torch.tensor(words.weathers.index(reading.weather)),
    }


def maps_of(labels: Labels, words: Vocabulary, reach: int = 1) -> Maps:
    """What a perfect referee says of a batch of labels: "heat" (b f k h w) in 0..1, and targets per cell (b f h w).

    Cells up to ``reach`` beside an actor's centre say what the actor says ("color", "garment", "size", "action",
    "target": the class; "actor_box" (… 4), "offset" (… 2): lengths in picture widths from the cell's middle); -1 where
    there is none. Of two actors the nearer one counts, then the one in front. "prop_box", "prop_color", "prop_size" are
    the same for props. "setting" and "weather" are the labels'.
    """
    kind, box, centre, target = (labels[name] for name in ("kind", "box", "centre", "target"))
    frames = box.shape[1]
    cell = (centre * GRID).long().clamp(0, GRID - 1)
    axis = torch.arange(GRID, device=box.device)
    dx = axis - cell[..., 0, None]  # b f n w
    dy = axis - cell[..., 1, None]
    distance = dy[..., :, None].square() + dx[..., None, :].square()  # b f n h w
    heat = torch.exp(-distance / (2 * SPREAD**2))
    kinds = torch.arange(len(words.kinds), device=box.device)
    of_kind = kind[:, :, None] == kinds  # b n k
    maps: Maps = {
        "heat": torch.stack(
            [(heat * of_kind[:, None, :, k, None, None]).amax(dim=2) for k in range(len(words.kinds))], dim=2
        ),
        "setting": labels["setting"],
        "weather": labels["weather"],
    }
    near = torch.maximum(dy.abs()[..., :, None], dx.abs()[..., None, :]) <= reach
    in_front = torch.arange(MOST_THINGS, device=box.device) * 1e-3
    closeness = in_front[:, None, None] - distance.float()
    actor = (kind >= 0) & (kind < len(words.actors))
    middle = (axis + 0.5) / GRID
    corners = torch.stack([middle, middle, middle, middle])  # x0 y0 x1 y1 are measured from these
    for name, mask in (("actor", actor), ("prop", kind >= len(words.actors))):
        mine = near & mask[:, None, :, None, None]
        owner = torch.where(mine, closeness, -torch.inf).argmax(dim=2)  # b f h w
        none = ~mine.any(dim=2)
        gathered = _of(box, owner)
        across, down = corners[0].expand(GRID, GRID), corners[0][:, None].expand(GRID, GRID)
        origin = torch.stack([across, down, across, down], dim=-1)
        maps[f"{name}_box"] = torch.where(none[..., None], -1.0, gathered - origin)
        maps[f"{name}_cells"] = ~none
        looks = {"color": "color", "size": "size", "garment": "garment"}
        if name == "prop":
            looks = {"prop_color": "color", "prop_size": "size"}
        for answer, part in looks.items():
            maps[answer] = torch.where(none, -1, _of(labels[part][:, None].expand(-1, frames, -1), owner))
        if name == "prop":
            continue
        maps["action"] = torch.where(none, -1, _of(labels["action"], owner))
        aim = target.clamp(min=0)
        aimed_kind = torch.where(target < 0, len(words.kinds), _of_thing(kind, aim))
        maps["target"] = torch.where(none, -1, _of(aimed_kind, owner))
        there = torch.gather(centre, 2, aim[..., None].expand(-1, -1, -1, 2))
        maps["offset"] = torch.where(none[..., None], -1.0, _of(there, owner) - origin[..., :2])
        maps["aims"] = ~none & (_of(target, owner) >= 0)
    return maps


def _of(values: Tensor, owner: Tensor) -> Tensor:
    """``values`` (b f n ...) of the thing that owns each cell (b f h w): (b f h w ...)."""
    flat = rearrange(owner, "b f h w -> b f (h w)")
    if values.dim() == 4:
        flat = flat[..., None].expand(-1, -1, -1, values.shape[-1])
    found: Tensor = torch.gather(values, 2, flat).unflatten(2, owner.shape[2:])
    return found


def _of_thing(values: Tensor, thing: Tensor) -> Tensor:
    """``values`` (b n) of things (b f n)."""
    return torch.gather(values[:, None].expand(-1, thing.shape[1], -1), 2, thing)


def classes_of(words: Vocabulary) -> dict[str, int]:
    """How many answers there are to each question about a cell."""
    return {
        "color": len(words.colors),
        "garment": len(words.garments),
        "size": len(words.sizes),
        "action": len(words.actions),
        "target": len(words.kinds) + 1,
        "prop_color": len(words.colors),
        "prop_size": len(words.sizes),
    }


def as_logits(maps: Maps, words: Vocabulary) -> Maps:
    """The maps of :func:`maps_of` in the form in which the network gives its answers: (b f k h w)."""
    classes = classes_of(words)
    logits = {
        name: rearrange(20.0 * F.one_hot(maps[name].clamp(min=0), count), "b f h w k -> b f k h w")
        for name, count in classes.items()
    }
    lengths = {name: rearrange(maps[name], "b f h w k -> b f k h w") for name in ("actor_box", "prop_box", "offset")}
    places = {
        name: 20.0 * F.one_hot(maps[name], len(values))
        for name, values in (("setting", words.settings), ("weather", words.weathers))
    }
    return {**logits, **lengths, **places, "heat": torch.logit(maps["heat"], 1e-6)}


# -- from maps to a reading ----------------------------------------------------------------------------------------


class _Found:
    """Something seen in one frame, before it is known who it is."""

    def __init__(self, kind: str, heat: float, box: Box, cell: tuple[int, int]) -> None:
        self.kind, self.heat, self.box, self.cell = kind, heat, box, cell

    @property
    def centre(self) -> NDArray[np.float64]:
        return (np.array(self.cell[::-1]) + 0.5) / GRID


def read_maps(maps: Maps, words: Vocabulary) -> Reading:
    """The reading of one clip's maps as :class:`Referee` gives them, on the CPU: logits (f k h w), "setting" and
    "weather" (k).
    """
    heat = maps["heat"].sigmoid()
    peaks = (heat > THRESHOLD) & (heat == F.max_pool2d(heat, 3, stride=1, padding=1))
    frames = [_found(maps, heat, peaks, f, words) for f in range(len(heat))]
    tracks = _tracks([[thing for thing in frame if thing.kind in words.actors] for frame in frames])
    names = _names(tracks)
    seen: list[list[tuple[str, _Found]]] = [[] for _ in frames]
    for name, track in zip(names, tracks, strict=True):
        for f, thing in track.items():
            seen[f].append((name, thing))
    for f, frame in enumerate(frames):
        props: dict[str, _Found] = {}
        for thing in frame:
            if thing.kind in words.props and thing.heat > getattr(props.get(thing.kind), "heat", 0.0):
                props[thing.kind] = thing
        seen[f] += list(props.items())
    parts = {name: maps[name].argmax(dim=1) for name in classes_of(words)}
    setting, weather = words.settings[int(maps["setting"].argmax())], words.weathers[int(maps["weather"].argmax())]
    return Reading(setting, tuple(_frame(maps, parts, f, things, words) for f, things in enumerate(seen)), weather)


def _found(maps: Maps, heat: Tensor, peaks: Tensor, f: int, words: Vocabulary) -> list[_Found]:
    """What is seen in frame ``f``, hottest first; of two actors in one place only the hotter."""
    found: list[_Found] = []
    spots = [(float(heat[f, k, y, x]), k, y, x) for k, y, x in peaks[f].nonzero().tolist()]
    for warmth, k, y, x in sorted(spots, reverse=True):
        kind = words.kinds[k]
        actor = kind in words.actors
        edges = maps["actor_box" if actor else "prop_box"][f, :, y, x].tolist()
        across, down = (x + 0.5) / GRID, (y + 0.5) / GRID
        x0, y0, x1, y1 = (
            min(max(edge + origin, 0.0), 1.0) for edge, origin in zip(edges, (across, down) * 2, strict=True)
        )
        box = (min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1))
        thing = _Found(kind, warmth, box, (y, x))
        if actor and any(_same(thing, other) for other in found if other.kind in words.actors):
            continue
        found.append(thing)
    return found


def _same(a: _Found, b: _Found) -> bool:
    apart = max(abs(a.cell[0] - b.cell[0]), abs(a.cell[1] - b.cell[1]))
    return apart == 0 or (apart == 1 and overlap(a.box, b.box) > SAME)


def overlap(a: Box, b: Box) -> float:
    """Intersection over union of two boxes."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


def _tracks(frames: list[list[_Found]]) -> list[dict[int, _Found]]:
    """Who is who over time: the nearest pairs are joined first, those of a kind before others.

    Who is seen for less than an eighth of the clip is not there.
    """
    tracks: list[dict[int, _Found]] = []
    for f, things in enumerate(frames):
        pairs = []
        for i, track in enumerate(tracks):
            last = max(track)
            if f - last > LOST:
                continue
            for j, thing in enumerate(things):
                way = float(np.linalg.norm(thing.centre - track[last].centre))
                if way < STRIDE * (1 + 0.5 * (f - last - 1)):
                    pairs.append((way + STRIDE * (thing.kind != _kind(track)), i, j))
        taken: dict[int, int] = {}
        for _, i, j in sorted(pairs):
            if i not in taken.values() and j not in taken:
                taken[j] = i
        for j, thing in enumerate(things):
            if j in taken:
                tracks[taken[j]][f] = thing
            else:
                tracks.append({f: thing})
    return [track for track in tracks if len(track) >= max(1, len(frames) // 8)]


def _kind(track: dict[int, _Found]) -> str:
    """The kind for which there is most evidence."""
    heat: dict[str, float] = {}
    for thing in track.values():
        heat[thing.kind] = heat.get(thing.kind, 0.0) + thing.heat
    return max(heat, key=lambda kind: heat[kind])


def _names(tracks: list[dict[int, _Found]]) -> list[str]:
    """As in scripts: the kind, numbered where there are several."""
    kinds = [_kind(track) for track in tracks]
    return [f"{kind}_{kinds[: i + 1].count(kind)}" if kinds.count(kind) > 1 else kind for i, kind in enumerate(kinds)]


def _frame(maps: Maps, parts: Maps, f: int, things: list[tuple[str, _Found]], words: Vocabulary) -> tuple[Seen, ...]:
    """What is seen in frame ``f``, with looks, actions and targets read where each actor's centre is."""
    seen = []
    for name, thing in things:
        y, x = thing.cell
        if thing.kind in words.props:
            color = words.colors[int(parts["prop_color"][f, y, x])] if PROPS[thing.kind].colors else ""
            seen.append(
                Seen(name, thing.kind, thing.box, color=color, size=words.sizes[int(parts["prop_size"][f, y, x])])
            )
            continue
        action = words.actions[int(parts["action"][f, y, x])]
        target = None
        aimed = int(parts["target"][f, y, x])
        if action and aimed < len(words.kinds):
            offset = maps["offset"][f, :, y, x].tolist()
            there = thing.centre + offset
            target = _target(words.kinds[aimed], there, name, things)
        color, garment = words.colors[int(parts["color"][f, y, x])], words.garments[int(parts["garment"][f, y, x])]
        size = words.sizes[int(parts["size"][f, y, x])]
        seen.append(Seen(name, thing.kind, thing.box, garment, color, action, target, size))
    return tuple(seen)


def _target(kind: str, there: NDArray[np.float64], agent: str, things: list[tuple[str, _Found]]) -> str:
    """Who or what of that kind is nearest to where the agent aims; the kind's name where none is seen."""
    options = [
        (float(np.linalg.norm(t.centre - there)), name) for name, t in things if t.kind == kind and name != agent
    ]
    return min(options)[1] if options else kind
