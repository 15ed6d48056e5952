"""try/except/else/finally, nested, re-raised, chained, with active payloads; and exceptions that leave."""

import math

import asserting
import numpy as np
import pytest

from checking import check


class Overshoot(Exception):
    def __init__(self, value, factor=2.0):
        super().__init__(value)
        self.value = value
        self.factor = factor


def limited(x):
    if x > 1.0:
        raise Overshoot(x * x, factor=x)
    return x * 3.0


def all_clauses(x):
    y = x
    try:
        y = limited(x)
        print("no exception")
    except Overshoot as e:
        y = e.value + e.factor * 4.0
    else:
        y *= x
    finally:
        y += x
        print("finally")
    return y


def payload(x):
    try:
        raise ValueError("bad", x * x, [x])
    except ValueError as e:
        return e.args[1] * e.args[2][0] + len(e.args[0])


def partial_progress(x):
    total = 0.0
    try:
        for k in range(10):
            total += x**k
            limited(total / 2.0)
    except Overshoot as e:
        total *= e.value
    return total


def nested_handlers(x):
    y = x
    try:
        try:
            y *= 2.0
            limited(y)
            y += 1.0
        except KeyError:
            y = 0.0
        finally:
            y *= x
    except Overshoot as e:
        y += e.value
    return y


def reraised(x):
    log = [x]
    try:
        try:
            limited(x * 3.0)
        except Overshoot as e:
            log.append(e.value)
            e.value = e.value * 2.0
            raise
        finally:
            log.append(x * 5.0)
    except Exception as e:
        log.append(e.value)
    return sum(v * (k + 1.0) for k, v in enumerate(log))


def chained(x):
    try:
        try:
            limited(x + 2.0)
        except Overshoot as e:
            raise RuntimeError(e.value * x) from e
    except RuntimeError as e:
        return e.args[0] + e.__cause__.factor


def return_in_finally(x):
    try:
        limited(x + 1.0)
        return x
    except ZeroDivisionError:
        return 0.0
    finally:
        return x * x * 7.0  # noqa: B012


def return_overridden(x):
    def f():
        try:
            return x
        finally:
            print("leaving")

    for _ in range(3):
        try:
            x = f() * 2.0
            if x > 3.0:
                continue
            x += 0.1
        finally:
            x *= 1.5
    return x


def break_through_finally(x):
    total = 0.0
    for k in range(5):
        try:
            if k == 3:
                break
            if k == 1:
                continue
            total += x**k
        finally:
            total *= 1.0 + x
    return total


def several_types(x):
    total = x
    for action in range(5):
        try:
            if action == 0:
                [x][3]
            elif action == 1:
                {}["missing"]
            elif action == 2:
                total = 1 / 0
            elif action == 3:
                int("no")
            total += 1.0
        except (IndexError, KeyError):
            total *= x
        except ArithmeticError as e:
            total += x if "division" in str(e) else 0.0
        except Exception:
            total = total**2
    return total


def domain_error(x):
    total = 0.0
    for v in (x, -x, x * 2.0):
        try:
            total += math.sqrt(v) * math.log(v)
        except ValueError:
            total += v * v
    return total


def stores_before_raise(x):
    state = {"n": x, "items": [x]}

    def update():
        state["n"] *= x
        state["items"].append(state["n"])
        state["items"][0] = x**3
        limited(x * 5.0)
        state["n"] = 0.0

    try:
        update()
    except Overshoot:
        pass
    return state["n"] + sum(state["items"])


def handler_raises(x):
    try:
        try:
            limited(x * 9.0)
        except Overshoot as e:
            limited(e.value)
    except Overshoot as e:
        return e.value * e.__context__.value


def deferred(x):
    saved = None
    try:
        limited(x * 4.0)
    except Overshoot as e:
        saved = e
    return saved.value * saved.args[0]


@pytest.mark.parametrize("x", [0.4, 0.7, 1.3])
@pytest.mark.parametrize(
    "program",
    [
        all_clauses,
        payload,
        partial_progress,
        nested_handlers,
        reraised,
        chained,
        return_in_finally,
        return_overridden,
        break_through_finally,
        several_types,
        domain_error,
        stores_before_raise,
        handler_raises,
        deferred,
    ],
)
def test_exceptions(program, x):
    check(program, x)


def array_progress(x):
    y = x.copy()
    try:
        for i in range(10):
            y[i] = y[i] ** 2 * x[0]
    except IndexError:
        y *= 2.0
    return y


def test_array_stores_before_an_exception():
    check(array_progress, np.array([0.5, -0.3, 1.2]))


def escapes(x):
    x[0] = x[1] * 2.0
    print("so far", x[0])
    raise Overshoot(7.0)


def escapes_from_a_loop(x):
    for k in range(5):
        x.append(x[k] * 2.0)
        if k == 2:
            return {}[x[-1]]


@pytest.mark.parametrize("program", [escapes, escapes_from_a_loop])
def test_exceptions_that_leave(program):
    check(program, [0.5, 1.5])


def deleted(x):
    y = x * x
    z = [y, x, 3.0]
    d = {"a": y, "b": x}
    del z[0], d["a"]
    del y
    try:
        return y  # noqa: F821
    except NameError as e:
        print(e)
        return z[0] * d["b"] * len(z)


def test_assert_and_del():
    check(asserting.asserted, 0.7)
    check(asserting.asserted_and_caught, 0.4)
    check(asserting.asserted_and_caught, 0.9)
    check(asserting.asserts, [0.5, 1.5])
    check(deleted, 0.7)
