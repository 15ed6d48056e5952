"""Which scalars and arrays carry a derivative: what depends on the inputs and reaches the outputs.

The answer holds for the whole nest, whatever the order of its statements, and errs on the side of "yes".
Arrays are named by the array that owns their memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tapeless.backends.native.nest import (
    COMPARISONS,
    FLOATS,
    Apply,
    Array,
    Assign,
    Expr,
    Intrinsic,
    Load,
    Ref,
    Scalar,
    Stmt,
    Store,
    Swap,
    walk,
)

Name = Scalar | Array
#: Operations whose result does not change, or jumps, as their operands change.
CONSTANT = {
    "floor",
    "ceil",
    "trunc",
    "rint",
    "floordiv",
    "signbit",
    "isnan",
    "isinf",
    "isfinite",
    "not",
    "stop",
    "hold",
    "held",
}
CONSTANT |= {"all", "any", "and", "or", "xor", "invert", "shl", "shr", *COMPARISONS}
#: Results of operations, by position, that carry no derivative.
_CHOICES = {"slogdet": (0,)}


def root(x: Name) -> Name:
    return x.root if isinstance(x, Array) else x


def sources(e: Expr) -> Iterator[Name]:
    """What a small change of `e` can come from."""
    if e.type not in FLOATS:
        return
    if isinstance(e, Ref):
        yield e.var
    elif isinstance(e, Load):
        yield e.array.root
    elif isinstance(e, Apply) and e.op not in CONSTANT:
        args = e.args[1:] if e.op == "select" else e.args[:1] if e.op == "copysign" else e.args
        for a in args:
            yield from sources(a)


def flows(body: list[Stmt]) -> Iterator[tuple[Name, set[Name]]]:
    """Pairs (what is written, what the new value depends on)."""
    for s in walk(body):
        if isinstance(s, Assign) and s.var.type in FLOATS:
            yield s.var, set(sources(s.value))
        elif isinstance(s, Store) and s.array.element in FLOATS:
            yield s.array.root, set(sources(s.value))
        elif isinstance(s, Swap) and s.a.element in FLOATS:
            yield s.a.root, {s.b.root}
            yield s.b.root, {s.a.root}
        elif isinstance(s, Intrinsic):
            ins: set[Name] = set()
            for x in s.ins[: s.attrs.get("active")]:
                if isinstance(x, Expr):
                    ins.update(sources(x))
                elif x.element in FLOATS:
                    ins.add(x.root)
            for k, out in enumerate(s.outs):
                kind = out.element if isinstance(out, Array) else out.type
                if kind in FLOATS and k not in _CHOICES.get(s.name, ()):
                    yield root(out), ins


class Activity:
    """The active names of a body: those that depend on `inputs`, and on which `outputs` depend."""

    def __init__(self, body: list[Stmt], inputs: Iterable[Name], outputs: Iterable[Name] | None) -> None:
        """`outputs` None: whatever depends on the inputs is active (forward mode)."""
        pairs = list(flows(body))
        self.names = _closure({root(x) for x in inputs}, [(src, {dst}) for dst, src in pairs])
        if outputs is not None:
            backwards: list[tuple[set[Name], set[Name]]] = [({dst}, src) for dst, src in pairs]
            self.names &= _closure({root(x) for x in outputs}, backwards)

    def __contains__(self, x: Name) -> bool:
        return root(x) in self.names

    def of(self, e: Expr) -> bool:
        """Whether the value of `e` carries a derivative."""
        return any(s in self.names for s in sources(e))


def _closure(start: set[Name], edges: list[tuple[set[Name], set[Name]]]) -> set[Name]:
    """`start`, and whatever edges (if one of these is in, so are those) add to it."""
    found = set(start)
    todo = edges
    while True:
        rest = []
        for src, dst in todo:
            if src & found:
                found |= dst
            else:
                rest.append((src, dst))
        if len(rest) == len(todo):
            return found
        todo = rest
