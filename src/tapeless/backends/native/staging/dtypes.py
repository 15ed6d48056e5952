"""Questions about dtypes, and the classes of NumPy's scalars as functions: `np.float64(x)`, `np.finfo`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tapeless.backends.native.staging.broadcasting import check_fits, operand
from tapeless.backends.native.staging.elements import convert, is_complex, value_of
from tapeless.backends.native.staging.elementwise import astype
from tapeless.backends.native.staging.lowerings import FUNCTIONS, Lowering, lowers
from tapeless.backends.native.staging.values import ArrayValue, ComplexNumber, Number, Static, Value

if TYPE_CHECKING:
    from tapeless.backends.native.staging.stager import Stager

SCALARS = (
    np.float64, np.float32, np.int64, np.int32, np.int16, np.int8, np.uint8, np.uint16, np.uint32, np.bool_,
    np.complex128, np.complex64,
)  # fmt: skip


def _scalar(kind: type) -> Lowering:
    name = np.dtype(kind).name

    def lowering(stager: Stager, x: Value | None = None) -> Value:
        if x is None:
            return Static(kind())
        if isinstance(x, Static) and isinstance(x.obj, (str, bytes)):
            return Static(kind(x.obj))
        check_fits(stager, x, name)
        o = operand(stager, x)
        if o.array is not None and o.array.shape:
            return astype(stager, o.array, name)
        return value_of(stager, convert(o.at(stager, ()), o.dtype, name), name)

    return lowering


for _kind in SCALARS:
    FUNCTIONS[_kind] = _scalar(_kind)


def sample(stager: Stager, value: Value) -> Any:
    """A stand-in of a value's type: what decides the dtype of a result."""
    if isinstance(value, Static):
        return value.obj
    if isinstance(value, ArrayValue):
        return np.dtype(value.dtype)
    if isinstance(value, (Number, ComplexNumber)):
        return value.kind(1) if value.kind in (int, float, complex) else np.dtype(value.kind)
    return stager.known(value)


def _known(function: Any) -> Lowering:
    """A function of dtypes, evaluated on stand-ins."""

    def lowering(stager: Stager, *args: Value, **kwargs: Value) -> Value:
        given = [sample(stager, a) for a in args]
        named = {k: sample(stager, v) for k, v in kwargs.items()}
        return Static(function(*given, **named))

    return lowering


for _function in (
    np.finfo, np.iinfo, np.dtype, np.result_type, np.promote_types, np.can_cast, np.issubdtype,
    np.min_scalar_type,
):  # fmt: skip
    FUNCTIONS[_function] = _known(_function)


@lowers(np.common_type)
def common_type(stager: Stager, *arrays: Value) -> Value:
    return Static(np.common_type(*(np.zeros(0, operand(stager, a).dtype) for a in arrays)))


@lowers(np.isscalar)
def isscalar(stager: Stager, element: Value) -> Value:
    if isinstance(element, Static):
        return Static(np.isscalar(element.obj))
    return Static(isinstance(element, (Number, ComplexNumber)))


@lowers(np.iscomplexobj)
def iscomplexobj(stager: Stager, x: Value) -> Value:
    return Static(is_complex(operand(stager, x).dtype))


@lowers(np.isrealobj)
def isrealobj(stager: Stager, x: Value) -> Value:
    return Static(not is_complex(operand(stager, x).dtype))
