"""Sets of known items that a compiled program makes and changes."""

import pytest

import tapeless as tl
from checking import check


def added(x):
    seen = set()
    total = 0.0
    for k in [1, 2, 1, 3, 2]:
        if k in seen:
            continue
        seen.add(k)
        total += k * x
    return total * len(seen)


def comprehension(x):
    rests = {k % 3 for k in range(7)}
    return x * sum(rests) + x * x * len({2 * k for k in rests})


def methods(x):
    s = {1, 2, 3}
    s.discard(2)
    s.discard(9)
    s.remove(3)
    s.update([7, 8], (9,))
    t = s | {20} - {1}
    u = t & {7, 20, 30}
    u ^= {30, 7}
    s -= {8}
    same = s
    same.add(100)
    return x * sum(s) + x * x * sum(sorted(t)) + len(u) + max(u)


def asked(x):
    s, t = {1, 2}, set([1, 2, 3])
    total = 0.0
    for k, truth in enumerate(
        [s < t, s <= t, s == t, s != t, s > t, s.issubset(t), t.isdisjoint({9}), 2 in s]
    ):
        if truth:
            total += (k + 1) * x
    return total * x if s else 0.0


def popped(x):
    s = {5}
    last = s.pop()
    return x * last if not s else x


def emptied(x):
    s = {17, 2, 33, 4, 51, 6}
    total = 0.0
    while s:
        total = total * x + s.pop()
    return total


def in_order(x):
    s = set()
    for k in (40, 8, 33, 1, 16, 77, 24):
        s.add(k)
    s.discard(33)
    total = 0.0
    for k in s:
        total = total * x * 0.1 + k
    for k in s | {3, 100}:
        total = total * x * 0.1 - k
    return total + min(set(s)) * x


def on_a_path(x):
    s = {1}
    if x > 1.0:
        s.add(2)
        s.add(3)
    return x * (2.0 if 2 in s else 1.0) * len(s)


def on_two_paths(x):
    s = set()
    if x > 1.0:
        s.add(2)
    else:
        s.add(3)
    s.add(4)
    return x * 5.0 * len(s) if 3 in s else x * x * len(s)


def a_number_in_it(x):
    s = {1.0, 2.0}
    s.add(3.0)
    return x * x if x in s else 2.0 * x


def looked_up_in_a_loop(x):
    s = {1, 4}
    s.add(9)
    total = 0.0
    for k in range(12):
        if k in s:
            total += k * x
    return total


PROGRAMS = [
    added, comprehension, methods, asked, popped, emptied, in_order, on_a_path, on_two_paths, a_number_in_it,
    looked_up_in_a_loop,
]  # fmt: skip


@pytest.mark.parametrize("f", PROGRAMS)
def test_sets_that_change(f):
    compiled, slope = tl.jit(f), tl.jit(tl.grad(f))
    for x in (1.3, 0.7, 3.0):
        if x != 3.0:  # where a_number_in_it jumps
            check(f, x)
        assert compiled(x) == pytest.approx(f(x), rel=1e-14)
        assert slope(x) == pytest.approx(tl.grad(f)(x), rel=1e-13)


def test_a_set_is_returned():
    def f(x):
        s = {1, 2}
        s.add(3)
        return x * 2.0, s, {4, 5}, [s]

    compiled = tl.jit(f)
    first, again = compiled(1.0), compiled(1.0)
    assert first == f(1.0)
    assert type(first[1]) is set and first[1] is first[3][0] and first[1] is not again[1]


@pytest.mark.parametrize("name", ["remove", "pop", "changed"])
def test_what_a_set_raises(name):
    def f(x):
        s = {1, 2}
        if name == "remove":
            s.remove(7)
        if name == "pop":
            s.clear()
            s.pop()
        for k in s:
            s.add(k + 10)
        return x

    for g in (f, tl.jit(f)):
        with pytest.raises((KeyError, RuntimeError)) as raised:
            g(1.0)
    with pytest.raises(type(raised.value)) as plain:
        f(1.0)
    assert str(plain.value) == str(raised.value)
