"""Source to functions: compiled in the module of the function that it came from, and registered with
`linecache`."""

from __future__ import annotations

import ast
import itertools
import linecache
from types import CellType, CodeType, FunctionType
from typing import Any

from tapeless.backends.python.emit import Emitter
from tapeless.specialise.unit import Unit

_count = itertools.count(1)
#: of each generated file, the program's file and the line there that each of its lines came from
_origins: dict[str, tuple[str, list[int]]] = {}


def origin(filename: str, line: int) -> tuple[str, int]:
    """Where in the program a line of generated source came from; other places are themselves."""
    home, lines = _origins.get(filename, ("", []))
    if 0 < line <= len(lines) and lines[line - 1]:
        return home, lines[line - 1]
    return filename, line


def register(name: str, source: str) -> str:
    """Make `source` known to tracebacks and debuggers; its file name."""
    filename = f"<tapeless {name} {next(_count)}>"
    linecache.cache[filename] = (len(source), None, source.splitlines(True), filename)
    return filename


def compile_function(
    source: str,
    name: str,
    space: dict[str, Any],
    cells: dict[str, CellType],
    emitter: Emitter | None = None,
) -> FunctionType:
    """The function in `source`, with globals `space` and the free names `cells`."""
    filename = register(name, source)
    if emitter is not None:
        _origins[filename] = emitter.program.filename, [line.at for line in emitter.lines]
    tree = ast.parse(source)
    body: list[ast.stmt] = []
    if cells:
        targets: list[ast.expr] = [ast.Name(n, ast.Store()) for n in cells]
        body.append(ast.Assign(targets, ast.Constant(None)))
    factory = ast.parse("def _factory(): pass").body[0]
    assert isinstance(factory, ast.FunctionDef)
    factory.body = [*body, *tree.body]
    module = ast.fix_missing_locations(ast.Module([factory], []))
    outer = next(c for c in compile(module, filename, "exec").co_consts if isinstance(c, CodeType))
    code = next(c for c in outer.co_consts if isinstance(c, CodeType) and c.co_name == name)
    return FunctionType(code, space, name, None, tuple(cells[n] for n in code.co_freevars))


class Library:
    """Builds the functions of units, each once; they reach each other through cells."""

    def __init__(self) -> None:
        self.built: dict[Unit, FunctionType] = {}
        self.cells: dict[Unit, CellType] = {}
        self.sources: list[str] = []

    def function(self, unit: Unit, comments: bool = False) -> FunctionType:
        if unit not in self.built:
            self.cell(unit, comments)
        return self.built[unit]

    def cell(self, unit: Unit, comments: bool = False) -> CellType:
        cell = self.cells.get(unit)
        if cell is None:
            cell = self.cells[unit] = CellType(None)
            if unit.make is not None:
                unit.make()
            emitter = Emitter(unit, comments)
            source = emitter.function()
            self.sources.append(source)
            cells = dict(unit.cells)
            for name, value in emitter.constants.items():
                cells[name] = (
                    self.cell(value, comments or name.endswith("_rev"))
                    if isinstance(value, Unit)
                    else CellType(value)
                )
            function = compile_function(source, unit.name, unit.namespace, cells, emitter)
            self.built[unit] = function
            cell.cell_contents = function
        return cell
