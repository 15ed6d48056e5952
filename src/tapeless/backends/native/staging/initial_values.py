"""`scipy.integrate.solve_ivp` with `t_eval`, `dense_output` or `events`, as it is staged: what it has from
each step is kept in arrays, where SciPy keeps objects. The steps are SciPy's own.

The time of an event solves event(t, y(t)) = 0, and has its derivatives from that equation.
"""
# Opened like functions of the program: they stay without annotations.
# mypy: disable-error-code="no-untyped-def,no-untyped-call,var-annotated,index"

from __future__ import annotations

import numpy as np
from scipy.integrate import OdeSolution  # type: ignore[import-untyped]
from scipy.integrate._ivp.ivp import MESSAGES, METHODS, OdeResult  # type: ignore[import-untyped]

from tapeless.custom import stop_gradient
from tapeless.transformed import grad

#: The methods whose interpolants are made of an array and where they start.
EXPLICIT = ("RK23", "RK45", "DOP853")


def leave():
    """Leave the call to the plain program."""


def depth():
    """How many derivatives are being taken, one inside the other."""


def later(result, name, make):
    """An item of a result that is made when it is asked for."""


class Solution(OdeSolution):  # type: ignore[misc]
    """The interpolants of all steps."""

    def __init__(self, kind, ts, ends, starts, arrays):
        self.kind, self.starts, self.arrays = kind, np.array(starts), np.array(arrays)
        self.ends = np.array(ends)  # of the steps, the last of which an event may cut
        self.ts = np.array(ts)
        self.n_segments = len(starts)
        self.ascending = bool(self.ts[-1] >= self.ts[0])
        if self.ascending:
            self.t_min, self.t_max = self.ts[0], self.ts[-1]
        else:
            self.t_min, self.t_max = self.ts[-1], self.ts[0]

    @property
    def interpolants(self):
        leave()

    def at(self, t):
        """The solution at a time; between two steps, it is the first one's."""
        ts, low, high = self.ts, 0, self.n_segments - 1
        while low < high:
            middle = (low + high) // 2
            if t <= ts[middle + 1] if self.ascending else t >= ts[middle + 1]:
                high = middle
            else:
                low = middle + 1
        return self.kind(ts[low], self.ends[low], self.starts[low], self.arrays[low])(t)

    def __call__(self, t):
        t = np.asarray(t)
        if t.ndim == 0:
            return self.at(t[()])
        values = np.empty((self.starts.shape[1], t.size))
        for i in range(t.size):
            values[:, i] = self.at(t[i])
        return values


def between(f, a, b):
    """Where `f` is zero; it is, or has another sign, at `a` than at `b`."""
    start = f(a)
    if start == 0:
        return a
    if f(b) == 0:
        return b
    while True:
        middle = 0.5 * (a + b)
        if middle in (a, b):
            return b
        value = f(middle)
        if value == 0:
            return middle
        if (value > 0) == (start > 0):
            a = middle
        else:
            b = middle


def root(event, sol, t_old, t):
    def f(t):
        return event(t, sol(t))

    found = stop_gradient(between(f, stop_gradient(t_old), stop_gradient(t)))
    if depth():
        slope = stop_gradient(grad(f)(found))
        if slope == 0:
            leave()
        for _ in range(max(2, depth())):  # each step of Newton's method gives one more derivative
            found = found - f(found) / slope
    return found


def crosses(before, after, direction):
    """Whether an event has occurred between two times."""
    up, down = before <= 0 and after >= 0, before >= 0 and after <= 0
    return up and direction >= 0 or down and direction <= 0


