"""Linear algebra, einsum, Fourier transforms and complex arrays, staged."""

import numpy
import pytest
import scipy.special
from tests.backends.native.staging.traced import Module, augment, compare, xp

np, special = xp, Module(scipy.special)

RNG = numpy.random.default_rng(3)
V = RNG.standard_normal(6)
W = RNG.random(6) + 0.5
M = RNG.standard_normal((4, 5))
S = RNG.standard_normal((4, 4)) + 4 * np.eye(4)
P = S @ S.T
T = RNG.standard_normal((3, 4, 4)) + 3 * np.eye(4)
U = RNG.standard_normal((3, 4, 5))
Z = RNG.standard_normal(6) + 1j * RNG.standard_normal(6)
Q = RNG.standard_normal((4, 6)) - 1j * RNG.standard_normal((4, 6))
SINGULAR = np.zeros((4, 4))


def signless(f):
    """The product of factors whose signs are free."""
    u, s, vt = f
    return (u * s[None, :]) @ vt, s


ALGEBRA = {
    "solve": (
        lambda s, m, x: (np.linalg.solve(s, m), np.linalg.solve(s, x[:4]), np.linalg.solve(s.T, m)),
        S,
        M,
        V,
    ),
    "solve stacks": (lambda t, u: np.linalg.solve(t, u), T, U),
    "singular": (lambda s: np.linalg.solve(s, s), SINGULAR),
    "inv": (lambda s, t: (np.linalg.inv(s), np.linalg.inv(t), np.linalg.inv(s * 2)), S, T),
    "det": (lambda s, t: (np.linalg.det(s), np.linalg.det(t), np.linalg.slogdet(s)[1]), S, T),
    "slogdet": (lambda s: tuple(np.linalg.slogdet(s)), S),
    "cholesky": (lambda p: (np.linalg.cholesky(p), np.linalg.cholesky(p + p)), P),
    "not positive": (lambda s: np.linalg.cholesky(s), -P),
    "not square": (lambda m: np.linalg.inv(m), M),
    "qr": (lambda m: (lambda f: f[0] @ f[1])(np.linalg.qr(m.T)), M),
    "svd": (lambda m: signless(np.linalg.svd(m, full_matrices=False)), M),
    "eigh": (lambda p: (np.linalg.eigh(p)[0], np.linalg.eigvalsh(p)), P),
    "pinv": (lambda m: np.linalg.pinv(m), M),
    "singular values": (lambda m: (np.linalg.svd(m, compute_uv=False), np.linalg.cond(m)), M),
    "matrix power": (
        lambda s: (np.linalg.matrix_power(s, 3), np.linalg.matrix_power(s, -2), np.linalg.matrix_power(s, 0)),
        S,
    ),
    "norms": (
        lambda x, m: (
            np.linalg.norm(x),
            np.linalg.norm(m),
            np.linalg.norm(m, axis=1),
            np.linalg.norm(x, 1),
            np.linalg.norm(x, np.inf),
        ),
        V,
        M,
    ),
    "more norms": (
        lambda x, m: (
            np.linalg.norm(x, 3),
            np.linalg.norm(x, 0),
            np.linalg.norm(m, 1),
            np.linalg.norm(m, np.inf),
            np.linalg.norm(m, 2),
        ),
        V,
        M,
    ),
    "norms with axes": (
        lambda u: (np.linalg.norm(u, axis=(1, 2)), np.linalg.norm(u, axis=0, keepdims=True)),
        U,
    ),
    "integers": (
        lambda i: (np.linalg.norm(i), np.linalg.det(np.outer(i, i) + np.eye(3))),
        np.array([1, 2, 3]),
    ),
}
EINSUM = {
    "matrices": (
        lambda s, m: (np.einsum("ij,jk->ik", s, m), np.einsum("ij,jk", s, m), np.einsum("ij,ik->jk", s, m)),
        S,
        M,
    ),
    "turned": (lambda s, m: (np.einsum("ij,jk->ki", s, m), np.einsum("ji,kj->ik", s, m.T)), S, M),
    "vectors": (
        lambda x, y: (np.einsum("i,i", x, y), np.einsum("i,i->i", x, y), np.einsum("i,j->ij", x, y)),
        V,
        W,
    ),
    "one operand": (
        lambda s, u: (
            np.einsum("ii", s),
            np.einsum("ii->i", s),
            np.einsum("ij->ji", s),
            np.einsum("ijk->k", u),
        ),
        S,
        U,
    ),
    "matrix and vector": (
        lambda s, x: (
            np.einsum("ij,j", s, x[:4]),
            np.einsum("ij,i->j", s, x[:4]),
            np.einsum("i,ij,j", x[:4], s, x[:4]),
        ),
        S,
        V,
    ),
    "batches": (
        lambda t, u: (
            np.einsum("bij,bjk->bik", t, u),
            np.einsum("bij,bij->b", t, t),
            np.einsum("b...,b...->...", t, t),
        ),
        T,
        U,
    ),
    "three": (lambda s, m, x: np.einsum("ij,jk,k->i", s, m, x[:5]), S, M, V),
    "ellipsis": (lambda t, s: np.einsum("...ij,jk->...ik", t, s), T, S),
    "do not fit": (lambda s, m: np.einsum("ij,kj->ik", s, m), S, M),
    "sums": (lambda s, m: np.einsum("ij,ik->", s, m), S, M),
}


