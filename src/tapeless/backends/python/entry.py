"""Entries: the generated functions that users' calls arrive at.

An entry checks what its specialisation assumed, inline and once; then everything behind it is direct.  Where
a check fails
it calls `miss`, where the fast reverse pass fails (a NaN, an arithmetic error) the careful one runs on the
same residuals.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from types import CellType, FunctionType, MethodType
from typing import Any

import numpy as np

from tapeless.autodiff.assemble import Fused, careful_half, linearized
from tapeless.autodiff.linearize import Linearized
from tapeless.backends.python.arities import ABSENT, OtherCalls, with_so_many
from tapeless.backends.python.build import Library, compile_function
from tapeless.backends.python.emit import Emitter
from tapeless.backends.python.guards import Guards, has_array, live_arrays
from tapeless.backends.python.quiet import moves, quiet
from tapeless.backends.python.results import gradient_source, keeps, kept_name
from tapeless.errors import TapelessError
from tapeless.program.ir import Block, Op, Var
from tapeless.rules import lookup
from tapeless.specialise.calls import is_ours
from tapeless.specialise.infer import specialise
from tapeless.specialise.types import (
    Array,
    List,
    NotTyped,
    Scalar,
    Tuple,
    apart,
    differentiable,
    is_complex,
    shared,
    storages,
    type_of,
)
from tapeless.specialise.unit import Session, Unit


class Entry:
    """A generated function with what belongs to it.  `arity` arguments are passed by position, then `names`
    by keyword."""

    def __init__(self) -> None:
        self.call: Callable[..., Any] = _missing
        self.source = ""
        self.program = ""
        self.arity = 0
        self.names: tuple[str, ...] = ()
        self._miss = CellType(_missing)
        self.library = Library()

    @property
    def miss(self) -> Callable[..., Any]:
        """Called with the arguments where a guard fails."""
        return self._miss.cell_contents  # type: ignore[no-any-return]

    @miss.setter
    def miss(self, function: Callable[..., Any]) -> None:
        self._miss.cell_contents = function


def _missing(*args: Any, **kwargs: Any) -> Any:
    raise NotTyped("the specialisation does not fit these arguments")


class Target:
    """A call to be specialised: the function, its arguments in the order of its parameters, and which of
    them vary."""

    def __init__(
        self, f: Any, args: tuple[Any, ...], kwargs: dict[str, Any], argnums: int | tuple[int, ...]
    ) -> None:
        self.single = isinstance(argnums, int)
        nums = (argnums,) if isinstance(argnums, int) else tuple(argnums)
        if isinstance(f, MethodType) or not isinstance(f, FunctionType):
            raise NotTyped("not a plain function")
        if lookup(f) is not None or is_ours(f) or kwargs:
            raise NotTyped("a primitive, or keyword arguments")
        given = f
        if f.__code__.co_flags & 0x0C or f.__code__.co_kwonlyargcount:
            f = with_so_many(f, len(args))
        code = f.__code__
        nums = tuple(n + len(args) if n < 0 else n for n in nums)
        if not all(0 <= n < len(args) for n in nums) or len(args) > code.co_argcount:
            raise NotTyped("argnums outside the arguments")
        self.f, self.nums, self.args, self.given = f, nums, args, given
        self.params = code.co_varnames[: len(args)]
        self.session = Session()
        self.kinds = [type_of(a) for a in args]
        for n in nums:
            kind = self.kinds[n]
            if not differentiable(kind) or is_complex(kind):
                raise NotTyped(f"an argument of type {kind!r}")
            if shared(args[n]):
                raise NotTyped("two parts of an argument are one storage")
            if not _whole(kind):
                raise NotTyped("a structure with parts that have no derivative")
        if any(is_complex(k) for k in self.kinds):
            raise NotTyped("complex arguments")
        defaults: list[Any] = []
        if len(args) < code.co_argcount:
            missing = code.co_argcount - len(args)
            have = f.__defaults__ or ()
            if missing > len(have):
                raise NotTyped("missing arguments")
            defaults = list(have[len(have) - missing :])
            self.session.guard("attr", f, "__defaults__", f.__defaults__)
        kinds = [*self.kinds, *(type_of(d) for d in defaults)]
        if any(
            not isinstance(k, Scalar) and type(d) is not type(None) and not isinstance(d, str)
            for k, d in zip(kinds[len(args) :], defaults, strict=True)
        ):
            raise NotTyped("a default that is an object")
        self.defaults = defaults
        self.unit = specialise(f, kinds, self.session)
        params = {p.name: p for p in self.unit.program.params}
        self.active = tuple(
            p.name in self.params and self.params.index(p.name) in nums for p in params.values()
        )
        self.live = live_arrays(self.session)
        for i in set(nums):
            if any(not apart(args[i], value) for *_, value in self.live) or any(
                shared((args[i], args[j])) for j in self.beside(i)
            ):
                raise NotTyped("an argument shares memory with what is reached in another way")

    def beside(self, i: int) -> list[int]:
        """The arguments with which the differentiated argument `i` may be one storage: those that change in
        place, but for arrays, which are taken apart if both are arguments themselves."""
        alone = isinstance(self.kinds[i], Array)
        return [
            j
            for j, kind in enumerate(self.kinds if storages(self.kinds[i]) else ())
            if j != i and storages(kind) and not (alone and isinstance(kind, Array))
        ]

    def sharing(self, guards: Guards, names: list[str]) -> list[str]:
        """Tests that the parts of the differentiated arguments are reached in one way only."""
        kinds, tests = self.kinds, []
        nums = list(dict.fromkeys(self.nums))
        pairs = {frozenset((i, j)) for i in nums for j in self.beside(i)}
        paired = sorted(frozenset[int]().union(*pairs))
        if 2 * len(pairs) == len(paired) * (len(paired) - 1):  # each beside each other: all at once
            pairs = {frozenset(paired)} if paired else set()
        alone = [[i] for i in nums if storages(kinds[i]) > 1 and i not in paired]
        for group in [*alone, *sorted(map(sorted, pairs))]:
            inner = ", ".join(names[i] for i in group)
            tests.append(guards.unshared(inner if len(group) == 1 else f"({inner})"))
        for i in nums:
            if has_array(kinds[i]) and not isinstance(kinds[i], Array):
                # by an array argument, what is read from outside is a constant
                tests += [guards.apart(names[i], kinds[i], guards.place(g), kind) for g, kind, _ in self.live]
        return tests

    def varying(self) -> set[str]:
        """The names of the differentiated parameters."""
        return {self.params[n] for n in self.nums}

    def arguments(self) -> list[str]:
        """The arguments of the unit as source: the entry's parameters, and the defaults of the others."""
        out = []
        names = self.f.__code__.co_varnames
        for p in self.unit.program.params:
            index = names.index(p.name)
            out.append(p.name if index < len(self.args) else repr(self.defaults[index - len(self.args)]))
        return out


