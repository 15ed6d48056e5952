"""Calls that CPython makes for a nest: of SciPy's solvers, which take functions of the program.

The functions and other objects are made again from the nest's numbers. What such a call gives is taken to be
like what it gave before (numbers of these classes, arrays of these shapes). One that gives something else,
raises, prints or changes what the nest knows is left to the plain program, which makes the whole call.
"""

from __future__ import annotations

import ctypes
import functools
import io
import pickle
import threading
import types
import warnings
from collections import deque
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tapeless.backends.native.callbacks import GLOBAL
from tapeless.backends.native.matrices import Operation, plus_scaled
from tapeless.backends.native.nest import Array
from tapeless.backends.native.staging.paths import Path, slots_of
from tapeless.backends.native.staging.templates import Call, Template
from tapeless.random_state import set_state, state_of

if TYPE_CHECKING:
    from tapeless.chained import Mode

#: Classes of numbers that a call may give.
NUMBERS = (float, int, bool, complex, np.float64, np.int64, np.int32, np.bool_, np.complex128)
DTYPES = ("float64", "int64", "int32", "bool", "complex128")


class Unlike(Exception):
    """A call for the plain program."""


# ---- what a result is like


@dataclass(frozen=True)
class NumberForm:
    kind: type


@dataclass(frozen=True)
class ArrayForm:
    """An array; `of` says that its memory is that of one that was given, or of an earlier result."""

    dtype: str
    shape: tuple[int, ...]
    of: tuple[str, int] | None = None


@dataclass(frozen=True)
class ObjectForm:
    """None or a text."""

    obj: Any


@dataclass(frozen=True)
class HiddenForm:
    """Something else: it may be there, as long as nobody reads it."""

    kind: type


@dataclass(frozen=True)
class ItemsForm:
    kind: type
    items: tuple[Any, ...]


@dataclass(frozen=True)
class TableForm:
    kind: type
    keys: tuple[str, ...]
    items: tuple[Any, ...]


@dataclass(frozen=True)
class InstanceForm(TableForm):
    """An object that is its class and its attributes."""


def form_of(x: Any) -> Any:
    kind = type(x)
    if kind in NUMBERS:
        return NumberForm(kind)
    if kind is np.ndarray and x.dtype.name in DTYPES:
        return ArrayForm(x.dtype.name, x.shape)
    if x is None or kind in (str, types.FunctionType, type):
        return ObjectForm(x)
    if isinstance(x, (tuple, list)):
        return ItemsForm(kind, tuple(map(form_of, x)))
    if isinstance(x, dict):
        return TableForm(kind, tuple(x), tuple(map(form_of, x.values())))
    if (
        kind.__module__.startswith("scipy.")
        and getattr(kind, "__new__", None) is object.__new__
        and hasattr(x, "__dict__")
    ):
        names = (*slots_of(x), *vars(x))
        fields = tuple([form_of(getattr(x, n)) for n in names])
        if not any(map(hides, fields)):
            return InstanceForm(kind, names, fields)
    return HiddenForm(kind)


def hides(form: Any) -> bool:
    """Whether something in a result is not known."""
    inner = form.items if isinstance(form, (ItemsForm, TableForm)) else ()
    return isinstance(form, HiddenForm) or any(map(hides, inner))


def leaves_of(x: Any, form: Any) -> Iterator[Any]:
    """The numbers and arrays in a result of this form."""
    if isinstance(form, (NumberForm, ArrayForm)):
        yield x
    elif isinstance(form, ItemsForm):
        for v, f in zip(x, form.items, strict=True):
            yield from leaves_of(v, f)
    elif isinstance(form, TableForm):
        for k, f in zip(form.keys, form.items, strict=True):
            yield from leaves_of(getattr(x, k) if isinstance(form, InstanceForm) else x[k], f)


def leaf_forms(form: Any) -> Iterator[Any]:
    if isinstance(form, (NumberForm, ArrayForm)):
        yield form
    elif isinstance(form, (ItemsForm, TableForm)):
        for f in form.items:
            yield from leaf_forms(f)


def with_memory(form: Any, found: Iterator[tuple[int, Any]], memory: dict[tuple[str, int], Any]) -> Any:
    """A form that says what has whose memory."""
    if isinstance(form, (NumberForm, ArrayForm)):
        k, x = next(found)
        if isinstance(form, NumberForm):
            return form
        for of, other in memory.items():
            if np.may_share_memory(x, other):
                if address_of(x) != address_of(other) or x.size != other.size or not both_rows(x, other):
                    raise Unlike("the plain program makes this call")
                return replace(form, of=of)
        memory["result", k] = x
    if isinstance(form, (ItemsForm, TableForm)):
        return replace(form, items=tuple([with_memory(f, found, memory) for f in form.items]))
    return form


