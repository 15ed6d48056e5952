"""Arrays with several names that are written into, on the typed road: against the untyped one."""

import numpy as np
import pytest

import tapeless as tl
from tapeless.backends.python.entry import reverse_entry
from tapeless.backends.python.linear_entry import vjp_entry
from tapeless.specialise.types import NotTyped

X = np.array([[0.5, -1.5, 2.0], [1.25, 0.75, -0.25], [0.3, 0.6, -0.9]])


def through_rows(x):
    """The cell of a recurrent net: rows of a copied array, a name that is now a row and now an array."""
    state = x.copy()
    total = 0.0
    for t in range(3):
        y = x[t] * 0.5
        for k in range(2):
            row, other = state[k], state[k + 1]
            gate = np.sin(y * row)
            other *= gate
            other += row * gate
            row[:] = gate * np.tanh(other)
            y = row
        total += np.sum(y * x[0])
    return total


def a_parameter_bound_anew(x):
    x = x * 2.0
    v = x[1:]
    v[0] = x[0] * x[2]
    return np.sum(x * x)


def a_second_name(x):
    a = np.zeros(3)
    b = a
    b[0] = x[0, 0]
    b += x[1]
    a *= 3.0
    return np.sum(a * b) + b[0]


def written_behind_a_view(x):
    a = x * 1.0
    v = a[1]
    before = np.sum(v * v)
    a[1, 0] = 5.0
    a *= x
    return before + np.sum(v * np.cos(v))


def a_row_and_a_column(x):
    a = x * 1.0
    row, column = a[1], a[:, 1]
    row *= x[0]
    column += row
    row /= 2.0 + column**2
    return np.sum(a * x) + np.sum(row * column)


def part_of_a_part(x):
    a = x * 1.0
    v = a[1][1:]
    v *= x[0, 0]
    w = a[0]
    w[1:] -= v
    return np.sum(a * a) + v[0]


def on_one_path_only(x, n):
    a = x * 1.0
    v = a[0]
    if n > 1:
        a[0] = x[1] * x[2]
    else:
        v[1] = 3.0
    return np.sum(v * v) + a[0, 1]


def a_name_from_the_iteration_before(x):
    a = x * 1.0
    last = x[0]
    total = 0.0
    for k in range(3):
        row = a[k]
        row *= last
        total += np.sum(row * np.sin(last))
        last = row
    return total + np.sum(last)


def swapped(x):
    new, old = np.zeros((3, 3)), x * 1.0
    for _ in range(4):
        new = old * x
        new[0] = old[1] * 0.5
        old = new
    return np.sum(old)


def scale(v, w):
    out = np.empty_like(v)
    out[:] = v * w
    out += v
    return out


def kept(v):
    return np.sum(v * v) * np.sum(v[1:])


def passed_on_and_changed(x):
    """What a callee keeps is copied where its caller writes into it later."""
    y = x[0] * 1.0
    total = 0.0
    for _ in range(3):
        slope = scale(y, x[1])
        total += kept(y)
        y += 0.1 * slope
        slope *= y
        total += np.sum(slope)
    return total * np.sum(y)


def itself(v):
    return v


def handed_back(x):
    """What a callee gives may be the argument: it is read before that changes."""
    y = x[0] * 1.0
    z = itself(y)
    total = np.sum(z * z)
    y *= x[1]
    return total + np.sum(y)


def rebound(x):
    a = x * 1.0
    v = a[0]
    a = a * 2.0
    a[0] = x[1]
    return np.sum(v * a[0]) + np.sum(a)


def forgotten(x):
    """A name that is bound to what does not depend on x has no derivative any more."""
    a = np.cos(x)
    b = a[0]
    total = np.sum(b)
    a = np.zeros((3, 3))
    a[1, 1] = x[0, 0]
    b = np.ones(3)
    return total + np.sum(a * 0.2) + np.sum(b)


def while_it_grows(x):
    a = x * 1.0
    row = a[0]
    n = 0
    while n < 4:
        n += 1
        if n == 2:
            continue
        row *= 1.5
        a[1] += row * x[2]
        if n > 2:
            break
    return np.sum(a * a) + np.sum(row)


def numbers_without_derivative(x):
    """Powers of a constant, of which a view is kept, are saved before they change."""
    power = np.ones((2, 3))
    first = power[0]
    total = 0.0
    for k in range(3):
        power *= 0.5
        power[1] += first
        total += np.sum(x[k] * first * power[1])
    return total


def rows_exchanged(x):
    a = x * 1.0
    first = a[0] * 1.0
    a[0] = a[1]
    a[1] = first
    a[2] = a[0]
    return np.sum(a * x)


