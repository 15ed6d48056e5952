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


class Scaled(np.ndarray):
    """Hands its attribute on, as classes of arrays with units do: NumPy calls `__array_finalize__`."""

    scale = None

    def __new__(cls, values, scale):
        self = np.array(values).view(cls)
        self.scale = scale
        return self

    def __array_finalize__(self, other):
        if other is not None:
            self.scale = getattr(other, "scale", None)


class Doubled(Scaled):
    def __array_finalize__(self, other):
        if getattr(other, "scale", None) is not None:
            self.scale = 2.0 * other.scale


HANDED_ON = [
    lambda x: Scaled([1.0, 2.0, 3.0], x).scale * x,
    lambda x: Scaled([1.0, 2.0, 3.0], x)[1:].scale * x,
    lambda x: (Scaled([1.0, 2.0, 3.0], x) + 1.0).copy().scale * x,
    lambda x: Scaled([1.0, x, 3.0], 2.5)[1:].scale * x,
    lambda x: Scaled([1.0, x, 3.0], x * x)[1:].scale * x,
    lambda x: Scaled([1.0, x, 3.0], x * x)[1:].__dict__["scale"] * x,
    lambda x: Scaled([1.0, 2.0, x], (x, 1.0))[1:].scale[0] * x,
    lambda x: Scaled([1.0, 2.0, 3.0], [x, 1.0])[1:].scale[0] * x,
    lambda x: (Scaled([1.0, x], np.array([x, 2.0]))[1:].scale * x)[0],
]


@pytest.mark.parametrize("f", HANDED_ON)
def test_attributes_of_arrays_that_are_handed_on(f):
    """All derivatives through such an attribute were lost, silently."""
    tl.check_grads(f, (1.7,), order=2)


def test_an_attribute_that_numpy_computes_is_refused():
    with pytest.raises(NotImplementedError, match="attribute 'scale' of Doubled"):
        tl.grad(lambda x: Doubled([1.0, 2.0], x)[1:].scale * x)(2.0)
