"""What goes wrong while a program is compiled is no exception of the program."""

import numpy as np
import pytest

import tapeless as tl
from tapeless.backends.native.staging import conversions
from tapeless.errors import NotCompilable


@pytest.mark.parametrize("kind", [ValueError, TypeError, KeyError])
def test_an_exception_of_the_compiler(monkeypatch, kind):
    def broken(*args):
        raise kind("something that nobody has thought of")

    monkeypatch.setattr(conversions, "_part", broken)

    def f(x):
        return np.real(x).sum()

    x = np.array([1.0 + 2.0j, 3.0])
    with pytest.raises(NotCompilable, match="nobody has thought of"):
        tl.jit(f, cache=False)(x)
    assert tl.jit(f, cache=False, fallback=True)(x) == f(x)
