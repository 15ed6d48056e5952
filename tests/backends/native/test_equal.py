"""Values that a program computes twice, or whose derivative it computes, are kept once and called once."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import tapeless as tl

X = np.array([0.3, -0.7, 0.9, 0.2, 0.5, -0.1])


def agrees(f: Any, *args: Any) -> str:
    """Compiled value, gradient and second derivatives are Python's; the loops of the gradient."""
    derivative = tl.value_and_grad(f)
    value, want = derivative(*args)
    got_value, got = tl.jit(derivative)(*args)
    np.testing.assert_allclose(got_value, value, rtol=1e-12)
    np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-14)
    near = [f(args[0] + h, *args[1:]) for h in (1e-6, -1e-6)]
    np.testing.assert_allclose(np.sum(got), (near[0] - near[1]) / 2e-6, rtol=1e-6)
    np.testing.assert_allclose(
        tl.hessian(tl.jit(f))(*args), tl.hessian(f)(*args), rtol=1e-11, atol=1e-13, err_msg=f.__name__
    )
    return tl.compiled(derivative, *args)


def turning(angles: Any) -> Any:
    heading, x, y = 0.0, 0.0, 0.0
    for a in angles:
        heading += a
        x += np.cos(heading) * a
        y += np.sin(heading)
    return x * x + y * x


def test_sine_and_cosine_of_an_angle_are_called_once() -> None:
    loops = agrees(turning, X)
    assert loops.count("np.sin(") == loops.count("np.cos(") == 1


def hyperbolic(angles: Any) -> Any:
    s, total = 0.2, 0.0
    for a in angles:
        s = s * np.cosh(a) + np.sinh(a) * s * s
        total += s
    return total


def test_hyperbolic_functions_are_partners_too() -> None:
    assert agrees(hyperbolic, X).count("np.cosh(") == 1


def rotated_in_place(x: Any) -> Any:
    """The element changes between the two calls: they are of different angles."""
    x = x.copy()
    total = 0.0
    for i in range(len(x)):
        s = np.sin(x[i])
        x[i] = x[i] * s
        c = np.cos(x[i])
        total += s * c
    return total + np.sum(x * x)


def angle_set_between(x: Any) -> Any:
    t, total = 0.4, 0.0
    for i in range(len(x)):
        s = math.sin(t)
        t = t + x[i] * s
        c = math.cos(t)
        total += s * c * math.sin(t)
    return total


def target_read_between(x: Any) -> Any:
    """`c` is that of the turn before when `total` reads it: it cannot move up."""
    c, total = 0.5, 0.0
    for i in range(len(x)):
        s = math.sin(x[i])
        total += c * s
        c = math.cos(x[i])
    return total * c


def overwrites_its_angle(x: Any) -> Any:
    t, total = 0.3, 0.0
    for i in range(len(x)):
        s = math.sin(t)
        t = math.cos(t)
        total += s * t * x[i]
        t = t + x[i]
    return total


def on_two_paths(x: Any) -> Any:
    total = 0.0
    for i in range(len(x)):
        s = math.sin(x[i])
        if s > 0.1:
            total += math.cos(x[i]) * s
        else:
            total += math.sin(x[i]) * math.cos(2.0 * x[i])
        total = total * math.cos(x[i])
    return total


def loads_twice(x: Any) -> Any:
    x = x.copy()
    total = 0.0
    for _ in range(2):
        for i in range(len(x) - 1):
            total += math.exp(x[i]) * math.exp(x[i + 1])
            x[i + 1] = math.exp(x[i]) * 0.3 + x[i] * x[i]
            total += math.exp(x[i + 1])
    return total


def through_a_view(x: Any) -> Any:
    x = x.copy()
    v = x[1:]
    total = 0.0
    for i in range(len(x) - 1):
        a = math.sin(x[i + 1])
        v[i] = v[i] * 1.5 + a
        total += math.cos(x[i + 1]) * math.sin(x[i + 1])
    return total


def swapped(x: Any) -> Any:
    a, b = x * 1.0, x * 0.5
    total = 0.0
    for _ in range(3):
        s = math.sin(a[1])
        a, b = b, a
        total += s * math.cos(a[1]) * math.sin(a[1])
        a[1] = a[1] * total
    return total + np.sum(a * b)


def zeros_of_two_signs(x: Any) -> Any:
    total = 0.0
    for i in range(len(x)):
        total += x[i] * (math.atan2(0.0, -abs(x[i])) - math.atan2(-0.0, -abs(x[i])))
    return total


def until_it_settles(x: Any) -> Any:
    t, n = x[0], 0
    while math.cos(t) > 0.2 and n < 20:
        t = t + 0.2 * math.sin(t) + 0.1 * math.cos(t) * x[1]
        n += 1
    return t * math.sin(t) + np.sum(x)


def carried_over(x: Any) -> Any:
    """What one turn leaves, the next reads before it sets it anew."""
    last, t = 1.0, 0.1
    for i in range(len(x)):
        u = math.cos(t) * last
        t = t + x[i] * u
        last = math.sin(t) + math.sin(t) * math.cos(t)
    return last * t


PROGRAMS = [
    *(rotated_in_place, angle_set_between, target_read_between, overwrites_its_angle, on_two_paths),
    *(loads_twice, through_a_view, swapped, zeros_of_two_signs, until_it_settles, carried_over),
]


@pytest.mark.parametrize("f", PROGRAMS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("n", [2, 6])
def test_only_equal_values_are_shared(f: Any, n: int) -> None:
    agrees(f, X[:n])


@pytest.mark.parametrize("seed", range(12))
def test_random_programs(seed: int, tmp_path: Any) -> None:
    """Straight lines of loads, stores and calls in a loop, over few names so that much is equal."""
    rng = np.random.default_rng(seed)
    lines = ["import math", "def f(x):", "    x = x.copy()", "    p, q, r, total = 0.3, 0.2, -0.4, 0.0"]
    lines += ["    for i in range(1, len(x)):"]
    names = ["p", "q", "r", "x[i]", "x[i - 1]"]

    def some(among: list[str]) -> str:
        return among[rng.integers(len(among))]

    for _ in range(14):
        call = f"math.{some(['sin', 'cos', 'sinh', 'cosh', 'exp'])}({some(names)})"
        made = some([call, f"{some(names)} * {call}", f"0.5 * {some(names)} + 0.1 * {call}", some(names)])
        lines.append(f"        {some(names[:-1])} = math.tanh({made})")
        if rng.random() < 0.3:
            lines.append(f"        if {some(names)} > 0.1:")
            lines.append(f"            {some(names[:3])} = math.tanh({call}) * {some(names)}")
        lines.append(f"        {some(names[:3])} = math.atan({some(names)})")
        lines.append(f"        total += {some(names)} * {call}")
    path = tmp_path / "program.py"
    path.write_text("\n".join([*lines, "    return total + p * q * r", ""]))
    space: dict[str, Any] = {}
    exec(compile(path.read_text(), str(path), "exec"), space)
    agrees(space["f"], X)
