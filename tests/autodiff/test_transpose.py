"""Random scalar programs of the typed road: value, gradient, and the record read twice."""

import linecache
import math
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapeless.backends.python.entry import reverse_entry
from tapeless.backends.python.linear_entry import vjp_entry
from tapeless.specialise.types import NotTyped

NAMES = ["x", "y", "u", "v"]
numbers = count()
terms = st.deferred(lambda: leaf | products | calls)
leaf = st.sampled_from([*NAMES, "0.7", "1.3", "i"])
products = st.builds(lambda a, o, b: f"({a} {o} {b})", terms, st.sampled_from("+-*"), leaf)
calls = st.builds(
    lambda f, a: f"{f}({a})", st.sampled_from(["math.sin", "math.tanh", "math.atan", "helper"]), terms
)


@st.composite
def blocks(draw, depth=0, loop=False):
    lines = []
    for _ in range(draw(st.integers(1, 3))):
        kind = draw(st.integers(0, 9 if depth < 3 else 4))
        target = draw(st.sampled_from(NAMES))
        if kind <= 3:
            lines.append(f"{target} = math.atan({draw(terms)})")
        elif kind == 4:
            lines.append(
                draw(
                    st.sampled_from(
                        [
                            f"{target} += 0.3 * {draw(leaf)}",
                            f"{target}, v = v, {target} * 0.9",
                            "xs[i % 3] = u * 0.8",
                            f"{target} = xs[i % 3] + 0.1 * {target}",
                            f"xs[0] += {draw(leaf)} * 0.2",
                            f"{target} = 0.4",
                            f"d[i % 2] = {draw(leaf)} * 0.5",
                            f"{target} = d.get(i % 2, 0.2) * 0.9",
                        ]
                    )
                )
            )
        elif kind <= 6:
            lines.append(f"if {draw(leaf)} < {draw(st.floats(-1.0, 1.5)):.3f}:")
            lines += ["    " + x for x in draw(blocks(depth + 1, loop))]
            if draw(st.booleans()):
                lines.append("else:")
                lines += ["    " + x for x in draw(blocks(depth + 1, loop))]
        elif kind == 7:
            lines.append(f"for i in range({draw(st.integers(0, 4))}):")
            lines += ["    " + x for x in draw(blocks(depth + 1, True))]
        elif kind == 8:
            lines.append(f"k{depth} = 0")
            lines.append(f"while k{depth} < {draw(st.integers(0, 4))} and {target} < 1.4:")
            lines += [f"    k{depth} += 1", *("    " + x for x in draw(blocks(depth + 1, True)))]
        elif loop:
            lines.append(f"if {target} > {draw(st.floats(0.2, 1.2)):.3f}:")
            lines.append("    " + draw(st.sampled_from(["break", "continue"])))
        else:
            lines.append(f"if {target} > {draw(st.floats(0.2, 1.2)):.3f}:")
            lines.append(f"    return {draw(leaf)} * u")
    return lines


def define(lines):
    body = ["u, v, i = x * y, 0.5, 1", "xs = [x, 0.3, y]", "d = {0: x}", *lines]
    body.append("return x + 2.0 * y - u * v + xs[0] * xs[1] + d[0]")
    source = "def program(x, y):\n" + "\n".join("    " + line for line in body) + "\n"
    source += "def helper(p):\n    if p > 0.3:\n        return p * 0.8\n    return p * p + 0.1\n"
    filename = f"<typed program {next(numbers)}>"
    linecache.cache[filename] = (len(source), None, source.splitlines(True), filename)
    space = {"math": math}
    exec(compile(source, filename, "exec"), space)
    return space["program"], source


@settings(max_examples=100, deadline=None)
@given(blocks(), st.floats(-1.0, 1.0), st.floats(-1.0, 1.0))
def test_random_programs(lines, x, y):
    f, source = define(lines)
    try:
        entry = reverse_entry(f, (x, y), {}, (0, 1), with_value=True, has_aux=False)
    except NotTyped as refusal:  # known limits; anything else is a failure
        known = ("would have to be copied", "nested loop", "may be unassigned", "different types")
        assert any(k in refusal.reason for k in known), (refusal.reason, source)
        return
    value, (gx, gy) = entry.call(x, y)
    assert value == f(x, y) or math.isnan(value)
    for g, along in ((gx, (1.0, 0.0)), (gy, (0.0, 1.0))):
        slopes = []
        for h in (1e-5, 3e-6):
            up = f(x + h * along[0], y + h * along[1])
            down = f(x - h * along[0], y - h * along[1])
            slopes.append((up - down) / (2 * h))
        smooth = abs(slopes[0] - slopes[1]) < 1e-6 * (1 + abs(g))
        one_side = abs((up - value) - (value - down)) < 1e-8  # no kink or jump at this very point
        if smooth and one_side and abs(up - value) < 1e-2:
            assert math.isclose(g, slopes[1], rel_tol=1e-4, abs_tol=1e-4), source
    run = vjp_entry(f, (x, y), {}, (0, 1))
    _, record, pull = run(x, y)
    assert pull(record, 1.0) == pull(record, 1.0) == pytest.approx((gx, gy), rel=1e-9, abs=1e-12, nan_ok=True)
