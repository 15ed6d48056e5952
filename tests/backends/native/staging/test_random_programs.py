"""Random programs of arrays: views, stores through them, masks, loops and branches, against the plain call.

The derivative of each is compared with the one that the Python road takes.
"""

import copy
import importlib.util
import random
import sys

import numpy as np
import pytest

import tapeless as tl
from tapeless.backends.native import show
from tapeless.backends.native.staging import stage
from tapeless.backends.native.verify import verify
from tapeless.errors import NotCompilable

SEEDS, EACH = range(6), 12
PARTS = [
    ("1:", ":-1"),
    (":-1", "1:"),
    ("1:-1", "2:"),
    ("2:", ":-2"),
    ("::2", "::2"),
    (":3", "2:5"),
    ("3:", "2:-1"),
]
OPS = ["=", "+=", "*=", "-="]


class Writer:
    """Writes a function of two vectors, a matrix, a number and a count."""

    def __init__(self, seed):
        self.r = random.Random(seed)
        self.names, self.lines, self.looping = 0, [], False
        self.vectors, self.matrices, self.numbers = ["x", "y"], ["m"], ["a"]

    def one(self, *choices):
        return self.r.choice(choices)

    def new(self, kind, names):
        self.names += 1
        names.append(f"{kind}{self.names}")
        return names[-1]

    def number(self):
        v = self.one(*self.vectors)
        place = self.one("0", "-1", "2", "i % 4" if self.looping else "1")
        way = self.one("sum", "max", "mean")
        return self.one(
            self.one(*self.numbers), f"{self.r.uniform(-2, 2):.2f}", f"{v}[{place}]", f"{v}.{way}()"
        )

    def vector(self, depth=0):
        if depth > 2 or self.r.random() < 0.35:
            return self.one(*self.vectors)
        a, b, op = self.vector(depth + 1), self.vector(depth + 1), self.one(*"+-*")
        m = self.one(*self.matrices)
        return self.one(
            f"({a} {op} {b})",
            f"({a} {op} {b})",
            f"({a} {op} {self.number()})",
            f"np.{self.one('sin', 'tanh', 'abs')}({a})",
            f"{m}[{self.one('0', '1', '-1', ':, 0', ':, 2')}]",
            f"{a}[::-1]",
            f"np.where({a} > {self.number()}, {b}, {a})",
            f"({m} @ {a})",
            f"np.roll({a}, {self.one(1, -1, 2)})",
            f"{m}.{self.one('sum', 'max')}(axis={self.one(0, 1)})",
        )

    def matrix(self, depth=0):
        if depth > 1 or self.r.random() < 0.4:
            return self.one(*self.matrices)
        a, b, v = self.matrix(depth + 1), self.matrix(depth + 1), self.vector(1)
        op = self.one(*"+-*")
        return self.one(
            f"({a} {op} {b})", f"({a} * {v})", f"{a}.T", f"np.outer({v}, {v})", f"({a} + {v}[:, None])"
        )

    def statement(self, depth):
        pad, v, m = "    " * (depth + 1), self.one(*self.vectors), self.one(*self.matrices)
        w, op = self.one(*self.vectors), self.one(*OPS)
        kind = self.r.randrange(16 if depth < 2 else 14)
        if kind < 2:
            e = self.vector()
            line = f"{self.new('v', self.vectors)} = {e}"
        elif kind == 2:
            e = self.matrix()
            line = f"{self.new('w', self.matrices)} = {e}"
        elif kind in (3, 4):
            to, of = self.one(*PARTS)
            line = f"{v}[{to}] {op} {self.vector(1)}[{of}] * 0.5 + {self.vector(1)}[{of}]"
        elif kind == 5:
            line = f"{v} {self.one(*OPS[1:])} {self.vector()}"
        elif kind == 6:
            line = f"{v}[{self.one('0', '-1', '1', '3')}] {op} {self.number()}"
        elif kind == 7:
            line = f"{m}[{self.one('0', '1', '-1', ':, 1', ':, -1')}] {op} {self.vector(1)} + 0.0"
        elif kind == 8:
            of = self.one(v, f"{m}[1]", f"{m}[:, 1]")
            line = f"{self.new('u', self.vectors)} = {of}{self.one('', '[:]', '[::-1]')}"
        elif kind == 9:
            line = f"{v}[{w} > {self.number()}] {op} {self.number()}"
        elif kind == 10:
            b = self.new("b", [])
            self.lines.append(f"{pad}{b} = {w} > {self.number()}")
            line = f"{v}[{b}] {op} {self.one(*self.vectors)}[{b}] * 2.0 + {v}[{b}]"
        elif kind == 11:
            n = self.number()
            line = f"{self.new('s', self.numbers)} = {n} + {v}[{w} > {n}].sum()"
        elif kind == 12:
            e = self.matrix()
            line = f"{m} *= {e}" if self.r.random() < 0.5 else f"{self.new('r', self.matrices)} = {m}.T"
        elif kind == 13:
            line = f"{v}[np.array([2, 0, 1])] {op} {w}[{self.one('1:4', 'np.array([1, 1, 0])')}]"
        else:
            held = list(self.vectors), list(self.matrices), list(self.numbers), self.looping
            if kind == 14:
                self.lines.append(f"{pad}for i in range({self.one('2', '3', 'k')}):")
                self.looping = True
            else:
                self.lines.append(f"{pad}if {self.number()} > {self.number()}:")
            for _ in range(self.r.randint(1, 3)):
                self.statement(depth + 1)
            self.vectors, self.matrices, self.numbers, self.looping = held
            return
        self.lines.append(pad + line)

    def function(self, name):
        for _ in range(self.r.randint(3, 9)):
            self.statement(0)
        results = [*self.r.sample(self.vectors, 2), self.one(*self.matrices), self.one(*self.numbers)]
        return (
            f"def {name}(x, y, m, a, k):\n" + "\n".join(self.lines) + f"\n    return {', '.join(results)}\n"
        )


