"""Staging as a whole: one function and the types of its arguments become one nest."""

from __future__ import annotations

import sys
import types
import weakref
from collections.abc import Callable
from collections.abc import Mapping as AnyMapping
from dataclasses import dataclass, field
from typing import Any

from tapeless.backends.native import own
from tapeless.backends.native.intrinsics import EFFECTS
from tapeless.backends.native.kernel import Careful, Mismatch
from tapeless.backends.native.nest import (
    Array,
    Assign,
    Check,
    Expr,
    Function,
    If,
    Intrinsic,
    Raise,
    Scalar,
    Stmt,
    Store,
    apply,
    children,
    const,
    walk,
)
from tapeless.backends.native.special import NeedsRule
from tapeless.backends.native.staging import arrays, growing
from tapeless.backends.native.staging.base import (
    NeedsKnown,
    NeedsUnrolling,
    Replay,
)
from tapeless.backends.native.staging.builtin_calls import Builtins
from tapeless.backends.native.staging.carrying import NeedsPeeling
from tapeless.backends.native.staging.exchanges import NeedsTracking
from tapeless.backends.native.staging.outputs import Outputs
from tapeless.backends.native.staging.paths import Argument, Fixed, Guard, Held, Item, Path
from tapeless.backends.native.staging.recursion import NeedsRecursion
from tapeless.backends.native.staging.short_loops import NeedsRolling, ShortLoops
from tapeless.backends.native.staging.templates import (
    Call,
    Kept,
    Template,
    Write,
    change,
)
from tapeless.backends.native.staging.values import (
    ArrayValue,
    Lazy,
    Number,
    Sequence,
    Static,
    Value,
    View,
)
from tapeless.errors import MissingRuleError, NotCompilable
from tapeless.program.ir import Block, Op, Program
from tapeless.transformed import Transformed

#: How many values may have to be fixed one after the other.
RESTARTS = 200
#: A list that grows may be made by one expression in so many calls.
SITES = 30
#: Frames of Python that staging may take: about ten a call of the program.
DEEP = 20000


@dataclass(eq=False, slots=True)
class Parameter:
    """The type of a parameter of the nest: `dtype` of a number is its class."""

    path: Path
    dtype: str | type
    ndim: int | None = None
    contiguous: bool = True


@dataclass(eq=False, slots=True)
class Staged:
    """A staged function, and what an entry needs to call it.

    If `replay`, a call that raises has to be made again with the plain function, the arrays of the parameters
    `written` being put back as they were: it raises what the nest cannot make, or has changed objects before.
    """

    function: Function
    inputs: list[Path]
    output: Template
    writes: list[Write]
    guards: list[Guard]
    signature: list[Parameter]
    known: dict[Path, Any] = field(default_factory=dict)
    replay: bool = False
    written: list[int] = field(default_factory=list)
    opened: list[Any] = field(default_factory=list)
    """The functions and classes whose source this was made from."""

    def holds(self, args: tuple[Any, ...], kwargs: AnyMapping[str, Any]) -> bool:
        """Whether a call is one that this was staged for."""
        return all(g.holds(args, kwargs) for g in self.guards)

    def parameters(self, args: tuple[Any, ...], kwargs: AnyMapping[str, Any]) -> list[Any]:
        """What the nest is given in a call."""
        found = [p.read(args, kwargs) for p in self.inputs]
        for k, (value, param) in enumerate(zip(found, self.function.params, strict=True)):
            if isinstance(param, Array) and value.dtype.kind == "c":
                found[k] = value.view(param.dtype).reshape(*value.shape, 2)
        return found

    def finish(self, results: tuple[Any, ...], args: tuple[Any, ...], kwargs: AnyMapping[str, Any]) -> Any:
        """The result of a call from the results of the nest; arguments that it changes are changed."""
        call = Call(results, args, kwargs)
        made = self.output.build(call)
        change(self.writes, call)
        return made


