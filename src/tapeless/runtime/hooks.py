"""Special methods that C code calls: for truth, text, hashes and comparisons.

Those of a value itself are opened. Those that C code finds in containers run as they are: where such a
method leaves something in an object that a derivative could pass through, the program is refused.
"""

from __future__ import annotations

import builtins
import dis
import operator
import weakref
from collections import deque
from collections.abc import Iterable
from types import FunctionType, GetSetDescriptorType, MemberDescriptorType
from typing import Any

from tapeless.errors import UntrackedMutationError
from tapeless.runtime.calls import HANDLERS
from tapeless.runtime.handlers import Handler, Pair, handle
from tapeless.runtime.known import TEXT_MODULES
from tapeless.runtime.mirrors import ATOMS, references
from tapeless.runtime.operators import is_python, on_class
from tapeless.runtime.state import State
from tapeless.runtime.structure import plan_of, walk

#: Special methods that C code may call where it makes text, hashes, numbers or compares.
_SPECIAL = (
    "__repr__ __str__ __format__ __hash__ __eq__ __ne__ __lt__ __le__ __gt__ __ge__ __bool__ __len__ "
    "__index__ __int__ __bytes__ __fspath__ __dir__ __sizeof__ __length_hint__ __contains__"
).split()
_STORES = frozenset(
    {"STORE_ATTR", "STORE_SUBSCR", "STORE_GLOBAL", "STORE_DEREF", "DELETE_ATTR", "IMPORT_NAME"}
)
_FIELDS = (MemberDescriptorType, GetSetDescriptorType)
#: functions that make text or numbers of fields, and leave nothing behind
_HARMLESS = frozenset(
    "abs bool chr float format frozenset getattr hasattr hash id int isinstance len max min repr round "
    "sorted str sum tuple type zip NotImplemented super".split()
)
_KNOWN: dict[tuple[Any, type], bool] = {}
_MISSING = object()
_CONTAINERS = frozenset({list, tuple, dict, set, frozenset, deque})
#: modules whose objects have no special method in Python that keeps something
_OTHERS = frozenset({"builtins", "numpy", "_thread", "_io"}) | TEXT_MODULES
_NO_KEYWORDS: dict[str, Any] = {}


def leaves_something(f: Any, kind: type) -> bool:
    """Whether a special method of `kind` may do more than look at fields: it stores, or calls others."""
    if not is_python(f):
        return False
    code = getattr(f, "__code__", None)
    key = (code, kind)
    found = _KNOWN.get(key)
    if found is None:
        found = _KNOWN[key] = type(f) is not FunctionType or _may_store(f, kind)
    return found


def _may_store(f: FunctionType, kind: type) -> bool:
    for step in dis.get_instructions(f.__code__):
        name = step.argval
        if step.opname in _STORES:
            return True
        if step.opname in ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_DEREF"):
            if name not in _HARMLESS or f.__globals__.get(name, vars(builtins).get(name)) is not vars(
                builtins
            ).get(name):
                return True
        if step.opname in ("LOAD_ATTR", "LOAD_METHOD", "LOAD_SUPER_ATTR"):
            held = on_class(kind, name)
            if name not in ("__class__", "__name__", "__dict__") and not (
                held is None or isinstance(held, _FIELDS) or not hasattr(type(held), "__get__")
            ):
                return True
            if hasattr(kind, "__getattr__"):
                return True
    return False


def careful(kind: type) -> bool:
    """Whether C code that is given an object of `kind` may call Python that leaves something behind."""
    return any(leaves_something(on_class(kind, name), kind) for name in _SPECIAL)


def hook(x: Any, *names: str) -> Any:
    """The first of the special methods `names` that the class of `x` has, if it must be opened."""
    kind = type(x)
    if kind in ATOMS:
        return None
    for name in names:
        f = on_class(kind, name)
        if f is not None and f is not getattr(object, name, None):
            return (f, name) if leaves_something(f, kind) else None
    return None


# ---- what C code finds in containers


def watched(values: Iterable[Any]) -> list[tuple[Any, Any]]:
    """What `values` lead to, and what it holds now, if C code may call Python that changes it."""
    stack = [v for v in values if type(v) not in ATOMS]
    if not stack:
        return []
    seen: set[int] = set()
    found: list[Any] = []
    hooked = False
    while stack:
        x = stack.pop()
        if id(x) in seen:
            continue
        seen.add(id(x))
        kind = type(x)
        inside = kind in _CONTAINERS
        if inside and kind is not dict and ATOMS.issuperset(map(type, x)):
            continue
        if kind in weakref.ProxyTypes:  # what it stands for may be gone: isinstance() would raise
            stack += references(x)
            continue
        if issubclass(kind, (State, type)):
            continue
        if not inside and kind.__module__ in _OTHERS and not isinstance(x, BaseException):
            continue
        hooked = hooked or not inside and careful(kind)
        found.append(x)
        held = [*x, *x.values()] if kind is dict else x if inside else _held(x).values()
        stack += [r for r in held if type(r) not in ATOMS]
    return [(x, _held(x)) for x in found] if hooked else []


