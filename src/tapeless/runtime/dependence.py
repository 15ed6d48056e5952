"""On which inputs the entries of a linear record depend: bits go through it where tangents would.

A word of 64 bits takes the place of a number, "or" that of a sum.  An operation that is not known here
makes each element of its result depend on all of its operands: the answer errs on the side of "yes".
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tapeless.rules import lookup
from tapeless.rules.operations import Apply, Gather, Overwrite, Scale
from tapeless.rules.spaces import Space
from tapeless.runtime.linearized import Linearized, collect_lins, rebuild, seed_plan
from tapeless.runtime.operations import Stack
from tapeless.sparsity import Words

#: Functions whose results are elements of their operands, or zeros.
MOVES = frozenset(
    map(
        lookup,
        [
            np.where, np.take_along_axis, np.reshape, np.ravel, np.transpose, np.swapaxes, np.moveaxis,
            np.squeeze, np.expand_dims, np.broadcast_to, np.flip, np.roll, np.repeat, np.triu, np.tril,
            np.diagonal, np.diag, np.diagflat, np.concatenate, np.stack, np.array, np.full,
            np.ndarray.reshape, np.ndarray.transpose, np.linalg.matrix_transpose,
        ],
    )
)  # fmt: skip
#: Sums of (products with constants of) elements: positive numbers cannot cancel there.
SUMS = frozenset(
    map(
        lookup,
        [
            np.matmul, np.dot, np.vdot, np.inner, np.outer, np.einsum, np.kron, np.sum, np.add.reduce,
            np.mean, np.cumsum, np.add.accumulate, np.add.reduceat, np.trace, np.convolve, np.bincount,
        ],
    )
)  # fmt: skip
SUM = lookup(np.sum)
#: Words pass through functions of shorter floats in pieces of so many bits, which a float32 holds exactly.
PIECE = 16
ZERO = np.uint64(0)


def propagate(lin: Linearized, k: int, outputs: Any, words: Words) -> Words:
    """The words of the result, for those of the argument number `k`; the other arguments have none."""
    seeds: dict[int, Any] = {}
    x = lin.plans[k].value
    for shift in range(0, 64, PIECE):
        piece = (words >> np.uint64(shift)) & np.uint64(2**PIECE - 1)
        part: dict[int, Any] = {}
        seed_plan(lin.plans[k], piece.astype(x.dtype).reshape(x.shape), part, set())
        for index, t in part.items():
            seeds[index] = seeds.get(index, ZERO) | (t.astype(np.uint64) << np.uint64(shift))
    found: list[Any] = []
    collect_lins(outputs, found, set())
    values = _walk(lin.run.record.entries, seeds, max((out.index for out in found), default=-1) + 1)
    table = {out.index: values[out.index] for out in found if values[out.index] is not None}
    return np.asarray(rebuild(outputs, table, {})).astype(np.uint64).reshape(-1)


def _walk(entries: list[Any], seeds: dict[int, Any], stop: int) -> list[Any]:
    values: list[Any] = [None] * stop
    for index in range(stop):
        op, parents, space = entries[index]
        if op is None:
            values[index] = seeds.get(index)
        elif type(op) is float:
            values[index] = values[parents]
        elif type(op) is tuple:
            total = 0
            for parent in parents:
                total |= values[parent] or 0
            values[index] = total or None
        else:
            moved = [None if parent is None else values[parent] for parent in parents]
            if any(w is not None for w in moved):
                values[index] = _shaped(
                    _through(op, moved, [_space(entries, p) for p in parents], space), space
                )
    return values


def _space(entries: list[Any], parent: int | None) -> Space | None:
    return None if parent is None else entries[parent][2]


def _shaped(words: Any, space: Space) -> Any:
    """Words as a member of the result's space: a Python integer for a number."""
    if space.kind != "array":
        return _all(words)
    words = np.asarray(words, np.uint64)
    try:
        return np.broadcast_to(words, space.shape)
    except ValueError:
        return np.full(space.shape, _all(words), np.uint64)


