"""Every row of every rule, and the variants of it that follow from the kind of rule."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tapeless.rules.scipy
import tapeless.rules.scipy_fft
import tapeless.rules.scipy_interpolate
import tapeless.rules.scipy_linalg
import tapeless.rules.scipy_signal
import tapeless.rules.scipy_sparse
import tapeless.rules.scipy_stats  # noqa: F401
from tapeless.rules import (
    Elementwise,
    Nondifferentiable,
    Twin,
    all_rules,
    elementwise,
    lookup,
    tangent,
    unregister,
)
from tapeless.rules.spaces import space_of

sys.path.insert(0, str(Path(__file__).parent))
from harness import call, check, difference, flat, noise, places, put, at  # noqa: E402, I001

RULES = [r for r in all_rules() if not isinstance(r, (Nondifferentiable, Twin))]
ROWS = [(r, row) for r in RULES for row in r.rows]


def label(case: Any) -> str:
    rule, row = case
    return f"{rule.name}-{rule.rows.index(row)}{'-singular' if row.note else ''}"


@pytest.mark.parametrize("case", ROWS, ids=label)
def test_row(case: Any) -> None:
    rule, row = case
    check(rule, rule.function, row.args, row.kwargs, bool(row.note))


SYNONYMS = [(r, f) for r in RULES for f in r.functions[1:] if r.rows]


@pytest.mark.parametrize("case", SYNONYMS, ids=lambda c: f"{c[0].name}-{c[0].functions.index(c[1])}")
def test_synonym(case: Any) -> None:
    """Another name of the primitive, at the rows that it takes."""
    rule, function = case
    taken = 0
    for row in rule.rows:
        variants = [
            row.args,
            tuple(np.float64(a) if type(a) is float else a for a in row.args),
            tuple(np.array([a, a]) if type(a) in (float, complex) else a for a in row.args),
        ]
        for args in variants:
            try:
                with np.errstate(all="ignore"):
                    call(function, args, row.kwargs)
            except (TypeError, ValueError, AttributeError):
                continue
            check(rule, function, args, row.kwargs, bool(row.note))
            taken += 1
    assert taken or not callable(function) or "." in rule.name


def takes(function: Any, args: Any) -> bool:
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("error")  # also where one element counts as a number, but only just
            y = call(function, args, {})
        return space_of(y) is not None and bool(np.isfinite(y).all())
    except (TypeError, ValueError, OverflowError, Warning):
        return False


def attempt(rule: Any, args: Any) -> None:
    try:
        check(rule, rule.function, args, {})
    except NotImplementedError as refusal:  # said by name, never zero
        assert "no derivative rule" in str(refusal)


def scalar(x: Any) -> bool:
    return type(x) in (float, int, complex)


ELEMENTWISE = [
    (r, row)
    for r in RULES
    if isinstance(r, Elementwise)
    for row in r.rows
    if all(scalar(a) for a in row.args) and not row.kwargs and not row.note
]


@pytest.mark.parametrize("case", ELEMENTWISE, ids=label)
def test_elementwise_variants(case: Any) -> None:
    """NumPy scalars, 0-d, empty and broadcast arrays, float32, complex numbers: what the function takes of
    them."""
    rule, row = case
    floats = [isinstance(a, (float, complex)) for a in row.args]

    def made(make: Any) -> tuple[Any, ...]:
        return tuple(make(a, k) if f else a for k, (a, f) in enumerate(zip(row.args, floats, strict=False)))

    shapes = [(3, 1), (2,), (1, 1)]
    for make in (
        lambda a, k: np.asarray(a)[()],
        lambda a, k: np.asarray(a),
        lambda a, k: np.zeros((0,)) + a,
        lambda a, k: np.full(shapes[k % 3], a),
        lambda a, k: a if k else np.full((2, 2), a),
        lambda a, k: np.full((2, 2), a) if k else a,
    ):
        args = made(make)
        if takes(rule.function, args):
            attempt(rule, args)
    args = made(lambda a, k: np.full(2, a, np.complex64 if isinstance(a, complex) else np.float32))
    if takes(rule.function, args):
        y = call(rule.function, args, {})
        rng = np.random.default_rng(3)
        targs = tuple(noise(a, rng) if isinstance(a, np.ndarray) else None for a in args)
        t = tangent(rule, y, args, {}, targs, {})
        assert t is None or (t.dtype == y.dtype and t.shape == y.shape)
        wide = tuple(
            a.astype(complex if a.dtype.kind == "c" else float) if isinstance(a, np.ndarray) else a
            for a in args
        )
        exact = tangent(rule, call(rule.function, wide, {}), wide, {}, targs, {})
        if t is not None:
            np.testing.assert_allclose(t, exact, rtol=2e-5, atol=1e-5)
    if not any(isinstance(a, complex) for a in row.args):
        for turn in (0.2j, -0.3j):
            args = made(lambda a, k, turn=turn: a + turn * (k + 1))
            if takes(rule.function, args) and takes(
                rule.function, made(lambda a, k, turn=turn: a + 0.999 * turn * (k + 1))
            ):
                attempt(rule, args)


@pytest.mark.parametrize("case", [c for c in ROWS if not c[1].note], ids=label)
def test_second_order(case: Any) -> None:
    """Differences of the tangent along a line are second differences of the function along it."""
    rule, row = case
    args, kwargs = row.args, row.kwargs
    rng = np.random.default_rng(11)
    paths = places(rule, args, kwargs)
    directions = {p: noise(at(args, kwargs, p), rng) for p in paths}

    def moved(h: float) -> Any:
        values = {}
        for p, d in directions.items():
            x = at(args, kwargs, p)
            v = x + h * d
            values[p] = np.asarray(v) if isinstance(x, np.ndarray) else type(x)(v)
        return put(args, kwargs, values)

    def first(h: float) -> Any:
        here, there = moved(h)
        y = call(rule.function, here, there)
        t = tangent(rule, y, here, there, *put(args, kwargs, directions, blank=True))
        return [np.zeros(()) if leaf is None else np.asarray(leaf) for leaf in flat(t, y)]

    def slope(h: float) -> Any:
        return [
            np.zeros(()) if d is None else d
            for d in difference(lambda e: call(rule.function, *moved(h + e)), 4e-3)
        ]

    with np.errstate(all="ignore"):
        for a, b in zip(difference(first, 4e-3), difference(slope, 8e-3), strict=True):
            np.testing.assert_allclose(
                np.broadcast_to(a, np.broadcast_shapes(np.shape(a), np.shape(b))), b, rtol=2e-4, atol=2e-4
            )


def test_a_slightly_wrong_rule_fails() -> None:
    """The checker is itself checked: 0.05 % is enough, in a partial as in a transpose."""

    def cube(x: Any) -> Any:
        return x**3

    elementwise(cube, partials=lambda y, x: 3.0015 * x * x)
    rule = lookup(cube)
    assert rule is not None
    with pytest.raises(AssertionError, match="differences"):
        check(rule, cube, (1.5,), {})
    with pytest.raises(AssertionError, match="differences"):
        check(rule, cube, (np.array([1.5, -0.5]),), {})
    unregister(cube)
    assert lookup(cube) is None


def test_a_slightly_wrong_transpose_fails() -> None:
    from tapeless.rules import transpose_rule

    def double(x: Any) -> Any:
        return x * 2.0

    @transpose_rule(double)
    def _(ct: Any, x: Any) -> Any:
        return ct * 2.001

    rule = lookup(double)
    assert rule is not None
    with pytest.raises(AssertionError, match="identity"):
        check(rule, double, (np.array([1.5, -0.5]),), {})
    unregister(double)


def test_every_rule_has_rows() -> None:
    without = [r.name for r in RULES if not r.rows]
    assert set(without) <= {
        "math.nextafter",
        "numpy.nextafter",
        "numpy.ufunc",
        "tapeless.rules.twins.exactly",
        "tapeless.rules.twins.untold",  # it raises: test_told.py
    }, without