def _held(x: Any) -> dict[Any, Any]:
    if isinstance(x, dict):
        return dict(dict.items(x))
    if isinstance(x, list):
        return dict(enumerate(list.__iter__(x)))
    if isinstance(x, deque):
        return dict(enumerate(deque.__iter__(x)))
    held = dict(vars(x)) if type(x).__dictoffset__ else {}
    if isinstance(x, BaseException):
        held["args"] = x.args
    for cls in type(x).__mro__:
        for name, slot in vars(cls).items():
            if type(slot) is MemberDescriptorType:
                held[name] = getattr(x, name, _MISSING)
    return held


def unchanged(run: Any, before: list[tuple[Any, Any]], what: str) -> None:
    """Refuse a program in which Python called by C code left what a derivative could pass through."""
    for x, held in before:
        for name, value in _held(x).items():
            if value is not held.get(name, _MISSING) and _has_numbers(value):
                run.refuse(
                    UntrackedMutationError,
                    f"cannot differentiate {what}: a special method that it calls puts a value into "
                    f"{name!r} of a {type(x).__name__}, where its derivative cannot follow.\n"
                    f"    Let the program compute that value before",
                )


def _has_numbers(x: Any) -> bool:
    """Whether a derivative could pass through `x`."""
    return any(plan.kind in ("leaf", "number", "array") for plan in walk(plan_of(x, {})))


def quietly(run: Any, f: Any, args: Any, kw: Any = _NO_KEYWORDS) -> Any:
    """`f(*args, **kw)`, a C function whose result has no derivative."""
    if ATOMS.issuperset(map(type, args)) and not kw:
        return f(*args)
    before = watched((*args, *kw.values()))
    value = f(*args, **kw)
    if before:
        unchanged(run, before, f"{getattr(f, '__qualname__', f)}()")
    return value


def keyed(run: Any, f: Any, *args: Any) -> Any:
    """`f(*args)`, a C function that asks the last for its hash, its index or whether it equals another."""
    before = watched(args[-1:])  # not what holds it, which may be large
    value = f(*args)
    if before:
        unchanged(run, before, f"{getattr(f, '__qualname__', f)}()")
    return value


def quiet(f: Any) -> Handler:
    """The handler of a C function that may call special methods, and whose result has no derivative."""
    return lambda run, args, ts, kw, kts: (quietly(run, f, args, kw), None)


for _kind in (int, range, bytes, bytearray, memoryview, ascii, dir, operator.index, str.format, str.join):
    HANDLERS[_kind] = quiet(_kind)


# ---- text and hashes of a value itself


def text_of(run: Any, x: Any, *names: str) -> str:
    """`str(x)` or `repr(x)`, by the first of the special methods `names`."""
    found = hook(x, *names)
    if found is None:
        return quietly(run, str if len(names) > 1 else repr, (x,))  # type: ignore[no-any-return]
    text = run.special(*found, (x,), (None,))[0]
    if not isinstance(text, str):
        raise TypeError(f"{found[1]} returned non-string (type {type(text).__name__})")
    return text


def formatted(run: Any, x: Any, spec: Any) -> str:
    """`format(x, spec)`."""
    found = hook(x, "__format__")
    if found is not None:
        return run.special(*found, (x, spec), (None, None))[0]  # type: ignore[no-any-return]
    if spec == "" and hook(x, "__str__", "__repr__") is not None:
        return text_of(run, x, "__str__", "__repr__")
    return quietly(run, format, (x, spec))  # type: ignore[no-any-return]


@handle(str)
def _str(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    if len(args) != 1 or kw or type(args[0]) in ATOMS:
        return str(*args, **kw), None
    return text_of(run, args[0], "__str__", "__repr__"), None


@handle(repr)
def _repr(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    return text_of(run, args[0], "__repr__") if len(args) == 1 else repr(*args), None


@handle(format)
def _format(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    return formatted(run, *args, *([""] if len(args) == 1 else [])) if args else format(*args), None


@handle(print)
def _print(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    if not ATOMS.issuperset(map(type, args)):
        args = [a if type(a) in ATOMS else text_of(run, a, "__str__", "__repr__") for a in args]
    return quietly(run, print, args, kw), None


class _Hashed:
    def __init__(self, n: Any) -> None:
        self.n = n

    def __hash__(self) -> int:
        return self.n  # type: ignore[no-any-return]


@handle(hash)
def _hash(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    found = hook(args[0], "__hash__") if len(args) == 1 else None
    if found is None:
        return quietly(run, hash, args, kw), None
    return hash(_Hashed(run.special(*found, args, ts)[0])), None


@handle(bool)
def _bool(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    return run.truth(args[0], ts[0]) if len(args) == 1 and not kw else bool(*args, **kw), None
