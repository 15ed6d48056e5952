"""Derivatives checked against the program itself.

`finite_difference` differentiates any function numerically, by central differences of any even order of
accuracy, with a step that balances truncation against rounding. `check_grads` compares what the library says
with that, along random directions, so that its cost does not grow with the number of inputs.

Both see a value as a list of *leaves*: the floats, complex numbers and arrays inside nested tuples, lists,
dicts, named tuples, dataclasses and other objects. Everything else in it (integers, strings, `None`, ...) is
left as it is.
"""

from __future__ import annotations

import copy
import dataclasses
import inspect
import math
from collections.abc import Callable, Iterator, Sequence
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tapeless.runtime.tangent import Tangent

__all__ = ["DerivativeMismatch", "check_grads", "finite_difference"]

Vector = NDArray[np.float64]


class DerivativeMismatch(AssertionError):
    """A derivative differs from finite differences, or two modes of differentiation from each other."""


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
        leaves = _leaves(argument)
        if not leaves:
            raise TypeError(
                f"finite_difference: argument {asked_for!r} is {_described(argument)}, with no float, "
                "complex number or array of them inside; pass a float, or choose another with argnums"
            )
        results.append(_jacobian_by(f, args, position, coefficients, step))
    return results[0] if single else tuple(results)


def _jacobian_by(
    f: Callable[..., Any], args: tuple[Any, ...], position: int, coefficients: Vector, step: float | None
) -> Any:
    argument = args[position]
    result = f(*_copies(args))
    inputs, outputs = _leaves(argument), _leaves(result)
    start, eps = _pack(inputs), _precision([*inputs, *outputs])

    def along(column: int) -> Callable[[float], Vector]:
        def moved(t: float) -> Vector:
            point = start.copy()
            point[column] += t
            given = _copies(args)
            given[position] = _unpack(argument, point)
            return _pack_like(f(*given), outputs)

        return moved

    columns = [_derivative(along(i), float(start[i]), coefficients, eps, step)[0] for i in range(start.size)]
    return _jacobian(result, argument, np.reshape(columns, (start.size, _pack(outputs).size)).T)


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
    args = tuple(args)
    unknown = [mode for mode in modes if mode not in ("fwd", "rev")]
    if unknown or not modes:
        raise ValueError(f"check_grads: modes are 'fwd' and 'rev', not {list(modes)!r}")
    active = [i for i, arg in enumerate(args) if _leaves(arg)]
    if not active:
        raise TypeError("check_grads: no argument has a float, complex number or array of them inside")

    def of_active(*given: Any) -> Any:
        every = list(_copies(args))
        for i, value in zip(active, given, strict=True):
            every[i] = value
        return f(*every)

    fast = _precision([leaf for arg in args for leaf in _leaves(arg)]) > 1e-12
    check = _Check(
        rtol=rtol if rtol is not None else (3e-4 if fast else 1e-6),
        atol=atol if atol is not None else (1e-5 if fast else 1e-9),
        modes=tuple(modes),
        random=np.random.default_rng(seed),
        function=getattr(f, "__name__", repr(f)),
    )
    check.run(f if len(active) == len(args) else of_active, tuple(args[i] for i in active), order, ())


