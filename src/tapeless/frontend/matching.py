"""The `match` statement, lowered to tests and captures."""

from __future__ import annotations

import ast
from typing import Any

from tapeless.frontend import patterns
from tapeless.frontend.expressions import Expressions
from tapeless.program.ir import Block, Lit, Operand, Var


class Matching(Expressions):
    """Lowers `match`: a pattern becomes a boolean and the values that it captures."""

    def body_block(self, nodes: list[ast.stmt]) -> Block:
        raise NotImplementedError

    def stmt_Match(self, node: ast.Match) -> None:
        subject = self.stable(self.expression(node.subject))
        self.match_cases(subject, node.cases)

    def match_cases(self, subject: Operand, cases: list[ast.match_case]) -> None:
        if not cases:
            return
        case, rest = cases[0], cases[1:]
        bindings: list[tuple[str, Operand]] = []
        self.line = case.pattern.lineno
        hit = self.temp("hit")
        self.emit("copy", (Lit(False),), (hit,))

        def succeed() -> None:
            for name, value in bindings:
                self.store_name(name, value)
            if case.guard is None:
                self.emit("copy", (Lit(True),), (hit,))
            else:
                yes = self.in_block(lambda: self.emit("copy", (Lit(True),), (hit,)))
                self.emit("if", (self.truth(case.guard),), blocks=(yes, Block()))

        matched = self.pattern(subject, case.pattern, bindings)
        self.emit("if", (matched,), blocks=(self.in_block(succeed), Block()))
        then = self.body_block(case.body)
        self.emit("if", (hit,), blocks=(then, self.in_block(lambda: self.match_cases(subject, rest))))

    def pattern(self, subject: Operand, pattern: ast.pattern, bindings: list[tuple[str, Operand]]) -> Operand:
        """A boolean variable: whether `subject` matches; what it captures is appended to `bindings`."""
        match pattern:
            case ast.MatchAs(pattern=None, name=name):
                if name is not None:
                    bindings.append((name, subject))
                return Lit(True)
            case ast.MatchAs(pattern=inner, name=name) if inner is not None and name is not None:
                bindings.append((name, subject))
                return self.pattern(subject, inner, bindings)
            case ast.MatchValue(value=value):
                return self.op("compare", (subject, self.expression(value)), op="==")
            case ast.MatchSingleton(value=constant):
                return self.op("compare", (subject, Lit(constant)), op="is")
            case ast.MatchOr(patterns=patterns):
                return self.alternatives(subject, patterns, bindings)
        return self.structural_pattern(subject, pattern, bindings)

    def alternatives(
        self, subject: Operand, patterns: list[ast.pattern], bindings: list[tuple[str, Operand]]
    ) -> Var:
        hit = self.temp("hit")
        names = sorted(
            {
                n.name
                for p in patterns
                for n in ast.walk(p)
                if isinstance(n, ast.MatchAs | ast.MatchStar) and n.name
            }
        )
        slots = {name: self.temp(name) for name in names}
        self.emit("copy", (Lit(False),), (hit,))
        for slot in slots.values():
            self.emit("copy", (Lit(None),), (slot,))

        def one(rest: list[ast.pattern]) -> None:
            if not rest:
                return
            found: list[tuple[str, Operand]] = []
            ok = self.pattern(subject, rest[0], found)

            def keep() -> None:
                self.emit("copy", (Lit(True),), (hit,))
                for name, value in found:
                    self.emit("copy", (value,), (slots[name],))

            self.emit("if", (ok,), blocks=(self.in_block(keep), self.in_block(lambda: one(rest[1:]))))

        one(patterns)
        bindings.extend(slots.items())
        return hit

    def structural_pattern(
        self, subject: Operand, pattern: ast.pattern, bindings: list[tuple[str, Operand]]
    ) -> Var:
        """Sequence, mapping and class patterns: a helper gives the parts, then each is matched."""
        parts: list[ast.pattern]
        match pattern:
            case ast.MatchSequence(patterns=patterns):
                star = next((i for i, p in enumerate(patterns) if isinstance(p, ast.MatchStar)), None)
                kept = any(isinstance(p, ast.MatchStar) and p.name is not None for p in patterns)
                parts = [
                    ast.MatchAs(pattern=None, name=p.name) if isinstance(p, ast.MatchStar) else p
                    for p in patterns
                ]
                shape = (Lit(len(patterns)), Lit(star), Lit(kept))
                found = self.helper("match_sequence", subject, *shape)
            case ast.MatchMapping(keys=keys, patterns=patterns, rest=rest):
                key_vars = self.op("tuple", tuple(self.expressions(keys)), starred=(False,) * len(keys))
                found = self.helper("match_mapping", subject, key_vars, Lit(rest is not None))
                parts = [*patterns, *([ast.MatchAs(pattern=None, name=rest)] if rest is not None else [])]
            case ast.MatchClass(cls=cls, patterns=patterns, kwd_attrs=attrs, kwd_patterns=kwd_patterns):
                kind = self.expression(cls)
                found = self.helper("match_class", subject, kind, Lit(len(patterns)), Lit(tuple(attrs)))
                parts = [*patterns, *kwd_patterns]
            case _:
                self.unsupported("a pattern of this kind", "write it as conditions")
        hit = self.temp("hit")
        self.emit("copy", (Lit(False),), (hit,))
        slots: list[tuple[str, Var]] = []

        def descend(rest: list[ast.pattern], values: list[Var]) -> None:
            if not rest:
                self.emit("copy", (Lit(True),), (hit,))
                return
            inner: list[tuple[str, Operand]] = []
            ok = self.pattern(values[0], rest[0], inner)

            def go_on() -> None:
                for name, value in inner:
                    slot = self.temp(name)
                    slots.append((name, slot))
                    self.emit("copy", (value,), (slot,))
                descend(rest[1:], values[1:])

            if isinstance(ok, Lit):
                go_on()
            else:
                self.emit("if", (ok,), blocks=(self.in_block(go_on), Block()))

        def open_parts() -> None:
            values = [self.temp() for _ in parts]
            self.emit("unpack", (found,), tuple(values), star=None)
            descend(parts, values)

        no = self.op("compare", (found, Lit(None)), op="is not")
        self.emit("if", (no,), blocks=(self.in_block(open_parts), Block()))
        bindings.extend(slots)
        return hit

    def helper(self, name: str, *args: Operand) -> Var:
        """A call of a function of `frontend.patterns`, which is opened like any other Python."""
        attrs: dict[str, Any] = {"keywords": (), "starred": (False,) * len(args)}
        return self.op("call", (Lit(getattr(patterns, name)), *args), **attrs)
