"""The recipes that ship: found by name, valid, told on a page of about ten lines, and dry-run at a tiny size."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

import recipes
from dysenvdm.backbones import build_vae
from dysenvdm.cli import reference
from dysenvdm.cli.main import COMMANDS
from dysenvdm.cli.recipe_reference import MARK, markdown
from dysenvdm.cli.train import PLANNER_PHASES
from dysenvdm.pipeline import DysenVDMPipeline
from dysenvdm.training.dry_run import dry_run
from dysenvdm.training.recipe import load_recipe, read_recipe
from dysenvdm.training.shipped import find_recipe, shipped_recipes
from planners.dsg import DynamicSceneGraph, UserError

ROOT = Path(recipes.__file__).parent
SHIPPED = shipped_recipes()
OF_VIDEO = {name: path for name, path in SHIPPED.items() if read_recipe(path, [])["phase"] not in PLANNER_PHASES}
PHASES = (
    "autoencoder", "backbone", "dysen", "finetune-ucf101", "finetune-msrvtt", "finetune-activitynet", "scene-adapter",
    "lora",
)  # fmt: skip
DOCS = ROOT.parent / "docs/recipes.md"


def test_every_phase_has_a_folder_of_its_own() -> None:
    assert set(PHASES) <= SHIPPED.keys()
    for name in PHASES:
        assert {path.name for path in (ROOT / name).iterdir()} == {"recipe.yaml", "deepspeed.json", "README.md"}


@pytest.mark.parametrize("folder", sorted({path.parent for path in SHIPPED.values()}), ids=lambda path: path.name)
def test_a_page_tells_what_a_folder_is_for_and_what_comes_next(folder: Path) -> None:
    page = (folder / "README.md").read_text(encoding="utf-8")
    lines = [line for line in page.splitlines() if line]
    assert lines[0] == f"# {folder.name}"
    assert 6 <= len(lines) <= 12
    assert "dysenvdm train" in page or "--module dysenvdm.training" in page or "make rehearse" in page
    assert "**Next:**" in page
    for target in re.findall(r"\]\(([^)]+)\)", page):
        assert (folder / target).exists(), target
    for named in re.findall(r"(?:dysenvdm train|check-data|cache|dysenvdm\.training) ([a-z][\w/-]*)", page):
        assert named in SHIPPED, named
    assert f"../recipes/{folder.name})" in DOCS.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", OF_VIDEO)
def test_every_recipe_is_valid_and_keeps_its_run_apart(name: str) -> None:
    runs = [load_recipe(path, []).run for path in OF_VIDEO.values()]
    assert runs.count(load_recipe(name, []).run) == 1


@pytest.fixture
def tiny(tmp_path: Path, pipeline: DysenVDMPipeline, backbone_model: Path) -> dict[str, str]:
    """What recipes name, of the size of tests."""
    build_vae("micro").save_pretrained(tmp_path / "vae")
    pipeline.save_pretrained(tmp_path / "model")
    return {"vae": str(tmp_path / "vae"), "model": str(tmp_path / "model"), "backbone": str(backbone_model)}


@pytest.mark.parametrize("name", OF_VIDEO)
def test_every_recipe_dry_runs(name: str, tiny: dict[str, str]) -> None:
    recipe = load_recipe(name, [])
    changes = ["data.source={kind: stage}", "data.fps=null", "data.spread=false", "data.clips=4000", "data.size=64"]
    model = recipe.model
    if model.preset:
        changes += ["model.preset=micro", "model.text_encoder=all-minilm-l6-v2"]
    if recipe.phase == "denoiser" and model.preset:
        changes += ["scene.width=32", "scene.layers=1", "scene.heads=2"]
    if model.init:
        init = "vae" if recipe.phase == "autoencoder" else "backbone" if name == "scene-adapter" else "model"
        changes.append(f"model.init={tiny[init]}")
    if model.vae:
        changes.append(f"model.vae={tiny['vae']}")
    said = dry_run(name, changes, ranks=2, gpu_memory=80, tflops=None)
    for title in ("The resolved recipe", "Parameter groups", "Memory per GPU, 2 rank(s) of 80 GiB", "Work"):
        assert f"# {title}\n" in said
    assert ("\nfrozen" in said) == bool(recipe.model.freeze or recipe.lora)
    assert " fits." in said


def test_the_paper_is_what_the_recipes_say() -> None:
    """METHOD section 4: clips of 16 frames at 8 fps and 256 x 256, RGTrm of 12 layers and width 768."""
    for name in PHASES:
        data = load_recipe(name, []).data
        assert (data.frames, data.size) == (16, 256)
        assert data.fps == 8 or data.spread
    backbone = load_recipe("backbone", [])
    assert (backbone.scene.layers, backbone.scene.width, backbone.scene.heads) == (12, 768, 8)
    assert [load_recipe(name, []).data.scenes.source for name in ("backbone", "dysen")] == ["gold", "planned"]


@pytest.mark.parametrize("name", ["backbone", "recipes/backbone", "recipes/backbone/recipe.yaml"])
def test_a_recipe_is_found_by_name_from_anywhere(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_recipe(name) == ROOT / "backbone/recipe.yaml"
    (tmp_path / "backbone").mkdir()
    (tmp_path / "backbone/recipe.yaml").write_text("name: mine")
    assert find_recipe("backbone") == Path("backbone/recipe.yaml"), "one's own comes first"


def test_a_recipe_that_is_not_there_is_answered_with_those_that_are(run) -> None:
    done = run("train", "bakbone")
    assert done.code == 2
    assert "bakbone: cannot be read (no such recipe file); did you mean backbone?" in done.err
    assert "stage/denoiser-nano" in done.err


def test_deepspeeds_settings_lie_beside_the_recipe(tmp_path: Path) -> None:
    assert load_recipe("backbone", []).deepspeed["zero_optimization"]["stage"] == 2
    assert load_recipe("backbone", ["deepspeed.zero_optimization.stage=3"]).deepspeed["zero_optimization"]["stage"] == 3
    (tmp_path / "own.json").write_text('{"gradient_clipping": 1}')
    with pytest.raises(UserError, match=r"deepspeed\.gradient_clipping: comes from the train section \(train\.clip\)"):
        load_recipe("backbone", [f"deepspeed={tmp_path / 'own.json'}"])
    (tmp_path / "own.json").write_text("{")
    with pytest.raises(UserError, match=r"own\.json is not valid JSON"):
        load_recipe("backbone", [f"deepspeed={tmp_path / 'own.json'}"])
    with pytest.raises(UserError, match=r"absent\.json cannot be read"):
        load_recipe("backbone", ["deepspeed=absent.json"])


def test_the_page_of_recipes_has_every_key() -> None:
    assert DOCS.read_text(encoding="utf-8").partition(MARK)[2] == markdown(), "run: make docs"


def test_the_rehearsals_commands_and_recipes_are_there() -> None:
    script = (ROOT / "rehearsal/run.sh").read_text(encoding="utf-8")
    commands = re.findall(r'^step "[^"]+" "(.+)"$', script, re.M)
    used = {word for command in commands for word in re.findall(r"^dysenvdm ([\w-]+)", command)}
    assert used == {"check-data", "train", "cache", "export", "generate"} <= set(COMMANDS)
    options = {option for command in commands for option in re.findall(r"(?<=\s)--[a-z-]+", command)}
    assert options <= set(re.findall(r"--[a-z-]+", reference.markdown()))
    named = {name for command in commands for name in re.findall(r"\$HERE/([\w-]+\.yaml)", command)}
    assert named == {"autoencoder.yaml", "backbone.yaml", "dysen.yaml", "finetune.yaml"}
    assert all((ROOT / "rehearsal" / name).is_file() for name in named)
    assert os.access(ROOT / "rehearsal/run.sh", os.X_OK)


def test_the_rehearsals_scene_graphs_are_those_that_its_clips_name() -> None:
    clips = ROOT / "rehearsal/clips"
    for name in ("parts.jsonl", "ucf101.jsonl"):
        for line in map(json.loads, (clips / name).read_text(encoding="utf-8").splitlines()):
            dsg = DynamicSceneGraph.load(clips / line["dsg"])
            assert (dsg.prompt, dsg.ticks) == (line["text"], load_recipe("rehearsal/backbone", []).data.ticks)