@dataclasses.dataclass(frozen=True)
class _Check:
    """One run of `check_grads`: its tolerances, and the function it talks about in messages."""

    rtol: float
    atol: float
    modes: tuple[str, ...]
    random: np.random.Generator
    function: str

    def run(self, f: Callable[..., Any], args: tuple[Any, ...], order: int, path: tuple[str, ...]) -> None:
        if order < 1:
            return
        from tapeless import api  # api offers check_grads too

        result = f(*_copies(args))
        inputs, outputs = _leaves(args), _leaves(result)
        start = _pack(inputs)
        direction = self.random.standard_normal(start.size) * _scale(start)
        numeric, error = _derivative(
            lambda t: _pack_like(f(*_unpack(args, start + t * direction)), outputs),
            1.0, _coefficients(6), _precision([*inputs, *outputs]), None,
        )  # fmt: skip
        tangents = _unpack(args, direction, tangent=True)
        cotangent = self.random.standard_normal(_pack(outputs).size)
        seed = _unpack(result, cotangent, tangent=True)
        forward: Vector | None = None

        if "fwd" in self.modes:
            value, tangent = api.jvp(f, tuple(_copies(args)), tangents)
            self.same_value("jvp", value, result, path)
            forward = _pack_tangent(tangent, result)
            self.close("the tangent of jvp", forward, numeric, error, path)
            self.run(lambda *xs: api.jvp(f, xs, tangents)[1], args, order - 1, (*path, "jvp"))
        if "rev" in self.modes:
            value, pullback = api.vjp(f, *_copies(args))
            self.same_value("vjp", value, result, path)
            gradient = _pack_tangent(pullback(seed), args)
            got, want = float(gradient @ direction), float(cotangent @ numeric)
            slack = float(np.abs(cotangent) @ error)
            self.close("⟨Jᵀ ȳ, ẋ⟩ by vjp", np.array([got]), np.array([want]), np.array([slack]), path)
            if forward is not None:
                want = float(cotangent @ forward)
                size = float(np.abs(cotangent) @ np.abs(forward) + np.abs(gradient) @ np.abs(direction))
                if abs(got - want) > (1e-3 if self.rtol > 1e-5 else 1e-9) * size:
                    raise DerivativeMismatch(
                        f"{self.named(path)}: the modes disagree: ⟨ȳ, J ẋ⟩ by jvp is {want!r}, "
                        f"and ⟨Jᵀ ȳ, ẋ⟩ by vjp is {got!r}"
                    )
            self.run(lambda *xs: api.vjp(f, *xs)[1](seed), args, order - 1, (*path, "vjp"))

    def named(self, path: tuple[str, ...]) -> str:
        return " of ".join([*reversed(path), self.function])

    def same_value(self, mode: str, value: Any, plain: Any, path: tuple[str, ...]) -> None:
        got, want = _pack_like(value, _leaves(plain)), _pack(_leaves(plain))
        if not np.array_equal(got, want, equal_nan=True):
            worst = int(np.argmax(got != want))
            raise DerivativeMismatch(
                f"{self.named(path)}: {mode} changed the value: it returns {got[worst]}, and the plain call "
                f"{want[worst]}"
            )

    def close(self, what: str, got: Vector, want: Vector, error: Vector, path: tuple[str, ...]) -> None:
        largest = float(np.max(np.abs(want), initial=0.0))
        allowed = self.atol + self.rtol * np.abs(want) + np.minimum(10.0 * error, 10.0 * self.rtol * largest)
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
    g: Callable[[float], Vector], x: float, coefficients: Vector, eps: float, step: float | None
) -> tuple[Vector, Vector]:
    """The derivative of g at 0 and an estimate of its error; `x` is the argument's own value there.

    The error is T h^p + R / h: T from the (p + 1)-th derivative, R from the rounding of g. The step to
    estimate T with is not known either, so both are found together in a few rounds, from a small step up.
    """
    m = coefficients.size
    order, points = 2 * m, [*range(-m, 0), *range(1, m + 1)]
    central = np.concatenate([-coefficients[::-1], coefficients])
    if step is not None:
        values = np.array([g(k * step) for k in points])
        return central @ values / step, np.zeros(values.shape[1:])
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
        noise = np.maximum(own_noise, eps * np.max(np.abs(values), axis=0) + np.finfo(np.float64).tiny)
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
    return estimate, error


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


# ---- values as vectors of leaves ---------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class _Leaf:
    path: str
    value: Any


def _leaves(value: Any) -> list[_Leaf]:
    """The differentiable leaves of a value, in a fixed order, each mutable one once.

    >>> [(leaf.path, leaf.value) for leaf in _leaves({"a": [1.0, 2], "b": (3j, "c")})]
    [("['a'][0]", 1.0), ("['b'][0]", 3j)]
    """
    found: list[_Leaf] = []
    _collect(value, "", found, set())
    return found


def _collect(value: Any, path: str, found: list[_Leaf], seen: set[int]) -> None:
    if _is_number(value):
        found.append(_Leaf(path, value))
        return
    children = _children(value)
    if (children is None and not isinstance(value, np.ndarray)) or id(value) in seen:
        return
    seen.add(id(value))
    if children is None:
        if value.dtype.kind in "fc":
            found.append(_Leaf(path, value))
        return
    for key, child in children:
        _collect(child, path + key, found, seen)


def _children(value: Any) -> list[tuple[str, Any]] | None:
    """The parts of a container or object, with how each is reached; None for anything else."""
    if isinstance(value, tuple | list):
        names = getattr(value, "_fields", None)
        keys = [f".{name}" for name in names] if names else [f"[{i}]" for i in range(len(value))]
        return list(zip(keys, value, strict=True))
    if isinstance(value, dict):
        return [(f"[{key!r}]", child) for key, child in value.items()]
    return [(f".{name}", child) for name, child in fields.items()] if (fields := _fields(value)) else None


