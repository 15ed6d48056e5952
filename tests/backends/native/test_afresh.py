"""State that carries no derivative is made again, forwards, and not saved, where that is the same."""

from __future__ import annotations

import numpy as np
import pytest

import tapeless as tl
from tapeless.backends.native import show
from tapeless.backends.native.afresh import afresh
from tapeless.backends.native.build import staged_function
from tapeless.backends.native.nest import For, Store, walk
from tapeless.backends.native.optimise import optimise
from tapeless.backends.native.verify import verify

T = np.linspace(-0.9, 0.8, 7)


def powers(c, t):
    residual, power = np.sign(t), np.ones_like(t)
    for k in range(len(c)):
        residual -= c[k] * power
        power *= t
    return np.sum(residual**2)


def chebyshev(c, t):
    """A recurrence over two arrays, and one of an iteration."""
    a, b, total = np.ones_like(t), t.copy(), np.zeros_like(t)
    for k in range(len(c)):
        total += c[k] * a
        new = 2.0 * t * b - a
        a[:] = b
        b[:] = new
    return np.sum(total * total)


def weighted(c, t):
    """A number goes along, and the array is read when all is done."""
    power, weight, total = np.outer(t, t), 1.0, np.zeros((len(t), len(t)))
    for k in range(len(c)):
        total += c[k] * c[k] * power
        power[:, :] = power * 0.5 + weight
        weight = weight * 0.9
    return np.sum(total * total) * power[0, 0]


def ends(c, t):
    """Only a part of the array moves on."""
    p, total = t * t, np.zeros_like(t)
    for k in range(len(c)):
        total += c[k] ** 2 * p
        p[1:] = p[1:] * t[:-1]
    return np.sum(total * total)


def changed(c, t):
    """What the state is made of is another one by the time of the reverse sweep."""
    t = t + 0.0
    total, power = np.zeros_like(t), np.ones_like(t)
    for k in range(len(c)):
        total += c[k] * power
        power *= t
    t *= 2.0
    return np.sum(total * total * t)


def carried(c, t):
    """The reverse sweep hands something from iteration to iteration."""
    y, power = np.ones_like(t), np.ones_like(t)
    for k in range(len(c)):
        y = y * power + c[k]
        power *= t
    return np.sum(y)


def twice(c, t):
    total, power = np.zeros_like(t), np.ones_like(t)
    for k in range(len(c)):
        total += c[k] * power
        power *= t
        total += c[k] ** 2 * power
        power += 0.5
    return np.sum(total * total)


def again(c, t):
    """The state begins where it ended, in two loops and in a loop around them."""
    total, power = np.zeros_like(t), np.ones_like(t)
    for _ in range(2):
        for k in range(len(c)):
            total += c[k] ** 2 * power
            power *= t
    for k in range(len(c)):
        total -= c[k] * power
        power += t
    return np.sum(total * total)


def dear(c, t):
    total, angle = np.zeros_like(t), np.ones_like(t)
    for k in range(len(c)):
        total += c[k] * angle
        angle[:] = np.sin(angle + t)
    return np.sum(total * total)


@pytest.mark.parametrize(
    ("f", "less"),
    [(f, True) for f in (powers, chebyshev, weighted, ends)]
    + [(f, False) for f in (changed, carried, twice, again, dear)],
)
def test_programs(f, less):
    fn = staged_function(tl.value_and_grad(f), (np.ones(40), T), {}).function
    made = verify(afresh(fn))
    saving = [any(isinstance(s, Store) and s.array.name == "saved" for s in walk(x.body)) for x in (fn, made)]
    assert saving == [True, not less]
    for n in (0, 2, 5):
        c = np.linspace(0.4, 0.9, n)
        expected = f(c, T.copy()), tl.grad(f)(c, T.copy())
        for x in (fn, made, optimise(fn)):
            for got, wanted in zip(show.python(x)(c, T.copy()), expected, strict=True):
                np.testing.assert_allclose(got, wanted, rtol=1e-12, atol=1e-12)


def test_compiled():
    """Both sweeps then go four iterations at a time."""
    c = np.linspace(0.4, 0.9, 9)
    fn = optimise(staged_function(tl.grad(powers), (np.ones(40), T), {}).function)
    assert sum(isinstance(s, For) and s.step == 4 for s in fn.body) == 2
    got = tl.jit(tl.grad(powers), cache=False)(c, T)
    np.testing.assert_allclose(got, tl.grad(powers)(c, T), rtol=1e-12)
