"""Arguments of every kind, closures, global and nonlocal, decorators, recursion, lambdas."""

import functools
import math

import numpy as np
import pytest

from checking import check

FACTOR = 3.0
TOTAL = 0.0
TABLE = np.array([1.0, 2.0, 3.0])


# ---- arguments


def arguments(a, b=2.0, *rest, c, d=4.0, **more):
    return a * b + sum(rest) * c - d * more.get("e", 1.0) + len(more)


def every_kind(x):
    y = arguments(x, c=x)
    y += arguments(x, x * x, c=1.0, d=x)
    y += arguments(x, 2.0, x, 3.0, x * 2.0, c=x, e=x, f=1.0)
    y += arguments(*[x, 2.0], *(x, x), **{"c": x, "e": 5.0})
    return y


def positional_only(a, /, b, *, a_=1.0, **kw):
    return a * b + a_ + kw["a"]


def special_parameters(x):
    return positional_only(x, 2.0, a=x * x) * positional_only(1.0, b=x, a_=x, a=3.0)


def mutable_default(x, store=None):
    store = [] if store is None else store
    store.append(x)
    return sum(store)


def default_evaluated_once(x):
    y = x * x

    def f(v, scale=y, shift=x):
        return v * scale + shift

    y = 0.0
    return f(3.0) + f(x, 2.0) + f(1.0, shift=y)


def returns_many(x):
    def f(v):
        return v * v, {"double": 2.0 * v}, [v, (v + 1.0,)]

    a, d, (b, (c,)) = f(x)
    return a * d["double"] + b * c


def wrong_call(x):
    return positional_only(a=x, b=2.0)


# ---- closures


def counter(x):
    count = x

    def step():
        nonlocal count
        count = count * x + 1.0
        return count

    return step() + step() * step() + count


def late_binding(x):
    fs = [lambda: i * x for i in range(3)]  # noqa: B023
    gs = [lambda i=i: i * x for i in range(3)]
    return sum(f() for f in fs) + sum(g() * g() for g in gs)


def over_containers(x):
    state = {"v": x}
    log = []

    def update(by):
        state["v"] *= by
        log.append(state["v"])

    for by in (2.0, x, 3.0):
        update(by)
    return state["v"] + sum(log)


def shared_cell(x):
    value = x

    def get():
        return value

    def put(v):
        nonlocal value
        value = v

    put(get() ** 2)
    put(get() * 3.0)
    value += 1.0
    return get() * x


def three_deep(x):
    a = x

    def f(b):
        def g(c):
            nonlocal a
            a = a + b * c

            def h():
                nonlocal b
                b = b * a
                return b + c

            return h() + h()

        return g(b + 1.0) + b

    return f(x * 2.0) + a


def returned_closure(x):
    def make(slope):
        def line(v):
            return slope * v + x

        return line

    lines = {k: make(k * x) for k in (1, 2)}
    return lines[1](2.0) * lines[2](x)


def lambdas(x):
    compose = lambda f, g: lambda v: f(g(v))  # noqa: E731
    h = compose(lambda v: v * x, lambda v: v + 1.0)
    return h(h(x)) + (lambda *a, **k: a[0] * k["b"])(x, b=x)


def conditional_closure(x):
    f = math.sin if x > 0.5 else (lambda v: v * v)
    return f(x) + sum(g(x) for g in (math.exp, f, abs))


# ---- global and nonlocal


def rebinds_a_global(x):
    global TOTAL
    TOTAL = x
    for _ in range(3):
        add_to_total(x * x)
    y = TOTAL
    TOTAL = 0.0
    return y * FACTOR


def add_to_total(v):
    global TOTAL
    TOTAL += v * TOTAL


def reads_a_global_array(x):
    return TABLE * x + TABLE[1] ** 2


# ---- decorators


def twice(f):
    @functools.wraps(f)
    def wrapper(*args, **kwargs):
        """twice"""
        return f(*args, **kwargs) + f(*args, **kwargs)

    return wrapper


def scale(by, shift=0.0):
    def decorate(f):
        @functools.wraps(f)
        def wrapper(*args):
            return by * f(*args) + shift

        return wrapper

    return decorate


class Traced:
    def __init__(self, f):
        self.f = f
        functools.update_wrapper(self, f)

    def __call__(self, v):
        print("call", self.f.__name__)
        return self.f(v) * 2.0


def registered(cls):
    cls.bonus = 7.0
    return cls


@registered
class Decorated:
    def __init__(self, v):
        self.v = v

    @twice
    def squared(self, by=1.0):
        return self.v**2 * by


@twice
@scale(3.0, shift=1.0)
def decorated(x):
    return x * x


@Traced
def traced(x):
    return math.sin(x)


def decorated_inside(x):
    @scale(x)
    def f(v):
        return v * v

    d = Decorated(x)
    return f(2.0) + traced(x) + d.squared(by=x) * d.bonus


# ---- recursion


def factorial_like(x, n):
    return 1.0 if n <= 1 else n * x * factorial_like(x, n - 1)


def tree(x, depth):
    if depth == 0:
        return math.sin(x)
    left, right = tree(x * 0.5, depth - 1), tree(x + 0.1, depth - 1)
    return left * right + x


def is_even(x, n):
    return x if n == 0 else is_odd(x * 1.1, n - 1) + x


def is_odd(x, n):
    return x * x if n == 0 else is_even(x * 0.9, n - 1) * x


def ackermann_like(x):
    def f(v, n):
        if n == 0:
            return v * 0.5
        return f(f(v, n - 1) + x, n - 1)

    return f(x, 3)


def recursions(x):
    return factorial_like(x, 5) + tree(x, 3) + is_even(x, 4) * is_odd(x, 4) + ackermann_like(x)


def appends_recursively(x):
    out = []

    def visit(v, depth):
        out.append(v)
        if depth:
            visit(v * x, depth - 1)
            out[0] += v
            visit(v + 0.1, depth - 1)

    visit(x, 2)
    return [out[0], out[-1] * sum(out)]


@pytest.mark.parametrize("x", [0.4, 1.2])
@pytest.mark.parametrize(
    "program",
    [
        every_kind,
        special_parameters,
        mutable_default,
        default_evaluated_once,
        returns_many,
        counter,
        late_binding,
        over_containers,
        shared_cell,
        three_deep,
        returned_closure,
        lambdas,
        conditional_closure,
        rebinds_a_global,
        reads_a_global_array,
        decorated,
        decorated_inside,
        traced,
        recursions,
        appends_recursively,
    ],
)
def test_functions(program, x):
    check(program, x)


def test_wrong_call():
    check(wrong_call, 0.7)


def deep(x, n):
    if n == 0:
        return x
    y = deep(x, n - 1)
    return y + 0.01 * math.sin(y)


def test_deep_recursion():
    check(lambda x: deep(x, 250), 0.7, step=1e-3)


def over_arrays(x):
    w = x * 2.0

    def f(v):
        w[0] += v
        return w.sum()

    def g():
        nonlocal w
        w = w * w

    y = f(x[1])
    g()
    return y * f(3.0) + w


def test_closure_over_arrays():
    check(over_arrays, np.array([0.5, -0.3, 1.1]))
    check(kwargs_array, np.array([0.5, 0.2]))


def kwargs_array(x):
    return arguments(x, x, x, x, c=x, e=x.sum())


def with_several_arguments(a, b, c=2.0):
    return a * b.sum() + c * b


def test_several_arguments():
    check(with_several_arguments, 0.3, np.array([0.5, -0.3]), 1.5)
    check(with_several_arguments, 0.3, np.array([0.5, -0.3]))
