"""Primitives: functions that have a rule, functions of C that have none, and what is not differentiated."""

from __future__ import annotations

import dis
import linecache
from types import BuiltinFunctionType, FunctionType, MethodDescriptorType, ModuleType
from typing import Any, NoReturn

import numpy as np

from tapeless.errors import MissingRuleError, TapelessError, UntrackedMutationError
from tapeless.rules import lookup, tangent
from tapeless.rules.compat import find
from tapeless.rules.outputs import place_of_out
from tapeless.rules.registry import Elementwise, Linear, Nondifferentiable
from tapeless.runtime.arguments import Arguments, hides, keeping, name_of
from tapeless.runtime.items import nones, tuple_tangent
from tapeless.runtime.known import ACCELERATORS, HANDLERS, INERT_EXTENSIONS, TWINS
from tapeless.runtime.mirrors import ATOMS, owner
from tapeless.runtime.tracebacks import own_frame, user_frame

DISPATCHER = type(np.mean)
#: types of real numbers
REALS = frozenset({float, int, bool, np.float64})
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
_QUIET_NAMES = frozenset(
    "np math cos sin cosh sinh conj conjugate sign conjugate_sign where ones_like zeros_like "
    "iscomplexobj".split()
)


def may_warn(rule: Any) -> bool:
    """Whether evaluating a rule's partials may divide by zero or leave a domain, so that NumPy would warn."""
    found = _QUIET_RULES.get(id(rule))
    if found is None:
        warns = type(rule) is not Linear
        if type(rule) is Elementwise:
            lambdas = rule.partials if isinstance(rule.partials, tuple) else (rule.partials,)
            steps = [i for p in lambdas if p is not None for i in dis.get_instructions(p.__code__)]
            warns = any(
                (i.opname == "BINARY_OP" and i.argrepr not in ("+", "-", "*", "&", "|"))
                or (
                    i.opname in ("LOAD_GLOBAL", "LOAD_ATTR", "LOAD_METHOD", "LOAD_DEREF")
                    and i.argval not in _QUIET_NAMES
                )
                for i in steps
            )
        found = _QUIET_RULES[id(rule)] = (rule, warns)
    return found[1]


def just_holds(value: Any, items: Any, ts: Any) -> bool:
    """Whether an array of objects holds the very items of a list, those with derivatives having mirrors."""
    if not isinstance(items, (list, tuple)) or ts is None or value.shape != (len(items),):
        return False
    return all(
        [
            t is None or held is e and isinstance(e, (np.ndarray, list))
            for held, e, t in zip(value, items, ts, strict=True)
        ]
    )


#: how many operands a method of a ufunc has, and what else
_UFUNC_METHODS = {
    "reduce": (1, ("axis", "dtype", "out", "keepdims", "initial", "where")),
    "accumulate": (1, ("axis", "dtype", "out")),
    "reduceat": (2, ("axis", "dtype", "out")),
    "outer": (2, ()),
    "at": (3, ()),
}
#: methods of arrays that NumPy has in Python, above ufuncs
_METHODS = {
    name.removeprefix("a"): find(f"numpy._core._methods._{name}")
    for name in ("sum", "prod", "amax", "amin", "mean", "var", "std", "clip")
}


