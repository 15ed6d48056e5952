"""Arrays of a list whose length is known at run time only, joined: their axes moved and merged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tapeless.backends.native.affine import simplify
from tapeless.backends.native.nest import apply
from tapeless.backends.native.staging.lowerings import array, one_axis
from tapeless.backends.native.staging.reshaping import ravel, reshaped
from tapeless.backends.native.staging.shapes import expand_dims, moveaxis
from tapeless.backends.native.staging.storage import fail
from tapeless.backends.native.staging.values import ArrayValue, Growing, Static

if TYPE_CHECKING:
    from tapeless.backends.native.staging.stager import Stager


def concatenated(stager: Stager, rows: Growing, axis: int | None) -> ArrayValue:
    value = array(stager, rows)
    if axis is None:
        return ravel(stager, value)
    if value.ndim == 1:
        fail(stager, ValueError, "zero-dimensional arrays cannot be concatenated")
    return end_to_end(stager, value, one_axis(stager, axis, value.ndim - 1))


def stacked(stager: Stager, rows: Growing, axis: int) -> ArrayValue:
    value = array(stager, rows)
    return array(stager, moveaxis(stager, value, Static(0), Static(one_axis(stager, axis, value.ndim))))


def by_name(stager: Stager, name: str, rows: Growing) -> ArrayValue:
    """`hstack`, `vstack`, `dstack`, `column_stack`."""
    value = array(stager, rows)
    axis = {"hstack": 0 if value.ndim == 2 else 1, "vstack": 0, "dstack": 2, "column_stack": 1}[name]
    if value.ndim == 1:  # numbers
        if name == "hstack":
            return value
        if name == "vstack":
            return expand_dims(stager, value, Static(1))
        value = expand_dims(stager, value, Static(0))
        return value if name == "column_stack" else expand_dims(stager, value, Static(0))
    if value.ndim == 2 and name != "hstack":  # rows become matrices
        value = expand_dims(stager, value, Static(2 if name == "column_stack" else 1))
    if value.ndim == 3 and name == "dstack":
        value = expand_dims(stager, value, Static(3))
    return end_to_end(stager, value, axis)


def end_to_end(stager: Stager, value: ArrayValue, axis: int) -> ArrayValue:
    """The rows of an array, one after another along one of their axes."""
    moved = array(stager, moveaxis(stager, value, Static(0), Static(axis)))
    shape = moved.shape
    merged = simplify(apply("mul", shape[axis], shape[axis + 1]))
    return reshaped(stager, moved, (*shape[:axis], merged, *shape[axis + 2 :]))
