"""What is refused: the type of each error, and a text that names the line, the reason and the way out."""

import asyncio
import fractions
import functools
import inspect
import os
import struct
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import tapeless as tl
from tapeless import errors


def square(x, n=2):
    return x**n


def refused(call, kind, standard, *parts, line=None):
    """The text of the error that `call` raises, after its type and text were checked."""
    with pytest.raises(kind) as caught:
        call()
    error = caught.value
    assert type(error) is kind
    assert isinstance(error, errors.TapelessError)
    assert isinstance(error, standard)
    text = str(error)
    assert text.endswith(f"[{kind.code}]")
    for part in parts:
        assert part in text, text
    package = os.path.dirname(tl.__file__)
    assert package not in text, text
    if line is not None:
        function, source = line
        lines, first = inspect.getsourcelines(function)
        number = first + next(i for i, one in enumerate(lines) if source in one)
        assert text.startswith(f"{__file__}:{number}: "), text
        assert f"    {lines[number - first].strip()}\n" in text, text
        assert (error.filename, error.line) == (__file__, number)
    return text


@pytest.mark.parametrize(
    ("call", "what", "reason", "way_out"),
    [
        (lambda: tl.grad(square)(3), "gradient", "of type int", "pass a float, 3.0"),
        (lambda: tl.grad(square, "n")(3.0, 2), "gradient", "'n'", "pass a float, 2.0"),
        (lambda: tl.grad(square)(True), "gradient", "of type bool", "argnums"),
        (lambda: tl.grad(square)("a"), "gradient", "of type str", "argnums"),
        (lambda: tl.grad(square)(np.arange(3)), "gradient", "array of int64", "x.astype(float)"),
        (lambda: tl.jvp(square, (3,), (1.0,)), "jvp", "of type int", "pass a float, 3.0"),
        (lambda: tl.vjp(square, 3), "vjp", "of type int", "pass a float, 3.0"),
    ],
)
def test_arguments_without_a_derivative(call, what, reason, way_out):
    line = f"{__file__}:{square.__code__.co_firstlineno}"
    parts = (f"cannot take the {what} of square", reason, way_out, line, "def square(x, n=2):")
    refused(call, errors.NotDifferentiableError, TypeError, *parts)


@pytest.mark.parametrize(
    ("function", "x", "got"),
    [
        (lambda a: a * 2.0, np.ones(3), "an array of shape (3,)"),
        (lambda a: (a, a), 1.0, "a tuple"),
        (lambda a: None, 1.0, "a NoneType"),
        (lambda a: a * 1j, 1.0, "a complex"),
    ],
)
def test_results_that_are_not_one_number(function, x, got):
    parts = (f"<lambda> returned {got}", "Sum it, or use jacobian", __file__, "lambda a:")
    refused(lambda: tl.grad(function)(x), errors.NotScalarError, TypeError, *parts)


def packs(x):
    y = x * 2.0
    return struct.unpack("d", struct.pack("d", y))[0]


def swallows(x):
    try:
        return float(len(struct.pack("d", x)))
    except Exception:
        return x


@pytest.mark.parametrize("function", [packs, swallows])
@pytest.mark.parametrize("mode", ["gradient", "jvp"])
def test_functions_of_c_without_a_rule(function, mode):
    calls = {"gradient": lambda: tl.grad(function)(1.0), "jvp": lambda: tl.jvp(function, (1.0,), (1.0,))}
    parts = (
        "cannot differentiate _struct.pack()",
        "not Python underneath",
        f"on the way of the {mode} of {function.__name__}",
        "@tapeless.jvp_rule(f)",
        "tapeless.constant(f)",
    )
    refused(calls[mode], errors.MissingRuleError, NotImplementedError, *parts, line=(function, "struct.pack"))


def in_a_library(x):
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(abs, x).result()


def test_a_library_is_named_beside_the_own_line():
    refused(
        lambda: tl.grad(in_a_library)(1.0),
        errors.MissingRuleError,
        NotImplementedError,
        "SimpleQueue.put()",
        "This is reached inside",
        "thread.py:",
        line=(in_a_library, "pool.submit"),
    )


def without_rule_for_an_argument(a):
    import scipy.special

    return scipy.special.jv(a, 2.0)


def test_arguments_for_which_a_rule_knows_nothing():
    pytest.importorskip("scipy")
    refused(
        lambda: tl.grad(without_rule_for_an_argument)(1.0),
        errors.MissingRuleError,
        NotImplementedError,
        "jv has no derivative rule for its argument v",
        "pass v as a constant",
        line=(without_rule_for_an_argument, "special.jv"),
    )


NAMES = {}
exec("def hidden(x):\n    for i in range(3):\n        x = x * i\n    return x", NAMES)
hidden = NAMES["hidden"]


def calls_hidden(x):
    return hidden(x) + 1.0


