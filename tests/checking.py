"""`check(f, *args)`: everything that the contract promises of one program, in one call.

The reference is the program itself: its plain call (value, exception, output, mutations) and central
finite differences of it. Nothing of the package is used but the transformations under test; the helper
takes structures apart and puts them together with its own code.

A structure is read as a vector of reals. Complex leaves are two reals, so that the dot product of two
vectors is Re<a, b>, which is how the contract defines the adjoint. Inside an argument a leaf that is
reached twice is one leaf.
"""

import contextlib
import enum
import importlib.util
import io
import itertools
import linecache
import os
import types
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import tapeless as tl
from tapeless.errors import NotCompilable

#: Whether programs that compile are also held to the contract as native code (`TAPELESS_TEST_NATIVE=0`: not).
NATIVE = (
    os.environ.get("TAPELESS_TEST_NATIVE", "1") != "0" and importlib.util.find_spec("llvmlite") is not None
)

#: How near a compiled program is to the plain one, relatively; in float32 it is 1e-5.
NEAR = 1e-12

OPAQUE_TYPES = (
    type,
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodType,
    types.ModuleType,
    types.GeneratorType,
    enum.Enum,
    BaseException,
)


# ---- structures as vectors -------------------------------------------------------------------------------


def kind(x: Any) -> str:
    """How the helper treats `x`: a leaf (real, complex, array), a container, an object, or opaque."""
    if isinstance(x, (bool, np.bool_)):
        return "opaque"
    if isinstance(x, (float, np.floating)):
        return "real"
    if isinstance(x, (complex, np.complexfloating)):
        return "complex"
    if isinstance(x, np.ndarray):
        return "array" if x.dtype.kind in "fc" else "opaque"
    if isinstance(x, tuple):
        return "tuple"
    if isinstance(x, list):
        return "list"
    if isinstance(x, dict):
        return "dict"
    if isinstance(x, OPAQUE_TYPES) or type(x).__module__ in ("builtins", "numpy"):
        return "opaque"
    if hasattr(x, "__dict__") or hasattr(type(x), "__slots__"):
        return "object"
    return "opaque"


def field_names(x: Any) -> list[str]:
    names = list(getattr(x, "__dict__", ()))
    for cls in type(x).__mro__:
        slots = cls.__dict__.get("__slots__", ())
        slots = (slots,) if isinstance(slots, str) else slots
        names += [s for s in slots if s not in ("__dict__", "__weakref__") and hasattr(x, s)]
    return names


def entries(x: Any) -> list[tuple[str, Any]]:
    """The parts of a container or object, each with the source text that reaches it."""
    k = kind(x)
    if k in ("tuple", "list"):
        return [(f"[{i}]", v) for i, v in enumerate(x)]
    if k == "dict":
        return [(f"[{key!r}]", v) for key, v in x.items()]
    if k == "object":
        return [(f".{name}", getattr(x, name)) for name in field_names(x)]
    return []


def leaves(
    x: Any, path: str = "", shared: bool = True, seen: dict | None = None
) -> Iterator[tuple[str, Any]]:
    """The differentiable leaves of `x` with their paths. With `shared`, what is reached twice counts once."""
    seen = {} if seen is None else seen
    k = kind(x)
    if k in ("array", "tuple", "list", "dict", "object"):
        if id(x) in seen and (shared or k == "object"):
            return
        seen[id(x)] = x
    if k in ("real", "complex", "array"):
        yield path, x
    for step, part in entries(x):
        yield from leaves(part, path + step, shared, seen)


def to_reals(leaf: Any) -> np.ndarray:
    a = np.array(leaf)  # a copy: a result may be a window on storage that is about to change
    if a.dtype.kind == "c":
        return np.stack([a.real, a.imag], axis=-1).ravel().astype(float)
    return a.ravel().astype(float)


def size(leaf: Any) -> int:
    return int(np.size(leaf)) * (2 if np.asarray(leaf).dtype.kind == "c" else 1)


