"""The eight small programs that decide the conventions of records, storage and reachability."""

import gc
import math
import time
from functools import reduce

import numpy as np
import pytest

import tapeless as tl
from checking import check

# 1. a caller overwrites what a callee's residuals hold


def energy(y):
    return (y * y).sum()


def overwrites_after_the_call(x):
    y = x * 3.0
    s = energy(y)
    y *= 0
    return s + y.sum()


def overwrites_the_argument(x):
    s = energy(x)
    x *= 0
    return s


def overwrites_in_a_loop(x):
    buffer = np.zeros_like(x)
    total = 0.0
    for k in range(3):
        buffer[:] = x * (k + 1.0)
        total += energy(buffer) * total + energy(buffer)
    buffer[:] = 0.0
    return total


def test_caller_overwrites_what_residuals_hold():
    x = np.array([0.3, -0.7, 1.1])
    check(overwrites_after_the_call, x)
    check(overwrites_the_argument, x)
    check(overwrites_in_a_loop, x * 0.3)


def test_user_overwrites_between_vjp_and_pullback():
    x = np.array([0.3, -0.7, 1.1])
    _, pullback = tl.vjp(energy, x)
    x[:] = 0.0
    np.testing.assert_allclose(pullback(1.0)[0], [0.6, -1.4, 2.2], rtol=1e-12)
    np.testing.assert_allclose(pullback(2.0)[0], [1.2, -2.8, 4.4], rtol=1e-12)


def test_user_overwrites_between_linearize_and_use():
    x = np.array([0.3, -0.7, 1.1])
    _, linear = tl.linearize(energy, x)
    x[:] = 0.0
    assert linear(np.array([1.0, 1.0, 1.0])) == pytest.approx(1.4, rel=1e-12)


# 2. a callee appends to a caller's list, then raises, and the caller catches


def appends_then_raises(items, x):
    items.append(x * x)
    if x > 0.5:
        raise ValueError("too large")
    items.append(x * 3.0)


def catches(x):
    items = [x]
    try:
        appends_then_raises(items, x)
    except ValueError:
        items.append(math.sin(x))
    return sum(items)


def catches_in_a_loop(x):
    items = []
    for k in range(4):
        try:
            appends_then_raises(items, x * (0.4 + 0.3 * k))
        except ValueError as error:
            print("caught", error)
            items.append(x**3)
    total = 0.0
    for k, item in enumerate(items):
        total += item * (k + 1)
    return total


def in_between(items, x):
    items.append(math.cos(x))
    appends_then_raises(items, x * 1.5)
    items.append(x)


def catches_from_two_calls_down(x):
    items = [x * x]
    for k in range(3):
        try:
            in_between(items, x * (k + 0.5))
        except ValueError:
            items[-1] *= 2.0
    return sum(items) * items[0]


@pytest.mark.parametrize("x", [0.3, 0.9])
@pytest.mark.parametrize("program", [catches, catches_in_a_loop, catches_from_two_calls_down])
def test_callee_appends_then_raises(program, x):
    check(program, x)


# 3. sqrt(x * x) at 0


def float_root(x):
    return math.sqrt(x * x)


def numpy_root(x):
    return np.sqrt(x * x)


def test_square_root_of_a_square_at_zero_in_floats():
    assert tl.grad(float_root)(0.0) == 0.0
    assert tl.jvp(float_root, (0.0,), (1.0,)) == (0.0, 0.0)
    out, pullback = tl.vjp(float_root, 0.0)
    assert (out, pullback(1.0)) == (0.0, (0.0,))
    check(float_root, 0.7)


def test_square_root_of_a_square_at_zero_in_arrays():
    x = np.array([0.0, 2.0, -3.0, 0.0])
    out, tangent = tl.jvp(numpy_root, (x,), (np.ones(4),))
    np.testing.assert_array_equal(out, [0.0, 2.0, 3.0, 0.0])
    np.testing.assert_array_equal(tangent, [0.0, 1.0, -1.0, 0.0])
    _, pullback = tl.vjp(numpy_root, x)
    np.testing.assert_array_equal(pullback(np.ones(4))[0], [0.0, 1.0, -1.0, 0.0])
    check(numpy_root, np.array([0.5, -0.4]))


# 4. active values reached through a global, a closure cell inside a C callback, a bound self

STORE = {"gain": 0.0}


def through_a_global(x):
    STORE["gain"] = x * x
    y = scaled(3.0)
    STORE["gain"] = 0.0
    return y


def scaled(y):
    return STORE["gain"] * y


def through_reduce(x):
    return reduce(lambda a, b: a * x + b, [1.0, 2.0, 3.0])


def through_sorted(x):
    seen = []

    def key(item):
        value = (item - x) ** 2
        seen.append(value)
        return value

    order = sorted([1.0, 0.2, 2.0], key=key)
    return order[0] * x + seen[0] + 2.0 * seen[1]


class Scaler:
    def __init__(self, gain):
        self.gain = gain

    def apply(self, y):
        return self.gain * y


