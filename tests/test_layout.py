"""The source tree keeps its shape: which part may import which, and how long a file may be."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "tapeless"
FILES = sorted(SOURCE.rglob("*.py"))
#: From the ground up: a part imports itself and what stands before it.
ORDER = ["errors", "program", "frontend", "specialise", "analysis", "autodiff", "optimise", "backends", "api"]
#: What a rule knows nothing of: the passes run it.
PASSES = {"specialise", "analysis", "autodiff", "optimise", "backends", "api"}
LONGEST = 600


def name_of(path: Path) -> str:
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def imported(path: Path) -> list[tuple[str, int]]:
    """Modules of tapeless that `path` imports when it runs, without the prefix, and the lines where."""
    found = []
    inside = ["tapeless", *path.relative_to(SOURCE).parts[:-1]]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [(alias.name, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = inside[: len(inside) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            found += [(f"{module}.{alias.name}", node.lineno) for alias in node.names]
    return [
        (name.removeprefix("tapeless").strip("."), line)
        for name, line in found
        if name.split(".")[0] == "tapeless"
    ]


def part(name: str) -> str:
    return name.split(".")[0]


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_arrows_run_one_way(path: Path) -> None:
    mine = part(name_of(path))
    if mine not in ORDER:
        return
    above = set(ORDER[ORDER.index(mine) + 1 :])
    wrong = [f"line {line} imports {name}" for name, line in imported(path) if part(name) in above]
    assert not wrong, f"{mine} stands below what it imports: {wrong}"


@pytest.mark.parametrize("path", [f for f in FILES if part(name_of(f)) == "rules"], ids=name_of)
def test_rules_import_no_pass(path: Path) -> None:
    wrong = [f"line {line} imports {name}" for name, line in imported(path) if part(name) in PASSES]
    assert not wrong


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_no_file_is_too_long_or_a_drawer(path: Path) -> None:
    length = len(path.read_text().splitlines())
    assert length <= LONGEST, f"{path.name} has {length} lines: it is asking to be two"
    assert not {"utils", "util", "helpers", "misc", "common"} & set(name_of(path).split("."))


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_every_error_says_something(path: Path) -> None:
    silent = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Raise) and node.exc is not None:
            name = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            bare = not isinstance(node.exc, ast.Call) or not (node.exc.args or node.exc.keywords)
            if bare and isinstance(name, ast.Name) and name.id in ERRORS:
                silent.append(f"line {node.lineno}: {ast.unparse(node)}")
    assert not silent


#: Errors that a person reads; `StopIteration` and such are signals.
ERRORS = {
    "ValueError", "TypeError", "RuntimeError", "KeyError", "IndexError", "AttributeError", "Exception",
    "AssertionError", "TapelessError", "VerifyError", "ParseError", "MissingRuleError", "BackendError",
}  # fmt: skip
