"""det, gmm, llsq, lse, lstm, ode: values by another formula, gradients by mathematics and by differences."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from benchmarks.gradbench import det, gmm, llsq, lse, lstm, ode
from differences import along, directions
from scipy import special, stats

import tapeless as tl

PROGRAMS: dict[str, tuple[Callable[..., Any], tuple[Any, ...], tuple[int, ...]]] = {
    "det": (det.determinant, det.data(4), (0,)),
    "gmm": (gmm.log_posterior, gmm.data(2, 5, 20), (0, 1, 2, 3)),
    "llsq": (llsq.misfit, llsq.data(20, 5), (0,)),
    "lse": (lse.log_sum_exp, lse.data(30), (0,)),
    "lstm": (lstm.loss, lstm.data(2, 6), (0, 1)),
    "ode": (ode.last, ode.data(5, 3), (0,)),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_gradient_along_random_directions(name: str) -> None:
    f, args, argnums = PROGRAMS[name]
    value, grads = tl.value_and_grad(f, argnums)(*args)
    assert value == f(*args)
    for seed in range(3):
        tangents = directions(args, argnums, seed)
        want = along(f, args, argnums, tangents)
        got = sum(np.sum(grad * tangents[i]) for i, grad in zip(argnums, grads, strict=True))
        assert got == pytest.approx(want, rel=1e-8, abs=1e-9)


@pytest.mark.parametrize("name", PROGRAMS)
def test_forward_mode_along_a_random_direction(name: str) -> None:
    f, args, argnums = PROGRAMS[name]
    tangents = directions(args, argnums, 7)
    some, tangents_of_some = [args[i] for i in argnums], [tangents[i] for i in argnums]

    def of_some(*some: Any) -> Any:
        all_args = list(args)
        for i, arg in zip(argnums, some, strict=True):
            all_args[i] = arg
        return f(*all_args)

    value, got = tl.jvp(of_some, tuple(some), tuple(tangents_of_some))
    assert value == f(*args)
    assert got == pytest.approx(along(f, args, argnums, tangents), rel=1e-8, abs=1e-9)


@pytest.mark.parametrize("name", PROGRAMS)
def test_arguments_stay_as_they_were(name: str) -> None:
    f, args, argnums = PROGRAMS[name]
    before = [np.array(arg) for arg in args]
    first = tl.grad(f, argnums)(*args)
    assert all(np.array_equal(was, now) for was, now in zip(before, args, strict=True))
    again = tl.grad(f, argnums)(*args)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))


def test_det() -> None:
    (a,) = det.data(5)
    value, grad = tl.value_and_grad(det.determinant)(a)
    assert value == pytest.approx(np.linalg.det(a), rel=1e-12)
    np.testing.assert_allclose(grad, np.linalg.det(a) * np.linalg.inv(a).T, rtol=1e-10)


def test_gmm_value_by_its_definition() -> None:
    alpha, mu, q, below, x, _, _ = gmm.data(3, 4, 15)
    m, gamma = 2, 0.8
    weights = np.exp(alpha) / np.sum(np.exp(alpha))
    mixture, prior = np.zeros(len(x)), 0.0
    for k in range(len(alpha)):
        factor = np.zeros((3, 3))
        entries = iter(below[k])
        for column in range(3):
            factor[column, column] = math.exp(q[k, column])
            for row in range(column + 1, 3):
                factor[row, column] = next(entries)
        precision = factor.T @ factor
        mixture += weights[k] * stats.multivariate_normal.pdf(x, mu[k], np.linalg.inv(precision))
        prior += stats.wishart.logpdf(precision, 3 + m + 1, np.eye(3) / gamma**2)
    want = np.sum(np.log(mixture)) + prior
    assert gmm.log_posterior(alpha, mu, q, below, x, m, gamma) == pytest.approx(want, rel=1e-12)


def test_llsq() -> None:
    x, n = llsq.data(20, 5)
    t = np.linspace(-1.0, 1.0, n)
    powers = np.vander(t, len(x), increasing=True)
    residual = np.where(t > 0, 1.0, -1.0) - powers @ x
    value, grad = tl.value_and_grad(llsq.misfit)(x, n)
    assert value == pytest.approx(0.5 * residual @ residual, rel=1e-12)
    np.testing.assert_allclose(grad, -powers.T @ residual, rtol=1e-10)
    hessian_times = tl.hvp(lambda x: llsq.misfit(x, n), (x,), (np.ones(5),))
    np.testing.assert_allclose(hessian_times, powers.T @ powers @ np.ones(5), rtol=1e-10)


@pytest.mark.parametrize("shift", [0.0, 1e3, -1e3])
def test_lse(shift: float) -> None:
    x = lse.data(50)[0] + shift
    value, grad = tl.value_and_grad(lse.log_sum_exp)(x)
    assert value == pytest.approx(special.logsumexp(x), rel=1e-14)
    np.testing.assert_allclose(grad, special.softmax(x), rtol=1e-12)
    softmax = special.softmax(x)
    got = tl.hvp(lse.log_sum_exp, (x,), (np.arange(50.0),))
    np.testing.assert_allclose(
        got, softmax * np.arange(50.0) - softmax * (softmax @ np.arange(50.0)), rtol=1e-9, atol=1e-13
    )


def test_lse_of_equal_numbers() -> None:
    """The maximum is a tie; its derivative cancels."""
    np.testing.assert_allclose(tl.grad(lse.log_sum_exp)(np.full(4, 2.0)), np.full(4, 0.25), rtol=1e-14)


def test_lstm_value_by_numbers() -> None:
    main, extra, state, sequence = lstm.data(2, 6)
    size = sequence.shape[1]
    memory = [list(row) for row in state]
    total = 0.0
    for t in range(len(sequence) - 1):
        x = [sequence[t, i] * extra[0, i] for i in range(size)]
        for layer in (0, 2):
            for i in range(size):
                forget, ingate, outgate, change = (
                    (x if gate in (0, 2) else memory[layer])[i] * main[layer, gate * size + i]
                    + main[layer + 1, gate * size + i]
                    for gate in range(4)
                )
                cell = memory[layer + 1][i] * special.expit(forget) + special.expit(ingate) * math.tanh(
                    change
                )
                memory[layer + 1][i] = cell
                memory[layer][i] = x[i] = special.expit(outgate) * math.tanh(cell)
        y = [x[i] * extra[1, i] + extra[2, i] for i in range(size)]
        norm = math.log(sum(math.exp(v) for v in y) + 2.0)
        total += sum(sequence[t + 1, i] * (y[i] - norm) for i in range(size))
    want = -total / (size * (len(sequence) - 1))
    assert lstm.loss(main, extra, state, sequence) == pytest.approx(want, rel=1e-12)


def test_ode_where_runge_kutta_is_exact() -> None:
    """y_i(t) = x_0 ... x_i t^(i+1) / (i+1)!, a polynomial of the method's order."""
    x = np.array([0.3, 0.7, 1.1, 0.9])
    want = np.cumprod(x) * 2.0 ** np.arange(1, 5) / special.factorial(np.arange(1, 5))
    np.testing.assert_allclose(ode.runge_kutta(x, 3), want, rtol=1e-13)
    np.testing.assert_allclose(tl.grad(ode.last)(x, 3), want[-1] / x, rtol=1e-12)
