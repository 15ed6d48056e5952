"""Elements of arrays while they are staged: types, casts, wrapping integers, pairs for complex numbers.

An element of a float, integer or boolean dtype is an expression; one of a complex dtype is a pair of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from tapeless.backends.native.nest import (
    BOOL,
    ELEMENTS,
    F32,
    F64,
    FLOATS,
    I64,
    Apply,
    Const,
    Expr,
    Ref,
    apply,
    cast,
    const,
)
from tapeless.backends.native.staging.values import ComplexNumber, Element, Number, Static, Value

if TYPE_CHECKING:
    from tapeless.backends.native.staging.stager import Stager

COMPLEX = {"complex128": "float64", "complex64": "float32"}
#: Bits of the integers that are narrower than those they are computed with; negative without a sign.
NARROW = {"int32": 32, "int16": 16, "int8": 8, "uint8": -8, "uint16": -16, "uint32": -32}


def is_complex(dtype: str) -> bool:
    return dtype in COMPLEX


def is_float(dtype: str) -> bool:
    return dtype in ("float64", "float32")


def supported(dtype: str) -> bool:
    return dtype in ELEMENTS or dtype in COMPLEX


def stored(dtype: str) -> str:
    """The dtype of the storage of an array."""
    return COMPLEX.get(dtype, dtype)


def scalar_type(dtype: str) -> str:
    """The scalar type of an element, or of the parts of a complex one."""
    return ELEMENTS[stored(dtype)]


def parts(element: Element) -> tuple[Expr, ...]:
    return element if isinstance(element, tuple) else (element,)


def each(function: Callable[..., Expr], *elements: Element) -> Element:
    """The function of elements, part by part."""
    if isinstance(elements[0], tuple):
        pairs: Any = elements
        return function(*(p[0] for p in pairs)), function(*(p[1] for p in pairs))
    return function(*elements)


def literal(value: Any, dtype: str) -> Element:
    """A Python or NumPy number as an element."""
    if is_complex(dtype):
        value = complex(value)
        return const(value.real, scalar_type(dtype)), const(value.imag, scalar_type(dtype))
    if isinstance(value, complex):
        value = value.real
    return wrap(const(value, scalar_type(dtype)), dtype)


def wrap(e: Expr, dtype: str) -> Expr:
    """An integer as what is left of it in a narrower type."""
    bits = NARROW.get(dtype)
    if bits is None:
        return e
    if isinstance(e, Const):
        return const(int(np.array(e.value).astype(dtype)))
    if bits < 0:
        return Apply("and", (e, const(2**-bits - 1)), I64)
    return Apply("shr", (Apply("shl", (e, const(64 - bits)), I64), const(64 - bits)), I64)


def convert(element: Element, source: str, target: str) -> Element:
    """An element of one dtype as one of another, as `astype` has it."""
    if source == target:
        return element
    if is_complex(target):
        real, imag = element if isinstance(element, tuple) else (element, None)
        kind = scalar_type(target)
        return cast(real, kind), cast(imag, kind) if imag is not None else const(0, kind)
    if isinstance(element, tuple):
        if target == "bool":
            return apply("any", nonzero(element[0]), nonzero(element[1]))
        element, source = element[0], COMPLEX[source]
    if target == "bool":
        return nonzero(element)
    made = cast(element, ELEMENTS[target])
    if isinstance(element, Const) and made.type == I64:
        made = const(int(element.value))
    narrower = target in NARROW and source not in (target, "bool")
    return wrap(made, target) if narrower else made


def nonzero(e: Expr) -> Expr:
    return e if e.type == BOOL else apply("ne", e, const(0, e.type))


def atomic(e: Expr) -> bool:
    """Whether an expression costs nothing to write twice."""
    return isinstance(e, (Const, Ref))


def bind(stager: Stager, element: Element, hint: str = "t") -> Element:
    """The element, computed once."""
    return each(lambda e: stager.bind(e, hint), element)


def value_of(stager: Stager, element: Element, dtype: str) -> Value:
    """A NumPy scalar of the element."""
    kind = np.dtype(dtype).type
    if isinstance(element, tuple):
        return ComplexNumber(stager.bind(element[0]), stager.bind(element[1]), kind)
    return Number(stager.bind(element), kind)


def python_value(stager: Stager, element: Element) -> Value:
    """A Python number of the element (`a.item()`)."""
    if isinstance(element, tuple):
        real, imag = (stager.bind(cast(p, F64)) for p in element)
        return ComplexNumber(real, imag, complex)
    kind = {BOOL: bool, I64: int, F64: float, F32: float}[element.type]
    return Number(stager.bind(cast(element, F64) if element.type in FLOATS else element), kind)


def scalar_element(value: Value) -> tuple[Element, Any] | None:
    """A number as an element, and what it counts as in promotion: a dtype, or a weak Python type."""
    if isinstance(value, Static):
        obj = value.obj
        if isinstance(obj, np.generic) and supported(obj.dtype.name):
            return literal(obj.item(), obj.dtype.name), obj.dtype
        if isinstance(obj, bool):
            return const(obj), np.dtype(bool)
        if type(obj) in (int, float, complex):
            if isinstance(obj, int) and not -(2**63) <= obj < 2**63:
                return None
            return literal(obj, {int: "int64", float: "float64", complex: "complex128"}[type(obj)]), type(obj)
        return None
    if isinstance(value, ComplexNumber):
        spec = complex if value.kind is complex else np.dtype(value.kind)
        return (value.real, value.imag), spec
    if isinstance(value, Number):
        if value.kind is bool:
            return value.expr, np.dtype(bool)
        weak = value.kind in (int, float)
        return value.expr, value.kind if weak else np.dtype(value.kind)
    return None


def own_dtype(spec: Any) -> str:
    """The dtype an operand has by itself."""
    weak = {int: "int64", float: "float64", complex: "complex128"}
    return weak[spec] if isinstance(spec, type) and spec in weak else np.dtype(spec).name


def to_index(e: Expr) -> Expr:
    return cast(e, I64)


def zero(dtype: str) -> Element:
    return literal(0, dtype)
