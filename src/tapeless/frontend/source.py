"""From a code object to the syntax tree it was compiled from."""

from __future__ import annotations

import ast
import itertools
import linecache
import os
import re
import sys
from dataclasses import dataclass, field
from types import CodeType
from typing import Any

from tapeless.errors import SourceUnavailableError
from tapeless.frontend.bytecode import function_from_bytecode

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.GeneratorExp

_Index = dict[tuple[str, int], list[Any]]

#: Syntax trees of functions that tapeless itself has generated, by their code.
GENERATED: dict[CodeType, ast.FunctionDef] = {}


@dataclass
class _File:
    """The lines of a file, and what was parsed of it: functions and classes by name and first line."""

    lines: list[str]
    alone: _Index = field(default_factory=dict)
    whole: _Index | None = None


_files: dict[str, _File] = {}
#: How many ends of a function are tried before the whole file is parsed.
_ENDS = 8


def node_of(code: CodeType, module_globals: dict[str, object] | None = None) -> FunctionNode:
    """The syntax tree of the function that `code` belongs to.

    Where no source is found it is rebuilt from simple bytecode, else this raises `SourceUnavailableError`.
    """
    generated = GENERATED.get(code)
    if generated is not None:
        return generated
    found = _nodes(code, module_globals)
    candidates: list[Any] = found or []
    if len(candidates) > 1:
        candidates = _innermost(code, candidates)
    if len(candidates) == 1 and not isinstance(candidates[0], ast.ClassDef):
        node: FunctionNode = candidates[0]
        if _takes_the_same(code, node):
            return node
    rebuilt = function_from_bytecode(code)
    if rebuilt is not None:
        return rebuilt
    if found is None:
        raise SourceUnavailableError(
            f"the source of {code.co_qualname!r} cannot be read (file {code.co_filename!r}); define it in a "
            "file or a notebook cell, give a rule with tapeless.jvp_rule, or declare it constant"
        )
    raise SourceUnavailableError(
        f"the source of {code.co_qualname!r} is not found at {code.co_filename}:{code.co_firstlineno}: "
        "the file has changed since it was imported, or two functions cannot be told apart"
    )


def class_node_of(code: CodeType, module_globals: dict[str, object] | None = None) -> ast.ClassDef:
    """The syntax tree of the class whose body `code` is."""
    for node in _nodes(code, module_globals) or []:
        if isinstance(node, ast.ClassDef):
            return node
    raise SourceUnavailableError(
        f"the source of class {code.co_qualname!r} is not found at {code.co_filename}:{code.co_firstlineno}"
    )


def _nodes(code: CodeType, module_globals: dict[str, object] | None) -> list[Any] | None:
    """What begins where `code` begins, and has its name; None if the file cannot be read."""
    filename = code.co_filename
    if filename.startswith("<frozen "):  # a module of the standard library that Python has built in
        filename = str((module_globals or {}).get("__file__") or filename)
    if not (filename.startswith("<") and filename.endswith(">")):
        linecache.checkcache(filename)
        if not os.path.isabs(filename) and not os.path.exists(filename):
            for folder in sys.path:
                if os.path.exists(os.path.join(folder, filename)):
                    filename = os.path.join(folder, filename)
                    break
    lines = linecache.getlines(filename, module_globals)
    if not lines:
        return None
    file = _files.get(filename)
    if file is None or file.lines != lines:
        file = _files[filename] = _File(lines)
    key = code.co_name, code.co_firstlineno
    if key not in file.alone:
        nodes = _alone(code, lines)
        if not nodes:
            if file.whole is None:
                file.whole = _index(lines)
            return None if file.whole is None else file.whole.get(key, [])
        file.alone[key] = nodes
    return file.alone[key]


def _alone(code: CodeType, lines: list[str]) -> list[ast.AST]:
    """What begins where `code` begins, parsed without the rest of the file; empty if that does not work.

    A function ends before a line that is not indented more, and outside of brackets and texts, which would
    not parse.  A lambda is looked for in the function around it, or in the statement.
    """
    key = code.co_name, code.co_firstlineno
    unnamed = code.co_name.startswith("<")
    first = _around(code, lines) if unnamed else code.co_firstlineno
    head = lines[first - 1] if 1 <= first <= len(lines) else ""
    inside = head.lstrip()
    indent = len(head) - len(inside)
    begins = bool(inside) if unnamed else inside.startswith(("def ", "async def ", "class ", "@"))
    if not begins or (indent and first == 1):
        return []
    # an indented one is the body of an `if`; everything keeps its place in the file
    before = "\n" * (first - 2) + "if 1:\n" if indent else "\n" * (first - 1)
    ends = (k for k in range(_last_line(code), len(lines)) if _is_outside(lines[k], indent))
    for end in itertools.islice(itertools.chain(ends, (len(lines),)), _ENDS):
        try:
            tree = ast.parse(before + "".join(lines[first - 1 : end]))
        except SyntaxError:
            continue
        nodes = itertools.islice(ast.walk(tree), None if unnamed else 4)  # module, `if`, its test, body
        return [node for node in nodes if _key(node) == key]
    return []


