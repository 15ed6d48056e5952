"""SciPy's Fourier, cosine and sine transforms: linear, so their transposes.

Read only when a function of `scipy.fft` is first looked up.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.fft as sf  # type: ignore[import-untyped]

from tapeless.rules.registry import row, transpose_rule
from tapeless.rules.signal import (
    _HALF,
    _INVERSE_NORM,
    _MANY,
    _ONE,
    _REAL,
    _SPECTRA,
    _WHOLE,
    _axes,
    adjoint_transform,
    hermitian_adjoint,
    hermitian_many,
    real_adjoint,
    real_many,
    resized,
)

_U = np.array([0.3, -0.7, 1.1, 0.2, -0.4])
_A = np.sin(np.arange(12.0)).reshape(3, 4)
_HARMLESS = {"workers", "overwrite_x"}


def _refuse(name: str, options: dict[str, Any]) -> None:
    strange = [k for k, v in options.items() if k not in _HARMLESS and v not in (None, False)]
    if strange:
        raise NotImplementedError(f"scipy.fft.{name} has no derivative rule with {', '.join(strange)}=")


def _keeping(function: Any) -> Callable[..., Any]:
    """The transform of a tangent, which may be somebody else's, too: it is not to be overwritten."""
    place = list(inspect.signature(function).parameters).index("overwrite_x")

    def apply(x: Any, *args: Any, overwrite_x: bool = False, **options: Any) -> Any:
        return function(x, *args[: place - 1], **options)

    return apply


def _along_one(name: str, adjoint: Callable[..., Any], rows: list[Any]) -> None:
    """The rule of a transform along one axis: `adjoint(ct, x, n, axis, norm)`."""

    function = getattr(sf, name)

    @transpose_rule(function, rows=rows, apply=_keeping(function))
    def _(ct: Any, x: Any, n: Any = None, axis: int = -1, norm: Any = None, **options: Any) -> Any:
        _refuse(name, options)
        return adjoint(ct, x, n, axis, norm)


_along_one("fft", lambda ct, x, n, axis, norm: adjoint_transform(ct, x, (axis,), norm, np.fft.ifft), _ONE)
_along_one("ifft", lambda ct, x, n, axis, norm: adjoint_transform(ct, x, (axis,), norm, np.fft.fft), _ONE)
_along_one("rfft", real_adjoint, _REAL)
_along_one("irfft", hermitian_adjoint, _HALF)
_along_one(
    "hfft",  # irfft(conj(x)) with the other normalisation
    lambda ct, x, n, axis, norm: np.conjugate(hermitian_adjoint(ct, x, n, axis, _INVERSE_NORM[norm])),
    _HALF[:5],
)
_along_one(
    "ihfft",
    lambda ct, x, n, axis, norm: real_adjoint(np.conjugate(ct), x, n, axis, _INVERSE_NORM[norm]),
    _REAL[:5],
)


def _along_many(name: str, adjoint: Callable[..., Any], rows: list[Any]) -> None:
    """The rules of a transform along several axes (`fft2`, `fftn`): `adjoint(ct, x, s, axes, norm)`."""
    every, two = getattr(sf, name + "n"), getattr(sf, name + "2")

    @transpose_rule(every, rows=rows, apply=_keeping(every))
    def _(ct: Any, x: Any, s: Any = None, axes: Any = None, norm: Any = None, **options: Any) -> Any:
        _refuse(name + "n", options)
        return adjoint(ct, x, s, _axes(x, s, axes), norm)

    @transpose_rule(two, rows=rows, apply=_keeping(two))
    def _(ct: Any, x: Any, s: Any = None, axes: Any = (-2, -1), norm: Any = None, **options: Any) -> Any:
        _refuse(name + "2", options)
        return adjoint(ct, x, s, axes, norm)


_along_many("fft", lambda ct, x, s, axes, norm: adjoint_transform(ct, x, axes, norm, np.fft.ifft), _MANY)
_along_many("ifft", lambda ct, x, s, axes, norm: adjoint_transform(ct, x, axes, norm, np.fft.fft), _MANY)
_along_many("rfft", real_many, _WHOLE)
_along_many("irfft", hermitian_many, _SPECTRA)


# ---- cosine and sine transforms ------------------------------------------------------------------


def _trigonometric_adjoint(function: Any, ct: Any, x: Any, axis: int, options: dict[str, Any]) -> Any:
    """The transpose along one axis, by the matrix of the transform, which is small beside a program that
    uses one; with `norm="ortho"` and no other option the inverse."""
    m, n = np.shape(x)[axis], np.shape(ct)[axis]
    if options["norm"] == "ortho" and options["orthogonalize"] is None:
        inverse = {sf.dct: sf.idct, sf.idct: sf.dct, sf.dst: sf.idst, sf.idst: sf.dst}[function]
        return resized(inverse(ct, type=options["type"], axis=axis, norm="ortho"), m, axis)
    matrix = function(np.eye(n), axis=0, **options)
    return resized(np.moveaxis(np.tensordot(matrix, ct, (0, axis)), 0, axis), m, axis)


def _one_axis(name: str) -> None:
    function = getattr(sf, name)

    @transpose_rule(
        function,
        rows=[
            row(_U),
            *[row(_U, kind) for kind in (1, 3, 4)],
            row(_U, norm="ortho"),
            row(_U, 3, norm="ortho"),
            row(_U, n=4),
            row(_A, 2, 6, 0),
            row(_A, axis=0, norm="forward"),
            row(_U, norm="ortho", orthogonalize=False),
        ],
        apply=_keeping(function),
    )
    def _(
        ct: Any,
        x: Any,
        type: int = 2,
        n: Any = None,
        axis: int = -1,
        norm: Any = None,
        overwrite_x: bool = False,
        workers: Any = None,
        orthogonalize: Any = None,
    ) -> Any:
        options = {"type": type, "norm": norm, "orthogonalize": orthogonalize}
        return _trigonometric_adjoint(function, ct, x, axis, options)


def _many_axes(name: str) -> None:
    function, every = getattr(sf, name), getattr(sf, name + "n")

    @transpose_rule(
        every,
        rows=[row(_A), row(_A, norm="ortho"), row(_A, axes=(0,)), row(_A, 2, (4, 3))],
        apply=_keeping(every),
    )
    def _(
        ct: Any,
        x: Any,
        type: int = 2,
        s: Any = None,
        axes: Any = None,
        norm: Any = None,
        overwrite_x: bool = False,
        workers: Any = None,
        *,
        orthogonalize: Any = None,
    ) -> Any:
        options = {"type": type, "norm": norm, "orthogonalize": orthogonalize}
        for axis in _axes(x, s, axes):
            ct = _trigonometric_adjoint(function, ct, x, axis, options)
        return ct


for _name in ("dct", "idct", "dst", "idst"):
    _one_axis(_name)
    _many_axes(_name)
