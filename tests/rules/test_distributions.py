"""Distributions of `scipy.stats`, by where they are asked and by their parameters."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapeless as tl

st = pytest.importorskip("scipy.stats")

X = np.array([0.3, 1.2, 2.1, 0.7])
CONTINUOUS: list[tuple[str, Any, Any]] = [
    ("norm", (0.3, 1.2), X),
    ("gamma", (2.1,), X),
    ("beta", (2.1, 3.2), X / 3),
    ("t", (3.5,), X),
    ("chi2", (3.3,), X),
    ("f", (3.0, 4.5), X),
    ("lognorm", (0.7,), X),
    ("weibull_min", (1.4,), X),
    ("pareto", (2.1,), X + 1.1),
    ("invgamma", (2.2,), X),
    ("genpareto", (0.2,), X),
    ("expon", (0.1, 1.3), X),
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", CONTINUOUS, ids=[c[0] for c in CONTINUOUS])
def test_continuous(case: Any) -> None:
    name, parameters, x = case
    for method in ("pdf", "logpdf", "cdf", "sf"):
        f = getattr(getattr(st, name), method)
        tl.check_grads(lambda x, *p, f=f: f(x, *p), (x, *parameters), order=1)
    f = getattr(st, name).ppf
    tl.check_grads(lambda q, *p: f(q, *p), (np.array([0.2, 0.7]), *parameters), order=1)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", [("poisson", 2.2), ("binom", 7, 0.3), ("nbinom", 3, 0.4), ("geom", 0.3)])
def test_counts(case: Any) -> None:
    name, *rest, p = case
    for method in ("pmf", "logpmf", "cdf", "sf"):
        f = getattr(getattr(st, name), method)
        tl.check_grads(lambda p, f=f: f(np.array([1, 3]), *rest, p), (p,), order=1)


def test_density_of_a_sample() -> None:
    tl.check_grads(lambda d, x: st.gaussian_kde(d)(x), (X, np.array([0.5, 1.0])), order=1)