def _around(code: CodeType, lines: list[str]) -> int:
    """The first line of the function with a name, or of the statement, in which `code` is written, or 0."""
    before = range(min(code.co_firstlineno, len(lines)), 0, -1)
    names = re.findall(r"(\w+)\.<locals>\.", code.co_qualname)
    if names:
        definition = re.compile(rf"\s*(async\s+)?def {names[-1]}\b")
        return next((k for k in before if definition.match(lines[k - 1])), 0)
    return next((k for k in before if _is_outside(lines[k - 1], 0) and lines[k - 1][0] not in ")]}"), 0)


def _last_line(code: CodeType) -> int:
    """The last line of which there is code, in the functions inside too."""
    lines = [line for _, _, line in code.co_lines() if line is not None]
    inner = [_last_line(c) for c in code.co_consts if isinstance(c, CodeType)]
    return max([code.co_firstlineno, *lines, *inner])


def _is_outside(line: str, indent: int) -> bool:
    inside = line.lstrip()
    return len(line) - len(inside) <= indent and inside != "" and not inside.startswith("#")


def _index(lines: list[str]) -> _Index | None:
    """All functions and classes of a file."""
    try:
        tree = ast.parse("".join(lines))
    except SyntaxError:
        return None
    index: _Index = {}
    for node in ast.walk(tree):
        key = _key(node)
        if key is not None:
            index.setdefault(key, []).append(node)
    return index


def _key(node: ast.AST) -> tuple[str, int] | None:
    """The name of a node's code, and its first line."""
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return node.name, min([node.lineno, *(d.lineno for d in node.decorator_list)])
        case ast.Lambda():
            return "<lambda>", node.lineno
        case ast.GeneratorExp():
            return "<genexpr>", node.lineno
    return None


def _takes_the_same(code: CodeType, node: FunctionNode) -> bool:
    """Whether the parameters are those of `code`, which may only pretend to stand there."""
    if isinstance(node, ast.GeneratorExp):
        return True
    a, flags = node.args, code.co_flags
    written = [p.arg for p in (*a.posonlyargs, *a.args, *a.kwonlyargs, *filter(None, (a.vararg, a.kwarg)))]
    n = code.co_argcount + code.co_kwonlyargcount + bool(flags & 4) + bool(flags & 8)  # *args and **kwargs
    names = code.co_varnames[:n]  # those of two underscores have the class before them
    return len(names) == len(written) and all(map(str.endswith, names, written))


def _innermost(code: CodeType, nodes: list[FunctionNode]) -> list[FunctionNode]:
    """Of lambdas (or generator expressions) that start on one line, the smallest that holds all of `code`."""
    starts, ends = [], []
    for line, end_line, column, end_column in code.co_positions():
        if line is None or end_line is None or column is None or end_column is None:
            continue
        if (line, column) != (end_line, end_column):
            starts.append((line, column))
            ends.append((end_line, end_column))
    if not starts:
        return nodes
    holding = [n for n in nodes if _start(n) <= min(starts) and max(ends) <= _end(n)]
    return [
        n
        for n in holding
        if not any(m is not n and _start(n) <= _start(m) and _end(m) <= _end(n) for m in holding)
    ]


def _start(node: FunctionNode) -> tuple[int, int]:
    inside = node.body if isinstance(node, ast.Lambda) else node
    return inside.lineno, inside.col_offset


def _end(node: FunctionNode) -> tuple[int, int]:
    return node.end_lineno or 0, node.end_col_offset or 0


def child_codes(code: CodeType) -> list[CodeType]:
    """Code objects of the functions, lambdas, generator expressions and classes written directly in `code`.

    Those written inside a list, set or dict comprehension count as written in the function around it.
    """
    found = []
    for const in code.co_consts:
        if isinstance(const, CodeType):
            if const.co_name in ("<listcomp>", "<setcomp>", "<dictcomp>"):
                found += child_codes(const)
            else:
                found.append(const)
    return found


def code_of_node(code: CodeType, node: ast.AST, name: str, around: ast.AST) -> CodeType:
    """The code object, a child of `code`, that `node` was compiled to; `around` is the tree of `code`."""
    decorators = getattr(node, "decorator_list", [])
    first = min([node.lineno, *(d.lineno for d in decorators)])  # type: ignore[attr-defined]
    found = [c for c in child_codes(code) if c.co_name == name and c.co_firstlineno == first]
    if len(found) > 1 and isinstance(node, ast.Lambda | ast.GeneratorExp):
        nodes = [n for n in ast.walk(around) if isinstance(n, ast.Lambda | ast.GeneratorExp)]
        beside: list[FunctionNode] = [n for n in nodes if type(n) is type(node) and n.lineno == first]
        held = [(c, _innermost(c, beside)) for c in found]
        exact = [c for c, holding in held if holding == [node]]
        # two functions of one text may share one code object
        alike = [c for c, holding in held if [ast.dump(n) for n in holding] == [ast.dump(node)]]
        found = exact or alike or found
    if not found:
        raise SourceUnavailableError(f"the code of {name!r} at line {first} does not match its source")
    return found[0]
