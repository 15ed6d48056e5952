"""Numbers that an object of C holds (a slice, code, an enumeration); views that NumPy's functions return."""

import enum

import numpy as np
import pytest

import tapeless as tl


class Product:
    def __getitem__(self, key):
        return key.start * key.stop * (key.step or 1.0)


PROGRAMS = {
    "slice(...).stop": lambda x: slice(0.0, x).stop + slice(x).stop,
    "x[a:b]": lambda x: Product()[x : x * x],
    "x[a:b:c]": lambda x: Product()[1.0 : x * x : x],
    "x[slice(a, b)]": lambda x: Product()[slice(x, x * x)],
    "mgrid": lambda x: np.mgrid[0:x:3j].sum(),
    "mgrid of two": lambda x: (np.mgrid[0:x:3j, 0:x:2j] ** 2).sum(),
    "ogrid": lambda x: np.ogrid[0:x:3j].sum(),
    "r_": lambda x: np.r_[0:x:3j].sum(),
    "eigvals": lambda x: np.linalg.eigvals(np.array([[x, 1.0], [0.5, 2.0]]))[0],
    "eig": lambda x: np.linalg.eig(np.array([[x, 1.0], [0.5, 2.0]]))[0][1] ** 2,
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_derivatives(name):
    tl.check_grads(PROGRAMS[name], (1.3,))


def test_what_would_lose_a_derivative_is_refused():
    with pytest.raises(tl.TapelessError, match="compiled code"):
        tl.grad(lambda x: eval(compile("x * x", "<text>", "eval"), {"x": x}))(1.3)
    with pytest.raises(tl.TapelessError, match=r"cannot differentiate enum\.Enum"):
        tl.grad(lambda x: enum.Enum("E", {"A": x * x}).A.value)(1.3)
