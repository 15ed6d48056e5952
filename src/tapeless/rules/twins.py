"""What the twins of functions that take functions are written with.

A twin runs the original on plain values, and takes the derivative from a formula for its result: an integral
from a sum over its nodes, a root from the equation that it solves. So the value is the original's, to the
last bit, and whatever the function reaches, its arguments or what it closes over, has its part in the
derivative. The function is called a few times more than in the plain program.
"""
# They are opened like functions of the program: they stay without annotations.
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

from __future__ import annotations

import numpy as np

from tapeless.errors import MissingRuleError
from tapeless.rules.registry import transpose_rule
from tapeless.runtime.known import HANDLERS


def plainly(function, *args, **kwargs):
    """The call, whose result is a constant for every derivative."""
    return function(*args, **kwargs)


def depth():
    """How many derivatives are being taken, one inside the other."""
    return 0


def moves(x):
    """Whether some derivative is by something that the number `x` depends on."""
    return False


def refuse(message):
    """Raise the error of a missing rule, at the line of the program that made the call."""
    raise MissingRuleError(message)


def _plainly(run, args, ts, kw, kts):
    run.snapshots.clear()  # the function may write what a derivative keeps
    return plainly(*args, **kw), None


# the calls of `depth` and `moves` in here are answered by the derivative around this one
HANDLERS[plainly] = _plainly
HANDLERS[depth] = lambda run, args, ts, kw, kts: (1 + depth(), None)
HANDLERS[moves] = lambda run, args, ts, kw, kts: (run.reaches(args, ts) or moves(*args), None)
HANDLERS[refuse] = lambda run, args, ts, kw, kts: run.refuse(MissingRuleError, *args)


def exactly(value, formula):
    """`value`, with the derivative of `formula`, which is the same but for rounding (and for tolerances)."""
    known = isinstance(value, (float, complex, np.ndarray, np.generic))  # anything else has no derivative
    if not known or not agree(np.asarray(value), np.asarray(formula)):
        raise MissingRuleError(
            "this call has no derivative rule: SciPy's result is not that of the known formula"
        )
    # what has two derivatives is two arrays
    return value.copy(order="K") if isinstance(value, np.ndarray) else value


def agree(a, b):
    """Whether two results may be the same, as far as a loose tolerance lets one say."""
    if a.shape != b.shape:
        return False
    with np.errstate(all="ignore"):
        known = np.isfinite(a) & np.isfinite(b)
        size, apart = (np.max(np.abs(x), where=known, initial=0.0) for x in (a, a - b))
    return bool(apart <= 1e-6 + 0.01 * size)


# (no rows: a difference of `value` sees nothing of it)
@transpose_rule(exactly, linear=(1,), apply=lambda value, formula: formula)
def _(ct, value, formula):
    return ct


def untold(value, name, source):
    """`value`, which depends on `source` in a way that nobody has written down.

    Where a gradient comes to it, that is an error; a tangent is NaN.
    """
    return value.copy(order="K") if isinstance(value, np.ndarray) else value


def _unknown(value, name, source):
    return np.full(np.shape(value), np.nan) if np.ndim(value) else np.nan


@transpose_rule(untold, linear=(2,), apply=_unknown)
def _(ct, value, name, source):
    raise MissingRuleError(
        f"{name} has no derivative rule: pass it through tapeless.stop_gradient if it is a constant"
    )


def told(found, known, x, name):
    """What a solver tells beside what is `known`; it depends on the solution `x`."""
    for key, value in list(found.items()):
        if key not in known:
            found[key] = beside(value, f"{name}: {key!r}", x)
    return found


def beside(value, name, x):
    if isinstance(value, (list, tuple)):
        return type(value)([beside(v, name, x) for v in value])
    if hasattr(value, "sk"):  # L-BFGS keeps its steps
        value.sk = untold(value.sk, name, x)
    if isinstance(value, float) or isinstance(value, np.ndarray) and value.dtype.kind == "f":
        return untold(value, name, x)
    return value
