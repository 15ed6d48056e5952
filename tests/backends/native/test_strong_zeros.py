"""0·∞ is 0 in compiled derivatives, whatever asks for them; the fast kernel that finds it leaves no trace."""

from __future__ import annotations

import copy
import math
import re
from typing import Any

import numpy as np
import pytest
from tests.backends.native.test_derivatives import like_python, numbers

import tapeless as tl
from tapeless.errors import UntrackedMutationError

#: 0 and 0 again, so that there is 0·∞ beside what is finite.
X = np.array([0.0, 4.0, 0.0, 2.25])


def root(x):
    return np.where(x > 0, np.sqrt(x), 0.0)


def entropy(x):
    return np.where(x > 0, x * np.log(x), x)


def size(x):
    return np.sqrt(x * x)


def product(x):
    return np.outer(x, x) @ root(x)


VECTORS = [root, entropy, size, product]


@pytest.fixture(autouse=True)
def quiet():
    with np.errstate(all="ignore"):
        yield


# ---- every transformation


def pulled(f):
    def run(x):
        y, pull = tl.vjp(f, x)
        return pull(np.ones(4))[0], pull(y)[0]

    return run


def pulled_loop(f):
    def run(x):
        _, pull = tl.vjp(f, x)
        rows = np.zeros((4, 4))
        for k in range(4):
            e = np.zeros(4)
            e[k] = 1.0
            rows[k] = pull(e)[0]
        return rows

    return run


def transposed(f):
    return lambda x: tl.transpose(tl.linearize(f, x)[1])(np.ones(4))[0]


def pushed(f):
    def run(x):
        y, push = tl.linearize(f, x)
        return y, push(np.ones(4)), push(np.zeros(4))

    return run


TRANSFORMATIONS: dict[str, Any] = {
    "grad": lambda f: tl.grad(lambda x: np.sum(f(x))),
    "value_and_grad": lambda f: tl.value_and_grad(lambda x: np.sum(f(x))),
    "jvp": lambda f: lambda x: tl.jvp(f, (x,), (np.array([0.0, 1.0, 1.0, 0.0]),)),
    "vjp": pulled,
    "vjp in a loop": pulled_loop,
    "linearize": pushed,
    "transpose": transposed,
    "rows": lambda f: tl.jacrev(f),
    "columns": lambda f: tl.jacfwd(f),
    "jacobian": tl.jacobian,
    "rows of few": lambda f: tl.jacrev(lambda x: f(x)[:2]),
    "hessian": lambda f: tl.hessian(lambda x: np.sum(f(x) ** 2)),
    "hvp": lambda f: lambda x: tl.hvp(lambda z: np.sum(f(z)), (x,), (np.array([0.0, 1.0, 0.0, 0.0]),)),
    "grad of grad": lambda f: tl.grad(lambda x: tl.grad(lambda z: np.sum(f(z) * z))(x)[1]),
    "grad of vjp": lambda f: tl.grad(lambda x: np.sum(tl.vjp(f, x)[1](x)[0])),
    "grad of rows": lambda f: tl.grad(lambda x: np.sum(tl.jacrev(lambda z: f(z) ** 2)(x))),
}


