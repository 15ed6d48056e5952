"""Lists whose length is known at run time only: compiled without unrolling, with their derivatives."""

import math

import numpy as np
import pytest

import tapeless as tl
from checking import check
from tapeless.backends.native.nest import Grow, walk
from tapeless.backends.native.staging import stage


def doublings(x):
    out = []
    while x < 10.0:
        x *= 2.0
        out.append(x)
    return out[-1] * out[0] + sum(out)


def multiples(x, n):
    xs = [i * x for i in range(n)]
    return sum(xs) + xs[-1] * len(xs)


def euler(x, n):
    xs, vs = [x], [1.0]
    for i in range(n):
        vs.append(vs[-1] - 0.1 * math.sin(xs[i]))
        xs.append(xs[-1] + 0.1 * vs[-1])
    xs = np.array(xs)
    return np.sum(xs**2) + max(vs)


def points(x, n):
    path = []
    for i in range(n):
        path.append((math.sin(x * i), math.cos(x)))
    total = 0.0
    for a, b in path:
        total += a * b
    return total * path[2][1] + np.array(path).sum(axis=0)[0]


def chosen(a):
    out = []
    for v in a:
        if v > 0.3:
            out.append(v * v)
    return np.mean(out) + sum(out) + (out[0] if out else 0.0)


def queue(x, n):
    items = [x]
    for _ in range(n):
        if len(items) > 3:
            items.pop()
            items.pop(0)
        else:
            items.append(items[-1] * 0.9)
        items.insert(0, items[0] + 0.1)
    items.reverse()
    items[1] *= x
    return items[0] + items[-1] * 2.0 + sum(items[1:]) + items.pop() + sum(items[:2]) + items[::-1][0]


def table(x, n):
    t = [0.0] * n
    for i in range(1, n):
        t[i] = t[i - 1] + math.sin(x * i)
    return t[-1]


class Pendulum:
    def __init__(self, angle):
        self.angle = angle
        self.history = []

    def step(self):
        self.angle = 0.9 * math.sin(self.angle) + 0.1
        self.history.append(self.angle)


def recorded(x, n):
    p = Pendulum(x)
    for _ in range(n):
        p.step()
    return sum(h * h for h in p.history)


def rows(a, n):
    total = 0.0
    for i in range(n):
        row = []
        for j in range(i):
            row.append(a[j] * i)
        total += sum(row)
    return total


def pairs(x, n):
    xs = [x]
    for _ in range(n):
        xs.append(xs[-1] * 0.9 + 0.1)
    return sum(i * v for i, v in enumerate(xs)) + sum(a * b for a, b in zip(xs, xs[1:], strict=False))


def branches(x):
    xs = [x]
    if x > 0.2:
        xs.append(x * x)
    ys = list(xs)
    ys.append(3.0 * x)
    return xs[-1] + len(xs) * sum(ys)


A = np.linspace(0.05, 0.95, 40)
CASES = [
    (doublings, (0.3,)),
    (multiples, (0.3, 40)),
    (euler, (0.4, 50)),
    (points, (0.3, 40)),
    (chosen, (A,)),
    (queue, (0.3, 40)),
    (table, (0.2, 45)),
    (recorded, (0.2, 45)),
    (rows, (A, 39)),
    (pairs, (0.3, 50)),
    (branches, (0.7,)),
]


@pytest.mark.parametrize(("f", "args"), CASES, ids=lambda x: getattr(x, "__name__", None))
def test_growing_lists(f, args):
    assert any(isinstance(s, Grow) for s in walk(stage(f, args).function.body)) or f is table
    x, *rest = args

    def of_x(x):
        return f(x, *rest)

    check(of_x, x, native=True)
    if isinstance(x, float):
        second = tl.jit(tl.grad(tl.grad(of_x)))
        assert second(x) == pytest.approx(tl.grad(tl.grad(of_x))(x), rel=1e-9)
        slope = tl.jit(lambda x: tl.jvp(of_x, (x,), (1.0,)))(x)
        assert slope == pytest.approx(tl.jvp(of_x, (x,), (1.0,)), rel=1e-10)


def test_one_version_for_any_length():
    fast = tl.jit(multiples)
    for n in (40, 3, 1, 17):
        assert fast(0.3, n) == multiples(0.3, n)
    assert len(fast.entries) == 1
    with pytest.raises(IndexError, match="list index out of range"):
        fast(0.3, 0)


