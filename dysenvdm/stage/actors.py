"""Drawing actors: a table of poses becomes coloured polygons; a figure for people, one for four legs, and birds."""

from __future__ import annotations

import numpy as np

from dysenvdm.stage.beasts import beast
from dysenvdm.stage.birds import BIRDS
from dysenvdm.stage.figure import channel
from dysenvdm.stage.people import person
from dysenvdm.stage.shapes import Real, Shape
from dysenvdm.stage.world import ACTORS, COLORS


def draw_actor(kind: str, garment: str, color: str, pose: Real, scale: float = 1.0) -> list[Shape]:
    """Shapes of an actor at the origin facing right, from back to front; ``pose`` is ``(f, len(CHANNELS))``.

    ``scale`` is of the figure: how high it jumps is the pose's.
    """
    paint = COLORS[color]
    if ACTORS[kind].person:
        shapes, middle = person(kind, garment, paint, pose)
    elif ACTORS[kind].body == "bird":
        shapes, middle = BIRDS[kind](paint, pose)
    else:
        shapes, middle = beast(kind, paint, pose)
    return _placed(shapes, middle, pose, scale)


def _placed(shapes: list[Shape], middle: float, pose: Real, scale: float) -> list[Shape]:
    """Roll the figure about its middle, which comes down to the ground on the way, then scale, turn and lift it."""
    roll, turn, lift = channel(pose, "roll"), channel(pose, "turn"), channel(pose, "lift")
    pivot = 1j * middle
    rest = 1j * (middle + (3.6 - middle) * np.abs(np.sin(roll)) + lift / scale)
    spin = np.exp(1j * roll)[:, None]
    placed = []
    for shape in shapes:
        z = scale * ((shape.points - pivot) * spin + rest[:, None])
        placed.append(Shape(shape.color, turn[:, None] * z.real + 1j * z.imag))
    return placed
