"""Activity and storage: what gets tangent code, and which aliases are refused."""

import numpy as np
import pytest

from tapeless.analysis.activity import active_variables
from tapeless.analysis.storage import Storage
from tapeless.specialise.infer import specialise
from tapeless.specialise.types import NotTyped, type_of
from tapeless.specialise.unit import Session


def unit_of(f, *args):
    return specialise(f, [type_of(a) for a in args], Session())


def active_names(f, *args, mask=None):
    unit = unit_of(f, *args)
    return {v.name for v in active_variables(unit, mask or (True,) * len(args))}


def test_only_what_lies_between():
    def f(x, y):
        a = x * 2.0
        unused = x + y
        b = y * y
        n = int(x)
        print(unused)
        return a + n * 2 + b

    assert active_names(f, 1.0, 2.0, mask=(True, False)) >= {"x", "a"}
    assert not {"unused", "b", "n", "y"} & active_names(f, 1.0, 2.0, mask=(True, False))


def test_containers_pass_it_on():
    def f(x):
        xs = [0.0]
        xs.append(x)
        return xs[1]

    assert "xs" in active_names(f, 1.0)


@pytest.mark.parametrize("second", ["b = (a,)", "b = a.T", "b = a.reshape(3)", "b = [a]"])
def test_a_second_name_for_written_storage(second):
    import linecache

    source = f"def f(x):\n    a = np.zeros(3)\n    {second}\n    a[0] = x\n    return a.sum() + np.sum(b)\n"
    filename = f"<{second}>"
    linecache.cache[filename] = (len(source), None, source.splitlines(True), filename)
    space = {"np": np}
    exec(compile(source, filename, "exec"), space)
    unit = unit_of(space["f"], 1.0)
    with pytest.raises(NotTyped):
        Storage(unit, active_variables(unit, (True,)))
