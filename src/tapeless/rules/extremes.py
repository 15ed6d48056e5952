"""Running maxima and minima, and those that pass over NaN, by which `nanmax` goes."""

from __future__ import annotations

from typing import Any

import numpy as np

from tapeless.rules.reductions import picked
from tapeless.rules.registry import jvp_rule, row

_A = np.array([[0.5, -1.5, 2.0], [1.25, 0.75, -0.25]])
_REDUCED = [row(_A), row(_A, axis=None), row(_A, axis=1, keepdims=True), row(_A, axis=1, initial=0.6)]
_RUNNING = [row(_A), row(_A, axis=1), row(np.array([0.5, 0.2, 0.9, 0.1]))]


def running(a: Any, da: Any, axis: int, latest: Any) -> Any:
    """The tangent of a running maximum or minimum: of the element that first reached each value."""
    a, da = np.moveaxis(a, axis, -1), np.moveaxis(da, axis, -1)
    best = latest.accumulate(a, axis=-1)
    new = np.concatenate((np.ones_like(a[..., :1], bool), best[..., 1:] != best[..., :-1]), axis=-1)
    index = np.maximum.accumulate(np.where(new, np.arange(a.shape[-1]), 0), axis=-1)
    return np.moveaxis(np.take_along_axis(da, index, axis=-1), -1, axis)


@jvp_rule(np.maximum.accumulate, rows=[row(_A), row(_A, axis=1), row(np.array([0.5, 0.2, 0.9, 0.7]))])
def _(array: Any, darray: Any, axis: int = 0, dtype: Any = None) -> Any:
    return running(array, darray, axis, np.maximum)


@jvp_rule(np.minimum.accumulate, rows=[row(_A), row(_A, axis=1), row(np.array([0.5, 0.2, 0.9, 0.1]))])
def _(array: Any, darray: Any, axis: int = 0, dtype: Any = None) -> Any:
    return running(array, darray, axis, np.minimum)


jvp_rule(np.fmax.reduce, rows=_REDUCED)(picked(np.argmax, -np.inf, numbers=True))
jvp_rule(np.fmin.reduce, rows=_REDUCED)(picked(np.argmin, np.inf, numbers=True))


@jvp_rule(np.fmax.accumulate, rows=_RUNNING)
def _(array: Any, darray: Any, axis: int = 0, dtype: Any = None) -> Any:
    return running(array, darray, axis, np.fmax)


@jvp_rule(np.fmin.accumulate, rows=_RUNNING)
def _(array: Any, darray: Any, axis: int = 0, dtype: Any = None) -> Any:
    return running(array, darray, axis, np.fmin)
