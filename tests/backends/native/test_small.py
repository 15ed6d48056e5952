"""What fits a byte is saved in one: states, flags, conditions; anything else as it is."""

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapeless as tl
from tapeless.backends.native.nest import (
    I64,
    ZERO,
    Array,
    Assign,
    For,
    Load,
    Ref,
    Scalar,
    Store,
    Swap,
    apply,
    const,
)
from tapeless.backends.native.small import small


def saved(f: Callable[..., Any], *args: Any) -> list[str]:
    """What a gradient saves in a loop, by type; the gradient is compared with the plain one."""
    derivative = tl.value_and_grad(f)
    value, want = derivative(*args)
    got, slope = tl.jit(derivative, cache=False)(*args)
    assert got == pytest.approx(value, rel=1e-12)
    np.testing.assert_allclose(slope, want, rtol=1e-11, atol=1e-13)
    text = tl.compiled(derivative, *args)
    space: dict[str, Any] = {"np": np, "max": max, "min": min}
    exec(text, space)
    assert space[f.__name__](*args)[0] == pytest.approx(value, rel=1e-12)
    return re.findall(r"saved_(\w+)\[saved_\w+\] = ", text)


def power(x, n):
    if n == 0:
        return 1.0
    if n % 2 == 0:
        half = power(x, n // 2)
        return half * half
    return x * power(x, n - 1)


def powers(x, n):
    total = 0.0
    for i in range(n):
        total += power(x, i)
    return total


def test_recursion_saves_bytes_and_numbers():
    """The state and which branch was taken; of integers only how many trips there were."""
    kinds = saved(powers, 1.01, 40)
    assert kinds.count("i8") >= 2
    assert kinds.count("f64") == 2 * kinds.count("i64")


def walked(x, n):
    """A state from -128 to 127 decides what is done next."""
    state, total = 0, 0.0
    while n > 0:
        now = state
        if now == 0:
            total = math.sin(total + x)
            state = -128 if n % 3 == 0 else 127
        elif now == 127:
            total *= x
            state = -128
        else:
            total += x * x
            state = 0
        n -= 1
    return total


def test_a_state():
    assert "i8" in saved(walked, 0.7, 25)


def far(x, n):
    """One of the states is too large for a byte."""
    state, total = 0, x
    while n > 0:
        now = state
        if now == 0:
            total = math.sin(total + x)
            state = 128
        elif now == 128:
            total *= x
            state = -129
        else:
            total += x * x
            state = 0
        n -= 1
    return total


def test_a_state_that_does_not_fit():
    assert "i64" in saved(far, 0.7, 25)


def branching(x, n):
    """Numbers that only decide which branch is taken, and one that is also multiplied by."""
    total, seed = x, 7
    while n > 0:
        seed = (1103515245 * seed + 12345) % 2147483648
        low, high = seed % 5, seed % 7
        if low == 0:
            total = math.cos(total) * x
        if high > 3:
            total = total * (1.0 + 0.01 * high)
        n -= 1
    return total


def test_conditions_instead_of_what_they_compare():
    saved(branching, 0.7, 60)


def test_a_number_that_outlives_the_condition():
    """`limit` changes seldom: it is saved there, not a condition of each step."""

    def f(x, n):
        total, limit = x, 5
        for i in range(n):
            if i % 10 == 0:
                limit = (limit * 7) % 11
            k = i
            while k > 0:
                if k % 13 > limit:
                    total = math.sin(total) + x
                k //= 2
        return total

    saved(f, 0.3, 50)


@pytest.mark.parametrize("n", [0, 1, 9])
def test_flags_in_arrays(n):
    def f(x, n):
        y = x.copy()
        flags = np.zeros(x.shape[0], dtype=bool)
        for i in range(n):
            for j in range(x.shape[0]):
                flags[j] = y[j] > 0.5 if i % 2 else not flags[j]
                if flags[j]:
                    y[j] = y[j] * x[j] + 0.1
                else:
                    y[j] = math.cos(y[j])
        return np.sum(y)

    saved(f, np.linspace(0.1, 0.9, 5), n)


def test_second_derivatives():
    np.testing.assert_allclose(
        tl.jit(tl.grad(tl.grad(powers)), cache=False)(1.01, 40),
        tl.grad(tl.grad(powers))(1.01, 40),
        rtol=1e-11,
    )
    np.testing.assert_allclose(
        tl.jit(tl.hessian(walked), cache=False)(0.7, 25), tl.hessian(walked)(0.7, 25), rtol=1e-10
    )


# ---- which integers


def names() -> tuple[Scalar, Scalar, Scalar, Array, Array]:
    a, b, c = (Scalar(x, I64) for x in "abc")
    return a, b, c, Array("u", "int64", 1), Array("v", "int64", 1)


def test_copies_and_elements_are_followed():
    a, b, c, u, v = names()
    body = [
        Assign(a, const(-128)),
        Assign(b, apply("select", apply("lt", Ref(a), ZERO), Ref(a), const(127))),
        Store(u, (ZERO,), Ref(b)),
        Assign(c, Load(u, (ZERO,))),
        Store(v, (ZERO,), const(128)),
    ]
    assert small(body, []) == {a, b, c, u}
    assert small(body, [u]) == {a, b}
    assert small([*body, Assign(a, Ref(a) + 1)], []) == set()
    assert small([*body, Swap(u, v)], []) == {a, b}


def test_counters_and_sums_are_not():
    a, b, c, u, _ = names()
    assert small([For(a, ZERO, const(9), [Assign(b, Ref(a))])], []) == set()
    assert small([Assign(c, ZERO), Store(u, (ZERO,), Ref(c), add=True)], []) == {c}
