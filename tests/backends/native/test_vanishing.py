"""Seeds of a Jacobian that do not move what a loop adds up are left out of it."""

import numpy as np
import pytest

import tapeless as tl
from tapeless.backends.native.build import staged_function
from tapeless.backends.native.nest import For, If, walk
from tapeless.backends.native.optimise import optimise
from tapeless.backends.native.sums import sums
from tapeless.backends.native.vanishing import leave_out, put_back
from tapeless.backends.native.verify import verify

ANGLES = np.array([0.3, -0.2, 0.0, 0.5, -0.4, 0.1])
WEIGHTS = np.linspace(-1.0, 1.0, 240).reshape(40, 6)


def arms(x, w):
    """Points that are moved by arms, each turned by an angle of its own."""
    moved = np.zeros((w.shape[0], 2))
    for k in range(w.shape[1]):
        c, s = np.cos(x[k]), np.sin(x[k])
        turn = np.array([[c, -s], [s, c]])
        moved += w[:, k : k + 1] * (w[:, :2] @ turn)
    return moved


def chained(x, w):
    """Each arm hangs on the one before it."""
    moved = np.zeros((w.shape[0], 2))
    turns = np.zeros((w.shape[1], 2, 2))
    for k in range(w.shape[1]):
        c, s = np.cos(x[k]), np.sin(x[k])
        turn = np.array([[c, -s], [s, c]])
        turns[k] = turn if k == 0 else turns[k - 1] @ turn
        moved += w[:, k : k + 1] * (w[:, :2] @ turns[k])
    return moved


def squares(x, w):
    """At 0 the derivative is 0, but not that of the derivative."""
    total = np.zeros(w.shape[0])
    square = x**2
    for k in range(w.shape[1]):
        for i in range(w.shape[0]):
            total[i] += w[i, k] * square[k]
    return total


def reshaped(x, w):
    """An array that must stay as it lies."""
    total = np.zeros((w.shape[0], 1))
    square = x**2
    for k in range(w.shape[1]):
        for i in range(w.shape[0]):
            total[i, 0] += w[i, k] * square[k]
    return np.concatenate([total.reshape(-1), total.reshape(-1)[::2]])


def bent(x, w):
    """What each iteration needs besides is computed once more."""
    total = np.zeros(w.shape[0])
    for k in range(w.shape[1]):
        part = np.sin(x[k]) ** 2
        for i in range(w.shape[0]):
            far = 1.0 + w[i, k]
            total[i] += far * far * part + w[i, 0]
    return total


def peaks(x, w):
    """Curves of three numbers each, added up."""
    y = np.zeros(w.shape[0])
    for k in range(0, len(x), 3):
        y += x[k] * np.exp(-(((w[:, 0] - x[k + 1]) / (2.0 + x[k + 2])) ** 2))
    return y


def delayed(x, w):
    """An iteration needs a number of the one before it."""
    total = np.zeros(w.shape[0])
    last = 0.5
    for k in range(w.shape[1]):
        part = np.cos(x[k])
        for i in range(w.shape[0]):
            twice = 2.0 * last
            last = w[i, k]
            total[i] += twice * part
            if last > 0.9:
                last = 0.1
    return total


def scaled(x, w):
    """What is added moves with the inner loop, too."""
    total = np.zeros(w.shape[0])
    y = np.concatenate([x, np.zeros(w.shape[0])]) + x[0]
    for k in range(w.shape[1]):
        for i in range(w.shape[0]):
            total[i] += w[i, k] * x[k] * y[i]
    return total


def once(x, w):
    """No loop around in which other seeds may count."""
    total = np.zeros(w.shape[0])
    for i in range(w.shape[0]):
        total[i] += w[i, 0] * x[0]
    return total


def in_place(x, w):
    """A row is multiplied, which is no sum."""
    total = np.ones((w.shape[0], 2))
    for k in range(w.shape[1]):
        for i in range(w.shape[0]):
            total[i, 0] = total[i, 0] * x[k] + w[i, k]
    return total


SPARSE = [arms, chained, squares, reshaped, bent, peaks, delayed]
DENSE = [scaled, once, in_place]


def lanes_outside(f, *args):
    fn = verify(leave_out(sums(staged_function(f, args, {}).function)))
    return [s for s in walk(fn.body) if isinstance(s, For) and s.lanes and isinstance(s.body[0], If)]


@pytest.mark.parametrize("f", SPARSE)
def test_lanes_are_looked_at_before_they_run(f):
    assert len(lanes_outside(tl.jacfwd(f), ANGLES, WEIGHTS)) == 1


@pytest.mark.parametrize("f", DENSE)
def test_lanes_stay_where_looking_does_not_say_or_pay(f):
    assert not lanes_outside(tl.jacfwd(f), ANGLES, WEIGHTS)


@pytest.mark.parametrize("f", [*SPARSE, *DENSE])
@pytest.mark.parametrize("parallel", [False, True])
def test_the_jacobian_is_that_of_python(f, parallel):
    for x in (ANGLES, np.zeros(6), np.linspace(0.1, 2.0, 6)):
        fast = tl.jit(tl.jacfwd(f), parallel=parallel)(x, WEIGHTS)
        np.testing.assert_allclose(fast, tl.jacfwd(f)(x, WEIGHTS), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("f", [chained, squares, peaks])
def test_derivatives_of_what_is_left_out_are_not(f):
    def second(x, w):
        return tl.jacfwd(tl.jacfwd(f))(x, w)

    def slope(x, w):
        return tl.grad(lambda x: np.sum(tl.jacfwd(f)(x, w) ** 2 + tl.jacfwd(f)(x, w)))(x)

    for x in (np.zeros(6), ANGLES):
        for g in (second, slope):
            np.testing.assert_allclose(tl.jit(g)(x, WEIGHTS), g(x, WEIGHTS), rtol=1e-12, atol=1e-12)
    assert np.any(tl.jit(second)(np.zeros(6), WEIGHTS))


def test_zeros_are_strong():
    w = WEIGHTS.copy()
    w[3, 2], w[5, 1] = np.inf, np.nan
    with np.errstate(all="ignore"):
        expected = tl.jacfwd(squares)(ANGLES, w)
        np.testing.assert_array_equal(
            np.isfinite(expected), np.isfinite(tl.jit(tl.jacfwd(squares))(ANGLES, w))
        )


def test_what_is_not_a_number_is_not_left_out():
    x = ANGLES.copy()
    x[2] = np.nan
    found = tl.jit(tl.jacfwd(arms))(x, WEIGHTS)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(tl.jacfwd(arms)(x, WEIGHTS)))
    assert np.isnan(found).any()


def test_many_seeds_and_few_points():
    for n, m in ((1, 2), (3, 40), (40, 3), (50, 17)):
        x, w = np.linspace(0.1, 1.0, m), np.linspace(-1.0, 1.0, n * m).reshape(n, m)
        np.testing.assert_allclose(tl.jit(tl.jacfwd(squares))(x, w), tl.jacfwd(squares)(x, w), rtol=1e-12)


def test_lanes_go_back_where_arrays_cannot_be_turned():
    fn = sums(staged_function(tl.jacfwd(reshaped), (ANGLES, WEIGHTS), {}).function)
    made = verify(put_back(leave_out(fn)))
    assert not any(isinstance(s, For) and s.lanes and isinstance(s.body[0], If) for s in walk(made.body))
    made = verify(optimise(staged_function(tl.jacfwd(arms), (ANGLES, WEIGHTS), {}).function))
    assert any(isinstance(s, For) and s.lanes and isinstance(s.body[-1], If) for s in walk(made.body))
