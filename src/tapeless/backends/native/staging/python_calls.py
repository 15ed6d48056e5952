"""Calls of SciPy's solvers with functions of the program: CPython makes them, and their derivatives.

What such a call gives is not known before it has been made: the first one at a place of the program finds
that out, and no more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn
from weakref import WeakKeyDictionary

import numpy as np

from tapeless.backends.native import python_calls
from tapeless.backends.native.nest import FALSE, Assign, Expr, Ref, const
from tapeless.backends.native.python_calls import (
    SEEN,
    ArrayForm,
    CallOf,
    CellOf,
    FunctionOf,
    HiddenForm,
    Leaf,
    MethodOf,
    NumberForm,
    ObjectForm,
    PythonCall,
    Seen,
    TableForm,
)
from tapeless.backends.native.staging import called_back, storage
from tapeless.backends.native.staging.base import Replay
from tapeless.backends.native.staging.broadcasting import to_array
from tapeless.backends.native.staging.builtin_table import BUILTINS, NONE
from tapeless.backends.native.staging.callables import Method, Partial
from tapeless.backends.native.staging.inputs import from_call
from tapeless.backends.native.staging.outputs import Outputs
from tapeless.backends.native.staging.paths import Address, Field, Fixed, Held
from tapeless.backends.native.staging.templates import Template
from tapeless.backends.native.staging.values import (
    ArrayValue,
    Bound,
    Cell,
    Closure,
    Mapping,
    Number,
    Sequence,
    Static,
    Value,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tapeless.backends.native.staging.stager import Stager

HOME = python_calls.__name__
#: The functions, and what they give where that is known (`None`: it is found out).
FORMS: dict[str, dict[str, Any]] = {
    "scipy.integrate": {
        "quad": (0.0, 0.0), "dblquad": (0.0, 0.0), "tplquad": (0.0, 0.0), "nquad": (0.0, 0.0),
        "odeint": None, "quad_vec": None,
    },
    "scipy.optimize": {
        "brentq": 0.0, "brenth": 0.0, "bisect": 0.0, "ridder": 0.0, "toms748": 0.0, "fsolve": None,
        "root": None, "root_scalar": None, "minimize": None, "minimize_scalar": None, "least_squares": None,
        "leastsq": None, "curve_fit": None, "fmin": None, "fmin_bfgs": None, "fmin_cg": None,
        "fmin_powell": None, "fmin_l_bfgs_b": None, "fmin_slsqp": None, "fminbound": None, "brent": None,
        "golden": None, "differential_evolution": None, "linprog": None, "fixed_point": None,
    },
}  # fmt: skip
#: The calls that have been staged.
CALLS: WeakKeyDictionary[Stager, list[PythonCall]] = WeakKeyDictionary()


def handed_over(function: Any) -> Callable[..., Any] | None:
    """A program in place of a function whose calls CPython makes; None for other functions."""
    name, module = getattr(function, "__name__", ""), str(getattr(function, "__module__", ""))
    for home, names in FORMS.items():
        if name in names and module.startswith(f"{home}."):
            BUILTINS[hand_over] = _hand_over

            def program(*args: Any, **kwargs: Any) -> Any:
                return hand_over(function, args, kwargs)

            return program
    return None


def hand_over(function: Any, args: Any, kwargs: Any) -> Any:
    """The call, made by CPython."""


def _hand_over(s: Stager, function: Value, args: Value, kwargs: Value) -> Value:
    assert isinstance(function, Static)
    name = function.obj.__name__
    example = next(names[name] for names in FORMS.values() if name in names)
    given = _Given(s)
    made = [given.template(v) for v in s.listed(args)]
    named = {k: given.template(v) for k, v in s.table(kwargs).items()}
    if s.differentiated and any(v.dtype in ("float32", "complex64", "complex128") for v in given.values):
        _refuse(s, f"{name} of complex numbers or numbers of 32 bits", "convert them to float64")
    place = (*[(f.program.filename, f.line) for f in s.frames], name)
    form = None if example is None else python_calls.form_of(example)
    seen = SEEN.setdefault(place, Seen(form))
    s.guard(Field(Fixed(Held(seen)), "form"), "is", seen.form)
    call = PythonCall(given.template(function), made, named, seen)
    CALLS.setdefault(s, []).append(call)
    return _Made(s, call, given.values, name).result()


def finish(s: Stager, writes: list[Any], written: set[Any]) -> None:
    """The functions called read what is outside as it was before the nest began, and may not change that."""
    calls = CALLS.pop(s, [])
    if not calls:
        return
    changed = [getattr(w, "target", None) for w in writes]
    changed += [path for p, path in zip(s.params, s.paths, strict=True) if p in written]
    if not all(path is not None and from_call(path) for path in changed):
        s.refuse("a program changes a global and calls a solver of SciPy", "return the value instead")
    outside = [p for p in s.paths if not from_call(p) and not isinstance(p, Address)]
    for call in calls:
        call.outside = outside


def _refuse(s: Stager, reason: str, way_out: str) -> NoReturn:
    """Refuse the line of the program that has made the call."""
    s.line = s.frames.pop().line
    s.refuse(reason, way_out)


class _Given(Outputs):
    """Templates of what is given, and the numbers and arrays in it."""

    def __init__(self, s: Stager) -> None:
        super().__init__(s, [])
        self.lifted = {}
        self.values: list[ArrayValue] = []

    def scalar(self, e: Expr) -> int:
        var = self.s.scalar(e.type, "given")
        self.s.emit(Assign(var, e))
        kinds: dict[str, type] = {"f64": float, "f32": np.float32, "i64": int, "bool": bool}
        self.results.append(var)
        self.values.append(to_array(self.s, Number(Ref(var), kinds[e.type])))
        return len(self.values) - 1

    def array(self, value: ArrayValue) -> Template:
        view = storage.store_copy(self.s, value)
        if view.array not in self.found:
            self.results.append(view.array)
            self.values.append(view)
            self.found[view.array] = Leaf(len(self.values) - 1)
        return self.found[view.array]

    def new(self, value: Value) -> Template:
        if isinstance(value, Closure):
            made = FunctionOf(value.function)
            self.made[id(value)] = made  # it may hold itself
            made.cells = [self.template(c) for c in value.cells]
            made.defaults = [self.template(d) for d in value.defaults]
            made.named = {k: self.template(d) for k, d in value.kwdefaults.items()}
            return made
        if isinstance(value, Cell):
            cell = CellOf(None)
            self.made[id(value)] = cell
            cell.value = None if value.value is None else self.template(value.value)
            return cell
        if isinstance(value, Bound) and not (
            isinstance(value.function, Static) and isinstance(value.function.obj, Method)
        ):
            return MethodOf(self.template(value.function), self.template(value.owner))
        if isinstance(value, Partial):
            parts = [self.template(v) for v in value.args]
            named = {k: self.template(v) for k, v in value.kwargs.items()}
            return CallOf(self.template(value.function), parts, named, made=False)
        return super().new(value)


class _Made:
    """A call that is made, and what comes of it."""

    def __init__(self, s: Stager, call: PythonCall, given: list[ArrayValue], name: str) -> None:
        self.s, self.call, self.given, self.name = s, call, given, name
        self.form = call.seen.form

    def result(self) -> Value:
        s = self.s
        if self.form is None:  # the plain program makes the call, and the next one will be compiled
            self.emit([])
            s.replay_unless(FALSE)
            s.die()
            return NONE
        forms = list(python_calls.leaf_forms(self.form))
        results: list[called_back.Made] = []
        for f in forms:
            if isinstance(f, ArrayForm):
                results.append((tuple(const(n) for n in f.shape), f.dtype))
            else:
                results.append(((), np.dtype(f.kind).name))
        leaves: list[Value] = []
        for f, out in zip(forms, self.emit(results), strict=True):
            if isinstance(f, NumberForm):
                number = called_back.number(s, out)
                assert isinstance(number, Number)
                leaves.append(Number(number.expr, f.kind))
            else:
                leaves.append(out)
        return self.assembled(self.form, iter(leaves))

    def emit(self, results: list[called_back.Made]) -> list[ArrayValue]:
        s = self.s
        path = Address(Fixed(Held(self.call)))
        address = to_array(s, Number(Ref(s.parameter("i64", path, "call")), int))
        constant = [0, *[k + 1 for k, v in enumerate(self.given) if v.dtype != "float64"]]
        failure = s.failure(Replay, self.name)
        ins = [address, *self.given]
        options: dict[str, Any] = {"modes": ()}
        return called_back.emit(s, HOME, "run", ins, results, options, failure, constant, {"own": True})

    def assembled(self, form: Any, leaves: Iterator[Value]) -> Value:
        s = self.s
        if isinstance(form, (NumberForm, ArrayForm)):
            return next(leaves)
        if isinstance(form, ObjectForm):
            return Static(form.obj)
        if isinstance(form, HiddenForm):
            from tapeless.backends.native.staging.twins import Later  # it asks this module

            def read(s: Any, owner: Value, args: list[Value], kwargs: dict[str, Value]) -> Value:
                kind = form.kind.__name__
                raise s.refuse(f"an object of class {kind}, of what {self.name} gives, is read", "leave it")

            return Later(Bound(Static(Method("read", read)), NONE))
        items = [self.assembled(f, leaves) for f in form.items]
        if isinstance(form, TableForm):
            table: Value = s.heap.born(Mapping(dict(zip(form.keys, items, strict=True)), form.kind))
            return table
        made: Value = Sequence(items, form.kind)
        return s.heap.born(made) if form.kind is list else made
