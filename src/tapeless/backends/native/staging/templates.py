"""What a staged function returns and changes, told to the entry that rebuilds it from the nest's results."""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterator
from collections.abc import Mapping as AnyMapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from tapeless.backends.native.staging.paths import Content, Field, Global, Held, Path


class Template:
    """How one object of the result is made."""

    __slots__ = ()

    def build(self, call: Call) -> Any:
        raise NotImplementedError


class Call:
    """The results and arguments of one call, and the objects already made for it."""

    def __init__(self, results: tuple[Any, ...], args: tuple[Any, ...], kwargs: AnyMapping[str, Any]) -> None:
        self.results, self.args, self.kwargs = results, args, kwargs
        self.made: dict[int, Any] = {}


@dataclass(eq=False, slots=True)
class Kept(Template):
    """An object known since staging."""

    obj: Any

    def build(self, call: Call) -> Any:
        return self.obj


@dataclass(eq=False, slots=True)
class Result(Template):
    """A scalar result of the nest, as a number of class `kind`."""

    index: int
    kind: type

    def build(self, call: Call) -> Any:
        return self.kind(call.results[self.index])


@dataclass(eq=False, slots=True)
class Either(Template):
    """One object or another, by a truth among the results."""

    index: int
    value: Template
    otherwise: Template

    def build(self, call: Call) -> Any:
        return (self.value if call.results[self.index] else self.otherwise).build(call)


@dataclass(eq=False, slots=True)
class ComplexResult(Template):
    real: int
    imag: int
    kind: type

    def build(self, call: Call) -> Any:
        return self.kind(complex(call.results[self.real], call.results[self.imag]))


@dataclass(eq=False, slots=True)
class ArrayResult(Template):
    """An array result; one of a complex dtype is stored with a last axis of length 2."""

    index: int
    dtype: str

    def build(self, call: Call) -> Any:
        array = call.results[self.index]
        return array.view(self.dtype)[..., 0] if self.dtype.startswith("complex") else array


@dataclass(eq=False, slots=True)
class Same(Template):
    """The very object at a path of the call."""

    path: Path

    def build(self, call: Call) -> Any:
        return self.path.read(call.args, call.kwargs)


@dataclass(eq=False, slots=True)
class Items(Template):
    """A tuple, NamedTuple or list; one template is one object."""

    kind: type
    items: list[Template]

    def build(self, call: Call) -> Any:
        if id(self) not in call.made:
            if self.kind is list:  # it may hold itself
                made: Any = []
                call.made[id(self)] = made
                made.extend(t.build(call) for t in self.items)
            else:
                parts = [t.build(call) for t in self.items]
                call.made[id(self)] = tuple.__new__(self.kind, parts)
        return call.made[id(self)]


@dataclass(eq=False, slots=True)
class SetOf(Template):
    """A set of known objects, made as the program made it."""

    history: Any

    def build(self, call: Call) -> Any:
        if id(self) not in call.made:
            call.made[id(self)] = self.history.build()
        return call.made[id(self)]


@dataclass(eq=False, slots=True)
class Rows(Template):
    """A list of a length known at run time: its items are numbers, or tuples of those, in columns."""

    columns: list[int]
    item: Any
    """The class of a number, or a class of tuples and what their items are."""

    def build(self, call: Call) -> Any:
        if id(self) not in call.made:
            columns = [separate(call.results[k]) for k in self.columns]
            rows = zip(*columns, strict=True)
            call.made[id(self)] = [assembled(self.item, iter(row)) for row in rows]
        return call.made[id(self)]


def separate(column: Any) -> list[Any]:
    """The items of an array: numbers, or arrays of their own."""
    return [row.copy() for row in column] if column.ndim > 1 else column.tolist()


def assembled(item: Any, numbers: Iterator[Any]) -> Any:
    """An item of a list from its numbers."""
    if isinstance(item, tuple):
        kind, parts = item
        return tuple.__new__(kind, [assembled(p, numbers) for p in parts])
    if isinstance(item, One):
        return item.build(numbers)
    return next(numbers) if item is np.ndarray else item(next(numbers))


