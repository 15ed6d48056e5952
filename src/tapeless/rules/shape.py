"""Functions that move elements about, copy them or make new arrays: all linear, so each has a transpose."""

from __future__ import annotations

from typing import Any

import numpy as np

from tapeless.rules.compat import find_all
from tapeless.rules.registry import elementwise, jvp_rule, nondifferentiable, row, transpose_rule

_V = np.array([0.5, -1.5, 2.0])
_A = np.array([[0.5, -1.5, 2.0], [1.25, 0.75, -0.25]])
_B = np.linspace(-1.0, 1.3, 24).reshape(2, 3, 4)

# ---- the same elements ---------------------------------------------------------------------------

elementwise(
    [
        np.copy,
        np.ndarray.copy,
        np.ndarray.__copy__,
        np.ndarray.__deepcopy__,
        np.asarray,
        np.asanyarray,
        np.ascontiguousarray,
        np.asfortranarray,
        np.require,
        np.asarray_chkfinite,
        np.ndarray.astype,
        np.generic.astype,
        np.ndarray.__array__,
        *find_all("numpy.astype", "numpy.ndarray.newbyteorder"),
    ],
    partials=lambda y, a, *_: (1,),  # casts, copies or neither: what differs is the type of the result
    rows=[row(_A), row(np.array(0.5))],
    constant=True,
)


def _order(a: Any, order: Any) -> Any:
    """The order in which elements are read: "A" and "K" ask the layout of the array itself."""
    if order in ("A", "K"):
        return "F" if isinstance(a, np.ndarray) and a.flags.fnc else "C"
    return order or "C"


@transpose_rule(
    np.reshape,
    rows=[row(_A, (3, 2)), row(_A, -1), row(_A, (3, 2), order="F"), row(np.array(2.0), (1, 1))],
)
def _(ct: Any, a: Any, shape: Any = None, order: Any = "C", *, newshape: Any = None, copy: Any = None) -> Any:
    return np.reshape(ct, np.shape(a), order=_order(a, order))


@jvp_rule(np.ndarray.__array_wrap__, rows=[row(_A, _B), row(_V, np.array(2.0))])
def _(like: Any, array: Any, dlike: Any, darray: Any, *_: Any, out: Any) -> Any:
    return None if darray is None else np.reshape(darray, np.shape(out))


@transpose_rule(np.ndarray.reshape, rows=[row(_A, 3, 2), row(_A, (3, 2)), row(_A, -1, order="F")])
def _(ct: Any, a: Any, *shape: Any, order: Any = "C", copy: Any = None) -> Any:
    return np.reshape(ct, np.shape(a), order=_order(a, order))


@transpose_rule(
    [np.ravel, np.ndarray.ravel, np.ndarray.flatten], apply=np.ravel, rows=[row(_A), row(_A, "F"), row(_V)]
)
def _(ct: Any, a: Any, order: Any = "C") -> Any:
    return np.reshape(ct, np.shape(a), order=_order(a, order))


@transpose_rule(np.transpose, rows=[row(_A), row(_B, (2, 0, 1)), row(_B, axes=(0, -1, 1))])
def _(ct: Any, a: Any, axes: Any = None) -> Any:
    return np.transpose(ct) if axes is None else np.transpose(ct, np.argsort([k % len(axes) for k in axes]))


@transpose_rule(np.ndarray.transpose, rows=[row(_A), row(_B, 2, 0, 1), row(_B, (2, 0, 1)), row(_A, None)])
def _(ct: Any, a: Any, *axes: Any) -> Any:
    if not axes or axes[0] is None:
        return np.transpose(ct)
    order = axes[0] if len(axes) == 1 and isinstance(axes[0], (tuple, list)) else axes
    return np.transpose(ct, np.argsort([k % len(order) for k in order]))


@transpose_rule(np.ndarray.T, apply=np.transpose, rows=[row(_A), row(_B), row(_V)])
def _(ct: Any, a: Any) -> Any:
    return np.transpose(ct)