def vector(x: Any, shared: bool = True) -> np.ndarray:
    parts = [to_reals(leaf) for _, leaf in leaves(x, shared=shared)]
    return np.concatenate(parts) if parts else np.zeros(0)


def clone_array(a: np.ndarray, memo: dict) -> np.ndarray:
    """A copy with the same strides; views of one buffer stay views of one buffer."""
    owner = a
    while isinstance(owner.base, np.ndarray):
        owner = owner.base
    if owner is a or owner.size == 0 or a.size == 0:
        new = a.copy(order="K")
    else:
        if ("owner", id(owner)) not in memo:
            memo["owner", id(owner)] = owner.copy(order="K").ravel(order="K")
        flat = memo["owner", id(owner)]
        start = np.lib.array_utils.byte_bounds(owner)[0]
        offset = a.__array_interface__["data"][0] - start
        new = np.ndarray(a.shape, a.dtype, flat, offset, a.strides)
    return new


class Rebuilder:
    """Builds structures like a given one: clones, perturbed arguments, tangents and cotangents."""

    def __init__(self, values: np.ndarray | None, mode: str, shared: bool = True):
        self.values = values
        self.mode = mode  # "clone": opaque parts stay; "tangent": they are None
        self.shared = shared
        self.position = 0
        self.memo: dict[Any, Any] = {}
        self.keep: list[Any] = []

    def take(self, leaf: Any) -> Any:
        n = size(leaf)
        values = self.values[self.position : self.position + n]
        self.position += n
        if np.asarray(leaf).dtype.kind == "c":
            values = values[0::2] + 1j * values[1::2]
        return values

    def build(self, x: Any) -> Any:
        k = kind(x)
        if k not in ("real", "complex", "opaque"):
            if id(x) in self.memo and (self.shared or k == "object"):
                return self.memo[id(x)]
            self.keep.append(x)
        return getattr(self, "build_" + k)(x)

    def build_opaque(self, x: Any) -> Any:
        if self.mode == "tangent":
            return None
        if isinstance(x, (set, bytearray, np.ndarray)):
            return x.copy()
        return x

    def build_real(self, x: Any) -> Any:
        if self.values is None:
            return x
        return type(x)(self.take(x)[0])

    build_complex = build_real

    def build_array(self, x: np.ndarray) -> np.ndarray:
        new = clone_array(x, self.memo) if self.mode == "clone" else np.zeros(x.shape, x.dtype)
        if self.values is not None:
            new[...] = self.take(x).reshape(x.shape)
        self.memo[id(x)] = new
        return new

    def build_tuple(self, x: tuple) -> tuple:
        parts = [self.build(v) for v in x]
        new = type(x)(*parts) if hasattr(x, "_fields") else type(x)(parts)
        self.memo[id(x)] = new
        return new

    def build_list(self, x: list) -> list:
        new = type(x)()
        self.memo[id(x)] = new
        for v in x:
            new.append(self.build(v))
        return new

    def build_dict(self, x: dict) -> dict:
        new = x.copy()
        self.memo[id(x)] = new
        for key, v in x.items():
            new[key] = self.build(v)
        return new

    def build_object(self, x: Any) -> Any:
        new = type(x).__new__(type(x))
        self.memo[id(x)] = new
        for name in field_names(x):
            object.__setattr__(new, name, self.build(getattr(x, name)))
        return new


def clone(x: Any) -> Any:
    return Rebuilder(None, "clone").build(x)


def with_values(x: Any, values: np.ndarray) -> Any:
    """`x` with other numbers in its differentiable leaves."""
    return Rebuilder(values, "clone").build(x)


def as_tangent(x: Any, values: np.ndarray, shared: bool = True) -> Any:
    """A tangent or cotangent for `x`: the same structure, None where there is no derivative."""
    return Rebuilder(values, "tangent", shared).build(x)


@contextlib.contextmanager
def scrambled(*structures: Any) -> Iterator[None]:
    """Overwrite, for a while, all that a user can reach: what a linear map owns must not notice."""
    with contextlib.ExitStack() as undo:
        for x in structures:
            scramble(x, undo, set())
        yield