def through_a_bound_method(x):
    apply = Scaler(x * x).apply
    return sum(map(apply, [1.0, 2.0, 3.0]))


@pytest.mark.parametrize(
    "program", [through_a_global, through_reduce, through_sorted, through_a_bound_method]
)
def test_active_values_that_are_reached(program):
    check(program, 0.7)


def test_active_global_set_by_the_caller():
    def outer(x):
        return tl.grad(lambda y: y * x * y)(2.0)

    check(outer, 0.7)


# 5. reshape gives a view or a copy


def writes_through_reshape(x):
    b = x.reshape(-1)
    b[0] = 5.0
    b[1] *= 2.0
    return (x * x).sum() + b[1]


def test_reshape_of_contiguous_storage_is_a_view():
    x = np.arange(6.0).reshape(2, 3) + 0.5
    check(writes_through_reshape, x)


def test_reshape_of_strided_storage_is_a_copy():
    x = (np.arange(12.0) + 0.5).reshape(3, 4)[:, 1:3]
    assert not np.shares_memory(x, x.reshape(-1))
    check(writes_through_reshape, x)
    check(writes_through_reshape, (np.arange(12.0) + 0.5).reshape(3, 4)[:, ::2])  # a view after all
    check(writes_through_reshape, np.asfortranarray(np.arange(6.0).reshape(2, 3) + 0.5))


# 6. two generators over the same input


def doubled(xs):
    for x in xs:
        yield 2.0 * x * x


def damped(xs):
    memory = 1.0
    for x in xs:
        memory = memory * x + 1.0
        yield memory


def zipped(xs):
    total = 0.0
    for a, b in zip(doubled(xs), damped(xs), strict=True):
        total += a * b
    return total


def one_abandoned(xs):
    total = 0.0
    left = doubled(xs)
    for k, (a, b) in enumerate(zip(left, damped(xs), strict=False)):
        if k == 2:
            break
        total += a * b
    return total + next(left)


def test_two_generators_in_turn():
    check(zipped, [0.3, 0.8, -0.5, 1.2])
    check(one_abandoned, [0.3, 0.8, -0.5, 1.2])


# 7. recursion


def power(x, n):
    if n == 0:
        return 1.0
    return x * power(x, n - 1)


def power_200(x):
    return power(x, 200)


def search(x, depth):
    total = 0.0
    for k in range(1, 10):
        if k > depth:
            break
        total += x**k / k + 0.1 * search(x, depth - k)
    return total


def search_5(x):
    return search(x, 5)


def test_recursion_with_a_break():
    check(search_5, 0.7)


def test_power_to_depth_200():
    check(power_200, 0.999, step=1e-4)


def fastest(call, repeat=30):
    best = math.inf
    for _ in range(repeat):
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
    return best


@pytest.mark.parametrize("program", [power_200, search_5])
def test_recursion_costs_at_most_four_and_a_half_times_the_program(program):
    gradient = tl.value_and_grad(program)
    gradient(0.999)
    gc.disable()
    try:
        ratio = min(fastest(lambda: gradient(0.999)) / fastest(lambda: program(0.999)) for _ in range(3))
    finally:
        gc.enable()
    assert ratio < 4.5, f"{program.__name__}: value and gradient take {ratio:.2f} times the plain program"


# 8. one array under two attributes, a cycle, a method patched between calls


class Layer:
    def __init__(self, weight):
        self.weight = weight
        self.tied = weight
        self.parent = None

    def apply(self, y):
        return np.tanh(self.weight @ y) + self.tied.T @ y


class Model:
    def __init__(self, weight):
        self.layer = Layer(weight)
        self.layer.parent = self
        self.bias = 0.5

    def loss(self):
        y = self.layer.apply(np.array([1.0, -0.5]))
        return (y * y).sum() * self.layer.parent.bias


def loss_of(model):
    return model.loss()


def loss_after_a_store(model):
    model.layer.tied[0, 1] *= 3.0
    return model.loss() + model.layer.weight[0, 1] ** 2


def test_tied_array_and_cycle():
    weight = np.array([[0.3, -0.2], [0.5, 0.4]])
    check(loss_of, Model(weight.copy()))
    check(loss_after_a_store, Model(weight.copy()))
    gradient = tl.grad(loss_of)(Model(weight))
    assert gradient.layer.weight is gradient.layer.tied
    assert gradient.layer.parent is gradient


def test_method_patched_between_calls(monkeypatch):
    model = Model(np.array([[0.3, -0.2], [0.5, 0.4]]))
    gradient = tl.grad(loss_of)
    before = gradient(model).layer.weight.copy()
    with monkeypatch.context() as patch:
        patch.setattr(Layer, "apply", lambda self, y: self.weight @ y)
        y = model.layer.weight @ np.array([1.0, -0.5])
        want = np.outer(2.0 * 0.5 * y, [1.0, -0.5])
        np.testing.assert_allclose(gradient(model).layer.weight, want, rtol=1e-12)
    np.testing.assert_array_equal(gradient(model).layer.weight, before)
