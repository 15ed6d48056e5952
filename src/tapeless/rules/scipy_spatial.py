"""Distances between points. The values are those of SciPy's C++; formulas, opened in its place, give the
derivatives. Read only when a function of `scipy.spatial` is first looked up."""
# The twins are opened like functions of the program: they stay without annotations.
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

from __future__ import annotations

import numpy as np
import scipy.spatial.distance as sd  # type: ignore[import-untyped]

from tapeless.rules.registry import twin
from tapeless.rules.twins import exactly, plainly, refuse


def euclidean(d):
    square = np.sum(d * d, axis=-1)
    apart = square > 0  # a distance of 0 has derivative 0, as np.linalg.norm has it
    return np.where(apart, np.sqrt(np.where(apart, square, 1.0)), 0.0)


def cosine(a, b):
    norms = np.sqrt(np.sum(a * a, axis=-1) * np.sum(b * b, axis=-1))
    return 1 - np.sum(a * b, axis=-1) / norms


_METRICS = {
    "euclidean": lambda a, b, p, v: euclidean(a - b),
    "sqeuclidean": lambda a, b, p, v: np.sum((a - b) ** 2, axis=-1),
    "cityblock": lambda a, b, p, v: np.sum(np.abs(a - b), axis=-1),
    "chebyshev": lambda a, b, p, v: np.max(np.abs(a - b), axis=-1),
    "minkowski": lambda a, b, p, v: np.sum(np.abs(a - b) ** p, axis=-1) ** (1 / p),
    "canberra": lambda a, b, p, v: np.sum(np.abs(a - b) / (np.abs(a) + np.abs(b)), axis=-1),
    "braycurtis": lambda a, b, p, v: np.sum(np.abs(a - b), axis=-1) / np.sum(np.abs(a + b), axis=-1),
    "cosine": lambda a, b, p, v: cosine(a, b),
    "correlation": lambda a, b, p, v: cosine(
        a - np.mean(a, axis=-1, keepdims=True), b - np.mean(b, axis=-1, keepdims=True)
    ),
    "mahalanobis": lambda a, b, p, v: np.sqrt(np.sum(((a - b) @ v) * (a - b), axis=-1)),
}
_OTHER_NAMES = {"cityblock": "l1 manhattan", "euclidean": "l2", "sqeuclidean": "sqe", "chebyshev": "linf"}


def formula(metric, a, b, p, VI, w, given):  # noqa: N803
    """The distances of points along the last axes; a function of two points is asked for each pair."""
    if callable(metric):
        a, b = np.broadcast_arrays(a, b)
        pairs = zip(np.reshape(a, (-1, a.shape[-1])), np.reshape(b, (-1, a.shape[-1])))  # noqa: B905
        return np.reshape(np.array([metric(x, y, **given) for x, y in pairs]), a.shape[:-1])
    for name, others in _OTHER_NAMES.items():
        if metric in others.split():
            metric = name
    if metric not in _METRICS or w is not None or given or (metric == "mahalanobis" and VI is None):
        refuse(f"scipy.spatial.distance has no derivative rule for the metric {metric!r} with these options")
    return _METRICS[metric](a, b, p, VI)


@twin(sd.cdist)
def _cdist(XA, XB, metric="euclidean", *, out=None, p=2, VI=None, w=None, **given):  # noqa: N803
    options = {k: v for k, v in (("VI", VI), ("w", w)) if v is not None}
    if metric == "minkowski":
        options["p"] = p
    found = plainly(sd.cdist, XA, XB, metric, **options, **given)
    a, b = np.asarray(XA), np.asarray(XB)
    found = exactly(found, formula(metric, a[:, None, :], b[None, :, :], p, VI, w, given))
    if out is None:
        return found
    out[...] = found
    return out


@twin(sd.pdist)
def _pdist(X, metric="euclidean", *, out=None, p=2, VI=None, w=None, **given):  # noqa: N803
    options = {k: v for k, v in (("VI", VI), ("w", w)) if v is not None}
    if metric == "minkowski":
        options["p"] = p
    found = plainly(sd.pdist, X, metric, **options, **given)
    x = np.asarray(X)
    i, j = plainly(np.triu_indices, len(x), 1)
    found = exactly(found, formula(metric, x[i], x[j], p, VI, w, given))
    if out is None:
        return found
    out[...] = found
    return out


@twin(sd.squareform)
def _squareform(X, force="no", checks=True):  # noqa: N803
    found = plainly(sd.squareform, X, force, checks)
    x = np.asarray(X)
    i, j = plainly(np.triu_indices, len(found) if x.ndim == 1 else len(x), 1)
    if x.ndim == 2:
        return exactly(found, x[i, j])
    made = np.zeros(found.shape)
    made[i, j] = x
    made[j, i] = x
    return exactly(found, made)
