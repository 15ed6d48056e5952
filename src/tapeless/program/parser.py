"""The text of a Program, as `printer.show` writes it, read back."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tapeless.errors import ParseError
from tapeless.program.ir import VOCABULARY, Block, Lit, Op, Operand, Param, Program, Var
from tapeless.program.printer import BARE, LABELS

_NAME = re.compile(r"[^\W\d]\w*")
_PARAMETER = re.compile(r"\.?\w+")
_HEAD = re.compile(r"(?:(?P<outs>[^\W\d]\w*(?:, [^\W\d]\w*)*) = )?(?P<kind>[^\W\d]\w*)")
_PROGRAM = re.compile(r"program (?P<name><?[^\W\d]\w*>?)")
_LINE = re.compile(r"# .*?:(\d+)(?:  |$)")
_SYMBOL = re.compile(r"@[\w.:<>]+")
_WORDS = {"True": True, "False": False, "None": None}


def parse(text: str, symbols: Mapping[str, Any] | None = None) -> Program:
    """The Program that `text` shows; `symbols` (see `printer.symbols`) gives what each `@name` stands for."""
    return _Parser(text, symbols or {}).program()


@dataclass(slots=True)
class _Argument:
    """One operand as written: `x`, `*x`, `k=x`, `**x`, or `x: y` (then `key` is set)."""

    value: Operand
    star: bool = False
    keyword: str | None = None
    spread: bool = False
    key: Operand | None = None


class _Parser:
    def __init__(self, text: str, symbols: Mapping[str, Any]) -> None:
        self.lines = text.splitlines()
        self.symbols = symbols
        self.at = 0
        self.source_line = 0
        self.vars: dict[str, Var] = {}
        self.text, self.pos = "", 0

    def fail(self, expected: str) -> ParseError:
        shown = self.text or (self.lines[self.at] if self.at < len(self.lines) else "")
        got = shown[self.pos : self.pos + 30].strip() or "the end of the line"
        return ParseError(f"line {self.at + 1}: expected {expected}, got {got}\n    {shown.strip()}")

    # ---- lines and blocks

    def program(self) -> Program:
        self.text, self.pos = (self.lines or [""])[0], 0
        head = _PROGRAM.match(self.text)
        if head is None:
            raise self.fail("`program name[...](...):`")
        self.pos = head.end()
        attrs = self.attributes() if self.peek("[") else {}
        params = self.parameters()
        self.take(":")
        self.at = 1
        body = self.block(4)
        if self.at < len(self.lines):
            self.text, self.pos = self.lines[self.at], 0
            raise self.fail("the end of the program")
        return Program(
            name=head["name"],
            params=params,
            body=body,
            filename=attrs.get("file", "<program>"),
            firstline=attrs.get("line", 1),
            freevars=attrs.get("freevars", ()),
            is_generator=attrs.get("generator", False),
            code=attrs.get("code"),
        )

    def line(self) -> str | None:
        """The line at hand, without its indentation; comments are read on the way."""
        while self.at < len(self.lines):
            stripped = self.lines[self.at].strip()
            if stripped and not stripped.startswith("#"):
                return stripped
            place = _LINE.match(stripped)
            if place:
                self.source_line = int(place[1])
            self.at += 1
        return None

    def indent(self) -> int:
        line = self.lines[self.at]
        return len(line) - len(line.lstrip())

    def block(self, depth: int) -> Block:
        block = Block()
        while True:
            before = self.at, self.source_line
            line = self.line()
            if line is None or self.indent() < depth or (self.indent() == depth and self.label(line)):
                self.at, self.source_line = before
                self.skip_comments(depth)
                return block
            self.text, self.pos = self.lines[self.at], self.indent()
            if self.pos != depth:
                raise self.fail(f"an indentation of {depth}")
            if line == "pass":
                self.at += 1
            else:
                block.ops.append(self.op(depth))

    def skip_comments(self, depth: int) -> None:
        """Pass over comments that belong to this block, and leave those of the block around it."""
        while (
            self.at < len(self.lines)
            and self.lines[self.at].strip().startswith("#")
            and self.indent() >= depth
        ):
            self.at += 1

    def label(self, line: str) -> bool:
        return line in ("else:", "do:", "except:", "finally:", "block:")

    def op(self, depth: int) -> Op:
        head = _HEAD.match(self.text, self.pos)
        if head is None or head["kind"] not in VOCABULARY:
            raise self.fail("an operation of the vocabulary")
        kind, start = head["kind"], self.source_line
        self.pos = head.end()
        attrs = self.bare_attributes(kind) if self.peek("[") else {}
        arguments = self.arguments()
        outs = tuple(self.var(name) for name in head["outs"].split(", ")) if head["outs"] else ()
        blocks: tuple[Block, ...] = ()
        if VOCABULARY[kind].blocks:
            self.take(":")
            self.at += 1
            blocks = self.blocks(kind, depth, attrs)
        else:
            self.end()
            self.at += 1
        args = self.operands(kind, arguments, attrs)
        return Op(kind, args, outs, attrs, blocks, start)

    def end(self) -> None:
        rest = self.text[self.pos :].strip()
        if rest and not rest.startswith("#"):
            raise self.fail("the end of the line")

    def blocks(self, kind: str, depth: int, attrs: dict[str, Any]) -> tuple[Block, ...]:
        names = LABELS.get(kind, ("block",) * (VOCABULARY[kind].blocks - 1))
        found = [self.block(depth + 4)]
        for name in names:
            line = self.line()
            present = line == f"{name}:" and self.indent() == depth
            if present:
                self.at += 1
            found.append(self.block(depth + 4) if present else Block())
            if kind == "try" and name in ("except", "finally"):
                attrs["handles" if name == "except" else "finally_"] = present
        return tuple(found)

    # ---- pieces of a line

    def peek(self, text: str) -> bool:
        return self.text.startswith(text, self.pos)

    def take(self, text: str) -> None:
        if not self.peek(text):
            raise self.fail(f"`{text}`")
        self.pos += len(text)

    def maybe(self, text: str) -> bool:
        if self.peek(text):
            self.pos += len(text)
            return True
        return False

    def word(self, form: re.Pattern[str] = _NAME) -> str:
        found = form.match(self.text, self.pos)
        if found is None:
            raise self.fail("a name")
        self.pos = found.end()
        return found[0]

    def var(self, name: str) -> Var:
        return self.vars.setdefault(name, Var(name))

    def parameters(self) -> list[Param]:
        self.take("(")
        params: list[Param] = []
        keyword = False
        while not self.maybe(")"):
            if self.maybe("/"):
                for param in params:
                    param.kind = "positional"
            elif self.peek("*,"):
                self.take("*")
                keyword = True
            else:
                stars = "**" if self.maybe("**") else "*" if self.maybe("*") else ""
                name = self.word()
                named = self.word(_PARAMETER) if self.maybe(" as ") else name
                kind = {"**": "kwarg", "*": "vararg"}.get(stars, "keyword" if keyword else "standard")
                keyword = keyword or stars == "*"
                params.append(Param(self.var(name), kind, named))
            if not self.peek(")"):
                self.take(", ")
        return params

    def bare_attributes(self, kind: str) -> dict[str, Any]:
        """`[Add]` for `[op='Add']`: the value of the one attribute that a kind asks for."""
        close = self.text.find("]", self.pos)
        inside = self.text[self.pos + 1 : close]
        if close >= 0 and BARE.fullmatch(inside):
            self.pos = close + 1
            return {VOCABULARY[kind].attrs[0]: inside}
        return self.attributes()

    def attributes(self) -> dict[str, Any]:
        self.take("[")
        attrs: dict[str, Any] = {}
        while not self.maybe("]"):
            name = self.word()
            self.take("=")
            attrs[name] = self.value()
            if not self.peek("]"):
                self.take(", ")
        return attrs

    def arguments(self) -> list[_Argument]:
        self.take("(")
        found: list[_Argument] = []
        while not self.maybe(")"):
            found.append(self.argument())
            if not self.peek(")"):
                self.take(", ")
        return found

    def argument(self) -> _Argument:
        if self.maybe("**"):
            return _Argument(self.operand(), spread=True)
        if self.maybe("*"):
            return _Argument(self.operand(), star=True)
        named = re.compile(r"([^\W\d]\w*)=").match(self.text, self.pos)
        if named is not None:
            self.pos = named.end()
            return _Argument(self.operand(), keyword=named[1])
        value = self.operand()
        if self.maybe(": "):
            return _Argument(self.operand(), key=value)
        return _Argument(value)

    def operand(self) -> Operand:
        found = _NAME.match(self.text, self.pos)
        quoted = found is not None and self.text[found.end() : found.end() + 1] in ("'", '"')
        if found is not None and not quoted and found[0] not in _WORDS:
            self.pos = found.end()
            return self.var(found[0])
        return Lit(self.value())

    def value(self) -> Any:
        symbol = _SYMBOL.match(self.text, self.pos)
        if symbol is not None:
            name = symbol[0][1:]
            if name not in self.symbols:
                raise self.fail(f"a symbol that is given (there is no {name!r})")
            self.pos = symbol.end()
            return self.symbols[name]
        end = self.literal_end()
        try:
            value = ast.literal_eval(self.text[self.pos : end].strip())
        except (ValueError, SyntaxError):
            raise self.fail("a literal") from None
        self.pos = end
        return value

    def literal_end(self) -> int:
        """Where the literal at hand ends: at a comma, bracket or colon that is not inside it."""
        depth, i, text = 0, self.pos, self.text
        while i < len(text):
            char = text[i]
            if char in "'\"":
                i += 1
                while i < len(text) and text[i] != char:
                    i += 2 if text[i] == "\\" else 1
            elif char in "([{":
                depth += 1
            elif char in ")]}" and depth:
                depth -= 1
            elif char in ",)]:" and not depth:
                return i
            i += 1
        return i

    # ---- what the way of writing implies

    def operands(self, kind: str, arguments: list[_Argument], attrs: dict[str, Any]) -> tuple[Operand, ...]:
        if kind in ("tuple", "list", "set"):
            attrs["starred"] = tuple(a.star for a in arguments)
        elif kind == "dict":
            attrs["spread"] = tuple(a.spread for a in arguments)
            return tuple(x for a in arguments for x in ((a.value,) if a.key is None else (a.key, a.value)))
        elif kind in ("call", "call_method", "class"):
            first = 0 if kind == "class" else 1
            last = len(arguments) - (attrs["cells"] if kind == "class" else 0)
            given = arguments[first:last]
            named = [a for a in given if a.keyword is not None or a.spread]
            attrs["starred"] = tuple(a.star for a in given if a not in named)
            attrs["keywords"] = tuple(a.keyword for a in named)
        return tuple(a.value for a in arguments)
