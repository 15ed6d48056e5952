"""Truths among the arguments tell how to work: results of several kinds, by the flag, compile."""

import numpy as np

import tapeless as tl


def spread(x, full=False, *, scaled=False):
    if full:
        return x * 2.0, x.sum()
    return x / x.max() if scaled else None


def with_default(x):
    return spread(x)


def with_flag(x, full):
    parts = spread(x, full)
    return parts[0] + parts[1] if full else x


def what(x, flag):
    return x * 2.0 if flag is True else x * flag


def chosen(x, flags):
    return sum(x if f else x * x for f in flags)


X = np.array([1.0, 2.0, 4.0])


def test_defaults():
    assert tl.jit(with_default)(X) is None
    whole, total = tl.jit(spread)(X, True)
    np.testing.assert_array_equal(whole, 2 * X)
    assert total == 7.0
    np.testing.assert_array_equal(tl.jit(spread)(X, scaled=True), X / 4)


def test_both_values():
    f = tl.jit(with_flag)
    for flag in (True, False, True, np.True_):
        np.testing.assert_array_equal(f(X, flag), with_flag(X, flag))
    g = tl.jit(tl.grad(lambda x, full: with_flag(x, full).sum()))
    np.testing.assert_array_equal(g(X, True), [5.0, 5.0, 5.0])
    np.testing.assert_array_equal(g(X, False), [1.0, 1.0, 1.0])


def test_a_number_is_not_a_flag():
    f = tl.jit(what)
    assert [f(1.5, flag) for flag in (True, 1, False, 0, 3)] == [3.0, 1.5, 0.0, 0.0, 4.5]


def test_flags_of_a_list_are_data():
    f = tl.jit(chosen)
    for k in range(8):
        flags = [bool(k & 1), bool(k & 2), bool(k & 4)]
        assert f(1.5, flags) == chosen(1.5, flags)
    assert len(f.entries) == 1
