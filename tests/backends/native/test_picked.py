"""Rows of sums by colours, taken apart where they are made: sparse Jacobians by compiled code."""

import numpy as np
import pytest

import tapeless as tl
from tapeless.backends.native.nest import (
    F64,
    ZERO,
    Alloc,
    Array,
    Assign,
    Dim,
    For,
    Load,
    Ref,
    Scalar,
    Store,
    const,
)
from tapeless.backends.native.picked import picked

X = np.linspace(0.3, 1.7, 12)


def by_parts(x):
    return np.concatenate([np.sin(x[1:]) * x[:-1], x**2, [x[0] * x[-1]]])


def by_rows_and_columns(x):
    a = x.reshape(3, 4)
    return a[:, 1:] * np.exp(a[:, :-1])


def set_twice(x):
    y = np.zeros(len(x) + 2)
    y[1:-1] = x * x
    y[2:-2] = x[1:-1] * x[2:]
    return y


def added_to(x):
    y = np.zeros_like(x)
    y[1:] += x[1:] * x[:-1]
    y[:-1] += np.cos(x[1:])
    return y


def in_a_loop(x):
    y = np.empty(2 * len(x))
    for i in range(len(x)):
        y[2 * i] = x[i] ** 3
        y[2 * i + 1] = x[i] * x[i - 1]
    return y


def on_one_path(x):
    y = np.zeros(len(x))
    for i in range(len(x)):
        if x[i] > 1.0:
            y[i] = x[i] * x[0]
    return y


def read_again(x):
    y = np.empty_like(x)
    y[0] = x[0]
    for i in range(1, len(x)):
        y[i] = y[i - 1] * 0.5 + x[i]
    return y


PROGRAMS = [by_parts, by_rows_and_columns, set_twice, added_to, in_a_loop, on_one_path, read_again]


@pytest.mark.parametrize("parallel", [False, True])
@pytest.mark.parametrize("f", PROGRAMS)
def test_the_matrix_is_that_of_the_plain_call(f, parallel):
    made = tl.jit(tl.jacobian(f, sparse=True), parallel=parallel)
    for x in (X, X[::-1].copy(), np.float32(1.0) * X):
        expected = tl.jacobian(f)(x).reshape(-1, len(x))
        for _ in range(2):
            found = made(x)
            np.testing.assert_allclose(found.toarray(), expected, rtol=1e-12)
            assert found.has_sorted_indices


def test_a_derivative_that_is_not_a_number_is_careful_in_rows_too():
    def f(x):
        return np.where(x > 0.0, np.sqrt(x), x) * 2.0

    x = np.array([0.0, 1.0, 4.0, 0.0])
    found = tl.jit(tl.jacobian(f, sparse=True))(x)
    np.testing.assert_allclose(found.toarray(), np.diag([2.0, 1.0, 0.5, 2.0]))


def test_a_pattern_for_another_result_is_refused():
    from tapeless.errors import StructureError

    made = tl.jacobian(tl.jit(lambda x: x[1:] * x[:-1]), sparse=np.ones((12, 12), bool))
    with pytest.raises(StructureError, match="number of rows"):
        made(X)


def rows_of(read):
    """A nest that makes rows of 4, and perhaps reads one."""
    x, y, i, lane, t = (
        Array("x", "float64", 1),
        Array("y", "float64", 2),
        Scalar("i", "i64"),
        Scalar("l", "i64"),
        Scalar("t", F64),
    )
    body = [Store(y, (Ref(i), Ref(lane)), Load(x, (Ref(i),)))]
    loop = For(i, ZERO, Dim(x, 0), [For(lane, ZERO, const(4), body)])
    last = [Assign(t, Load(y, (ZERO, ZERO)))] if read else []
    return y, [Alloc(y, (Dim(x, 0), const(4))), loop, *last]


def test_rows_that_nothing_else_reads_need_no_array():
    taken = []
    y, body = rows_of(False)
    made = picked(body, y, 4, lambda shape: [], lambda index, row: taken.append(index) or [])
    assert made is not None
    assert len(taken) == 1
    assert not any(isinstance(s, Alloc) and s.array is y for s in made)


def test_rows_that_are_read_stay():
    y, body = rows_of(True)
    assert picked(body, y, 4, lambda shape: [], lambda index, row: []) is None
    y, body = rows_of(False)
    assert picked(body, y, 8, lambda shape: [], lambda index, row: []) is None


def test_long_programs_run_a_colour_at_a_time(monkeypatch):
    from tapeless.backends.native.staging import sparse

    monkeypatch.setattr(sparse, "LONG", 1)
    for f in PROGRAMS:
        made = tl.jacobian(tl.jit(lambda x, f=f: f(x), cache=False), sparse=True)
        np.testing.assert_allclose(made(X).toarray(), tl.jacobian(f)(X).reshape(-1, len(X)), rtol=1e-12)
