"""Array operations, staged: what NumPy does, element by element, shape by shape, error by error."""

import numpy
import pytest
from tests.backends.native.staging.traced import augment, compare, named, xp

np = xp

RNG = numpy.random.default_rng(1)
V = RNG.standard_normal(7)
W = RNG.random(7) + 0.5
M = RNG.standard_normal((4, 5))
N = RNG.random((4, 5)) + 0.5
T = RNG.standard_normal((3, 4, 5))
I = np.array([3, -2, 7, 0, 5, -9, 4])  # noqa: E741
J = np.array([2, 3, -4, 1, 2, 5, -1])
B = np.array([True, False, True, True, False, False, True])
V32 = V.astype(np.float32)

ELEMENTWISE = {
    "arithmetic": (lambda x, y: (x + y) * 2 - y / x + (-x), V, W),
    "scalar operands": (lambda x: 1 - x + 2.5 * x - x / 3, V),
    "numbers of run time": (lambda x, a, k: a * x + k, V, 1.5, 3),
    "powers": (lambda x, y: (x**2, x**3, y**0.5, y**-1, y**x, y**-1.5, x**0, 2.0**x), V, W),
    "integer powers": (lambda i: (i**2, i**3, i**5), I),
    "negative integer power": (lambda i, k: i**k, I, -1),
    "integers": (lambda i, j: (i + j, i - j, i * j, i / j, i // j, i % j), I, J),
    "integer division by zero": (lambda i, j: (i // j, i % j, np.fmod(i, j)), I, J - 2),
    "integers and floats": (lambda i, x: (i + x, i * 2, i * 2.0, x // 1, x % 0.3), I, V),
    "bits": (lambda i, j: (i & 3, i | j, i ^ j, ~i, i << 2, i >> 1), I, J),
    "booleans": (lambda b: (b & ~b, b | b, b ^ True, b + b, b * b, b + 1, b / 2), B),
    "comparisons": (lambda x, y: (x < y, x <= 0, x > y, x >= 0, x == x, x != y), V, W),
    "comparisons of booleans": (lambda b: (b < True, b == b, b >= False), B),
    "float32": (lambda x: (x * 2.5 + 1, np.sin(x), x**2, x + np.float64(1)), V32),
    "float32 and float64": (lambda x, y: x + y, V32, W),
    "broadcasting": (lambda m, v: (m + v[:5], m * v[:4, None], v[:4, None] - v[:3]), M, V),
    "known lengths broadcast": (lambda t, m: t * m[None] + m[0], T, M),
    "int8 wraps": (lambda i: (i * i, i + i), (I * 20).astype(np.int8)),
    "uint8 wraps": (lambda i: (i * i, i - 7), (I * 20).astype(np.uint8)),
    "shared": (lambda x: (lambda t: t * t + np.sin(t))(named(np.exp(x) + 1, 3)), V),
}
FUNCTIONS = {
    "circular": (
        lambda x: (np.sin(x), np.cos(x), np.tan(x), np.arctan(x), np.arcsin(x / 9), np.arccos(x / 9)),
        V,
    ),
    "hyperbolic": (lambda x: (np.sinh(x), np.cosh(x), np.tanh(x), np.arcsinh(x), np.arctanh(x / 9)), V),
    "exponential": (lambda x: (np.exp(x), np.exp2(x), np.expm1(x)), V),
    "logarithms": (lambda x: (np.log(x), np.log2(x), np.log10(x), np.log1p(x), np.sqrt(x), np.cbrt(x)), W),
    "two operands": (lambda x, y: (np.arctan2(x, y), np.hypot(x, y), np.copysign(x, y), np.fmod(x, y)), V, W),
    "extrema": (lambda x, y: (np.maximum(x, y), np.minimum(x, 0), np.fmax(x, y), np.fmin(x, y)), V, W),
    "rounding": (lambda x: (np.floor(x), np.ceil(x), np.trunc(x), np.rint(x), np.sign(x), abs(x)), 3 * V),
    "tests": (
        lambda x: (np.isnan(x), np.isinf(x), np.isfinite(x), np.signbit(x)),
        np.array([1, np.nan, -np.inf]),
    ),
    "truths": (lambda x, b: (np.logical_and(x, b), np.logical_or(x > 1, b), np.logical_not(x)), V, B),
    "special points": (
        lambda x: (np.heaviside(x, 0.5), np.square(x), np.reciprocal(x)),
        np.array([-1.0, 0.5, 2]),
    ),
    "heaviside": (lambda x: np.heaviside(x, 0.5), np.array([-1.0, 0.0, 2, np.nan])),
    "logaddexp": (lambda x, y: (np.logaddexp(x, y), np.logaddexp2(x, y)), 30 * V, W),
    "logaddexp of infinities": (lambda x: np.logaddexp(x, x[::-1]), np.array([-np.inf, np.inf, -np.inf])),
    "degrees": (lambda x: (np.degrees(x), np.radians(x), np.deg2rad(x)), V),
    "where": (lambda x, y, b: (np.where(x > 0, x, y), np.where(b, 1, x), np.where(b, 1, 0)), V, W, B),
    "round": (lambda x: (np.round(x, 2), np.round(x), x.round(1)), V),
    "clip": (lambda x: (np.clip(x, -0.5, 0.5), x.clip(0), np.clip(x, None, 0.2)), V),
    "out": (lambda x, y: np.add(x, 1, out=y), V, W),
    "out with a mask": (lambda x, y, b: np.add(x, y, out=y, where=b), V, W, B),
    "of numbers": (lambda a: (np.sin(a), np.maximum(a, 2), np.sqrt(a) + 1), 1.5),
}


def shifted(x):
    x[1:-1] = (x[:-2] + x[1:-1] + x[2:]) / 3


def shifted_rows(m):
    m[1:] = m[:-1] * 2
    m[:, -1] = m[:, -2]
    m[0] = m[1]


def in_place(x, y):
    x += y
    x *= 2
    x -= x[::-1]
    x /= 3
    x **= 2


def column(m):
    m[:, 1] += m[:, 0]
    m[1:, 2] *= 2.0
    m[0, 0] = 5
    m[-1] = 7


def augmented(x, k):
    augment(x, 0, "Add", 2.0)
    augment(x, k, "Mult", 3)
    augment(x, slice(1, 3), "Sub", 1)
    augment(x, k, "Sub", x[1])


def swapped(x):
    t = named(x * 2, 1)
    x[0] = 100
    return t + x


def kept(x):
    t = np.sin(x)
    u = named(t + 1)
    x[:] = 0
    return u + x


def lazy_written(x):
    t = named(x * 2)
    u = t[1:]
    t[2] = 50
    return t, u


def window(x, i, j):
    return x[i:j], x[:j], x[i:], x[-i:], x[: -(i + 1)]


INDEXING = {
    "integers": (lambda x, m: (x[0], x[-1], m[1, -2], m[2]), V, M),
    "integers of run time": (lambda x, i: (x[i], x[-i], x[i - 3]), V, 2),
    "slices": (lambda x: (x[1:-1], x[2:], x[:-2], x[:3], x[-3:], x[::2], x[1::3], x[::-1], x[5:1:-2]), V),
    "slices beyond": (lambda x: (x[3:100], x[-100:2], x[100:], x[:-100], x[4:2], x[100::-1], x[:2:-1]), V),
    "slices of run time": (window, V, 2, 5),
    "slices of run time beyond": (window, V, 5, 20),
    "negative slices of run time": (window, V, -4, -1),
    "short arrays": (lambda x: (x[1:-1], x[2:], x[:-2], x[::2], x[::-1], x[-3:]), V[:1]),
    "empty arrays": (lambda x: (x[1:-1], x[2:], x[:-2], x[::2], x[::-1], x.sum()), V[:0]),
    "axes": (lambda m: (m[1:, 2], m[:, None], m[..., 1], m[None, ..., ::-1], m[::-1, 1:-1]), M),
    "slices of slices": (lambda x: (x[1:][1:], x[1:-1][::2], x[::-1][1:-1], x[::2][::-1], x[2:][0]), V),
    "views are written": (lambda m: m[1:, ::2].__setitem__(0, m[0, 0]), M),
    "shifted": (shifted, V),
    "rows": (shifted_rows, M),
    "in place": (in_place, V, W),
    "column": (column, M),
    "augmented": (augmented, V, 3),
    "a value before a write": (swapped, V),
    "a name before a write": (kept, V),
    "a lazy that is written": (lazy_written, V),
    "out of bounds": (lambda x: x[7], V),
    "out of bounds below": (lambda x: x[-8], V),
    "out of bounds at run time": (lambda x, i: x[i], V, 12),
    "too many indices": (lambda x: x[0, 0], V),
    "operands that differ": (lambda x, y: x + y, V, W[:4]),
    "a store that does not fit": (lambda x, y: x.__setitem__(slice(1, 3), y), V, W),
    "a store of a row": (lambda m, x: m.__setitem__(Ellipsis, x[:5]), M, V),
    "a store of integers": (lambda i, x: i.__setitem__(slice(None), x * 3), I, V),
    "read-only": (lambda x: np.broadcast_to(x, (2, 7)).__setitem__(0, 1.0), V),
}


def picked_store(x, i, v):
    x[i] = v
    augment(x, i[:2], "Add", 1.0)


def masked_store(x, b, y):
    x[b] = 0.5
    x[x > 1] = -1
    augment(x, x < 0, "Mult", 2.0)
    x[b] = y[b] * 2
    augment(x, b, "Add", y[b])


def masked_rows(m, b):
    m[b[:4]] = 3.0
    m[:, b[:5]] = 1.5
    return m[b[:4]], m[:, b[:5]], m[m > 0]


def accumulated(x, i, v):
    np.add.at(x, i, v)
    np.subtract.at(x, i, 1.0)
    np.multiply.at(x, i[:3], v[:3])


def masked_then_written(x, b):
    t = x[b] * 2
    x[:] = 0
    return t.sum(), t


def masked_and_named(x, b):
    t = named(x[b] * 2)
    return t + 1, t.sum(), t[0]


PLACES = np.array([1, 3, -2, 1, 0])
FANCY = {
    "integers": (lambda x, i: x[i], V, PLACES),
    "of rows": (lambda m, i: (m[i[:3]], m[:, i]), M, PLACES),
    "a list": (lambda x: x[[2, 0, -1]], V),
    "pairs": (lambda m, i: m[i[:3], i[1:4]], M, PLACES),
    "with integers": (lambda t, i: (t[0, i[:2]], t[i[:2], :, 1], t[0, :, i]), T, PLACES),
    "with slices": (lambda t, i: t[1:, i[:3]], T, PLACES),
    "a grid": (lambda m, i: m[i[:3, None], i[:2]], M, PLACES),
    "beyond": (lambda x, i: x[i], V, np.array([0, 9])),
    "below": (lambda x, i: x[i], V, np.array([0, -9])),
    "a store": (picked_store, V, PLACES, W[:5]),
    "a mask": (lambda x, b: x[b], V, B),
    "a mask over all axes": (lambda m: m[m > 0], M),
    "stores by masks": (masked_store, V, B, W),
    "rows by masks": (masked_rows, M, B),
    "a mask of another length": (lambda x, b: x[b[:3]], V, B),
    "ufunc.at": (accumulated, V, PLACES, W[:5]),
    "nonzero": (lambda x: np.nonzero(x > 0), V),
    "where of one": (lambda x: np.where(x > 0)[0], V),
    "sums of masked": (lambda x, b: x[b].sum(), V, B),
    "take": (lambda m, i: (np.take(m, i), np.take(m, i, axis=1), m.take(i[:2], axis=0)), M, PLACES),
    "masked sums": (
        lambda x, y, b: (
            x[b].sum(),
            x[b].mean(),
            (x[b] * 2 + y[b]).sum(),
            np.exp(x[b]).sum(),
            x[x > 0].prod(),
        ),
        V,
        W,
        B,
    ),
    "masked and used": (
        lambda x, b: (x[b] + 1, x[b] * x[b], x[b].max(), x[b][0], x[b].shape, x[b].reshape(-1, 1)),
        V,
        B,
    ),
    "masked before a write": (masked_then_written, V, B),
    "masked and named": (masked_and_named, V, B),
    "two masks": (lambda x, b: x[b][:2] * x[~b][:2], V, B),
    "masked of a number": (lambda x, b: 2.0 - x[b], V, B),
    "masked into": (lambda x, y, b: y.__setitem__(b, x[b] * y[b]), V, W, B),
    "masks and places": (lambda m, b: m[b[:4], 1], M, B),
}


@pytest.mark.parametrize(
    "group, name", [(g, n) for g in ("ELEMENTWISE", "FUNCTIONS", "INDEXING", "FANCY") for n in globals()[g]]
)
def test_staged_is_plain(group, name):
    program, *arguments = globals()[group][name]
    compare(program, *arguments)
