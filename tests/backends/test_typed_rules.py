"""Functions whose rule is a tangent, and calls without a rule, on the typed road: against the untyped one."""

import numpy as np
import pytest

import tapeless as tl
import tapeless.api  # noqa: F401  with which come all rules
from tapeless.backends.python.entry import reverse_entry
from tapeless.rules import Jvp, all_rules, lookup
from tapeless.specialise.types import NotTyped

#: what the typed road refuses: several results, samples that do not fit, a method as a function
REFUSED = {"slogdet", "lstsq", "eig", "eigh", "svd", "qr", "partition", "modf", "frexp", "array_split",
           "tolist", "compress", "item", "__array_wrap__", "take"}  # fmt: skip
ARRAY = np.array([[0.5, -1.5, 2.0], [1.25, 0.75, -0.25]])


def same(got, want):
    assert type(got) is type(want)
    if isinstance(want, (tuple, list)):
        assert len(got) == len(want)
        for a, b in zip(got, want, strict=True):
            same(a, b)
        return
    assert np.shape(got) == np.shape(want)
    np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-14)


def typed_as_untyped(f, args, nums):
    entry = reverse_entry(f, args, {}, nums, with_value=True, has_aux=False)
    same(entry.call(*args), tl.value_and_grad(f, nums).untyped(args, {}))


def _calls():
    found = []
    for rule in all_rules():
        if not isinstance(rule, Jvp) or not rule.name.startswith("numpy"):
            continue
        for row in rule.rows:
            real = all(isinstance(a, np.ndarray) and a.dtype.kind == "f" for a in row.args)
            if real and not row.kwargs and len(row.args) <= rule.count and not row.note:
                found.append((rule.function, row.args))
    return found


def test_tangents_are_recorded_and_run_backwards():
    taken = set()
    for fn, args in _calls():

        def f(*arrays):
            return np.sum(np.sin(fn(*arrays)))  # noqa: B023

        try:
            typed_as_untyped(f, args, tuple(range(len(args))))
        except NotTyped:
            continue
        taken.add(fn.__name__)
    wanted = {fn.__name__ for fn, args in _calls()} - REFUSED
    assert len(wanted) > 15 and wanted <= taken, wanted - taken


def test_options():
    def f(x):
        low = np.min(x, axis=0, keepdims=True)
        return np.sum(x * low) + np.sum(x.max(axis=1)) * x.std(ddof=1) + np.prod(x, 1)[0] + np.max(x)

    typed_as_untyped(f, (ARRAY,), (0,))


def test_an_active_option_is_refused():
    def f(x, c):
        return np.max(x, initial=c)

    with pytest.raises(NotTyped, match="option"):
        reverse_entry(f, (ARRAY, 3.0), {}, (0, 1), with_value=True, has_aux=False)
    assert tl.grad(f, 1)(ARRAY, 3.0) == 1.0


def test_the_element_that_was_chosen_before_the_array_changed():
    """The value pass saves what the tangent needs before the program overwrites it."""

    def f(x):
        y = x * 2.0
        top = np.max(y)
        y[1, 0] = 100.0
        return top * np.min(y) + np.sum(y)

    typed_as_untyped(f, (ARRAY,), (0,))


def log_sum_exp(x):
    top = np.max(x)
    return top + np.log(np.sum(np.exp(x - top)))


def test_second_derivatives():
    x = np.array([0.3, 1.2, -0.4])
    p = np.exp(x - log_sum_exp(x))
    np.testing.assert_allclose(tl.grad(log_sum_exp)(x), p, rtol=1e-13)
    for hessian in (
        tl.hessian(log_sum_exp),
        tl.jacrev(tl.grad(log_sum_exp)),
        tl.jacfwd(tl.grad(log_sum_exp)),
    ):
        np.testing.assert_allclose(hessian(x), np.diag(p) - np.outer(p, p), atol=1e-13)


def test_a_linear_map_is_read_twice():
    x = np.array([0.3, 1.2, -0.4])
    value, pullback = tl.vjp(log_sum_exp, x)
    once, twice = pullback(1.0), pullback(2.0)
    np.testing.assert_allclose(twice[0], 2.0 * once[0], rtol=1e-15)
    assert value == log_sum_exp(x)


def misfit(x, n):
    t = -1.0 + 2.0 * np.arange(n) / (n - 1)
    residual = np.sign(t)
    power = np.ones(n)
    for coefficient in x:
        residual -= coefficient * power
        power *= t
    return 0.5 * np.sum(residual**2)


def test_a_range_of_an_argument():
    assert lookup(np.arange) is None
    typed_as_untyped(misfit, (np.array([0.5, -0.3, 0.2]), 7), (0,))


def test_a_range_that_moves_is_not_constant():
    def f(x):
        return np.sum(np.arange(x, 2.0) ** 2)

    with pytest.raises(NotTyped):
        reverse_entry(f, (0.3,), {}, (0,), with_value=True, has_aux=False)


def test_a_part_of_a_tuple():
    def f(x, y):
        p = (x, y, x * y, 3.0)
        q, r = p[1:3], p[::-1]
        return q[0] * q[1] + r[1] * r[3] + p[-2:][0]

    typed_as_untyped(f, (2.0, 3.0), (0, 1))


def test_places_in_a_matrix():
    def f(x):
        places = np.triu_indices(3, 1)[::-1]
        factor = np.diag(np.exp(x[0]))
        factor[places] = x[1]
        above = factor.T @ x
        factor[places] *= 0.5
        return np.sum((x @ factor.T) ** 2) + np.sum(above * factor) + factor[2, 0]

    typed_as_untyped(f, (np.cos(np.arange(9.0)).reshape(3, 3),), (0,))


def test_an_axis_more_by_an_ellipsis():
    def f(x):
        y = x * 1.0
        y[...] = x * 2.0
        top = np.max(x, axis=-1)
        most = np.max(top)
        return np.sum(np.exp(x - top[..., None])) + np.sum(np.sin(most[..., None]) * y[..., 0])

    typed_as_untyped(f, (ARRAY,), (0,))