class Stager(Builtins):
    """Everything together."""

    arrays = arrays
    careful = False
    caught_outside = False
    """Whether what is raised may be caught around the derivative that is staged: CPython makes such calls."""

    def __init__(self, known: Any) -> None:
        super().__init__(known)
        self.kept_ops: list[Op] = []
        self.kept_values: list[Value] = []
        self.named_lazies: weakref.WeakSet[Lazy] = weakref.WeakSet()
        self.opened: dict[int, Any] = {}

    def failure(self, kind: type[BaseException], *args: Any) -> int:
        if self.caught_outside and kind not in (Mismatch, Careful):
            return super().failure(Replay, kind.__name__)
        return super().failure(kind, *args)

    # ---- what is looked at on the way

    def program_of(self, function: types.FunctionType) -> Program:
        self.opened[id(function)] = function
        return super().program_of(function)

    def construct(self, cls: type, args: list[Value], kwargs: dict[str, Value], op: Op | None) -> Value:
        self.opened[id(cls)] = cls
        return super().construct(cls, args, kwargs, op)

    def lift_instance(self, obj: Any, path: Path, hint: str) -> Value:
        self.opened[id(type(obj))] = type(obj)
        return super().lift_instance(obj, path, hint)

    # ---- what the array half provides

    def argument(self, array: Array, dtype: str, shape: tuple[Expr, ...]) -> View:
        return arrays.argument(self, array, dtype, shape)

    def array_constant(self, obj: Any) -> Value:
        return self.lift(obj, Fixed(Held(obj)), "table")

    def settle(self, value: Value, uses: int, hint: str) -> Value:
        if isinstance(value, Lazy) and value.made is None:
            if value in self.named_lazies:
                value.uses += uses
            else:
                self.named_lazies.add(value)
                return arrays.settle(self, value, uses)
        return value

    def copy_into(self, view: View, value: Value) -> None:
        from tapeless.backends.native.staging.storage import assign

        assert isinstance(value, ArrayValue)
        assign(self, view, value)

    def made(self, value: Value) -> View:
        from tapeless.backends.native.staging.storage import make

        assert isinstance(value, ArrayValue)
        return make(self, value)

    def before_write(self, root: Array) -> None:
        from tapeless.backends.native.staging.storage import before_write

        before_write(self, root)

    def scalar_of(self, value: Any) -> Number:
        from tapeless.backends.native.staging.indexing import getitem

        made = getitem(self, value, Sequence([], tuple))
        assert isinstance(made, Number)
        return made

    def alloc(self, view: View, shape: tuple[Expr, ...]) -> None:
        from tapeless.backends.native.staging.storage import state

        super().alloc(view, shape)
        pair = (const(2),) if view.array.ndim > view.ndim else ()
        state(self).shapes[view.array] = (*view.shape, *pair)

    def argument_shape(self, path: Path) -> tuple[Expr, ...] | None:
        value = self.lifted.get(path)
        return value.shape if isinstance(value, View) else None

    def run(self, block: Block) -> None:
        self.stage_path(lambda: super(Stager, self).run(block))

    def stage_path(self, make: Callable[[], Any]) -> None:
        try:
            make()
        except arrays.Raised:
            self.alive = False
            self.block = []

    # ---- the whole function

    def stage(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: AnyMapping[str, Any]
    ) -> Staged:
        names = parameter_names(function)
        values = [
            self.lift(a, Argument(i), names[i] if i < len(names) else f"arg{i}") for i, a in enumerate(args)
        ]
        named = {k: self.lift(v, Argument(k), k) for k, v in kwargs.items()}
        result = self.call(self.start(function), values, named)
        results: list[Scalar | Array] = []
        output: Template = Kept(None)
        writes: list[Write] = []
        if self.alive:
            builder = Outputs(self, results)
            output = builder.template(result)
            writes = builder.writes()
        self.guard_distinct()
        if self.own_rules:
            self.body = own.released(self.body, everything=True)
        code = getattr(function, "__code__", None)
        fn = Function(
            getattr(function, "__name__", "function"),
            self.params,
            pruned(self.body, self.flags - self.used_flags),
            results,
            self.failures,
            code.co_filename if code is not None else "<nest>",
        )
        signature = []
        for p, path in zip(self.params, self.paths, strict=True):
            if isinstance(p, Array):
                signature.append(Parameter(path, p.dtype, p.ndim, p.contiguous))
            else:
                signature.append(Parameter(path, p.type))
        written = written_arrays(fn)
        from tapeless.backends.native.staging import python_calls

        python_calls.finish(self, writes, written)
        raised = {x.failure for x in walk(fn.body) if isinstance(x, (Raise, Check))}
        raised |= {
            x.attrs["failure"] for x in walk(fn.body) if isinstance(x, Intrinsic) and "failure" in x.attrs
        }
        kinds = {self.failures[k].type for k in raised} - {Mismatch, Careful}
        replay = Replay in kinds or bool(kinds and (self.heap.outer_changed or self.made_again))
        if replay:
            hold_back(fn)
        return Staged(
            fn, self.paths, output, writes, list(self.guards.values()), signature, replay=replay,
            written=[k for k, p in enumerate(self.params) if p in written], opened=list(self.opened.values()),
        )  # fmt: skip

    def start(self, function: Any) -> Value:
        return (
            Static(function) if isinstance(function, (types.FunctionType, type)) else self.outside(function)
        )


