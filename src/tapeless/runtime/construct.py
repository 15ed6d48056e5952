"""Objects and classes: what happens when a class is called, and when one is made."""

from __future__ import annotations

import builtins
import dataclasses
import dis
import inspect
import sys
import types
from types import FunctionType, MemberDescriptorType
from typing import Any

import numpy as np

from tapeless.autodiff.dual import dual_of
from tapeless.errors import SourceUnavailableError
from tapeless.rules import lookup
from tapeless.runtime.items import tuple_tangent
from tapeless.runtime.known import HANDLERS, INERT_MODULES
from tapeless.runtime.mirrors import Mirror, has_tangent
from tapeless.runtime.operators import is_python
from tapeless.runtime.primitives import Primitives
from tapeless.runtime.structure import fields_of

_FACTORY = dataclasses._HAS_DEFAULT_FACTORY  # type: ignore[attr-defined]


class Construct(Primitives):
    """`construct`, `make_function`, `make_class` and what they need."""

    def bind(self, f: Any, args: Any, ts: Any, kw: dict[str, Any], kts: dict[str, Any]) -> tuple[Any, Any]:
        raise NotImplementedError

    # ---- classes

    def construct(
        self, cls: Any, args: Any, ts: Any, kw: dict[str, Any], kts: dict[str, Any]
    ) -> tuple[Any, Any]:
        meta_call = type(cls).__call__
        if type(meta_call) is FunctionType and type(cls).__module__ not in INERT_MODULES:
            return self.call(meta_call, (cls, *args), (None, *ts), kw, kts)
        if type(cls) is not type and type(meta_call) is FunctionType:
            if self.reaches((*args, *kw.values()), (*ts, *kts.values())):
                return self.foreign(cls, args, ts, kw, kts)
            self.snapshots.clear()
            return cls(*args, **kw), None
        return self.instance(cls, args, ts, kw, kts)

    def instance(
        self, cls: Any, args: Any, ts: Any, kw: dict[str, Any], kts: dict[str, Any]
    ) -> tuple[Any, Any]:
        """What `type.__call__(cls, …)` does."""
        new, init = cls.__new__, cls.__init__
        python_init = type(init) is FunctionType
        if new is object.__new__:
            if init is object.__init__:
                return cls(*args, **kw), None
            if not python_init:
                return self.foreign(cls, args, ts, kw, kts)
            if inspect.isabstract(cls):
                cls()
            obj = object.__new__(cls)
            self.call(init, (obj, *args), (None, *ts), kw, kts)
            return obj, None
        if type(new) is FunctionType:
            if (
                issubclass(cls, tuple)
                and hasattr(cls, "_fields")
                and new.__code__.co_filename.startswith("<")
            ):
                return self.named_tuple(cls, args, ts, kw, kts)
            obj, t = self.call(new, (cls, *args), (None, *ts), kw, kts)
            if isinstance(obj, cls) and type(type(obj).__init__) is FunctionType:
                self.call(type(obj).__init__, (obj, *args), (t, *ts), kw, kts)
            return obj, t
        if issubclass(cls, BaseException):
            obj = cls.__new__(cls, *args, **kw)
            self.put(obj, "args", tuple_tangent(ts))
            if python_init:
                self.call(init, (obj, *args), (None, *ts), kw, kts)
            else:
                init(obj, *args, **kw)
                if issubclass(cls, StopIteration) and ts:
                    self.put(obj, "value", ts[0])
            return obj, None
        for base in cls.__mro__:
            handler = HANDLERS.get(base)
            if handler is not None and base is not object:
                return self.construct_builtin(cls, base, handler, args, ts, kw, kts)
            if base in (float, complex) or base.__module__ == "numpy" and issubclass(base, np.generic):
                rule = lookup(base)
                if rule is not None:
                    return self.primitive(rule, cls, args, ts, kw, kts)
        if python_init and not self.reaches((*args, *kw.values()), (*ts, *kts.values())):
            obj = cls.__new__(cls, *args, **kw)
            self.call(init, (obj, *args), (None, *ts), kw, kts)
            return obj, None
        return self.foreign(cls, args, ts, kw, kts)

    def new_object(self, base: type, args: Any, ts: Any, kw: Any, kts: Any) -> tuple[Any, Any]:
        """`base.__new__(cls, …)` of a class that is not written in Python."""
        cls = args[0]
        if issubclass(base, BaseException):
            obj = base.__new__(*args, **kw)
            self.put(obj, "args", tuple_tangent(ts[1:]))
            return obj, None
        if base in (float, complex) or issubclass(base, np.generic):
            rule = lookup(base)
            if rule is not None and not kw and len(args) == 2:
                y = base.__new__(*args)
                return y, self.derive(rule, y, args[1:], {}, (self.tangent_of(args[1], ts[1]),), {})
        if base is type and len(args) == 4:
            self.check_keywords(args[1], kw, kts or {})
            return self.new_class(args, kw), None
        if base in (object, list, dict, set, type):
            return base.__new__(*args, **kw), None
        if base is frozenset and not kw:
            made, _ = self.call(frozenset, args[1:], ts[1:])
            obj = frozenset.__new__(args[0], made)
            self.put_all(obj, made)
            return obj, None
        if base is np.ndarray:
            buffer = kw.get("buffer", args[3] if len(args) > 3 else None)
            if buffer is None or isinstance(buffer, np.ndarray):
                return base.__new__(*args, **kw), None  # a window on memory, found by its owner
        del cls
        return self.foreign(base.__new__, args, ts, kw, kts)

    def construct_builtin(
        self, cls: Any, base: Any, handler: Any, args: Any, ts: Any, kw: Any, kts: Any
    ) -> tuple[Any, Any]:
        """An instance of a subclass of a builtin container or number."""
        if issubclass(base, (tuple, frozenset, float, complex, int, str, bytes)):
            made, t = handler(self, args, ts, kw, kts)
            obj = base.__new__(cls, made)
            if base is frozenset:
                self.put_all(obj, made)
            if isinstance(obj, cls) and type(cls.__init__) is FunctionType:
                self.call(cls.__init__, (obj, *args), (t, *ts), kw, kts)
            return obj, t
        obj = base.__new__(cls)
        if type(cls.__init__) is FunctionType:
            self.call(cls.__init__, (obj, *args), (None, *ts), kw, kts)
        else:
            self.call(base.__init__, (obj, *args), (None, *ts), kw, kts)
        return obj, None

    def put_all(self, x: Any, like: Any) -> None:
        """Give a set the companions of an equal one."""
        if id(like) in self.mirrors:
            self.mirrors[id(x)] = Mirror(x, dict(self.mirrors[id(like)].data))

    def named_tuple(
        self, cls: Any, args: Any, ts: Any, kw: dict[str, Any], kts: dict[str, Any]
    ) -> tuple[Any, Any]:
        value, t = self.tuple_made(cls.__new__, (cls, *args), (None, *ts), kw, kts)
        if type(cls.__init__) is FunctionType:
            self.call(cls.__init__, (value, *args), (t, *ts), kw, kts)
        return value, t

    def tuple_made(
        self, new: Any, args: Any, ts: Any, kw: dict[str, Any], kts: dict[str, Any]
    ) -> tuple[Any, Any]:
        """What the `__new__` that `namedtuple` has written does."""
        value = new(*args, **kw)
        names = new.__code__.co_varnames[: new.__code__.co_argcount]
        defaults = self.look(new, "__defaults__") or ()
        found = [*[None] * (len(names) - len(defaults)), *defaults]
        found[: len(ts)] = ts
        for name, t in kts.items():
            if name in names:  # others are for __init__
                found[names.index(name)] = t
        return value, tuple_tangent(found[1:])

    def tuple_filled(self, init: Any, args: Any, kw: dict[str, Any], kts: dict[str, Any]) -> tuple[Any, Any]:
        """What the `__init__` of SciPy's named tuples does, which have attributes besides their items."""
        init(*args, **kw)
        for name in kw:
            self.put_attribute(args[0], name, kts.get(name))
        return None, None

    def dataclass_init(
        self, cls: Any, init: Any, args: Any, ts: Any, kw: dict[str, Any], kts: dict[str, Any]
    ) -> tuple[Any, Any]:
        """What the `__init__` that `dataclasses` has written does."""
        obj = args[0]
        values, tangents = self.bind(init, args, ts, kw, kts)
        names = init.__code__.co_varnames[: len(values)]
        given = {n: (v, t) for n, v, t in zip(names, values, tangents, strict=True)}
        frozen = cls.__dataclass_params__.frozen
        extra: list[tuple[Any, Any]] = []
        passed = {*names[: len(args)], *kw}
        for name, spec in cls.__dataclass_fields__.items():
            is_initvar = spec._field_type is dataclasses._FIELD_INITVAR  # type: ignore[attr-defined]
            if spec._field_type is dataclasses._FIELD_CLASSVAR:  # type: ignore[attr-defined]
                continue
            if spec.init and name in given and given[name][0] is not _FACTORY:
                value, t = given[name]
                if name not in passed:  # the default, which the field holds with its companion
                    value, t = spec.default, self.look(spec, "default")
            elif spec.default_factory is not dataclasses.MISSING:
                value, t = self.call(spec.default_factory, (), ())
            elif spec.default is not dataclasses.MISSING:
                if not spec.init and type(cls.__dict__.get(name)) is not MemberDescriptorType:
                    continue
                value, t = spec.default, self.look(spec, "default")
            else:
                continue
            if is_initvar:
                extra.append((value, t))
            elif frozen:
                object.__setattr__(obj, name, value)
                self.put(obj, name, t)
            else:
                self.setattr(obj, name, value, t)
        if hasattr(obj, "__post_init__"):
            self.call_method(
                obj, None, "__post_init__", tuple(v for v, _ in extra), tuple(t for _, t in extra)
            )
        return None, None

    # ---- functions and classes written inside functions

    def make_function(
        self, code: Any, module: Any, defaults: Any, kwdefaults: Any, cells: Any, ts: Any, kts: Any
    ) -> Any:
        f = FunctionType(code, module, code.co_name, defaults or None, cells)
        if kwdefaults:
            f.__kwdefaults__ = kwdefaults
            for name, t in zip(kwdefaults, kts, strict=True):
                self.put(kwdefaults, name, t)
        if tuple_tangent(ts) is not None:
            self.put(f, "__defaults__", tuple(ts))
        return f

    def make_class(
        self,
        code: Any,
        name: str,
        around: Any,
        cells: Any,
        bases: Any,
        ts: Any,
        kw: Any = None,
        kts: Any = None,
    ) -> Any:
        """What a `class` statement does.  A body that may read something active is opened."""
        metas = [(kw or {}).get("metaclass", type), *map(type, bases)]
        if not any(type(getattr(m, "__new__", None)) is FunctionType for m in metas):
            self.check_keywords(name, kw or {}, kts or {})
        body = FunctionType(code, around.__globals__, name, None, cells)
        names = [n for n in code.co_names if n in around.__globals__]
        used = [around.__globals__[n] for n in names]
        calls = any(i.opname.startswith("CALL") for i in dis.get_instructions(code))
        used += [c for c in cells if calls or cell_read_by(code, c, body)]
        stored = [self.look(around.__globals__, n) for n in names] if self.module_stores else []
        if not self.reaches((*used, *bases), stored):
            return build_class(body, name, bases, kw or {})
        resolved = types.resolve_bases(bases)
        meta, namespace, _ = types.prepare_class(name, resolved, kw)
        rest = {k: v for k, v in (kw or {}).items() if k != "metaclass"}
        try:
            dual = dual_of(body, True)
        except SourceUnavailableError as error:
            self.refuse(SourceUnavailableError, error.message)
        dual.call(self, (namespace,), (None,), body, dual.constants)
        if resolved is not bases:
            namespace["__orig_bases__"] = bases
        named = {k: (kts or {}).get(k) for k in rest}
        return self.call(meta, (name, resolved, namespace), (None, None, None), rest, named)[0]

    def check_keywords(self, name: str, kw: dict[str, Any], kts: dict[str, Any]) -> None:
        """`__init_subclass__` runs as it is, so what it is given must not be active."""
        if kw and self.reaches(kw.values(), kts.values()):
            self.untracked(f"what __init_subclass__ takes: a keyword of class {name}")

    def new_class(self, args: Any, kw: Any) -> Any:
        """`type.__new__(metaclass, name, bases, namespace)`, with the companions of the namespace."""
        namespace = args[3]
        m = self.mirrors.get(id(namespace))
        if m is None or not has_tangent(m.data):
            return type.__new__(*args, **kw)
        for base in args[2]:
            if type(getattr(base.__init_subclass__, "__func__", None)) is FunctionType:
                self.untracked(f"an attribute of class {args[1]}, whose base defines __init_subclass__,")
        told = [v for v in namespace.values() if is_python(getattr(type(v), "__set_name__", None))]
        before = [dict(fields_of(v) or {}) for v in told]
        cls = type.__new__(*args, **kw)
        for value, fields in zip(told, before, strict=True):
            for name, now in (fields_of(value) or {}).items():
                if now is not fields.get(name) and type(now) not in (str, bool) and not isinstance(now, type):
                    self.untracked(f"attribute {name!r} of a descriptor, in its __set_name__,")
        self.class_stores = True
        for key, t in m.data.items():
            self.put(cls, key, t)
        return cls

    def import_(self, module: Any, name: str, names: Any, level: int, leaf: bool) -> Any:
        found = __import__(name, module, None, names or None, level)
        if not names:
            if leaf:
                for part in name.split(".")[1:]:
                    found = getattr(found, part)
            return (found,)
        values = []
        for n in names:
            try:
                values.append(getattr(found, n))
            except AttributeError:
                submodule = sys.modules.get(f"{found.__name__}.{n}")
                if submodule is None:
                    raise ImportError(
                        f"cannot import name {n!r} from {found.__name__!r}", name=found.__name__
                    ) from None
                values.append(submodule)
        return tuple(values)


def build_class(body: FunctionType, name: str, bases: Any, kw: Any) -> Any:
    """A class from the function of its body."""
    return builtins.__build_class__(body, name, *bases, **kw)


def cell_read_by(code: Any, cell: Any, body: FunctionType) -> bool:
    """Whether a class body itself (not only its methods) reads the cell."""
    # cells that hold equal values are equal, and asking arrays is an error
    name = next(n for n, c in zip(code.co_freevars, body.__closure__ or (), strict=True) if c is cell)
    return any(
        i.opname in ("LOAD_CLASSDEREF", "LOAD_DEREF", "LOAD_FROM_DICT_OR_DEREF") and i.argval == name
        for i in dis.get_instructions(code)
    )
