"""The standard library, NumPy's own Python functions, SciPy and uncertainties, called as they are.

Each line of a table is (name, function, arguments); the derivatives are compared with central differences.
"""

import bisect
import cmath
import colorsys
import copy
import functools
import heapq
import itertools
import math
import operator
import statistics
from statistics import NormalDist

import numpy as np
import pytest
from numpy.polynomial import Polynomial

import tapeless as tl

X = np.array([0.3, -1.2, 2.5, 0.7])
Y = np.array([1.1, 0.4, -0.3, 2.2])
GRID = np.array([0.0, 0.4, 1.0, 1.7])
MATRIX = np.array([[1.0, 0.2, -0.3], [0.4, 2.0, 0.5]])

# ---- the standard library ----------------------------------------------------------------------------------


def merged(a, b):
    return [x * i for i, x in enumerate(heapq.merge(sorted(a), sorted(b)))]


def heap_total(values):
    heap = []
    for value in values:
        heapq.heappush(heap, value * value)
    return heapq.heappop(heap) + 2.0 * heapq.heappop(heap)


def weighted_choice(weights):
    cumulative = list(itertools.accumulate(weights))
    return cumulative[bisect.bisect(cumulative, 1.0)] / cumulative[-1]


def polynomial_by_reduce(x, coefficients):
    return functools.reduce(lambda total, c: total * x + c, coefficients, 0.0)


def total_of_products(xs, ys):
    return sum(itertools.starmap(operator.mul, zip(xs, ys, strict=True)))


def total_of_powers(xs, ys):
    return sum(x**y for x, y in itertools.product(xs, ys))


def pairwise_lengths(points):
    return sum(math.hypot(b[0] - a[0], b[1] - a[1]) for a, b in itertools.pairwise(points))


def copied(values):
    other = copy.deepcopy(values)
    other["a"][0] *= 3.0
    return other["a"][0] * values["a"][0]


def mandelbrot_distance(re, im):
    z, c = 0j, complex(re, im)
    for _ in range(6):
        z = z * z + c
    return abs(cmath.exp(z))


STANDARD_LIBRARY = [
    ("statistics.mean", statistics.mean, ([0.3, 1.4, 2.2],)),
    ("statistics.fmean", statistics.fmean, ([0.3, 1.4, 2.2],)),
    ("statistics.fmean weights", statistics.fmean, ([0.3, 1.4, 2.2], [1.0, 2.0, 0.5])),
    ("statistics.geometric_mean", statistics.geometric_mean, ([0.3, 1.4, 2.2],)),
    ("statistics.harmonic_mean", statistics.harmonic_mean, ([0.3, 1.4, 2.2],)),
    ("statistics.median", statistics.median, ([0.3, 2.4, 1.2, 5.0],)),
    ("statistics.variance", statistics.variance, ([0.3, 1.4, 2.2],)),
    ("statistics.stdev", statistics.stdev, ([0.3, 1.4, 2.2],)),
    ("statistics.linear_regression", statistics.linear_regression, ([1.0, 2.0, 4.0], [0.3, 1.4, 2.2])),
    ("statistics.correlation", statistics.correlation, ([1.0, 2.0, 4.0], [0.3, 1.4, 1.2])),
    ("statistics.NormalDist.pdf", lambda m, s, x: NormalDist(m, s).pdf(x), (0.1, 1.3, 0.6)),
    ("statistics.NormalDist.cdf", lambda m, s, x: NormalDist(m, s).cdf(x), (0.1, 1.3, 0.6)),
    ("statistics.NormalDist.inv_cdf", lambda m, s, x: NormalDist(m, s).inv_cdf(x), (0.1, 1.3, 0.6)),
    ("colorsys.rgb_to_hsv", colorsys.rgb_to_hsv, (0.2, 0.5, 0.8)),
    ("colorsys.hsv_to_rgb", colorsys.hsv_to_rgb, (0.3, 0.5, 0.8)),
    ("colorsys.rgb_to_hls", colorsys.rgb_to_hls, (0.2, 0.5, 0.9)),
    ("colorsys.hls_to_rgb", colorsys.hls_to_rgb, (0.3, 0.4, 0.8)),
    ("colorsys.rgb_to_yiq", colorsys.rgb_to_yiq, (0.2, 0.5, 0.8)),
    ("math.fsum of a generator", lambda xs: math.fsum(x * x for x in xs), ([0.3, 1.4, 2.2],)),
    ("math.fsum of map", lambda xs: math.fsum(map(math.log, xs)), ([0.3, 1.4, 2.2],)),
    ("math.prod of map", lambda xs: math.prod(map(math.sin, xs)), ([0.3, 1.4, 2.2],)),
    ("np.polyval of a float", lambda x: np.polyval([1.0, 1.0, 2.0], x), (2.0,)),
    ("np.float64 by an ellipsis", lambda x: np.float64(x)[...].sum(), (2.0,)),
    ("functools.reduce", polynomial_by_reduce, (0.7, [1.0, -2.0, 0.5])),
    ("functools.partial", functools.partial(polynomial_by_reduce, coefficients=[1.0, -2.0, 0.5]), (0.7,)),
    ("itertools.accumulate", lambda xs: list(itertools.accumulate(xs, operator.mul)), ([0.3, 1.4, 2.2],)),
    ("itertools.starmap", total_of_products, ([0.3, 1.4], [2.0, -1.0])),
    ("itertools.pairwise", pairwise_lengths, ([(0.0, 1.0), (2.0, 0.5), (1.0, 3.0)],)),
    ("itertools.product", total_of_powers, ([0.3, 1.4], [2.0, 0.5])),
    ("heapq.merge", merged, ([0.3, 1.4], [2.0, 0.5])),
    ("heapq.heappush", heap_total, ([0.9, 0.3, 1.4],)),
    ("bisect and accumulate", weighted_choice, ([0.3, 1.4, 2.2],)),
    ("copy.deepcopy", copied, ({"a": [1.5], "n": 2},)),
    ("cmath", mandelbrot_distance, (0.1, 0.3)),
]

