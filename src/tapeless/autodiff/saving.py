"""Which versions the value program saves, where, and in what: the plan of the residuals.

A version that lives once a call is saved by name.  One that lives once an iteration goes to a list of its
own, filled where
the version begins or, if only one branch needs it, where that branch begins.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tapeless.autodiff.control import leaves
from tapeless.autodiff.linear_program import LBlock, LIf, Lin, LLoop, LSequence, cells_of, refs_of
from tapeless.autodiff.linearize import Linearized
from tapeless.autodiff.residuals import Expr, Frame, Level, Version
from tapeless.program.ir import Var
from tapeless.specialise.types import INT, List, NotTyped


@dataclass(slots=True, eq=False)
class Slot:
    """Where a version is saved: under the name `var`, once an iteration by way of the list `items`."""

    version: Version
    var: Var
    items: Var | None
    frame: Frame
    copied: bool
    """The name is not the variable's own: the value program assigns it."""
    maybe: bool = False
    """The code that fills it may not run."""


def substitute(e: Expr, table: dict[Version, Expr]) -> Expr:
    """`e` with versions replaced by the expressions that give them again."""
    if e.kind == "ref":
        v = e.args[0]
        return substitute(table[v], table) if v in table else e
    if e.kind in ("lit", "ordinal", "returned"):
        return e
    return Expr(e.kind, tuple(substitute(a, table) for a in e.args), e.attrs)


