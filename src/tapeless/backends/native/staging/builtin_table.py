"""The table of functions that staging carries out itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tapeless.backends.native.staging.values import Static, Value

Run = Callable[..., Value]
BUILTINS: dict[Any, Run] = {}
NONE = Static(None)
#: Defaults of arguments.
NO = Static(False)
NIL = Static(0)
NIL_FLOAT = Static(0.0)
EMPTY = Static("")


def lowers(*functions: Any) -> Callable[[Run], Run]:
    def enter(run: Run) -> Run:
        for function in functions:
            BUILTINS[function] = run
        return run

    return enter
