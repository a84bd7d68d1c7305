"""The phases on videos: pictures of several shapes, a file that breaks under way, corpora that are too small."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
import torch
import yaml

from dysenvdm.backbones import build_vae
from dysenvdm.data import decoding
from dysenvdm.data.decoding import Decoded, UndecodableError
from dysenvdm.training import run
from dysenvdm.training.denoiser import DenoiserPhase, on_grid
from dysenvdm.training.logs import RunLog
from dysenvdm.training.loop import Trainer
from dysenvdm.training.recipe import load_recipe
from planners.dsg import UserError


@pytest.fixture(autouse=True)
def _store(store: Path) -> None: ...


def write_video(path: Path, width: int, height: int, seed: int) -> None:
    """Twelve frames of a block that moves over noise."""
    rng = np.random.default_rng(seed)
    ground = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=8)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for i in range(12):
            picture = ground.copy()
            picture[8:24, 2 * i : 2 * i + 16] = (255, 0, 0)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        file.mux(stream.encode(None))


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("clips")
    for number in range(8):
        write_video(root / f"{number}.mp4", 112 if number < 4 else 64, 64, number)
        (root / f"{number}.txt").write_text("a red box" if number < 4 else "a box")
    return root


def recipe_file(folder: Path, clips: Path, phase: str, **data: object) -> Path:
    source = {"kind": "folder", "root": str(clips), "validation_share": 0.01}
    content = {
        "name": f"micro-{phase}",
        "phase": phase,
        "run": str(folder / "run"),
        "data": {
            "source": source,
            "frames": 4,
            "size": 64,
            "fps": 4,
            "buckets": True,
            "validation_clips": 1,
            "workers": 0,
            "examined": str(folder / "examined.jsonl"),
            **data,
        },
        "model": {"preset": "micro"},
        "train": {"steps": 6, "batch_size": 2, "lr": 1e-3},
        "log": {"every": 1, "validate_every": 6, "sample_every": 6, "checkpoint_every": 6, "sample_steps": 1},
    }
    if phase == "denoiser":
        build_vae("micro").save_pretrained(folder / "vae")
        content["model"] = {"preset": "micro", "vae": str(folder / "vae"), "gate": 0.0, "max_tokens": 64}
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.mark.parametrize("phase", ["autoencoder", "denoiser"])
def test_a_phase_trains_on_videos_of_several_shapes(
    tmp_path: Path, clips: Path, phase: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shapes, optimize = set(), Trainer._optimize

    def noted(self: Trainer, batches: list) -> dict:
        images = "stills" if phase == "autoencoder" else "videos"
        shapes.update(tuple(batch.inputs[images].shape[-3:-1]) for batch in batches)
        return optimize(self, batches)

    monkeypatch.setattr(Trainer, "_optimize", noted)
    folder = run(recipe_file(tmp_path, clips, phase), [])
    assert folder.is_dir()
    assert shapes == {(48, 88), (64, 64)}
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert all(np.isfinite(line["loss"]) for line in lines if line["kind"] == "train")


def test_a_clip_that_breaks_under_way_is_named_and_the_run_goes_on(
    tmp_path: Path, clips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decode = decoding.decode

    def broken(path: Path, *rest: object) -> Decoded:
        if path.name == "1.mp4":
            raise UndecodableError("its frames are damaged")
        return decode(path, *rest)

    monkeypatch.setattr(decoding, "decode", broken)
    run(recipe_file(tmp_path, clips, "autoencoder"), ["data.buckets=false"])
    noted = [json.loads(line) for line in (tmp_path / "run" / "replaced.jsonl").read_text().splitlines()]
    assert {line["clip"] for line in noted} == {"1.mp4 (its frames are damaged)"}
    assert {line["step"] for line in noted} <= set(range(1, 7))


@pytest.mark.parametrize("harm", ["cut short", "removed"])
def test_a_run_that_is_resumed_after_a_clip_broke_keeps_its_clips(
    tmp_path: Path, clips: Path, monkeypatch: pytest.MonkeyPatch, harm: str
) -> None:
    look = Trainer._look

    def played(name: str, stop: int) -> Path:
        """A run whose clip breaks behind the checkpoint of step 2, stopped in step ``stop`` and resumed."""
        folder, own = tmp_path / name, tmp_path / name / "clips"
        shutil.copytree(clips, own)
        victim = own / "1.mp4"

        def broken(self: Trainer, log: RunLog, *, last: bool) -> None:
            if self.step == stop:
                raise InterruptedError
            look(self, log, last=last)
            if self.step == 2:
                victim.unlink() if harm == "removed" else os.truncate(victim, 500)

        recipe = recipe_file(folder, own, "autoencoder")
        changes = ["data.buckets=false", "log.checkpoint_every=2", "train.steps=8"]
        monkeypatch.setattr(Trainer, "_look", broken)
        if stop:
            with pytest.raises(InterruptedError):
                run(recipe, changes)
            monkeypatch.setattr(Trainer, "_look", look)
            with (folder / "run" / "replaced.jsonl").open("a") as file:
                file.write('{"step": 6, "cl')  # what a kill may leave
            write_video(own / "new.mp4", 64, 64, 99)
            (own / "new.txt").write_text("added later")
        run(recipe, changes)
        return folder / "run"

    whole, resumed = played("whole", 0), played("resumed", 5)
    noted = [
        set(map(json.dumps, map(json.loads, (folder / "replaced.jsonl").read_text().splitlines())))
        for folder in (whole, resumed)
    ]
    assert noted[0] == noted[1] != set()
    assert all("1.mp4 (the file is gone or has changed)" in line for line in noted[0])
    weights = [(folder / "model" / "diffusion_pytorch_model.safetensors").read_bytes() for folder in (whole, resumed)]
    assert weights[0] == weights[1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("train.batch_size=8", r"train\.batch_size: 8 is more than the 7 clips; lower it"),
        ("data.clips=1", "more than the 1 clips"),
        ("data.source.kind=folders", "data"),
        ("data.source.rooot=x", "rooot"),
    ],
)
def test_a_corpus_that_is_too_small_or_unknown_is_refused(
    tmp_path: Path, clips: Path, change: str, message: str
) -> None:
    with pytest.raises(UserError, match=message) as error:
        run(recipe_file(tmp_path, clips, "autoencoder"), [change])
    assert "\n" not in str(error.value)


def test_more_ranks_than_clips_are_refused(tmp_path: Path, clips: Path) -> None:
    from dysenvdm.training.loop import check_enough

    recipe = load_recipe(recipe_file(tmp_path, clips, "autoencoder"), [])
    with pytest.raises(UserError, match="3 clips for 4 ranks"):
        check_enough(recipe, 3, 4)
    check_enough(recipe, 4, 4)
    check_enough(recipe, 0, 4)


def test_the_referee_reads_stage_only(tmp_path: Path, clips: Path) -> None:
    with pytest.raises(UserError, match=r"data\.source: the referee phase reads the Stage world only"):
        load_recipe(recipe_file(tmp_path, clips, "referee"), [])


def test_an_empty_scene_is_kept_empty(tmp_path: Path, clips: Path) -> None:
    phase = DenoiserPhase(load_recipe(recipe_file(tmp_path, clips, "denoiser"), []), torch.device("cpu"))
    sample = phase.source.read(0, 0, np.random.default_rng(0))
    for draw in range(50):
        assert not phase._dropped(sample, np.random.default_rng(draw))[1].objects


@pytest.fixture
def too_long(clips: Path) -> Iterator[None]:
    """While it lasts, clip 2 is told in 120 words."""
    path = clips / "2.txt"
    words = path.read_text()
    path.write_text("a girl walks to the box " * 20)
    yield
    path.write_text(words)


@pytest.mark.usefixtures("too_long")
def test_a_caption_that_is_too_long_is_said_before_the_first_step(tmp_path: Path, clips: Path) -> None:
    with pytest.raises(UserError, match=r"model\.max_tokens: 2\.mp4: a caption has more than 64 tokens"):
        run(recipe_file(tmp_path, clips, "denoiser"), [])


@pytest.mark.usefixtures("too_long")
def test_a_caption_that_is_too_long_is_said_before_frames_are_encoded(tmp_path: Path, clips: Path) -> None:
    recipe = recipe_file(tmp_path, clips, "denoiser", cache=True)
    with pytest.raises(UserError, match=r"2\.mp4: a caption has more than 64 tokens.*model\.init keeps its own"):
        run(recipe, [])
    assert list((tmp_path / "cache").glob("latents-*/*.safetensors")) == []
    (clips / "2.txt").write_text("a box")
    run(recipe, ["train.steps=1"])
    assert list((tmp_path / "cache").glob("latents-*/*.safetensors")) != []


def test_the_foreground_lies_on_any_grid() -> None:
    cells = np.random.default_rng(0).random((3, 16, 16)) < 0.5
    assert np.array_equal(on_grid(cells, 16, 16), cells)
    assert np.array_equal(on_grid(cells, 32, 64), cells.repeat(2, axis=1).repeat(4, axis=2))
    assert np.array_equal(on_grid(cells, 8, 4), cells[:, ::2, ::4])
    assert on_grid(cells, 24, 44).shape == (3, 24, 44)
