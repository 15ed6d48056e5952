"""Calls of untyped values: what is opened through its source, what has a rule, and what may run as it is."""

from __future__ import annotations

import dataclasses
import types
import weakref
from collections import deque
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from tapeless.autodiff.dual import dual_of
from tapeless.errors import MissingRuleError, SourceUnavailableError
from tapeless.rules import lookup
from tapeless.rules.registry import Elementwise, Twin
from tapeless.runtime.construct import Construct
from tapeless.runtime.items import nones, tuple_tangent
from tapeless.runtime.known import (
    ACCELERATORS,
    CALLABLE_TYPES,
    COMPILING_MODULES,
    HANDLERS,
    INERT_MODULES,
    TEXT_MODULES,
    TWINS,
)
from tapeless.runtime.mirrors import Slot, has_tangent
from tapeless.runtime.operators import BINARY, UFUNCS, UNARY, inherits_from_array, on_class, power
from tapeless.runtime.outside import functions_in, names_in
from tapeless.runtime.primitives import DISPATCHER

_MAKERS = (
    BuiltinFunctionType,
    types.MethodDescriptorType,
    types.WrapperDescriptorType,
    types.ClassMethodDescriptorType,
    np.ufunc,
)


_C_FUNCTIONS = frozenset({BuiltinFunctionType, np.ufunc, DISPATCHER})
_QUIET_METHODS = frozenset(
    "__eq__ __ne__ __lt__ __le__ __gt__ __ge__ __hash__ __repr__ __str__ __format__ __bool__ __len__ "
    "__contains__ __sizeof__ __dir__ __delattr__ __int__ __index__".split()
)
#: builtin classes whose comparisons and texts ask what they hold
_HOLDERS = frozenset({list, tuple, dict, set, frozenset, deque, BaseException})
_OPERATORS: dict[str, tuple[Any, bool, Any]] = {}
for _spec in BINARY.values():
    _OPERATORS[_spec[2]] = (_spec[0], False, lookup(_spec[0]))
    _OPERATORS[_spec[3]] = (_spec[0], True, lookup(_spec[0]))
for _unary in UNARY.values():
    _OPERATORS[_unary[1]] = (_unary[0], False, lookup(_unary[0]))


#: name of an operator's method -> the operator, and which of its methods it is
BY_NAME = {spec[how]: (symbol, how) for symbol, spec in BINARY.items() for how in (2, 3, 4)}


