"""Products of arrays: dot, matmul, outer, inner, tensordot, kron, cross, trace.

A product with a vector is a plain loop nest (it is bound by memory, and fuses); one of two matrices goes to
`gemm`, unless a length is known to be so small that loops are faster.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tapeless.backends.native.nest import ONE, ZERO, Array, Expr, Intrinsic, apply, const
from tapeless.backends.native.staging import elements, storage
from tapeless.backends.native.staging.broadcasting import broadcast_shapes, shape_text
from tapeless.backends.native.staging.elements import convert, is_float, value_of
from tapeless.backends.native.staging.elementwise import ufunc
from tapeless.backends.native.staging.lowerings import array, given, lowers, one_axis, option
from tapeless.backends.native.staging.reductions import Operation, by, current, finished, sum_, totals, update
from tapeless.backends.native.staging.reshaping import ravel, reshaped
from tapeless.backends.native.staging.shapes import diagonal, permute
from tapeless.backends.native.staging.storage import fail, known_length, same_length
from tapeless.backends.native.staging.values import ArrayValue, Element, Index, Static, Value, View

if TYPE_CHECKING:
    from tapeless.backends.native.staging.stager import Stager

#: A product of matrices with a length of at most this, or a batch of them, is a loop nest.
SMALL = 8


def common(stager: Stager, *values: ArrayValue) -> str:
    """The dtype of a product."""
    return np.result_type(*[np.dtype(v.dtype) for v in values]).name


def solid(stager: Stager, value: ArrayValue) -> ArrayValue:
    """The operand in storage, if its elements are used many times and cost something."""
    return storage.make(stager, value) if storage.cost(value) > 1 else value


class Contraction:
    """out[kept] = sum over `gone` of a[...] * b[...]: every axis of an operand is a letter."""

    def __init__(
        self, stager: Stager, letters: tuple[str, str], out: str, a: ArrayValue, b: ArrayValue
    ) -> None:
        self.stager, self.letters, self.out, self.operands = stager, letters, out, (a, b)
        self.dtype = common(stager, a, b)
        self.lengths: dict[str, Expr] = {}
        for word, value in zip(letters, self.operands, strict=True):
            for letter, n in zip(word, value.shape, strict=True):
                old = self.lengths.get(letter, ONE)
                self.lengths[letter] = n if old == ONE else old
        self.gone = "".join(dict.fromkeys(c for word in letters for c in word if c not in out))

    def element(self, which: int, at: dict[str, Expr]) -> Element:
        value = self.operands[which]
        index = tuple(
            ZERO if n == ONE else at[c] for c, n in zip(self.letters[which], value.shape, strict=True)
        )
        return convert(storage.at(self.stager, value, index), value.dtype, self.dtype)

    def product(self, at: dict[str, Expr]) -> Element:
        times = Operation(self.stager, np.multiply, self.dtype)
        return times(self.element(0, at), self.element(1, at))

    def shape(self, letters: str) -> storage.Shape:
        return tuple(self.lengths[c] for c in letters)

    def run(self, into: View | None = None) -> Value:
        """The loops, in the order that walks memory."""
        stager = self.stager
        plus = by(stager, "add", self.dtype)

        def total(at: dict[str, Expr]) -> Element:
            variables = totals(stager, elements.zero(self.dtype))
            with storage.nest(stager, self.shape(self.gone), independent=False) as gone:
                inner = {**at, **dict(zip(self.gone, gone, strict=True))}
                update(stager, variables, plus(current(variables), self.product(inner)))
            return current(variables)

        if not self.out:
            return value_of(stager, total({}), self.dtype)
        result = into or storage.fresh(stager, self.shape(self.out), self.dtype)
        if self.by_dots():
            with storage.nest(stager, result.shape) as kept:
                at = dict(zip(self.out, kept, strict=True))
                storage.store(stager, result, kept, total(at))
            return result
        if self.gone:
            with storage.nest(stager, result.shape) as kept:
                storage.store(stager, result, kept, elements.zero(self.dtype))
        order = self.out[:-1] + self.gone + self.out[-1:]
        if len(self.out) == 1:
            order = self.gone + self.out
        flags = [c in self.out for c in order]
        with storage.nest(stager, self.shape(order), flags) as index:
            at = dict(zip(order, index, strict=True))
            place = tuple(at[c] for c in self.out)
            if not self.gone:
                storage.store(stager, result, place, self.product(at))
            elif is_float(elements.stored(self.dtype)):
                storage.store(stager, result, place, self.product(at), add=True)
            else:
                storage.store(stager, result, place, plus(result.element(place), self.product(at)))
        return result

    def by_dots(self) -> bool:
        """Whether each result is a dot product of its own: the contracted axis is the one in order."""
        if not self.gone:
            return False
        if self.lengths[self.out[-1]] == ONE:  # rows of one element
            return True
        short = all((known_length(n) or 99) <= SMALL for n in self.shape(self.gone))
        contiguous = [self.inner(k) in self.gone for k in (0, 1) if self.letters[k]]
        return short or all(contiguous)

    def inner(self, which: int) -> str:
        """The letter of the operand's axis that memory runs along."""
        value = self.operands[which]
        word = self.letters[which]
        order = storage.storage_order(value) if isinstance(value, View) else list(range(value.ndim))
        long = [k for k in order if value.shape[k] != ONE]
        return word[long[-1] if long else -1]


