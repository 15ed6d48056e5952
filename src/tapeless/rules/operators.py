"""Python's operators on numbers and arrays, and the NumPy functions that are the same primitives."""

from __future__ import annotations

import builtins
import cmath
import math
import operator
from typing import Any

import numpy as np

from tapeless.rules.compat import find_all
from tapeless.rules.registry import elementwise, jvp_rule, nondifferentiable, row, singular, transpose_rule

_STEPS = [(2.0, 3.5), (-5.3, 2.0), (7.9, -2.25), (-0.6, -1.7)]  # away from multiples
_PAIRS = [(2.0, 3.5), (-1.5, 0.5), (0.7, -2.25), (-0.6, -1.7)]


def sign(x: Any) -> Any:
    """The sign of a real number, 0 at 0; for a complex one z / |z|."""
    if type(x) is float:
        return 1.0 if x > 0.0 else -1.0 if x < 0.0 else 0.0
    if type(x) is np.ndarray and x.dtype.kind == "f":
        return np.sign(x)
    if np.iscomplexobj(x):
        size = np.abs(x)
        return np.where(size == 0, 0, x / np.where(size == 0, 1, size))
    return np.sign(x)


def conjugate_sign(x: Any) -> Any:
    """What the absolute value changes by: the sign, of a complex number its conjugate."""
    if type(x) is float or type(x) is np.ndarray and x.dtype.kind == "f":
        return sign(x)
    return np.conj(sign(x)) if np.iscomplexobj(x) else sign(x)


def power_by_base(x: Any, n: Any) -> Any:
    """n * x ** (n - 1), with 0 for n = 0 whatever x is."""
    if isinstance(n, np.ndarray):
        return n * x ** np.where(n == 0, 1, n - 1)
    return n * x ** (n - 1) if n else 0.0


def power_by_exponent(y: Any, x: Any) -> Any:
    """y * log(x), with 0 where x is 0: there no change of the exponent moves y."""
    if type(y) is float and type(x) is not np.ndarray:
        return 0.0 if x == 0 else y * math.log(x) if x > 0 else math.nan
    if type(y) is complex and type(x) is not np.ndarray:
        return 0.0 if x == 0 else y * cmath.log(x)
    base = np.where(np.equal(x, 0), 1, x)
    return np.where(np.equal(x, 0), 0, y * np.log(base + 0j if np.iscomplexobj(y) else base))


