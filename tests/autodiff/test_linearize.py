"""Linearize and transpose: which residuals are saved, and the text of the reverse pass."""

import math

from tapeless.autodiff.assemble import linearized
from tapeless.backends.python.build import Library
from tapeless.specialise.infer import specialise
from tapeless.specialise.types import type_of
from tapeless.specialise.unit import Session


def halves(f, *args):
    unit = specialise(f, [type_of(a) for a in args], Session())
    lin = linearized(unit, (True,) + (False,) * (len(args) - 1))
    library = Library()
    forward = library.function(lin.forward)
    reverse = library.function(lin.reverse, True)
    code = [line for line in library.sources[-1].splitlines() if not line.strip().startswith("#")]
    return lin, forward, reverse, library.sources[0], "\n".join(code)


def saved(lin):
    return [v.name for v in lin.slots]


def test_a_linear_program_saves_nothing():
    def f(x, k):
        t = x
        for _ in range(3):
            t = 2.0 * t + x
        return t

    lin, forward, reverse, _, text = halves(f, 1.0, 3)
    assert saved(lin) == []
    assert reverse(forward(1.0, 3), 1.0) == 15.0
    assert "pop" not in text


def test_operands_are_saved_and_not_partials():
    def f(x, k):
        return math.sin(x) * k

    lin, *_ = halves(f, 1.0, 3)
    assert sorted(saved(lin)) == ["k", "x"]


def test_an_index_of_a_range_is_not_saved():
    def f(x, n):
        t = 1.0
        for i in range(n):
            t = t * 0.5 + x * i
        return t

    lin, forward, reverse, _, text = halves(f, 1.0, 4)
    assert saved(lin) == ["n"]
    assert "for i in reversed(range(n)):" in text


def test_a_loop_runs_backwards_over_the_branch_that_matters():
    def f(x, n):
        t = 0.0
        for i in range(n):
            if i % 2:
                t = t + x**i
        return t

    lin, forward, reverse, _, text = halves(f, 1.1, 6)
    assert "for i in reversed(saved_i):" in text and "if" not in text
    assert math.isclose(reverse(forward(1.1, 6), 1.0), 1 + 3 * 1.1**2 + 5 * 1.1**4)


def test_a_version_that_is_overwritten_is_kept():
    def f(x, n):
        y = x * x
        z = y * y
        y = 3.0
        return z * y

    lin, forward, reverse, text, _ = halves(f, 1.1, 0)
    assert math.isclose(reverse(forward(1.1, 0), 1.0), 12 * 1.1**3)


def test_early_returns_are_told_apart():
    def f(x, n):
        if n == 0:
            return x
        if n == 1:
            return x * x
        y = math.exp(x)
        return y * x

    _, forward, reverse, _, _ = halves(f, 1.1, 0)
    slopes = [reverse(forward(0.5, n), 1.0) for n in range(3)]
    assert slopes[:2] == [1.0, 1.0] and math.isclose(slopes[2], 1.5 * math.exp(0.5))


def test_a_dead_store_and_a_kill():
    def f(x, n):
        t = x * x
        t = 2.0
        for i in range(n):
            t = t * x
            if i == 1:
                t = 1.0
        return t

    _, forward, reverse, _, _ = halves(f, 1.5, 5)
    assert math.isclose(reverse(forward(1.5, 5), 1.0), 3 * 1.5**2)
    assert reverse(forward(1.5, 0), 1.0) == 0.0


def test_a_callee_that_grows_an_argument_is_refused():
    """Its result is not used, so it is not linearised itself; the argument grows all the same."""
    import tapeless as tl

    def program(x, items):
        collects(items, x)
        return 0.5 * x + items[0]

    items = [0.7, -0.2]
    assert tl.grad(program, (0, 1))(0.4, items) == (0.5, [1.0, 0.0])
    assert items == [0.7, -0.2, 0.4]


def collects(items, v):
    items.append(v)
    return v
