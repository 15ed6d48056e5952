"""for, while, their else, break, continue, early return, and what a loop leaves behind."""

import math

import numpy as np
import pytest

import tapeless as tl
from checking import check

POINTS = [0.3, 0.8, 1.7]


def counted(x):
    y = 1.0
    for i in range(6):
        y = y * x + math.sin(i * x)
    return y + i


def steps(x):
    y = x
    for i in range(10, 0, -3):
        y += x**i / i
    for _ in range(5, 2):
        y = math.nan
    return y


def taylor(x):
    t, sign = 0.0, -1.0
    for i in range(1, 20):
        if i % 2 == 1:
            term = x**i / math.factorial(i)
            if abs(term) < 1e-8:
                return t
            print("i =", i)
            sign = -sign
            t += sign * term
    return t


def for_else(x):
    y = x
    for _ in range(4):
        y *= 1.0 + x
        if y > 5.0:
            y = y * y
            break
    else:
        y += 10.0 * x
    return y


def while_else(x):
    y, n = x, 0
    while y < 4.0:
        y = y * y + 0.5 + x
        n += 1
        if n == 3:
            break
    else:
        return y * 2.0
    return y - x * n


def newton(x):
    r, n = x, 0
    while abs(r * r - x) > 1e-12:
        r = 0.5 * (r + x / r)
        n += 1
    print("steps", n)
    return r


def never_entered(x):
    y = x * x
    while x < -10.0:
        y = 0.0
    return y


def forever(x):
    y = x
    while True:
        y = y * 1.5 + 0.1
        if y > 10.0:
            return y
        if y < 0.0:
            break
    return x


def skips(x):
    y = 0.0
    for i in range(8):
        if i % 3 == 0:
            continue
        y += x**i
        if y > 3.0:
            continue
        y *= 1.1
    return y


def nested_breaks(x):
    total = 0.0
    for i in range(4):
        for j in range(4):
            if i * j > 4:
                break
            if (i + j) % 3 == 2:
                continue
            total += x ** (i + 1) * (j + 1)
        else:
            total *= 1.0 + x
            continue
        total -= x
        if total > 40.0:
            break
    return total


def return_from_nested(x):
    for i in range(5):
        y = x * i
        while y < 2.0:
            y = y + x * x + 0.1
            if y > 1.5 and i == 2:
                return y * x + i
    return y


def over_values(x):
    total = x
    for k, v in enumerate([x, x * x, 2.0, math.sin(x)]):
        total = total * v + k
    for c in "abc":
        total += ord(c) * x
    return total


def loop_variable_overwritten(x):
    y = 0.0
    for v in [x, x * 2.0, x * 3.0]:
        v = v * v
        y += v
    return y * v


def changed_while_iterated(x):
    items = [x]
    for v in items:
        if len(items) < 5:
            items.append(v * x + 0.1)
    return sum(items)


def tail_after_return_in_else(x):
    for i in range(3):
        if x * i > 2.5:
            break
    else:
        return x**4
    return x * i


def many_exits(x):
    y = x
    for i in range(10):
        if y > 3.0:
            return y
        if i == 7:
            break
        if i % 2:
            y += x
            continue
        y *= 1.0 + 0.5 * x
    return -y


@pytest.mark.parametrize("x", POINTS)
@pytest.mark.parametrize(
    "program",
    [
        counted,
        steps,
        taylor,
        for_else,
        while_else,
        newton,
        never_entered,
        forever,
        skips,
        nested_breaks,
        return_from_nested,
        over_values,
        loop_variable_overwritten,
        changed_while_iterated,
        tail_after_return_in_else,
        many_exits,
    ],
)
def test_loops(program, x):
    check(program, x)


def over_rows(a):
    total = np.zeros(a.shape[1])
    for row in a:
        total = total * row + np.sin(row)
    for i, row in enumerate(a.T):
        total[i] += row @ row
    return total


def recurrence(x):
    h = np.zeros(3)
    for k in range(len(x)):
        h = np.tanh(h * x[k] + np.roll(h, 1) + 0.3 * k)
    return h


def until_small(x):
    while np.max(np.abs(x)) > 0.1:
        x = x * np.sin(x) * 0.9
    return x


def test_loops_over_arrays():
    a = np.array([[0.3, -0.8, 1.2], [0.5, 0.1, -0.4]])
    check(over_rows, a)
    check(recurrence, a[0])
    check(until_small, a)


def after_no_round(x, n):
    for _ in range(n):
        y = x * 2.0
    return y * x


def after_no_while(x, n):
    while n > 0:
        z = x * 2.0
        n -= 1
    return x * z


def after_del(x, n):
    y = x * 2.0
    for k in range(2):
        x = x + y * k
        if k == n:
            del y
    return x


def before_the_store(x, n):
    try:
        if n:
            raise ValueError
        w = x * 3.0
    except ValueError:
        pass
    return w * x


class Held:  # whoever stores a list is not specialised
    pass


@pytest.mark.parametrize(
    "f, stops, runs",
    [(after_no_round, 0, 2), (after_no_while, 0, 2), (after_del, 0, 5), (before_the_store, 1, 0)],
)
def test_an_unbound_name_is_called_by_its_own_name(f, stops, runs):
    def held(x, n):
        box = Held()
        box.value = [x, f]
        return box.value[1](box.value[0], n)

    with pytest.raises(UnboundLocalError) as plain:
        held(0.7, stops)
    for g in (tl.grad(held), lambda x, n: tl.jvp(held, (x, n), (1.0, None))):
        with pytest.raises(UnboundLocalError) as derived:
            g(0.7, stops)
        assert str(derived.value) == str(plain.value)
    check(lambda x: held(x, runs), 0.7)
