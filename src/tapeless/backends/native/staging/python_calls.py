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
    InstanceForm,
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
    ComplexNumber,
    Instance,
    Mapping,
    Number,
    Sequence,
    Static,
    Value,
    View,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tapeless.backends.native.staging.base import Frame
    from tapeless.backends.native.staging.stager import Stager

HOME = python_calls.__name__
#: The functions, and what they give where that is known (`None`: it is found out).
FORMS: dict[str, dict[str, Any]] = {
    "scipy.integrate": {
        "quad": (0.0, 0.0), "dblquad": (0.0, 0.0), "tplquad": (0.0, 0.0), "nquad": (0.0, 0.0),
        "odeint": None, "quad_vec": None,
    },
    "scipy.optimize": {
        "brentq": 0.0, "bisect": 0.0, "brenth": 0.0, "ridder": 0.0, "toms748": 0.0, "fsolve": None,
        "root": None, "root_scalar": None, "minimize": None, "minimize_scalar": None, "least_squares": None,
        "leastsq": None, "curve_fit": None, "fmin": None, "fmin_bfgs": None, "fmin_cg": None,
        "fmin_powell": None, "fmin_l_bfgs_b": None, "fmin_slsqp": None, "fminbound": None, "brent": None,
        "golden": None, "differential_evolution": None, "linprog": None, "fixed_point": None,
    },
    "scipy.signal": dict.fromkeys(
        ("butter", "cheby1", "cheby2", "ellip", "bessel", "iirfilter", "iirdesign", "firwin", "get_window")
    ),
    # the dtype that they give depends on signs
    "numpy.lib._scimath_impl": dict.fromkeys(
        ("sqrt", "log", "log10", "log2", "logn", "power", "arccos", "arcsin", "arctanh")
    ),
}  # fmt: skip
#: The calls that have been staged.
CALLS: WeakKeyDictionary[Stager, list[PythonCall]] = WeakKeyDictionary()


#: Where a function of SciPy is handed over since it could not be compiled.
HANDED: WeakKeyDictionary[Stager, set[Any]] = WeakKeyDictionary()
LIBRARIES = ("scipy.", "numpy.")
#: Where the programs are that stand for functions of libraries.
TWINS = __name__.rpartition(".")[0]


def refused_in(s: Stager) -> Any:
    """Where the program has called the function of SciPy in which staging has come to an end; None if it has
    in something else."""
    for k, frame in enumerate(s.frames[1:], 1):
        home = str(getattr(frame.function, "__module__", ""))
        if home.startswith((*LIBRARIES, f"{TWINS}.")) and home != __name__:
            return _place(s.frames[:k], frame.line)
    return None


def _place(frames: list[Frame], line: int) -> Any:
    return (*[(f.program.filename, f.line) for f in frames], line)


def handed(s: Stager) -> bool:
    """Whether what the program calls here could not be compiled."""
    return _place(s.frames, s.line) in HANDED.get(s, ())


def handed_over(s: Stager, function: Any, args: list[Value]) -> Callable[..., Any] | None:
    """A program in place of a function whose calls CPython makes; None for other functions."""
    name, module = getattr(function, "__name__", ""), str(getattr(function, "__module__", ""))
    listed = any(name in names and f"{module}.".startswith(f"{home}.") for home, names in FORMS.items())
    if not listed and not module.startswith(LIBRARIES):
        return None
    if not listed and not handed(s):
        return None
    BUILTINS[hand_over], BUILTINS[become] = _hand_over, _become
    if name != "__init__":

        def program(*args: Any, **kwargs: Any) -> Any:
            return hand_over(function, args, kwargs)

        return program
    made = args[0]
    cls = made.cls if isinstance(made, Instance) else None
    if cls is None or not cls.__module__.startswith("scipy."):
        return None

    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        become(self, hand_over(cls, args, kwargs))

    return init


def hand_over(function: Any, args: Any, kwargs: Any) -> Any:
    """The call, made by CPython."""


def become(made: Any, other: Any) -> None:
    """Give an object what another one holds."""


def _become(s: Stager, made: Value, other: Value) -> Value:
    if s.alive:
        if not isinstance(other, Instance):
            s.refuse("an object of SciPy that holds more than numbers and arrays", "make it outside")
        s.heap.write(made, dict(other.fields))
    return NONE