def _swapped(a: Any) -> Any:
    return np.swapaxes(a, -1, -2)


@transpose_rule(
    find_all("numpy.ndarray.mT", "numpy.matrix_transpose", "numpy.linalg.matrix_transpose"),
    apply=_swapped,
    rows=[row(_A), row(_B)],
)
def _(ct: Any, x: Any) -> Any:
    return np.swapaxes(ct, -1, -2)


@transpose_rule([np.swapaxes, np.ndarray.swapaxes], rows=[row(_A, 0, 1), row(_B, -1, 0)])
def _(ct: Any, a: Any, axis1: int, axis2: int) -> Any:
    return np.swapaxes(ct, axis1, axis2)


@transpose_rule(np.moveaxis, rows=[row(_B, 0, -1), row(_B, (0, 1), (2, 0))])
def _(ct: Any, a: Any, source: Any, destination: Any) -> Any:
    return np.moveaxis(ct, destination, source)


@transpose_rule([np.squeeze, np.ndarray.squeeze], rows=[row(_A[:, :1], 1), row(_A[None], axis=0)])
def _(ct: Any, a: Any, axis: Any = None) -> Any:
    return np.reshape(ct, np.shape(a))


@transpose_rule(np.expand_dims, rows=[row(_A, 1), row(_A, axis=(0, 3))])
def _(ct: Any, a: Any, axis: Any) -> Any:
    return np.reshape(ct, np.shape(a))


@transpose_rule(np.broadcast_to, rows=[row(_V, (2, 3)), row(_A[:, :1], (2, 4)), row(np.array(1.5), (3,))])
def _(ct: Any, array: Any, shape: Any, subok: bool = False) -> Any:
    return ct


@transpose_rule(np.flip, rows=[row(_A), row(_A, 1), row(_B, axis=(0, 2))])
def _(ct: Any, m: Any, axis: Any = None) -> Any:
    return np.flip(ct, axis)


@transpose_rule(np.roll, rows=[row(_A, 1), row(_A, -1, axis=1), row(_A, (1, 2), (0, 1))])
def _(ct: Any, a: Any, shift: Any, axis: Any = None) -> Any:
    return np.roll(ct, np.negative(shift) if axis is None else tuple(np.atleast_1d(np.negative(shift))), axis)


@transpose_rule(
    [np.repeat, np.ndarray.repeat],
    rows=[row(_A, 2), row(_A, 2, axis=0), row(_A, [1, 0, 2], axis=1), row(1.5, 3)],
)
def _(ct: Any, a: Any, repeats: Any, axis: Any = None) -> Any:
    size = np.size(a) if axis is None else np.shape(a)[axis]
    sources = np.repeat(np.arange(size), repeats)
    ct = np.ravel(ct) if axis is None else np.moveaxis(ct, axis, 0)
    total = np.tensordot(sources == np.arange(size)[:, None], ct, axes=(1, 0))
    return np.reshape(total, np.shape(a)) if axis is None else np.moveaxis(total, 0, axis)


@transpose_rule(np.triu, rows=[row(_A), row(_B, 1)])
def _(ct: Any, m: Any, k: int = 0) -> Any:
    return np.triu(ct, k)


@transpose_rule(np.tril, rows=[row(_A), row(_B, -1)])
def _(ct: Any, m: Any, k: int = 0) -> Any:
    return np.tril(ct, k)


def on_diagonal(ct: Any, shape: tuple[int, ...], k: int) -> Any:
    """Zeros of the shape, with `ct`, whose last axis is the diagonal, on the diagonal of the last two
    axes."""
    rows, columns = shape[-2:]
    place = np.eye(rows, columns, k)
    n = np.shape(ct)[-1]
    # spread along rows or columns so that element i lies in row i (k >= 0) or in column i (k < 0)
    wide = (
        ct[..., np.minimum(np.arange(rows), n - 1), None]
        if k >= 0
        else ct[..., None, np.minimum(np.arange(columns), n - 1)]
    )
    return place * wide if n else np.zeros(shape)


