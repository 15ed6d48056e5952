"""A nest as Python: readable, and it runs, in CPython or under Numba.

`source` is the text for people; `python` compiles it, the reference for what every other printer must do.
"""

from __future__ import annotations

import math
import pickle
import sys
from collections.abc import Callable, Iterator
from typing import Any

from tapeless.backends.native.nest import (
    BINARY,
    BOOL,
    F32,
    F64,
    FUNCTIONS,
    I64,
    Alias,
    Alloc,
    Apply,
    Array,
    Assign,
    Check,
    Comment,
    Const,
    Dim,
    Expr,
    Failure,
    For,
    Function,
    Grow,
    If,
    Intrinsic,
    Load,
    Raise,
    Ref,
    Scalar,
    Stmt,
    Store,
    Swap,
    While,
    children,
    expressions,
    walk,
)

#: operation -> (symbol, how tightly it binds)
INFIX = {
    "any": ("or", 1), "all": ("and", 2), "lt": ("<", 4), "le": ("<=", 4), "gt": (">", 4), "ge": (">=", 4),
    "eq": ("==", 4), "ne": ("!=", 4), "or": ("|", 5), "xor": ("^", 6), "and": ("&", 7), "shl": ("<<", 8),
    "shr": (">>", 8), "add": ("+", 9), "sub": ("-", 9), "mul": ("*", 10), "div": ("/", 10),
    "floordiv": ("//", 10), "mod": ("%", 10), "pow": ("**", 12),
}  # fmt: skip
PREFIX = {"not": ("not ", 3), "neg": ("-", 11), "invert": ("~", 11)}
CALLS = {
    **{name: f"np.{name}" for name in FUNCTIONS},
    "asin": "np.arcsin", "acos": "np.arccos", "atan": "np.arctan", "asinh": "np.arcsinh",
    "acosh": "np.arccosh", "atanh": "np.arctanh", "erf": "math.erf", "erfc": "math.erfc",
    "tgamma": "math.gamma", "lgamma": "math.lgamma", "digamma": "digamma", "abs": "abs", "fmin": "np.fmin",
    "fmax": "np.fmax", "atan2": "np.arctan2", "hypot": "np.hypot", "copysign": "np.copysign",
    "fmod": "np.fmod", "isnan": "np.isnan", "isinf": "np.isinf", "isfinite": "np.isfinite",
    "signbit": "np.signbit", "mulz": "mulz",
    **{name: name for name in (*FUNCTIONS, *BINARY) if name.startswith("special.")},
}  # fmt: skip
CASTS = {F64: "float", F32: "np.float32", I64: "int", BOOL: "bool"}

