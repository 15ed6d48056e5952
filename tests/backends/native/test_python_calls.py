"""SciPy's solvers in compiled programs: CPython makes these calls, and their derivatives are by its rules."""

import functools
import sys

import numpy as np
import pytest
from tests.rules.test_twins import CASES

import tapeless as tl

si = pytest.importorskip("scipy.integrate")
so = pytest.importorskip("scipy.optimize")
pytest.importorskip("llvmlite")

#: The longest of them are left out: they test SciPy and the rules more than what is between.
TRIED = [c for c in CASES if c[0] not in ("dblquad", "minimize BFGS")]


@pytest.mark.parametrize(("name", "function", "args", "order"), TRIED, ids=[c[0] for c in TRIED])
def test_values_and_gradients_are_those_of_cpython(name, function, args, order):
    compiled, slope = tl.jit(function), tl.jit(tl.grad(function))
    for _ in range(3):  # the first finds out what the solver gives
        np.testing.assert_allclose(compiled(*args), function(*args), rtol=1e-12)
    want = tl.grad(function)(*args)
    for _ in range(2):
        np.testing.assert_allclose(slope(*args), want, rtol=1e-9, atol=1e-12)


def who_runs(call):
    """The names of the Python functions that run during a call."""
    names = set()
    sys.setprofile(lambda frame, event, arg: names.add(frame.f_code.co_name) if event == "call" else None)
    try:
        call()
    finally:
        sys.setprofile(None)
    return names


def area(a):
    def integrand(t):
        return np.exp(-a * t * t)

    total = 0.0
    for k in range(3):
        total += k * si.quad(integrand, 0.0, 1.0 + k)[0]
    return total * a


def place(a, w):
    found = so.minimize(lambda x: np.sum((x - a * w) ** 2 * (1 + x**2)), np.array([0.3, 0.4]), tol=1e-10)
    return found.x[0] * a + found.fun if found.success else 0.0


@pytest.mark.parametrize(("f", "args"), [(area, (1.3,)), (place, (0.7, np.array([1.0, 2.0])))])
def test_the_rest_of_the_program_is_compiled(f, args):
    for compiled in (tl.jit(f), tl.jit(tl.grad(f)), tl.jit(lambda *args: tl.jvp(f, args, args)[1])):
        for _ in range(3):
            compiled(*args)
        assert f.__name__ not in who_runs(lambda compiled=compiled: compiled(*args))
    want = tl.jvp(f, args, args)[1]
    np.testing.assert_allclose(tl.jit(lambda *args: tl.jvp(f, args, args)[1])(*args), want, rtol=1e-9)


@pytest.mark.parametrize(
    "f",
    [
        area,
        lambda a: so.brenth(lambda x: x**3 + x - a, 0.0, 5.0) * a,
        lambda a: so.fsolve(lambda v: [v[0] * v[1] - a, v[0] - v[1] ** 2], [1.0, 1.0])[0] ** 2,
    ],
)
def test_second_derivatives(f):
    want = tl.grad(tl.grad(f))(1.3)
    np.testing.assert_allclose(tl.jit(tl.grad(tl.grad(f)))(1.3), want, rtol=1e-9)
    np.testing.assert_allclose(tl.jit(tl.hessian(f))(1.3), want, rtol=1e-9)


class Model:
    def __init__(self, k, w):
        self.k, self.w = k, w

    def level(self, x):
        return x * x * self.w[0] - self.k

    def solve(self):
        return so.brenth(self.level, 0.0, 10.0)


def test_what_functions_are_made_of():
    def by_method(a):
        return Model(2 * a, np.array([a, 1.0])).solve() + Model(3 * a, np.array([1.0, a])).solve()

    def by_partial(a):
        return si.quad(functools.partial(lambda p, t: np.exp(-p * t), a), 0, 1)[0]

    def by_structures(a):
        def f(v, table, scale=a):
            return [v[0] - scale * table["a"], v[1] - table["b"][1]]

        return so.fsolve(f, [0.0, 0.0], args=({"a": a, "b": [a, a * a]},)).sum()

    def itself(a):
        def power(x, n):
            return 1.0 if n == 0 else x * power(x, n - 1)

        return so.brenth(lambda x: power(x, 3) - a, 0.0, 3.0)

    for f in (by_method, by_partial, by_structures, itself):
        for _ in range(2):
            assert tl.jit(f)(1.3) == f(1.3)
            np.testing.assert_allclose(tl.jit(tl.grad(f))(1.3), tl.grad(f)(1.3), rtol=1e-10)


