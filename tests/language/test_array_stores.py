"""NumPy's in-place forms: every way to write into an array."""

import math

import numpy as np
import pytest

import tapeless as tl
from checking import check

X = np.array([0.4, -0.8, 1.1, 0.6])
Y = np.array([1.3, 0.2, -0.5, 0.9])
A = np.arange(12.0).reshape(3, 4) * 0.1 + 0.2


def elements(x, y):
    z = np.zeros(4)
    z[0] = x[1] * y[2]
    z[-1] = z[0] * x[0]
    z[1] += y[1] ** 2
    z[0] *= 3.0
    z[2] = 5.0
    return z


def argument_overwritten(x, y):
    x[1] = x[0] * y[0]
    x[0] = x[1] ** 2
    y *= x
    return x * y


def slices(x, y):
    z = np.empty(4)
    z[:2] = x[2:]
    z[2:] = y[:2] * x[1]
    z[1:3] *= z[0:2]
    z[::2] -= x[1::2]
    z[::-1] += y
    return z


def overlapping_slices(x, y):
    x[1:] = x[:-1] * y[1:]
    y[:-1] += y[1:]
    x[1:] += x[:-1]
    return x + y * y


def masks(x, y):
    z = x * y
    z[z > 0] = 0.5
    z[x < 0] += y[x < 0] ** 2
    z[np.abs(y) > 0.4] *= x[np.abs(y) > 0.4]
    return z


def mask_of_one_value(x, y):
    z = x.copy()
    z[y > 0] = y[0] * x[2]
    return z * z


def fancy_indices(x, y):
    z = np.zeros(4)
    z[[0, 2]] = x[[1, 1]]
    z[np.array([3, 3])] = y[[0, 1]] * 2.0
    z[[1, 1, 0]] += x[:3]
    return z * y[[3, 2, 1, 0]]


def add_at(x, y):
    z = np.zeros(3)
    i = np.array([0, 2, 0, 0])
    np.add.at(z, i, x * y)
    np.subtract.at(z, [1, 1], y[:2])
    np.multiply.at(z, [0, 1, 0], x[1:])
    return z


def augmented_keeps_identity(x, y):
    a = x
    a += y
    a *= a
    a -= x[0]
    a /= 1.0 + y * y
    a **= 2
    return x


def rebinding_does_not(x, y):
    a = x
    a = a + y
    a += 1.0
    return x * a


def out_arguments(x, y):
    z = np.empty(4)
    np.multiply(x, y, out=z)
    np.sin(z, z)
    np.add(z, x, out=(z,))
    np.exp(x[:2], out=z[2:])
    return z


def out_of_reductions(x, y):
    z = np.zeros((2, 4))
    np.cumsum(x * y, out=z[0])
    np.sum([x, y], axis=0, out=z[1])
    np.dot(np.outer(x, y), y, out=z[0])
    return z


def where_argument(x, y):
    z = x.copy()
    np.multiply(x, y, out=z, where=y > 0)
    np.add(z, 1.0, out=z, where=x < 0.5)
    return z


def fills(x, y):
    z = np.empty_like(x)
    z.fill(x[0] * y[1])
    z[1] = 2.0
    w = np.full(3, x[2])
    w[...] = w * y[0]
    np.copyto(z[1:], w, where=[True, False, True])
    np.put(z, [0], y[3])
    return z


def sorts_in_place(x, y):
    z = x * y
    z.sort()
    w = np.stack([x, y, z])
    w.sort(axis=0)
    return z * w[1]


def swaps(x, y):
    z = x * 2.0
    z[0], z[1] = z[1] * y[0], z[0]
    z[[2, 3]] = z[[3, 2]]
    old, new = x, y.copy()
    for _ in range(3):
        new[:] = old * 0.5 + new * new
        old, new = new, old
    return z * old + new


def integer_arrays(x, y):
    count = np.zeros(4, int)
    for i in range(4):
        count[int(x[i] > 0) + i % 2] += 1
    order = np.argsort(x)
    z = np.zeros(4)
    z[order] = y * count
    z[order[0]] += x[order[-1]]
    return z