MULZ = """\
def mulz(a, b):
    return 0.0 if a == 0.0 or b == 0.0 else a * b


"""
#: What an intrinsic is in NumPy: outs and ins are the names, attributes are those of the statement.
INTRINSICS: dict[str, Callable[[list[str], list[str], dict[str, Any]], list[str]]] = {
    "gemm": lambda o, i, k: [_product(o, i, k, (k.get("ta"), k.get("tb")))],
    "block": lambda o, i, k: [_block(o[0], i, k["axes"], k["ndims"], k["add"])],
    "gemv": lambda o, i, k: [_product(o, i, k, (k.get("ta"), False))],
    "solve": lambda o, i, k: [f"{o[0]}[...] = np.linalg.solve({_t(i[0], k.get('ta'))}, {i[1]})"],
    "cholesky": lambda o, i, k: [f"{o[0]}[...] = np.linalg.cholesky({i[0]})"],
    "cholesky_back": lambda o, i, k: [
        f"_p = np.tril({i[0]}.T @ np.tril({i[1]})) * (1.0 - 0.5 * np.eye(len({i[0]})))",
        f"_p = np.linalg.solve({i[0]}.T, np.linalg.solve({i[0]}.T, _p).T)",
        f"{o[0]}[...] = np.tril(_p + _p.T) - _p * np.eye(len(_p))",
    ],
    "inv": lambda o, i, k: [f"{o[0]}[...] = np.linalg.inv({i[0]})"],
    "det": lambda o, i, k: [f"{o[0]} = np.linalg.det({i[0]})"],
    "slogdet": lambda o, i, k: [f"{', '.join(o)} = np.linalg.slogdet({i[0]})"],
    "qr": lambda o, i, k: _several(o, f"np.linalg.qr({i[0]})"),
    "eigh": lambda o, i, k: _several(o, f"np.linalg.eigh({i[0]})"),
    "svd": lambda o, i, k: _several(o, f"np.linalg.svd({i[0]}, full_matrices=False)"),
    "sort": lambda o, i, k: [
        f"{o[1]}[...] = np.argsort({i[0]}, axis=-1, kind='stable')",
        f"{o[0]}[...] = np.take_along_axis({i[0]}, {o[1]}, axis=-1)",
    ],
    "copy": lambda o, i, k: [f"{o[0]}[...] = {i[0]}"],
    "fft": lambda o, i, k: [
        f"_z = np.fft.{'ifft' if k.get('inverse') else 'fft'}({i[0]}[..., 0] + 1j * {i[0]}[..., 1])",
        f"{o[0]}[..., 0] = _z.real",
        f"{o[0]}[..., 1] = _z.imag",
    ],
    "complex_det": lambda o, i, k: _of_complex(o, i, "np.linalg.det(_z)", "c"),
    "complex_slogdet": lambda o, i, k: _of_complex(o, i, "np.linalg.slogdet(_z)", "cr"),
    "complex_cholesky": lambda o, i, k: _of_complex(o, i, "np.linalg.cholesky(_z)", "c"),
    "complex_qr": lambda o, i, k: _of_complex(o, i, "np.linalg.qr(_z)", "cc"),
    "complex_eigh": lambda o, i, k: _of_complex(o, i, "np.linalg.eigh(_z)", "rc"),
    "complex_svd": lambda o, i, k: _of_complex(o, i, "np.linalg.svd(_z, full_matrices=False)", "crc"),
    "called": lambda o, i, k: _called(o, i, k["payload"]),
    "print": lambda o, i, k: [_printed(i, k["payload"])],
    "settle": lambda o, i, k: [],
    "random": lambda o, i, k: _drawn(o, i, k["payload"]),
}


def _called(outs: list[str], ins: list[str], payload: str) -> list[str]:
    """A call of a function by its name."""
    module, name, pairs, places, options = pickle.loads(bytes.fromhex(payload))
    complex_outs, complex_ins = pairs[: len(outs)], pairs[len(outs) :]
    given = [f"{x}[..., 0] + 1j * {x}[..., 1]" if p else x for x, p in zip(ins, complex_ins, strict=True)]
    given = [given[k] for k in places]
    given += [f"{k}={v!r}" for k, v in options.items()]
    text = [f"import {module}", f"_r = {module}.{name}({', '.join(given)})"]
    for k, (out, pair) in enumerate(zip(outs, complex_outs, strict=True)):
        part = "_r" if len(outs) == 1 else f"_r[{k}]"
        if pair:
            text += [f"{out}[..., 0] = np.real({part})", f"{out}[..., 1] = np.imag({part})"]
        else:
            text.append(f"{out}[...] = {part}")
    return text


def _printed(names: list[str], payload: str) -> str:
    """A call of `print`.  What is logged, or has no text of its own, goes to `_shown` (of a running nest)."""
    from tapeless.backends.native.staging.templates import spelled

    templates, options, error = pickle.loads(bytes.fromhex(payload))
    texts = [spelled(t, names) for t in templates]
    if any(t is None for t in texts) or not isinstance(options, dict):
        return f"_shown({payload!r}, {', '.join(names)})"
    texts += [f"{k}={v!r}" for k, v in options.items() if v]
    return f"print({', '.join(str(t) for t in [*texts, *(['file=sys.stderr'] if error else [])])})"


def _drawn(outs: list[str], ins: list[str], payload: str) -> list[str]:
    """Random numbers; `_rng` finds a generator that was given by its address."""
    from tapeless.backends.native.staging.templates import spelled

    what, *rest = pickle.loads(bytes.fromhex(payload))
    if what == "clock":
        return ["import time", f"{outs[0]} = time.{rest[0]}()"]
    if what == "make":
        _, name, templates = rest
        return [f"{outs[0]} = np.random.{name}({', '.join(str(spelled(t, ins)) for t in templates)})"]
    owner = f"_rng({ins[0]})"
    if what == "shuffle":
        return [f"{outs[0]}[...] = np.arange({outs[0]}.size)", f"{owner}.shuffle({outs[0]})"]
    if what == "seed":
        return [f"{owner}.seed({', '.join(str(spelled(t, ins[1:])) for t in rest[0])})"]
    name, names, templates, options, sized = rest
    args = [f"{n}={spelled(t, ins[1:])}" for n, t in zip(names, templates, strict=True)]
    args += [f"size={outs[0]}.shape"] * sized + [f"{n}={v!r}" for n, v in options.items()]
    return [f"{outs[0]}{'[...]' if sized else ''} = {owner}.{name}({', '.join(args)})"]


