"""Roots between two ends: compiled with the function, and the same to the last bits."""

import math

import numpy as np
import pytest
from tests.backends.native.test_handed_over import runs

import tapeless as tl

so = pytest.importorskip("scipy.optimize")
pytest.importorskip("llvmlite")


def sums(a):
    total = 0.0
    for k in range(5):
        total += so.brentq(lambda x, k=k: math.cos(x) * (k + 1) - x * a, 0.0, 3.0, xtol=1e-11)
    return total


PROGRAMS = {
    "brentq": lambda a: so.brentq(lambda x: x**3 + x - a, 0.0, 5.0) * a,
    "brentq with args": lambda a: so.brentq(lambda x, b: x - b * math.sin(x) - a, 0, 10, args=(0.5 * a,)),
    "brentq with one argument": lambda a: so.brentq(lambda x, b: x - b, -1.0, 10.0, a),
    "brentq of arrays": lambda a: so.brentq(lambda x: (np.array([x, a]) ** 2 * [1, -1]).sum(), 0.0, 5.0),
    "brentq of a flat function": lambda a: so.brentq(lambda x: math.tanh(x - a) * math.exp(x), -3.0, 6.0),
    "a root at an end": lambda a: so.brentq(lambda x: (x - 1.0) * a, 1.0, 6.0),
    "bisect": lambda a: so.bisect(lambda x: math.exp(x) - a, 0, 5),
    "in a loop": sums,
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_root(name):
    f = PROGRAMS[name]
    value, slope, second = tl.jit(f), tl.jit(tl.grad(f)), tl.jit(tl.grad(tl.grad(f)))
    for a in (1.7, 2.0, 3.3):
        assert value(a) == pytest.approx(f(a), rel=1e-15)
        assert type(value(a)) is float
        assert slope(a) == pytest.approx(tl.grad(f)(a), rel=1e-10)
        assert second(a) == pytest.approx(tl.grad(tl.grad(f))(a), rel=1e-7, abs=1e-9)
    for compiled in (value, slope, second):
        files = {c.co_filename for c in runs(lambda compiled=compiled: compiled(2.0))}
        assert not any("scipy" in name for name in files)


def test_what_cpython_is_left():
    """Ends without a root between them, functions without a compiled form, more results than the root."""
    with pytest.raises(ValueError, match="must have different signs"):
        tl.jit(lambda a: so.brentq(lambda x: x * x + a, 0.0, 1.0))(2.0)
    with pytest.raises(RuntimeError, match="Failed to converge"):
        tl.jit(lambda a: so.brentq(lambda x: x**3 - a, 0.0, 5.0, maxiter=3))(2.0)
    with pytest.raises(ValueError, match="NaN"):
        tl.jit(lambda a: so.brentq(lambda x: np.sqrt(np.float64(x - a)), 0.0, 5.0))(2.0)
    with pytest.raises(tl.TapelessError, match="singular"):
        tl.jit(tl.grad(lambda a: so.brentq(lambda x: (x - a) ** 3, 0.0, 2.0)))(1.0)
    assert tl.jit(lambda a: so.brentq(lambda x: float(str(x)) - a, 0.0, 5.0))(2.0) == 2.0
    told = tl.jit(lambda a: so.brentq(lambda x: x * x - a, 0.0, 5.0, full_output=True)[1].iterations)
    for _ in range(3):
        assert told(2.0) == so.brentq(lambda x: x * x - 2.0, 0.0, 5.0, full_output=True)[1].iterations