def stores_to_integer_array(x, y):
    whole = np.array([1, 2, 3, 4])
    whole[1] = 7
    whole[2] = x[0] * 10.0 + 0.5
    return x * whole


def through_flat(x, y):
    z = np.zeros((2, 2))
    z.flat[0] = x[0]
    z.flat[1:3] = y[:2]
    z.flat[3] += x[3] ** 2
    return z * z.T


def through_put_along_axis(x, y):
    z = np.stack([x, y])
    np.put_along_axis(z, np.array([[1], [2]]), np.array([[x[0]], [y[0] * y[1]]]), axis=1)
    np.fill_diagonal(z, x[3] * 2.0)
    return z


@pytest.mark.parametrize(
    "program",
    [
        elements,
        argument_overwritten,
        slices,
        overlapping_slices,
        masks,
        mask_of_one_value,
        fancy_indices,
        add_at,
        augmented_keeps_identity,
        rebinding_does_not,
        out_arguments,
        out_of_reductions,
        where_argument,
        fills,
        sorts_in_place,
        swaps,
        integer_arrays,
        stores_to_integer_array,
        through_flat,
        through_put_along_axis,
    ],
)
def test_stores_into_vectors(program):
    check(program, X, Y)


def rows_and_columns(a):
    a[0] = a[1] * a[2]
    a[:, 1] += a[:, 2] ** 2
    a[1, ::2] *= a[0, 0]
    a[..., -1] = a[0, 1]
    return a


def broadcasting(a):
    b = np.zeros((3, 4))
    b[:] = a[0]
    b += a[:, :1]
    b[1:] *= a[0, 1:2]
    b[:, 0] = 3.0
    b[:, 1:3] -= np.array([1.0, 2.0]) * a[2, 2]
    b[None, 0, :, None] += a[1].reshape(1, 4, 1)
    return b


def mixed_indices(a):
    a[[0, 2], 1:3] = a[1, :2] * 2.0
    a[np.ix_([0, 1], [0, 3])] += a[2, 0]
    a[np.arange(3), [0, 1, 2]] *= a[:, 3]
    a[a > 0.95] = a[0, 0]
    return a


def whole_with_ellipsis(a):
    b = np.empty_like(a)
    b[...] = a * 2.0
    b[()] += a
    c = np.array(a[0, 0])
    c[...] = a[1, 1] * c
    c += 1.0
    return b * c


def stencil(u):
    new = u.copy()
    for _ in range(3):
        new[1:-1, 1:-1] = u[1:-1, 1:-1] + 0.2 * (
            u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:] - 4.0 * u[1:-1, 1:-1]
        )
        new[0], new[-1] = new[1] ** 2, new[-2]
        u, new = new, u
    return u


def gauss_seidel(u):
    for _ in range(2):
        for i in range(1, u.shape[0] - 1):
            for j in range(1, u.shape[1] - 1):
                u[i, j] = 0.25 * (u[i - 1, j] + u[i + 1, j] + u[i, j - 1] + u[i, j + 1] * u[i, j])
    return u


@pytest.mark.parametrize(
    "program",
    [rows_and_columns, broadcasting, mixed_indices, whole_with_ellipsis, stencil, gauss_seidel],
)
def test_stores_into_matrices(program):
    check(program, A)


def triangular_solve(a, b):
    x = b.copy()
    n = len(b)
    for i in range(n):
        for j in range(i):
            x[i] -= a[i, j] * x[j]
        x[i] /= a[i, i]
    for i in range(n - 1, -1, -1):
        x[i] = (x[i] - a[i, i + 1 :] @ x[i + 1 :]) / a[i, i]
    return x


def cholesky(a, b):
    n = a.shape[0]
    low = np.zeros((n, n))
    for i in range(n):
        for j in range(i + 1):
            s = a[i, j]
            for k in range(j):
                s -= low[i, k] * low[j, k]
            low[i, j] = math.sqrt(s) if i == j else s / low[j, j]
    return low @ b