@dataclass(frozen=True, slots=True)
class One:
    """One of several objects, by its number: (None, object), or how a text is written and what is in it."""

    cases: tuple[tuple[Any, Any], ...]

    def build(self, numbers: Iterator[Any]) -> Any:
        which = int(next(numbers))
        made = [
            obj if how is None else (how, [assembled(part, numbers) for part in obj])
            for how, obj in self.cases
        ]
        return made[which] if self.cases[which][0] is None else written(*made[which])


@dataclass(eq=False, slots=True)
class Written(Template):
    """A text of objects: `how` is "f" and the parts of an f-string, "%" or "format" and a text
    (with the names of what is given by name), "join" (of a list: "joined") and what is between, "+",
    or "one" and several of those."""

    how: tuple[Any, ...]
    parts: list[Template]

    def build(self, call: Call) -> Any:
        return written(self.how, [t.build(call) for t in self.parts])


def written(how: tuple[Any, ...], objects: list[Any]) -> Any:
    if how[0] == "%":
        return how[1] % (tuple(objects) if how[2] else objects[0])
    if how[0] == "format":
        count = len(objects) - len(how[2])
        return how[1].format(*objects[:count], **dict(zip(how[2], objects[count:], strict=True)))
    if how[0] == "join":
        return how[1].join(objects)
    if how[0] == "+":
        return objects[0] + objects[1]
    if how[0] == "joined":
        return how[1].join(objects[0])
    if how[0] == "one":
        which, rest = objects[0], iter(objects[1:])
        ways = [c if not isinstance(c, tuple) else (c[0], [next(rest) for _ in range(c[1])]) for c in how[1]]
        return written(*ways[which]) if isinstance(ways[which], tuple) else ways[which]
    made, rest = "", iter(objects)
    for part in how[1]:
        if isinstance(part, str):
            made += part
            continue
        conversion, spec = part
        obj = CONVERSIONS[conversion](next(rest))
        made += format(obj, next(rest) if spec else "")
    return made


def itself(x: Any) -> Any:
    return x


#: What stands behind the `!` in an f-string, by its number in the syntax tree.
CONVERSIONS: dict[int, Any] = {-1: itself, 115: str, 114: repr, 97: ascii}


@dataclass(eq=False, slots=True)
class Table(Template):
    """A dict."""

    kind: type
    items: dict[Any, Template]
    factory: Template | None = None
    """Of a defaultdict, what it calls for a missing key."""

    def build(self, call: Call) -> Any:
        if id(self) not in call.made:
            made: Any = dict.__new__(self.kind)
            if isinstance(made, defaultdict) and self.factory is not None:
                made.default_factory = self.factory.build(call)
            call.made[id(self)] = made
            put: Any = OrderedDict.__setitem__ if isinstance(made, OrderedDict) else dict.__setitem__
            for k, t in self.items.items():
                put(made, k, t.build(call))
        return call.made[id(self)]


@dataclass(eq=False, slots=True)
class Deque(Template):
    """A `collections.deque`; the template of its items is a list's."""

    items: Template
    most: Template

    def build(self, call: Call) -> Any:
        if id(self) not in call.made:
            made: Any = deque(maxlen=self.most.build(call))
            call.made[id(self)] = made
            made.extend(self.items.build(call))
        return call.made[id(self)]


@dataclass(eq=False, slots=True)
class Object(Template):
    """An object of a Python class, by its fields."""

    cls: type
    fields: dict[str, Template]

    def build(self, call: Call) -> Any:
        if id(self) not in call.made:
            base = Exception if issubclass(self.cls, Exception) else object
            made: Any = base.__new__(self.cls)
            call.made[id(self)] = made
            for name, template in self.fields.items():
                object.__setattr__(made, name, template.build(call))
        return call.made[id(self)]