def _fields(value: Any) -> dict[str, Any]:
    """The attributes of an instance of an ordinary Python class; none for functions, modules and classes."""
    if isinstance(value, Tangent):
        return {name: value[name] for name in value}
    code = (type, FunctionType, MethodType, BuiltinFunctionType, ModuleType)
    if isinstance(value, (*code, np.ndarray, np.generic, str, bytes)):
        return {}
    names = dict.fromkeys(getattr(value, "__dict__", ()))
    for cls in type(value).__mro__:
        slots = cls.__dict__.get("__slots__", ())
        names.update(dict.fromkeys((slots,) if isinstance(slots, str) else slots))
    names = {name: None for name in names if not name.startswith("__") and hasattr(value, name)}
    return {name: getattr(value, name) for name in names}


def _is_number(value: Any) -> bool:
    return isinstance(value, float | complex | np.floating | np.complexfloating)


def _pack(leaves: list[_Leaf]) -> Vector:
    """The leaves as one vector of reals: a complex number takes two places, so that `@` is Re⟨a, b⟩."""
    return np.concatenate([_reals(leaf.value) for leaf in leaves]) if leaves else np.zeros(0)


def _reals(value: Any) -> Vector:
    array = np.asarray(value).ravel()
    if array.dtype.kind == "c":
        array = np.stack([array.real, array.imag], axis=-1).ravel()
    return array.astype(np.float64)


def _pack_like(value: Any, template: list[_Leaf]) -> Vector:
    """The leaves of `value`, which must match `template`: the result of another call of the same function."""
    leaves = _leaves(value)
    got = [(leaf.path, np.shape(leaf.value)) for leaf in leaves]
    want = [(leaf.path, np.shape(leaf.value)) for leaf in template]
    if got != want:
        raise DerivativeMismatch(f"the result changes its structure from call to call: {want} and {got}")
    return _pack(leaves)


def _unpack(value: Any, vector: Vector, tangent: bool = False) -> Any:
    """`value` with its leaves taken from `vector`; as a tangent, other leaves are None and objects are dicts.

    >>> _unpack((1.0, [2, 3.0]), np.array([5.0, 6.0]))
    (5.0, [2, 6.0])
    >>> _unpack((1.0, [2, 3.0]), np.array([5.0, 6.0]), tangent=True)
    (5.0, [None, 6.0])
    """
    return _Rebuild(tangent, _Reals(vector)).of(value)


class _Reals:
    """Reads a vector of reals leaf by leaf."""

    def __init__(self, vector: Vector) -> None:
        self.vector, self.at = vector, 0

    def like(self, leaf: Any) -> Any:
        array = np.asarray(leaf)
        size = array.size * (2 if array.dtype.kind == "c" else 1)
        part = self.vector[self.at : self.at + size]
        self.at += size
        if array.dtype.kind == "c":
            part = part[0::2] + 1j * part[1::2]
        if isinstance(leaf, np.ndarray):
            return part.astype(leaf.dtype).reshape(leaf.shape)
        return type(leaf)(part[0])


class _Rebuild:
    """Copies a value with other leaves, keeping what is shared inside it shared."""

    def __init__(self, tangent: bool, leaves: _Reals | None) -> None:
        self.tangent, self.leaves, self.made = tangent, leaves, dict[int, Any]()

    def of(self, value: Any) -> Any:
        if _is_number(value):
            return value if self.leaves is None else self.leaves.like(value)
        if id(value) in self.made:
            return self.made[id(value)]
        if isinstance(value, np.ndarray):
            if value.dtype.kind in "fc" and self.leaves is not None:
                made = self.leaves.like(value)
            else:
                made = None if self.tangent else value.copy(order="K")
            self.made[id(value)] = made
            return made
        if isinstance(value, tuple):
            parts = [self.of(child) for child in value]
            return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
        if isinstance(value, list):
            items: list[Any] = []
            self.made[id(value)] = items
            items.extend(self.of(child) for child in value)
            return items
        if isinstance(value, dict):
            entries = {} if self.tangent else copy.copy(value)
            self.made[id(value)] = entries
            for key, child in value.items():
                entries[key] = self.of(child)
            return entries
        if fields := _fields(value):
            fresh: Any = {} if self.tangent else copy.copy(value)
            if isinstance(value, Tangent) and not self.tangent:
                fresh = Tangent(type(value).__name__, {})
            self.made[id(value)] = fresh
            for name, child in fields.items():
                part = self.of(child)
                if self.tangent:
                    fresh[name] = part
                elif isinstance(fresh, Tangent):
                    setattr(fresh, name, part)
                elif part is not child:
                    object.__setattr__(fresh, name, part)
            return fresh
        return None if self.tangent else value


