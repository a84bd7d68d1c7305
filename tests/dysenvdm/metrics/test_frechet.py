"""Distances and the inception score: equal to independent implementations on the same features, and known answers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from torchmetrics.image.inception import InceptionScore
from torchmetrics.image.kid import poly_mmd

from dysenvdm.metrics.frechet import frechet_distance, inception_score, kernel_distance


def features(n: int, d: int, seed: int, shift: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)) @ np.random.default_rng(7).normal(size=(d, d)) + shift


def by_scipy(x: np.ndarray, y: np.ndarray) -> float:
    """The definition, word by word."""
    a, b = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    shift = x.mean(0) - y.mean(0)
    return float(shift @ shift + np.trace(a + b - 2 * sqrtm(a @ b).real))


@pytest.mark.parametrize(("n", "m", "d"), [(300, 300, 20), (90, 400, 64), (200, 150, 100)])
def test_the_frechet_distance_is_that_of_scipys_matrix_root(n: int, m: int, d: int) -> None:
    x, y = features(n, d, 0), features(m, d, 1, shift=0.3)
    assert frechet_distance(x, y) == pytest.approx(by_scipy(x, y), rel=1e-6)


def test_fewer_samples_than_features_are_no_trouble() -> None:
    x, y = features(12, 60, 0), features(15, 60, 1)
    # The same samples in the coordinates of their own span, where nothing is singular but for the smaller set.
    basis = np.linalg.qr(np.vstack([x, y]).T)[0]
    assert frechet_distance(x, y) == pytest.approx(frechet_distance(x @ basis, y @ basis), rel=1e-9)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-9 * np.square(x).sum())


@pytest.mark.parametrize(("n", "d"), [(64, 10), (150, 400)])
def test_the_kernel_distance_is_that_of_torchmetrics(n: int, d: int) -> None:
    x, y = features(n, d, 0), features(n, d, 1, shift=0.5)
    theirs = poly_mmd(torch.from_numpy(x), torch.from_numpy(y), degree=3, gamma=None, coef=1.0)
    assert kernel_distance(x, y) == pytest.approx(float(theirs), rel=1e-6)


def test_the_inception_score_is_that_of_torchmetrics() -> None:
    logits = torch.from_numpy(features(200, 30, 3))
    with pytest.warns(UserWarning, match="save all extracted features"):
        theirs = InceptionScore(feature=torch.nn.Identity(), splits=1)
    theirs.update(logits)
    with pytest.warns(UserWarning, match="degrees of freedom"):  # of the spread over a single split
        score = float(theirs.compute()[0])
    assert inception_score(logits.numpy()) == pytest.approx(score, rel=1e-6)


def test_the_inception_score_of_logits_that_are_all_the_same_is_1_and_at_most_the_number_of_classes() -> None:
    assert inception_score(np.ones((50, 101))) == pytest.approx(1, abs=1e-12)
    assert inception_score(np.tile(np.arange(101.0), (50, 1))) == pytest.approx(1, abs=1e-12)
    assert inception_score(1000 * np.eye(101)) == pytest.approx(101, rel=1e-9)


def test_a_set_is_at_no_distance_from_itself_and_farther_the_more_it_is_moved() -> None:
    x = features(300, 20, 0)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-8)
    moved = [frechet_distance(x, x + shift) for shift in (0.0, 0.5, 1.0)]
    assert moved[1:] == pytest.approx([20 * 0.25, 20.0], rel=1e-6)
    kernel = [kernel_distance(x, features(300, 20, 1, shift=shift)) for shift in (0.0, 4.0, 8.0)]
    assert abs(kernel[0]) < kernel[1] < kernel[2]
