"""The command line: `python -m tapeless`, or `tapeless`.

    tapeless demo
    tapeless source FILE.py:function
    tapeless grad FILE.py:function --at x=1.0
    tapeless check FILE.py:function --at x=1.0

The exit code is 0 if all went well, 1 if the program, its derivative or a check of it failed, and 2 if the
command line itself makes no sense.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import inspect
import io
import math
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from tapeless import api, check, native
from tapeless.errors import TapelessError
from tapeless.leaves import leaves_of, pack, pack_tangent, unpack

LINES_SHOWN = 60

Function = Callable[..., Any]


class Usage(Exception):
    """The command line names something that does not exist."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the result is the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        return int(options.run(options))
    except Usage as error:
        parser.error(str(error))
    except BrokenPipeError:
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tapeless", description="Derivatives of ordinary Python programs.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    demo = commands.add_parser("demo", help="three programs, their derivatives, and what they cost")
    demo.add_argument("--full", action="store_true", help="show long sources to the end")
    demo.set_defaults(run=_demo)

    for name, run, about in [
        ("source", _source, "print the derivative of a function as Python"),
        ("grad", _grad, "print the value and the gradient of a function at a point"),
        ("check", _check, "check the derivatives of a function against finite differences"),
    ]:
        command = commands.add_parser(name, help=about, description=about)
        command.add_argument("function", metavar="FILE.py:FUNCTION", help="a function, or Class.method")
        command.add_argument(
            "--at", nargs="+", action="extend", default=[], metavar="NAME=VALUE",
            help="an argument, as a Python expression; `np` and the names of FILE.py may be used in it",
        )  # fmt: skip
        command.add_argument(
            "--wrt", action="append", metavar="NAME",
            help="differentiate with respect to this argument (default: all that can be)",
        )  # fmt: skip
        if name in ("source", "grad"):
            command.add_argument("--native", action="store_true", help="compile to loops and machine code")
        if name == "check":
            command.add_argument("--order", type=int, default=2, help="how many derivatives deep (2)")
        command.set_defaults(run=run)
    return parser


# ---- the commands on a function of a file ------------------------------------------------------------------


def _source(options: argparse.Namespace) -> int:
    def show(function: Function, args: tuple[Any, ...], names: list[str], active: list[int]) -> int:
        with contextlib.redirect_stdout(io.StringIO()):  # what the program prints is not what was asked for
            gradient = api.grad(function, argnums=_argnums(active))
            text = native.compiled(gradient, *args) if options.native else api.source(gradient, *args)
        _print_code(text)
        return 0

    return _on_function(options, show, fill=True)


def _grad(options: argparse.Namespace) -> int:
    def show(function: Function, args: tuple[Any, ...], names: list[str], active: list[int]) -> int:
        both = api.value_and_grad(function, argnums=tuple(active))
        value, gradients = (native.jit(both) if options.native else both)(*args)
        print(f"value = {value!r}")
        for i, gradient in zip(active, gradients, strict=True):
            print(f"d/d{names[i]} = {gradient!r}")
        return 0

    return _on_function(options, show)


def _check(options: argparse.Namespace) -> int:
    def show(function: Function, args: tuple[Any, ...], names: list[str], active: list[int]) -> int:
        with contextlib.redirect_stdout(io.StringIO()):  # a check calls the program many times
            check.check_grads(_of(function, args, active), [args[i] for i in active], order=options.order)
        by = ", ".join(names[i] for i in active)
        print(f"ok: forward and reverse mode agree with finite differences, order {options.order}, by {by}")
        return 0

    return _on_function(options, show)


def _of(function: Function, args: tuple[Any, ...], active: list[int]) -> Function:
    """The function of its active arguments only."""
    if len(active) == len(args):
        return function

    def partly(*given: Any) -> Any:
        every = list(args)
        for i, value in zip(active, given, strict=True):
            every[i] = value
        return function(*every)

    return partly


def _on_function(options: argparse.Namespace, show: Callable[..., int], fill: bool = False) -> int:
    path, separator, name = options.function.rpartition(":")
    if not separator or not path or not name:
        raise Usage(f"{options.function!r} is not of the form FILE.py:FUNCTION")
    file = Path(path)
    if not file.is_file():
        raise Usage(f"there is no file {path}")
    function, args = None, ()
    try:
        module = _load(file)
        function = _find(module, path, name)
        names, args = _arguments(function, name, options.at, vars(module), fill)
        active = _active(names, args, options.wrt)
        return show(function, args, names, active)
    except Usage:
        raise
    except TapelessError as error:
        print(_located(error, file), file=sys.stderr)
    except check.DerivativeMismatch as error:
        line = function.__code__.co_firstlineno if inspect.isfunction(function) else 1
        print(f"{path}:{line}: error: {error}", file=sys.stderr)
    except Exception as error:
        print(_located(_as_the_program_raises(error, function, args), file), file=sys.stderr)
    return 1


def _as_the_program_raises(error: Exception, function: Function | None, args: tuple[Any, ...]) -> Exception:
    """The same error out of the plain program: its frames have the lines of the file."""
    if function is None:
        return error
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            function(*args)
    except Exception as plain:
        if type(plain) is type(error) and str(plain) == str(error):
            return plain
    return error


