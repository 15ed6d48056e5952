"""The functions of NumPy that are staged as programs on simpler ones (`array_programs` and others)."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from tapeless.backends.native.staging import (
    array_programs,
    joining,
    linear_algebra,
    matrix_programs,
    number_programs,
    polynomial_programs,
    products,
    quantile_programs,
    searching,
    signals,
    sorting,
    sum_programs,
)
from tapeless.backends.native.staging.broadcasting import broadcast_shapes
from tapeless.backends.native.staging.builtin_table import BUILTINS
from tapeless.backends.native.staging.lowerings import FUNCTIONS, METHODS, given, lowers, option, shape_of
from tapeless.backends.native.staging.twins import leave
from tapeless.backends.native.staging.values import ArrayValue, Number, Sequence, Static, Value

if TYPE_CHECKING:
    from tapeless.backends.native.staging.stager import Stager


NONE = Static(None)
#: Their lowerings are in the table before they get options here.
BEFORE = (joining, linear_algebra, products, searching, signals, sorting)


def opened(
    stager: Stager, program: Callable[..., Any], name: str, args: tuple[Value, ...], kwargs: dict[str, Value]
) -> Value:
    """A call of a program in the place of the function that it is for."""
    signature = inspect.signature(program)
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        stager.refuse(f"this call of {name} ({error})", "use fewer options")
    kwargs = {k: v for k, v in kwargs.items() if not _left_out(v)}
    defaults = [p.default for p in signature.parameters.values()]
    values = [Static(defaults[k]) if k < len(defaults) and _left_out(v) else v for k, v in enumerate(args)]
    made: Value = stager.call(Static(program), values, kwargs)
    return made


def _left_out(value: Value) -> bool:
    """Whether NumPy's sign for no value is given: the program's own default stands for it."""
    return isinstance(value, Static) and value.obj is np._NoValue


def in_place_of(program: Callable[..., Any], function: Any) -> None:
    """Calls of a function are calls of a program."""

    def lowering(stager: Stager, *args: Value, **kwargs: Value) -> Value:
        return opened(stager, program, str(function.__name__), args, kwargs)

    FUNCTIONS[function] = lowering


_NAMES: dict[Any, tuple[str, ...]] = {
    array_programs: (
        "insert", "delete", "partition", "argpartition", "put", "putmask", "place", "modf", "trim_zeros",
        "diagflat", "digitize", "lexsort", "require", "setxor1d", "vecdot", "matvec", "vecmat",
    ),
    quantile_programs: ("nanmedian", "nanquantile", "nanpercentile"),
    number_programs: ("unravel_index", "ravel_multi_index", "gcd", "lcm", "spacing"),
    polynomial_programs: ("poly", "polyval", "polyint", "polymul", "roots", "kaiser"),
}  # fmt: skip
for _programs, _group in _NAMES.items():
    for _name in _group:
        if hasattr(np, _name):  # the newest are not in every NumPy
            in_place_of(getattr(_programs, _name), getattr(np, _name))
for _name in ("matrix_rank", "tensorsolve"):
    in_place_of(getattr(matrix_programs, _name), getattr(np.linalg, _name))
in_place_of(number_programs.normalize_axis_index, np.lib.array_utils.normalize_axis_index)
for _name in ("rfft2", "irfft2"):
    in_place_of(getattr(matrix_programs, _name), getattr(np.fft, _name))


def _for_options(program: Callable[..., Any], function: Any, most: int, *options: str) -> None:
    """A program for calls with more arguments, or with these options; there is a lowering for the others."""
    lowering = FUNCTIONS[function]

    def either(stager: Stager, *args: Value, **kwargs: Value) -> Value:
        if len(args) > most or any(given(kwargs.get(name)) for name in options):
            return opened(stager, program, str(function.__name__), args, kwargs)
        try:
            inspect.signature(lowering).bind(stager, *args, **kwargs)
        except TypeError as error:
            stager.refuse(f"this call of {function.__name__} ({error})", "use fewer options")
        made: Value = lowering(stager, *args, **kwargs)
        return made

    FUNCTIONS[function] = either


def _several_axes(program: Callable[..., Any], function: Any) -> None:
    """A program for reductions along several axes."""
    lowering = FUNCTIONS[function]

    def either(stager: Stager, a: Value, axis: Value = NONE, **kwargs: Value) -> Value:
        if isinstance(option(stager, axis), (tuple, list)):
            return opened(stager, program, str(function.__name__), (a, axis), kwargs)
        made: Value = lowering(stager, a, axis, **kwargs)
        return made

    FUNCTIONS[function] = either


BUILTINS[polynomial_programs.leave] = leave
METHODS["put"] = FUNCTIONS[np.put]
METHODS["argpartition"] = FUNCTIONS[np.argpartition]
in_place_of(array_programs.partition_in_place, np.ndarray.partition)
METHODS["partition"] = FUNCTIONS.pop(np.ndarray.partition)
_for_options(array_programs.compress, np.compress, 2, "axis")
_for_options(array_programs.searchsorted, np.searchsorted, 3, "sorter")
METHODS["searchsorted"] = FUNCTIONS[np.searchsorted]
_for_options(array_programs.interp, np.interp, 5, "period")
for _reduction, _program, _most in (
    (np.mean, sum_programs.mean, 5), (np.var, sum_programs.var, 6), (np.std, sum_programs.std, 6)
):  # fmt: skip
    _for_options(_program, _reduction, _most, "where", "mean", "correction")
    METHODS[_reduction.__name__] = FUNCTIONS[_reduction]
_for_options(sum_programs.cov, np.cov, 5, "fweights", "aweights")
_for_options(array_programs.diff, np.diff, 3, "prepend", "append")
_for_options(array_programs.ediff1d, np.ediff1d, 1, "to_end", "to_begin")
_OF_UNIQUE = ("return_index", "return_inverse", "return_counts", "axis", "equal_nan")
_for_options(array_programs.unique, np.unique, 1, *_OF_UNIQUE)


def _of_quantiles(function: Any, methods: Any) -> None:
    """Refuse the options that the programs of quantiles have not."""
    lowering = FUNCTIONS[function]

    def narrowed(stager: Stager, a: Value, q: Value, axis: Value = NONE, **kwargs: Value) -> Value:
        if option(stager, kwargs.get("method"), "linear") not in methods:
            stager.refuse(f"{function.__name__} by this method", "use another method")
        several = isinstance(option(stager, axis), (tuple, list))
        if several and function not in (np.quantile, np.percentile):
            stager.refuse(f"{function.__name__} along several axes", "reshape the array first")
        if several:
            kwargs = {"method": Static("linear"), **kwargs}  # the program
        if isinstance(q, Sequence) and any(isinstance(p, (Sequence, ArrayValue)) for p in q.items):
            stager.refuse(f"{function.__name__} of several rows of places", "flatten them")
        made: Value = lowering(stager, a, q, axis, **kwargs)
        return made

    FUNCTIONS[function] = narrowed


_for_options(quantile_programs.quantile, np.quantile, 3, "method", "keepdims", "weights")
_for_options(quantile_programs.percentile, np.percentile, 3, "method", "keepdims", "weights")
for _function in (np.quantile, np.percentile):
    _of_quantiles(_function, quantile_programs.METHODS)
for _function in (np.nanquantile, np.nanpercentile):
    _of_quantiles(_function, quantile_programs.CONTINUOUS)
_for_options(quantile_programs.median, np.median, 4, "keepdims")
_several_axes(quantile_programs.median, np.median)
_for_options(array_programs.cross, np.cross, 2, "axis", "axisa", "axisb", "axisc")
_for_options(array_programs.take, np.take, 3, "mode")
METHODS["take"] = FUNCTIONS[np.take]
_for_options(matrix_programs.cond, np.linalg.cond, 1, "p")


@lowers(np.broadcast_shapes)
def broadcast_shapes_(stager: Stager, *shapes: Value) -> Value:
    made = broadcast_shapes(stager, [shape_of(stager, s) for s in shapes])
    return Sequence([Number(n, int) for n in made], tuple)


@lowers(*([np.isdtype] if hasattr(np, "isdtype") else []))
def isdtype(stager: Stager, dtype: Value, kind: Value) -> Value:
    return Static(np.isdtype(stager.known(dtype), stager.known(kind)))