RNG = """\
def _rng(rng):
    return rng if isinstance(rng, (np.random.Generator, np.random.RandomState)) else np.random.mtrand._rand


"""


def _t(name: str, transposed: Any) -> str:
    return f"{name}.T" if transposed else name


def _product(o: list[str], i: list[str], attrs: dict[str, Any], transposed: tuple[Any, Any]) -> str:
    a, b = (_t(name, flag) for name, flag in zip(i, transposed, strict=True))
    return f"{o[0]}[...] {'+' if attrs.get('add') else ''}= {a} @ {b}"


def _block(
    out: str, ins: list[str], axes: tuple[tuple[int, int], ...], ndims: tuple[int, ...], add: bool
) -> str:
    """A product of windows: two names, the lengths of rows, columns and sums, where each window begins."""
    a, b, m, n, k, *starts = ins
    texts = []
    shapes = (m, n), (m, k), (k, n)
    for name, (row, column), lengths, ndim in zip((out, a, b), axes, shapes, ndims, strict=True):
        index = [starts.pop(0) for _ in range(ndim)]
        for axis, length in zip((row, column), lengths, strict=True):
            index[axis] = f"{index[axis]} : {index[axis]} + {length}"
        texts.append(f"{name}[{', '.join(index)}]" + (".T" if row > column else ""))
    return f"{texts[0]} {'+=' if add else '='} {texts[1]} @ {texts[2]}"


def _several(outs: list[str], call: str) -> list[str]:
    return [f"_r = {call}", *(f"{name}[...] = _r[{k}]" for k, name in enumerate(outs))]


def _of_complex(outs: list[str], ins: list[str], call: str, kinds: str) -> list[str]:
    """A call with the complex matrix `_z`; a complex result (`c` in `kinds`) has a last axis of length 2."""
    text = [f"_z = {ins[0]}[..., 0] + 1j * {ins[0]}[..., 1]", f"_r = {call}"]
    for k, (name, kind) in enumerate(zip(outs, kinds, strict=True)):
        part = "_r" if len(outs) == 1 else f"_r[{k}]"
        if kind == "c":
            text += [f"{name}[..., 0] = {part}.real", f"{name}[..., 1] = {part}.imag"]
        else:
            text.append(f"{name}[...] = {part}")
    return text


def source(fn: Function, *, running: bool = False) -> str:
    """The nest as the text of a Python function; `running` keeps IEEE arithmetic (division by zero, say)."""
    return Printer(fn, running).text()


def python(fn: Function) -> Callable[..., tuple[Any, ...]]:
    """The nest as a Python function: takes the parameters, returns the tuple of results."""
    import numpy as np

    def digamma(x: Any) -> Any:
        from scipy.special import digamma  # type: ignore[import-untyped]

        return digamma(x)

    class special:
        """SciPy's functions, imported when they are first asked for."""

        def __getattr__(self, name: str) -> Any:
            import scipy.special  # type: ignore[import-untyped]

            return getattr(scipy.special, name)

    def shown(payload: str, *values: Any) -> None:
        from tapeless.backends.native import callbacks

        flags = {"payload": pickle.loads(bytes.fromhex(payload))}
        callbacks.OPERATIONS["print"]([], list(values), flags)

    def generator(found: Any) -> Any:
        from tapeless.backends.native import callbacks

        return callbacks.generator(int(found)) if isinstance(found, (int, np.integer)) else found

    scope: dict[str, Any] = {
        "_rng": generator,
        "np": np, "math": math, "sys": sys, "digamma": digamma, "special": special(),
        "_failures": fn.failures, "_shown": shown,
    }  # fmt: skip
    exec(compile(source(fn, running=True), f"<nest {fn.name}>", "exec"), scope)
    run = scope[_identifier(fn.name)]

    def call(*params: Any) -> tuple[Any, ...]:
        with np.errstate(all="ignore"):
            got = [
                np.float64(p) if isinstance(v, Scalar) and v.type == F64 else p
                for v, p in zip(fn.params, params, strict=True)
            ]
            made: tuple[Any, ...] = run(*got)
            return made

    return call


