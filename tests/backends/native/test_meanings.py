"""What a program means may change between two calls: a name, a class, the code of a function."""

import functools
import importlib.util
import itertools
import math
import sys

import numpy as np
import pytest
import scipy.special

import tapeless as tl
from tapeless.backends.native import build
from tapeless.errors import NotCompilable
from tapeless.rules import unregister

PROGRAM = """
import functools, math
import numpy as np
import scipy.special

def double(x): return x * 2.0
def fivefold(x): return x * x * 5.0
def times(x, a=1.0): return x * x * a
def named(x, *, b=2.0): return x * x * b
part = functools.partial(times, a=3.0)

class Base:
    def scale(self, x): return x * 2.0
class Other:
    def scale(self, x): return x * 7.0
class Thing(Base):
    def __init__(self, w): self.w = w
class Plain:
    def __init__(self, w): self.w = w
class Above(Base):
    def scale(self, x): return super().scale(x) + x
class Last(Above): pass
class Called:
    def __call__(self, x): return x * 3.0
THING, PLAIN, LAST, CALLED = Thing(2.0), Plain(3.0), Last(), Called()
bound = THING.scale

def make(k):
    def inner(x): return x * x * k
    return inner
made = make(3.0)

def a_function(x): return double(x) + x
def in_map(x): return sum(map(double, [x, x]))
def a_builtin(x): return abs(x) * x
def a_partial(x): return part(x)
def a_method(x): return THING.scale(x) * x
def a_bound_method(x): return bound(x) * x
def above(x): return LAST.scale(x) * x
def truth(x): return x if PLAIN else x * x
def truth_of_made(x): return x if Plain(x) else x * x
def equal(x): return x if PLAIN == 3 else x * x
def field(x): return PLAIN.w * x * x
def absent(x): return getattr(PLAIN, "nope", 2.0) * x * x
def has(x): return x * x if hasattr(PLAIN, "scale") else x
def kind(x): return x * x if isinstance(THING, Base) else x
def an_instance(x): return Thing(x).scale(x) * x
def called(x): return CALLED(x) * x
def default(x): return times(x)
def keyword(x): return named(x)
def read_default(x): return times.__defaults__[0] * x * x
def closure(x): return made(x)
def of_numpy(x): return np.sin(x) * x
def of_math(x): return math.sin(x) * x
def a_number(x): return x * math.pi * x
def of_scipy(x): return scipy.special.expit(x) * x
def imported(x):
    from scipy.special import erf
    return erf(x) * x
"""


