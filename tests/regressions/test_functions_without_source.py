"""Functions whose source is nowhere to be read, rebuilt from their bytecode."""

import ast
import itertools
import math

import numpy as np
import pytest

import tapeless as tl
from tapeless.errors import SourceUnavailableError
from tapeless.frontend.bytecode import function_from_bytecode

LAMBDAS = [
    "lambda x, y: -x / y**2",
    "lambda x, y: (1 if x > 0 else y).real + note(x, *[1], k=2)",
    "lambda x, y: x and y or not x",
    "lambda x, y: 0 < x < 1",
    "lambda x, y: note(x) + (note(y) if x > y else note(1)) * note(2)",
    "lambda x, y: Thing().method(x, *(y,), **{'k': x}) if x is not None else (1, 2)",
    "lambda x, y: [x, *(y, 2)][1:2] + [1]",
    "lambda x, y: {'a': x, 'b': y, **{'c': x}}['c']",
    "lambda x, y: f'{x!r:>10} a {y} {x!s}'",
    "lambda x, y=3, *, k=5: (x := x + k) * x + note(x)",
    "lambda *a, **k: (a, k)",
    "lambda x, y: x in (1, 2) or y not in [x, y] or x is y",
    "lambda x, y: math.sqrt(abs(x)) + ~3 + +y",
    "lambda x, y: {x, y}",
    "lambda x, y: note(x, k=note(y, j=2))",
    "lambda x, y: (note(1) or note(0)) and note(x) and (note(y) if not x else note(3))",
    "lambda x, y: (1 if x < y else 2) + (3 if y < x else 4)",
    "lambda: 3",
    "lambda x, y: 'a' if x else 'b' if y else 'c'",
]
FUNCTIONS = [
    """
def stores(x, y):
    z = [x, y]
    z[0] = 3
    z[1] += x
    a, b = z
    a, b = b, a
    if a > 2:
        b -= 1
    elif a is None:
        raise ValueError(x)
    assert x < 100, "no"
    note(b)
    del z[0]
    return a, b, z, z[:1], z[::2]
""",
    """
def returns(x, y):
    if x > 0:
        return note(x)
    y = note(x) + note(y)
    return y
""",
]
REFUSED = [
    "lambda x: [a for a in x]",
    "lambda x: (a for a in x)",
    "lambda x: lambda: x",
    "def f(x):\n    for i in range(3): x += i\n    return x",
    "def f(x):\n    try: return 1 / x\n    except ZeroDivisionError: return 0.0",
    "def f(x):\n    yield x",
]


class Thing:
    def method(self, *args, **kwargs):
        return args, kwargs


def made(text):
    """The function, and what it logs."""
    log = []

    def note(*args, **kwargs):
        log.append((args, kwargs))
        return sum(args) + sum(kwargs.values())

    env = {"math": math, "note": note, "Thing": Thing}
    if text.startswith("lambda"):
        return eval(text, env), log
    exec(text, env)
    return next(f for name, f in env.items() if name in ("stores", "returns", "f")), log


def outcome(f, log, args):
    log.clear()
    try:
        result = repr(f(*args))
    except Exception as error:
        result = type(error).__name__
    return result, list(log)


def named_constants(node):
    for part in ast.walk(node):
        if isinstance(part, ast.Constant) and part.value is AssertionError:
            part.__class__, part.id, part.ctx = ast.Name, "AssertionError", ast.Load()


@pytest.mark.parametrize("text", LAMBDAS + FUNCTIONS)
def test_rebuilt_function_does_the_same_in_the_same_order(text):
    f, log = made(text)
    node = function_from_bytecode(f.__code__)
    named_constants(node)
    env = dict(f.__globals__)
    exec(ast.unparse(node), env)
    again = env[node.name]
    again.__defaults__, again.__kwdefaults__ = f.__defaults__, f.__kwdefaults__
    for args in itertools.product([0.5, -1.0, 2, 0, None], [0.25, 3, 0]):
        args = args[: f.__code__.co_argcount]
        assert outcome(f, log, args) == outcome(again, log, args)


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_not_simple_is_refused(text):
    f, _ = made(text)
    assert function_from_bytecode(f.__code__) is None


def test_gradients_of_functions_made_by_eval():
    f = eval("lambda x, y: -x / y**2 if x < y else math.sin(x) * y", {"math": math})
    for x, y in [(0.5, 2.0), (2.0, 0.5)]:
        tl.check_grads(f, (x, y))
    g = eval("lambda x, scale: (x[1:] * scale).sum() + max(x[0], 0.3)")
    tl.check_grads(g, (np.array([0.5, 1.0, 2.0]), 1.5))


def test_closures_of_functions_without_source():
    def around(k):
        env = {"k": k}
        exec("def outer(a):\n    return lambda x: x * a + k", env)
        return env["outer"]

    inner = around(2.0)(3.0)
    tl.check_grads(inner, (1.5,))


def test_loops_without_source_have_no_derivative():
    f, _ = made(REFUSED[3])
    with pytest.raises(SourceUnavailableError, match="source of 'f' cannot be read"):
        tl.grad(f)(1.0)


def test_paths_that_double_without_end_are_refused():
    text = "lambda x: " + " + ".join(["(x if x > 1 else 2)"] * 40)
    f = eval(text)
    assert function_from_bytecode(f.__code__) is None


def pretended(*values):
    return sum(values) * 3.0


def test_a_function_that_only_pretends_to_stand_in_a_file():
    """As astropy makes the `__init__` of its models: another function's file, line and name."""
    code = pretended.__code__
    text = "\n" * (code.co_firstlineno - 1) + "def pretended(x, y=2.0): return x * y"
    names = {}
    exec(compile(text, code.co_filename, "exec"), names)
    made = names["pretended"]
    assert made.__code__.co_firstlineno == code.co_firstlineno
    assert tl.value_and_grad(made)(1.5) == (3.0, 2.0)
    assert tl.value_and_grad(pretended)(1.5) == (4.5, 3.0)