def address_of(x: Any) -> Any:
    return x.__array_interface__["data"]


def both_rows(x: Any, y: Any) -> bool:
    return bool(x.flags.c_contiguous and y.flags.c_contiguous)


@dataclass(eq=False)
class Seen:
    """What a call at a place of the program was like; None if none has been made."""

    form: Any = None


SEEN: dict[Any, Seen] = {}
#: The form of what is not called: the functions change what the nest has read, so CPython has to go on.
LOUD = object()


class Kept(threading.local):
    """Results of calls that were made to find out what they are like.

    The nest that knows takes them, for the same operands, so the functions called do not run again.
    """

    def __init__(self) -> None:
        self.results: dict[Seen, tuple[list[bytes], tuple[Any, ...]]] = {}


KEPT = Kept()


# ---- objects that are made again


@dataclass(eq=False, slots=True)
class Leaf(Template):
    index: int

    def build(self, call: Call) -> Any:
        return call.results[self.index]


@dataclass(eq=False, slots=True)
class CellOf(Template):
    value: Template | None

    def build(self, call: Call) -> Any:
        if id(self) not in call.made:
            made = call.made[id(self)] = types.CellType()
            if self.value is not None:
                made.cell_contents = self.value.build(call)
        return call.made[id(self)]


@dataclass(eq=False, slots=True)
class FunctionOf(Template):
    function: types.FunctionType
    cells: list[Template] = field(default_factory=list)
    defaults: list[Template] = field(default_factory=list)
    named: dict[str, Template] = field(default_factory=dict)

    def build(self, call: Call) -> Any:
        if id(self) not in call.made:
            f = self.function
            cells = tuple([c.build(call) for c in self.cells])
            defaults = tuple([d.build(call) for d in self.defaults])
            made = types.FunctionType(f.__code__, f.__globals__, f.__name__, defaults or None, cells)
            if self.named:
                made.__kwdefaults__ = {k: d.build(call) for k, d in self.named.items()}
            call.made[id(self)] = made
        return call.made[id(self)]


@dataclass(eq=False, slots=True)
class MethodOf(Template):
    function: Template
    owner: Template

    def build(self, call: Call) -> Any:
        return types.MethodType(self.function.build(call), self.owner.build(call))


@dataclass(eq=False, slots=True)
class CallOf(Template):
    """What a call gives; without `made`, a `functools.partial` of it."""

    function: Template
    args: list[Template]
    kwargs: dict[str, Template]
    made: bool = True

    def build(self, call: Call) -> Any:
        function = self.function.build(call)
        args = [t.build(call) for t in self.args]
        kwargs = {k: t.build(call) for k, t in self.kwargs.items()}
        return function(*args, **kwargs) if self.made else functools.partial(function, *args, **kwargs)


# ---- the call


@dataclass(eq=False)
class PythonCall:
    function: Template
    args: list[Template]
    kwargs: dict[str, Template]
    seen: Seen
    outside: list[Path] = field(default_factory=list)
    """What the nest reads that is no argument."""

    def value(self, leaves: list[Any]) -> tuple[Any, ...]:
        bits = [x.tobytes() for x in leaves]
        kept = KEPT.results.pop(self.seen, None)
        if kept is not None and kept[0] == bits:
            return kept[1]
        given = [x.copy() if x.ndim else x[()] for x in leaves]
        call = Call(tuple(given), (), {})
        function, args, kwargs = self.objects(call)
        before, around = self.held(call), self.known()
        text, random = io.StringIO(), state_of(GLOBAL)
        with redirect_stdout(text):
            result = function(*args, **kwargs)
        if not drawn_alike(random, state_of(GLOBAL)):
            set_state(GLOBAL, random)
            raise Unlike("the plain program makes this call")
        form = form_of(result)
        found = list(leaves_of(result, form))
        memory = {("given", k): x for k, x in enumerate(given) if isinstance(x, np.ndarray)}
        form = with_memory(form, iter(enumerate(found)), memory)
        if not alike(around, self.known()):
            self.seen.form = LOUD
            raise Unlike("the plain program makes this call")
        results = tuple([np.array(x) for x in found])
        quiet = not text.getvalue() and all(map(same, given, leaves)) and alike(before, self.held(call))
        if form != self.seen.form:
            if quiet and self.seen.form is None:
                KEPT.results[self.seen] = bits, results
            self.seen.form, quiet = form, False
        if not quiet:
            raise Unlike("the plain program makes this call")
        return results

    def known(self) -> list[Any]:
        """What the nest has read."""
        known = [path.read((), {}) for path in self.outside]
        return [x.copy() if isinstance(x, np.ndarray) else x for x in known]

    def held(self, call: Call) -> list[Any]:
        """What is made for the function called, which may change it."""
        return [v for x in call.made.values() for v in content(x)]

    def objects(self, call: Call) -> tuple[Any, list[Any], dict[str, Any]]:
        """What is called, with what."""
        args = [t.build(call) for t in self.args]
        return self.function.build(call), args, {k: t.build(call) for k, t in self.kwargs.items()}

    def plainly(self, *leaves: Any) -> tuple[Any, ...]:
        """The same, as a function of the leaves that can be differentiated."""
        function, args, kwargs = self.objects(Call(leaves, (), {}))
        return tuple(leaves_of(function(*args, **kwargs), self.seen.form))


