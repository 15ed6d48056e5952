"""SciPy's filters of signals. The values are those of the C code; formulas, opened in its place, give the
derivatives. Read only when a function of `scipy.signal` is first looked up."""
# The twins are opened like functions of the program: they stay without annotations.
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.signal as ss  # type: ignore[import-untyped]

from tapeless.rules.compat import find
from tapeless.rules.registry import Linear, jvp_rule, row, twin
from tapeless.rules.tangents import tangent
from tapeless.rules.twins import exactly, plainly, refuse

_FILTER = find("scipy.signal._sigtools._linear_filter")
_SECTIONS = find("scipy.signal._sosfilt._sosfilt") or find("scipy.signal._signaltools._sosfilt")
_APPLY = find("scipy.signal._upfirdn._apply")
_MEDIANS = find("scipy.signal._sigtools._medfilt2d")

# ---- convolution: by the discrete Fourier transform, which has rules ---------------------------------


def convolved(original, turned):
    @twin(original)
    def _(in1, in2, mode="full", method="auto"):
        found = plainly(original, in1, in2, mode, method)
        a, b = np.asarray(in1), np.asarray(in2)
        if turned:
            b = np.conj(b[(slice(None, None, -1),) * b.ndim])
        if a.ndim == 0:
            return exactly(found, a * b)
        whole = ss.fftconvolve(a, b)
        if mode == "full":
            return exactly(found, whole)
        first = [(n - m) // 2 for n, m in zip(whole.shape, found.shape)]  # noqa: B905
        return exactly(found, whole[tuple([slice(k, k + n) for k, n in zip(first, found.shape)])])  # noqa: B905


convolved(ss.convolve, False)
convolved(ss.correlate, True)

_EDGES: dict[str, Any] = {"wrap": "wrap", "symm": "symmetric"}


def convolved_2d(original, turned):
    @twin(original)
    def _(in1, in2, mode="full", boundary="fill", fillvalue=0):
        found = plainly(original, in1, in2, mode, boundary, fillvalue)
        a, b = np.asarray(in1), np.asarray(in2)
        m, n = b.shape
        if mode == "valid" and (a.shape[0] < m or a.shape[1] < n):
            refuse("scipy.signal.convolve2d has a derivative rule where the first argument is the larger one")
        if turned:
            b = np.conj(b[::-1, ::-1])
        if mode != "valid":
            places = np.pad(plainly(np.arange, a.shape[0]), m - 1, mode=_EDGES.get(boundary, "edge"))
            across = np.pad(plainly(np.arange, a.shape[1]), n - 1, mode=_EDGES.get(boundary, "edge"))
            outside = plainly(beyond, a.shape, m - 1, n - 1) & (boundary == "fill")
            a = np.where(outside, fillvalue, a[places[:, None], across])
        whole = ss.fftconvolve(a, b)[m - 1 : 1 - m or None, n - 1 : 1 - n or None]
        if mode == "same":
            size = found.shape
            top, left = (m // 2, n // 2) if turned else ((m - 1) // 2, (n - 1) // 2)
            whole = whole[top : top + size[0], left : left + size[1]]
        return exactly(found, whole)


def beyond(shape, m, n):
    """Where an array that goes on by m and n beyond its ends does so."""
    inside = np.zeros((shape[0] + 2 * m, shape[1] + 2 * n), bool)
    inside[m : m + shape[0], n : n + shape[1]] = True
    return ~inside


convolved_2d(ss.convolve2d, False)
convolved_2d(ss.correlate2d, True)

# ---- recursive filters -------------------------------------------------------------------------------


def recursion(a, u):
    """y with sum_k a[k] y[n - k] = u[n] along the last axis."""
    return _FILTER(np.ones(1, np.result_type(a)), a, u, -1)


def _backwards(ct, a, u):
    return recursion(np.conj(a), ct[..., ::-1])[..., ::-1]


_LINEAR = Linear([recursion], _backwards, (), "one", (1,), False, recursion)
_POLES = np.array([1.5, -0.4, 0.2])


@jvp_rule(
    recursion, rows=[row(_POLES, np.cos(np.arange(5.0))), row(_POLES, np.cos(np.arange(10.0)).reshape(2, 5))]
)
def _(a, u, da, du, *, out):
    if da is not None:  # sum_k a[k] dy[n - k] = du[n] - sum_k da[k] y[n - k]
        n = out.shape[-1]
        for k in range(min(len(a), n)):
            late = np.concatenate((np.zeros((*out.shape[:-1], k)), out[..., : n - k]), axis=-1)
            du = -(da[k] * late) if du is None else du - da[k] * late
    return tangent(_LINEAR, out, (a, out), {}, (None, du), {})


def filtered(b, a, x, zi):
    """What the filter gives along the last axis, and its last state (transposed direct form II)."""
    n, order = x.shape[-1], max(len(a), len(b)) - 1
    b, a = b / a[0], a / a[0]
    blank = np.zeros((*x.shape[:-1], order))
    long = np.concatenate((x, blank), axis=-1)
    u = b[0] * long
    for k in range(1, len(b)):
        u = u + b[k] * np.concatenate((blank[..., :k], long[..., : n + order - k]), axis=-1)
    if zi is not None and order:
        zi = np.broadcast_to(zi, blank.shape)
        u = u + np.concatenate((zi, np.zeros((*x.shape[:-1], n))), axis=-1)
    y = recursion(a, u[..., :n])
    last = u[..., n:]
    long = np.concatenate((y, blank), axis=-1)
    for k in range(1, len(a)):
        last = last - a[k] * np.concatenate((blank[..., :k], long[..., : n + order - k]), axis=-1)[..., n:]
    return y, last


@twin(_FILTER)
def _linear_filter(b, a, x, axis=-1, zi=None):
    x = np.moveaxis(np.asarray(x), axis, -1)
    if zi is None:
        return exactly(
            plainly(_FILTER, b, a, np.moveaxis(x, -1, axis), axis),
            np.moveaxis(filtered(b, a, x, None)[0], -1, axis),
        )
    found = plainly(_FILTER, b, a, np.moveaxis(x, -1, axis), axis, zi)
    y, last = filtered(b, a, x, np.moveaxis(zi, axis, -1))
    return exactly(found[0], np.moveaxis(y, -1, axis)), exactly(found[1], np.moveaxis(last, -1, axis))


@twin(_SECTIONS)
def _sosfilt(sos, x, zi):
    """Both arrays are overwritten: by the result, and by the state."""
    found, state = np.array(x), np.array(zi)
    plainly(_SECTIONS, sos, found, state)
    y, states = x.copy(), []
    for k in range(len(sos)):
        y, last = filtered(sos[k, :3], sos[k, 3:], y, zi[:, k])
        states.append(last)
    x[...] = exactly(found, y)
    zi[...] = exactly(state, np.stack(states, axis=1))


# ---- windows -----------------------------------------------------------------------------------------


@twin(ss.medfilt2d)
def _medfilt2d(input, kernel_size=3):  # noqa: A002
    return ss.medfilt(input, kernel_size)


@twin(ss.medfilt)
def _medfilt(volume, kernel_size=None):
    x = np.atleast_1d(np.asarray(volume))
    size = np.broadcast_to(3 if kernel_size is None else kernel_size, (x.ndim,)).tolist()
    found = plainly(ss.medfilt, x, size)
    padded = np.pad(x, [(k // 2, k // 2) for k in size])
    views = np.lib.stride_tricks.sliding_window_view(padded, size)
    ordered = np.sort(np.reshape(views, (*x.shape, -1)), axis=-1)
    return exactly(found, ordered[..., ordered.shape[-1] // 2])


@twin(ss.upfirdn)
def _upfirdn(h, x, up=1, down=1, axis=-1, mode="constant", cval=0):
    if mode != "constant" or cval != 0:
        refuse("scipy.signal.upfirdn has a derivative rule for signals that are zero beyond their ends")
    found = plainly(ss.upfirdn, h, x, up, down, axis)
    x, h = np.moveaxis(np.asarray(x), axis, -1), np.asarray(h)
    spread = np.zeros((*x.shape[:-1], (x.shape[-1] - 1) * up + 1), np.result_type(x, 1.0))
    spread[..., ::up] = x
    y = ss.fftconvolve(spread, np.reshape(h, (1,) * (x.ndim - 1) + h.shape), axes=-1)[..., ::down]
    return exactly(found, np.moveaxis(y[..., : found.shape[axis]], -1, axis))
