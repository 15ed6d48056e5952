"""Derivatives in compiled programs and of them: the same as the python backend's, nested in any order."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import tapeless as tl
from tapeless.errors import NotCompilable, NotDifferentiableError, NotScalarError, StructureError

X = np.array([0.3, 1.2, -0.7])
A = np.arange(9.0).reshape(3, 3) / 7
Z = np.array([1 + 2j, 0.5 - 1j])


def numbers(v: Any) -> list[Any]:
    if isinstance(v, (tuple, list)):
        return [x for part in v for x in numbers(part)]
    if isinstance(v, dict):
        return [x for part in v.values() for x in numbers(part)]
    if isinstance(v, tl.Tangent):
        return [x for _, part in v.leaves() for x in numbers(part)]
    if isinstance(v, Line):
        return numbers([v.w, v.b])
    return [] if v is None else list(np.ravel(v))


def like_python(f, *args):
    """The compiled call gives what the plain one gives, and does the same to its arguments."""
    plain, native = copy.deepcopy(args), copy.deepcopy(args)
    want, got = f(*plain), tl.jit(f)(*native)
    assert type(got) is type(want)
    assert np.shape(got) == np.shape(want) if isinstance(want, np.ndarray) else True
    np.testing.assert_allclose(numbers(got), numbers(want), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(numbers(list(native)), numbers(list(plain)), rtol=1e-12)


def f(x):
    return np.sum(np.sin(x) * x)


def g(x):
    return np.sin(x) * np.sum(x)


@dataclass
class Line:
    w: np.ndarray
    b: float
    n: int


def loss(m, x):
    return np.sum((m.w * x + m.b) ** 2)


def closure(x):
    return tl.grad(lambda z: np.sum(z * x))(x)


def pull_often(x):
    y, pull = tl.vjp(g, x)
    first = pull(np.ones(3))
    twice = first[0] * 2
    second = pull(np.array([1.0, 2.0, 3.0]))
    return y, first, second, twice


def push_and_pull(x):
    y, push = tl.linearize(g, x)
    return y, push(np.ones(3)), push(np.array([1.0, 2.0, 3.0])), tl.transpose(push)(np.ones(3))


def pull_rows(x):
    _, pull = tl.vjp(g, x)
    rows = np.zeros((3, 3))
    for i in range(3):
        e = np.zeros(3)
        e[i] = 1.0
        rows[i] = pull(e)[0]
    return rows


def push_after_write(x):
    _, push = tl.linearize(g, x)
    before = push(np.ones(3))
    x += 1
    return before, push(np.ones(3)), push(x)


def pull_after_write(x):
    y, pull = tl.vjp(np.exp, x)
    y *= 0
    x *= 0
    return pull(np.ones(3)), y


def pull_structures(x):
    y, pull = tl.vjp(lambda d, s: {"a": d["x"] * s, "b": (s**2, 3)}, {"x": x, "n": 2}, 1.5)
    return y, pull({"a": x, "b": (2.0, None)}), pull({"a": None, "b": (1.0, None)})


def descend(x, n):
    for _ in range(n):
        x = x - 0.1 * tl.grad(f)(x)
    return np.sum(x)


def until_flat(x):
    s, k = tl.grad(f)(x), 0
    while np.sum(s**2) > 1e-2:
        x = x - 0.1 * s
        s = tl.grad(f)(x)
        k += 1
    return np.sum(x**2) + k


def doubled(x):
    x *= 2
    return np.sum(x**3)


def of_overwritten(x):
    return tl.grad(doubled)(x), x


def of_overwritten_part(x):
    return tl.grad(doubled)(x[1:]), x


def train(m, x):
    for _ in range(3):
        g = tl.grad(loss)(m, x)
        m.w -= 0.1 * g.w
        m.b -= 0.1 * g.b
    return loss(m, x)


def steps_by_update(m, x):
    g = tl.grad(loss)(m, x)
    m = tl.update(m, lambda p, d: p - 0.1 * d, g)
    twice = g * 2.0 + g
    return loss(m, x), twice.b, m.w


def keeps_arrays(x):
    kept = []

    def h(z):
        kept.append(z * 2)
        e = np.exp(z)
        kept.append(e)
        return np.sum(e * e)

    return tl.grad(h)(x), kept


def in_an_object(x):
    box = {"calls": 0, "last": 0.0}

    def h(z):
        box["calls"] += 1
        box["last"] = np.sum(z)
        return np.sum(z**2) * box["last"]

    return tl.grad(h)(x), tl.grad(h)(2 * x), box


def cube(x, y):
    return y**3 * x


def dcube(x):
    return tl.grad(cube, 1)(x, x)


CASES = {
    "in place": (lambda x: tl.grad(f)(x) * 2, X),
    "closure": (closure, X),
    "pull often": (pull_often, X),
    "push and pull": (push_and_pull, X),
    "pull in a loop": (pull_rows, X),
    "gradient of pulls": (tl.grad(lambda x: np.sum(pull_rows(x) ** 2)), X),
    "push after a write": (push_after_write, X),
    "pull after a write": (pull_after_write, X),
    "pull structures": (pull_structures, X),
    "jvp": (lambda x: tl.jvp(g, (x,), (np.ones(3),)), X),
    "jvp, zero": (lambda x: tl.jvp(lambda a, b: a * b, (x, 2.0), (None, 1.0)), X),
    "jvp, aux": (lambda x: tl.jvp(lambda a: (a * a, {"s": np.sin(a)}), (x,), (x,), has_aux=True), X),
    "hvp": (lambda x: tl.hvp(f, (x,), (np.ones(3),)), X),
    "hvp, two": (lambda x: tl.hvp(lambda a, b: np.sum(a**3) * b, (x, 2.0), (x, 1.0)), X),
    "jvp of grad": (lambda x: tl.jvp(tl.grad(f), (x,), (x,)), X),
    "grad of grad": (tl.grad(dcube), 1.5),
    "third": (tl.grad(tl.grad(tl.grad(lambda x: x**4 * np.sin(x)))), 1.5),
    "loop": (descend, X, 5),
    "grad of a loop": (tl.grad(descend), X, 5),
    "while": (until_flat, X),
    "grad of a while": (tl.grad(until_flat), X),
    "stop": (tl.grad(lambda x: np.sum(x * tl.stop_gradient(x))), X),
    "stop, structure": (tl.grad(lambda x: tl.stop_gradient({"a": (x, 1)})["a"][0] * x), 3.0),
    "checkpoint": (lambda x: tl.grad(tl.checkpoint(f))(x), X),
    "constant": (tl.grad(lambda x: twice_constant(x) * x), 2.0),
    "overwritten": (of_overwritten, X),
    "overwritten part": (of_overwritten_part, X),
    "object": (tl.grad(loss), Line(np.array([1.0, 2.0, 3.0]), 0.5, 3), X),
    "train": (train, Line(np.array([1.0, 2.0, 3.0]), 0.5, 3), X),
    "update": (steps_by_update, Line(np.array([1.0, 2.0, 3.0]), 0.5, 3), X),
    "kept arrays": (keeps_arrays, X),
    "kept numbers": (in_an_object, X),
    "complex": (tl.grad(lambda z: np.sum(np.abs(z) ** 2 * z.real)), Z),
    "complex number": (tl.grad(lambda z: abs(z) ** 2 * z.real), 1 + 2j),
    "complex jvp": (lambda z: tl.jvp(lambda z: z * z, (z,), (1j * z,)), 1 + 2j),
    "aux": (tl.value_and_grad(lambda x: (np.sum(x**2), {"s": np.sin(x), "k": 3}), has_aux=True), X),
    "argnums": (tl.value_and_grad(lambda x, y: np.sum(x**2) * y, (0, "y")), X, 2.0),
    "containers": (tl.grad(lambda d: np.sum(d["a"] ** 2) * d["b"][0]), {"a": X, "b": [2.0, 3.0], "k": 1}),
    "hook outside": (lambda x: tl.gradient_hook(x, lambda g: g) * 2, X),
}  # fmt: skip


@tl.constant
def twice_constant(x):
    return x * 2


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_as_python(case):
    like_python(*case)


def test_jit_inside():
    got = tl.jit(lambda x: tl.grad(tl.jit(f))(x))(X)
    np.testing.assert_allclose(got, tl.grad(f)(X))


def test_of_compiled_functions():
    compiled = tl.jit(f)
    np.testing.assert_allclose(tl.grad(compiled)(X), tl.grad(f)(X))
    assert isinstance(tl.grad(compiled), type(compiled).__mro__[1])
    value, slope = tl.value_and_grad(compiled)(X)
    assert value == pytest.approx(f(X))
    np.testing.assert_allclose(slope, tl.grad(f)(X))
    np.testing.assert_allclose(tl.jvp(compiled, (X,), (X,)), tl.jvp(f, (X,), (X,)))
    np.testing.assert_allclose(tl.hessian(compiled)(X), tl.hessian(f)(X))
    np.testing.assert_allclose(tl.hvp(compiled, (X,), (X,)), tl.hvp(f, (X,), (X,)))
    np.testing.assert_allclose(tl.jacobian(tl.jit(g))(X), tl.jacobian(g)(X))
    np.testing.assert_allclose(tl.jacrev(tl.jit(g))(X), tl.jacrev(g)(X))


def test_pullback_and_linear_map_of_compiled():
    x = X.copy()
    y, pull = tl.vjp(tl.jit(g), x)
    value, push = tl.linearize(tl.jit(g), x)
    x[:] = 0.0  # they are for the x that was
    np.testing.assert_allclose(y, g(X))
    np.testing.assert_allclose(value, g(X))
    want, want_pull = tl.vjp(g, X)
    for _ in range(2):
        np.testing.assert_allclose(pull(want)[0], want_pull(want)[0])
    np.testing.assert_allclose(push(X), tl.jvp(g, (X,), (X,))[1])
    np.testing.assert_allclose(tl.transpose(push)(X)[0], want_pull(X)[0])


def test_a_compiled_function_is_opened_by_a_program_that_is_differentiated():
    compiled = tl.jit(f)
    got = tl.grad(lambda x: compiled(x) ** 2)(X)
    np.testing.assert_allclose(got, 2 * f(X) * tl.grad(f)(X))


def test_second_derivatives_are_of_the_users_own_rule():
    @tl.custom_jvp
    def odd(x):
        return x * x

    odd.defjvp(lambda primals, tangents: (odd(*primals), 5.0 * tangents[0]))
    assert tl.jit(lambda x: odd(x))(3.0) == 9.0
    assert tl.jit(tl.grad(lambda x: odd(x)))(3.0) == 5.0
    assert tl.jit(tl.hessian(lambda x: odd(x)))(3.0) == tl.hessian(lambda x: odd(x))(3.0) == 0.0


def test_memory_with_two_names_that_is_written_is_refused():
    def through_both(x):
        def h(z):
            z[0] = 2.0
            return np.sum(z * x)

        return tl.grad(h)(x)

    with pytest.raises(NotCompilable, match="reaches otherwise, and writes"):
        tl.jit(through_both)(X.copy())


def test_errors_are_those_of_the_python_backend():
    with pytest.raises(NotScalarError, match="one real number"):
        tl.jit(tl.grad(g))(X)
    with pytest.raises(NotDifferentiableError, match="'k'"):
        tl.jit(tl.grad(lambda k: 2.0 * k))(3)
    with pytest.raises(StructureError, match="as many tangents"):
        tl.jit(lambda x: tl.jvp(g, (x,), (x, x)))(X)
    with pytest.raises(StructureError, match="shape"):
        tl.jit(lambda x, t: tl.jvp(g, (x,), (t,)))(X, np.ones(2))
