"""The package itself: its names are there, and importing it loads next to nothing."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import tapeless as tl

SOURCE = Path(tl.__file__).read_text()


def declared() -> dict[str, str]:
    """What type checkers are told: name -> module."""
    (branch,) = [n for n in ast.parse(SOURCE).body if isinstance(n, ast.If)]
    return {
        alias.asname or alias.name: statement.module or ""
        for statement in branch.body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }


def test_type_checkers_and_python_see_the_same_names():
    homes = {name: home for home, names in tl.HOMES.items() for name in names.split()}
    assert homes == declared()
    assert set(homes) == set(tl.__all__) <= set(dir(tl))


@pytest.mark.parametrize("name", tl.__all__)
def test_every_name_is_documented(name):
    assert inspect.getdoc(getattr(tl, name))


def test_a_name_that_does_not_exist():
    with pytest.raises(AttributeError, match="module 'tapeless' has no attribute 'gradd'"):
        tl.gradd  # noqa: B018


def test_importing_loads_next_to_nothing():
    code = (
        "import sys, tapeless as tl\n"
        "tl.jit(tl.value_and_grad(lambda x: x * x))\n"
        "print(sorted(m for m in sys.modules if m.startswith('tapeless')), 'llvmlite' in sys.modules)\n"
        "import tapeless.program.ir\n"
        "from tapeless import *\n"
        "assert callable(tl.program) and program is tl.program and grad(lambda x: x * x)(3.0) == 6.0\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = ["tapeless", "tapeless.native", "tapeless.program", "tapeless.transformed"]
    assert done.stdout.strip() == f"{loaded} False"