def _hand_over(s: Stager, function: Value, args: Value, kwargs: Value) -> Value:
    assert isinstance(function, Static)
    name = function.obj.__name__
    example = next((names[name] for names in FORMS.values() if name in names), None)
    given = _Given(s)
    made = [given.template(v) for v in s.listed(args)]
    named = {k: given.template(v) for k, v in s.table(kwargs).items()}
    if s.differentiated and any(v.dtype in ("float32", "complex64") for v in given.values):
        _refuse(s, f"the derivative of {name} by numbers of 32 bits", "convert them to 64 bits")
    place = (s.frames[-1].key, name)
    form = None if example is None else python_calls.form_of(example)
    seen = SEEN.setdefault(place, Seen(form))
    s.guard(Field(Fixed(Held(seen)), "form"), "is", seen.form)
    call = PythonCall(given.template(function), made, named, seen)
    CALLS.setdefault(s, []).append(call)
    return _Made(s, call, given, name).result()


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
        self.whole: dict[int, View] = {}
        """The arrays of the program among them, by their numbers."""

    def scalar(self, e: Expr) -> int:
        var = self.s.scalar(e.type, "given")
        self.s.emit(Assign(var, e))
        kinds: dict[str, type] = {"f64": float, "f32": np.float32, "i64": int, "bool": bool}
        self.results.append(var)
        self.values.append(to_array(self.s, Number(Ref(var), kinds[e.type])))
        return len(self.values) - 1

    def array(self, value: ArrayValue) -> Template:
        view = storage.store_copy(self.s, value)
        self.results.append(view.array)
        self.values.append(view)
        self.whole[len(self.values) - 1] = value if isinstance(value, View) else view
        return Leaf(len(self.values) - 1)

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

    def __init__(self, s: Stager, call: PythonCall, given: _Given, name: str) -> None:
        self.s, self.call, self.name = s, call, name
        self.given, self.whole = given.values, given.whole
        self.form = call.seen.form

    def result(self) -> Value:
        s = self.s
        if self.form is None or self.form is python_calls.LOUD:
            if self.form is None:  # it is found out what the call gives
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
                if isinstance(number, ComplexNumber):
                    leaves.append(ComplexNumber(number.real, number.imag, f.kind))
                else:
                    assert isinstance(number, Number)
                    leaves.append(Number(number.expr, f.kind))
            elif f.of is not None:
                kind, k = f.of
                shape = Sequence([Static(n) for n in f.shape], tuple)
                source = self.whole[k] if kind == "given" else leaves[k]
                leaves.append(s.call(Static(np.reshape), [source, shape], {}))
            else:
                leaves.append(out)
        return self.assembled(self.form, iter(leaves))

    def emit(self, results: list[called_back.Made]) -> list[ArrayValue]:
        s = self.s
        path = Address(Fixed(Held(self.call)))
        address = to_array(s, Number(Ref(s.parameter("i64", path, "call")), int))
        constant = [0, *[k + 1 for k, v in enumerate(self.given) if v.dtype not in ("float64", "complex128")]]
        failure = s.failure(Replay, self.name)
        ins = [address, *self.given]
        options: dict[str, Any] = {"modes": ()}
        return called_back.emit(s, HOME, "run", ins, results, options, failure, constant, {"own": True})

    def assembled(self, form: Any, leaves: Iterator[Value], inside: bool = False) -> Value:
        s = self.s
        if isinstance(form, (NumberForm, ArrayForm)):
            return next(leaves)
        if isinstance(form, ObjectForm):
            return Static(form.obj)
        if isinstance(form, HiddenForm) and not inside:
            kind = form.kind.__qualname__
            _refuse(
                s, f"{self.name} gives an object of class {kind}", "call it outside the compiled function"
            )
        if isinstance(form, HiddenForm):
            from tapeless.backends.native.staging.twins import Later  # it asks this module

            def read(s: Any, owner: Value, args: list[Value], kwargs: dict[str, Value]) -> Value:
                kind = form.kind.__name__
                raise s.refuse(f"an object of class {kind}, of what {self.name} gives, is read", "leave it")

            return Later(Bound(Static(Method("read", read)), NONE))
        table = isinstance(form, TableForm) and not isinstance(form, InstanceForm)
        items = [self.assembled(f, leaves, table) for f in form.items]
        if isinstance(form, InstanceForm):
            made: Value = s.heap.born(Instance(form.kind, dict(zip(form.keys, items, strict=True))))
            return made
        if isinstance(form, TableForm):
            mapping: Value = s.heap.born(Mapping(dict(zip(form.keys, items, strict=True)), form.kind))
            return mapping
        whole: Value = Sequence(items, form.kind)
        return s.heap.born(whole) if form.kind is list else whole
