"""A call staged apart: a nest of its own, with a parameter for each leaf that is differentiated.

The parameter for an array is another name for its memory.  So a program that also reaches that memory in
another way (by a closure, say) is differentiated by the argument alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tapeless.backends.native.nest import (
    BOOL,
    F32,
    F64,
    Alias,
    Alloc,
    Array,
    Assign,
    Dim,
    Expr,
    For,
    Function,
    Grow,
    Intrinsic,
    Load,
    Ref,
    Scalar,
    Stmt,
    Store,
    Swap,
    expressions,
    leaves,
    walk,
)
from tapeless.backends.native.staging import arrays, growing, storage
from tapeless.backends.native.staging.elements import is_complex, stored
from tapeless.backends.native.staging.heap import content, fill, is_object
from tapeless.backends.native.staging.joins import Conflict, Maybe
from tapeless.backends.native.staging.mixed import Mixed
from tapeless.backends.native.staging.values import (
    ArrayValue,
    Bound,
    Closure,
    ComplexNumber,
    Growing,
    Instance,
    Mapping,
    Number,
    Opaque,
    Static,
    Value,
    View,
)
from tapeless.backends.native.staging.values import Sequence as SequenceValue
from tapeless.errors import NotDifferentiableError

if TYPE_CHECKING:
    from tapeless.backends.native.staging.stager import Stager

#: Arrays and numbers that have derivatives.
DTYPES = ("float64", "float32", "complex128", "complex64")
KINDS = (float, np.float64, np.float32, complex, np.complex128, np.complex64)
Name = Scalar | Array


def is_leaf(value: Value) -> bool:
    """Whether a value is a number or an array that has a derivative."""
    if isinstance(value, ArrayValue):
        return value.dtype in DTYPES
    if isinstance(value, Static):
        return type(value.obj) in KINDS
    return isinstance(value, (Number, ComplexNumber)) and value.kind in KINDS


def parts(value: Any) -> Sequence[Value]:
    """What a structure holds."""
    if not isinstance(value, (SequenceValue, Mapping, Instance)):
        return ()
    held = content(value)
    return held if isinstance(held, list) else list(held.values())


def check_parts(stager: Stager, value: Value) -> None:
    """Refuse a structure that holds numbers which are none of its parts."""
    for part in held_in(value):
        if isinstance(part, (Growing, Maybe, Conflict)):
            what = "a list that grows" if isinstance(part, Growing) else "something else on another path"
            stager.refuse(f"a derivative of {what}", "give an array")


@dataclass(eq=False, slots=True)
class Given:
    """The parameter for an array: a name for the memory of `view` if that is whole, else for a copy."""

    name: Array
    view: View
    whole: bool


@dataclass
class _Parameters:
    """Gives the arguments parameters for their leaves; objects keep their identity."""

    stager: Stager
    names: list[Name] = field(default_factory=list)
    leaves: list[Value] = field(default_factory=list)
    arrays: list[Given] = field(default_factory=list)
    shapes: dict[int, Value] = field(default_factory=dict)
    """Object of the current argument -> its structure on entry."""
    found: dict[Any, Value] = field(default_factory=dict)
    """View of the current argument -> its leaf."""
    objects: list[Any] = field(default_factory=list)
    stood: dict[int, tuple[Value, Value]] = field(default_factory=dict)
    """What an object is given during the call, by identity, and what it held before."""

    def argument(self, value: Value, name: str) -> tuple[Value, Value]:
        """What the call is given for an argument, and its structure; arguments share no parameter."""
        self.shapes, self.found = {}, {}
        return self.of(value, name, True)

    def of(self, value: Value, path: str, top: bool = False) -> tuple[Value, Value]:
        if is_leaf(value):
            made = self.array(value, path) if isinstance(value, ArrayValue) else self.number(value, path)
            return made, made
        if isinstance(value, Opaque) or (isinstance(value, Instance) and value.cls is deque):
            self.stager.refuse(f"a derivative by {path}", "pass what is differentiated apart from it")
        if isinstance(value, (SequenceValue, Mapping, Instance)):
            return self.structure(value, path)
        if isinstance(value, Growing):
            self.stager.refuse("a derivative by a list that grows", "use an array")
        if top:
            if isinstance(value, Static) and isinstance(value.obj, (dict, list, tuple)):
                self.stager.refuse(
                    f"a gradient by an object of class {type_name(value)}", "pass a dict, list or tuple"
                )
            raise NotDifferentiableError(
                f"cannot take a derivative with respect to {path!r}: it is of type "
                f"{type_name(value)}, which has no derivative; pass a float"
            )
        return value, value

    def number(self, value: Value, path: str) -> Value:
        kind = self.stager.kind_of(value)
        made: Value
        if self.stager.is_complex(value):
            pair = self.stager.complex_parts(value, F32 if kind is np.complex64 else F64)
            made = ComplexNumber(self.scalar(pair[0], path), self.scalar(pair[1], path), kind)
        else:
            made = Number(self.scalar(self.stager.as_expr(value), path), kind)
        self.leaves.append(made)
        return made

    def scalar(self, value: Expr, path: str) -> Expr:
        name = self.stager.scalar(value.type, path)
        self.stager.emit(Assign(name, value))
        self.names.append(name)
        return Ref(name)

    def array(self, value: ArrayValue, path: str) -> Value:
        s = self.stager
        view = storage.make(s, value)
        key = (view.array, view.axes, view.shape)
        if key not in self.found:  # one storage in two places of an argument is one leaf
            name = s.array(stored(view.dtype), view.ndim + is_complex(view.dtype), path)
            self.names.append(name)
            s.lent.add(name)
            self.arrays.append(Given(name, view, storage.is_whole(s, view)))
            if not self.arrays[-1].whole:
                storage.state(s).copied[name] = view
            self.found[key] = arrays.argument(s, name, view.dtype, view.shape)
            self.leaves.append(self.found[key])
        return self.found[key]

    def structure(self, value: Any, path: str) -> tuple[Value, Value]:
        if id(value) in self.shapes:
            return value, self.shapes[id(value)]
        held: Any = content(value)
        keys: Any = range(len(held)) if isinstance(held, list) else list(held)
        shape: Value
        if isinstance(value, SequenceValue):
            shape = SequenceValue([], value.kind)
        else:
            shape = Mapping({}, value.kind) if isinstance(value, Mapping) else Instance(value.cls, {})
        if is_object(value):
            self.shapes[id(value)] = shape
        pairs = {k: self.of(held[k], f"{path}_{k}") for k in keys}
        inner: Any = (
            [p[0] for p in pairs.values()] if isinstance(held, list) else {k: p[0] for k, p in pairs.items()}
        )
        fill(
            shape,
            [p[1] for p in pairs.values()] if isinstance(held, list) else {k: p[1] for k, p in pairs.items()},
        )
        if not is_object(value):
            return SequenceValue(inner, value.kind), shape
        self.objects.append(value)
        self.stood |= {id(p[0]): (p[0], self.before(held[k])) for k, p in pairs.items()}
        self.stager.heap.write(value, inner)
        return value, shape

    def before(self, value: Value) -> Value:
        return self.stood.get(id(value), (value, value))[1]

    def put_back(self) -> None:
        """Objects hold again what they held, wherever the call has moved it."""
        for obj in self.objects:
            now = content(obj)
            for k in range(len(now)) if isinstance(now, list) else now:
                now[k] = self.before(now[k])
            fill(obj, now)


def type_name(value: Value) -> str:
    if isinstance(value, (Number, ComplexNumber)):
        return value.kind.__name__
    if isinstance(value, Static):
        return type(value.obj).__name__
    return f"array of {value.dtype}" if isinstance(value, ArrayValue) else type(value).__name__.lower()


@dataclass(eq=False)
class Apart:
    """A call, staged apart: `function` has the names of the leaves first, then what it takes from outside."""

    stager: Stager
    function: Function
    leaves: list[Value]
    """The leaves of the arguments that count, as the call saw them."""
    shapes: list[Value]
    """Those arguments as they were on entry: structures of the leaves."""
    value: Value
    """The result, in terms of scalars and arrays of the body."""
    given: list[Given]
    count: int
    """How many parameters are differentiated; they come first."""
    written: set[Array] = field(default_factory=set)
    """The arrays from outside that the call writes, by the names it has for them."""
    returns: bool = True

    def result(self, value: Value) -> Value:
        """`value`, computed in the body, as results of the function."""
        fn, s = self.function, self.stager
        if isinstance(value, (Number, ComplexNumber)):
            exprs = [value.expr] if isinstance(value, Number) else [value.real, value.imag]
            made = []
            for e in exprs:
                r = s.scalar(e.type, "value")
                fn.body.append(Assign(r, e))
                fn.results.append(r)
                made.append(Ref(r))
            if isinstance(value, Mixed):
                flag = s.scalar(BOOL, "odd")
                fn.body.append(Assign(flag, value.odd))
                fn.results.append(flag)
                return Mixed(made[0], value.kind, Ref(flag), value.others)
            if len(made) == 1:
                return Number(made[0], value.kind)
            return ComplexNumber(made[0], made[1], value.kind)
        if isinstance(value, ArrayValue):
            with s.at(fn.body):
                view = storage.store_copy(s, value)
            fn.results.append(view.array)
            return view
        if isinstance(value, SequenceValue):
            return SequenceValue([self.result(v) for v in value.items], value.kind)
        if isinstance(value, Growing):
            with s.at(fn.body):
                columns = tuple(growing.columns(s, value))
            fn.results += columns
            length: Any = self.result(value.length)
            return s.heap.born(replace(value, columns=columns, length=length, depth=s.differentiated))  # type: ignore[no-any-return]
        if isinstance(value, Mapping):
            return Mapping({k: self.result(v) for k, v in value.items.items()}, value.kind)
        if isinstance(value, Instance):
            return Instance(value.cls, {k: self.result(v) for k, v in value.fields.items()})
        return value

    def followed(self, value: Value) -> Value:
        """`result` of what is differentiated: lists that grow are refused, and so made item by item."""
        check_parts(self.stager, value)
        return self.result(value)

    def number(self, value: Value) -> Value:
        """An array without axes as the number in it."""
        if isinstance(value, ArrayValue) and not value.ndim:
            with self.stager.at(self.function.body):
                value = arrays.getitem(self.stager, value, SequenceValue([], tuple))
        return value

    def keep_changes(self, changed: Sequence[Any]) -> None:
        """What the call has put into objects outlives the reverse sweep: as results of the function."""
        made = {s.var for s in walk(self.function.body) if isinstance(s, Assign)} if changed else set()
        for obj in changed:
            held = content(obj)
            if isinstance(held, list):
                fill(obj, [self._kept(v, made) for v in held])
            elif isinstance(held, dict):
                fill(obj, {k: self._kept(v, made) for k, v in held.items()})
            elif held is not None:
                fill(obj, self._kept(held, made))

    def _kept(self, value: Value, made: set[Scalar]) -> Value:
        """A value for after the reverse sweep; `made` are the scalars that the call assigns."""
        fn = self.function
        if isinstance(value, Number) and isinstance(value.expr, Ref) and value.expr.var not in made:
            return value
        if isinstance(value, (Number, ComplexNumber, Growing)):
            return self.result(value)
        if isinstance(value, SequenceValue) and not is_object(value):
            return SequenceValue([self._kept(v, made) for v in value.items], value.kind)
        if isinstance(value, ArrayValue):
            with self.stager.at(fn.body):
                view = storage.make(self.stager, value)
            if view.array.root not in (*fn.results, *fn.params):
                fn.results.append(view.array.root)
            return view
        return value

    def close(self, changed: Sequence[Any]) -> None:
        """After the results: what the body takes from outside is known now."""
        self.keep_changes(changed)
        mine = self.function.params[: self.count]
        free, self.written, touched = outside(self.function.body, mine)
        self.function.params[self.count :] = free
        memory: dict[Array, set[Array]] = {}
        owners = {g.name: g.view.array.root for g in self.given}
        for a in touched | set(owners):
            memory.setdefault(owners.get(a.root, a.root), set()).add(a.root)
        written = {a.root for a in self.written}
        for names in memory.values():
            if len(names) > 1 and names & written:
                name = next(a.name for a in names if a in owners)
                self.stager.refuse(
                    f"the derivative by {name}, whose memory the program also reaches otherwise, and writes",
                    "pass a copy",
                )

    def insert(self, *bodies: list[Stmt]) -> None:
        """Statements made of the function, here."""
        self.connect()
        for body in bodies:
            self.stager.block.extend(body)
        self.disconnect()

    @contextmanager
    def unnamed(self) -> Iterator[None]:
        """While the function is differentiated, its parameters are memory of their own."""
        memory = [g.name.alias for g in self.given]
        for g in self.given:
            g.name.alias = None
        yield
        for g, alias in zip(self.given, memory, strict=True):
            g.name.alias = alias

    def connect(self) -> None:
        """The parameters get the memory that they name."""
        s = self.stager
        for g in self.given:
            if not g.whole:
                with s.thawed():
                    storage.fill(s, storage.place(s, g.name, g.view.shape, g.view.dtype), g.view)
                continue
            g.name.alias = g.view.array
            s.emit(Alias(g.name, storage.state(s).shapes[g.name]))
            for lazy in list(s.live_lazies):
                if g.name in lazy.reads:
                    lazy.reads |= {g.name.root}

    def disconnect(self) -> None:
        """Copies of arguments that the call has written go back."""
        s = self.stager
        for g in self.given:
            if g.name in self.written and not g.whole:
                with s.thawed():
                    storage.assign(s, g.view, arrays.argument(s, g.name, g.view.dtype, g.view.shape))
        if not self.returns:
            s.die()


def stage_apart(
    stager: Stager, fun: Any, args: list[Value], kwargs: dict[str, Value], where: Sequence[int | str]
) -> tuple[Apart, list[Any]]:
    """Stage a call of `fun` with the arguments at `where` (positions or keywords) as parameters.

    Gives the objects that it has changed, too, for `Apart.close`.
    """
    parameters = _Parameters(stager)
    args, kwargs = list(args), dict(kwargs)
    shapes: list[Value] = []
    for at in where:
        holder: Any = kwargs if isinstance(at, str) else args
        name = at if isinstance(at, str) else argument_name(fun, at)
        holder[at], shape = parameters.argument(holder[at], name)
        shapes.append(shape)
    level, clock = stager.heap.open(), stager.heap.clock
    stager.differentiated += 1
    around = stager.handlers, stager.finals, stager.caught_outside
    stager.caught_outside |= bool(stager.handlers or stager.finals)
    stager.handlers, stager.finals = [], []
    with stager.collect() as body:
        value = stager.call(as_value(fun), args, kwargs)
        if stager.alive and isinstance(value, (Maybe, Conflict)):
            value = stager.present(value, "the result", "result")
    stager.handlers, stager.finals, stager.caught_outside = around
    stager.differentiated -= 1
    returns, stager.alive = stager.alive, True
    changed = [obj for obj, _ in stager.heap.since(level).held.values() if stager.heap.age(obj) <= clock]
    stager.heap.close(level)
    parameters.put_back()
    function = Function(name_of(fun), list(parameters.names), body, [], stager.failures)
    function.lengths = {g.name: storage.state(stager).shapes[g.name] for g in parameters.arrays}
    count = len(parameters.names)
    apart = Apart(stager, function, parameters.leaves, shapes, value, parameters.arrays, count)
    apart.returns = returns
    return apart, changed


def as_value(fun: Any) -> Value:
    return fun if isinstance(fun, Value) else Static(fun)


def plain(fun: Any) -> Any:
    """The Python function that is meant, for its name and signature."""
    if isinstance(fun, Static):
        return fun.obj
    if isinstance(fun, Bound):
        return plain(fun.owner)
    return fun.function if isinstance(fun, Closure) else fun


def name_of(fun: Any) -> str:
    return str(getattr(plain(fun), "__name__", "inner"))


def argument_name(fun: Any, at: int) -> str:
    import inspect

    try:
        return list(inspect.signature(plain(fun)).parameters)[at]
    except (ValueError, TypeError, IndexError):
        return f"argument_{at}"


def outside(body: list[Stmt], params: Sequence[Name]) -> tuple[list[Name], set[Array], set[Array]]:
    """What a body takes from outside besides `params`; the arrays from there that it writes, and touches."""
    made: set[Name] = set()
    used: dict[Name, None] = {}
    written: set[Array] = set()
    touched: set[Array] = set()
    for s in walk(body):
        for e in expressions(s):
            for part in leaves(e):
                if isinstance(part, Ref):
                    used[part.var] = None
                elif isinstance(part, (Load, Dim)):
                    used[part.array] = None
                    if isinstance(part, Load):
                        touched.add(part.array)
        if isinstance(s, (Assign, For)):
            made.add(s.var)
        elif isinstance(s, (Alloc, Alias)):
            made.add(s.array)
            if s.array.alias is not None:
                used[s.array.alias] = None
        elif isinstance(s, (Store, Grow)):
            used[s.array] = None
            written.add(s.array)
        elif isinstance(s, Swap):
            used[s.a] = used[s.b] = None
            written |= {s.a, s.b}
        elif isinstance(s, Intrinsic):
            used.update(dict.fromkeys(x for x in (*s.ins, *s.outs) if isinstance(x, Array)))
            touched.update(x for x in s.ins if isinstance(x, Array))
            written.update(x for x in s.outs if isinstance(x, Array))
            made.update(x for x in s.outs if isinstance(x, Scalar))
    free = [x for x in used if x not in made and x not in params]
    foreign = {a for a in touched | written if a.root not in made}
    return free, written & foreign, foreign


def rebuild(shape: Value, made: dict[int, Value], memo: dict[int, Value] | None = None) -> Value:
    """A structure like `shape` with derivatives in place of its leaves; None where there is none."""
    from tapeless.runtime.tangent import Tangent

    memo = {} if memo is None else memo
    if id(shape) in made:
        return made[id(shape)]
    if id(shape) in memo:
        return memo[id(shape)]
    new: Value
    if isinstance(shape, SequenceValue):
        memo[id(shape)] = new = SequenceValue([], shape.kind)
        new.items = [rebuild(v, made, memo) for v in shape.items]
        return new
    if isinstance(shape, Mapping):
        memo[id(shape)] = new = Mapping({})
        new.items = {k: rebuild(v, made, memo) for k, v in shape.items.items()}
        return new
    if isinstance(shape, Instance):
        memo[id(shape)] = new = Instance(Tangent, {})
        fields = {k: rebuild(v, made, memo) for k, v in shape.fields.items()}
        new.fields = {"_name": Static(shape.cls.__name__), "_fields": Mapping(fields)}
        return new
    return Static(None)


def found(shape: Value) -> Iterator[Value]:
    """The leaves of a structure, each once."""
    return filter(is_leaf, held_in(shape))


def held_in(value: Value, seen: set[int] | None = None) -> Iterator[Value]:
    """A value and all that it holds, each once."""
    seen = set() if seen is None else seen
    if id(value) in seen:
        return
    seen.add(id(value))
    yield value
    for part in parts(value):
        yield from held_in(part, seen)


def names(value: Value) -> list[Name]:
    """The scalars, or the array, that hold a leaf."""
    if isinstance(value, View):
        return [value.array]
    exprs = [value.expr] if isinstance(value, Number) else [value.real, value.imag]  # type: ignore[attr-defined]
    return [e.var for e in exprs if isinstance(e, Ref)]


def as_values(stager: Stager, results: Sequence[Name], like: Sequence[Value]) -> dict[int, Value]:
    """Scalars and arrays of a nest as values, each of the kind of its primal; by the primal's id."""
    rest = iter(results)
    table: dict[int, Value] = {}
    for x in like:
        r = next(rest)
        if isinstance(r, Array):
            assert isinstance(x, ArrayValue)
            table[id(x)] = arrays.argument(stager, r, x.dtype, x.shape)
        elif isinstance(x, ComplexNumber):
            second = next(rest)
            assert isinstance(second, Scalar)
            table[id(x)] = ComplexNumber(Ref(r), Ref(second), x.kind)
        else:
            assert isinstance(x, Number)
            table[id(x)] = Number(Ref(r), x.kind)
    return table
