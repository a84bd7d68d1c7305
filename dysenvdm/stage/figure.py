"""What every figure has: channels of its pose, and limbs.

A pose table is real ``(f, len(CHANNELS))``; angles are in radians, limbs hang down at 0 and swing forward with growing
angle. Figures are drawn around the origin, facing right, feet on y = 0.
"""

from __future__ import annotations

import numpy as np

from dysenvdm.stage.shapes import Complex, Real, Shape, capsule, direction

CHANNELS = (
    "lift",  # height of the feet above the ground, pixels
    "turn",  # +1 faces the figure's way, -1 the other; between while it spins
    "roll",  # rotation of the whole figure: negative onto its face, positive onto its back
    "lean",  # people: the upper body forward; animals: the chest up
    "leg1", "shin1", "leg2", "shin2",  # near and far leg; animals: hind legs
    "arm1", "hand1", "arm2", "hand2",  # near and far arm; animals: front legs; arm1 of a bird: its wing
)  # fmt: skip
INDEX = {name: i for i, name in enumerate(CHANNELS)}
EYE = "#15151a"

Limb = tuple[Complex, Complex, Complex]
"""Where it starts, bends and ends, each ``(f,)``."""


def darker(color: str, factor: float = 0.74) -> str:
    """The same colour in the shade."""
    return "#" + "".join(f"{round(int(color[i : i + 2], 16) * factor):02x}" for i in (1, 3, 5))


def channel(pose: Real, name: str) -> Real:
    """One column of a pose table ``(f,)``."""
    column: Real = pose[:, INDEX[name]]
    return column


def limb(start: Complex, pose: Real, upper: str, lower: str, length: float) -> Limb:
    """An arm or leg of that length from ``start``, bent as two channels of the pose say."""
    joint = start + length / 2 * direction(channel(pose, upper))
    return start, joint, joint + length / 2 * direction(channel(pose, lower))


def drop(limb: Limb) -> Real:
    """How far a limb reaches below its start ``(f,)``."""
    lowest: Real = np.maximum(limb[0].imag - limb[1].imag, limb[0].imag - limb[2].imag)
    return lowest


def moved(limb: Limb, way: Complex) -> Limb:
    a, b, c = limb
    return a + way, b + way, c + way


def draw_limb(color: str, limb: Limb, width: float) -> list[Shape]:
    a, b, c = limb
    return [capsule(color, a, b, width), capsule(color, b, c, width, width * 0.85)]