def test_functions_whose_source_cannot_be_read():
    refused(
        lambda: tl.grad(calls_hidden)(1.0),
        errors.SourceUnavailableError,
        TypeError,
        "the source of 'hidden' cannot be read",
        "define it in a file",
        "tapeless.jvp_rule",
        line=(calls_hidden, "return hidden"),
    )


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (
            lambda: tl.jvp(lambda a: a.sum(), (np.ones(3),), (np.ones(2),)),
            "the tangent of 'a' has shape (2,), but the value it belongs to has shape (3,)",
        ),
        (
            lambda: tl.jvp(lambda a: a[0], ([1.0, 2.0],), ([1.0],)),
            "the tangent of 'a' must be a list of 2 items like the argument, not a list of 1 items",
        ),
        (
            lambda: tl.jvp(lambda a: a, (1.0,), (1.0, 2.0)),
            "a tuple of primals and a tuple of as many tangents",
        ),
        (
            lambda: tl.vjp(lambda a: a * 2.0, np.ones(3))[1](np.ones(2)),
            "the cotangent has shape (2,), but the value it belongs to has shape (3,)",
        ),
        (
            lambda: tl.vjp(lambda a: (a, a), 1.0)[1](1.0),
            "the cotangent must be a tuple of 2 items like the result, not a float",
        ),
        (lambda: tl.jvp(lambda a: a, (1.0,), (1j,)), "complex, but the value it belongs to is real"),
        (lambda: tl.grad(square, has_aux=True)(1.0), "must return (value, aux), not float"),
    ],
)
def test_tangents_of_another_structure(call, text):
    refused(call, errors.StructureError, ValueError, text)


def keeps(x):
    cells = np.empty(2, dtype=object)
    cells[0] = x
    return cells[0]


def test_stores_that_cannot_be_followed():
    refused(
        lambda: tl.grad(keeps)(1.0),
        errors.UntrackedMutationError,
        TypeError,
        "cannot differentiate the store into an array of objects",
        "on the way of the gradient of keeps",
        "tapeless.stop_gradient(value)",
        line=(keeps, "cells[0] = x"),
    )


def starts_a_coroutine(x):
    async def inner():
        return x * 2.0

    return asyncio.run(inner())


def test_async_functions():
    refused(
        lambda: tl.grad(starts_a_coroutine)(1.0),
        errors.UnsupportedSyntaxError,
        SyntaxError,
        "an async function is not differentiated",
        "differentiate the synchronous part",
    )


def writes(a, b):
    a[0] = b[1] * 2.0
    return (a * b).sum()


def test_stores_into_arguments_that_share_memory():
    whole = np.ones(4)
    for a, b in [(whole, whole), (whole[:3], whole[1:])]:
        refused(
            lambda a=a, b=b: tl.grad(writes)(a, b),
            errors.UntrackedMutationError,
            TypeError,
            "shares memory with another argument",
            "pass a copy, x.copy()",
            line=(writes, "a[0] ="),
        )


def test_arguments_that_are_not_there():
    with pytest.raises(TypeError, match="argnums 5 is out of range: square was called with 1"):
        tl.grad(square, argnums=5)(1.0)
    with pytest.raises(TypeError, match="square has no parameter 'z'; its parameters are x, n"):
        tl.grad(square, argnums="z")(1.0)


def test_errors_of_the_program_are_its_own():
    def fails(xs):
        return sum(xs) / (len(xs) - 2)

    with pytest.raises(ZeroDivisionError, match="float division by zero"):
        tl.grad(fails)([1.0, 2.0])


def exact_sum(x):
    return float(fractions.Fraction(x) + fractions.Fraction(1, 2))


def keeps_none(x):
    return np.array([x, None], dtype=object)[0]


def catches_a_group(x):
    try:
        raise ExceptionGroup("several", [ValueError(x)])
    except* ValueError as group:
        y = group.exceptions[0].args[0]
    return y


def prints_a_list(x):
    v = Lazy(x)
    print([v])
    return v.square


class Lazy:
    def __init__(self, x):
        self.x = x

    @functools.cached_property
    def square(self):
        return self.x * self.x

    def __repr__(self):
        return f"{self.square:.2f}"


@pytest.mark.parametrize(
    ("function", "kind", "standard", "parts", "source"),
    [
        (
            exact_sum, errors.MissingRuleError, NotImplementedError,
            ("cannot differentiate Fraction.__new__()", "made of integers", "compute with floats"),
            "Fraction(x)",
        ),
        (
            keeps_none, errors.MissingRuleError, NotImplementedError,
            ("ndarray of objects", "cannot be followed", "Use a list, or an array of floats"), "np.array",
        ),
        (
            catches_a_group, errors.UnsupportedSyntaxError, SyntaxError,
            ("except* is not differentiated", "catch the group with except"), "try:",
        ),
        (
            prints_a_list, errors.UntrackedMutationError, TypeError,
            ("puts a value into 'square' of a Lazy", "Let the program compute that value before"),
            "print([v])",
        ),
    ],
)  # fmt: skip
def test_what_would_lose_a_derivative(function, kind, standard, parts, source):
    refused(lambda: tl.grad(function)(1.25), kind, standard, *parts, line=(function, source))