def scramble(x: Any, undo: contextlib.ExitStack, seen: set[int]) -> None:
    if id(x) in seen:
        return
    seen.add(id(x))
    k = kind(x)
    if k == "array" and x.flags.writeable:
        undo.callback(np.copyto, x, x.copy())
        x[...] = np.nan
    for _, part in entries(x):
        scramble(part, undo, seen)
    if k in ("list", "dict"):
        for key in list(x) if k == "dict" else range(len(x)):
            if kind(x[key]) == "real":
                undo.callback(x.__setitem__, key, x[key])
                x[key] = float("nan")
    if k == "object":
        for name in field_names(x):
            old = getattr(x, name)
            if kind(old) == "real":
                with contextlib.suppress(AttributeError):
                    setattr(x, name, float("nan"))
                    undo.callback(setattr, x, name, old)


# ---- comparisons -----------------------------------------------------------------------------------------


def same_numbers(a: Any, b: Any, near: float) -> bool:
    """Whether two numbers or arrays are the same bit for bit, or to `near`: of compiled code."""
    a, b = np.array(a), np.array(b)
    if a.tobytes() == b.tobytes() or not near or a.dtype.kind not in "fc":
        return a.tobytes() == b.tobytes() or bool(a.ndim == 0 and a != a and b != b)
    near = max(near, 1e-5 * (a.dtype.itemsize == 4 or a.dtype == np.complex64))
    scale = 1.0 + np.max(np.abs(b), initial=0.0, where=np.isfinite(b))
    return np.allclose(a, b, near, near * scale, equal_nan=True)


def difference(a: Any, b: Any, path: str = "value", seen: set | None = None, near: float = 0.0) -> str | None:
    """None where `a` and `b` are the same, bit for bit or to `near`, otherwise where and how they differ."""
    seen = set() if seen is None else seen
    if type(a) is not type(b):
        return (
            f"{path} is a {type(a).__name__} {a!r:.80}, the plain program has a {type(b).__name__} {b!r:.80}"
        )
    if (id(a), id(b)) in seen:
        return None
    seen.add((id(a), id(b)))
    k = kind(a)
    if isinstance(a, np.ndarray):
        if a.dtype != b.dtype or a.shape != b.shape:
            return f"{path} is {a.dtype}{a.shape}, the plain program has {b.dtype}{b.shape}"
        if a.dtype.kind != "O" and not same_numbers(a, b, near):
            return f"{path} is {a!r:.200}, the plain program has {b!r:.200}"
        return None
    if k in ("real", "complex"):
        return None if same_numbers(a, b, near) else f"{path} is {a!r}, the plain program has {b!r}"
    if k in ("tuple", "list", "dict", "object"):
        if k == "dict" and list(a) != list(b):
            return f"{path} has keys {list(a)!r:.100}, the plain program has {list(b)!r:.100}"
        if k in ("tuple", "list") and len(a) != len(b):
            return f"{path} has length {len(a)}, the plain program has {len(b)}"
        ours, theirs = entries(a), entries(b)
        if k == "object" and sorted(s for s, _ in ours) != sorted(s for s, _ in theirs):
            return f"{path} has fields {[s for s, _ in ours]}, the plain program has {[s for s, _ in theirs]}"
        if k == "object":
            theirs = [(s, dict(theirs)[s]) for s, _ in ours]
        for (step, x), (_, y) in zip(ours, theirs, strict=True):
            found = difference(x, y, path + step, seen, near)
            if found:
                return found
        return None
    if isinstance(a, (types.FunctionType, types.MethodType, types.GeneratorType, type)) or a is b:
        return None
    if type(a).__eq__ is object.__eq__:
        return None
    return None if a == b else f"{path} is {a!r:.100}, the plain program has {b!r:.100}"


def shared_memory(a: Any, b: Any) -> str | None:
    """The path of an array or mutable container in `a` that is also reachable in `b`."""
    theirs = list(parts(b))
    for path, x in parts(a):
        for other, y in theirs:
            if x is y and kind(x) != "tuple":
                return f"{path or 'it'} is the argument's own {other or 'object'}"
            if isinstance(x, np.ndarray) and isinstance(y, np.ndarray) and np.shares_memory(x, y):
                return f"{path or 'it'} shares memory with {other or 'the argument'}"
    return None


