"""FVD and KVD on I3D's logits, FID on Inception's features, IS on C3D's logits, and a distance of our own on the
features of the Stage referee, which is never called FVD.

Sources: FVD and KVD Unterthiner et al. 2018; FID Heusel et al. 2017; IS of videos Saito et al. 2017.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from einops import rearrange
from pydantic import Field
from torch import Tensor

from dysenvdm.metrics import weights
from dysenvdm.metrics.contract import Figure, Material, Measured, Metric, Need, Settings
from dysenvdm.metrics.features import Look, Side, as_tensor, features, first_frames, runs_of, spread_frames
from dysenvdm.metrics.frechet import Features, frechet_distance, inception_score, kernel_distance
from dysenvdm.metrics.networks import c3d, i3d, inception
from dysenvdm.models import locate
from dysenvdm.stage.referee import Referee

_TWO_SETS: frozenset[Need] = frozenset({"videos", "reference"})
_SIDES: tuple[Side, Side] = ("items", "reference")
Distance = Callable[[Features, Features], float]


class FvdSettings(Settings):
    """``clips`` are drawn from each side in each of ``runs`` (0: all there are); of each the first ``frames`` count."""

    clips: int = Field(2048, ge=0)
    runs: int = Field(10, ge=1)
    seed: int = Field(0, ge=0)
    frames: int = Field(16, ge=i3d.LEAST_FRAMES)


def i3d_logits(material: Material, frames: int, side: Side) -> Features:
    """Logits (n 400) of all clips of one side."""

    def build() -> Look:
        network = weights.loaded(i3d.I3D(), locate(weights.I3D.name), material.device)
        return lambda video: network(_clip(as_tensor(video, material.device, i3d.SIZE)))[0]

    read = partial(first_frames, count=frames, metric="fvd")
    return np.stack(features(material, side, f"{weights.I3D.name} {frames}", read, build))


def _clip(frames: Tensor) -> Tensor:
    return rearrange(frames, "f c h w -> 1 c f h w")


def _on_i3d(distance: Distance, name: str, material: Material, settings: FvdSettings) -> Sequence[Measured]:
    mine, theirs = (i3d_logits(material, settings.frames, side) for side in _SIDES)
    runs, n = runs_of(material, settings, lambda a, b: distance(mine[a], theirs[b]))
    return [Measured(name, runs=runs, n=n)]


def _two_sets(name: str, about: str, distance: Distance) -> Metric:
    return Metric(
        name,
        about,
        (Figure(name, "lower", "set"),),
        _TWO_SETS,
        partial(_on_i3d, distance, name),
        settings=FvdSettings,
        weights=(weights.I3D,),
        minimum=2,
    )


FVD = _two_sets("fvd", "Fréchet distance of I3D's Kinetics-400 logits at 224 pixels", frechet_distance)
KVD = _two_sets(
    "kvd", "squared MMD, kernel (a·b / 400 + 1)³, of I3D's Kinetics-400 logits at 224 pixels", kernel_distance
)


class IsSettings(Settings):
    """Clips are shuffled with ``seed`` and shared out over ``splits``; the score is the mean over these."""

    clips: int = Field(2048, ge=0)
    splits: int = Field(10, ge=1)
    seed: int = Field(0, ge=0)


def _inception_score(material: Material, settings: IsSettings) -> Sequence[Measured]:
    def build() -> Look:
        network = weights.loaded(c3d.C3D(), locate(weights.C3D.name), material.device)
        return lambda video: network(_clip(as_tensor(video, material.device)))[0]

    read = partial(first_frames, count=c3d.FRAMES, metric="is")
    logits = np.stack(features(material, "items", weights.C3D.name, read, build))
    order = np.random.default_rng(settings.seed).permutation(len(logits))[: settings.clips or None]
    parts = np.array_split(order, min(settings.splits, len(order)))
    return [Measured("is", runs=[inception_score(logits[part]) for part in parts], n=len(order) // len(parts))]


IS = Metric(
    "is",
    "inception score of C3D's UCF-101 classes",
    (Figure("is", "higher", "set"),),
    frozenset({"videos"}),
    _inception_score,
    settings=IsSettings,
    weights=(weights.C3D,),
    minimum=2,
)


class FidSettings(Settings):
    """``frames`` of each clip, evenly spread (0: all), are the pictures."""

    clips: int = Field(2048, ge=0)
    runs: int = Field(1, ge=1)
    seed: int = Field(0, ge=0)
    frames: int = Field(16, ge=0)


def _fid(material: Material, settings: FidSettings) -> Sequence[Measured]:
    def build() -> Look:
        network = weights.loaded(inception.Inception(), locate(weights.INCEPTION.name), material.device)
        return lambda video: network(as_tensor(video, material.device, inception.SIZE))

    read = partial(spread_frames, count=settings.frames)
    key = f"{weights.INCEPTION.name} {settings.frames}"
    mine, theirs = (features(material, side, key, read, build) for side in _SIDES)
    runs, n = runs_of(
        material,
        settings,
        lambda a, b: frechet_distance(np.concatenate([mine[i] for i in a]), np.concatenate([theirs[i] for i in b])),
    )
    return [Measured("fid", runs=runs, n=n)]


FID = Metric(
    "fid",
    "Fréchet distance of Inception's features of single frames",
    (Figure("fid", "lower", "set"),),
    _TWO_SETS,
    _fid,
    settings=FidSettings,
    weights=(weights.INCEPTION,),
    minimum=2,
)


class StageSettings(Settings):
    """``referee`` names one of the model store, or a folder; clips of 0 are all there are."""

    clips: int = Field(0, ge=0)
    runs: int = Field(1, ge=1)
    seed: int = Field(0, ge=0)
    referee: str = "stage-referee"


def _fvd_stage(material: Material, settings: StageSettings) -> Sequence[Measured]:
    def build() -> Look:
        referee = Referee.from_pretrained(settings.referee).to(material.device)
        return referee.features

    read = partial(spread_frames, count=0)
    mine, theirs = (np.stack(features(material, s, f"referee {settings.referee}", read, build)) for s in _SIDES)
    runs, n = runs_of(material, settings, lambda a, b: frechet_distance(mine[a], theirs[b]))
    return [Measured("fvd-stage", runs=runs, n=n)]


FVD_STAGE = Metric(
    "fvd-stage",
    "Fréchet distance of the Stage referee's features; no FVD, and comparable with none",
    (Figure("fvd-stage", "lower", "set"),),
    _TWO_SETS,
    _fvd_stage,
    settings=StageSettings,
    weights=(weights.REFEREE,),
    minimum=2,
)
