"""`scipy.fft` by `numpy.fft`, and cosine transforms by Fourier's; staged like any other program."""

from __future__ import annotations

from typing import Any

import numpy as np


def along_one(function: Any) -> Any:
    def program(
        x: Any, n: Any = None, axis: Any = -1, norm: Any = None, overwrite_x: Any = False,
        workers: Any = None, plan: Any = None,
    ) -> Any:  # fmt: skip
        return function(x, n, axis, norm)

    return program


def along_several(function: Any, default: Any) -> Any:
    def program(
        x: Any, s: Any = None, axes: Any = default, norm: Any = None, overwrite_x: Any = False,
        workers: Any = None, plan: Any = None,
    ) -> Any:  # fmt: skip
        return function(x, s, axes, norm)

    return program


def dct(
    x: Any, type: Any = 2, n: Any = None, axis: Any = -1, norm: Any = None, overwrite_x: Any = False,
    workers: Any = None,
) -> Any:  # fmt: skip
    row = np.moveaxis(_padded(np.asarray(x) * 1.0, n, axis), axis, -1)
    made = _second(row, norm) if _is_second(type) else _third(row, norm)
    return np.moveaxis(made, -1, axis)


def idct(
    x: Any, type: Any = 2, n: Any = None, axis: Any = -1, norm: Any = None, overwrite_x: Any = False,
    workers: Any = None,
) -> Any:  # fmt: skip
    back = {None: "forward", "backward": "forward", "forward": "backward", "ortho": "ortho"}[norm]
    row = np.moveaxis(_padded(np.asarray(x) * 1.0, n, axis), axis, -1)
    made = _third(row, back) if _is_second(type) else _second(row, back)
    return np.moveaxis(made, -1, axis)


def _is_second(type: Any) -> Any:
    if type not in (2, 3):
        raise NotImplementedError(f"the compiled cosine transform of type {type}")
    return type == 2


def _padded(x: Any, n: Any, axis: Any) -> Any:
    if n is None:
        return x
    rows = np.moveaxis(x, axis, 0)[:n]
    more = np.zeros((n - len(rows), *rows.shape[1:]))
    return np.moveaxis(np.concatenate((rows, more)), 0, axis)


def _second(row: Any, norm: Any) -> Any:
    """2 sum_j x_j cos(pi k (2 j + 1) / 2 n), by the transform of even places, then odd ones backwards."""
    n = row.shape[-1]
    turned = np.fft.fft(np.concatenate((row[..., ::2], row[..., 1::2][..., ::-1]), axis=-1))
    angle = np.pi * np.arange(n) / (2 * n)
    made = 2.0 * (turned.real * np.cos(angle) + turned.imag * np.sin(angle))
    if norm == "forward":
        return made / (2 * n)
    if norm == "ortho":
        return made * np.where(np.arange(n) == 0, np.sqrt(0.25 / n), np.sqrt(0.5 / n))
    return made


def _third(row: Any, norm: Any) -> Any:
    """x_0 + 2 sum_k x_k cos(pi k (2 j + 1) / 2 n)"""
    n = row.shape[-1]
    if norm == "ortho":
        row = row * np.where(np.arange(n) == 0, np.sqrt(1.0 / n), np.sqrt(0.5 / n))
    elif norm == "forward":
        row = row / (2 * n)
    half = row * np.where(np.arange(n) == 0, 0.5, 1.0)
    angle = np.pi * np.arange(n) / (2 * n)
    turned = np.fft.ifft(half * np.cos(angle) + 1j * (half * np.sin(angle)), 2 * n)
    return (4 * n) * turned[..., :n].real


#: Programs by the names of the functions; `scipy.fft` is loaded by the program that uses it.
PROGRAMS: dict[str, Any] = {
    **{name: along_one(getattr(np.fft, name)) for name in ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft")},
    **{name: along_several(getattr(np.fft, name), (-2, -1)) for name in ("fft2", "ifft2", "rfft2", "irfft2")},
    **{name: along_several(getattr(np.fft, name), None) for name in ("fftn", "ifftn", "rfftn", "irfftn")},
    "dct": dct,
    "idct": idct,
}
