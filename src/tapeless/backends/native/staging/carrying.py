"""What a loop of run time carries from one iteration to the next, and the variables that hold it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tapeless.backends.native.nest import (
    BOOL,
    Assign,
    Dim,
    Expr,
    Ref,
    Scalar,
    Stmt,
    Swap,
    const,
    leaves,
)
from tapeless.backends.native.staging import alternatives, records
from tapeless.backends.native.staging.base import COMPLEX, TYPES
from tapeless.backends.native.staging.exchanges import in_place
from tapeless.backends.native.staging.heap import Changes, content, is_object
from tapeless.backends.native.staging.joins import (
    Conflict,
    Maybe,
    join_complex,
    join_kinds,
    same_static,
    same_view,
)
from tapeless.backends.native.staging.mixed import classes, fits, in_order, mixed, odd, widened
from tapeless.backends.native.staging.options import all_options, is_another, one_of, several
from tapeless.backends.native.staging.specs import CONFLICT, KEPT, Spec
from tapeless.backends.native.staging.values import (
    ArrayValue,
    ComplexNumber,
    Instance,
    Lazy,
    Mapping,
    Number,
    Sequence,
    Static,
    Value,
    View,
)

if TYPE_CHECKING:
    from tapeless.backends.native.staging.loops import Loops


class NeedsPeeling(Exception):
    """The first iteration of a loop has to be staged by itself: a number becomes an array in it."""

    def __init__(self, key: Any) -> None:
        self.key = key
        super().__init__("a number becomes an array in a loop")


def first_guess(s: Loops, value: Value | None, assigned: bool = True) -> Spec:
    """How a place is probably carried, from what it holds at first."""
    if s.is_number(value):
        assert value is not None
        return Spec("number", s.kind_of(value), names=in_order(classes(s, value) - {s.kind_of(value)}))
    if s.is_complex(value):
        assert value is not None
        return Spec("complex", s.kind_of(value))
    if isinstance(value, Sequence) and value.kind is not list:
        return Spec("sequence", value.kind, tuple(first_guess(s, v) for v in value.items))
    return KEPT


def widen(s: Loops, spec: Spec, entry: Value | None, end: Value | None) -> Spec:
    """The spec that also covers what an iteration leaves."""
    if spec.how == "conflict":
        return spec
    if spec.how == "known":
        found = all_options([v for v in (entry, end) if v is not None], spec.names)
        return CONFLICT if found is None or end is None else Spec("known", names=tuple(found))
    known = several((entry, end))
    if known is not None and end is not entry:
        return Spec("known", names=tuple(known))
    one = spec.how == "one"
    if one or (end is not entry and (alternatives.has_text(end) or alternatives.has_text(entry))):
        first = spec if one else alternatives.spec_of(s, entry)
        text = alternatives.joined(first, alternatives.spec_of(s, end))
        if one or text is not None:
            return text or CONFLICT
    if spec.how == "maybe":
        inner, held = there(end, spec.kind), there(entry, spec.kind)
        part = spec.parts[0]
        if inner is None or inner is held:
            return spec
        if part.how == "known":
            part = widen(s, part, held, inner)
        else:
            part = generalise(s, held, inner, part)
        return CONFLICT if part.how == "conflict" else Spec("maybe", spec.kind, (part,))
    if end is None and entry is None or end is entry:
        return spec
    may_be = [v for v in (end, entry) if v is None or isinstance(v, Maybe)]
    if may_be:
        others = [v.otherwise if isinstance(v, Maybe) else None for v in may_be]
        return optional(s, spec, entry, end, None if None in others else others[0])
    assert end is not None
    wide = generalise(s, entry, end, spec)
    if wide.how == "conflict":
        for v in sorted((x for x in (end, entry) if isinstance(x, Static)), key=lambda x: x.obj is not None):
            wide = optional(s, KEPT, entry, end, v)
            if wide.how != "conflict":
                return wide
    return wide


def may_lack(value: Value | None, otherwise: Static | None) -> bool:
    """Whether a value is there only sometimes, and else it is `otherwise` (or unbound)."""
    if not isinstance(value, Maybe) or value.otherwise is None or otherwise is None:
        return isinstance(value, Maybe) and value.otherwise is otherwise
    return same_static([value.otherwise, otherwise])


def there(value: Value | None, otherwise: Static | None) -> Value | None:
    """What a place holds, None if it holds `otherwise`."""
    if isinstance(value, Maybe) and may_lack(value, otherwise):
        return value.value
    if otherwise is not None and isinstance(value, Static) and same_static([value, otherwise]):
        return None
    return value


def optional(s: Loops, spec: Spec, entry: Value | None, end: Value | None, otherwise: Static | None) -> Spec:
    """The spec of a place that holds a value only sometimes, else `otherwise` (or nothing)."""
    values = [v for v in (there(entry, otherwise), there(end, otherwise)) if v is not None]
    if not values:
        return spec
    if otherwise is not None and type(otherwise.obj) in (int, float) and any(map(is_array, values)):
        loop = s.open_loops[-1]
        if loop.key not in s.peeled:
            raise NeedsPeeling(loop.key)
        s.refuse(
            "a variable is a number before a loop and an array after an iteration",
            "let it begin as an array, np.zeros(shape)",
        )
    part = shape_of(s, values[0])
    known = all_options(values)
    if known is not None:
        part = Spec("known", names=tuple(known))
    elif len(values) == 2:
        part = generalise(s, values[0], values[1], part)
    return CONFLICT if part.how == "conflict" else Spec("maybe", otherwise, (part,))


def is_array(value: Value | None) -> bool:
    return isinstance(value, ArrayValue)


def array_spec(value: Any) -> Spec:
    return Spec("array", value.dtype, names=(value.ndim, False))


def shape_of(s: Loops, value: Value) -> Spec:
    """A spec that carries every part of a value."""
    if s.is_number(value) or s.is_complex(value):
        return first_guess(s, value)
    if isinstance(value, ArrayValue):
        return array_spec(value)
    if isinstance(value, Sequence):
        return Spec("sequence", value.kind, tuple(shape_of(s, v) for v in items_of(s, value)))
    if isinstance(value, (Instance, Mapping)):
        how, kind = ("object", value.cls) if isinstance(value, Instance) else ("table", value.kind)
        table = s.held_by(value)
        return Spec(how, kind, tuple(shape_of(s, v) for v in table.values()), tuple(table))
    if isinstance(value, Static):
        return KEPT
    return (alternatives.spec_of(s, value) if alternatives.has_text(value) else None) or CONFLICT


def generalise(s: Loops, entry: Value | None, end: Value, spec: Spec) -> Spec:
    """The spec of a place that holds `entry` at first and `end` after an iteration."""
    if spec.how == "one":
        return alternatives.joined(spec, alternatives.spec_of(s, end)) or CONFLICT
    if entry is None and spec.how == "kept":
        return shape_of(s, end)
    if spec.how == "kept":
        assert entry is not None
        if end is entry or same_static([entry, end]) or same_view(entry, end):
            return spec
        if s.is_number(entry) or s.is_complex(entry):
            spec = first_guess(s, entry)
        elif isinstance(entry, ArrayValue) and isinstance(end, ArrayValue):
            spec = array_spec(entry)
        else:
            spec = shape_of(s, entry)
            if spec.how in ("kept", "conflict"):
                return CONFLICT
    if spec.how in ("number", "complex"):
        if s.is_number(end) or s.is_complex(end):
            kinds = [spec.kind, s.kind_of(end)]
            if spec.how == "number" and s.is_number(end):
                found = {spec.kind, *spec.names} | classes(s, end)
                kind = join_kinds(list(found))
                return CONFLICT if kind is None else Spec("number", kind, names=in_order(found - {kind}))
            return Spec("complex", join_complex(kinds))
        return CONFLICT
    if spec.how == "array":
        if not isinstance(end, ArrayValue) or (end.dtype, end.ndim) != (spec.kind, spec.names[0]):
            return CONFLICT
        varies = not isinstance(entry, ArrayValue) or not s.same_shape(entry.shape, end.shape)
        return Spec("array", spec.kind, names=(end.ndim, varies or spec.names[1]))
    if spec.how == "sequence":
        if not isinstance(end, Sequence) or end.kind is not spec.kind:
            return CONFLICT
        last = items_of(s, end)
        if len(last) != len(spec.parts):
            return CONFLICT
        first = list(entry.items) if isinstance(entry, Sequence) else [None] * len(last)
        if len(first) != len(last):  # the first attempt had it grow
            return CONFLICT
        parts = zip(spec.parts, first, last, strict=True)
        return Spec("sequence", spec.kind, tuple(widen(s, p, a, b) for p, a, b in parts))
    if spec.how in ("object", "table"):
        fits = (isinstance(end, Instance) and end.cls is spec.kind) or (
            isinstance(end, Mapping) and end.kind is spec.kind
        )
        if not fits or tuple(s.held_by(end)) != spec.names:
            return CONFLICT
        table, rows = s.held_by(end), content(entry) if isinstance(entry, (Instance, Mapping)) else {}
        made = tuple(widen(s, p, rows.get(n), table[n]) for p, n in zip(spec.parts, spec.names, strict=True))
        return Spec(spec.how, spec.kind, made, spec.names)
    return CONFLICT


def items_of(s: Loops, value: Sequence) -> list[Value]:
    """The items of a tuple or list."""
    items: list[Value] = s.held_by(value) if is_object(value) else value.items
    return items


@dataclass(eq=False, slots=True)
class Moves:
    """Assignments at the end of an iteration; they happen at once."""

    scalars: list[tuple[Scalar, Expr]] = field(default_factory=list)
    arrays: list[tuple[View, Value]] = field(default_factory=list)


class Carried:
    """One carried place: the value it has at the head of an iteration."""

    def __init__(self, s: Loops, spec: Spec, entry: Value | None, hint: str) -> None:
        """Give the place its variables, and assign what it holds at first."""
        self.s, self.spec, self.hint = s, spec, hint
        self.parts: list[Carried] = []
        self.copied, self.heads = False, list[Value]()
        self.original: Value | None = None
        """The array that `view` is a copy of."""
        self.settles = True
        """Whether a number is of its usual class after an iteration."""
        self.head: Value | None = entry
        if spec.how == "kept":
            return
        if spec.how == "conflict":
            self.head = Conflict(() if entry is None else (entry,))
        elif spec.how == "maybe":
            inner = there(entry, spec.kind)
            self.flag = s.scalar(BOOL, f"{hint}_bound")
            bound = entry.bound if may_lack(entry, spec.kind) else const(inner is not None)  # type: ignore[union-attr]
            s.emit(Assign(self.flag, bound))
            part = Carried(s, spec.parts[0], inner, hint)
            self.parts = [part]
            self.head = (
                Conflict(())
                if part.head is None or isinstance(part.head, Conflict)
                else Maybe(part.head, Ref(self.flag), spec.kind)
            )
        elif spec.how == "number":
            if entry is not None:
                fits(s, entry, spec.kind)
            self.scalar = s.scalar(TYPES[spec.kind], hint)
            first = const(0, self.scalar.type) if entry is None else widened(s, entry, self.scalar.type)
            s.emit(Assign(self.scalar, first))
            self.head = Number(Ref(self.scalar), spec.kind)
            if spec.names:
                self.odd = s.scalar(BOOL, f"{hint}_odd")
                s.emit(Assign(self.odd, const(False) if entry is None else odd(s, entry, spec.kind)))
                self.head = mixed(Ref(self.scalar), spec.kind, Ref(self.odd), spec.names)
        elif spec.how == "known":
            self.flags = [s.scalar(BOOL, f"{hint}_{k}") for k in range(len(spec.names) - 1)]
            for flag, option in zip(self.flags, spec.names[1:], strict=True):
                s.emit(Assign(flag, const(True) if entry is None else is_another(entry, option)))
            self.head = one_of(spec.names, map(Ref, self.flags))
        elif spec.how == "one":
            self.texts = [s.scalar(type, hint) for type in alternatives.types(spec)]
            given = alternatives.nothing(spec) if entry is None else alternatives.numbers(s, spec, entry)
            for var, e in zip(self.texts, given, strict=True):
                s.emit(Assign(var, e))
            self.head = alternatives.rebuilt(spec, [Ref(var) for var in self.texts])
        elif spec.how == "complex":
            type = COMPLEX[spec.kind]
            self.real, self.imag = s.scalar(type, f"{hint}_re"), s.scalar(type, f"{hint}_im")
            parts = (const(0, type),) * 2 if entry is None else s.complex_parts(entry, type)
            for var, e in zip((self.real, self.imag), parts, strict=True):
                s.emit(Assign(var, e))
            self.head = ComplexNumber(Ref(self.real), Ref(self.imag), spec.kind)
        elif spec.how == "array":
            self.begin_array(entry)
        else:
            self.begin_structure(entry)

    def begin_array(self, entry: Value | None) -> None:
        s, spec = self.s, self.spec
        ndim, varies = spec.names
        own = None if varies else in_place(s, entry)
        if own is not None:
            self.original = view = own
        elif isinstance(entry, ArrayValue):
            view = s.fresh(spec.kind, entry.shape, self.hint)
            s.alloc(view, entry.shape)
            s.copy_into(view, entry)
            self.original = entry
        else:
            view = s.fresh(spec.kind, (const(0),) * ndim, self.hint)
            s.alloc(view, view.shape)
        if varies:
            view.shape = tuple(Dim(view.array, k) for k in range(ndim))
        self.view = self.head = view

    def begin_structure(self, entry: Value | None) -> None:
        s, spec = self.s, self.spec
        held: list[Value | None]
        if isinstance(entry, Sequence):
            held = list(entry.items)
        elif isinstance(entry, Instance):
            held = [entry.fields.get(n) for n in spec.names]
        elif isinstance(entry, Mapping):
            held = [entry.items.get(n) for n in spec.names]
        else:
            held = [None] * len(spec.parts)
        names = spec.names or tuple(range(len(spec.parts)))
        self.parts = [
            Carried(s, p, v, f"{self.hint}_{n}") for p, v, n in zip(spec.parts, held, names, strict=True)
        ]
        heads = [p.head if p.head is not None else Conflict(()) for p in self.parts]
        made: Value
        if spec.how == "sequence":
            made = Sequence(heads, spec.kind)
        elif spec.how == "object":
            made = Instance(spec.kind, dict(zip(spec.names, heads, strict=True)))
        else:
            made = Mapping(dict(zip(spec.names, heads, strict=True)), spec.kind)
        self.head = s.heap.born(made) if is_object(made) else made
        records.same_for_all(s, made)
        self.copied, self.heads = entry is not None and is_object(made), heads

    def blame(self, loop: Any) -> None:
        """Say which loop makes of this place what must not be read."""
        if isinstance(self.head, Conflict):
            self.head.loop = loop
        if self.spec.how == "maybe":
            self.s.bound_in[self.flag] = loop
        for part in (*self.parts, *self.heads):
            if isinstance(part, Carried):
                part.blame(loop)
            elif isinstance(part, Conflict):
                part.loop = loop

    def copies(self) -> Iterator[tuple[View, Value, bool]]:
        """The arrays that are carried: the copy, what it is a copy of, and whether its length stays."""
        if self.spec.how == "array" and self.original is not None:
            yield self.view, self.original, not self.spec.names[1]
        for part in self.parts:
            yield from part.copies()

    def stays(self, changes: Changes) -> bool:
        """Whether an object known elsewhere at first is as it was at the head of the iteration."""
        if self.copied:
            held = changes.of(self.head)
            now = held if isinstance(held, list) else list(held.values())
            if len(now) != len(self.heads) or any(x is not y for x, y in zip(now, self.heads, strict=True)):
                return False
        return all(part.stays(changes) for part in self.parts)

    def variables(self) -> list[Scalar]:
        how = self.spec.how
        own = [self.scalar] if how == "number" else [self.real, self.imag] if how == "complex" else []
        own += [self.odd] if how == "number" and self.spec.names else []
        own += [self.flag] if how == "maybe" else self.flags if how == "known" else []
        own += self.texts if how == "one" else []
        return own + [v for p in self.parts for v in p.variables()]

    def move(self, end: Value | None, moves: Moves) -> None:
        """What has to be assigned for the next iteration to find `end` here."""
        s, how = self.s, self.spec.how
        if how in ("kept", "conflict"):
            return
        if how == "maybe":
            if may_lack(end, self.spec.kind):
                assert isinstance(end, Maybe)
                moves.scalars.append((self.flag, end.bound))
                end = end.value
            else:
                end = there(end, self.spec.kind)
                moves.scalars.append((self.flag, const(end is not None)))
            if end is not None:
                self.parts[0].move(end, moves)
            return
        assert end is not None
        if how == "known":
            for flag, option in zip(self.flags, self.spec.names[1:], strict=True):
                moves.scalars.append((flag, is_another(end, option)))
        elif how == "one":
            moves.scalars += zip(self.texts, alternatives.numbers(s, self.spec, end), strict=True)
        elif how == "number":
            fits(s, end, self.spec.kind)
            moves.scalars.append((self.scalar, widened(s, end, self.scalar.type)))
            if self.spec.names:
                still = odd(s, end, self.spec.kind)
                self.settles = self.settles and still == const(False)
                moves.scalars.append((self.odd, still))
        elif how == "complex":
            for var, e in zip((self.real, self.imag), s.complex_parts(end, self.real.type), strict=True):
                moves.scalars.append((var, e))
        elif how == "array":
            if not same_view(end, self.view):
                moves.arrays.append((self.view, end))
        else:
            if isinstance(end, Sequence):
                held = items_of(s, end)
            else:
                table = s.held_by(end)
                held = [table[n] for n in self.spec.names]
            for part, v in zip(self.parts, held, strict=True):
                part.move(v, moves)


def carry_out(s: Loops, moves: Moves) -> None:
    """Emit assignments that happen at once."""
    targets = {var for var, _ in moves.scalars}
    late: list[Stmt] = []
    todo = [(var, e) for var, e in moves.scalars if e != Ref(var)]
    for k, (var, e) in enumerate(todo):
        earlier = {v for v, _ in todo[:k]}
        if any(isinstance(x, Ref) and x.var in earlier for x in leaves(e)):
            fresh = s.scalar(e.type, var.name)
            s.emit(Assign(fresh, e))
            e = Ref(fresh)
        late.append(Assign(var, e))
    del targets
    move_arrays(s, moves.arrays)
    for stmt in late:
        s.emit(stmt)


def move_arrays(s: Loops, moves: list[tuple[View, Value]]) -> None:
    """Give carried arrays their new contents: by exchanging storage where nothing else can tell."""
    if len(moves) == 1:
        view, value = moves[0]
        if isinstance(value, Lazy) and value.made is None and s.same_shape(value.shape, view.shape):
            for exchange in s.exchanges:
                exchange.move([view.array], {})
            with s.thawed():
                s.copy_into(view, value)
            s.share(view, [value], names=1)
            return
    ready: list[tuple[View, View]] = []
    buffers = {view.array for view, _ in moves}
    for view, value in moves:
        made: View = s.made(value)
        whole = made.whole and s.same_shape(made.shape, view.shape) and made.array.alias is None
        once = sum(v.array is made.array for _, v in ready) == 0
        own = made.array in buffers or s.own(made.array)
        if not (whole and once and own and made.array not in s.array_sources):
            fresh = s.fresh(view.dtype, made.shape, view.array.name)
            s.alloc(fresh, made.shape)
            s.copy_into(fresh, made)
            s.share(view, [made], names=1)
            made = fresh
        ready.append((view, made))
    # the lengths of one may be those of another, which change first
    resized = len(ready) > 1 and any(not s.same_shape(view.shape, made.shape) for view, made in ready)
    shapes = [tuple(map(s.bind, made.shape)) if resized else made.shape for _, made in ready]
    moved = {m.array: v.array for v, m in ready if s.same_shape(v.shape, m.shape)}
    for exchange in s.exchanges:
        exchange.move([view.array for view, _ in ready], moved)
    # where the content of each storage is now, while contents are exchanged
    place = {a: a for view, made in ready for a in (view.array, made.array)}
    for view, made in ready:
        s.inherit(view, made)
    with s.thawed():
        for (view, made), shape in zip(ready, shapes, strict=True):
            source = place[made.array]
            if not s.same_shape(view.shape, made.shape):
                s.alloc(view, shape)
                s.copy_into(view, s.whole_view(source, shape, made.dtype))
                continue
            if source is not view.array:
                s.emit(Swap(view.array, source))
                for array, at in place.items():
                    if at is view.array:
                        place[array] = source
                    elif at is source:
                        place[array] = view.array
