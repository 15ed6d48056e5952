"""Recursion of run-time depth: the function is staged once, as a body that runs itself anew.

What its parameters, its result and the objects it changes are is found as for a loop: the body is staged
until nothing new is carried from one run to the next.  A parameter that every run is given as it got it is
not carried at all; a window on an array is carried by its bounds.  `frames` makes a loop of the body.
"""

from __future__ import annotations

import types
from typing import Any

from tapeless.backends.native.staging.base import Frame, NeedsUnrolling
from tapeless.backends.native.staging.liveness import liveness
from tapeless.backends.native.staging.loops import ATTEMPTS, Checkpoint
from tapeless.backends.native.staging.passing import unlike
from tapeless.backends.native.staging.places import Places
from tapeless.backends.native.staging.runs import Deeper, Plan, Run
from tapeless.backends.native.staging.values import (
    Cell,
    Lazy,
    Value,
)
from tapeless.errors import NotCompilable
from tapeless.program.ir import Op, Program

#: So many calls of a function with other known numbers are staged in place, and so many one inside the other.
INLINED, NESTED = 200, 64


class NeedsRecursion(Exception):
    """Staging has to begin again with a function as one whose depth of recursion is found at run time."""

    def __init__(self, key: Any) -> None:
        self.key = key
        super().__init__("a function calls itself")


class Recursion(Places):
    """Calls of functions that call themselves."""

    def __init__(self, known: Any) -> None:
        super().__init__(known)
        self.recursive: set[types.CodeType] = set()
        self.runs: list[Run] = []
        """The recursive functions whose bodies are being staged, innermost last."""
        self.inlined: dict[types.CodeType, int] = {}
        self.depth_limit = 1000
        self.differentiated = 0
        """How many derivatives are being taken of what is staged now."""
        self.own_rules = False
        """Whether rules of the user are in what has been staged."""
        self.rules_from: list[int] = []
        """How many calls are around each rule of the user that is being staged."""

    def in_place(
        self,
        function: types.FunctionType,
        program: Program,
        cells: dict[str, Cell],
        bound: dict[str, Value],
        op: Op | None,
        take: Any,
    ) -> Value:
        raise NotImplementedError

    def recursion(
        self,
        function: types.FunctionType,
        program: Program,
        cells: dict[str, Cell],
        bound: dict[str, Value],
        op: Op | None,
    ) -> Value | None:
        """The result of a call that begins, or goes on with, a recursion; None if it is another call."""
        code = function.__code__
        key = ("recursion", code)
        if program.is_generator or key in self.unrolled:
            return None
        for run in self.runs:
            if run.code is code:
                if run is not self.runs[-1]:
                    self.refuse(
                        "functions that call themselves call each other",
                        "write one of them as a loop",
                    )
                return run.again(cells, bound, op)
        if code in self.recursive:
            return self.run_anew(function, program, cells, bound, op, key)
        self.inlined[code] = self.inlined.get(code, 0) + 1
        for frame in self.frames[self.rules_from[-1] if self.rules_from else 0 :]:
            if frame.program is program and frame.given is not None:
                found = max((unlike(v, bound[k]) for k, v in frame.given.items()), default=0)
                deep = sum(f.program is program for f in self.frames)
                if found == 0 or (found == 1 and (self.inlined[code] > INLINED or deep > NESTED)):
                    raise NeedsRecursion(code)
        return None

    def run_anew(
        self,
        function: types.FunctionType,
        program: Program,
        cells: dict[str, Cell],
        bound: dict[str, Value],
        op: Op | None,
        key: Any,
    ) -> Value:
        """Stage a recursion, from its outermost call on."""
        bound = {k: self.made(v) if isinstance(v, Lazy) else v for k, v in bound.items()}
        frame = Frame(program, liveness(program), {}, function.__globals__, function, key, self.line)
        line, plan, outside = self.line, Plan(), len(self.frames)
        for _ in range(ATTEMPTS):
            self.frames.append(frame)
            point = Checkpoint(self)
            self.frames.pop()
            run = Run(self, function, frame, cells, bound, plan, key)
            try:
                run.stage()
            except Deeper as deeper:
                if deeper.run is not run:
                    raise
                point.back()
                del self.frames[outside:]
                self.line = line
                continue
            except (NotCompilable, NeedsUnrolling) as error:
                if isinstance(error, NeedsUnrolling) and error.key != key:
                    raise
                point.back()
                del self.frames[outside:]
                self.line = line
                return self.unrolled_call(error, function, program, cells, bound, op, key)
            point.keep()
            self.line = line
            return run.finish()
        self.refuse(
            f"what {program.name} is given does not settle", "keep the types of its arguments the same"
        )

    def unrolled_call(
        self,
        error: Exception,
        function: types.FunctionType,
        program: Program,
        cells: dict[str, Cell],
        bound: dict[str, Value],
        op: Op | None,
        key: Any,
    ) -> Value:
        """The recursion, each call staged in place: what it is given decides how deep it goes."""
        self.unrolled.add(key)
        try:
            return self.in_place(function, program, cells, bound, op, None)
        except NotCompilable:
            if isinstance(error, NotCompilable):
                raise error from None
            raise