class Calls(Construct):
    """`call`, `call_method` and what they need."""

    def call(self, f: Any, args: Any, ts: Any, kw: Any = None, kts: Any = None) -> tuple[Any, Any]:
        kind = type(f)
        if kind is FunctionType:
            known = self.opened.get(f)
            if known is not None:
                if kw or len(args) != known.count:
                    missing = known.count - len(args)
                    defaults = f.__defaults__
                    if not kw and missing > 0 and defaults and missing <= len(defaults):
                        more = self.look(f, "__defaults__")
                        args = (*args, *defaults[-missing:])
                        ts = (*ts, *(nones(missing) if more is None else more[-missing:]))
                    else:
                        args, ts = self.bind(f, args, ts, kw or {}, kts or {})
                return known.call(self, args, ts, f, known.constants)  # type: ignore[no-any-return]
            handler = HANDLERS.get(f)
            if handler is not None:
                return handler(self, args, ts, kw or {}, kts or {})  # type: ignore[no-any-return]
            rule = lookup(f)
            if rule is not None:
                if type(rule) is Twin:
                    return self.twinned(rule, f, args, ts, kw, kts)
                return self.primitive(rule, f, args, ts, kw, kts)
            return self.enter(f, args, ts, kw, kts)
        if kind in _C_FUNCTIONS:
            rule = self.routes.get(f)
            if rule is not None:
                if len(args) == 1 and type(args[0]) is float and type(rule) is Elementwise and not kw:
                    return self.scalar(rule, f, args, ts)
                return self.primitive(rule, f, args, ts, kw, kts)
        elif kind is MethodType:
            me = f.__self__
            t = self.look(f, "__self__") if isinstance(me, (tuple, float, complex)) else None
            return self.call(f.__func__, (me, *args), (t, *ts), kw, kts)
        try:
            handler = HANDLERS.get(f)
            if handler is None:
                twin = TWINS.get(f)
                if twin is not None:
                    return self.enter(twin, args, ts, kw, kts)
                rule = lookup(f)
                if rule is not None:
                    if type(rule) is Twin:
                        return self.twinned(rule, f, args, ts, kw, kts)
                    if kind in _C_FUNCTIONS:
                        self.routes[f] = rule
                    return self.primitive(rule, f, args, ts, kw, kts)
        except TypeError:
            if handler_of_unhashable(f):
                raise
            handler = None
        if handler is not None:
            return handler(self, args, ts, kw or {}, kts or {})  # type: ignore[no-any-return]
        if isinstance(f, type):
            return self.construct(f, args, ts, kw or {}, kts or {})
        if kind is BuiltinFunctionType or kind is types.MethodWrapperType:
            me = f.__self__
            if f.__name__ == "__new__" and isinstance(me, type):
                return self.new_object(me, args, ts, kw or {}, kts or {})
            if f.__name__ == "__call__" and isinstance(me, type):  # super().__call__ in a metaclass
                return self.instance(me, args, ts, kw or {}, kts or {})
            if me is not None and (kind is types.MethodWrapperType or not isinstance(me, (ModuleType, type))):
                found = _descriptor(type(me), f)
                if found is not None:
                    t = self.look(f, "__self__") if isinstance(me, (tuple, float, complex)) else None
                    return self.call_descriptor(found, f, (me, *args), (t, *ts), kw, kts)
            return self.foreign(f, args, ts, kw, kts)
        if kind is DISPATCHER:
            implementation = f._implementation
            if type(implementation) is FunctionType:
                return self.enter(implementation, args, ts, kw, kts)
            return self.call(implementation, args, ts, kw, kts)
        for cls in kind.__mro__:
            by_type = CALLABLE_TYPES.get(cls)
            if by_type is not None:
                return by_type(self, f, args, ts, kw or {}, kts or {})  # type: ignore[no-any-return]
        if kind is types.WrapperDescriptorType or kind is types.MethodDescriptorType:
            return self.call_descriptor(f, None, args, ts, kw, kts)
        if kind in _MAKERS:
            return self.foreign(f, args, ts, kw, kts)
        python = getattr(f, "py_func", None)
        if type(python) is FunctionType and kind.__module__.startswith("numba"):
            return self.call(python, args, ts, kw, kts)
        if kind.__name__ == "DUFunc" and kind.__module__.startswith("numba"):
            if kw or not self.reaches(args, ts):
                return self.foreign(f, args, ts, kw, kts)
            python = f._dispatcher.py_func
            numbers = all([isinstance(a, (float, complex, int)) for a in args])
            return self.call(python if numbers else np.vectorize(python), args, ts)
        method = getattr(kind, "__call__", None)  # noqa: B004
        if type(method) is FunctionType:
            return self.enter(method, (f, *args), (None, *ts), kw, kts)
        if method is not None and type(method) not in (types.WrapperDescriptorType, types.MethodWrapperType):
            if not hasattr(type(on_class(kind, "__call__")), "__get__"):  # a C function stays alone
                return self.call(method, args, ts, kw, kts)
            return self.call(method, (f, *args), (None, *ts), kw, kts)
        return self.foreign(f, args, ts, kw, kts)

    def call_method(
        self, x: Any, dx: Any, name: str, args: Any, ts: Any, kw: Any = None, kts: Any = None
    ) -> tuple[Any, Any]:
        kind = type(x)
        if kind is ModuleType or kind is np.ufunc:
            return self.call(getattr(x, name), args, ts, kw, kts)
        if type(kind.__getattribute__) is not FunctionType and not isinstance(x, type) and kind is not super:
            found = getattr(kind, name, None)
            how: Any = type(found)
            if how is FunctionType:
                attributes = getattr(x, "__dict__", None)
                if attributes is None or name not in attributes:
                    key = (kind, name)
                    if self.methods.get(key) is found or on_class(kind, name) is found:
                        self.methods[key] = found
                        return self.call(found, (x, *args), (dx, *ts), kw, kts)
            elif how is types.MethodDescriptorType:
                return self.call_descriptor(found, None, (x, *args), (dx, *ts), kw, kts)
        f, _ = self.getattr(x, dx, name)
        return self.call(f, args, ts, kw, kts)

    def call_descriptor(
        self, found: Any, bound: Any, args: Any, ts: Any, kw: Any, kts: Any
    ) -> tuple[Any, Any]:
        """A method of a C type: `args[0]` is the object."""
        handler = HANDLERS.get(found)
        if handler is not None:
            return handler(self, args, ts, kw or {}, kts or {})  # type: ignore[no-any-return]
        twin = TWINS.get(found)
        if twin is not None:
            return self.enter(twin, args, ts, kw, kts)
        rule = lookup(found)
        if type(rule) is Twin:
            return self.twinned(rule, found, args, ts, kw, kts)
        if rule is not None:
            return self.primitive(rule, found, args, ts, kw, kts)
        if type(found) is types.WrapperDescriptorType:
            special = self.special_method(found, args, ts, kw or {})
            if special is not None:
                return special
        if found.__objclass__ is np.generic and ts[0] is not None:  # what an array without axes does
            array, t = self.call(np.asarray, args[:1], ts[:1])
            return self.call_method(array, t, found.__name__, args[1:], ts[1:], kw, kts)
        return self.foreign(found, args, ts, kw, kts)

    def special_method(self, found: Any, args: Any, ts: Any, kw: Any) -> tuple[Any, Any] | None:
        """`float.__mul__(a, b)` and the like, asked for by name."""
        name, home = found.__name__, found.__objclass__
        if name == "__next__":
            return self.next(args[0])
        if name == "__iter__":
            return self.iter_of(args[0], ts[0], found), None
        if name == "__init__" and issubclass(home, BaseException):
            found(*args, **kw)
            self.put(args[0], "args", tuple_tangent(ts[1:]))
            return None, None
        if name in _QUIET_METHODS:
            asks = not kw and (home in _HOLDERS or home is object and name in ("__str__", "__format__"))
            return self.quietly(found, *args) if asks else found(*args, **kw), None
        if name in _OPERATORS and not isinstance(args[0], (list, dict, set, np.ndarray)):
            value = found(*args, **kw)
            if value is NotImplemented:
                return value, None
            op, swapped, rule = _OPERATORS[name]
            values, tangents = (args[::-1], ts[::-1]) if swapped else (args, ts)
            del op
            if isinstance(args[0], (float, complex, int, np.generic)) and rule is not None:
                t = self.derive(
                    rule,
                    value,
                    values,
                    {},
                    tuple(self.tangent_of(v, t) for v, t in zip(values, tangents, strict=True)),
                    {},
                )
                return value, t
        if name in BY_NAME and isinstance(args[0], np.ndarray) and home is np.ndarray:
            symbol, how = BY_NAME[name]
            if found(*args) is NotImplemented if how != 4 else False:
                return NotImplemented, None
            if symbol in UFUNCS and not inherits_from_array(type(args[0]), name):  # asked for by `super()`
                ufunc = power(*args) if name == "__pow__" else UFUNCS[symbol]
                operands, moved = (args[::-1], ts[::-1]) if how == 3 else (args, ts)
                n = ufunc.nin
                out = {"out": args[0]} if how == 4 else {}
                return self.call(ufunc, operands[:n], moved[:n], out, dict.fromkeys(out))
            if how == 4:
                return self.inplace(symbol, args[0], None, args[1], ts[1])
            if how == 3:
                return self.binary(symbol, args[1], ts[1], args[0], None)
            return self.binary(symbol, args[0], None, args[1], ts[1])
        if name in BY_NAME and home in _HOLDERS:  # asked for by `super()`
            symbol, how = BY_NAME[name]
            if how == 4:
                return self.container_inplace(symbol, args[0], args[1], ts[1])
            if found(*args) is NotImplemented:
                return NotImplemented, None
            pairs = list(zip(args, ts, strict=True))
            (x, dx), (y, dy) = pairs[::-1] if how == 3 else pairs
            return self.container_operator(symbol, x, dx, y, dy)
        if name == "__get__":
            return found(*args, **kw), None
        return None

    def twinned(self, rule: Twin, f: Any, args: Any, ts: Any, kw: Any, kts: Any) -> tuple[Any, Any]:
        """A function that has a twin: as it is where nothing active is reached."""
        kw = kw or {}
        given = (*args, *kw.values())
        if self.reaches(given, (*ts, *(kts or {}).values())) or self.reaches_by_name(given):
            return self.enter(rule.twin, args, ts, kw, kts)
        self.snapshots.clear()  # the function may call others, that write
        return f(*args, **kw), None

    def reaches_by_name(self, values: Any) -> bool:
        """Whether functions among `values` read active globals, or globals that lead to active values."""
        if not (self.mirrors or self.arrays):
            return False
        for f in functions_in(values):
            names = [n for n in names_in(f.__code__) if n in f.__globals__]
            for n in names:
                t = self.global_tangent(f.__globals__, n)
                if t is not None and has_tangent(t) or self.reaches((f.__globals__[n],)):
                    return True
        return False

    # ---- opening Python functions

    def enter(self, f: FunctionType, args: Any, ts: Any, kw: Any = None, kts: Any = None) -> tuple[Any, Any]:
        code = f.__code__
        if f.__module__ == "statistics" and f not in HANDLERS:
            from tapeless.runtime.formulas import formula_loaded

            if formula_loaded("statistics") and f in HANDLERS:
                return self.call(f, args, ts, kw, kts)
        exact = OF_INTEGERS.get(f.__module__)
        if exact is not None and f.__name__ in exact[0]:
            HANDLERS[f] = of_integers(f, exact[1])
            return self.call(f, args, ts, kw, kts)
        if code.co_filename.startswith("<") and f.__module__ != "__main__" or f.__module__ in INERT_MODULES:
            special = self.enter_special(f, args, ts, kw or {}, kts or {})
            if special is not None:
                return special
        try:
            dual = dual_of(f)
        except SourceUnavailableError as error:
            special = self.enter_special(f, args, ts, kw or {}, kts or {})
            if special is not None:
                return special
            if self.reaches((f, *args, *(kw or {}).values()), (*ts, *(kts or {}).values())):
                self.refuse(SourceUnavailableError, error.message)
            return f(*args, **(kw or {})), None
        if kw or code.co_flags & 12 or code.co_kwonlyargcount or len(args) != code.co_argcount:
            args, ts = self.bind(f, args, ts, kw or {}, kts or {})
        if dual.is_generator:
            slot = Slot()
            generator = dual.call(self, args, ts, f, dual.constants, slot)
            slot.ref = weakref.ref(generator)
            self.slots[id(generator)] = slot
            return generator, None
        self.opened[f] = dual
        return dual.call(self, args, ts, f, dual.constants)  # type: ignore[no-any-return]

    def enter_special(self, f: Any, args: Any, ts: Any, kw: Any, kts: Any) -> tuple[Any, Any] | None:
        """Functions that are run as they are, or whose source was made by a program."""
        if f.__module__ in INERT_MODULES and f.__code__.co_filename != "<string>":
            text = f.__module__.partition(".")[0] in TEXT_MODULES
            plain = text or f.__module__ in COMPILING_MODULES
            if plain or not self.reaches((*args, *kw.values()), (*ts, *kts.values())):
                self.snapshots.clear()
                if text:  # it may ask what it is given for its text
                    return self.quietly(f, *args, **kw), None
                return f(*args, **kw), None
        if str(f.__globals__.get("__name__")).startswith("namedtuple_"):
            if f.__name__ == "__new__":
                return self.tuple_made(f, args, ts, kw, kts)
            if f.__name__ == "__init__":
                return self.tuple_filled(f, args, kw, kts)
        if f.__name__ == "__init__" and args and dataclasses.is_dataclass(type(args[0])):
            for cls in type(args[0]).__mro__:
                if cls.__dict__.get("__init__") is f:
                    return self.dataclass_init(cls, f, args, ts, kw, kts)
        if f.__name__ in (
            "__eq__",
            "__repr__",
            "__hash__",
            "__lt__",
            "__le__",
            "__gt__",
            "__ge__",
            "__delattr__",
        ):
            return f(*args, **kw), None
        if f.__name__ == "__setattr__" and args and dataclasses.is_dataclass(type(args[0])):
            return f(*args, **kw), None
        return None

    def bind(
        self, f: FunctionType, args: Any, ts: Any, kw: dict[str, Any], kts: dict[str, Any]
    ) -> tuple[Any, Any]:
        """Values and companions of all parameters, in order; Python's own message if they do not fit."""
        code = f.__code__
        n, m, posonly = code.co_argcount, code.co_kwonlyargcount, code.co_posonlyargcount
        names = code.co_varnames
        flags, given = code.co_flags, len(args)
        if not n and not m and flags & 12 == 12 and not kw:  # what a decorator takes to pass it on
            return (args if type(args) is tuple else tuple(args), {}), (tuple_tangent(ts), None)
        if given > n and not flags & 4:
            f(*args, **kw)
        values, tangents = list(args[:n]), list(ts[:n])
        if kw:
            kw, kts = dict(kw), dict(kts)
        if given < n:
            defaults = f.__defaults__ or ()
            default_ts = self.look(f, "__defaults__") or nones(len(defaults))
            for i in range(given, n):
                name = names[i]
                if i >= posonly and name in kw:
                    values.append(kw.pop(name))
                    tangents.append(kts.pop(name, None))
                elif i >= n - len(defaults):
                    values.append(defaults[i - n + len(defaults)])
                    tangents.append(default_ts[i - n + len(defaults)])
                else:
                    f(*args, **kw)
                    raise TypeError(f"{f.__qualname__}() missing a required argument: {name!r}")
        for name in names[posonly : min(given, n)] if kw else ():
            if name in kw:
                f(*args, **kw)
        if flags & 4:
            values.append(tuple(args[n:]))
            tangents.append(tuple_tangent(ts[n:]))
        kwdefaults = (f.__kwdefaults__ or {}) if m else {}
        for name in names[n : n + m]:
            if name in kw:
                values.append(kw.pop(name))
                tangents.append(kts.pop(name, None))
            elif name in kwdefaults:
                values.append(kwdefaults[name])
                tangents.append(self.look(kwdefaults, name))
            else:
                f(*args, **kw)
        if flags & 8:
            rest = dict(kw)
            for name, t in kts.items():
                if t is not None:
                    self.put(rest, name, t)
            values.append(rest)
            tangents.append(None)
        elif kw:
            f(*args, **kw)
            raise TypeError(f"{f.__qualname__}() got an unexpected keyword argument {next(iter(kw))!r}")
        return values, tangents


