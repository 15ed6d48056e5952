"""Operators on untyped values: the rule book for numbers and arrays, Python's protocol for the rest."""

from __future__ import annotations

import operator
from collections import deque
from collections.abc import Callable
from types import FunctionType
from typing import Any, NoReturn

import numpy as np

from tapeless.autodiff.dual_writer import PLAIN, TRUTHS
from tapeless.rules import lookup
from tapeless.runtime.mirrors import ATOMS
from tapeless.runtime.numbers import is_number_type, number_operator
from tapeless.runtime.state import State

SCALARS = frozenset({int, float, bool, complex})
_REALS = frozenset({float, int, bool, np.float64})
_SMOOTH = frozenset({"Add", "Sub", "Mult", "Div", "Pow"})
_ARRAYS = (np.ndarray, np.generic)
_REPEATED = (list, tuple)
_NUMBERS = (int, float, complex, np.generic)

BINARY: dict[str, tuple[Callable[[Any, Any], Any], Callable[[Any, Any], Any], str, str, str]] = {
    "Add": (operator.add, operator.iadd, "__add__", "__radd__", "__iadd__"),
    "Sub": (operator.sub, operator.isub, "__sub__", "__rsub__", "__isub__"),
    "Mult": (operator.mul, operator.imul, "__mul__", "__rmul__", "__imul__"),
    "Div": (operator.truediv, operator.itruediv, "__truediv__", "__rtruediv__", "__itruediv__"),
    "FloorDiv": (operator.floordiv, operator.ifloordiv, "__floordiv__", "__rfloordiv__", "__ifloordiv__"),
    "Mod": (operator.mod, operator.imod, "__mod__", "__rmod__", "__imod__"),
    "Pow": (operator.pow, operator.ipow, "__pow__", "__rpow__", "__ipow__"),
    "MatMult": (operator.matmul, operator.imatmul, "__matmul__", "__rmatmul__", "__imatmul__"),
    "BitAnd": (operator.and_, operator.iand, "__and__", "__rand__", "__iand__"),
    "BitOr": (operator.or_, operator.ior, "__or__", "__ror__", "__ior__"),
    "BitXor": (operator.xor, operator.ixor, "__xor__", "__rxor__", "__ixor__"),
    "LShift": (operator.lshift, operator.ilshift, "__lshift__", "__rlshift__", "__ilshift__"),
    "RShift": (operator.rshift, operator.irshift, "__rshift__", "__rrshift__", "__irshift__"),
}
#: operators that a run has methods for
ARITHMETIC = {name: BINARY[name][0] for name in ("Add", "Sub", "Mult", "Div")}
UNARY: dict[str, tuple[Callable[[Any], Any], str]] = {
    "USub": (operator.neg, "__neg__"),
    "UAdd": (operator.pos, "__pos__"),
    "Invert": (operator.invert, "__invert__"),
}
COMPARE: dict[str, tuple[Callable[[Any, Any], Any], str, str]] = {
    "<": (operator.lt, "__lt__", "__gt__"),
    "<=": (operator.le, "__le__", "__ge__"),
    ">": (operator.gt, "__gt__", "__lt__"),
    ">=": (operator.ge, "__ge__", "__le__"),
    "==": (operator.eq, "__eq__", "__eq__"),
    "!=": (operator.ne, "__ne__", "__ne__"),
}


UFUNCS = {
    "Add": np.add, "Sub": np.subtract, "Mult": np.multiply, "Div": np.true_divide, "Mod": np.remainder,
    "FloorDiv": np.floor_divide, "Pow": np.power, "MatMult": np.matmul,
}  # fmt: skip
_COMPARISONS = {
    "<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal, "==": np.equal,
    "!=": np.not_equal,
}  # fmt: skip
#: what NumPy looks for in an object of which it makes an array
_AS_ARRAYS = ("__array__", "__array_interface__", "__array_struct__", "__buffer__")
_UNARY_UFUNCS = {"USub": np.negative, "UAdd": np.positive, "Invert": np.invert}


def power(x: Any, y: Any) -> np.ufunc:
    """The ufunc that `ndarray.__pow__` calls."""
    quick = {2: np.square, 0.5: np.sqrt, -1: np.reciprocal} if x.dtype.kind in "fc" else {}
    return quick.get(y, np.power) if type(y) in (int, float) else np.power


