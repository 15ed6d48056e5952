"""Elementwise functions of arrays and numbers: operators, ufuncs, `where`, `clip`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np

from tapeless.backends.native.nest import I64, ONE, Const, Expr, apply
from tapeless.backends.native.staging import float_steps, storage
from tapeless.backends.native.staging.broadcasting import (
    Operand,
    broadcast_checked,
    check_fits,
    operand,
    prepared,
)
from tapeless.backends.native.staging.complexes import COMPLEX_RULES
from tapeless.backends.native.staging.elements import (
    NARROW,
    atomic,
    convert,
    each,
    is_complex,
    is_float,
    scalar_element,
    stored,
    supported,
    value_of,
    wrap,
)
from tapeless.backends.native.staging.storage import fail
from tapeless.backends.native.staging.ufuncs import REAL, REPEATS, SIMPLE
from tapeless.backends.native.staging.values import ArrayValue, Axis, Element, Index, Value, View

if TYPE_CHECKING:
    from tapeless.backends.native.staging.stager import Stager

#: The name of an operator in `ast` -> the function of NumPy.
OPERATORS: dict[str, np.ufunc] = {
    "Add": np.add, "Sub": np.subtract, "Mult": np.multiply, "Div": np.true_divide,
    "FloorDiv": np.floor_divide, "Mod": np.remainder, "Pow": np.power, "BitAnd": np.bitwise_and,
    "BitOr": np.bitwise_or, "BitXor": np.bitwise_xor, "LShift": np.left_shift, "RShift": np.right_shift,
    "USub": np.negative, "UAdd": np.positive, "Invert": np.invert, "Eq": np.equal, "NotEq": np.not_equal,
    "Lt": np.less, "LtE": np.less_equal, "Gt": np.greater, "GtE": np.greater_equal,
}  # fmt: skip


COMPARISONS = (np.less, np.less_equal, np.greater, np.greater_equal, np.equal, np.not_equal)


def types_of(stager: Stager, function: np.ufunc, operands: list[Operand]) -> tuple[list[str], list[str]]:
    """The dtypes a ufunc computes in, and those of its results, as NumPy resolves them."""
    specs = [o.spec for o in operands]
    if len(specs) == 2 and specs[0] in (int, float, complex) and specs[1] in (int, float, complex):
        specs[0] = np.dtype(specs[0])
    if len(specs) == 1 and specs[0] in (int, float, complex):
        specs[0] = np.dtype(specs[0])
    if function in COMPARISONS and any(isinstance(s, np.dtype) and s.name in NARROW for s in specs):
        specs = [np.dtype(int) if s is int else s for s in specs]  # of any size
    try:
        resolved = function.resolve_dtypes((*specs, *[None] * function.nout))
    except TypeError as error:
        fail(stager, TypeError, *error.args)
    names = [d.name for d in resolved]
    for name in names:
        if not supported(name):
            stager.refuse(f"numpy.{function.__name__} computes in {name} here", "convert to float64 first")
    return names[: function.nin], names[function.nin :]


def ufunc(stager: Stager, function: np.ufunc, values: list[Value]) -> Value:
    """A ufunc of one result, applied to any values."""
    masked = _under_mask(stager, function, values)
    if masked is not None:
        return masked
    operands = [operand(stager, v) for v in values]
    inputs, (result,) = types_of(stager, function, operands)
    for v, name in zip(values, inputs, strict=True):
        check_fits(stager, v, name)
    if function is np.power and inputs[0].startswith(("int", "uint")):
        _check_exponent(stager, operands[1])
    if not any(o.array is not None for o in operands):
        elements = [convert(o.at(stager, ()), o.dtype, d) for o, d in zip(operands, inputs, strict=True)]
        return value_of(stager, compute(stager, function, elements, inputs, result), result)
    shape = prepared(stager, operands)

    def element(index: Index) -> Element:
        taken = [convert(o.at(stager, index), o.dtype, d) for o, d in zip(operands, inputs, strict=True)]
        return compute(stager, function, taken, inputs, result)

    if not shape:
        return value_of(stager, element(()), result)
    arrays = [o.array for o in operands if o.array is not None]
    own = 1 if function in SIMPLE and not is_complex(inputs[0]) else storage.FUNCTION
    if function in (np.true_divide, np.sqrt, np.power) and own > 1:
        own = 3 if not is_complex(inputs[0]) else own
    return storage.lazy(stager, shape, result, element, arrays, own + sum(map(storage.cost, arrays)))


def _under_mask(stager: Stager, function: np.ufunc, values: list[Value]) -> Value | None:
    """A function of numbers and of elements under one mask: such elements of the function of all."""
    from tapeless.backends.native.staging import under_mask

    found = [c for c in map(under_mask.pending, values) if c is not None]
    if not found or not all(under_mask.same_mask(found[0].mask, c.mask) for c in found):
        return None
    if function is np.power or any(c.uses > 1 for c in found):
        return None
    inner: list[Value] = []
    for v in values:
        own = under_mask.pending(v)
        if own is None and scalar_element(v) is None:
            return None
        inner.append(v if own is None else cast(ArrayValue, own.source))
    made = ufunc(stager, function, inner)
    for c in found:
        c.consumers += 1
    assert isinstance(made, ArrayValue)
    return under_mask.compressed(stager, made, cast(ArrayValue, found[0].mask), found[0].shape[0])


def compute(
    stager: Stager, function: Any, elements: list[Element], inputs: list[str], result: str
) -> Element:
    """The function of elements that have its input types."""
    if any(isinstance(e, tuple) for e in elements):
        rule = COMPLEX_RULES.get(function)
        if rule is None:
            stager.refuse(f"{function.__name__} of complex numbers", "write it with exp, log and sqrt")
        made: Element = rule(stager.bind, *elements)
        return made
    operands: list[Expr] = [e for e in elements if not isinstance(e, tuple)]
    if function is np.nextafter:
        a, b = map(stager.bind, operands)
        return float_steps.nextafter(a, b, stager.bind)
    if function in REPEATS and not (
        function is np.power and isinstance(operands[1], Const) and operands[1].value in (1, 0.5, -1)
    ):
        operands = [e if atomic(e) else stager.bind(e) for e in operands]
    made = wrap(REAL[function](inputs[0], *operands), result)
    return made


def _check_exponent(stager: Stager, exponent: Operand) -> None:
    """Integers to negative powers are an error."""
    message = "Integers to negative integer powers are not allowed."
    if exponent.array is None:
        e = exponent.number
        if isinstance(e, Const) and e.value < 0:
            fail(stager, ValueError, message)
        if isinstance(e, Expr) and not isinstance(e, Const):
            stager.check(apply("ge", e, 0), ValueError, message)
        return
    with storage.nest(stager, exponent.array.shape, independent=False) as index:
        e = storage.at(stager, exponent.array, index)
        assert isinstance(e, Expr)
        if e.type == I64:
            stager.check(apply("ge", e, 0), ValueError, message)


def binary(stager: Stager, op: str, a: Value, b: Value) -> Value:
    if op == "MatMult":
        from tapeless.backends.native.staging.products import matmul

        return matmul(stager, a, b)
    return ufunc(stager, OPERATORS[op], [a, b])


def unary(stager: Stager, op: str, a: Value) -> Value:
    if op == "Not":
        from tapeless.backends.native.staging.conversions import truth_value

        return truth_value(stager, a, negated=True)
    return ufunc(stager, OPERATORS[op], [a])


def compare(stager: Stager, op: str, a: Value, b: Value) -> Value:
    return ufunc(stager, OPERATORS[op], [a, b])


def inplace(stager: Stager, target: ArrayValue, op: str, value: Value) -> ArrayValue:
    """`target op= value`; what an index has just picked is changed by making another lazy of it."""
    from tapeless.backends.native.staging import under_mask

    if under_mask.picked(target) and target not in getattr(stager, "named_lazies", ()) and op != "MatMult":
        made = ufunc(stager, OPERATORS[op], [target, value])
        if isinstance(made, ArrayValue) and made.dtype == target.dtype:
            if storage.same_shape(made.shape, target.shape):
                return made
    if op == "MatMult":
        from tapeless.backends.native.staging.products import matmul

        made = matmul(stager, target, value)
        assert isinstance(made, ArrayValue)
        storage.assign(stager, writable(stager, target), made)
        return target
    ufunc_into(stager, OPERATORS[op], [target, value], target)
    return target


def writable(stager: Stager, value: ArrayValue) -> View:
    """The storage of a value that is about to be written; a lazy's readers are made first."""
    if isinstance(value, View):
        named = {of for a in value.axes for of in _written_axes(a)}
        if any(n != ONE and k not in named for k, n in enumerate(value.shape)):
            fail(stager, ValueError, "assignment destination is read-only")
        return value
    view = storage.make(stager, value)
    return view


