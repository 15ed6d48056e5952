"""Derivatives checked against the program itself.

`finite_difference` differentiates any function numerically, by central differences of any even order of
accuracy, with a step that balances truncation against rounding. `check_grads` compares what the library says
with that, along random directions, so that its cost does not grow with the number of inputs.

Both see a value as a list of *leaves*: the floats, complex numbers and arrays inside nested tuples, lists,
dicts, named tuples, dataclasses and other objects. Everything else in it (integers, strings, `None`, ...) is
left as it is.
"""

from __future__ import annotations

import dataclasses
import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tapeless.errors import DerivativeMismatch
from tapeless.leaves import (
    Leaf,
    Vector,
    copies,
    described,
    jacobian_of,
    leaves_of,
    pack,
    pack_like,
    pack_tangent,
    unpack,
)

__all__ = ["DerivativeMismatch", "check_grads", "finite_difference"]


def finite_difference(
    f: Callable[..., Any],
    *args: Any,
    argnums: int | str | Sequence[int | str] = 0,
    order: int = 6,
    step: float | None = None,
) -> Any:
    """Differentiate `f` at `args` numerically.

    Args:
        f: the function; it is called with copies of `args`, so it may overwrite what it is given.
        args: where to differentiate. Floats, arrays, and nested containers and objects with such leaves.
        argnums: the argument to differentiate with respect to, by position or name, or several of them.
        order: the order of accuracy, an even number; the differences take `order` values of `f` on each line.
        step: the distance between neighbouring points. Without it, it is found from the balance of the
            truncation error (by a higher derivative, estimated) and the rounding error; it shrinks where the
            points fall outside the domain.

    Returns:
        For an `f` that returns a real number: the gradient, in the structure of the argument (an object's as
        a dict of its fields; `None` for a leaf without derivative). Otherwise the Jacobian: for each leaf of
        the result, such a structure with leaves of shape `result.shape + argument.shape`. With several
        `argnums`, a tuple of these.

    Raises:
        TypeError: an argument without a leaf to differentiate with respect to; a complex result by a complex
            argument.
        ValueError: an odd or negative `order`, a `step` that is not positive.

    >>> import math
    >>> abs(finite_difference(math.sin, 1.0) - math.cos(1.0)) < 1e-12
    True
    >>> finite_difference(lambda a, b: a * b, 2.0, 3.0, argnums=(0, "b"), order=2, step=0.5)
    (3.0, 2.0)
    >>> finite_difference(lambda p: p["w"] * p["n"], {"w": 0.5, "n": 4}, order=2, step=0.5)
    {'w': 4.0, 'n': None}
    """
    coefficients = _coefficients(order)
    if step is not None and not step > 0.0:
        raise ValueError(f"finite_difference: step must be positive, not {step!r}")
    single = isinstance(argnums, int | str)
    asked = (argnums,) if isinstance(argnums, int | str) else tuple(argnums)
    results = []
    for asked_for in asked:
        position = _position(f, asked_for, len(args))
        argument = args[position]
        leaves = leaves_of(argument)
        if not leaves:
            raise TypeError(
                f"finite_difference: argument {asked_for!r} is {described(argument)}, with no float, "
                "complex number or array of them inside; pass a float, or choose another with argnums"
            )
        results.append(_jacobian_by(f, args, position, coefficients, step))
    return results[0] if single else tuple(results)


def _jacobian_by(
    f: Callable[..., Any], args: tuple[Any, ...], position: int, coefficients: Vector, step: float | None
) -> Any:
    argument = args[position]
    result = f(*copies(args))
    inputs, outputs = leaves_of(argument), leaves_of(result)
    start, eps = pack(inputs), _precision([*inputs, *outputs])

    def along(column: int) -> Callable[[float], Vector]:
        def moved(t: float) -> Vector:
            point = start.copy()
            point[column] += t
            given = copies(args)
            given[position] = unpack(argument, point)
            return pack_like(f(*given), outputs)

        return moved

    columns = [
        _derivative(along(i), float(start[i]), coefficients, eps, step, 0.0)[0] for i in range(start.size)
    ]
    return jacobian_of(result, argument, np.reshape(columns, (start.size, pack(outputs).size)).T)