elementwise([operator.add, np.add], partials=lambda y, a, b: (1, 1), rows=_PAIRS, constant=True)
elementwise([operator.sub, np.subtract], partials=lambda y, a, b: (1, -1), rows=_PAIRS, constant=True)
elementwise([operator.mul, np.multiply], partials=lambda y, a, b: (b, a), rows=_PAIRS)
elementwise(
    [operator.truediv, np.true_divide],
    partials=(lambda y, a, b: 1 / b, lambda y, a, b: -y / b),
    rows=_PAIRS,
)
elementwise(
    [operator.pow, builtins.pow, np.power, np.float_power],
    partials=(lambda y, x, n: power_by_base(x, n), lambda y, x, n: power_by_exponent(y, x)),
    rows=[
        (2.0, 3.5),
        (0.7, -2.25),
        row(-1.5, 2),
        row(-1.5, -3),
        row(-0.3, 1),
        row(2.0, 0),
        row(0.0, 2),
        row(0.0, 1),
        singular(0.0, 0.5),
        singular(0.0, 0.0),
        row(2, 0.5),
    ],
)
elementwise(
    [operator.mod, np.remainder], partials=(lambda y, a, b: 1, lambda y, a, b: -(a // b)), rows=_STEPS
)
elementwise([operator.neg, np.negative], partials=lambda y, x: -1, rows=[0.3, -1.5], constant=True)
elementwise([operator.pos, np.positive], partials=lambda y, x: 1, rows=[0.3, -1.5], constant=True)
elementwise(
    [operator.abs, builtins.abs, np.absolute],  # for a complex number Re(conj(sign) * dz)
    partials=lambda y, x: conjugate_sign(x),
    rows=[0.3, -1.5, singular(0.0)],
)
nondifferentiable(operator.floordiv, np.floor_divide)


@jvp_rule([builtins.divmod, np.divmod], rows=_STEPS)
def _(a: Any, b: Any, da: Any, db: Any, *, out: Any) -> Any:
    quotient, _ = out
    if db is None:
        return None, da
    return None, -quotient * db if da is None else da - quotient * db


# ---- numbers: constructors, attributes and methods -----------------------------------------------

elementwise(builtins.float, partials=lambda y, x: 1, rows=[0.3, -2.0], constant=True)
elementwise(
    builtins.complex,
    partials=lambda y, real, imag=0: (1, 1j),
    rows=[(0.3,), (0.3, -2.0), (0.5 + 1j,)],
    constant=True,
)
elementwise(
    [
        np.real,
        float.real,
        complex.real,
        np.generic.real,
        np.ndarray.real,
        float.conjugate,
        float.__float__,
        np.generic.item,
        np.generic.copy,
        np.generic.squeeze,
        np.generic.__copy__,
        np.generic.__deepcopy__,
        np.generic.T,
        float.__pos__,
    ],  # a real result keeps the real part of the tangent
    partials=lambda y, x, *_: (1,),
    rows=[0.3, 0.3 - 2j],
    constant=True,
)
elementwise(
    [np.imag, float.imag, complex.imag, np.generic.imag, np.ndarray.imag],
    partials=lambda y, x: -1j if np.iscomplexobj(x) else 0.0,
    rows=[0.3, 0.3 - 2j],
    constant=True,
)


@transpose_rule(
    [
        np.conjugate,
        complex.conjugate,
        np.generic.conj,
        np.generic.conjugate,
        np.ndarray.conj,
        np.ndarray.conjugate,
    ],
    apply=np.conjugate,
    rows=[0.3, 0.3 - 2j],
)
def _(ct: Any, x: Any) -> Any:
    return np.conjugate(ct)


# ---- what has no derivative: questions, text, identity -------------------------------------------

nondifferentiable(
    operator.lt,
    operator.le,
    operator.eq,
    operator.ne,
    operator.gt,
    operator.ge,
    operator.is_,
    operator.is_not,
    operator.not_,
    operator.truth,
    operator.contains,
    operator.and_,
    operator.or_,
    operator.xor,
    operator.invert,
    operator.lshift,
    operator.rshift,
    operator.index,
    operator.countOf,
    operator.indexOf,
    operator.length_hint,
)
nondifferentiable(
    builtins.len,
    builtins.isinstance,
    builtins.issubclass,
    builtins.print,
    builtins.repr,
    builtins.str,
    builtins.format,
    builtins.ascii,
    builtins.hash,
    builtins.id,
    builtins.bool,
    builtins.int,
    builtins.round,
    builtins.callable,
    builtins.hasattr,
    builtins.range,
    builtins.chr,
    builtins.ord,
    builtins.hex,
    builtins.bin,
    builtins.oct,
    builtins.bytes,
    builtins.dir,
    builtins.any,
    builtins.all,
    builtins.input,
)
nondifferentiable(
    float.is_integer,
    float.as_integer_ratio,
    float.hex,
    float.fromhex,
    float.__int__,
    float.__trunc__,
    float.__floor__,
    float.__ceil__,
    float.__round__,
    float.__bool__,
    float.__repr__,
    float.__str__,
    float.__format__,
    float.__hash__,
    float.__eq__,
    float.__lt__,
    float.__le__,
    float.__gt__,
    float.__ge__,
    complex.__eq__,
    complex.__repr__,
    complex.__hash__,
    str.format,
    str.join,
    str.__mod__,
)
nondifferentiable(
    *find_all(
        *(
            "numpy.generic." + name
            for name in (
                "dtype",
                "shape",
                "ndim",
                "size",
                "itemsize",
                "nbytes",
                "flags",
                "strides",
                "all",
                "any",
                "argmax",
                "argmin",
                "argsort",
                "nonzero",
                "round",
                "tobytes",
                "tostring",
                "__bool__",
                "__int__",
                "__repr__",
                "__str__",
                "__eq__",
                "__lt__",
                "__le__",
                "__gt__",
                "__ge__",
                "__ne__",
                "__format__",
            )
        )
    )
)
