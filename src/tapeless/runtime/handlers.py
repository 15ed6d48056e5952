"""How a function that is not opened is told to the run: a handler, registered for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tapeless.runtime.calls import HANDLERS

Pair = tuple[Any, Any]
Handler = Callable[[Any, Any, Any, Any, Any], Pair]


def handle(*originals: Any) -> Callable[[Handler], Handler]:
    """Register `handler(run, args, tangents, keywords, keyword tangents) -> (value, companion)`."""

    def decorate(f: Handler) -> Handler:
        for original in originals:
            HANDLERS[original] = f
        return f

    return decorate


def plain_method(method: Any) -> Handler:
    """The handler of a method whose result has no derivative."""

    def run_plain(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
        return method(*args, **kw), None

    return run_plain


def quiet_method(method: Any) -> Handler:
    """The same of a method that may call special methods of what it is given."""

    def run_quietly(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
        return method(*args, **kw) if kw else run.quietly(method, *args), None

    return run_quietly


def made_plainly(kind: Any) -> Handler:
    """The handler of a function or class that is called as it is, and gives no tangent."""
    return lambda run, args, ts, kw, kts: (kind(*args, **kw), None)