def arguments():
    rng = np.random.default_rng(5)
    return [rng.standard_normal(6), rng.standard_normal(6), rng.standard_normal((6, 6)) / 3, 0.7, 2]


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    path = tmp_path_factory.mktemp("random") / "random_array_programs.py"
    texts = [Writer(100 * s + k).function(f"f_{s}_{k}") for s in SEEDS for k in range(EACH)]
    path.write_text("import numpy as np\n\n\n" + "\n\n".join(texts))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[path.stem]


def run(staged, args):
    return staged.finish(show.python(verify(staged.function))(*staged.parameters(args, {})), args, {})


@pytest.mark.parametrize("seed", SEEDS)
def test_values_and_arguments(programs, seed):
    for k in range(EACH):
        f = getattr(programs, f"f_{seed}_{k}")
        plain, mine = arguments(), arguments()
        with np.errstate(all="ignore"):
            wanted = f(*plain)
            got = run(stage(f, copy.deepcopy(mine)), mine)
        for a, b in zip([*got, *mine], [*wanted, *plain], strict=True):
            assert type(a) is type(b)
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
def test_gradients(programs, seed):
    compared = 0
    for k in range(0, EACH, 3):
        f = getattr(programs, f"f_{seed}_{k}")

        def total(x, y, m, a, k, f=f):
            s = 0.0
            for part in f(x, y, m, a, k):
                s = s + np.sum(part * part)
            return s

        gradient = tl.grad(total, (0, 1, 2, 3))
        with np.errstate(all="ignore"):
            wanted = gradient(*arguments())
            try:
                got = run(stage(gradient, arguments()), arguments())
            except NotCompilable:
                continue
        compared += 1
        for a, b in zip(got, wanted, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-9)
    assert compared
