"""Recursion whose depth is found at run time, and its derivatives, against the python road."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pytest

import tapeless as tl
from tapeless.backends.native.staging import stage


def power(x, n):
    if n == 0:
        return 1.0
    if n % 2 == 0:
        half = power(x, n // 2)
        return half * half
    return x * power(x, n - 1)


def simpson(f, a, b, eps, whole, fa, fb, fm):
    m = (a + b) / 2
    lm, rm = (a + m) / 2, (m + b) / 2
    flm, frm = f(lm), f(rm)
    left, right = (m - a) / 6 * (fa + 4 * flm + fm), (b - m) / 6 * (fm + 4 * frm + fb)
    d = left + right - whole
    if abs(d) < 15 * eps:
        return left + right + d / 15
    return simpson(f, a, m, eps / 2, left, fa, fm, flm) + simpson(f, m, b, eps / 2, right, fm, fb, frm)


def integral(k, b):
    def f(t):
        return math.sin(k * t * t)

    fa, fb, fm = f(0.0), f(b), f(b / 2)
    return simpson(f, 0.0, b, 1e-7, b / 6 * (fa + 4 * fm + fb), fa, fb, fm)


def tree(value, left, right, i):
    if i < 0:
        return 0.0
    return value[i] * value[i] + math.sin(tree(value, left, right, left[i])) * tree(
        value, left, right, right[i]
    )


def all_of_tree(value):
    left, right = np.array([1, 3, 5, -1, -1, -1, -1]), np.array([2, 4, 6, -1, -1, -1, -1])
    return tree(value, left, right, 0)


def fill(out, x, low, high):
    if high - low == 1:
        out[low] = x[low] ** 2
        return
    middle = (low + high) // 2
    fill(out, x, low, middle)
    fill(out, x, middle, high)
    out[low] += out[middle]


def filled(x):
    out = np.zeros(len(x))
    fill(out, x, 0, len(x))
    return out[0]


def halves(x):
    n = len(x)
    if n == 1:
        return x[0]
    return halves(x[: n // 2]) * 1.01 + math.sin(halves(x[n // 2 :]))


def fft(x):
    n = len(x)
    if n == 1:
        return x.copy()
    even, odd = fft(x[::2]), fft(x[1::2])
    t = np.exp(-2j * np.pi * np.arange(n // 2) / n) * odd
    return np.concatenate((even + t, even - t))


def spectrum(x):
    return (np.abs(fft(x.astype(complex))) ** 2 * np.arange(len(x))).sum()


def quicksort(a):
    if len(a) < 2:
        return
    p, i, j = a[len(a) // 2], 0, len(a) - 1
    while i <= j:
        while a[i] < p:
            i += 1
        while a[j] > p:
            j -= 1
        if i <= j:
            t = a[i]
            a[i] = a[j]
            a[j] = t
            i += 1
            j -= 1
    quicksort(a[: j + 1])
    quicksort(a[i:])


def quantiles(x):
    y = x.copy()
    quicksort(y)
    return (y * np.arange(len(y))).sum()


def even(x, n):
    return x if n == 0 else odd(x * 1.1, n - 1)


def odd(x, n):
    return x * x if n == 0 else even(x + 1.0, n - 1)


def ackermann(m, n):
    if m == 0:
        return n + 1
    return ackermann(m - 1, 1 if n == 0 else ackermann(m, n - 1))


def with_ackermann(x, m, n):
    return x**2 * ackermann(m, n)


def in_loops(x, depth):
    if depth == 0:
        return math.sin(x)
    total, k = 0.0, 0
    for i in range(depth):
        if i == 2:
            continue
        total += in_loops(x * (i + 1), depth - 1) * x
    while in_loops(x * 0.5, depth - 2 if depth > 1 else 0) + k < 3.0:
        k += 1
        total += k * x
    return total


def called_in_loop(x, n):
    total = 0.0
    for i in range(n):
        if i % 3 != 1:
            total += power(x * (i + 1), i)
    return total


def pair(x, n):
    if n == 0:
        return x, 1.0
    a, b = pair(x, n - 1)
    return a * b + x, b * 0.5 + a


def of_pair(x, n):
    a, b = pair(x, n)
    return a - b * b


def counting(x, n):
    count, seen = 0, [0.0]

    def go(y, k):
        nonlocal count
        count += 1
        before = seen[0]
        seen[0] = before + y
        if k == 0 or y > 5.0:
            return y
        return go(y * 1.3, k - 1) + before * go(y * 1.7, k - 2 if k > 1 else 0) * seen[0]

    return go(x, n) * count + seen[0]


@dataclass
class Sum:
    total: float
    steps: int


def accumulate(to, x, n):
    to.steps += 1
    if n == 0:
        to.total += x
        return to.total
    before = to.total
    a = accumulate(to, x * 1.1, n - 1)
    return a - accumulate(to, x * 0.9, n - 1) * before + to.steps


def accumulated(x, n):
    to = Sum(0.0, 0)
    made = accumulate(to, x, n)
    return made + to.total * to.steps


class Ray(NamedTuple):
    at: float
    way: float


def bounce(ray, n):
    if n == 0 or ray.at > 10.0:
        return ray
    made = bounce(Ray(ray.at + ray.way, ray.way * 0.9), n - 1)
    return Ray(made.at * 1.1, made.way + ray.at)


def traced(x, n):
    ray = bounce(Ray(x, x * 0.5), n)
    return ray.at * ray.way


def maybe(x, n):
    if n == 0:
        return None
    found = maybe(x * 1.5, n - 1)
    return x if found is None else found * x


def found(x, n):
    value = maybe(x, n)
    return 0.0 if value is None else value


def permanents(used, k, w):
    n = len(used)
    if k == n:
        made = 1.0
        for i in range(n):
            made *= w[i, used[i]]
        return made
    total = 0.0
    for i in range(k, n):
        used[k], used[i] = used[i], used[k]
        total += permanents(used, k + 1, w)
        used[k], used[i] = used[i], used[k]
    return total


def permanent(w):
    return permanents(np.arange(len(w)), 0, w)


def minors(a):
    n = len(a)
    if n == 1:
        return a[0, 0]
    total = 0.0
    for j in range(n):
        minor = np.concatenate((a[1:, :j], a[1:, j + 1 :]), axis=1)
        total += (-1) ** j * a[0, j] * minors(minor)
    return total


def own_array(x, n):
    if n == 0:
        return (x**2).sum()
    y = x * 1.1 + n
    a = own_array(y, n - 1)
    return a + (y * x).sum()


def given_back(x, n):
    if n == 0:
        return x
    y = given_back(x, n - 1)
    y[0] += 1.0
    return y


def same_array(x, n):
    z = x.copy()
    w = given_back(z, n)
    return w.sum() + z[0]


def expression(s, at, x):
    v, at = term(s, at, x)
    while at < len(s) and s[at] == 1:
        w, at = term(s, at + 1, x)
        v = v + w
    return v, at


def term(s, at, x):
    v, at = factor(s, at, x)
    while at < len(s) and s[at] == 2:
        w, at = factor(s, at + 1, x)
        v = v * w
    return v, at


def factor(s, at, x):
    if s[at] == 3:
        v, at = expression(s, at + 1, x)
        return v, at + 1
    return (x if s[at] == 0 else s[at] - 10.0), at + 1


def parsed(x):
    return expression(np.array([3, 0, 1, 12, 4, 2, 0, 2, 3, 0, 1, 0, 4]), 0, x)[0]


def by_default(x, n, scale=2.0, *, step=1):
    if n <= 0:
        return x * scale
    return by_default(x, n - step, scale * 1.1, step=step) + by_default(x, n - 2, step=step)


def newton(f, df, x, n):
    y = x - f(x) / df(x)
    return y if abs(y - x) < 1e-12 or n == 0 else newton(f, df, y, n - 1)


def root(c):
    return newton(lambda t: t * t * t - c, lambda t: 3 * t * t, 1.0, 50)


def complexes(z, n):
    return z if n == 0 else complexes(z * z * 0.5 + 0.1j, n - 1)


def of_complexes(x, n):
    z = complexes(complex(x, 0.3), n)
    return z.real * z.imag


RNG = np.random.default_rng(0)
CASES = [
    (power, 1.1, 13), (integral, 3.0, 2.0), (all_of_tree, RNG.random(7)), (filled, RNG.random(11)),
    (halves, RNG.random(9)), (spectrum, RNG.random(8)), (quantiles, RNG.random(15)), (even, 0.7, 7),
    (with_ackermann, 1.5, 2, 3), (in_loops, 0.3, 3), (called_in_loop, 0.5, 6), (of_pair, 0.4, 6),
    (counting, 0.9, 5), (accumulated, 0.7, 3), (traced, 0.7, 5), (found, 0.7, 4),
    (permanent, RNG.random((4, 4))), (minors, RNG.random((3, 3))), (own_array, RNG.random(3), 4),
    (same_array, RNG.random(3), 3), (parsed, 0.7), (by_default, 0.5, 5), (root, 2.0), (of_complexes, 0.4, 4),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda c: c[0].__name__)
def test_values_and_derivatives(case):
    f, x, *rest = case
    dx = np.cos(np.arange(x.size)).reshape(x.shape) if isinstance(x, np.ndarray) else 0.7

    def slope(y):
        return tl.jvp(lambda z: f(z, *rest), (y,), (dx,))[1]

    value = tl.jit(f)(x, *rest)
    assert type(value) is type(f(x, *rest))
    np.testing.assert_allclose(value, f(x, *rest), rtol=1e-12)
    np.testing.assert_allclose(tl.jit(tl.grad(f))(x, *rest), tl.grad(f)(x, *rest), rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(tl.jit(slope)(x), slope(x), rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(tl.jit(tl.grad(slope))(x), tl.grad(slope)(x), rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("case", CASES, ids=lambda c: c[0].__name__)
def test_nothing_is_fixed(case):
    """The depth is found at run time: one version serves all arguments of these types."""
    f, *args = case
    assert not stage(f, tuple(args)).known


def test_other_depths_and_lengths():
    fast = tl.jit(tl.value_and_grad(power))
    for n in (0, 1, 2, 40, 900):
        np.testing.assert_allclose(fast(1.001, n), tl.value_and_grad(power)(1.001, n), rtol=1e-11)
    sort = tl.jit(quicksort)
    for n in (0, 1, 2, 3, 50, 1000):
        x = RNG.random(n)
        y = x.copy()
        sort(y)
        np.testing.assert_array_equal(y, np.sort(x))
    transform = tl.jit(fft)
    for n in (1, 2, 16, 64):
        x = RNG.random(n) + 0j
        np.testing.assert_allclose(transform(x), np.fft.fft(x), atol=1e-12)


def failing(x, n):
    if n < 0:
        raise ValueError("below")
    if n == 0:
        if x > 100.0:
            raise ArithmeticError("too big")
        return 1.0 / (x - 8.0)
    return failing(x * 2.0, n - 1)


def test_exceptions_at_depth():
    fast = tl.jit(failing)
    assert fast(1.5, 3) == failing(1.5, 3)
    for call in (fast, tl.jit(tl.grad(failing))):
        with pytest.raises(ZeroDivisionError):
            call(1.0, 3)
        with pytest.raises(ArithmeticError, match="too big"):
            call(40.0, 5)
        with pytest.raises(ValueError, match="below"):
            call(1.0, -1)


def marked(out, n):
    out[n] = 1.0
    return 0.0 if n + 1 == len(out) else marked(out, n + 1)


def test_as_deep_as_python_goes():
    fast = tl.jit(marked)
    out = np.zeros(800)
    assert fast(out, 0) == 0.0 and out.sum() == 800
    out = np.zeros(100_000)
    with pytest.raises(RecursionError):
        fast(out, 0)
    assert 0 < out.sum() < 2000


def caught(x, n):
    try:
        return failing(x, n)
    except ArithmeticError:
        return x * 3.0


def test_an_exception_that_is_caught_outside():
    for x in (1.5, 1.0, 40.0):
        assert tl.jit(caught)(x, 3) == caught(x, 3)


def overwritten(x, n):
    if n == 0:
        return x.sum()
    y = x * 1.0
    made = overwritten(y, n - 1)
    x[0] = made * 0.5
    return made + y[0]


def test_an_array_of_the_caller_that_is_written():
    """Each run is given an array of the run before: that is not copied where it is written."""
    x = RNG.random(3)
    y, z = x.copy(), x.copy()
    assert np.isclose(tl.jit(overwritten)(y, 3), overwritten(z, 3))
    np.testing.assert_allclose(y, z)
