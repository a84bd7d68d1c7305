"""``dysenvdm backbone add`` and what ``generate`` makes of its result, and ``dsg prompt``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dysenvdm.video import read_mp4, read_recipe
from planners.dsg import DynamicSceneGraph, Fact
from planners.narration import narrate, narrate_frames

SMALL = ("--adapter-width", 16, "--adapter-layers", 1)
FEW = ("--frames", 8, "--steps", 2, "--size", "16x16", "--seed", 3)


def test_a_backbone_in_the_store_generates_by_prompts_alone(
    run, backbone: Path, dsg_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DYSENVDM_HOME", str(tmp_path / "store"))
    added = run("backbone", "add", backbone, "--name", "ms-17b", *SMALL)
    assert added.code == 0, added.err
    assert "recorded as modelscope: 16 frames of 256x256 at 8 fps" in added.err
    for mode in ("prompts", "aligned", "none"):
        done = run(
            "generate", "--dsg", dsg_file, "-o", tmp_path / f"{mode}.mp4",
            "--model", "ms-17b", "--scene-mode", mode, *FEW,
        )  # fmt: skip
        assert done.code == 0, done.err
    recipe = read_recipe(tmp_path / "prompts.mp4")
    assert recipe["scene_mode"] == "prompts"
    assert recipe["guidance"] == 9.0
    assert recipe["dsg"] is not None
    assert set(recipe["weights"]) == {"ms-17b"}, "a backbone needs no text encoder beside its own"
    assert (read_mp4(tmp_path / "aligned.mp4") == read_mp4(tmp_path / "none.mp4")).all(), (
        "untrained, scenes count nothing"
    )
    assert (read_mp4(tmp_path / "prompts.mp4") != read_mp4(tmp_path / "none.mp4")).any()


def test_frames_read_the_sentences_of_their_moment(
    run, backbone_model: Path, dsg_file: Path, dsg: DynamicSceneGraph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dysenvdm.clip_text import ClipTextEncoder

    dressed = Fact(subject="girl", attribute=f"in a {'very ' * 10}long coat", start=4, end=8, source="imagined")
    dsg.extended([dressed]).save(dsg_file)
    read: list[str] = []
    encode = ClipTextEncoder.encode
    monkeypatch.setattr(ClipTextEncoder, "encode", lambda self, texts: (read.extend(texts), encode(self, texts))[1])
    done = run(
        "generate", "--dsg", dsg_file, "-o", tmp_path / "out.mp4", "--model", backbone_model,
        "--scene-mode", "prompts", *FEW,
    )  # fmt: skip
    assert done.code == 0, done.err
    first, last = narrate_frames(dsg, 8)[:4], narrate_frames(dsg.veto(["imagined"]), 8)[4:]  # 77 letters are the limit
    assert set(read) == {"", *(frame.text for frame in (*first, *last))}
    assert "left out of some frames' text: what was imagined" in done.err


@pytest.mark.filterwarnings("default::dysenvdm.clip_text.TextCutWarning")
def test_a_prompt_that_is_too_long_is_cut_and_said(run, backbone_model: Path, tmp_path: Path) -> None:
    prompt = " ".join(f"{letter}{letter}{letter}" for letter in "abcdefghijklmnopqrstuvwxyz")
    done = run("generate", prompt, "--no-plan", "-o", tmp_path / "out.mp4", "--model", backbone_model, *FEW)
    assert done.code == 0, done.err
    assert "warning: 'aaa bbb" in done.err
    assert "leaves out: 'zzz'" in done.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--scene-mode", "promts"], "aligned, broadcast, none, shuffled, prompts"),
        (["--scene-mode", "prompts", "--no-plan"], "leave out --no-plan"),
        (["--scene-mode", "prompts", "--imagined-weight", "0.5"], "cannot be weighed"),
    ],
)
def test_scene_modes_are_checked(run, only_line, tmp_path: Path, arguments: list[str], words: str) -> None:
    assert words in only_line(run("generate", "a dog runs", "-o", tmp_path / "out.mp4", *arguments))


def test_add_says_what_is_missing(run, only_line, backbone: Path, tmp_path: Path) -> None:
    assert "-o FOLDER or --name NAME" in only_line(run("backbone", "add", backbone))
    assert "no model_index.json" in only_line(run("backbone", "add", tmp_path, "-o", tmp_path / "out"))
    assert "lower-case" in only_line(run("backbone", "add", backbone, "--name", "A B"))


def test_dsg_prompt_tells_the_whole_or_windows(run, dsg_file: Path, dsg: DynamicSceneGraph) -> None:
    assert run("dsg", "prompt", dsg_file).out.strip() == narrate(dsg).text
    lines = run("dsg", "prompt", dsg_file, "--windows", 2, "--frames", 16, "--fps", 8).out.splitlines()
    assert lines == [
        "0.00-1.00 s, frames 0-7: A girl walks to a box.",
        "1.00-2.00 s, frames 8-15: A happy girl jumps over a box.",
    ]
    data = json.loads(run("dsg", "prompt", dsg_file, "--segments", "--stated-only", "--json").out)
    assert [window["text"] for window in data] == ["A girl walks to a box.", "A girl jumps over a box."]
    assert data[1]["first_frame"] == 8


def test_what_dsg_prompt_leaves_out_is_said(run, only_line, dsg_file: Path) -> None:
    done = run("dsg", "prompt", dsg_file, "--max-words", 6)
    assert done.out.strip() == "A girl walks to a box."
    assert "left out for --max-words 6: what was imagined" in done.err
    assert "left out for --max-words 6: Then she jumps over the box." in done.err
    assert "cannot be kept" in run("dsg", "prompt", dsg_file, "--max-words", 2).err
    assert "leave out --windows" in only_line(run("dsg", "prompt", dsg_file, "--windows", 2, "--segments"))
    assert "more windows than the 4 frames" in only_line(run("dsg", "prompt", dsg_file, "--windows", 5, "--frames", 4))
