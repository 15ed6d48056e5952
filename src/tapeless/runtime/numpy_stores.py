"""NumPy functions that write into their arguments, and the makers of NumPy that need the run."""

from __future__ import annotations

from types import FunctionType
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
    b, db = run.numeric(ufunc, b, db)
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
    positions, values = positions.ravel(), values.ravel()
    if np.iscomplexobj(values):
        imaginary = np.bincount(positions, weights=values.imag, minlength=n)
        return np.bincount(positions, weights=values.real, minlength=n) + 1j * imaginary
    return np.bincount(positions, weights=values, minlength=n)


@handle(np.ufunc.at)
def _at(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    """`ufunc.at(a, index, b)` in the order of its definition: element by element."""
    f, a, index, *b = args
    if not run.reaches((a, *b), (None, *ts[3:])):
        f.at(*args[1:])
        return None, None
    places = np.arange(a.size).reshape(a.shape)[index]
    spread = [
        run.call(np.broadcast_to, (x, np.shape(places)), (t, None)) for x, t in zip(b, ts[3:], strict=True)
    ]
    for k in np.ndindex(np.shape(places)):
        where = np.unravel_index(places[k], a.shape)
        pairs = [run.array_item(a, where), *[run.array_item(x, k) for x, _ in spread]]
        value, t = run.call(f, tuple([x for x, _ in pairs]), tuple([t for _, t in pairs]))
        run.array_store(a, where, value, t)
    return None, None


@handle(np.ufunc.reduceat)
def _reduceat(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    """`ufunc.reduceat(a, starts)`: what is between two starts is reduced, or the first of it taken."""
    given, _ = _named("f array indices axis dtype out", args, ts, kw, kts)
    f, axis = given["f"], given.get("axis") or 0
    if not run.reaches((*args, *kw.values()), (*ts, *kts.values())):
        return f.reduceat(*args[1:], **kw), None
    a, _ = run.call(np.asarray, (given["array"],), (ts[1] if len(ts) > 1 else kts.get("array"),))
    if given.get("dtype") is not None or given.get("out") is not None:
        run.missing_rule(f"{f.__name__}.reduceat() with dtype= or out=")
    moved, _ = run.call(np.moveaxis, (a, axis, 0), (None, None, None))
    starts = [int(i) for i in given["indices"]]
    pieces = []
    for i, j in zip(starts, [*starts[1:], len(moved)], strict=True):
        piece, _ = run.getitem(moved, None, slice(i, j if i < j else i + 1), None)
        pieces.append(run.call(f.reduce, (piece,), (None,)))
    made = run.filled([x for x, _ in pieces], [t for _, t in pieces])
    return run.call(np.stack, (made, axis), (None, None))  # type: ignore[no-any-return]


def _named(names: str, args: Any, ts: Any, kw: Any, kts: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Arguments and their companions by the names of the parameters."""
    order = names.split()
    values = {**dict(zip(order, args, strict=False)), **kw}
    return values, {**dict(zip(order, ts, strict=False)), **kts}


@handle(np.copyto)
def _copyto(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    given, tangents = _named("dst src casting where", args, ts, kw, kts)
    dst, src, where = given["dst"], given["src"], given.get("where", True)
    casting = given.get("casting", "same_kind")
    np.copyto(
        np.empty_like(dst), src, casting, where
    )  # what NumPy refuses is refused before anything is stored
    if where is True:
        run.array_store(dst, Ellipsis, src, tangents["src"])
    else:
        mask = np.broadcast_to(where, dst.shape)
        array, t = run.call(np.asarray, (src,), (tangents["src"],))
        spread, t = run.call(np.broadcast_to, (array, dst.shape), (t, None))
        picked, t = run.getitem(spread, None, mask, None)
        run.array_store(dst, mask, picked, t)
    return None, None


@handle(np.nan_to_num)
def _nan_to_num(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    given, tangents = _named("x copy nan posinf neginf", args, ts, kw, kts)
    x, copy = given.pop("x"), given.pop("copy", True)
    dx, _ = tangents.pop("x"), tangents.pop("copy", None)
    made, t = run.primitive(_rule(np.nan_to_num), np.nan_to_num, (x,), (dx,), given, tangents)
    if copy or not isinstance(x, np.ndarray) or x.dtype.kind not in "fc":
        return made, t
    run.array_store(x, Ellipsis, made, t)
    return (x, None) if x.ndim else (made, t)


@handle(np.ndarray.fill)
def _fill(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    run.array_store(args[0], Ellipsis, args[1], ts[1])
    return None, None


@handle(np.ndarray.sort)
def _array_sort(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    given, _ = _named("a axis kind order", args, ts, kw, kts)
    return _rearrange(
        run, given["a"], np.argsort(given["a"], given.get("axis", -1), "stable"), given.get("axis", -1)
    )


@handle(np.ndarray.partition)
def _array_partition(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    given, _ = _named("a kth axis kind order", args, ts, kw, kts)
    axis = given.get("axis", -1)
    return _rearrange(run, given["a"], np.argpartition(given["a"], given["kth"], axis), axis)


def _rearrange(run: Any, a: Any, order: Any, axis: Any) -> Pair:
    """Put the items of an array in another order along an axis."""
    moved, t = run.call(np.take_along_axis, (a, order, axis), (None, None, None))
    run.array_store(a, Ellipsis, moved, t)
    return None, None


@handle(np.ndarray.__setitem__)
def _array_setitem(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    run.array_store(args[0].view(np.ndarray), args[1], args[2], ts[2])
    return None, None


@handle(np.ndarray.__getitem__)
def _array_getitem(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    return run.array_item(args[0], args[1], np.ndarray.__getitem__)  # type: ignore[no-any-return]


@handle(np.put_along_axis)
def _put_along_axis(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    from numpy.lib import _shape_base_impl  # the index that NumPy itself uses

    given, tangents = _named("arr indices values axis", args, ts, kw, kts)
    a, axis = given["arr"], given.get("axis", -1)
    if axis is None:
        a, shape = a.flat, (a.size,)
    else:
        axis, shape = int(axis) % a.ndim, a.shape
    index = _shape_base_impl._make_along_axis_idx(shape, given["indices"], 0 if axis is None else axis)  # type: ignore[attr-defined]
    run.setitem(a, index if axis is not None else index[0], None, given["values"], tangents["values"])
    return None, None


def _by_places(run: Any, f: Any, names: str, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    """A store of NumPy's own: the function itself, on the numbers of the values, says which goes where."""
    order = names.split()
    which = order[1] if f is np.fill_diagonal else order[2]
    given, tangents = _named(names, args, ts, kw, kts)
    a, values = given[order[0]], given[which]
    if not isinstance(a, np.ndarray):
        return f(*args, **kw), None
    array, t = run.call(np.asarray, (values,), (tangents[which],))
    places = np.full(a.shape, -1)
    f(
        *[
            places,
            *[
                np.arange(np.size(values)).reshape(np.shape(values)) if n == which else given[n]
                for n in order[1:]
                if n in given
            ],
        ]
    )
    mask = places >= 0
    flat, t = run.call_method(array, t, "reshape", (-1,), (None,))
    picked, t = run.getitem(flat, t, places[mask], None)
    run.array_store(a, mask, picked, t)
    return None, None


def _placing(f: Any, names: str) -> Any:
    return lambda run, args, ts, kw, kts: _by_places(run, f, names, args, ts, kw, kts)


HANDLERS[np.fill_diagonal] = _placing(np.fill_diagonal, "a val wrap")
HANDLERS[np.put] = _placing(np.put, "a ind v mode")
HANDLERS[np.ndarray.put] = _placing(np.ndarray.put, "a indices values mode")
HANDLERS[np.place] = _placing(np.place, "arr mask vals")
HANDLERS[np.putmask] = _placing(np.putmask, "a mask values")


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


@handle(np.ufunc.__call__)
def _called(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    """`getattr(ufunc, "__call__")(…)`, as `__array_ufunc__` writes it."""
    return run.call(args[0], args[1:], ts[1:], kw, kts)  # type: ignore[no-any-return]


@handle(np.ndarray.__array_ufunc__)
def _array_ufunc(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    """What `super().__array_ufunc__(…)` does: the call, if no operand has a method of its own."""
    _, f, method, *operands = args
    for x in (*operands, *kw.get("out", ())):
        if getattr(type(x), "__array_ufunc__", np.ndarray.__array_ufunc__) is not np.ndarray.__array_ufunc__:
            return NotImplemented, None
    called = f if method == "__call__" else getattr(f, method)
    return run.call(called, tuple(operands), tuple(ts[3:]), kw, kts)  # type: ignore[no-any-return]


@handle(np.ndarray.__array_function__)
def _array_function(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    """What `super().__array_function__(…)` does: the function, whatever its arguments override."""
    _, f, _, given, named = args
    tangents = nones(len(given)) if ts[3] is None else ts[3]
    moved = {name: run.look(named, name) for name in named}
    if type(f._implementation) is FunctionType:
        return run.enter(f._implementation, given, tangents, named, moved)  # type: ignore[no-any-return]
    if run.overriding(given, "__array_function__") is not None:
        run.missing_rule(f"{f.__name__}() of a {type(args[0]).__name__}")
    return run.call(f, given, tangents, named, moved)  # type: ignore[no-any-return]


if hasattr(np.ndarray, "__array_finalize__"):
    HANDLERS[np.ndarray.__array_finalize__] = plain_method(np.ndarray.__array_finalize__)  # does nothing


@handle(np.ufunc.outer)
def _outer(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    """`ufunc.outer(a, b)`: the function of every item of `a` with every item of `b`."""
    f, a, b = args
    a, ta = run.call(np.asarray, (a,), (ts[1],))
    b, tb = run.call(np.asarray, (b,), (ts[2],))
    spread, _ = run.call_method(a, ta, "reshape", ((*a.shape, *(1,) * b.ndim),), (None,))
    return run.call(f, (spread, b), (None, tb), kw, kts)  # type: ignore[no-any-return]


@handle(np.choose)
def _choose(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    given, tangents = _named("a choices out mode", args, ts, kw, kts)
    choices, found = run.collect(given["choices"], tangents["choices"])
    pairs = [run.call(np.asarray, (x,), (t,)) for x, t in zip(choices, found, strict=True)]
    rest = {k: v for k, v in given.items() if k not in ("a", "choices")}
    chosen = run.filled([x for x, _ in pairs], [t for _, t in pairs])
    return run.primitive(_rule(np.choose), np.choose, (given["a"], chosen), (None, None), rest, {})  # type: ignore[no-any-return]


_UNIQUE: Any = getattr(getattr(getattr(np, "_core", None), "_multiarray_umath", None), "_unique_hash", None)
if _UNIQUE is not None:

    @handle(_UNIQUE)
    def _unique(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
        value = _UNIQUE(*args, **kw)
        if value is NotImplemented:
            return value, None
        flat, t = run.call_method(args[0], ts[0], "reshape", (-1,), (None,))
        order = np.argsort(flat, kind="stable")
        first = order[np.searchsorted(flat[order], value)]
        return run.getitem(flat, t, first, None)  # type: ignore[no-any-return]


@handle(np.fromiter)
def _fromiter(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    given, tangents = _named("iter dtype count", args, ts, kw, kts)
    items, found = [], []
    for value, t in run.iterate(given["iter"], tangents["iter"]):
        items.append(value)
        found.append(t)
        if len(items) == given.get("count", -1):
            break
    made = np.fromiter(items, **{k: v for k, v in given.items() if k != "iter"})
    if any(t is not None for t in found) and made.size:
        run.array_store(made, Ellipsis, run.filled(items, found), None)
    return made, None


@handle(np.nditer)
def _nditer(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    """An iterator over elements gives views of its operands, unless it has buffers."""
    given, tangents = _named("op flags op_flags op_dtypes", args, ts, kw, kts)
    op, flags = given["op"], given.get("flags") or ()
    many = isinstance(op, (list, tuple))
    if run.reaches((op,), (tangents["op"],)):
        marks = [m for one in given.get("op_flags") or () for m in ((one,) if isinstance(one, str) else one)]
        if "buffered" in flags or "copy" in marks or given.get("op_dtypes") is not None:
            run.missing_rule("numpy.nditer() with buffers, copies or other types")
        parts, more = run.collect(op, tangents["op"]) if many else ([op], [tangents["op"]])
        parts = [
            x if isinstance(x, (np.ndarray, type(None))) else run.call(np.asarray, (x,), (t,))[0]
            for x, t in zip(parts, more, strict=True)
        ]
        given["op"] = parts if many else parts[0]
        args, kw = (), given
    return np.nditer(*args, **kw), None


for _method_name in (
    "__enter__ __exit__ close copy iternext reset remove_axis remove_multi_index enable_external_loop".split()
):
    HANDLERS[getattr(np.nditer, _method_name)] = plain_method(getattr(np.nditer, _method_name))
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
    inputs, pairs = run.call(tuple, (inputs,), (ts[2] if len(ts) > 2 else kts.get("args"),))
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
