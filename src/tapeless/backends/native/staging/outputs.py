"""Results of a nest, and templates of what the program gives and changes."""

from __future__ import annotations

from collections import defaultdict, deque
from typing import TYPE_CHECKING, Any

from tapeless.backends.native.nest import (
    Array,
    Assign,
    Expr,
    If,
    Ref,
    Scalar,
    apply,
    const,
)
from tapeless.backends.native.staging import arrays, growing, sets
from tapeless.backends.native.staging.base import (
    TYPES,
    Text,
    describe,
)
from tapeless.backends.native.staging.heap import content
from tapeless.backends.native.staging.joins import Conflict, Maybe
from tapeless.backends.native.staging.mixed import Mixed, of_one_class
from tapeless.backends.native.staging.tables import factory_of, item
from tapeless.backends.native.staging.templates import (
    ArrayResult,
    ComplexResult,
    Deque,
    Either,
    Fields,
    Items,
    Kept,
    Object,
    Put,
    Result,
    Rows,
    Same,
    SetOf,
    Table,
    Template,
    Write,
    Written,
)
from tapeless.backends.native.staging.values import (
    ArrayValue,
    Bound,
    Cell,
    Closure,
    ComplexNumber,
    Growing,
    Instance,
    Mapping,
    Number,
    Opaque,
    RandomNumbers,
    Range,
    Sequence,
    Static,
    Value,
    View,
)

if TYPE_CHECKING:
    from tapeless.backends.native.staging.stager import Stager


