"""Every kernel: value and effects of the plain program, both modes, both roads, finite differences."""

import copy

import kernels as k
import numpy as np
import pytest

import tapeless as tl

rng = np.random.default_rng(0)


def normal(*shape):
    return rng.normal(size=shape)


def definite(n):
    a = normal(n, n)
    return a @ a.T + n * np.eye(n)


ROWS, COLUMNS = np.array([0, 2, 3, 5]), np.array([0, 2, 1, 0, 3])
CASES = [
    (k.jacobi1d, (normal(7), normal(7))),
    (k.jacobi2d, (normal(5, 5), normal(5, 5))),
    (k.seidel, (normal(5, 5),)),
    (k.lu, (definite(4),)),
    (k.cholesky, (definite(4),)),
    (k.trisolv, (np.tril(normal(4, 4)) + 3 * np.eye(4), normal(4))),
    (k.durbin, (0.1 * normal(5),)),
    (k.gramschmidt, (normal(5, 3),)),
    (k.correlation, (normal(6, 3),)),
    (k.fdtd, (normal(4, 4), normal(4, 4), normal(4, 4))),
    (k.nbody, (normal(4, 2), np.abs(normal(4, 1)), normal(4, 2))),
    (k.softmax, (normal(2, 3, 4),)),
    (k.conv2d, (normal(1, 4, 4, 2), normal(2, 2, 2, 3))),
    (k.thomas, (normal(5), 5 + normal(5), normal(5), normal(5))),
    (k.arc, (normal(4) * 0.3, normal(4) * 0.3, normal(4) * 0.3, normal(4) * 0.3)),
    (k.deriche, (normal(3, 5), 0.25)),
    (k.adi, (normal(5, 5),)),
    (k.doitgen, (normal(2, 3, 4), normal(4, 4))),
    (k.symm, (1.5, 1.2, normal(3, 4), normal(3, 3), normal(3, 4))),
    (k.covariance, (normal(6, 3),)),
    (k.hdiff, (normal(7, 7, 2), normal(3, 3, 2))),
    (lambda val, x: k.spmv(val, x, ROWS, COLUMNS), (normal(5), normal(4))),
]


@pytest.mark.parametrize(("f", "args"), CASES, ids=lambda c: getattr(c, "__name__", ""))
def test_kernel(f, args):
    gradient = tl.value_and_grad(f, tuple(range(len(args))))
    given, plain = copy.deepcopy(args), copy.deepcopy(args)
    value, grads = gradient(*given)
    assert value == f(*plain)
    for mine, theirs in zip(given, plain, strict=True):
        assert np.array_equal(mine, theirs)

    direction = [normal(*x.shape) if isinstance(x, np.ndarray) else 0.7 for x in args]
    slope = sum(np.sum(g * d) for g, d in zip(grads, direction, strict=True))
    h = 1e-6
    above = f(*[x + h * d for x, d in zip(args, direction, strict=True)])
    below = f(*[x - h * d for x, d in zip(args, direction, strict=True)])
    assert slope == pytest.approx((above - below) / (2 * h), rel=1e-5, abs=1e-5)
    forward = tl.jvp(f, copy.deepcopy(args), tuple(direction))[1]
    assert slope == pytest.approx(forward, rel=1e-9, abs=1e-9)

    untyped = gradient.untyped(copy.deepcopy(args), {})[1]
    for a, b in zip(grads, untyped, strict=True):
        assert np.allclose(a, b, rtol=1e-10, atol=1e-12)
