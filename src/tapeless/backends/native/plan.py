"""What the forward sweep saves, at which statements, and which loops lay it out themselves."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from tapeless.backends.native.activity import Name
from tapeless.backends.native.needed import Needed, Part, names, regions
from tapeless.backends.native.nest import (
    Alias,
    Alloc,
    Array,
    Assign,
    Const,
    Dim,
    Expr,
    For,
    Grow,
    Ref,
    Scalar,
    Stmt,
    Store,
    Swap,
    While,
    apply,
    leaves,
    walk,
)
from tapeless.backends.native.saving import Layout, Site, Sites, Steady
from tapeless.backends.native.scopes import Scopes, writes
from tapeless.backends.native.small import small
from tapeless.errors import BackendError


class Plan:
    """The sites of a body, once it is known what is needed."""

    def __init__(
        self,
        scopes: Scopes,
        needed: Needed,
        params: Collection[Name],
        several: Mapping[Array, tuple[Expr, ...]],
        lengths: Mapping[Array, tuple[Expr, ...]],
    ) -> None:
        self.scopes, self.needed, self.params, self.several = scopes, needed, params, several
        self.lengths = lengths
        self.body = scopes.top.body
        self.grown = {s.array for s in walk(self.body) if isinstance(s, Grow)}
        swapped = {x for s in walk(self.body) if isinstance(s, Swap) for x in (s.a, s.b)}
        self.small = small(self.body, params)
        self.moved = self.grown | swapped | set(scopes.allocs)
        self._lay_out()

    def _lay_out(self) -> None:
        """The sites and the loops whose frames have known sizes, to a fixed point with what these need."""
        while True:
            self.sites = self._sites()
            self.layout = Layout(self.sites, Steady(self.scopes.definitions, self.needed.growing))
            before = self.needed._size()
            for s in walk(self.body):
                if isinstance(s, For) and self.sites.inside([s]):
                    code: list[Stmt] = []
                    frame = self.layout.frame(s, code)
                    if frame is not None:
                        made = {x.var for x in code if isinstance(x, Assign)}
                        sizes = [e for x in code if isinstance(x, Assign) for e in names(x.value)]
                        sizes += list(names(frame.trips))
                        self.needed.need(s, [x for x in sizes if x not in made])
            if self.needed._size() == before:
                return
            self.needed.solve()

    def _sites(self) -> Sites:
        sites = Sites()
        for s in walk(self.body):
            for x in dict.fromkeys(y for inner in walk([s]) for y in writes(inner)):
                if (id(s), x) not in self.needed.saved:
                    continue
                made = sites.at.setdefault(id(s), [])
                if isinstance(s, Store) or not isinstance(x, Array):
                    made.append(self.site(x))
                elif isinstance(s, (For, While)):
                    made += [self._part(x, part) for part in regions(s, x)]
                elif x in self.needed.growing:
                    raise BackendError(f"{x.name} is overwritten as a whole, and grows")
                else:
                    made.append(self.site(x, self.shape(x)))
        for block in self.scopes.blocks.values():
            kept = [x for x in self.scopes.residents[id(block.body)] if x in self.needed.kept]
            arrays = [self.site(x, self.shape(x)) for x in kept if isinstance(x, Array)]
            scalars = [self.site(x) for x in kept if isinstance(x, Scalar)]
            if kept:
                sites.end[id(block.body)] = [*arrays, *scalars]
        return sites

    def site(self, x: Name, shape: tuple[Expr, ...] | None = None, first: tuple[int, ...] = ()) -> Site:
        return Site(x, shape, first, x in self.small)

    def _part(self, a: Array, part: Part) -> Site:
        """The elements of a part of an array, if it has them."""
        if not any(k is not None for k in part):
            return self.site(a, self.shape(a))
        lengths = [
            n if k is None else apply("minimum", apply("maximum", n - k, 0), 1)
            for k, n in zip(part, self.shape(a), strict=True)
        ]
        return self.site(a, tuple(lengths), tuple(k or 0 for k in part))

    def _fixed(self, e: Expr) -> bool:
        """Whether an expression has the same value from beginning to end."""
        return all(
            isinstance(x, Const)
            or (isinstance(x, Dim) and x.array in self.params and x.array not in self.moved)
            or (isinstance(x, Ref) and x.var in self.params and x.var not in self.scopes.definitions)
            for x in leaves(e)
        )

    def shape(self, a: Array) -> tuple[Expr, ...]:
        """The lengths of an array, as expressions that hold as long as it lives."""
        made: Sequence[Alloc | Alias] = self.scopes.allocs.get(a) or self.scopes.aliases.get(a) or ()
        grows = a in self.grown
        if a in self.several:
            return self.several[a]
        if a in self.lengths and not grows and all(map(self._fixed, self.lengths[a])):
            return self.lengths[a]
        if made and not grows and a not in self.params and all(s.shape == made[0].shape for s in made):
            return made[0].shape
        if len(made) > 1 or (grows and self.scopes.home[a.root].loops):
            raise BackendError(f"{a.name} is given storage in several places")
        return tuple(Dim(a, k) for k in range(a.ndim))
