"""Sets that the program makes and changes: how they were made, so that their order is Python's own."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tapeless.backends.native.staging.builtin_table import BUILTINS, NONE
from tapeless.backends.native.staging.control import Iteration
from tapeless.backends.native.staging.iterables import Iter
from tapeless.backends.native.staging.joins import Maybe
from tapeless.backends.native.staging.values import Instance, Static, Value

#: Methods that change a set and give it, or nothing.
CHANGING = (
    "add", "discard", "remove", "clear", "update", "intersection_update", "difference_update",
    "symmetric_difference_update", "__ior__", "__iand__", "__isub__", "__ixor__",
)  # fmt: skip
#: Methods whose argument is an item.
OF_ITEMS = ("add", "discard", "remove", "__contains__")
#: Methods that make a set, or tell something.
ASKING = (
    "copy", "union", "intersection", "difference", "symmetric_difference",
    "issubset", "issuperset", "isdisjoint",
    "__or__", "__and__", "__sub__", "__xor__", "__ror__", "__rand__", "__rsub__", "__rxor__",
    "__eq__", "__ne__", "__le__", "__lt__", "__ge__", "__gt__", "__len__", "__contains__",
)  # fmt: skip
#: The longest history of a set.
LONGEST = 300


@dataclass(eq=False, slots=True)
class Made:
    """A set, by the function that makes or changes it and what that is given."""

    how: Callable[..., Any]
    of: tuple[Any, ...]
    age: int = 1

    def build(self) -> Any:
        given = [x.build() if isinstance(x, Made) else x for x in self.of]
        made = self.how(*given)
        return given[0] if made is None else made


def literal(*items: Any) -> set[Any]:
    made = set()
    for x in items:
        made.add(x)
    return made


def of_constants(*items: Any) -> set[Any]:
    """As CPython's compiler has it: at once, from a frozen set."""
    made: set[Any] = set()
    made.update(frozenset(items))
    return made


def popped(of: set[Any]) -> None:
    of.pop()


def is_set(value: Any) -> bool:
    return isinstance(value, Instance) and value.cls is set


def born(s: Any, how: Callable[..., Any], *of: Any) -> Value:
    """A set that the program makes."""
    age = 1 + sum(x.age for x in of if isinstance(x, Made))
    if age > LONGEST:
        s.refuse("a set that is changed very often", "make it outside the compiled function")
    value: Value = s.heap.born(Instance(set, {"made": Static(Made(how, of, age))}))
    return value


def made(s: Any, items: Value | None) -> Value:
    """`set(items)`."""
    if items is None:
        return born(s, set)
    if is_set(items):
        return born(s, set, history(s, items))
    if isinstance(items, Static) and isinstance(items.obj, frozenset):
        return born(s, set, items.obj)
    return born(s, set, given(s, items))


def history(s: Any, owner: Any) -> Made:
    """How a set has been made."""
    found = s.instance_attribute(owner, "made")
    if not isinstance(found, Static):
        s.refuse("a set that is another one on each path of the program", "use an array of truths")
    made: Made = found.obj
    return made


def given(s: Any, items: Value) -> Any:
    """An argument that is gone through."""
    if is_set(items):
        return history(s, items)
    if isinstance(items, Static):
        return items.obj
    return [s.known(v) for v in s.listed(items)]


def contents(s: Any, owner: Value) -> set[Any]:
    built: set[Any] = history(s, owner).build()
    return built


def known(s: Any, owner: Value) -> Value:
    """A set as one that does not change."""
    return Static(frozenset(contents(s, owner)))


def iteration(s: Any, owner: Any) -> Iteration:
    """The items, in Python's order."""
    before = history(s, owner)

    def more() -> Any:
        for x in before.build():
            if history(s, owner) is not before:
                s.throw(RuntimeError, "Set changed size during iteration")
                return
            yield s.constant(x)

    return Iteration([s.constant(x) for x in before.build()], more=more)


def on_each(method: Callable[..., Value]) -> Callable[..., Value]:
    """A method, staged for each way that the set may have been made."""

    @functools.wraps(method)
    def run(name: str, s: Any, owner: Value, *args: Value) -> Value:
        if not is_set(owner):
            value: Value = s.evaluate(getattr(set, name), owner, *args)
            return value
        found = s.instance_attribute(owner, "made")
        if isinstance(found, Maybe):

            def on_path(one: Value) -> Value:
                s.set_field(owner, "made", one)
                return run(name, s, owner, *args)

            value = s.resolved(on_path, found)
            return value
        try:
            return method(name, s, owner, *args)
        except (TypeError, LookupError) as error:
            s.throw(type(error), *error.args)
            return NONE

    return run


@on_each
def change(name: str, s: Any, owner: Any, *args: Value) -> Value:
    before = history(s, owner)
    items = [s.known(a) if name in OF_ITEMS else given(s, a) for a in args]
    age = before.age + 1 + sum(x.age for x in items if isinstance(x, Made))
    if age > LONGEST:
        s.refuse("a set that is changed very often", "make it outside the compiled function")
    after = Made(getattr(set, name), (before, *items), age)
    if after.build() is NotImplemented:
        return Static(NotImplemented)
    s.set_field(owner, "made", Static(after))
    return owner if name.startswith("__i") else NONE


@on_each
def ask(name: str, s: Any, owner: Value, *args: Value) -> Value:
    if name == "__contains__" and not s.is_known(args[0]):
        found: Value = s.contains(known(s, owner), args[0])
        return found
    before = history(s, owner)
    items = [s.known(a) if name in OF_ITEMS else given(s, a) for a in args]
    result = Made(getattr(set, name), (before, *items)).build()
    if isinstance(result, set):
        return born(s, getattr(set, name), before, *items)
    return Static(result)


@on_each
def pop(name: str, s: Any, owner: Any) -> Value:
    before = history(s, owner)
    found = before.build().pop()
    s.set_field(owner, "made", Static(Made(popped, (before,), before.age + 1)))
    value: Value = s.constant(found)
    return value


@on_each
def gone_through(name: str, s: Any, owner: Value) -> Value:
    return Iter(s, lambda: iteration(s, owner))


for _name in CHANGING:
    BUILTINS[getattr(set, _name)] = functools.partial(change, _name)
for _name in ASKING:
    BUILTINS[getattr(set, _name)] = functools.partial(ask, _name)
BUILTINS[set.pop] = functools.partial(pop, "pop")
BUILTINS[set.__iter__] = functools.partial(gone_through, "__iter__")