def _written_axes(a: Axis) -> list[int]:
    """The axes of a view along which its elements are distinct, by one axis of storage."""
    terms = [*(() if a.of is None else ((a.step, a.of),)), *a.more]
    windows = len({step for step, _ in terms}) < len(terms)
    return [of for _, of in terms[: 1 if windows else None]]


def ufunc_into(
    stager: Stager, function: np.ufunc, values: list[Value], out: ArrayValue, where: Value | None = None
) -> None:
    """`function(*values, out=out, where=where)`."""
    operands = [operand(stager, v) for v in values]
    _, (result,) = types_of(stager, function, operands)
    if not np.can_cast(result, out.dtype, "same_kind"):
        stager.refuse(
            f"{function.__name__} of {result} stored in an array of {out.dtype}",
            "convert the result with astype",
        )
    target = writable(stager, out)
    message = "non-broadcastable output operand with shape {1} doesn't match the broadcast shape {0}"
    adds = function in (np.add, np.subtract) and is_float(stored(out.dtype)) and result == out.dtype
    exact = function is np.add or (len(operands) == 2 and is_float(stored(operands[1].dtype)))
    if adds and exact and values[0] is out and where is None:
        addend = values[1] if function is np.add else ufunc(stager, np.negative, [values[1]])
        arrays = operand(stager, addend)
        made = _as_lazy(stager, arrays, out.dtype)
        storage.assign(stager, target, broadcast_checked(stager, made, target.shape, message), add=True)
        return
    new = ufunc(stager, function, values)
    made = _as_lazy(stager, operand(stager, new), out.dtype)
    made = broadcast_checked(stager, made, target.shape, message)
    if where is not None:
        masked_store(stager, target, where, made)
    else:
        storage.assign(stager, target, made)


