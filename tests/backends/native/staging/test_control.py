"""Staging of branches, loops, exits and exceptions: the nest does what the plain call does."""

import math

import numpy as np
import pytest

from tapeless.backends.native.nest import Check, For, If, Swap, While, walk
from tapeless.backends.native.staging import stage
from tapeless.errors import NotCompilable

from .staged import check

XS = [-20.0, -1.0, 0.0, 0.4, 1.0, 3.0, 20.0]


def early_return(x):
    if x > 0:
        return math.sqrt(x)
    y = x * 2
    if y < -10:
        raise ValueError("small")
    return y


def loop_exits(x, n):
    s = 0
    for i in range(n):
        if x < 0:
            continue
        s += x * i
        if s > 10 and x > 2:
            break
    else:
        s = s + 1
    while s < 3:
        s = s + 1.5 + 0.1 * math.sin(s)
    return s


def joined_exits(x, y):
    """Two paths leave, two go on, and what follows runs on those alone."""
    if x > 0:
        if y > 0:
            return 1.0
        z = x
    else:
        if y < -1:
            return -1.0
        z = y
    if z > 0.5:
        z = z * z
    return z + 2.0


def return_from_nested(x):
    for i in range(5):
        for j in range(5):
            if i * j > x:
                return i * 10.0 + j
            x += 0.1
    return x


def while_true(x):
    n = 0
    while True:
        x = x * 0.5 + 1.0
        n += 1
        if x > 1.9 or n > 20:
            break
        if x < -100.0:
            return -1.0, n
    return x, n


def leaves_at_once(x, items):
    """The body never ends: what follows the loop finds what was there before."""
    n = 0
    kept = x * 2.0
    while n < x:
        n += 1
        if len(items) > 1:
            return kept + items[0]
    f = lambda: kept + n  # noqa: E731
    return f() + items[0]


def walrus_test(x):
    total = 0.0
    while (y := x - total) > 0.1:
        total += y / 2
    return total, y


def may_be_unbound(n):
    for i in range(n):
        z = i * 2.0
    return z, i


def matched(x, k):
    match k:
        case 0:
            return x
        case 1 | 2:
            y = x * k
        case _ if x > 1:
            y = -x
        case _:
            y = 0.0
    return y + 1


@pytest.mark.parametrize("x", XS)
@pytest.mark.parametrize("f", [early_return, return_from_nested, while_true, walrus_test])
def test_exits(f, x):
    if f is walrus_test and x > 5:
        x = 2.5
    check(f, x)


def test_a_loop_that_is_left_at_once():
    check(leaves_at_once, 3.0, [1.0, 2.0])
    check(leaves_at_once, -3.0, [1.0, 2.0])
    check(leaves_at_once, 3.0, [1.0])


@pytest.mark.parametrize("x", [-1.0, 1.0, 3.0])
def test_loop_exits(x):
    check(loop_exits, x, 5)
    check(loop_exits, x, 0)


@pytest.mark.parametrize("x", [-1.0, 0.7])
@pytest.mark.parametrize("y", [-2.0, -0.5, 0.6, 2.0])
def test_joined_exits(x, y):
    check(joined_exits, x, y)


def test_a_variable_that_may_be_unbound():
    check(may_be_unbound, 3)
    check(may_be_unbound, 0)


@pytest.mark.parametrize("k", [0, 1, 2, 3])
@pytest.mark.parametrize("x", [0.5, 2.0])
def test_match(x, k):
    check(matched, x, k)


# ---- exceptions


def handled(x):
    try:
        y = 1 / x
        if y > 10:
            raise ValueError("big", 3)
    except ZeroDivisionError:
        y = 0.0
    except ValueError as err:
        y = -1.0 * err.args[1]
    else:
        y += 0.5
    finally:
        x = x + 1
    return y + x


def raised_in_a_call(x, log):
    def inner(v):
        if v > 2:
            raise KeyError("inner")
        return math.sqrt(v)

    total = 0.0
    for k in range(4):
        try:
            total += inner(x + k)
        except ValueError:
            total -= 1.0
        except KeyError as error:
            log[0] = k
            if error.args[0] != "inner":
                raise
        finally:
            total *= 1.5
    return total


