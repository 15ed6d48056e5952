"""The time: asked of Python while the nest runs, in order with what it prints and draws."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from tapeless.backends.native.nest import Ref
from tapeless.backends.native.staging.base import TYPES
from tapeless.backends.native.staging.builtin_table import BUILTINS
from tapeless.backends.native.staging.random_numbers import run
from tapeless.backends.native.staging.values import Number, Value

if TYPE_CHECKING:
    from tapeless.backends.native.staging.stager import Stager

CLOCKS = ("time", "perf_counter", "monotonic", "process_time", "thread_time")


def _clock(name: str, kind: type) -> Callable[[Stager], Value]:
    def read(s: Stager) -> Value:
        out = s.scalar(TYPES[kind], "time")
        run(s, (out,), [], ("clock", name))
        return Number(Ref(out), kind)

    return read


for _name in CLOCKS:
    BUILTINS[getattr(time, _name)] = _clock(_name, float)
    BUILTINS[getattr(time, f"{_name}_ns")] = _clock(f"{_name}_ns", int)
