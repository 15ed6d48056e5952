"""A reshape is a view in compiled code where it is one in NumPy; where it cannot be, writes are refused."""

from __future__ import annotations

import numpy as np
import pytest

import tapeless as tl
from tapeless.errors import NotCompilable

ROWS = np.arange(24.0).reshape(4, 6)
ARRAYS = {
    "rows": lambda: ROWS.copy(),
    "columns": lambda: ROWS.T.copy().T,
    "transposed": lambda: ROWS.reshape(6, 4).copy().T,
    "every second": lambda: np.arange(48.0).reshape(4, 12)[:, ::2],
    "a part": lambda: np.arange(60.0).reshape(4, 15)[:, 1:7],
    "backwards": lambda: ROWS.copy()[::-1],
    "unit axes": lambda: ROWS.copy()[None, :, None][0, :, 0],
}


def raveled(a):
    b = a.ravel()
    b[0], b[-1] = 100.0, 200.0
    return b


def in_a_row(a):
    b = a.reshape(-1)
    b[1] = 100.0
    return b


def halves(a):
    b = a.reshape(2, -1)
    b[1] = 7.0
    return b


def axis_split(a):
    b = a.reshape(4, 2, 3)
    b[:, 1] *= 9.0
    return b


def axes_merged(a):
    a.reshape(12, 2)[5] = 9.0


def of_a_row(a):
    a[1].reshape(2, 3)[0] = 1.0


def of_a_column(a):
    a[:, 1].reshape(2, 2)[0] = 1.0


def of_rows(a):
    a[1:3].reshape(-1)[3] = 5.0


def of_columns(a):
    b = a[:, 1:3].reshape(-1)
    b[3] = 5.0
    return b


def of_the_transpose(a):
    b = a.T.reshape(-1)
    b[3] = 5.0
    return b


def twice_transposed(a):
    a.T.T.reshape(-1)[3] = 5.0


def the_array_is_written(a):
    b = a.reshape(-1)
    a[0, 0] = 50.0
    return b


def the_transpose_is_written(a):
    b = a.T.reshape(-1)
    a[0, 0] = 50.0
    return b


def by_flat(a):
    for k in range(3):
        a.flat[k + 2] = k


def squeezed(a):
    np.squeeze(a[:, :1]).reshape(2, 2)[0] = 3.0


def each_row(a):
    for row in a:
        row.reshape(2, 3)[0] = row[3:]


def side_by_side(a):
    b = np.ascontiguousarray(a)
    b *= 2.0
    return b


def moved(a):
    b = np.moveaxis(a, 0, 1).reshape(3, 2, 4)
    b += 1.0
    return b


def new_axis(a):
    b = a[:, None, ::2].reshape(12)
    b += 1.0
    return b


def computed_from(a):
    b = a.T * 2.0
    c = b.reshape(-1)
    c[1] = 50.0
    return b


def of_a_computed_transpose(a):
    b = np.outer(a[0], a[1]).T
    c, d = b.reshape(-1), b.ravel()
    c[1], d[2] = 50.0, 60.0
    return np.concatenate((b.ravel(), c, d))


def of_a_function(a):
    b = np.zeros((4, 6))
    b[::-1, ::-1].reshape(-1)[:3] = a[0, :3]
    b[:, ::2].reshape(2, 2, 3)[1] = 4.0
    b[::2].reshape(2, 3, 2)[:, 1] = 5.0
    return b


def of_complex_numbers(a):
    b = np.zeros((4, 6), complex)
    b[:, ::2].reshape(2, 2, 3)[:] = 1j
    return b.imag + a


