"""SciPy's roots, minima and fits: the derivative is that of the solution, by the equation that it solves
(implicit function theorem), not of the steps of the search.

Read only when a function of `scipy.optimize` is first looked up. What such a function tells beside the
solution (its Jacobians, factors) is `untold`: asked for its derivative, it is refused. Counts are constants.
"""
# The twins are opened like functions of the program: they stay without annotations.
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

from __future__ import annotations

import numpy as np
import scipy.optimize as so  # type: ignore[import-untyped]

from tapeless.custom import stop_gradient
from tapeless.matrices import jacobian
from tapeless.rules.compat import find, find_all
from tapeless.rules.implicit import implicit
from tapeless.rules.registry import nondifferentiable, twin
from tapeless.rules.twins import exactly, plainly, refuse, told, untold
from tapeless.transformed import grad

nondifferentiable(so.linear_sum_assignment)


def vector(y):
    """What a function of SciPy's takes for a vector."""
    return np.atleast_1d(np.asarray(y) * 1.0).ravel()


def tupled(args):
    return args if isinstance(args, tuple) else (args,)


# ---- roots of one number ---------------------------------------------------------------------------


def root_of(f, args, x, name):
    """The root `x` of f, with its derivatives."""
    args = tupled(args)
    return implicit(lambda v: vector(f(v[0], *args)), np.array([x]), name)[0]


def bracketed(core, name):
    @twin(core)
    def _(f, a, b, xtol, rtol, maxiter, args, full_output, disp):
        found = plainly(core, f, a, b, xtol, rtol, maxiter, args, full_output, disp)
        if full_output:
            return (exactly(found[0], root_of(f, args, found[0], name)), *found[1:])
        return exactly(found, root_of(f, args, found, name))


for _name in ("bisect", "brentq", "brenth", "ridder"):
    bracketed(find(f"scipy.optimize._zeros._{_name}"), f"scipy.optimize.{_name}")


@twin(so.toms748)
def _toms748(f, a, b, args=(), *more, full_output=False, **options):
    found = plainly(so.toms748, f, a, b, args, *more, full_output=True, **options)
    x = exactly(found[0], root_of(f, args, found[0], "scipy.optimize.toms748"))
    if full_output:
        found[1].root = x
        return x, found[1]
    return x


# ---- systems of equations --------------------------------------------------------------------------


def hybrid(core, jac):
    @twin(core)
    def _(func, *more):
        x0, args = more[jac], tupled(more[jac + 1])
        found = plainly(core, func, *more[:jac], np.array(x0), *more[jac + 1 :])
        x = implicit(lambda v: vector(func(v, *args)), found[0], "scipy.optimize.fsolve")
        told(found[1], ("fvec", "qtf"), x, "scipy.optimize.fsolve")  # at a root both stay 0
        return (x, *found[1:])


hybrid(find("scipy.optimize._minpack._hybrd"), 0)
hybrid(find("scipy.optimize._minpack._hybrj"), 1)


def iterated(original):
    @twin(original)
    def _(func, x0, args=(), *more, **options):
        found = plainly(original, func, np.array(x0), args, *more, **options)
        shape, given = np.shape(found.x), tupled(args)

        def equation(v):
            return vector(func(np.reshape(v, shape), *given))

        x = implicit(equation, vector(found.x), "scipy.optimize.root")
        found["x"] = exactly(found.x, np.reshape(x, shape))
        return told(found, ("x", "fun"), x, "scipy.optimize.root")


for _original in find_all("scipy.optimize._root._root_nonlin_solve", "scipy.optimize._root._root_df_sane"):
    iterated(_original)


# ---- minima ----------------------------------------------------------------------------------------


def lowest(objective, x, lower, upper, name, side=None):
    """The place `x` of a minimum, with its derivatives; what lies at a bound stays there."""
    side = plainly(sides, x, lower, upper) if side is None else side
    free = np.flatnonzero(side == 0)
    held = np.where(side < 0, lower, np.where(side > 0, upper, x))
    start = exactly(stop_gradient(x), np.where(np.isfinite(held), held, x))
    if len(free) == 0:
        return start

    def slope(v):
        whole = start.copy()
        whole[free] = v
        return grad(objective)(whole)[free]

    moved = start.copy()
    moved[free] = implicit(slope, stop_gradient(x)[free], name)
    return moved