def returns_through_finally(x):
    n = 0.0
    for _ in range(3):
        try:
            if x > 1:
                return n
            if x > 0.5:
                break
            n += x
        finally:
            n += 10.0
    return n


class Guarded:
    def __init__(self):
        self.seen = 0.0

    def __enter__(self):
        self.seen += 1.0
        return self

    def __exit__(self, kind, value, trace):
        self.seen += 10.0
        return kind is ValueError


def managed(x):
    guard = Guarded()
    with guard as g:
        g.seen *= 2.0
        y = math.sqrt(x)
        g.seen += y
    return guard.seen


def formatted(x, log):
    log.append(x)
    if x < 0:
        raise ValueError(f"negative: {x}")
    return 1.0 / x


@pytest.mark.parametrize("x", [-1.0, 0.0, 0.01, 0.6, 2.0])
def test_exceptions(x):
    check(handled, x)
    check(raised_in_a_call, x, [0])
    check(returns_through_finally, x)
    check(managed, x)


@pytest.mark.parametrize("x", [-1.0, 0.0, 2.0])
def test_an_exception_with_numbers_and_what_was_changed_before(x):
    staged = check(formatted, x, [0.0])
    assert staged.replay


def divided(a, x):
    a[0] = 5.0
    a[1] = 1 / x
    return a


def test_arrays_are_written_up_to_the_exception():
    check(divided, np.ones(3), 0.0)
    check(divided, np.ones(3), 2.0)


# ---- what loops carry


def relaxed(u, n):
    for _ in range(n):
        u = u + 0.1 * (u * u - u)
    return u


def leapfrog(u, v, n):
    for _ in range(n):
        u, v = v, 2.0 * v - u
    return u, v


def fresh_each_time(u, n):
    for _ in range(n):
        v = np.zeros_like(u)
        for i in range(1, len(u) - 1):
            v[i] = 0.5 * (u[i - 1] + u[i + 1])
        u = v
    return u


def old_and_new(u, n):
    old = u
    for _ in range(n):
        new = u + (u - old) * 0.5 + 0.1
        old = u
        u = new
    return u - old


def shapes_vary(u, n):
    for _ in range(n):
        u = u[:-1] + u[1:]
    return u


@pytest.mark.parametrize("n", [0, 1, 2, 5])
def test_arrays_bound_anew_in_loops(n):
    u, v = np.linspace(0, 1, 7), np.linspace(1, 2, 7) ** 2
    check(relaxed, u, n)
    check(leapfrog, u, v, n)
    check(fresh_each_time, u, n)
    check(old_and_new, u, n)
    check(shapes_vary, u, n)


def test_storage_is_exchanged_not_copied():
    staged = stage(leapfrog, (np.ones(3), np.ones(3), 4))
    assert any(isinstance(s, Swap) for s in walk(staged.function.body))


def aliased(u, n):
    v = u
    for _ in range(n):
        u = u + 1.0
        u[0] = 7.0
        v[1] += 1.0
    return u, v


def test_a_copy_that_would_be_seen_is_refused():
    """At first `u` is the argument, later it is not: storing into it cannot be told apart."""
    with pytest.raises(NotCompilable, match="changed in place"):
        check(conditional_alias, np.ones(3), np.zeros(3), 1.0)
    with pytest.raises(NotCompilable, match="changed in place"):
        check(aliased, np.ones(3), 3)


def conditional_alias(a, b, x):
    c = a if x > 0 else b
    c[0] = 5.0
    return a, b


class Body:
    def __init__(self, x, v):
        self.x, self.v = x, v
        self.steps = 0

    def step(self, dt):
        self.v -= dt * self.x
        self.x += dt * self.v
        self.steps += 1


def simulated(body, n):
    for _ in range(n):
        body.step(0.1)
    return body.x


def made_anew(x, n):
    body = Body(x, 0.0)
    for _ in range(n):
        body = Body(body.x + 1.0, body.v + body.x)
    return body