def dot_vectors(stager: Stager, a: ArrayValue, b: ArrayValue) -> Value:
    return Contraction(stager, ("k", "k"), "", a, b).run()


@lowers(np.matmul)
def matmul(stager: Stager, x1: Value, x2: Value, out: Value | None = None) -> Value:
    a, b = array(stager, x1), array(stager, x2)
    for k, v in enumerate((a, b)):
        if not v.ndim:
            message = (
                f"matmul: Input operand {k} does not have enough dimensions (has 0, gufunc core with "
                "signature (n?,k),(k,m?)->(n?,m?) requires 1)"
            )
            fail(stager, ValueError, message)
    inner = b.shape[0] if b.ndim == 1 else b.shape[-2]
    message = (
        f"matmul: Input operand 1 has a mismatch in its core dimension 0, with gufunc signature "
        f"(n?,k),(k,m?)->(n?,m?) (size {_size(inner)} is different from {_size(a.shape[-1])})"
    )
    same(stager, a.shape[-1], inner, message)
    if common(stager, a, b) == "bool":
        stager.refuse("a matrix product of booleans", "convert to integers")
    return finished(stager, product(stager, a, b), out)


def _size(n: Expr) -> str:
    known = known_length(n)
    return "n" if known is None else str(known)


def same(stager: Stager, n: Expr, m: Expr, message: str) -> None:
    if not same_length(n, m):
        if known_length(n) is not None and known_length(m) is not None:
            fail(stager, ValueError, message)
        stager.check(apply("eq", n, m), ValueError, message)


def product(stager: Stager, a: ArrayValue, b: ArrayValue) -> Value:
    """a @ b, the lengths being compared."""
    if a.ndim == 1 and b.ndim == 1:
        return dot_vectors(stager, a, b)
    if a.ndim <= 2 and b.ndim <= 2:
        if a.ndim == 2 and b.ndim == 2:
            return matrices(stager, a, b)
        if a.ndim == 2:
            return Contraction(stager, ("ij", "j"), "i", a, solid(stager, b)).run()
        return Contraction(stager, ("i", "ij"), "j", solid(stager, a), b).run()
    return _batches(stager, a, b)


def _batches(stager: Stager, a: ArrayValue, b: ArrayValue) -> Value:
    """Products of stacks of matrices."""
    a, b = solid(stager, a), solid(stager, b)
    letters = "ABCDEFGH"[: max(a.ndim, b.ndim) - 2]
    broadcast_shapes(stager, [a.shape[:-2], b.shape[:-2]])
    left = letters[len(letters) - max(a.ndim - 2, 0) :] + ("ij" if a.ndim > 1 else "j")
    right = letters[len(letters) - max(b.ndim - 2, 0) :] + ("jk" if b.ndim > 1 else "j")
    out = letters + ("i" if a.ndim > 1 else "") + ("k" if b.ndim > 1 else "")
    return Contraction(stager, (left, right), out, a, b).run()


def matrices(stager: Stager, a: ArrayValue, b: ArrayValue) -> Value:
    """The product of two matrices."""
    dtype = common(stager, a, b)
    lengths = (*a.shape, b.shape[1])
    small = any((known_length(n) or SMALL + 1) <= SMALL for n in lengths)
    if small or not is_float(dtype):
        a = a if b.shape[1] == ONE else solid(stager, a)  # each element is used once
        b = b if a.shape[0] == ONE else solid(stager, b)
        return Contraction(stager, ("ij", "jk"), "ik", a, b).run()
    left, ta = _flagged(stager, a, dtype)
    right, tb = _flagged(stager, b, dtype)
    result = storage.fresh(stager, (a.shape[0], b.shape[1]), dtype)
    attrs = {"ta": ta, "tb": tb, "add": False}
    stager.emit(Intrinsic("gemm", (result.array,), (left, right), attrs))
    return result


