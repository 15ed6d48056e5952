"""Distances between sets of points, of SciPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapeless as tl

sd = pytest.importorskip("scipy.spatial.distance")

A = np.cos(np.arange(12.0) ** 1.3).reshape(4, 3)
B = np.sin(np.arange(9.0) ** 1.2).reshape(3, 3)
SHAPE = np.array([[2.0, 0.3, 0.1], [0.3, 1.5, 0.2], [0.1, 0.2, 1.0]])
METRICS = (
    "euclidean", "sqeuclidean", "cityblock", "chebyshev", "canberra", "braycurtis", "cosine", "correlation",
)  # fmt: skip


@pytest.mark.parametrize("metric", METRICS)
def test_metric(metric: str) -> None:
    tl.check_grads(lambda a, b: sd.cdist(a, b, metric), (A, B), order=1)
    tl.check_grads(lambda a: sd.pdist(a, metric), (A,), order=1)


def test_parameters() -> None:
    tl.check_grads(lambda a, b, p: sd.cdist(a, b, "minkowski", p=p), (A, B, 2.5), order=1)
    tl.check_grads(lambda a, b, v: sd.cdist(a, b, "mahalanobis", VI=v), (A, B, SHAPE), order=1)
    tl.check_grads(lambda a, b: sd.cdist(a, b, lambda x, y: np.sum(x * y * y)), (A, B), order=1)


def test_square_form() -> None:
    tl.check_grads(lambda a: sd.squareform(sd.pdist(a)), (A,), order=1)
    tl.check_grads(lambda a: sd.squareform(sd.squareform(sd.pdist(a))), (A,), order=1)


def test_second_order() -> None:
    tl.check_grads(lambda a, b: np.sum(np.exp(-sd.cdist(a, b))), (A, B), order=2)


def test_points_that_coincide() -> None:
    def nearness(x: Any) -> Any:
        return np.sum(sd.cdist(x, x))

    assert np.isfinite(tl.grad(nearness)(A)).all()
    with pytest.raises(tl.TapelessError, match="jensenshannon"):
        tl.grad(lambda x: np.sum(sd.cdist(x, x, "jensenshannon")))(np.abs(A))
