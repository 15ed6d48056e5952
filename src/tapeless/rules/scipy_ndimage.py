"""SciPy's filters and interpolation of images: sums over windows and B-splines, as NumPy computes them.

The values are those of the C code, which is run as it is; the formulas here, opened in its place, give the
derivatives. Read only when a function of `scipy.ndimage` is first looked up.
"""
# The twins are opened like functions of the program: they stay without annotations.
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import scipy.ndimage  # type: ignore[import-untyped]  # noqa: F401

from tapeless.rules.compat import find
from tapeless.rules.registry import twin
from tapeless.rules.twins import exactly, plainly, refuse

_CORE = find("scipy.ndimage._nd_image")
_PADS: dict[int, Any] = {0: "edge", 1: "wrap", 2: "symmetric", 3: "reflect", 5: "wrap"}
_CONSTANT, _GRID_CONSTANT = 4, 6


def core(name):
    return getattr(_CORE, name, None)


def places(n, before, after, mode):
    """Which element stands at each place of an axis that goes on beyond its ends."""
    return np.pad(np.arange(n), (before, after), mode=_PADS[mode])


def extended(x, axis, before, after, mode, cval):
    """`x`, that goes on along an axis."""
    n = x.shape[axis]
    if n == 0:
        return np.zeros((*x.shape[:axis], before + after, *x.shape[axis + 1 :]))
    if mode not in (_CONSTANT, _GRID_CONSTANT):
        return np.take(x, plainly(places, n, before, after, mode), axis=axis)
    edges = [np.full((*x.shape[:axis], k, *x.shape[axis + 1 :]), 1.0) * cval for k in (before, after)]
    return np.concatenate((edges[0], x, edges[1]), axis=axis)


def windows(x, shape, origins, mode, cval):
    """The arrays of first, second, … neighbours, by their places in a window."""
    whole = x
    for axis, size in enumerate(shape):
        before = size // 2 + origins[axis]
        whole = extended(whole, axis, before, size - 1 - before, mode, cval)
    for place in itertools.product(*[range(size) for size in shape]):
        yield place, whole[tuple([slice(k, k + n) for k, n in zip(place, x.shape)])]  # noqa: B905


def along(x, size, axis, origin, mode, cval):
    """The windows along one axis."""
    shape, origins = [1] * x.ndim, [0] * x.ndim
    shape[axis], origins[axis] = size, origin
    return [part for _, part in windows(x, shape, origins, mode, cval)]


def stored(function, args, where, formula):
    """Write what a C function writes into its argument number `where`, with the derivative of a formula."""
    output = args[where]
    found = np.empty_like(output)
    plainly(function, *args[:where], found, *args[where + 1 :])
    formula = formula + np.zeros(found.shape)
    if not plainly(np.allclose, found, formula, 1e-6, 1e-6, equal_nan=True):
        refuse(
            "this call of scipy.ndimage has no derivative rule: its mode, order or type is not one "
            "of those known"
        )
    output[...] = exactly(found, formula)


@twin(core("correlate1d"))
def _correlate1d(*args):
    x, weights, axis, _, mode, cval, origin = args
    parts = along(np.asarray(x), len(weights), axis, origin, mode, cval)
    stored(core("correlate1d"), args, 3, sum([weights[k] * parts[k] for k in range(len(parts))]))


@twin(core("correlate"))
def _correlate(*args):
    x, weights, _, mode, cval, origins = args
    total = 0.0
    for place, part in windows(np.asarray(x), weights.shape, origins, mode, cval):
        total = total + weights[place] * part
    stored(core("correlate"), args, 2, total)


@twin(core("uniform_filter1d"))
def _uniform_filter1d(*args):
    x, size, axis, _, mode, cval, origin = args
    stored(
        core("uniform_filter1d"), args, 3, sum(along(np.asarray(x), size, axis, origin, mode, cval)) / size
    )


@twin(core("min_or_max_filter1d"))
def _min_or_max_filter1d(*args):
    x, size, axis, _, mode, cval, origin, least = args
    parts = np.stack(along(np.asarray(x), size, axis, origin, mode, cval))
    stored(core("min_or_max_filter1d"), args, 3, np.min(parts, axis=0) if least else np.max(parts, axis=0))


