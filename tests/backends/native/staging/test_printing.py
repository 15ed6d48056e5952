"""What compiled programs print, and the texts that they make."""

import contextlib
import functools
import io
import math
import sys

import numpy as np
import pytest

import tapeless as tl
from checking import check

PERCENT, BRACES, SHORT = "%d and %.3e", "{} {:.2f}", "%s"


class Point:
    def __init__(self, x):
        self.x = x

    def __repr__(self):
        return f"Point({self.x:.3f})"


def printed(f, *args):
    """What a call gives (or raises), and what it prints."""
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        try:
            result = f(*args)
        except ValueError as error:
            result = error.args
    return result, text.getvalue()


def steps(x, n, v):
    print("start", x, n, v, sep=" | ")
    for i in range(n):
        x = 0.5 * math.sin(x) + v[0] * 0.1
        if i % 2 == 0:
            print(f"step {i:3d}: {x:.6f} {x!r:>25}", end=";\n")
    print((x, [n, v[0]], {"k": v * 2}), np.float32(x), PERCENT % (n, x), BRACES.format(n, x))
    print(str(x) + "!", Point(x), "100%", v > 0.5, flush=True)
    return x * x


def raises(x, n):
    for i in range(n):
        print(i, x)
        x = x - 1.0
        if x < 0:
            raise ValueError(f"negative {x}")
    return math.sqrt(x)


def gradient(f):
    return tl.grad(f)


def second(f):
    return tl.grad(tl.grad(f))


def forward(f):
    return lambda x, *rest: tl.jvp(f, (x, *rest), (1.0, *(None for _ in rest)))


V = np.array([0.3, 0.7])
CALLS = [(steps, (0.3, 4, V)), (raises, (2.5, 5)), (raises, (9.5, 3))]


@pytest.mark.parametrize("transform", [lambda f: f, gradient, second, forward, tl.jacfwd, tl.jacrev])
@pytest.mark.parametrize(("f", "args"), CALLS)
def test_a_derivative_prints_what_the_program_prints(f, args, transform):
    result, text = printed(transform(f), *args)
    got, ours = printed(tl.jit(transform(f)), *args)
    assert ours == text
    assert got == pytest.approx(result, rel=1e-9) if not isinstance(got, tuple) else repr(got) == repr(result)


def spreads(v):
    print("norm", np.sqrt(np.sum(v * v)))
    return np.sin(v) * v[0]


def test_columns_of_a_jacobian_print_once():
    for transform in (
        tl.jacfwd,
        tl.jacrev,
        lambda f: tl.jacobian(lambda v: tl.grad(lambda v: f(v).sum())(v)),
    ):
        want, text = printed(transform(spreads), V)
        got, ours = printed(tl.jit(transform(spreads)), V)
        assert ours == text
        np.testing.assert_allclose(got, want, rtol=1e-10)


def test_check_holds_compiled_programs_to_their_output():
    check(lambda x: raises(x, 3), 7.5, native=True)


def singular(x):
    print("before", x)
    with np.errstate(all="ignore"):
        return np.sqrt(x) * (x > 0) + x * np.where(x > 0, np.log(x), 0.0)


def test_strong_zeros_do_not_print_twice():
    for x in (0.0, 0.7):
        want = printed(tl.grad(singular), x)
        assert printed(tl.jit(tl.grad(singular)), x) == want


def to_the_error_stream(x):
    print("x is", x, file=sys.stderr)
    return x


def test_the_error_stream(capsys):
    tl.jit(to_the_error_stream)(0.5)
    assert capsys.readouterr() == ("", "x is 0.5\n")


def label(x, n):
    return f"{x:.2f} of {n}", str(n), [f"{n:>4}"], SHORT % x


def before(v, items):
    text = f"{v} {v[0]} {items} {Point(v[1])}"
    v[...] = 7.0
    items.append(v[0])
    return text + ", then " + str(items)


def test_texts_are_returned():
    assert tl.jit(label)(0.25, 3) == label(0.25, 3)
    assert tl.jit(before)(V.copy(), [1]) == before(V.copy(), [1])


def tells(x, n):
    for i in range(n):
        print(f"{i}: {x:.3f}", (i, x))
        x = x * x
    return x


def test_the_loops_show_the_print():
    assert "print('{}: {:.3f}'.format(" in tl.compiled(tells, 0.3, 4)


def test_a_module_prints(tmp_path):
    path = tmp_path / "made.py"
    tl.export(tl.grad(tells), (0.7, 3), path)
    scope: dict = {}
    exec(path.read_text(), scope)
    (made,) = [v for k, v in scope.items() if k == "tells" or k.endswith("tells") or k == "tells_grad"]
    assert printed(made, 0.7, 3) == printed(tl.grad(tells), 0.7, 3)


def catches(x):
    try:
        raise ValueError("no", x)
    except ValueError as error:
        print(error, repr(error))
    return x


def counts(x):
    calls = []

    @functools.cache
    def square(v):
        calls.append(v)
        return v * v

    y = square(x) + square(x)
    print(len(calls))
    return y


class Model:
    def __init__(self, x):
        self.x = x

    @functools.cached_property
    def energy(self):
        print("computed")
        return self.x**2

    def scaled(self, k, power=1):
        return self.x**power * k

    cubed = functools.partialmethod(scaled, power=3)


def properties(x):
    m = Model(x)
    return m.energy + m.energy * x + m.cubed(2.0)


def test_effects_of_other_constructs():
    check(catches, 0.5, native=True)
    check(properties, 0.5, native=True)
    with pytest.raises(tl.TapelessError, match="cache"):
        tl.jit(counts)(0.5)