LEVEL = np.array([2.0])


def test_calls_that_do_more_than_give_a_value_are_left_to_cpython(capsys):
    def counts(a):
        calls, many = [0], 0

        def f(x):
            nonlocal many
            calls[0] += 1
            many += 1
            return x**3 - a

        return so.brenth(f, 0.0, 5.0) + calls[0] + many

    def prints(a):
        print("before")
        return so.brenth(lambda x: print("at", x) or x - a, 0.0, 5.0)

    def raises(a):
        try:
            return so.brenth(lambda x: x * x + a, 0.0, 1.0)
        except ValueError:
            return 3 * a

    def stores(a):
        w = np.array([a, 2 * a])

        def f(x):
            w[0] += 1e-3
            return x - w[1]

        return so.brenth(f, -10.0, 10.0) + w[0]

    for f in (counts, prints, raises, stores):
        for run in (f, tl.value_and_grad(f)):
            want = run(1.3)
            shown = capsys.readouterr().out
            compiled = tl.jit(run)
            for _ in range(3):
                np.testing.assert_array_equal(compiled(1.3), want)
                assert capsys.readouterr().out == shown


STEPS = []


def test_functions_that_count_their_calls_run_once():
    def cube(t):
        STEPS.append(t)
        return t**3 - 2

    def one(x):
        return so.root_scalar(cube, bracket=(0.0, x)).root

    def in_a_loop(x):
        total = 0.0
        for k in range(3):
            total = total + so.root_scalar(cube, bracket=(0.0, x + k)).root
        return total

    for f in (one, in_a_loop):
        STEPS.clear()
        f(2.0)
        wanted = list(STEPS)
        compiled = tl.jit(f)
        for _ in range(2):  # the first call finds out what the solver gives
            STEPS.clear()
            compiled(2.0)
            assert wanted == STEPS


def test_what_is_outside():
    def seen(a):
        def f(x):
            LEVEL[0] += 1.0
            return x - a

        return so.brenth(f, 0.0, 5.0) + LEVEL[0]

    def changed(a):
        LEVEL[0] = a
        return so.brenth(lambda x: x * x - LEVEL[0], 0.0, 5.0)

    LEVEL[0] = 0.0
    calls = seen(1.3) - 1.3
    run = tl.jit(seen)
    run(1.3)  # the first call finds out that the solver's function changes what the program reads
    for _ in range(2):
        before = LEVEL[0]
        assert run(1.3) - 1.3 - before == pytest.approx(calls)
    for run in (changed, tl.grad(changed)):
        with pytest.raises(tl.TapelessError, match="global"):
            tl.jit(run)(1.3)


def test_what_a_solver_tells_beside_its_result():
    with pytest.raises(tl.TapelessError, match="no derivative rule"):
        tl.jit(tl.grad(lambda a: sum(si.quad(lambda t: t * a, 0, 1))))(1.3)
    with pytest.raises(tl.TapelessError, match="singular"):
        tl.jit(tl.grad(lambda a: so.brenth(lambda x: (x - a) ** 3, 0.0, 2.0)))(1.0)
    value = tl.jit(lambda a: so.minimize(lambda x: (x[0] - a) ** 2, [0.0]).message)
    for _ in range(3):
        assert value(1.3) == so.minimize(lambda x: (x[0] - 1.3) ** 2, [0.0]).message


def test_a_solver_in_a_loop_that_gives_other_lengths():
    def f(a, n):
        total = 0.0
        for k in range(n):
            total += so.fsolve(lambda v: v * v - a, np.ones(k + 1)).sum()
        return total

    for _ in range(3):
        assert tl.jit(f)(1.3, 3) == pytest.approx(f(1.3, 3), rel=1e-12)
        assert tl.jit(tl.grad(f))(1.3, 2) == pytest.approx(tl.grad(f)(1.3, 2), rel=1e-9)


def test_a_solver_is_not_exported(tmp_path):
    with pytest.raises(tl.TapelessError, match="solver of SciPy"):
        tl.export(lambda a: so.brenth(lambda x: x - a, 0.0, 5.0), (1.3,), tmp_path / "made.py")
