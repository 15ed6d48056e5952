"""Filters of images and signals: SciPy's `ndimage` and `signal`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapeless as tl

nd = pytest.importorskip("scipy.ndimage")

A = np.cos(np.arange(30.0) ** 1.3).reshape(5, 6)
SMALL = np.array([0.1, 0.5, -0.2, 0.7])
PLACES = np.array([[0.3, 2.2, 3.9, -0.4], [1.2, 4.8, 0.6, 5.3]])
TURN = np.array([[0.9, 0.1], [-0.1, 0.8]])
MODES = ("reflect", "nearest", "mirror", "wrap", "constant")
IMAGES: list[tuple[str, Any, Any]] = [
    ("uniform", lambda x: nd.uniform_filter(x, 3), (A,)),
    ("maximum", lambda x: nd.maximum_filter(x, 3), (A,)),
    ("minimum", lambda x: nd.minimum_filter1d(x, 3), (A,)),
    ("median", lambda x: nd.median_filter(x, 3), (A,)),
    ("dilation", lambda x: nd.grey_closing(x, 3), (A,)),
    ("sobel", lambda x: nd.sobel(x), (A,)),
    ("laplace", lambda x: nd.gaussian_laplace(x, 1.0), (A,)),
    ("zoom", lambda x: nd.zoom(x, 1.7), (A,)),
    ("shift", lambda x, s: nd.shift(x, s), (A, np.array([0.3, -0.6]))),
    ("rotate", lambda x: nd.rotate(x, 20.0), (A,)),
    ("affine", lambda x, m: nd.affine_transform(x, m, offset=[0.2, 0.1], mode="mirror"), (A, TURN)),
    ("spline", lambda x: nd.spline_filter(x), (A,)),
]


@pytest.mark.parametrize("case", IMAGES, ids=[c[0] for c in IMAGES])
def test_image(case: Any) -> None:
    tl.check_grads(case[1], case[2], order=1)


@pytest.mark.parametrize("mode", MODES)
def test_edges(mode: str) -> None:
    tl.check_grads(lambda x, w: nd.correlate1d(x, w, mode=mode, cval=0.3), (A, SMALL), order=1)
    tl.check_grads(lambda x, s: nd.gaussian_filter(x, s, mode=mode), (A, 1.1), order=1)
    tl.check_grads(
        lambda x, w: nd.convolve(x, w, mode=mode, cval=0.3, origin=(0, -1)), (A, A[:3, :2].copy()), order=1
    )


@pytest.mark.parametrize("mode", ("reflect", "nearest", "mirror", "constant"))
@pytest.mark.parametrize("order", (0, 1, 2, 3))
def test_coordinates(mode: str, order: int) -> None:
    tl.check_grads(
        lambda x, c: nd.map_coordinates(x, c, order=order, mode=mode, cval=0.3), (A, PLACES), order=1
    )


def test_second_order() -> None:
    tl.check_grads(lambda x, s: np.sum(nd.gaussian_filter(x, s) ** 2), (A, 1.1), order=2)


def test_what_is_not_known_is_refused() -> None:
    with pytest.raises(tl.TapelessError, match="mode, order or type"):
        tl.grad(lambda x: np.sum(nd.map_coordinates(x, PLACES, mode="wrap")))(A)


ss = pytest.importorskip("scipy.signal")

X = np.cos(np.arange(40.0) ** 1.5)
V = np.array([0.5, -1.0, 2.0, 0.3])
B, Q, STATE = np.array([0.3, 0.2, 0.1]), np.array([1.5, -0.4, 0.2]), np.array([0.3, 0.2])
SECTIONS = np.array([[0.2, 0.4, 0.2, 1.0, -0.5, 0.2], [1.0, 2.0, 1.0, 1.0, -0.7, 0.6]])


def sectioned(s: Any, x: Any) -> Any:
    sections = SECTIONS.copy()
    sections[:, :3] = s
    return ss.sosfilt(sections, x)


SIGNALS: list[tuple[str, Any, Any]] = [
    ("lfilter", lambda b, a, x: ss.lfilter(b, a, x), (B, Q, X)),
    ("lfilter without poles", lambda b, x: ss.lfilter(b, [1.0], x), (B, X)),
    ("lfilter axis", lambda b, a, x: ss.lfilter(b, a, x, axis=0), (B, Q, A)),
    ("lfilter state", lambda b, a, x, z: ss.lfilter(b, a, x, zi=z), (B, Q, X, STATE)),
    ("lfilter short", lambda b, a, x, z: ss.lfilter(b, a, x, zi=z)[1], (B, Q, X[:1], STATE)),
    ("filtfilt", lambda b, a, x: ss.filtfilt(b, a, x), (B, Q, X)),
    ("sosfilt", sectioned, (SECTIONS[:, :3].copy(), X)),
    ("sosfiltfilt", lambda x: ss.sosfiltfilt(SECTIONS, x), (X,)),
    ("savgol_filter", lambda x: ss.savgol_filter(x, 7, 3), (X,)),
    ("medfilt", lambda x: ss.medfilt(x, 5), (X,)),
    ("medfilt2d", lambda x: ss.medfilt2d(x, 3), (A,)),
    ("upfirdn", lambda h, x: ss.upfirdn(h, x, 3, 2), (V, X)),
    ("resample_poly", lambda x: ss.resample_poly(x, 3, 2), (X,)),
    ("decimate", lambda x: ss.decimate(x, 2), (X,)),
    ("welch", lambda x: ss.welch(x, nperseg=16)[1], (X,)),
    ("freqz", lambda b, a: np.abs(ss.freqz(b, a, worN=8)[1]), (B, Q)),
    ("deconvolve", lambda x: ss.deconvolve(x, V)[0], (X,)),
]


@pytest.mark.parametrize("case", SIGNALS, ids=[c[0] for c in SIGNALS])
def test_signal(case: Any) -> None:
    tl.check_grads(case[1], case[2], order=1)


def test_signal_second_order() -> None:
    tl.check_grads(lambda b, a, x: np.sum(ss.lfilter(b, a, x) ** 2), (B, Q, X[:9]), order=2)


@pytest.mark.parametrize("mode", ("full", "same", "valid"))
def test_convolutions(mode: str) -> None:
    for f in (ss.convolve, ss.correlate):
        tl.check_grads(lambda x, v, f=f: f(x, v, mode, "direct"), (X[:9], V), order=1)
        tl.check_grads(lambda x, v, f=f: f(x, v, mode, "direct"), (V, X[:9]), order=1)
        tl.check_grads(lambda x, v, f=f: f(x, v, mode, "direct"), (A, A[:2, :3].copy()), order=1)
    for f in (ss.convolve2d, ss.correlate2d):
        for k in (A[:2, :3].copy(), A[:3, :2].copy()):
            tl.check_grads(lambda x, v, f=f: f(x, v, mode, "fill", 0.3), (A, k), order=1)
            for edge in ("wrap", "symm"):
                tl.check_grads(lambda x, v, f=f, edge=edge: f(x, v, mode, edge), (A, k), order=1)
