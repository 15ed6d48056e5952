"""Linear maps of typed programs: the value with its record, and the pullback that reads the record any
number of times."""

from __future__ import annotations

from collections.abc import Callable
from types import CellType, FunctionType
from typing import Any

import numpy as np

from tapeless.autodiff.assemble import linearized
from tapeless.autodiff.control import leaves
from tapeless.autodiff.linearize import Linearized
from tapeless.backends.python.build import compile_function
from tapeless.backends.python.emit import Emitter
from tapeless.backends.python.entry import Entry, Target, careful_pass, has_arrays, refusing, renamed
from tapeless.backends.python.guards import Guards
from tapeless.backends.python.results import rebuild
from tapeless.specialise.types import Array, NotTyped, Scalar, Tuple, key_of, type_of
from tapeless.specialise.unit import Unit


class LinearEntry(Entry):
    """`call(*args)` gives the value and the record; `pull(record, ct)` the cotangents of the varying
    arguments."""

    def __init__(self, target: Target, lin: Linearized) -> None:
        super().__init__()
        assert lin.forward is not None and lin.reverse is not None
        if not flat_result(lin.out, lin.unit.result):
            raise NotTyped("a result of this structure")
        for p, tree in zip(lin.unit.program.params, lin.ins, strict=True):
            if tree is None and p.name in target.varying() and not isinstance(p.var.type, Scalar):
                raise NotTyped("an argument that the result does not depend on")
        self.target, self.lin = target, lin
        self.miss = _missed
        self.arity = len(target.args)
        self.reverse = self.library.function(lin.reverse, True)
        self.careful = careful_pass(lin, self.library)
        self.arrays = has_arrays(target.unit)
        self.build()

    def build(self) -> None:
        """The guarded function that runs the value pass."""
        target, lin = self.target, self.lin
        assert lin.forward is not None
        name = lin.forward.name
        shell = Unit(
            renamed(target.unit, f"linearize_{target.unit.name}"), target.unit.namespace, target.unit.cells
        )
        emitter = Emitter(shell)
        emitter.taken |= set(target.params)
        guards = Guards(emitter, target.session, self)
        tests = [t for p, k in zip(target.params, target.kinds, strict=True) for t in guards.of_value(p, k)]
        tests += guards.assumptions()
        tests += target.sharing(guards, list(target.params))
        params = ", ".join(target.params)
        emitter.indent = 0
        emitter.write(f"def {shell.program.name}({params}):")
        emitter.indent = 1
        if tests:
            emitter.write(f"if not ({' and '.join(tests)}):")
            emitter.write(f"    return {guards.own('miss', self._miss)}({params})")
        call = f"{emitter.bound(name, lin.forward)}({', '.join(target.arguments())})"
        emitter.write(f"record = {call}")
        emitter.write("return record[0], record")
        source = "\n".join(emitter.lines) + "\n"
        cells = dict(target.unit.cells)
        for n, v in emitter.constants.items():
            cells[n] = (
                self.library.cell(v) if isinstance(v, Unit) else v if n in guards.cells else CellType(v)
            )
        self.call = compile_function(source, shell.program.name, target.unit.namespace, cells)
        self.source = "\n\n".join([source, *self.library.sources])

    def pull(self, record: Any, ct: Any) -> Any:
        """The cotangents of the varying arguments, in the order of `argnums`."""
        cts = flattened(self.lin.out, self.lin.unit.result, ct)
        try:
            with np.errstate(all="ignore"):
                bars = self.reverse(record, *cts)
        except (ArithmeticError, ValueError):
            bars = self.careful(record, *cts)
        parts = list(bars) if len(self.targets()) != 1 else [bars]
        if any(nan_in(b) for b in parts):
            bars = self.careful(record, *cts)
            parts = list(bars) if len(self.targets()) != 1 else [bars]
        return rebuild(self.target, self.lin, parts)

    def targets(self) -> list[Any]:
        return [c for tree in self.lin.ins for c in leaves(tree)]


