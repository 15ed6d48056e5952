"""Objective and derivative of every problem by JAX, from a program written for JAX, at the small sizes."""

import numpy as np
import pytest
from benchmarks.gradbench import jax_jit, numbers
from benchmarks.gradbench.cases import Case, cases

CASES = [case for case in cases(smoke=True) if case.name not in ("particle rr", "saddle rr")]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_against_jax(case: Case) -> None:
    objective, derivative = jax_jit(case)
    np.testing.assert_allclose(
        numbers(case.objective(*case.args)), numbers(objective()), rtol=1e-9, atol=1e-12
    )
    want = numbers(derivative())
    scale = 1e-12 * max(map(abs, want))
    np.testing.assert_allclose(numbers(case.derivative(*case.args)), want, rtol=1e-8, atol=scale)
