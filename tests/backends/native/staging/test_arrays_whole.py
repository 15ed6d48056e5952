"""Operations on whole arrays, staged: reductions, creation, shapes, products, searching."""

import numpy
import pytest
from tests.backends.native.staging.traced import compare, named, xp

np = xp

RNG = numpy.random.default_rng(2)
V = RNG.standard_normal(7)
W = RNG.random(7) + 0.5
M = RNG.standard_normal((4, 5))
N = RNG.random((5, 3))
S = RNG.standard_normal((4, 4))
T = RNG.standard_normal((3, 4, 5))
I = np.array([3, -2, 7, 0, 5, -9, 4])  # noqa: E741
B = np.array([True, False, True, True, False, False, True])
GAPS = np.array([1.0, np.nan, 3.0, -2.0, np.nan])

REDUCTIONS = {
    "sum": (lambda x, m: (x.sum(), np.sum(m), m.sum(axis=0), m.sum(1), m.sum(axis=-1, keepdims=True)), V, M),
    "sum of three axes": (lambda t: (t.sum(0), t.sum(1), t.sum((0, 2)), t.sum((1, 2)), t.sum((0, 1, 2))), T),
    "sum of others": (lambda i, b: (i.sum(), b.sum(), np.sum(b), i.astype(np.int32).sum()), I, B),
    "sum of fused": (lambda x, y: np.sum((x - y) ** 2) / 2, V, W),
    "sum with options": (
        lambda x, b: (np.sum(x, where=b), np.sum(x, initial=3.0), x.sum(dtype=np.float32)),
        V,
        B,
    ),
    "sum into": (lambda m, x: np.sum(m, axis=1, out=x[:4]), M, V),
    "products": (lambda x, m: (x.prod(), np.prod(m, axis=0)), V, M),
    "mean": (lambda x, m, i: (x.mean(), m.mean(0), m.mean(1, keepdims=True), i.mean()), V, M, I),
    "spread": (lambda x, m: (x.std(), np.var(m, axis=0), m.std(axis=1, ddof=1), np.var(x, ddof=1)), V, M),
    "spread of costly": (lambda x: np.std(np.exp(x)), V),
    "extrema": (
        lambda x, m: (x.max(), np.min(m), m.max(axis=0), m.min(axis=1), np.max(m, 1, keepdims=True)),
        V,
        M,
    ),
    "extrema of others": (lambda i, b: (i.max(), i.min(), b.max()), I, B),
    "extrema with NaN": (lambda x: (x.max(), x.min(), np.nanmax(x), np.nanmin(x)), GAPS),
    "extrema of nothing": (lambda x: x[7:].max(), V),
    "extrema with a start": (lambda x: (np.max(x, initial=0.5), np.max(x[7:], initial=2.0)), V),
    "extrema of three axes": (lambda t: (t.max((1, 2)), t.max(axis=(0, 1)), t.min(1)), T),
    "extrema of costly": (lambda m: np.max(np.exp(m), axis=1), M),
    "places": (lambda x, m: (x.argmax(), np.argmin(m), m.argmax(axis=0), m.argmin(1)), V, M),
    "places with NaN": (lambda x: (x.argmax(), x.argmin()), GAPS),
    "truths": (lambda x, m: (np.all(x > -9), np.any(x > 9), (m > 0).any(axis=0), (m > 0).all(axis=1)), V, M),
    "counts": (lambda x: (np.count_nonzero(x > 0), np.ptp(x)), V),
    "running": (
        lambda x, m, i: (x.cumsum(), np.cumprod(x), m.cumsum(axis=0), m.cumsum(1), m.cumsum(), i.cumsum()),
        V,
        M,
        I,
    ),
    "running over nothing": (lambda m: m[:0].cumsum(axis=0), M),
    "ufunc.reduce": (lambda m: (np.add.reduce(m), np.multiply.reduce(m, axis=1), np.maximum.reduce(m)), M),
    "ufunc.reduce of others": (lambda m: (np.logaddexp.reduce(m), np.logaddexp.reduce(m, axis=1)), M),
    "ufunc.accumulate": (lambda x: (np.add.accumulate(x), np.maximum.accumulate(x)), V),
    "ufunc.outer": (lambda x, y: (np.multiply.outer(x, y), np.subtract.outer(x, y)), V, W),
    "NaN left out": (lambda x: (np.nansum(x), np.nanmean(x)), GAPS),
    "empty": (lambda x: (x[7:].sum(), x[7:].prod(), np.all(x[7:])), V),
    "trapezoid": (lambda x, y: (np.trapezoid(x), np.trapezoid(x, dx=0.1), np.trapezoid(x, y)), V, W),
    "average": (lambda m, x: (np.average(m, axis=0), np.average(m, axis=1, weights=x[:5])), M, W),
    "softmax": (
        lambda m: (lambda e: e / e.sum(axis=1, keepdims=True))(
            named(np.exp(m - m.max(axis=1, keepdims=True)))
        ),
        M,
    ),
    "float32": (lambda x: (x.sum(), x.mean(), x.max(), x.std()), V.astype(np.float32)),
    "bad axis": (lambda m: m.sum(axis=2), M),
    "median": (lambda x, m: (np.median(x), np.median(m, axis=1), np.median(m, axis=0)), V, M),
}
CREATION = {
    "constants": (
        lambda x, n: (np.zeros(3), np.ones((n, 2)), np.full(n, 2.5), np.zeros_like(x), np.full_like(x, 3)),
        V,
        4,
    ),
    "constants of dtypes": (
        lambda n: (np.zeros(n, dtype=int), np.ones(n, np.float32), np.full((n,), 7), np.zeros(n, bool)),
        3,
    ),
    "negative length": (lambda n: np.zeros(n), -1),
    "ranges": (
        lambda n, a: (np.arange(n), np.arange(1, n), np.arange(0, n, 2), np.arange(n, 0, -1), np.arange(a)),
        6,
        3.5,
    ),
    "float ranges": (lambda n, a: (np.arange(0, 1, 0.25), np.arange(a, n), np.arange(n, a, -0.5)), 6, 3.5),
    "linspace": (
        lambda n, a: (np.linspace(0, 1, 5), np.linspace(a, 2, n), np.linspace(0, a, n, endpoint=False)),
        4,
        1.5,
    ),
    "linspace of one": (lambda n: np.linspace(2.0, 3.0, n), 1),
    "linspace with its step": (lambda n: np.linspace(0, 1, n, retstep=True), 4),
    "powers": (lambda n: (np.logspace(0, 2, n), np.geomspace(1.0, 100.0, n)), 4),
    "matrices": (lambda n: (np.eye(n), np.eye(2, n, 1), np.identity(n), np.tri(n), np.eye(n, dtype=int)), 3),
    "triangles": (lambda m: (np.triu(m), np.tril(m, 1), np.triu(m, -1)), M),
    "diagonals": (
        lambda x, m: (np.diag(x), np.diag(x, 1), np.diag(x, -2), np.diag(m), np.diag(m, 1), np.trace(m)),
        V,
        M,
    ),
    "lists": (
        lambda x, a: (
            np.array([1.0, a, x[0]]),
            np.array([x, x * 2]),
            np.array([[a, 1], [2, 3]]),
            np.array([1, 2]),
        ),
        V,
        2.5,
    ),
    "a number": (lambda a: np.array(a) + 1, 2.5),
    "0-d": (lambda a: (np.array(a), np.zeros(())), 2.5),
    "copies": (
        lambda x: (x.copy(), np.array(x), np.copy(x), x.astype(np.float32), x.astype(int), x.astype(bool)),
        V,
    ),
    "casts": (
        lambda i: (i.astype(float), i.astype(np.int8), i.astype(np.float32), (i > 0).astype(int)),
        I * 100,
    ),
    "meshgrid": (lambda x, y: np.meshgrid(x, y[:3]), V, W),
    "meshgrid by index": (lambda x, y: np.meshgrid(x, y[:3], indexing="ij"), V, W),
    "indices": (lambda n: np.indices((n, 2)), 3),
    "vander": (lambda x: (np.vander(x, 3), np.vander(x, increasing=True)), V),
    "copyto": (lambda x, y: np.copyto(x, y), V, W),
    "fill": (lambda x: x.fill(3), V),
    "fill_diagonal": (lambda m: np.fill_diagonal(m, 2.0), M),
    "ragged": (lambda x: np.array([x, x[1:]]), V),
    "block": (lambda m, s: np.block([[m, s], [s * 2, m]]), M, S),
}


