"""Which variables of a unit are active: they depend on a differentiated parameter, and the result depends on
them."""

from __future__ import annotations

from tapeless.analysis.aliases import groups_of
from tapeless.program.ir import Op, Var
from tapeless.rules import Nondifferentiable, lookup
from tapeless.specialise.types import differentiable
from tapeless.specialise.unit import Unit

_INACTIVE = ("compare", "format", "slice", "global")
_STORES = ("setitem",)


def passive(op: Op) -> bool:
    """Whether the results of `op` carry no derivative whatever its operands are."""
    if op.kind in _INACTIVE or (
        op.kind in ("binary", "inplace") and op.attrs["op"] in ("FloorDiv", "BitAnd", "BitOr")
    ):
        return True
    if op.kind == "unary" and op.attrs["op"] in ("Not", "Invert"):
        return True
    if op.kind == "call" and "unit" not in op.attrs:
        fn = op.args[0].value  # type: ignore[union-attr]
        return fn in (round, int, bool, len, print) or isinstance(lookup(fn), Nondifferentiable)
    if op.kind == "call_method" and op.attrs.get("method") is not None:
        return isinstance(lookup(op.attrs["method"]), Nondifferentiable)
    return op.kind == "getattr" and not any(differentiable(o.type) for o in op.outs)


def inputs_outputs(op: Op) -> tuple[list[Var], list[Var]]:
    """The variables that derivatives flow from and to in `op`; a container that is stored into is both."""
    ins = [a for a in op.args if isinstance(a, Var)]
    outs = list(op.outs)
    if op.kind in ("setitem", "augitem"):
        return [ins[0], *[a for a in op.args[2:] if isinstance(a, Var)]], [ins[0]]
    if op.kind == "call_method" and op.attrs.get("method") is None:
        return ins, [*outs, ins[0]]
    return ins, outs


def active_variables(unit: Unit, params: tuple[bool, ...]) -> set[Var]:
    """The active variables of `unit` when the parameters marked in `params` are."""
    ops = [
        (op, *inputs_outputs(op))
        for op in unit.body.walk()
        if op.kind not in ("if", "while") and not passive(op)
    ]
    groups = groups_of(unit)
    together = [vs for group, vs in groups.members(unit).items() if group in groups.written and len(vs) > 1]

    def spread(found: set[Var]) -> bool:
        """Take the other names of written storage along."""
        more = {v for vs in together if not found.isdisjoint(vs) for v in vs if differentiable(v.type)}
        before = len(found)
        found |= more
        return len(found) > before

    varied = {p for p, active in zip(unit.params, params, strict=True) if active and differentiable(p.type)}
    useful = {a for op, ins, _ in ops if op.kind == "return" for a in ins}
    changed = True
    while changed:
        changed = spread(varied)
        for _, ins, outs in ops:
            if any(i in varied for i in ins):
                for o in outs:
                    if o not in varied and differentiable(o.type):
                        varied.add(o)
                        changed = True
    changed = True
    while changed:
        changed = spread(useful)
        for _, ins, outs in reversed(ops):
            if any(o in useful for o in outs):
                for i in ins:
                    if i not in useful and differentiable(i.type):
                        useful.add(i)
                        changed = True
    return varied & useful
