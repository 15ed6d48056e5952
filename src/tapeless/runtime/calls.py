"""Calls of untyped values: what is opened through its source, what has a rule, and what may run as it is."""

from __future__ import annotations

import dataclasses
import dis
import functools
import sys
import types
import weakref
from collections import deque
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from tapeless.autodiff.dual import DUAL_CODES, dual_of
from tapeless.errors import MissingRuleError, SourceUnavailableError, UntrackedMutationError
from tapeless.rules import lookup, tangent
from tapeless.rules.registry import Elementwise, Linear, Nondifferentiable
from tapeless.runtime.attributes import on_class
from tapeless.runtime.construct import Construct
from tapeless.runtime.items import nones, tuple_tangent
from tapeless.runtime.known import ACCELERATORS, CALLABLE_TYPES, HANDLERS, INERT_EXTENSIONS, INERT_MODULES, TEXT_MODULES, TWINS
from tapeless.runtime.mirrors import ATOMS, Slot, owner
from tapeless.runtime.operators import BINARY, UNARY

_DISPATCHER = type(np.mean)
_LRU = type(functools.lru_cache(lambda: None))
_MAKERS = (BuiltinFunctionType, types.MethodDescriptorType, types.WrapperDescriptorType, types.ClassMethodDescriptorType, np.ufunc)


_QUIET_METHODS = frozenset(
    "__eq__ __ne__ __lt__ __le__ __gt__ __ge__ __hash__ __repr__ __str__ __format__ __bool__ __len__ __contains__ __sizeof__ "
    "__dir__ __delattr__ __int__ __index__".split()
)
_OPERATORS: dict[str, tuple[Any, bool, Any]] = {}
for _spec in BINARY.values():
    _OPERATORS[_spec[2]] = (_spec[0], False, lookup(_spec[0]))
    _OPERATORS[_spec[3]] = (_spec[0], True, lookup(_spec[0]))
for _unary in UNARY.values():
    _OPERATORS[_unary[1]] = (_unary[0], False, lookup(_unary[0]))


#: types of real numbers
REALS = frozenset({float, int, bool, np.float64})
_KNOWN_ARGUMENTS = ATOMS | {np.ndarray, list, tuple}
_needs_result: dict[int, tuple[Any, bool]] = {}


def needs_result(rule: Any) -> bool:
    """Whether a rule reads the value of the function, so that a copy of it must be kept."""
    found = _needs_result.get(id(rule))
    if found is None:
        needed = True
        if type(rule) is Elementwise:
            lambdas = rule.partials if isinstance(rule.partials, tuple) else (rule.partials,)
            codes = [p.__code__ for p in lambdas if p is not None]
            needed = any(c.co_varnames[0] in {i.argval for i in dis.get_instructions(c)} for c in codes)
        elif type(rule) is Linear:
            needed = False
        found = _needs_result[id(rule)] = (rule, needed)
    return found[1]


_QUIET_RULES: dict[int, tuple[Any, bool]] = {}
_QUIET_NAMES = frozenset("np math cos sin cosh sinh conj conjugate sign where ones_like zeros_like".split())


def may_warn(rule: Any) -> bool:
    """Whether evaluating a rule's partials may divide by zero or leave a domain, so that NumPy would warn."""
    found = _QUIET_RULES.get(id(rule))
    if found is None:
        warns = type(rule) is not Linear
        if type(rule) is Elementwise:
            lambdas = rule.partials if isinstance(rule.partials, tuple) else (rule.partials,)
            steps = [i for p in lambdas if p is not None for i in dis.get_instructions(p.__code__)]
            warns = any(
                (i.opname == "BINARY_OP" and i.argrepr not in ("+", "-", "*"))
                or (i.opname in ("LOAD_GLOBAL", "LOAD_ATTR", "LOAD_METHOD", "LOAD_DEREF") and i.argval not in _QUIET_NAMES)
                for i in steps
            )
        found = _QUIET_RULES[id(rule)] = (rule, warns)
    return found[1]


