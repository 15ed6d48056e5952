"""Arrays of one element as numbers: truth, `float(a)`, `int(a)`, `a.item()`, `a.tolist()`; and attributes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tapeless.backends.native.affine import simplify
from tapeless.backends.native.nest import F64, I64, ONE, ZERO, Expr, apply, cast, const
from tapeless.backends.native.staging import elements, storage
from tapeless.backends.native.staging.broadcasting import operand, to_array
from tapeless.backends.native.staging.complexes import truth as complex_truth
from tapeless.backends.native.staging.elements import convert, nonzero, python_value, value_of
from tapeless.backends.native.staging.joins import same_view
from tapeless.backends.native.staging.lowerings import array, given, lowers
from tapeless.backends.native.staging.storage import fail, known_length
from tapeless.backends.native.staging.values import (
    ArrayValue,
    Axis,
    ComplexNumber,
    Element,
    Flat,
    Index,
    Number,
    Sequence,
    Static,
    Value,
    View,
)

if TYPE_CHECKING:
    from tapeless.backends.native.staging.stager import Stager


def only_element(stager: Stager, value: ArrayValue, kind: type[BaseException], message: str) -> Element:
    """The element of an array that has one."""
    value = array(stager, value)
    for n in value.shape:
        if known_length(n) not in (1, None):
            fail(stager, kind, message)
        stager.check(apply("eq", n, ONE), kind, message)
    with storage.layer(stager):
        return elements.bind(stager, storage.at(stager, value, (ZERO,) * value.ndim))


def truth(stager: Stager, value: ArrayValue) -> Expr:
    """Whether an array of one element is true."""
    message = "The truth value of an array with more than one element is ambiguous. Use a.any() or a.all()"
    element = only_element(stager, value, ValueError, message)
    return complex_truth(element) if isinstance(element, tuple) else nonzero(element)


def truth_value(stager: Stager, value: Value, negated: bool = False) -> Value:
    o = operand(stager, value)
    if o.array is not None:
        test = truth(stager, o.array)
    else:
        number = o.at(stager, ())
        test = complex_truth(number) if isinstance(number, tuple) else nonzero(number)
    return Number(stager.bind(apply("not", test) if negated else test), bool)


def to_number(stager: Stager, value: ArrayValue, kind: type) -> Value:
    """`float(a)`, `int(a)`, `bool(a)` or `complex(a)`."""
    if kind is bool:
        return Number(stager.bind(truth(stager, value)), bool)
    message = "only 0-dimensional arrays can be converted to Python scalars"
    if value.ndim:
        fail(stager, TypeError, message)
    element = storage.at(stager, value, ())
    if kind is complex:
        made = convert(element, value.dtype, "complex128")
        assert isinstance(made, tuple)
        return ComplexNumber(stager.bind(made[0]), stager.bind(made[1]), complex)
    if isinstance(element, tuple):
        name = "float" if kind is float else "int"
        fail(stager, TypeError, f"{name}() argument must be a string or a real number, not 'complex'")
    return Number(stager.bind(cast(element, F64 if kind is float else I64)), kind)


@lowers(method="item")
def item(stager: Stager, a: ArrayValue, *args: Value) -> Value:
    if args:
        from tapeless.backends.native.staging.indexing import getitem
        from tapeless.backends.native.staging.reshaping import ravel

        index = args[0] if len(args) == 1 else Sequence(list(args), tuple)
        source = ravel(stager, a) if len(args) == 1 and not isinstance(index, Sequence) else a
        o = operand(stager, getitem(stager, source, index))
        return python_value(stager, o.at(stager, ()))
    element = only_element(stager, a, ValueError, "can only convert an array of size 1 to a Python scalar")
    return python_value(stager, element)


@lowers(method="tolist")
def tolist(stager: Stager, a: ArrayValue) -> Value:
    if not a.shape:
        return python_value(stager, storage.at(stager, a, ()))
    n = int(stager.known_expr(a.shape[0], "an array becomes a list"))
    source = storage.make(stager, a)
    rows: list[Value] = []
    for k in range(n):
        from tapeless.backends.native.staging.indexing import getitem

        row = getitem(stager, source, Static(k))
        if isinstance(row, ArrayValue):
            rows.append(tolist(stager, row))
        else:
            rows.append(python_value(stager, operand(stager, row).at(stager, ())))
    return Sequence(rows, list)


def attribute(stager: Stager, value: Value, name: str) -> Value:
    if not isinstance(value, ArrayValue) and name not in ("real", "imag"):
        if name in ("T", "mT"):
            return value  # a NumPy number
        value = to_array(stager, value)
    if name == "real":
        return real(stager, value)
    if name == "imag":
        return imag(stager, value)
    assert isinstance(value, ArrayValue)
    if name == "shape":
        return Sequence([_length(n) for n in value.shape], tuple)
    if name == "ndim":
        return Static(value.ndim)
    if name == "size":
        size = storage.size_of(value.shape)
        known = known_length(size)
        return Static(known) if known is not None else Number(stager.bind(size, "size"), int)
    if name == "dtype":
        return Static(np.dtype(value.dtype))
    if name == "itemsize":
        return Static(np.dtype(value.dtype).itemsize)
    if name == "nbytes":
        size = apply("mul", storage.size_of(value.shape), const(np.dtype(value.dtype).itemsize))
        return Number(stager.bind(size, "bytes"), int)
    if name in ("T", "mT"):
        from tapeless.backends.native.staging.shapes import matrix_transpose, transpose

        return transpose(stager, value) if name == "T" else matrix_transpose(stager, value)
    if name == "flat":
        from tapeless.backends.native.staging.reshaping import reshaped

        row = reshaped(stager, value, (const(-1),), always_view=True)
        return Flat(row.array, row.axes, row.shape, row.dtype) if isinstance(row, View) else row
    stager.refuse(f"the attribute {name} of an array", "use its shape, dtype, T, real or imag")


def _length(n: Expr) -> Value:
    known = known_length(n)
    return Static(known) if known is not None else Number(n, int)


def _part(stager: Stager, value: ArrayValue, k: int) -> ArrayValue:
    """The real or imaginary part of a complex array: a view."""
    kind = elements.COMPLEX[value.dtype]
    if isinstance(value, View) or getattr(value, "made", None) is not None or getattr(value, "uses", 1) > 1:
        view = storage.make(stager, value)
        return View(view.array, (*view.axes, Axis(const(k), ZERO, None)), view.shape, kind)

    def element(index: Index) -> Element:
        e = storage.at(stager, value, index)
        assert isinstance(e, tuple)
        return e[k]

    return storage.lazy(stager, value.shape, kind, element, [value], storage.cost(value))


@lowers(method="view")
def view(stager: Stager, a: Value, dtype: Value | None = None, type: Value | None = None) -> Value:
    """The same memory: as it is, or pairs of floats as complex numbers, and these as floats."""
    from tapeless.backends.native.staging.reshaping import reshaped

    value = array(stager, a)
    wanted = [stager.known(v) for v in (dtype, type) if v is not None and given(v)]
    kinds = [np.dtype(w).name for w in wanted if w is not np.ndarray]
    if all(kind == value.dtype for kind in kinds):
        return value
    kind, n = kinds[0], value.ndim
    own = storage.make(stager, value)
    last = own.axes[-1] if n and own.array.contiguous else None  # else NumPy may refuse
    if last is None or (last.step, last.of, last.more) != (ONE, n - 1, ()):
        pass
    elif elements.COMPLEX.get(kind) == value.dtype:
        odd = apply("ne", apply("mod", value.shape[-1], const(2)), ZERO)
        message = (
            "When changing to a larger dtype, its size must be a divisor of the total size in bytes of the "
            "last axis of the array."
        )
        stager.check(apply("not", odd), ValueError, message)
        half = apply("floordiv", value.shape[-1], const(2))
        pairs = storage.make(stager, reshaped(stager, own, (*value.shape[:-1], half, const(2))))
        if pairs.axes[-1] == Axis(ZERO, ONE, n):
            return View(pairs.array, pairs.axes[:-1], pairs.shape[:-1], kind)
    elif elements.COMPLEX.get(value.dtype) == kind:
        pairs = View(own.array, (*own.axes, Axis(ZERO, ONE, n)), (*own.shape, const(2)), kind)
        return reshaped(stager, pairs, (*own.shape[:-1], simplify(own.shape[-1] * const(2))))
    stager.refuse(f"an array of {value.dtype} is seen as one of {kind}", "convert it with astype")


def set_part(stager: Stager, value: ArrayValue, name: str, new: Value) -> None:
    """`value.real = new`, or `value.imag`."""
    from tapeless.backends.native.staging.elementwise import writable
    from tapeless.backends.native.staging.indexing import setitem

    target: ArrayValue = writable(stager, value)
    if elements.is_complex(value.dtype):
        target = _part(stager, target, ("real", "imag").index(name))
    elif name == "imag":
        fail(stager, TypeError, "array does not have imaginary part to set")
    if not same_view(target, new):  # as `z.real += 1` gives back
        setitem(stager, target, Static(Ellipsis), new)


@lowers(np.real)
def real(stager: Stager, val: Value) -> Value:
    o = operand(stager, val)
    if o.array is None:
        e = o.at(stager, ())
        if isinstance(e, tuple):
            kind = elements.COMPLEX[o.dtype]
            return Number(stager.bind(e[0]), float if o.spec is complex else np.dtype(kind).type)
        return val
    return _part(stager, o.array, 0) if elements.is_complex(o.dtype) else o.array


@lowers(np.imag)
def imag(stager: Stager, val: Value) -> Value:
    o = operand(stager, val)
    if elements.is_complex(o.dtype):
        if o.array is not None:
            return _part(stager, o.array, 1)
        e = o.at(stager, ())
        assert isinstance(e, tuple)
        kind = elements.COMPLEX[o.dtype]
        return Number(stager.bind(e[1]), float if o.spec is complex else np.dtype(kind).type)
    if o.array is None:
        if o.spec is int or o.spec is float:
            return Static(o.spec(0))
        return value_of(stager, elements.zero(o.dtype), o.dtype)
    return storage.filled(stager, o.shape, o.dtype, elements.zero(o.dtype))


@lowers(np.angle)
def angle(stager: Stager, z: Value, deg: Value | None = None) -> Value:
    from tapeless.backends.native.staging.elementwise import ufunc, where

    across, along = imag(stager, z), real(stager, z)
    if not elements.is_complex(operand(stager, z).dtype):  # 0 or pi, with no slope at 0 either
        along = where(
            stager, ufunc(stager, np.isnan, [along]), along, ufunc(stager, np.copysign, [Static(1.0), along])
        )
    made = ufunc(stager, np.arctan2, [across, along])
    if deg is not None and stager.known(deg):
        return ufunc(stager, np.degrees, [made])
    return made


@lowers(np.ndim)
def ndim(stager: Stager, a: Value) -> Value:
    return Static(len(operand(stager, a).shape))


@lowers(np.shape)
def shape(stager: Stager, a: Value) -> Value:
    return Sequence([_length(n) for n in operand(stager, a).shape], tuple)


@lowers(np.size)
def size(stager: Stager, a: Value, axis: Value | None = None) -> Value:
    value = array(stager, a)
    if axis is None or stager.known(axis) is None:
        return attribute(stager, value, "size")
    return _length(value.shape[int(stager.known(axis))])


def iterate(stager: Stager, value: ArrayValue) -> tuple[Expr, object]:
    """The length of the first axis, and what gives its items."""
    if not value.shape:
        fail(stager, TypeError, "iteration over a 0-d array")
    source = value if isinstance(value, View) else storage.make(stager, value)

    def item_(i: Expr) -> Value:
        from tapeless.backends.native.staging.indexing import At, Item, Span, basic

        rest: list[Item] = [Span(ZERO, ONE, n) for n in source.shape[1:]]
        return basic(stager, source, [At(i), *rest])

    return source.shape[0], item_
