"""Random numbers: drawn by NumPy's own generators, called back, so that they are those of the plain program.

A generator is a Python object, known to the nest by its address: one of the arguments, or one that the nest
has had made.  What is drawn is a constant for derivatives; a number that is a standard one, placed and scaled
by parameters (normal, uniform, exponential, ...), has derivatives by those.
"""

from __future__ import annotations

import inspect
import uuid
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from tapeless.backends.native.callbacks import GLOBAL
from tapeless.backends.native.nest import I64, Array, Assign, Expr, Intrinsic, Ref, Scalar, apply, const
from tapeless.backends.native.staging import arrays, storage
from tapeless.backends.native.staging.base import TYPES
from tapeless.backends.native.staging.broadcasting import broadcast_shapes
from tapeless.backends.native.staging.builtin_table import BUILTINS, NONE, lowers
from tapeless.backends.native.staging.lowerings import shape_of
from tapeless.backends.native.staging.printing import pickled, shown
from tapeless.backends.native.staging.values import (
    ArrayValue,
    Number,
    RandomNumbers,
    Sequence,
    Static,
    Value,
)

if TYPE_CHECKING:
    from tapeless.backends.native.staging.stager import Stager

#: Methods that are not a distribution of numbers with a size.
OTHERS = ("choice", "dirichlet", "multinomial", "multivariate_hypergeometric", "multivariate_normal", "bytes")
#: Generators to find out what a method gives.
SAMPLES: dict[type, Any] = {
    np.random.Generator: np.random.default_rng(0),
    np.random.RandomState: np.random.RandomState(0),
}
YES, FIRST = Static(True), Static(0)


# ---- generators


@lowers(np.random.default_rng)
def default_rng(s: Stager, seed: Value = NONE) -> Value:
    if isinstance(seed, RandomNumbers):
        return seed
    return made(s, np.random.Generator, "default_rng", seed)


@lowers(np.random.RandomState)
def random_state(s: Stager, seed: Value = NONE) -> Value:
    return made(s, np.random.RandomState, "RandomState", seed)


def made(s: Stager, cls: type, name: str, seed: Value) -> Value:
    """A new generator.  It takes the place of the one that the same line made before in this thread."""
    templates, operands = shown(s, (seed,))
    handle = s.scalar(I64, "rng")
    run(s, (handle,), operands, ("make", uuid.uuid4().hex, name, templates))
    return RandomNumbers(Ref(handle), cls)


def run(
    s: Stager, outs: tuple[Scalar | Array, ...], operands: list[Scalar | Array], payload: tuple[Any, ...]
) -> None:
    ins: list[Array | Expr] = [Ref(x) if isinstance(x, Scalar) else x for x in operands]
    s.emit(Intrinsic("random", outs, tuple(ins), {"payload": pickled(s, payload)}))


# ---- numbers


def method(s: Stager, owner: RandomNumbers, name: str, args: list[Value], kwargs: dict[str, Value]) -> Value:
    """A method of a generator."""
    if name in SPECIAL:
        return SPECIAL[name](s, owner, *args, **kwargs)
    sample = getattr(SAMPLES[owner.cls], name)
    table = inspect.signature(sample).bind(*args, **kwargs).arguments
    names = list(inspect.signature(sample).parameters)
    if name in OTHERS or "size" not in names:
        s.refuse(f"{name} of a random generator", "draw outside the compiled function")
    size = table.pop("size", NONE)
    before = names[: names.index("size")]
    params = {k: v for k, v in table.items() if k in before}
    options = {k: s.known(v) for k, v in table.items() if k not in before}
    if options.get("out") is not None:
        s.refuse(f"{name} of a random generator, with out", "assign what it gives")
    if name in STANDARD and not options:
        return STANDARD[name](s, owner, size, **params)
    return drawn(s, owner, name, size, params, options)


