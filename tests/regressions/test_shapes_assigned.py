"""`a.shape = …`: what was computed of the array before keeps the shape that it had then."""

import numpy as np

from checking import check


def sorted_before(x):
    a = x.copy()
    a.sort(axis=0)
    a.shape = (4, 3)
    b = a.reshape(-1)
    return (b * b * np.arange(12.0)).sum()


def summed_before(x):
    a = x.copy()
    s, t = a.sum(axis=0), np.transpose(a) * 2.0
    p = a @ x.T
    a.shape = (2, 6)
    r = a.sum(axis=1) * np.take(a, [1, 4], axis=1).sum()
    a.shape = -1
    return (s * s).sum() + (t * t).sum() + p.sum() * (a * a).sum() + r[0]


def test_shapes_assigned():
    x = np.arange(12.0).reshape(3, 4) / 7 + 0.2
    for program in (sorted_before, summed_before):
        check(program, x)
