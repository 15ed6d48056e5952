"""Lists of whole numbers that a program and what it calls write into, on the typed road."""

import numpy as np
import pytest

import tapeless as tl
from tapeless.backends.python.entry import reverse_entry
from tapeless.specialise.types import NotTyped

X = np.cos(np.arange(16.0)).reshape(4, 4)


def minor(a, size, rows, columns):
    """A determinant by minors: rows and columns are unlinked and linked again; the last entry is the head."""
    head = len(a)
    row, column = rows[head], columns[head]
    if size == 1:
        return a[row, column]
    total, sign, before = 0.0, 1.0, head
    rows[head] = rows[row]
    for _ in range(size):
        columns[before] = columns[column]
        total += sign * a[row, column] * minor(a, size - 1, rows, columns)
        columns[before] = column
        before, column = column, columns[column]
        sign = -sign
    rows[head] = row
    return total


def determinant(a):
    following = list(range(1, len(a) + 1)) + [0]
    return minor(a, len(a), following.copy(), following.copy())


def turned(a, left, right, n):
    """Calls itself with its lists the other way round."""
    if n == 0:
        return a[left[0], right[0]]
    left[0] = (left[0] + n) % 4
    return turned(a, right, left, n - 1) * a[left[0], right[1]] + np.sum(a[left[0]])


def two_lists(a):
    left, right = [0, 1], [2, 3]
    first = turned(a, left, right, 5)
    return first + a[left[0], right[0]] * turned(a, left, left, 3) + a[left[0], 0]


def queue(a):
    todo = list(range(3))
    done = [0] * 4
    total = 1.0
    while len(todo) > 0:
        k = todo.pop()
        done[k] += 1
        if done[k] < 2:
            todo.append((k + 1) % 4)
        total = total * 0.9 + a[k, done[k]] * total
    return total


def same(f, *args):
    entry = reverse_entry(f, args, {}, (0,), with_value=True, has_aux=False)
    value, (gradient,) = entry.call(*args)
    want, (slow,) = tl.value_and_grad(f, (0,)).untyped(args, {})
    assert value == want
    np.testing.assert_allclose(gradient, slow, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("f", [determinant, two_lists, queue])
def test_agrees(f):
    same(f, X)


def test_a_determinant_has_its_cofactors():
    well = X + 2.0 * np.eye(4)
    want = np.linalg.det(well) * np.linalg.inv(well).T
    np.testing.assert_allclose(tl.grad(determinant)(well), want, rtol=1e-10)


def test_an_argument_changes_once():
    def f(a, places):
        places[0] += 1
        return a[places[0], places[1]] ** 2

    places = [0, 2]
    entry = reverse_entry(f, (X, places), {}, (0,), with_value=False, has_aux=False)
    assert places == [0, 2]
    (gradient,) = entry.call(X, places)
    assert places == [1, 2] and gradient[1, 2] == 2.0 * X[1, 2]


def transposed(a, order):
    b = a.transpose(order)
    order[0], order[1] = 0, 1
    return np.sum(b * np.arange(16.0).reshape(4, 4))


def taken(a, order):
    b = np.transpose(a, order)
    order.append(3)
    order.pop()
    return np.sum(b * np.arange(16.0).reshape(4, 4))


def given(a, order):
    return np.sum(np.transpose(a, order) * np.arange(16.0).reshape(4, 4))


def given_and_changed(a, order):
    total = given(a, order)
    order[0], order[1] = 0, 1
    return total


@pytest.mark.parametrize("f", [transposed, taken, given_and_changed])
def test_a_list_that_the_derivative_needs_and_that_changes_is_refused(f):
    with pytest.raises(NotTyped):
        reverse_entry(f, (X, [1, 0]), {}, (0,), with_value=False, has_aux=False)
    want = np.arange(16.0).reshape(4, 4).T
    np.testing.assert_array_equal(tl.grad(f)(X, [1, 0]), want)


def put(values, x):
    values[0] = x
    return values[0] * values[1]


def test_lists_with_derivatives_stay_refused():
    def f(x):
        values = [1.0, 2.0]
        return put(values, x) + values[0]

    with pytest.raises(NotTyped):
        reverse_entry(f, (3.0,), {}, (0,), with_value=False, has_aux=False)
    assert tl.grad(f)(3.0) == 3.0