def drawn(
    s: Stager, owner: RandomNumbers, name: str, size: Value, params: dict[str, Value], options: dict[str, Any]
) -> Value:
    """Numbers of a distribution."""
    sized = not (isinstance(size, Static) and size.obj is None)
    shapes = [v.shape for v in params.values() if isinstance(v, ArrayValue)]
    shape = shape_of(s, size) if sized else broadcast_shapes(s, shapes) if shapes else None
    probe = getattr(SAMPLES[owner.cls], name)
    defaults = {"low": 0, "high": 2, "p": 0.5, "n": 2, "left": 0.0, "mode": 1.0, "right": 2.0}
    sample = probe(**{k: defaults.get(k, 1) for k in params}, **options)
    kind = type(sample)
    if kind not in TYPES:
        s.refuse(f"{name} of a random generator gives {kind.__name__}", "draw floats or integers")
    templates, operands = shown(s, tuple(params.values()))
    payload = ("draw", name, list(params), templates, options, sized)
    if shape is None:
        out = s.scalar(TYPES[kind], name)
        run(s, (out,), [*handle(s, owner), *operands], payload)
        return Number(Ref(out), kind)
    dtype = np.asarray(probe(**{k: defaults.get(k, 1) for k in params}, size=1, **options)).dtype.name
    view = storage.fresh(s, shape, dtype, name)
    run(s, (view.array,), [*handle(s, owner), *operands], payload)
    return view


def handle(s: Stager, owner: RandomNumbers) -> list[Scalar | Array]:
    """The generator's address, among the operands; 0 is NumPy's own."""
    var = s.scalar(I64, "rng")
    s.emit(Assign(var, owner.handle))
    return [var]


def number_or(s: Stager, value: Value | None, otherwise: float) -> Value:
    return Static(otherwise) if value is None else value


def located(
    name: str,
    s: Stager,
    owner: RandomNumbers,
    size: Value,
    loc: Value | None = None,
    scale: Value | None = None,
) -> Value:
    """A number that is `loc + scale * z`, with the standard number z of the method `name`."""
    loc, scale = number_or(s, loc, 0.0), number_or(s, scale, 1.0)
    not_negative(s, scale)
    return placed(s, loc, scale, standard(s, owner, name, size, loc, scale))


def lognormal(
    s: Stager, owner: RandomNumbers, size: Value, mean: Value | None = None, sigma: Value | None = None
) -> Value:
    mean, sigma = number_or(s, mean, 0.0), number_or(s, sigma, 1.0)
    not_negative(s, sigma, "sigma < 0")
    power = placed(s, mean, sigma, standard(s, owner, "standard_normal", size, mean, sigma))
    if isinstance(power, Number):
        return Number(apply("exp", s.as_expr(power, "f64")), float)
    return arrays.call(s, np.exp, [power], {}) or power


def uniform(
    s: Stager, owner: RandomNumbers, size: Value, low: Value | None = None, high: Value | None = None
) -> Value:
    low, high = number_or(s, low, 0.0), number_or(s, high, 1.0)
    width = s.binary("Sub", high, low)
    modern = owner.cls is np.random.Generator
    if not isinstance(width, ArrayValue):
        message = "high - low range exceeds valid bounds" if modern else "Range exceeds valid bounds"
        s.check(apply("isfinite", s.as_expr(width, "f64")), OverflowError, message)
    if modern:
        not_negative(s, width, "high - low < 0")
    return placed(s, low, width, standard(s, owner, "random", size, low, width))


def scaled(name: str, s: Stager, owner: RandomNumbers, size: Value, scale: Value | None = None) -> Value:
    """A number that is `scale * z`, with the standard number z of the method `name`."""
    scale = number_or(s, scale, 1.0)
    not_negative(s, scale)
    return placed(s, None, scale, standard(s, owner, name, size, scale))


def standard(s: Stager, owner: RandomNumbers, name: str, size: Value, *params: Value) -> Value:
    """Standard numbers, as many as the size or the parameters say."""
    shapes = [v.shape for v in params if isinstance(v, ArrayValue)]
    if isinstance(size, Static) and size.obj is None and shapes:
        shape = broadcast_shapes(s, shapes)
        size = Sequence([Static(n.value) if hasattr(n, "value") else Number(n, int) for n in shape], tuple)
    return drawn(s, owner, name, size, {}, {})


def placed(s: Stager, loc: Value | None, scale: Value, z: Value) -> Value:
    """`loc + scale * z`; a number is a Python float, as generators give it."""
    result = s.binary("Mult", scale, z)
    result = result if loc is None else s.binary("Add", loc, result)
    if isinstance(z, Number):
        return Number(s.as_expr(result, "f64"), float)
    return result


def not_negative(s: Stager, scale: Value, message: str = "scale < 0") -> None:
    if isinstance(scale, ArrayValue):
        scale = arrays.call(s, np.min, [scale], {}) or scale
    s.check(apply("not", apply("lt", s.as_expr(scale, "f64"), const(0.0))), ValueError, message)


