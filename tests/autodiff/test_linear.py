"""The linear record by itself: operations, accumulation, strong zeros, repeated and concurrent use."""

from __future__ import annotations

import math
import operator
import threading
import time
from typing import Any

import numpy as np
import pytest

from tapeless.autodiff.linear import Gather, Lin, Overwrite, Record, inner, unbroadcast, zeros_like_space
from tapeless.rules import lookup, tangent
from tapeless.rules.spaces import FLOAT, space_of


def step(function: Any, *args: Any, of: tuple[Any, ...]) -> tuple[Any, Any]:
    """A primitive with its tangent."""
    with np.errstate(all="ignore"):
        y = function(*args)
        rule = lookup(function)
        assert rule is not None
        return y, tangent(rule, y, args, {}, of, {})


# ---- scalars


def test_a_product_of_python_floats_is_a_bare_tuple() -> None:
    record = Record()
    x = record.input(3.0)
    y, y_t = step(operator.mul, 3.0, 3.0, of=(x, x))
    assert record.entries[1] == ((3.0, 3.0), (0, 0), FLOAT)
    assert record.pullback([(y_t, 1.0)], [x]) == [6.0]
    assert record.pushforward([(x, 0.5)], [y_t]) == [3.0]
    assert type(record.pullback([(y_t, 1.0)], [x])[0]) is float


def test_an_output_without_cotangent_is_none() -> None:
    record = Record()
    x, z = record.input(3.0), record.input(np.ones(2))
    _, y_t = step(math.sin, 3.0, of=(x,))
    assert record.pullback([(y_t, 1.0)], [x, z])[1] is None
    assert record.pushforward([(z, np.ones(2))], [y_t]) == [None]
    assert record.pullback([(y_t, None)], [x]) == [None]


def test_an_input_is_its_own_output() -> None:
    record = Record()
    x = record.input(np.ones(2))
    seed = np.array([1.0, 2.0])
    (got,) = record.pullback([(x, seed)], [x])
    assert np.array_equal(got, seed) and not np.shares_memory(got, seed)
    one, two = record.pullback([(x, seed)], [x, x])
    assert not np.shares_memory(one, two)


def test_integers_are_no_inputs() -> None:
    with pytest.raises(TypeError, match="int has no derivative"):
        Record().input(3)
    with pytest.raises(TypeError, match="ndarray has no derivative"):
        Record().input(np.arange(3))


def test_negative_and_zero_partials() -> None:
    record = Record()
    x = record.input(-1.5)
    _, y_t = step(operator.pow, -1.5, 3, of=(x, None))
    assert record.pullback([(y_t, 1.0)], [x]) == [3 * 1.5**2]
    _, y_t = step(operator.pow, 0.0, 0, of=(record.input(0.0), None))
    assert record.pushforward([(x, 1.0)], [y_t]) == [None]


def test_an_entry_of_floats_is_quick() -> None:
    """About a microsecond; the bound leaves room for a busy machine."""
    record, rule = Record(), lookup(math.sin)
    x = record.input(2.0)
    assert rule is not None
    best = math.inf
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(2000):
            tangent(rule, 0.9, (2.0,), {}, (x,), {})
        best = min(best, (time.perf_counter() - start) / 2000)
    assert best < 6e-6


# ---- strong zeros


def test_root_of_a_square_at_zero() -> None:
    """2x = 0 times an infinite partial is 0."""
    record = Record()
    x = record.input(0.0)
    square, s_t = step(operator.mul, 0.0, 0.0, of=(x, x))
    _, y_t = step(math.sqrt, square, of=(s_t,))
    assert record.entries[2][0] == (math.inf,)
    assert record.pullback([(y_t, 1.0)], [x]) == [0.0]
    assert record.pushforward([(x, 1.0)], [y_t]) == [0.0]


def test_where_hides_an_infinite_partial() -> None:
    record, a = Record(), np.array([4.0, 0.0, -1.0])
    x = record.input(a)
    root, r_t = step(np.sqrt, a, of=(x,))
    _, y_t = step(np.where, a > 0, root, 0.0, of=(None, r_t, None))
    (got,) = record.pullback([(y_t, np.ones(3))], [x])
    assert np.array_equal(got, [0.25, 0.0, 0.0])
    (moved,) = record.pushforward([(x, np.ones(3))], [y_t])
    assert np.array_equal(moved, [0.25, 0.0, 0.0])


