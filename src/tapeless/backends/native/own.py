"""Rules of the user in nests: reverse formulas that stand for a derivative, and values held for one of them.

`own` is an operation whose results are some of its operands, and whose derivative goes to others, by a nest
of its own.  `hold(a, x)` is `x`, a constant for the first derivative that `a` depends on, and for that one
only: those around it see `x`.  Before a nest is differentiated both are marked where that derivative is the
one, and after it what is marked is no more than its value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tapeless.backends.native.activity import Activity, Name
from tapeless.backends.native.nest import (
    Alias,
    Alloc,
    Apply,
    Array,
    Assign,
    Dim,
    Expr,
    For,
    Function,
    If,
    Intrinsic,
    Load,
    Ref,
    Scalar,
    Stmt,
    Store,
    While,
    apply,
    const,
    walk,
)
from tapeless.backends.native.renaming import Companions, Renaming
from tapeless.backends.native.rewrite import change_body, change_expr
from tapeless.errors import MissingRuleError


@dataclass(frozen=True)
class Rule:
    """The attribute `rule` of an operation `own` of operands (arguments, values, what the rule has kept).

    The parameters of `backward` are the cotangents of the results and then what was kept; its results are the
    cotangents of the arguments, None for those that get none.
    """

    name: str
    count: int
    backward: Function
    results: tuple[Name | None, ...]
    hook: bool = False


def marked(fn: Function, wrt: Sequence[int], seeds: Sequence[int] | None) -> Function:
    """A nest with marks where the derivative that is taken now is by a rule (`seeds` None: forward mode)."""
    inputs = [fn.params[k] for k in wrt]
    depends = Activity(fn.body, inputs, None)
    active = depends if seeds is None else Activity(fn.body, inputs, [fn.results[k] for k in seeds])

    def change(e: Expr) -> Expr | None:
        if isinstance(e, Apply) and e.op == "hold" and depends.of(e.args[0]):
            return apply("held", change_expr(e.args[1], change))
        return None

    body = change_body(fn.body, change)
    for s in walk(body):
        if isinstance(s, Intrinsic) and s.name == "own" and any(x in active for x in s.outs):
            s.name = "owned"
    return replace(fn, body=body)


def released(body: list[Stmt], everything: bool = False) -> list[Stmt]:
    """A body without marks; with `everything`, without the rules that nobody has asked for either."""
    ops = ("hold", "held") if everything else ("held",)

    def change(e: Expr) -> Expr | None:
        return change_expr(e.args[-1], change) if isinstance(e, Apply) and e.op in ops else None

    return _copied(change_body(body, change), ("own", "owned") if everything else ("owned",))


def _copied(body: list[Stmt], which: tuple[str, ...]) -> list[Stmt]:
    out: list[Stmt] = []
    for s in body:
        if isinstance(s, Intrinsic) and s.name in which:
            values = s.ins[s.attrs["active"] :]
            for y, x in zip(s.outs, values, strict=False):
                if isinstance(y, Scalar):
                    assert isinstance(x, Expr)
                    out.append(Assign(y, x, line=s.line))
                else:
                    assert isinstance(x, Array)
                    out += _each(y, lambda i, y=y, x=x: Store(y, i, Load(x, i)))
            continue
        if isinstance(s, For):
            s.body = _copied(s.body, which)
        elif isinstance(s, While):
            s.test, s.body = _copied(s.test, which), _copied(s.body, which)
        elif isinstance(s, If):
            s.then, s.orelse = _copied(s.then, which), _copied(s.orelse, which)
        out.append(s)
    return out


def _each(a: Array, make: object) -> list[Stmt]:
    """Loops over an array around the statement that is made of an index."""
    assert callable(make)
    counters = [Scalar("ijklmn"[min(k, 5)], "i64") for k in range(a.ndim)]
    body: list[Stmt] = [make(tuple(map(Ref, counters)))]
    for k in reversed(range(a.ndim)):
        body = [For(counters[k], const(0), Dim(a, k), body, independent=True)]
    return body


# ---- derivatives


def adjoint(s: Intrinsic, active: Activity, bars: Companions) -> list[Stmt]:
    """The adjoint code of an operation: its rule's backward half."""
    rule: Rule = s.attrs["rule"]
    table: dict[Name, Name] = {}
    out: list[Stmt] = []
    cotangents, kept = rule.backward.params[: len(s.outs)], rule.backward.params[len(s.outs) :]
    for y, ct in zip(s.outs, cotangents, strict=True):
        if isinstance(y, Scalar):
            assert isinstance(ct, Scalar)
            mine = table[ct] = Scalar(ct.name, ct.type)
            out.append(Assign(mine, Ref(bars.scalar(y))))
            continue
        here = table[ct] = Array(y.name + "_ct", y.dtype, y.ndim)
        bar = bars.array(y) if y in active else None
        out.append(Alloc(here, tuple(Dim(y, k) for k in range(y.ndim))))
        out += _each(
            here, lambda i, a=here, b=bar: Store(a, i, const(0, a.element) if b is None else Load(b, i))
        )
    for p, x in zip(kept, s.ins[s.attrs["active"] + len(s.outs) :], strict=True):
        if isinstance(x, Array):
            table[p] = x
        elif isinstance(x, Ref):
            table[p] = x.var
        else:
            assert isinstance(p, Scalar)
            table[p] = Scalar(p.name, p.type)
            out.append(Assign(table[p], x))  # type: ignore[arg-type]
    fresh(rule.backward.body, table)
    renaming = Renaming(table)
    out += renaming.body(rule.backward.body)
    for x, r in zip(s.ins[: s.attrs["active"]], rule.results, strict=True):
        if r is None:
            continue
        if isinstance(x, Array):
            if x in active:
                share = renaming.name(r)
                assert isinstance(share, Array)
                out += _each(x, lambda i, x=x, r=share: Store(bars.array(x), i, Load(r, i), add=True))
        elif active.of(x):
            assert isinstance(x, Ref) and isinstance(r, Scalar)
            number = bars.scalar(x.var)
            out.append(Assign(number, Ref(number) + Ref(renaming.name(r))))
    for y in s.outs:
        if isinstance(y, Scalar):
            out.append(Assign(bars.scalar(y), const(0, y.type)))
        else:
            out += _each(y, lambda i, y=y: Store(bars.array(y), i, const(0, y.element)))
    return out