class Calls(Construct):
    """`call`, `call_method` and what they need."""

    def call(self, f: Any, args: Any, ts: Any, kw: Any = None, kts: Any = None) -> tuple[Any, Any]:
        kind = type(f)
        if kind is FunctionType:
            known = self.opened.get(f)
            if known is not None:
                if kw or known.binds or len(args) != known.count:
                    args, ts = self.bind(f, args, ts, kw or {}, kts or {})
                return known.call(self, args, ts, f, known.constants)  # type: ignore[no-any-return]
            handler = HANDLERS.get(f)
            if handler is not None:
                return handler(self, args, ts, kw or {}, kts or {})  # type: ignore[no-any-return]
            rule = lookup(f)
            if rule is not None:
                return self.primitive(rule, f, args, ts, kw, kts)
            return self.enter(f, args, ts, kw, kts)
        if kind is MethodType:
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
            if me is not None and (kind is types.MethodWrapperType or not isinstance(me, (ModuleType, type))):
                found = _descriptor(type(me), f)
                if found is not None:
                    t = self.look(f, "__self__") if isinstance(me, (tuple, float, complex)) else None
                    return self.call_descriptor(found, f, (me, *args), (t, *ts), kw, kts)
            return self.foreign(f, args, ts, kw, kts)
        if kind is _DISPATCHER:
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
        method = getattr(kind, "__call__", None)
        if type(method) is FunctionType:
            return self.enter(method, (f, *args), (None, *ts), kw, kts)
        if method is not None and type(method) not in (types.WrapperDescriptorType, types.MethodWrapperType):
            return self.call(method, (f, *args), (None, *ts), kw, kts)
        return self.foreign(f, args, ts, kw, kts)

    def call_method(self, x: Any, dx: Any, name: str, args: Any, ts: Any, kw: Any = None, kts: Any = None) -> tuple[Any, Any]:
        kind = type(x)
        if kind is ModuleType or kind is np.ufunc:
            return self.call(getattr(x, name), args, ts, kw, kts)
        if type(kind.__getattribute__) is not FunctionType and not isinstance(x, type) and kind is not super:
            found = getattr(kind, name, None)
            how = type(found)
            if how is FunctionType:
                attributes = getattr(x, "__dict__", None)
                if attributes is None or name not in attributes:
                    if on_class(kind, name) is found:
                        return self.call(found, (x, *args), (dx, *ts), kw, kts)
            elif how is types.MethodDescriptorType:
                return self.call_descriptor(found, None, (x, *args), (dx, *ts), kw, kts)
        f, _ = self.getattr(x, dx, name)
        return self.call(f, args, ts, kw, kts)

    def call_descriptor(self, found: Any, bound: Any, args: Any, ts: Any, kw: Any, kts: Any) -> tuple[Any, Any]:
        """A method of a C type: `args[0]` is the object."""
        handler = HANDLERS.get(found)
        if handler is not None:
            return handler(self, args, ts, kw or {}, kts or {})  # type: ignore[no-any-return]
        twin = TWINS.get(found)
        if twin is not None:
            return self.enter(twin, args, ts, kw, kts)
        rule = lookup(found)
        if rule is not None:
            return self.primitive(rule, found, args, ts, kw, kts)
        if type(found) is types.WrapperDescriptorType:
            special = self.special_method(found, args, ts, kw or {})
            if special is not None:
                return special
        return self.foreign(found, args, ts, kw, kts)

    def special_method(self, found: Any, args: Any, ts: Any, kw: Any) -> tuple[Any, Any] | None:
        """`float.__mul__(a, b)` and the like, asked for by name."""
        name, home = found.__name__, found.__objclass__
        if name == "__next__":
            return self.next(args[0])
        if name == "__iter__":
            return self.iter_of(args[0], ts[0]), None
        if name == "__init__" and issubclass(home, BaseException):
            found(*args, **kw)
            self.put(args[0], "args", tuple_tangent(ts[1:]))
            return None, None
        if name in _QUIET_METHODS:
            return found(*args, **kw), None
        if name in _OPERATORS and not isinstance(args[0], (list, dict, set, np.ndarray)):
            value = found(*args, **kw)
            if value is NotImplemented:
                return value, None
            op, swapped, rule = _OPERATORS[name]
            values, tangents = (args[::-1], ts[::-1]) if swapped else (args, ts)
            del op
            if isinstance(args[0], (float, complex, int, np.generic)) and rule is not None:
                t = self.derive(rule, value, values, {}, tuple(self.tangent_of(v, t) for v, t in zip(values, tangents, strict=True)), {})
                return value, t
        if name == "__get__":
            return found(*args, **kw), None
        return None

    # ---- opening Python functions

    def enter(self, f: FunctionType, args: Any, ts: Any, kw: Any = None, kts: Any = None) -> tuple[Any, Any]:
        code = f.__code__
        if f.__module__ == "statistics" and f not in HANDLERS:
            from tapeless.runtime.formulas import formula_loaded

            if formula_loaded("statistics") and f in HANDLERS:
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
                self.fail(error)
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
            if text or not self.reaches((*args, *kw.values()), (*ts, *kts.values())):
                self.snapshots.clear()
                return f(*args, **kw), None
        if f.__name__ == "__init__" and args and dataclasses.is_dataclass(type(args[0])):
            for cls in type(args[0]).__mro__:
                if cls.__dict__.get("__init__") is f:
                    return self.dataclass_init(cls, f, args, ts, kw, kts)
        if f.__name__ in ("__eq__", "__repr__", "__hash__", "__lt__", "__le__", "__gt__", "__ge__", "__delattr__"):
            return f(*args, **kw), None
        if f.__name__ == "__setattr__" and args and dataclasses.is_dataclass(type(args[0])):
            return f(*args, **kw), None
        return None

    def bind(self, f: FunctionType, args: Any, ts: Any, kw: dict[str, Any], kts: dict[str, Any]) -> tuple[Any, Any]:
        """Values and companions of all parameters, in order; Python's own message if they do not fit."""
        code = f.__code__
        n, m, posonly = code.co_argcount, code.co_kwonlyargcount, code.co_posonlyargcount
        names = code.co_varnames
        flags = code.co_flags
        values, tangents = list(args[:n]), list(ts[:n])
        if len(args) > n and not flags & 4:
            f(*args, **kw)
        kw, kts = dict(kw), dict(kts)
        defaults = f.__defaults__ or ()
        default_ts = self.look(f, "__defaults__") or nones(len(defaults))
        for i in range(len(values), n):
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
        given = len(args)
        for name in names[posonly : min(given, n)]:
            if name in kw:
                f(*args, **kw)
        if flags & 4:
            values.append(tuple(args[n:]))
            tangents.append(tuple_tangent(ts[n:]))
        kwdefaults = f.__kwdefaults__ or {}
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
                self.put(rest, name, t)
            values.append(rest)
            tangents.append(None)
        elif kw:
            f(*args, **kw)
            raise TypeError(f"{f.__qualname__}() got an unexpected keyword argument {next(iter(kw))!r}")
        return values, tangents

    # ---- primitives

    def tangent_of(self, x: Any, t: Any) -> Any:
        """The tangent of an argument of a primitive: arrays through their mirror, containers by element."""
        if isinstance(x, np.ndarray):
            if not self.arrays or x.dtype.kind not in "fc":
                return None
            base = owner(x)
            m = self.arrays.get(id(base))
            if m is None or m.ref() is not base:
                return None
            return self.read(m, base, x)
        if isinstance(x, (list, tuple)):
            if type(x) is tuple or isinstance(x, tuple):
                inner = t if t is not None else nones(len(x))
            else:
                m_list = self.mirrors.get(id(x))
                inner = m_list.data if m_list is not None else None
                if inner is None:
                    if not x or (not self.arrays and not self.mirrors) or all(type(e) in ATOMS for e in x):
                        return None
                    inner = nones(len(x))
            found = [self.tangent_of(e, et) for e, et in zip(x, inner, strict=True)]
            return found if any(e is not None for e in found) else None
        return t

    def settled(self, t: Any) -> Any:
        """A tangent as the rule book takes it."""
        return t

    def derive(self, rule: Any, y: Any, args: Any, kw: Any, ts: Any, kts: Any) -> Any:
        """The tangent of a result; derivative arithmetic does not warn."""
        if self.reverse and not may_warn(rule):
            return tangent(rule, y, args, kw, ts, kts)
        with np.errstate(all="ignore"):
            return tangent(rule, y, args, kw, ts, kts)

    def primitive(self, rule: Any, f: Any, args: Any, ts: Any, kw: Any = None, kts: Any = None) -> tuple[Any, Any]:
        """Call `f`, which has a rule, and derive the tangent of its result."""
        custom = getattr(rule, "run", None)
        if custom is not None:
            return custom(self, f, args, ts, kw or {}, kts or {})  # type: ignore[no-any-return]
        if type(rule) is Elementwise and not kw:
            for a in args:
                if type(a) not in REALS:
                    break
            else:
                return self.scalar(rule, f, args, ts)
        kw = kw or {}
        outs = _outputs(f, args, kw)
        if type(rule) is Nondifferentiable:
            value = f(*args, **kw)
            for out in outs:
                self.overwrite(out, (), None)
            return value, None
        for a in args:
            kind = type(a)
            if kind not in _KNOWN_ARGUMENTS or ((kind is list or kind is tuple) and not _KNOWN_ARGUMENTS.issuperset(map(type, a))):
                override = self.override(f, args, ts, kw, kts)
                if override is not None:
                    return override
                args, ts = self.known_arguments(f, args, ts)
                break
        targs = tuple([self.tangent_of(a, t) for a, t in zip(args, ts, strict=True)])
        tkw = {k: self.tangent_of(v, (kts or {}).get(k)) for k, v in kw.items()} if kw else {}
        for t in (*targs, *tkw.values()):
            if t is not None:
                break
        else:
            value = f(*args, **kw)
            for out in outs:
                self.overwrite(out, (), None)
            return value, None
        if outs:
            return self.primitive_out(rule, f, args, kw, targs, tkw, outs)
        y = f(*args, **kw)
        if self.reverse and not (type(rule) is Linear and rule.form == "one") and not (
            type(rule) is Elementwise and rule.constant
        ):
            t = self.derive(rule, self.frozen(y) if needs_result(rule) else y, tuple([self.frozen(a) for a in args]), kw, targs, tkw)
        elif self.reverse and type(rule) is Linear and len(args) + len(kw) > 1:  # the first argument lends its shape only
            kept = (args[0], *[self.frozen(a) for a in args[1:]])
            t = self.derive(rule, y, kept, {k: self.frozen(v) for k, v in kw.items()}, targs, tkw)
        else:
            t = self.derive(rule, y, args, kw, targs, tkw)
        return self.give(y, t, args)

    def override(self, f: Any, args: Any, ts: Any, kw: Any, kts: Any) -> tuple[Any, Any] | None:
        """A NumPy function of an object that overrides it in Python (`__array_ufunc__`, `__array_function__`)."""
        ufunc = type(f) is np.ufunc
        if not ufunc and type(f) is not _DISPATCHER:
            return None
        name = "__array_ufunc__" if ufunc else "__array_function__"
        for x in args:
            for e in x if type(x) in (list, tuple) else (x,):
                method = getattr(type(e), name, None)
                if type(method) is FunctionType:
                    if ufunc:
                        return self.call(method, (e, f, "__call__", *args), (None, None, None, *ts), kw, kts)
                    types_ = tuple({type(a) for a in args})
                    named = dict(kw)
                    for k, t in (kts or {}).items():
                        self.put(named, k, t)
                    return self.call(method, (e, f, types_, tuple(args), named), (None, None, None, tuple_tangent(ts), None))
        return None

    def known_arguments(self, f: Any, args: Any, ts: Any) -> tuple[Any, Any]:
        """Arguments as rules take them: what active values hide in becomes a list, a number or an array first."""
        values, tangents = list(args), list(ts)
        for i, x in enumerate(args):
            kind = type(x)
            if kind in _KNOWN_ARGUMENTS or isinstance(x, (np.ndarray, np.generic, list, tuple, float, complex, int)):
                continue
            if kind in ATOMS or not self.reaches((x,), (ts[i],)):
                continue
            if kind is memoryview or hasattr(x, "__array_interface__"):
                continue  # a window on memory that is found by its owner
            if hasattr(kind, "__next__") or kind in (deque, set, frozenset) or kind.__name__.startswith("dict_"):
                items, found = self.collect(x, ts[i])
                values[i], tangents[i] = self.filled(items, found), None
                continue
            for name in ("__array__", "__float__", "__complex__"):
                method = getattr(kind, name, None)
                if type(method) is FunctionType:
                    values[i], tangents[i] = self.call(method, (x,), (ts[i],))
                    break
            else:
                self.missing_rule(f"{_name(f)}() of a {kind.__name__}")
        return tuple(values), tuple(tangents)

    def scalar(self, rule: Any, f: Any, args: Any, ts: Any) -> tuple[Any, Any]:
        """An elementwise function of real numbers."""
        y = f(*args)
        for t in ts:
            if t is not None:
                return self.give(y, self.derive(rule, y, args, {}, ts, {}), args)
        return y, None

    def primitive_out(self, rule: Any, f: Any, args: Any, kw: Any, targs: Any, tkw: Any, outs: Any) -> tuple[Any, Any]:
        """A primitive that writes its result into arrays that it was given."""
        kept = tuple(a.copy() if isinstance(a, np.ndarray) else a for a in args)
        for out in outs:
            self.about_to_write(out)
        value = f(*args, **kw)
        n = getattr(f, "nin", None)
        if n is not None:
            kept, targs = kept[:n], targs[:n]
        kw = {k: v for k, v in kw.items() if k != "out"} | ({"out": kw["out"]} if kw.get("where", True) is not True else {})
        copies = tuple(o.copy() for o in outs)
        t = self.derive(rule, copies[0] if len(copies) == 1 else copies, kept, kw, targs, tkw)
        for out, one in zip(outs, t if isinstance(t, tuple) else (t,), strict=False):
            self.overwrite(out, (), one)
        return value, None

    def give(self, value: Any, t: Any, args: Any) -> tuple[Any, Any]:
        """The result of a primitive with its tangent: arrays get a mirror, containers element by element."""
        if t is None:
            return value, None
        if isinstance(value, np.ndarray):
            if value.dtype.kind in "fc":
                base, m = self.find_array(value)
                if m is None:
                    self.create(base, t, value)
            return value, None
        if type(value) is list:
            ts = [self.give(v, e, args)[1] for v, e in zip(value, t, strict=True)]
            return self.filled(value, ts), None
        if isinstance(value, tuple):
            return value, tuple_tangent([self.give(v, e, args)[1] for v, e in zip(value, t, strict=True)])
        if isinstance(value, (float, complex, np.inexact)):
            return value, t
        return value, None

    def foreign(self, f: Any, args: Any, ts: Any, kw: Any, kts: Any) -> tuple[Any, Any]:
        """A C function without a rule: it runs as it is if nothing active can be reached through its arguments."""
        kw = kw or {}
        me = getattr(f, "__self__", None)
        hidden = () if me is None or isinstance(me, ModuleType) else (me,)
        module = getattr(f, "__module__", None) or ""
        if module not in INERT_EXTENSIONS and self.reaches((*hidden, *args, *kw.values()), (*ts, *(kts or {}).values())):
            load = ACCELERATORS.pop(module, None)
            if load is not None:
                load()
                if f in TWINS:
                    return self.enter(TWINS[f], args, ts, kw, kts)
            self.missing_rule(f"{_name(f)}()")
        self.snapshots.clear()
        return f(*args, **kw), None

    def about_to_write(self, a: Any) -> None:
        """An array is going to be written: copies taken of it are stale, and shared arguments must not be."""
        self.snapshots.clear()
        if self.guarded and id(owner(a)) in self.guarded:
            filename, line = self.where()
            self.fail(
                UntrackedMutationError(
                    "cannot differentiate a store into an array that shares memory with another argument; pass a copy, x.copy(), "
                    "of one of them",
                    filename=filename,
                    line=line,
                )
            )

    # ---- errors

    def where(self) -> tuple[str, int]:
        """File and line of the user's program that is being run."""
        frame = sys._getframe(1)
        while frame is not None and frame.f_code not in DUAL_CODES:
            frame = frame.f_back  # type: ignore[assignment]
        return (frame.f_code.co_filename, frame.f_lineno) if frame is not None else ("<unknown>", 0)

    def fail(self, error: BaseException) -> Any:
        self.failure = error
        raise error

    def missing_rule(self, what: str) -> Any:
        filename, line = self.where()
        return self.fail(
            MissingRuleError(
                f"cannot differentiate {what}: it is not Python underneath, no derivative rule is known for it, and a "
                "value that depends on the differentiated arguments reaches it.\n"
                f"    Give a rule:  @tapeless.jvp_rule(f)  def _(x, dx): ...   (its tangent, linear in dx)\n"
                f"    or, if its result is not to be differentiated:  tapeless.constant(f)",
                filename=filename,
                line=line,
            )
        )

    def untracked(self, what: str) -> Any:
        filename, line = self.where()
        return self.fail(
            UntrackedMutationError(
                f"cannot differentiate the store into {what}: an active value would be kept where its derivative cannot "
                "follow.\n    Store it in a list, a dict, an array of floats or an attribute of an ordinary object, or pass "
                "tapeless.stop_gradient(value) if it is a constant there",
                filename=filename,
                line=line,
            )
        )

    # given by the modes
    reverse = False

    def read(self, m: Any, base: Any, a: Any) -> Any:
        raise NotImplementedError

    def create(self, base: Any, t: Any, a: Any) -> None:
        raise NotImplementedError


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


def _outputs(f: Any, args: Any, kw: dict[str, Any]) -> tuple[Any, ...]:
    """Arrays that a call writes its result into."""
    out = kw.get("out") if kw else None
    if out is not None:
        found = out if isinstance(out, tuple) else (out,)
    else:
        found = args[f.nin :] if type(f) is np.ufunc else ()
    return tuple(o for o in found if isinstance(o, np.ndarray))  # `out=...` asks for an array, whatever the shape


def _name(f: Any) -> str:
    owner_type = getattr(f, "__objclass__", None)
    module = getattr(f, "__module__", None)
    name = getattr(f, "__qualname__", None) or getattr(f, "__name__", None) or type(f).__name__
    if owner_type is not None:
        return f"{owner_type.__name__}.{getattr(f, '__name__', name)}"
    return f"{module}.{name}" if module and module != "builtins" else str(name)


__all__ = ["ACCELERATORS", "CALLABLE_TYPES", "HANDLERS", "TWINS", "Calls"]