class Plan:
    """Prunes a linear program, and decides on its residuals."""

    def __init__(self, lin: Linearized) -> None:
        self.lin = lin
        assert lin.top is not None
        self.root: LBlock = lin.top.linear
        self.table: dict[Version, Expr] = {}
        self.slots: list[Slot] = []
        self.counters: list[LLoop] = []
        self.uses: dict[Version, list[LBlock]] = {}

    def run(self) -> None:
        self.merge_results()
        self.prune(self.root)
        self.sink(self.root)
        self.prune(self.root)
        self.collect()
        self.recompute()
        self.narrow(self.root)
        self.collect()
        self.loops(self.root)
        for version, blocks in list(self.uses.items()):
            if version.slot is None and version not in self.indices:
                self.save(version, blocks)

    # ---- shaping

    def merge_results(self) -> None:
        """Where every `return` gives the same variable, the result's cell is that variable's."""
        lin = self.lin
        nodes = [n for n in self.root.walk() if isinstance(n, Lin)]

        def merge(tree: Any) -> Any:
            if isinstance(tree, tuple):
                return tuple(merge(t) for t in tree)
            if tree is None:
                return None
            own = [n for n in nodes if n.out is tree]
            xs = {id(n.terms[0].x): n.terms[0].x for n in own if len(n.terms) == 1}
            if len(xs) == 1 and all(len(n.terms) == 1 for n in own) and len(own) == len(lin.exits):
                x = next(iter(xs.values()))
                if x not in used and not x.mutable:
                    used.add(x)
                    dropped.update(id(n) for n in own)
                    return x
            return tree

        used: set[Any] = set()
        dropped: set[int] = set()
        lin.out = merge(lin.out)

        def drop(block: LBlock) -> None:
            block.nodes = [n for n in block.nodes if id(n) not in dropped]
            for n in block.nodes:
                for b in getattr(n, "blocks", ()):
                    drop(b)

        drop(self.root)

    def prune(self, block: LBlock) -> None:
        kept = []
        for node in block.nodes:
            for b in getattr(node, "blocks", ()):
                self.prune(b)
            if hasattr(node, "blocks") and not any(b.nodes for b in node.blocks):
                continue
            kept.append(node)
        block.nodes = kept

    def sink(self, block: LBlock) -> None:
        """Move a linear operation into the one branch behind it that uses its result."""
        counts: dict[int, int] = {}
        for node in self.root.walk():
            for c in cells_of(node):
                counts[id(c)] = counts.get(id(c), 0) + 1
        for c in leaves(self.lin.out):
            counts[id(c)] = counts.get(id(c), 0) + 1
        self._sink(block, counts)

    def _sink(self, block: LBlock, counts: dict[int, int]) -> None:
        i = len(block.nodes) - 1
        while i > 0:
            node, before = block.nodes[i], block.nodes[i - 1]
            if (
                isinstance(node, LIf)
                and isinstance(before, Lin)
                and before.terms
                and node.test.kind != "returned"
            ):
                for b in node.blocks:
                    inside = sum(1 for n in b.walk() for c in cells_of(n) if c is before.out)
                    assigned = any(isinstance(n, Lin) and n.out is before.out for n in b.walk())
                    if (
                        inside
                        and not assigned
                        and inside + 1 == counts[id(before.out)]
                        and self.movable(before, b.frame)
                    ):
                        b.nodes.insert(0, before)
                        del block.nodes[i - 1]
                        break
                else:
                    i -= 1
                    continue
                i -= 1
                continue
            i -= 1
        for node in block.nodes:
            for b in getattr(node, "blocks", ()):
                self._sink(b, counts)

    def movable(self, node: Lin, frame: Frame) -> bool:
        return not node.out.mutable and all(frame.entry.get(v.var) is v for v in refs_of(node))

    def narrow(self, block: LBlock) -> None:
        """A loop whose body is one branch runs backwards over the executions of that branch."""
        for node in block.nodes:
            for b in getattr(node, "blocks", ()):
                self.narrow(b)
            if not isinstance(node, LLoop) or node.ordinal:
                continue
            while len(node.blocks[0].nodes) == 1 and isinstance(node.blocks[0].nodes[0], LIf):
                branch = node.blocks[0].nodes[0]
                if branch.test.kind == "returned":
                    break
                full = [b for b in branch.blocks if b.nodes]
                if len(full) != 1 or not self.savable(full[0], node.level):
                    break
                node.blocks = (full[0],)
                node.narrowed = True

    def savable(self, block: LBlock, level: Level) -> bool:
        for node in block.walk():
            for v in refs_of(node):
                if (
                    v.frame.level is level
                    and not v.frame.inside(block.frame)
                    and block.frame.entry.get(v.var) is not v
                ):
                    return False
        return True

    # ---- needs

    def collect(self) -> None:
        self.uses = {}

        def walk(block: LBlock) -> None:
            for node in block.nodes:
                for v in refs_of(node):
                    self.uses.setdefault(v, []).append(block)
                for b in getattr(node, "blocks", ()):
                    walk(b)

        walk(self.root)

    def recompute(self) -> None:
        """Replace versions by cheap expressions in versions that are needed anyway, or are at hand."""
        for v in sorted(self.uses, key=lambda v: -v.number):
            if v.expr is None or v.expr.size() > 2 and any(True for _ in v.expr.refs()):
                continue
            if v.frame.level.parent is None and v.final and v.stable and v.sure and v.expr.size():
                if any(True for _ in v.expr.refs()):
                    continue  # it is at hand under its name
            needed = [r for r in v.expr.refs()]
            if all(
                r in self.uses or (r.frame.level.parent is None and v.frame.level.parent is not None)
                for r in needed
            ) or (v.expr.kind == "ref"):
                self.table[v] = v.expr
                for r in needed:
                    self.uses.setdefault(r, []).extend(self.uses[v])
        if self.table:
            self.rewrite(self.root)

    def rewrite(self, block: LBlock) -> None:
        for node in block.nodes:
            match node:
                case Lin():
                    for t in node.terms:
                        t.mul, t.div, t.like = (
                            None if e is None else substitute(e, self.table) for e in (t.mul, t.div, t.like)
                        )
                        if t.form is not None:
                            t.form = t.form.mapped(lambda e: substitute(e, self.table))
                case LIf():
                    node.test = substitute(node.test, self.table)
                case LLoop():
                    node.args = [substitute(e, self.table) for e in node.args]
                case LSequence():
                    node.args = [substitute(e, self.table) for e in node.args]
                case _:
                    if getattr(node, "index", None) is not None and isinstance(node.index, Expr):
                        node.index = substitute(node.index, self.table)
                    if getattr(node, "like", None) is not None:
                        node.like = substitute(node.like, self.table)
            for b in getattr(node, "blocks", ()):
                self.rewrite(b)

    # ---- loops

    indices: set[Version]

    def loops(self, block: LBlock) -> None:
        """Decide how each loop runs backwards, the inner ones first."""
        self.indices = getattr(self, "indices", set())
        for node in block.nodes:
            for b in getattr(node, "blocks", ()):
                self.loops(b)
            if isinstance(node, LLoop):
                self.loop(node, block)

    def loop(self, node: LLoop, block: LBlock) -> None:
        top = node.level.parent is not None and node.level.parent.parent is None
        plain = not node.early and not node.narrowed and node.index is not None
        body = node.blocks[0]
        wants_index = plain and node.index in self.uses
        if wants_index and node.index is not None:
            self.indices.add(node.index)
        slots = False
        for version, blocks in list(self.uses.items()):
            if version.frame.level is node.level and version not in self.indices and version.slot is None:
                self.save(version, blocks)
        slots = any(s.items is not None and s.frame is body.frame for s in self.slots)
        if wants_index or (plain and not (top and slots)):
            node.mode = "range"
            for e in node.args:
                for v in e.refs():
                    self.uses.setdefault(v, []).append(block)
            return
        if top and slots and not node.ordinal:
            node.mode = "zip"
            return
        node.mode = "count"
        n = Var(self.fresh("n"), INT)
        parent = node.level.parent
        assert parent is not None
        frame = block.frame
        node.count = Version(n, frame, number=node.number)
        self.counters.append(node)
        self.uses[node.count] = [block]

    def fresh(self, name: str) -> str:
        taken = self.lin.taken
        base, k = name, 1
        while name in taken:
            k += 1
            name = f"{base}_{k}"
        taken.add(name)
        return name

    # ---- saving

    def save(self, version: Version, blocks: list[LBlock]) -> None:
        """Choose the place where `version` is saved."""
        level = version.frame.level
        found: LBlock | None = None
        for b in blocks:
            at: LBlock | None = b
            while at is not None and at.frame.level is not level:
                at = at.parent
            assert at is not None
            found = at if found is None else self.common(found, at)
        assert found is not None
        frame: Frame | None = found.frame
        if level.parent is None and version.sure and version.final and version.stable:
            frame = version.frame
        while (
            frame is not version.frame and frame is not None and frame.entry.get(version.var) is not version
        ):
            frame = frame.parent
        if frame is None:
            raise NotTyped(f"{version.var.name} cannot be saved")
        exits = self.lin.exits
        passed = (  # whoever comes to the one exit has used it, so it is assigned
            level.parent is None
            and version.final
            and version.stable
            and any(b.frame is version.frame for b in blocks)
            and len(exits) == 1
            and exits[0].frame is self.lin.top
            and version.frame is self.lin.top
        )
        if not version.sure and frame is version.frame and not passed:
            raise NotTyped(f"{version.var.name} may be unassigned where it is saved")
        own = version.var.name.lstrip("_")
        if level.parent is None:
            # a list of saves may have been given this name already: inside a loop it hides the variable
            hidden = any(s.var.name == version.var.name and s.var is not version.var for s in self.slots)
            direct = version.final and version.stable and not hidden
            ended = any(not e.frame.inside(frame) and e.after >= version.number for e in exits)
            copied = not direct or (ended and not self.lin.fused)
            var = Var(self.fresh(own), version.var.type) if copied else version.var
            slot = Slot(version, var, None, frame, copied, ended)
        else:
            if isinstance(version.var.type, type(None)):
                raise NotTyped("an untyped residual")
            # the reverse pass may use the variable's own name, if no other version has taken it
            fresh = own not in self.lin.taken or not any(s.var.name == own for s in self.slots)
            if fresh and own == version.var.name and own not in self.reserved:
                name = own
                self.reserved.add(own)
            else:
                name = self.fresh(own)
            var = Var(name, version.var.type)
            items = Var(self.fresh(f"saved_{name}"), List(version.var.type))
            slot = Slot(version, var, items, frame, True)
        version.slot = slot
        self.slots.append(slot)
        (version.saves if frame is version.frame else frame.saves).append(slot)

    @property
    def reserved(self) -> set[str]:
        if not hasattr(self, "_reserved"):
            # names that live through the whole reverse pass: versions saved once a call
            names = {v.var.name for v in self.uses if v.frame.level.parent is None}
            names |= {p.name for p in self.lin.unit.params}
            names |= {a.name for e in self.lin.exits for a in e.op.args if isinstance(a, Var)}
            for node in self.root.walk():
                if isinstance(node, LLoop):
                    names |= {v.var.name for e in node.args for v in e.refs()}
            self._reserved: set[str] = names
        return self._reserved

    def common(self, a: LBlock, b: LBlock) -> LBlock:
        """The innermost block that holds both."""
        above = []
        at: LBlock | None = a
        while at is not None:
            above.append(at)
            at = at.parent
        at = b
        while at is not None and at not in above:
            at = at.parent
        assert at is not None
        return at