def check_grads(
    f: Callable[..., Any],
    args: Sequence[Any],
    order: int = 2,
    modes: Sequence[str] = ("fwd", "rev"),
    rtol: float | None = None,
    atol: float | None = None,
    seed: int = 0,
) -> None:
    """Check the derivatives of `f` at `args`, up to `order`, along random directions.

    Forward mode (`"fwd"`) is compared with central differences along the direction, reverse mode (`"rev"`)
    with the same by the identity ⟨ȳ, J ẋ⟩ = ⟨Jᵀ ȳ, ẋ⟩, and, where both modes are checked, with forward mode
    to almost full precision. The value that comes with a derivative has to be that of the plain call. For
    `order=2` all of this is done again to the derivatives themselves: forward over reverse, reverse over
    reverse and so on.

    Args:
        f: the function, of floats, arrays, and nested containers and objects with such leaves. An argument
            without any is a constant.
        args: where to check, as a tuple or list of the arguments.
        order: how many derivatives deep.
        modes: `"fwd"`, `"rev"` or both.
        rtol, atol: the relative and absolute tolerance; by default by the precision of the leaves: 1e-6 and
            1e-9 for double, 3e-4 and 1e-5 for single.
        seed: of the random directions.

    Raises:
        DerivativeMismatch: a derivative is wrong; the message says which, where and by how much.

    >>> import math
    >>> check_grads(lambda x: x * math.sin(x), (0.7,))
    """
    args = tuple(copies([arg])[0] for arg in args)  # each of them alone: parts of two are not one leaf
    unknown = [mode for mode in modes if mode not in ("fwd", "rev")]
    if unknown or not modes:
        raise ValueError(f"check_grads: modes are 'fwd' and 'rev', not {list(modes)!r}")
    active = [i for i, arg in enumerate(args) if leaves_of(arg)]
    if not active:
        raise TypeError("check_grads: no argument has a float, complex number or array of them inside")

    def of_active(*given: Any) -> Any:
        every = list(copies(args))
        for i, value in zip(active, given, strict=True):
            every[i] = value
        return f(*every)

    fast = _precision([leaf for arg in args for leaf in leaves_of(arg)]) > 1e-12
    check = _Check(
        rtol=rtol if rtol is not None else (3e-4 if fast else 1e-6),
        atol=atol if atol is not None else (1e-5 if fast else 1e-9),
        modes=tuple(modes),
        random=np.random.default_rng(seed),
        function=getattr(f, "__name__", repr(f)),
    )
    check.run(f if len(active) == len(args) else of_active, tuple(args[i] for i in active), order, (), 0.0)


