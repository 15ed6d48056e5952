"""`lstsq` and `pinv`, compiled: full rank by QR, less than full rank by the plain function."""

import numpy as np
import pytest

import tapeless as tl

R = np.random.default_rng(2)
TALL, WIDE, SQUARE = R.normal(size=(6, 3)), R.normal(size=(3, 5)), R.normal(size=(4, 4))
EQUAL = 2.0 * np.eye(4)[:, :3]  # its singular values are equal
SHORT = np.outer([1.0, 2.0, 3.0, 4.0], [1.0, -1.0, 0.5])
MATRICES = {"tall": TALL, "wide": WIDE, "square": SQUARE, "equal": EQUAL, "equal square": 2.0 * np.eye(3)}


def inverse(a, w):
    return np.sum(np.linalg.pinv(a) * w)


def fitted(a, b):
    x, rest, rank, s = np.linalg.lstsq(a, b, rcond=None)
    return np.sum(np.sin(x)) + np.sum(rest) * rank + np.sum(s)


def solution(a, b):
    return np.sum(np.linalg.lstsq(a, b)[0] ** 3)


def line(x, y):
    slope, start = np.polyfit(x, y, 1)
    return slope * start + slope**2


def held(f, *args, order=2):
    np.testing.assert_allclose(tl.jit(f)(*args), f(*args), 1e-10)
    which = tuple(range(len(args)))
    ours, want = tl.jit(tl.grad(f, argnums=which))(*args), tl.grad(f, argnums=which)(*args)
    for a, b in zip(ours, want, strict=True):
        np.testing.assert_allclose(a, b, 1e-8, 1e-10)
    if order == 2:
        np.testing.assert_allclose(tl.jit(tl.hessian(f))(*args), tl.hessian(f)(*args), 1e-6, 1e-8)


@pytest.mark.parametrize("name", MATRICES)
def test_pinv(name):
    a = MATRICES[name]
    held(inverse, a, R.normal(size=a.shape[::-1]))


@pytest.mark.parametrize("columns", [(), (2,)], ids=["vector", "matrix"])
@pytest.mark.parametrize("name", MATRICES)
def test_lstsq(name, columns):
    a = MATRICES[name]
    b = R.normal(size=(len(a), *columns))
    held(solution, a, b)
    if "equal" not in name:  # where singular values are equal, they have no derivative
        held(fitted, a, b, order=1)


def test_results_of_lstsq():
    for a in (TALL, WIDE, SQUARE):
        for b in (np.arange(len(a)) + 1.0, R.normal(size=(len(a), 2))):
            ours, plain = tl.jit(np_lstsq)(a, b), np_lstsq(a, b)
            assert [type(x) for x in ours] == [type(x) for x in plain]
            for x, y in zip(ours, plain, strict=True):
                assert np.shape(x) == np.shape(y)
                np.testing.assert_allclose(x, y, 1e-10, 1e-12)


def np_lstsq(a, b):
    return np.linalg.lstsq(a, b, rcond=None)


def test_less_than_full_rank():
    w = R.normal(size=(3, 4))
    held(inverse, SHORT, w, order=1)
    held(solution, SHORT, np.array([1.0, 0.5, -1.0, 2.0]), order=1)


def test_small_singular_values_are_cut_off():
    a = np.diag([1.0, 1e-3])
    f = tl.jit(lambda a, b: np.linalg.lstsq(a, b, rcond=1e-2)[0])
    np.testing.assert_allclose(f(a, np.ones(2)), [1.0, 0.0], atol=1e-12)


def test_polyfit():
    held(line, np.linspace(0.0, 1.0, 7), R.normal(size=7))


def test_lengths_that_do_not_fit():
    with pytest.raises(np.linalg.LinAlgError, match="Incompatible dimensions"):
        tl.jit(np_lstsq)(TALL, np.ones(5))
