"""Reading arrays in programs: indexing, slicing, iteration, broadcasting, reductions in ordinary code."""

import numpy as np
import pytest

import tapeless as tl
from checking import NATIVE, check

A = np.arange(12.0).reshape(3, 4) * 0.1 + 0.2
X = np.array([0.4, -0.8, 1.1, 0.6])


def indices(a):
    i = np.array([[0, 1], [2, 2]])
    y = a[0, 1] * a[-1] + a[1, ::-1] * a[..., 0].sum() + a[i][0, 0] * a[i, [[1, 1], [0, 3]]].sum()
    return y + a[a > 0.55].sum() * a[[True, False, True]][1] + a[:, None, 1:2].mean() + a[2][3]


def slices(a):
    s = slice(1, None)
    rows, columns = np.nonzero(a > 0.75)
    return a[s, s].sum() * a[:2, -2:] + a[rows, columns].prod() + a[tuple([0, slice(0, 2)])]


def iteration(a):
    total = 0.0
    for row in a:
        for v in row[1:3]:
            total = total * v + 1.0
    for (i, j), v in np.ndenumerate(a):
        total += v**i * j
    first, *_, last = a
    total += sum(v.item() for v in a.flat) * sum(a[0]) + max(a[1])
    return total * first + last


def shapes(a):
    n, m = a.shape
    y = a.reshape(m, n).T.ravel() * np.repeat(a[0], n)
    return (np.atleast_2d(y) @ np.tile(a[:, 0], m) * a.ndim).squeeze() + a.size * a[0, 0]


def scalars_from_arrays(a):
    x = float(a[0, 0]) * a[1, 1]
    y = np.float64(x) * a.item(2)
    z = a[0, 0].item() ** 2
    if x > y:
        return x * z + np.array(a[2, 3])
    return x * y + z + a.sum().item()


def broadcasting(a):
    column, row = a[:, :1], a[0]
    return (column * row - row / column + a.mean(axis=0) * a.std(axis=1)[:, None]) ** 2


@pytest.mark.parametrize("program", [indices, slices, iteration, shapes, scalars_from_arrays, broadcasting])
def test_reads(program):
    check(program, A)


def reductions(x):
    return [x.max() * x.min(), np.linalg.norm(x), x.cumsum() * np.prod(x), np.dot(x, x[::-1]), np.ptp(x)]


def products_of_sums(x):
    return x.sum() * x[0] + np.mean(x) * x * x[1], x / x.sum(), (x * x[2]).max() * x.sum()


def strong_zero(x):
    return np.where(x > 0, np.sqrt(np.abs(x)), 0.0)


def polynomial(x):
    y = np.zeros_like(x)
    for c in (0.3, -1.0, 2.0):
        y = y * x + c
    return y @ np.vander(x, 4) + np.polyval([1.0, 2.0, x[0]], x)


@pytest.mark.parametrize("program", [reductions, products_of_sums, strong_zero, polynomial])
def test_reads_of_vectors(program):
    check(program, X)


def test_derivatives_at_singular_points():
    x = np.array([0.0, 1.0])
    with np.errstate(all="ignore"):
        gradient = tl.grad(lambda x: np.where(x > 0, np.sqrt(x), 0.0).sum())(x)
    np.testing.assert_array_equal(gradient, [0.0, 0.5])
    assert tl.grad(abs)(0.0) == 0.0
    assert tl.grad(lambda x: max(x, 0.0))(0.0) == 1.0
    assert tl.grad(lambda x: max(0.0, x))(0.0) == 0.0
    np.testing.assert_array_equal(tl.grad(lambda x: np.maximum(x, x[::-1]).sum())(np.ones(3)), np.ones(3))
    assert tl.grad(lambda x: (x * x) ** 0.5 if x else x * 0.0)(0.0) == 0.0


class Box:  # whoever keeps an array in an object is not specialised
    pass


def around_stores(x):
    a = x * 2.0
    before, again = a[0], a[0]
    a[0] = before * a[1]
    after = a[0]
    a += x
    late = a[0]
    a[::-1][2] = late * before
    return before * again + after * late + a[0] * a[1] * a[-3]


def around_stores_in_an_object(x):
    box = Box()
    box.a = x * 2.0
    before, again = box.a[0], box.a[0]
    box.a[0] = before * box.a[1]
    after = box.a[0]
    box.a += x
    late = box.a[0]
    box.a[::-1][2] = late * before
    return before * again + after * late + box.a[0] * box.a[1] * box.a[-3]


def neighbours(x):
    a = np.zeros(5)
    a[0] = x[0]
    for i in range(1, 5):
        a[i] = a[i - 1] * a[i - 1] + x[1]
        a[i - 1] = a[i] * x[2]
    return a.sum() + a[0] * a[3]


def neighbours_in_an_object(x):
    box = Box()
    box.a = np.zeros(5)
    a = box.a
    a[0] = x[0]
    for i in range(1, 5):
        a[i] = box.a[i - 1] * a[i - 1] + x[1]
        box.a[i - 1] = a[i] * x[2]
    return a.sum() + box.a[0] * a[3]


@pytest.mark.parametrize(
    "program", [around_stores, around_stores_in_an_object, neighbours, neighbours_in_an_object]
)
def test_an_element_read_before_and_after_a_store(program):
    check(program, X)


@pytest.mark.parametrize("n", [2, 3])
def test_ranges_and_filled_lists_as_indices(n):
    def f(x):
        p = np.outer(x, x)
        p[range(n), range(n)] *= 3.0
        p[range(2), [1, 0]] = x[:2]
        large = []
        for i in range(3):
            if x[i] > -1.0:
                large.append(i)
        return p[range(n)].sum() * p[range(2, -1, -1), 0][0] + x[large].sum()

    check(f, np.array([0.3, -0.7, 1.1]))
    assert NATIVE is False or tl.jit(f)(np.array([0.3, -0.7, 1.1])) == pytest.approx(
        f(np.array([0.3, -0.7, 1.1])), rel=1e-12
    )
