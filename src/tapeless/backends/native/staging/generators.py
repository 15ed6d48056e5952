"""A loop over a generator: its body runs where the generator gives a value, as it does in Python.

The variables of the program that the loop changes are in cells meanwhile, so a loop of the generator carries
them as it carries what objects hold.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tapeless.backends.native.staging.values import Cell, Value
from tapeless.program.ir import Op


def variables(frame: Any) -> dict[Any, Value]:
    """The variables of a frame, also while a generator runs that a loop of it goes through."""
    found = dict(frame.env)
    for cells in frame.away:
        found |= {v: cell.value for v, cell in cells.items() if cell.value is not None}
    return found


def loop(s: Any, op: Op, run: Callable[[Callable[[Value], None]], Any]) -> None:
    """Stage a `for` loop over what `run` gives to the function it is given."""
    body, orelse = op.blocks
    frame = s.frames[-1]
    live = frame.live
    wanted = live.head[id(op)] | live.after[id(op)]
    assigned = live.assigned[id(op)]
    cells = {v: s.heap.born(Cell(frame.env.get(v))) for v in sorted(assigned & wanted, key=lambda v: v.name)}
    base, marks, born = s.block, s.marks(), s.heap.clock
    broken = s.open_target("break")
    stacks = [s.frames, *s.unwound]
    levels = [len(x) for x in stacks]
    handlers, finals = len(s.handlers), len(s.finals)

    def load() -> None:
        for v in assigned:
            frame.env.pop(v, None)
        for v, cell in cells.items():
            if cell.value is not None:
                frame.env[v] = cell.value

    def take(item: Value) -> None:
        if (len(s.handlers), len(s.finals)) != (handlers, finals):
            s.refuse("a generator gives a value inside `try` or `with`", "give it after that")
        inside = [x[n:] for x, n in zip(stacks, levels, strict=True)]
        for x, n in zip(stacks, levels, strict=True):
            del x[n:]
        line = s.line
        frame.away[-1] = {}  # the variables are here, those of the generator are not seen
        try:
            load()
            s.assign(op.outs[0], item)
            at, marks, born = s.block, s.marks(), s.heap.clock
            skipped = s.open_target("continue")
            s.loop_targets.append((broken, skipped))
            s.run(body)
            s.loop_targets.pop()
            s.close_target(skipped, at, marks, born, live=wanted)
            if s.alive:
                for v, cell in cells.items():
                    now = frame.env.get(v)
                    if now is not cell.value:
                        s.heap.write(cell, None if now is None else s.stored(now))
        finally:
            frame.away[-1] = cells
            for x, n, rest in zip(stacks, levels, inside, strict=True):
                x[n:] = rest
        s.line = line

    frame.away.append(cells)
    try:
        run(take)
    finally:
        frame.away.pop()
    if s.alive:
        load()
        s.run(orelse)
    s.close_target(broken, base, marks, born, live=live.after[id(op)])
