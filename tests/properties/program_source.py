"""Programs as source text: control flow, stores, aliases, containers, calls, exceptions, at random.

Each program is a module with the fixed prelude below and one function `program(x, y, a, m, items)`.
Operations are smooth and bounded, so values stay tame; branches compare with constants that no drawn value
equals. Shapes are known while the text is written, so every program runs; it may raise on purpose.

Hypothesis draws the seed, the number of statements and the nesting. (Drawing every choice by itself costs
30 ms a program, and three in four of the programs are then copies of earlier ones.) `smallest` reduces a
failing one.
"""

import ast
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from hypothesis import strategies as st

PRELUDE = """
import math
from functools import reduce

import numpy as np


class Box:
    def __init__(self, value, data):
        self.value = value
        self.data = data
        self.items = [value]

    def scale(self, k):
        self.value = self.value * math.cos(k) + 0.1
        self.data *= math.cos(k)
        return self

    @property
    def total(self):
        return self.value + self.data[0] * self.items[-1]


def smooth(p, q):
    if p > 0.37:
        return p / (1.5 + q * q)
    return math.sin(p) * q


def halve(p, n):
    if n == 0:
        return math.tanh(p)
    return 0.5 * halve(p + 0.2, n - 1) + 0.1 * p


def writes(target, p):
    target[0] = p * math.cos(target[-1])
    target[-1:] *= 0.7
    return target[0] + 0.3


def collects(target, p):
    target.append(p * 0.5)
    if p > 0.91:
        raise ValueError(p * 0.3, "collects")
    target[0] = target[0] * 0.9 + p * 0.1
    return target[-1]


def wave(p, n):
    for k in range(n):
        p = math.sin(p + k)
        yield p
"""

LIMIT = 28  # statements in one program
CONSTANTS = ["0.31", "-0.47", "0.83", "1.27", "-1.13", "2.0", "0.05"]
THRESHOLDS = ["0.213", "-0.347", "0.671", "0.029", "-0.811", "1.133"]


@dataclass(frozen=True)
class Variable:
    kind: str  # float, array, list, dict, box
    shape: tuple = ()
    bound_here: bool = True  # may be rebound in this function