def flat_result(cells: Any, kind: Any) -> bool:
    """Whether the result is made of numbers and arrays in tuples."""
    if isinstance(kind, Tuple):
        return all(
            flat_result(None if cells is None else c, k)
            for c, k in zip(cells or kind.elems, kind.elems, strict=True)
        )
    return isinstance(kind, Scalar | Array)


def flattened(cells: Any, kind: Any, ct: Any) -> list[Any]:
    """The parts of a cotangent that belong to cells."""
    if cells is None:
        return []
    if isinstance(kind, Tuple):
        return [p for c, k, t in zip(cells, kind.elems, ct, strict=True) for p in flattened(c, k, t)]
    if isinstance(kind, Array):
        return [np.array(ct, kind.dtype)]
    return [float(ct) if "float" in kind.kinds else ct]


def nan_in(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return not np.vdot(value, value) >= 0.0
    if isinstance(value, list):
        return any(nan_in(v) for v in value)
    return bool(value != value)


def owned_record(record: Any) -> Any:
    """A record that shares nothing that can be written into."""
    if isinstance(record, np.ndarray):
        return record.copy()
    if isinstance(record, tuple):
        return tuple([owned_record(r) for r in record])
    if isinstance(record, list):
        return (
            list(record)
            if record and type(record[0]) in (float, int, bool)
            else [owned_record(r) for r in record]
        )
    return dict(record) if isinstance(record, dict) else record


def linear_entry(
    f: Any, args: tuple[Any, ...], kwargs: dict[str, Any], argnums: int | tuple[int, ...]
) -> LinearEntry:
    with refusing():
        target = Target(f, args, kwargs, argnums)
        return LinearEntry(target, linearized(target.unit, target.active))


def vjp_entry(
    f: Any, args: tuple[Any, ...], kwargs: dict[str, Any], argnums: int | tuple[int, ...]
) -> Callable[..., tuple[Any, Any, Callable[[Any, Any], Any]]]:
    """A function of the arguments to the value, a record that owns its contents, and `pullback(record,
    ct)`."""
    entry = linear_entry(f, args, kwargs, argnums)

    def run(*args: Any) -> tuple[Any, Any, Callable[[Any, Any], Any]]:
        value, record = entry.call(*args)
        return value, owned_record(record), entry.pull

    return run


_linear: dict[Any, LinearEntry] = {}
_refused: dict[Any, str] = {}


def call_linearized(
    f: FunctionType, args: tuple[Any, ...], active: tuple[bool, ...]
) -> tuple[Any, Any, Callable[[Any, Any], Any]]:
    """Run `f` typed for an untyped caller: the value, the record and the pullback; raises `NotTyped`, before
    anything ran,
    where the typed road does not take `f`."""
    key = (f.__code__, active, tuple([type(a) for a in args]))
    entry = _linear.get(key)
    if entry is None or entry.target.f is not f:
        refused = (f.__code__, f, active, tuple([key_of(type_of(a)) for a in args]))
        if refused in _refused:
            raise NotTyped(_refused[refused])
        try:
            entry = linear_entry(f, args, {}, tuple(i for i, a in enumerate(active) if a))
        except NotTyped as error:
            _refused[refused] = error.reason
            raise
        _linear[key] = entry
    try:
        value, record = entry.call(*args)
    except _Missed:
        del _linear[key]
        return call_linearized(f, args, active)
    return value, record, entry.pull


class _Missed(NotTyped):
    """A guard of a linear entry failed; nothing has run."""


def _missed(*args: Any) -> Any:
    raise _Missed("a guard failed")


def jvp_entry(
    f: Any, args: tuple[Any, ...], kwargs: dict[str, Any], argnums: int | tuple[int, ...]
) -> Callable[..., Any]:
    """Forward mode takes the untyped road for now."""
    raise NotTyped("forward mode")
