"""Functions of SciPy that are staged as others, which do the same in another way."""

from __future__ import annotations

from functools import cache
from types import FunctionType
from typing import Any

from tapeless.backends.native.nest import FALSE
from tapeless.backends.native.staging import scipy_programs, statistics
from tapeless.backends.native.staging.builtin_table import BUILTINS, NONE
from tapeless.backends.native.staging.values import Mapping, Static, Value

#: The parameters of `solve_ivp` that may be given by position.
PARAMETERS = ("fun", "t_span", "y0", "method", "t_eval", "dense_output", "events", "vectorized", "args")


#: Functions inside SciPy, by module and name (they may not be loaded).
INSIDE: dict[tuple[str, str], Any] = {
    ("scipy.stats._distn_infrastructure", "freeze"): scipy_programs.freeze,
    ("scipy.stats._axis_nan_policy", "_masked_arrays_2_sentinel_arrays"): scipy_programs.unmasked,
    ("scipy._lib._array_api", "xp_promote"): scipy_programs.promoted,
    ("scipy._lib.array_api_extra._lib._funcs", "_apply_where"): scipy_programs.apply_where,
}


#: Searches that compare values only: as programs, what they find has the derivative zero.
SEARCHES = {
    "brute", "bracket", "fmin_tnc", "fmin_ncg", "fmin_cobyla", "_minimize_scalar_golden",
    "_minimize_scalar_brent", "_minimize_scalar_bounded", "_minimize_neldermead", "_minimize_powell",
}  # fmt: skip


class Later(Value):
    """An item of a dict that is made when it is read."""

    def __init__(self, make: Value) -> None:
        self.make = make


def twin_of(s: Any, obj: Any, args: list[Value], kwargs: dict[str, Value]) -> FunctionType | None:
    """The function that is staged in place of one of SciPy."""
    from tapeless.backends.native.staging import python_calls

    if getattr(obj, "__module__", None) == "scipy.optimize._zeros_py" and not python_calls.handed(s):
        program = getattr(root_programs(), obj.__name__, None)
        if program is not None and len(args) <= 7 and not {"full_output", "disp"} & kwargs.keys():
            return program  # type: ignore[no-any-return]
    over = python_calls.handed_over(s, obj, args)
    if over is not None:
        return over  # type: ignore[return-value]
    if isinstance(obj, FunctionType) and statistics.is_wrapped(obj):
        return statistics.wrapper(obj)  # type: ignore[no-any-return]
    name, module = getattr(obj, "__name__", ""), str(getattr(obj, "__module__", ""))
    if s.differentiated and name in SEARCHES and module.startswith("scipy.optimize."):
        s.refuse(f"the derivative of a minimum by scipy.optimize.{name}", "differentiate outside jit")
    inside = INSIDE.get((getattr(obj, "__module__", ""), getattr(obj, "__name__", "")))
    if inside is not None:
        return inside  # type: ignore[no-any-return]
    if getattr(obj, "__name__", None) != "solve_ivp" or obj.__module__ != "scipy.integrate._ivp.ivp":
        return None
    given = dict(zip(PARAMETERS, args, strict=False)) | kwargs
    plain = all(known(given.get(n, NONE)) in (None, False) for n in ("t_eval", "dense_output", "events"))
    module = initial_values()
    if plain or known(given.get("method", Static("RK45"))) not in module.EXPLICIT:
        return None
    return module.solve_ivp  # type: ignore[no-any-return]


def known(value: Value) -> Any:
    return value.obj if isinstance(value, Static) else value


@cache
def initial_values() -> Any:
    from tapeless.backends.native.staging import initial_values as module

    BUILTINS[module.leave] = leave
    BUILTINS[module.depth] = lambda s: Static(s.differentiated)
    BUILTINS[module.later] = later
    return module


def root_programs() -> Any:
    initial_values()  # what both of them ask for is in its table
    from tapeless.backends.native.staging import root_programs as module

    return module


def leave(s: Any) -> Value:
    s.replay_unless(FALSE)
    s.die()
    return NONE


def later(s: Any, result: Mapping, name: Value, make: Value) -> Value:
    s.heap.write(result, {**result.items, s.known(name): Later(make)})
    return NONE
