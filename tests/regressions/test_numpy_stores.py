"""Functions of NumPy that write into an array: every way of calling them."""

import numpy as np
import pytest

import tapeless as tl
from checking import check

A = np.array([[0.3, -1.2, 2.0], [0.7, 0.1, -0.4]])
V = np.array([1.5, -0.6])


def put(a, v):
    b = a * 1.0
    np.put(b, [0, 4, -1], v)
    np.put(b, ind=[1, 9], v=v[:1], mode="wrap")
    b.put([2, 77], v * 3.0, mode="clip")
    return b


def place(a, v):
    b = a * 2.0
    np.place(b, b > 0, v)
    np.place(arr=b, mask=b < -1, vals=[v[0] * v[1], 3.0])
    return b


def putmask(a, v):
    b = a * 2.0
    np.putmask(b, b > 0, v)
    np.putmask(b.T, b.T < -1, a)
    np.putmask(b, b == 0, v[0])
    return b


def diagonal(a, v):
    b = np.zeros((5, 2)) + a[0, 0]
    np.fill_diagonal(b, v, wrap=True)
    c = np.zeros((3, 3))
    np.fill_diagonal(c, val=v[1])
    return b, c


def copies(a, v):
    b = np.zeros((2, 3))
    np.copyto(b, a[0])
    np.copyto(b, v[:, None], where=a > 0)
    np.copyto(dst=b, src=v[0] * a[0, 1], where=[True, False, False])
    return b


def along(a, v):
    b = a * 1.0
    np.put_along_axis(b, np.array([[1], [0]]), v[:, None], axis=1)
    np.put_along_axis(arr=b, indices=np.array([5, 0]), values=v * v, axis=None)
    return b


def order(a, v):
    b = a * v[0]
    b.sort(axis=0)
    c = (a * v[1]).ravel()
    c.partition(2)
    d = a * 1.0
    d.sort()
    return b, c[2], c.sum(), d


@pytest.mark.parametrize("f", [put, place, putmask, diagonal, copies, along, order], ids=lambda f: f.__name__)
def test_stores(f):
    check(f, A, V)


def test_nan_to_num_in_place():
    def f(x, v):
        y = np.array([np.nan, 1.0, np.inf, -np.inf]) * x
        z = np.nan_to_num(y[:3], copy=False, nan=v, posinf=2.0)
        z[1] = z[1] * x
        kept = np.nan_to_num(y, nan=3.0, neginf=v * v)
        return np.sum(y[:3] * y[:3]) + kept[3] * y[0] + np.nan_to_num(y[1:2], False)[0]

    assert f(1.5, 0.7) == pytest.approx(0.7**2 + 1.5**4 + 4.0 + 0.7**3 + 1.5**2)
    assert tl.grad(f, (0, 1))(1.5, 0.7) == pytest.approx((4 * 1.5**3 + 2 * 1.5, 2 * 0.7 + 3 * 0.7**2))
    x = np.array([1.0, np.nan])

    def changed(x):
        np.nan_to_num(x, copy=False, nan=3.0)
        return np.sum(x * x)

    np.testing.assert_allclose(tl.grad(changed)(x.copy()), [2.0, 0.0])
    np.testing.assert_allclose(tl.jit(tl.grad(changed))(x.copy()), [2.0, 0.0])


def test_what_numpy_refuses_is_refused():
    def f(a):
        b = np.zeros(3, dtype=int)
        try:
            np.copyto(b, a[0])
        except TypeError:
            return a.sum() * 2.0
        return b.sum() * 1.0

    assert tl.grad(f)(A)[0, 0] == 2.0
    with pytest.raises(IndexError):
        tl.grad(lambda a: np.put(a, [99], a[0, 0]))(A.copy())


def test_a_store_that_reads_what_it_has_written():
    """NumPy copies one-dimensional arrays in order, also where they overlap at different steps."""

    def overlapping(a):
        b = a * 1.0
        b[::2] = b[:3]
        return b @ a

    def shifted(a):
        b = a * 1.0
        b[1:] = b[:-1]
        b[:] = b[::-1]
        b[[0, 0]] = b[1:3]
        return b @ a

    x = np.arange(6.0) + 1.0
    check(shifted, x)
    for derivative in (
        lambda: tl.grad(overlapping)(x),
        lambda: tl.jvp(overlapping, (x,), (x,)),
    ):
        with pytest.raises(tl.errors.UntrackedMutationError, match=r"store a copy, value.copy\(\)"):
            derivative()