STANDARD: dict[str, Callable[..., Value]] = {
    "normal": partial(located, "standard_normal"),
    **{name: partial(located, name) for name in ("laplace", "logistic", "gumbel")},
    "lognormal": lognormal,
    "uniform": uniform,
    "exponential": partial(scaled, "standard_exponential"),
    "rayleigh": partial(scaled, "rayleigh"),
}


# ---- permutations and choices, by indices


def indices(s: Stager, owner: RandomNumbers, count: Expr) -> Value:
    """The numbers below `count`, in an order that `shuffle` gives."""
    row = storage.fresh(s, (count,), "int64", "order")
    run(s, (row.array,), handle(s, owner), ("shuffle",))
    return row


def first_axis(s: Stager, axis: Value, what: str) -> None:
    if s.known(axis) != 0:
        s.refuse(f"{what} along an axis", "take a transpose of the array")


def permutation(s: Stager, owner: RandomNumbers, x: Value, axis: Value = FIRST) -> Value:
    first_axis(s, axis, "a permutation")
    if not isinstance(x, ArrayValue):
        if not s.is_number(x):
            x = arrays.call(s, np.array, [x], {}) or x
        else:
            return indices(s, owner, s.as_expr(x, I64))
    assert isinstance(x, ArrayValue)
    return s.getitem(x, indices(s, owner, x.shape[0]))


def shuffle(s: Stager, owner: RandomNumbers, x: Value, axis: Value = FIRST) -> Value:
    first_axis(s, axis, "a shuffle")
    if not isinstance(x, ArrayValue):
        s.refuse("a list is shuffled", "shuffle an array")
    order = indices(s, owner, x.shape[0])
    s.setitem(x, Static(Ellipsis), s.getitem(x, order))
    return NONE


def choice(
    s: Stager,
    owner: RandomNumbers,
    a: Value,
    size: Value = NONE,
    replace: Value = YES,
    p: Value = NONE,
    axis: Value = FIRST,
    shuffle: Value = YES,
) -> Value:
    first_axis(s, axis, "a choice")
    if not s.known(shuffle):
        s.refuse("a choice without a shuffle", "draw outside the compiled function")
    if not s.is_number(a) and not isinstance(a, ArrayValue):
        a = arrays.call(s, np.array, [a], {}) or a
    count = a.shape[0] if isinstance(a, ArrayValue) else s.as_expr(a, I64)
    n = Number(count, int)
    given = () if isinstance(p, Static) and p.obj is None else (p,)
    templates, operands = shown(s, (n, *given))
    names = ["a", "p"][: len(templates)]
    payload = ("draw", "choice", names, templates, {"replace": bool(s.known(replace))}, True)
    if isinstance(size, Static) and size.obj is None:
        out = s.scalar(I64, "choice")
        run(s, (out,), [*handle(s, owner), *operands], (*payload[:-1], False))
        at: Value = Number(Ref(out), int)
    else:
        view = storage.fresh(s, shape_of(s, size), "int64", "choice")
        run(s, (view.array,), [*handle(s, owner), *operands], payload)
        at = view
    return s.getitem(a, at) if isinstance(a, ArrayValue) else at


def rand(name: str, s: Stager, owner: RandomNumbers, *lengths: Value) -> Value:
    return drawn(s, owner, name, Sequence(list(lengths), tuple) if lengths else NONE, {}, {})


def seed(s: Stager, owner: RandomNumbers, value: Value = NONE) -> Value:
    templates, operands = shown(s, (value,))
    run(s, (), [*handle(s, owner), *operands], ("seed", templates))
    return NONE


SPECIAL: dict[str, Callable[..., Value]] = {
    "permutation": permutation, "shuffle": shuffle, "choice": choice, "seed": seed,
    "rand": partial(rand, "random_sample"), "randn": partial(rand, "standard_normal"),
}  # fmt: skip


def _global(name: str) -> Callable[..., Value]:
    def call(s: Stager, *args: Value, **kwargs: Value) -> Value:
        return method(s, RandomNumbers(const(0), np.random.RandomState), name, list(args), kwargs)

    return call


BUILTINS[np.random.seed] = _global("seed")
for _name in dir(np.random.RandomState):
    _function = getattr(np.random, _name, None)
    if not _name.startswith("_") and getattr(_function, "__self__", None) is GLOBAL:
        BUILTINS[_function] = _global(_name)
