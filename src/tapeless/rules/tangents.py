"""The tangent of a primitive's result: what both modes call, with numbers (forward) or entries of a record
(reverse)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tapeless.rules.operations import Apply, Scale
from tapeless.rules.registry import Elementwise, Jvp, Linear, Rule, bind, lookup
from tapeless.rules.spaces import FLOAT, Space, Symbolic, fit, has_nan, space_of, strong_product

# keywords of NumPy functions that say where a result goes or what an affine part is, and mean nothing for a
# tangent
_DROPPED = ("out", "initial")
# thresholds, between which a result does not change with them, and `out`, which is overwritten
_UNHEARD = {"out", "out_", "where", "rcond", "rtol", "atol", "tol", "cond", "lapack_driver"}
_LIST = (list, tuple)
_REAL = (float, int)


_USUAL = frozenset({float, int, bool, complex, np.ndarray, np.float64, np.complex128})


def _plain(x: Any) -> Any:
    """A number of a subclass of `float` or `complex` as that; anything else as it is."""
    if isinstance(x, np.generic):
        return x
    return float.__pos__(x) if isinstance(x, float) else complex.__pos__(x) if isinstance(x, complex) else x


def tangent(
    rule: Rule,
    y: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    targs: tuple[Any, ...],
    tkwargs: dict[str, Any],
) -> Any:
    """The tangent of `y = primitive(*args, **kwargs)`, given the tangents of the arguments; None if it is
    zero."""
    for a in args:
        if type(a) not in _USUAL and isinstance(a, (float, complex)):
            args = tuple([_plain(a) for a in args])  # a subclass may have operators of its own
            break
    if kwargs and any([v is np._NoValue for v in kwargs.values()]):  # NumPy's mark of what is left out
        kwargs = {k: v for k, v in kwargs.items() if v is not np._NoValue}
    if type(rule) is Elementwise:
        if len(args) > rule.limit:
            args, targs = args[: rule.limit], targs[: rule.limit]
        if not kwargs:
            if type(y) is float:
                return _scalar(rule, y, args, targs)
            return _elementwise(rule, y, args, targs)
        if rule.function is np.clip:
            kwargs, tkwargs = _renamed(kwargs), _renamed(tkwargs)
        args, targs, kwargs, _ = _bound(rule.names, args, kwargs, targs, tkwargs)
        _further(rule, [], (), kwargs, tkwargs)
        if "dtype" in kwargs:
            args = _in_dtype(y, args)
        mask = kwargs.get("where", True)
        if mask is True or mask is np._NoValue:
            return _elementwise(rule, y, args, targs)
        return _masked(_elementwise(rule, y, args, targs), y, mask, _only(tkwargs.get("out")))
    if kwargs and any([isinstance(f, np.ufunc) for f in rule.functions]):
        kwargs, mask = _computed_anyhow(rule, kwargs), kwargs.get("where", True)
        if mask is not True:
            out, tkwargs = _only(tkwargs.get("out")), {k: v for k, v in tkwargs.items() if k != "out"}
            return _masked(tangent(rule, y, args, kwargs, targs, tkwargs), y, mask, out)
    if isinstance(rule, Linear):
        if kwargs:
            args, targs, kwargs, _ = _bound(rule.names, args, kwargs, targs, tkwargs)
        n = max(rule.positions) + 1
        more = _further(rule, rule.further, targs[n:], kwargs, tkwargs) if kwargs or len(targs) > n else None
        if len(args) >= rule.affine:
            args, kwargs = args[:n], {**dict(zip(rule.further, args[n:], strict=False)), **kwargs}
        t = _linear(rule, y, args, kwargs, targs)
        return t if not more else _plus_initial(t, more["initial"], y)
    if isinstance(rule, Jvp):
        if kwargs:
            args, targs, kwargs, _ = _bound(rule.names, args, kwargs, targs, tkwargs)
        n = rule.count
        more = _further(rule, rule.further, targs[n:], kwargs, tkwargs) if kwargs or len(targs) > n else None
        return _jvp(rule, y, args, kwargs, targs, more)
    return None


def _in_dtype(y: Any, args: Any) -> Any:
    """Operands as a ufunc that is asked for complex numbers takes them: partials are then those there."""
    if np.asarray(y).dtype.kind != "c" or any([np.asarray(a).dtype.kind == "c" for a in args]):
        return args
    return tuple([np.asarray(a).astype(y.dtype)[()] for a in args])


def _renamed(kwargs: dict[str, Any]) -> dict[str, Any]:
    """NumPy's newer names of the bounds of `clip`, as the older ones."""
    return {{"min": "a_min", "max": "a_max"}.get(name, name): value for name, value in kwargs.items()}