def constrained(objective, constraints, x, lower, upper, name):
    """The same under constraints: those that hold it are equations, with a multiplier each (Lagrange)."""
    side = plainly(sides, x, lower, upper)
    free = np.flatnonzero(side == 0)
    held = np.where(side < 0, lower, np.where(side > 0, upper, x))
    start = exactly(stop_gradient(x), np.where(np.isfinite(held), held, x))
    which = plainly(binding, constraints, x, free, objective)

    def broken(v):
        values, low, high = limited(constraints, v)
        return (values - np.where(which < 0, low, high))[which != 0]

    def equation(z):
        whole = start.copy()
        whole[free] = z[: len(free)]
        slope = grad(lambda v: objective(v) - z[len(free) :] @ broken(v))(whole)[free]
        return np.concatenate((slope, broken(whole)))

    lengths = plainly(multipliers, objective, broken, x, free)
    solution = implicit(equation, np.concatenate((stop_gradient(x)[free], lengths)), name)
    moved = start.copy()
    moved[free] = solution[: len(free)]
    return moved


def limited(constraints, x):
    """The values of all constraints and what they must lie between."""
    parts = []
    for c in [constraints] if isinstance(constraints, (dict, *_KINDS)) else constraints:
        if isinstance(c, dict):
            value, low = vector(c["fun"](x, *c.get("args", ()))), 0.0
            high = 0.0 if c["type"].lower() == "eq" else np.inf
        else:
            value = vector(c.A @ x if isinstance(c, so.LinearConstraint) else c.fun(x))
            low, high = c.lb, c.ub
        parts.append((value, low + np.zeros(len(value)), high + np.zeros(len(value))))
    return [np.concatenate(column) for column in zip(*parts)]  # noqa: B905


_KINDS = (so.LinearConstraint, so.NonlinearConstraint)


def binding(constraints, x, free, objective):
    """-1 for each constraint that holds `x` at its lower limit, 1 at its upper limit, else 0."""
    values, low, high = limited(constraints, x)
    near = [np.isfinite(b) & (np.abs(values - b) <= 1e-6 * (1 + np.abs(values))) for b in (low, high)]
    found = np.where(near[0], -1, np.where(near[1], 1, 0))
    force = multipliers(objective, lambda v: limited(constraints, v)[0][found != 0], x, free)
    slack = np.abs(force) <= 1e-6 * np.max(np.abs(force), initial=0.0)  # it only touches
    found[np.flatnonzero(found)[slack & (low != high)[found != 0]]] = 0
    return found


def multipliers(objective, broken, x, free):
    slopes = np.reshape(jacobian(broken)(x), (-1, len(x)))[:, free]
    return np.linalg.lstsq(slopes.T, grad(objective)(x)[free], rcond=None)[0]


def sides(x, lower, upper):
    """-1 where `x` is at its lower bound, 1 at its upper bound (but for rounding), else 0."""
    near = 1e-10 * (1 + np.abs(x))
    return np.where(x - lower <= near, -1, np.where(upper - x <= near, 1, 0))


def limits(bounds, n):
    """The lower and upper bounds as arrays."""
    if bounds is None:
        return np.full(n, -np.inf), np.full(n, np.inf)
    if isinstance(bounds, so.Bounds):
        lower, upper = bounds.lb, bounds.ub
    else:
        pairs = list(bounds)
        lower = np.array([-np.inf if low is None else low for low, _ in pairs])
        upper = np.array([np.inf if high is None else high for _, high in pairs])
    return lower + np.zeros(n), upper + np.zeros(n)


@twin(so.minimize)
def _minimize(
    fun, x0, args=(), method=None, jac=None, hess=None, hessp=None, bounds=None, constraints=(), **options
):
    args = tupled(args)
    found = plainly(so.minimize, fun, x0, args, method, jac, hess, hessp, bounds, constraints, **options)

    def objective(v):
        value = fun(v, *args)
        return np.sum(value[0] if jac is True else value)

    x = np.atleast_1d(found.x)
    lower, upper = limits(bounds, len(x))
    if isinstance(constraints, _KINDS) or len(constraints) > 0:
        x = constrained(objective, constraints, x, lower, upper, "scipy.optimize.minimize")
    else:
        x = lowest(objective, x, lower, upper, "scipy.optimize.minimize")
    found["x"] = exactly(found.x, x)
    found["fun"] = exactly(found.fun, objective(x))
    return told(found, ("x", "fun"), x, "scipy.optimize.minimize")


