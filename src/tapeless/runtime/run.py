"""One derivative run of an untyped program."""

from __future__ import annotations

from typing import Any

import numpy as np

from tapeless.runtime.calls import Calls
from tapeless.runtime.hooks import keyed, quietly
from tapeless.runtime.mirrors import owner


class Run(Calls):
    """What a dual program calls, under the name `_tl`; `Forward` and `Reverse` say what a tangent is."""

    def __init__(self) -> None:
        super().__init__()
        self.inputs: dict[int, Any] = {}

    def container_operator(
        self, name: str, x: Any, dx: Any, y: Any, dy: Any, value: Any = None
    ) -> tuple[Any, Any] | None:
        from tapeless.runtime.containers import operator_of

        return operator_of(self, name, x, dx, y, dy, value)

    def container_inplace(self, name: str, x: Any, y: Any, dy: Any) -> tuple[Any, Any] | None:
        from tapeless.runtime.containers import inplace_of

        return inplace_of(self, name, x, y, dy)

    def quietly(self, f: Any, *args: Any, **kw: Any) -> Any:
        return quietly(self, f, args, kw)

    def keyed(self, f: Any, *args: Any) -> Any:
        return keyed(self, f, *args)

    def frozen(self, x: Any) -> Any:
        return x

    def finish(self) -> None:
        """What every run does at its end: an error of ours that the program swallowed is raised anyway."""
        if self.failure is not None:
            raise self.failure

    def add_tangents(self, ts: Any, value: Any) -> Any:
        """The sum of companions of numbers."""
        total = None
        for t in ts:
            if t is not None:
                total = t if total is None else total + t
        return total

    def guard_shared(self, args: Any, apart: Any) -> None:
        """Arguments copied because they share memory: a store to one of them must be refused."""
        for i, (a, b) in enumerate(zip(args, apart, strict=True)):
            if a is not b:
                self.guarded[id(b)] = (b, i)
                for other in args[:i]:
                    if isinstance(other, np.ndarray) and np.may_share_memory(a, other):
                        self.guarded[id(owner(other))] = (other, i)
