"""Sets of videos: known answers, draws, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from dysenvdm.metrics import Material, MissingWeightsError, measure, measure_all
from dysenvdm.metrics.networks.i3d import I3D
from dysenvdm.models import write_manifest
from dysenvdm.stage import sample
from planners.dsg import UserError
from tests.dysenvdm.metrics.conftest import Frames, items


def noisy(clips: list[Frames], strength: float) -> list[Frames]:
    rng = np.random.default_rng(0)
    return [(clip + rng.normal(0, strength, clip.shape)).clip(0, 255).astype(np.uint8) for clip in clips]


def stage_distance(mine: list[Frames], theirs: list[Frames], referee: Path) -> float:
    [result] = measure("fvd-stage", Material(items(mine), items(theirs)), {"referee": str(referee)})
    assert result.value is not None
    return result.value


def test_known_answers_of_the_distance_on_the_referees_features(referee: Path) -> None:
    clips = [sample(i, split="val").render() for i in range(64)]  # of fewer, halves differ more than noise changes them
    assert stage_distance(clips, clips, referee) == pytest.approx(0, abs=1e-6)
    halves = stage_distance(clips[::2], clips[1::2], referee)
    noise = [stage_distance(clips, noisy(clips, strength), referee) for strength in (20, 50, 110)]
    assert 0 < halves < noise[-1]
    assert noise == sorted(noise)
    assert noise[0] > 0


def test_a_result_says_which_referee_and_clips_it_comes_from(clips: list[Frames], referee: Path) -> None:
    [result] = measure("fvd-stage", Material(items(clips[:4]), items(clips[4:9])), {"referee": str(referee)})
    assert result.metric == result.name == "fvd-stage"
    assert list(result.weights) == ["random-referee/model.safetensors"]
    assert result.settings["referee"] == str(referee)
    assert result.material == {"fps": 8.0, "frames": 16, "size": "64x64"}
    assert (result.n, result.runs, result.stderr) == (4, 1, None)


def test_every_run_draws_anew_and_the_same_when_repeated(clips: list[Frames], referee: Path) -> None:
    settings = {"referee": str(referee), "clips": 6, "runs": 4}
    material = Material(items(clips[:12]), items(clips[12:]))
    [once] = measure("fvd-stage", material, settings)
    [again] = measure("fvd-stage", Material(items(clips[:12]), items(clips[12:])), settings)
    [other] = measure("fvd-stage", material, settings | {"seed": 1})
    assert (once.n, once.runs) == (6, 4)
    assert once.stderr is not None
    assert once.stderr > 0
    assert once == again
    assert once.value != other.value


def test_fvd_and_kvd_share_the_networks_work(
    clips: list[Frames], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DYSENVDM_HOME", str(tmp_path))
    folder = tmp_path / "models" / "i3d-kinetics-400"
    folder.mkdir(parents=True)
    torch.manual_seed(0)
    save_file(I3D().state_dict(), folder / "model.safetensors")
    write_manifest(folder, source="random weights", licence="Apache-2.0")
    looks = 0

    def on_item() -> None:
        nonlocal looks
        looks += 1

    material = Material(items(clips[:2]), items(clips[:2]), on_item=on_item)
    settings = {"clips": 2, "frames": 9}
    results, missing = measure_all({"fvd": settings, "kvd": settings, "is": {"clips": 0}}, material)
    assert looks == 4
    assert list(missing) == ["is"]
    assert "conv3d_deepnetA_ucf.npz" in missing["is"]
    assert "dysenvdm bundle create --model c3d-ucf101" in missing["is"]
    fvd, kvd = results
    assert fvd.value == pytest.approx(0, abs=1e-6)
    assert kvd.value is not None
    assert kvd.value < 0  # unbiased: of a set with itself it is below 0
    assert fvd.runs == 1


def test_the_minimum_is_named(clips: list[Frames], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DYSENVDM_HOME", str(tmp_path))
    two = Material(items(clips[:2]), items(clips[:2]))
    with pytest.raises(UserError, match=r"fvd: videos: 2 given, it needs at least 2048 .*clips=2048; the least is 2"):
        measure("fvd", two)
    with pytest.raises(UserError, match="fvd: reference: 0 given"):
        measure("fvd", Material(items(clips[:2])), {"clips": 2})
    with pytest.raises(MissingWeightsError, match=r"rgb_imagenet\.pt.*Apache-2\.0.*models convert i3d-kinetics-400"):
        measure("fvd", two, {"clips": 2})


def test_a_clip_that_is_too_short_is_named(clips: list[Frames], referee: Path) -> None:
    from dysenvdm.metrics.features import first_frames

    [item] = items([clips[0][:7]], "short")
    with pytest.raises(UserError, match="fvd: short0: has 7 frames, it needs at least 16"):
        first_frames(item, 16, "fvd")
