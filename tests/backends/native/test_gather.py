"""Adjoints of stencils store each element once, and the numbers are those of the sums one by one."""

from __future__ import annotations

import linecache
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tapeless as tl
from tapeless.backends.native import gathered
from tapeless.backends.native.build import staged_function
from tapeless.backends.native.nest import Store, walk


def in_turn(steps, a, b):
    """Two grids by turns: the cotangents of one are zero when it is added to."""
    for _ in range(steps):
        b[1:-1, 1:-1] = 0.2 * (a[1:-1, 1:-1] + a[1:-1, :-2] + a[1:-1, 2:] + a[2:, 1:-1] + a[:-2, 1:-1])
        a[1:-1, 1:-1] = 0.3 * (b[1:-1, 1:-1] - b[1:-1, :-2] + b[1:-1, 2:] * b[2:, 1:-1] + b[:-2, 1:-1])
    return np.sum(a * a) + np.sum(b[0] * a[0])


def cubes(steps, a, b):
    for _ in range(steps):
        b[1:-1, 1:-1, 1:-1] = (
            0.4 * a[1:-1, 1:-1, 1:-1]
            + 0.1 * (a[2:, 1:-1, 1:-1] + a[:-2, 1:-1, 1:-1])
            + 0.2 * (a[1:-1, 2:, 1:-1] - a[1:-1, :-2, 1:-1])
            + 0.3 * (a[1:-1, 1:-1, 2:] - a[1:-1, 1:-1, :-2])
        )
        a[:, 1:, :-1] += 0.5 * b[:, :-1, 1:] - 0.25 * b[:, 1:, :-1]
    return np.sum(a * a)


def burgers(steps, a, b):
    for _ in range(steps):
        before = a.copy()
        a[1:-1] = before[1:-1] * (1.0 - 0.1 * (before[1:-1] - before[:-2])) + b[1:-1] * (
            before[2:] - 2.0 * before[1:-1] + before[:-2]
        )
        a[0], a[-1] = a[-2], a[1]
    return np.sum(a * a)


def columns(steps, a, b):
    """Along other axes than the loops', and with one index that stays."""
    n, m = a.shape
    for k in range(min(steps, n)):
        for j in range(m - 1, 1, -1):
            b[k, j] = a[k, j] + 0.5 * a[k, j - 1] - 0.2 * a[k, j - 2]
        for i in range(n - 1):
            for j in range(2, m):
                a[i, j - 1] = np.sin(0.1 * k) * (b[i, j] + b[i + 1, j] + b[i, j - 2])
    return np.sum(a * b)


def edges(steps, a, b):
    """What is set to zero is more, and less, than what is added to."""
    total = 0.0
    for k in range(steps):
        c = np.zeros(a.shape)
        c[2:-1] = a[3:] + 0.5 * a[2:-1] - a[1:-2] * 0.25
        b[1:] = c[1:] + 0.5 * c[:-1]
        a[:-3] = 0.1 * b[:-3] + 0.2 * b[1:-2] + b[2:-1] + b[3:]
        total += b[k % b.shape[0]]
    return total + np.sum(a)


def triangle(steps, a, b):
    """The inner loop's range moves with the outer one."""
    n = a.shape[0]
    for _ in range(steps):
        for i in range(n - 2):
            for j in range(i, n - 2):
                b[i, j] = a[i, j] + 2.0 * a[i, j + 1] + 3.0 * a[i + 2, j]
        a += b
    return np.sum(a * b)


def in_place(steps, a, b):
    """What is summed is changed in between, by the same loop."""
    for _ in range(steps):
        for i in range(1, a.shape[0] - 1):
            b[i] = a[i - 1] + a[i + 1]
            a[i] = b[i] * 0.5 + b[i - 1]
    return np.sum(a * b)


def weighed(steps, a, b):
    """The factors are read from an array that the reverse sweep puts back in the same loop."""
    for _ in range(steps):
        for i in range(1, a.shape[0] - 1):
            c = b[i]
            b[i] = c * (a[i - 1] + a[i] + a[i + 1])
    return np.sum(b * b)


PROGRAMS: list[tuple[Callable[..., Any], list[tuple[int, ...]]]] = [
    (in_turn, [(2, 2), (3, 3), (4, 4), (5, 5), (3, 9), (12, 4), (11, 13)]),
    (cubes, [(2, 2, 2), (3, 3, 3), (3, 4, 5), (6, 6, 6), (5, 3, 12), (12, 4, 11)]),
    (burgers, [(3,), (4,), (5,), (6,), (13,)]),
    (columns, [(2, 3), (3, 4), (4, 3), (9, 12)]),
    (edges, [(4,), (5,), (6,), (7,), (8,), (19,)]),
    (triangle, [(2, 2), (3, 3), (12, 12)]),
    (in_place, [(3,), (12,)]),
    (weighed, [(3,), (12,)]),
]


