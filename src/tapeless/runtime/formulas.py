"""Functions whose value comes from exact arithmetic or C code, and whose derivative comes from a formula.

The value is that of the function itself, to the last bit; the formula, an ordinary function of the same
arguments, is opened for the tangent only.
"""
# The formulas are read as source and run by any numbers: they stay without annotations.
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np

from tapeless.rules import lookup
from tapeless.runtime.calls import HANDLERS


def by_formula(original: Any, formula: Any) -> None:
    """Take the value of a call of `original` from itself, and its tangent from `formula`."""

    def run_both(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Any:
        if isinstance(original, np.ufunc) and (len(args) > original.nin or kw.get("out") is not None):
            return run_into(run, args, ts, kw, kts)
        args, ts = list(args), list(ts)
        for i, x in enumerate(args):
            if hasattr(type(x), "__next__"):  # an iterator can be read only once
                values, more = run.collect(x, ts[i])
                args[i], ts[i] = run.filled(values, more), None
        value = original(*args, **kw)
        if not run.reaches((*args, *kw.values()), (*ts, *kts.values())):
            return value, None
        again, t = run.call(formula, tuple(args), tuple(ts), kw, kts)
        if isinstance(value, np.ndarray):
            found = run.tangent_of(again, t)
            return run.give(value, found, ())
        return value, t

    def run_into(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Any:
        """A result that goes into an array: it is made, and stored."""
        n = original.nin
        given = args[n] if len(args) > n else kw["out"]
        out = given[0] if isinstance(given, tuple) else given
        rest = {k: v for k, v in kw.items() if k != "out"}
        value, t = run_both(run, args[:n], ts[:n], rest, {k: t for k, t in kts.items() if k != "out"})
        if np.shape(out) != np.shape(value):  # NumPy may read there what it has written
            run.missing_rule(f"{original.__name__}() into an array of another shape")
        run.setitem(out, Ellipsis, None, value, t)
        return out, None

    HANDLERS[original] = run_both


def load_statistics(module: Any) -> None:
    """Formulas for the functions of `statistics`, which computes with fractions."""
    for name, formula in (
        ("mean", _mean), ("fmean", _fmean), ("geometric_mean", _geometric_mean),
        ("harmonic_mean", _harmonic_mean), ("variance", _variance), ("pvariance", _pvariance),
        ("stdev", _stdev), ("pstdev", _pstdev), ("covariance", _covariance),
        ("correlation", _correlation), ("linear_regression", _linear_regression),
        ("_mean_stdev", _mean_and_stdev),
    ):  # fmt: skip
        if hasattr(module, name):
            by_formula(getattr(module, name), formula)


def _mean(data):
    items = list(data)
    return sum(items) / len(items)


def _fmean(data, weights=None):
    items = list(data)
    if weights is None:
        return sum(items) / len(items)
    w = list(weights)
    return sum([a * b for a, b in zip(items, w)]) / sum(w)  # noqa: B905


def _geometric_mean(data):
    items = list(data)
    return math.exp(sum([math.log(x) for x in items]) / len(items))


def _harmonic_mean(data, weights=None):
    items = list(data)
    w = [1.0] * len(items) if weights is None else list(weights)
    return sum(w) / sum([b / a for a, b in zip(items, w)])  # noqa: B905


def _sum_of_squares(items, center):
    m = sum(items) / len(items) if center is None else center
    return sum([(x - m) ** 2 for x in items])


def _variance(data, xbar=None):
    items = list(data)
    return _sum_of_squares(items, xbar) / (len(items) - 1)


def _pvariance(data, mu=None):
    items = list(data)
    return _sum_of_squares(items, mu) / len(items)


def _stdev(data, xbar=None):
    return math.sqrt(_variance(data, xbar))


def _mean_and_stdev(data):
    items = list(data)
    return (_mean(items), _stdev(items))


def _pstdev(data, mu=None):
    return math.sqrt(_pvariance(data, mu))


def _cross(x, y):
    mx, my = sum(x) / len(x), sum(y) / len(y)
    return sum([(a - mx) * (b - my) for a, b in zip(x, y)])  # noqa: B905


def _covariance(x, y, /):
    return _cross(x, y) / (len(x) - 1)


def _correlation(x, y, /):
    return _cross(x, y) / math.sqrt(_cross(x, x) * _cross(y, y))


def _linear_regression(x, y, /, *, proportional=False):
    if proportional:
        slope = sum([a * b for a, b in zip(x, y)]) / sum([a * a for a in x])  # noqa: B905
        return (slope, 0.0 * slope)
    slope = _cross(x, y) / _cross(x, x)
    return (slope, sum(y) / len(y) - slope * sum(x) / len(x))


def formula_loaded(module_name: str) -> bool:
    """Register the formulas of a module of the standard library, once it is in use; True if there are any."""
    module = sys.modules.get(module_name)
    if module_name == "statistics" and module is not None and module.mean not in HANDLERS:
        load_statistics(module)
        return True
    return False


# ---- NumPy


def _arange(start, stop=None, step=1, dtype=None, *, device=None, like=None):
    steps = counted(start, stop, step)
    return (0.0 if stop is None else start) + steps * step


def counted(start: Any, stop: Any, step: Any) -> Any:
    """The numbers of the items of a range."""
    if step is None:
        step = 1
    return np.arange(len(np.arange(start, stop, step) if stop is not None else np.arange(0, start, step)))


def _vecdot(a, b, axis=-1):
    return np.sum(np.conj(a) * b, axis=axis)


def _matvec(a, x):
    return (np.asarray(a) @ np.asarray(x)[..., None])[..., 0]


def _vecmat(x, a):
    return (np.conj(np.asarray(x))[..., None, :] @ np.asarray(a))[..., 0, :]


HANDLERS[counted] = lambda run, args, ts, kw, kts: (counted(*args), None)
for _name, _formula in (("arange", _arange), ("vecdot", _vecdot), ("matvec", _matvec), ("vecmat", _vecmat)):
    if hasattr(np, _name):
        by_formula(getattr(np, _name), _formula)


def _norm(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Any:
    """The length of a vector of floats, at once where it is neither 0 nor infinite; else by NumPy's own."""
    x = args[0] if len(args) == 1 and not kw else None
    if type(x) is np.ndarray and x.ndim == 1 and x.dtype == np.float64:
        length = np.linalg.norm(x)
        if 0.0 < length < math.inf:
            t = run.tangent_of(x, None)
            if t is None:
                return length, None
            with np.errstate(all="ignore"):
                direction = x / length
            return run.finished(_DOT, length, length, (direction, x), {}, (None, t), {})
    return run.enter(_NORM, args, ts, kw, kts)


_DOT = lookup(np.dot)
_NORM: Any = getattr(np.linalg.norm, "_implementation", None)
if _NORM is not None:
    HANDLERS[np.linalg.norm] = _norm
