"""Drawing the heads of four-legged animals, from their chest; ``along`` is the body's direction ``(f,)``."""

from __future__ import annotations

from collections.abc import Callable

from dysenvdm.stage.figure import EYE, darker
from dysenvdm.stage.shapes import Complex, Shape, capsule, disc, ellipse, polygon
from dysenvdm.stage.world import COLORS


def mane(paint: str) -> str:
    """The colour of a horse's mane and tail."""
    return "#2a1a12" if paint != COLORS["black"] else "#6a6a74"


def spot(paint: str) -> str:
    """The colour of a giraffe's spots."""
    return "#8a4a1c" if paint != COLORS["brown"] else "#e9c48d"


def _dog_head(paint: str, chest: Complex, along: Complex) -> list[Shape]:
    head = chest + 3.4 * along + 6j
    ear = darker(paint, 0.6) if paint != COLORS["black"] else "#5a5a66"
    return [
        capsule(paint, chest + 1.0 * along, head, 5.5),
        disc(paint, head, 3.9),
        capsule(paint, head + 1.5 - 1j, head + 5.2 - 1.4j, 3.8, 3.2),
        disc(EYE if paint != COLORS["black"] else "#f0a0a0", head + 6.4 - 0.8j, 1.2),
        capsule(ear, head - 1.6 + 2.4j, head - 3.0 - 3j, 2.8, 3.2),
        *_eye(paint, head + 1.5 + 1.1j),
    ]


def _cat_head(paint: str, chest: Complex, along: Complex) -> list[Shape]:
    head = chest + 3.0 * along + 4.6j
    shade = darker(paint, 0.7) if paint != COLORS["black"] else "#55555f"
    return [
        polygon(paint, head - 3.9 + 0.8j, head - 3.6 + 6.6j, head + 0.2 + 3j),
        polygon(paint, head + 3.9 + 0.8j, head + 3.8 + 6.6j, head + 0.2 + 3j),
        disc(paint, head, 3.9),
        disc("#f7f2e8", head + 1.9 - 1.7j, 1.7),
        disc("#8df03c" if paint != COLORS["orange"] else EYE, head - 0.7 + 0.8j, 0.9),
        disc("#8df03c" if paint != COLORS["orange"] else EYE, head + 2.4 + 0.8j, 0.9),
        *(capsule(shade, chest + (x + 2.2j) * along, chest + (x + 0.2j) * along, 1.2) for x in (-3.0, -6.0)),
    ]


def _horse_head(paint: str, chest: Complex, along: Complex) -> list[Shape]:
    poll = chest + (4.6 + 9.6j) * along
    neck = chest + (0.8 + 1j) * along
    muzzle = poll + 5.6 - 3.6j
    return [
        capsule(mane(paint), neck + (-2.2 + 2j) * along, poll - 1.8 + 1.2j, 3.6),
        capsule(paint, neck, poll, 6.0, 4.4),
        capsule(paint, poll, muzzle, 4.8, 3.8),
        polygon(paint, poll - 1.6 + 1.4j, poll - 0.6 + 4.6j, poll + 1 + 1.6j),
        disc(darker(paint, 0.6) if paint != COLORS["black"] else "#6a6a74", muzzle + 0.3 - 0.2j, 1.5),
        *_eye(paint, poll + 1.6 + 0.2j),
    ]


def _elephant_head(paint: str, chest: Complex, along: Complex) -> list[Shape]:
    head = chest + (5.2 + 4.4j) * along
    bend = head + 5.4 - 4.4j
    ear = darker(paint, 0.74)
    return [
        disc(paint, head, 5.6),
        capsule(paint, head + 3.2 - 0.6j, bend, 4.4, 3.4),
        capsule(paint, bend, bend + 0.4 - 5j, 3.4, 2.6),
        capsule("#ffffff", head + 3.4 - 3.8j, head + 6.6 - 6.2j, 1.6, 1.0),
        ellipse(ear, head - 3.4 - 0.2j, 3.6, 5.4, along),
        *_eye(paint, head + 2.2 + 1.4j),
    ]


def _eye(paint: str, at: Complex) -> list[Shape]:
    return [disc("#ffffff" if paint in (COLORS["black"], COLORS["brown"]) else EYE, at, 0.9)]


def _rabbit_head(paint: str, chest: Complex, along: Complex) -> list[Shape]:
    head = chest + (2.6 + 3.8j) * along
    inner = "#f7a8bc"
    shapes = []
    for root, tip, color in ((-1.0 + 2.4j, -4.2 + 9.4j, darker(paint, 0.8)), (0.6 + 2.4j, -0.4 + 10.4j, paint)):
        shapes.append(capsule(color, head + root, head + tip, 2.8, 2.4))
    shapes.append(capsule(inner, head + 0.5 + 4j, head - 0.3 + 9.4j, 1.1))
    return [
        *shapes,
        disc(paint, head, 3.5),
        disc("#ffffff" if paint != COLORS["white"] else "#e6e2ea", head + 2 - 1.6j, 1.5),
        disc("#e8718f", head + 3.4 - 0.4j, 0.9),
        *_eye(paint, head + 1.2 + 0.9j),
    ]


