"""``dysenvdm generate`` with a very small real model: first frames, edits, long videos, LoRAs, and how it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dysenvdm.video import read_mp4, read_recipe
from planners.dsg import DynamicSceneGraph, Fact

PROMPT = "the girl walk to the box"


@pytest.fixture
def model(pipeline, tmp_path: Path) -> Path:
    pipeline.save_pretrained(tmp_path / "small")
    return tmp_path / "small"


@pytest.fixture
def generate(run, model: Path, dsg: DynamicSceneGraph, tmp_path: Path):
    """``generate("name", *options)`` writes name.mp4 of the scene graph; 8 frames, 2 steps."""
    dsg.replace(prompt=PROMPT).save(tmp_path / "scene.json")

    def command(name: str, *options: object, dsg_file: str = "scene.json", basis: bool = True):
        few = ["--frames", 8, "--steps", 2] if basis else []
        given = ["--dsg", tmp_path / dsg_file, "-o", tmp_path / f"{name}.mp4", "--model", model]
        return run("generate", *given, *few, *options)

    return command


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(tmp_path / "p.png")
    return tmp_path / "p.png"


def edited(dsg: DynamicSceneGraph, folder: Path) -> None:
    late = Fact(subject="girl", attribute="brown", start=7, end=8, source="user")
    dsg.replace(prompt=PROMPT, facts=[*dsg.facts, late]).save(folder / "edited.json")


def test_a_first_frame_begins_the_video_and_is_in_the_recipe(generate, picture: Path, tmp_path: Path) -> None:
    assert generate("plain").code == 0
    done = generate("pictured", "--first-frame", picture)
    assert done.code == 0, done.err
    assert not np.array_equal(read_mp4(tmp_path / "plain.mp4"), read_mp4(tmp_path / "pictured.mp4"))
    recipe = read_recipe(tmp_path / "pictured.mp4")
    assert recipe["first_frame"]["fit"] is None
    assert len(recipe["first_frame"]["sha256"]) == 64
    assert read_recipe(tmp_path / "plain.mp4")["first_frame"] is None


def test_an_edit_takes_everything_from_the_original(generate, dsg, picture: Path, tmp_path: Path) -> None:
    edited(dsg, tmp_path)
    assert generate("original", "--seed", 9, "--scheduler", "ddim", "--guidance", 2).code == 0
    for source in ("original.mp4", "original.json"):
        done = generate("edit", "--edit-of", tmp_path / source, dsg_file="edited.json", basis=False)
        assert done.code == 0, done.err
        before, after = (read_recipe(tmp_path / f"{name}.mp4") for name in ("original", "edit"))
        for key in ("seed", "steps", "scheduler", "guidance", "frames", "weights"):
            assert after[key] == before[key], key
        assert after["edit_of"]["dsg"] == before["dsg"]
        assert after["dsg"] != before["dsg"]
    assert not np.array_equal(read_mp4(tmp_path / "original.mp4"), read_mp4(tmp_path / "edit.mp4"))


def test_an_edit_that_changes_nothing_gives_the_same_frames(generate, tmp_path: Path) -> None:
    assert generate("original", "--seed", 9).code == 0
    assert generate("same", "--edit-of", tmp_path / "original.mp4", basis=False).code == 0
    assert np.array_equal(read_mp4(tmp_path / "original.mp4"), read_mp4(tmp_path / "same.mp4"))


def test_the_edit_warns_where_the_prompt_still_says_what_was_changed(generate, dsg, tmp_path: Path) -> None:
    happy = dsg.replace(prompt="the girl is happy")
    happy.save(tmp_path / "scene.json")
    sad = [fact.model_copy(update={"attribute": "sad"}) if fact.attribute else fact for fact in happy.facts]
    happy.replace(facts=sad).save(tmp_path / "edited.json")
    assert generate("original").code == 0
    stale = generate("edit", "--edit-of", tmp_path / "original.mp4", dsg_file="edited.json", basis=False)
    assert "warning: the prompt still says happy; give the new sentence as the prompt" in stale.err
    told = generate(
        "edit", "the girl is sad", "--edit-of", tmp_path / "original.mp4", dsg_file="edited.json", basis=False
    )
    assert (told.code, "warning" in told.err) == (0, False)
    assert read_recipe(tmp_path / "edit.mp4")["prompt"] == "the girl is sad"


def test_what_an_edit_needs_and_what_it_takes_from_the_original(
    run, generate, only_line, dsg, picture: Path, tmp_path: Path, model: Path
) -> None:
    edited(dsg, tmp_path)
    assert generate("original", "--first-frame", picture).code == 0
    assert generate("edit", "--edit-of", tmp_path / "original.mp4", "--first-frame", picture, basis=False).code == 0
    for name, options, words in (
        ("original", ["--seed", "1"], "--seed: with --edit-of it is as in the original; leave it out"),
        ("original", [], "was made with another --first-frame, or none; give the same as then"),
        ("edit", ["--first-frame", picture], "is an edit itself; give the video that it edits"),
        ("scene.json", [], "not a dysenvdm.recipe/1 recipe"),
        ("none", [], "cannot be read as a video"),
    ):
        file = tmp_path / (name if name.endswith(".json") else f"{name}.mp4")
        done = generate("new", "--edit-of", file, *options, basis=False)
        assert words in only_line(done)
    assert run("generate", PROMPT, "--no-plan", "-o", tmp_path / "text.mp4", "--model", model, "--steps", 1).code == 0
    assert "made without a scene graph" in only_line(generate("new", "--edit-of", tmp_path / "text.mp4", basis=False))
    without = run("generate", PROMPT, "-o", tmp_path / "new.mp4", "--edit-of", tmp_path / "original.mp4")
    assert "needs the changed scene graph as --dsg" in only_line(without)
    weights = model / "vae" / "config.json"
    weights.write_text(weights.read_text() + "\n")
    changed = generate("new", "--edit-of", tmp_path / "original.mp4", "--first-frame", picture, basis=False)
    assert "made with other weights of 'small'" in only_line(changed)
    assert not (tmp_path / "new.mp4").exists()


def test_long_videos_and_previews_are_written_and_recorded(generate, pipeline, tmp_path: Path) -> None:
    done = generate("long", "--frames", 40, "--overlap", 4, "--preview", tmp_path / "steps.png")
    assert (done.code, "warning" in done.err) == (0, False)
    assert read_mp4(tmp_path / "long.mp4").shape == (40, 16, 16, 3)
    recipe = read_recipe(tmp_path / "long.mp4")
    assert (recipe["frames"], recipe["window"], recipe["overlap"]) == (40, None, 4)
    with Image.open(tmp_path / "steps.png") as sheet:
        assert sheet.height == 2 * 128  # two looks in two steps


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--fps", 16], "fps: 16, the model was trained at 8; motion will look 2 times as fast"),
        (["--size", "32x16"], "size: 32x16, the model was trained on 16x16"),
        (["--frames", 32, "--window", 32], "window: 32 frames at once, the model was trained on up to 16"),
    ],
)
def test_beyond_the_trained_range_is_a_warning(generate, options: list[object], words: str) -> None:
    done = generate("out", *options)
    assert done.code == 0, done.err
    assert f"warning: {words}" in done.err


def test_several_videos_of_one_prompt_take_seeds_that_count_on(run, generate, model: Path, tmp_path: Path) -> None:
    several = ["--dsg", tmp_path / "scene.json", "-o", tmp_path / "many", "--model", model, "--frames", 8, "--steps", 2]
    assert run("generate", *several, "--count", 3, "--seed", 5).code == 0
    assert [read_recipe(tmp_path / "many" / f"000{i}.mp4")["seed"] for i in (1, 2, 3)] == [5, 6, 7]
    assert generate("alone", "--seed", 6).code == 0
    alone, second = read_mp4(tmp_path / "alone.mp4"), read_mp4(tmp_path / "many" / "0002.mp4")
    assert np.abs(alone.astype(int) - second).max() <= 8  # rounding of a batch, through H.264


def test_loras_and_number_format_are_recorded(generate, only_line, pipeline, tmp_path: Path) -> None:
    import copy

    import torch
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(0)
    config = LoraConfig(r=2, target_modules=["to_q"], init_lora_weights=False)
    get_peft_model(copy.deepcopy(pipeline.unet), config).save_pretrained(tmp_path / "style")
    assert generate("plain").code == 0
    for name, options in (("none", [":0"]), ("half", [":0.5"])):
        done = generate(name, "--lora", f"{tmp_path / 'style'}{options[0]}")
        assert done.code == 0, done.err
    frames = {name: read_mp4(tmp_path / f"{name}.mp4") for name in ("plain", "none", "half")}
    assert np.array_equal(frames["plain"], frames["none"])
    assert not np.array_equal(frames["plain"], frames["half"])
    twice = generate("twice", "--lora", tmp_path / "style", "--lora", f"{tmp_path / 'style'}:0.5")
    assert "a second folder of that name" in only_line(twice)
    recipe = read_recipe(tmp_path / "half.mp4")
    assert recipe["loras"] == [{"name": "style", "scale": 0.5}]
    assert set(recipe["weights"]["lora style"]) == {"adapter_model.safetensors"}
    assert generate("bf16", "--dtype", "bf16").code == 0
    assert read_recipe(tmp_path / "bf16.mp4")["dtype"] == "bf16"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--size", "16"], "--size '16': write WIDTHxHEIGHT"),
        (["--size", "18x16"], "width: 18 pixels is not a positive multiple of 4"),
        (["--window", "6"], "window: 6 frames is not a positive multiple of 4"),
        (["--overlap", "16"], "overlap: 16 frames"),
        (["--dtype", "int8"], "dtype: 'int8' is not known"),
        (["--device", "moon"], "device: 'moon' is not known"),
        (["--lora", "{here}"], "no LoRA there"),
        (["--lora", "{here}:x"], "'x' is not a scale"),
        (["--first-frame", "{here}/none.png"], "none.png: cannot be read"),
        (["--first-frame", "{here}/scene.json"], "scene.json: cannot be read as a picture"),
        (["--first-frame", "{here}/wide.png"], "32x16 has another aspect than the video's 16x16"),
        (["--first-frame", "{here}/wide.png", "--first-frame-fit", "bend"], "--first-frame-fit 'bend'"),
        (["--first-frame-fit", "crop"], "--first-frame-fit: says how to fit a --first-frame"),
        (["--preview", "{here}/p.jpg"], "is a .png file"),
        (["--count", "2"], "--count writes many files; give a folder"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(generate, only_line, tmp_path: Path, options, words: str) -> None:
    Image.new("RGB", (32, 16)).save(tmp_path / "wide.png")
    assert words in only_line(generate("out", *(text.format(here=tmp_path) for text in options)))
    assert not list(tmp_path.glob("out*"))


def test_every_setting_is_in_the_recipe(generate, tmp_path: Path) -> None:
    """What was given comes back from the file beside the video."""
    options = {"--size": "16x24", "--window": 8, "--overlap": 4, "--dtype": "fp32", "--fps": 8}
    assert generate("out", *(part for pair in options.items() for part in pair)).code == 0
    recipe = json.loads((tmp_path / "out.json").read_text())
    assert (recipe["width"], recipe["height"], recipe["window"], recipe["overlap"]) == (16, 24, 8, 4)
    assert recipe["compiled"] is False


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("scene", (), "--dsg {}/scene.json: would be overwritten by the recipe"),
        ("p", ("--first-frame", "{}/p.png"), "--first-frame {}/p.png: would be overwritten by the contact sheet"),
        ("p", ("--preview", "{}/p.png"), "--preview {}/p.png: would be overwritten by the contact sheet"),
        ("made", ("--edit-of", "{}/made.mp4"), "--edit-of {}/made.mp4: would be overwritten by the video"),
    ],
)
def test_no_input_is_overwritten(generate, picture: Path, tmp_path: Path, name: str, options, said: str) -> None:
    before = {file: file.read_bytes() for file in tmp_path.iterdir() if file.is_file()}
    done = generate(name, *(option.format(tmp_path) for option in options))
    assert done.code == 2
    assert said.format(tmp_path) in done.err.replace("\n", "")
    assert {file: file.read_bytes() for file in tmp_path.iterdir() if file.is_file()} == before


def test_the_scene_graph_beside_a_video_may_make_it_anew(generate, tmp_path: Path) -> None:
    generate("made")
    before = (tmp_path / "made.dsg.json").read_bytes()
    assert generate("made", dsg_file="made.dsg.json").code == 0
    assert (tmp_path / "made.dsg.json").read_bytes() == before