def complex_stores(z, x):
    z[1:] = z[:-1] * 2
    z[0] = 1j
    z *= z
    z += 1
    z[2:] -= x[2:]
    z.real[3] = 7
    z.imag += x
    augment(z, 1, "Add", 2.0)


COMPLEX = {
    "arithmetic": (lambda z, x: (z + x, z * z, z - 1j, z / (z + 2), x / z, -z, z * 2.0, 1j * x), Z, V),
    "functions": (
        lambda z: (abs(z), np.exp(z), np.log(z), np.sqrt(z), np.sin(z), np.cos(z), np.tanh(z), np.conj(z)),
        Z,
    ),
    "powers": (lambda z: (z**2, z**-1, z**0.5, z ** (1 + 1j), z**0), Z),
    "roots": (lambda z: np.sqrt(z), np.array([-4 + 0j, 1j, 0, -1e-3j])),
    "parts": (lambda z: (z.real, z.imag, np.angle(z), z.conj(), z.real + z.imag, (z * 2).real), Z),
    "reductions": (
        lambda z, q: (z.sum(), z.mean(), q.sum(0), q.sum(1), z.prod(), np.vdot(z, z), z @ z),
        Z,
        Q,
    ),
    "spread": (lambda z: (np.var(z), np.std(z), np.linalg.norm(z)), Z),
    "products": (lambda q: (q @ q.T, q.conj().T @ q, q @ q[0]), Q),
    "comparisons": (lambda z: (z == z, z != z + 1, np.isfinite(z), np.isnan(z)), Z),
    "stores": (complex_stores, Z, V),
    "selection": (lambda z, x: (np.where(x > 0, z, 0), z[x > 0], z[[2, 1]], z[::-1]), Z, V),
    "creation": (
        lambda n: (
            np.zeros(n, complex),
            np.ones(2, complex),
            np.full(n, 1j),
            np.array([1, 1j]),
            np.eye(n, dtype=complex),
        ),
        3,
    ),
    "casts": (lambda x, z: (x.astype(complex), np.abs(x + 0j), z.astype(np.complex64)), V, Z),
    "shapes": (
        lambda q: (q.T, q.reshape(-1), q.reshape(6, 4), np.concatenate((q, q)), np.cumsum(q, axis=1)),
        Q,
    ),
    "single": (lambda z: (z * z, abs(z), z.sum(), np.exp(z)), Z.astype(np.complex64)),
    "numbers": (lambda z: (z[0], z[0] * 2, abs(z[1]), z[0].real), Z),
}
FOURIER = {
    "of complex": (lambda z, q: (np.fft.fft(z), np.fft.ifft(z), np.fft.fft(q, axis=0), np.fft.fft(q)), Z, Q),
    "of reals": (lambda x: (np.fft.fft(x), np.fft.rfft(x), np.fft.rfft(x[:5])), V),
    "back": (lambda x: (np.fft.irfft(np.fft.rfft(x)), np.fft.irfft(np.fft.rfft(x), 5)), V),
    "lengths": (lambda x: (np.fft.fft(x, 9), np.fft.fft(x, 4), np.fft.rfft(x, n=8)), V),
    "norms": (lambda z: (np.fft.fft(z, norm="ortho"), np.fft.ifft(z, norm="forward")), Z),
    "planes": (lambda q: (np.fft.fft2(q), np.fft.ifft2(q), np.fft.fftn(q)), Q),
    "frequencies": (lambda n: (np.fft.fftfreq(n), np.fft.fftfreq(5, 0.1), np.fft.rfftfreq(n, 2.0)), 6),
    "shifts": (lambda x, q: (np.fft.fftshift(x), np.fft.ifftshift(x[:5]), np.fft.fftshift(q)), V, Q),
    "a spectral derivative": (lambda x: np.fft.ifft(1j * np.fft.fftfreq(6, 1 / 6) * np.fft.fft(x)).real, V),
}
SPECIAL = {
    "elementwise": (
        lambda x, w: (
            special.expit(x),
            special.erf(x),
            special.erfc(x),
            special.gammaln(w),
            special.gamma(w),
            special.logit(w / 2),
        ),
        V,
        W,
    ),
    "entropies": (
        lambda w: (
            special.xlogy(w - 0.5, w),
            special.xlog1py(w, w),
            special.entr(w),
            special.rel_entr(w, 1.0),
        ),
        W,
    ),
    "ends": (lambda x: (special.expit(x), special.log_expit(x)), np.array([-800.0, -40.0, 0.0, 40.0, 800.0])),
    "sums": (
        lambda x, m: (
            special.logsumexp(x),
            special.logsumexp(m, axis=1),
            special.logsumexp(m, axis=0, keepdims=True),
        ),
        V,
        M,
    ),
    "softmax": (
        lambda x, m: (special.softmax(x), special.softmax(m, axis=1), special.log_softmax(m, axis=0)),
        V,
        M,
    ),
    "digamma": (lambda w: (special.psi(w), special.digamma(w), special.ndtr(w)), W),
}
GROUPS = {"ALGEBRA": ALGEBRA, "EINSUM": EINSUM, "COMPLEX": COMPLEX, "FOURIER": FOURIER, "SPECIAL": SPECIAL}


@pytest.mark.parametrize("group, name", [(g, n) for g in GROUPS for n in GROUPS[g]])
def test_staged_is_plain(group, name):
    program, *arguments = GROUPS[group][name]
    compare(program, *arguments, rtol=1e-11)