def _further(
    rule: Rule, names: list[str], targs: Any, kwargs: Any, tkwargs: dict[str, Any]
) -> dict[str, Any]:
    """The tangents of arguments that are no operands of the rule: those it knows of. Others are refused."""
    found = {names[k] if k < len(names) else "?": t for k, t in enumerate(targs) if t is not None}
    found.update({name: tkwargs[name] for name in kwargs if tkwargs.get(name) is not None})
    heard = rule.heard if isinstance(rule, Jvp) else ("initial",) if isinstance(rule, Linear) else ()
    for name in found:
        if name not in heard and name not in _UNHEARD:
            raise NotImplementedError(f"{rule.name} has no derivative rule for its argument {name}")
    return {name: t for name, t in found.items() if name in heard}


def _plus_initial(t: Any, initial: Any, y: Any) -> Any:
    """The tangent of a sum that began with a number."""
    space = space_of(y)
    if space is None:
        return t
    spread = np.ones(space.shape, space.dtype) if space.shape else 1.0
    if isinstance(initial, Symbolic):
        return _scaled([(spread, initial)] + ([] if t is None else [(1.0, t)]), space)
    return own(fit(spread * initial if t is None else t + spread * initial, space), y)


def _bound(names: list[str], args: Any, kwargs: dict[str, Any], targs: Any, tkwargs: dict[str, Any]) -> Any:
    bound, rest = bind(names, args, kwargs)
    targs = list(targs) + [tkwargs.get(name) for name in names[len(args) : len(bound)]]
    return bound, targs, rest, tkwargs


def _only(out: Any) -> Any:
    return out[0] if isinstance(out, _LIST) and out else out


# ---- elementwise ---------------------------------------------------------------------------------


def _scalar(rule: Elementwise, y: float, args: Any, targs: Any) -> Any:
    """The quick road for Python floats: an entry of the record is a tuple of partials, without an object."""
    try:
        if not rule.separate:
            ps = rule.partials(y, *args)
        elif len(targs) == 2 and targs[1] is None and targs[0] is not None:
            ps = rule.partials[0](y, *args)  # such as x ** 2: the other partial is the dear one
        else:
            ps = _evaluate(rule, y, args, [t is not None for t in targs])
    except (ArithmeticError, ValueError):
        ps = _partials_anyway(rule, y, args, targs)
    if type(ps) is not tuple:
        t = targs[0]
        if type(ps) is float and isinstance(t, Symbolic) and t.space is FLOAT:
            return t.record.append((ps,), (t.index,), FLOAT)
        ps = (ps,)
    elif len(targs) == 2 and len(ps) == 2:
        (p, q), (t, u) = ps, targs
        if t is None:
            if type(q) in _REAL and isinstance(u, Symbolic) and u.space is FLOAT:
                return u.record.append((q,), (u.index,), FLOAT)
        elif type(p) in _REAL and isinstance(t, Symbolic) and t.space is FLOAT:
            if u is None:
                return t.record.append((p,), (t.index,), FLOAT)
            if type(q) in _REAL and u.space is FLOAT:
                return t.record.append((p, q), (t.index, u.index), FLOAT)
    parents, factors, total = [], [], 0.0
    lin = None
    for k in range(min(len(ps), len(targs))):
        p, t = ps[k], targs[k]
        if t is None or p is None:
            continue
        if isinstance(t, Symbolic) and t.space is FLOAT and isinstance(p, (float, int)):
            lin = t
            parents.append(t.index)
            factors.append(float(p))
        elif type(t) is float and isinstance(p, (float, int)):
            parents.append(-1)
            term = p * t
            total += float(term if term == term else strong_product(p, t))
        else:
            return _elementwise(rule, y, args, targs)
    if lin is not None:
        return lin.record.append(tuple(factors), tuple(parents), FLOAT)
    return total if parents else None


