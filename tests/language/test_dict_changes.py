"""Dicts that change while a loop goes through them raise, compiled too."""

import pytest
from tests.checking import check

import tapeless as tl
from tapeless.errors import NotCompilable


def grown(x):
    d = {"a": x, "b": 2 * x}
    try:
        for k in d:
            if k == "b":
                d["c"] = 3 * x  # found out when the loop asks for more
    except RuntimeError as error:
        print(error)
        return d["a"] * len(d)
    return x


def shrunk(x):
    d, total = {"a": x, "b": 2 * x, "c": x * x}, 0.0
    try:
        for k, v in d.items():
            total += v
            d.pop("c" if k == "b" else "none", None)
    except RuntimeError as error:
        print(error)
        return total * len(d)
    return total


def values(x):
    d, total = {"a": x, "b": 2 * x}, 0.0
    for v in d.values():
        total += v
        d["b"] = x * x
    for k in d:
        d[k] = d[k] + 1.0
        if k == "b":
            d["c"] = 4 * x
            break
    else:
        total += 100.0
    return total + sum(d.values())


@pytest.mark.parametrize("f", [grown, shrunk, values], ids=lambda f: f.__name__)
def test_dict_changes(f):
    check(f, 1.5)


def test_iter_of_a_function_is_refused():
    def f(x):
        left = [x, 2 * x]
        return sum(iter(lambda: left.pop() if left else 0.0, 0.0))

    with pytest.raises(NotCompilable, match="iter"):
        tl.jit(f)(1.5)