def test_objects_in_loops():
    check(simulated, Body(1.0, 0.5), 5)
    check(simulated, Body(1.0, 0.5), 0)
    check(made_anew, 1.0, 4)


def lowest(u):
    best = where = None
    for i in range(len(u)):
        if best is None or u[i] < best:
            best, where = u[i], i
    if best is None:
        return None
    return best * 2, where


def test_none_until_something_is_found():
    check(lowest, np.array([3.0, 1.0, 2.0]))
    check(lowest, np.array([]))


def adds_to_maybe(x):
    y = None
    if x > 1:
        y = x
    return y + 1


def test_none_in_arithmetic_raises_as_in_python():
    check(adds_to_maybe, 2.0)
    check(adds_to_maybe, 0.5)


# ---- lengths of loops


def unrolled(x):
    return [x * i for i in range(4)]


def filled_by_an_argument(x, n):
    xs = []
    for i in range(n):
        xs.append(x**i)
    return xs


def test_loops_that_build_lists():
    check(unrolled, 2.0)
    staged = check(filled_by_an_argument, 2.0, 3)
    assert not staged.known
    assert staged.holds((2.0, 4), {})


def neighbours(u):
    for i in range(1, u.shape[0] - 1):
        u[i] = u[i - 1] + u[i + 1]
    return u


def test_indices_in_the_range_of_the_loop_are_not_checked():
    staged = check(neighbours, np.arange(6.0))
    assert not any(isinstance(s, (Check, If)) for s in walk(staged.function.body) if s.line)


def counted(u):
    i, k = 0, 0
    while i < len(u):
        if u[i] > 0:
            u[k] = u[i]
            k += 1
        i += 1
    return k


def test_indices_that_only_grow():
    """Neither index can be negative, and `i` is below the length; of `k` that is not known."""
    staged = check(counted, np.array([1.0, -1.0, 2.0, 3.0]))
    assert sum(isinstance(s, Check) for s in walk(staged.function.body) if s.line) == 1


def out_of_range(u, n):
    s = 0.0
    for i in range(n):
        s += u[i]
    return s + u[-1]


def test_indices_out_of_range():
    check(out_of_range, np.arange(3.0), 3)
    check(out_of_range, np.arange(3.0), 4)
    check(out_of_range, np.arange(0.0), 0)


def test_a_break_makes_a_while_of_a_for():
    staged = stage(loop_exits, (1.0, 3))
    kinds = [type(s) for s in walk(staged.function.body) if isinstance(s, (For, While))]
    assert kinds == [While, While]


# ---- generators


def squares(xs):
    for v in xs:
        if v > 0:
            yield v * v


def generated(u):
    return sum(squares(u)) + max(v for v in u) + sum(v for v in [1.0, 2.0, u[0]]), [*squares((1.0, 2.0))]


def test_generators():
    check(generated, np.array([0.5, -1.0, 2.0]))


def late_binding(x):
    scale = 2.0
    g = (scale * v for v in [x, x * x])
    scale = 3.0
    return sum(g)


def test_a_generator_runs_when_it_is_asked():
    check(late_binding, 0.5)


def interleaved(x):
    log = []

    def g():
        log.append(1.0)
        yield x
        log.append(2.0)

    for v in g():
        log.append(v)
    return log


def test_a_generator_with_effects_runs_step_by_step():
    check(interleaved, 0.5)

    def all_at_once(x):
        log = []

        def g():
            log.append(x)
            yield x

        return list(g()), log

    check(all_at_once, 0.5)


def lists_of_paths(x):
    if x > 0:
        parts = [x]
        parts.append(2.0)
    else:
        parts = [x, 1.0]
    return parts[0] * parts[1]


def lengths_of_paths(x):
    if x > 0:
        parts = [x]
        parts.append(2.0)
    else:
        parts = [x]
    return sum(parts)


@pytest.mark.parametrize("x", [-1.0, 1.0])
def test_lists_made_on_each_path(x):
    check(lists_of_paths, x)
    check(lengths_of_paths, x)
