"""Distances between two sets of features, and the inception score of a set of logits. All in double precision.

Letters: ``n m`` samples, ``d`` features, ``k`` classes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Features = NDArray[np.floating]
"""(n d)."""


def frechet_distance(x: Features, y: Features) -> float:
    """Fréchet distance between normal distributions fitted to ``x`` (n d) and ``y`` (m d).

    |mean x - mean y|^2 + tr(C_x + C_y - 2 (C_x C_y)^(1/2)). With C_x = A^T A the trace of the root is the sum of the
    singular values of A B^T, and a QR decomposition leaves at most d rows of A and B: no root is taken of what is zero
    but for rounding, so that few samples of many features are no trouble. Source: Dowson and Landau 1982; Heusel 2017.
    """
    a, b = _scaled(x), _scaled(y)
    cross = np.linalg.svd(_rows(a) @ _rows(b).T, compute_uv=False).sum()
    shift = x.astype(np.float64).mean(0) - y.astype(np.float64).mean(0)
    return float(max(0.0, shift @ shift + (a * a).sum() + (b * b).sum() - 2 * cross))


def _scaled(x: Features) -> NDArray[np.float64]:
    """A (n d) with A^T A the covariance of ``x``."""
    x = x.astype(np.float64)
    return (x - x.mean(0)) / np.sqrt(len(x) - 1)


def _rows(a: NDArray[np.float64]) -> NDArray[np.float64]:
    """At most d rows B with B^T B = A^T A, for ``a`` (n d)."""
    return np.linalg.qr(a)[1] if len(a) > a.shape[1] else a


def kernel_distance(x: Features, y: Features) -> float:
    """Unbiased estimate of the squared maximum mean discrepancy of ``x`` (n d) and ``y`` (m d).

    The kernel is (a·b / d + 1)^3. May be below 0. Source: Binkowski et al. 2018; for videos Unterthiner et al. 2018.
    """
    x, y = x.astype(np.float64), y.astype(np.float64)

    def kernel(a: Features, b: Features) -> NDArray[np.float64]:
        return (a @ b.T / a.shape[1] + 1) ** 3

    xx, yy = kernel(x, x), kernel(y, y)
    n, m = len(x), len(y)
    within_x = (xx.sum() - np.trace(xx)) / (n * (n - 1))
    within_y = (yy.sum() - np.trace(yy)) / (m * (m - 1))
    return float(within_x + within_y - 2 * kernel(x, y).mean())


def inception_score(logits: Features) -> float:
    """exp of the mean Kullback-Leibler divergence of the samples' classes from their mean, of (n k) logits.

    1 where all samples look alike, k at most. Source: Salimans et al. 2016.
    """
    shifted = logits.astype(np.float64) - logits.max(1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    p = np.exp(log_p)
    mean = p.mean(0)
    log_mean = np.log(np.where(mean > 0, mean, 1))  # a class that nobody shows adds nothing
    return float(np.exp((p * (log_p - log_mean)).sum(1).mean()))