def parts(x: Any, path: str = "", seen: dict | None = None) -> Iterator[tuple[str, Any]]:
    seen = {} if seen is None else seen
    if kind(x) in ("real", "complex", "opaque") or id(x) in seen:
        return
    seen[id(x)] = x
    yield path, x
    for step, part in entries(x):
        yield from parts(part, path + step, seen)


def fetch(tangent: Any, like: Any, path: str, seen: dict, shared: bool, out: list[np.ndarray]) -> None:
    """Read `tangent` by the structure of `like`; what the contract says about its structure is asserted."""
    k = kind(like)
    if k in ("array", "tuple", "list", "dict", "object"):
        if id(like) in seen and (shared or k == "object"):
            return
        seen[id(like)] = like
    if k == "opaque":
        assert tangent is None, f"{path}: a {type(like).__name__} has no derivative, got {tangent!r:.80}"
    elif k == "array":
        assert type(tangent) is np.ndarray, f"{path}: an array expected, got {type(tangent)} {tangent!r:.80}"
        assert (tangent.shape, tangent.dtype) == (like.shape, like.dtype), (
            f"{path}: {like.dtype}{like.shape} expected, got {tangent.dtype}{tangent.shape}"
        )
        out.append(to_reals(tangent))
    elif k in ("real", "complex"):
        allowed = (float, complex, np.floating, np.complexfloating)
        good = type(tangent) is type(like) or (isinstance(like, np.generic) and isinstance(tangent, allowed))
        assert good, f"{path}: {type(like).__name__} expected, got {type(tangent).__name__} {tangent!r:.80}"
        out.append(to_reals(tangent) if k == "real" else to_reals(complex(tangent)))
    elif k == "object":
        assert not isinstance(tangent, dict) and tangent is not None, (
            f"{path}: a Tangent expected, got {tangent!r}"
        )
        for name in field_names(like):
            assert hasattr(tangent, name), f"{path}: the derivative has no field {name}"
            fetch(getattr(tangent, name), getattr(like, name), f"{path}.{name}", seen, shared, out)
    else:
        good = isinstance(tangent, dict) if k == "dict" else type(tangent) is type(like)
        assert good, f"{path}: {type(like).__name__} expected, got {tangent!r:.80}"
        assert len(tangent) == len(like), f"{path}: length {len(like)} expected, got {len(tangent)}"
        keys = like if k == "dict" else range(len(like))
        for key in keys:
            fetch(tangent[key], like[key], f"{path}[{key!r}]", seen, shared, out)


def tangent_vector(tangent: Any, like: Any, name: str, shared: bool = True) -> np.ndarray:
    out: list[np.ndarray] = []
    fetch(tangent, like, name, {}, shared, out)
    return np.concatenate(out) if out else np.zeros(0)


def assert_close(
    got: np.ndarray, want: np.ndarray, scale: float, rtol: float, what: str, labels: Sequence[str]
):
    tolerance = rtol * np.maximum(np.abs(want), scale)
    bad = ~(np.abs(got - want) <= tolerance)
    if np.any(bad):
        rows = [f"    {labels[i]}: got {got[i]!r}, expected {want[i]!r}" for i in np.flatnonzero(bad)[:8]]
        raise AssertionError("\n".join([f"{what}, {np.count_nonzero(bad)} of {got.size} differ", *rows]))


def labels_of(x: Any, root: str, shared: bool = True) -> list[str]:
    out = []
    for path, leaf in leaves(x, shared=shared):
        n = size(leaf)
        out += [root + path] if n == 1 else [f"{root}{path} element {i}" for i in range(n)]
    return out


# ---- running ---------------------------------------------------------------------------------------------


@dataclass
class Outcome:
    """What a call did: its value or exception, its output, the arguments afterwards, its warnings."""

    value: Any
    error: BaseException | None
    printed: str
    args: tuple
    warned: set[str]


