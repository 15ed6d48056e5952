"""Functions of SciPy that machine code calls back, with the rules that they have in Python."""

import runpy

import numpy as np
import pytest
import scipy.special as special

import tapeless as tl

P = np.array([0.15, 0.4, 0.8])
X = np.array([-1.3, 0.2, 2.1])
Z = X + 1j * P

CALLS = {
    "betainc": (lambda p: special.betainc(2.0, 3.0, p), P),
    "betainc by parameters": (lambda p: special.betainc(p[0], p[1:], 0.3), P),
    "betaincinv": (lambda p: special.betaincinv(2.0, 3.0, p), P),
    "gammaincinv": (lambda p: special.gammaincinv(2.0, p), P),
    "gammainc by a": (lambda p: special.gammainc(p, 1.3), P),
    "binom": (lambda p: special.binom(5.5, p), P),
    "comb": (lambda p: special.comb(6, 2) * special.comb(5, p), P),
    "polygamma": (lambda p: special.polygamma(1, p), P),
    "zeta": (lambda p: special.zeta(2.5, p), P),
    "hyp2f1": (lambda p: special.hyp2f1(1.0, 2.0, 3.0, p), P),
    "hyp1f1": (lambda x: special.hyp1f1(1.0, 2.0, x), X),
    "airy": (lambda x: special.airy(x)[0] + special.airy(x)[3], X),
    "ellipj": (lambda p: special.ellipj(p, 0.3)[0] * special.ellipj(0.4, p)[2], P),
    "ellipkinc": (lambda p: special.ellipkinc(p, 0.3) + special.ellipeinc(0.3, p), P),
    "legendre": (lambda x: special.eval_legendre(3, x), X),
    "jve": (lambda x: special.jve(1, x), X),
    "expn": (lambda p: special.expn(2, p), P),
    "voigt": (lambda x: special.voigt_profile(x, x[2], 0.3), X),
    "boxcox": (lambda p: special.boxcox(p, p[0]), P),
    "radian": (lambda x: special.radian(x, 1.0, x[0]), X),
    "sici": (lambda p: special.sici(p)[1], P),
    "wofz": (lambda x: special.wofz(x + 1j * P).imag, X),
    "of a number": (lambda p: special.betainc(p[0], 2.0, p[1]), P),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_values_and_derivatives(name):
    f, x = CALLS[name]
    wanted, got = f(x), tl.jit(f)(x)
    assert type(got) is type(wanted)
    np.testing.assert_allclose(got, wanted, rtol=1e-12, strict=True)

    def size(x):
        return np.sum(f(x) ** 2)

    def slopes(x):
        return np.sum(tl.grad(size)(x) ** 2)

    np.testing.assert_allclose(tl.jit(tl.grad(size))(x), tl.grad(size)(x), rtol=1e-10)
    forward = tl.jit(lambda x: tl.jvp(size, (x,), (P,))[1])
    assert forward(x) == pytest.approx(tl.jvp(size, (x,), (P,))[1], rel=1e-10)
    if name in ("hyp2f1", "legendre", "ellipkinc", "airy", "binom"):
        np.testing.assert_allclose(tl.jit(tl.grad(slopes))(x), tl.grad(slopes)(x), rtol=1e-8)


def test_single_precision_stays():
    x = P.astype(np.float32)
    got = tl.jit(lambda x: special.betaincinv(2.0, 3.0, x))(x)
    np.testing.assert_allclose(got, special.betaincinv(2.0, 3.0, x), rtol=1e-5, strict=True)


def test_a_function_without_a_rule_has_a_value_only():
    def f(p):
        return special.agm(p, 2.0).sum()

    assert tl.jit(f)(P) == pytest.approx(f(P), rel=1e-12)
    with pytest.raises(tl.TapelessError, match="agm"):
        tl.jit(tl.grad(f))(P)


def test_what_is_called_back_can_be_exported(tmp_path):
    path = tmp_path / "made.py"

    def made(p):
        return special.betainc(2.0, 3.0, p).sum()

    tl.export(tl.grad(made), (P,), path)
    np.testing.assert_allclose(runpy.run_path(str(path))["made"](P), tl.grad(made)(P), rtol=1e-12)
