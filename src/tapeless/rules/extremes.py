"""Maxima and minima that pass over NaN: the methods of `fmax` and `fmin`, by which `nanmax` goes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tapeless.rules.reductions import chosen, running
from tapeless.rules.registry import jvp_rule, row

_A = np.array([[0.5, -1.5, 2.0], [1.25, 0.75, -0.25]])
_REDUCED = [row(_A), row(_A, axis=None), row(_A, axis=1, keepdims=True), row(_A, axis=1, initial=0.6)]
_RUNNING = [row(_A), row(_A, axis=1), row(np.array([0.5, 0.2, 0.9, 0.1]))]


def picked(pick: Any, worst: float) -> Callable[..., Any]:
    """The rule of a `reduce` that never picks NaN."""

    def tangent(
        array: Any,
        darray: Any,
        axis: Any = 0,
        dtype: Any = None,
        out_: Any = None,
        keepdims: Any = False,
        initial: Any = None,
        where: Any = True,
    ) -> Any:
        numbers = np.where(np.isnan(array), worst, array)
        return chosen(numbers, darray, axis, keepdims, initial, where, pick, worst)

    return tangent


jvp_rule(np.fmax.reduce, rows=_REDUCED)(picked(np.argmax, -np.inf))
jvp_rule(np.fmin.reduce, rows=_REDUCED)(picked(np.argmin, np.inf))


@jvp_rule(np.fmax.accumulate, rows=_RUNNING)
def _(array: Any, darray: Any, axis: int = 0, dtype: Any = None) -> Any:
    return running(array, darray, axis, np.fmax)


@jvp_rule(np.fmin.accumulate, rows=_RUNNING)
def _(array: Any, darray: Any, axis: int = 0, dtype: Any = None) -> Any:
    return running(array, darray, axis, np.fmin)