@pytest.fixture
def program(tmp_path, request):
    """The program as a module of its own, fresh for each test."""
    file = tmp_path / "program.py"
    file.write_text(PROGRAM)
    spec = importlib.util.spec_from_file_location(f"program_{next(COUNT)}", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


COUNT = itertools.count()


def code_of(f, g):
    f.__code__ = g.__code__


CHANGES = [
    ("a_function", lambda m, _: code_of(m.double, m.fivefold)),
    ("a_function", lambda m, _: code_of(m.a_function, m.fivefold)),
    ("a_function", lambda m, _: setattr(m, "double", m.fivefold)),
    ("in_map", lambda m, _: code_of(m.double, m.fivefold)),
    ("a_builtin", lambda m, _: setattr(m, "abs", lambda x: x * 10.0)),
    ("a_partial", lambda m, _: m.part.keywords.update(a=2.0)),
    ("a_partial", lambda m, _: m.part.keywords.clear()),
    ("a_method", lambda m, _: setattr(m.Thing, "__bases__", (m.Other,))),
    ("a_method", lambda m, _: setattr(m.Thing, "scale", lambda self, x: x * 9.0)),
    ("a_method", lambda m, _: code_of(m.Base.scale, m.Other.scale)),
    ("a_bound_method", lambda m, _: code_of(m.Base.scale, m.Other.scale)),
    ("above", lambda m, _: setattr(m.Base, "scale", lambda self, x: x * 11.0)),
    ("above", lambda m, _: setattr(m.Above, "__bases__", (m.Other,))),
    ("truth", lambda m, _: setattr(m.Plain, "__bool__", lambda self: False)),
    ("truth", lambda m, _: setattr(m.Plain, "__len__", lambda self: 0)),
    ("truth_of_made", lambda m, _: setattr(m.Plain, "__bool__", lambda self: False)),
    ("equal", lambda m, _: setattr(m.Plain, "__eq__", lambda self, other: True)),
    ("field", lambda m, _: setattr(m.Plain, "w", property(lambda self: 9.0))),
    ("absent", lambda m, _: setattr(m.Plain, "nope", 5.0)),
    ("has", lambda m, _: setattr(m.Plain, "scale", 5.0)),
    ("kind", lambda m, _: setattr(m.Thing, "__bases__", (m.Other,))),
    ("an_instance", lambda m, _: setattr(m.Thing, "__bases__", (m.Other,))),
    ("an_instance", lambda m, _: setattr(m.Thing, "__init__", lambda self, w: setattr(self, "w", 2.0 * w))),
    ("called", lambda m, _: setattr(m.Called, "__call__", lambda self, x: x * 13.0)),
    ("default", lambda m, _: setattr(m.times, "__defaults__", (5.0,))),
    ("default", lambda m, _: setattr(m.times, "__defaults__", (3.0, 4.0))),
    ("keyword", lambda m, _: m.named.__kwdefaults__.update(b=7.0)),
    ("keyword", lambda m, _: setattr(m.named, "__kwdefaults__", {"b": 5.0})),
    ("read_default", lambda m, _: setattr(m.times, "__defaults__", (5.0,))),
    ("closure", lambda m, _: code_of(m.made, (lambda k: lambda x: x * k)(1.0))),
    ("of_numpy", lambda m, patch: patch.setattr(np, "sin", lambda x: x * 3.0)),
    ("of_math", lambda m, patch: patch.setattr(math, "sin", lambda x: x * 3.0)),
    ("a_number", lambda m, patch: patch.setattr(math, "pi", 3.0)),
    ("of_scipy", lambda m, patch: patch.setattr(scipy.special, "expit", lambda x: x * 4.0)),
    ("imported", lambda m, patch: patch.setattr(scipy.special, "erf", lambda x: x * 4.0)),
]  # fmt: skip
X, H = 0.7, 1e-6


def slope(f):
    return (f(X + H) - f(X - H)) / (2.0 * H)


ROADS = {
    "value": (tl.jit, lambda f: f(X)),
    "reverse": (lambda f: tl.jit(tl.grad(f)), slope),
    "forward": (lambda f: tl.jit(lambda x: tl.jvp(f, (x,), (1.0,))[1]), slope),
    "plain reverse": (tl.grad, slope),
    "plain forward": (lambda f: lambda x: tl.jvp(f, (x,), (1.0,))[1], slope),
}


@pytest.mark.parametrize("road", ROADS)
@pytest.mark.parametrize("name, change", CHANGES)
def test_a_function_means_what_the_program_means_now(program, monkeypatch, name, change, road):
    f = getattr(program, name)
    make, wanted = ROADS[road]
    compiled = make(f)
    for _ in range(2):
        assert compiled(X) == pytest.approx(wanted(f), rel=1e-6)
        change(program, monkeypatch)
    assert compiled(X) == pytest.approx(wanted(f), rel=1e-6)


@pytest.mark.parametrize("road", [name for name in ROADS if name != "value"])
def test_a_rule_that_is_given_later(program, road):
    make, _ = ROADS[road]
    derivative = make(program.a_function)
    assert derivative(X) == pytest.approx(3.0)
    tl.constant(program.double)
    assert derivative(X) == pytest.approx(1.0)
    unregister(program.double)
    assert derivative(X) == pytest.approx(3.0)


def test_what_is_not_changed_is_compiled_once(program):
    for name in dict.fromkeys(name for name, _ in CHANGES):
        compiled = tl.jit(getattr(program, name))
        for x in (0.3, 0.4, 0.5):
            compiled(x)
        assert len(compiled.entries) == 1


def test_an_attribute_that_the_class_makes_up_later_is_not_absent(program):
    compiled = tl.jit(program.absent)
    assert compiled(X) == program.absent(X)
    program.Plain.__getattr__ = lambda self, name: 4.0
    with pytest.raises(NotCompilable, match="__getattr__ decides"):
        compiled(X)


def test_guards_of_names_are_checked_by_machine_code(program):
    compiled = tl.jit(program.a_method)
    compiled(X)
    simple = tl.jit(program.of_numpy)
    simple(X)
    assert compiled.entries[0].watched and simple.entries[0].bare
    assert not functools.reduce(lambda found, g: found or g.test == "is", simple.entries[0].guards, False)


def imported_anew(path, monkeypatch):
    """The program as another process has it: the same module, of objects of its own."""
    path.write_text(PROGRAM)
    spec = importlib.util.spec_from_file_location("program_on_disk", path)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "program_on_disk", module)
    spec.loader.exec_module(module)
    return module