def solve_ivp(
    fun, t_span, y0, method="RK45", t_eval=None, dense_output=False, events=None, vectorized=False, args=None,
    **options,
):  # fmt: skip
    t0, tf = map(float, t_span)
    if t0 == tf:
        leave()
    if t_eval is not None:
        t_eval = np.asarray(t_eval)
        inside = np.all(t_eval >= min(t0, tf)) and np.all(t_eval <= max(t0, tf))
        if not inside or not np.all(np.diff(t_eval) * (tf - t0) > 0):
            leave()
    if events is None:
        events = ()
    elif callable(events):
        events = (events,)
    limits = [getattr(e, "terminal", None) or 0 for e in events]
    ways = [getattr(e, "direction", 0) for e in events]
    if args is not None:
        rest = args
        plain, marks = fun, events

        def fun(t, x):
            return plain(t, x, *rest)

        def with_arguments(event):
            return lambda t, x: event(t, x, *rest)

        events = [with_arguments(e) for e in marks]
    if any(int(n) != n or n < 0 for n in limits):
        leave()
    solver = METHODS[method](fun, t0, y0, tf, vectorized=vectorized, **options)
    way = solver.direction
    ts, ys, starts, arrays = [t0], [y0], [], []
    times, ends = [t0], []
    values = None if t_eval is None else np.empty((solver.n, t_eval.size), dtype=solver.y.dtype)
    done = 0
    marks = [event(t0, y0) for event in events]
    counts = [0] * len(limits)
    t_events = [[] for _ in limits]
    y_events = [[] for _ in limits]
    status = None
    while status is None:
        t_old, y_old = solver.t, solver.y
        message = solver.step()
        if solver.status == "finished":
            status = 0
        elif solver.status == "failed":
            status = -1
            break
        t, y = solver.t, solver.y
        if t == t_old:
            leave()
        after = [event(t, y) for event in events]
        hits = [crosses(g, h, d) for g, h, d in zip(marks, after, ways, strict=True)]
        marks = after
        wanted = False
        if t_eval is not None:
            wanted = done < t_eval.size and way * (t_eval[done] - t) <= 0
        if dense_output or wanted or any(hits):
            # of one class, and not None, on every path
            begin, end = np.float64(t_old), np.float64(t)
            solver.t_old, solver.t, solver.y_old, solver.h_previous = begin, end, y_old, end - begin
            sol = solver._dense_output_impl()
            solver.t = t
            last, t_last = -1, end
            roots = [end] * len(limits)
            for k in range(len(limits)):
                if hits[k]:
                    roots[k] = root(events[k], sol, begin, end)
                    counts[k] += 1
                    if limits[k] and counts[k] >= limits[k] and (last < 0 or way * (roots[k] - t_last) < 0):
                        last, t_last = k, roots[k]
            for k in range(len(limits)):
                before = way * (roots[k] - t_last) < 0 or (roots[k] == t_last and k <= last)
                if hits[k] and (last < 0 or before):
                    t_events[k].append(roots[k])
                    y_events[k].append(sol(roots[k]))
            if last >= 0:
                status, t = 1, t_last
                y = sol(t)
            if t_eval is not None:
                while done < t_eval.size and way * (t_eval[done] - t) <= 0:
                    values[:, done] = sol(t_eval[done])
                    done += 1
            if dense_output:
                if t == times[-1]:
                    leave()
                times.append(t)
                ends.append(end)
                starts.append(sol.y_old)
                arrays.append(sol.F if method == "DOP853" else sol.Q)
        if t_eval is None:
            ts.append(t)
            ys.append(y)
    if t_eval is None:
        t, y = np.array(ts), np.vstack(ys).T
    else:
        if not done:
            leave()
        t, y = t_eval[:done].copy(), values[:, :done].copy()
    message = MESSAGES.get(status, message)
    sol = Solution(type(sol), times, ends, starts, arrays) if dense_output else None
    result = OdeResult(
        t=t, y=y, sol=sol, t_events=None, y_events=None, nfev=solver.nfev, njev=solver.njev, nlu=solver.nlu,
        status=status, message=message, success=status >= 0,
    )  # fmt: skip
    if limits:
        result["t_events"] = [np.asarray(found) for found in t_events]
        later(result, "y_events", lambda: [np.asarray(found) for found in y_events])
    return result