def _load(file: Path) -> ModuleType:
    """The file as a module, as `python FILE.py` would see it, but not as `__main__`."""
    spec = importlib.util.spec_from_file_location(file.stem, file)
    if spec is None or spec.loader is None:
        raise Usage(f"{file} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module
    sys.path.insert(0, str(file.resolve().parent))
    spec.loader.exec_module(module)
    return module


def _find(module: ModuleType, path: str, name: str) -> Function:
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            raise Usage(f"there is no {name} in {path}")
        found = getattr(found, part)
    if not callable(found):
        raise Usage(f"{name} in {path} is not a function")
    return found  # type: ignore[no-any-return]


def _arguments(
    function: Function, name: str, given: list[str], scope: dict[str, Any], fill: bool
) -> tuple[list[str], tuple[Any, ...]]:
    """Names and values of the positional arguments; with `fill`, 1.0 for each that is not given."""
    values: dict[str, Any] = {}
    for text in given:
        key, separator, expression = text.partition("=")
        if not separator or not key.isidentifier():
            raise Usage(f"--at takes NAME=VALUE, not {text!r}")
        try:
            values[key] = eval(expression, {"np": np, "math": math, **scope})
        except Exception as error:
            raise Usage(f"--at {key}: {expression!r} cannot be read: {error}") from error
    parameters = inspect.signature(function).parameters
    names, args = [], []
    for parameter in parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        if parameter.name in values:
            value = values.pop(parameter.name)
        elif parameter.default is not parameter.empty:
            continue
        elif fill:
            value = 1.0
            print(f"{parameter.name} = 1.0 is assumed: give --at {parameter.name}=VALUE", file=sys.stderr)
        else:
            raise Usage(f"{name} needs a value for {parameter.name}: give --at {parameter.name}=VALUE")
        names.append(parameter.name)
        args.append(value)
    if values:
        raise Usage(f"{name} has no parameter called {next(iter(values))}")
    return names, tuple(args)


def _active(names: list[str], args: tuple[Any, ...], wrt: list[str] | None) -> list[int]:
    if wrt:
        missing = [name for name in wrt if name not in names]
        if missing:
            raise Usage(f"--wrt {missing[0]}: no argument of that name is given")
        return [names.index(name) for name in wrt]
    active = [i for i, value in enumerate(args) if leaves_of(value)]
    return active or list(range(len(args)))


def _argnums(active: list[int]) -> int | tuple[int, ...]:
    return active[0] if len(active) == 1 else tuple(active)


def _located(error: BaseException, file: Path) -> str:
    """`FILE:LINE: error: MESSAGE`, as compilers have it; the line is the last one of the user's own file."""
    text = str(error) if isinstance(error, TapelessError) else f"{type(error).__name__}: {error}"
    where, line = str(file), 0
    if isinstance(error, TapelessError) and error.filename is not None:
        where, line = error.filename, error.line or 0
        text = text.removeprefix(f"{where}:{line}: ")
    elif isinstance(error, SyntaxError) and error.filename:
        where, line, text = error.filename, error.lineno or 0, f"SyntaxError: {error.msg}"
    else:
        from tapeless.backends.python.build import origin

        for frame in traceback.extract_tb(error.__traceback__):
            home, number = origin(frame.filename, frame.lineno or 0)
            if Path(home).exists() and Path(home).samefile(file):
                where, line = str(file), number
    return f"{where}:{line}: error: {text}" if line else f"{where}: error: {text}"


# ---- the demonstration -------------------------------------------------------------------------------------


def s(x: float) -> float:
    t, sign = 0.0, -1.0
    for i in range(1, 20):
        if i % 2 == 1:
            term = x**i / math.factorial(i)
            if abs(term) < 1e-8:
                return t
            print("i =", i)
            sign = -sign
            t += sign * term
    return t


class Decay:
    """A quantity that falls off exponentially."""

    def __init__(self, height: float, rate: float) -> None:
        self.height = height
        self.rate = rate

    def at(self, t: float) -> float:
        return self.height * math.exp(-self.rate * t)

    def slopes(self, t: float) -> tuple[float, float]:
        fall = math.exp(-self.rate * t)
        return fall, -self.height * t * fall


def fitted_rate(observed: list[float]) -> float:
    model = Decay(1.0, 0.5)
    for _ in range(8):
        aa = ab = bb = ar = br = 0.0
        for t, y in enumerate(observed):
            a, b = model.slopes(t)
            missing = y - model.at(t)
            aa += a * a
            ab += a * b
            bb += b * b
            ar += a * missing
            br += b * missing
        scale = aa * bb - ab * ab
        model.height += (bb * ar - ab * br) / scale
        model.rate += (aa * br - ab * ar) / scale
    return model.rate


def sigmoid(x: Any) -> Any:
    return 1.0 / (1.0 + np.exp(-x))


def surprise(weights: dict[str, Any], text: str, letters: str) -> Any:
    h = np.zeros(8)
    c = np.zeros(8)
    total = 0.0
    for letter, following in zip(text, text[1:], strict=False):
        x = np.zeros(len(letters))
        x[letters.index(letter)] = 1.0
        gates = weights["gates"] @ np.concatenate([x, h]) + weights["bias"]
        c = sigmoid(gates[:8]) * c + sigmoid(gates[8:16]) * np.tanh(gates[16:24])
        h = sigmoid(gates[24:]) * np.tanh(c)
        scores = weights["letters"] @ h
        total = total + np.log(np.exp(scores).sum()) - scores[letters.index(following)]
    return total / (len(text) - 1)


def _weights(letters: int) -> dict[str, Any]:
    random = np.random.default_rng(0)
    return {
        "gates": random.normal(0.0, 0.3, (32, letters + 8)),
        "bias": np.zeros(32),
        "letters": random.normal(0.0, 0.3, (letters, 8)),
    }


def _demo(options: argparse.Namespace) -> int:
    observed = [2.0, 1.35, 0.93, 0.61, 0.45, 0.27]
    text = "hello hello"
    shown: list[tuple[str, list[Any], tuple[Any, ...]]] = [
        ("The sine by its Taylor series: a loop, branches, an early return, prints", [s], (0.5,)),
        ("A Gauss-Newton fit: what each observation does to the rate", [Decay, fitted_rate], (observed,)),
        ("A character LSTM: one step of training", [sigmoid, surprise], (_weights(5), text, "ehlo ")),
    ]
    right = True
    for title, parts, args in shown:
        _print_title(title)
        for part in parts:
            _print_code(inspect.getsource(part))
        right = _show(parts[-1], args, options.full) and right
    print("\nAll gradients agree with finite differences." if right else "\nA gradient is WRONG.")
    return 0 if right else 1


def _show(function: Any, args: tuple[Any, ...], full: bool) -> bool:
    derivative = api.grad(function)
    with contextlib.redirect_stdout(io.StringIO()):
        source = api.source(derivative, *args)
    print("Its derivative:\n")
    lines = source.rstrip().splitlines()
    hidden = 0 if full else max(0, len(lines) - LINES_SHOWN)
    _print_code("\n".join(lines[: len(lines) - hidden]))
    if hidden:
        print(f"... {hidden} more lines: tapeless demo --full\n")

    value_and_gradient = api.value_and_grad(function)
    value, gradient = value_and_gradient(*args)
    print(f"value      {_short(value)}")
    print(f"gradient   {_short(gradient)}")
    if isinstance(args[0], dict):
        learnt = {name: args[0][name] - 0.5 * gradient[name] for name in args[0]}
        print(f"after one step against the gradient, the value is {_short(function(learnt, *args[1:]))}")

    with contextlib.redirect_stdout(io.StringIO()):
        off = _distance(function, args, gradient)
        plain = _best_time(lambda: function(*args))
        both = _best_time(lambda: value_and_gradient(*args))
    print(f"check      within {off:.1e} of finite differences")
    print(f"cost       {both / plain:.1f} times the plain program ({plain * 1e6:.1f} µs), value and gradient")
    return off < 1e-6


def _distance(function: Any, args: tuple[Any, ...], gradient: Any) -> float:
    """How far the gradient is from central differences, along one direction if it is large."""
    leaves = leaves_of(args[0])
    start, packed = pack(leaves), pack_tangent(gradient, args[0])
    few = start.size < 20
    directions = np.eye(start.size) if few else np.random.default_rng(1).normal(size=(1, start.size))

    def along(direction: Any) -> Callable[[float], Any]:
        return lambda t: float(function(unpack(args[0], start + t * direction), *args[1:]))

    worst = 0.0
    for direction in directions:
        expected = check.finite_difference(along(direction), 0.0)
        worst = max(worst, abs(float(packed @ direction) - expected) / max(1.0, abs(expected)))
    return worst


def _best_time(call: Callable[[], Any]) -> float:
    best, spent, count = math.inf, 0.0, 0
    while count < 5 or (spent < 0.3 and count < 2000):
        start = time.perf_counter()
        call()
        took = time.perf_counter() - start
        best, spent, count = min(best, took), spent + took, count + 1
    return best


# ---- printing ----------------------------------------------------------------------------------------------


def _print_title(text: str) -> None:
    print(f"\n{text}\n{'=' * len(text)}\n")


def _print_code(text: str) -> None:
    """Python source, in colours where there are colours and rich is installed."""
    text = text.rstrip() + "\n"
    if sys.stdout.isatty() and importlib.util.find_spec("rich") is not None:
        from rich.console import Console
        from rich.syntax import Syntax

        Console().print(Syntax(text, "python", background_color="default"))
    else:
        print(text)


def _short(value: Any) -> str:
    """A value on one line; of a large array, its shape and norm."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key!r}: {_short(part)}" for key, part in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_short(part) for part in value) + "]"
    if isinstance(value, np.ndarray) and value.size > 8:
        return f"array of shape {value.shape}, norm {float(np.linalg.norm(value)):.6g}"
    return f"{float(value):.12g}" if isinstance(value, float | np.floating) else repr(value)