@dataclasses.dataclass(frozen=True)
class _Check:
    """One run of `check_grads`: its tolerances, and the function it talks about in messages."""

    rtol: float
    atol: float
    modes: tuple[str, ...]
    random: np.random.Generator
    function: str

    def run(
        self, f: Callable[..., Any], args: tuple[Any, ...], order: int, path: tuple[str, ...], scale: Any
    ) -> None:
        """Check `f`, whose result is what remains of terms as large as `scale`."""
        if order < 1:
            return
        from tapeless import api  # api offers check_grads too

        result = f(*copies(args))
        inputs, outputs = leaves_of(args), leaves_of(result)
        start, precision = pack(inputs), _precision([*inputs, *outputs])
        scale = scale + np.abs(pack(outputs))
        direction = self.random.standard_normal(start.size) * _scale(start)
        numeric, error, rounding = _derivative(
            lambda t: pack_like(f(*unpack(args, start + t * direction)), outputs),
            1.0, _coefficients(6), precision, None, scale,
        )  # fmt: skip
        tangents = unpack(args, direction, tangent=True)
        cotangent = self.random.standard_normal(pack(outputs).size)
        seed = unpack(result, cotangent, tangent=True, once=True)
        forward: Vector | None = None

        if "fwd" in self.modes:
            value, tangent = api.jvp(f, tuple(copies(args)), tangents)
            self.same_value("jvp", value, result, path)
            forward = pack_tangent(tangent, result)
            self.close("the tangent of jvp", forward, numeric, error, rounding, path)
            self.run(lambda *xs: api.jvp(f, xs, tangents)[1], args, order - 1, (*path, "jvp"), scale)
        if "rev" in self.modes:
            value, pullback = api.vjp(f, *copies(args))
            self.same_value("vjp", value, result, path)
            gradient = pack_tangent(pullback(seed), args)
            got, want = float(gradient @ direction), float(cotangent @ numeric)
            slack, floor = (np.array([np.abs(cotangent) @ e]) for e in (error, rounding))
            self.close("⟨Jᵀ ȳ, ẋ⟩ by vjp", np.array([got]), np.array([want]), slack, floor, path)
            if forward is not None:
                want = float(cotangent @ forward)
                size = float(np.abs(cotangent) @ np.abs(forward) + np.abs(gradient) @ np.abs(direction))
                small = 32.0 * precision * float(np.abs(cotangent) @ scale)
                if abs(got - want) > (1e-3 if self.rtol > 1e-5 else 1e-9) * size + small:
                    raise DerivativeMismatch(
                        f"{self.named(path)}: the modes disagree: ⟨ȳ, J ẋ⟩ by jvp is {want!r}, "
                        f"and ⟨Jᵀ ȳ, ẋ⟩ by vjp is {got!r}"
                    )
            scale = (np.abs(cotangent) @ scale) / _scale(start)
            self.run(lambda *xs: api.vjp(f, *xs)[1](seed), args, order - 1, (*path, "vjp"), scale)

    def named(self, path: tuple[str, ...]) -> str:
        return " of ".join([*reversed(path), self.function])

    def same_value(self, mode: str, value: Any, plain: Any, path: tuple[str, ...]) -> None:
        got, want = pack_like(value, leaves_of(plain)), pack(leaves_of(plain))
        if not np.array_equal(got, want, equal_nan=True):
            worst = int(np.argmax(got != want))
            raise DerivativeMismatch(
                f"{self.named(path)}: {mode} changed the value: it returns {got[worst]}, and the plain call "
                f"{want[worst]}"
            )

    def close(
        self, what: str, got: Vector, want: Vector, error: Vector, rounding: Vector, path: tuple[str, ...]
    ) -> None:
        largest = float(np.max(np.abs(want), initial=0.0))
        allowed = self.atol + self.rtol * np.abs(want) + np.minimum(10.0 * error, 10.0 * self.rtol * largest)
        allowed = np.maximum(allowed, 10.0 * rounding)
        off = np.abs(got - want)
        wrong = ~((off <= allowed) | (np.isnan(got) & np.isnan(want)) | (got == want))
        if wrong.any():
            worst = int(np.argmax(np.where(wrong, np.where(np.isnan(off), np.inf, off), -1.0)))
            where = f", component {worst} of {got.size}," if got.size > 1 else ""
            raise DerivativeMismatch(
                f"{self.named(path)}: {what}{where} is {got[worst]}, and central differences give "
                f"{want[worst]} (difference {off[worst]:.3g}, allowed {allowed[worst]:.3g}; {wrong.sum()} of "
                f"{got.size} wrong)"
            )


# ---- one derivative along one line -------------------------------------------------------------------------


def _coefficients(order: int) -> Vector:
    """Weights c_1 ... c_m of f'(x) ≈ Σ c_k (f(x + k h) - f(x - k h)) / h, exact for polynomials of degree 2m.

    >>> _coefficients(2), _coefficients(4) * 12
    (array([0.5]), array([ 8., -1.]))
    """
    if order < 2 or order % 2:
        raise ValueError(f"finite_difference: order must be an even number, at least 2, not {order!r}")
    m = order // 2
    top = math.factorial(m) ** 2
    return np.array(
        [(-1) ** (k + 1) * top / (k * math.factorial(m - k) * math.factorial(m + k)) for k in range(1, m + 1)]
    )


