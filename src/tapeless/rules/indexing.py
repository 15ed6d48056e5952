"""Reading parts of arrays: `a[index]`, `take`, selections and interpolation. (Stores belong to the
runtime.)"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from tapeless.rules.compat import find_all
from tapeless.rules.operations import Gather
from tapeless.rules.registry import Linear, jvp_rule, lookup, row, transpose_rule

_V = np.array([0.5, -1.5, 2.0, 0.75])
_A = np.array([[0.5, -1.5, 2.0], [1.25, 0.75, -0.25]])


def scattered(ct: Any, a: Any, index: Any) -> Any:
    """Zeros of the shape of `a` with the cotangent added at the index, once for each time it is named."""
    total = np.zeros(np.shape(a), np.result_type(ct))
    np.add.at(total, index, ct)
    return total


@transpose_rule(
    [operator.getitem, np.ndarray.__getitem__],
    rows=[
        row(_V, 1),
        row(_V, -1),
        row(_V, slice(None, None, -2)),
        row(_A, 1),
        row(_A, (0, 2)),
        row(_A, (Ellipsis, None)),
        row(_A, (slice(1), np.array([2, 0, 2]))),
        row(_V, np.array([1, 1, 3])),
        row(_V, [0, 0]),
        row(_V, _V > 0.6),
        row(_A, (np.array([[0], [1]]), np.array([1, 1]))),
        row(np.array(2.5), ()),
        row(np.float64(2.5), (Ellipsis, None)),
        row(_A, _A < 1.0),
        row(_A, True),
    ],
)
def _(ct: Any, a: Any, index: Any) -> Any:
    return scattered(ct, a, index)


def take_index(a: Any, indices: Any, axis: Any, mode: str) -> Any:
    """The index that `take` reads; for axis None into the flattened array."""
    n = np.size(a) if axis is None else np.shape(a)[axis]
    where = np.asarray(indices, dtype=None if np.size(indices) else int)
    if mode == "wrap":
        where = where % n
    elif mode == "clip":
        where = np.clip(where, 0, n - 1)
    return where if axis is None else (slice(None),) * (axis % np.ndim(a)) + (where,)


@jvp_rule(
    [np.take, np.ndarray.take],
    rows=[
        row(_V, [1, 1, 3]),
        row(_A, np.array([0, 2]), axis=1),
        row(_A, 4),
        row(_A, [7, -9], mode="wrap"),
        row(_A, 1, 0),
        row(_V, [9, -3], mode="clip"),
    ],
)
def _(a: Any, da: Any, indices: Any, axis: Any = None, out_: Any = None, mode: str = "raise") -> Any:
    return (np.ravel(da) if axis is None else da)[take_index(a, indices, axis, mode)]


def along_index(indices: Any, shape: tuple[int, ...], axis: int) -> Any:
    """The index of `take_along_axis`: the given one along the axis, a broadcast range along the others."""
    axis = axis % len(shape)
    parts: list[Any] = [
        np.arange(n).reshape((-1,) + (1,) * (len(shape) - 1 - k)) for k, n in enumerate(shape)
    ]
    parts[axis] = indices
    for k, n in enumerate(shape):
        if k != axis and np.shape(indices)[k] == 1 and n != 1:
            continue  # the range itself broadcasts the index
    return tuple(parts)


@transpose_rule(
    np.take_along_axis,
    rows=[
        row(_A, np.array([[2], [0]]), 1),
        row(_A, np.array([[1, 0, 1]]), axis=0),
        row(_A, np.array([5, 0, 5]), None),
    ],
)
def _(ct: Any, arr: Any, indices: Any, axis: Any = -1) -> Any:
    if axis is None:
        return np.reshape(scattered(ct, np.ravel(arr), indices), np.shape(arr))
    return scattered(ct, arr, along_index(indices, np.shape(arr), axis))


@jvp_rule(
    [np.compress], count=2, rows=[row(np.array([True, False, True]), _A, 1), row([True, False, True], _V)]
)
def _(condition: Any, a: Any, dcondition: Any, da: Any, axis: Any = None) -> Any:
    places = np.flatnonzero(condition)
    return np.ravel(da)[places] if axis is None else da[(slice(None),) * (axis % np.ndim(a)) + (places,)]


@jvp_rule([np.ndarray.compress], rows=[row(_A, np.array([True, False, True]), 1)])
def _(a: Any, da: Any, condition: Any, axis: Any = None) -> Any:
    places = np.flatnonzero(condition)
    return np.ravel(da)[places] if axis is None else da[(slice(None),) * (axis % np.ndim(a)) + (places,)]


@jvp_rule(np.ndarray.item, rows=[row(np.array(2.5)), row(_V, 1), row(_A, 4), row(_A, 1, 2), row(_A, (0, 1))])
def _(a: Any, da: Any, *index: Any) -> Any:
    if len(index) > 1:
        return da[index]
    if not index:
        return da[(0,) * np.ndim(a)]
    return da[index[0]] if isinstance(index[0], tuple) else da[np.unravel_index(index[0], np.shape(a))]


# ---- the order of elements -----------------------------------------------------------------------


def _sorted(a: Any, da: Any, axis: Any, order: Any) -> Any:
    if axis is None:
        a, da, axis = np.ravel(a), np.ravel(da), 0
    return np.take_along_axis(da, order(a, axis), axis)


@jvp_rule(np.sort, rows=[row(_V), row(_A), row(_A, 0), row(_A, axis=None)])
def _(a: Any, da: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> Any:
    return _sorted(a, da, axis, lambda a, axis: np.argsort(a, axis, "stable" if stable else kind))


@jvp_rule(np.partition, rows=[row(_V, 2), row(_A, 1), row(_A, 1, axis=0), row(_A, 3, axis=None)])
def _(a: Any, da: Any, kth: Any, axis: Any = -1, kind: Any = "introselect", order: Any = None) -> Any:
    return _sorted(a, da, axis, lambda a, axis: np.argpartition(a, kth, axis, kind))


# ---- choices and interpolation -------------------------------------------------------------------


def _choice(terms: list[Any]) -> Any:
    total = None
    for t in terms:
        total = t if total is None else total + t
    return total


@jvp_rule(
    np.select,
    count=3,
    sequence=True,
    rows=[row([_V > 1.0, _V > 0.0], [_V * 2.0, _V * 3.0], 5.0), row([_V > 1.0], [_V], default=_V)],
)
def _(condlist: Any, choicelist: Any, default: Any, dcondlist: Any, dchoicelist: Any, ddefault: Any) -> Any:
    terms, free = [], np.True_
    for k, condition in enumerate(condlist):
        if dchoicelist is not None and dchoicelist[k] is not None:
            terms.append(np.where(free & condition, dchoicelist[k], 0))
        free = free & ~condition
    if ddefault is not None:
        terms.append(np.where(free, ddefault, 0))
    return _choice(terms)


@jvp_rule(np.choose, count=2, sequence=True, rows=[row(np.array([0, 1, 1, 0]), [_V, _V * 2.0])])
def _(a: Any, choices: Any, da: Any, dchoices: Any, out_: Any = None, mode: str = "raise") -> Any:
    n = len(choices)
    which = np.mod(a, n) if mode == "wrap" else np.clip(a, 0, n - 1)
    return _choice([np.where(which == k, dchoices[k], 0) for k in range(n) if dchoices[k] is not None])


_XP, _FP = np.array([0.0, 1.0, 2.5, 3.0]), np.array([1.0, -0.5, 2.0, 0.25])


_POINTS = np.array([0.25, 1.75, 2.75, 3.5, -1.2])


@jvp_rule(
    find_all("numpy._core.multiarray.interp", "numpy._core.multiarray.interp_complex"),
    rows=[row(_POINTS, _XP, _FP), row(_POINTS, _XP, _FP, 0.0, None)],
)
def interpolation_tangent(
    x: Any,
    xp: Any,
    fp: Any,
    dx: Any,
    dxp: Any,
    dfp: Any,
    left: Any = None,
    right: Any = None,
    *,
    dleft: Any = None,
    dright: Any = None,
) -> Any:
    """That of the values between nodes, and of those given for points outside."""
    x, xp = np.asarray(x), np.asarray(xp)
    sides = [((x < xp[0]) * 1.0, dleft), ((x > xp[-1]) * 1.0, dright)]
    outside = [where * t for where, t in sides if t is not None]
    inside = between_nodes(x, xp, fp, dx, dxp, dfp, left, right)
    return _choice([t for t in (inside, *outside) if t is not None])


def between_nodes(x: Any, xp: Any, fp: Any, dx: Any, dxp: Any, dfp: Any, left: Any, right: Any) -> Any:
    """y = (1 - w) f[j] + w f[j + 1], with w the place of x between two nodes; constant outside."""
    x, xp, fp = np.asarray(x), np.asarray(xp), np.asarray(fp)
    n = len(xp)
    if n == 1:
        return (
            None
            if dfp is None
            else np.where((x < xp[0]) & (left is not None), 0, 1.0) * dfp[np.zeros(x.shape, int)]
        )
    j = np.clip(np.searchsorted(xp, x, "right") - 1, 0, n - 2)
    width = xp[j + 1] - xp[j]
    inside = (x >= xp[0]) & (x <= xp[-1])
    w = np.clip((x - xp[j]) / width, 0, 1)
    slope = np.where(inside & (x < xp[-1]), (fp[j + 1] - fp[j]) / width, 0)
    terms = []
    if dx is not None:
        terms.append(slope * dx)
    if dxp is not None:
        terms.append(-slope * ((1 - w) * dxp[j] + w * dxp[j + 1]))
    if dfp is not None:
        given = ((x < xp[0]) & (left is not None)) | ((x > xp[-1]) & (right is not None))
        terms.append(np.where(given, 0, 1 - w) * dfp[j] + np.where(given, 0, w) * dfp[j + 1])
    return _choice(terms)


@jvp_rule(
    np.interp,
    rows=[
        row(_POINTS, _XP, _FP),
        row(1.5, _XP, _FP),
        row(_POINTS, _XP, _FP, 0.0, 1.0),
        row(_POINTS, _XP, _FP, period=4.0),
    ],
)
def _(
    x: Any,
    xp: Any,
    fp: Any,
    dx: Any,
    dxp: Any,
    dfp: Any,
    left: Any = None,
    right: Any = None,
    period: Any = None,
    *,
    dleft: Any = None,
    dright: Any = None,
) -> Any:
    if period is None:
        return interpolation_tangent(x, xp, fp, dx, dxp, dfp, left, right, dleft=dleft, dright=dright)
    x, xp, fp = np.asarray(x) % period, np.asarray(xp) % period, np.asarray(fp)
    order = np.argsort(xp)
    around = np.concatenate((order[-1:], order, order[:1]))  # one node more on either side
    turns = np.concatenate(([-period], np.zeros(len(order)), [period]))
    return interpolation_tangent(
        x,
        xp[around] + turns,
        fp[around],
        dx,
        None if dxp is None else dxp[around],
        None if dfp is None else dfp[around],
    )


def _install_gathers() -> None:
    """Reading a part is recorded so that the pullback adds into the parent's buffer, touching only that
    part."""
    getitem, along = lookup(operator.getitem), lookup(np.take_along_axis)
    assert isinstance(getitem, Linear) and isinstance(along, Linear)
    getitem.operation = lambda a, index: Gather(index)


_install_gathers()
