"""The gradient of each program of the benchmarks at its smallest size: beside differences and JAX."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from benchmarks.harness import flat
from benchmarks.kernels import Kernel, kernels, timesteps
from benchmarks.peers import jax_version

import tapeless as tl
from benchmarks import scalars

KERNELS = [pytest.param(kernel, id=kernel.name) for kernel in [*kernels(), *timesteps.KERNELS]]
DIRECTIONS = 3
RELATIVE = 2e-7


@dataclass
class Case:
    """A kernel with its gradient by tapeless, taken on arguments of its own."""

    kernel: Kernel
    value: float
    gradient: tuple[Any, ...]
    after: tuple[Any, ...]


@pytest.fixture(scope="module")
def cases() -> dict[str, Case]:
    return {}


@pytest.fixture
def case(request: pytest.FixtureRequest, cases: dict[str, Case]) -> Case:
    kernel: Kernel = request.param
    if kernel.name not in cases:
        args = kernel.args("smoke")
        value, gradient = tl.value_and_grad(kernel.plain, argnums=kernel.argnums)(*args)
        cases[kernel.name] = Case(kernel, value, gradient, args)
    return cases[kernel.name]


def shifted(kernel: Kernel, by: float, direction: list[Any]) -> float:
    args = list(kernel.args("smoke"))
    for n, step in zip(kernel.argnums, direction, strict=True):
        args[n] = args[n] + by * step
    return kernel.plain(*args)


def slope(kernel: Kernel, direction: list[Any]) -> float:
    """The derivative along a direction, by central differences of sixth order."""
    h = 1e-5
    weights = {1: 3.0 / 4.0, 2: -3.0 / 20.0, 3: 1.0 / 60.0}
    total = 0.0
    for k, weight in weights.items():
        total += weight * (shifted(kernel, k * h, direction) - shifted(kernel, -k * h, direction))
    return total / h


def differs(kernel: Kernel, gradient: tuple[Any, ...]) -> list[str]:
    """Where a gradient does not agree with differences of the values, along random directions."""
    rng = np.random.default_rng(7)
    args = kernel.args("smoke")
    found = []
    for _ in range(DIRECTIONS):
        direction = [rng.standard_normal(np.shape(args[n])) for n in kernel.argnums]
        direction = [d if np.ndim(d) else float(d) for d in direction]
        want = slope(kernel, direction)
        parts = [np.sum(np.asarray(g) * d) for g, d in zip(gradient, direction, strict=True)]
        got, scale = sum(parts), max(abs(want), *map(abs, parts))
        if not abs(got - want) <= RELATIVE * scale:
            found.append(f"{kernel.name}: {got!r} along a direction, want {want!r}")
    return found


@pytest.mark.parametrize("case", KERNELS, indirect=True)
def test_program_keeps_its_meaning(case: Case) -> None:
    args = case.kernel.args("smoke")
    assert case.value == case.kernel.plain(*args)
    for mine, plain in zip(case.after, args, strict=True):
        np.testing.assert_array_equal(mine, plain)


@pytest.mark.parametrize("case", KERNELS, indirect=True)
def test_gradient_against_finite_differences(case: Case) -> None:
    assert differs(case.kernel, case.gradient) == []


@pytest.mark.parametrize("case", KERNELS, indirect=True)
def test_gradient_against_jax(case: Case) -> None:
    import jax

    version = jax_version(case.kernel)
    assert version is not None
    args = case.kernel.args("smoke")
    static = tuple(n for n, value in enumerate(args) if type(value) is int)
    both = jax.jit(jax.value_and_grad(version, argnums=case.kernel.argnums), static_argnums=static)
    value, gradient = both(*args)
    np.testing.assert_allclose(case.value, value, rtol=1e-12)
    for mine, other in zip(case.gradient, gradient, strict=True):
        largest = float(np.max(np.abs(other)))
        np.testing.assert_allclose(mine, other, rtol=1e-10, atol=1e-11 * largest)


@pytest.mark.parametrize("name", ["jacobi_1d", "runge_kutta"])
def test_a_gradient_that_is_wrong_by_little_is_seen(name: str) -> None:
    kernel = next(k for k in [*kernels(), *timesteps.KERNELS] if k.name == name)
    gradient = tl.grad(kernel.plain, argnums=kernel.argnums)(*kernel.args("smoke"))
    assert differs(kernel, tuple(1.0005 * part for part in gradient))


@pytest.mark.parametrize("program", [pytest.param(p, id=p.name) for p in scalars.PROGRAMS])
def test_scalar_programs_against_reverse_passes_by_hand(program: Any) -> None:
    both = tl.value_and_grad(program.plain, argnums=tuple(range(len(program.args))))
    np.testing.assert_allclose(flat(both(*program.args)), flat(program.by_hand(*program.args)), rtol=1e-12)


@pytest.mark.parametrize("kernel", KERNELS)
def test_inputs_that_are_timed_keep_the_program_finite(kernel: Kernel) -> None:
    with np.errstate(all="raise", under="ignore"):
        assert np.isfinite(kernel.plain(*kernel.args("small")))


def test_there_are_kernels_enough() -> None:
    assert len(kernels()) >= 30
    assert len({kernel.name for kernel in kernels()}) == len(kernels())