def through_views(m):
    m.T[1] = 5
    m.reshape(-1)[3] = 7
    m[1:].ravel()[2] = -1
    m[:2, 1:3].T[0, 1] = 9
    np.diagonal(m).copy()
    m.reshape(2, 10)[1, 2:5] *= 3


SHAPES = {
    "transposes": (
        lambda m, t: (m.T, np.transpose(t, (2, 0, 1)), t.transpose(1, 0, 2), t.swapaxes(0, 2), t.T),
        M,
        T,
    ),
    "moved axes": (
        lambda t: (np.moveaxis(t, 0, -1), np.rollaxis(t, 2), np.moveaxis(t, (0, 1), (1, 0)), t.mT),
        T,
    ),
    "of lazies": (lambda m: ((m + 1).T, (m * 2)[::-1], (m - 1)[None], np.swapaxes(m * 2, 0, 1)), M),
    "new axes": (
        lambda m, t: (np.expand_dims(m, 1), np.squeeze(m[:1], 0), np.atleast_2d(m[0]), np.atleast_3d(m)),
        M,
        T,
    ),
    "reshape": (
        lambda m, t: (m.reshape(20), m.reshape(2, 10), m.reshape(-1, 2), t.reshape(3, -1), np.ravel(t)),
        M,
        T,
    ),
    "reshape of parts": (
        lambda m, t: (m[1:].reshape(-1), m[:, 1:].reshape(-1), t[1].reshape(2, 10), t[:, 1:3].reshape(3, -1)),
        M,
        T,
    ),
    "reshape of a slice": (lambda x: (x[:6].reshape(2, 3), x[1:].reshape(3, 2).T, x[::2].reshape(2, 2)), V),
    "reshape of lazies": (lambda m: (m * 2).reshape(5, 4), M),
    "transposed and flat": (lambda m: m.T.reshape(-1), M),
    "bad reshape": (lambda m: m.reshape(3, 7), M),
    "bad open reshape": (lambda m: m.reshape(3, -1), M),
    "reshape by lengths": (lambda t: t.reshape(t.shape[0], -1), T),
    "flatten": (lambda m: (m.flatten(), m.ravel()), M),
    "written through": (through_views, M),
    "flips": (
        lambda m: (np.flip(m), np.flipud(m), np.fliplr(m), np.rot90(m), np.flip(m, 1), np.rot90(m, 3)),
        M,
    ),
    "broadcast": (lambda x: (np.broadcast_to(x, (3, 7)), *np.broadcast_arrays(x, x[:, None])), V),
    "splits": (lambda m: (np.split(m, 2), np.hsplit(m, [1, 3]), np.array_split(m[0], [2])), M),
    "windows": (lambda x: np.lib.stride_tricks.sliding_window_view(x, 3).sum(axis=1), V),
    "concatenate": (
        lambda x, y: (
            np.concatenate((x, y)),
            np.concatenate([x[:2], y * 2, x]),
            np.hstack((x, y)),
            np.append(x, 1.0),
        ),
        V,
        W,
    ),
    "concatenate axes": (
        lambda m: (np.concatenate((m, m * 2), axis=1), np.vstack((m, m[0])), np.concatenate((m, m), None)),
        M,
    ),
    "stack": (
        lambda x, y: (np.stack((x, y)), np.stack([x, y], axis=1), np.column_stack((x, y)), np.dstack((x, y))),
        V,
        W,
    ),
    "unlike": (lambda x, m: np.concatenate((m, m[:, 1:])), V, M),
    "roll": (
        lambda x, m: (np.roll(x, 1), np.roll(x, -2), np.roll(m, 1, axis=0), np.roll(m, -1, 1), np.roll(m, 3)),
        V,
        M,
    ),
    "roll by run time": (lambda x, k: (np.roll(x, k), np.roll(x * 2, -k)), V, 9),
    "tile": (lambda x, m: (np.tile(x, 2), np.tile(m, (2, 1)), np.tile(x, (2, 1))), V, M),
    "repeat": (
        lambda x, m: (np.repeat(x, 2), np.repeat(m, 2, axis=0), np.repeat(m, 2, axis=1), x.repeat(3)),
        V,
        M,
    ),
    "repeat by counts": (lambda x, i: np.repeat(x, abs(i)), V, I),
    "pad": (
        lambda x, m: (np.pad(x, 2), np.pad(x, (1, 3), constant_values=2.0), np.pad(m, ((1, 1), (0, 2)))),
        V,
        M,
    ),
    "pad modes": (lambda x: [np.pad(x, (2, 3), mode=m) for m in ("edge", "wrap", "reflect", "symmetric")], V),
    "diff": (lambda x, m: (np.diff(x), np.diff(x, 2), np.diff(m, axis=0)), V, M),
    "gradient": (lambda x, m: (np.gradient(x), np.gradient(x, 0.1), np.gradient(m)), V, M),
    "attributes": (lambda m: (m.shape, m.size, m.ndim, len(m.shape), m.dtype), M),
    "complex parts": (lambda x: (x.real, x.imag, np.real(x), x.conj()), V),
}