def stored_into_itself(x):
    a = x * 1.0
    a[:] = a
    b = a
    row = a[1]
    a[:] = b
    row[:] = row * 2.0
    a[:] += a
    a[1:] -= a[:-1]
    a *= a
    return np.sum(a * x) + row[1]


TYPED = [
    (through_rows, ()), (a_parameter_bound_anew, ()), (a_second_name, ()), (written_behind_a_view, ()),
    (a_row_and_a_column, ()), (part_of_a_part, ()), (on_one_path_only, (1,)), (on_one_path_only, (2,)),
    (swapped, ()), (passed_on_and_changed, ()), (handed_back, ()), (forgotten, ()), (while_it_grows, ()),
    (numbers_without_derivative, ()), (rows_exchanged, ()), (stored_into_itself, ()),
]  # fmt: skip


@pytest.mark.parametrize(("f", "more"), TYPED, ids=lambda p: getattr(p, "__name__", str(p)))
def test_the_typed_road_agrees(f, more):
    args = (X.copy(), *more)
    plain = f(*args)
    entry = reverse_entry(f, args, {}, (0,), with_value=True, has_aux=False)
    value, (gradient,) = entry.call(*args)
    _, (want,) = tl.value_and_grad(f, (0,)).untyped(args, {})
    assert value == plain and type(value) is type(plain)
    np.testing.assert_allclose(gradient, want, rtol=1e-12, atol=1e-13)
    step, move = 1e-6, np.cos(np.arange(9.0)).reshape(3, 3)
    slope = (f(X + step * move, *more) - f(X - step * move, *more)) / (2 * step)
    np.testing.assert_allclose(np.sum(gradient * move), slope, rtol=1e-6)
    np.testing.assert_array_equal(args[0], X)


@pytest.mark.parametrize("f", [through_rows, passed_on_and_changed, written_behind_a_view])
def test_modes_orders_and_maps_that_are_read_twice(f):
    move = np.cos(np.arange(9.0)).reshape(3, 3)
    gradient = tl.grad(f)(X)
    np.testing.assert_allclose(tl.jvp(f, (X,), (move,))[1], np.sum(gradient * move), rtol=1e-12)
    value, record, pullback = vjp_entry(f, (X,), {}, (0,))(X)
    for seed in (1.0, -2.0):
        np.testing.assert_allclose(pullback(record, seed)[0], seed * gradient, rtol=1e-13)
    assert value == f(X)
    step = 1e-6
    bent = (tl.grad(f)(X + step * move) - tl.grad(f)(X - step * move)) / (2 * step)
    np.testing.assert_allclose(tl.jvp(tl.grad(f), (X,), (move,))[1], bent, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("f", [a_name_from_the_iteration_before, rebound])
def test_what_is_not_known_goes_the_other_road(f):
    _, (want,) = tl.value_and_grad(f, (0,)).untyped((X,), {})
    np.testing.assert_allclose(tl.grad(f)(X), want, rtol=1e-12)


def refused_in_a_tuple(x):
    a = x * 1.0
    pair = (a[0], a)
    a[0] = 2.0
    return np.sum(pair[0])


def refused_stale_in_a_loop(x):
    a = x * 1.0
    v = a[0]
    for k in range(3):
        if k == 1:
            v = a[k]
        a[k] = x[0]
    return np.sum(v)


def refused_part_of_two(x):
    a, b = x * 1.0, x * 2.0
    v = a[0] if x[0, 0] > 0.0 else b[0]
    v *= 2.0
    return np.sum(a) + np.sum(b)


def refused_handed_back(x):
    y = x[0] * 1.0
    z = itself(y)
    y *= x[1]
    return np.sum(z)


def refused_row_from_a_column(x):
    """NumPy reads a number that it has just written."""
    a = x * 1.0
    a[2] = a[:, 0]
    return np.sum(a * x)


def refused_argument(x):
    row = x[0]
    row *= 2.0
    return np.sum(x)


def test_a_store_from_a_part_of_the_same_array():
    with pytest.raises(NotTyped, match="a store from a part of the same array"):
        reverse_entry(refused_row_from_a_column, (X,), {}, (0,), with_value=True, has_aux=False)


@pytest.mark.parametrize(
    "f",
    [refused_in_a_tuple, refused_stale_in_a_loop, refused_part_of_two, refused_handed_back, refused_argument],
)
def test_refused(f):
    with pytest.raises(NotTyped):
        reverse_entry(f, (X.copy(),), {}, (0,), with_value=True, has_aux=False)
    _, (want,) = tl.value_and_grad(f, (0,)).untyped((X.copy(),), {})
    np.testing.assert_allclose(tl.grad(f)(X.copy()), want, rtol=1e-12)
