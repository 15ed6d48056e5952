"""Random numbers of NumPy: those of the plain program, with derivatives by their parameters."""

import subprocess
import sys

import numpy as np
import pytest

import tapeless as tl
from checking import check

X = np.array([0.4, 1.3, 2.1])


def numbers(x):
    rng = np.random.default_rng(3)
    total = rng.normal(x, 2.0 * x) ** 2 + rng.normal() * x + rng.normal(x) + rng.normal(scale=x)
    total += rng.uniform(x, 3.0 * x) * rng.uniform(high=x, low=-x) + rng.exponential(x)
    return total * rng.random() + rng.uniform(-1.0, 1.0)


def arrays(x):
    rng = np.random.default_rng(5)
    y = rng.normal(x, 0.5 + x**2) * rng.uniform(-x, x, size=(2, 3)) + rng.exponential(x, 3)
    return np.sum(y * rng.standard_normal(3)) + np.sum(rng.normal([x[0], 2.0, x[1]], 1.5) ** 2)


def others(x):
    rng = np.random.default_rng(7)
    y = rng.laplace(x, x) * rng.logistic(x, 2.0) + rng.gumbel(x[0], x[1], 3) * rng.rayleigh(x)
    return np.sum(y) + np.sum(rng.lognormal(0.1 * x, 0.3 * x, (2, 3)))


def far_from_zero(x):
    rng = np.random.default_rng(11)
    return np.sum((rng.normal(1e9, 1e-3 * x) - 1e9) * 1e3) + np.sum(rng.normal(x, 0.0 * x))


def of_the_legacy_generator(x):
    rng = np.random.RandomState(2)
    return np.sum(rng.normal(x, 1.0 + x) ** 2) + rng.uniform(0.0, x[0]) + rng.normal() * x[1] + rng.rand()


def walk(x):
    rng = np.random.default_rng(1)
    at, path = x[0], []
    for _ in range(4):
        at = rng.normal(at, 0.1 + 0.2 * at * at) if rng.random() < 0.7 else at + rng.uniform(-at, at)
        path.append(at)
    return sum(path)


def picks(x):
    rng = np.random.default_rng(9)
    y = rng.permutation(x) * np.arange(3.0) + rng.choice(x, 3) * rng.choice(x)
    table = np.outer(x, x + 1.0)
    rows = rng.permutation(table)[0] + rng.permutation(table, axis=1)[:, 0] + rng.choice(table, 3, axis=1)[0]
    return np.sum(y) + np.sum(rows * rng.choice(x, size=3, replace=False, p=[0.2, 0.5, 0.3]) ** 2)


def shuffles(x):
    rng, old = np.random.default_rng(8), np.random.RandomState(8)
    y = x * 2.0
    rng.shuffle(y)
    table = np.outer(y, x)
    old.shuffle(table)
    part = table[:, 1]
    rng.shuffle(part)
    return np.sum(y * np.arange(3.0)) + np.sum(table * np.arange(9.0).reshape(3, 3) ** 2)


def test_numbers():
    check(numbers, 0.7)


@pytest.mark.parametrize("f", [arrays, others, picks, shuffles, of_the_legacy_generator, walk])
def test_arrays(f):
    check(f, X)


def test_a_standard_number_is_drawn_and_not_solved_for():
    # finite differences of it are noise
    z = [np.random.default_rng(11).standard_normal(3), 0.0]
    rng = np.random.default_rng(11)
    rng.standard_normal(3)
    z[1] = rng.standard_normal(3)
    np.testing.assert_allclose(tl.grad(far_from_zero)(X), z[0] + 1.0, rtol=1e-12)


@pytest.mark.parametrize("make", [np.random.default_rng, np.random.RandomState])
def test_a_generator_is_left_as_the_plain_program_leaves_it(make):
    def f(x, rng):
        return (
            np.sum(rng.normal(x, 1.0, (3, 3)) * rng.uniform(0.0, x))
            + rng.normal(x[0])
            + rng.permutation(x)[0]
        )

    plain, ours = make(4), make(4)
    for api in (tl.grad, tl.value_and_grad, lambda g: tl.grad(lambda x, r: tl.grad(g)(x, r)[0])):
        f(X, plain)
        api(f)(X, ours)
        assert plain.normal() == ours.normal()


def test_a_scale_that_is_refused_draws_nothing():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="scale < 0"):
        tl.grad(lambda x: rng.normal(0.0, x))(-1.0)
    assert rng.normal() == np.random.default_rng(0).normal()


def test_a_parameter_without_a_rule_is_refused():
    with pytest.raises(tl.errors.MissingRuleError, match="gamma"):
        tl.grad(lambda x: np.random.default_rng(0).gamma(x))(1.5)


@pytest.mark.parametrize("home", ["np.random.RandomState(2)", "np.random.default_rng(2)", "np.random"])
def test_whichever_generator_comes_first(home):
    code = (
        "import numpy as np, tapeless as tl\n"
        f"g = tl.grad(lambda x: ({home}).normal(x, 0.5))(1.0)\n"
        "assert abs(g - 1.0) < 1e-12, g\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_is_picked_by_name():
    def f(x):
        rng = np.random.default_rng(4)
        return rng.choice(a=x, size=2) * rng.permutation(x=x)[:2]

    check(f, X)
