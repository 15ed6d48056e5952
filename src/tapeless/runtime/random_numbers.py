"""Numbers of NumPy's generators: what is drawn is a constant, placed and scaled by the parameters; what is
picked from an array has the derivative of its place.

The value is the one that the generator gives. For the derivative the standard number behind it is drawn once
more from the state before, and the generator is left as the plain call leaves it.
"""

# The formulas are read as source and run by any numbers: they stay without annotations.
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from tapeless.random_state import set_state, state_of
from tapeless.runtime.handlers import handle
from tapeless.runtime.known import ACCELERATORS


def by_standard(name: str, standard: Callable[[Any, Any], Any], formula: Callable[..., Any]) -> None:
    """Take the tangent of a number of the distribution `name` from a formula in a standard number."""
    for home in (np.random.Generator, np.random.RandomState):
        _by_standard(getattr(home, name), standard, formula)


def _by_standard(original: Any, standard: Callable[[Any, Any], Any], formula: Callable[..., Any]) -> None:
    @handle(original)
    def run_both(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Any:
        if not run.reaches((*args[1:], *kw.values()), (*ts[1:], *kts.values())):
            return original(*args, **kw), None
        generator = args[0]
        value, z = drawn_twice(
            generator,
            lambda: original(*args, **kw),
            lambda y: standard(generator, y.shape if isinstance(y, np.ndarray) else None),
        )
        again, t = run.call(formula, (z, *args[1:]), (None, *ts[1:]), kw, kts)
        if isinstance(value, np.ndarray):
            return run.give(value, run.tangent_of(again, t), ())
        return value, t


def picked(name: str) -> None:
    """Take the tangent of what the method `name` picks from an array from the places where it picks."""
    for home in (np.random.Generator, np.random.RandomState):
        _picked(getattr(home, name))


def _picked(original: Any) -> None:
    @handle(original)
    def run_both(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Any:
        name = "x" if original.__name__ == "permutation" else "a"
        if len(args) == 1 and name in kw:
            args, ts, kw = (
                (args[0], kw[name]),
                (ts[0], kts.get(name)),
                {k: v for k, v in kw.items() if k != name},
            )
        if len(args) < 2 or not run.reaches(args[1:2], ts[1:2]):
            return run.foreign(original, args, ts, kw, kts)
        if run.reaches((*args[2:], *kw.values()), (*ts[2:], *kts.values())):
            run.missing_rule(f"{original.__qualname__}()")
        x = args[1]
        bound = inspect.signature(original).bind(*args, **kw)
        axis = bound.arguments.get("axis", 0)
        bound.arguments[list(bound.arguments)[1]] = np.arange(np.shape(x)[axis])
        if "axis" in bound.arguments:
            bound.arguments["axis"] = 0
        value, order = drawn_twice(
            args[0], lambda: original(*args, **kw), lambda _: original(*bound.args, **bound.kwargs)
        )
        again, t = run.call(_taken, (order, x, axis), (None, ts[1], None))
        if not np.array_equal(value, again, equal_nan=True):
            run.missing_rule(f"{original.__qualname__}()")
        if isinstance(value, np.ndarray):
            return run.give(value, run.tangent_of(again, t), ())
        return value, t


def shuffled() -> None:
    """A shuffle in place is a store of what is picked in another order."""
    for home in (np.random.Generator, np.random.RandomState):
        _shuffled(home.shuffle)


def _shuffled(original: Any) -> None:
    @handle(original)
    def run_both(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Any:
        x = args[1] if len(args) == 2 and not kw else None
        if type(x) is not np.ndarray or not run.reaches((x,), (None,)):
            return run.foreign(original, args, ts, kw, kts)
        order, check = np.arange(len(x)), x.copy()
        drawn_twice(args[0], lambda: original(args[0], check), lambda _: original(args[0], order))
        again, t = run.call(_taken, (order, x, 0), (None, ts[1], None))
        if not np.array_equal(check, again, equal_nan=True):
            run.missing_rule(f"{original.__qualname__}()")
        run.setitem(x, Ellipsis, None, again, t)
        return None, None


def drawn_twice(generator: Any, first: Callable[[], Any], second: Callable[[Any], Any]) -> tuple[Any, Any]:
    """What two calls draw from the same state, the second of them given what the first drew; the generator is
    left as the first leaves it."""
    before = state_of(generator)
    value = first()
    after = state_of(generator)
    set_state(generator, before)
    again = second(value)
    set_state(generator, after)
    return value, again


def numbers(x):
    """Parameters as NumPy takes them."""
    return np.array(x) if isinstance(x, (list, tuple)) else x


def like(z, y):
    """One number is a float of Python's, as generators give it."""
    return float(y) if type(z) is float else y


def _placed(z, loc=0.0, scale=1.0, size=None):
    return like(z, numbers(loc) + numbers(scale) * z)


def _between(z, low=0.0, high=1.0, size=None):
    low = numbers(low)
    return like(z, low + (numbers(high) - low) * z)


def _scaled(z, scale=1.0, size=None):
    return like(z, numbers(scale) * z)


def _exponent(z, mean=0.0, sigma=1.0, size=None):
    return like(z, np.exp(numbers(mean) + numbers(sigma) * z))


def _taken(order, x, axis):
    return np.take(numbers(x), order, axis)


def load() -> None:
    """Enter the distributions, when a program first uses one: importing this imports no `numpy.random`."""
    for module in MODULES:
        ACCELERATORS.pop(module, None)
    by_standard("normal", lambda rng, size: rng.standard_normal(size), _placed)
    by_standard("laplace", lambda rng, size: rng.laplace(0.0, 1.0, size), _placed)
    by_standard("logistic", lambda rng, size: rng.logistic(0.0, 1.0, size), _placed)
    by_standard("gumbel", lambda rng, size: rng.gumbel(0.0, 1.0, size), _placed)
    by_standard("lognormal", lambda rng, size: rng.standard_normal(size), _exponent)
    by_standard("uniform", lambda rng, size: rng.uniform(0.0, 1.0, size), _between)
    by_standard("exponential", lambda rng, size: rng.standard_exponential(size), _scaled)
    by_standard("rayleigh", lambda rng, size: rng.rayleigh(1.0, size), _scaled)
    picked("permutation")
    picked("choice")
    shuffled()


#: What methods say that they are of; those of the legacy generator name the package.
MODULES = ("numpy.random", "numpy.random._generator", "numpy.random.mtrand")
for _module in MODULES:
    ACCELERATORS[_module] = load