def arrays(shape: tuple[int, ...]) -> list[np.ndarray]:
    rng = np.random.default_rng(len(shape))
    return [0.5 * rng.standard_normal(shape) for _ in range(2)]


def agree(fun: Callable[..., Any], steps: int, shape: tuple[int, ...]) -> None:
    want = tl.grad(fun, argnums=(1, 2))(steps, *arrays(shape))
    got = tl.jit(tl.grad(fun, argnums=(1, 2)))(steps, *arrays(shape))
    for x, y in zip(got, want, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("fun", "shape"), [(f, shape) for f, shapes in PROGRAMS for shape in shapes])
def test_gradients(fun: Callable[..., Any], shape: tuple[int, ...]) -> None:
    for steps in (0, 1, 3):
        agree(fun, steps, shape)


@pytest.mark.parametrize("fun", [in_turn, burgers, edges])
def test_second_derivatives(fun: Callable[..., Any]) -> None:
    shape = (5, 6) if fun is in_turn else (11,)
    a, b = arrays(shape)
    x = np.concatenate([a.ravel(), b.ravel()])

    def flat(x):
        a, b = x[: x.size // 2].reshape(shape).copy(), x[x.size // 2 :].reshape(shape).copy()
        return fun(2, a, b)

    def twice(x):
        return np.sum(np.cos(tl.grad(flat)(x)))

    np.testing.assert_allclose(tl.jit(tl.hessian(flat))(x), tl.hessian(flat)(x), rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(tl.jit(tl.grad(twice))(x), tl.grad(twice)(x), rtol=1e-11, atol=1e-11)


def stores(fun: Callable[..., Any], shape: tuple[int, ...]) -> int:
    nest = staged_function(tl.grad(fun, argnums=(1, 2)), (2, *arrays(shape)), {}).function
    return sum(isinstance(s, Store) and s.add for s in walk(nest.body))


def test_an_element_is_stored_once(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[gathered.Gather] = []
    code = gathered.Gather.code
    monkeypatch.setattr(gathered.Gather, "code", lambda g: (found.append(g), code(g))[1])
    stores(in_turn, (11, 13))
    assert {len(g.terms) for g in found} == {5}
    assert any(g.clear is not None for g in found)  # zeros of the time step before


@pytest.mark.parametrize("fun", [triangle, in_place])
def test_what_cannot_be_gathered_is_not(monkeypatch: pytest.MonkeyPatch, fun: Callable[..., Any]) -> None:
    found: list[gathered.Gather] = []
    code = gathered.Gather.code
    monkeypatch.setattr(gathered.Gather, "code", lambda g: (found.append(g), code(g))[1])
    stores(fun, (12, 12) if fun is triangle else (12,))
    assert not found


TERMS = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.integers(0, 2),
        st.sampled_from(["{}", "0.5 * {}", "-{}", "{} * c[i, j]", "{} * {}"]),
    ),
    min_size=2,
    max_size=6,
)


def made(first: Any, second: Any) -> Callable[..., Any]:
    def terms(name: str, found: Any) -> str:
        return " + ".join(t.replace("{}", f"{name}[i + {di}, j + {dj}]") for di, dj, t in found)

    source = f"""
def program(steps, a, b, c):
    n, m = c.shape
    for k in range(steps):
        for i in range(n):
            for j in range(m):
                b[i + 1, j + 1] = 0.3 * ({terms("a", first)})
        for i in range(n):
            for j in range(m):
                a[i + 1, j] = 0.3 * ({terms("b", second)})
    return np.sum(a * a) + np.sum(b)
"""
    filename = f"<stencil {abs(hash(source))}>"
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    space: dict[str, Any] = {"np": np}
    exec(compile(source, filename, "exec"), space)
    return space["program"]


@settings(max_examples=15, deadline=None)
@given(TERMS, TERMS, st.integers(1, 9), st.integers(1, 9), st.integers(0, 2))
def test_random_stencils(first: Any, second: Any, n: int, m: int, steps: int) -> None:
    program = made(first, second)

    def arguments() -> list[np.ndarray]:
        rng = np.random.default_rng(n)
        return [*(rng.standard_normal((n + 3, m + 2)) for _ in range(2)), rng.standard_normal((n, m))]

    want = tl.grad(program, argnums=(1, 2, 3))(steps, *arguments())
    got = tl.jit(tl.grad(program, argnums=(1, 2, 3)), cache=False)(steps, *arguments())
    for x, y in zip(got, want, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-9, atol=1e-9)
