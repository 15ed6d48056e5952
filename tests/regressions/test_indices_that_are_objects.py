"""Objects and NumPy's integers in the place of an int: subscripts, lengths and repetitions."""

import numpy as np
import pytest
import scipy.stats

import tapeless as tl
from checking import check
from tapeless.errors import UntrackedMutationError


class Model:
    pass


class Index:
    """An index that keeps what it has seen where it is asked for its integer."""

    def __init__(self, model):
        self.model, self.kept, self.asked = model, 0.0, 0

    def __index__(self):
        self.kept = self.model.value
        self.asked += 1
        return 1


def store(x, i):
    values = [1.0, 2.0, 3.0]
    values[i:] = [x, x]
    return values[2]


def insert_and_pop(x, i):
    values = [1.0, 2.0, 3.0]
    values.insert(i, x)
    return values.pop(i)


def delete(x, i):
    values = [1.0, x, 3.0]
    del values[i]
    return values[1] * x


@pytest.mark.parametrize(
    "use",
    [
        lambda x, i: len("abc"[:i]) * x,
        lambda x, i: [1.0, x, 3.0][i],
        lambda x, i: sum([1.0, x, 3.0][i:]),
        lambda x, i: (1.0, x, 3.0)[i],
        store,
        insert_and_pop,
        delete,
    ],
)
def test_an_index_is_asked_once_and_what_it_keeps_is_followed(use):
    def f(x):
        model = Model()
        model.value = x * x
        i = Index(model)
        return use(x, i) * i.kept * i.asked

    check(f, 0.7)


def test_every_index_of_an_array_is_asked():
    def f(x):
        model = Model()
        model.value = x * x
        i = Index(model)
        values = np.zeros((3, 2))
        values[i, :i] = x
        values[i] += 0.0
        return values[i, :i].sum() * i.kept * i.asked

    x, cube = 0.7, f(1.0)
    assert f(x) == pytest.approx(cube * x**3)
    assert tl.grad(f)(x) == pytest.approx(3 * cube * x**2)
    assert tl.jvp(f, (x,), (1.0,))[1] == pytest.approx(3 * cube * x**2)


@pytest.mark.parametrize("use", [lambda i: np.zeros((i, 2)), int])
def test_what_cannot_be_followed_is_refused(use):
    def f(x):
        model = Model()
        model.value = x
        i = Index(model)
        use(i)
        return i.kept * x

    with pytest.raises(UntrackedMutationError, match="a special method that it calls"):
        tl.grad(f)(0.7)


def test_a_class_that_takes_subscripts_itself_gets_the_object():
    class Table(list):
        def __getitem__(self, i):
            return i.model.value

    def f(x):
        model = Model()
        model.value = x * x
        return Table()[Index(model)]

    check(f, 0.7)


N = np.int64(3)


def repeated_in_place(x):
    values = [x]
    values *= N
    return sum(values) * values[2]


@pytest.mark.parametrize(
    "f",
    [
        lambda x: sum([x, 2.0 * x] * N) * x,
        lambda x: sum(N * [x, 2.0 * x]) * x,
        lambda x: sum((x, 2.0 * x) * N) * x,
        repeated_in_place,
    ],
)
def test_sequences_are_repeated_by_integers_of_numpy(f):
    x, square = 0.7, f(1.0)  # all are a number times x²
    assert f(x) == pytest.approx(square * x * x)
    assert tl.grad(f)(x) == pytest.approx(2.0 * square * x)
    assert tl.jvp(f, (x,), (1.0,))[1] == pytest.approx(2.0 * square * x)
    assert tl.grad(tl.grad(f))(x) == pytest.approx(2.0 * square)


def test_resize_to_a_shape_in_an_array():
    def f(x):
        return np.sum(np.resize(x, np.array([2, 2])) * np.arange(4.0).reshape(2, 2))

    assert tl.grad(f)(np.array([0.1, 0.5, 0.9])).tolist() == [3.0, 1.0, 2.0]


def test_results_with_fields_that_are_no_items():
    x, y, v = np.array([0.1, 0.5, 0.9]), np.array([1.0, 2.5, 2.7]), np.array([1.0, 2.0, 3.0])
    _, t = tl.jvp(lambda x: scipy.stats.linregress(x, y), (x,), (v,))
    h = 1e-6
    after, before = scipy.stats.linregress(x + h * v, y), scipy.stats.linregress(x - h * v, y)
    assert len(t) == 5
    np.testing.assert_allclose(t, (np.array(after) - np.array(before)) / (2 * h), rtol=1e-6, atol=1e-8)
