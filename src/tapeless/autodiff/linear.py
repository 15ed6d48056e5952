"""The linear record of one run, and the symbolic tangents that are its entries.

While a program runs beside its tangent in reverse mode, every tangent is a `Lin`: an entry of the run's
`Record`, which says how it depends linearly on earlier entries. The record is then applied forwards
(`pushforward`) or transposed (`pullback`), any number of times and from several threads: it is only read,
and each application has its own values.

Both first do plain arithmetic; only if a NaN comes out (or an arithmetic error) they walk again with strong
zeros.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from tapeless.autodiff.slots import Entry, Slots
from tapeless.rules import lookup, tangent
from tapeless.rules.operations import Apply, Gather, Operation, Overwrite, Scale
from tapeless.rules.registry import Elementwise, Linear, Nondifferentiable, Rule, bind
from tapeless.rules.spaces import (
    FLOAT,
    Space,
    Symbolic,
    adjoint,
    fit,
    has_nan,
    inner,
    shadow,
    space_of,
    strong_product,
    unbroadcast,
    zeros,
    zeros_like_space,
)

_new = object.__new__
#: the size from which it pays to look whether a part is all zeros
_LARGE = 1000


class Record:
    """The linear operations of one run, in order."""

    __slots__ = ("entries",)

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def __len__(self) -> int:
        return len(self.entries)

    def append(self, op: Any, parents: tuple[int | None, ...], space: Space) -> Lin:
        """Add an entry whose parents are given by index."""
        entries = self.entries
        lin = _new(Lin)  # without a call of its __init__: this is done for every operation
        lin.record, lin.index, lin.space = self, len(entries), space
        entries.append((op, parents, space))
        return lin

    def input(self, like: Any) -> Lin:
        """An entry for a free tangent, of the space of the value (or Space) `like`."""
        return self.append(None, (), _space(like))

    def linear(self, op: Operation, parents: Iterable[Lin | None], like: Any) -> Lin:
        """An entry for `op` applied to the parents (None is zero); its result lives in the space of
        `like`."""
        return self.append(op, tuple([None if p is None else p.index for p in parents]), _space(like))

    def scale(self, partials: tuple[Any, ...], parents: Sequence[Lin], like: Any) -> Lin:
        """The sum of the parents, each times its partial."""
        return self.linear(Scale(partials), parents, like)

    def add(self, parents: Sequence[Lin], like: Any) -> Lin:
        """The sum of the parents."""
        return self.linear(Scale((1,) * len(parents)), parents, like)

    def gather(self, window: Any, parent: Lin, like: Any) -> Lin:
        """The piece `parent[window]`, or `window(parent)`."""
        if type(like) is np.ndarray:
            return self.append(Gather(window), (parent.index,), Space("array", like.dtype, like.shape))
        return self.append(Gather(window), (parent.index,), _space(like))

    def overwrite(self, window: Any, old: Lin | None, value: Lin | None, like: Any) -> Lin:
        """The array `old` after the store `old[window] = value`."""
        parents = (None if old is None else old.index, None if value is None else value.index)
        return self.append(Overwrite(window), parents, _space(like))

    def pullback(self, outputs: Iterable[tuple[Any, Any]], inputs: Iterable[Any]) -> list[Any]:
        """Transpose: from cotangents of outputs [(Lin, cotangent)] to cotangents of inputs; None is zero.

        The results are fresh: they share no memory with the seeds or with one another.
        """
        return _carefully(self._walk_back, list(outputs), [lin.index for lin in inputs])

    def _walk_back(self, seeds: list[tuple[Any, Any]], wanted: list[int], careful: bool) -> list[Any]:
        entries = self.entries
        last = max((lin.index for lin, _ in seeds), default=-1)
        slots = Slots(entries, max(last, max(wanted, default=-1)) + 1)
        for lin, ct in seeds:
            if ct is not None:
                slots.add(lin.index, ct)
        values, kept = slots.values, set(wanted)
        for index in range(last, -1, -1):
            ct = values[index]
            if ct is None:
                continue
            op, parents, _ = entries[index]
            if type(op) is float:
                term = op * ct
                if careful and term != term and (op == 0.0 or ct == 0.0):
                    term = 0.0
                old = values[parents]
                values[parents] = term if old is None else old + term
                continue  # numbers need not be let go
            if type(op) is tuple:
                if careful:
                    for p, parent in zip(op, parents):  # noqa: B905
                        term = p * ct
                        if term != term and (p == 0.0 or ct == 0.0):
                            term = 0.0
                        old = values[parent]
                        values[parent] = term if old is None else old + term
                    continue
                parent = parents[0]
                old = values[parent]
                values[parent] = op[0] * ct if old is None else old + op[0] * ct
                count = len(op)
                if count > 1:
                    parent = parents[1]
                    old = values[parent]
                    values[parent] = op[1] * ct if old is None else old + op[1] * ct
                    for k in range(2, count) if count > 2 else ():
                        parent = parents[k]
                        old = values[parent]
                        values[parent] = op[k] * ct if old is None else old + op[k] * ct
                continue
            if type(op) is Scale and not careful:
                for p, parent in zip(op.partials, parents):  # noqa: B905
                    if type(p) is int and p == 1:
                        slots.add(parent, ct)
                        continue
                    space = entries[parent][2]
                    if type(p) is np.ndarray:
                        if space is FLOAT and type(ct) is np.ndarray and p.shape == ct.shape:
                            slots.add(parent, float(np.vdot(p, ct).real))
                            continue
                        if p.dtype.kind == "c":
                            p = p.conjugate()
                    elif type(p) is not float:
                        p = adjoint(p)
                    slots.add(parent, p * ct, True)
            elif op is None:
                continue
            elif type(op) is Gather and type(op.window) is int and slots.owned[parents[0]]:
                values[parents[0]][op.window] += ct
            elif op.scatters:
                op.accumulate(slots, index, parents)
            else:
                terms = op.transpose(ct, careful)
                for parent, term in zip(parents, terms):  # noqa: B905
                    if parent is not None and term is not None:
                        slots.add(parent, term)
            if index not in kept:
                values[index] = None
        return [slots.release(index) for index in wanted]

    def pushforward(
        self, tangents: Iterable[tuple[Any, Any]], outputs: Iterable[Any], fixed: bool = False
    ) -> list[Any]:
        """Apply: from tangents of inputs [(Lin, tangent)] to tangents of outputs; None is zero.

        With `fixed` tangents, which depend on nothing that may be differentiated, parts that are all zeros
        are left out: a column of a Jacobian moves few of them.
        """
        walk = self._walk_columns if fixed else self._walk_forward
        return _carefully(walk, list(tangents), list(outputs))

    def _walk_columns(self, seeds: list[tuple[Any, Any]], wanted: list[Any], careful: bool) -> list[Any]:
        return self._walk_forward(seeds, wanted, careful, fixed=True)

    def _walk_forward(
        self, seeds: list[tuple[Any, Any]], wanted: list[Any], careful: bool, fixed: bool = False
    ) -> list[Any]:
        entries = self.entries
        last = max((lin.index for lin in wanted), default=-1)
        values: list[Any] = [None] * max(last + 1, max((lin.index for lin, _ in seeds), default=-1) + 1)
        for lin, t in seeds:
            if t is not None:
                values[lin.index] = fit(t, lin.space)
        parts = {lin.index for lin, _ in seeds}  # what is nothing but parts of them
        for index in range(last + 1):
            op, parents, space = entries[index]
            if op is None or values[index] is not None:
                continue
            if type(op) is float:
                t = values[parents]
                if t is not None:
                    term = op * t
                    values[index] = 0.0 if careful and term != term and (op == 0.0 or t == 0.0) else term
                continue
            if type(op) is tuple:
                total = None
                for k in range(len(op)):
                    p, t = op[k], values[parents[k]]
                    if t is not None:
                        term = p * t
                        if careful and term != term and (p == 0.0 or t == 0.0):
                            term = 0.0
                        total = term if total is None else total + term
                values[index] = total
                continue
            moved = [None if parent is None else values[parent] for parent in parents]
            if all(t is None for t in moved):
                continue
            if op.dense and moved[0] is None:
                moved[0] = zeros(space)
            t = op.apply(*moved, careful=careful)
            if fixed and parents[0] in parts:
                if type(op) is Gather or isinstance(op, Apply) and op.rule.form == "one":
                    parts.add(index)
                    if type(t) is np.ndarray and t.size >= _LARGE and not t.any():
                        continue
            values[index] = None if t is None else fit(t, space)
        return [_fresh(values[lin.index]) for lin in wanted]


def _carefully(walk: Any, seeds: list[tuple[Any, Any]], wanted: list[Any]) -> list[Any]:
    """Plain arithmetic first, and strong zeros if a NaN comes out of it."""
    with np.errstate(all="ignore"):
        try:
            results: list[Any] = walk(seeds, wanted, False)
            again = any([has_nan(r) for r in results])
        except (ArithmeticError, ValueError):
            again = True
        return walk(seeds, wanted, True) if again else results


def _space(like: Any) -> Space:
    """The space of a value that an entry is like."""
    space = space_of(like)
    if space is None:
        raise TypeError(f"a {type(like).__name__} has no derivative, so no entry of a linear map is like it")
    return space


def _fresh(t: Any) -> Any:
    return np.array(t) if isinstance(t, np.ndarray) else t


class Lin(Symbolic):
    """A tangent that is not a number but an entry of a record: a linear function of the record's inputs.

    Tangent rules are written with ordinary operators and NumPy functions, and run on it unchanged as long
    as they are linear: sums, products with constants, and every function with a transpose rule.
    """

    __slots__ = ()
    __hash__ = object.__hash__
    __array_priority__ = 1000.0

    def __init__(self, record: Record, index: int, space: Space) -> None:
        self.record = record
        self.index = index
        self.space = space

    def __repr__(self) -> str:
        return f"Lin({self.index}, {self.space.kind}, {self.space.dtype}, {self.space.shape})"

    @property
    def shape(self) -> tuple[int, ...]:
        return self.space.shape

    @property
    def dtype(self) -> Any:
        return self.space.dtype

    @property
    def ndim(self) -> int:
        return len(self.space.shape)

    @property
    def size(self) -> int:
        return int(np.prod(self.space.shape, dtype=int))

    def __len__(self) -> int:
        return self.space.shape[0]

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TypeError("a symbolic tangent was handed to a function without a linear rule")

    # ---- operators

    def __add__(self, other: Any) -> Any:
        return self if other is None else _ufunc(np.add, self, other)

    def __radd__(self, other: Any) -> Any:
        return self if other is None else _ufunc(np.add, other, self)

    def __sub__(self, other: Any) -> Any:
        return self if other is None else _ufunc(np.subtract, self, other)

    def __rsub__(self, other: Any) -> Any:
        return -self if other is None else _ufunc(np.subtract, other, self)

    def __mul__(self, other: Any) -> Any:
        return self._scaled(other)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Any:
        return _ufunc(np.true_divide, self, other)

    def __matmul__(self, other: Any) -> Any:
        return _call(np.matmul, (self, other), {})

    def __rmatmul__(self, other: Any) -> Any:
        return _call(np.matmul, (other, self), {})

    def __neg__(self) -> Any:
        return self._scaled(-1.0)

    def __pos__(self) -> Any:
        return self

    def __getitem__(self, index: Any) -> Any:
        piece = shadow(self.space)[index]
        return self.record.gather(index, self, piece)

    def _scaled(self, factor: Any) -> Any:
        if isinstance(factor, Symbolic):
            raise TypeError("a product of two tangents is not linear: is this tangent rule right?")
        space = self.space
        if space is FLOAT and type(factor) is float:
            return self.record.append((factor,), (self.index,), FLOAT)
        return self.record.append(Scale((factor,)), (self.index,), _broadcast(space, factor))

    # ---- the methods that tangent rules use

    @property
    def T(self) -> Any:
        return _call(np.transpose, (self,), {})

    @property
    def mT(self) -> Any:
        return self.swapaxes(-1, -2)

    @property
    def real(self) -> Any:
        return _call(np.real, (self,), {})

    @property
    def imag(self) -> Any:
        return _call(np.imag, (self,), {})

    def conj(self) -> Any:
        return _call(np.conjugate, (self,), {})

    def conjugate(self) -> Any:
        return self.conj()

    def reshape(self, *shape: Any) -> Any:
        return _call(np.reshape, (self, shape[0] if len(shape) == 1 else shape), {})

    def swapaxes(self, a: int, b: int) -> Any:
        return _call(np.swapaxes, (self, a, b), {})

    def sum(self, axis: Any = None, keepdims: bool = False) -> Any:
        return _call(np.sum, (self,), {"axis": axis, "keepdims": keepdims})

    def astype(self, dtype: Any) -> Any:
        space = self.space
        return self.record.append(Scale((1,)), (self.index,), Space("array", np.dtype(dtype), space.shape))

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if method == "reduce" and ufunc is np.add:
            return _call(np.sum, inputs, {"axis": 0, **kwargs})
        if method != "__call__" or kwargs.get("out") is not None:
            return NotImplemented
        return _ufunc(ufunc, *inputs)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return _call(func, args, kwargs)


def _broadcast(space: Space, factor: Any) -> Space:
    """The space of a product: found by the types alone, without computing it."""
    if type(factor) is float or type(factor) is int:
        return space
    other = np.asarray(factor)
    if space.kind in ("float", "complex") and other.dtype.kind in "fc" and isinstance(factor, np.ndarray):
        dtype = np.result_type(other.dtype, 1j if space.kind == "complex" else 1.0)
    elif type(factor) is complex:
        dtype = np.result_type(space.dtype, 1j)
    else:
        dtype = np.result_type(space.dtype, other.dtype)
    return Space("array", dtype, np.broadcast_shapes(space.shape, other.shape))


def _ufunc(ufunc: Any, *inputs: Any) -> Any:
    rule = lookup(ufunc)
    tangents = [x if isinstance(x, Symbolic) else None for x in inputs]
    if ufunc is np.multiply:
        a, b = inputs
        return a._scaled(b) if tangents[0] is not None else b._scaled(a)
    if ufunc is np.true_divide and tangents[1] is None:
        return inputs[0]._scaled(np.true_divide(1.0, inputs[1]))
    if isinstance(rule, Elementwise) and rule.constant:
        if any([tangents[k] is None and np.any(inputs[k]) for k in range(len(inputs))]):
            raise TypeError("a tangent plus a constant is not linear: is this tangent rule right?")
        return _on_shadows(rule, ufunc, inputs, {}, tangents)
    if isinstance(rule, Linear):
        return _call(ufunc, inputs, {})
    raise TypeError(f"numpy.{ufunc.__name__} is not linear, so a tangent rule cannot apply it to a tangent")


def _call(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """A NumPy function on symbolic tangents: it must be linear in them."""
    rule = lookup(func)
    if isinstance(rule, (Linear, Elementwise)):
        args, kwargs = bind(rule.names, args, kwargs)
    if isinstance(rule, Nondifferentiable):
        return func(*[_shadow_nest(a) for a in args], **kwargs)
    if isinstance(rule, Linear) or (isinstance(rule, Elementwise) and rule.constant):
        return _on_shadows(rule, func, args, kwargs, [_symbolic_nest(a) for a in args])
    raise TypeError(
        f"{getattr(func, '__name__', func)} has no linear rule, so it cannot take a symbolic tangent"
    )


def _on_shadows(rule: Rule, func: Any, args: Any, kwargs: dict[str, Any], tangents: Any) -> Any:
    stand_ins = tuple(_shadow_nest(a) for a in args)
    return tangent(rule, func(*stand_ins, **kwargs), stand_ins, kwargs, tuple(tangents), {})


def _shadow_nest(a: Any) -> Any:
    if isinstance(a, Symbolic):
        return shadow(a.space)
    return (
        [_shadow_nest(e) for e in a] if isinstance(a, (list, tuple)) and _symbolic_nest(a) is not None else a
    )


def _symbolic_nest(a: Any) -> Any:
    if isinstance(a, Symbolic):
        return a
    if isinstance(a, (list, tuple)):
        found = [_symbolic_nest(e) for e in a]
        return found if any(e is not None for e in found) else None
    return None


__all__ = [
    "Apply",
    "Gather",
    "Lin",
    "Operation",
    "Overwrite",
    "Record",
    "Scale",
    "Slots",
    "Space",
    "Symbolic",
    "inner",
    "shadow",
    "space_of",
    "strong_product",
    "unbroadcast",
    "zeros",
    "zeros_like_space",
]
