"""Derivatives of a function of several operands, one after the other: what compiled code asks CPython for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tapeless.api import jvp, vjp

#: A derivative: "vjp" or "jvp", by which operands, of which results.
Mode = tuple[str, tuple[int, ...], tuple[int, ...]]


def derived(function: Callable[..., Any], modes: tuple[Mode, ...]) -> Callable[..., Any]:
    """The last of some derivatives; operands of each are those before, and cotangents or tangents.

    >>> derived(lambda a, b: (a * b, a + b), (("vjp", (0,), (0, 1)),))(2.0, 5.0, 1.0, 10.0)
    (15.0,)
    """
    if not modes:
        return function
    kind, wanted, outs = modes[-1]
    inner = derived(function, modes[:-1])
    more = len(outs) if kind == "vjp" else len(wanted)

    def run(*operands: Any) -> Any:
        given, rates = operands[:-more], operands[-more:]

        def part(*some: Any) -> Any:
            whole = list(given)
            for k, x in zip(wanted, some, strict=True):
                whole[k] = x
            made = inner(*whole)
            return tuple([made[k] for k in outs])

        active = [given[k] for k in wanted]
        if kind == "vjp":
            return vjp(part, *active)[1](rates)
        return jvp(part, tuple(active), rates)[1]

    return run
