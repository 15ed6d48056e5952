"""Lists of arrays and of tuples, copies of lists, shared parts: the typed road against the untyped one."""

import copy

import numpy as np
import pytest

import tapeless as tl
from tapeless.backends.python.entry import reverse_entry
from tapeless.backends.python.linear_entry import vjp_entry
from tapeless.specialise.types import NotTyped

A, B, C = np.array([0.5, -1.5]), np.array([1.25, 0.75]), np.array([[0.3, -0.2], [0.1, 0.9]])


def same(x, y):
    assert type(x) is type(y)
    if isinstance(x, (tuple, list)):
        assert len(x) == len(y)
        for a, b in zip(x, y, strict=True):
            same(a, b)
    elif isinstance(x, dict):
        assert list(x) == list(y)
        same(list(x.values()), list(y.values()))
    else:
        assert np.shape(x) == np.shape(y)
        np.testing.assert_allclose(x, y, rtol=1e-10, atol=1e-12)


def smoothed(u, k):
    u = list(u)
    for _ in range(3):
        for i in range(1, len(u) - 1):
            u[i] = u[i] + k * (u[i - 1] * u[i + 1] - u[i] * u[i])
    total = 0.0
    for value in u:
        total += value * value
    return total


def both_lists(u, k):
    v = list(u)
    w = u.copy()
    v[0] = k * v[1]
    w.append(v[0])
    return u[0] * v[0] * w[0] + w[-1] * u[1]


def copied_in_a_loop(u, k):
    total = 0.0
    for i in range(3):
        v = list(u)
        v[i] = v[i] * k
        total += v[0] * v[1] * v[2]
    return total


def read_again(u, k):
    total = u[0] * u[0]
    u = list(u)
    total += u[0]
    u[0] = k
    return total * u[0] + u[0]


def layers(params, x):
    for w, b in params:
        x = np.tanh(x @ w + b)
    return np.sum(x * x)


def states(params, xs):
    held = [(np.zeros(2), x * 2.0) for x in xs]
    for x in xs:
        for k, (w, b) in enumerate(params):
            h, c = held[k]
            h = np.tanh(w @ h + x)
            c = c * b + h
            held[k] = (h, c)
            x = h
    return np.sum(x) + np.sum(held[0][1])


def overwritten(params, x):
    kept = [x, x * 2.0]
    kept[0] = kept[1] * params[0]
    kept[1] = params[1]
    return np.sum(kept[0] * kept[1])


def never_read(params, x):
    kept = [(p, 2.0) for p in params]
    return np.sum(x * params[0]) + kept[0][1]


def popped(params, x):
    stack = []
    for p in params:
        stack.append(p * x)
    last = stack.pop()
    return np.sum(last * stack[0])


def mixed(params, x):
    total = 0.0
    for scale, p, n in params:
        total += scale * np.sum(p * x) * n
    return total


def in_a_branch(params, x):
    if x[0] > 0.0:
        y = params[0] * x
    else:
        y = params[1]
    for p in params:
        if p[0] > 1.0:
            y = y * p
    return np.sum(y)


def captured(params, k):
    n = len(params)
    u = [k * i * n for i in range(n)]
    return u[0] + u[1] * params[1]


PROGRAMS = [
    (smoothed, ([0.1 * i for i in range(6)], 0.3)),
    (both_lists, ([0.5, 2.0], 0.3)),
    (copied_in_a_loop, ([0.5, 2.0, -1.0], 0.3)),
    (read_again, ([0.5, 2.0], 0.3)),
    (layers, ([(C.copy(), A.copy()), (C.T.copy(), B.copy())], A)),
    (states, ([(C.copy(), A.copy()), (C.T.copy(), B.copy())], [A.copy(), B.copy(), A * 2])),
    (overwritten, ([A.copy(), B.copy()], A)),
    (never_read, ([A.copy(), B.copy()], B)),
    (popped, ([A.copy(), B.copy()], B)),
    (mixed, ([(0.5, A.copy(), 2.0), (1.5, B.copy(), 3.0)], B)),
    (in_a_branch, ([A.copy(), B.copy()], A)),
    (captured, ([0.5, 2.0], 0.3)),
]


