"""From a code object to the syntax tree it was compiled from."""

from __future__ import annotations

import ast
import linecache
import os
import sys
from types import CodeType
from typing import Any

from tapeless.errors import SourceUnavailableError
from tapeless.frontend.bytecode import function_from_bytecode

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.GeneratorExp

_COMPREHENSIONS = (ast.GeneratorExp,)
#: Syntax trees of functions that tapeless itself has generated, by their code.
GENERATED: dict[CodeType, ast.FunctionDef] = {}
_trees: dict[tuple[str, int], dict[tuple[str, int], list[Any]]] = {}


def node_of(code: CodeType, module_globals: dict[str, object] | None = None) -> FunctionNode:
    """The syntax tree of the function that `code` belongs to.

    Where no source is found it is rebuilt from simple bytecode, else this raises `SourceUnavailableError`.
    """
    generated = GENERATED.get(code)
    if generated is not None:
        return generated
    index = _index(code.co_filename, module_globals)
    candidates: list[Any] = [] if index is None else index.get((code.co_name, code.co_firstlineno), [])
    if len(candidates) > 1:
        candidates = _innermost(code, candidates)
    if len(candidates) == 1 and not isinstance(candidates[0], ast.ClassDef):
        node: FunctionNode = candidates[0]
        if _takes_the_same(code, node):
            return node
    rebuilt = function_from_bytecode(code)
    if rebuilt is not None:
        return rebuilt
    if index is None:
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
    index = _index(code.co_filename, module_globals) or {}
    for node in index.get((code.co_name, code.co_firstlineno), []):
        if isinstance(node, ast.ClassDef):
            return node
    raise SourceUnavailableError(
        f"the source of class {code.co_qualname!r} is not found at {code.co_filename}:{code.co_firstlineno}"
    )


def _index(
    filename: str, module_globals: dict[str, object] | None
) -> dict[tuple[str, int], list[Any]] | None:
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
    text = "".join(lines)
    key = (filename, hash(text))
    if key not in _trees:
        try:
            tree = ast.parse(text)
        except SyntaxError:
            return None
        index: dict[tuple[str, int], list[Any]] = {}
        for node in ast.walk(tree):
            match node:
                case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                    first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
                    index.setdefault((node.name, first), []).append(node)
                case ast.Lambda():
                    index.setdefault(("<lambda>", node.lineno), []).append(node)
                case ast.GeneratorExp():
                    index.setdefault(("<genexpr>", node.lineno), []).append(node)
        _trees[key] = index
    return _trees[key]


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
