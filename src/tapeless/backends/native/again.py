"""Bodies that run more than once: a copy that leaves what it finds as it was."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping

from tapeless.backends.native.activity import Name
from tapeless.backends.native.adjoint import fill
from tapeless.backends.native.nest import (
    Alias,
    Alloc,
    Array,
    Assign,
    Dim,
    For,
    Load,
    Ref,
    Scalar,
    Stmt,
    walk,
)
from tapeless.backends.native.renaming import Renaming
from tapeless.backends.native.scopes import aliases, touched, written


def again(
    body: list[Stmt], first: Iterable[Stmt] = (), moved: Mapping[Array, Array] | None = None
) -> tuple[list[Stmt], Renaming]:
    """A copy of `body` with variables of its own, and the renaming.

    What it changes and `first` has made, it changes in a copy.  `moved` says which arrays are elsewhere now.
    """
    names: dict[Name, Name] = {a: b for a, b in (moved or {}).items()}  # noqa: C416
    before: set[Name] = {x for s in walk(list(first)) for x in touched(s)}
    head: list[Stmt] = []
    for x in sorted(written(body), key=lambda x: x.name):
        if isinstance(x, Scalar):
            fresh = names[x] = Scalar(x.name, x.type)
            if x in before:
                head.append(Assign(fresh, Ref(x)))
            continue
        copy = Array(x.name, x.dtype, x.ndim)
        if x in before:
            source = names.get(x, x)
            assert isinstance(source, Array)
            shape = tuple(Dim(source, k) for k in range(source.ndim))
            head += [Alloc(copy, shape), *fill(copy, shape, lambda i, source=source: Load(source, i))]
        names[x] = copy
    declared = {s.array: None for s in walk(body) if isinstance(s, Alias)}
    for a in [*declared, *(a for s in walk(body) for a in aliases(s))]:
        _alias(a, names, head, declared)
    for s in walk(body):
        if isinstance(s, For):
            names[s.var] = Scalar(s.var.name, s.var.type)
    renaming = Renaming(names)
    return [*head, *renaming.body(body)], renaming


def _alias(a: Array, names: dict[Name, Name], head: list[Stmt], declared: Container[Array]) -> None:
    """A name for the memory that an alias now stands for, if that is other memory or another alias."""
    if a in names or a.alias is None:
        return
    _alias(a.alias, names, head, declared)
    of = names.get(a.alias)
    if of is None and a not in declared:
        return
    made = names[a] = Array(a.name, a.dtype, a.ndim, alias=a.alias if of is None else of)  # type: ignore[arg-type]
    if a not in declared:
        head.append(Alias(made, tuple(Dim(a, k) for k in range(a.ndim))))