def _copies(args: Sequence[Any]) -> list[Any]:
    """The arguments, to be overwritten at will; what two of them share, their copies share."""
    rebuild = _Rebuild(tangent=False, leaves=None)
    return [rebuild.of(arg) for arg in args]


def _pack_tangent(tangent: Any, value: Any) -> Vector:
    """A tangent of `value` as a vector, in the order of the leaves of `value`."""
    parts: list[Vector] = []
    _collect_tangent(tangent, value, "", parts, set())
    return np.concatenate(parts) if parts else np.zeros(0)


def _collect_tangent(tangent: Any, value: Any, path: str, parts: list[Vector], seen: set[int]) -> None:
    children = _children(value)
    leaf = _is_number(value) or (isinstance(value, np.ndarray) and value.dtype.kind in "fc")
    if not leaf and children is None:
        return
    if not _is_number(value):
        if id(value) in seen:
            return
        seen.add(id(value))
    if leaf:
        if np.shape(tangent) != np.shape(value) or tangent is None:
            where = path and " at " + path
            raise DerivativeMismatch(
                f"the derivative{where} is {_described(tangent)}, and the value {_described(value)}"
            )
        if np.asarray(value).dtype.kind == "c":
            tangent = np.asarray(tangent, dtype=complex)
        elif np.asarray(tangent).dtype.kind == "c":
            raise DerivativeMismatch(f"the derivative{path and ' at ' + path} is complex, and the value real")
        parts.append(_reals(tangent))
        return
    for (key, child), part in zip(children or [], _tangent_children(tangent, value), strict=True):
        _collect_tangent(part, child, path + key, parts, seen)


def _tangent_children(tangent: Any, value: Any) -> Iterator[Any]:
    if isinstance(value, tuple | list):
        if len(tangent) != len(value):
            raise DerivativeMismatch(f"a derivative has {len(tangent)} parts, and the value {len(value)}")
        yield from tangent
    elif isinstance(value, dict):
        yield from (tangent[key] for key in value)
    else:
        for name in _fields(value):
            yield tangent[name] if isinstance(tangent, dict | Tangent) else getattr(tangent, name)


def _jacobian(result: Any, argument: Any, matrix: Vector) -> Any:
    """The real matrix of derivatives, in the structure of the argument in each leaf of the result."""
    if _is_number(result) and not isinstance(result, complex | np.complexfloating):
        return _unpack(argument, matrix[0], tangent=True)
    rows = _Rows(matrix)
    return _Rebuild(tangent=True, leaves=_JacobianLeaves(rows, argument)).of(result)


class _Rows:
    def __init__(self, matrix: Vector) -> None:
        self.matrix, self.at = matrix, 0

    def take(self, count: int) -> Vector:
        self.at += count
        return self.matrix[self.at - count : self.at]


class _JacobianLeaves(_Reals):
    """For each leaf of a result, the derivative by the whole argument."""

    def __init__(self, rows: _Rows, argument: Any) -> None:
        super().__init__(np.zeros(0))
        self.rows, self.argument = rows, argument

    def like(self, leaf: Any) -> Any:
        array = np.asarray(leaf)
        twice = array.dtype.kind == "c"
        block: NDArray[Any] = self.rows.take(array.size * (2 if twice else 1))
        if twice:
            block = block[0::2] + 1j * block[1::2]
        return _Rebuild(tangent=True, leaves=_Columns(block, array.shape, twice)).of(self.argument)


class _Columns(_Reals):
    """For each leaf of the argument, its columns of one block of rows."""

    def __init__(self, block: NDArray[Any], shape: tuple[int, ...], twice: bool) -> None:
        super().__init__(np.zeros(0))
        self.block, self.shape, self.twice = block, shape, twice

    def like(self, leaf: Any) -> Any:
        array = np.asarray(leaf)
        count = array.size * (2 if array.dtype.kind == "c" else 1)
        part = self.block[:, self.at : self.at + count]
        self.at += count
        if array.dtype.kind == "c":
            if self.twice:
                raise TypeError(
                    "finite_difference: a complex result by a complex argument has no single complex "
                    "derivative: differentiate its .real and .imag, or with respect to real arguments"
                )
            part = part[:, 0::2] + 1j * part[:, 1::2]
        full = part.reshape(self.shape + array.shape)
        return full if full.shape else full[()]


# ---- small helpers -----------------------------------------------------------------------------------------


def _precision(leaves: list[_Leaf]) -> float:
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


def _described(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype} of shape {value.shape}"
    return f"{value!r} of type {type(value).__name__}"
