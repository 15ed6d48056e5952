"""Solutions and inverses of complex matrices in compiled functions."""

import numpy as np
import pytest

import tapeless as tl

RNG = np.random.default_rng(3)
A = RNG.normal(size=(4, 4)) + 1j * RNG.normal(size=(4, 4))
B, C = A[0] + 1.0, A[:, :2] - 2j


@pytest.mark.parametrize(
    "f, args",
    [
        (lambda a, b: np.linalg.solve(a, b), (A, B)),
        (lambda a, b: np.linalg.solve(a, b), (A, C)),
        (lambda a, b: np.linalg.solve(a, b), (A.real.copy(), B)),
        (lambda a, b: np.linalg.solve(a, b), (A, B.real.copy())),
        (lambda a, b: np.linalg.inv(a) * b, (A, B)),
    ],
)
def test_solutions_and_inverses(f, args):
    np.testing.assert_allclose(tl.jit(f)(*args), f(*args), rtol=1e-11)

    def size(a, b):
        made = f(a, b)
        return (np.abs(made) ** 2).sum() + made.imag.sum()

    for k in range(2):
        np.testing.assert_allclose(tl.jit(tl.grad(size, k))(*args), tl.grad(size, k)(*args), rtol=1e-10)


def test_second_derivatives():
    def f(t):
        return np.abs(np.linalg.solve(A * t + 1j * np.eye(4), B)).sum()

    np.testing.assert_allclose(tl.jit(tl.hessian(f))(0.7), tl.hessian(f)(0.7), rtol=1e-9)


def test_matrices_that_do_not_fit():
    for args in ((A[:3], B), (A, B[:2]), (np.zeros((4, 4), complex), B)):
        with pytest.raises((np.linalg.LinAlgError, ValueError)) as wanted:
            np.linalg.solve(*args)
        with pytest.raises(type(wanted.value)):
            tl.jit(lambda a, b: np.linalg.solve(a, b))(*args)


H = A @ A.conj().T + 4.0 * np.eye(4)
STACK = np.stack((A, A.T + 1.0))
FACTORS = {
    "det": lambda a: np.linalg.det(a),
    "slogdet": lambda a: np.stack([np.linalg.slogdet(a)[0], np.linalg.slogdet(a)[1] + 0j]),
    "cholesky": lambda a: np.linalg.cholesky(a @ np.swapaxes(a.conj(), -1, -2) + 4.0 * np.eye(4)),
    "triangle": lambda a: np.linalg.cholesky(a + 9.0 * np.eye(4)),
    "qr": lambda a: np.linalg.qr(a)[0] + 2.0 * np.linalg.qr(a)[1],
    "R": lambda a: np.linalg.qr(a, "r"),
    "eigh": lambda a: np.linalg.eigh(a)[1] * np.linalg.eigh(a)[0][..., None, :],
    "eigvalsh": lambda a: np.linalg.eigvalsh(a) + 0j,
    "svd": lambda a: np.linalg.svd(a)[0] * np.linalg.svd(a)[1][..., None, :] + 2.0 * np.linalg.svd(a)[2],
    "svdvals": lambda a: np.linalg.svdvals(a) + 0j,
    "solve": lambda a: np.linalg.solve(a, a[..., :2] * 1j),
    "inv": lambda a: np.linalg.inv(a),
    "power": lambda a: np.linalg.matrix_power(a, -2),
}


def same(got, wanted):
    assert type(got) is type(wanted)
    np.testing.assert_allclose(got, wanted, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("a", [A, STACK], ids=["one", "a stack"])
@pytest.mark.parametrize("name", FACTORS)
def test_factors(name, a):
    f = FACTORS[name]
    same(tl.jit(f)(a), f(a))

    def size(a):
        made = f(a)
        return np.sum(np.abs(made) ** 4) + np.sum(made.imag * np.cos(made.real))

    same(tl.jit(tl.grad(size))(a), tl.grad(size)(a))

    def push(a, da):
        return tl.jvp(f, (a,), (da,))[1]

    same(tl.jit(push)(a, a * 1j), push(a, a * 1j))


@pytest.mark.parametrize("name", ["det", "cholesky", "qr", "eigh"])
def test_second_derivatives_of_factors(name):
    def f(t):
        made = FACTORS[name](A * t + 1j * np.diag(np.arange(4.0)) * t**2)
        return np.sum(np.abs(made) ** 4) + np.sum(made.imag)

    same(tl.jit(tl.grad(tl.grad(f)))(0.7), tl.grad(tl.grad(f))(0.7))


@pytest.mark.parametrize("a", [A[:2], A[:, :2]], ids=["wide", "tall"])
@pytest.mark.parametrize("name", ["qr", "svd"])
def test_factors_of_other_shapes(name, a):
    def f(a):
        made = getattr(np.linalg, name)(a, **({"full_matrices": False} if name == "svd" else {}))
        return sum(np.sum(np.abs(part) ** 4) + np.sum(part.imag) for part in made)

    same(tl.jit(f)(a), f(a))
    same(tl.jit(tl.grad(f))(a), tl.grad(f)(a))


def test_determinants_of_zero_and_matrices_that_are_not_positive():
    singular = np.outer(B, B)
    singular[0] = 0.0

    def f(a):
        return np.linalg.det(a).real

    same(tl.jit(tl.grad(f))(singular), tl.grad(f)(singular))
    with pytest.raises(np.linalg.LinAlgError):
        tl.jit(np.linalg.cholesky)(-H)