def run(call: Callable[..., Any], args: tuple) -> Outcome:
    text = io.StringIO()
    value, error = None, None
    with warnings.catch_warnings(record=True) as caught, contextlib.redirect_stdout(text):
        warnings.simplefilter("always")
        try:
            value = call(*args)
        except Exception as e:
            error = e
    return Outcome(
        value, error, text.getvalue(), args, {f"{w.category.__name__}: {w.message}" for w in caught}
    )


def same_effects(name: str, got: Outcome, plain: Outcome, near: float = 0.0) -> None:
    if plain.error is not None:
        assert got.error is not None, (
            f"{name}: the plain program raises {plain.error!r}, this returned a value"
        )
        if type(got.error) is not type(plain.error):
            raise AssertionError(
                f"{name}: raised {got.error!r}, the plain program {plain.error!r}"
            ) from got.error
        found = difference(got.error.args, plain.error.args, "exception.args", near=near)
        assert found is None, f"{name}: {found}"
    elif got.error is not None:
        got.error.add_note(f"while checking {name}")
        raise got.error
    assert got.printed == plain.printed, (
        f"{name}: printed {got.printed!r}, the plain program {plain.printed!r}"
    )
    found = difference(got.args, plain.args, "arguments afterwards: ", near=near)
    assert found is None, f"{name}: {found}"
    extra = got.warned - plain.warned
    assert not extra, f"{name}: warns where the plain program does not: {sorted(extra)}"


# ---- finite differences ----------------------------------------------------------------------------------


def finite_difference(phi: Callable[[float], np.ndarray], step: float = 4e-3) -> tuple[np.ndarray, float]:
    """d phi(t) / dt at 0 by central differences with Richardson extrapolation (Ridders), and its error."""
    best, error = None, np.inf
    table: list[list[np.ndarray]] = []
    for i in range(8):
        h = step / 2**i
        row = [(phi(h) - phi(-h)) / (2 * h)]
        for j in range(i):
            factor = 4.0 ** (j + 1)
            row.append((factor * row[j] - table[i - 1][j]) / (factor - 1))
            changes = np.abs([row[j + 1] - row[j], row[j + 1] - table[i - 1][j]])
            change = float(np.max(changes, initial=0))
            if change < error or best is None:
                best, error = row[j + 1], change
        table.append(row)
        if i > 3 and error == 0.0:
            break
    return best, error


def quiet(f: Callable[..., Any], args: tuple) -> Any:
    outcome = run(f, args)
    if outcome.error is not None:
        raise outcome.error
    return outcome.value


# ---- small programs around the one under test ------------------------------------------------------------

_counter = itertools.count()


def define(name: str, source: str, namespace: dict[str, Any]) -> Callable[..., Any]:
    """A function from source text that `inspect` can read back."""
    filename = f"<checking {name} {next(_counter)}>"
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    scope = {"np": np, "__name__": __name__, **namespace}
    exec(compile(source, filename, "exec"), scope)
    return scope[name]


def weighing(out: Any, root: str, weights: np.ndarray, namespace: dict[str, Any], shared: bool) -> str:
    """Source text for the dot product of `weights` with the leaves of `out`."""
    terms, position = [], 0
    for i, (path, leaf) in enumerate(leaves(out, shared=shared)):
        n = size(leaf)
        value = as_tangent(leaf, weights[position : position + n])
        position += n
        namespace[f"w{i}"] = value
        term = f"w{i} * {root}{path}"
        if np.asarray(leaf).dtype.kind == "c":
            namespace[f"w{i}"] = np.conj(value) if isinstance(value, np.ndarray) else value.conjugate()
            term = f"({term}).real"
        terms.append(f"np.sum({term})" if isinstance(leaf, np.ndarray) and leaf.ndim > 0 else term)
    return " + ".join(terms)