@pytest.mark.parametrize("f", VECTORS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("name", TRANSFORMATIONS)
def test_of_a_pure_program(name, f):
    like_python(TRANSFORMATIONS[name](f), X)


@pytest.mark.parametrize("f", VECTORS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("name", TRANSFORMATIONS)
def test_of_a_program_that_writes(name, f):
    of_f = TRANSFORMATIONS[name](f)

    def run(x, seen):
        seen[0] += 1.0
        seen[1:] = x
        made = of_f(x)
        seen *= 2.0
        return made

    like_python(run, X, np.zeros(5))


@pytest.mark.parametrize(
    "f", [lambda x: math.sqrt(x * x), lambda x: np.sqrt(x * x), lambda x: abs(x) ** 0.5 * 0.0]
)
def test_of_numbers(f):
    like_python(tl.grad(f), 0.0)
    like_python(lambda x: tl.vjp(f, x)[1](2.0), 0.0)
    like_python(lambda x: tl.jvp(f, (x,), (1.0,)), 0.0)


# ---- the fast kernel, and what it leaves


def overwritten(c, a, b):
    c[:] = 2.0 * a @ b + root(c)
    return np.sum(c * c)


def test_programs_that_write_have_fast_products():
    a = np.arange(64.0).reshape(8, 8)
    text = tl.compiled(tl.grad(overwritten, argnums=(0, 1, 2)), a, a.copy(), a.copy())
    assert "mulz" not in text and len(re.findall(r"np\.matmul|np\.dot|@", text)) >= 3


def same_calls(make, f, *, calls=2):
    """The compiled function does what the plain one does to arguments made anew, time and again."""
    compiled = tl.jit(f)
    for _ in range(calls):
        plain, native = make(), make()
        want, got = f(*plain), compiled(*native)
        np.testing.assert_allclose(numbers(got), numbers(want), rtol=1e-11, atol=1e-13)
        np.testing.assert_allclose(numbers(list(native)), numbers(list(plain)), rtol=1e-12)


A = np.arange(9.0).reshape(3, 3) + 1.0
ZEROS = np.array([[0.0, 1.0, 0.0], [4.0, 0.0, 2.0], [1.0, 3.0, 0.0]])
LAYOUTS: dict[str, Any] = {
    "rows": lambda a: a.copy(),
    "columns": lambda a: a.T.copy().T,
    "steps": lambda a: np.repeat(np.repeat(a, 2, 0), 3, 1)[::2, ::3],
    "backwards": lambda a: a[::-1, ::-1].copy()[::-1, ::-1],
    "float32": lambda a: a.astype(np.float32),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_arguments_of_any_layout_are_put_back(layout):
    arrange = LAYOUTS[layout]
    gradient = tl.jit(tl.grad(overwritten, argnums=(0, 1, 2)))
    for c in ZEROS, A, ZEROS:
        plain, native = ((arrange(c), A.astype(c.dtype), A.copy()) for _ in range(2))
        want, got = tl.grad(overwritten, argnums=(0, 1, 2))(*plain), gradient(*native)
        tolerance = 1e-4 if layout == "float32" else 1e-11
        for x, y in zip([*got, *native], [*want, *plain], strict=True):
            assert x.dtype == y.dtype
            np.testing.assert_allclose(x, y, rtol=tolerance, atol=tolerance)


def test_arguments_that_share_memory_are_refused_as_they_are_uncompiled():
    def f(x, a, b):
        a += 1.0
        b *= 3.0
        return np.sum(root(x)) * a[0] * b[1]

    compiled = tl.jit(tl.grad(f))
    for gradient in (tl.grad(f), compiled, compiled):
        shared = np.arange(5.0)
        with pytest.raises(UntrackedMutationError, match="shares memory with another argument"):
            gradient(X, shared[:4], shared[1:])
        assert shared.tolist() == [0.0, 1.0, 2.0, 3.0, 4.0]
        apart = np.arange(5.0)
        want = np.array([0.0, 0.25, 0.0, 1 / 3]) * 1.0 * 6.0
        np.testing.assert_allclose(gradient(X, apart[:4].copy(), apart[1:]), want)


def test_the_argument_itself_is_put_back():
    def f(x, n):
        for _ in range(n):
            x[1:] += root(x[:-1])
            x *= 0.5
        return np.sum(x)

    same_calls(lambda: (X.copy(), 3), tl.value_and_grad(f))


table = np.zeros(3)


def test_globals_and_cells_are_put_back():
    held = np.ones(2)

    def f(x):
        table[1] += 1.0
        held[...] *= 2.0
        return np.sum(root(x)) * table[1] * held[0]

    def run(f):
        table[:], held[:] = 0.0, 1.0
        return [f(X.copy()) for _ in range(3)], table.copy(), held.copy()

    want, got = run(tl.grad(f)), run(tl.jit(tl.grad(f)))
    np.testing.assert_allclose(numbers(got), numbers(want))


class Counter:
    def __init__(self):
        self.calls, self.last = 0, 0.0


def test_objects_are_changed_once():
    def f(x, seen, names, counter):
        seen.append(x[1])
        names["calls"] = names["calls"] + 1
        counter.calls += 1
        counter.last = x[3]
        return np.sum(root(x)) * seen[0]

    def make():
        return X.copy(), [2.0], {"calls": 0}, Counter()

    plain, native = make(), make()
    want, got = tl.grad(f)(*plain), tl.jit(tl.grad(f))(*native)
    np.testing.assert_allclose(got, want)
    assert native[1:3] == plain[1:3] and vars(native[3]) == vars(plain[3])


def test_complex_and_integer_arrays_are_put_back():
    def f(x, z, n):
        z *= 1j
        n += 1
        return np.sum(root(x)) * n[0] + z[0].real

    same_calls(lambda: (X.copy(), np.array([1 + 2j, 3j]), np.array([1, 2])), tl.grad(f))


def test_steps_in_place():
    def descend(x, n):
        for _ in range(n):
            x -= 0.1 * tl.grad(lambda z: np.sum(root(z) + z))(x)
        return np.sum(x)

    same_calls(lambda: (X.copy(), 4), descend)


def test_what_the_derivative_is_written_to():
    def f(x, out):
        out[0] = 7.0
        out[1:] = tl.grad(lambda z: np.sum(root(z)))(x)

    same_calls(lambda: (X.copy(), np.ones(5)), f)
    text = tl.compiled(lambda x, out: f(x, out), X, np.ones(5))
    assert "out_before" in text
    # what is written after the derivative only need not be copied
    assert "_before" not in tl.compiled(
        lambda x, out: np.copyto(out, tl.grad(lambda z: np.sum(root(z)))(x)), X, X
    )


@pytest.mark.parametrize("limit", [0.0, 9.0])
def test_exceptions_leave_the_arguments_as_the_plain_program_does(limit):
    def f(x, out):
        out[0] += 1.0
        g = tl.grad(lambda z: np.sum(root(z)))(x)
        out[1] = g[1]
        if out[0] > limit:
            raise ValueError("too many")
        out[2] = 5.0
        return np.sum(g)

    def ends(f):
        out = np.ones(3)
        try:
            return out, f(X.copy(), out)
        except ValueError as error:
            return out, str(error)

    (mine, said), (plain, wanted) = ends(tl.jit(f)), ends(f)
    assert mine.tolist() == plain.tolist()
    assert said == wanted if limit == 0.0 else math.isclose(said, wanted)


def test_exceptions_of_the_program_that_is_differentiated():
    def f(x, out):
        out[0] += 1.0
        if x[1] > 3.0:
            raise ValueError(f"bad {x[1]}")
        return np.sum(root(x)) * out[0]

    for x in X, X / 2:
        plain, native = np.ones(1), np.ones(1)
        results = []
        for g, out in ((tl.grad(f), plain), (tl.jit(tl.grad(f)), native)):
            try:
                results.append(numbers(g(x.copy(), out)))
            except ValueError as error:
                results.append(str(error))
        assert plain.tolist() == native.tolist()
        assert results[0] == results[1]


def test_a_nan_that_stays():
    def f(x, out):
        out += x
        return np.sum(x * out) * math.nan

    same_calls(lambda: (X.copy(), np.ones(4)), tl.grad(f))


def test_in_threads():
    def f(c, x):
        for k in range(len(c)):
            c[k] = root(x[k]) * c[k]
        return np.sum(c)

    x = np.tile(X, 20000)
    compiled = tl.jit(tl.grad(f, argnums=(0, 1)), parallel=True)
    plain, native = np.ones(len(x)), np.ones(len(x))
    got = compiled(native, x)
    np.testing.assert_allclose(got[0], root(x))
    np.testing.assert_allclose(got[1][:4], [0.0, 0.25, 0.0, 1 / 3])
    plain *= root(x)
    np.testing.assert_allclose(native, plain)


def test_copies_are_independent_of_what_came_before():
    """The fast kernel again, after a call that needed strong zeros."""
    gradient = tl.jit(tl.grad(overwritten))
    for c in ZEROS, A, ZEROS, A:
        here = copy.deepcopy(c)
        np.testing.assert_allclose(gradient(here, A, A), tl.grad(overwritten)(c.copy(), A, A))


def test_calls_that_need_strong_zeros_again_and_again_do_not_try_without(monkeypatch):
    from tapeless import native

    tried = []
    carefully = native.Compiled.carefully
    monkeypatch.setattr(
        native.Compiled, "carefully", lambda self, *args: tried.append(args) or carefully(self, *args)
    )

    def masked(x):
        return np.sum(np.where(x > 0, np.sqrt(x), x * x))

    slope, plain = tl.jit(tl.grad(masked)), tl.grad(masked)
    for k in range(80):
        x = X * (k + 1.0)
        np.testing.assert_allclose(slope(x), plain(x), rtol=1e-12)
    assert 2 < len(tried) < 10
    for k in range(40):  # what needs none, and other arguments
        x = X + 1.0 + k
        np.testing.assert_allclose(slope(x), plain(x), rtol=1e-12)
        np.testing.assert_allclose(slope(x[:1, None]), plain(x[:1, None]), rtol=1e-12)
    assert len(tried) < 10