class Primitives(Arguments):
    """`primitive`, `foreign` and what they need."""

    # ---- functions that have a rule

    def tangent_of(self, x: Any, t: Any) -> Any:
        """The tangent of an argument of a primitive: arrays through their mirror, containers by element."""
        if isinstance(x, np.ndarray):
            if not self.arrays or x.dtype.kind not in "fc":
                return None
            base = x if x.base is None else owner(x)
            m = self.arrays.get(id(base))
            if m is None or m() is not base:
                return None
            return m.value if base is x and not m.flat else self.read(m, base, x)
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
            found = [
                et if type(e) in ATOMS else self.tangent_of(e, et) for e, et in zip(x, inner, strict=True)
            ]
            return found if any(e is not None for e in found) else None
        return t

    def derive(self, rule: Any, y: Any, args: Any, kw: Any, ts: Any, kts: Any) -> Any:
        """The tangent of a result; derivative arithmetic does not warn."""
        try:
            if self.reverse and not may_warn(rule):
                return tangent(rule, y, args, kw, ts, kts)
            with np.errstate(all="ignore"):
                return tangent(rule, y, args, kw, ts, kts)
        except NotImplementedError as error:  # a rule says that it does not know
            if isinstance(error, TapelessError) and error.filename is not None:
                raise
            self.refuse(MissingRuleError, str(getattr(error, "message", error)))

    def primitive(
        self, rule: Any, f: Any, args: Any, ts: Any, kw: Any = None, kts: Any = None
    ) -> tuple[Any, Any]:
        """Call `f`, which has a rule, and derive the tangent of its result."""
        if type(f) is np.ufunc:
            if kw or len(args) > f.nin:
                return self.general(rule, f, args, ts, kw or {}, kts or {})
        elif kw or (len(args) > 1 and len(args) > place_of_out(f)):
            args, ts, kw = self.out_by_name(f, args, ts, kw or {})
            return self.general(rule, f, args, ts, kw, kts or {})
        arrays = active = False
        targs = []
        for a, t in zip(args, ts):  # noqa: B905
            if type(a) is np.ndarray:
                arrays, t = True, self.tangent_of(a, None)
                if t is None and a.dtype.kind == "O":
                    return self.general(rule, f, args, ts, {}, {})
            elif type(a) not in REALS or a is True and type(f) is FunctionType:
                return self.general(rule, f, args, ts, {}, {})
            targs.append(t)
            if t is not None:
                active = True
        if not arrays and type(rule) is Elementwise:
            return self.scalar(rule, f, args, ts)
        value = f(*args)
        if not active or type(rule) is Nondifferentiable:
            return value, None
        return self.finished(rule, value, value, args, {}, tuple(targs), {})

    def out_by_name(self, f: Any, args: Any, ts: Any, kw: Any) -> tuple[Any, Any, Any]:
        """Arguments of a function that is no ufunc, where its result is to go being a keyword."""
        k = place_of_out(f)
        if len(args) <= k or not isinstance(args[k], np.ndarray):
            return args, ts, kw
        if len(args) > k + 1:
            self.refuse(
                UntrackedMutationError,
                f"cannot differentiate {name_of(f)}() with more after `out`; give it all by name",
            )
        return args[:k], ts[:k], {**kw, "out": args[k]}

    def general(self, rule: Any, f: Any, args: Any, ts: Any, kw: Any, kts: Any) -> tuple[Any, Any]:
        """`primitive` of any operands: containers, subclasses, keywords, and where a result is to go."""
        if type(f) is np.ufunc and len(args) > f.nin and kw:
            kw, args, ts = {**kw, "out": tuple(args[f.nin :])}, args[: f.nin], ts[: f.nin]
        outs = _outputs(f, args, kw) if "out" in kw or type(f) is np.ufunc else ()
        if type(rule) is Nondifferentiable:
            value = self.quietly(f, *args, **kw)
            mask = kw.get("where", True) if type(f) is np.ufunc else True  # of what is summed, elsewhere
            for out in outs:
                self.overwrite(out, np.broadcast_to(mask, out.shape) if given(mask) else (), None)
            return value, None
        subclasses, called, left = False, args, None
        for a in args:
            if hides(a):
                override = self.override(f, args, ts, kw, kts)
                if override is not None:
                    return override
                args, ts, left = self.known_arguments(f, args, ts)
                called = tuple(
                    [a if type(a) is np.flatiter else b for a, b in zip(called, args, strict=True)]
                )
                subclasses = True
                break
        if any([hides(v) for v in kw.values()]):
            pairs = {k: self.numeric(f, v, kts.get(k)) for k, v in kw.items()}
            kw, kts = {k: v for k, (v, _) in pairs.items()}, {k: t for k, (_, t) in pairs.items()}
        targs = tuple(
            [t if type(a) in ATOMS else self.tangent_of(a, t) for a, t in zip(args, ts, strict=True)]
        )
        tkw = {k: self.tangent_of(v, kts.get(k)) for k, v in kw.items()}
        for t in (*targs, *tkw.values()):
            if t is not None:
                break
        else:
            value = f(*called, **kw)
            if type(f) is FunctionType:  # of SciPy: its arguments may be overwritten (`overwrite_b=True`)
                self.snapshots.clear()
            for out in outs:
                self.overwrite(out, (), None)
            if left:
                self.only_moved(f, value, args)
            return value, None
        called, kw = keeping(f, called, kw)
        if outs:
            return self.primitive_out(rule, f, args, kw, targs, tkw, outs)
        value = y = f(*called, **kw)
        if left:
            self.only_moved(f, value, args)
        if subclasses:  # the rules are those of plain arrays
            y, args = bare(y), tuple([bare(a) for a in args])
        if type(rule) is Elementwise and isinstance(y, np.ndarray) and y.dtype.kind in "fc":
            args, targs = self.as_arrays(args, targs)
        return self.finished(rule, value, y, args, kw, targs, tkw)

    def as_arrays(self, args: Any, targs: Any) -> tuple[Any, Any]:
        """Operands of an elementwise function, the lists being arrays, as NumPy takes them."""
        args, targs = list(args), list(targs)
        for k, (a, t) in enumerate(zip(args, targs, strict=True)):
            if isinstance(a, (list, tuple)):
                args[k] = made = np.asarray(a)
                if t is not None:
                    targs[k] = self.derived(lookup(np.array), made, (a,), {}, (t,), {})
        return tuple(args), tuple(targs)

    def finished(
        self, rule: Any, value: Any, y: Any, args: Any, kw: Any, targs: Any, tkw: Any
    ) -> tuple[Any, Any]:
        """A result of a primitive with its tangent; what is a window on known memory has one already."""
        if type(value) is np.ndarray:
            base, m = self.find_array(value)
            if m is None and value.dtype.kind in "fc":
                t = self.derived(rule, y, args, kw, targs, tkw)
                if t is not None:
                    self.create(base, t, value)
            if m is not None or value.dtype.kind in "fciub":  # of objects it is not known: see below
                return value, None
            if value.dtype.kind == "O" and args and just_holds(value, args[0], targs[0]):
                return value, None
        return self.give(value, self.derived(rule, y, args, kw, targs, tkw), args)

    def derived(self, rule: Any, y: Any, args: Any, kw: Any, targs: Any, tkw: Any) -> Any:
        """The tangent of a primitive's result."""
        return self.derive(rule, y, args, kw, targs, tkw)

    def override(self, f: Any, args: Any, ts: Any, kw: Any, kts: Any) -> tuple[Any, Any] | None:
        """A NumPy function of an object that overrides it (`__array_ufunc__`, `__array_function__`)."""
        ufunc = type(f) is np.ufunc
        of_ufunc = type(f) is BuiltinFunctionType and type(f.__self__) is np.ufunc
        of_array = type(f) is MethodDescriptorType and f.__objclass__ is np.ndarray
        if not ufunc and not of_ufunc and not of_array and type(f) is not DISPATCHER:
            return None
        by_ufunc = ufunc or of_ufunc or of_array
        hook = "__array_ufunc__" if by_ufunc else "__array_function__"
        e = self.overriding(args[:1] if of_array else args, hook)
        if e is None:
            return None
        if of_array:
            return self.array_method(f.__name__, args, ts, kw, kts)
        if by_ufunc:
            n, names = (f.nin, ("out",)) if ufunc else _UFUNC_METHODS[f.__name__]
            if ufunc and len(args) > n:
                kw = {**kw, "out": tuple(args[n:])}
            else:
                kw = {**dict(zip(names, args[n:], strict=False)), **kw}
                kts = {**dict(zip(names, ts[n:], strict=False)), **kts}
            out = kw.pop("out", None) if "out" in kw else None
            if out is not None:  # it is given as a tuple, however the program wrote it
                kw["out"] = out if type(out) is tuple else (out,)
            if kw.get("initial") is np._NoValue:
                kw = {k: v for k, v in kw.items() if k != "initial"}
            how = (f, "__call__") if ufunc else (f.__self__, f.__name__)
            given = (e, *how, *args[:n])
            return self.call(type(e).__array_ufunc__, given, (None, None, None, *ts[:n]), kw, kts)
        types_ = tuple({type(a) for a in args})
        named = dict(kw)
        for k, t in (kts or {}).items():
            self.put(named, k, t)
        return self.call(
            type(e).__array_function__,
            (e, f, types_, tuple(args), named),
            (None, None, None, tuple_tangent(ts), None),
        )

    def array_method(self, name: str, args: Any, ts: Any, kw: Any, kts: Any) -> tuple[Any, Any] | None:
        """A method of an array whose class overrides ufuncs: those that NumPy does by ufuncs ask for them."""
        if _METHODS.get(name) is not None:
            return self.call(_METHODS[name], args, ts, kw, kts)
        if name in ("cumsum", "cumprod") and args[0].ndim == 1 and len(args) == 1 and not kw:
            ufunc = np.add if name == "cumsum" else np.multiply
            return self.call(ufunc.accumulate, (args[0], 0), (ts[0], None))
        if name in ("cumsum", "cumprod", "round", "trace", *_METHODS):
            self.missing_rule(f"{name}() of a {type(args[0]).__name__}")
        return None

    def overriding(self, args: Any, name: str) -> Any:
        """The first of the operands, also in lists, that overrides NumPy's functions in Python; or None."""
        for x in args:
            for e in x if type(x) in (list, tuple) else (x,):
                if type(getattr(type(e), name, None)) is FunctionType:
                    return e
        return None

    def scalar(self, rule: Any, f: Any, args: Any, ts: Any) -> tuple[Any, Any]:
        """An elementwise function of real numbers."""
        y = f(*args)
        for t in ts:
            if t is not None:
                return self.give(y, self.derive(rule, y, args, {}, ts, {}), args)
        return y, None

    def primitive_out(
        self, rule: Any, f: Any, args: Any, kw: Any, targs: Any, tkw: Any, outs: Any
    ) -> tuple[Any, Any]:
        """A primitive that writes its result into arrays that it was given."""
        kept = tuple(np.array(a) if isinstance(a, np.ndarray) else a for a in args)
        for out in outs:
            self.about_to_write(out)
        value = f(*args, **kw)
        n = getattr(f, "nin", None)
        if n is not None:
            kept, targs = kept[:n], targs[:n]
        kw = {k: v for k, v in kw.items() if k != "out"} | (
            {"out": kw["out"]} if given(kw.get("where", True)) else {}
        )
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
        """A C function without a rule: it runs as it is if its arguments lead to nothing active."""
        kw = kw or {}
        me = getattr(f, "__self__", None)
        hidden = () if me is None or isinstance(me, ModuleType) else (me,)
        module = getattr(f, "__module__", None) or ""
        if module not in INERT_EXTENSIONS and self.reaches(
            (*hidden, *args, *kw.values()), (*ts, *(kts or {}).values())
        ):
            load = ACCELERATORS.pop(module, None)
            if load is not None:
                load()
                if f in TWINS:
                    return self.enter(TWINS[f], args, ts, kw, kts)
                if f in HANDLERS:
                    return HANDLERS[f](self, args, ts, kw, kts or {})  # type: ignore[no-any-return]
            self.missing_rule(f"{name_of(f)}()")
        self.snapshots.clear()
        return f(*args, **kw), None

    def about_to_write(self, a: Any) -> None:
        """An array is going to be written: copies taken of it are stale, and shared arguments must not be."""
        self.snapshots.clear()
        if self.guarded and id(owner(a)) in self.guarded:
            self.refuse(
                UntrackedMutationError,
                "cannot differentiate a store into an array that shares memory with another argument, or "
                "with what the function reads from outside; pass a copy, x.copy(), of one of them",
            )

    def enter(self, f: FunctionType, args: Any, ts: Any, kw: Any = None, kts: Any = None) -> tuple[Any, Any]:
        raise NotImplementedError

    # ---- errors

    def where(self) -> tuple[str | None, int, str]:
        """File and line of the user's own program that is being run, and where in a library that led to."""
        inner = user_frame()
        frame = own_frame(inner) or inner
        if frame is None or inner is None:
            return None, 0, ""
        place = ""
        if frame is not inner:
            path, line = inner.f_code.co_filename, inner.f_lineno
            text = linecache.getline(path, line).strip()
            place = f"\n    This is reached inside {path}:{line}" + (f": {text}" if text else "")
        return frame.f_code.co_filename, frame.f_lineno, place

    def fail(self, error: BaseException) -> NoReturn:
        self.failure = error
        raise error

    def refuse(self, kind: type[TapelessError], message: str) -> NoReturn:
        """Raise an error that names the line of the user's program."""
        filename, line, place = self.where()
        message = f"{message}{place}\n    This is on the way of {self.what}:"
        self.fail(kind(message, filename=filename, line=line))

    def missing_rule(self, what: str) -> NoReturn:
        self.refuse(
            MissingRuleError,
            f"cannot differentiate {what}: it is not Python underneath, no derivative rule is known for "
            "it, and a value that depends on the differentiated arguments reaches it.\n"
            f"    Give a rule:  @tapeless.jvp_rule(f)  def _(x, dx): ...   (its tangent, linear in dx)\n"
            f"    or, if its result is not to be differentiated:  tapeless.constant(f)",
        )

    def untracked(self, what: str) -> NoReturn:
        self.refuse(
            UntrackedMutationError,
            f"cannot differentiate the store into {what}: an active value would be kept where its "
            "derivative cannot follow.\n    Store it in a list, a dict, an array of floats or an "
            "attribute of an ordinary object, or pass tapeless.stop_gradient(value) if it is a constant "
            "there",
        )

    # given by the modes
    def read(self, m: Any, base: Any, a: Any) -> Any:
        raise NotImplementedError

    def create(self, base: Any, t: Any, a: Any) -> None:
        raise NotImplementedError


def bare(x: Any) -> Any:
    """The plain array that an array of a subclass is."""
    return x.view(np.ndarray) if isinstance(x, np.ndarray) and type(x) is not np.ndarray else x


def given(where: Any) -> bool:
    """Whether the keyword `where` of a ufunc is a mask, and not left out."""
    return where is not True and where is not np._NoValue


def _outputs(f: Any, args: Any, kw: dict[str, Any]) -> tuple[Any, ...]:
    """Arrays that a call writes its result into."""
    out = kw.get("out") if kw else None
    if out is not None:
        found = out if isinstance(out, tuple) else (out,)
    else:
        found = args[f.nin :] if type(f) is np.ufunc else ()
    return tuple(
        o for o in found if isinstance(o, np.ndarray)
    )  # `out=...` asks for an array, whatever the shape
