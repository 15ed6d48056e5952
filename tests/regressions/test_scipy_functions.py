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