_RICH = frozenset(spec[1] for spec in COMPARE.values())
_SYMBOLS = {spec[2]: name for name, spec in BINARY.items()}
#: classes whose `+` and `*` Python asks for after all methods of numbers
_SEQUENCES = (list, tuple, str, bytes, bytearray, deque)


def is_python(f: Any) -> bool:
    """Whether a special method is written in Python, so that its source can be opened."""
    return type(f) is FunctionType or (
        f is not None and not isinstance(f, type) and hasattr(f, "__wrapped__")
    )


def called_in_python(f: Any) -> bool:
    """Whether a special method is an object that Python code calls, such as a dispatcher by types."""
    return not isinstance(f, type) and type(on_class(type(f), "__call__")) is FunctionType


def on_class(kind: type, name: str) -> Any:
    """What the class holds under `name`, not bound to anything."""
    for cls in kind.__mro__:
        if name in cls.__dict__:
            return cls.__dict__[name]
    return None


class Operators(State):
    """Binary, unary and comparison operators."""

    def special(self, f: Any, name: str, args: Any, ts: Any) -> tuple[Any, Any]:
        """Call `f`, the special method `name` of the type of `args[0]`; a static one gets no object."""
        held = on_class(type(args[0]), name)
        how = type(held)
        if how is staticmethod or how is classmethod:
            return self.call(f, args[1:], ts[1:])
        if type(getattr(how, "__get__", None)) is FunctionType:  # a descriptor written in Python
            bound, _ = self.call(how.__get__, (held, args[0], type(args[0])), (None, ts[0], None))
            return self.call(bound, args[1:], ts[1:])
        if called_in_python(held) or not hasattr(how, "__get__"):
            return self.call(held, args[1:], ts[1:])
        return self.call(f, args, ts)

    def binary(self, name: str, x: Any, dx: Any, y: Any, dy: Any) -> tuple[Any, Any]:
        op = BINARY[name][0]
        kx, ky = type(x), type(y)
        if kx in PLAIN and ky in PLAIN:
            if dx is None and dy is None:
                return op(x, y), None
            if kx in _REALS and ky in _REALS and name in _SMOOTH:
                return self.scalar(_RULES[name], op, (x, y), (dx, dy))
            if kx is not str and ky is not str:
                return self.primitive(_RULES[name], op, (x, y), (dx, dy))
        if isinstance(x, _ARRAYS) or isinstance(y, _ARRAYS):
            if name == "Mult" and (
                kx in _REPEATED and isinstance(y, np.integer) or ky in _REPEATED and isinstance(x, np.integer)
            ):
                x, y = (x, int(y)) if kx in _REPEATED else (int(x), y)  # a sequence is repeated
                return self.foreign_operator(name, op, x, dx, y, dy)
            if (isinstance(x, _ARRAYS) or kx in SCALARS or kx in (list, tuple)) and (
                isinstance(y, _ARRAYS) or ky in SCALARS or ky in (list, tuple)
            ):
                if _own_arrays(kx, BINARY[name][2]) and _own_arrays(ky, BINARY[name][3]):
                    return self.primitive(_RULES[name], op, (x, y), (dx, dy))
                if _by_ufunc(kx, BINARY[name][2]) and _by_ufunc(ky, BINARY[name][3]) and name in UFUNCS:
                    ufunc = power(x, y) if name == "Pow" and isinstance(x, np.ndarray) else UFUNCS[name]
                    return self.call(ufunc, (x, y)[: ufunc.nin], (dx, dy)[: ufunc.nin])
        if (dx is not None or dy is not None) and (is_number_type(kx) or is_number_type(ky)):
            number = number_operator(self, _RULES[name], op, (x, y), (dx, dy))
            if number is not None:
                return number
        found = self.dispatch(x, dx, y, dy, BINARY[name][2], BINARY[name][3])
        if found is not None:
            return found
        return self.foreign_operator(name, op, x, dx, y, dy)

    def foreign_operator(self, name: str, op: Any, x: Any, dx: Any, y: Any, dy: Any) -> tuple[Any, Any]:
        """An operator that C code answers: containers, and types that no rule knows."""
        handler = self.container_operator(name, x, dx, y, dy)
        if handler is not None:
            return handler
        if is_builtin(x) and is_builtin(y):
            # every such operator that Python has was handled above: this is its own TypeError
            return op(x, y), None
        if isinstance(x, _NUMBERS) and isinstance(y, _NUMBERS):  # subclasses that change no operator
            return self.primitive(_RULES[name], op, (x, y), (dx, dy))
        if _answered_by_builtin(type(x), BINARY[name][2]) and _answered_by_builtin(type(y), BINARY[name][3]):
            return op(x, y), None
        if self.reaches((x, y), (dx, dy)):
            self.missing_rule(f"operator {BINARY[name][2]} of {type(x).__name__} and {type(y).__name__}")
        return op(x, y), None

    def dispatch(
        self, x: Any, dx: Any, y: Any, dy: Any, forward: str, reflected: str
    ) -> tuple[Any, Any] | None:
        """Python's own protocol, where one of the two methods is written in Python; None if neither is."""
        kx, ky = type(x), type(y)
        fx, fy = getattr(kx, forward, None), getattr(ky, reflected, None)
        if not (is_python(fx) or is_python(fy) or called_in_python(fx) or called_in_python(fy)):
            return None
        first = [(fx, x, dx, y, dy)] if fx is not None else []
        second = [(fy, y, dy, x, dx)] if fy is not None and (kx is not ky or forward in _RICH) else []
        right_first = kx is not ky and issubclass(ky, kx) and fy is not getattr(kx, reflected, None)
        order = second + first if right_first else first + second
        symbol = _SYMBOLS.get(forward)
        if symbol in ("Add", "Mult"):  # Python asks sequences last
            order.sort(key=lambda method: isinstance(method[1], _SEQUENCES) and not is_python(method[0]))
        for f, a, da, b, db in order:
            if is_python(f) or called_in_python(f):
                value, t = self.special(f, forward if f is fx and a is x else reflected, (a, b), (da, db))
            elif isinstance(a, _ARRAYS):
                if a is not x or not leaves_to(a, b):
                    return self.by_numpy(symbol, forward, x, dx, y, dy)
                continue
            elif symbol is None:
                value, t = f(a, b), None
            else:
                value, t = self.by_builtin(symbol, f, a, b, (x, y), (dx, dy))
            if value is not NotImplemented:
                return value, t
        if isinstance(x, _ARRAYS) or isinstance(y, _ARRAYS):
            return None
        if forward in ("__eq__", "__ne__"):
            return ((x is y) if forward == "__eq__" else (x is not y)), None
        if symbol is not None:
            return BINARY[symbol][0](_Refuse(kx), _Refuse(ky)), None
        compare = {v[1]: k for k, v in COMPARE.items()}[forward]
        raise TypeError(f"'{compare}' not supported between instances of '{kx.__name__}' and '{ky.__name__}'")

    def by_numpy(self, name: str | None, forward: str, x: Any, dx: Any, y: Any, dy: Any) -> tuple[Any, Any]:
        """An operator of an array and an object that NumPy makes an array of, or asks for each element."""
        other = y if isinstance(x, _ARRAYS) else x
        whole = hasattr(type(other), "__array_ufunc__")
        if name is None:
            op, ufunc = next((spec[0], _COMPARISONS[k]) for k, spec in COMPARE.items() if spec[1] == forward)
            return self.call(ufunc, (x, y), (dx, dy)) if whole else (self.quietly(op, x, y), None)
        if name in UFUNCS and (whole or makes_array(other)):
            if not whole and not self.reaches((other,), (dy if other is y else dx,)):
                held = self.quietly(np.asarray, other)
                x, y = (x, held) if other is y else (held, y)
            return self.call(UFUNCS[name], (x, y), (dx, dy))
        if name not in UFUNCS or name == "MatMult":
            if self.reaches((x, y), (dx, dy)):
                self.missing_rule(f"operator {BINARY[name][2]} of {type(x).__name__} and {type(y).__name__}")
            return BINARY[name][0](x, y), None
        array, t = (x, dx) if other is y else (y, dy)
        made = np.empty(array.shape, object)
        for index in np.ndindex(array.shape):
            item, dt = self.call(type(array).item, (array, *index), (t, *[None] * len(index)))
            pair = (item, dt, y, dy) if other is y else (x, dx, item, dt)
            made[index], found = self.binary(name, *pair)
            if made.ndim == 0:
                return made[()], found
            if found is not None:
                self.missing_rule(f"operator {BINARY[name][2]} of an array and a {type(other).__name__}")
        return made, None

    def by_builtin(self, name: str, f: Any, a: Any, b: Any, operands: Any, ts: Any) -> tuple[Any, Any]:
        """`f(a, b)`, of a builtin class, where the other operand's class has a method in Python."""
        if name == "Mult" and isinstance(a, _SEQUENCES) and not hasattr(type(b), "__index__"):
            raise TypeError(f"can't multiply sequence by non-int of type {type(b).__name__!r}")
        value = self.quietly(f, a, b)
        if value is NotImplemented:
            return value, None
        (x, y), (dx, dy) = operands, ts
        found = self.container_operator(name, x, dx, y, dy, value)
        if found is not None:
            return found
        if isinstance(x, _NUMBERS) and isinstance(y, _NUMBERS):
            moved = (self.tangent_of(x, dx), self.tangent_of(y, dy))
            return value, self.derive(_RULES[name], value, operands, {}, moved, {})
        if self.reaches(operands, ts):
            self.missing_rule(f"operator {f.__name__} of {type(a).__name__} and {type(b).__name__}")
        return value, None

    # what is done most has a name of its own, under which the modes may be quicker
    def Add(self, x: Any, dx: Any, y: Any, dy: Any) -> tuple[Any, Any]:
        return self.binary("Add", x, dx, y, dy)

    def Sub(self, x: Any, dx: Any, y: Any, dy: Any) -> tuple[Any, Any]:
        return self.binary("Sub", x, dx, y, dy)

    def Mult(self, x: Any, dx: Any, y: Any, dy: Any) -> tuple[Any, Any]:
        return self.binary("Mult", x, dx, y, dy)

    def Div(self, x: Any, dx: Any, y: Any, dy: Any) -> tuple[Any, Any]:
        return self.binary("Div", x, dx, y, dy)

    # ---- in place

    def inplace(self, name: str, x: Any, dx: Any, y: Any, dy: Any) -> tuple[Any, Any]:
        kind = type(x)
        if kind in PLAIN:
            if name in ARITHMETIC:
                return getattr(self, name)(x, dx, y, dy)  # type: ignore[no-any-return]
            return self.binary(name, x, dx, y, dy)
        if kind is np.ndarray:
            return self.array_inplace(name, x, y, dy), None
        method = getattr(kind, BINARY[name][4], None)
        if isinstance(x, np.ndarray) and inherits_from_array(kind, BINARY[name][4]):
            self.array_inplace(name, x.view(np.ndarray), y, dy)  # the rules are those of plain arrays
            return x, None
        if is_python(method):
            value, t = self.call(method, (x, y), (dx, dy))
            if value is not NotImplemented:
                return value, t
        elif method is not None:
            if name in ("Add", "Mult") and isinstance(x, _SEQUENCES):  # the other operand is asked first
                reflected = getattr(type(y), BINARY[name][3], None)
                if is_python(reflected) or called_in_python(reflected):
                    value, t = self.special(reflected, BINARY[name][3], (y, x), (dy, dx))
                    if value is not NotImplemented:
                        return value, t
                elif isinstance(y, _ARRAYS) and not isinstance(y, np.integer):
                    return self.binary(name, x, dx, y, dy)
            found = self.container_inplace(name, x, y, dy)
            if found is not None:
                return found
            if isinstance(x, np.ndarray) and _by_ufunc(kind, BINARY[name][4]) and name in UFUNCS:
                return self.call(UFUNCS[name], (x, y), (dx, dy), {"out": (x,)}, {"out": None})
            if self.reaches((x, y), (dx, dy)):
                self.missing_rule(f"in-place operator {BINARY[name][4]} of {kind.__name__}")
            return BINARY[name][1](x, y), None
        return self.binary(name, x, dx, y, dy)

    def array_inplace(self, name: str, x: Any, y: Any, dy: Any) -> Any:
        """`x op= y` for an array: the tangent of the operator, stored over the tangent of `x`."""
        self.about_to_write(x)
        if x.dtype.kind in "fc" and type(y) not in ATOMS:
            y, dy = self.numeric(getattr(np.ndarray, BINARY[name][4]), y, dy)
        tx, ty = self.tangent_of(x, None), self.tangent_of(y, dy)
        if tx is None and ty is None:
            if x.dtype.kind == "O" and self.reaches((x, y), (None, dy)):
                self.missing_rule(f"in-place operator {BINARY[name][4]} of an array of objects")
            return BINARY[name][1](x, y)
        rule = _RULES[name]
        if name in ("Add", "Sub"):  # linear: the old value is not needed
            old, other = x, y
        else:
            old, other = x.copy(), y.copy() if isinstance(y, np.ndarray) else y
        x = BINARY[name][1](x, y)
        t = self.derive(rule, x if name in ("Add", "Sub") else x.copy(), (old, other), {}, (tx, ty), {})
        self.overwrite(x, (), t)
        return x

    def unary(self, name: str, x: Any, dx: Any) -> tuple[Any, Any]:
        op, method = UNARY[name]
        kind = type(x)
        if kind in PLAIN or (isinstance(x, _ARRAYS) and _own_arrays(kind, method)):
            return self.primitive(_UNARY_RULES[name], op, (x,), (dx,))
        f = getattr(kind, method, None)
        if dx is not None and is_number_type(kind):
            number = number_operator(self, _UNARY_RULES[name], op, (x,), (dx,))
            if number is not None:
                return number
        if is_python(f):
            return self.special(f, method, (x,), (dx,))
        if isinstance(x, np.ndarray) and f is getattr(np.ndarray, method):  # it asks `__array_ufunc__`
            return self.call(_UNARY_UFUNCS[name], (x,), (dx,))
        if isinstance(x, _NUMBERS):
            return self.primitive(_UNARY_RULES[name], op, (x,), (dx,))
        if self.reaches((x,), (dx,)):
            self.missing_rule(f"operator {method} of {kind.__name__}")
        return op(x), None

    def compare(self, name: str, x: Any, dx: Any, y: Any, dy: Any) -> Any:
        if name == "in" or name == "not in":
            found = self.contains(y, x, dx)
            return not found if name == "not in" else found
        op, forward, reflected = COMPARE[name]
        kx, ky = type(x), type(y)
        if kx in PLAIN and ky in PLAIN:
            return op(x, y)
        if (dx is not None or dy is not None) and (is_number_type(kx) or is_number_type(ky)):
            return op(x, y)
        if is_python(getattr(kx, forward, None)) or is_python(getattr(ky, reflected, None)):
            found = self.dispatch(x, dx, y, dy, forward, reflected)
            if found is not None:
                return found[0]
        return self.quietly(op, x, y)

    def contains(self, container: Any, x: Any, dx: Any) -> Any:
        f = getattr(type(container), "__contains__", None)
        if is_python(f):
            return self.truth(*self.call(f, (container, x), (None, dx)))
        if f is None and is_python(getattr(type(container), "__iter__", None)):
            return any(x is v or self.compare("==", v, t, x, dx) for v, t in self.iterate(container, None))
        if isinstance(container, (dict, set, frozenset)):
            return x in container if type(x) in ATOMS else self.keyed(operator.contains, container, x)
        return self.quietly(operator.contains, container, x)

    def truth(self, x: Any, dx: Any) -> bool:
        """`bool(x)`, as `if` and `not` ask for it."""
        kind = type(x)
        if kind in TRUTHS:
            return bool(x)
        f = on_class(kind, "__bool__")
        if f is None:
            return bool(self.call(len, (x,), (dx,))[0]) if is_python(on_class(kind, "__len__")) else bool(x)
        if not is_python(f):
            return bool(x)
        found = self.special(f, "__bool__", (x,), (dx,))[0]
        if type(found) is not bool:
            raise TypeError(f"__bool__ should return bool, returned {type(found).__name__}")
        return found

    def matches(self, error: BaseException, kind: Any) -> bool:
        kinds = kind if isinstance(kind, tuple) else (kind,)
        for k in kinds:
            if isinstance(k, tuple):
                if self.matches(error, k):
                    return True
            elif not (isinstance(k, type) and issubclass(k, BaseException)):
                raise TypeError("catching classes that do not inherit from BaseException is not allowed")
        return issubclass(type(error), tuple(k for k in kinds if not isinstance(k, tuple)))

    # given by other parts of a run
    def keyed(self, f: Any, *args: Any) -> Any:
        raise NotImplementedError

    def quietly(self, f: Any, *args: Any, **kw: Any) -> Any:
        raise NotImplementedError

    def numeric(self, f: Any, value: Any, t: Any) -> tuple[Any, Any]:
        raise NotImplementedError

    def call(self, f: Any, args: Any, ts: Any, kw: Any = None, kts: Any = None) -> tuple[Any, Any]:
        raise NotImplementedError

    def scalar(self, rule: Any, f: Any, args: Any, ts: Any) -> tuple[Any, Any]:
        raise NotImplementedError

    def primitive(
        self, rule: Any, f: Any, args: Any, ts: Any, kw: Any = None, kts: Any = None
    ) -> tuple[Any, Any]:
        raise NotImplementedError

    def iterate(self, x: Any, dx: Any) -> Any:
        raise NotImplementedError

    def tangent_of(self, x: Any, t: Any) -> Any:
        raise NotImplementedError

    def frozen(self, x: Any) -> Any:
        raise NotImplementedError

    def derive(self, rule: Any, y: Any, args: Any, kw: Any, ts: Any, kts: Any) -> Any:
        raise NotImplementedError

    def overwrite(self, a: Any, index: Any, t: Any) -> None:
        raise NotImplementedError

    def about_to_write(self, a: Any) -> None:
        raise NotImplementedError

    def missing_rule(self, what: str) -> NoReturn:
        raise NotImplementedError

    def container_operator(
        self, name: str, x: Any, dx: Any, y: Any, dy: Any, value: Any = None
    ) -> tuple[Any, Any] | None:
        raise NotImplementedError

    def container_inplace(self, name: str, x: Any, y: Any, dy: Any) -> tuple[Any, Any] | None:
        raise NotImplementedError