def _all(words: Any) -> int:
    return words if type(words) is int else int(np.bitwise_or.reduce(np.ravel(words), initial=ZERO))


def _through(op: Any, moved: list[Any], spaces: list[Space | None], space: Space) -> Any:
    """The words of an operation's result."""
    kind = type(op)
    if kind is Scale:
        total: Any = ZERO
        for words in moved:
            if words is not None:
                total = total | np.asarray(words, np.uint64)
        return total
    real = all(s is None or s.dtype.kind == "f" for s in (*spaces, space))
    if kind in (Gather, Overwrite) and real:
        dense = moved
        if kind is Overwrite and moved[0] is None:
            dense = [np.zeros(space.shape, np.uint64), moved[1]]
        if callable(op.window):  # it looks at memory of the array's own type
            made = _in_pieces(op, dense, space.dtype)
            if made is not None:
                return made
        else:
            return op.apply(*[None if words is None else np.asarray(words, np.uint64) for words in dense])
    if kind is Stack:
        return np.array([0 if words is None else words for words in moved], np.uint64)
    if isinstance(op, Apply) and real and op.rule is not None:
        made = (
            _in_pieces(op, moved, np.float64)
            if op.rule in MOVES
            else _sums(op, moved)
            if op.rule in SUMS
            else None
        )
        if made is not None:
            return made
    total = 0
    for words in moved:
        if words is not None:
            total |= _all(words)
    return np.full(space.shape, total, np.uint64)


def _in_pieces(op: Any, moved: list[Any], dtype: Any) -> Any:
    """An operation that only moves elements, applied to floats; None if it gives other ones."""
    if dtype == np.float64:  # as many bits, and moving a float does not look at them
        given = [None if words is None else np.asarray(words, np.uint64).view(np.float64) for words in moved]
        found = np.asarray(op.apply(*given))
        return found.view(np.uint64) if found.dtype == np.float64 else None
    whole: Any = ZERO
    for shift in range(0, 64, PIECE):
        pieces = [None if words is None else _piece(words, shift, dtype) for words in moved]
        made = np.asarray(op.apply(*pieces))
        if made.dtype != dtype:
            return None
        whole = whole | (made.astype(np.uint64) << np.uint64(shift))
    return whole


def _piece(words: Any, shift: int, dtype: Any) -> Any:
    piece = (np.asarray(words, np.uint64) >> np.uint64(shift)) & np.uint64(2**PIECE - 1)
    return piece.astype(dtype)


def _sums(op: Apply, moved: list[Any]) -> Any:
    """Bit by bit, with 1 in the place of constants that are not zero."""
    args = list(op.args)
    if op.rule is SUM and len(args) == 1 and op.kwargs.keys() <= {"axis", "keepdims"}:
        axis = op.kwargs.get("axis")
        words = np.asarray(moved[0], np.uint64)
        together: Any = np.bitwise_or.reduce
        return together(
            words,
            axis=tuple(range(words.ndim)) if axis is None else axis,
            keepdims=bool(op.kwargs.get("keepdims", False)),
        )
    if op.rule.form == "each":
        for k in op.rule.positions:
            if k < len(args) and not isinstance(args[k], str):
                if not isinstance(args[k], (np.ndarray, float, int, np.number)):
                    return None
                args[k] = np.asarray(np.not_equal(args[k], 0), float)
    marked = Apply(op.rule, tuple(args), op.kwargs, op.paths)
    whole: Any = ZERO
    for k, words in enumerate(moved):
        used = 0 if words is None else _all(words)
        for bit in range(used.bit_length()):
            if used >> bit & 1:
                one = (np.asarray(words, np.uint64) >> np.uint64(bit)) & np.uint64(1)
                terms: list[Any] = [None] * len(moved)
                terms[k] = one.astype(float)
                made = np.asarray(marked.apply(*terms)) != 0
                whole = whole | (made.astype(np.uint64) << np.uint64(bit))
    return whole
