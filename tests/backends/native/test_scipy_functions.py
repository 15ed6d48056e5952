"""Functions of SciPy, compiled: linear algebra that is called back, transforms, distributions."""

import numpy as np
import pytest
import scipy.fft as sf
import scipy.linalg as sl

import tapeless as tl

S = np.array([[3.0, 0.5, -0.2], [0.4, 2.5, 0.3], [-0.6, 0.2, 1.5]])
SPD = S @ S.T + np.eye(3)
TALL = np.array([[0.5, -1.5], [1.25, 0.75], [2.0, -0.25]])
X = np.array([0.3, -1.2, 2.5, 0.7, 1.9])
BANDS = np.array([[0.0, 1.0, 1.0], [4.0, 4.5, 5.0], [1.0, 0.5, 0.0]])

MATRICES = {
    "eigh": (lambda a: sl.eigh(a), SPD),
    "eigh values": (lambda a: sl.eigh(a, eigvals_only=True), SPD),
    "eigh upper": (lambda a: sl.eigh(a, lower=False)[0], SPD),
    "eigh generalised": (lambda a: sl.eigh(a, SPD + S.T @ S)[0], SPD),
    "svd": (lambda a: sl.svd(a, full_matrices=False), TALL),
    "svdvals": (lambda a: sl.svdvals(a), TALL),
    "qr": (lambda a: sl.qr(a, mode="economic"), TALL),
    "lu": (lambda a: sl.lu(a), S),
    "lu_factor": (lambda a: sl.lu_factor(a)[0], S),
    "expm": (lambda a: sl.expm(a), 0.3 * S),
    "expm of stacks": (lambda a: sl.expm(np.stack((a, a @ a))), 0.3 * S),
    "solve_sylvester": (lambda a: sl.solve_sylvester(a, SPD, a.T), S),
    "solve_banded": (lambda a: sl.solve_banded((1, 1), a, X[:3] * a[1]), BANDS),
    "solveh_banded": (lambda a: sl.solveh_banded(a, X[:3]), BANDS[:2]),
    "circulant": (lambda a: sl.circulant(a[0]), S),
}


def loss(made):
    total = 0.0
    for part in made if isinstance(made, tuple) else (made,):
        if part.dtype.kind == "f":
            total = total + np.sum(part * np.cos(np.arange(part.size)).reshape(part.shape))
    return total


@pytest.mark.parametrize("name", MATRICES)
def test_matrices(name):
    f, a = MATRICES[name]
    wanted, got = f(a), tl.jit(f)(a)
    assert type(got) is type(wanted)
    for g, w in zip(*((v if isinstance(v, tuple) else (v,)) for v in (got, wanted)), strict=True):
        np.testing.assert_allclose(g, w, rtol=1e-10, atol=1e-13, strict=True)
    slope = tl.grad(lambda a: loss(f(a)))
    np.testing.assert_allclose(tl.jit(slope)(a), slope(a), rtol=1e-9, atol=1e-12)


def test_second_derivatives_of_exponentials():
    def f(t):
        return sl.expm(t * S)[0, 1]

    assert tl.jit(tl.grad(tl.grad(f)))(0.3) == pytest.approx(tl.grad(tl.grad(f))(0.3), rel=1e-9)


def test_what_scipy_raises_is_raised():
    for f, a in ((lambda a: sl.eigh(a), S * np.nan), (lambda a: sl.solve_banded((1, 1), a, X[:2]), BANDS)):
        with pytest.raises(ValueError) as wanted:  # noqa: PT011
            f(a)
        with pytest.raises(ValueError, match=str(wanted.value)[:20]):
            tl.jit(f)(a)


TRANSFORMS = {
    "fft": lambda x: sf.ifft(sf.fft(x, norm="ortho")[:4]).real,
    "rfft": lambda x: sf.irfft(sf.rfft(x, 8), n=8),
    "fft2": lambda x: np.abs(sf.fft2(np.outer(x, X))),
    "fftn of lengths": lambda x: np.abs(sf.fftn(np.outer(x, X), s=(6, 4))),
    "fftn of one axis": lambda x: np.abs(np.fft.fftn(np.outer(x, X), s=(3,), axes=(0,))),
    "hfft": lambda x: sf.hfft(x + 0.5j * x),
    "dct": lambda x: sf.dct(x),
    "dct ortho": lambda x: sf.dct(np.outer(x, X), norm="ortho", axis=0),
    "dct of type 3": lambda x: sf.dct(x, 3, norm="forward"),
    "idct": lambda x: sf.idct(x),
    "idct ortho": lambda x: sf.idct(x, norm="ortho", n=7),
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_transforms(name):
    f = TRANSFORMS[name]
    np.testing.assert_allclose(tl.jit(f)(X), f(X), rtol=1e-11, atol=1e-13, strict=True)
    slope = tl.grad(lambda x: loss(f(x)))
    np.testing.assert_allclose(tl.jit(slope)(X), slope(X), rtol=1e-10, atol=1e-12)


def test_functions_applied_where_a_condition_holds():
    t = pytest.importorskip("scipy.stats").t

    def f(x, nu):
        return t.logpdf(x, nu).sum()

    both = tl.value_and_grad(f, argnums=(0, 1))
    (value, slopes), (wanted, others) = tl.jit(both)(X, 3.5), both(X, 3.5)
    assert value == pytest.approx(wanted, rel=1e-12)
    np.testing.assert_allclose(slopes[0], others[0], rtol=1e-10)
    assert slopes[1] == pytest.approx(others[1], rel=1e-9)