def test_an_infinite_derivative_stays_infinite() -> None:
    record = Record()
    x = record.input(0.0)
    _, y_t = step(math.sqrt, 0.0, of=(x,))
    assert record.pullback([(y_t, 1.0)], [x]) == [math.inf]


def test_a_matrix_product_with_an_infinite_factor() -> None:
    a, b = np.array([[math.inf, 1.0], [2.0, 3.0]]), np.array([[1.0, 2.0], [3.0, -4.0]])
    record = Record()
    x = record.input(b)
    _, y_t = step(operator.matmul, a, b, of=(None, x))
    (got,) = record.pullback([(y_t, np.array([[0.0, 1.0], [1.0, 1.0]]))], [x])
    assert np.array_equal(got, [[2.0, math.inf], [3.0, 4.0]])
    with np.errstate(all="ignore"):
        rule = lookup(operator.matmul)
        assert rule is not None
        t = tangent(rule, a @ b, (a, b), {}, (None, np.array([[0.0, 1.0], [1.0, 0.0]])), {})
    assert np.array_equal(t, [[1.0, math.inf], [3.0, 2.0]])


def test_numbers_forward_have_strong_zeros_too() -> None:
    _, t = step(math.sqrt, 0.0, of=(0.0,))
    assert t == 0.0
    _, t = step(np.sqrt, np.zeros(2), of=(np.array([0.0, 1.0]),))
    assert np.array_equal(t, [0.0, math.inf])


# ---- reading and storing


def test_reading_elements_adds_into_one_buffer() -> None:
    record, a = Record(), np.array([1.0, -2.0, 3.0])
    x = record.input(a)
    total_t: Any = None
    for i in (0, 2, 2, -1):
        _, piece = step(operator.getitem, a, i, of=(x, None))
        assert isinstance(record.entries[piece.index][0], Gather)
        total_t = piece if total_t is None else record.add((total_t, piece), 0.0)
    (got,) = record.pullback([(total_t, 1.0)], [x])
    assert np.array_equal(got, [1.0, 0.0, 3.0])


def test_element_reads_cost_constant_time() -> None:
    def seconds(n: int) -> float:
        record = Record()
        a = np.ones(n)
        x = record.input(a)
        pieces = [step(operator.getitem, a, i, of=(x, None))[1] for i in range(400)]
        best = math.inf
        for _ in range(5):
            start = time.perf_counter()
            record.pullback([(p, 1.0) for p in pieces], [x])
            best = min(best, time.perf_counter() - start)
        return best

    # a thousand times the elements, read as often (the zeros themselves are to be made once)
    assert seconds(400_000) < 20 * seconds(400)


@pytest.mark.parametrize(
    "index",
    [
        1,
        -1,
        slice(None, None, 2),
        (slice(None), None),
        np.array([0, 0, 3]),
        [1, 1],
        np.array([True, False, True, True]),
        Ellipsis,
    ],
    ids=str,
)
def test_gather_and_overwrite_are_transposes(index: Any) -> None:
    rng = np.random.default_rng(1)
    a = rng.normal(size=4)
    record = Record()
    x = record.input(a)
    v = record.input(a[index] if np.ndim(a[index]) else float(a[index]))
    piece = record.gather(index, x, a[index])
    new = record.overwrite(index, x, v, a)
    for out, like in ((piece, a[index]), (new, a)):
        ct = rng.normal(size=np.shape(like))
        dx, dv = rng.normal(size=4), rng.normal(size=np.shape(a[index]))
        (moved,) = record.pushforward([(x, dx), (v, dv)], [out])
        back = record.pullback([(out, ct)], [x, v])
        assert np.isclose(inner(ct, moved), inner(back[0], dx) + inner(back[1], dv))


def test_an_overwritten_element_gets_nothing() -> None:
    record, a = Record(), np.array([1.0, 2.0, 3.0])
    x, v = record.input(a), record.input(5.0)
    new = record.overwrite(1, x, v, a)
    assert isinstance(record.entries[new.index][0], Overwrite)
    seed = np.array([1.0, 10.0, 100.0])
    for _ in range(2):  # the seed is neither changed nor handed out
        old_bar, v_bar = record.pullback([(new, seed)], [x, v])
        assert np.array_equal(old_bar, [1.0, 0.0, 100.0]) and v_bar == 10.0
        assert np.array_equal(seed, [1.0, 10.0, 100.0])