def _as_lazy(stager: Stager, o: Operand, dtype: str) -> ArrayValue:
    if o.array is not None:
        return o.array
    element = convert(o.at(stager, ()), o.dtype, dtype)
    return storage.lazy(stager, (), dtype, lambda index: element, cost=0)


def masked_store(stager: Stager, target: View, where: Value, new: ArrayValue) -> None:
    """Store where a mask of the target's shape (or broadcast to it) is true."""
    mask = broadcast_checked(
        stager,
        _as_lazy(stager, operand(stager, where), "bool"),
        target.shape,
        "operands could not be broadcast together with shapes {} {}",
    )
    root = target.array.root
    if root in storage.roots(new):
        new = storage.make(stager, new) if not isinstance(new, View) else storage.store_copy(stager, new)
    if root in storage.roots(mask):
        mask = storage.make(stager, mask) if not isinstance(mask, View) else storage.store_copy(stager, mask)
    with storage.writing(stager, root), storage.nest(stager, target.shape) as index:
        condition = storage.at(stager, mask, index)
        assert isinstance(condition, Expr)
        with stager.branch(condition), storage.layer(stager):
            value = convert(storage.at(stager, new, index), new.dtype, target.dtype)
            storage.store(stager, target, index, value)


def update_element(stager: Stager, target: View, place: Index, op: str, new: Value) -> None:
    """`storage[place] op= number`, an index into the view's storage being given by the view's axes."""
    o = operand(stager, new)
    number = o.at(stager, ())
    floats = is_float(stored(target.dtype)) and is_float(stored(o.dtype))
    if op in ("Add", "Sub") and floats and np.can_cast(o.dtype, target.dtype):
        change = convert(number, o.dtype, target.dtype)
        change = each(lambda e: -e, change) if op == "Sub" else change
        storage.store(stager, target, place, change, add=True)
        return
    old = value_of(stager, target.element(place), target.dtype)
    function = {"Maximum": np.maximum, "Minimum": np.minimum}.get(op) or OPERATORS[op]
    made = operand(stager, ufunc(stager, function, [old, new]))
    storage.store(stager, target, place, convert(made.at(stager, ()), made.dtype, target.dtype))


def where(stager: Stager, condition: Value, x: Value, y: Value) -> Value:
    """`np.where` of three arguments."""
    operands = [operand(stager, v) for v in (condition, x, y)]
    specs = [o.spec for o in operands[1:]]
    if all(s in (int, float, complex) for s in specs):
        specs[0] = np.dtype(specs[0])
    samples = [s if isinstance(s, np.dtype) else s(0) for s in specs]
    result = np.result_type(*samples).name
    shape = prepared(stager, operands)

    def element(index: Index) -> Element:
        test = convert(operands[0].at(stager, index), operands[0].dtype, "bool")
        assert isinstance(test, Expr)
        if is_complex(result) and not atomic(test):
            test = stager.bind(test)
        a, b = (convert(o.at(stager, index), o.dtype, result) for o in operands[1:])
        return each(lambda p, q: apply("select", test, p, q), a, b)

    arrays = [o.array for o in operands if o.array is not None]
    total = 1 + sum(map(storage.cost, arrays))
    return storage.lazy(stager, shape, result, element, arrays, total)


def astype(stager: Stager, value: ArrayValue, dtype: str) -> ArrayValue:
    """A lazy of the value in another dtype."""

    def element(index: Index) -> Element:
        return convert(storage.at(stager, value, index), value.dtype, dtype)

    return storage.lazy(stager, value.shape, dtype, element, [value], storage.cost(value))


def round_to(stager: Stager, value: Value, decimals: int) -> Value:
    """`np.round`."""
    from tapeless.backends.native.staging.values import Static

    o = operand(stager, value)
    if not is_float(o.dtype):
        return value if decimals >= 0 else stager.refuse("rounding integers to tens", "round a float")
    if decimals == 0:
        return ufunc(stager, np.rint, [value])
    scale = Static(float(10 ** abs(decimals)))
    there, back = (np.multiply, np.true_divide) if decimals > 0 else (np.true_divide, np.multiply)
    scaled = ufunc(stager, np.rint, [ufunc(stager, there, [value, scale])])
    return ufunc(stager, back, [scaled, scale])