class Printer:
    """Prints one nest; every variable gets a name of its own."""

    def __init__(self, fn: Function, running: bool = False) -> None:
        self.fn, self.running = fn, running
        self.names: dict[Scalar | Array, str] = {}
        self.taken = {"np", "math", "mulz", "digamma", "special", *("range", "float", "int", "bool", "abs")}
        self.taken |= {"min", "max"}
        self.lines: list[str] = []

    def name(self, x: Scalar | Array) -> str:
        if x not in self.names:
            base = _identifier(x.name)
            made, n = base, 1
            while made in self.taken:
                n += 1
                made = f"{base}_{n}"
            self.taken.add(made)
            self.names[x] = made
        return self.names[x]

    def text(self) -> str:
        fn = self.fn
        params = ", ".join(self.name(p) for p in fn.params)
        self.lines.append(f"def {_identifier(fn.name)}({params}):")
        for array in _declared_first(fn):
            zeros = ", ".join("0" * array.ndim) + ("," if array.ndim == 1 else "")
            self.lines.append(f"    {self.name(array)} = np.zeros(({zeros}), {self.dtype(array)})")
        self.body(fn.body, 1)
        results = ", ".join(self.name(r) for r in fn.results)
        self.lines.append(f"    return ({results}{',' if len(fn.results) == 1 else ''})")
        used = any(_uses(e, "mulz") for s in walk(fn.body) for e in expressions(s))
        return (MULZ if used else "") + "\n".join(self.lines) + "\n"

    def dtype(self, array: Array) -> str:
        return "np.bool_" if array.dtype == "bool" else f"np.{array.dtype}"

    def body(self, body: list[Stmt], depth: int) -> None:
        start = len(self.lines)
        for stmt in body:
            for line in self.stmt(stmt, depth):
                self.lines.append("    " * depth + line)
        if all(line.lstrip().startswith("#") for line in self.lines[start:]):
            self.lines.append("    " * depth + "pass")

    def nested(self, head: str, body: list[Stmt], depth: int) -> None:
        self.lines.append("    " * depth + head)
        self.body(body, depth + 1)

    def stmt(self, s: Stmt, depth: int) -> Iterator[str]:
        e = self.expr
        if isinstance(s, Assign):
            yield f"{self.name(s.var)} = {e(s.value)}"
        elif isinstance(s, Store):
            yield f"{self.place(s)} {'+' if s.add else ''}= {e(s.value)}"
        elif isinstance(s, (Alloc, Alias)):
            shape = f"({', '.join(map(e, s.shape))}{',' if len(s.shape) == 1 else ''})"
            name = self.name(s.array)
            if isinstance(s, Alias):
                assert s.array.alias is not None
                yield f"{name} = {self.name(s.array.alias)}.reshape({shape})"
            else:
                make = f"{name} = np.empty({shape}, {self.dtype(s.array)})"
                again = s.array in _declared_first(self.fn)
                yield f"if {name}.shape != {shape}: {make}" if again else make
        elif isinstance(s, Grow):
            name, size = self.name(s.array), e(s.size)
            kind = self.dtype(s.array)
            yield f"if {name}.size < {size}:"
            yield f"    {name} = np.concatenate(({name}, np.zeros({size} - {name}.size, {kind})))"
        elif isinstance(s, Swap):
            a, b = self.name(s.a), self.name(s.b)
            yield f"{a}, {b} = {b}, {a}"
        elif isinstance(s, For):
            bounds = [e(s.start), e(s.stop)]
            if s.step != 1:
                bounds.append(str(s.step))
            elif bounds[0] == "0":
                bounds = bounds[1:]
            self.nested(f"for {self.name(s.var)} in range({', '.join(bounds)}):", s.body, depth)
        elif isinstance(s, While):
            if s.test:
                self.lines.append("    " * depth + "while True:")
                self.body(s.test, depth + 1)
                self.lines.append("    " * (depth + 1) + f"if not {e(s.condition, 11)}: break")
                self.body(s.body, depth + 1)
            else:
                self.nested(f"while {e(s.condition)}:", s.body, depth)
        elif isinstance(s, If):
            self.nested(f"if {e(s.condition)}:", s.then, depth)
            if s.orelse:
                self.nested("else:", s.orelse, depth)
        elif isinstance(s, Raise):
            yield self.failure(s.failure)
        elif isinstance(s, Check):
            yield f"if not {e(s.condition, 11)}: {self.failure(s.failure)}"
        elif isinstance(s, Intrinsic):
            outs = [self.name(x) for x in s.outs]
            ins = [self.name(x) if isinstance(x, Array) else e(x) for x in s.ins]
            if "failure" in s.attrs and self.running:
                yield from ("try:", *("    " + x for x in INTRINSICS[s.name](outs, ins, s.attrs)))
                yield from ("except np.linalg.LinAlgError:", f"    {self.failure(s.attrs['failure'])}")
            else:
                yield from INTRINSICS[s.name](outs, ins, s.attrs)
        elif isinstance(s, Comment):
            yield f"# {s.text}"
        else:
            raise TypeError(f"no way to print {s!r}")

    def failure(self, number: int) -> str:
        if self.running:
            return f"raise _failures[{number}].type(*_failures[{number}].args)"
        failure: Failure = self.fn.failures[number]
        return f"raise {failure.type.__name__}({', '.join(map(repr, failure.args))})"

    def expr(self, x: Expr, outer: int = 0) -> str:
        """The text of an expression, in parentheses where `outer` binds more tightly."""
        if isinstance(x, Const):
            return self.literal(x, outer)
        if isinstance(x, Ref):
            return self.name(x.var)
        if isinstance(x, Load):
            narrow = self.running and x.type == I64 and x.array.dtype != "int64"
            return f"np.int64({self.place(x)})" if narrow else self.place(x)
        if isinstance(x, Dim):
            return f"{self.name(x.array)}.shape[{x.axis}]"
        assert isinstance(x, Apply)
        if x.op in INFIX:
            symbol, binds = INFIX[x.op]
            left = self.expr(x.args[0], binds + (x.op == "pow" or binds == 4))
            second = x.args[1]
            if x.op == "add" and x.type == I64 and isinstance(second, Const) and second.value < 0:
                symbol, second = "-", Const(-second.value, I64)
            right = self.expr(second, binds + (x.op != "pow"))
            text = f"{left} {symbol} {right}"
        elif x.op in PREFIX:
            symbol, binds = PREFIX[x.op]
            text = symbol + self.expr(x.args[0], binds)
        elif x.op == "select":
            binds = 0.5  # type: ignore[assignment]
            c, a, b = (self.expr(a, 1) for a in x.args)
            text = f"{a} if {c} else {b}"
        elif x.op in ("minimum", "maximum"):
            if x.type == I64:
                return f"{x.op[:3]}({', '.join(map(self.expr, x.args))})"
            return f"np.{x.op}({', '.join(map(self.expr, x.args))})"
        elif x.op == "stop":
            return self.expr(x.args[0], outer)
        elif x.op == "cast":
            kind = "np.float64" if self.running and x.type == F64 else CASTS[x.type]
            return f"{kind}({self.expr(x.args[0])})"
        else:
            return f"{CALLS[x.op]}({', '.join(map(self.expr, x.args))})"
        return f"({text})" if binds < outer else text

    def place(self, x: Load | Store) -> str:
        return f"{self.name(x.array)}[{', '.join(map(self.expr, x.index)) or '()'}]"

    def literal(self, x: Const, outer: int) -> str:
        if x.type in (F64, F32):
            text = repr(float(x.value)) if math.isfinite(x.value) else f"float('{x.value}')"
            if x.type == F32:
                return f"np.float32({text})"
            if self.running:
                return f"np.float64({text})"
        else:
            text = repr(x.value)
        return f"({text})" if text.startswith("-") and outer > 9 else text


def _uses(x: Expr, op: str) -> bool:
    if isinstance(x, Apply):
        return x.op == op or any(_uses(a, op) for a in x.args)
    return isinstance(x, Load) and any(_uses(i, op) for i in x.index)


def _declared_first(fn: Function) -> list[Array]:
    """Arrays that must exist before their first `Alloc` or `Grow`: those that may be given storage twice."""
    found: dict[Array, None] = {}
    seen: set[Array] = set()

    def look(body: list[Stmt], inside: bool) -> None:
        for s in body:
            if isinstance(s, Grow) or (isinstance(s, Alloc) and (inside or s.array in seen)):
                found[s.array] = None
            if isinstance(s, (Alloc, Grow)):
                seen.add(s.array)
            for inner in children(s):
                look(inner, True)

    look(fn.body, False)
    return list(found)


def _identifier(name: str) -> str:
    import keyword

    made = "".join(c if c.isalnum() or c == "_" else "_" for c in name) or "_"
    made = made if not made[0].isdigit() else f"_{made}"
    return made + "_" if keyword.iskeyword(made) else made