def is_builtin(x: Any) -> bool:
    """Whether a value is of a builtin type whose operators are all known."""
    return type(x) in _BUILTIN


_BUILTIN = PLAIN | {list, tuple, dict, set, frozenset, range, slice, type, bytearray}


def _answered_by_builtin(kind: type, name: str) -> bool:
    """Whether a method of a class is that of a type in `_BUILTIN`, or none at all."""
    f = getattr(kind, name, None)
    return f is None or getattr(f, "__objclass__", None) in _BUILTIN


def inherits_from_array(kind: type, method: str) -> bool:
    """Whether a subclass of `ndarray` leaves this operator to NumPy."""
    plain = getattr(kind, "__array_ufunc__", None) is np.ndarray.__array_ufunc__
    return plain and getattr(kind, method, None) is getattr(np.ndarray, method)


def _own_arrays(kind: type, method: str) -> bool:
    """Whether NumPy's own operator answers for this type (not a subclass with a method of its own)."""
    return kind is np.ndarray or not issubclass(kind, np.ndarray) or inherits_from_array(kind, method)


def _by_ufunc(kind: type, method: str) -> bool:
    """Whether an operator of this type is NumPy's, which asks a ufunc, so a Python `__array_ufunc__`."""
    return not issubclass(kind, np.ndarray) or getattr(kind, method, None) is getattr(np.ndarray, method)


def leaves_to(array: Any, other: Any) -> bool:
    """Whether NumPy's operator of `array` leaves the work to the reflected method of `other`."""
    kind = type(other)
    if hasattr(kind, "__array_ufunc__"):
        return kind.__array_ufunc__ is None
    own = 0.0 if isinstance(array, np.ndarray) else -1e6
    return not issubclass(kind, type(array)) and own < getattr(kind, "__array_priority__", -1e6)


def makes_array(x: Any) -> bool:
    """Whether NumPy makes an array of numbers of an object, not one that holds the object."""
    kind = type(x)
    sequence = hasattr(kind, "__len__") and hasattr(kind, "__getitem__") and not issubclass(kind, dict)
    return sequence or isinstance(x, _NUMBERS) or any([hasattr(x, name) for name in _AS_ARRAYS])


class _Refuse:
    """Stands for an operand of the type it is named after, in Python's message about unsupported operands."""

    def __new__(cls, kind: type) -> Any:
        return type(kind.__name__, (), {})()


_RULES = {name: lookup(spec[0]) for name, spec in BINARY.items()}
_UNARY_RULES = {name: lookup(spec[0]) for name, spec in UNARY.items()}
