"""Functions of SciPy that programs call, through SciPy's own Python."""

import numpy as np
import pytest

import tapeless as tl

signal = pytest.importorskip("scipy.signal")
Y = np.sin(np.arange(16.0) ** 1.1)
K = np.array([0.5, -0.2, 0.3])

PROGRAMS = {
    "fftconvolve": lambda y: signal.fftconvolve(y, K),
    "hilbert": lambda y: np.abs(signal.hilbert(y)),
    "welch": lambda y: signal.welch(y, nperseg=4)[1],
    "stft": lambda y: np.abs(signal.stft(y, nperseg=4)[2]),
    "resample": lambda y: signal.resample(y, 5),  # transforms with overwrite_x=True
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_spectra(name):
    tl.check_grads(PROGRAMS[name], (Y,))


def test_the_length_of_a_vector_comes_from_blas():
    from scipy.linalg import norm
    from scipy.spatial.distance import euclidean, minkowski

    for program in (norm, lambda x: euclidean(x, K[:2]), lambda x: minkowski(x, K[:2], 2)):
        tl.check_grads(program, (np.array([0.3, -0.4]),))
    assert tl.grad(norm)(np.zeros(2)).tolist() == [0.0, 0.0]


def test_the_length_of_a_vector_is_a_float_when_compiled():
    pytest.importorskip("llvmlite")
    from scipy.linalg import norm

    assert type(tl.jit(lambda x: norm(x))(K)) is float
    assert type(tl.jit(lambda x: norm(x, 1))(K)) is np.float64


def test_generalised_eigenvalues_have_derivatives():
    from scipy.linalg import eigh

    a = np.array([[2.0, 0.3], [0.3, 1.0]])
    gradient = tl.grad(lambda x: eigh((x + x.T) / 2.0, a)[0].sum())(np.array([[1.0, 0.2], [0.2, 3.0]]))
    np.testing.assert_allclose(gradient, np.linalg.inv(a), rtol=1e-12)
