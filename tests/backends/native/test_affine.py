"""Inequalities between indices, lengths and loop bounds."""

from tapeless.backends.native.affine import Ranges, affine, simplify
from tapeless.backends.native.nest import I64, Array, Dim, Expr, Ref, Scalar, apply, const

U = Array("u", "float64", 2)
N, M = Dim(U, 0), Dim(U, 1)
P, J, K = (Scalar(n, I64) for n in "ijk")


def in_range(i: Expr, n: Expr) -> Expr:
    return apply("all", apply("ge", i, const(0)), apply("lt", i, n))


def test_equal_sums_have_one_form() -> None:
    a = (N - 1) - 1
    b = apply("sub", N, apply("add", const(1), const(1)))
    assert simplify(a) == simplify(b)
    assert simplify((N + M) - (M - 3)) == simplify(3 + N)
    assert simplify(apply("mul", N - 1, const(2))) == simplify(N + N - 2)
    assert affine(N - N) == {}


def test_stencil_indices_are_in_range() -> None:
    r = Ranges()
    with r.loop(P, const(1), N - 1, 1):
        for offset in (-1, 0, 1):
            assert r.proves(in_range(Ref(P) + offset, N))
        assert not r.proves(in_range(Ref(P) + 2, N))
        assert not r.proves(in_range(Ref(P) - 2, N))
    assert not r.proves(in_range(Ref(P), N))


def test_triangular_loops() -> None:
    r = Ranges()
    with r.loop(P, const(0), N, 1), r.loop(J, const(0), Ref(P), 1), r.loop(K, const(0), Ref(J), 1):
        assert r.proves(in_range(Ref(K), N))
        assert r.proves(apply("ne", Ref(K), Ref(P)))
        assert r.proves(apply("lt", Ref(K), Ref(J)))
        assert not r.proves(apply("ne", Ref(K), N - 5))


def test_downward_loops_and_definitions() -> None:
    r = Ranges()
    n = Scalar("n", I64)
    r.definitions[n] = N - 2
    with r.loop(P, Ref(n), const(-1), -1):
        assert r.proves(in_range(Ref(P), N))
        assert r.proves(in_range(Ref(P) + 1, N))
        assert not r.proves(in_range(Ref(P) + 2, N))


def test_branches_and_clamped_lengths() -> None:
    r = Ranges()
    with r.loop(P, const(0), apply("maximum", N - 2, const(0)), 1):
        # there is an iteration only if n > 2
        assert r.proves(in_range(Ref(P) + 2, N))
        assert r.proves(apply("gt", N, const(2)))
        assert not r.proves(in_range(Ref(P) + 3, N))
    with r.loop(P, const(0), N, 1):
        condition = apply("gt", Ref(P), const(0))
        with r.where(condition):
            assert r.proves(in_range(Ref(P) - 1, N))
        with r.where(condition, holds=False):
            assert not r.proves(in_range(Ref(P) - 1, N))
            assert r.proves(apply("le", Ref(P), const(0)))
        assert not r.proves(in_range(Ref(P) - 1, N))


def test_unequal_says_more_at_an_end() -> None:
    r = Ranges()
    with r.loop(P, const(0), N, 1):
        with r.where(apply("eq", Ref(P), const(0)), holds=False):
            assert r.proves(in_range(Ref(P) - 1, N))
        with r.where(apply("ne", Ref(P), N - 1)):
            assert r.proves(in_range(Ref(P) + 1, N))
        with r.where(apply("ne", Ref(P), const(5))):
            assert not r.proves(in_range(Ref(P) + 1, N))


def test_what_holds_in_this_call_is_decided_only_if_asked() -> None:
    r = Ranges()
    asked = []

    def decide(a: dict) -> bool:  # type: ignore[type-arg]
        asked.append(a)
        return a == {N: 1, None: -2}

    r.decide = decide
    assert r.proves(apply("ge", N, const(0))) and not asked
    assert r.proves(apply("ge", N, const(2)))
    assert not r.proves(apply("ge", N, const(3)))