def fresh(body: list[Stmt], table: dict[Name, Name]) -> None:
    """Names of its own for what a body makes."""

    def array(a: Array) -> Array:
        if a not in table:
            alias = None if a.alias is None else array(a.alias)
            table[a] = Array(a.name, a.dtype, a.ndim, a.contiguous, alias)
        made = table[a]
        assert isinstance(made, Array)
        return made

    scalars: list[Scalar] = []
    for s in walk(body):
        if isinstance(s, (Assign, For)):
            scalars.append(s.var)
        elif isinstance(s, Intrinsic):
            scalars += [x for x in s.outs if isinstance(x, Scalar)]
        elif isinstance(s, (Alloc, Alias)):
            array(s.array)
    for x in scalars:
        table.setdefault(x, Scalar(x.name, x.type))


def tangent(s: Intrinsic, active: Activity, tangents: Companions) -> list[Stmt]:
    """The tangent of a hooked value, which is that of the value; there is none of a reverse formula."""
    rule: Rule = s.attrs["rule"]
    if not rule.hook:
        raise MissingRuleError(
            f"the derivative of {rule.name} in forward mode: it is a custom_vjp, which has a reverse "
            "formula only; give a tangent with custom_jvp instead"
        )
    (x,), (y,) = s.ins[: s.attrs["active"]], s.outs
    if isinstance(y, Scalar):
        assert isinstance(x, Ref)
        return [Assign(tangents.scalar(y), Ref(tangents.scalar(x.var)))]
    assert isinstance(x, Array)
    return _each(y, lambda i: Store(tangents.array(y), i, Load(tangents.array(x), i)))