def _whole(kind: Any) -> bool:
    if isinstance(kind, Tuple):
        return all(_whole(e) for e in kind.elems)
    if isinstance(kind, List):
        return kind.elem is not None and _whole(kind.elem)
    return differentiable(kind)


def has_arrays(unit: Unit, seen: set[Unit] | None = None) -> bool:
    """Whether NumPy values occur in a unit or behind it."""
    seen = set() if seen is None else seen
    seen.add(unit)
    for v in (*unit.params, *(o for op in unit.body.walk() for o in op.outs)):
        if isinstance(v.type, Array) or (
            isinstance(v.type, Scalar) and not v.type.kinds <= {"int", "float", "bool"}
        ):
            return True
    inner = [op.attrs["unit"] for op in unit.body.walk() if "unit" in op.attrs]
    return any(u not in seen and has_arrays(u, seen) for u in inner)


def reverse_entry(
    f: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    argnums: int | tuple[int, ...],
    *,
    with_value: bool,
    has_aux: bool,
) -> Entry:
    """The entry of `grad(f)` (or `value_and_grad(f)`) for arguments like these; raises `NotTyped`."""
    with refusing():
        return _reverse_entry(f, args, kwargs, argnums, with_value, has_aux)


@contextlib.contextmanager
def refusing() -> Iterator[None]:
    """Nothing of the program has run while an entry is built: whatever goes wrong there only refuses the
    typed road.
    With `TAPELESS_STRICT` set it is shown."""
    try:
        yield
    except NotTyped:
        raise
    except Exception as error:
        if os.environ.get("TAPELESS_STRICT") and not isinstance(error, TapelessError):
            raise
        raise NotTyped(f"{type(error).__name__}: {error}") from error


