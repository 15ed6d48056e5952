"""`numpy.fft` along one axis, by the operation `fft` on pairs of floats."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from tapeless.backends.native.affine import simplify
from tapeless.backends.native.nest import ONE, ZERO, Expr, Intrinsic, apply, cast, const
from tapeless.backends.native.staging import elements, storage
from tapeless.backends.native.staging.conversions import real
from tapeless.backends.native.staging.elementwise import astype, ufunc
from tapeless.backends.native.staging.joining import roll
from tapeless.backends.native.staging.lowerings import (
    array,
    axes_of,
    given,
    length_of,
    lowers,
    one_axis,
    option,
    shape_of,
    unsupported,
)
from tapeless.backends.native.staging.shapes import permute
from tapeless.backends.native.staging.values import ArrayValue, Element, Index, Number, Static, Value, View

if TYPE_CHECKING:
    from tapeless.backends.native.staging.stager import Stager


def transformed(
    stager: Stager, value: ArrayValue, axis: int, n: Expr | None, inverse: bool, norm: str
) -> ArrayValue:
    """The transform along an axis, of `n` elements if that is given."""
    single = value.dtype in ("float32", "complex64")
    order = [k for k in range(value.ndim) if k != axis] + [axis]
    rows = resized(stager, permute(stager, value, order), n)
    source = storage.fresh(stager, rows.shape, "complex128")
    storage.fill(stager, source, rows)
    made = storage.fresh(stager, rows.shape, "complex128")
    stager.check(
        apply("ge", rows.shape[-1], ONE), ValueError, "Invalid number of FFT data points (0) specified."
    )
    stager.emit(Intrinsic("fft", (made.array,), (source.array,), {"inverse": inverse}))
    result: ArrayValue = scaled(stager, made, rows.shape[-1], inverse, norm)
    if single:
        result = astype(stager, result, "complex64")
    back = sorted(range(value.ndim), key=lambda k: order[k])
    return permute(stager, result, back)


def scaled(stager: Stager, value: View, n: Expr, inverse: bool, norm: str) -> ArrayValue:
    if norm == "backward":
        return value
    count = stager.bind(cast(n, "f64"), "n")
    if norm == "ortho":
        factor = apply("sqrt", count) if inverse else 1.0 / apply("sqrt", count)
    else:
        factor = count if inverse else 1.0 / count
    return array(stager, ufunc(stager, np.multiply, [value, Number(stager.bind(factor), float)]))


def resized(stager: Stager, value: ArrayValue, n: Expr | None) -> ArrayValue:
    """The last axis cut, or filled up with zeros."""
    if n is None or storage.same_length(n, value.shape[-1]):
        return value
    length = value.shape[-1]
    zero = elements.zero(value.dtype)

    def element(index: Index) -> Element:
        inside = apply("lt", index[-1], length)
        place = apply("minimum", index[-1], apply("maximum", simplify(length - 1), ZERO))
        e = storage.at(stager, value, (*index[:-1], stager.bind(place, "i")))
        return elements.each(lambda a, b: apply("select", inside, a, b), e, zero)

    return storage.lazy(
        stager, (*value.shape[:-1], n), value.dtype, element, [value], storage.cost(value) + 2
    )


def _norm(stager: Stager, norm: Value | None) -> str:
    return str(option(stager, norm) or "backward")


def _transform(inverse: bool) -> Callable[..., Value]:
    def lowering(
        stager: Stager, a: Value, n: Value | None = None, axis: Value | None = None,
        norm: Value | None = None,
        out: Value | None = None,
    ) -> Value:  # fmt: skip
        unsupported(stager, "fft.fft", out=out)
        value = array(stager, a)
        k = one_axis(stager, option(stager, axis, -1), value.ndim)
        count = length_of(stager, n) if n is not None and given(n) else None
        return transformed(stager, value, k, count, inverse, _norm(stager, norm))

    return lowering


fft = lowers(np.fft.fft)(_transform(False))
ifft = lowers(np.fft.ifft)(_transform(True))


@lowers(np.fft.rfft)
def rfft(
    stager: Stager, a: Value, n: Value | None = None, axis: Value | None = None, norm: Value | None = None,
    out: Value | None = None,
) -> Value:  # fmt: skip
    unsupported(stager, "fft.rfft", out=out)
    value = array(stager, a)
    if elements.is_complex(value.dtype):
        storage.fail(
            stager, TypeError, "ufunc 'rfft_n_even' did not contain a loop with signature matching types"
        )
    k = one_axis(stager, option(stager, axis, -1), value.ndim)
    count = length_of(stager, n) if n is not None and given(n) else None
    full = transformed(stager, value, k, count, False, _norm(stager, norm))
    kept = simplify(apply("floordiv", full.shape[k], const(2)) + 1)
    from tapeless.backends.native.staging.indexing import Span
    from tapeless.backends.native.staging.shapes import full_spans, sliced

    items = full_spans(full)
    items[k] = Span(ZERO, ONE, kept)
    return sliced(stager, full, items)


@lowers(np.fft.irfft)
def irfft(
    stager: Stager, a: Value, n: Value | None = None, axis: Value | None = None, norm: Value | None = None,
    out: Value | None = None,
) -> Value:  # fmt: skip
    unsupported(stager, "fft.irfft", out=out)
    value = storage.make(stager, array(stager, a))
    k = one_axis(stager, option(stager, axis, -1), value.ndim)
    m = value.shape[k]
    count = length_of(stager, n) if n is not None and given(n) else simplify(apply("mul", m - 1, const(2)))
    count = stager.bind(count, "n")
    kind = value.dtype if elements.is_complex(value.dtype) else "complex128"

    def element(index: Index) -> Element:
        i = index[k]
        mirrored = stager.bind(apply("gt", apply("mul", i, const(2)), count), "mirrored")
        place = stager.bind(apply("select", mirrored, count - i, i), "i")
        inside = apply("lt", place, m)
        safe = apply("minimum", place, simplify(m - 1))
        e = storage.at(stager, value, (*index[:k], stager.bind(safe, "i"), *index[k + 1 :]))
        pair = elements.convert(e, value.dtype, kind)
        assert isinstance(pair, tuple)
        alone = apply("any", apply("eq", i, ZERO), apply("eq", apply("mul", i, const(2)), count))
        zero = const(0.0, pair[0].type)
        imag = apply("select", alone, zero, apply("select", mirrored, -pair[1], pair[1]))
        return apply("select", inside, pair[0], zero), apply("select", inside, imag, zero)

    shape = (*value.shape[:k], count, *value.shape[k + 1 :])
    full = storage.lazy(stager, shape, kind, element, [value], 8)
    return real(stager, transformed(stager, full, k, None, True, _norm(stager, norm)))


def _several(inverse: bool) -> Callable[..., Value]:
    def lowering(
        stager: Stager, a: Value, s: Value | None = None, axes: Value | None = None,
        norm: Value | None = None,
        out: Value | None = None,
    ) -> Value:  # fmt: skip
        unsupported(stager, "fft.fftn", out=out)
        value = array(stager, a)
        lengths = shape_of(stager, s) if s is not None and given(s) else None
        if lengths is not None and not given(axes):
            axes = Static(tuple(range(-len(lengths), 0)))
        chosen = axes_of(stager, axes, value.ndim)
        if lengths is not None and len(lengths) != len(chosen):
            storage.fail(stager, ValueError, "Shape and axes have different lengths.")
        counts = lengths or (None,) * len(chosen)
        for k, n in reversed(list(zip(chosen, counts, strict=True))):
            value = transformed(stager, value, k, n, inverse, _norm(stager, norm))
        return value

    return lowering


fftn = lowers(np.fft.fftn)(_several(False))
ifftn = lowers(np.fft.ifftn)(_several(True))


def _plane(inverse: bool) -> Callable[..., Value]:
    def lowering(
        stager: Stager, a: Value, s: Value | None = None, axes: Value | None = None,
        norm: Value | None = None,
        out: Value | None = None,
    ) -> Value:  # fmt: skip
        chosen = axes if axes is not None and given(axes) else Static((-2, -1))
        return (ifftn if inverse else fftn)(stager, a, s, chosen, norm, out)

    return lowering


fft2 = lowers(np.fft.fft2)(_plane(False))
ifft2 = lowers(np.fft.ifft2)(_plane(True))


@lowers(np.fft.fftfreq)
def fftfreq(stager: Stager, n: Value, d: Value | None = None, device: Value | None = None) -> Value:
    length = stager.bind(length_of(stager, n), "n")
    half = stager.bind(apply("floordiv", length - 1, const(2)) + 1, "half")

    def element(index: Index) -> Element:
        place = apply("select", apply("lt", index[0], half), index[0], index[0] - length)
        return cast(place, "f64")

    places = storage.lazy(stager, (length,), "float64", element, cost=2)
    return _over(stager, places, length, d)


@lowers(np.fft.rfftfreq)
def rfftfreq(stager: Stager, n: Value, d: Value | None = None, device: Value | None = None) -> Value:
    length = stager.bind(length_of(stager, n), "n")
    count = stager.bind(apply("floordiv", length, const(2)) + 1, "n")
    places = storage.lazy(stager, (count,), "float64", lambda index: cast(index[0], "f64"), cost=1)
    return _over(stager, places, length, d)


def _over(stager: Stager, places: ArrayValue, n: Expr, d: Value | None) -> Value:
    width: Value = Number(stager.bind(cast(n, "f64")), float)
    if d is not None:
        width = ufunc(stager, np.multiply, [width, d])
    scale = ufunc(stager, np.true_divide, [Static(1.0), width])
    return ufunc(stager, np.multiply, [places, scale])


def _shift(back: bool) -> Callable[..., Value]:
    def lowering(stager: Stager, x: Value, axes: Value | None = None) -> Value:
        value = array(stager, x)
        for k in axes_of(stager, axes, value.ndim):
            half = stager.bind(apply("floordiv", value.shape[k], const(2)), "half")
            by = Number(stager.bind(-half if back else half), int)
            value = array(stager, roll(stager, value, by, Static(k)))
        return value

    return lowering


fftshift = lowers(np.fft.fftshift)(_shift(False))
ifftshift = lowers(np.fft.ifftshift)(_shift(True))
