"""Gradients by arrays without axes are arrays without axes, of their own memory and dtype."""

import numpy as np
import pytest

import tapeless as tl


def square(x, a):
    return x * x + np.sum(a * x)


def at_a_kink(x, a):
    return np.sum(np.sqrt(x * x)) + a.sum()


def numbers(x, a):
    return np.sin(x) * x.item() + float(x) * a[0] + x[()]


def of_a_pair(pair, a):
    return pair[0] * pair[1] * a[1]


def of_a_list(items, a):
    return sum(x * x for x in items) * a[1]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("f", [square, at_a_kink, numbers], ids=lambda f: f.__name__)
@pytest.mark.parametrize("value", [0.0, 1.5])
def test_gradients_by_arrays_without_axes(f, value, dtype):
    x, a = np.array(value, dtype), np.array([0.5, 2.0])
    for make in (tl.grad, lambda g, **kw: tl.jit(tl.grad(g, **kw))):
        one = make(f)(x, a)
        both = make(f, argnums=(0, 1))(x, a)
        for got in (one, both[0]):
            assert type(got) is np.ndarray
            assert (got.shape, got.dtype, got.base) == ((), x.dtype, None)
        assert one == both[0]
        assert both[1].flags.owndata
        if value:
            step = 1e-3 if dtype == "float32" else 1e-6
            want = (f(x + x.dtype.type(step), a) - f(x - x.dtype.type(step), a)) / (2 * step)
            if f is not numbers or dtype == "float64":
                np.testing.assert_allclose(one, want, 1e-2 if dtype == "float32" else 1e-7)
        elif f is at_a_kink:
            assert one == 0.0


def test_in_containers():
    x, y, a = np.array(1.5), np.array(-2.0), np.array([0.5, 2.0])
    dx, dy = tl.grad(of_a_pair)((x, y), a)
    items = tl.grad(of_a_list)([x, y], a)
    for got, want in ((dx, -4.0), (dy, 3.0), (items[0], 6.0), (items[1], -8.0)):
        assert type(got) is np.ndarray
        assert got.shape == ()
        assert got == want
    assert not np.shares_memory(dx, dy)


class Memory:
    """Lends its memory to an array, and is its own base, as an array of Cython."""

    def __init__(self):
        self.held = np.array([3.0, 4.0])
        self.__array_interface__ = self.held.__array_interface__

    @property
    def base(self):
        return self


def test_memory_that_is_its_own_base():
    lent = np.asarray(Memory())
    assert tl.grad(lambda x: (lent[0:1] * x).sum() * x)(2.0) == 12.0