def _reverse_entry(
    f: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    argnums: int | tuple[int, ...],
    with_value: bool,
    has_aux: bool,
) -> Entry:
    target = Target(f, args, kwargs, argnums)
    unit = target.unit
    kind = unit.result
    if has_aux:
        if not isinstance(kind, Tuple) or len(kind.elems) != 2:
            raise NotTyped("has_aux without a pair")
        kind = kind.elems[0]
    if not isinstance(kind, Scalar) or not (kind.kinds <= {"float", "f8"} or kind.kinds == {"f4"}):
        raise NotTyped(f"a result of type {kind!r}")
    lin = linearized(unit, target.active, fused=True, aux=has_aux)
    return _build(target, lin, with_value, has_aux)


def _build(target: Target, lin: Linearized, with_value: bool, has_aux: bool) -> Entry:
    entry = Entry()
    unit, lib = target.unit, entry.library
    name = f"grad_{unit.name}" if unit.name.isidentifier() else "grad_lambda"
    shell = Unit(renamed(unit, name), unit.namespace, unit.cells)
    if isinstance(lin.fused, Fused):
        shell.program.body = Block([*lin.fused.forward, *lin.fused.reverse.ops, _uses(lin.fused)])
    emitter = Emitter(shell)
    emitter.program = shell.program
    names = list(target.params)
    arrays = has_arrays(unit)
    guards = Guards(emitter, target.session, entry)
    tests = [t for p, k in zip(names, target.kinds, strict=True) for t in guards.of_value(p, k)]
    tests += guards.assumptions()
    tests += target.sharing(guards, names)
    emitter.indent = 0
    others = OtherCalls(target, entry, emitter.taken)
    emitter.write(f"def {name}({others.parameters()}):")
    emitter.indent = 1
    if others.any:
        emitter.write(f"if {others.test(guards.own('absent', CellType(ABSENT)))}:")
        values = ", ".join([*names, *others.later, *(r.lstrip("*") for r in others.rest)])
        emitter.write(f"    return {guards.own('others', CellType(others.call))}({values})")
    if tests:
        emitter.write(f"if not ({' and '.join(tests)}):")
        emitter.write(f"    return {guards.own('miss', entry._miss)}({', '.join(names)})")
    careful = guards.own("careful", CellType(None))
    for i in sorted(set(target.nums)):
        if keeps(target.kinds[i]):
            if kept_name(target, i) in emitter.taken:
                raise NotTyped("a name that we need")
            emitter.write(f"{kept_name(target, i)} = {target.params[i]}")
    emitter.pure = False
    if isinstance(lin.fused, Fused):
        given = dict(zip((p.name for p in unit.program.params), target.arguments(), strict=True))
        for p in unit.program.params:
            if p.name not in target.params:
                emitter.write(f"{p.name} = {given[p.name]}")
        _fused_body(emitter, lin, lin.fused, careful, arrays, guards)
        value = emitter.take((lin.fused.value,))[0].text
        bars = [emitter.take((r,))[0].text for r in lin.fused.results]
    else:
        value, bars = _split_body(emitter, target, lin, careful, arrays, guards)
    result, checks, prepare = gradient_source(target, lin, bars, guards, arrays)
    record = _record_text(emitter, lin)
    if checks and not (isinstance(lin.fused, Fused) and moves(lin.fused.reverse.ops)):
        emitter.write(f"if {checks}:")
        emitter.write(f"    {_targets(bars)} = {careful}({record}, 1.0)")
    if prepare:
        emitter.write(prepare)
    if with_value:
        emitter.write(f"return {value}, {result}")
    elif has_aux:
        emitter.write(f"return {result}, {value}[1]")
    else:
        emitter.write(f"return {result}")
    source = "\n".join(emitter.lines) + "\n"
    cells = dict(unit.cells)
    for n, v in emitter.constants.items():
        cells[n] = (
            lib.cell(v, n.endswith("_rev"))
            if isinstance(v, Unit)
            else v
            if n in guards.cells
            else CellType(v)
        )
    guards.cells["careful"].cell_contents = careful_pass(lin, lib)
    entry.call = compile_function(source, name, unit.namespace, cells)
    entry.call.__defaults__ = (ABSENT,) * (len(others.optional) + len(others.later))
    entry.source = "\n\n".join([source, *lib.sources])
    entry.arity = len(target.args)
    return entry


