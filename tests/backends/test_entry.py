"""The typed road end to end: values, gradients, effects, guards, strong zeros, records that are read
twice."""

import copy
import math
import types

import numpy as np
import pytest
from typed_programs import IDS, PROGRAMS

import tapeless as tl
from tapeless.backends.python.entry import reverse_entry
from tapeless.backends.python.linear_entry import call_linearized, vjp_entry
from tapeless.specialise.types import NotTyped


def flat(x):
    if isinstance(x, (tuple, list)):
        return np.concatenate([flat(e) for e in x]) if x else np.zeros(0)
    return np.ravel(np.asarray(x, float))


def moved(x, step):
    """`x` with the first len(step) numbers of it changed, and what is left of the step."""
    if isinstance(x, (tuple, list)):
        out = []
        for e in x:
            e, step = moved(e, step)
            out.append(e)
        return type(x)(out), step
    n = np.size(x)
    new = np.reshape(np.asarray(x, float).ravel() + step[:n], np.shape(x))
    return (new if isinstance(x, np.ndarray) else float(new)), step[n:]


def slope(f, args, nums, direction, h=1e-6):
    values = []
    for s in (h, -h):
        new = list(copy.deepcopy(args))
        part = direction * s
        for n in nums:
            new[n], part = moved(new[n], part)
        values.append(f(*new))
    return (values[0] - values[1]) / (2 * h)


@pytest.mark.parametrize(("f", "args", "nums"), PROGRAMS, ids=IDS)
def test_value_and_gradient(f, args, nums, capsys):
    entry = reverse_entry(f, copy.deepcopy(args), {}, nums, with_value=True, has_aux=False)
    plain = f(*copy.deepcopy(args))
    printed = capsys.readouterr().out
    value, grads = entry.call(*copy.deepcopy(args))
    assert capsys.readouterr().out == printed
    assert value == plain and type(value) is type(plain)
    for n, g in zip(nums, grads, strict=True):
        assert type(g) is type(args[n]) and np.shape(g) == np.shape(args[n])
    rng = np.random.default_rng(1)
    gradient = flat(grads)
    for _ in range(2):
        direction = rng.standard_normal(gradient.size)
        expected = slope(f, args, nums, direction)
        assert math.isclose(gradient @ direction, expected, rel_tol=1e-5, abs_tol=1e-5)


@pytest.mark.parametrize(("f", "args", "nums"), PROGRAMS, ids=IDS)
def test_a_pullback_reads_its_record_again(f, args, nums):
    run = vjp_entry(f, args, {}, nums)
    given = copy.deepcopy(args)
    value, record, pull = run(*given)
    for a in given:
        if isinstance(a, np.ndarray):
            a[...] = np.nan  # what the user does to the arguments changes nothing
    first, second, double = pull(record, 1.0), pull(record, 1.0), pull(record, 2.0)
    np.testing.assert_array_equal(flat(first), flat(second))
    np.testing.assert_allclose(flat(double), 2 * flat(first), rtol=1e-12)
    entry = reverse_entry(f, args, {}, nums, with_value=False, has_aux=False)
    np.testing.assert_allclose(flat(first), flat(entry.call(*args)), rtol=1e-12)


def test_gradients_share_no_memory():
    def f(x, y):
        return np.sum(x + y)

    x = np.ones(3)
    gx, gy = reverse_entry(f, (x, x), {}, (0, 1), with_value=False, has_aux=False).call(x, x)
    assert not np.shares_memory(gx, gy) and not np.shares_memory(gx, x)
    gx[0] = 5.0


SCALE = 2.0


def helper(x):
    return x * SCALE


def uses_helper(x):
    return helper(x) + SCALE


def test_guards(monkeypatch):
    misses = []
    entry = reverse_entry(uses_helper, (3.0,), {}, 0, with_value=True, has_aux=False)
    entry.miss = lambda *args: misses.append(args)
    assert entry.call(3.0) == (8.0, 2.0)
    monkeypatch.setitem(globals(), "SCALE", 5.0)
    assert entry.call(3.0) == (20.0, 5.0)  # read live
    entry.call(np.float64(3.0))
    assert misses == [(3.0,)]
    monkeypatch.setitem(globals(), "helper", lambda x: x)
    entry.call(3.0)
    assert len(misses) == 2


def test_strong_zeros_and_silence(recwarn):
    def root(x):
        return math.sqrt(x * x) if x >= 0.0 else -x

    def masked(x):
        return np.sum(np.where(x > 0, np.sqrt(x), 0.0))

    def steep(x):
        return math.sqrt(x)

    assert reverse_entry(root, (1.0,), {}, 0, with_value=False, has_aux=False).call(0.0) == 0.0
    assert reverse_entry(steep, (1.0,), {}, 0, with_value=False, has_aux=False).call(0.0) == math.inf
    x = np.array([0.0, 4.0])
    g = reverse_entry(masked, (x,), {}, 0, with_value=False, has_aux=False).call(x)
    np.testing.assert_array_equal(g, [0.0, 0.25])
    assert not recwarn


def test_exceptions_of_the_program_pass():
    def f(x):
        if x < 0.0:
            raise KeyError("below")
        return 1.0 / x

    entry = reverse_entry(f, (2.0,), {}, 0, with_value=True, has_aux=False)
    assert entry.call(2.0) == (0.5, -0.25)
    with pytest.raises(KeyError, match="below"):
        entry.call(-1.0)
    with pytest.raises(ZeroDivisionError):
        entry.call(0.0)