def _cow_head(paint: str, chest: Complex, along: Complex) -> list[Shape]:
    head = chest + (5.2 + 4.6j) * along
    muzzle = head + 3.6 - 2.8j
    return [
        capsule(paint, chest + 1.6j * along, head, 7.0, 5.0),
        capsule("#efe6d2", head - 0.6 + 2.6j, head - 1.4 + 6j, 1.7, 1.0),
        capsule("#efe6d2", head + 2.0 + 2.4j, head + 3.4 + 5.6j, 1.7, 1.0),
        capsule(darker(paint, 0.8), head - 2.4 + 1.6j, head - 5 + 0.8j, 2.4, 1.8),
        capsule(paint, head, muzzle, 6.0, 4.8),
        ellipse("#f5a3b5", muzzle + 0.6 - 0.6j, 2.7, 2.3, along),
        disc("#b8566c", muzzle + 1.8 - 0.2j, 0.7),
        *_eye(paint, head + 1.2 + 1.2j),
    ]


def _bear_head(paint: str, chest: Complex, along: Complex) -> list[Shape]:
    head = chest + (4.6 + 4.8j) * along
    pale = "#d8a873" if paint == COLORS["brown"] else "#8a8a94" if paint == COLORS["black"] else "#d9d5cc"
    return [
        disc(darker(paint, 0.8) if paint != COLORS["black"] else "#4a4a52", head - 3.6 + 4.2j, 2.3),
        disc(paint, head + 2.6 + 4.8j, 2.3),
        disc(pale, head + 2.6 + 4.8j, 1.1),
        disc(paint, head, 5.6),
        ellipse(pale, head + 4.2 - 1.6j, 3.0, 2.5, along),
        disc(EYE, head + 6.2 - 0.6j, 1.3),
        *_eye(paint, head + 2.4 + 1.8j),
    ]


def _sheep_head(paint: str, chest: Complex, along: Complex) -> list[Shape]:
    head = chest + (4.8 + 3.4j) * along
    face = "#3a3230"
    return [
        capsule(face, head, head + 2.2 - 2.8j, 5.0, 3.8),
        capsule(face, head - 1.6 + 0.8j, head - 4.2 - 0.6j, 2.0, 1.6),
        disc(paint, head - 0.6 + 2.6j, 2.4),
        disc("#ffffff", head + 1.4 + 0.2j, 0.9),
    ]


def _pig_head(paint: str, chest: Complex, along: Complex) -> list[Shape]:
    head = chest + (3.8 + 1.4j) * along
    snout = "#ff9fbf" if paint != COLORS["pink"] else "#d94f8a"
    return [
        disc(paint, head, 4.4),
        polygon(darker(paint, 0.8), head - 3.4 + 2.4j, head - 2.2 + 6.2j, head + 0.2 + 3.8j),
        polygon(darker(paint, 0.8), head + 0.6 + 3.8j, head + 2.6 + 6.2j, head + 3.2 + 2.4j),
        capsule(snout, head + 3.6 - 1.2j, head + 5.2 - 1.2j, 4.2, 4.0),
        disc(EYE, head + 6 - 1.0j, 0.7),
        *_eye(paint, head + 1.8 + 1.4j),
    ]


def _giraffe_head(paint: str, chest: Complex, along: Complex) -> list[Shape]:
    root, poll = chest + (0.6 + 1j) * along, chest + (4.2 + 15.6j) * along
    muzzle = poll + 4.4 - 2j
    neck = [root + (poll - root) * share for share in (0.26 + 0j, 0.52 + 0j, 0.78 + 0j)]
    return [
        capsule(paint, root, poll, 5.4, 3.8),
        *(disc(spot(paint), place, 1.3) for place in neck),
        capsule("#5a3216", poll - 0.8 + 1.4j, poll - 1.4 + 4.4j, 1.2),
        disc("#5a3216", poll - 1.4 + 4.6j, 1.1),
        polygon(darker(paint, 0.8), poll - 1.4 + 1.2j, poll - 4.8 + 1.6j, poll - 1.6 - 0.8j),
        capsule(paint, poll, muzzle, 4.2, 3.2),
        disc(darker(paint, 0.7), muzzle + 0.6 - 0.2j, 1.3),
        *_eye(paint, poll + 1.2 + 0.6j),
    ]


HEADS: dict[str, Callable[[str, Complex, Complex], list[Shape]]] = {
    "dog": _dog_head,
    "cat": _cat_head,
    "horse": _horse_head,
    "elephant": _elephant_head,
    "rabbit": _rabbit_head,
    "cow": _cow_head,
    "bear": _bear_head,
    "sheep": _sheep_head,
    "pig": _pig_head,
    "giraffe": _giraffe_head,
}
