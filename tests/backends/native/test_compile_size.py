"""What LLVM is given and makes grows with a program, and no faster: its time is that of the longest lists."""

from __future__ import annotations

import re

import numpy as np

from tapeless.backends.native.machine import compile
from tapeless.backends.native.nest import (
    I64,
    ZERO,
    Alloc,
    Array,
    Dim,
    For,
    Function,
    Load,
    Ref,
    Scalar,
    Store,
)


def chain(count: int) -> Function:
    """b0 = a + 1, b1 = b0 + a, …: arrays of a length known when it runs."""
    a, last = Array("a", "float64", 1), Array("out", "float64", 1)
    made = [Array(f"b{k}", "float64", 1) for k in range(count)]
    body = []
    for before, b in zip([a, *made], [*made, last], strict=True):
        i = Scalar("i", I64)
        body.append(Alloc(b, (Dim(a, 0),)))
        body.append(
            For(i, ZERO, Dim(a, 0), [Store(b, (Ref(i),), Load(before, (Ref(i),)) + Load(a, (Ref(i),)))])
        )
    return Function("chain", [a], body, [last])


def test_arrays_are_told_apart_in_lists_that_grow_with_the_logarithm():
    text = compile(chain(60)).ir
    lists = re.findall(r"^!\d+ = !\{(![0-9, !]*)\}", text, re.MULTILINE)
    assert max(found.count("!") for found in lists) <= 6


def test_the_end_of_a_function_is_as_short_whatever_it_frees():
    def end(count: int) -> int:
        text = compile(chain(count)).optimised_ir
        return sum(line.count("[") for line in text.split("\nleave")[1].splitlines() if " phi " in line)

    assert end(30) <= 2 * end(15)


def test_every_array_is_apart_from_every_other():
    fn = chain(20)
    kernel = compile(fn)
    a = np.random.default_rng(0).normal(size=50)
    assert np.allclose(kernel.call(a)[0], a * 22)
    assert "vector.memcheck" not in kernel.optimised_ir  # vectors without asking where the arrays are
    assert "x double>" in kernel.optimised_ir