class Writer:
    def __init__(self, random: Random, depth: int):
        self.random = random
        self.depth = depth
        self.lines: list[str] = []
        self.scope: dict[str, Variable] = {}
        self.functions: list[str] = []
        self.indent = 1
        self.fresh = 0
        self.statements = 0
        self.loops = 0
        self.in_closure = False
        self.returns_arrays = False

    # ---- drawing

    def pick(self, options: list) -> Any:
        return options[self.below(len(options))]

    def chance(self, one_in: int) -> bool:
        return self.below(one_in) == 0

    def below(self, n: int) -> int:
        return int(self.random.random() * n)

    def emit(self, line: str) -> None:
        self.lines.append("    " * self.indent + line)

    def name(self, prefix: str) -> str:
        self.fresh += 1
        return f"{prefix}{self.fresh}"

    def names(self, kind: str, shape: tuple | None = None, bound: bool = False) -> list[str]:
        return [
            n
            for n, v in self.scope.items()
            if v.kind == kind and (shape is None or v.shape == shape) and (v.bound_here or not bound)
        ]

    # ---- expressions

    def float_leaf(self) -> str:
        options = [*self.names("float"), *self.names("float"), self.pick(CONSTANTS)]
        for n in self.names("array"):
            shape = self.scope[n].shape
            options.append(f"{n}[{self.index(shape)}]")
        options += [f"{n}[{k}]" for n in self.names("list") for k in (0, -1)]
        options += [f"{n}[{k!r}]" for n in self.names("dict") for k in "ab"]
        options += [f"{n}.{f}" for n in self.names("box") for f in ("value", "total", "data[1]", "items[0]")]
        return self.pick(options)

    def index(self, shape: tuple) -> str:
        return ", ".join(str(self.below(n) - (n if self.chance(3) else 0)) for n in shape)

    def float_expression(self, depth: int = 2) -> str:
        if depth == 0 or self.chance(4):
            return self.float_leaf()
        p = self.float_expression(depth - 1)
        q = self.float_expression(depth - 1)
        options = [
            f"math.sin({p})",
            f"math.tanh({p} + {q})",
            f"0.5 * ({p} + {q})",
            f"{p} * math.cos({q})",
            f"({p}) / (1.5 + ({q}) ** 2)",
            f"smooth({p}, {q})",
            f"halve({p}, 2)",
            f"({p} if {self.condition()} else {q})",
            f"max({p}, {q})",
            f"math.tanh({p}) * ({q}) * 0.7 - 0.4 * ({q})",
            f"abs({p} - 0.1)",
        ]
        options += [f"{a}.sum() * 0.2" for a in self.names("array")]
        options += [
            f"math.tanh(0.3 * {a} @ {b})"
            for a in self.names("array", (3,))
            for b in self.names("array", (3,))
        ]
        options += [f"sum({items}[-3:]) * 0.3" for items in self.names("list")]
        options += [f"math.tanh(max({items}, key=lambda v: v * v))" for items in self.names("list")]
        options += [f"sorted({items})[0] * 0.5" for items in self.names("list")]
        options += [f"reduce(lambda s, v: math.sin(s * v + {p}), {n}[:4])" for n in self.names("list")]
        options += [f"sum(map(math.sin, {n}[:4])) * 0.3" for n in self.names("list")]
        options += [f"math.tanh(sum({n}.values()))" for n in self.names("dict")]
        options += [f"float({a}[0])" for a in self.names("array", (3,))]
        options += [f"{f}({p})" for f in self.callable_here()]
        return self.pick(options)

    def callable_here(self) -> list[str]:
        """No calls from nested loops or between the program's own functions: run times would multiply."""
        return [] if self.in_closure or self.loops > 1 else self.functions

    def condition(self) -> str:
        p, c = self.float_leaf(), self.pick(THRESHOLDS)
        options = [f"{p} > {c}", f"{p} < {c}", f"{c} < {p} < 1.7", f"not {p} > {c}"]
        options += [f"{p} > {c} and {self.float_leaf()} < 0.419", f"{p} < {c} or {self.float_leaf()} > 0.577"]
        options += [f"len({items}) > 2" for items in self.names("list")]
        return self.pick(options)

    def array_expression(self, shape: tuple, depth: int = 1) -> str:
        same = self.names("array", shape)
        options = [f"np.full({shape}, {self.float_leaf()})"] if not same or self.chance(6) else []
        options += same
        if depth and same:
            p, q = self.pick(same), self.array_expression(shape, depth - 1)
            f = self.float_expression(1)
            options += [
                f"np.sin({p})",
                f"({p} + {q}) * 0.5",
                f"{p} * np.cos({q})",
                f"{p} * math.cos({f})",
                f"np.where({p} > {self.pick(THRESHOLDS)}, {p}, {q})",
                f"{p}[::-1] - 0.2 * {q}",
                f"{p} / (1.0 + {q} ** 2)",
                f"np.cumsum({p}, axis=0) * 0.4",
                f"np.sort({p} * 0.9, axis=0)",
                f"np.clip({p}, -0.73, 0.79)",
                f"np.concatenate([{p}[1:], {q}[:1]])",
                f"np.stack([{p}, {q}]).max(axis=0)",
                f"np.broadcast_to({p}[0], {shape}) * {q}",
                f"np.maximum({p}, {q} - 0.3)",
            ]
            if shape == (3,) and self.names("array", (3, 3)):
                m = self.pick(self.names("array", (3, 3)))
                options += [
                    f"0.4 * ({m} @ np.sin({p}))",
                    f"{m}.sum(axis=0) * 0.3",
                    f"np.tanh({m}[:, 0] * {q})",
                ]
            if shape == (3, 3) and self.names("array", (3,)):
                v = self.pick(self.names("array", (3,)))
                options += [
                    f"{p} * np.sin({v})",
                    f"np.outer(np.sin({v}), {v}) * 0.5 + 0.5 * {q}",
                    f"0.3 * (np.sin({p}) @ {q})",
                    f"{p}.T * np.cos({v})[:, None]",
                ]
        return self.pick(options)

    def view_expression(self) -> tuple[str, tuple]:
        source = self.pick(self.names("array"))
        views = {
            (1,): [("", (1,))],
            (2,): [("", (2,)), ("[::-1]", (2,)), ("[:1]", (1,))],
            (3,): [
                ("", (3,)),
                ("[::-1]", (3,)),
                ("[1:]", (2,)),
                ("[:2]", (2,)),
                ("[::2]", (2,)),
                (".reshape(-1)", (3,)),
            ],
            (9,): [(".reshape(3, 3)", (3, 3)), ("[2:5]", (3,)), ("[::4]", (3,)), ("[7:]", (2,))],
            (3, 3): [
                ("", (3, 3)),
                (".T", (3, 3)),
                ("[::-1]", (3, 3)),
                ("[0]", (3,)),
                ("[:, 1]", (3,)),
                ("[-1]", (3,)),
                (".reshape(-1)", (9,)),
                (".ravel()", (9,)),
                ("[1:, 0]", (2,)),
                (".T.reshape(9)", (9,)),
                (".copy()", (3, 3)),
            ],
        }
        suffix, shape = self.pick(views[self.scope[source].shape])
        if not suffix and self.chance(2):
            return f"np.asarray({source})", shape
        return source + suffix, shape

    # ---- statements

    def block(self, depth: int, size: int = 3) -> None:
        """An indented block; names made in it stay in it."""
        outer = dict(self.scope)
        self.indent += 1
        for _ in range(1 + self.below(size)):
            self.statement(depth)
        self.indent -= 1
        self.scope = outer

    def statement(self, depth: int) -> None:
        self.statements += 1
        simple = [self.float_store, self.float_store, self.array_store, self.array_store, self.view]
        simple += [self.list_store, self.dict_store, self.box_store, self.call, self.comprehension]
        nested = [self.branch, self.branch, self.for_loop, self.for_loop, self.while_loop, self.attempt]
        if not self.in_closure:
            nested.append(self.closure)
        options = simple if depth == 0 or self.statements > LIMIT else simple + nested
        if self.loops:
            options = [*options, self.leave_loop]
        if self.indent > 1 and not self.in_closure and self.chance(12):
            options = [self.early_return]
        choice = self.pick(options)
        if choice in nested:
            choice(depth - 1)
        else:
            choice()

    def float_store(self) -> None:
        bound = self.names("float", bound=True)
        e = self.float_expression()
        if bound and not self.chance(4):
            n = self.pick(bound)
            form = self.pick(["{n} = {e}", "{n} += 0.3 * ({e})", "{n} *= math.cos({e})", "{n} -= {e}"])
            self.emit(form.format(n=n, e=e))
        else:
            n = self.name("f")
            self.emit(f"{n} = {e}")
            self.scope[n] = Variable("float")

    def array_store(self) -> None:
        n = self.pick(self.names("array"))
        v = self.scope[n]
        e, c, f = self.array_expression(v.shape), self.pick(THRESHOLDS), self.float_expression(1)
        stores = [
            f"{n}[{self.index(v.shape)}] = {f}",
            f"{n}[{self.index(v.shape)}] += {f}",
            f"{n}[...] = {e}",
            f"{n}[...] *= math.cos({f})",
            f"{n}[{n} > {c}] = {f}",
            f"{n}[{n} < {c}] *= 0.6",
            f"np.sin({n}, out={n})",
            f"np.multiply({n}, np.cos({e}), out={n})",
            f"{n}[::-1] -= 0.2 * {n}",
            f"{n}[[0, -1]] += 0.2 * ({f})",
            f"np.add.at({n}, [0, 0, -1], {f})",
            f"{n}[1:] = {n}[:-1]",
            f"{n}[1:] += 0.4 * {n}[:-1]",
            f"{n}[:-1] *= {n}[1:]",
            f"np.add({n}[1:], {n}[:-1] * 0.5, out={n}[1:])",
            f"{n}[...] = np.roll({n}, 1, axis=0)",
            f"np.copyto({n}, {e}, where={n} > {c})",
            f"[{n}, {self.pick(self.names('array', (3,)))}][{self.below(2)}][0] = {f}",
        ]
        if v.bound_here:
            stores += [f"{n} += 0.3 * {e}", f"{n} *= math.cos({f})", f"{n} = {e}", f"{n} = {n}.copy()"]
        if len(v.shape) == 1:
            stores += [
                f"{n}[0], {n}[-1] = {n}[-1], {n}[0]",
                f"{n}.fill({f})",
                f"{n}.sort()",
                f"writes({n}, {f})",
            ]
        else:
            row = self.array_expression((v.shape[1],))
            stores += [
                f"{n}[{self.below(3)}] = {row}",
                f"{n}[:, {self.below(3)}] += {row}",
                f"{n}[[0, 1]] = {n}[[1, 0]]",
                f"{n}[np.ix_([0, 2], [1, 2])] *= math.cos({f})",
                f"{n} += 0.3 * {n}.T" if v.bound_here else f"{n}[:] = {n}.T",
                f"{n}[1:, 1:] = {n}[:2, :2] * 0.5",
                f"{n}.flat[::4] = {row}",
            ]
        self.emit(self.pick(stores))

    def view(self) -> None:
        e, shape = self.view_expression()
        bound = self.names("array", shape, bound=True)
        if bound and self.chance(3):
            self.emit(f"{self.pick(bound)} = {e}")
        else:
            n = self.name("v")
            self.emit(f"{n} = {e}")
            self.scope[n] = Variable("array", shape)

    def list_store(self) -> None:
        n, e = self.pick(self.names("list")), self.float_expression(1)
        k = self.pick(["0", "-1"])
        stores = [
            f"{n}.append({e})",
            f"{n}.insert(0, {e})",
            f"{n}[{k}] = {e}",
            f"{n}[{k}] *= math.cos({e})",
            f"{n}.extend([{e}, {self.float_leaf()}])",
            f"{n}[:1] = [{e}]",
            f"{n}.reverse()",
            f"{n} = {n}[-4:]" if self.scope[n].bound_here else f"del {n}[4:]",
            f"{n}[0], {n}[-1] = {n}[-1], {n}[0]",
            f"{n}.sort()",
            f"{n}.sort(key=lambda v: -v)",
            f"{n}[1:] = [v * 0.8 for v in {n}[1:]]",
            f"{n}[0], *_ = ({e}, {n}[-1])",
            f"{n}.append({n}.pop(0))",
        ]
        choice = self.below(len(stores) + 1)
        if choice < len(stores):
            self.emit(stores[choice])
            return
        f = self.name("f")
        self.emit(f"{f} = {n}.pop() if len({n}) > 1 else {n}[0] * 0.5")
        self.scope[f] = Variable("float")

    def dict_store(self) -> None:
        if not self.names("dict"):
            n = self.name("d")
            self.emit(f"{n} = {{'a': {self.float_leaf()}, 'b': {self.float_leaf()}}}")
            self.scope[n] = Variable("dict")
            return
        n, e = self.pick(self.names("dict")), self.float_expression(1)
        k = self.pick(["'a'", "'b'"])
        stores = [
            f"{n}[{k}] = {e}",
            f"{n}[{k}] += 0.2 * ({e})",
            f"{n}.update(a={e})",
            f"{n}[{k}] = {n}.pop({k}) * 0.5 + {n}.get('c', 0.1)",
            f"{n}.setdefault('c', {e})",
            f"{n}['c'] = sum({n}.values()) * 0.3",
        ]
        self.emit(self.pick(stores))

    def box_store(self) -> None:
        vectors = self.names("array", (3,))
        if not self.names("box") or self.chance(5):
            n = self.name("b")
            self.emit(f"{n} = Box({self.float_leaf()}, {self.pick(vectors)})")
            self.scope[n] = Variable("box")
            return
        n, e = self.pick(self.names("box")), self.float_expression(1)
        stores = [
            f"{n}.value = {e}",
            f"{n}.value += 0.3 * ({e})",
            f"{n}.data[{self.below(3)}] = {e}",
            f"{n}.data = {self.pick(vectors)}",
            f"{n}.data *= math.cos({e})",
            f"{n}.scale({e}).items.append({n}.value)",
            f"setattr({n}, 'value', {e})",
            f"{n}.items = {self.pick(self.names('list'))}",
        ]
        choice = self.below(len(stores) + 2)
        if choice < len(stores):
            self.emit(stores[choice])
        elif choice == len(stores):
            v = self.name("v")
            self.emit(f"{v} = {n}.data")
            self.scope[v] = Variable("array", (3,))
        else:
            other = self.name("b")
            self.emit(f"{other} = {n}")
            self.scope[other] = Variable("box")

    def call(self) -> None:
        f = self.name("f")
        e = self.float_expression(1)
        calls = [f"writes({n}, {e})" for n in self.names("array") if len(self.scope[n].shape) == 1]
        calls += [f"collects({n}, {e})" for n in self.names("list")]
        calls += [f"{g}({e})" for g in self.callable_here()]
        calls += [f"sum(wave({e}, 3)) * 0.3", f"smooth(q={e}, p={self.float_leaf()})"]
        self.emit(f"{f} = {self.pick(calls)}")
        self.scope[f] = Variable("float")

    def comprehension(self) -> None:
        t, source = self.name("t"), self.pick(self.names("list"))
        outer = dict(self.scope)
        self.scope[t] = Variable("float")
        e, c = self.float_expression(1), self.pick(["", f" if {t} > {self.pick(THRESHOLDS)}"])
        self.scope = outer
        n = self.name("f") if self.chance(2) else self.name("l")
        if n.startswith("f"):
            self.emit(f"{n} = sum({e} for {t} in {source}[:3]{c}) * 0.4")
            self.scope[n] = Variable("float")
        else:
            self.emit(f"{n} = [{e} for {t} in {source}[:3]{c}] + [{self.float_leaf()}]")
            self.scope[n] = Variable("list")

    def branch(self, depth: int) -> None:
        self.emit(f"if {self.condition()}:")
        self.block(depth)
        if self.chance(3):
            self.emit(f"elif {self.condition()}:")
            self.block(depth)
        if self.chance(2):
            self.emit("else:")
            self.block(depth)

    def loop_body(self, depth: int, *variables: str) -> None:
        outer = dict(self.scope)
        for v in variables:
            self.scope[v] = Variable("float")
        self.loops += 1
        self.block(depth)
        self.loops -= 1
        self.scope = outer

    def for_loop(self, depth: int) -> None:
        t, k = self.name("t"), self.name("k")
        n = self.pick(self.names("list"))
        a = self.pick(self.names("array", (3,)))
        heads = [
            f"for {k} in range({1 + self.below(3)}):",
            f"for {t} in {n}[:3]:",
            f"for {t} in {a}:",
            f"for {t} in wave({self.float_leaf()}, 2):",
            f"for {k}, {t} in enumerate({n}[-2:]):",
            f"for {t}, {k} in zip({n}[:2], {a}, strict=False):",
        ]
        heads += [f"for {k}, {t} in {d}.items():" for d in self.names("dict")]
        heads += [f"for {k}, {t} in sorted({d}.items()):" for d in self.names("dict")]
        heads += [f"for {t} in (v * 0.5 for v in {n}[:2]):", f"for {t}, {k} in [({self.float_leaf()}, 1.0)]:"]
        head = self.pick(heads)
        self.emit(head)
        variables = [v for v in (t,) if v in head]
        self.loop_body(depth, *variables)
        if self.chance(5):
            self.emit("else:")
            self.block(depth)

    def while_loop(self, depth: int) -> None:
        n = self.name("n")
        self.emit(f"{n} = 0")
        self.emit(f"while {n} < 3 and ({self.condition()}):")
        self.indent += 1
        self.emit(f"{n} += 1")
        self.indent -= 1
        self.loop_body(depth)

    def leave_loop(self) -> None:
        self.emit(f"if {self.condition()}:")
        self.emit("    " + self.pick(["break", "continue"]))

    def attempt(self, depth: int) -> None:
        error = self.name("e")
        self.emit("try:")
        self.indent += 1
        self.emit(f"collects({self.pick(self.names('list'))}, {self.float_leaf()})")
        if self.chance(2):
            self.emit(f"if {self.condition()}:")
            self.emit(f"    raise {self.pick(['ValueError', 'KeyError'])}({self.float_leaf()})")
        if self.chance(4):
            self.emit(f"{self.pick(self.names('array', (3,)))}[5] = {self.float_leaf()}")
        self.indent -= 1
        self.block(depth)
        self.emit(f"except (ValueError, KeyError) as {error}:")
        n = self.name("f")
        self.indent += 1
        self.emit(f"{n} = {error}.args[0] * 0.5")
        self.indent -= 1
        outer = dict(self.scope)
        self.scope[n] = Variable("float")
        self.block(depth)
        self.scope = outer
        self.emit("except IndexError:")
        self.block(depth, size=1)
        if self.chance(3):
            self.emit("else:")
            self.block(depth, size=2)
        if self.chance(3):
            loops, self.loops = self.loops, 0
            self.emit("finally:")
            self.block(0, size=2)
            self.loops = loops

    def closure(self, depth: int) -> None:
        f, t = self.name("g"), self.name("t")
        rebound = [n for n in self.names("float", bound=True) if self.chance(3)][:2]
        outer, loops = dict(self.scope), self.loops
        self.scope = {n: Variable(v.kind, v.shape, bound_here=n in rebound) for n, v in self.scope.items()}
        self.scope[t] = Variable("float")
        self.loops, self.in_closure = 0, True
        self.emit(f"def {f}({t}):")
        if rebound:
            self.emit(f"    nonlocal {', '.join(rebound)}")
        body = self.indent, len(self.lines)
        self.indent += 1
        for _ in range(1 + self.below(3)):
            self.statement(depth)
        self.emit(f"return {self.float_expression(1)}")
        self.indent = body[0]
        self.scope, self.loops, self.in_closure = outer, loops, False
        if self.indent == 1:
            self.functions.append(f)
        else:
            n = self.name("f")
            self.emit(f"{n} = {f}({self.float_leaf()}) + {f}({self.float_leaf()})")
            self.scope[n] = Variable("float")

    def early_return(self) -> None:
        self.emit(f"if {self.condition()}:")
        self.emit(f"    return {self.result()}")

    def result(self) -> str:
        rest = "0.5 * x + 0.3 * y + 0.2 * a.sum() + 0.1 * m.sum() + 0.2 * items[0]"
        value = f"{self.float_expression()} + {rest}"
        return f"({value}, {self.array_expression((3,))})" if self.returns_arrays else value

    def program(self, size: int) -> str:
        for n in ("x", "y"):
            self.scope[n] = Variable("float")
        self.scope["a"] = Variable("array", (3,))
        self.scope["m"] = Variable("array", (3, 3))
        self.scope["items"] = Variable("list")
        self.returns_arrays = self.chance(3)
        for _ in range(size):
            self.statement(self.depth)
        self.emit(f"return {self.result()}")
        return PRELUDE + "\n\ndef program(x, y, a, m, items):\n" + "\n".join(self.lines) + "\n"


