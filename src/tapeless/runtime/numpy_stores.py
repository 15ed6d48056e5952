"""NumPy functions that write into their arguments, and the makers of NumPy that need the run."""

from __future__ import annotations

from typing import Any

import numpy as np

from tapeless.runtime.calls import HANDLERS
from tapeless.runtime.handlers import Pair, handle, made_plainly, plain_method
from tapeless.runtime.items import nones


@handle(np.add.at)
def _add_at(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    return _ufunc_at(run, np.add, args, ts)


@handle(np.subtract.at)
def _subtract_at(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    return _ufunc_at(run, np.subtract, args, ts)


def _ufunc_at(run: Any, ufunc: Any, args: Any, ts: Any) -> Pair:
    """`ufunc.at(a, index, b)` for a sum: the tangent of `a` gets that of `b` at each mention of an item."""
    a, index = args[0], args[1]
    b, db = (args[2], ts[2]) if len(args) > 2 else (0.0, None)
    tangent = run.tangent_of(b, db)
    if isinstance(tangent, list):
        b, _ = run.call(np.array, (b,), (db,))
        tangent = run.tangent_of(b, None)
    if tangent is not None and a.dtype.kind in "fc":
        zeros = np.zeros_like(a)
        positions = np.arange(a.size).reshape(a.shape)[index]
        spread = np.zeros(np.shape(positions), a.dtype)
        value, _ = run.primitive(_rule(np.add), np.add, (spread, b), (None, db))
        moved, _ = run.call(scatter_sum, (zeros.size, np.asarray(positions), value), (None, None, None))
        moved, _ = run.call_method(moved, None, "reshape", (a.shape,), (None,))
        before = a.copy()
        run.array_inplace("Add" if ufunc is np.add else "Sub", a, moved, None)
        a[...] = before
    ufunc.at(a, index, b)
    run.snapshots.clear()
    return None, None


def _rule(f: Any) -> Any:
    from tapeless.rules import lookup

    return lookup(f)


def scatter_sum(n, positions, values):  # type: ignore[no-untyped-def]
    """A vector of length `n` with the sum of the values at each position."""
    return np.bincount(positions.ravel(), weights=values.ravel(), minlength=n)


@handle(np.multiply.at)
def _multiply_at(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    return _at_one_by_one(run, "Mult", args, ts)


@handle(np.divide.at)
def _divide_at(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    return _at_one_by_one(run, "Div", args, ts)


def _at_one_by_one(run: Any, name: str, args: Any, ts: Any) -> Pair:
    """`ufunc.at` in the order of its definition: element by element."""
    a, index, b = args
    places = np.arange(a.size).reshape(a.shape)[index]
    spread, _ = run.call(np.broadcast_to, (b, np.shape(places)), (ts[2], None))
    for k in np.ndindex(np.shape(places)):
        where = np.unravel_index(places[k], a.shape)
        old, t = run.array_item(a, where)
        factor, dt = run.array_item(spread, k)
        value, t = run.binary(name, old, t, factor, dt)
        run.array_store(a, where, value, t)
    return None, None


@handle(np.copyto)
def _copyto(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    dst, src = args[0], args[1]
    where = kw.get("where", args[3] if len(args) > 3 else True)
    if where is True:
        run.array_store(dst, Ellipsis, src, ts[1])
    else:
        mask = np.broadcast_to(where, dst.shape)
        spread, _ = run.call(np.broadcast_to, (src, dst.shape), (ts[1], None))
        picked, t = run.getitem(spread, None, mask, None)
        run.array_store(dst, mask, picked, t)
    return None, None


@handle(np.ndarray.fill)
def _fill(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    run.array_store(args[0], Ellipsis, args[1], ts[1])
    return None, None


@handle(np.ndarray.sort)
def _array_sort(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    a = args[0]
    axis = kw.get("axis", args[1] if len(args) > 1 else -1)
    order = np.argsort(a, axis=axis, kind="stable")
    sorted_, t = run.call(np.take_along_axis, (a, order, axis), (None, None, None))
    run.array_store(a, Ellipsis, sorted_, t)
    return None, None


@handle(np.ndarray.__setitem__)
def _array_setitem(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    run.setitem(args[0], args[1], None, args[2], ts[2])
    return None, None


@handle(np.ndarray.__getitem__)
def _array_getitem(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    return run.getitem(args[0], None, args[1], None)  # type: ignore[no-any-return]


@handle(np.put_along_axis)
def _put_along_axis(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    from numpy.lib import _shape_base_impl  # the index that NumPy itself uses

    a, indices, values = args[:3]
    axis = kw.get("axis", args[3] if len(args) > 3 else None)
    index = _shape_base_impl._make_along_axis_idx(a.shape, indices, axis)  # type: ignore[attr-defined]
    run.array_store(a, index, values, ts[2])
    return None, None


@handle(np.fill_diagonal)
def _fill_diagonal(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    a, value = args[:2]
    if a.ndim != 2 or (len(args) > 2 and args[2]) or np.ndim(value):
        return run.enter(np.fill_diagonal._implementation, args, ts, kw, kts)  # type: ignore[attr-defined,no-any-return]
    n = min(a.shape)
    run.array_store(a, (np.arange(n), np.arange(n)), value, ts[1])
    return None, None


@handle(np.put, np.ndarray.put)
def _put_items(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    a, where, values = args[:3]
    index = np.unravel_index(np.asarray(where), a.shape)
    if np.size(values) == np.size(where) or np.ndim(values) == 0:
        run.array_store(a, index, values, ts[2])
        return None, None
    return run.foreign(np.put, args, ts, kw, kts)  # type: ignore[no-any-return]


@handle(np.place, np.putmask)
def _place(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    a, mask, values = args[:3]
    if np.ndim(values) == 0:
        run.array_store(a, np.asarray(mask, bool), values, ts[2])
        return None, None
    return run.foreign(np.putmask, args, ts, kw, kts)  # type: ignore[no-any-return]


_CONVERTER: Any = getattr(
    getattr(getattr(np, "_core", None), "_multiarray_umath", None), "_array_converter", None
)
if _CONVERTER is not None:  # NumPy 2: what its Python functions use in the place of asarray

    @handle(_CONVERTER)
    def _array_converter(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
        kept = [
            run.call(np.asarray, (x,), (t,))[0]
            if not isinstance(x, np.ndarray) and run.reaches((x,), (t,))
            else x
            for x, t in zip(args, ts, strict=True)
        ]
        return _CONVERTER(*kept, **kw), None

    @handle(_CONVERTER.wrap)
    def _converter_wrap(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
        value = args[0].wrap(*args[1:], **kw)
        if value is args[1] or isinstance(value, np.ndarray):
            return value, None
        return value, run.array_item(args[1], ())[1]

    for _method_name in ("as_arrays", "result_type"):
        HANDLERS[getattr(_CONVERTER, _method_name)] = plain_method(getattr(_CONVERTER, _method_name))

HANDLERS[np.broadcast] = made_plainly(np.broadcast)


_VECTORIZED: Any = np.vectorize._vectorize_call  # type: ignore[attr-defined]


@handle(_VECTORIZED)
def _vectorize_call(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    """What `np.vectorize` does without a signature: the function, on every element of the arguments."""
    named = {**dict(zip(("self", "func", "args"), args, strict=False)), **kw}
    me, func, inputs = named["self"], named["func"], named["args"]
    if me.signature is not None:
        return run.enter(_VECTORIZED, args, ts, kw, kts)  # type: ignore[no-any-return]
    if not inputs:
        return run.call(func, (), ())  # type: ignore[no-any-return]
    pairs = ts[2] if len(ts) > 2 else kts.get("args")
    arrays = [
        run.call(np.asarray, (x,), (None if pairs is None else pairs[i],))[0] for i, x in enumerate(inputs)
    ]
    shape = np.broadcast_shapes(*[a.shape for a in arrays])
    spread = [run.call(np.broadcast_to, (a, shape), (None, None))[0] for a in arrays]

    def one(index: Any) -> Any:
        items = [run.array_item(a, index) for a in spread]
        plain = [
            (v.item() if isinstance(v, np.generic) else v, t) for v, t in items
        ]  # as object arrays hold them
        moved = [
            run.call(float, (v,), (t,)) if type(p) is float else (p, t)
            for (v, t), (p, _) in zip(items, plain, strict=True)
        ]
        return run.call(func, tuple(v for v, _ in moved), tuple(t for _, t in moved))

    indices = list(np.ndindex(*shape))
    if not indices and me.otypes is None:
        raise ValueError("cannot call `vectorize` on size 0 inputs unless `otypes` is set")
    otypes = me.otypes
    first = None
    if otypes is None:
        first = one(indices[0])
        outputs = first[0] if isinstance(first[0], tuple) else (first[0],)
        otypes = "".join(np.asarray(o).dtype.char for o in outputs)
    results = [np.zeros(shape, c) for c in otypes]
    for k, index in enumerate(indices):
        value, t = first if k == 0 and first is not None and me.cache else one(index)
        values, tangents = (value, t or nones(len(value))) if len(results) > 1 else ((value,), (t,))
        for r, v, tv in zip(results, values, tangents, strict=True):
            run.array_store(r, index, v, tv)
    return (tuple(results) if len(results) > 1 else results[0]), None
