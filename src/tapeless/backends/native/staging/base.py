"""What staging stands on: statements, scalars, checks, what is known, and places in the nest under way."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from collections.abc import Mapping as AnyMapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from tapeless.backends.native.affine import Ranges
from tapeless.backends.native.nest import (
    BOOL,
    F32,
    F64,
    FLOATS,
    I64,
    ONE,
    TRUE,
    ZERO,
    Apply,
    Array,
    Assign,
    Check,
    Const,
    Dim,
    Expr,
    Failure,
    For,
    If,
    Load,
    Raise,
    Ref,
    Scalar,
    Stmt,
    apply,
    cast,
    children,
    const,
    leaves,
)
from tapeless.backends.native.staging.generators import variables
from tapeless.backends.native.staging.heap import Changes, Heap
from tapeless.backends.native.staging.liveness import Liveness
from tapeless.backends.native.staging.paths import Path
from tapeless.backends.native.staging.values import (
    ComplexNumber,
    Instance,
    Lazy,
    Mapping,
    Number,
    Range,
    Sequence,
    Slice,
    Static,
    Value,
    View,
)
from tapeless.errors import NotCompilable
from tapeless.program.ir import Program, Var

if TYPE_CHECKING:
    from types import FunctionType

#: Class of a number -> its scalar type.
TYPES: dict[type, str] = {
    float: F64, int: I64, bool: BOOL, np.float64: F64, np.float32: F32, np.bool_: BOOL, np.int64: I64,
    np.int32: I64, np.int16: I64, np.int8: I64, np.uint8: I64, np.uint16: I64, np.uint32: I64, np.intp: I64,
}  # fmt: skip
COMPLEX: dict[type, str] = {complex: F64, np.complex128: F64, np.complex64: F32}


PLAIN = (str, int, float, bool, type(None))  # arguments of exceptions that a nest raises itself


class Text(Value):
    """A text with values of run time in it: it may be made and shown, not read (see `templates.Written`)."""

    def __init__(self, how: tuple[Any, ...] = (), args: tuple[Value, ...] = ()) -> None:
        self.how, self.args = how, args


class Replay(Exception):
    """The program raises here an exception that only the plain program can make: it is to be run instead."""


class NeedsKnown(Exception):
    """Staging has to begin again with the value at a path of the call fixed."""

    def __init__(self, path: Path, why: str) -> None:
        self.path, self.why = path, why
        super().__init__(f"{path} must be known: {why}")


class NeedsUnrolling(Exception):
    """A loop has to be staged iteration by iteration; what cannot be is refused (`refusal`, or another)."""

    def __init__(self, key: Any, why: str, refusal: NotCompilable | None = None) -> None:
        self.key, self.why, self.refusal = key, why, refusal
        super().__init__(why)


@dataclass(eq=False, slots=True)
class Exit:
    """Control leaving to a target: where, and the state there."""

    block: list[Stmt]
    env: dict[Var, Value]
    changes: Changes
    value: Value | None
    depth: int
    facts: list[Any]
    truths: list[Any]


@dataclass(eq=False, slots=True)
class Target:
    """Where control may leave to: the end of a call, of a loop or an iteration, a handler."""

    kind: str
    flag: Scalar
    frame: Frame
    level: int
    depth: int
    exits: list[Exit] = field(default_factory=list)
    keep_env: bool = True


@dataclass(eq=False, slots=True)
class Frame:
    """A call that is being staged."""

    program: Program
    live: Liveness
    env: dict[Var, Value]
    namespace: dict[str, Any]
    function: FunctionType | None
    key: Any = None
    line: int = 0
    returns: Target | None = None
    given: dict[str, Value] | None = None  # the arguments
    away: list[Any] = field(default_factory=list)  # see `generators`


@dataclass(eq=False, slots=True)
class OpenLoop:
    """A loop of run time whose body is being staged."""

    key: Any
    var: Scalar | None
    again: bool = False
    carried: set[Scalar] = field(default_factory=set)
    countable: bool = False


@dataclass(eq=False, slots=True)
class Final:
    """A `try` with a `finally` block: whatever leaves it goes there first."""

    outside: list[Target]
    uncaught: Target
    make: Callable[[Target], Target]
    open: list[Target]
    """All targets that are open now."""
    ways: dict[Target, Target] = field(default_factory=dict)

    def way_to(self, target: Target) -> Target:
        """The place where control that leaves for `target` waits until the `finally` block has run."""
        if target not in self.ways:
            self.ways[target] = self.make(target)
        way = self.ways[target]
        if way not in self.open:  # it was opened by an attempt at a loop that was given up
            way.exits.clear()
            self.open.append(way)
        return way


class Lazies(weakref.WeakSet[Lazy]):
    """The lazy values alive, and where each was made."""

    def __init__(self, owner: Base) -> None:
        super().__init__()
        self.owner = owner
        self.homes: weakref.WeakKeyDictionary[Lazy, tuple[list[Stmt], int]] = weakref.WeakKeyDictionary()

    def add(self, lazy: Lazy) -> None:
        super().add(lazy)
        self.homes[lazy] = (self.owner.block, len(self.owner.open_loops))


class Base:
    """The state of one staging, and the small things everything else is written in."""

    def __init__(self, known: AnyMapping[Path, Any]) -> None:
        self.fixed = dict(known)
        self.growing: dict[Any, Any] = {}
        """Where lists are made that grow -> how their items are stored."""
        self.never_growing: set[Any] = set()  # where lists are made that must not be of those
        self.indexed: dict[Any, Any] = {}
        """Where lists are made that could grow, as they are indexed by what is not known."""
        self.grew: set[Any] = set()
        """Where lists were made that grow."""
        self.body: list[Stmt] = []
        self.block = self.body
        self.line = 0
        self.alive = True
        self.frames: list[Frame] = []
        self.targets: list[Target] = []
        self.handlers: list[Target] = []
        self.finals: list[Final] = []
        self.open_loops: list[OpenLoop] = []
        self.heap = Heap()
        self.ranges = Ranges()
        self.failures: list[Failure] = []
        self.truths: list[tuple[Scalar, bool]] = []
        """Variables known to be true or false here."""
        self.defs: dict[Scalar, Expr] = {}
        self.merged: dict[Scalar, list[Expr]] = {}
        """Variable that is assigned where paths meet -> what it may be."""
        self.sources: dict[Scalar, Path] = {}
        """Scalar parameter -> where it comes from."""
        self.array_sources: dict[Array, Path] = {}
        self.lent: set[Array] = set()
        """Other names of arrays from outside, for what is differentiated."""
        self.live_lazies = Lazies(self)
        self.tips: dict[int, tuple[list[Stmt], list[Stmt]]] = {}
        self.used_flags: set[Scalar] = set()
        self.flags: set[Scalar] = set()
        self.closed = 0
        self.frozen: dict[Array, str] = {}
        self.bound_in: dict[Scalar, Any] = {}  # says whether there is a value -> the loop that carries it

    # ---- statements

    def emit(self, stmt: Stmt) -> None:
        stmt.line = self.line
        self.block.append(stmt)

    def scalar(self, type: str, hint: str = "t") -> Scalar:
        return Scalar(hint, type)

    def array(self, dtype: str, ndim: int, hint: str = "a") -> Array:
        return Array(hint, dtype, ndim)

    def bind(self, expr: Expr, hint: str = "t") -> Expr:
        """The expression as a constant or a variable: evaluated here, once."""
        if isinstance(expr, (Const, Ref)):
            return expr
        if isinstance(expr, Dim) and expr.array in self.array_sources:
            return expr
        var = self.scalar(expr.type, hint)
        self.emit(Assign(var, expr))
        self.defs[var] = expr
        if expr.type == I64 and not any(isinstance(x, Load) for x in leaves(expr)):
            self.ranges.definitions[var] = expr
        return Ref(var)

    @contextmanager
    def at(self, block: list[Stmt]) -> Iterator[None]:
        """Statements go to another list."""
        outer, self.block = self.block, block
        try:
            yield
        finally:
            self.block = outer

    @contextmanager
    def collect(self) -> Iterator[list[Stmt]]:
        block: list[Stmt] = []
        with self.at(block):
            yield block

    @contextmanager
    def loops(self, shape: tuple[Expr, ...], independent: bool = True) -> Iterator[tuple[Expr, ...]]:
        """Inside nested counted loops over a shape; yields the index."""
        index: list[Expr] = []
        outer = self.block
        self.closed += 1
        with ExitStack() as inside:
            for k, n in enumerate(shape):
                if n == ONE:
                    index.append(ZERO)
                    continue
                var = Scalar("ijklmnpq"[min(k, 7)], I64)
                body: list[Stmt] = []
                self.emit(For(var, ZERO, n, body, independent=independent))
                self.block = body
                inside.enter_context(self.ranges.loop(var, ZERO, n, 1))
                index.append(Ref(var))
            try:
                yield tuple(index)
            finally:
                self.block = outer
                self.closed -= 1

    @contextmanager
    def branch(self, condition: Expr) -> Iterator[None]:
        """Inside the branch taken where a condition holds."""
        then: list[Stmt] = []
        self.emit(If(condition, then))
        self.closed += 1
        with self.at(then), self.ranges.where(condition):
            yield
        self.closed -= 1

    # ---- where lazies are made

    def tip(self, block: list[Stmt]) -> list[Stmt]:
        """Where what follows in `block` goes: a list inside it, if only there control is still alive."""
        while id(block) in self.tips:
            block = self.tips[id(block)][1]
        return block

    def go_on_in(self, block: list[Stmt]) -> None:
        """What follows goes to `block`, a list inside the current one."""
        if block is not self.block:
            self.tips[id(self.block)] = (self.block, block)
            self.block = block

    def come_back(self, block: list[Stmt]) -> None:
        """What follows goes to `block` again."""
        self.tips.pop(id(block), None)
        self.block = block

    @contextmanager
    def home(self, lazy: Lazy) -> Iterator[None]:
        """Statements go where a lazy value was made, before the branches and loops entered since.

        Control may have left by one of those branches, with the value in use: where it goes on in one only,
        it is still before that.  Loops entered since are staged again: they may have computed what is stored.
        """
        block, depth = self.live_lazies.homes.get(lazy, (self.block, len(self.open_loops)))
        for loop in self.open_loops[depth:]:
            loop.again = True
        with self.collect() as made:
            yield
        inner = self.tips[id(block)][1] if id(block) in self.tips else None
        before = [k for k, s in enumerate(block) if inner is not None and holds(s, inner)]
        at = before[-1] if before else len(block)
        block[at:at] = made

    # ---- what goes wrong

    def refuse(self, reason: str, way_out: str) -> NoReturn:
        frame = self.frames[-1] if self.frames else None
        filename = frame.program.filename if frame else None
        raise NotCompilable(f"{reason}; {way_out}", filename=filename, line=self.line)

    def failure(self, kind: type[BaseException], *args: Any) -> int:
        made = Failure(kind, args, self.frames[-1].program.filename if self.frames else "", self.line)
        for i, other in enumerate(self.failures):
            same = (other.type, other.filename, other.line) == (made.type, made.filename, made.line)
            if same and repr(other.args) == repr(made.args):
                return i
        self.failures.append(made)
        return len(self.failures) - 1

    def throw(self, kind: type[BaseException], *args: Any) -> None:
        """An exception is raised here."""
        self.throw_value(kind, tuple(a if isinstance(a, Value) else Static(a) for a in args))

    def throw_value(self, kind: type[BaseException], args: tuple[Value, ...]) -> None:
        if self.handlers or self.finals:
            error = Instance(kind, {"args": Sequence(list(args), tuple)})
            self.heap.born(error)
            if self.handlers:
                self.leave(self.handlers[-1], error)
            else:
                self.leave(self.finals[-1].uncaught, error)
            return
        plain = [a.obj for a in args if isinstance(a, Static) and isinstance(a.obj, PLAIN)]
        if len(plain) == len(args):
            self.emit(Raise(self.failure(kind, *plain)))
        else:
            self.emit(Raise(self.failure(Replay, kind.__name__)))
        self.die()

    def leave(self, target: Target, value: Value | None) -> None:
        """Control leaves to a target, by way of the `finally` blocks between."""
        for final in reversed(self.finals):
            if target in final.outside:
                target = final.way_to(target)
                break
        if self.closed:
            self.refuse(
                "an exception raised inside an array operation is caught by the program",
                "test the condition before the operation",
            )
        self.emit(Assign(target.flag, TRUE))
        env = variables(target.frame) if target.keep_env else {}
        target.exits.append(self.here(target.level, env, value))
        self.die()

    def here(self, target_level: int, env: dict[Var, Value], value: Value | None = None) -> Exit:
        """The state at this point."""
        changes, depth = self.heap.since(target_level), len(self.open_loops)
        return Exit(self.block, dict(env), changes, value, depth, list(self.ranges.facts), list(self.truths))

    def die(self) -> None:
        """Control does not get past this point: what is emitted now is dropped."""
        self.alive = False
        self.block = []

    def check(self, condition: Expr, kind: type[BaseException], *args: Any) -> None:
        """Raise unless a condition holds."""
        if self.ranges.proves(condition):
            return
        if (self.handlers or self.finals) and not self.closed:
            then: list[Stmt] = []
            other: list[Stmt] = []
            self.emit(If(condition, then, other))
            with self.at(other):
                self.throw(kind, *args)
            self.alive = True
            self.go_on_in(then)
        elif isinstance(condition, Const) and not self.closed:
            self.throw(kind, *args)
        else:
            if self.handlers or self.finals:
                self.refuse(
                    f"{kind.__name__}, raised inside an array operation, may be caught by the program",
                    "test the condition before the operation",
                )
            plain = all(isinstance(a, PLAIN) for a in args)
            self.emit(
                Check(condition, self.failure(kind, *args) if plain else self.failure(Replay, kind.__name__))
            )
        self.assume(condition)

    def replay_unless(self, condition: Expr) -> None:
        """Leave the call to the plain program unless a condition holds: the nest cannot go on."""
        if not isinstance(condition, Const) or not condition.value:
            self.emit(Check(condition, self.failure(Replay, "beyond 64 bits")))

    def assume(self, condition: Expr, holds: bool = True) -> None:
        """From here on in this list a condition on integers is known to hold (or not to)."""
        self.learn(condition, holds)
        for fact in self.ranges.implied(condition, holds):
            if fact not in self.ranges.facts:
                self.ranges.facts.append(fact)

    def learn(self, condition: Expr, holds: bool) -> None:
        """Note what a condition says of variables that are true or false."""
        if isinstance(condition, Apply) and condition.op == "not":
            self.learn(condition.args[0], not holds)
        elif isinstance(condition, Apply) and condition.op == ("all" if holds else "any"):
            for part in condition.args:
                self.learn(part, holds)
        elif isinstance(condition, Ref):
            self.truths.append((condition.var, holds))

    def learnt(self, condition: Expr) -> bool | None:
        """Whether a condition is known to hold here."""
        if isinstance(condition, Const):
            return bool(condition.value)
        if isinstance(condition, Ref):
            for var, holds in self.truths:
                if var is condition.var:
                    return holds
        return None

    # ---- numbers

    def number(self, value: Value) -> Number:
        """A number, known or of run time, as one of run time."""
        if isinstance(value, Number):
            return value
        if isinstance(value, Static):
            kind = type(value.obj)
            if kind in TYPES:
                if TYPES[kind] == I64 and not -(2**63) <= int(value.obj) < 2**63:
                    self.refuse(f"the integer {value.obj} does not fit in 64 bits", "use a float")
                return Number(const(value.obj, TYPES[kind]), kind)
        if isinstance(value, (View, Lazy)) and not value.ndim:
            made: Number = self.scalar_of(value)
            return made
        self.refuse(f"{describe(value)} is used where a number is expected", "pass a number")

    def scalar_of(self, value: Any) -> Any:
        """The number in an array without axes."""
        raise NotImplementedError

    def as_expr(self, value: Value, type: str | None = None) -> Expr:
        """A number as an expression of a scalar type."""
        return self.number(value).expr if type is None else self.convert(self.number(value).expr, type)

    def convert(self, expr: Expr, type: str) -> Expr:
        if expr.type == type:
            return expr
        if isinstance(expr, Const) and (type in FLOATS or expr.type == BOOL):
            return const(expr.value, type)
        if type == BOOL:
            return apply("ne", expr, const(0, expr.type))
        return cast(expr, type)

    def is_number(self, value: Value | None) -> bool:
        """Whether a value is a real number, known or not."""
        return isinstance(value, Number) or (isinstance(value, Static) and type(value.obj) in TYPES)

    def is_complex(self, value: Value | None) -> bool:
        return isinstance(value, ComplexNumber) or (isinstance(value, Static) and type(value.obj) in COMPLEX)

    def complex_parts(self, value: Value, type: str = F64) -> tuple[Expr, Expr]:
        """The real and the imaginary part of a number."""
        if isinstance(value, ComplexNumber):
            return self.convert(value.real, type), self.convert(value.imag, type)
        if isinstance(value, Static) and isinstance(value.obj, complex):
            return const(value.obj.real, type), const(value.obj.imag, type)
        return self.as_expr(value, type), const(0.0, type)

    def kind_of(self, value: Value) -> type:
        """The class of a number."""
        return value.kind if isinstance(value, (Number, ComplexNumber)) else type(value.obj)  # type: ignore[attr-defined]

    def is_known(self, value: Value) -> bool:
        try:
            self.known(value)
        except (NeedsKnown, NeedsUnrolling, NotCompilable):
            return False
        return True

    def known(self, value: Value, why: str = "it decides what is computed") -> Any:
        """The Python object that a value certainly is; else staging begins again, with it fixed."""
        if isinstance(value, Static):
            return value.obj
        if isinstance(value, Sequence):
            items = [self.known(v, why) for v in value.items]
            return items if value.kind is list else tuple.__new__(value.kind, items)
        if isinstance(value, Mapping):
            from tapeless.backends.native.staging.tables import plain

            return plain(value.kind, {k: self.known(v, why) for k, v in value.items.items()})
        if isinstance(value, Instance) and value.cls is set and isinstance(value.fields["made"], Static):
            return value.fields["made"].obj.build()
        if isinstance(value, Slice):
            return slice(*(self.known(v, why) for v in (value.start, value.stop, value.step)))
        if isinstance(value, Range):
            return range(self.known_expr(value.start, why), self.known_expr(value.stop, why), value.step)
        if isinstance(value, Number):
            return value.kind(self.known_expr(value.expr, why))
        if isinstance(value, ComplexNumber):
            return value.kind(complex(self.known_expr(value.real, why), self.known_expr(value.imag, why)))
        self.refuse(f"{describe(value)} must be known when the program is compiled", why)

    def known_expr(self, expr: Expr, why: str) -> Any:
        if isinstance(expr, Const):
            return expr.value
        for leaf in self.origins(expr):
            if isinstance(leaf, Ref) and leaf.var in self.sources:
                raise NeedsKnown(self.sources[leaf.var], why)
            if isinstance(leaf, Dim) and leaf.array in self.array_sources:
                from tapeless.backends.native.staging.paths import Length

                raise NeedsKnown(Length(self.array_sources[leaf.array], leaf.axis), why)
        for leaf in self.origins(expr):
            for loop in self.open_loops:
                if isinstance(leaf, Ref) and (leaf.var is loop.var or leaf.var in loop.carried):
                    raise NeedsUnrolling(loop.key, why)
            if isinstance(leaf, Ref) and leaf.var in self.bound_in:
                raise NeedsUnrolling(self.bound_in[leaf.var], why)
        self.refuse("a number that is computed must be known when the program is compiled", why)

    def origins(self, expr: Expr) -> Iterator[Expr]:
        """The variables and lengths that an expression is computed from, all the way back."""
        seen: set[Scalar] = set()
        todo = [expr]
        while todo:
            for leaf in leaves(todo.pop()):
                if isinstance(leaf, Ref):
                    if leaf.var in seen:
                        continue
                    seen.add(leaf.var)
                    todo += self.merged.get(leaf.var, ())
                    if leaf.var in self.defs:
                        todo.append(self.defs[leaf.var])
                        continue
                if not isinstance(leaf, Const):
                    yield leaf


def holds(stmt: Stmt, body: list[Stmt]) -> bool:
    """Whether a list is one of the bodies inside a statement."""
    return any(inner is body or any(holds(s, body) for s in inner) for inner in children(stmt))


def describe(value: Value | None) -> str:
    """A value, in an error message."""
    if isinstance(value, Static):
        name = getattr(value.obj, "__qualname__", None)
        return repr(value.obj) if name is None else f"{name} of {getattr(value.obj, '__module__', '')}"
    if isinstance(value, (Number, ComplexNumber, Sequence, Mapping)):
        return f"a value of class {value.kind.__name__}"
    if isinstance(value, Instance):
        return f"an object of class {value.cls.__name__}"
    if isinstance(value, (View, Lazy)):
        return f"an array of dtype {value.dtype}"
    return f"a {type(value).__name__.lower()}"
