"""Modules written by `export`: they run where there is no tapeless, and give what the function gives."""

from __future__ import annotations

import importlib.util
import math
import pickle
import subprocess
import sys

import numpy as np
import pytest

import tapeless as tl
from tapeless.errors import NotCompilable

WEIGHTS = np.array([0.5, -1.0, 2.0, math.inf])
HAS_NUMBA = importlib.util.find_spec("numba") is not None
NUMBA = pytest.param(True, marks=pytest.mark.skipif(not HAS_NUMBA, reason="Numba is not installed"))


def rosen(x):
    """Rosenbrock's function.

    More about it.
    """
    return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def sine(x, terms=20):
    t, sign = 0.0, -1.0
    for i in range(1, terms):
        if i % 2 == 1:
            term = x**i / math.gamma(i + 1.0)
            if abs(term) < 1e-8:
                return t
            sign = -sign
            t += sign * term
    return t


def solution(a, b):
    return np.linalg.solve(a, b).sum()


def layers(parameters, x):
    for layer in parameters:
        x = np.tanh(layer["w"] @ x + layer["b"])
    return np.sum(x * x)


def root(x):
    return np.where(x > 0, np.sqrt(x), 0.0).sum()


def weighted(x, np):  # a parameter called as a module
    return (x * WEIGHTS).sum() + np


def steps(x, count):
    for k in range(count):
        x[k] = 2.0 * x[k]


def wave(z):
    return (z * z * 1j).sum(), z.real.astype("float32")


PARAMETERS = [{"w": np.full((5, 5), 0.1) + np.eye(5), "b": np.linspace(0, 1, 5)} for _ in range(2)]
CASES = {
    "rosen": (rosen, (np.linspace(0, 1, 6),)),
    "grad rosen": (tl.grad(rosen), (np.linspace(0, 1, 6),)),
    "hessian rosen": (tl.hessian(rosen), (np.linspace(0, 1, 6),)),
    "sine": (tl.value_and_grad(sine), (0.7,)),
    "sine of few terms": (tl.value_and_grad(sine), (0.7, 4)),
    "solution": (tl.value_and_grad(solution, (0, 1)), (np.eye(5) * 2 + 0.1, np.arange(5.0))),
    "layers": (tl.value_and_grad(layers), (PARAMETERS, np.linspace(-1, 1, 5))),
    "root": (tl.grad(root), (np.array([0.0, 1.0, 4.0, 0.0, 9.0]),)),
    "weighted": (weighted, (np.ones(4), 2.0)),
    "steps": (steps, (np.ones(6), 3)),
    "wave": (wave, (np.arange(6) * (1 + 0.5j),)),
}
RUN = """
import pickle, sys
sys.modules["tapeless"] = None  # it cannot be imported
sys.path.insert(0, sys.argv[1])
import module
with open(sys.argv[1] + "/args", "rb") as file:
    name, args = pickle.load(file)
value = getattr(module, name)(*args)
with open(sys.argv[1] + "/value", "wb") as file:
    pickle.dump((value, args), file)
"""


def outside(function, args, place, **options):
    """What an exported module gives in a new process, and its arguments afterwards."""
    tl.export(function, args, place / "module.py", **options)
    (place / "args").write_bytes(pickle.dumps((function.__name__, args)))
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(place)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return pickle.loads((place / "value").read_bytes())


def same(got, want):
    assert type(got) is type(want)
    if isinstance(want, (tuple, list)):
        assert len(got) == len(want)
        for g, w in zip(got, want, strict=True):
            same(g, w)
    elif isinstance(want, dict):
        assert list(got) == list(want)
        for k in want:
            same(got[k], want[k])
    elif want is not None:
        assert np.asarray(got).dtype == np.asarray(want).dtype
        np.testing.assert_allclose(got, want, rtol=1e-12)


@pytest.mark.parametrize("numba", [False, NUMBA])
@pytest.mark.parametrize("name", CASES)
def test_a_module_gives_what_the_function_gives(name, numba, tmp_path):
    function, args = CASES[name]
    mine = pickle.loads(pickle.dumps(args))
    got, changed = outside(function, args, tmp_path, numba=numba)
    same(got, function(*mine))
    same(changed, mine)
    text = (tmp_path / "module.py").read_text()
    assert ("import numba" in text) == numba and "import tapeless" not in text


def load(function, args, place, **options):
    tl.export(function, args, place / "module.py", **options)
    spec = importlib.util.spec_from_file_location("module", place / "module.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, function.__name__)


def test_the_module_can_be_read(tmp_path):
    function = load(rosen, (np.linspace(0, 1, 6),), tmp_path)
    assert function.__doc__ == "Rosenbrock's function." and function.__code__.co_varnames[0] == "x"
    text = (tmp_path / "module.py").read_text()
    assert text.startswith('"""rosen, as loops.') and max(map(len, text.splitlines())) < 200


def test_other_lengths_are_taken_where_they_were_not_assumed(tmp_path):
    function = load(tl.grad(rosen), (np.linspace(0, 1, 6),), tmp_path)
    x = np.linspace(-1, 1, 17)
    same(function(x), tl.grad(rosen)(x))


def test_what_was_assumed_is_checked(tmp_path):
    function = load(layers, (PARAMETERS, np.linspace(-1, 1, 5)), tmp_path)
    with pytest.raises(ValueError, match="not like those"):
        function(PARAMETERS[:1], np.linspace(-1, 1, 5))

    def power(x, axis):
        return np.sum(x, axis=axis)

    function = load(power, (np.ones((5, 6)), 1), tmp_path)
    same(function(np.ones((5, 6)), 1), np.full(5, 6.0))
    with pytest.raises(ValueError, match="not like those"):
        function(np.ones((5, 6)), 0)


def test_exceptions_of_the_program(tmp_path):
    def checked(x):
        if x < 0.0:
            raise ValueError("negative")
        return 1.0 / x

    function = load(checked, (1.0,), tmp_path)
    assert function(2.0) == 0.5
    with pytest.raises(ValueError, match="negative"):
        function(-1.0)
    with pytest.raises(ZeroDivisionError):
        function(0.0)
    singular = load(solution, (np.eye(5), np.ones(5)), tmp_path)
    with pytest.raises(np.linalg.LinAlgError):
        singular(np.zeros((5, 5)), np.ones(5))


def test_what_a_module_cannot_do_is_refused(tmp_path):
    class Model:
        def __init__(self, x):
            self.x = x

    with pytest.raises(NotCompilable, match="returns an object"):
        tl.export(Model, (1.0,), tmp_path / "module.py")

    def appends(items, x):
        items.append(x)

    with pytest.raises(NotCompilable, match="changes an object"):
        tl.export(appends, ([1.0], 2.0), tmp_path / "module.py")
    with pytest.raises(NotCompilable, match="Numba has no"):
        tl.export(lambda x: np.sort(x), (np.ones(3),), tmp_path / "module.py", numba=True)
    assert not (tmp_path / "module.py").exists()