class Outputs:
    """Makes templates of results, and the results of the nest that they use."""

    def __init__(self, s: Stager, results: list[Scalar | Array]) -> None:
        self.s, self.results = s, results
        self.made: dict[int, Template] = {}
        self.found: dict[Array, Template] = {}
        self.lifted = {id(v): p for v, p, _ in s.mutable}

    def template(self, value: Value) -> Template:
        if id(value) not in self.made:
            self.made[id(value)] = self.new(value)
            self.s.kept_values.append(value)
        return self.made[id(value)]

    def scalar(self, e: Expr) -> int:
        s = self.s
        if isinstance(e, Ref) and e.var in self.results:
            return self.results.index(e.var)
        out = s.scalar(e.type, "result")
        s.emit(Assign(out, e))
        self.results.append(out)
        return len(self.results) - 1

    def new(self, value: Value) -> Template:
        s = self.s
        if isinstance(value, (Maybe, Conflict)):
            value = s.present(value, "the result", "result")
        if isinstance(value, Maybe):
            assert value.otherwise is not None
            flag = self.scalar(value.bound)
            with s.collect() as inside:
                made = self.template(value.value)
            for stmt in inside:
                if isinstance(stmt, Assign):
                    s.emit(Assign(stmt.var, const(0, stmt.var.type)))
            s.emit(If(value.bound, inside))
            return Either(flag, made, self.template(value.otherwise))
        cls = value.cls if isinstance(value, Instance) else value.obj if isinstance(value, Static) else None
        if isinstance(cls, type) and cls in s.made_classes:
            s.refuse("an object of a class made in this function is returned", "define the class outside")
        if isinstance(value, Static):
            return Kept(value.obj)
        if isinstance(value, Mixed):
            if value.other is None:
                value = of_one_class(s, value)
            else:
                e = apply("select", value.odd, value.expr, const(0, value.expr.type))
                other = Result(self.scalar(s.convert(e, TYPES[value.other])), value.other)
                usual = Result(self.scalar(value.expr), value.kind)
                return Either(self.scalar(value.odd), other, usual)
        if isinstance(value, Number):
            return Result(self.scalar(value.expr), value.kind)
        if isinstance(value, ComplexNumber):
            return ComplexResult(self.scalar(value.real), self.scalar(value.imag), value.kind)
        if isinstance(value, ArrayValue):
            return self.array(value)
        if id(value) in self.lifted:
            return Same(self.lifted[id(value)])
        if isinstance(value, Opaque):
            return self.opaque(value)
        if isinstance(value, Sequence):
            made = Items(value.kind, [])
            self.made[id(value)] = made
            made.items = [self.template(v) for v in value.items]
            return made
        if isinstance(value, Growing):
            return self.rows(value)
        if isinstance(value, RandomNumbers):
            for path, lifted in s.lifted.items():
                if lifted is value:
                    return Same(path)
        if isinstance(value, Text):
            return Written(value.how, [self.template(v) for v in value.args])
        if isinstance(value, Mapping):
            table = Table(value.kind, {})
            factory = factory_of(value.kind)
            self.made[id(value)] = table
            table.items = {k: self.template(item(s, value, k)) for k in list(value.items)}
            if factory is not None:
                table.kind, table.factory = defaultdict, self.template(factory)
            return table
        if isinstance(value, Instance) and value.cls.__module__.startswith("tapeless.backends."):
            s.refuse("what solve_ivp gives as `sol` is returned", "return its values at some times")
        if isinstance(value, Instance) and value.cls is set:
            whole = self.made[id(value)] = SetOf(sets.history(s, value))
            return whole
        if isinstance(value, Instance):
            obj: Any = Deque(Kept(None), Kept(None)) if value.cls is deque else Object(value.cls, {})
            self.made[id(value)] = obj
            fields = {k: self.template(v) for k, v in value.fields.items()}
            if isinstance(obj, Deque):
                obj.items, obj.most = fields.values()
            else:
                obj.fields = fields
            return obj  # type: ignore[no-any-return]
        if isinstance(value, Range):
            s.refuse("a range is returned", "return its bounds")
        if isinstance(value, (Closure, Bound)):
            s.refuse("a function is returned from a compiled function", "return what it is made of")
        s.refuse(
            f"{describe(value)} is returned", "return numbers, arrays, or tuples, lists and objects of those"
        )

    def opaque(self, value: Opaque) -> Template:
        return Same(value.path)

    def rows(self, value: Growing) -> Template:
        s = self.s
        if growing.is_mixed(value.spec):
            s.refuse("a list of items of several classes is returned", "fill it with numbers of one class")
        if growing.has_objects(value.spec):
            s.refuse(
                "a list of objects, as many as are known at run time only, is returned",
                "return what they hold",
            )
        parts = growing.parts_of(value)
        places = [
            (k, j) for k, (leaf, own) in enumerate(parts) for j in range(len(own) if leaf.how == "one" else 1)
        ]
        columns = [self.array(growing.all_of(s, value, *place)) for place in places]
        indices = [c.index for c in columns if isinstance(c, ArrayResult)]
        return Rows(indices, growing.item_classes(value.spec))

    def array(self, value: ArrayValue) -> Template:
        s = self.s
        from tapeless.backends.native.staging.storage import is_whole

        view = value if isinstance(value, View) else s.made(value)
        path = s.array_sources.get(view.array)
        if path is not None and view.whole and view.shape == s.argument_shape(path):
            return Same(path)
        if path is not None or view.array.alias is not None or not is_whole(s, view):
            view = arrays.store_copy(s, view)
        if view.array not in self.found:
            self.results.append(view.array)
            self.found[view.array] = ArrayResult(len(self.results) - 1, view.dtype)
        return self.found[view.array]

    def writes(self) -> list[Write]:
        found = []
        for value, path, before in self.s.mutable:
            after = content(value)
            if isinstance(value, Cell):
                if after is not before:
                    if after is None:
                        self.s.refuse(f"{path} is deleted", "set it to None")
                    found.append(Write(path, Put(self.template(after))))
                continue
            if same_content(before, after):
                continue
            if isinstance(value, Sequence):
                found.append(Write(path, Items(list, [self.template(v) for v in after])))
            elif isinstance(value, Mapping):
                found.append(Write(path, Table(dict, {k: self.template(v) for k, v in after.items()})))
            elif isinstance(value, Instance) and value.cls is deque:
                self.s.refuse("a deque of the arguments gets other items at once", "change it by its methods")
            elif isinstance(value, Instance) and value.cls is set:
                self.s.refuse(f"{path}, a set, is changed", "change a copy, or change it outside")
            elif isinstance(value, Instance):
                stay = in_place(before, after)
                fields = {k: self.template(v) for k, v in after.items() if k not in stay}
                found.append(Write(path, Fields(fields, stay)))
        return found


def in_place(before: dict[str, Any], after: dict[str, Any]) -> frozenset[str]:
    """The fields of an object that stay what they were, if none is to go elsewhere among them."""
    order = [k for k in before if k in after]
    if list(after)[: len(order)] != order:
        return frozenset()
    return frozenset(k for k in order if after[k] is before[k])


def same_content(before: Any, after: Any) -> bool:
    if isinstance(before, dict):
        return list(before) == list(after) and all(before[k] is after[k] for k in before)
    return len(before) == len(after) and all(a is b for a, b in zip(before, after, strict=True))