def _flagged(stager: Stager, value: ArrayValue, dtype: str) -> tuple[Array, bool]:
    """Whole storage of a matrix, or of its transpose, and whether it is transposed."""
    if value.dtype == dtype and isinstance(value, View):
        if storage.is_whole(stager, value):
            return value.array, False
        turned = permute(stager, value, (1, 0))
        assert isinstance(turned, View)
        if storage.is_whole(stager, turned):
            return turned.array, True
    elif value.dtype == dtype and getattr(value, "made", None) is not None:
        return _flagged(stager, storage.make(stager, value), dtype)
    target = storage.fresh(stager, value.shape, dtype)
    storage.fill(stager, target, value)
    return target.array, False


@lowers(np.dot)
def dot(stager: Stager, a: Value, b: Value, out: Value | None = None) -> Value:
    x, y = array(stager, a), array(stager, b)
    if not x.ndim or not y.ndim:
        return finished(stager, ufunc(stager, np.multiply, [a, b]), out)
    inner = y.shape[0] if y.ndim == 1 else y.shape[-2]
    message = (
        f"shapes {shape_text(x.shape)} and {shape_text(y.shape)} not aligned: {_size(x.shape[-1])} (dim "
        f"{x.ndim - 1}) != {_size(inner)} (dim {max(y.ndim - 2, 0)})"
    )
    same(stager, x.shape[-1], inner, message)
    if y.ndim <= 2 and x.ndim <= 2:
        return finished(stager, product(stager, x, y), out)
    left, right = "ABCDEFGH"[: x.ndim - 1], "IJKLMNOP"[: y.ndim - 1]
    word = right[:-1] + "z" + right[-1:] if y.ndim > 1 else "z"
    made = Contraction(stager, (left + "z", word), left + right, solid(stager, x), solid(stager, y)).run()
    return finished(stager, made, out)


@lowers(method="dot")
def dot_method(stager: Stager, a: ArrayValue, b: Value, out: Value | None = None) -> Value:
    return dot(stager, a, b, out)


@lowers(np.vdot)
def vdot(stager: Stager, a: Value, b: Value) -> Value:
    x, y = ravel(stager, array(stager, a)), ravel(stager, array(stager, b))
    if elements.is_complex(x.dtype):
        x = array(stager, ufunc(stager, np.conjugate, [x]))
    same(stager, x.shape[0], y.shape[0], "cannot reshape array: sizes differ")
    return dot_vectors(stager, x, y)


@lowers(np.inner)
def inner(stager: Stager, a: Value, b: Value) -> Value:
    x, y = array(stager, a), array(stager, b)
    if not x.ndim or not y.ndim:
        return ufunc(stager, np.multiply, [a, b])
    message = f"shapes {shape_text(x.shape)} and {shape_text(y.shape)} not aligned"
    same(stager, x.shape[-1], y.shape[-1], message)
    left, right = "ABCDEFGH"[: x.ndim - 1], "IJKLMNOP"[: y.ndim - 1]
    return Contraction(
        stager, (left + "z", right + "z"), left + right, solid(stager, x), solid(stager, y)
    ).run()


@lowers(np.outer)
def outer(stager: Stager, a: Value, b: Value, out: Value | None = None) -> Value:
    x, y = ravel(stager, array(stager, a)), ravel(stager, array(stager, b))
    return finished(stager, ufunc_outer(stager, np.multiply, x, y), out)


def ufunc_outer(stager: Stager, function: np.ufunc, a: Value, b: Value) -> Value:
    """`function.outer(a, b)`."""
    from tapeless.backends.native.staging.shapes import expand_dims

    x, y = array(stager, a), array(stager, b)
    if not y.ndim:
        return ufunc(stager, function, [x, y])
    column = expand_dims(stager, solid(stager, x), Static(tuple(range(x.ndim, x.ndim + y.ndim))))
    return ufunc(stager, function, [column, solid(stager, y)])