def write(seed: int, size: int, depth: int) -> str:
    return Writer(Random(seed), depth).program(size)


def programs(size: int = 9, depth: int = 3) -> st.SearchStrategy[str]:
    return st.builds(write, st.integers(0, 2**60), st.integers(1, size), st.integers(1, depth))


# ---- making a failing program small


def smallest(source: str, fails: Callable[[str], bool], attempts: int = 400) -> str:
    """Statements are left out, and compound ones replaced by their parts, while the program still fails."""
    prelude, body = source[: source.index("def program")], source[source.index("def program") :]
    tree = ast.parse(body)
    changed = True
    while changed and attempts > 0:
        changed = False
        for smaller in list(reductions(tree)):
            attempts -= 1
            if attempts <= 0:
                break
            text = ast.unparse(ast.fix_missing_locations(smaller))
            if fails(prelude + text + "\n"):
                tree, changed = smaller, True
                break
    return prelude + ast.unparse(tree) + "\n"


def reductions(tree: ast.Module) -> Any:
    """Every program with one statement less, larger ones first."""
    places = [
        (n, field, i)
        for n, node in enumerate(ast.walk(tree))
        for field in ("body", "orelse", "finalbody", "handlers")
        if isinstance(getattr(node, field, None), list)
        for i in range(len(getattr(node, field)))
    ]
    for n, field, i in places[1:]:
        for lifted in (False, True):
            copy = ast.parse(ast.unparse(tree))
            node = list(ast.walk(copy))[n]
            block = getattr(node, field)
            if i >= len(block):
                continue
            inner = getattr(block[i], "body", None) if lifted else []
            if not isinstance(inner, list) or (lifted and not inner):
                continue
            block[i : i + 1] = inner
            if not block and field == "body":
                block.append(ast.Pass())
            yield copy
