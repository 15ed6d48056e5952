"""Checks of one rule at one call, written once for every kind of rule.

`check` compares the rule with finite differences of the plain call, the modes with one another, and the
pullback with the pushforward by the dot-product identity. It raises AssertionError with what differs.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from tapeless.autodiff.linear import Lin, Record
from tapeless.rules import Elementwise, Jvp, Linear, Rule, tangent
from tapeless.rules.spaces import inner, space_of


def call(function: Any, args: Any, kwargs: Any) -> Any:
    """Call a function, or read an attribute descriptor."""
    if callable(function):
        return function(*args, **kwargs)
    return function.__get__(args[0])


def places(rule: Rule, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[tuple[Any, ...]]:
    """The paths of all numbers and arrays in the arguments that the rule differentiates."""
    if isinstance(rule, Linear):
        keys: list[Any] = [k for k in rule.positions if k < len(args)]
    elif isinstance(rule, Jvp):
        keys = list(range(min(rule.count, len(args))))
    else:
        assert isinstance(rule, Elementwise)
        n = (
            len(rule.partials)
            if rule.separate
            else len(args)
            if rule.variadic and len(rule.names) == 0
            else None
        )
        keys = list(range(len(args) if n is None else min(n, len(args))))
    keys += [k for k in kwargs if k in rule.names]  # type: ignore[attr-defined]
    found: list[tuple[Any, ...]] = []

    def visit(x: Any, path: tuple[Any, ...]) -> None:
        if isinstance(x, (list, tuple)):
            for i, e in enumerate(x):
                visit(e, (*path, i))
        elif space_of(x) is not None:
            found.append(path)

    for key in keys:
        visit(args[key] if isinstance(key, int) else kwargs[key], (key,))
    return found


def at(args: Any, kwargs: Any, path: tuple[Any, ...]) -> Any:
    x = args[path[0]] if isinstance(path[0], int) else kwargs[path[0]]
    for step in path[1:]:
        x = x[step]
    return x


def put(args: Any, kwargs: Any, values: dict[Any, Any], blank: bool = False) -> tuple[Any, Any]:
    """The arguments with other leaves; with `blank` the companions: None where no value is given."""

    def rebuild(x: Any, path: tuple[Any, ...]) -> Any:
        if path in values:
            return values[path]
        if isinstance(x, (list, tuple)) and any(p[: len(path)] == path for p in values):
            out = [rebuild(e, (*path, i)) for i, e in enumerate(x)]
            return out if isinstance(x, list) else tuple(out)
        return None if blank else x

    return tuple(rebuild(a, (i,)) for i, a in enumerate(args)), {
        k: rebuild(v, (k,)) for k, v in kwargs.items()
    }


def noise(x: Any, rng: np.random.Generator) -> Any:
    """A random direction in the space of `x`."""
    space = space_of(x)
    assert space is not None
    d = rng.uniform(0.3, 1.0, space.shape) * rng.choice([-1.0, 1.0], space.shape)
    if space.dtype.kind == "c":
        d = d + 1j * rng.uniform(-1.0, 1.0, space.shape)
    d = np.asarray(d, space.dtype)
    return d if space.kind == "array" else d[()] if space.kind == "scalar" else d.item()


def results(y: Any) -> list[Any]:
    """The differentiable leaves of a result, None for the others."""
    if isinstance(y, (list, tuple)):
        return [leaf for e in y for leaf in results(e)]
    return [y if space_of(y) is not None else None]


def flat(t: Any, y: Any) -> list[Any]:
    if isinstance(y, (list, tuple)):
        return [leaf for i, e in enumerate(y) for leaf in flat(None if t is None else t[i], e)]
    return [t]


def difference(f: Any, step: float = 1e-3) -> list[Any]:
    """The derivative at 0 of the leaves of f(h): central differences, extrapolated twice."""

    def central(h: float) -> list[Any]:
        return [
            None if a is None else (np.asarray(a) - b) / (2 * h)
            for a, b in zip(results(f(h)), results(f(-h)), strict=False)
        ]

    table = [central(step), central(step / 2), central(step / 4)]
    out = []
    for a, b, c in zip(*table, strict=False):
        if a is None:
            out.append(None)
            continue
        ab, bc = (4 * b - a) / 3, (4 * c - b) / 3
        out.append((16 * bc - ab) / 15)
    return out


def same_space(t: Any, y: Any) -> None:
    space = space_of(y)
    got = space_of(t)
    assert got == space, f"the tangent of {space} lives in {got}"


def close(a: Any, b: Any, tol: float, what: str) -> None:
    a, b = 0.0 if a is None else a, 0.0 if b is None else b
    scale = max(1.0, float(np.max(np.abs(b), initial=0.0)))
    error = float(np.max(np.abs(np.asarray(a) - b), initial=0.0))
    assert error <= tol * scale, f"{what}: {a!r} is not {b!r} (off by {error:.2e})"


def check(
    rule: Rule,
    function: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    singular: bool = False,
    tol: float = 3e-7,
    seed: int = 7,
) -> None:
    """Everything that must hold for a rule at one call."""
    rng = np.random.default_rng(seed)
    paths = places(rule, args, kwargs)
    loose = 1.0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with np.errstate(all="ignore"):
            y = call(function, args, kwargs)
            directions = {p: noise(at(args, kwargs, p), rng) for p in paths}

            def companion(chosen: Any) -> Any:
                targs, tkwargs = put(args, kwargs, chosen, blank=True)
                return tangent(rule, y, args, kwargs, targs, tkwargs)

            ts = flat(companion(directions), y)
            ys = results(y)
            for t, leaf in zip(ts, ys, strict=True):
                assert leaf is not None or t is None
                if t is not None:
                    same_space(t, leaf)
            if any(leaf is not None and np.finfo(np.asarray(leaf).dtype).bits < 64 for leaf in ys):
                tol, loose = np.inf, 1e10  # nothing is seen by differences in single precision
            if not singular:
                _against_differences(function, args, kwargs, directions, ts, tol)
                _part_by_part(companion, directions, ts, y, loose)
            _modes(rule, y, args, kwargs, paths, directions, ts, ys, rng, singular, loose)
            if singular:
                _strong_zeros(rule, y, args, kwargs, paths, directions)


def _against_differences(function: Any, args: Any, kwargs: Any, directions: Any, ts: Any, tol: float) -> None:
    def moved(h: float) -> Any:
        values = {p: np.add(at(args, kwargs, p), np.multiply(h, d)) for p, d in directions.items()}
        values = {
            p: v if isinstance(at(args, kwargs, p), np.ndarray) else type(at(args, kwargs, p))(v[()])
            for p, v in values.items()
        }
        values = {
            p: np.asarray(v) if isinstance(at(args, kwargs, p), np.ndarray) else v for p, v in values.items()
        }
        return call(function, *put(args, kwargs, values))

    for t, fd in zip(ts, difference(moved), strict=True):
        if fd is not None:
            close(t, fd, tol, "tangent against differences")


def _part_by_part(companion: Any, directions: Any, ts: Any, y: Any, loose: float) -> None:
    """The tangent is linear: each argument alone (the others None) adds up to all together."""
    total = [0.0 for _ in ts]
    for p, d in directions.items():
        part = flat(companion({p: d}), y)
        total = [s if t is None else s + np.asarray(t) for s, t in zip(total, part, strict=True)]
    for s, t in zip(total, ts, strict=True):
        close(s, t, 1e-9 * min(loose, 1e7), "sum of the parts")


def _modes(
    rule: Rule,
    y: Any,
    args: Any,
    kwargs: Any,
    paths: Any,
    directions: Any,
    ts: Any,
    ys: Any,
    rng: Any,
    singular: bool,
    loose: float,
) -> None:
    record = Record()
    inputs = {p: record.input(at(args, kwargs, p)) for p in paths}
    targs, tkwargs = put(args, kwargs, inputs, blank=True)
    lins = flat(tangent(rule, y, args, kwargs, targs, tkwargs), y)
    outputs = [(k, lin) for k, lin in enumerate(lins) if lin is not None]
    for k, lin in outputs:
        assert isinstance(lin, Lin)
        assert lin.space == space_of(ys[k]), f"the entry of {space_of(ys[k])} lives in {lin.space}"
    for k, lin in enumerate(lins):
        assert lin is not None or ts[k] is None or not np.any(ts[k]), (
            "forward has a tangent, reverse has none"
        )
    if not outputs:
        return
    pushed = record.pushforward([(inputs[p], directions[p]) for p in paths], [lin for _, lin in outputs])
    for (k, _), t in zip(outputs, pushed, strict=True):
        if not singular or np.isfinite(ts[k]).all():
            close(t, ts[k], 1e-12 * loose, "record applied against numbers")
            assert t is None or space_of(t) == space_of(ys[k])
    if singular:
        return
    cts = [noise(ys[k], rng) for k, _ in outputs]
    back = record.pullback(
        [(lin, ct) for (_, lin), ct in zip(outputs, cts, strict=False)], [inputs[p] for p in paths]
    )
    for p, ct in zip(paths, back, strict=True):
        if ct is not None:
            same_space(ct, at(args, kwargs, p))
    left = sum(inner(ct, t) for ct, t in zip(cts, pushed, strict=False))
    right = sum(inner(ct, directions[p]) for p, ct in zip(paths, back, strict=False))
    close(left, right, 1e-10 * min(loose, 1e8), "dot-product identity")
    again = record.pullback(
        [(lin, ct) for (_, lin), ct in zip(outputs, cts, strict=False)], [inputs[p] for p in paths]
    )
    for a, b in zip(back, again, strict=False):
        close(a, b, 0.0, "a second application of the same record")


def _strong_zeros(rule: Rule, y: Any, args: Any, kwargs: Any, paths: Any, directions: Any) -> None:
    """Zero tangents and cotangents stay zero whatever the partials are."""
    nothing = {p: d * 0 for p, d in directions.items()}
    targs, tkwargs = put(args, kwargs, nothing, blank=True)
    for t in flat(tangent(rule, y, args, kwargs, targs, tkwargs), y):
        close(t, 0.0, 0.0, "a zero tangent")
    record = Record()
    inputs = [record.input(at(args, kwargs, p)) for p in paths]
    targs, tkwargs = put(args, kwargs, dict(zip(paths, inputs, strict=False)), blank=True)
    lins = [t for t in flat(tangent(rule, y, args, kwargs, targs, tkwargs), y) if t is not None]
    for ct in record.pullback([(lin, np.zeros(lin.shape)) for lin in lins], inputs):
        close(ct, 0.0, 0.0, "a zero cotangent")
