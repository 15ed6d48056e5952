"""Elements that a loop accumulates into live in scalars, where that changes nothing."""

import numpy as np

from tapeless.backends.native import show
from tapeless.backends.native.nest import (
    I64,
    Array,
    Check,
    Dim,
    Failure,
    For,
    Function,
    Load,
    Ref,
    Scalar,
    Stmt,
    Store,
    apply,
    const,
    walk,
)
from tapeless.backends.native.promote import promote
from tapeless.backends.native.verify import verify

A = Array("A", "float64", 2)
N = Dim(A, 0)
P, J, K = (Scalar(n, I64) for n in "ijk")
p, j, k = Ref(P), Ref(J), Ref(K)


def loop(var: Scalar, start: object, stop: object, body: list[Stmt]) -> For:
    first, last = (x if not isinstance(x, int) else const(x) for x in (start, stop))
    return For(var, first, last, body)  # type: ignore[arg-type]


def factorise() -> Function:
    """LU without pivots, in place."""
    inner = Store(A, (p, j), Load(A, (p, j)) - Load(A, (p, k)) * Load(A, (k, j)))
    lower = loop(J, 0, p, [loop(K, 0, j, [inner]), Store(A, (p, j), Load(A, (p, j)) / Load(A, (j, j)))])
    upper = loop(J, p, N, [loop(K, 0, p, [inner])])
    return Function("lu", [A], [loop(P, 0, N, [lower, upper])], [])


def stores_in_innermost(fn: Function) -> int:
    found = [s for s in walk(fn.body) if isinstance(s, For) and s.var is K]
    assert found
    return sum(isinstance(s, Store) for loop in found for s in walk(loop.body))


def test_lu_keeps_its_element_in_a_scalar() -> None:
    before, after = factorise(), verify(promote(factorise()))
    assert (stores_in_innermost(before), stores_in_innermost(after)) == (2, 0)
    a = np.random.default_rng(0).normal(size=(6, 6)) + 6 * np.eye(6)
    b = a.copy()
    show.python(before)(a)
    show.python(after)(b)
    np.testing.assert_array_equal(a, b)


def test_an_element_that_may_be_another_is_left() -> None:
    # A[0, k] may be A[0, j]
    inner = Store(A, (const(0), j), Load(A, (const(0), j)) + Load(A, (const(0), k)))
    fn = Function("f", [A], [loop(J, 0, N, [loop(K, 0, N, [inner])])], [])
    assert stores_in_innermost(promote(fn)) == 1


def test_an_empty_loop_reads_nothing() -> None:
    n = Scalar("n", I64)
    inner = Store(A, (Ref(n), j), Load(A, (Ref(n), j)) + 1.0)
    fn = Function("f", [A, n], [loop(J, 0, N, [loop(K, 0, Ref(n) - 5, [inner])])], [])
    after = promote(fn)
    assert stores_in_innermost(after) == 0
    a = np.zeros((3, 3))
    show.python(after)(a, 5)  # row 5 does not exist
    np.testing.assert_array_equal(a, 0.0)


def test_a_loop_that_may_raise_shows_what_it_has_written() -> None:
    inner: list[Stmt] = [
        Check(apply("lt", k, const(2)), 0),
        Store(A, (p, p), Load(A, (p, p)) + 1.0),
    ]
    fn = Function("f", [A], [loop(P, 0, N, [loop(K, 0, N, inner)])], [], [Failure(ValueError, (), "f", 1)])
    assert stores_in_innermost(promote(fn)) == 1


def test_sums_are_added_to_the_scalar() -> None:
    fn = Function("f", [A], [loop(P, 0, N, [loop(K, 0, N, [Store(A, (p, p), const(0.5), add=True)])])], [])
    after = verify(promote(fn))
    assert stores_in_innermost(after) == 0
    a = np.ones((4, 4))
    show.python(after)(a)
    np.testing.assert_array_equal(np.diag(a), 3.0)
