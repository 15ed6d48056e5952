"""The values that several paths arrive with become one where they meet."""

from __future__ import annotations

from typing import Any

from tapeless.backends.native.nest import (
    BOOL,
    I64,
    Assign,
    Const,
    Dim,
    Expr,
    Ref,
    Scalar,
    apply,
    const,
    leaves,
)
from tapeless.backends.native.staging.base import COMPLEX, TYPES, Exit
from tapeless.backends.native.staging.heap import Changes, is_object
from tapeless.backends.native.staging.joins import (
    PATHS,
    Choice,
    Conflict,
    Joins,
    Maybe,
    flags_of,
    join_complex,
    join_kinds,
    same_static,
    same_view,
    torn,
)
from tapeless.backends.native.staging.mixed import Mixed, classes, fits, mixed, odd, widened
from tapeless.backends.native.staging.values import (
    ArrayValue,
    Bound,
    Cell,
    Closure,
    ComplexNumber,
    Instance,
    Mapping,
    Number,
    Range,
    Sequence,
    Slice,
    Static,
    Value,
    View,
)


class Merger:
    """Merges the values that several exits arrive with."""

    def __init__(self, stager: Joins, exits: list[Exit], born: int) -> None:
        self.s, self.exits, self.born = stager, exits, born
        self.memo: dict[tuple[int, ...], Value] = {}
        self.pairs: list[tuple[Value, ...]] = []
        self.copies: list[tuple[View, list[Value]]] = []
        self.path: Scalar | None = None
        self.begun = [len(e.block) for e in exits]

    def flags(self) -> list[dict[Scalar, bool]]:
        """What each path has set the flags of this meeting to."""
        return [
            {
                x.var: bool(x.value.value)
                for x in e.block[start:]
                if isinstance(x, Assign) and x.var.type == BOOL and isinstance(x.value, Const)
            }
            for e, start in zip(self.exits, self.begun, strict=True)
        ]

    def choose(self, values: list[Value | None], hint: str) -> Value | None:
        """What the program has on the path that it came by."""
        made = self.merge(values, hint)
        if not (torn(made) or _unlike(made)) or len(values) > PATHS:
            return made
        if any(v is None or torn(v) for v in values):
            return made
        s, first = self.s, self.path is None
        path = self.path = self.path or s.scalar(I64, "path")
        kept: list[Value] = []
        for k, (v, e) in enumerate(zip(values, self.exits, strict=True)):
            assert v is not None
            with s.at(e.block):
                if first:
                    s.emit(Assign(path, const(k)))
                kept.append(s.outlasting(v, e.changes))
        return Choice(tuple(kept), path, tuple(range(len(kept))))

    def merge(self, values: list[Value | None], hint: str) -> Value | None:
        return self.among(values, self.exits, hint)

    def known(self, values: list[Value | None], found: list[Any], exits: list[Exit], hint: str) -> Value:
        """One of several known objects."""
        from tapeless.backends.native.staging.options import is_another, one_of

        s = self.s
        flags = [s.scalar(BOOL, f"{hint}_{k}") for k in range(len(found) - 1)]
        for v, e in zip(values, exits, strict=True):
            assert v is not None
            with s.at(e.block):
                for flag, option in zip(flags, found[1:], strict=True):
                    s.emit(Assign(flag, is_another(v, option)))
        return one_of(found, map(Ref, flags))

    def text(
        self, values: list[Value | None], exits: list[Exit], hint: str, absent: bool = False
    ) -> Value | None:
        """One of several texts, or a text and what is known; None if it may be something else.

        If `absent`, it is not there on some paths.
        """
        from tapeless.backends.native.staging import alternatives

        if not any(map(alternatives.has_text, values)):
            return None
        present = [v for v in values if v is not None or not absent]
        s, spec = self.s, alternatives.spec_of_all(self.s, present)
        if spec is None:
            return None
        variables = [s.scalar(type, hint) for type in alternatives.types(spec)]
        for v, e in zip(values, exits, strict=True):
            with s.at(e.block):
                given = alternatives.nothing(spec) if v is None else alternatives.numbers(s, spec, v)
                for var, expr in zip(variables, given, strict=True):
                    s.emit(Assign(var, expr))
        return alternatives.rebuilt(spec, [Ref(var) for var in variables])

    def among(self, values: list[Value | None], exits: list[Exit], hint: str) -> Value | None:
        first = values[0]
        if all(v is first for v in values):
            return first
        from tapeless.backends.native.staging.options import several

        known = several(values)
        if known is not None:
            return self.known(values, known, exits, hint)
        text = self.text(values, exits, hint)
        if text is not None:
            return text
        if any(v is None or isinstance(v, Maybe) for v in values):
            return self.maybe(values, exits, hint)
        present: list[Value] = [v for v in values if v is not None]
        if same_static(present) or all(same_view(present[0], v) for v in present):
            return first
        return self.different(present, exits, hint)

    def maybe(self, values: list[Value | None], exits: list[Exit], hint: str) -> Value | None:
        others = [v.otherwise for v in values if isinstance(v, Maybe)]
        if any(o is None for o in others) or any(v is None for v in values):
            return self.optional(values, exits, hint, None)
        otherwise = others[0]
        assert otherwise is not None
        if not same_static([o for o in others if o is not None]):
            return Conflict(tuple(v for v in values if v is not None))
        return self.optional([self.unless_same(v, otherwise) for v in values], exits, hint, otherwise)

    def unless_same(self, value: Value | None, otherwise: Static) -> Value | None:
        return None if isinstance(value, Static) and same_static([value, otherwise]) else value

    def optional(
        self, values: list[Value | None], exits: list[Exit], hint: str, otherwise: Static | None
    ) -> Value:
        """A value on some paths (None on the others)."""
        from tapeless.backends.native.staging.options import all_options

        def lacks(v: Value | None) -> bool:
            if not isinstance(v, Maybe) or v.otherwise is None or otherwise is None:
                return isinstance(v, Maybe) and v.otherwise is otherwise
            return True

        there = [
            (v.value if isinstance(v, Maybe) and lacks(v) else v, e)
            for v, e in zip(values, exits, strict=True)
            if v is not None
        ]
        merged = self.among([v for v, _ in there], [e for _, e in there], hint)
        assert merged is not None
        known = all_options([merged]) if isinstance(merged, Maybe) and otherwise is None else None
        if isinstance(merged, Conflict) or (isinstance(merged, Maybe) and known is None):
            return Conflict(tuple(v for v, _ in there))
        if known is not None:  # in variables of its own, which have some value on every path
            merged = self.known([merged] * len(there), known, [e for _, e in there], hint)
            for v, e in zip(values, exits, strict=True):
                if v is None:
                    e.block += [Assign(flag, const(False), line=self.s.line) for flag in flags_of(merged)]
        if any(v is None for v in values):  # variables of its own, which have some value on every path
            text = self.text([None if v is None else merged for v in values], exits, hint, absent=True)
            merged = merged if text is None else text
        if isinstance(merged, Number):
            # a variable of its own, which has some value on every path
            merged = self.scalar([merged] * len(there), [e for _, e in there], hint, merged.kind)
            assert isinstance(merged.expr, Ref)
            for v, e in zip(values, exits, strict=True):
                if v is None:
                    e.block.append(Assign(merged.expr.var, const(0, merged.expr.type), line=self.s.line))
                    if isinstance(merged, Mixed) and isinstance(merged.odd, Ref):
                        e.block.append(Assign(merged.odd.var, const(False), line=self.s.line))
        flag = self.s.scalar(BOOL, f"{hint}_bound")
        for v, e in zip(values, exits, strict=True):
            bound = v.bound if isinstance(v, Maybe) and lacks(v) else const(v is not None)
            with self.s.at(e.block):
                self.s.emit(Assign(flag, bound))
        return Maybe(merged, Ref(flag), otherwise)

    def conflict(self, values: list[Value], exits: list[Exit], hint: str) -> Value:
        """Values of several kinds: one of them known, perhaps, and the others of one kind."""
        known = [v for v in values if isinstance(v, Static)]
        for otherwise in sorted(known, key=lambda v: v.obj is not None):
            made = self.optional([self.unless_same(v, otherwise) for v in values], exits, hint, otherwise)
            if not isinstance(made, Conflict):
                return made
        return Conflict(tuple(values))

    def different(self, values: list[Value], exits: list[Exit], hint: str) -> Value:
        s, first = self.s, values[0]
        if all(s.is_number(v) for v in values):
            kind = join_kinds([s.kind_of(v) for v in values])
            if kind is not None:
                return self.scalar(values, exits, hint, kind)
        if all(s.is_number(v) or s.is_complex(v) for v in values):
            wide = join_complex([s.kind_of(v) for v in values])
            if wide is not None:
                return self.complex_scalar(values, exits, hint, wide)
        if any(type(v) is not type(first) for v in values):
            if all(isinstance(v, ArrayValue) for v in values):
                return self.arrays(values, exits, hint)
            return self.conflict(values, exits, hint)
        if isinstance(first, ArrayValue):
            return self.arrays(values, exits, hint)
        if isinstance(first, (Sequence, Mapping, Instance, Cell, Closure)):
            return self.paired(values, exits, hint)
        vs: Any = values
        if isinstance(first, Bound):
            function = self.part([v.function for v in vs], exits, hint)
            return Bound(function, self.part([v.owner for v in vs], exits, hint))
        if isinstance(first, Slice):
            names = ("start", "stop", "step")
            return Slice(*(self.part([getattr(v, n) for v in vs], exits, n) for n in names))
        if isinstance(first, Range) and len({v.step for v in vs}) == 1:
            ends = [
                self.scalar([Number(getattr(v, n), int) for v in vs], exits, n, int)
                for n in ("start", "stop")
            ]
            return Range(ends[0].expr, ends[1].expr, first.step)
        return self.conflict(values, exits, hint)

    def part(self, values: list[Value], exits: list[Exit], hint: str) -> Value:
        made = self.among(list(values), exits, hint)
        assert made is not None
        return made

    def scalar(self, values: list[Value], exits: list[Exit], hint: str, kind: type) -> Number:
        s = self.s
        for v in values:
            fits(s, v, kind)
        m = s.scalar(TYPES[kind], hint)
        s.merged[m] = []
        for e, v in zip(exits, values, strict=True):
            with s.at(e.block):
                s.merged[m].append(widened(s, v, m.type))
                s.emit(Assign(m, s.merged[m][-1]))
        others = {cls for v in values for cls in classes(s, v)} - {kind}
        if not others:
            return Number(Ref(m), kind)
        flag = s.scalar(BOOL, f"{hint}_odd")
        for e, v in zip(exits, values, strict=True):
            with s.at(e.block):
                s.emit(Assign(flag, odd(s, v, kind)))
        return mixed(Ref(m), kind, Ref(flag), others)

    def complex_scalar(self, values: list[Value], exits: list[Exit], hint: str, kind: type) -> ComplexNumber:
        s, type = self.s, COMPLEX[kind]
        re, im = s.scalar(type, f"{hint}_re"), s.scalar(type, f"{hint}_im")
        for v, e in zip(values, exits, strict=True):
            with s.at(e.block):
                a, b = s.complex_parts(v, type)
                s.emit(Assign(re, a))
                s.emit(Assign(im, b))
        return ComplexNumber(Ref(re), Ref(im), kind)

    def arrays(self, values: list[Value], exits: list[Exit], hint: str) -> Value:
        s, vs = self.s, list[Any](values)
        first = vs[0]
        if any((v.dtype, v.ndim) != (first.dtype, first.ndim) for v in vs):
            return Conflict(tuple(values))
        key = tuple(map(id, values))
        if key not in self.memo:
            shape = self.shape([v.shape for v in vs])
            view = s.fresh(first.dtype, first.shape if shape is None else shape, hint)
            if shape is None:
                view.shape = tuple(Dim(view.array, k) for k in range(first.ndim))
            for v, e in zip(vs, exits, strict=True):
                with s.at(e.block):
                    s.alloc(view, v.shape if shape is None else shape)
                    s.copy_into(view, v)
            self.copies.append((view, vs))
            self.memo[key] = view
            self.pairs.append(tuple(values))
        return self.memo[key]

    def shape(self, shapes: list[tuple[Expr, ...]]) -> tuple[Expr, ...] | None:
        """The one shape of arrays on all paths, in terms that all paths know; None if there is none."""
        known = []
        for lengths in zip(*shapes, strict=True):
            same = all(n == lengths[0] for n in lengths)
            common = [n for n in lengths if same or all(map(self.everywhere, leaves(n)))]
            if not common or not all(self.equal(common[0], n) for n in lengths):
                return None
            known.append(common[0])
        return tuple(known)

    def equal(self, a: Expr, b: Expr) -> bool:
        return a == b or self.s.ranges.proves(apply("eq", a, b))

    def everywhere(self, e: Expr) -> bool:
        """A constant, or a length of an argument."""
        return isinstance(e, Const) or (isinstance(e, Dim) and e.array in self.s.array_sources)

    def paired(self, values: list[Value], exits: list[Exit], hint: str) -> Value:
        """Different objects of one shape: a new one, whose parts are merged."""
        s, vs = self.s, list[Any](values)
        first = vs[0]
        key = tuple(map(id, values))
        if key in self.memo:
            return self.memo[key]
        if is_object(first):
            from tapeless.backends.native.staging.records import in_a_list, same_for_all

            if any(s.heap.age(v) <= self.born and not in_a_list(s, v) for v in vs):
                return Conflict(tuple(values))  # one of them is known by another name
            held = [e.changes.of(v) for v, e in zip(vs, exits, strict=True)]
            if isinstance(first, Sequence) and len({len(h) for h in held}) > 1:
                return Conflict(tuple(values))
        made: Any
        if isinstance(first, Sequence):
            if any(
                v.kind is not first.kind or (v.kind is not list and len(v.items) != len(first.items))
                for v in vs
            ):
                return Conflict(tuple(values))
            made = Sequence([], first.kind)
            if first.kind is list:
                self.memo[key] = s.heap.born(made)
                made.items = [self.part(list(p), exits, hint) for p in zip(*held, strict=True)]
            else:
                made.items = [
                    self.part(list(p), exits, hint) for p in zip(*(v.items for v in vs), strict=True)
                ]
        elif isinstance(first, (Mapping, Instance)):
            label = "kind" if isinstance(first, Mapping) else "cls"
            if any(getattr(v, label) is not getattr(first, label) for v in vs):
                return Conflict(tuple(values))
            if any(list(h) != list(held[0]) for h in held):
                return Conflict(tuple(values))
            made = Mapping({}, first.kind) if isinstance(first, Mapping) else Instance(first.cls, {})
            self.memo[key] = s.heap.born(made)
            table = {k: self.part([h[k] for h in held], exits, str(k)) for k in held[0]}
            if isinstance(made, Mapping):
                made.items = table
            else:
                made.fields = table
                same_for_all(s, made)
        elif isinstance(first, Cell):
            made = self.memo[key] = s.heap.born(Cell())
            made.value = self.among(held, exits, hint)
        else:
            if any(v.function.__code__ is not first.function.__code__ for v in vs):
                return Conflict(tuple(values))
            cells = tuple(self.part(list(p), exits, hint) for p in zip(*(v.cells for v in vs), strict=True))
            if any(isinstance(c, Conflict) for c in cells):
                return Conflict(tuple(values))
            defaults = tuple(
                self.part(list(p), exits, hint) for p in zip(*(v.defaults for v in vs), strict=True)
            )
            named = {k: self.part([v.kwdefaults[k] for v in vs], exits, k) for k in first.kwdefaults}
            made = Closure(first.function, cells, defaults, named)  # type: ignore[arg-type]
        self.memo[key] = made
        value: Value = made
        return value

    # ---- contents

    def contents(self) -> None:
        """Objects that some path has changed hold what the paths have made of them."""
        s = self.s
        changed: dict[int, Any] = {}
        for e in self.exits:
            for key, (obj, held) in e.changes.held.items():
                changed[key] = obj
                if s.heap.age(obj) > self.born:
                    s.heap.put(obj, held)
        for obj in changed.values():
            if s.heap.age(obj) <= self.born:
                s.heap.put(obj, self.content(obj, [e.changes for e in self.exits]))

    def content(self, obj: Any, states: list[Changes]) -> Any:
        held = [c.of(obj) for c in states]
        if isinstance(obj, Sequence):
            if len({len(h) for h in held}) > 1:
                self.let_grow(obj, [v for h in held for v in h])
                self.s.refuse(
                    "a list has another length on each path of the program",
                    "make it an array, or append on every path",
                )
            return [self.part(list(p), self.exits, "item") for p in zip(*held, strict=True)]
        if isinstance(obj, Cell):
            return self.merge(held, "cell")
        if isinstance(obj, Mapping) and any(list(h) != list(held[0]) for h in held):
            self.s.refuse(
                "a dict has other keys on each path of the program", "give it all keys on every path"
            )
        keys = list({k: None for h in held for k in h})
        table = {k: self.merge([h.get(k) for h in held], str(k)) for k in keys}
        return {k: v for k, v in table.items() if v is not None}

    def let_grow(self, obj: Sequence, items: list[Value]) -> None:
        """Begin again with a list that grows, if it may be one."""
        from tapeless.backends.native.staging.growing_items import NeedsGrowing, spec_of_all

        spec = spec_of_all(self.s, items)
        if spec is not None and obj.site is not None and obj.site not in self.s.never_growing:
            raise NeedsGrowing(obj.site, spec)


def _unlike(value: Value | None) -> bool:
    """Whether a value is a known number on some path, and a structure on others."""
    if not isinstance(value, Maybe) or value.otherwise is None or type(value.otherwise.obj) not in TYPES:
        return False
    return isinstance(value.value, (Sequence, Mapping, Instance, Closure))
