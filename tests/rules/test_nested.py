"""Rules under the whole system: gradients of gradients open the rules' own source.

A rule whose helper the system cannot open, or whose residuals it loses, is right once and wrong twice.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tapeless as tl
import tapeless.rules.scipy
import tapeless.rules.scipy_fft
import tapeless.rules.scipy_interpolate
import tapeless.rules.scipy_linalg
import tapeless.rules.scipy_signal
import tapeless.rules.scipy_sparse
import tapeless.rules.scipy_stats  # noqa: F401
from tapeless.rules import Nondifferentiable, Twin, all_rules

sys.path.insert(0, str(Path(__file__).parent))
from harness import at, call, noise, places, results  # noqa: E402, I001

RULES = [r for r in all_rules() if not isinstance(r, (Nondifferentiable, Twin))]
# one row a rule is enough: the rows differ in what the first derivative sees
ROWS = [
    (r, [row for row in r.rows if not row.note][-1]) for r in RULES if any(not row.note for row in r.rows)
]


def weighted(y: Any, weights: Any) -> Any:
    """A real number from a result of any shape, curved so that second derivatives are not zero."""
    if isinstance(weights, list):
        total = 0.0
        for k in range(len(weights)):
            if weights[k] is not None:
                total = total + weighted(y[k], weights[k])
        return total
    z = np.real(y * np.conjugate(weights))
    return np.sum(z + 0.25 * z * z)


def replaced(x: Any, path: Any, leaf: Any) -> Any:
    """A nest of lists and tuples with one leaf exchanged."""
    if not path:
        return leaf
    new = list(x)
    new[path[0]] = replaced(x[path[0]], path[1:], leaf)
    return new if isinstance(x, list) else tuple(new)


def nest(y: Any, rng: Any) -> Any:
    if isinstance(y, (list, tuple)):
        return [nest(e, rng) for e in y]
    return noise(y, rng) if results(y)[0] is not None else None


@pytest.mark.parametrize("case", ROWS, ids=lambda c: c[0].name)
def test_gradient_of_gradient(case: Any) -> None:
    rule, row = case
    function, args, kwargs = rule.function, row.args, row.kwargs
    rng = np.random.default_rng(5)
    paths = places(rule, args, kwargs)
    points = tuple(at(args, kwargs, p) for p in paths)
    directions = tuple(noise(x, rng) for x in points)
    with np.errstate(all="ignore"):
        weights = nest(call(function, args, kwargs), rng)
    numbers = tuple(range(len(paths)))
    attribute = not callable(function)

    def value(*leaves: Any) -> Any:
        here, there = args, dict(kwargs)
        for k in numbers:
            path = paths[k]
            if isinstance(path[0], int):
                here = replaced(here, path, leaves[k])
            else:
                there[path[0]] = leaves[k]
        if attribute:
            return weighted(getattr(here[0], function.__name__), weights)
        return weighted(function(*here, **there), weights)

    gradient = tl.grad(value, argnums=numbers)

    def slope(*leaves: Any) -> Any:
        total = 0.0
        gradients = gradient(*leaves)
        for k in numbers:
            total = total + np.sum(np.real(np.conjugate(directions[k]) * gradients[k]))
        return total

    def moved(h: float) -> Any:
        out = []
        for x, d in zip(points, directions, strict=True):
            v = x + h * d
            out.append(np.asarray(v) if isinstance(x, np.ndarray) else type(x)(v))
        return gradient(*out)

    with np.errstate(all="ignore"):
        second = tl.grad(slope, argnums=numbers)(*points)
        h = 1e-4
        for got, up, down in zip(second, moved(h), moved(-h), strict=True):
            np.testing.assert_allclose(got, (np.asarray(up) - down) / (2 * h), rtol=2e-5, atol=2e-5)
