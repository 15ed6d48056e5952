"""Array values for the rest of staging: everything that NumPy does with arrays, behind one door.

An operation that raises whenever it is reached leaves by `Raised`: it has no value, and what follows it in
its block is never run.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from tapeless.backends.native.nest import Array, Expr
from tapeless.backends.native.staging import (
    accumulations,
    called_back,
    conversions,
    elementwise,
    fancy,
    index_tricks,
    indexing,
    storage,
    sum_programs,
    under_mask,
)
from tapeless.backends.native.staging.broadcasting import operand, to_array
from tapeless.backends.native.staging.complexes import COMPLEX_RULES
from tapeless.backends.native.staging.lowerings import FUNCTIONS, METHODS, given
from tapeless.backends.native.staging.mixed import called
from tapeless.backends.native.staging.modules import MODULES
from tapeless.backends.native.staging.opened import opened
from tapeless.backends.native.staging.storage import (
    Raised,
    argument,
    before_write,
    flush,
    in_a_list,
    materialise,
    settle,
    store_copy,
)
from tapeless.backends.native.staging.ufuncs import REAL
from tapeless.backends.native.staging.values import ArrayValue, Sequence, Static, Value, View

if TYPE_CHECKING:
    from tapeless.backends.native.staging.stager import Stager

_F = TypeVar("_F", bound=Callable[..., Any])


def operation(function: _F) -> _F:
    """An operation of the program: what it reads, it reads once."""

    @functools.wraps(function)
    def counted(stager: Stager, *args: Any, **kwargs: Any) -> Any:
        storage.state(stager).operation += 1
        return function(stager, *args, **kwargs)

    return counted  # type: ignore[return-value]


getitem = operation(indexing.getitem)
setitem = operation(indexing.setitem)
augitem = operation(indexing.augitem)
binary = operation(elementwise.binary)
unary = operation(elementwise.unary)
compare = operation(elementwise.compare)
attribute = operation(conversions.attribute)
picked = under_mask.picked
joined_item = index_tricks.item
set_part = operation(conversions.set_part)
truth, to_number, iterate = conversions.truth, conversions.to_number, conversions.iterate

METHODS_OF_UFUNCS = ("reduce", "accumulate", "outer", "at", "reduceat")
#: Methods of a ufunc: name -> lowering of (stager, ufunc, arguments).
UFUNC_METHODS: dict[str, Callable[..., Any]] = {
    "reduce": accumulations.ufunc_reduce,
    "accumulate": accumulations.ufunc_accumulate,
}


@operation
def inplace(stager: Stager, value: ArrayValue, op: str, operand: Value) -> Value:
    """`value op= operand`."""
    return elementwise.inplace(stager, value, op, operand)


def handles(function: Any) -> bool:
    """Whether a function has a lowering here."""
    try:
        if function in FUNCTIONS or function in REAL:
            return True
    except TypeError:
        return False
    return _ufunc_method(function) is not None or _unbound(function) is not None


def _unbound(function: Any) -> str | None:
    """The name of `np.ndarray.sum` and the like."""
    owner = getattr(function, "__objclass__", None)
    name = getattr(function, "__name__", "")
    known = name in METHODS or (hasattr(np, name) and getattr(np, name) in FUNCTIONS)
    return name if owner is np.ndarray and known else None


def _ufunc_method(function: Any) -> tuple[np.ufunc, str] | None:
    """The ufunc and the name of `np.add.reduce` and the like."""
    owner = getattr(function, "__self__", None)
    name = getattr(function, "__name__", "")
    if isinstance(owner, np.ufunc) and name in METHODS_OF_UFUNCS and owner in REAL:
        return owner, name
    return None


@operation
def call(stager: Stager, function: Any, args: list[Value], kwargs: dict[str, Value]) -> Value | None:
    """A function of NumPy or SciPy, applied; None if it has no lowering."""
    if not handles(function):
        return None
    return called(stager, function, _called(stager, function, args, kwargs), args, kwargs)


def _called(stager: Stager, function: Any, args: list[Value], kwargs: dict[str, Value]) -> Value:
    kwargs = {k: v for k, v in kwargs.items() if not _left_out(v)}
    out = kwargs.get("out")
    if isinstance(out, Sequence) and len(out.items) == 1:
        kwargs["out"] = out.items[0]
    found = _ufunc_method(function)
    if found is not None:
        return _call_method(stager, *found, args, kwargs)
    name = _unbound(function)
    if name is not None:
        return method(stager, to_array(stager, args[0]), name, args[1:], kwargs)
    if function in FUNCTIONS:
        args, kwargs = _in_place(function, args, kwargs)
        made: Value = _applied(stager, FUNCTIONS[function], args, kwargs, _name(function))
        return made
    return _call_ufunc(stager, function, args, kwargs)


def _left_out(value: Value) -> bool:
    return isinstance(value, Static) and value.obj is np._NoValue


def _in_place(
    function: Any, args: list[Value], kwargs: dict[str, Value]
) -> tuple[list[Value], dict[str, Value]]:
    """A call with the operands that have to be given by position: lowerings have names of their own."""
    if not kwargs:
        return args, kwargs
    for name in operands_of(function)[len(args) :]:
        if name not in kwargs:
            break
        args = [*args, kwargs[name]]
        kwargs = {k: v for k, v in kwargs.items() if k != name}
    return args, kwargs


@functools.cache
def operands_of(function: Any) -> tuple[str, ...]:
    """The parameters that a function of NumPy cannot do without."""
    import inspect

    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return ()
    return tuple([p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD and p.default is p.empty])


def _name(function: Any) -> str:
    return str(getattr(function, "__name__", function))


def _applied(
    stager: Stager, lowering: Callable[..., Any], args: list[Value], kwargs: dict[str, Value], name: str
) -> Any:
    import inspect

    try:
        inspect.signature(lowering).bind(stager, *args, **kwargs)
    except TypeError as error:
        stager.refuse(f"this call of {name} ({error})", "use the arguments that NumPy documents")
    return lowering(stager, *args, **kwargs)


def _call_ufunc(stager: Stager, function: np.ufunc, args: list[Value], kwargs: dict[str, Value]) -> Value:
    out, where = kwargs.pop("out", None), kwargs.pop("where", None)
    if len(args) > function.nin:
        out = args[function.nin]
        args = args[: function.nin]
    if isinstance(out, Static) and out.obj is Ellipsis:  # the result as an array, also of numbers
        kwargs["where"] = where or Static(True)
        return to_array(stager, _call_ufunc(stager, function, args, kwargs))
    dtype = kwargs.pop("dtype", None)
    kwargs.pop("casting", None)
    if kwargs:
        stager.refuse(f"numpy.{function.__name__} with {', '.join(kwargs)}=", "leave it out")
    if len(args) != function.nin:
        message = (
            f"{function.__name__}() takes from {function.nin} to {function.nargs} positional arguments but "
            f"{len(args)} were given"
        )
        storage.fail(stager, TypeError, message)
    if dtype is not None and given(dtype):
        kind = np.dtype(stager.known(dtype)).name
        args = [elementwise.astype(stager, to_array(stager, a), kind) for a in args]
    if where is not None and isinstance(where, Static) and where.obj is True:
        where = None
    if out is None or not given(out):
        if where is None and function not in COMPLEX_RULES and any(c in _COMPLEX for c in _inputs(function)):
            wide = [operand(stager, a).dtype.startswith("complex") for a in args]
            made = called_back.call(stager, function, args, {}) if any(wide) else None
            if made is not None:
                return made
        if where is None:
            by_rule = getattr(stager, "ruled", None)
            if by_rule and called_back.name_of(function) in by_rule:
                everything = range(function.nin)
                return called_back.ruled(
                    stager, function, args, everything, lambda own: elementwise.ufunc(stager, function, own)
                )
            return elementwise.ufunc(stager, function, args)
        made = elementwise.ufunc(stager, function, args)
        target = storage.fresh(stager, to_array(stager, made).shape, to_array(stager, made).dtype)
        elementwise.ufunc_into(stager, function, args, target, where)
        return target
    assert isinstance(out, ArrayValue)
    elementwise.ufunc_into(stager, function, args, out, where)
    return out


#: NumPy's letters of complex numbers of which native code has a form.
_COMPLEX = "FD"


def _inputs(function: np.ufunc) -> str:
    """The letters of what a ufunc takes."""
    return "".join(t.partition("->")[0] for t in function.types)


def _call_method(
    stager: Stager, function: np.ufunc, name: str, args: list[Value], kwargs: dict[str, Value]
) -> Value:
    if name == "outer":
        from tapeless.backends.native.staging.products import ufunc_outer

        return ufunc_outer(stager, function, *args)
    if name == "reduceat":
        if function not in (np.add, np.multiply, np.maximum, np.minimum):
            stager.refuse(f"numpy.{function.__name__}.reduceat", "write the loop")
        return opened(stager, sum_programs.reduceat, "reduceat", (Static(function), *args), kwargs)
    if name == "at":
        return _add_at(stager, function, *args)
    lowering = UFUNC_METHODS[name]
    made: Value = lowering(stager, function, *args, **kwargs)
    return made


def _add_at(stager: Stager, function: np.ufunc, a: Value, index: Value, b: Value | None = None) -> Value:
    """`function.at(a, index, b)`."""
    names = {f: op for op, f in elementwise.OPERATORS.items() if f.nin == 2}
    names |= {np.maximum: "Maximum", np.minimum: "Minimum"}
    if function not in names or b is None or not isinstance(a, ArrayValue):
        stager.refuse(f"numpy.{function.__name__}.at", "write the loop")
    items = indexing.parse(stager, a, index)
    fancy.add_at(stager, elementwise.writable(stager, a), items, b, names[function])
    return Static(None)


@operation
def method(
    stager: Stager, value: ArrayValue, name: str, args: list[Value], kwargs: dict[str, Value]
) -> Value:
    """`value.name(*args, **kwargs)`."""
    number = not isinstance(value, ArrayValue)
    if name not in ("sum", "mean", "prod"):
        value = to_array(stager, value)
    function = getattr(np, {"conj": "conjugate"}.get(name, name), None)
    made: Any = None
    if name in METHODS:
        made = _applied(stager, METHODS[name], [value, *args], kwargs, name)
    elif function is not None and hasattr(np.ndarray, name) and handles(function):
        made = call(stager, function, [value, *args], kwargs)
    if made is not None:
        if number and isinstance(made, ArrayValue) and not made.ndim:  # of a NumPy number, again a number
            made = getitem(stager, made, Static(()))
        return made  # type: ignore[no-any-return]
    if not hasattr(np.ndarray, name):
        message = f"'numpy.ndarray' object has no attribute '{name}'"
        storage.fail(stager, AttributeError, message)
    stager.refuse(f"the method {name} of an array", "use a function of NumPy")


__all__ = [
    "MODULES", "Array", "Expr", "Raised", "View", "argument", "attribute", "augitem", "before_write",
    "binary", "call", "compare", "flush", "getitem", "handles", "in_a_list", "inplace", "iterate",
    "joined_item", "materialise", "method", "picked", "set_part", "setitem", "settle", "store_copy",
    "to_number", "truth", "unary",
]  # fmt: skip