def hold_back(fn: Function) -> None:
    """What a nest prints is shown when it has ended: the call may be made again by the plain program."""
    printed = [x for x in walk(fn.body) if isinstance(x, Intrinsic) and x.name in EFFECTS]
    for x in printed:
        x.attrs["held"] = True
    if printed:
        fn.body.append(Intrinsic("settle", (), ()))


def written_arrays(fn: Function) -> set[Any]:
    """The arrays that a nest writes."""
    written: set[Any] = set()
    for stmt in walk(fn.body):
        if isinstance(stmt, Store):
            written.add(stmt.array.root)
        elif isinstance(stmt, Intrinsic):
            written.update(a.root for a in stmt.outs if isinstance(a, Array))
    return written


def pruned(body: list[Stmt], unused: set[Scalar]) -> list[Stmt]:
    """A body without the assignments of flags that nobody reads, and without branches that do nothing."""
    kept: list[Stmt] = []
    for stmt in body:
        if isinstance(stmt, Assign) and stmt.var in unused:
            continue
        for inner in children(stmt):
            inner[:] = pruned(inner, unused)
        if isinstance(stmt, If) and not stmt.then and not stmt.orelse:
            continue
        if isinstance(stmt, If) and not stmt.then:
            stmt.condition, stmt.then, stmt.orelse = apply("not", stmt.condition), stmt.orelse, []
        kept.append(stmt)
    return kept


def parameter_names(function: Any) -> list[str]:
    while isinstance(function, Transformed):
        function = function.fun
    code = getattr(function, "__code__", None)
    if code is None:
        code = getattr(getattr(function, "__func__", None), "__code__", None)
        return list(code.co_varnames[1 : code.co_argcount]) if code is not None else []
    return list(code.co_varnames[: code.co_argcount])


