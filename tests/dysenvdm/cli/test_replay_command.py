"""``dysenvdm inspect`` and ``dysenvdm replay``: what a video says of itself, and the same video once more."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dysenvdm.video import read_mp4, read_recipe, write_mp4


@pytest.fixture
def made(run, small_model: Path, dsg_file: Path, tmp_path: Path):
    """``made(*options)``: a video of the scene graph, eight frames, two steps."""

    def make(*arguments: object, output: str = "out.mp4") -> Path:
        done = run(
            "generate", "--dsg", dsg_file, "-o", tmp_path / output, "--model", small_model, "--frames", 8, "--steps", 2,
            *arguments,
        )  # fmt: skip
        assert done.code == 0, done.err
        return tmp_path / output

    return make


@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")  # diffusers' schedulers
@pytest.mark.parametrize(
    "arguments",
    [
        ["--seed", "9", "--guidance", "3", "--scene-guidance", "2", "--scheduler", "dpmsolver++", "--fps", "4"],
        ["--scale", "8", "--label", "made"],
        ["--scene-mode", "prompts", "--negative", "a dog"],
        ["--imagined-weight", "0.5", "--size", "32x16", "--dtype", "bf16"],
        ["--frames", "16", "--window", "8", "--overlap", "4"],
    ],
)
def test_a_replay_gives_the_same_bytes(run, made, small_model, arguments) -> None:
    done = run("replay", made(*arguments), "--model", small_model)
    assert (done.code, done.out.strip()) == (0, "bit-identical"), done.err


def test_videos_that_were_made_together_replay_one_by_one(run, made, small_model, tmp_path) -> None:
    made("--count", 3, output="three")
    for number in (1, 2, 3):
        done = run("replay", tmp_path / "three" / f"000{number}.mp4", "--model", small_model)
        assert (done.code, done.out.strip()) == (0, "bit-identical"), done.err


def test_first_frame_and_edit_replay(run, only_line, made, small_model, dsg_file, tmp_path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "first.png")
    Image.fromarray(pixels[::-1]).save(tmp_path / "other.png")
    video = made("--first-frame", tmp_path / "first.png")
    assert "give it as --first-frame" in only_line(run("replay", video, "--model", small_model))
    other = run("replay", video, "--model", small_model, "--first-frame", tmp_path / "other.png")
    assert "is not the picture" in only_line(other)
    done = run("replay", video, "--model", small_model, "--first-frame", tmp_path / "first.png")
    assert (done.code, done.out.strip()) == (0, "bit-identical"), done.err

    original = made(output="original.mp4")
    run("dsg", "edit", dsg_file, "--set", "1.predicate=run to", "-o", tmp_path / "edited.json")
    done = run(
        "generate", "--edit-of", original, "--dsg", tmp_path / "edited.json", "-o", tmp_path / "edit.mp4",
        "--model", small_model,
    )  # fmt: skip
    assert done.code == 0, done.err
    done = run("replay", tmp_path / "edit.mp4", "--model", small_model)
    assert (done.code, done.out.strip()) == (0, "bit-identical"), done.err


def test_a_replay_with_other_weights_names_the_file_and_the_psnr(run, made, small_model, tmp_path) -> None:
    from safetensors.torch import load_file, save_file

    video = made()
    weights = small_model / "unet" / "diffusion_pytorch_model.safetensors"
    save_file({name: value * 1.01 for name, value in load_file(weights).items()}, weights)
    done = run("replay", video, "--model", small_model, "-o", tmp_path / "again.mp4")
    assert done.code == 1
    assert "PSNR" in done.out
    assert "weights of small, unet/diffusion_pytorch_model.safetensors" in done.out
    assert read_mp4(tmp_path / "again.mp4").shape == read_mp4(video).shape
    assert read_recipe(video)["weights"] == read_recipe(tmp_path / "again.mp4")["weights"]


def test_a_video_that_was_changed_is_found_out(run, made, small_model, tmp_path) -> None:
    video = made()
    frames = read_mp4(video)
    frames[3, 4:8, 4:8] ^= 255
    write_mp4(video, frames, 8, read_recipe(video))
    done = run("replay", video, "--model", small_model)
    assert done.code == 1
    assert "PSNR" in done.out
    assert "changed file" in done.out


def test_inspect_tells_prompt_facts_weights_and_versions(run, made, small_model) -> None:
    video = made("--label", "L", "--scale", "4")
    said = run("inspect", video)
    assert said.code == 0
    for words in ("then she jumps over it", "happy", "weights of small", "unet/", "torch", "label"):
        assert words in said.out
    beside = video.with_suffix(".json")
    as_json = [json.loads(run("inspect", file, "--json").out) for file in (video, beside)]
    assert as_json == [read_recipe(video), json.loads(beside.read_text())]
    assert as_json[0] == as_json[1]


def test_what_carries_no_recipe_is_one_line(run, only_line, tmp_path) -> None:
    for name, content in (("a.mp4", b"no video"), ("b.json", b"[]"), ("c.json", b'{"format": "dysenvdm.recipe/1"}')):
        (tmp_path / name).write_bytes(content)
        for command in ("inspect", "replay"):
            assert str(tmp_path / name) in only_line(run(command, tmp_path / name))


def test_a_label_that_does_not_fit_is_one_line_before_the_video_is_made(
    run, only_line, dsg_file, small_model, tmp_path
):
    done = run(
        "generate", "--dsg", dsg_file, "-o", tmp_path / "o.mp4", "--model", small_model, "--frames", 8, "--steps", 2,
        "--label", "far too many words for this",
    )  # fmt: skip
    assert "--label" in only_line(done)
    assert not (tmp_path / "o.mp4").exists()
