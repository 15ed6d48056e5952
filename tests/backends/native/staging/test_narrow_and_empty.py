"""Compiled programs where numbers do not fit and where there is nothing: what NumPy and Python say then."""

import functools
import math

import numpy as np
import pytest

import tapeless as tl


def outcome(f, args):
    args = [a.copy() if isinstance(a, np.ndarray) else a for a in args]
    try:
        with np.errstate(over="ignore"):
            value = f(*args)
    except (OverflowError, ValueError, TypeError) as error:
        return type(error), str(error)
    return value, *args


def assert_same(f, *args):
    got, want = outcome(tl.jit(f), args), outcome(f, args)
    assert len(got) == len(want)
    for a, b in zip(got, want, strict=True):
        assert type(a) is type(b)
        if isinstance(a, np.ndarray):
            assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


def stored(place):
    def store(a, n):
        a[place] = n

    return store


def added(a, n):
    a += n


NARROW = {
    "less": lambda a, n: a < n,
    "equal": lambda a, n: a == n,
    "element at least": lambda a, n: a[0] >= n,
    "sum": lambda a, n: a + n,
    "difference": lambda a, n: n - a,
    "sum of a number": lambda a, n: a[0] + n,
    "maximum": lambda a, n: np.maximum(a, n),
    "clip": lambda a, n: np.clip(a, 0, n),
    "add in place": added,
    "store": stored(1),
    "store in a slice": stored(slice(1, None)),
    "store in a list": stored([0, 2]),
    "fill": lambda a, n: a.fill(n),
    "copyto": lambda a, n: np.copyto(a, n),
    "full": lambda a, n: np.full_like(a, n),
    "array": lambda a, n: np.array([n, 1], dtype=np.int8),
    "scalar": lambda a, n: np.int8(n),
    "initial": lambda a, n: np.max(a, initial=n),
    "pad": lambda a, n: np.pad(a, 1, constant_values=n),
}


@pytest.mark.parametrize("n", [5, 127, 128, -128, -129, 300])
@pytest.mark.parametrize("name", NARROW)
def test_an_integer_beyond_a_narrow_dtype(name, n):
    assert_same(NARROW[name], np.array([1, 2, 3], np.int8), n)


@pytest.mark.parametrize("n", [-1, 0, 255, 256])
def test_an_integer_beyond_bytes(n):
    assert_same(lambda a, n: a > n, np.array([200, 100], np.uint8), n)
    assert_same(lambda a, n: a - n, np.array([200, 100], np.uint8), n)


@pytest.mark.parametrize("dtype", [np.int8, np.float32, float])
def test_choices_among_numbers_keep_the_dtype(dtype):
    a = np.array([1, -2, 3], dtype)
    assert_same(lambda a, n: np.select([a > 2, a > 0], [a, n], -1), a, 2)
    assert_same(lambda a, n: np.choose([0, 1, 0], [a, n]), a, 2)


def test_choices_among_lists():
    assert_same(lambda x: np.choose([1], [[x], [x * x]]), 1.3)
    assert_same(lambda x: np.choose([0, 1], [[x, 1.0], np.array([2.0, x])]), 1.3)


@pytest.mark.parametrize("x", [2.0, -3.0, 0.0])
def test_geometric_sequences_of_any_sign(x):
    want = outcome(lambda x: np.geomspace(-2.0, x, 3), (x,))
    got = outcome(tl.jit(lambda x: np.geomspace(-2.0, x, 3)), (x,))
    assert type(got[0]) is type(want[0])
    if want[0] is ValueError:
        assert got == want
    else:
        assert got[0].dtype == want[0].dtype
        np.testing.assert_allclose(got[0], want[0], rtol=1e-14)
    for f in (np.geomspace, np.logspace):
        with pytest.raises(tl.TapelessError, match="dtype"):
            tl.jit(lambda x: f(1.0, 8.0 + x, 4, dtype=int))(x)  # noqa: B023


EMPTY = {
    "default": lambda a: max(a, default=3.0),
    "default of a generator": lambda a: max((x for x in a if x > 0), default=0.0),
    "default of another class": lambda a: min((x for x in a if x > 0), default=0),
    "no default": lambda a: max(x for x in a if x > 0),
    "array": lambda a: min(a),
    "backwards": lambda a: max(reversed(a)),
    "range backwards": lambda a: min(range(len(a), 0, -1)),
    "range with default": lambda a: max(range(len(a)), default=-1),
    "key": lambda a: min(a, key=lambda x: -x * x, default=9.0),
    "reduce": lambda a: functools.reduce(lambda p, q: p * 2 + q, a),
    "reduce of a generator": lambda a: functools.reduce(lambda p, q: p - q, (x for x in a if x > 0)),
    "reduce of a list": lambda a: functools.reduce(lambda p, q: p - q, []),
    "product": lambda a: math.prod(x for x in a if x > 9),
}


@pytest.mark.parametrize("name", EMPTY)
def test_extrema_and_folds_of_nothing(name):
    for a in (np.zeros(0), np.array([1.0, -2.0, 3.0]), np.array([-1.0, -3.0])):
        assert_same(EMPTY[name], a)


def test_the_sign_of_zero_has_no_slope():
    def weighted(a):
        return (np.sign(a) * 3.0 * a**2 + np.sign(a)).sum()

    a = np.array([0.0, -0.0, 2.0, -1.0])
    np.testing.assert_array_equal(tl.jit(tl.grad(weighted))(a), tl.grad(weighted)(a))
    assert not np.signbit(tl.jit(np.sign)(a)[1])
    assert tl.jit(tl.grad(lambda x: np.sign(x) + 0.0 * x))(0.0) == 0.0


def test_a_number_where_an_array_was_before_that_is_changed():
    @tl.jit
    def scaled(a, x):
        a *= x
        if a.sum() > 100:
            raise ValueError(f"too large: {a}")
        return a

    np.testing.assert_array_equal(scaled(np.ones(3), 2.0), [2.0, 2.0, 2.0])
    with pytest.raises(AttributeError, match="sum"):  # the program's own
        scaled(3.0, 2.0)
    assert scaled(np.float64(3.0), 2.0) == 6.0

    @tl.jit
    def first(a):
        a += 1.0
        if abs(a) > 100 if isinstance(a, float) else a[0] > 100:
            raise ValueError(f"too large: {a}")
        return a

    np.testing.assert_array_equal(first(np.ones(2)), [2.0, 2.0])
    assert first(2.5) == 3.5
