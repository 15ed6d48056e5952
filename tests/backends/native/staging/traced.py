"""Programs of array operations, staged on their own: the same function runs on NumPy's arrays and is staged.

`compare(program, *arguments)` runs both and compares results, arguments written, dtypes and exceptions.
"""

from __future__ import annotations

import copy

import numpy as np

from tapeless.backends.native import show
from tapeless.backends.native.nest import Array, Function, Ref, Scalar
from tapeless.backends.native.staging import arrays
from tapeless.backends.native.staging.base import TYPES, Base, Replay
from tapeless.backends.native.staging.values import (
    ArrayValue,
    ComplexNumber,
    Number,
    Sequence,
    Slice,
    Static,
    View,
)
from tapeless.backends.native.verify import verify

NAMES = {
    "add": "Add", "sub": "Sub", "mul": "Mult", "truediv": "Div", "floordiv": "FloorDiv", "mod": "Mod",
    "pow": "Pow", "and": "BitAnd", "or": "BitOr", "xor": "BitXor", "lshift": "LShift", "rshift": "RShift",
    "matmul": "MatMult",
}  # fmt: skip
COMPARED = {"eq": "Eq", "ne": "NotEq", "lt": "Lt", "le": "LtE", "gt": "Gt", "ge": "GtE"}


class Traced:
    """A value of staging that takes part in Python's and NumPy's operations."""

    def __init__(self, stager, value):
        self.stager, self.value = stager, value

    def __array_ufunc__(self, function, how, *args, **kwargs):
        f = function if how == "__call__" else getattr(function, how)
        return self._call(f, args, kwargs)

    def __array_function__(self, function, types, args, kwargs):
        return self._call(function, args, kwargs)

    def _call(self, function, args, kwargs):
        s = self.stager
        made = arrays.call(
            s, function, [unwrap(s, a) for a in args], {k: unwrap(s, v) for k, v in kwargs.items()}
        )
        assert made is not None, f"no lowering for {function}"
        return wrap(s, made)

    def named(self, uses=2):
        """The value under a name that is read so often."""
        return wrap(self.stager, arrays.settle(self.stager, self.value, uses))

    def __getitem__(self, index):
        return wrap(self.stager, arrays.getitem(self.stager, self.value, unwrap(self.stager, index)))

    def __setitem__(self, index, new):
        if isinstance(new, Updated):
            return
        arrays.setitem(self.stager, self.value, unwrap(self.stager, index), unwrap(self.stager, new))

    def __getattr__(self, name):
        if name in ("shape", "T", "mT", "size", "ndim", "dtype", "real", "imag", "flat"):
            made = wrap(self.stager, arrays.attribute(self.stager, self.value, name))
            return made
        if name.startswith("_"):
            raise AttributeError(name)
        s = self.stager

        def method(*args, **kwargs):
            made = arrays.method(
                s,
                self.value,
                name,
                [unwrap(s, a) for a in args],
                {k: unwrap(s, v) for k, v in kwargs.items()},
            )
            return wrap(s, made)

        return method

    def __neg__(self):
        return wrap(self.stager, arrays.unary(self.stager, "USub", self.value))

    def __invert__(self):
        return wrap(self.stager, arrays.unary(self.stager, "Invert", self.value))

    def __abs__(self):
        return np.absolute(self)

    def __iter__(self):
        raise TypeError("a traced value is not iterated")

    __hash__ = object.__hash__


class Module:
    """NumPy (or a module of it) whose functions are staged while a program is."""

    def __init__(self, module):
        self.module = module

    def __getattr__(self, name):
        found = getattr(self.module, name)
        if type(found) is type(self.module):
            return Module(found)
        if isinstance(found, type) or not callable(found):
            return found
        return Function_(found)


class Function_:
    def __init__(self, function):
        self.function = function

    def __call__(self, *args, **kwargs):
        if not STAGERS:
            return self.function(*args, **kwargs)
        return Traced(STAGERS[-1], Static(None))._call(self.function, args, kwargs)

    def __getattr__(self, name):
        return Function_(getattr(self.function, name))


STAGERS = []
xp = Module(np)


class Updated:
    """What `a[i] op= b` leaves to be stored: nothing, `augitem` has stored it."""


def _operator(op):
    def forward(self, other):
        return wrap(self.stager, arrays.binary(self.stager, op, self.value, unwrap(self.stager, other)))

    def backward(self, other):
        return wrap(self.stager, arrays.binary(self.stager, op, unwrap(self.stager, other), self.value))

    def inplace(self, other):
        if not isinstance(self.value, ArrayValue):
            return forward(self, other)
        return wrap(self.stager, arrays.inplace(self.stager, self.value, op, unwrap(self.stager, other)))

    return forward, backward, inplace


for _name, _op in NAMES.items():
    _f, _b, _i = _operator(_op)
    setattr(Traced, f"__{_name}__", _f)
    setattr(Traced, f"__r{_name}__", _b)
    setattr(Traced, f"__i{_name}__", _i)
for _name, _op in COMPARED.items():

    def _compared(self, other, op=_op):
        return wrap(self.stager, arrays.compare(self.stager, op, self.value, unwrap(self.stager, other)))

    setattr(Traced, f"__{_name}__", _compared)


def wrap(stager, value):
    if isinstance(value, Static):
        return value.obj
    if isinstance(value, Sequence):
        items = [wrap(stager, v) for v in value.items]
        return items if value.kind is list else tuple.__new__(value.kind, items)
    return Traced(stager, value)


def unwrap(stager, obj):
    if isinstance(obj, Traced):
        return obj.value
    if isinstance(obj, (tuple, list)):
        return Sequence([unwrap(stager, x) for x in obj], type(obj))
    if isinstance(obj, slice):
        return Slice(*(unwrap(stager, x) for x in (obj.start, obj.stop, obj.step)))
    if isinstance(obj, Module):
        return Static(obj.module)
    return Static(obj.function if isinstance(obj, Function_) else obj)