def test_a_constant_store_and_a_store_into_zeros() -> None:
    record, a = Record(), np.zeros(3)
    x = record.input(a)
    erased = record.overwrite(slice(0, 2), x, None, a)
    assert np.array_equal(record.pullback([(erased, np.ones(3))], [x])[0], [0.0, 0.0, 1.0])
    v = record.input(2.0)
    filled = record.overwrite(slice(0, 2), None, v, a)
    assert record.pullback([(filled, np.ones(3))], [v]) == [2.0]
    assert np.array_equal(record.pushforward([(v, 1.0)], [filled])[0], [1.0, 1.0, 0.0])


def test_windows_may_be_functions() -> None:
    record, a = Record(), np.zeros((2, 3))
    x, v = record.input(a), record.input(np.ones(2))
    new = record.overwrite(lambda b: b[:, 1], x, v, a)
    piece = record.gather(lambda b: b[0], new, a[0])
    x_bar, v_bar = record.pullback([(piece, np.array([1.0, 2.0, 3.0]))], [x, v])
    assert np.array_equal(x_bar, [[1.0, 0.0, 3.0], [0.0, 0.0, 0.0]]) and np.array_equal(v_bar, [2.0, 0.0])
    (moved,) = record.pushforward([(v, np.ones(2))], [piece])
    assert np.array_equal(moved, [0.0, 1.0, 0.0])


def test_a_window_whose_elements_share_memory() -> None:
    """A broadcast view and a sliding window name one element many times: each time counts."""
    record, a = Record(), np.zeros(4)
    x = record.input(a)
    ct = np.arange(12.0).reshape(3, 4)
    wide = record.gather(lambda b: np.lib.stride_tricks.as_strided(b, (3, 4), (0, 8)), x, ct)
    assert np.array_equal(record.pullback([(wide, ct)], [x])[0], ct.sum(axis=0))
    slide = record.gather(lambda b: np.lib.stride_tricks.as_strided(b, (2, 3), (8, 8)), x, ct[:2, :3])
    assert np.array_equal(record.pullback([(slide, np.ones((2, 3)))], [x])[0], [1.0, 2.0, 2.0, 1.0])


def test_an_index_that_the_program_changes_later() -> None:
    record, a, where = Record(), np.zeros(3), np.array([0, 0])
    x = record.input(a)
    _, piece = step(operator.getitem, a, where, of=(x, None))
    where[:] = 2
    assert np.array_equal(record.pullback([(piece, np.ones(2))], [x])[0], [2.0, 0.0, 0.0])


# ---- spaces


def test_broadcasting_dtype_and_realness_are_undone_once() -> None:
    assert np.array_equal(unbroadcast(np.ones((4, 2, 3)), np.zeros((2, 1))), [[12.0], [12.0]])
    assert unbroadcast(np.ones((2, 2)), 1.5) == 4.0
    assert type(unbroadcast(np.ones((2, 2)), 1.5)) is float
    assert unbroadcast(np.ones(2), np.float32(1.5)).dtype == np.float32
    assert unbroadcast(1.5 + 2j, 1.0) == 1.5
    assert unbroadcast(1.5 + 2j, np.array(1.0)).shape == ()
    assert unbroadcast(1.5, 1j) == 1.5 + 0j
    assert unbroadcast(1.5, 3) is None
    assert unbroadcast(np.zeros((3, 0)), np.zeros((1, 0))).shape == (1, 0)


def test_zeros() -> None:
    assert zeros_like_space(1.5) == 0.0
    assert zeros_like_space((1.5, 2, [1j])) == (0.0, None, [0j])
    assert zeros_like_space(np.ones(2, np.float32)).dtype == np.float32
    assert zeros_like_space(np.arange(3)) is None


def test_inner_is_real() -> None:
    assert inner(2.0, 3.0) == 6.0
    assert inner(1j, 1j) == 1.0
    assert inner(1.0, 1j) == 0.0
    assert inner((1.0, None), (2.0, 3.0)) == 2.0
    assert inner(np.array([1 + 1j]), np.array([1 - 1j])) == 0.0


