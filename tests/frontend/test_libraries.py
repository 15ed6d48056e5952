"""Other people's code: every function of many modules lowers, is well formed, and prints and reads back.

And what some of them compute is the same by way of their Programs.
"""

# Rows of a table may be long.
# ruff: noqa: E501

from __future__ import annotations

import importlib
import inspect
import pkgutil
import random
from collections.abc import Callable, Iterator
from types import CodeType, FunctionType, ModuleType
from typing import Any

import pytest

from program.programs import same
from tapeless.backends.python.plain import to_function, to_python
from tapeless.errors import UnsupportedSyntaxError
from tapeless.frontend.lower import lower
from tapeless.program.parser import parse
from tapeless.program.printer import show, symbols
from tapeless.program.verifier import verify

STANDARD = """
    functools statistics colorsys heapq bisect copy dataclasses collections contextlib textwrap fractions _pydecimal
    random json.decoder json.encoder argparse abc ast calendar configparser csv datetime difflib enum fnmatch graphlib
    inspect ipaddress locale numbers operator pathlib pickle pprint queue re._parser reprlib shlex shutil string
    threading timeit types typing unittest.case urllib.parse uuid weakref xml.etree.ElementTree zipfile asyncio.locks
""".split()
PACKAGES = ["numpy.lib", "numpy.linalg", "numpy.polynomial", "numpy.fft", "scipy.integrate", "scipy.optimize"]
GENERATED = inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR | inspect.CO_ITERABLE_COROUTINE


def modules() -> list[str]:
    found = list(STANDARD)
    for name in PACKAGES:
        package = importlib.import_module(name)
        found.append(name)
        found += [m.name for m in pkgutil.iter_modules(package.__path__, name + ".") if "test" not in m.name]
    return found


def functions(module: ModuleType) -> Iterator[FunctionType]:
    """Functions and methods that `module` defines."""
    seen: set[int] = set()

    def members(space: Any) -> Iterator[Any]:
        for value in list(space.values()):
            if isinstance(value, property):
                yield from (value.fget, value.fset, value.fdel)
            elif isinstance(value, type) and value.__module__ == module.__name__ and id(value) not in seen:
                seen.add(id(value))
                yield from members(vars(value))
            else:
                yield value.__func__ if isinstance(value, staticmethod | classmethod) else value

    for value in members(vars(module)):
        if isinstance(value, FunctionType) and value.__code__.co_filename == module.__file__:
            yield value


def scopes(code: CodeType) -> Iterator[CodeType]:
    """`code` and the functions written inside it; a class body or a comprehension is no function of its own."""
    if code.co_flags & inspect.CO_NEWLOCALS and code.co_name not in ("<listcomp>", "<setcomp>", "<dictcomp>"):
        yield code
    for const in code.co_consts:
        if isinstance(const, CodeType):
            yield from scopes(const)


@pytest.mark.parametrize("name", modules())
def test_every_function_lowers(name: str) -> None:
    try:
        module = importlib.import_module(name)
    except ImportError:
        pytest.skip(f"{name} is not here")
    for function in functions(module):
        for code in scopes(function.__code__):
            try:
                program = lower(code, function.__globals__)
            except UnsupportedSyntaxError:
                assert code.co_flags & GENERATED, code
                continue
            verify(program)
            text = show(program)
            back = parse(text, symbols(program))
            assert same(program, back), text
            assert show(back) == text
            compile(to_python(program), "<plain>", "exec")


def converted(monkeypatch: pytest.MonkeyPatch, module: ModuleType) -> None:
    """Replace every function and method of `module` by the one that is made from its Program."""
    for name, value in list(vars(module).items()):
        if isinstance(value, FunctionType) and value.__code__.co_filename == module.__file__:
            monkeypatch.setattr(module, name, to_function(value))
        elif isinstance(value, type) and value.__module__ == module.__name__:
            for key, method in list(vars(value).items()):
                if isinstance(method, FunctionType) and method.__code__.co_filename == module.__file__:
                    monkeypatch.setattr(value, key, to_function(method))


def statistics() -> Any:
    import statistics as s

    draw = random.Random(3)
    data = [draw.gauss(0, 1) for _ in range(50)]
    other = [v * 2 + 1 for v in data]
    normal = s.NormalDist.from_samples(data)
    return (
        s.mean(data), s.fmean(data, other), s.geometric_mean([1, 2, 4]), s.harmonic_mean([1.5, 2, 4]), s.median(data),
        s.median_low(data), s.median_grouped(data, 0.5), s.mode("aab"), s.multimode("aabbc"), s.pstdev(data), s.pvariance(data),
        s.stdev(data), s.variance(data), s.quantiles(data, n=5), s.covariance(data, other), s.correlation(data, other),
        tuple(s.linear_regression(data, other)), normal.mean, normal.inv_cdf(0.3), normal.overlap(s.NormalDist(1, 2)),
        (normal + normal * 3 - 1).stdev,
    )  # fmt: skip