def _partials_anyway(rule: Elementwise, y: Any, args: Any, targs: Any) -> Any:
    """The partials where Python scalars raise (a division by zero): NumPy's give infinity or NaN instead."""
    wanted = [t is not None for t in targs]
    try:
        return _evaluate(rule, _numpy(y), [_numpy(a) for a in args], wanted)
    except (ArithmeticError, ValueError):  # outside the domain of a function of `math`: not a number
        return tuple([math.nan if want else None for want in wanted])


def _numpy(x: Any) -> Any:
    if isinstance(x, (float, int)) and not isinstance(x, (bool, np.generic)):
        return np.float64(x)
    return np.complex128(x) if type(x) is complex else x


def _evaluate(rule: Elementwise, y: Any, args: Any, wanted: list[bool]) -> tuple[Any, ...]:
    if rule.separate:
        ps = [None] * len(args)
        for k in range(min(len(args), len(rule.partials))):
            if wanted[k] and rule.partials[k] is not None:
                ps[k] = rule.partials[k](y, *args)
        return tuple(ps)
    ps = rule.partials(y, *args)
    return ps if type(ps) is tuple else (ps,)


def _elementwise(rule: Elementwise, y: Any, args: Any, targs: Any) -> Any:
    args, targs = _dense(args, targs)
    wanted = [t is not None for t in targs]
    if True not in wanted:
        return None
    space = space_of(y)
    if space is None:
        return _without_derivative(y, rule)
    try:
        ps = _evaluate(rule, y, args, wanted)
    except (ArithmeticError, ValueError):
        ps = _partials_anyway(rule, y, args, targs)
    active = [
        (ps[k], targs[k])
        for k in range(min(len(ps), len(targs)))
        if ps[k] is not None and targs[k] is not None
    ]
    if not active:
        return None
    if isinstance(active[0][1], Symbolic):
        return _scaled(active, space)
    total: Any = None
    for p, t in active:
        term = t if type(p) is int and p == 1 else p * t
        if has_nan(term):
            term = strong_product(p, t)
        total = term if total is None else total + term
    return own(fit(total, space), y)


def _without_derivative(y: Any, rule: Rule) -> None:
    """An integer or text has no derivative; of a container or an array of objects it would be unknown,
    never zero."""
    if isinstance(y, (list, tuple, dict)) or (isinstance(y, np.ndarray) and y.dtype.kind in "OV"):
        records = isinstance(y, np.ndarray) and y.dtype.kind == "V"
        what = "array of records" if records else f"{type(y).__name__} of objects"
        raise NotImplementedError(
            f"cannot differentiate {rule.name} of these arguments: it gave a {what}, in which derivatives "
            "cannot be followed.\n    Use a list, or an array of floats (dtype=float)"
        )


def _scaled(active: list[tuple[Any, Any]], space: Space) -> Any:
    record = active[0][1].record
    if space is FLOAT and all(t.space is FLOAT and isinstance(p, (float, int)) for p, t in active):
        return record.append(tuple(float(p) for p, _ in active), tuple(t.index for _, t in active), FLOAT)
    return record.append(Scale(tuple(p for p, _ in active)), tuple(t.index for _, t in active), space)


def _computed_anyhow(rule: Rule, kwargs: dict[str, Any]) -> dict[str, Any]:
    """The keywords of a ufunc without those that say how it goes about it, and where to."""
    unheard = {"where", "out", "casting", "order", "subok"} | ({"dtype"} if isinstance(rule, Jvp) else set())
    return {k: v for k, v in kwargs.items() if k not in unheard}