def drawn_alike(a: Any, b: Any) -> bool:
    """Whether two states of a random generator are the same."""
    if isinstance(a, dict):
        return all(drawn_alike(a[k], b[k]) for k in a)
    return bool(np.array_equal(a, b))


def same(a: Any, b: Any) -> bool:
    return bool(a.shape == b.shape and a.tobytes() == b.tobytes())


def content(x: Any) -> list[Any]:
    """What an object holds that the program may change."""
    if isinstance(x, types.CellType):
        try:
            return [x.cell_contents]
        except ValueError:
            return []
    if isinstance(x, dict):
        return [*x, *x.values()]
    if isinstance(x, (list, tuple, set, deque)):
        return list(x)
    return list(vars(x).values()) if hasattr(x, "__dict__") else []


def alike(a: list[Any], b: list[Any]) -> bool:
    """Whether these are the same objects, and arrays with the same bits."""

    def pair(x: Any, y: Any) -> bool:
        return x is y or (isinstance(x, np.ndarray) and isinstance(y, np.ndarray) and same(x, y))

    return len(a) == len(b) and all(map(pair, a, b))


def run(address: Any, *operands: Any, modes: tuple[Mode, ...] = ()) -> tuple[Any, ...]:
    """The results of a call, or a derivative of them; the object that says what to call is at an address."""
    from tapeless.chained import derived

    call: PythonCall = ctypes.cast(int(address), ctypes.py_object).value
    try:
        if not modes:
            return call.value(list(operands))
        given = [x.copy() if x.ndim else x[()] for x in operands]
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            made = derived(call.plainly, modes)(*given)
        return made if isinstance(made, tuple) else (made,)
    except Exception as error:
        raise np.linalg.LinAlgError("the plain program makes this call") from error


# ---- derivatives of a nest with such a call


def pull(p: Operation) -> None:
    """The cotangents of what is given."""
    outs = [k for k, x in enumerate(p.d_out) if x is not None]
    ins = [k for k, x in enumerate(p.d_in) if x is not None]
    if not outs:
        return
    shares = [p.new(*p.shape(p.ins[k])) for k in ins]
    _derive(p, "vjp", ins, outs, shares, [x for x in p.d_out if x is not None])
    for k, share in zip(ins, shares, strict=True):
        into = p.d_in[k]
        assert into is not None
        plus_scaled(p, into, share)


def push(p: Operation) -> None:
    """The tangents of the results."""
    outs = [k for k, x in enumerate(p.d_out) if x is not None]
    ins = [k for k, x in enumerate(p.d_in) if x is not None]
    made, rates = ([x for x in xs if x is not None] for xs in (p.d_out, p.d_in))
    if outs:
        _derive(p, "jvp", ins, outs, made, rates)


def _derive(
    p: Operation, kind: str, ins: list[int], outs: list[int], made: list[Array], rates: list[Array]
) -> None:
    attrs = dict(p.s.attrs)
    module, name, pairs, _, options = pickle.loads(bytes.fromhex(attrs["payload"]))
    first, order = attrs["active"], attrs["order"]
    # after the operands that are active now stand those that become so
    order = [*order[:first], *range(len(order), len(order) + len(rates)), *order[first:]]
    mode: Mode = (kind, tuple(attrs["order"][k] - 1 for k in ins), tuple(outs))
    of_outs, of_ins = [pairs[k] for k in outs], [pairs[len(p.s.outs) + k] for k in ins]
    if kind == "vjp":
        of_outs, of_ins = of_ins, of_outs
    given = pairs[len(p.s.outs) :]
    pairs = [*of_outs, *given[:first], *of_ins, *given[first:]]
    places = [order.index(k) for k in range(len(order))]
    options = {"modes": (*options["modes"], mode)}
    attrs["payload"] = pickle.dumps((module, name, pairs, places, options)).hex()
    attrs |= {"order": order, "active": first + len(rates)}
    p.call("called", tuple(made), (*p.ins[:first], *rates, *p.ins[first:]), **attrs)
