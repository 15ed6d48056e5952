"""Subclasses of `ndarray` that are windows on the memory they are given."""

import numpy as np
import pytest

import tapeless as tl


class Quaternion(np.ndarray):
    def __new__(cls, q):
        return super().__new__(cls, q.shape, float, q)


def second(x):
    return float(Quaternion(np.array([x, 2.0 * x]))[1])


def normalised(x):
    q = Quaternion(np.array([x, 2.0 * x, 1.0]))
    q /= x * x
    return float(q[0] * q[1] + q[2])


@pytest.mark.parametrize("f", [second, normalised])
def test_a_window_of_a_subclass(f):
    tl.check_grads(f, (1.5,))


def matrices(x):
    m = np.matrix([[x, 1.0], [x * x, 2.0]])
    m[1, 1] = x**3
    return float((m * m)[0, 0] + (m**2)[0, 1] + m.T[0, 1] + m.A1[0] + (2.0 * m / x)[1, 1] + (m @ m)[1, 0])


@pytest.mark.filterwarnings("ignore")
def test_a_matrix_multiplies_as_one():
    tl.check_grads(matrices, (0.7,), order=1)


class Plain(np.ndarray):
    pass


def kept(x):
    a = np.array([x, x * x]).view(Plain)
    b = np.sin(a) * a
    a[:] = 3.0  # what was computed before does not change
    return b.sum() + a[0] * b[1]


def test_residuals_of_a_subclass_are_copies():
    tl.check_grads(kept, (0.7,), order=1)


class Labelled(np.ndarray):
    unit = {"name": "m", "scale": 2.0}
    grow = None


def test_attributes_that_a_subclass_of_arrays_has_from_its_class():
    def f(x):
        lengths = (x * x).view(Labelled)
        return np.asarray(lengths).sum() * lengths.unit["scale"] * (1.0 if lengths.grow is None else 3.0)

    assert tl.grad(f)(np.array([1.0, 2.0])).tolist() == [4.0, 8.0]


class Careful(np.ndarray):
    def __pow__(self, other):
        return super().__pow__(other)

    def __mul__(self, other):
        return super().__mul__(other)

    def __rsub__(self, other):
        return super().__rsub__(other)

    def __iadd__(self, other):
        return super().__iadd__(other)


def test_operators_that_ask_the_base_class():
    def f(x):
        a = np.array([x, x * x]).view(Careful)
        b = a**2 * x + a**3 * a
        b += a
        return np.asarray(1.0 - b).sum()

    assert type(np.ones(2).view(Careful) ** 2) is Careful
    tl.check_grads(f, (0.7,))