def scalarised(f: Callable[..., Any], arity: int, out: Any, weights: np.ndarray) -> Callable[..., Any]:
    """`f` as a function to one float: its weighted outputs."""
    namespace: dict[str, Any] = {"f": f}
    names = ", ".join(f"a{i}" for i in range(arity))
    body = weighing(out, "out", weights, namespace, shared=False)
    source = f"def scalar({names}):\n    out = f({names})\n    return {body}\n"
    return define("scalar", source, namespace)


def weighted_gradient(gradient: Callable[..., Any], args: tuple, weights: np.ndarray) -> Callable[..., Any]:
    """<gradient(args), weights> as a program to differentiate once more."""
    namespace: dict[str, Any] = {"gradient": gradient}
    names = ", ".join(f"a{i}" for i in range(len(args)))
    body = weighing(args, "g", weights, namespace, shared=True)
    source = f"def weighted({names}):\n    g = gradient({names})\n    return {body}\n"
    return define("weighted", source, namespace)


# ---- the check -------------------------------------------------------------------------------------------


def check(
    f: Callable[..., Any],
    *args: Any,
    order: int = 2,
    rtol: float = 1e-6,
    fd: bool = True,
    seed: int = 0,
    step: float = 4e-3,
    api: Any = tl,
    native: bool = False,
) -> Any:
    """Hold one program to the contract; returns the plain call's value.

    `fd=False` leaves the finite differences out (a point where the program is not smooth): the modes are
    then only held against each other. `api` is the package under test; the tests of this helper give others.
    `native`: the program and its gradient must compile.
    """
    made = Check(f, args, order, rtol, fd, seed, step, api)
    made.native = native
    return made.all()


