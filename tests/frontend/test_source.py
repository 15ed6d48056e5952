"""A function is read without the rest of its file, and as it stands in the file."""

import ast
import heapq
import inspect
import linecache
import statistics
import types
from pathlib import Path

import pytest

import tapeless as tl
from tapeless.frontend import source

ODD = '''
def outer(x):
    """A text
def outer(y):
that looks like a program
    """
# a comment that ends nothing
    def inner(y,
        z=(1,
2)
    ):
        return [f"{(lambda: y)()}" for _ in z]
    return inner, (lambda: x), (lambda: [
x]), (v for v in [x]), """
class End: pass
"""
class A:
    @staticmethod
    @(lambda f: f)
    def outer(x): return lambda: x; pass
    def last(self):
        return 1 \\
+ 2


TABLE = {
    "a": lambda x: x, "b": lambda x: -x,
    "c":
        lambda x: 2 * x,
}
if TABLE:
	def tabbed(x):
		return x
else:
    def tabbed(x): return -x
class B(A): x = 1; y = lambda self: (
    2)
'''


def codes(code: types.CodeType):
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            yield from codes(inner)
            if inner.co_name not in ("<listcomp>", "<dictcomp>", "<setcomp>"):
                yield inner


@pytest.mark.parametrize("module", [heapq, statistics, inspect, source, "odd"], ids=str)
def test_alone_as_in_the_file(module, tmp_path):
    path = tmp_path / "odd.py" if module == "odd" else Path(module.__file__)
    if module == "odd":
        path.write_text(ODD)
    lines = linecache.getlines(str(path))
    whole = source._index(lines)
    missed = 0
    for code in codes(compile("".join(lines), str(path), "exec")):
        nodes = source._alone(code, lines)
        want = [ast.dump(n, include_attributes=True) for n in whole[code.co_name, code.co_firstlineno]]
        assert [ast.dump(n, include_attributes=True) for n in nodes] in ([], want), code.co_qualname
        missed += not nodes
    assert missed == (3 if module == "odd" else 0)  # there a text holds `def outer`


TWO = """def f(x):
    return x * x
def g(x):
    for _ in (1, 2):
        x = x * x
    return x
"""


def test_a_file_that_changed(tmp_path, monkeypatch):
    """What stands at the place of a function now is not taken for it."""
    path = tmp_path / "changing.py"
    path.write_text(TWO)
    monkeypatch.syspath_prepend(tmp_path)
    import changing

    assert tl.grad(changing.f)(3.0) == 6.0
    path.write_text(f"# moved\n\n{TWO}")
    with pytest.raises(tl.errors.SourceUnavailableError, match="changed"):
        source.node_of(changing.g.__code__)


def test_beside_what_is_no_python(tmp_path):
    """A cell of a notebook may hold lines that Python cannot parse."""
    path = tmp_path / "cell.py"
    path.write_text("%matplotlib inline\n\n\ndef f(x):\n    return x * x\n\n\n%time f(2.0)\n")
    space = {}
    exec(compile("\n\n\ndef f(x):\n    return x * x\n", str(path), "exec"), space)
    assert tl.grad(space["f"])(3.0) == 6.0