def augment(a, index, op, value):
    """`a[index] op= value` on either kind of array."""
    if isinstance(a, Traced):
        arrays.augitem(a.stager, a.value, unwrap(a.stager, index), op, unwrap(a.stager, value))
        return
    function = {
        "Add": np.add,
        "Sub": np.subtract,
        "Mult": np.multiply,
        "Div": np.true_divide,
        "Pow": np.power,
    }[op]
    a[index] = function(a[index], value)


def named(value, uses=2):
    return value.named(uses) if isinstance(value, Traced) else value


def stage(program, *arguments):
    """The nest of a program, and what puts its results together."""
    stager = Base({})
    # what is known of a call: nothing
    stager.actual, stager.strides, stager.holders = {}, {}, lambda *_: 0
    params, values = [], []
    for k, a in enumerate(arguments):
        name = "xyzuvw"[k]
        if isinstance(a, np.ndarray):
            kind = a.dtype.name
            pair = kind.startswith("complex")
            stored = {"complex128": "float64", "complex64": "float32"}.get(kind, kind)
            param = Array(name, stored, a.ndim + pair, contiguous=a.flags.c_contiguous)
            stager.array_sources[param] = name
            params.append(param)
            values.append(arrays.argument(stager, param, kind))
        elif isinstance(a, complex):
            raise NotImplementedError
        else:
            param = Scalar(name, TYPES[type(a)])
            params.append(param)
            values.append(Number(Ref(param), type(a)))
    results = []
    STAGERS.append(stager)
    try:
        made = program(*[Traced(stager, v) for v in values])
        rebuild = _outputs(stager, made, results)
    except arrays.Raised:
        rebuild = None
    finally:
        STAGERS.pop()
    fn = Function("program", params, stager.body, results, stager.failures)
    return verify(fn), rebuild


def _outputs(stager, made, results):
    if isinstance(made, (tuple, list)):
        inner = [_outputs(stager, m, results) for m in made]
        return lambda r: type(made)(f(r) for f in inner)
    if isinstance(made, Traced):
        value = made.value
        if isinstance(value, ArrayValue):
            view = arrays.materialise(stager, value)
            assert isinstance(view, View)
            results.append(view.array)
            if view.array.ndim > view.ndim:
                return lambda r: _complex(r.pop(0), value.dtype)
            return lambda r: r.pop(0)
        if isinstance(value, ComplexNumber):
            places = [_number(stager, p, results) for p in (value.real, value.imag)]
            return lambda r: value.kind(complex(*(f(r) for f in places)))
        get = _number(stager, value.expr, results)
        return lambda r: value.kind(get(r))
    return lambda r: made


def _number(stager, expr, results):
    from tapeless.backends.native.nest import Assign

    var = Scalar("result", expr.type)
    stager.emit(Assign(var, expr))
    results.append(var)
    return lambda r: r.pop(0)


def _complex(pairs, dtype):
    return (pairs[..., 0] + 1j * pairs[..., 1]).astype(dtype)


def run(fn, rebuild, arguments, native=False):
    """The program's results by the nest, run as Python or as machine code."""
    given = []
    for a in arguments:
        if isinstance(a, np.ndarray) and a.dtype.kind == "c":
            given.append(np.ascontiguousarray(a).view(a.real.dtype).reshape(*a.shape, 2))
        else:
            given.append(a)
    if native:
        from tapeless.backends.native import machine

        got = machine.compile(fn).call(*given)
    else:
        got = show.python(fn)(*given)
    return rebuild(list(got)) if rebuild is not None else None


def compare(program, *arguments, rtol=1e-12, native=False):
    """The program staged does what it does plainly; returns the text of its nest."""
    plain, staged = copy.deepcopy(arguments), copy.deepcopy(arguments)
    with np.errstate(all="ignore"):
        try:
            wanted = program(*plain)
        except Exception as error:
            wanted = error
    fn, rebuild = stage(program, *arguments)
    text = show.source(fn)
    try:
        got = run(fn, rebuild, staged, native)
    except Exception as error:
        got = error
    if isinstance(wanted, Exception):
        if isinstance(got, Replay):  # an exception with numbers of run time, which the plain program makes
            assert got.args == (type(wanted).__name__,)
            return text
        assert type(got) is type(wanted), f"{got!r} instead of {wanted!r}\n{text}"
        return text
    if isinstance(got, Exception):
        raise AssertionError(text) from got
    same(got, wanted, rtol, text)
    for a, b in zip(staged, plain, strict=True):
        same(a, b, rtol, text)
    return text


def same(got, wanted, rtol, text):
    if wanted is None:
        assert got is None, text
        return
    if isinstance(wanted, (tuple, list)):
        assert type(got) is type(wanted) and len(got) == len(wanted), text
        for a, b in zip(got, wanted, strict=True):
            same(a, b, rtol, text)
        return
    if isinstance(wanted, np.ndarray):
        assert isinstance(got, np.ndarray) and got.shape == wanted.shape, f"{got}\n{wanted}\n{text}"
        assert got.dtype == wanted.dtype, f"{got.dtype} for {wanted.dtype}\n{text}"
    else:
        assert type(got) is type(wanted), f"{type(got)} for {type(wanted)}\n{text}"
    kind = np.asarray(wanted).dtype
    if kind.kind == "O":
        assert got == wanted, text
        return
    rtol = 1e-5 if kind in (np.float32, np.complex64) else rtol
    np.testing.assert_allclose(got, wanted, rtol=rtol, atol=rtol, err_msg=text)