def renamed(unit: Unit, name: str) -> Any:
    from dataclasses import replace

    return replace(unit.program, name=name, body=Block())


def _uses(fused: Fused) -> Op:
    """An operation that uses all that the entry reads after the reverse pass, so that nothing is folded
    away."""
    held = [v for v in (fused.value, *fused.results) if isinstance(v, Var)]
    return Op("keep", (*held, *held), (), {}, (), 0)


def _record_text(emitter: Emitter, lin: Linearized) -> str:
    if isinstance(lin.fused, Fused):
        return f"({', '.join(['None', *(emitter.name(v) for v in lin.fused.record)])},)"
    return "record"


def _targets(bars: list[str]) -> str:
    return ", ".join([b if b.isidentifier() else "_" for b in bars])  # a zero is written out


def _fused_body(
    emitter: Emitter, lin: Linearized, fused: Fused, careful: str, arrays: bool, guards: Guards
) -> None:
    for op in fused.forward:
        emitter.statement(op)
    emitter.flush()
    bars = [emitter.name(r) if isinstance(r, Var) else "_" for r in fused.results]
    emitter.pure = emitter.comments = True
    emitter.write("try:")
    emitter.indent += 1
    arrays = arrays and not quiet(fused.reverse.ops)
    if arrays:
        emitter.write(f"with {guards.own('errstate', CellType(np.errstate))}(all='ignore'):")
        emitter.indent += 1
    for op in fused.reverse.ops:
        emitter.statement(op)
    emitter.flush()
    if not fused.reverse.ops:
        emitter.write("pass")
    if arrays:
        emitter.indent -= 1
    emitter.indent -= 1
    emitter.write("except (ArithmeticError, ValueError):")
    emitter.write(f"    {_targets(bars)} = {careful}({_record_text(emitter, lin)}, 1.0)")


def _split_body(
    emitter: Emitter, target: Target, lin: Linearized, careful: str, arrays: bool, guards: Guards
) -> tuple[str, list[str]]:
    """Value pass and reverse pass as calls."""
    assert lin.forward is not None and lin.reverse is not None
    fwd, rev = emitter.bound(lin.forward.name, lin.forward), emitter.bound(lin.reverse.name, lin.reverse)
    emitter.write(f"record = {fwd}({', '.join(target.arguments())})")
    kinds = lin.reverse.result
    n = len(kinds.elems) if isinstance(kinds, Tuple) and len(_leaf_results(lin)) > 1 else 1
    bars = [f"bar_{i}" for i in range(n)]
    emitter.write("try:")
    emitter.indent += 1
    if arrays:
        emitter.write(f"with {guards.own('errstate', CellType(np.errstate))}(all='ignore'):")
        emitter.indent += 1
    emitter.write(f"{_targets(bars)} = {rev}(record, 1.0)")
    emitter.indent -= 2 if arrays else 1
    emitter.write("except (ArithmeticError, ValueError):")
    emitter.write(f"    {_targets(bars)} = {careful}(record, 1.0)")
    return "record[0]", bars


def _leaf_results(lin: Linearized) -> list[Any]:
    from tapeless.autodiff.control import leaves

    return [c for tree in lin.ins for c in leaves(tree)]


def careful_pass(lin: Linearized, lib: Library) -> Callable[..., Any]:
    """The careful reverse pass, generated when it is first called."""

    def careful(record: Any, *cts: Any) -> Any:
        function = lib.function(careful_half(lin), True)
        with np.errstate(all="ignore"):
            return function(record, *cts)

    return careful
