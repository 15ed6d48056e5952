"""Rules that a user gives, in derivatives of both roads."""

import numpy as np
import pytest

import tapeless as tl
from tapeless.errors import NotCompilable
from tapeless.rules import unregister


@tl.custom_jvp
def doubled(x):
    return np.sin(x)


@doubled.defjvp
def doubled_jvp(primals, tangents):
    (x,), (dx,) = primals, tangents
    return np.sin(x), 2.0 * np.cos(x) * dx  # twice the truth, so that nothing else passes for it


@tl.custom_jvp
def pair(x, y):
    return x * y, (x + y).sum()


@pair.defjvp
def pair_jvp(primals, tangents):
    (x, y), (dx, dy) = primals, tangents
    return (x * y, (x + y).sum()), (3.0 * x * dy, dx.sum() - dy.sum())


@tl.custom_jvp
def steep(x):
    return np.sqrt(x)


@steep.defjvp
def steep_jvp(primals, tangents):
    (x,), (dx,) = primals, tangents
    return np.sqrt(x), dx / np.sqrt(x)


@tl.custom_vjp
def backward_only(x):
    return x * x


backward_only.defvjp(lambda x: (x * x, x), lambda x, ct: (3.0 * x * ct,))


def cubed(x, n=1.0):
    return x * x * x * n


@pytest.fixture
def cubed_rule():
    @tl.jvp_rule(cubed)
    def rule(x, dx, n=1.0, *, out):
        return 4.0 * out / x * dx

    yield
    unregister(cubed)


def both(x, y):
    a, b = pair(x, y)
    return (a * a).sum() + b


def in_loop(x, n):
    s = 0.0
    for i in range(n):
        s = s + doubled(x * i) * s + doubled(x)
    return s


A, B = np.array([0.3, 0.5, 2.0]), np.array([1.0, -2.0, 0.7])


@pytest.mark.parametrize(
    "f, args",
    [
        (lambda x: doubled(x) * x, (0.7,)),
        (lambda x: doubled(x).sum(), (A,)),
        (lambda x: (doubled(x[1:]) * x[0]).sum(), (A,)),
        (lambda x: doubled(3.0) * x, (0.7,)),
        (in_loop, (0.7, 4)),
        (both, (A, B)),
    ],
)
def test_a_custom_jvp_is_the_derivative(f, args):
    value, slope = tl.value_and_grad(f)(*args)
    got = tl.jit(tl.value_and_grad(f))(*args)
    np.testing.assert_allclose(got[0], value, rtol=1e-12)
    np.testing.assert_allclose(got[1], slope, rtol=1e-12)
    tangents = tuple(np.ones_like(x) if isinstance(x, np.ndarray) else 1.0 for x in args[:1])

    def push(*args):
        return tl.jvp(lambda x: f(x, *args[1:]), args[:1], tangents)

    np.testing.assert_allclose(tl.jit(push)(*args), push(*args), rtol=1e-12)


def test_a_jvp_rule_is_the_derivative(cubed_rule):
    for f in (lambda x: cubed(x) * x, lambda x: cubed(x, 2.0)):
        wanted = tl.value_and_grad(f)(0.7)
        np.testing.assert_allclose(tl.jit(tl.value_and_grad(f))(0.7), wanted, rtol=1e-12)
    assert tl.grad(cubed)(0.7) == pytest.approx(4.0 * 0.7**2)


def test_infinite_partials_are_those_of_the_plain_call():
    f = tl.jit(tl.value_and_grad(lambda x: steep(x)))
    assert f(4.0) == (2.0, 0.5)
    with np.errstate(all="ignore"):
        assert f(0.0) == tl.value_and_grad(lambda x: steep(x))(0.0) == (0.0, np.inf)


def test_a_rule_that_is_given_anew():
    @tl.custom_jvp
    def f(x):
        return x * x

    f.defjvp(lambda primals, tangents: (primals[0] ** 2, 5.0 * tangents[0]))
    slope = tl.jit(tl.grad(lambda x: f(x)))
    assert slope(2.0) == 5.0
    f.defjvp(lambda primals, tangents: (primals[0] ** 2, 7.0 * tangents[0]))
    assert slope(2.0) == 7.0


seen: list[float] = []


@pytest.mark.parametrize(
    "make",
    [
        lambda: tl.grad(lambda x: tl.gradient_hook(x, seen.append) * x),
        lambda: tl.grad(tl.grad(lambda x: tl.checkpoint(backward_only)(x) * x)),
    ],
)
def test_what_is_not_compiled_says_so_and_falls_back(make):
    derivative = make()
    with pytest.raises(NotCompilable):
        tl.jit(derivative)(0.7)
    assert tl.jit(derivative, fallback=True)(0.7) == derivative(0.7)


def test_stopped_values_are_constants_for_all_derivatives():
    def f(x):
        return tl.stop_gradient(x) * x * x

    def g(x):
        return (tl.stop_gradient(x) * x * x).sum()

    for road in (lambda d: d, tl.jit):
        assert road(tl.grad(tl.grad(f)))(0.7) == pytest.approx(1.4)
        assert road(tl.hessian(f))(0.7) == pytest.approx(1.4)
        np.testing.assert_allclose(road(tl.hessian(g))(A), np.diag(2.0 * A))


def test_a_rule_counts_in_the_derivative_whose_variable_it_is_given():
    def inner(y, x):
        return doubled(x) * y

    def outer(x):
        return tl.grad(inner)(2.0, x)  # doubled(x), which depends on the outer variable only

    assert tl.grad(outer)(0.7) == pytest.approx(2.0 * np.cos(0.7))
    assert tl.grad(lambda x: tl.grad(lambda y: backward_only(x) * y)(2.0))(0.7) == pytest.approx(2.1)