def fractions() -> Any:
    from fractions import Fraction as F

    a, b = F("3/7"), F(2.5)
    return (
        a + b, a - 1, 2 * a, a / b, a // b, a % b, a**2, a**-2, a**0.5, -a, abs(-a), round(b), round(a, 2), a < b, a == F(6, 14),
        hash(a), str(a), repr(b), int(b), float(a), F(3.14159).limit_denominator(100), F("1.5e-3"), divmod(b, a), bool(F(0)),
    )  # fmt: skip


def colorsys() -> Any:
    import colorsys as c

    values = [(r / 3, g / 3, b / 3) for r in range(4) for g in range(4) for b in range(4)]
    pairs = [(c.rgb_to_hsv, c.hsv_to_rgb), (c.rgb_to_hls, c.hls_to_rgb), (c.rgb_to_yiq, c.yiq_to_rgb)]
    return [(there(*v), back(*there(*v))) for v in values for there, back in pairs]


def textwrap() -> Any:
    import textwrap as t

    text = "The quick  brown-fox jumped over\tthe lazy dog, twice; and-then-some more. " * 3
    return (
        t.wrap(text, 20),
        t.fill(text, 30, initial_indent="* "),
        t.dedent("  a\n   b\n"),
        t.shorten(text, 25),
        t.indent("a\n\nb", "> "),
    )


def copy() -> Any:
    import copy as c

    inner = [1, {2: (3, [4])}]
    data = {"a": inner, "b": inner, "c": {5, 6}, "d": None}
    data["self"] = data
    deep = c.deepcopy(data)
    return (
        deep["a"] is deep["b"],
        deep["self"] is deep,
        deep["a"] == inner,
        deep["a"] is inner,
        c.copy(inner)[1] is inner[1],
    )


def json() -> Any:
    from json import decoder, encoder

    data = {"a": [1, 2.5, None, True, 'é\n"', {}], "b": {"c": [[]]}}
    made = encoder.JSONEncoder(indent=2, sort_keys=True)
    text = "".join(
        encoder._make_iterencode(
            {}, made.default, encoder.py_encode_basestring, 2, repr, ": ", ",", True, False, False
        )(data, 0)
    )
    return text, decoder.py_scanstring('ab\\u00e9\\n"', 0), decoder.JSONDecoder().decode(text) == data


def heapq() -> Any:
    import heapq as h

    data = [5, 3, 8, 1, 9, 2]
    return (
        h.nlargest(3, data),
        h.nsmallest(2, data, key=lambda v: -v),
        list(h.merge([1, 4], [2, 3], [0])),
        list(h.merge(["b"], ["ab", "cde"], key=len, reverse=False)),
    )


def decimal() -> Any:
    import _pydecimal as d

    a, b = d.Decimal("3.14"), d.Decimal("-2")
    with d.localcontext() as context:
        context.prec = 30
        out = [
            a + b,
            a * b,
            a / b,
            a**3,
            a.sqrt(),
            a.exp(),
            a.ln(),
            abs(b),
            a.quantize(d.Decimal("0.1")),
            f"{a:>10.1f}",
            a // b,
        ]
    return [str(v) for v in out], a.as_tuple(), a < b, hash(a), round(a, 1)


def argparse() -> Any:
    import argparse as a

    parser = a.ArgumentParser(prog="p", description="d")
    parser.add_argument("x", type=int, help="an int")
    parser.add_argument("--many", nargs="*", default=[1])
    parser.add_argument("-f", "--flag", action="store_true")
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--one")
    group.add_argument("--two")
    return parser.parse_args(["3", "-f", "--many", "a", "b", "--one=q"]).__dict__, parser.format_help()


@pytest.mark.parametrize(
    "name, compute",
    [
        ("statistics", statistics), ("fractions", fractions), ("colorsys", colorsys), ("textwrap", textwrap), ("copy", copy),
        ("json.encoder", json), ("json.decoder", json), ("heapq", heapq), ("_pydecimal", decimal), ("argparse", argparse),
    ],
)  # fmt: skip
def test_modules_compute_the_same(
    name: str, compute: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = repr(compute())
    converted(monkeypatch, importlib.import_module(name))
    assert repr(compute()) == expected
