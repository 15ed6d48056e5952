"""Generated programs in which arrays have several names and are written into: the typed road against the
untyped one, where it takes them."""

import linecache
import random

import numpy as np
import pytest

import tapeless as tl
from tapeless.backends.python.entry import reverse_entry
from tapeless.specialise.types import NotTyped

HELPERS = """import numpy as np

def fresh(v, w):
    z = np.empty_like(v)
    z[:] = np.sin(v) * w
    return z

def same(v):
    return v

def keeps(v):
    return np.sum(v * v) * np.sum(v[1:] * 2.0)

def f(x):
    m0 = x * 1.0
    {start}
    total = 0.0
{body}
    return total + np.sum(m0 * 0.3) + np.sum(m1 * 0.2) + np.sum(np.sin(m2)) + np.sum(r0 * r1) + r2[1]
"""
STARTS = (
    "m1 = np.zeros((3, 3)); m2 = x * x; r0 = m0[0]; r1 = m1[:, 1]; r2 = np.ones(3)",
    "m1 = m0; m2 = m0.T; r0 = m0[0] * 1.0; r1 = x[1]; r2 = m2[2]",
    "m1 = x.copy(); m2 = np.cos(m1); r0 = m1[2]; r1 = r0; r2 = m2[:, 0]",
)
#: M: a matrix, R: a row, I: an index
STATEMENTS = (
    "R = M[I]", "R = M[:, I]", "R = R * R", "R = np.sin(R)", "R = M[0:2][1]", "R = same(R)",
    "R = M[I, ::-1] * 0.7",
    "M = M * 0.7", "M = M", "M = M.T * 0.9", "M = M[:]", "M = M.copy()", "M = np.zeros((3, 3))",
    "M = fresh(M, M)",
    "R *= 0.5 + 0.3 * R", "R += 0.3 * M[I]", "R -= R * R", "R /= 1.5 + R**2", "M += 0.3 * M", "M *= R * 0.5",
    "R[:] = np.cos(R)", "R[I] = R[I] * 0.8 + M[0, 1]", "M[I, I] = R[I] * 0.8", "M[I] = 0.4 * R",
    "M[:, I] += x[I]",
    "M[I] = M[I]", "M[:] = M", "M[1:] += M[:-1]", "M[I] *= 0.5", "R = R.copy()",
    "total += np.sum(np.sin(R) * R)", "total += np.sum(M * M)", "total += keeps(M)", "total += keeps(R)",
    "total += np.max(M) * 0.3", "for i in range(3):", "if total > 0.5:", "if i == 1:", "for row in M:",
)  # fmt: skip


def written(rng, depth=1, loops=0, count=6):
    """The lines of a block; `loops`: how many loops are around it."""
    lines = []
    for _ in range(rng.randint(2, count)):
        text = rng.choice(STATEMENTS)
        if text.endswith(":") and depth > 2 or "i ==" in text and not loops or "for" in text and loops:
            continue
        for letter, names in (("M", "m0 m1 m2"), ("R", "r0 r1 r2"), ("I", "0 1 2 -1 " + "i " * 3 * loops)):
            parts = text.split(letter)
            text = parts[0] + "".join(rng.choice(names.split()) + part for part in parts[1:])
        lines.append("    " * depth + text)
        if text.endswith(":"):
            inner = written(rng, depth + 1, loops + ("range" in text), 3)
            lines += inner or ["    " * (depth + 1) + "total += 0.1"]
    return lines


FIRST = range(0, 120, 40)


@pytest.mark.parametrize("first", FIRST)
def test_the_typed_road_agrees_with_the_untyped_one(first):
    taken = 0
    for seed in range(first, first + 40):
        rng = random.Random(seed)
        source = HELPERS.format(start=rng.choice(STARTS), body="\n".join(written(rng)))
        name = f"<written views {seed}>"
        linecache.cache[name] = (len(source), None, source.splitlines(True), name)
        space = {}
        exec(compile(source, name, "exec"), space)
        f, x = space["f"], np.random.default_rng(seed).normal(size=(3, 3)) * 0.5
        plain = f(x.copy())
        try:
            entry = reverse_entry(f, (x,), {}, (0,), with_value=True, has_aux=False)
        except NotTyped:
            continue
        taken += 1
        before = x.copy()
        value, (gradient,) = entry.call(x)
        _, (want,) = tl.value_and_grad(f, (0,)).untyped((x,), {})
        np.testing.assert_array_equal(x, before)
        np.testing.assert_array_equal(value, plain, err_msg=source)
        np.testing.assert_allclose(gradient, want, rtol=1e-9, atol=1e-10 * np.abs(want).max(), err_msg=source)
    assert taken > 8
