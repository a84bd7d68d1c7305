"""Running the command in this process, and a scene graph to run it on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from dysenvdm.cli.main import main
from planners.dsg import DynamicSceneGraph, Fact, SceneObject


class Done(NamedTuple):
    """How a command ended and what it said."""

    code: int
    out: str
    err: str


Run = Callable[..., Done]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """``run("dsg", "show", file)`` as a shell would, on a wide terminal."""
    monkeypatch.setenv("COLUMNS", "200")

    def command(*arguments: object) -> Done:
        capfd.readouterr()
        with pytest.raises(SystemExit) as end:
            main([str(argument) for argument in arguments])
        return Done(int(end.value.code or 0), *capfd.readouterr())

    return command


@pytest.fixture
def dsg() -> DynamicSceneGraph:
    return DynamicSceneGraph(
        prompt="A girl walks to the box, then she jumps over it.",
        ticks=8,
        objects=(SceneObject(id="girl", label="girl"), SceneObject(id="box", label="box")),
        facts=(
            Fact(subject="girl", predicate="walk to", object="box", start=0, end=4, source="plan"),
            Fact(subject="girl", predicate="jump over", object="box", start=4, end=8, source="plan"),
            Fact(subject="girl", attribute="happy", start=5, end=8, source="imagined"),
        ),
    )


@pytest.fixture
def dsg_file(dsg: DynamicSceneGraph, tmp_path: Path) -> Path:
    dsg.save(tmp_path / "scene.json")
    return tmp_path / "scene.json"


@pytest.fixture
def only_line() -> Callable[[Done], str]:
    """What a user's mistake is answered with: exit code 2, one line, no traceback; gives the line."""

    def check(done: Done) -> str:
        assert done.code == 2, done
        [line] = done.err.strip().splitlines()
        assert line.startswith("error: "), line
        return line

    return check


@pytest.fixture
def small_model(store: Path, tmp_path: Path) -> Path:
    """A saved model folder, 16x16 pixels, its scene attention as if trained."""
    import torch
    from diffusers.schedulers.scheduling_ddim import DDIMScheduler

    from dysenvdm.backbones import UNetConfig, VAEConfig, build_unet, build_vae
    from dysenvdm.pipeline import DysenVDMPipeline
    from dysenvdm.scene_attention import SceneAdapter
    from dysenvdm.text import TextEncoder

    torch.manual_seed(0)
    sizes = UNetConfig(
        channels=(16, 32), attention=(False, True), head_width=8, norm_groups=8, latent_size=8, text_width=32
    )
    unet = build_unet(sizes)
    adapter = SceneAdapter.for_unet(unet, label_dim=32, width=16, heads=2)
    for site in adapter.sites:
        torch.nn.init.normal_(site.output.weight, std=0.5)
    vae = build_vae(VAEConfig(channels=(8, 16), norm_groups=4, sample_size=16))
    pipe = DysenVDMPipeline(vae, unet, adapter, TextEncoder.from_store(), DDIMScheduler())
    pipe.save_pretrained(tmp_path / "small")
    return tmp_path / "small"