@transpose_rule([np.diagonal, np.ndarray.diagonal], rows=[row(_A), row(_A, 1), row(_A, -1), row(_B, 0, 2, 1)])
def _(ct: Any, a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    shape = np.shape(a)
    rest = [n for k, n in enumerate(shape) if k not in (axis1 % len(shape), axis2 % len(shape))]
    full = on_diagonal(ct, (*rest, shape[axis1], shape[axis2]), offset)
    return np.moveaxis(full, (-2, -1), (axis1, axis2))


@transpose_rule(np.diag, rows=[row(_V), row(_V, -1), row(_A), row(_A, 1)])
def _(ct: Any, v: Any, k: int = 0) -> Any:
    return np.diagonal(ct, k) if np.ndim(v) == 1 else on_diagonal(ct, np.shape(v), k)


@transpose_rule(np.diagflat, rows=[row(_V), row(_A, 1)])
def _(ct: Any, v: Any, k: int = 0) -> Any:
    return np.reshape(np.diagonal(ct, k), np.shape(v))


# ---- joining and splitting -----------------------------------------------------------------------


@transpose_rule(
    np.concatenate,
    sequence=True,
    rows=[row((_A, _A[:1])), row([_A, _A[:, :2]], axis=1), row([_V, _A], None), row([_V, _V], -1)],
)
def _(ct: Any, arrays: Any, axis: Any = 0, out: Any = None, *, dtype: Any = None, casting: Any = None) -> Any:
    if axis is None:
        stops = np.cumsum([np.size(a) for a in arrays])
        return [
            np.reshape(ct[stop - np.size(a) : stop], np.shape(a))
            for a, stop in zip(arrays, stops, strict=False)
        ]
    ct = np.moveaxis(ct, axis, 0)
    stops = np.cumsum([np.shape(a)[axis] for a in arrays])
    return [
        np.moveaxis(ct[stop - np.shape(a)[axis] : stop], 0, axis)
        for a, stop in zip(arrays, stops, strict=False)
    ]


@transpose_rule(np.stack, sequence=True, rows=[row([_V, _V]), row((_A, _A), axis=-1), row([1.5, 2.5])])
def _(ct: Any, arrays: Any, axis: int = 0, out: Any = None, *, dtype: Any = None, casting: Any = None) -> Any:
    return np.moveaxis(ct, axis, 0)


def _nested_array(object: Any, *_: Any, **__: Any) -> Any:
    return np.array(object)


@transpose_rule(
    np.array,
    sequence=True,
    apply=_nested_array,
    rows=[
        row([1.5, 2.5]),
        row([[1.5, 2.0], [0.5, 3]]),
        row([_V, _V]),
        row(_A),
        row(2.5),
        row([1.5], ndmin=2),
    ],
)
def _(
    ct: Any,
    object: Any,
    dtype: Any = None,
    *,
    copy: Any = True,
    order: Any = "K",
    subok: bool = False,
    ndmin: int = 0,
    ndmax: int = 0,
    like: Any = None,
) -> Any:
    return np.reshape(ct, np.shape(object))


@jvp_rule([np.array_split, np.split], rows=[row(np.arange(6.0), 3), row(_A, [1], axis=1)])
def _(ary: Any, dary: Any, indices_or_sections: Any, axis: int = 0, *, out: Any) -> Any:
    stops = np.cumsum([piece.shape[axis] for piece in out])
    dary = np.moveaxis(dary, axis, 0)
    return [
        np.moveaxis(dary[stop - piece.shape[axis] : stop], 0, axis)
        for piece, stop in zip(out, stops, strict=False)
    ]


@jvp_rule(np.ndarray.tolist, rows=[row(_V), row(_A), row(np.array(1.5))])
def _(a: Any, da: Any, *, out: Any) -> Any:
    return _nest(da, np.shape(a), ())


def _nest(da: Any, shape: tuple[int, ...], index: tuple[int, ...]) -> Any:
    if len(index) == len(shape):
        return da[index]
    return [_nest(da, shape, (*index, i)) for i in range(shape[len(index)])]


# ---- new arrays ----------------------------------------------------------------------------------


@transpose_rule(np.full, linear=(1,), rows=[row((2, 3), 1.5), row((2, 3), _V)])
def _(
    ct: Any,
    shape: Any,
    fill_value: Any,
    dtype: Any = None,
    order: Any = "C",
    *,
    like: Any = None,
    device: Any = None,
    subok: bool = True,
) -> Any:
    return ct


def _even(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: Any = None,
    axis: int = 0,
    device: Any = None,
) -> Any:
    return np.linspace(start, stop, num, endpoint, axis=axis)


@transpose_rule(
    np.linspace,
    joint=(0, 1),
    apply=_even,
    rows=[row(0.5, 2.0, 5), row(0.5, 2.0, 4, endpoint=False), row(_V, 1.0, 3)],
)
def _(
    ct: Any,
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: Any = None,
    axis: int = 0,
    device: Any = None,
    *,
    wrt: int,
) -> Any:
    if retstep:
        raise NotImplementedError(
            "numpy.linspace with retstep=True has no derivative rule: compute the step yourself"
        )
    weights = np.linspace(0.0, 1.0, num, endpoint)
    return np.tensordot(weights if wrt else 1.0 - weights, np.moveaxis(ct, axis, 0), axes=(0, 0))


nondifferentiable(
    *find_all(
        *(
            "numpy." + name
            for name in (
                "zeros",
                "ones",
                "empty",
                "eye",
                "identity",
                "tri",
                "indices",
                "zeros_like",
                "ones_like",
                "empty_like",
                "shape",
                "ndim",
                "size",
                "result_type",
                "promote_types",
                "can_cast",
                "min_scalar_type",
                "dtype",
                "finfo",
                "iinfo",
                "issubdtype",
                "common_type",
                "shares_memory",
                "may_share_memory",
                "broadcast_shapes",
                "tril_indices",
                "triu_indices",
                "tril_indices_from",
                "triu_indices_from",
                "diag_indices",
                "diag_indices_from",
                "mask_indices",
                "unravel_index",
                "ravel_multi_index",
                "ix_",
                "array_repr",
                "array_str",
                "array2string",
                "format_float_positional",
                "format_float_scientific",
                "geterr",
                "isfortran",
                "iterable",
                "typename",
                "mintypecode",
                "base_repr",
                "binary_repr",
                "ndarray.dtype",
                "ndarray.shape",
                "ndarray.ndim",
                "ndarray.size",
                "ndarray.itemsize",
                "ndarray.nbytes",
                "ndarray.strides",
                "ndarray.flags",
                "ndarray.tobytes",
                "ndarray.__len__",
                "ndarray.__bool__",
                "ndarray.__int__",
                "ndarray.__repr__",
                "ndarray.__str__",
                "ndarray.__contains__",
                "ndarray.__eq__",
                "ndarray.__ne__",
                "ndarray.__lt__",
                "ndarray.__le__",
                "ndarray.__gt__",
                "ndarray.__ge__",
                "ndarray.__format__",
                "ndarray.dumps",
                "ndarray.device",
                "bool_",
                "int8",
                "int16",
                "int32",
                "int64",
                "uint8",
                "intp",
                "uint16",
                "uint32",
                "uint64",
            )
        )
    )
)
_CASTS = find_all(
    "numpy.float64",
    "numpy.float32",
    "numpy.float16",
    "numpy.longdouble",
    "numpy.complex64",
    "numpy.complex128",
    "numpy.clongdouble",
)
elementwise(_CASTS, partials=lambda y, x=0.0: 1, rows=[0.5], constant=True)