@twin(core("min_or_max_filter"))
def _min_or_max_filter(*args):
    x, footprint, structure, _, mode, cval, origins, least = args
    if structure is not None:
        refuse("morphology with a structure has no derivative rule")
    parts = [p for k, p in windows(np.asarray(x), footprint.shape, origins, mode, cval) if footprint[k]]
    found = np.min(np.stack(parts), axis=0) if least else np.max(np.stack(parts), axis=0)
    stored(core("min_or_max_filter"), args, 3, found)


@twin(core("rank_filter"))
def _rank_filter(*args):
    x, rank, footprint, _, mode, cval, origins = args
    parts = [p for k, p in windows(np.asarray(x), footprint.shape, origins, mode, cval) if footprint[k]]
    stored(core("rank_filter"), args, 3, np.sort(np.stack(parts), axis=0)[rank])


# ---- interpolation by B-splines (Unser, Aldroubi and Eden 1993) --------------------------------------


@twin(core("spline_filter1d"))
def _spline_filter1d(*args):
    x, order, axis, _, mode = args
    x = np.asarray(x)
    matrix = np.eye(x.shape[axis])
    plainly(core("spline_filter1d"), np.eye(x.shape[axis]), order, 0, matrix, mode)
    stored(core("spline_filter1d"), args, 3, np.moveaxis(np.tensordot(matrix, x, (1, axis)), 0, axis))


def basis(order, f):
    """The B-splines that are not zero at a fraction `f` of the way between knots."""
    if order == 0:
        return [1.0]
    if order == 1:
        return [1 - f, f]
    if order == 2:
        return [(0.5 - f) ** 2 / 2, 0.75 - f * f, (0.5 + f) ** 2 / 2]
    if order == 3:
        g = 1 - f
        return [g**3 / 6, 2 / 3 - f * f * (2 - f) / 2, 2 / 3 - g * g * (2 - g) / 2, f**3 / 6]
    return refuse("scipy.ndimage has derivative rules of splines up to order 3")


def nearest(order, x):
    """The knot from which fractions are counted."""
    return np.floor(x) if order % 2 else np.floor(x + 0.5)


def taps(start, n, mode):
    """The elements at integer places, some of them beyond the ends."""
    far = int(max(-start.min(), start.max() - n + 1, 0))
    return places(n, far, far, 2 if mode == 2 else 3)[start + far]


def sampled(x, coordinates, order, mode, cval, pad):
    """The spline at coordinates, an array for each axis."""
    x = np.asarray(x)
    inside = True
    total, found = 0.0, []
    for axis, where in enumerate(coordinates):
        where, n = np.asarray(where) + pad, x.shape[axis]
        if mode == _CONSTANT:
            inside = inside & (where >= 0) & (where <= n - 1)
        if mode in (0, _CONSTANT):
            where = np.clip(where, 0, n - 1)
        knot = plainly(nearest, order, where)
        first = knot.astype(int) - order // 2
        found.append((first, basis(order, where - knot), n))
    for place in itertools.product(range(order + 1), repeat=x.ndim):
        weight, index = 1.0, []
        for k, (first, shares, n) in zip(place, found):  # noqa: B905
            weight = weight * shares[k]
            index.append(plainly(taps, first + k, n, mode))
        total = total + weight * x[tuple(index)]
    return np.where(inside, total, cval) if mode == _CONSTANT else total


@twin(core("geometric_transform"))
def _geometric_transform(*args):
    x, mapping, coordinates, matrix, offset, output, order, mode, cval, pad = args[:10]
    if mapping is not None:
        refuse("scipy.ndimage.geometric_transform of a function has no derivative rule: use map_coordinates")
    if coordinates is None:
        grid = plainly(np.indices, output.shape)
        moved = np.tensordot(np.asarray(matrix), grid, (1, 0))
        coordinates = [moved[k] + offset[k] for k in range(len(moved))]
    stored(core("geometric_transform"), args, 5, sampled(x, coordinates, order, mode, cval, pad))


@twin(core("zoom_shift"))
def _zoom_shift(*args):
    x, zoom, shift, output, order, mode, cval, pad, grid_mode = args
    coordinates = []
    for k, n in enumerate(output.shape):
        where = plainly(np.arange, n) + (0.0 if shift is None else shift[k])
        if zoom is not None:
            where = (where + 0.5) * zoom[k] - 0.5 if grid_mode else where * zoom[k]
        coordinates.append(
            np.reshape(where, [-1 if j == k else 1 for j in range(output.ndim)]) + np.zeros(output.shape)
        )
    stored(core("zoom_shift"), args, 3, sampled(x, coordinates, order, mode, cval, pad))