def primes(n):
    found = []
    for k in range(2, n):
        for p in found:
            if p * p > k:
                found.append(k)
                break
            if k % p == 0:
                break
        else:
            found.append(k)
    return found


def split(n, x):
    out, small = [], []
    for i in range(n):
        (out if i % 3 else small).append((i, i * x, i > 4))
    return out, {"small": small}


def slow_primes(n):
    found = []
    for k in range(2, n):
        prime = True
        for p in found:
            if k % p == 0:
                prime = False
        if prime:
            found.append(k)
    return found


def chunks(x, n):
    out = []
    for i in range(n):
        if i % 2:
            out.append(x * i)
    return out, out, out[1:], [2 * v for v in out]


def test_growing_lists_are_returned():
    for f, args in ((slow_primes, (100,)), (chunks, (0.3, 40))):
        got = tl.jit(f)(*args)
        assert got == f(*args)
    assert got[0] is got[1]
    assert type(got[0][0]) is float
    for f, args in ((primes, (30,)), (split, (40, 0.5))):  # what cannot grow is unrolled
        assert tl.jit(f, fallback=True)(*args) == f(*args)


def grows_while_read(x, n):
    xs = [x]
    for _ in range(n):
        for v in xs:
            if len(xs) < 9:
                xs.append(v * 0.5)
    return sum(xs)


def test_a_list_that_grows_under_a_loop():
    check(lambda x: grows_while_read(x, 3), 0.3, native=True)


def empties(x, n):
    xs = [x] * 2
    for _ in range(n):
        xs.pop()
    return sum(xs)


def reads(x, n, k):
    xs = []
    for i in range(n):
        xs.append(x * i)
    xs[k] = 1.0
    return xs[k - 1]


def test_growing_lists_raise():
    for f, args, message in (
        (empties, (0.3, 3), "pop from empty list"),
        (reads, (0.3, 4, 4), "list assignment index out of range"),
        (reads, (0.3, 4, -4), "list index out of range"),
    ):
        for call in (tl.jit(f), tl.jit(tl.grad(f))):
            with pytest.raises(IndexError, match=message):
                call(*args)


def inner(x, n):
    kept = []

    def g(y):
        ys = [y]
        for _ in range(n):
            ys.append(math.sin(ys[-1]) + 0.5)
        return sum(ys) * x, ys

    slope, ys = tl.grad(g, has_aux=True)(x)
    for y in ys:
        kept.append(y * slope)
    return sum(kept) + len(kept)


def test_a_growing_list_inside_a_derivative():
    for n in (40, 2):
        assert tl.jit(inner)(0.4, n) == pytest.approx(inner(0.4, n), rel=1e-12)
        assert tl.jit(tl.grad(inner))(0.4, n) == pytest.approx(tl.grad(inner)(0.4, n), rel=1e-10)


def joined(x, n):
    xs, ys = [x], []
    for _ in range(n):
        xs.append(xs[-1] * 0.5 + 1.0)
    for v in xs:
        ys.append(v * v)
    zs = [*xs, 2.0]
    zs = zs + ys + [1.0]
    zs += [x]
    zs += xs
    zs.extend(ys)
    return sum(zs) + len(zs) * zs[-2]


def sorts(x):
    xs = [x, 0.5, x * x, -x, 2.0 * x - 0.3]
    ys = sorted(xs)
    xs.sort(key=lambda v: -v * v)
    zs = sorted([(v * v, v) for v in xs], key=lambda p: p[0], reverse=True)
    return sum(i * v for i, v in enumerate(ys)) + xs[0] * 3.0 + zs[1][1] * 2.0 + zs[-1][0]


def test_joined_and_sorted_lists():
    for x in (0.35, 0.7, -0.2):
        check(lambda x: joined(x, 40), x, native=True)
        check(sorts, x, native=True)


def ties(x):
    return [name for _, name in sorted([(x, 1.0), (0.5, 2.0), (x, 3.0)], key=lambda p: p[0], reverse=True)]


def with_nan(x):
    return sorted([x, 1.0, float("nan"), 0.5])


def test_order_of_equal_items_and_of_nan():
    for x in (0.3, 0.5, 0.7):
        assert tl.jit(ties)(x) == ties(x)
    assert repr(tl.jit(with_nan)(0.7)) == repr(with_nan(0.7))


def first_is_python(x):
    items = [0.0]
    for v in x:
        if v > 0.0:
            items.append(v)
    try:
        return 1.0 / items[0] + x[0]
    except ZeroDivisionError:
        return x[0] * 3.0