class Check:
    native = False

    def __init__(self, f, args, order, rtol, fd, seed, step, api):
        self.f, self.args, self.api = f, args, api
        self.order, self.rtol, self.fd, self.step = order, rtol, fd, step
        self.name = getattr(f, "__qualname__", repr(f))
        self.random = np.random.default_rng(seed)
        self.plain = run(f, self.fresh())
        self.point = vector(args)

    def fresh(self) -> tuple:
        return clone(self.args)

    def tangents(self, direction: np.ndarray) -> tuple:
        return as_tangent(self.args, direction)

    def prepare(self) -> bool:
        """False where the plain program raises: then that has been checked, and there is no derivative."""
        again = run(self.f, self.fresh())
        name = f"{self.name}: the plain program run twice"
        same_effects(name, again, self.plain)
        found = difference(again.value, self.plain.value)
        assert found is None, f"{name}: {found}"
        if self.plain.error is not None:
            self.check_raises()
            return False
        self.value = clone(self.plain.value)
        self.outputs = vector(self.value, shared=False)
        self.direction = self.random.standard_normal(self.point.size)
        self.weights = 1.0 + self.random.random(self.outputs.size)
        self.in_labels = labels_of(self.args, "argument ")
        self.out_labels = labels_of(self.value, "output", shared=False)
        return True

    def all(self) -> Any:
        if not self.prepare():
            return None
        self.check_forward()
        self.check_reverse()
        self.check_linearize()
        if self.outputs.size:
            self.check_gradient()
            if self.order > 1:
                self.check_second_order()
        if self.native or (NATIVE and self.api is tl):
            self.check_native()
        return self.plain.value

    def compiled(self, name: str, f: Callable[..., Any], plain: Outcome) -> Outcome | None:
        """The outcome of `f` compiled, which must be that of `plain`; None where it cannot be compiled."""
        got = run(tl.jit(f), self.fresh())
        if isinstance(got.error, NotCompilable) and not self.native:
            return None
        same_effects(name, got, plain, NEAR)
        return got

    def check_native(self) -> None:
        got = self.compiled(f"{self.name}: jit", self.f, self.plain)
        if got is None:
            return
        found = difference(got.value, self.value, near=NEAR)
        assert found is None, f"{self.name}: jit: {found}"
        if not self.outputs.size:
            return
        name = f"{self.name}: jit of grad"
        got = self.compiled(name, self.gradient, self.plain)
        if got is not None:
            slope = tangent_vector(got.value, self.args, name)
            scale = 1.0 + float(np.max(np.abs(self.slope), initial=0))
            assert_close(slope, self.slope, scale, 1e-10, f"{name} against grad", self.in_labels)

    def check_raises(self) -> None:
        if NATIVE and self.api is tl:
            self.compiled(f"{self.name}: jit", self.f, self.plain)
        zero = np.zeros(self.point.size)
        jvp = run(lambda *a: self.api.jvp(self.f, a, self.tangents(zero)), self.fresh())
        same_effects(f"{self.name}: jvp", jvp, self.plain)
        vjp = run(lambda *a: self.api.vjp(self.f, *a), self.fresh())
        same_effects(f"{self.name}: vjp", vjp, self.plain)

    def same_value(self, mode: str, value: Any) -> None:
        found = difference(value, self.value)
        assert found is None, f"{self.name}: {mode}: {found}"

    def check_forward(self) -> None:
        name = f"{self.name}: jvp"
        tangents = self.tangents(self.direction)
        got = run(lambda *a: self.api.jvp(self.f, a, tangents), self.fresh())
        same_effects(name, got, self.plain)
        out, tangent = got.value
        self.same_value("jvp", out)
        self.forward = tangent_vector(tangent, self.value, f"{name}: output tangent", shared=False)
        found = difference(vector(tangents), self.direction)
        assert found is None, f"{name}: the tangent that was passed in has changed: {found}"
        self.slope_scale = 1.0 + float(np.max(np.abs(self.forward), initial=0))
        if self.fd:
            want, error = finite_difference(self.along(self.direction), self.step)
            scale = self.slope_scale + error / self.rtol
            assert error <= 1e-4 * self.slope_scale, (
                f"{self.name}: no finite difference here (error {error:.1e})"
            )
            assert_close(
                self.forward, want, scale, self.rtol, f"{name} against finite differences", self.out_labels
            )

    def along(self, direction: np.ndarray) -> Callable[[float], np.ndarray]:
        def outputs_at(t: float) -> np.ndarray:
            return vector(quiet(self.f, with_values(self.args, self.point + t * direction)), shared=False)

        return outputs_at

    def check_reverse(self) -> None:
        name = f"{self.name}: vjp"
        args = self.fresh()
        got = run(lambda *a: self.api.vjp(self.f, *a), args)
        same_effects(name, got, self.plain)
        out, pullback = got.value
        self.same_value("vjp", out)
        with scrambled(args, out):
            self.reverse = self.pull(name, pullback, args, twice=True)

    def pull(self, name: str, pullback: Callable[..., Any], args: tuple, twice: bool) -> np.ndarray:
        cotangent = as_tangent(self.value, self.weights, shared=False)
        first = run(pullback, (cotangent,))
        if first.error is not None:
            first.error.add_note(f"while checking {name}: the pullback")
            raise first.error
        assert not first.printed, f"{name}: the pullback printed {first.printed!r}"
        assert not first.warned, f"{name}: the pullback warned {first.warned}"
        assert isinstance(first.value, tuple), f"{name}: the pullback returned a {type(first.value).__name__}"
        result = tangent_vector(first.value, self.args, f"{name}: gradient")
        found = difference(vector(cotangent, shared=False), self.weights)
        assert found is None, f"{name}: the cotangent that was passed in has changed: {found}"
        self.owns_its_memory(name, first.value, args, cotangent)
        if twice:
            with scrambled(first.value, cotangent):
                second = pullback(as_tangent(self.value, self.weights, shared=False))
                found = difference(tangent_vector(second, self.args, name), result, "gradient")
            assert found is None, f"{name}: the pullback called again gave another result: {found}"
        left = float(self.weights @ self.forward)
        right = float(result @ self.direction)
        scale = 1.0 + float(np.abs(result) @ np.abs(self.direction))
        if not abs(left - right) <= 1e-9 * scale:
            self.explain(name, result)
            raise AssertionError(f"{name}: <w, J v> is {left!r} but <J' w, v> is {right!r}")
        return result

    def owns_its_memory(self, name: str, gradient: tuple, *others: Any) -> None:
        for other in others:
            found = shared_memory(gradient, other)
            assert found is None, f"{name}: the gradient shares memory: {found}"
        for i, j in itertools.combinations(range(len(gradient)), 2):
            if shared_memory(self.args[i], self.args[j]) is None:
                found = shared_memory(gradient[i], gradient[j])
                assert found is None, f"{name}: the gradients of arguments {i} and {j} share memory: {found}"

    def explain(self, name: str, result: np.ndarray) -> None:
        """Where reverse and forward disagree, finite differences of each component say who is wrong."""
        if not self.fd or self.point.size > 60:
            return
        units = np.eye(self.point.size)
        want = np.array([self.weights @ finite_difference(self.along(e), self.step)[0] for e in units])
        scale = 1.0 + float(np.max(np.abs(want), initial=0))
        assert_close(result, want, scale, 1e-5, f"{name} against finite differences", self.in_labels)

    def check_linearize(self) -> None:
        name = f"{self.name}: linearize"
        args = self.fresh()
        got = run(lambda *a: self.api.linearize(self.f, *a), args)
        same_effects(name, got, self.plain)
        out, linear = got.value
        self.same_value("linearize", out)
        with scrambled(args, out), contextlib.ExitStack() as undo:
            for factor in (1.0, 2.0):
                tangent = linear(*self.tangents(factor * self.direction))
                pushed = tangent_vector(tangent, self.value, f"{name}: output tangent", shared=False)
                scramble(tangent, undo, set())
                want, scale = factor * self.forward, self.slope_scale
                assert_close(pushed, want, scale, 1e-10, f"{name} against jvp", self.out_labels)
            self.pull(f"{name}: transpose", self.api.transpose(linear), args, twice=False)

    def check_gradient(self) -> None:
        name = f"{self.name}: grad"
        plain_float = self.outputs.size == 1 and kind(self.value) == "real"
        if plain_float:
            self.scalar = self.f
            factor = float(self.weights[0])
        else:
            self.scalar = scalarised(self.f, len(self.args), self.value, self.weights)
            factor = 1.0
        self.gradient = self.api.grad(self.scalar, argnums=tuple(range(len(self.args))))
        args = self.fresh()
        got = run(self.gradient, args)
        same_effects(name, got, self.plain)
        self.slope = tangent_vector(got.value, self.args, name)
        self.owns_its_memory(name, got.value, args)
        scale = 1.0 + float(np.max(np.abs(self.slope), initial=0))
        assert_close(factor * self.slope, self.reverse, scale, 1e-10, f"{name} against vjp", self.in_labels)

    def check_second_order(self) -> None:
        scale = 1.0 + float(np.max(np.abs(self.slope), initial=0))

        def slope_at(t: float) -> np.ndarray:
            args = with_values(self.args, self.point + t * self.direction)
            return tangent_vector(quiet(self.gradient, args), self.args, f"{self.name}: grad")

        tangents = self.tangents(self.direction)
        forward = run(lambda *a: self.api.jvp(self.gradient, a, tangents), self.fresh())
        name = f"{self.name}: jvp of grad"
        same_effects(name, forward, self.plain)
        gradient, change = forward.value
        first = tangent_vector(gradient, self.args, name)
        assert_close(first, self.slope, scale, 1e-10, f"{name}, its value against grad", self.in_labels)
        curved = tangent_vector(change, self.args, name)
        scale += float(np.max(np.abs(curved), initial=0))
        if self.fd:
            want, error = finite_difference(slope_at, self.step)
            what = f"{name} against finite differences of grad"
            assert_close(curved, want, scale + error / self.rtol, self.rtol, what, self.in_labels)
        name = f"{self.name}: grad of <grad, v>"
        weighted = weighted_gradient(self.gradient, self.args, self.direction)
        twice = self.api.grad(weighted, argnums=tuple(range(len(self.args))))
        reverse = run(twice, self.fresh())
        same_effects(name, reverse, self.plain)
        curved_back = tangent_vector(reverse.value, self.args, name)
        assert_close(curved_back, curved, scale, 1e-8, f"{name} against jvp of grad", self.in_labels)
