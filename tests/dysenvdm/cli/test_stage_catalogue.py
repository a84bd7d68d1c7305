"""``dysenvdm stage catalogue``: one picture of the whole world."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from typer.testing import CliRunner

from dysenvdm.cli.stage import app
from dysenvdm.stage.catalogue import catalogue, looks
from dysenvdm.stage.render import render
from dysenvdm.stage.world import ACTORS, PROPS, SETTINGS, weathers_of


def test_all_there_is_has_a_name_and_a_place_of_its_own() -> None:
    shown = {(kind, look): script for kind, look, script in looks()}
    assert len(shown) == len(list(looks()))
    scripts = list(shown.values())
    drawn = {(role.kind, role.garment, role.size) for script in scripts for role in script.roles}
    for kind, actor in ACTORS.items():
        assert {(kind, garment, "") for garment in actor.garments or ("",)} <= drawn
        assert {size for who, _, size in drawn if who == kind} == {"", *actor.sizes}
    assert {(prop.kind, prop.color) for script in scripts for prop in script.props} >= {
        (kind, color) for kind, prop in PROPS.items() for color in prop.colors or ("",)
    }
    assert {(script.setting, script.weather) for script in scripts} == {
        (setting, weather) for setting in SETTINGS for weather in weathers_of(setting)
    }


def test_the_command_writes_the_picture(tmp_path: Path) -> None:
    path = tmp_path / "world.png"
    assert CliRunner().invoke(app, ["catalogue", "-o", str(path), "--size", "32"]).exit_code == 0
    pixels = np.asarray(Image.open(path))
    assert (pixels == np.asarray(catalogue(32))).all()
    first = next(script for _, _, script in looks())
    assert (pixels[4:36, 4:36] == render(first, 1, 32)[0]).all()


def test_a_picture_of_another_format_is_refused(tmp_path: Path) -> None:
    assert CliRunner().invoke(app, ["catalogue", "-o", str(tmp_path / "world.jpg")]).exit_code == 2
    assert not any(tmp_path.iterdir())