def test_a_complex_gradient_points_uphill() -> None:
    record, z = Record(), np.array([3 + 4j, -1j])
    x = record.input(z)
    _, y_t = step(np.abs, z, of=(x,))
    (got,) = record.pullback([(y_t, np.ones(2))], [x])
    assert np.allclose(got, z / np.abs(z))


# ---- symbolic tangents in rules


def test_a_rule_written_with_numpy_runs_on_entries() -> None:
    record, a = Record(), np.array([[2.0, 1.0], [0.5, 3.0]])
    x = record.input(a)
    lin = np.sum(a @ x.T @ a, axis=0)[::-1] * 2.0 - x[0] / 4.0 + np.where([True, False], x[:, 1], 0)
    assert (
        isinstance(lin, Lin) and lin.shape == (2,) and lin.dtype == float and len(lin) == 2 and lin.ndim == 1
    )
    dx = np.array([[1.0, -2.0], [0.5, 0.25]])
    expected = np.sum(a @ dx.T @ a, axis=0)[::-1] * 2.0 - dx[0] / 4.0 + np.where([True, False], dx[:, 1], 0)
    assert np.allclose(record.pushforward([(x, dx)], [lin])[0], expected)
    ct = np.array([0.3, -0.7])
    assert np.isclose(inner(record.pullback([(lin, ct)], [x])[0], dx), inner(ct, expected))


@pytest.mark.parametrize(
    "wrong",
    [
        lambda t: t * t,
        lambda t: t + 1.0,
        lambda t: np.sin(t),
        lambda t: 1.0 / t,
        lambda t: np.max(t),
        lambda t: np.array([t, t]) ** 2,
        lambda t: t**2,
        lambda t: np.asarray(t, dtype=object).astype(float),
        lambda t: math.sin(t),
    ],
)
def test_what_is_not_linear_is_refused(wrong: Any) -> None:
    with pytest.raises(TypeError):
        wrong(Record().input(np.ones(2)))


# ---- applications


def test_a_record_is_read_by_many_threads() -> None:
    record, a = Record(), np.linspace(0.1, 1.0, 50)
    x = record.input(a)
    value, lin = a, x
    for _ in range(20):
        value, lin = step(np.sin, value, of=(lin,))
        _, piece = step(operator.getitem, value, slice(0, 10), of=(lin, None))
        lin = record.overwrite(slice(0, 10), lin, piece, value)
    seeds = [np.full(50, float(k)) for k in range(8)]
    expected = [record.pullback([(lin, s)], [x])[0] for s in seeds]
    got: list[Any] = [None] * len(seeds)

    def work(k: int) -> None:
        for _ in range(20):
            got[k] = record.pullback([(lin, seeds[k])], [x])[0]

    threads = [threading.Thread(target=work, args=(k,)) for k in range(len(seeds))]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for a_bar, b_bar in zip(expected, got, strict=True):
        assert np.array_equal(a_bar, b_bar)


def test_many_uses_of_one_value() -> None:
    """The first contribution is borrowed, the second makes a buffer; the seed stays as it is."""
    record, a = Record(), np.ones(3)
    x = record.input(a)
    seed = np.array([1.0, 2.0, 3.0])
    outs = [record.add((x,), a) for _ in range(4)]
    (got,) = record.pullback([(o, seed) for o in outs], [x])
    assert np.array_equal(got, 4 * seed) and np.array_equal(seed, [1.0, 2.0, 3.0])


def test_float32_stays_float32() -> None:
    record, a = Record(), np.ones(3, np.float32)
    x = record.input(a)
    y, y_t = step(operator.mul, a, 2.5, of=(x, None))
    assert y.dtype == np.float32 and y_t.dtype == np.float32
    (got,) = record.pullback([(y_t, np.ones(3))], [x])
    assert got.dtype == np.float32


def test_mixed_shapes_and_types() -> None:
    record = Record()
    x, s = record.input(np.ones((2, 1))), record.input(2.0)
    y, y_t = step(operator.mul, np.ones((2, 1)), 2.0, of=(x, s))
    z, z_t = step(operator.add, y, np.ones(3), of=(y_t, None))
    x_bar, s_bar = record.pullback([(z_t, np.ones((2, 3)))], [x, s])
    assert x_bar.shape == (2, 1) and np.all(x_bar == 6.0) and s_bar == 6.0 and type(s_bar) is float
    assert space_of(z_t) == space_of(z)
