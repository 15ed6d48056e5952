"""Sums of a stencil's reversal with common factors taken out: the same numbers, in fewer operations."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tapeless.backends.native.collected import collected
from tapeless.backends.native.nest import F64, Apply, Const, Expr, Ref, Scalar, apply, const

NAMES = {name: Ref(Scalar(name, F64)) for name in "xyzcd"}
X, Y, Z, C, D = NAMES.values()


def steady(e: Expr) -> bool:
    return not {x for x in (X, Y, Z)} & set(parts(e))


def parts(e: Expr):
    yield e
    if isinstance(e, Apply):
        for x in e.args:
            yield from parts(x)


def number(e: Expr, values: dict[Expr, float]) -> float:
    if isinstance(e, Const):
        return float(e.value)
    if not isinstance(e, Apply):
        return values[e]
    args = [number(x, values) for x in e.args]
    made = {
        "add": lambda a, b: a + b,
        "sub": lambda a, b: a - b,
        "mul": lambda a, b: a * b,
        "neg": lambda a: -a,
    }
    return made[e.op](*args)


def operations(e: Expr) -> list[str]:
    return [x.op for x in parts(e) if isinstance(x, Apply)]


def join(pair):
    op, (a, b) = pair
    return apply("neg", a) if op == "neg" else apply(op, a, b)


leaf = st.sampled_from([*NAMES.values(), const(2.0), const(-1.0), const(3.0), const(0.0)])
expression = st.recursive(
    leaf,
    lambda e: st.tuples(st.sampled_from(["add", "sub", "mul", "mul", "neg"]), st.tuples(e, e)).map(join),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(expression, min_size=1, max_size=6), st.lists(st.integers(-4, 4), min_size=5, max_size=5))
def test_the_same_number(terms: list[Expr], values: list[int]) -> None:
    """Small integers, so that every way to compute the sum is exact."""
    at = dict(zip(NAMES.values(), map(float, values), strict=True))
    assert number(collected(terms, steady), at) == sum(number(e, at) for e in terms)


def test_neighbours_are_multiplied_once() -> None:
    made = collected([X * C, Y * C, -(Z * C)], steady)
    assert sorted(operations(made)) == ["add", "mul", "sub"]


def test_a_neighbour_is_multiplied_once() -> None:
    """1 - 2c does not change in the loop: there, one product is left."""
    made = collected([X, -(X * C) * 2.0], steady)
    assert isinstance(made, Apply) and made.op == "mul" and X in made.args
    assert all(steady(e) for e in made.args if e != X)


def test_differences_stay() -> None:
    """x - y may nearly cancel; c x - c y would lose what is left."""
    made = collected([Z * (X - Y) * C, Z * X * D], steady)
    assert X - Y in set(parts(made))


def test_nothing_left() -> None:
    assert collected([X * C, -(C * X)], steady) == const(0.0)