def kept(name):
    """Whether what the program reads has names by which another process finds it."""
    return name not in ("a_bound_method", "above")


@pytest.mark.parametrize("name", sorted({name for name, _ in CHANGES if kept(name)}))
def test_what_is_on_disk_is_taken_where_nothing_has_changed(tmp_path, monkeypatch, name):
    monkeypatch.setenv("TAPELESS_CACHE_DIR", str(tmp_path))
    first = tl.jit(getattr(imported_anew(tmp_path / "program.py", monkeypatch), name))
    wanted = first(X)
    again = tl.jit(getattr(imported_anew(tmp_path / "program.py", monkeypatch), name))
    monkeypatch.setattr(build, "make_entry", None)
    assert again(X) == wanted


@pytest.mark.parametrize("name, change", CHANGES)
def test_what_is_on_disk_means_what_the_program_means_now(tmp_path, monkeypatch, name, change):
    monkeypatch.setenv("TAPELESS_CACHE_DIR", str(tmp_path))
    tl.jit(getattr(imported_anew(tmp_path / "program.py", monkeypatch), name))(X)
    program = imported_anew(tmp_path / "program.py", monkeypatch)
    change(program, monkeypatch)
    f = getattr(program, name)
    assert tl.jit(f)(X) == pytest.approx(f(X), rel=1e-12)


def names_nothing(x):
    return x * NOT_YET  # noqa: F821


@pytest.mark.parametrize("cache", [False, True])
def test_names_that_mean_something_later(tmp_path, monkeypatch, cache):
    monkeypatch.setenv("TAPELESS_CACHE_DIR", str(tmp_path))
    compiled = tl.jit(tl.grad(names_nothing), cache=cache)
    for _ in range(2):
        with pytest.raises(NameError):
            compiled(3.0)
        for value in (2.5, np.float64(3.0)):
            monkeypatch.setitem(globals(), "NOT_YET", value)
            assert compiled(3.0) == value
        monkeypatch.delitem(globals(), "NOT_YET")


def test_cells_that_are_filled_later():
    def scaled(x):
        return x * factor  # noqa: F821

    compiled = tl.jit(tl.grad(scaled))
    with pytest.raises(NameError):
        compiled(3.0)
    for factor in (2.5, np.float64(3.0)):
        assert compiled(3.0) == factor
    del factor
    with pytest.raises(NameError):
        compiled(3.0)


def test_cells_that_the_function_fills():
    def square(x):
        nonlocal kept
        kept = 2 * x
        return x * x

    kept = 0.0
    compiled = tl.jit(square)
    for x in (3.0, 4.0):
        assert compiled(x) == x * x and kept == 2 * x
    kept = 0.0
    assert tl.jit(tl.grad(square))(3.0) == 6.0 and kept == 6.0
