"""NumPy functions whose value is C's and whose derivative comes another way."""

import numpy as np
import pytest

import tapeless as tl
from checking import check


def ranges(x):
    return np.arange(0.0, 3.0 * x, x).sum() + np.arange(2.0 * x)[-1] + np.arange(x, 3.0)[1]


def from_iterables(x):
    return (
        np.fromiter((x * i for i in range(3)), float).sum() + np.fromiter([x, x * x, 1.0], float, count=2)[1]
    )


def outer(x):
    return np.multiply.outer([x, 1.0], [x, 2.0])[0].sum() + np.power.outer(np.array([x]), 3.0)[0]


def chosen(x):
    return np.choose([0, 1], [[x, 1.0], [2.0, x * x]]).sum()


def by_name(x):
    a = np.array([x, 1.0])
    a.__iadd__([x, x])
    return a.__truediv__(x)[1] + a.__rsub__(3.0 * x)[0] + np.ndarray.__mul__(a, a).sum()


def masked(x):
    return np.nanstd([x, 1.0, np.nan]) + np.nanmean([x, x * x, np.nan])


def filled(x):
    return np.full_like(np.zeros(2), x * x)[0] + np.full((2,), x)[1]


def scalars(x):
    y = np.float64(x)
    return y.reshape(1)[0] * y.ravel()[0] + y.flatten()[0] + y.repeat(2)[1]


def unique(x):
    return np.unique([x, x, 1.0]).sum() + np.union1d([x], [1.0])[0] * np.setdiff1d([x], [1.0])[0]


def products(x):
    if not hasattr(np, "matvec"):
        return x
    a, v = np.array([[x, 1.0], [0.5, x]]), np.array([x, 2.0])
    return np.vecdot(v, v) + np.matvec(a, v)[0] * np.vecmat(v, a)[1]


def lengths(x):
    v = np.array([x, 2.0, x * x])
    length = np.linalg.norm(v)
    v[0] = 7.0  # the derivative is by what was in it
    small = np.linalg.norm(np.array([x, 1.0], np.float32)) * 0.0  # only its type matters here
    return length * v[2] + np.linalg.norm(v, 1) + np.linalg.norm(np.outer(v, v)) + small


def both_move(x):
    v, a = np.array([x, 1.0]), np.array([[x, 2.0], [1.0, x * x]])
    return v.dot(v) * np.dot(a, v).dot(v) + (a @ a)[0, 1] + (v @ a)[1]


def without_nan(x):
    holes = np.array([np.nan, x, 0.2, np.nan, x * x, 3.0 * x])
    running = np.fmax.accumulate(holes)[1:].sum() + np.fmin.accumulate(holes)[1:].sum()
    return np.nanprod(holes) + np.nanmax(holes) * running + np.nanmin(holes[:2])


def without_nan_from_a_start(x):
    holes = np.array([np.nan, x, 0.2, x * x])
    return np.fmax.reduce(holes, initial=np.nan) * np.fmin.reduce(holes, initial=x / 8.0)


CASES = [
    without_nan,
    without_nan_from_a_start,
    ranges,
    from_iterables,
    outer,
    chosen,
    by_name,
    masked,
    filled,
    scalars,
    unique,
    products,
    lengths,
    both_move,
]


@pytest.mark.parametrize("f", CASES, ids=lambda f: f.__name__)
def test_functions(f):
    check(f, 0.7)


def test_the_length_of_nothing_has_no_derivative():
    def length(v):
        parts = {"v": v * 1.0}
        return np.linalg.norm(parts["v"])

    zero = np.zeros(2)
    assert tl.grad(length)(zero).tolist() == [0.0, 0.0]
    assert tl.jvp(length, (zero,), (np.ones(2),))[1] == 0.0
    assert tl.grad(length)(np.array([3.0, -4.0])).tolist() == [0.6, -0.8]


@pytest.mark.parametrize("part", [np.real, np.imag, lambda z: z.imag])
def test_parts_of_an_empty_complex_array(part):
    z = np.zeros((0, 4), complex)
    assert tl.grad(lambda z: np.sum(part(z)))(z).shape == (0, 4)
    assert tl.jvp(part, (z,), (z,))[1].shape == (0, 4)


def test_complex_numbers_added_at_repeated_places():
    def spread(z):
        total = np.zeros(3, complex)
        np.add.at(total, np.array([2, 0, 0]), z * z)
        return np.sum(np.abs(total) ** 4)

    tl.check_grads(spread, (np.array([1 + 2j, 0.3 - 1j, 0.5j]),), order=2)


def test_linear_algebra_that_numpy_wraps():
    a = np.cos(np.arange(36.0) ** 2).reshape(2, 3, 6)
    tl.check_grads(np.linalg.tensorsolve, (a, a[:, :, 0]), order=2)
    tl.check_grads(lambda m: np.linalg.cond(m, "fro"), (a[:, :, :3].reshape(6, 3)[:3],), order=2)


@pytest.mark.parametrize(
    "program",
    [
        lambda x: np.prod(x, axis=1),
        lambda x: np.max(x, axis=1),
        lambda x: np.ptp(x, axis=1, keepdims=True),
        lambda x: np.take(x, [], axis=0),
    ],
)
def test_reductions_of_no_rows(program):
    tl.check_grads(program, (np.zeros((0, 3)),), order=2)


def test_an_axis_of_a_number():
    tl.check_grads(lambda x: np.max(x, axis=0) * np.prod(x, axis=-1), (np.array(1.3),), order=2)


def test_deviations_of_too_few_elements_do_not_raise():
    with np.errstate(all="ignore"), pytest.warns(RuntimeWarning, match="Degrees of freedom"):
        assert np.isnan(np.var(np.array([1.5]), ddof=1))
        assert not np.isfinite(tl.grad(lambda x: np.var(x, ddof=1))(np.array([1.5]))).any()


def test_einsum_at_zeros():
    def lengths(*parts):
        return np.sqrt(np.einsum("ij,ij->i", parts[0], parts[0])).sum()

    slopes = tl.grad(lengths)(np.array([[0.0, 0.0], [3.0, 4.0]]))
    assert slopes == pytest.approx(np.array([[0.0, 0.0], [0.6, 0.8]]))