def matmul_in_loops(m, x):
    return (m[:, 1:] @ x[:4], x[:4] @ m, m.T @ x[:4], m[1] @ m[2], (m * 2) @ x[:5])


PRODUCTS = {
    "vectors": (lambda x, y: (x @ y, np.dot(x, y), np.inner(x, y), np.vdot(x, y), (x * 2) @ (y + 1)), V, W),
    "matrix and vector": (matmul_in_loops, M, V),
    "matrices": (lambda m, n: (m @ n, m @ (n * 2), np.dot(m, n)), M, N),
    "transposed": (lambda m, n, s: (n.T @ m.T, m.T @ s, s @ s.T, m[:, ::2] @ n[::2]), M, N, S),
    "stacks": (lambda t, n: (t @ n, np.matmul(t, t.swapaxes(1, 2))), T, N),
    "outer": (lambda x, y: (np.outer(x, y), np.outer(x, y) + np.outer(y, x), np.kron(x, y)), V, W),
    "kron": (lambda m, n: np.kron(m, n), M, N),
    "trace": (lambda s: (np.trace(s), s.trace(1)), S),
    "tensordot": (
        lambda t, n, m: (np.tensordot(t, n, 1), np.tensordot(m, t, ((0, 1), (1, 2))), np.tensordot(m, n, 1)),
        T,
        N,
        M,
    ),
    "cross": (lambda n: (np.cross(n[0], n[1]), np.cross(n, n[0])), N),
    "multi_dot": (lambda s, m, n: np.linalg.multi_dot([s, m, n]), S, M, N),
    "integers": (lambda i: (i @ i, np.outer(i, i) @ i), I),
    "do not fit": (lambda m, x: m @ x, M, V),
    "in place": (lambda s: s.__imatmul__(s), S),
    "float32": (lambda m, n: m @ n, M.astype(np.float32), N.astype(np.float32)),
    "with out": (lambda m, n, s: np.matmul(m, n, out=s[:, :3]), M, N, S),
}
SEARCHING = {
    "sort": (
        lambda x, m: (np.sort(x), np.argsort(x), np.sort(m, axis=0), m.argsort(axis=1), np.sort(m, None)),
        V,
        M,
    ),
    "sort in place": (lambda x, m: (x.sort(), m.sort(axis=0)), V, M),
    "sort of integers": (lambda i: (np.sort(i), np.argsort(i)), I),
    "searchsorted": (
        lambda x, y: (np.searchsorted(np.sort(x), y), np.searchsorted(np.sort(x), 0.3, "right")),
        V,
        W,
    ),
    "interp": (
        lambda x, y: (
            np.interp(y, np.sort(x), y),
            np.interp(0.2, np.sort(x), y),
            np.interp(x, np.sort(x), y),
        ),
        V,
        W,
    ),
    "interp ends": (lambda x, y: np.interp(x * 9, np.sort(x), y, left=-1.0, right=5.0), V, W),
    "bincount": (
        lambda i, x: (np.bincount(abs(i)), np.bincount(abs(i), weights=x), np.bincount(abs(i), minlength=20)),
        I,
        V,
    ),
    "bad bincount": (lambda i: np.bincount(i), I),
    "unique": (lambda i: np.unique(abs(i) // 3), I),
    "comparisons": (lambda x: (np.allclose(x, x + 1e-12), np.isclose(x, x[::-1]), np.array_equal(x, x)), V),
    "nan_to_num": (lambda x: (np.nan_to_num(x), np.nan_to_num(x, nan=2.0)), GAPS),
    "choices": (
        lambda i, x, y: (np.choose(abs(i) % 2, [x, y]), np.select([x > 0, y > 1], [x, y], 5.0)),
        I,
        V,
        W,
    ),
    "take_along_axis": (lambda m: np.take_along_axis(m, np.argsort(m, axis=1), axis=1), M),
    "argwhere": (lambda m: (np.argwhere(m > 0), np.flatnonzero(m > 0), np.extract(m > 0, m)), M),
    "items": (lambda x, m: (x[:1].item(), m.item(1, 2), m.item(3), m[:1, :1].item()), V, M),
    "item of many": (lambda x: x.item(), V),
}
GROUPS = {
    "REDUCTIONS": REDUCTIONS,
    "CREATION": CREATION,
    "SHAPES": SHAPES,
    "PRODUCTS": PRODUCTS,
    "SEARCHING": SEARCHING,
}


@pytest.mark.parametrize("group, name", [(g, n) for g in GROUPS for n in GROUPS[g]])
def test_staged_is_plain(group, name):
    program, *arguments = GROUPS[group][name]
    compare(program, *arguments)