#: module -> its functions that make numbers of integers from floats, and what is said of them
OF_INTEGERS = {
    "mpmath.libmp.libmpf": (
        ("from_float",),
        "mpmath's numbers are made of integers, through which no derivative passes: use mpmath.fp, whose "
        "numbers are floats",
    ),
    "fractions": (
        ("__new__", "from_float"),
        "fractions are made of integers, through which no derivative passes: compute with floats",
    ),
    "statistics": (
        ("_exact_ratio",),
        "this function of statistics computes with integers, through which no derivative passes: write out "
        "its formula",
    ),
}


def of_integers(f: Any, reason: str) -> Any:
    """The handler of such a function: without it, derivatives would end there."""

    def go(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> tuple[Any, Any]:
        if any(t is not None for t in (*ts, *kts.values())):
            run.refuse(MissingRuleError, f"cannot differentiate {f.__qualname__}(): {reason}")
        return f(*args, **kw), None

    return go


def handler_of_unhashable(f: Any) -> bool:
    """Whether a TypeError came from the call rather than from hashing the callable."""
    try:
        hash(f)
    except TypeError:
        return False
    return True


def _descriptor(kind: type, f: Any) -> Any:
    """The method of a C type that the bound method `f` was made from."""
    name = f.__name__
    home = getattr(f, "__objclass__", None)
    if home is not None:
        return home.__dict__.get(name)
    for cls in kind.__mro__:
        found = cls.__dict__.get(name)
        if type(found) in (types.MethodDescriptorType, types.WrapperDescriptorType):
            return found
    return None


__all__ = ["ACCELERATORS", "CALLABLE_TYPES", "HANDLERS", "TWINS", "Calls"]