def _masked(inside: Any, y: Any, mask: Any, out: Any) -> Any:
    """A ufunc with `where=`: elements that are masked out keep what `out` held, and its tangent."""
    if isinstance(y, tuple):
        raise NotImplementedError("a function of several results has no derivative rule with where=")
    space = space_of(y)
    if space is None or (inside is None and out is None):
        return None
    mask = np.broadcast_to(mask, space.shape)
    terms = [(p, t) for p, t in ((mask * 1.0, inside), (~mask * 1.0, out)) if t is not None]
    if isinstance(terms[0][1], Symbolic):
        return _scaled(terms, space)
    return fit(sum(strong_product(p, t) for p, t in terms), space)


def _dense(args: Any, targs: Any) -> Any:
    """Turn list arguments into arrays, where a function takes "anything like an array"."""
    for t in targs:
        if isinstance(t, _LIST):
            break
    else:
        return args, targs
    args, targs = list(args), list(targs)
    make = lookup(np.array)
    assert make is not None
    for k, t in enumerate(targs):
        if isinstance(t, _LIST):
            whole = np.array(args[k])
            targs[k] = tangent(make, whole, (args[k],), {}, (t,), {})
            args[k] = whole
    return args, targs


# ---- linear functions ----------------------------------------------------------------------------


def _linear(rule: Linear, y: Any, args: Any, kwargs: dict[str, Any], targs: Any) -> Any:
    if not rule.sequence:
        args, targs = _dense(args, targs)
    paths: list[tuple[int, ...]] = []
    leaves: list[Any] = []
    for k in rule.positions:
        if k < len(targs) and targs[k] is not None:
            _leaves(targs[k], (k,), paths, leaves)
    if not leaves:
        return None
    space = space_of(y)
    if space is None:
        return _without_derivative(y, rule)
    kept = {k: v for k, v in kwargs.items() if k not in _DROPPED} if kwargs else kwargs
    if isinstance(leaves[0], Symbolic):
        if rule.operation is not None:
            op = rule.operation(*args, **kept)
        else:
            op = Apply(rule, tuple(args), kept, tuple(paths))
        return leaves[0].record.append(op, tuple(t.index for t in leaves), space)
    op = Apply(rule, tuple(args), kept, tuple(paths))
    t = op.apply(*leaves)
    if rule.form == "each" and has_nan(t):
        t = op.apply(*leaves, careful=True)
    return own(fit(t, space), y)


def own(t: Any, y: Any) -> Any:
    """The tangent array `t`, in storage of its own if the result `y` has storage of its own (a view stays a
    view)."""
    if type(t) is np.ndarray and isinstance(y, np.ndarray) and y.base is None:
        return t.copy()
    return t


def _leaves(t: Any, path: tuple[int, ...], paths: list[tuple[int, ...]], leaves: list[Any]) -> None:
    if isinstance(t, _LIST):
        for i, e in enumerate(t):
            if e is not None:
                _leaves(e, (*path, i), paths, leaves)
    else:
        paths.append(path)
        leaves.append(t)


# ---- functions with a tangent rule ---------------------------------------------------------------


def _jvp(
    rule: Jvp, y: Any, args: Any, kwargs: dict[str, Any], targs: Any, more: dict[str, Any] | None = None
) -> Any:
    if not rule.sequence:
        args, targs = _dense(args, targs)
    n = rule.count
    args = list(args)
    targs = list(targs) + [None] * (len(args) - len(targs))
    if len(args) < n:
        missing = n - len(args)
        args += [None] * missing
        targs += [None] * missing
    if all(t is None for t in targs[:n]) and not more:
        return None
    kept = {k: v for k, v in kwargs.items() if k != "out"}
    for name, t in (more or {}).items():
        kept[rule.heard[name]] = _dense((kwargs.get(name),), (t,))[1][0]
    if rule.wants_out:
        kept["out"] = y
    t = rule.tangent(*args[:n], *targs[:n], *args[n:], **kept)
    return settle(t, y)


def settle(t: Any, y: Any) -> Any:
    """A rule's tangent in the space of the result `y`; by element for tuples."""
    if t is None:
        return None
    if isinstance(y, _LIST):
        return tuple([settle(t[k], y[k]) for k in range(len(y))])
    space = space_of(y)
    if space is None:
        return None
    if isinstance(t, Symbolic):
        if t.space == space:
            return t
        return t.record.append(Scale((1,)), (t.index,), space)
    return fit(t, space)
