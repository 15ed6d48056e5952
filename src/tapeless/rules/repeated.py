"""`reduce` and `accumulate` of ufuncs that have no rule of their own, as `np.subtract` and `np.hypot`.

Where they are active, they are the loops that NumPy documents them to be, through the ufunc's own rule.
"""
# The twins are opened like functions of the program: they stay without annotations.
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

from __future__ import annotations

import numpy as np

from tapeless.rules.registry import twin
from tapeless.rules.twins import exactly, plainly, refuse


def steps(ufunc, array, axis):
    """What the ufunc gives after each item along the axis."""
    found = []  # type: ignore[var-annotated]
    for item in np.moveaxis(array, axis, 0):
        found.append(ufunc(found[-1], item) if found else item)
    return found


def operand(name, array, dtype, out):
    known = isinstance(array, (list, tuple)) or type(array) is np.ndarray
    array = np.asarray(array)
    if not known or dtype is not None or out is not None or array.dtype.kind not in "fc":
        refuse(f"{name} has a derivative rule for plain arrays, without dtype= and out=")
    return array


@twin(np.ufunc.accumulate)
def _accumulate(ufunc, array, axis=0, dtype=None, out=None):
    array = operand(f"numpy.{ufunc.__name__}.accumulate", array, dtype, out)
    found = plainly(ufunc.accumulate, array, axis)
    return exactly(found, np.stack(steps(ufunc, array, axis), axis)) if array.size else found


@twin(np.ufunc.reduce)
def _reduce(ufunc, array, axis=0, dtype=None, out=None, keepdims=False, initial=None, where=True):
    name = f"numpy.{ufunc.__name__}.reduce"
    array = operand(name, array, dtype, out)
    if where is not True or array.size == 0 or axis is None or isinstance(axis, tuple):
        refuse(f"{name} has a derivative rule along one axis that has elements, without where=")
    options = {} if initial is None else {"initial": initial}
    found = plainly(ufunc.reduce, array, axis, keepdims=keepdims, **options)
    if initial is not None:
        array = np.concatenate((np.zeros_like(array.take([0], axis)) + initial, array), axis)
    return exactly(found, np.reshape(steps(ufunc, array, axis)[-1], np.shape(found)))