def large_integer(x):
    items = []
    for v in x:
        items.append(v if v > 0.0 else 2**60 + 1)
    return int(items[0])


def large_run_time_integer(x, n):
    items = [0.5]
    for _ in range(len(x)):
        items.append(n * 2**50 + 1)
    return int(items[-1])


def index_of_one_class(x):
    items = []
    for v in x:
        items.append(v if v > 0.0 else 1)
    return np.arange(3.0)[items[0]]


def one_of(x, k):
    items = [0.0, 1]
    for v in x:
        items.append(v)
    items.insert(1, 2.0)
    items.reverse()
    items += [3.0]
    copied = items + items[1:]
    copied.pop(0)
    return copied[k]


def in_pairs(x, k):
    items = [(0.0, 1)]
    for i, v in enumerate(x):
        items.append((v, i))
    return items[k][0] * 2.0, items[k][1]


def as_array(x):
    items = []
    for v in x:
        items.append(1 if v < 0.5 else v)
    return np.array(items)


def few(x):
    items = []
    for v in x:
        if v > 0.5:
            items.append(len(items))
    return np.array(items)


def outcome(f, *args):
    """What a call returns, with the classes, or the exception that it raises."""
    try:
        found = f(*args)
    except Exception as error:
        return type(error), str(error)
    parts = found if isinstance(found, tuple) else (found,)
    return [(type(p), getattr(p, "dtype", None), repr(p)) for p in parts]


def test_items_keep_their_classes():
    x = np.linspace(0.1, 2.0, 20)
    for f, args in (
        *[(first_is_python, (v,)) for v in (x, -x)],
        *[(large_integer, (np.array(v),)) for v in ([-1.0, 2.0], [3.5, -1.0])],
        *[(large_run_time_integer, (x, n)) for n in (0, 1, 7, 9, -9)],
        *[(index_of_one_class, (np.array(v),)) for v in ([-1.0, 2.0], [2.0, -1.0])],
        *[(one_of, (x, k)) for k in (0, 5, 18, 19, 20, 21, 22, 23, 30, -1, -2, -3, -4, 99)],
        *[(in_pairs, (x, k)) for k in (0, 1, 20, 21)],
        *[(as_array, (v,)) for v in (x, -x, x + 1.0, x[:0])],
        *[(few, (v,)) for v in (x, -x, x[:0])],
    ):
        assert outcome(tl.jit(f), *args) == outcome(f, *args), (f.__name__, args)
    assert any(isinstance(s, Grow) for s in walk(stage(first_is_python, (x,)).function.body))


def weighted(x):
    items = [0.0, 2]
    for v in x:
        items.append(v * items[-1])
    return sum(items) + items[1] * items[2] + np.array(items).mean() + items[0]


def test_derivatives_with_items_of_several_classes():
    x = np.linspace(0.6, 1.3, 20)
    check(weighted, x, native=True)
    assert tl.jit(tl.grad(first_is_python))(x) == pytest.approx(tl.grad(first_is_python)(x))


def either_class(x, n):
    total = n if n > 0 else 0
    for v in x:
        if v > 0.5:
            total = v
    return int(total), np.arange(3.0)[total if n % 3 == 1 and x[0] < 0.0 else 1]


def test_numbers_of_several_classes_outside_lists():
    for n in (1, 2**60 + 1):
        for x in (np.array([-0.3, 0.4]), np.array([0.3, 1.4])):
            assert outcome(tl.jit(either_class), x, n) == outcome(either_class, x, n)


def squared(x, n):
    y = x[0] if x[0] > 0.0 else n
    return y * y


def test_products_of_integers_among_floats_are_exact():
    for n in (3, 3**19, 3**25, -(2**27)):
        for x in (np.array([0.5]), np.array([-0.5])):
            assert outcome(tl.jit(squared), x, n) == outcome(squared, x, n)


def exchanged(x, n):
    near, far = [x, 1.0], [2.0, x]
    s = 1.0
    for k in range(n):
        for i in range(len(near)):
            s += near[i] * far[i]
        near, far = far, near
        near.append(x * k)
        far.append(s * x)
    return s


def test_lists_that_are_exchanged_and_grow():
    for n in (0, 1, 5):
        assert tl.jit(exchanged, cache=False)(0.6, n) == exchanged(0.6, n)
        want = tl.grad(exchanged)(0.6, n)
        assert tl.jit(tl.grad(exchanged), cache=False)(0.6, n) == pytest.approx(want, rel=1e-12)
