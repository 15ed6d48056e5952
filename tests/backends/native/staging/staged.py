"""Staged programs against the plain call: values, exceptions, and what becomes of the arguments."""

from __future__ import annotations

import copy

import numpy as np

from tapeless.backends.native import show
from tapeless.backends.native.staging import stage
from tapeless.backends.native.verify import verify


def same(a, b, seen=None):
    """Whether two results are the same, numbers to rounding."""
    seen = set() if seen is None else seen
    if type(a) is not type(b):
        return False
    if (id(a), id(b)) in seen:
        return True
    seen.add((id(a), id(b)))
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and np.allclose(a, b, 1e-12, 1e-12, equal_nan=True)
    if isinstance(a, (float, complex, np.inexact)):
        return bool(np.isclose(a, b, 1e-12, 1e-12, equal_nan=True))
    if isinstance(a, (tuple, list)):
        return len(a) == len(b) and all(same(x, y, seen) for x, y in zip(a, b, strict=True))
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[k], b[k], seen) for k in a)
    if hasattr(a, "__dict__") and not callable(a):
        return same(vars(a), vars(b), seen)
    return a == b


def outcome(call, args):
    try:
        return call(*args), None
    except Exception as error:
        return None, (type(error), error.args)


def replaying(f, staged):
    """What an entry does: the nest is called, and the plain function where the nest cannot tell."""
    run = show.python(verify(staged.function))

    def call(*args):
        params = staged.parameters(args, {})
        before = {k: params[k].copy() for k in staged.written} if staged.replay else {}
        try:
            results = run(*params)
        except Exception:
            if not staged.replay:
                raise
            for k, array in before.items():
                params[k][...] = array
            return f(*args)
        return staged.finish(results, args, {})

    return call


def check(f, *args):
    """Stage `f` for these arguments and hold the nest to the plain call; gives what was staged."""
    plain, mine = copy.deepcopy(args), copy.deepcopy(args)
    staged = stage(f, mine)
    assert staged.holds(mine, {})
    want, got = outcome(f, plain), outcome(replaying(f, staged), mine)
    assert want[1] == got[1], (want, got)
    assert same(want[0], got[0]), (want[0], got[0])
    assert same(list(plain), list(mine)), (plain, mine)
    return staged


def text(staged):
    return show.source(staged.function)