@twin(so.minimize_scalar)
def _minimize_scalar(fun, bracket=None, bounds=None, args=(), *more, **options):
    args = tupled(args)
    found = plainly(so.minimize_scalar, fun, bracket, bounds, args, *more, **options)

    def objective(v):
        return fun(v[0], *args)

    x = np.array([found.x])
    x = lowest(objective, x, np.array([-np.inf]), np.array([np.inf]), "scipy.optimize.minimize_scalar")
    found["x"] = exactly(found.x, x[0])
    found["fun"] = exactly(found.fun, fun(x[0], *args))
    return found


def _search(*args, **options):
    refuse(
        "this function of scipy.optimize has no derivative rule: the derivative of its steps is not that of "
        "the minimum. Use minimize, minimize_scalar, root or least_squares, if need be from where it ended: "
        "tapeless.stop_gradient of its result"
    )


for _name in (
    "fmin", "fmin_powell", "fmin_cg", "fmin_bfgs", "fmin_ncg", "fmin_l_bfgs_b", "fmin_tnc", "fmin_cobyla",
    "fmin_slsqp", "brent", "fminbound", "golden", "basinhopping", "differential_evolution", "dual_annealing",
    "shgo", "direct", "brute", "linprog", "milp", "linprog_verbose_callback", "isotonic_regression",
):  # fmt: skip
    twin(find(f"scipy.optimize.{_name}"))(_search)


# ---- least squares ---------------------------------------------------------------------------------


_LOSS = {
    "linear": lambda z: z,
    "soft_l1": lambda z: 2 * (np.sqrt(1 + z) - 1),
    "huber": lambda z: np.where(z <= 1, z, 2 * np.sqrt(z) - 1),
    "cauchy": lambda z: np.log1p(z),
    "arctan": lambda z: np.arctan(z),
}


@twin(so.least_squares)
def _least_squares(
    fun, x0, jac="2-point", bounds=(-np.inf, np.inf), *more, loss="linear", args=(), **options
):
    if more or loss not in _LOSS:
        refuse(
            "scipy.optimize.least_squares has a derivative rule with keywords, and the losses that it names"
        )
    found = plainly(so.least_squares, fun, x0, jac, bounds, loss=loss, args=args, **options)
    args, named, scale = tupled(args), options.get("kwargs") or {}, options.get("f_scale", 1.0)

    def residuals(v):
        return vector(fun(v, *args, **named))

    def cost(v):
        return 0.5 * scale**2 * np.sum(_LOSS[loss]((residuals(v) / scale) ** 2))

    if isinstance(bounds, so.Bounds):
        bounds = (bounds.lb, bounds.ub)
    lower, upper = bounds[0] + np.zeros(len(found.x)), bounds[1] + np.zeros(len(found.x))
    side = plainly(np.array, found.active_mask)  # it stays a little inside of its bounds
    x = lowest(cost, found.x, lower, upper, "scipy.optimize.least_squares", side)
    found["x"] = x
    found["fun"] = exactly(found.fun, residuals(x))
    found["cost"] = exactly(found.cost, cost(x))
    if loss == "linear" and isinstance(found.jac, np.ndarray):
        found["jac"] = exactly(found.jac, jacobian(residuals)(x))
    known = ("x", "fun", "cost", "jac" if loss == "linear" else "")
    return told(found, known, x, "scipy.optimize.least_squares")


@twin(so.leastsq)
def _leastsq(func, x0, args=(), Dfun=None, full_output=False, *more, **options):  # noqa: N803
    found = plainly(so.leastsq, func, x0, args, Dfun, full_output, *more, **options)
    args = tupled(args)

    def residuals(v):
        return vector(func(v, *args))

    at = np.atleast_1d(found[0])
    if found[-1] not in (1, 2, 3, 4):  # it has found nothing, which SciPy's callers report
        x = untold(found[0], "what scipy.optimize.leastsq leaves where it does not converge", residuals(at))
        return (x, *found[1:])
    ends = np.full(len(at), np.inf)
    x = lowest(lambda v: 0.5 * np.sum(residuals(v) ** 2), at, -ends, ends, "scipy.optimize.leastsq")
    if not full_output:
        return exactly(found[0], x), found[1]
    covariance, info = found[1], found[2]
    if covariance is not None:
        slopes = jacobian(residuals)(x)
        covariance = exactly(covariance, np.linalg.inv(slopes.T @ slopes))
    info["fvec"] = exactly(info["fvec"], residuals(x))
    told(info, ("fvec", "qtf"), x, "scipy.optimize.leastsq")
    return (exactly(found[0], x), covariance, *found[2:])


@twin(find("scipy.optimize._minpack_py._lightweight_memoizer"))
def _lightweight_memoizer(f):
    return f  # a remembered value has no derivative
