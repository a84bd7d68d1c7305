"""Looks: every kind is drawn, in the picture, unlike all others, and those that trained weights know as ever."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from itertools import combinations, pairwise
from random import Random

import numpy as np
import pytest
from PIL import ImageColor

from dysenvdm.stage import render as rendering
from dysenvdm.stage.actors import draw_actor
from dysenvdm.stage.catalogue import scene
from dysenvdm.stage.figure import CHANNELS, INDEX
from dysenvdm.stage.looks import fits, hidden, sample_prop, sample_role, sample_weather
from dysenvdm.stage.motion import PropTrack
from dysenvdm.stage.props import draw_prop
from dysenvdm.stage.render import boxes, figures, render
from dysenvdm.stage.script import Prop, Role, Script
from dysenvdm.stage.shapes import Shape
from dysenvdm.stage.weather import background
from dysenvdm.stage.world import ACTORS, COLORS, INDOORS, PROPS, SETTINGS, SIZES, WEATHERS, weathers_of

PINNED_ACTORS = (
    ("girl coat", "red", "450960f7f4f28567"),
    ("girl dress", "red", "55280021a4766098"),
    ("boy shirt", "blue", "6d0783dcfa710377"),
    ("boy coat", "blue", "88664d526fa06c3c"),
    ("woman dress", "white", "47a0f799feb0da84"),
    ("woman coat", "white", "53de57004998f18d"),
    ("man shirt", "green", "b56102e9e8950ccf"),
    ("man coat", "green", "8be21fe87154b673"),
    ("dog", "black", "e4a18d8da9591b75"),
    ("cat", "orange", "7326c41c783e328b"),
    ("horse", "brown", "fbb13cf848edb644"),
    ("duck", "yellow", "7dc385ca4eb4af07"),
    ("elephant", "grey", "327ecdeeabada49e"),
)
PINNED_PROPS = (
    ("box", "6fe961574d1bb0d5"),
    ("ball", "fe0441bb4b03da84"),
    ("chair", "cfe43aaba7397c06"),
    ("bench", "373e51358d19337a"),
    ("tree", "41ff5a5a0c5a5b5c"),
    ("table", "ddc94e2ab0c00c9c"),
    ("rock", "161d4d4574137bae"),
    ("wagon", "6434f0d480d54501"),
)
PINNED_SETTINGS = (
    ("park", "abe3cb51a9a00dbb"),
    ("beach", "164fdf7d026fe7f3"),
    ("street", "debe2fe79727f71e"),
    ("room", "10218e448caaa18a"),
    ("snow field", "7ff6ea930e720985"),
)


def role(kind: str, *, garment: str | None = None, color: str = "", size: str = "", x: float = 32.0) -> Role:
    actor = ACTORS[kind]
    worn = (actor.garments or ("",))[0] if garment is None else garment
    return Role(kind, kind, worn, color or actor.colors[0], says_color=True, x=x, size=size)


def picture(script: Script, size: int = 64) -> np.ndarray:
    return render(script, 1, size)[0].astype(int)


def digest(shapes: list[Shape]) -> str:
    figure = rendering._figure("", shapes, 64)
    return hashlib.sha256(repr((figure.colors, figure.ends)).encode() + figure.corners.tobytes()).hexdigest()[:16]


def poses() -> np.ndarray:
    """Some poses as no action has them."""
    frame, channel = np.arange(6)[:, None], np.arange(len(CHANNELS))
    table = 0.8 * np.sin(1.7 * frame + channel)
    table[:, INDEX["turn"]], table[:, INDEX["lift"]] = 1.0, 1.5 * frame[:, 0]
    return table


@pytest.mark.parametrize(("name", "color", "expected"), PINNED_ACTORS)
def test_the_first_actors_look_as_ever(name: str, color: str, expected: str) -> None:
    """As they were drawn when the first weights were trained."""
    kind, _, garment = name.partition(" ")
    assert digest(draw_actor(kind, garment, color, poses())) == expected


@pytest.mark.parametrize(("kind", "expected"), PINNED_PROPS)
def test_the_first_props_look_as_ever(kind: str, expected: str) -> None:
    assert digest(draw_prop(kind, np.linspace(10, 20, 6) + 2j, np.linspace(0, np.pi, 6))) == expected


@pytest.mark.parametrize(("setting", "expected"), PINNED_SETTINGS)
def test_the_first_settings_look_as_ever(setting: str, expected: str) -> None:
    assert hashlib.sha256(render(scene(setting), 1, 64).tobytes()).hexdigest()[:16] == expected


# -- kinds are unlike -------------------------------------------------------------------------------------------------

OLD_ACTORS = tuple(dict.fromkeys(name.split()[0] for name, _, _ in PINNED_ACTORS))
OLD_PROPS = tuple(kind for kind, _ in PINNED_PROPS)
STAGE = scene("park")


def unlikeness(a: np.ndarray, b: np.ndarray) -> float:
    """The share of pixels of either figure in which they differ, wherever ``a`` is moved a little to fit best."""
    empty = picture(STAGE)
    shares = []
    for way in ((dy, dx) for dy in (0, 1) for dx in (-2, -1, 0, 1, 2)):
        there = np.roll((a != empty).any(-1), way, (0, 1))
        moved = np.where(there[..., None], np.roll(a, way, (0, 1)), empty)
        unlike = np.abs(moved - b).max(-1) > 48
        shares.append(unlike.sum() / (there | (b != empty).any(-1)).sum())
    return float(min(shares))


def closest(pictures: dict[str, np.ndarray], among: Iterable[str] = ()) -> float:
    """How unlike the most alike two are: of all, or of those ``among`` which both are."""
    chosen = set(among) or pictures.keys()
    return min(unlikeness(pictures[a], pictures[b]) for a, b in combinations(pictures, 2) if {a, b} <= chosen)


def test_new_actors_are_no_more_alike_than_the_first_ones() -> None:
    """In one colour, people in the garments that most of them have."""
    worn = {
        kind: "coat" if "coat" in actor.garments else actor.garments[0]
        for kind, actor in ACTORS.items()
        if actor.person
    }
    people = {
        kind: picture(scene("park", roles=(role(kind, garment=garment, color="red"),)))
        for kind, garment in worn.items()
    }
    old = closest(people, OLD_ACTORS)
    assert closest(people) == old > 0.3
    for color in ("brown", "white", "black"):
        animals = {
            kind: picture(scene("park", roles=(role(kind, color=color),)))
            for kind, actor in ACTORS.items()
            if not actor.person and color in actor.colors
        }
        assert closest(animals) >= old, color


def test_new_props_are_no_more_alike_than_the_first_ones() -> None:
    props = {kind: picture(scene("park", props=(Prop(kind, 32),))) for kind in PROPS}
    assert closest(props) == closest(props, OLD_PROPS) > 0.2


def test_garments_colours_and_sizes_show() -> None:
    """The least that tells two looks of one kind apart is what tells the first coats from shirts and dresses."""

    def pixels(a: Role, b: Role) -> int:
        one, other = (picture(scene("park", roles=(who,))) for who in (a, b))
        return int((np.abs(one - other).max(-1) > 48).sum())

    least = min(
        pixels(role(k, garment="coat"), role(k, garment=g))
        for k, g in (("girl", "dress"), ("boy", "shirt"), ("woman", "dress"), ("man", "shirt"))
    )
    assert least > 10
    for kind, actor in ACTORS.items():
        for a, b in combinations(actor.garments, 2):
            assert pixels(role(kind, garment=a), role(kind, garment=b)) >= least, (kind, a, b)
        for a, b in combinations(actor.colors, 2):
            assert pixels(role(kind, color=a), role(kind, color=b)) >= least, (kind, a, b)
        for size in actor.sizes:
            assert pixels(role(kind), role(kind, size=size)) >= least, (kind, size)


def test_a_colour_is_the_colour_of_many_pixels() -> None:
    for kind, prop in PROPS.items():
        for color in prop.colors:
            paint = np.array(ImageColor.getrgb(COLORS[color]))
            near = (np.abs(picture(scene("park", props=(Prop(kind, 32, color=color),))) - paint) < 40).all(-1).sum()
            assert near >= 10, (kind, color)


def test_places_and_weathers_are_unlike() -> None:
    shown = {(s, w): picture(scene(s, weather=w)) for s in SETTINGS for w in weathers_of(s)}
    assert {weather for _, weather in shown} == {"", *WEATHERS}
    for a, b in combinations(shown, 2):
        assert (np.abs(shown[a] - shown[b]).max(-1) > 24).mean() > 0.2, (a, b)


# -- in the picture, at every size ------------------------------------------------------------------------------------


def test_everybody_stays_in_the_picture() -> None:
    """Who stands at the edge reaches over it by no more than the first kinds do, and has room to jump."""
    over: dict[tuple[str, str], float] = {}
    for kind, actor in ACTORS.items():
        for size in ("", *actor.sizes):
            who = role(kind, size=size)
            x0, y0, x1, y1 = boxes(scene("park", roles=(who,)), 1)[kind][0] * 64
            over[kind, size] = (max(32 - x0, x1 - 32) - who.half) / who.scale
            assert y0 > 0
            assert abs(y1 - 57) < 1.5, "feet are on the ground"
    assert max(over.values()) <= max(over[kind, ""] for kind in OLD_ACTORS) + 0.05


def test_tables_say_how_big_props_are() -> None:
    for kind, prop in PROPS.items():
        for size in ("", *prop.sizes):
            thing = Prop(kind, 32, size=size)
            x0, y0, x1, y1 = boxes(scene("park", props=(thing,)), 1)[kind][0] * 64
            assert 57 - y0 == pytest.approx(prop.height * thing.scale, abs=0.4)
            assert 56.5 < y1 < 58.5  # on the ground
            assert thing.half - 0.2 <= (x1 - x0) / 2
            assert kind in ("tree", "umbrella") or (x1 - x0) / 2 <= 1.35 * thing.half  # one stands under these
            assert 0 <= thing.grip <= 57 - y0


def test_sizes_scale_figures_about_their_feet() -> None:
    usual, big = (
        next(figures(scene("park", roles=(role("dog", size=size),)), 1, 64)).corners.reshape(-1, 2) - (32, 57)
        for size in ("", "big")
    )
    assert np.abs(big - SIZES["big"] * usual).max() < 0.05


@pytest.mark.parametrize("size", [96, 128, 256])
def test_figures_are_the_same_at_every_size(size: int) -> None:
    everything = scene(
        "farm", roles=tuple(role(kind) for kind in ACTORS), props=tuple(Prop(kind, 20) for kind in PROPS)
    )
    for small, large in zip(figures(everything, 1, 64), figures(everything, 1, size), strict=True):
        assert (small.id, small.colors, small.ends) == (large.id, large.colors, large.ends)
        assert np.abs(large.corners * 64 / size - small.corners).max() <= 1 / 64


# -- weather ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("weather", ["", *WEATHERS])
def test_what_falls_and_drifts_moves(weather: str) -> None:
    script = scene("lake shore", weather=weather)
    video = render(script, 16, 64)
    moving = [bool((a != b).any()) for a, b in pairwise(video)]
    assert all(moving) if weather in ("rain", "snow", "fog") else not any(moving)
    assert (render(script, 16, 64) == video).all()
    assert (render(script, 32, 64)[::2] == video).all()


def test_rain_falls_before_everybody_and_fog_drifts_behind() -> None:
    elephant = scene("park", roles=(role("elephant"),))
    dry, wet, foggy = (render(replace(elephant, weather=weather), 16, 64) for weather in ("", "rain", "fog"))
    body = np.s_[:, 42:46, 26:34]
    assert (dry[body] == foggy[body]).all()
    assert (dry[body] != wet[body]).any()


def test_boxes_know_nothing_of_weather() -> None:
    script = scene("park", roles=(role("cow"),))
    assert (boxes(script, 4)["cow"] == boxes(replace(script, weather="rain"), 4)["cow"]).all()


def test_no_weather_indoors() -> None:
    assert all(weathers_of(setting) == ("",) for setting in INDOORS)
    assert all(background(setting, "") for setting in SETTINGS)


# -- what is held, and who is told from the ground -------------------------------------------------------------------


def test_what_is_held_is_in_front(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = np.array([False, True])
    track = PropTrack(np.full(2, 32.0), np.full(2, 6.0), np.zeros(2), frames)
    monkeypatch.setattr(rendering, "prop_track", lambda *_: track)
    video = render(scene("park", roles=(role("elephant"),), props=(Prop("book", 32, color="red"),)), 2, 64)
    book = np.array(ImageColor.getrgb(COLORS["red"]))
    assert [(frame[42:51, 30:35] == book).all(-1).any() for frame in video] == frames.tolist()


def test_sampled_looks_are_those_of_the_kinds_and_all_occur() -> None:
    rng = Random(0)
    people, props, skies = set(), set(), set()
    for _ in range(3000):
        setting = rng.choice(tuple(SETTINGS))
        weather, said = sample_weather(rng, setting)
        assert weather in weathers_of(setting)
        assert weather or not said
        skies.add((setting, weather))
        hard = hidden(setting, weather)
        kind, thing = rng.choice(tuple(ACTORS)), rng.choice(tuple(PROPS))
        one = sample_role(rng, kind, kind, hard, ())
        assert one is not None
        assert one.color not in hard
        other = sample_role(rng, f"{kind}_2", kind, hard, (one,))
        assert other is None or (other.color != one.color and other.says_color)
        prop = sample_prop(rng, thing, hard)
        assert bool(prop.color) == bool(PROPS[thing].colors)
        people.add((kind, one.garment, one.size))
        props.add((thing, prop.color, prop.size))
        assert fits(thing, setting) or setting in INDOORS
    assert {k for k, _, _ in people} == set(ACTORS)
    assert {(k, g) for k, g, _ in people} == {(k, g) for k, a in ACTORS.items() for g in a.garments or ("",)}
    assert {(k, s) for k, _, s in people} == {(k, s) for k, a in ACTORS.items() for s in ("", *a.sizes)}
    assert {(k, s) for k, _, s in props} == {(k, s) for k, p in PROPS.items() for s in ("", *p.sizes)}
    assert {(k, c) for k, c, _ in props} == {(k, c) for k, p in PROPS.items() for c in p.colors or ("",)}
    assert skies == {(setting, weather) for setting in SETTINGS for weather in weathers_of(setting)}