def spelled(template: Template, names: list[str]) -> str | None:
    """The expression that makes an object from the results of these names; None if there is none."""
    match template:
        case Kept(obj=obj) if obj is None or type(obj) in (int, float, bool, str):
            return repr(obj)
        case Result(index=k, kind=kind) if kind.__module__ in ("builtins", "numpy"):
            return f"{'np.' if kind.__module__ == 'numpy' else ''}{kind.__name__}({names[k]})"
        case ArrayResult(index=k, dtype=dtype) if not dtype.startswith("complex"):
            return names[k]
        case Items(kind=kind, items=items) if kind in (tuple, list):
            inner = [spelled(t, names) for t in items]
            if any(t is None for t in inner):
                return None
            text = "".join(f"{t}, " for t in inner) if kind is tuple else ", ".join(map(str, inner))
            return f"({text})" if kind is tuple else f"[{text}]"
        case Written(how=("f", parts), parts=objects):
            text, used = fields(parts, objects)
            inner = [spelled(t, names) for t in used]
            if all(t is not None for t in inner):
                return f"{text!r}.format({', '.join(map(str, inner))})"
        case Written(how=("format", text, by_name), parts=objects):
            inner = [spelled(t, names) for t in objects]
            if all(t is not None for t in inner):
                labels = [""] * (len(objects) - len(by_name)) + [f"{name}=" for name in by_name]
                shown = ", ".join(f"{label}{t}" for label, t in zip(labels, inner, strict=True))
                return f"{text!r}.format({shown})"
    return None


def fields(parts: tuple[Any, ...], objects: list[Template]) -> tuple[str, list[Template]]:
    """The parts of an f-string as a text for `format`, and what that is given."""
    made, used, rest = "", list[Template](), iter(objects)
    for part in parts:
        if isinstance(part, str):
            made += part.replace("{", "{{").replace("}", "}}")
            continue
        used.append(next(rest))
        made += "{" + {115: "!s", 114: "!r", 97: "!a"}.get(part[0], "")
        if part[1]:
            spec = next(rest)
            if isinstance(spec, Kept):
                made += f":{spec.obj}"
            else:
                made += ":{}"
                used.append(spec)
        made += "}"
    return made, used


@dataclass(eq=False, slots=True)
class Put(Template):
    """What a global, a closure cell, or an attribute of a class or a function holds."""

    value: Template

    def build(self, call: Call) -> Any:
        return self.value.build(call)


@dataclass(eq=False, slots=True)
class Fields(Template):
    """What an object from outside has in its fields, but for those that stay what they are."""

    fields: dict[str, Template]
    stay: frozenset[str]

    def build(self, call: Call) -> dict[str, Any]:
        return {k: t.build(call) for k, t in self.fields.items()}


@dataclass(eq=False, slots=True)
class Write:
    """Something mutable from outside that the call has changed: what it holds afterwards."""

    target: Path
    content: Items | Rows | Table | Fields | Put

    def ready(self, call: Call) -> Callable[[], None]:
        """What makes the change: everything is read now."""

        def built(t: Template) -> Any:
            return t.build(call)

        if isinstance(self.content, Put):
            return partial(place, self.target, built(self.content), call)
        target = self.target.read(call.args, call.kwargs)
        match self.content:
            case Items(items=items):
                return partial(_refill, target, list(map(built, items)))
            case Rows() as rows:
                return partial(_refill, target, rows.build(call))
            case Table(items=table):
                return partial(_retable, target, {k: built(t) for k, t in table.items()})
            case Fields() as fields:
                return partial(_reset, target, fields.build(call), fields.stay)


def change(writes: list[Write], call: Call) -> None:
    """Make the changes of a call, which exchange what they read perhaps."""
    for change in [write.ready(call) for write in writes]:
        change()


def _refill(target: list[Any] | deque[Any], items: list[Any]) -> None:
    if isinstance(target, list):
        target[:] = items
    else:
        target.clear()
        target.extend(items)


def _retable(target: dict[Any, Any], items: dict[Any, Any]) -> None:
    target.clear()
    target.update(items)


def _reset(target: Any, fields: dict[str, Any], stay: frozenset[str]) -> None:
    for name in [n for n in vars(target) if n not in stay and n not in fields]:
        object.__delattr__(target, name)
    for name, value in fields.items():
        object.__setattr__(target, name, value)


def place(path: Path, value: Any, call: Call) -> None:
    match path:
        case Content(cell=Held(obj=cell)):
            cell.cell_contents = value
        case Global(namespace=Held(obj=names), name=name):
            names[name] = value
        case Field(of=of, name=name):
            setattr(of.read(call.args, call.kwargs), name, value)
