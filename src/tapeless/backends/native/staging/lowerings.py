"""The table of functions that array staging knows, and how their options are read."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from tapeless.backends.native.nest import ZERO, Expr, apply
from tapeless.backends.native.staging.broadcasting import to_array
from tapeless.backends.native.staging.elements import supported
from tapeless.backends.native.staging.storage import fail
from tapeless.backends.native.staging.values import ArrayValue, Number, Sequence, Static, Value

if TYPE_CHECKING:
    from tapeless.backends.native.staging.stager import Stager

#: A lowering takes the stager and the call's values, named as in NumPy.
Lowering = Callable[..., Any]
FUNCTIONS: dict[Any, Lowering] = {}
#: Method of an array -> lowering; the array comes first.
METHODS: dict[str, Lowering] = {}
_L = TypeVar("_L", bound=Lowering)


def lowers(*functions: Any, method: str | None = None) -> Callable[[_L], _L]:
    """Enter a lowering for functions, and for a method of arrays."""

    def enter(lowering: _L) -> _L:
        for f in functions:
            FUNCTIONS[f] = lowering
        if method is not None:
            METHODS[method] = lowering
        return lowering

    return enter


def given(value: Value | None) -> bool:
    """Whether an option was given a value other than None."""
    return value is not None and not (
        isinstance(value, Static) and (value.obj is None or value.obj is np._NoValue)
    )


def option(stager: Stager, value: Value | None, default: Any = None) -> Any:
    """The known value of an option."""
    if value is None or (isinstance(value, Static) and value.obj is np._NoValue):
        return default
    return stager.known(value)


def unsupported(stager: Stager, function: str, **options: Value | None) -> None:
    """Refuse options that have no lowering."""
    for name, value in options.items():
        if given(value):
            stager.refuse(f"numpy.{function} with {name}=", f"leave {name} out")


def one_axis(stager: Stager, axis: int, ndim: int) -> int:
    """An axis counted from the front."""
    if not -ndim <= axis < ndim:
        message = f"axis {axis} is out of bounds for array of dimension {ndim}"
        fail(stager, np.exceptions.AxisError, message)
    return axis % ndim


def without_axes(stager: Stager, value: ArrayValue, axis: Value | None) -> bool:
    """Whether an array has no axes, and its axis 0 or -1 is asked for: NumPy's ufuncs allow that."""
    return not value.ndim and type(known := option(stager, axis)) is int and known in (0, -1)


def axes_of(stager: Stager, axis: Value | None, ndim: int) -> tuple[int, ...]:
    """The axes of a reduction; all of them if none is given."""
    known = option(stager, axis)
    if known is None:
        return tuple(range(ndim))
    several = known if isinstance(known, (tuple, list)) else (known,)
    made = tuple(one_axis(stager, int(a), ndim) for a in several)
    if len(set(made)) != len(made):
        fail(stager, ValueError, "duplicate value in 'axis'")
    return made


def dtype_of(stager: Stager, dtype: Value | None, default: str) -> str:
    """The name of a dtype that was given, or a default."""
    known = option(stager, dtype)
    if known is None:
        return default
    name = str(np.dtype(known).name)
    if not supported(name):
        stager.refuse(f"arrays of dtype {name}", "use float64, float32, int64, bool or complex128")
    return name


def length_of(stager: Stager, value: Value) -> Expr:
    """An integer, as the length of an axis."""
    if isinstance(value, ArrayValue) and not value.shape:
        e = value.element(())
        assert isinstance(e, Expr)
        return stager.bind(e, "n")
    if isinstance(value, Static) and not isinstance(value.obj, (int, np.integer)):
        kind = type(value.obj).__name__
        fail(stager, TypeError, f"'{kind}' object cannot be interpreted as an integer")
    if isinstance(value, Number) and value.expr.type != "i64":
        fail(stager, TypeError, f"'{value.kind.__name__}' object cannot be interpreted as an integer")
    e = stager.as_expr(value, "i64")
    return e


def shape_of(stager: Stager, value: Value) -> tuple[Expr, ...]:
    """A shape: an integer or a sequence of them."""
    if isinstance(value, Static) and isinstance(value.obj, (tuple, list)):
        return tuple(length_of(stager, Static(n)) for n in value.obj)
    if isinstance(value, ArrayValue) and value.ndim == 1:
        lengths = tuple(length_of(stager, v) for v in items_of(stager, value))
        for n in lengths:
            stager.replay_unless(apply("ge", n, ZERO))
        return lengths
    if isinstance(value, Sequence):
        return tuple(length_of(stager, v) for v in value.items)
    return (length_of(stager, value),)


def items_of(stager: Stager, value: Value) -> list[Value]:
    """The items of a tuple or list; the rows of an array of known length."""
    if isinstance(value, Sequence):
        return list(value.items)
    if isinstance(value, Static) and isinstance(value.obj, (tuple, list)):
        return [Static(x) for x in value.obj]
    if isinstance(value, ArrayValue) and value.shape:
        from tapeless.backends.native.staging.indexing import getitem

        n = stager.known_expr(value.shape[0], "an array is used as a list of arrays")
        return [getitem(stager, value, Static(k)) for k in range(int(n))]
    known = stager.known(value)
    if not isinstance(known, Iterable):
        stager.refuse(f"an array is made of {known!r}", "make it of numbers, a list or an array")
    return [Static(x) for x in known]


def array(stager: Stager, value: Value) -> ArrayValue:
    return to_array(stager, value)