@pytest.mark.parametrize(("f", "args"), PROGRAMS, ids=[f.__name__ for f, _ in PROGRAMS])
def test_as_on_the_untyped_road(f, args):
    entry = reverse_entry(f, args, {}, (0, 1), with_value=True, has_aux=False)
    given = copy.deepcopy(args)
    found = entry.call(*given)
    same(given, args)
    same(found, tl.value_and_grad(f, (0, 1)).untyped(copy.deepcopy(args), {}))
    assert found[0] == f(*copy.deepcopy(args))
    arrays = [a for a in leaves(found[1]) if isinstance(a, np.ndarray)]
    arrays += [a for a in leaves(given) if isinstance(a, np.ndarray)]
    for i, a in enumerate(arrays):
        assert not any(np.shares_memory(a, b) for b in arrays[:i])


@pytest.mark.parametrize(("f", "args"), PROGRAMS, ids=[f.__name__ for f, _ in PROGRAMS])
def test_a_record_is_read_twice(f, args):
    try:
        run = vjp_entry(f, args, {}, (0, 1))
    except NotTyped:
        return
    _, record, pull = run(*copy.deepcopy(args))
    first = pull(record, 1.0)
    same(first, pull(record, 1.0))
    same(first, tl.grad(f, (0, 1)).untyped(copy.deepcopy(args), {}))


def leaves(x):
    return [y for e in x for y in leaves(e)] if isinstance(x, (tuple, list)) else [x]


def two(p):
    return np.sum(p[0] * p[1] * 2.0) + np.sum(p[0])


def test_shared_parts_are_one_leaf():
    x, y = np.ones(3), np.arange(4.0)
    gradient = tl.grad(two)
    same(gradient([x.copy(), x.copy()]), [np.full(3, 3.0), np.full(3, 2.0)])
    same(gradient([x, x]), [np.full(3, 5.0), np.full(3, 5.0)])
    same(gradient((x, x)), (np.full(3, 5.0), np.full(3, 5.0)))
    same(gradient([y[:2], y[1:3]]), gradient.untyped(([y[:2], y[1:3]],), {}))
    same(gradient([x.copy(), x.copy()]), [np.full(3, 3.0), np.full(3, 2.0)])


def test_a_list_of_arrays_of_other_shapes():
    gradient = tl.grad(layers)
    params = [(np.ones((2, 3)), np.zeros(3)), (np.ones((3, 1)), np.zeros(1))]
    for n in (1, 2):
        same(gradient(params[:n], A), gradient.untyped((params[:n], A), {}))
    same(gradient([], A), [])


def roots(params):
    total = 0.0
    for p in params:
        total += np.sum(np.where(p > 0, np.sqrt(p), 0.0))
    return total


def test_strong_zeros_in_a_list_of_arrays():
    params = [np.array([0.0, 4.0]), np.array([1.0, 0.0])]
    reverse_entry(roots, (params,), {}, 0, with_value=False, has_aux=False)
    same(tl.grad(roots)(params), [np.array([0.0, 0.25]), np.array([0.5, 0.0])])


def fails(params, x):
    kept = [p * x for p in params]
    kept[5] = x
    return np.sum(kept[0])


def test_exceptions_are_those_of_the_program():
    with pytest.raises(IndexError, match="list assignment index out of range"):
        tl.grad(fails)([A.copy()], A)


def ends_meet(u, k):
    v = [k * u[0]]
    for i in range(3):
        j = i - i
        v[j] = v[j] + k * v[j - 1] * v[j]
    return v[0]


def cleared(u, k):
    v = [0.0, k, k * u[0]]
    for i in range(2):
        v[-1] = v[2] * u[1] + v[i]
        v[i] = v[i] + v[-1] * k
        v[1] += v[1] * u[0]
    return v[0] * v[1] + v[2]


def book(u, k):
    b = {"x": u[0], "y": k}
    for i in range(3):
        b["x"] = b["x"] + b["y"] * k
        b["y"] = b["x"] - b["y"] * u[1]
        if i == 1:
            b["x"] = u[1] * k
    return b["x"] * b["y"]


def left_early(u, k):
    total = 0.0
    for _ in range(4):
        a = u[0] * k
        for _ in range(3):
            c = a * u[1] + total
            d = c * a
            if d > 50.0:
                break
            total = total + c * d * a
        if total > 100.0:
            return total * k
    return total


@pytest.mark.parametrize("f", [ends_meet, cleared, book, left_early], ids=lambda f: f.__name__)
def test_cotangents_left_in_place(f):
    for args in (([0.5, 2.0], 0.3), ([1.5, -2.0], 1.25), ([1.5, 4.0], 1.25)):
        entry = reverse_entry(f, args, {}, (0, 1), with_value=True, has_aux=False)
        same(entry.call(*copy.deepcopy(args)), tl.value_and_grad(f, (0, 1)).untyped(copy.deepcopy(args), {}))
