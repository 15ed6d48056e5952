"""The linear operations that an entry of a record can hold.

An operation has `apply(*tangents)` and `transpose(ct)`, which returns one cotangent per parent; both may be
asked for with strong zeros (`careful=True`). Operations with `scatters = True` add into the buffer of their
parent instead, in time proportional to the piece they touch: `accumulate(slots, index, parents)`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tapeless.rules.registry import Linear
from tapeless.rules.spaces import Space, adjoint, shadow, space_of, strong_product, zeros


class Operation:
    """A linear operation. `dense` asks that a parent without tangent is handed over as zeros."""

    __slots__ = ()
    scatters = False
    dense = False

    def apply(self, *tangents: Any, careful: bool = False) -> Any:
        raise NotImplementedError

    def transpose(self, ct: Any, careful: bool = False) -> tuple[Any, ...]:
        raise NotImplementedError

    def accumulate(self, slots: Any, index: int, parents: tuple[int | None, ...]) -> None:
        raise NotImplementedError


class Scale(Operation):
    """The sum of the parents, each times a partial."""

    __slots__ = ("partials",)

    def __init__(self, partials: tuple[Any, ...]) -> None:
        self.partials = partials

    def apply(self, *tangents: Any, careful: bool = False) -> Any:
        total = None
        for k in range(len(tangents)):
            p, t = self.partials[k], tangents[k]
            if t is not None:
                term = t if type(p) is int and p == 1 else strong_product(p, t) if careful else p * t
                total = term if total is None else total + term
        return total

    def transpose(self, ct: Any, careful: bool = False) -> tuple[Any, ...]:
        out = []
        for p in self.partials:
            if type(p) is int and p == 1:
                out.append(ct)
            else:
                out.append(strong_product(adjoint(p), ct) if careful else adjoint(p) * ct)
        return tuple(out)


class Apply(Operation):
    """A function that a `Linear` rule describes, applied to tangents in the place of some of its arguments.

    `paths` says for every parent which argument it is, and where in it when the argument is a nest of lists.
    """

    __slots__ = ("args", "kwargs", "paths", "rule")

    def __init__(
        self, rule: Linear, args: tuple[Any, ...], kwargs: dict[str, Any], paths: tuple[tuple[int, ...], ...]
    ) -> None:
        self.rule = rule
        # the program may change its lists later
        self.args = tuple(map(_copied, args)) if any(len(p) > 1 for p in paths) else args
        self.kwargs = kwargs
        self.paths = paths

    def apply(self, *tangents: Any, careful: bool = False) -> Any:
        rule, total = self.rule, None
        if rule.form == "each":
            for k in range(len(tangents)):
                path, t = self.paths[k], tangents[k]
                if t is not None:
                    args = list(self.args)
                    args[path[0]] = t
                    term = careful_product(rule, rule.apply, args, path[0], self.kwargs) if careful else None
                    term = rule.apply(*args, **self.kwargs) if term is None else term
                    total = term if total is None else total + term
            return total
        args = list(self.args)
        for position in rule.positions:
            if position < len(args):
                args[position] = _zero_nest(args[position])
        for k in range(len(tangents)):
            path, t = self.paths[k], tangents[k]
            if t is not None:
                _put(args, path, t)
        return rule.apply(*args, **self.kwargs)

    def transpose(self, ct: Any, careful: bool = False) -> tuple[Any, ...]:
        rule = self.rule
        if rule.form == "one":
            whole = rule.transpose(ct, *self.args, **self.kwargs)
            return tuple(_pick(whole, path) for path in self.paths)
        done: dict[int, Any] = {}
        out = []
        for path in self.paths:
            wrt = path[0]
            if wrt not in done:
                done[wrt] = self._cotangent(ct, wrt, careful)
            out.append(_pick(done[wrt], path))
        return tuple(out)

    def _cotangent(self, ct: Any, wrt: int, careful: bool) -> Any:
        rule = self.rule
        if careful and rule.form == "each":

            def back(ct: Any, *args: Any, **kwargs: Any) -> Any:
                return rule.transpose(ct, *args, wrt=wrt, **kwargs)

            found = careful_product(rule, back, [ct, *self.args], 0, self.kwargs, wrt)
            if found is not None:
                return found
        return rule.transpose(ct, *self.args, wrt=wrt, **self.kwargs)


_FACTORS = (np.ndarray, np.generic, float, complex, int)  # and not the subscripts of `einsum`


def careful_product(
    rule: Linear,
    call: Callable[..., Any],
    args: list[Any],
    moving: int,
    kwargs: dict[str, Any],
    wrt: int | None = None,
) -> Any:
    """A sum of products with strong zeros, where some factor is infinite or NaN; None if all factors are
    finite.

    The finite parts are multiplied as usual. A second call with 0 and 1 in the place of numbers finds the
    results in which a non-finite factor meets one that is not zero: only these keep what plain arithmetic
    gives, or are the infinity that a third call with the signs finds if all such terms have the same.
    """
    offset = 0 if wrt is None else 1
    places = [p + offset for p in rule.positions if p != wrt and p + offset < len(args)]
    factors = [moving] + [k for k in places if k != moving and isinstance(args[k], _FACTORS)]
    if all(np.isfinite(args[k]).all() for k in factors):
        return None
    plain = call(*args, **kwargs)
    finite, touched = list(args), np.zeros(np.shape(plain), bool)
    terms: Any = 0.0
    balance: Any = 0.0
    signed = not any([np.iscomplexobj(args[k]) or np.isnan(args[k]).any() for k in factors])
    for k in factors:
        finite[k] = np.where(np.isfinite(args[k]), args[k], 0)
    for k in factors:
        marks = list(args)
        for j in factors:
            marks[j] = np.asarray(~np.isfinite(args[j]) if j == k else np.not_equal(args[j], 0), float)
        count = np.asarray(call(*marks, **kwargs))
        touched, terms = touched | (count != 0), terms + count
        if signed:
            marks = [m if a is m else np.sign(a) * (m != 0) for a, m in zip(args, marks, strict=True)]
            balance = balance + np.asarray(call(*marks, **kwargs))
    if signed:
        plain, alike = np.asarray(plain), touched & (np.abs(balance) == terms)
        plain = np.where(alike, np.copysign(np.inf, balance), plain).astype(plain.dtype)
    return np.where(touched, plain, call(*finite, **kwargs))


def _copied(x: Any) -> Any:
    return [_copied(e) for e in x] if type(x) is list else x


def _zero_nest(x: Any) -> Any:
    if isinstance(x, (list, tuple)):
        return [_zero_nest(e) for e in x]
    space = space_of(x)
    if space is not None:
        return shadow(space)
    return np.zeros(np.shape(x)) if isinstance(x, np.ndarray) and x.dtype.kind in "iub" else 0.0


def _put(args: list[Any], path: tuple[int, ...], t: Any) -> None:
    target: Any = args
    for step in path[:-1]:
        target = target[step]
    target[path[-1]] = t


def _pick(ct: Any, path: tuple[int, ...]) -> Any:
    for step in path[1:]:
        ct = ct[step]
    return ct


def freeze(index: Any) -> Any:
    """A copy of an index whose arrays and lists the program may change later."""
    if isinstance(index, np.ndarray):
        return index.copy() if index.ndim else index[()]
    if isinstance(index, list):
        return np.array(index) if index else np.zeros(0, np.intp)
    if type(index) is tuple:
        return tuple(freeze(i) for i in index)
    return index


def _fancy(index: Any) -> bool:
    """Whether an index may name one element twice (an array of integers)."""
    parts = index if type(index) is tuple else (index,)
    return any(isinstance(i, np.ndarray) and i.dtype.kind in "iu" for i in parts)


def overlaps_itself(view: Any) -> bool:
    """Whether two elements of a view may share memory, as in a broadcast or a sliding window."""
    if view.flags.forc:
        return False
    strides, shape = view.strides, view.shape
    for k in range(len(shape)):
        if shape[k] > 1:
            step, span = abs(strides[k]), view.itemsize  # a step must reach past all that lies within it
            for j in range(len(shape)):
                if shape[j] > 1 and (abs(strides[j]), j) < (step, k):
                    span += abs(strides[j]) * (shape[j] - 1)
            if step < span:
                return True
    return False


def add_into(view: Any, ct: Any) -> None:
    """`view += ct`, where elements of the view that are one in memory get the sum."""
    if not overlaps_itself(view):
        view += ct
        return
    ct = np.broadcast_to(ct, view.shape)
    flat = view
    for k in range(view.ndim):  # an axis without stride is one element many times
        if view.strides[k] == 0 and view.shape[k] > 1:
            ct = ct.sum(axis=k, keepdims=True)
            flat = flat[(slice(None),) * k + (slice(0, 1),)]
    if not overlaps_itself(flat):
        flat[...] += ct
        return
    for place in np.ndindex(*flat.shape):  # a sliding window
        flat[place] += ct[place]


class Gather(Operation):
    """A piece of the parent: `parent[window]`, or `window(parent)` for a callable that makes a view."""

    __slots__ = ("fancy", "window")
    scatters = True

    def __init__(self, window: Any) -> None:
        if type(window) is int or callable(window):
            self.window, self.fancy = window, False
        else:
            self.window = freeze(window)
            self.fancy = _fancy(self.window)

    def apply(self, *tangents: Any, careful: bool = False) -> Any:
        window = self.window
        piece = window(tangents[0]) if callable(window) else tangents[0][window]
        return piece.copy() if isinstance(piece, np.ndarray) else piece

    def accumulate(self, slots: Any, index: int, parents: tuple[int | None, ...]) -> None:
        parent = parents[0]
        ct = slots.values[index]
        if parent is None or ct is None:
            return
        if slots.entries[parent][2].kind != "array":  # s[..., None] of a NumPy scalar
            slots.add(parent, ct)
            return
        buffer, window = slots.own(parent), self.window
        if callable(window):
            add_into(window(buffer), ct)
        elif self.fancy:
            np.add.at(buffer, window, ct)
        else:
            buffer[window] += ct

    def transpose(self, ct: Any, careful: bool = False) -> tuple[Any, ...]:
        raise NotImplementedError("a Gather adds into its parent's buffer: see accumulate")


class Overwrite(Operation):
    """A store `old[window] = value`: parents (old version, stored value), either of which may be None (no
    tangent).

    Backwards the buffer of the new version becomes the one of the old version, with the window set to zero.
    """

    __slots__ = ("fancy", "window")
    scatters = True
    dense = True

    def __init__(self, window: Any) -> None:
        if type(window) is int or callable(window):
            self.window, self.fancy = window, False
        else:
            self.window = freeze(window)
            self.fancy = _fancy(self.window)

    def apply(self, *tangents: Any, careful: bool = False) -> Any:
        new, value = np.array(tangents[0], order="C"), tangents[1]  # in the order that windows expect
        stored = 0.0 if value is None else value
        if callable(self.window):
            self.window(new)[...] = stored
        else:
            new[self.window] = stored
        return new

    def accumulate(self, slots: Any, index: int, parents: tuple[int | None, ...]) -> None:
        if slots.values[index] is None:
            return
        buffer, window = slots.own(index), self.window
        if callable(window):
            view = window(buffer)
            piece = view.copy()
            view[...] = 0
        else:
            piece = buffer[window]
            if self.fancy:  # of several stores into one element the last one counts
                numbers = np.arange(piece.size).reshape(piece.shape)
                winners = np.zeros(buffer.shape, np.intp)
                winners[window] = numbers
                piece = np.where(winners[window] == numbers, piece, 0)
            elif isinstance(piece, np.ndarray):
                piece = piece.copy()
            buffer[window] = 0
        old, value = parents
        if value is not None:
            slots.add(value, piece, owned=isinstance(piece, np.ndarray))
        if old is not None:
            slots.values[index] = None
            slots.add(old, buffer, owned=True)


__all__ = [
    "Apply",
    "Gather",
    "Operation",
    "Overwrite",
    "Scale",
    "Space",
    "careful_product",
    "freeze",
    "zeros",
]
