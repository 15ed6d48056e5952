"""Compiled functions whose arguments or results are of an unusual kind."""

import pytest

import tapeless as tl
from tapeless.errors import NotScalarError


def test_a_list_that_holds_itself():
    loop = [0.3, 0.8]
    loop.append(loop)
    assert tl.jit(lambda a: a[2][2][0] * a[1] ** 2)(loop) == pytest.approx(0.3 * 0.64)


class Table(dict):
    pass


def test_the_gradient_by_a_class_of_dict():
    slope = tl.grad(lambda d: d["p"] * d["q"])
    got, want = (f(Table(p=0.3, q=0.4)) for f in (tl.jit(slope), slope))
    assert got == want == {"p": 0.4, "q": 0.3}
    assert type(got) is type(want)


def distance(x):
    if x > 1.0:
        return None
    return x * x


def test_the_gradient_of_what_may_be_none():
    slope = tl.jit(tl.grad(distance))
    assert slope(0.5) == 1.0
    with pytest.raises(NotScalarError, match="NoneType"):
        slope(1.5)
