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
    """`value`, with the derivative of `formula`, which is the same but for rounding."""
    # what has two derivatives is two arrays
    return value.copy(order="K") if isinstance(value, np.ndarray) else value


# (no rows: a difference of `value` sees nothing of it)
@transpose_rule(exactly, linear=(1,), apply=lambda value, formula: formula)
def _(ct, value, formula):
    return ct