# ---- NumPy's functions written in Python -------------------------------------------------------------------

NUMPY = [
    ("np.gradient", np.gradient, (X,)),
    ("np.gradient spacing", np.gradient, (X, GRID)),
    ("np.trapezoid", np.trapezoid, (X, GRID)),
    ("np.linalg.norm", np.linalg.norm, (X,)),
    ("np.linalg.norm 1", lambda x: np.linalg.norm(x, 1), (X,)),
    ("np.linalg.norm axis", lambda m: np.linalg.norm(m, axis=1), (MATRIX,)),
    ("np.average", np.average, (X,)),
    ("np.average weights", lambda x, w: np.average(x, weights=w), (X, np.array([1.0, 2.0, 0.5, 3.0]))),
    ("np.cov", np.cov, (MATRIX,)),
    ("np.cov two", np.cov, (X, Y)),
    ("np.corrcoef", np.corrcoef, (X, Y)),
    ("np.var", np.var, (X,)),
    ("np.histogram_bin_edges", lambda x: np.histogram_bin_edges(x, 4), (X,)),
    ("np.histogram", lambda x: np.histogram(x, 3)[1], (X,)),
    ("np.fft.fftfreq", lambda d: np.fft.fftfreq(5, d), (0.7,)),
    ("np.fft.rfftfreq", lambda d: np.fft.rfftfreq(5, d), (0.7,)),
    ("np.std", lambda m: np.std(m, axis=0, ddof=1), (MATRIX,)),
    ("np.interp", lambda x, ys: np.interp(x, GRID, ys), (0.6, Y)),
    ("np.diff", lambda x: np.diff(x, n=2), (X,)),
    ("np.convolve", np.convolve, (X, np.array([0.5, 1.0, -0.2]))),
    ("np.cross", np.cross, (X[:3], Y[:3])),
    ("np.kron", np.kron, (X, Y[:2])),
    ("np.outer", np.outer, (X, Y)),
    ("np.vander", lambda x: np.vander(x, 3), (X,)),
    ("np.unwrap", np.unwrap, (np.array([0.1, 3.0, 6.5, 9.0]),)),
    ("np.roll", lambda x: np.roll(x, 1) * x, (X,)),
    ("np.pad", lambda x: np.pad(x, 2), (X,)),
    ("np.tile", lambda x: np.tile(x, (2, 2)), (X,)),
    ("np.apply_along_axis", lambda m: np.apply_along_axis(lambda r: r @ r, 1, m), (MATRIX,)),
    ("np.vectorize", np.vectorize(lambda a, b: a * math.sin(b)), (X, 0.7)),
    ("np.polyval", np.polyval, (X, 0.3)),
    ("np.linspace", lambda a, b: np.linspace(a, b, 5) ** 2, (0.3, 1.2)),
    ("np.logaddexp", np.logaddexp, (X, Y)),
    ("np.nan_to_num", np.nan_to_num, (X,)),
    ("polynomial.polyval", np.polynomial.polynomial.polyval, (0.3, X)),
    ("Polynomial call", lambda c, x: Polynomial(c)(x), (X, 0.3)),
    ("Polynomial deriv", lambda c, x: Polynomial(c).deriv()(x), (X, 0.3)),
    ("Polynomial product", lambda c, d: (Polynomial(c) * Polynomial(d)).coef, (X, Y)),
    ("chebyshev.chebval", np.polynomial.chebyshev.chebval, (0.3, X)),
    ("Chebyshev integ", lambda c, x: np.polynomial.Chebyshev(c).integ()(x), (X, 0.3)),
    ("legendre.legval", np.polynomial.legendre.legval, (0.3, X)),
    ("hermite.hermval", np.polynomial.hermite.hermval, (0.3, X)),
    ("polynomial.polyfromroots", np.polynomial.polynomial.polyfromroots, (X,)),
]

