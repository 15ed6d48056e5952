"""Functions of `scipy.linalg` that are SciPy's own, called back, with the tangents of their rules."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.linalg as sl  # type: ignore[import-untyped]

from tapeless.backends.native.nest import Expr
from tapeless.backends.native.staging import called_back, scipy_programs
from tapeless.backends.native.staging.base import Replay
from tapeless.backends.native.staging.elementwise import astype
from tapeless.backends.native.staging.linear_algebra import least
from tapeless.backends.native.staging.lowerings import FUNCTIONS, array
from tapeless.backends.native.staging.values import ArrayValue, Sequence, Static, Value

if TYPE_CHECKING:
    from tapeless.backends.native.staging.stager import Stager

Made = called_back.Made
#: The results of a call: (stager, operands, options) -> their shapes and dtypes, None if it is not for here.
Results = Callable[[Any, list[ArrayValue], dict[str, Any]], "list[Made] | None"]
#: Options that change nothing that can be seen.
HARMLESS = ("overwrite_a", "overwrite_b", "overwrite_ab", "check_finite", "lwork")
REALS = {"float64": "float64", "float32": "float32", "complex128": "float64"}


def _square(value: ArrayValue) -> tuple[Expr, str]:
    return value.shape[-1], value.dtype


def _eigh(s: Any, values: list[ArrayValue], options: dict[str, Any]) -> list[Made] | None:
    if any(options.get(k) is not None for k in ("subset_by_index", "subset_by_value")):
        return None
    n, dtype = _square(values[0])
    made: list[Made] = [((n,), REALS[dtype]), ((n, n), dtype)]
    return made[:1] if options.get("eigvals_only") else made


def _svd(s: Any, values: list[ArrayValue], options: dict[str, Any]) -> list[Made] | None:
    (n, m), dtype = values[0].shape, values[0].dtype
    k = least(s, n, m)
    full = options.get("full_matrices", True)
    singular: Made = ((k,), REALS[dtype])
    if not options.get("compute_uv", True):
        return [singular]
    return [((n, n if full else k), dtype), singular, ((m if full else k, m), dtype)]


def _qr(s: Any, values: list[ArrayValue], options: dict[str, Any]) -> list[Made] | None:
    (n, m), dtype = values[0].shape, values[0].dtype
    mode = options.get("mode", "full")
    if options.get("pivoting") or mode not in ("full", "economic"):
        return None
    k = n if mode == "full" else least(s, n, m)
    return [((n, k), dtype), ((k, m), dtype)]


def _lu(s: Any, values: list[ArrayValue], options: dict[str, Any]) -> list[Made] | None:
    (n, m), dtype = values[0].shape, values[0].dtype
    if options.get("permute_l") or options.get("p_indices"):
        return None
    k = least(s, n, m)
    return [((n, n), REALS[dtype]), ((n, k), dtype), ((k, m), dtype)]


def _lu_factor(s: Any, values: list[ArrayValue], options: dict[str, Any]) -> list[Made] | None:
    (n, m), dtype = values[0].shape, values[0].dtype
    return [((n, m), dtype), ((least(s, n, m),), "int32")]


def _like(k: int) -> Results:
    """One result, of the shape of an operand."""

    def results(s: Any, values: list[ArrayValue], options: dict[str, Any]) -> list[Made] | None:
        dtype = np.result_type(*(v.dtype for v in values)).name
        return [(values[k].shape, dtype)]

    return results


#: Function -> how many operands are arrays, whether they may have leading axes, its results.
TABLE: dict[Any, tuple[int, bool, Results]] = {
    sl.eigh: (2, False, _eigh),
    sl.svd: (1, False, _svd),
    sl.qr: (1, False, _qr),
    sl.lu: (1, False, _lu),
    sl.lu_factor: (1, False, _lu_factor),
    sl.expm: (1, True, _like(0)),
    sl.solve_sylvester: (3, False, _like(2)),
    sl.solve_banded: (3, False, _like(1)),
    sl.solveh_banded: (2, False, _like(1)),
}


def _enter(function: Any, count: int, stacks: bool, results: Results) -> None:
    parameters = list(inspect.signature(function).parameters)
    signature = inspect.signature(function)

    def lowering(stager: Stager, *args: Value, **kwargs: Value) -> Value:
        name = f"scipy.linalg.{function.__name__}"
        try:
            bound = signature.bind(*args, **kwargs).arguments
        except TypeError as error:
            stager.refuse(f"this call of {name} ({error})", "use the arguments that SciPy documents")
        options = {k: stager.known(v) for k, v in bound.items() if k not in parameters[:count]}
        options = {k: v for k, v in options.items() if k not in HARMLESS}
        operands = [_operand(stager, bound.get(k, Static(None))) for k in parameters[:count]]
        arrays = [k for k, v in enumerate(operands) if isinstance(v, ArrayValue)]
        values = [v for v in operands if isinstance(v, ArrayValue)]
        made = None
        if stacks or all(v.ndim <= 2 for v in values):
            made = results(stager, values, options)
        if made is None:
            stager.refuse(f"{name} with these options", "use a function of numpy.linalg")
        found: list[Made] = made
        fixed = {parameters[k]: stager.known(v) for k, v in enumerate(operands) if k not in arrays}

        def plainly(own: list[Value]) -> Value:
            failure = stager.failure(Replay, name)
            ins = [array(stager, own[k]) for k in arrays]
            keys = [parameters[k] for k in arrays]
            told = {"name": function.__name__, "keys": keys, "options": {**fixed, **options}}
            outs = called_back.emit(
                stager, "tapeless.backends.native.called_matrices", "by_keywords", ins, found, told, failure
            )
            return outs[0] if len(outs) == 1 else Sequence(list(outs), tuple)

        named: dict[str, Value] = {k: Static(v) for k, v in options.items()}
        return called_back.ruled(stager, function, operands, called_back.EVERYTHING, plainly, named)

    FUNCTIONS[function] = lowering


def _operand(stager: Stager, value: Value) -> Value:
    """An array of floats or complex numbers; what is no array stays."""
    if isinstance(value, Static) or (isinstance(value, Sequence) and not value.items):
        return value
    if isinstance(value, Sequence) and all(isinstance(v, Static) for v in value.items):
        return Static(stager.known(value))
    made = array(stager, value)
    return made if made.dtype in REALS else astype(stager, made, "float64")


def _expm_tangent(a: Any, da: Any) -> Any:
    return scipy_programs.expm_tangent(a, da) if a.ndim == 2 else scipy_programs.expm_tangent_each(a, da)


called_back.TANGENTS[sl.expm] = _expm_tangent
for _function, (_count, _stacks, _results) in TABLE.items():
    _enter(_function, _count, _stacks, _results)
