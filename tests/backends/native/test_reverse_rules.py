"""Reverse formulas and hooks of the user, and his tangents in further derivatives, in compiled functions.

Some rules are not the derivative of their function, so that nothing else passes for them.
"""

import numpy as np
import pytest

import tapeless as tl
from tapeless.errors import MissingRuleError


@tl.custom_vjp
def square(x):
    return x * x


square.defvjp(lambda x: (x * x, x), lambda x, ct: (3.0 * x * ct,))


@tl.custom_vjp
def wave(x, y):
    """Calls itself in both halves of its rule."""
    return np.sin(x) * y


wave.defvjp(
    lambda x, y: (wave(x, y), (x, y, {"slope": np.cos(x)})),
    lambda kept, ct: (2.0 * kept[2]["slope"] * kept[1] * ct, wave(kept[0], 1.0) * ct),
)


@tl.custom_vjp
def product(x, w, n):
    return (x @ w) * n


product.defvjp(
    lambda x, w, n: ((x @ w) * n, (x, w, n)),
    lambda kept, ct: (kept[2] * 5.0 * (ct @ kept[1].T), kept[0].T @ ct, None),
)


@tl.custom_vjp
def clipped(x):
    return x


clipped.defvjp(lambda x: (x, None), lambda kept, ct: (np.clip(ct, -0.5, 0.5),))


@tl.custom_jvp
def twice(x):
    return np.sin(x)


@twice.defjvp
def twice_rule(primals, tangents):
    return twice(primals[0]), 2.0 * np.cos(primals[0]) * twice(primals[0]) * tangents[0]


@tl.custom_jvp
def rounded(x):
    return np.round(x)


@rounded.defjvp
def rounded_rule(primals, tangents):
    return np.round(primals[0]), tangents[0]


A = np.array([0.3, 0.5, 2.0])
W = np.array([[1.0, 2.0, 3.0], [0.5, -1.0, 2.0], [0.1, 0.2, 0.4]])


def in_a_loop(x):
    s = 0.0
    for i in range(4):
        s = s + square(x * i) * s + tl.gradient_hook(x, lambda g: g * (2.0 + x)) * s + square(x)
    return s


def overwritten(x):
    y = x.copy()
    for i in range(3):
        y[i] = square(y[i]) * x[0]
        y = clipped(y) * x
    return y.sum()


def kept_and_overwritten(x):
    y = x * 1.0
    z = product(y[None, :], W * x, 2.0)
    y[0] = 7.0
    return (z**2).sum() + y.sum()


REVERSE = [
    (lambda x: square(x) * x, 0.7),
    (lambda x: wave(x, x * x) * x, 0.7),
    (lambda x: wave(y=x, x=x * x) * x, 0.7),
    (lambda x: wave(2.0, x) * x, 0.7),
    (lambda x: (wave(x, x * x) * x).sum(), A),
    (lambda x: (product(x[None, :], W * x, 2.0) ** 2).sum(), A),
    (lambda x: (product(x[None, ::-1], W[:, ::2] * x[0], 2) ** 2).sum(), A),
    (lambda x: clipped(x) ** 2, 0.9),
    (lambda x: (clipped(x) ** 2).sum(), A),
    (in_a_loop, 0.3),
    (overwritten, A),
    (kept_and_overwritten, A),
    # of a derivative inside, that is by another variable
    (lambda y: y * tl.grad(lambda x: x * rounded(y) * twice(x) * square(y))(1.3), 1.7),
    (lambda y: y * tl.grad(lambda x: x * wave(y, x) * twice(x * y))(1.3), 1.7),
]
BOTH = [
    (lambda x: twice(x) * x * twice(x), 0.7),
    (lambda x: (twice(x) * x * x[0]).sum(), A),
    (lambda x: rounded(x) * x * x, 1.7),
    (lambda x: (rounded(x * A) * x * x).sum(), A),
    (lambda x: tl.gradient_hook(x, lambda g: g * 3.0) ** 3, 0.7),
    (lambda x: tl.gradient_hook(x * x, lambda g: min(g, 1.0)) ** 3, 0.7),
    (lambda x: (tl.gradient_hook(x * x, lambda g: np.clip(g, -1.0, 1.0) * g) ** 3).sum(), A),
    (lambda x: (tl.gradient_hook(x * x[0], lambda g: None) ** 3).sum(), A),
]


def weighted(v):
    return (v * np.arange(1.0, 4.0)).sum() if isinstance(v, np.ndarray) else v


def same(got, wanted):
    for g, w in zip(*((v if isinstance(v, tuple) else (v,)) for v in (got, wanted)), strict=True):
        np.testing.assert_allclose(g, w, rtol=1e-12, atol=1e-13)


def second(f):
    return tl.grad(lambda x: weighted(tl.grad(f)(x)))


@pytest.mark.parametrize("k", range(len(REVERSE)))
def test_reverse_formulas_are_the_derivative_at_any_order(k):
    f, x = REVERSE[k]
    for d in (tl.value_and_grad(f), lambda x: tl.vjp(f, x)[1](0.7)[0], second(f)):
        wanted, got = d(x), tl.jit(d)(x)
        same(got, wanted)


@pytest.mark.parametrize("k", range(len(BOTH)))
def test_tangents_and_hooks_at_any_order(k):
    f, x = BOTH[k]
    one = np.ones_like(x) if isinstance(x, np.ndarray) else 1.0
    for d in (
        tl.value_and_grad(f),
        lambda x: tl.jvp(f, (x,), (one,))[1],
        lambda x: tl.linearize(f, x)[1](one),
        tl.jacrev(f),
        tl.hessian(f),
        second(f),
    ):
        wanted, got = d(x), tl.jit(d)(x)
        same(got, wanted)


def test_third_derivatives_of_rules_that_use_themselves():
    def f(x):
        return wave(x, x) * x

    third = tl.grad(tl.grad(tl.grad(f)))
    assert tl.jit(third)(0.7) == pytest.approx(third(0.7), rel=1e-12)


def test_reverse_formulas_have_no_tangent():
    for d in (lambda x: tl.jvp(square, (x,), (1.0,)), lambda x: tl.jvp(clipped, (x,), (1.0,))):
        with pytest.raises(MissingRuleError):
            tl.jit(d)(0.7)


def test_what_a_hook_prints_is_printed_once(capsys):
    slope = tl.jit(tl.grad(lambda x: tl.gradient_hook(x * x, print) * x))
    assert slope(3.0) == 27.0
    assert capsys.readouterr().out == "3.0\n"


def test_a_formula_that_is_given_anew():
    @tl.custom_vjp
    def f(x):
        return x * x

    f.defvjp(lambda x: (x * x, None), lambda kept, ct: (5.0 * ct,))
    slope = tl.jit(tl.grad(lambda x: f(x)))
    assert slope(2.0) == 5.0
    f.defvjp(lambda x: (x * x, None), lambda kept, ct: (7.0 * ct,))
    assert slope(2.0) == 7.0