# ---- SciPy -------------------------------------------------------------------------------------------------


def rosen(x):
    from scipy.optimize import rosen

    return rosen(x)


def oscillator(t, y, omega, damping):
    return [y[1], -(omega**2) * y[0] - damping * y[1]]


def solved(method):
    def final_state(y0, omega, damping):
        from scipy.integrate import solve_ivp

        solution = solve_ivp(oscillator, (0.0, 2.0), y0, method=method, args=(omega, damping), rtol=1e-6)
        return solution.y[:, -1]

    return final_state


def solved_at_times(method):
    def samples(y0, omega, damping):
        from scipy.integrate import solve_ivp

        times = np.linspace(0.0, 2.0, 5)
        return solve_ivp(oscillator, (0.0, 2.0), y0, method=method, t_eval=times, args=(omega, damping)).y

    return samples


def newton(a):
    from scipy.optimize import newton

    return newton(lambda x: x**3 - a, 1.0, fprime=lambda x: 3.0 * x * x)


START = np.array([1.0, 0.3])
METHODS = ("RK23", "RK45", "DOP853")

SCIPY = [
    ("scipy.optimize.rosen", rosen, (X,)),
    ("scipy.optimize.newton", newton, (2.0,)),
    *[(f"solve_ivp {method}", solved(method), (START, 1.7, 0.2)) for method in METHODS],
    *[(f"solve_ivp {method} t_eval", solved_at_times(method), (START, 1.7, 0.2)) for method in METHODS],
]

CASES = [*STANDARD_LIBRARY, *NUMPY, *SCIPY]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "function", "args"), CASES, ids=[name for name, _, _ in CASES])
def test_function(name, function, args):
    if "solve_ivp" in name or "scipy" in name:
        pytest.importorskip("scipy")
    tl.check_grads(function, args, order=1)


@pytest.mark.parametrize("name", ["scipy.optimize.rosen", "statistics.variance", "np.linalg.norm"])
def test_second_order(name):
    function, args = next((function, args) for case, function, args in CASES if case == name)
    tl.check_grads(function, args, order=2)


# ---- number types by operator overloading ------------------------------------------------------------------


def test_gradient_of_an_uncertain_number_is_an_uncertain_number():
    uncertainties = pytest.importorskip("uncertainties")
    x = uncertainties.ufloat(1 / 3, 0.01)
    slope = tl.grad(lambda x: 5.0 * x**3 - 2.0 * x + 1.0)(x)
    expected = 15.0 * x**2 - 2.0
    assert slope.nominal_value == pytest.approx(expected.nominal_value, rel=1e-12)
    assert slope.std_dev == pytest.approx(expected.std_dev, rel=1e-12)


def test_coefficients_with_uncertainties_need_an_argument_of_their_class():
    uncertainties = pytest.importorskip("uncertainties")
    u = uncertainties.ufloat(1 / 3, 0.01)
    with pytest.raises(tl.TapelessError, match="Give the argument as a AffineScalarFunc, or return a float"):
        tl.grad(lambda x: x * u)(2.0)
    slope = tl.grad(lambda x: x * u)(uncertainties.ufloat(2.0, 0.0))
    assert (slope.nominal_value, slope.std_dev) == pytest.approx((1 / 3, 0.01))
    assert tl.grad(lambda x: (x * u).nominal_value)(2.0) == pytest.approx(1 / 3)


def test_uncertainty_propagates_through_a_loop():
    uncertainties = pytest.importorskip("uncertainties")

    def power(x, n):
        result = 1.0
        for _ in range(n):
            result = result * x
        return result

    x = uncertainties.ufloat(1.2, 0.05)
    slope = tl.grad(power)(x, 4)
    assert slope.nominal_value == pytest.approx(4 * 1.2**3, rel=1e-12)
    assert slope.std_dev == pytest.approx(12 * 1.2**2 * 0.05, rel=1e-12)


def test_numbers_that_mpmath_makes_of_integers_are_refused():
    mpmath = pytest.importorskip("mpmath")
    for program in (lambda x: float(mpmath.mpf(x) * x), lambda x: float(mpmath.sin(x))):
        with pytest.raises(tl.TapelessError, match="use mpmath.fp"):
            tl.grad(program)(1.3)
    assert tl.grad(lambda x: mpmath.fp.sin(x))(1.3) == np.cos(1.3)