def test_has_aux():
    def f(x):
        return x * x, x + 1.0

    assert reverse_entry(f, (3.0,), {}, 0, with_value=False, has_aux=True).call(3.0) == (6.0, 4.0)


def test_single_precision():
    x = np.arange(3, dtype=np.float32)
    entry = reverse_entry(lambda x: (np.sin(x) * x).sum(), (x,), {}, 0, with_value=True, has_aux=False)
    value, g = entry.call(x)
    assert value.dtype == g.dtype == np.float32


def test_calls_from_the_untyped_road():
    def f(x, k=2.0):
        return x * x * k

    value, record, pull = call_linearized(f, (3.0,), (True,))
    assert (value, pull(record, 1.0)) == (18.0, (12.0,))
    value, record, pull = call_linearized(f, (np.ones(2),), (True,))
    np.testing.assert_array_equal(pull(record, np.ones(2))[0], [4.0, 4.0])


def refused_write(x):
    x[0] = 1.0
    return x.sum()


def refused_out(x):
    a = np.zeros(2)
    np.multiply(x, 2.0, out=a)
    return a.sum()


def refused_nested_return(x):
    for i in range(3):
        for j in range(3):
            x = x * 1.1
            if i * j > 2:
                return x
    return x


def refused_shared_list(x):
    xs = [x]
    ys = (xs, xs)
    xs.append(x)
    return ys[0][1]


@pytest.mark.parametrize(
    ("f", "args"),
    [
        (refused_write, (np.ones(2),)),
        (refused_out, (np.ones(2),)),
        (refused_nested_return, (1.0,)),
        (refused_shared_list, (1.0,)),
        (math.sin, (1.0,)),
        (lambda x: int(x), (1.0,)),
    ],
)
def test_what_is_not_known_is_refused(f, args):
    with pytest.raises(NotTyped):
        reverse_entry(f, args, {}, 0, with_value=True, has_aux=False)


def test_source_is_readable():
    source = reverse_entry(PROGRAMS[3][0], (1.0, 0.2), {}, (0, 1), with_value=True, has_aux=False).source
    assert "q_bar -= math.cos(q_3) * (0.5 * dt * p_bar)" in source
    assert "for q_2, q_3 in zip(reversed(saved_q_2), reversed(saved_q_3)):" in source


def test_deep_recursion_needs_no_more_frames():
    namespace = {}
    source = "def down(x, n):\n    return x if n == 0 else 0.999 * down(x, n - 1)\n"
    import linecache

    linecache.cache["<deep>"] = (len(source), None, source.splitlines(True), "<deep>")
    exec(compile(source, "<deep>", "exec"), namespace)
    assert isinstance(namespace["down"], types.FunctionType)
    entry = reverse_entry(namespace["down"], (1.0, 3), {}, 0, with_value=False, has_aux=False)
    assert math.isclose(entry.call(1.0, 800), 0.999**800, rel_tol=1e-9)


def test_one_cotangent_for_two_parts_is_copied():
    def f(params, z):
        a, b = params
        return np.sum(a + b) + z * np.sum(b * 0.0)

    params = (np.ones(3), np.zeros(3))
    (ga, gb), gz = reverse_entry(f, (params, 2.0), {}, (0, 1), with_value=False, has_aux=False).call(
        params, 2.0
    )
    assert not np.shares_memory(ga, gb) and gz == 0.0


def test_a_cotangent_that_is_written_into_is_not_shared():
    def f(x, y):
        a = np.zeros(3)
        a += x
        a[0] = y[0] * 2.0
        a *= 1.5
        b = a * y
        return b.sum()

    x, y = np.array([0.3, 0.4, 0.5]), np.array([1.0, 2.0, 3.0])
    gx, gy = reverse_entry(f, (x, y), {}, (0, 1), with_value=False, has_aux=False).call(x, y)
    np.testing.assert_allclose(gx, [0.0, 3.0, 4.5])
    np.testing.assert_allclose(gy, [1.5 * 2.0 * 2.0, 0.6, 0.75])


@pytest.mark.parametrize("nums", [0, 1, 2, (0, 1), (0, 2), (0, 1, 2)])
def test_a_cached_call_with_parts_in_two_arguments(nums):
    """Arguments that share a part are one variable, wherever the part is; a later call must notice."""

    def f(xs, ys, pair):
        return np.sum(xs[0] * ys[1]) + np.sum(xs[1] * pair[0][0]) + np.sum(ys[0] * pair[0][1] * xs[0])

    def arrays():
        return [np.array([0.3 * k + 0.2, 1.0 - k]) for k in range(2)]

    gradient = tl.grad(f, nums)
    for i, j, k in [(0, 1, 0), (0, 2, 1), (1, 2, 0), (0, 0, 0)]:
        args = (arrays(), arrays(), (arrays(), 1.0))
        gradient(*args)
        lists = args[0], args[1], args[2][0]
        lists[j][1 - k if i == j else k] = lists[i][k]
        fresh = tl.grad(lambda *a: f(*a), nums)(*args)
        assert flat(gradient(*args)) == pytest.approx(flat(fresh))
