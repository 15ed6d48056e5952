"""particle and saddle: derivatives through optimisation that uses derivatives, in all four combinations."""

import numpy as np
import pytest
from benchmarks.gradbench import particle, saddle
from benchmarks.gradbench.descent import MODES

import tapeless as tl

COMBINATIONS = ["ff", "fr", "rf", "rr"]


@pytest.mark.parametrize("inner", "fr")
def test_force_is_coulombs(inner: str) -> None:
    x, charges = np.array([1.0, 2.0]), [np.array([10.0, 9.0]), np.array([10.0, 0.0])]
    want = sum((c - x) / np.linalg.norm(c - x) ** 3 for c in charges)
    np.testing.assert_allclose(MODES[inner](particle.potential)(x, charges), want, rtol=1e-12)


@pytest.mark.parametrize("modes", COMBINATIONS)
def test_derivative_through_the_simulation(modes: str) -> None:
    def miss(w: np.ndarray) -> float:
        return particle.miss(w, MODES[modes[1]], dt=0.8)

    got = MODES[modes[0]](miss)(np.array([0.1]))
    want = tl.finite_difference(lambda w: particle.miss(np.array([w]), MODES["r"], dt=0.8), 0.1)
    np.testing.assert_allclose(got, [want], rtol=1e-8)


@pytest.mark.parametrize("modes", COMBINATIONS)
def test_derivative_through_the_optimisation(modes: str) -> None:
    """x and the start of the inner ascent are two arrays here."""
    x, start = np.array([0.7, -0.4]), np.array([1.0, 1.0])
    got = MODES[modes[0]](saddle.worst)(x, start, MODES[modes[1]], rate=0.05)
    np.testing.assert_allclose(got, 2.0 * x, rtol=1e-12)


@pytest.mark.parametrize("modes", COMBINATIONS)
def test_saddle(modes: str) -> None:
    """GradBench's program starts every descent from one array, which the functions also hold."""
    got = saddle.saddle(np.array([1.0, 1.0]), *modes, rate=0.05)
    np.testing.assert_allclose(got, np.zeros(4), atol=1e-4)
