"""What a condition says holds on the paths it chose; where paths meet again it is asked anew."""

import pytest

import tapeless as tl


def early(x, c):
    if c:
        return x * 2.0
    return x * 3.0


def maybe(x, c):
    if c:
        return x * 2.0
    return None


def after_a_return(x, n):
    y = early(x, n > 2)
    if n > 2:
        return y + 1.0
    return y * x


def after_a_return_of_none(x, n):
    y = maybe(x, n > 2)
    return y + 1.0 if n > 2 else x


def after_a_break(x, n):
    for k in (1.0, 2.0):
        x *= k + 0.5
        if n > 2:
            break
    return x + 1.0 if n > 2 else x * x


def after_a_continue(x, n):
    for k in (1.0, 2.0):
        if n > 2:
            continue
        x *= k + 0.5
    return x + 1.0 if n > 2 else x * x


def after_a_loop(x, n):
    for k in range(4):
        x *= 1.5
        if n > k + 1:
            break
    return x + 1.0 if n > 2 else x * x


def in_a_handler(x, n):
    try:
        if n > 2:
            raise ValueError
        x *= 2.0
    except ValueError:
        x = x * 5.0 if n > 2 else x * 7.0
    return x + 1.0 if n > 2 else x * x


def after_finally(x, n):
    for _ in range(2):
        try:
            if n > 2:
                continue
            x *= 2.0
        finally:
            x = x + 0.5 if n > 2 else x - 0.5
    return x


def by_flag(x, flag):
    y = early(x, flag)
    for _ in (0, 1):
        if not flag:
            break
        y *= 1.5
    return y if flag else y * x


def known_on_all_paths(x, n):
    if n > 2:
        if x > 1.0:
            return x
        y = early(x, n > 1)
        return y if n > 0 else x * 100.0
    return -x


PROGRAMS = [
    after_a_return, after_a_return_of_none, after_a_break, after_a_continue, after_a_loop, in_a_handler,
    after_finally, by_flag, known_on_all_paths,
]  # fmt: skip


@pytest.mark.parametrize("f", PROGRAMS, ids=lambda f: f.__name__)
def test_conditions_after_paths_meet(f):
    for first in (1, 3):
        compiled, slope = tl.jit(f), tl.jit(tl.grad(f))
        for n in (first, 1, 2, 3, 4):
            for x in (0.7, 1.3):
                assert compiled(x, n) == f(x, n)
                assert abs(slope(x, n) - tl.grad(f)(x, n)) < 1e-14


def test_by_flag_of_run_time():
    def f(x, y):
        return by_flag(x, x > y)

    for first in (0.5, 2.0):
        compiled = tl.jit(f)
        assert [compiled(1.2, y) for y in (first, 0.5, 2.0)] == [f(1.2, y) for y in (first, 0.5, 2.0)]