def elimination(a, b):
    a, b = a.copy(), b.copy()
    n = len(b)
    for k in range(n):
        p = k + int(np.argmax(np.abs(a[k:, k])))
        if p != k:
            a[[k, p]] = a[[p, k]]
            b[k], b[p] = b[p], b[k]
        for i in range(k + 1, n):
            f = a[i, k] / a[k, k]
            a[i, k:] -= f * a[k, k:]
            b[i] -= f * b[k]
    for i in reversed(range(n)):
        b[i] = (b[i] - np.dot(a[i, i + 1 :], b[i + 1 :])) / a[i, i]
    return b


@pytest.mark.parametrize("program", [triangular_solve, cholesky, elimination])
def test_structured_loops(program):
    a = np.array([[2.0, 0.4, -0.3], [0.4, 3.0, 0.5], [-0.3, 0.5, 1.7]])
    b = np.array([0.5, -1.2, 0.8])
    check(program, a, b)
    if program is elimination:
        check(program, a[[2, 0, 1]], b)


def test_stores_that_fail_leave_the_earlier_ones():
    def wrong_shape(x):
        x[0] = x[1] * 2.0
        x[:2] = np.ones(3)

    def read_only(x):
        x.flags.writeable = False
        x[0] = 1.0

    def after_failure(x):
        try:
            x[1] = x[0] ** 2
            x[7] = 0.0
        except IndexError:
            x[2] *= x[1]
        return x

    check(wrong_shape, X)
    check(read_only, X)
    check(after_failure, X)


def test_complex_stores():
    def program(z):
        w = np.zeros(3, complex)
        w[0] = z[0] * z[1]
        w[1:] = z[:2].conj()
        w[2] *= 1j
        w.imag[1] = z[2].real
        w.real += 0.5
        return w * z

    check(program, np.array([0.3 + 0.2j, -0.5 + 1.0j, 0.7 - 0.4j]))


def test_a_store_into_single_precision():
    def program(x):
        y = np.zeros(3, np.float32)
        y[:] = x * x
        return y.sum() * x[0]

    x = np.array([0.5, 0.25, -0.75])
    value, gradient = tl.value_and_grad(program)(x)
    assert value == program(x)
    assert gradient.dtype == np.float64
    np.testing.assert_allclose(gradient, 2.0 * x * x[0] + np.array([(x * x).sum(), 0.0, 0.0]), rtol=1e-6)


class Box:  # whoever keeps an array in an object is not specialised
    pass


def by_columns(x):
    a = np.zeros((4, 2), order="F")
    a[:, 0], a[:, 1] = x, x * x
    row = a.T[1]
    row[1:] = x[:3] * 3.0
    low = a[1:, :]
    low *= 2.0
    return (a * a).sum() + a[0, 1] * row[2]


def by_columns_in_an_object(x):
    box = Box()
    box.a = np.zeros((4, 2), order="F")
    box.a[:, 0], box.a[:, 1] = x, x * x
    row = box.a.T[1]
    row[1:] = x[:3] * 3.0
    low = box.a[1:, :]
    low *= 2.0
    return (box.a * box.a).sum() + box.a[0, 1] * row[2]


def flattened_by_columns(x):
    a = np.asfortranarray(np.outer(x, x))
    copy, view = a.reshape(-1), a.ravel("F")
    copy[0], view[1] = 7.0, x[0]
    return (a * a).sum() + copy @ view


def flattened_by_columns_in_an_object(x):
    box = Box()
    box.a = np.asfortranarray(np.outer(x, x))
    copy, view = box.a.reshape(-1), box.a.ravel("F")
    copy[0], view[1] = 7.0, x[0]
    return (box.a * box.a).sum() + copy @ view


def into_a_view_of_an_argument(a):
    across = a.T
    across[0] = a[:, 1] * 2.0
    a.ravel(order="K")[0] = 5.0
    return (a * A).sum() * across[1, 1]


@pytest.mark.parametrize(
    "program",
    [by_columns, by_columns_in_an_object, flattened_by_columns, flattened_by_columns_in_an_object],
)
def test_stores_through_views_of_arrays_laid_out_by_columns(program):
    check(program, X)


def test_stores_through_views_of_arguments_laid_out_by_columns():
    check(into_a_view_of_an_argument, np.asfortranarray(A))
    check(into_a_view_of_an_argument, A.copy())