def _with_siblings(path: Path, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[Path, Any]:
    """What is at a path; if that is a number among integers, all of them: the next is asked for next."""
    if isinstance(path, Item):
        whole = path.of.read(args, kwargs)
        if type(whole) in (list, tuple) and len(whole) > 2 and all(type(v) is int for v in whole):
            return {Item(path.of, k): v for k, v in enumerate(whole)}
    return {path: path.read(args, kwargs)}


def expression(site: Any) -> Any:
    """The operation that makes the lists of a site."""
    return expression(site[0]) if site[-1] == "repeated" else site[-1]


def stage(
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: AnyMapping[str, Any] | None = None,
    *,
    known: AnyMapping[Path, Any] | None = None,
    careful: bool = False,
) -> Staged:
    """A Python function, for arguments like these, as a nest.

    Numbers and arrays are parameters of the nest; what the nest's shape depends on is fixed and guarded.
    `known` fixes more: the values at these paths.  If `careful`, derivatives have strong zeros (see `zeros`).
    """
    fixed = dict(known or {})
    unrolled: set[Any] = set()
    refusals: dict[Any, NotCompilable] = {}
    kept: set[Any] = set()
    limited = True
    recursive: set[types.CodeType] = set()
    peeled: set[Any] = set()
    tracked: set[Any] = set()
    ruled: dict[str, set[int]] = {}
    grows: dict[Any, Any] = {}
    never: set[Any] = set()
    refused: NotCompilable | None = None
    tried: NotCompilable | None = None
    both: NotCompilable | None = None
    grew: set[Any] = set()
    added: set[Any] = set()
    handed: set[Any] = set()
    from tapeless.backends.native.staging import python_calls

    for _ in range(RESTARTS):
        stager = Stager(fixed)
        stager.careful = careful
        stager.unrolled, stager.growing, stager.never_growing = unrolled, grows, never
        stager.refusals = refusals
        stager.recursive, stager.peeled, stager.tracked = recursive, peeled, tracked
        stager.ruled, stager.short = ruled, ShortLoops(kept, limited)
        python_calls.HANDED[stager] = handed
        limit = stager.depth_limit = sys.getrecursionlimit()
        sys.setrecursionlimit(max(limit, DEEP))
        try:
            staged = stager.stage(function, args, dict(kwargs or {}))
        except NeedsKnown as need:
            if need.path in fixed:
                raise
            fixed |= _with_siblings(need.path, args, dict(kwargs or {}))
            continue
        except NeedsUnrolling as need:
            stager.unroll_from_now(need)
            continue
        except NeedsRolling as need:
            kept |= need.keys
            continue
        except NeedsPeeling as need:
            peeled.add(need.key)
            continue
        except NeedsTracking as need:
            tracked.add(need.key)
            continue
        except NeedsRule as need:
            if need.operands <= ruled.get(need.function, set()):
                frame = stager.frames[-1] if stager.frames else None
                filename = frame.program.filename if frame else None
                raise MissingRuleError(need.message, filename=filename, line=stager.line) from None
            ruled[need.function] = ruled.get(need.function, set()) | need.operands
            continue
        except NeedsRecursion as need:
            recursive.add(need.key)
            continue
        except growing.NeedsGrowing as need:
            if need.site not in grows:
                unrolled.clear()  # perhaps because of this list
            grows[need.site] = need.spec
            if sum(expression(site) == expression(need.site) for site in grows) > SITES:
                stager.refuse("a function that calls itself makes lists of unknown length", "use arrays")
            continue
        except NotCompilable as error:
            if kept:  # perhaps the counter of one of them has to be known
                kept.clear()
                limited = False
                continue
            if both is None and stager.grew and stager.indexed.keys() - grows.keys():
                both, grew, added = error, set(stager.grew), stager.indexed.keys() - grows.keys()
                grows |= stager.indexed
                unrolled.clear()
                continue
            if both is not None and grew:  # that did not help
                error, stager.grew, grew = both, grew, set()
                grows = {site: spec for site, spec in grows.items() if site not in added}
            if not stager.grew or tried is not None:
                if tried is None and stager.indexed:  # lists with indices of run time as those that grow
                    tried, fixed = refused or error, dict(known or {})
                    grows |= stager.indexed
                    unrolled.clear()
                    continue
                place = python_calls.refused_in(stager)
                if place is None or place in handed:
                    raise tried or refused or error from None
                handed.add(place)  # CPython makes this call of SciPy
                tried = refused = None
                continue
            refused = refused or error
            never |= stager.grew  # what else can be done is to unroll the loops
            for site in never:
                grows.pop(site, None)
            continue
        finally:
            sys.setrecursionlimit(limit)
        staged.known = fixed
        return staged
    raise AssertionError("staging does not settle")