@lowers(np.tensordot)
def tensordot(stager: Stager, a: Value, b: Value, axes: Value | None = None) -> Value:
    x, y = array(stager, a), array(stager, b)
    known = option(stager, axes, 2)
    if isinstance(known, int):
        left = list(range(x.ndim - known, x.ndim))
        right = list(range(known))
    else:
        left, right = ([k] if isinstance(k, int) else list(k) for k in known)
        left = [one_axis(stager, k, x.ndim) for k in left]
        right = [one_axis(stager, k, y.ndim) for k in right]
    if len(left) != len(right):
        fail(stager, ValueError, "shape-mismatch for sum")
    words = [list("ABCDEFGH"[: x.ndim]), list("IJKLMNOP"[: y.ndim])]
    for i, j in zip(left, right, strict=True):
        same(stager, x.shape[i], y.shape[j], "shape-mismatch for sum")
        words[1][j] = words[0][i]
    gone = {words[0][i] for i in left}
    out = "".join(c for word in words for c in word if c not in gone)
    if x.ndim == y.ndim == 2 and len(left) == 1:
        x = x if left == [1] else permute(stager, x, (1, 0))
        y = y if right == [0] else permute(stager, y, (1, 0))
        return matrices(stager, x, y)
    made = Contraction(
        stager, ("".join(words[0]), "".join(words[1])), out, solid(stager, x), solid(stager, y)
    ).run()
    return made if out else storage.filled(stager, (), common(stager, x, y), _element(stager, made))


def _element(stager: Stager, value: Value) -> Element:
    from tapeless.backends.native.staging.broadcasting import operand

    return operand(stager, value).at(stager, ())


@lowers(np.kron)
def kron(stager: Stager, a: Value, b: Value) -> Value:
    x, y = solid(stager, array(stager, a)), solid(stager, array(stager, b))
    ndim = max(x.ndim, y.ndim)
    from tapeless.backends.native.staging.shapes import expand_dims

    while x.ndim < ndim:
        x = expand_dims(stager, x, Static(0))
    while y.ndim < ndim:
        y = expand_dims(stager, y, Static(0))
    x = expand_dims(stager, x, Static(tuple(range(1, 2 * ndim, 2))))
    y = expand_dims(stager, y, Static(tuple(range(0, 2 * ndim, 2))))
    made = array(stager, ufunc(stager, np.multiply, [x, y]))
    shape = tuple(apply("mul", made.shape[2 * k], made.shape[2 * k + 1]) for k in range(ndim))
    return reshaped(stager, made, shape)


@lowers(np.trace, method="trace")
def trace(
    stager: Stager, a: Value, offset: Value | None = None, axis1: Value | None = None,
    axis2: Value | None = None, dtype: Value | None = None, out: Value | None = None,
) -> Value:  # fmt: skip
    return sum_(stager, diagonal(stager, a, offset, axis1, axis2), Static(-1), dtype, out)


@lowers(np.cross)
def cross(
    stager: Stager, a: Value, b: Value, axisa: Value | None = None, axisb: Value | None = None,
    axisc: Value | None = None, axis: Value | None = None,
) -> Value:  # fmt: skip
    if any(given(v) for v in (axisa, axisb, axisc, axis)):
        stager.refuse("numpy.cross along other axes than the last", "move the axes")
    x, y = solid(stager, array(stager, a)), solid(stager, array(stager, b))
    if not all(v.ndim and known_length(v.shape[-1]) in (3, None) for v in (x, y)):
        stager.refuse("numpy.cross of vectors with two components", "write x[0] * y[1] - x[1] * y[0]")
    for v in (x, y):
        message = "incompatible dimensions for cross product (dimension must be 2 or 3)"
        stager.check(apply("eq", v.shape[-1], const(3)), ValueError, message)
    lead = broadcast_shapes(stager, [x.shape[:-1], y.shape[:-1]])
    kind = common(stager, x, y)
    times, minus = Operation(stager, np.multiply, kind), Operation(stager, np.subtract, kind)
    result = storage.fresh(stager, (*lead, const(3)), kind)

    def part(v: ArrayValue, index: Index, k: int) -> Element:
        own = tuple(
            ZERO if n == ONE else i
            for n, i in zip(v.shape[:-1], index[len(index) - v.ndim + 1 :], strict=True)
        )
        return convert(storage.at(stager, v, (*own, const(k))), v.dtype, kind)

    with storage.nest(stager, lead) as index:
        for k in range(3):
            i, j = (k + 1) % 3, (k + 2) % 3
            first = times(part(x, index, i), part(y, index, j))
            second = times(part(x, index, j), part(y, index, i))
            storage.store(stager, result, (*index, const(k)), minus(first, second))
    return result


@lowers(np.linalg.multi_dot)
def multi_dot(stager: Stager, arrays: Value, *, out: Value | None = None) -> Value:
    from tapeless.backends.native.staging.shapes import rows_of

    values = rows_of(stager, arrays)
    made: Value = values[0]
    for v in values[1:]:
        made = dot(stager, made, v)
    return finished(stager, made, out)