def _derivative(
    g: Callable[[float], Vector], x: float, coefficients: Vector, eps: float, step: float | None, scale: Any
) -> tuple[Vector, Vector, Vector]:
    """The derivative of g at 0, an estimate of its error, and what of that is one rounding of terms as large
    as `scale`; `x` is the argument's own value there.

    The error is T h^p + R / h: T from the (p + 1)-th derivative, R from the rounding of g. The step to
    estimate T with is not known either, so both are found together in a few rounds, from a small step up.
    """
    m = coefficients.size
    order, points = 2 * m, [*range(-m, 0), *range(1, m + 1)]
    central = np.concatenate([-coefficients[::-1], coefficients])
    if step is not None:
        values = np.array([g(k * step) for k in points])
        return central @ values / step, np.zeros(values.shape[1:]), np.zeros(values.shape[1:])
    weight, truncation = float(np.abs(central).sum()), math.factorial(m) ** 2 / math.factorial(order + 1)
    usual = max(abs(x), 1.0) * (weight * eps / (order * truncation)) ** (1.0 / (order + 1))
    h, smallest, largest = usual / 512.0, max(abs(x) * eps, 1e-290), 16.0 * usual
    halves = [j - (order + 1) / 2 for j in range(order + 2)]
    higher = np.array([(-1.0) ** j * math.comb(order + 1, j) for j in range(order + 1, -1, -1)])
    own_noise, curved = np.zeros(1), False
    shrunk: list[tuple[float, Vector]] = []
    for _ in range(16):
        values, reached = _inside_the_domain(g, halves, h, smallest)
        largest = largest if reached == h else min(largest, 2.0 * reached)
        h = reached
        one_rounding = eps * np.maximum(scale, np.max(np.abs(values), axis=0)) + np.finfo(np.float64).tiny
        noise = np.maximum(own_noise, one_rounding)
        high = np.abs(higher @ values)
        if (high <= 2.0**order * noise).all():
            best = h if curved else 8.0 * h  # nothing but noise: too near to see a curve
        else:
            curved = True
            steeper = float(np.sum(high / noise)) / h ** (order + 1)
            best = (weight * noise.size / (order * truncation * steeper)) ** (1.0 / (order + 1))
            if best < 0.25 * h:
                shrunk.append((h, high))
            if len(shrunk) > 4 and (high > 0.05 * shrunk[-4][1]).any():
                # no smoother however near: the program's own noise, which is more than one rounding
                own_noise, best, curved, shrunk = 4.0 * high / 2.0**order, shrunk[0][0], False, []
        best = max(min(best, largest), smallest)
        settled = not math.isfinite(best) or best == h or (curved and 0.25 < best / h < 4.0)
        h = best if math.isfinite(best) else h
        if settled:
            break
    values, h = _inside_the_domain(g, points, _power_of_two(h), smallest)
    estimate: Vector = central @ values / h
    error = truncation * high / h + weight * (noise + eps * abs(x) * np.abs(estimate)) / h
    return estimate, error, weight * one_rounding / h


def _inside_the_domain(
    g: Callable[[float], Vector], points: list[Any], h: float, smallest: float
) -> tuple[Vector, float]:
    """The values of g at the points k h, with a smaller h where g raises or is not finite at one of them."""
    while True:
        last = h / 8.0 < smallest
        try:
            with np.errstate(all="ignore"):
                values = np.array([g(k * h) for k in points])
        except Exception:  # whatever the program raises where it is not defined
            if last:
                raise
        else:
            if last or np.isfinite(values).all():
                return values, h
        h /= 8.0


def _power_of_two(h: float) -> float:
    """The power of two next below, so that the points of the stencil are exact."""
    return math.ldexp(1.0, math.floor(math.log2(h))) if 0.0 < h < math.inf else 1.0


# ---- the arguments, and what is random ---------------------------------------------------------------------


def _precision(leaves: list[Leaf]) -> float:
    """The coarsest machine epsilon among the leaves, never finer than a double's."""
    kinds = [np.asarray(leaf.value).dtype for leaf in leaves]
    return max([float(np.finfo(kind).eps) for kind in kinds] + [float(np.finfo(np.float64).eps)])


def _scale(start: Vector) -> Vector:
    """How far a random direction goes in each coordinate: in proportion to it, whatever its units."""
    return np.where(start == 0.0, 1.0, np.abs(start))


def _position(f: Callable[..., Any], which: int | str, count: int) -> int:
    if isinstance(which, str):
        names = list(inspect.signature(f).parameters)
        if which not in names or names.index(which) >= count:
            raise TypeError(f"finite_difference: no positional argument named {which!r} was given")
        return names.index(which)
    if not -count <= which < count:
        raise TypeError(f"finite_difference: argnums is {which}, and there are {count} arguments")
    return which % count