def of_complex_axes_of_one_element(a):
    b = (a * 2j + 1.0).reshape(-1)
    for k in range(3):
        v = np.reshape(b, (2**k, 2, 12 // 2**k))
        b[:] = np.transpose(v, (1, 0, 2)).reshape(24) * (0.5 * k + 1j)
        b[2:14].reshape(2, 3, 2)[:, 1] += 1j
    return b.real + b.imag


def in_a_loop(a):
    for _ in range(3):
        a[0, 0] += 1.0
        b = a.reshape(-1)
        b[1] += a[0, 0]


def carried(a):
    b = np.zeros(24)
    for _ in range(3):
        a[0, 0] += 1.0
        b = a.T.reshape(-1)
    a[0, 0] = 9.0
    return b


def by_the_letter(a):
    return a.reshape(-1, order="A")


PROGRAMS = [
    raveled, in_a_row, halves, axis_split, axes_merged, of_a_row, of_a_column, of_rows, of_columns,
    of_the_transpose, twice_transposed, the_array_is_written, the_transpose_is_written, by_flat, squeezed,
    each_row, side_by_side, moved, new_axis, computed_from, of_a_function, of_complex_numbers, in_a_loop,
    carried, by_the_letter, of_complex_axes_of_one_element, of_a_computed_transpose,
]  # fmt: skip


@pytest.mark.parametrize("f", PROGRAMS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("name", ARRAYS)
def test_writes_through_reshapes(name, f):
    plain, native = ARRAYS[name](), ARRAYS[name]()
    assert plain.strides == native.strides
    want = f(plain)
    try:
        got = tl.jit(f)(native)
    except NotCompilable as error:
        assert name not in ("rows", "unit axes") or f in (computed_from, moved)
        assert "in place" in str(error) or "order of Fortran" in str(error)
        return
    np.testing.assert_array_equal(native, plain)
    np.testing.assert_array_equal(got, want)


def test_other_strides_are_another_version():
    def f(a):
        b = a.ravel()
        b[0] = 100.0
        return b.sum()

    jitted = tl.jit(f)
    for make in (*ARRAYS.values(), *ARRAYS.values()):
        plain, native = make(), make()
        assert jitted(native) == f(plain)
        np.testing.assert_array_equal(native, plain)


@pytest.mark.parametrize("shape", [(3, 2), (6, 1), (1, 6), (2, 3), (6,)])
def test_lengths_that_only_the_call_knows(shape):
    def f(a, n, m):
        b = a.reshape(n, m)
        b[0] = 5.0
        return b.sum()

    jitted = tl.jit(f)
    for n, m in ((3, 2), (2, 3), (1, 6), (6, 1)):
        plain, native = np.arange(6.0).reshape(shape), np.arange(6.0).reshape(shape)
        assert jitted(native, n, m) == f(plain, n, m)
        np.testing.assert_array_equal(native, plain)


def test_gradients_of_programs_that_write_through_reshapes():
    def f(a):
        b = a.T.reshape(-1)  # a copy in NumPy
        b[0] = 0.0
        c = a[:, ::2].reshape(2, 2, 3)  # a view
        c[1] *= 3.0
        return np.sum(a * a) + np.sum(b * b)

    plain, native = ROWS.copy(), ROWS.copy()
    want, got = tl.grad(f)(plain), tl.jit(tl.grad(f))(native)
    np.testing.assert_allclose(got, want, rtol=1e-12)
    np.testing.assert_array_equal(native, plain)


def test_the_derivative_by_a_strided_argument_copies_where_numpy_does():
    def f(a):
        b = a.ravel()
        b[0] = 10.0
        return np.sum(a * a) + np.sum(b)

    for make in ARRAYS.values():
        plain, native = make(), make()
        want, got = tl.grad(f)(plain), tl.jit(tl.grad(f))(native)
        np.testing.assert_allclose(got, want, rtol=1e-12)
        np.testing.assert_array_equal(native, plain)


def test_windows_are_read_only():
    def f(a):
        windows = np.lib.stride_tricks.sliding_window_view(a, 2, axis=1)
        windows[0] = 1.0

    with pytest.raises(ValueError, match="read-only"):
        tl.jit(f)(ROWS.copy())


def test_of_nothing_into_a_shape_of_unknown_lengths():
    def weighted(a, b):
        c = np.maximum(a, b)
        return np.sum(np.arange(c.size).reshape(c.shape) * c)

    a, b = np.zeros((0, 1, 3)), np.ones((1, 10, 3))
    assert tl.jit(weighted)(a, b) == 0.0
    assert tl.jit(tl.grad(weighted, (0, 1)))(a, b)[1].tolist() == np.zeros((1, 10, 3)).tolist()


def shape_of_a_product(a):
    b = a * 2.0
    b.shape = (2, -1)
    return b[0] * b[1]


def shapes_on_two_paths(a):
    b, c = np.outer(a[0], a[1]), a + 1.0
    if a[0, 1] > 0.0:
        b.shape = 12, 3
    else:
        b = b * 2.0
        b.shape = 12, 3
    b.shape = c.shape = -1
    return b[:24] * c


def shape_in_each_iteration(a):
    row = a[0] + 1.0
    for k in range(3):
        square = np.outer(row, row * k)
        square.shape = len(row) * len(row)
        row = square[: len(row)] + row
    return row


def shapes_of_parts(a):
    both = np.stack((a * 2.0, a + 1.0))
    b, c = both
    b.shape = c.shape = 24
    b[3] = c[4] * c[5]
    return both.sum(axis=1) * len(b)


@pytest.mark.parametrize(
    "f", [shape_of_a_product, shapes_on_two_paths, shape_in_each_iteration, shapes_of_parts]
)
def test_shapes_that_are_set(f):
    a = np.cos(ROWS)
    for x in (a, -a):
        np.testing.assert_allclose(tl.jit(f)(x), f(x), rtol=1e-12)
        slope = tl.grad(lambda x: np.sum(f(x) ** 2))
        np.testing.assert_allclose(tl.jit(slope)(x), slope(x), rtol=1e-10, atol=1e-13)


def shape_of_another_name(a):
    b = c = a * 2.0
    b.shape = 24
    return c.sum(axis=0)


def shape_of_an_item(a):
    b = a * 2.0
    items = [b]
    b.shape = 24
    return items[0].sum(axis=0)


class Holder:
    pass


HOLDER = Holder()


def shape_of_what_a_global_has(a):
    b = HOLDER.array = a * 2.0
    b.shape = 24
    return HOLDER.array.sum(axis=0)


def shape_of_an_argument(a):
    a.shape = 24


def shape_in_a_function_of_another(a):
    def flatten(b):
        b.shape = 24

    c = a * 2.0
    flatten(c)
    return c.sum(axis=0)


def shape_of_what_a_generator_has(a):
    def given():
        b = a * 2.0
        yield b
        yield b.sum(axis=0)

    total = 0.0
    for b in given():
        if b.ndim:
            b.shape = b.size
        total += (b**2).sum()
    return total


@pytest.mark.parametrize(
    "f",
    [
        shape_of_another_name, shape_of_an_item, shape_of_what_a_global_has, shape_of_an_argument,
        shape_in_a_function_of_another, shape_of_what_a_generator_has,
    ],
)  # fmt: skip
def test_shapes_that_others_see_are_not_set(f):
    with pytest.raises(NotCompilable, match="shape"):
        tl.jit(f)(ROWS.copy())


def test_a_shape_that_does_not_fit_raises_as_in_numpy():
    def f(a):
        b = a * 2.0
        b.shape = 5, 5
        return b

    with pytest.raises(ValueError, match="cannot reshape array"):
        tl.jit(f)(ROWS.copy())


def test_the_shape_of_grids_that_are_known():
    def f(x):
        i, j = np.mgrid[0:3, 0:4]
        places = x[i]
        i.shape = j.shape = 12
        return places, i, j, x[i] * j

    x = np.array([0.3, 0.5, 2.0])
    for got, wanted in zip(tl.jit(f)(x), f(x), strict=True):
        np.testing.assert_array_equal(got, wanted, strict=True)
