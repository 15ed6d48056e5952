"""`numpy.einsum`: one operand by views and sums, two by a contraction, more pair by pair."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from tapeless.backends.native.nest import ONE, Expr
from tapeless.backends.native.staging import storage
from tapeless.backends.native.staging.elementwise import ufunc
from tapeless.backends.native.staging.lowerings import array, given, lowers
from tapeless.backends.native.staging.products import Contraction, matrices, same, solid
from tapeless.backends.native.staging.reductions import finished, sum_
from tapeless.backends.native.staging.shapes import diagonal_view, permute
from tapeless.backends.native.staging.storage import fail
from tapeless.backends.native.staging.values import ArrayValue, Static, Value

if TYPE_CHECKING:
    from tapeless.backends.native.staging.stager import Stager

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


@lowers(np.einsum)
def einsum(
    stager: Stager, *operands: Value, out: Value | None = None, optimize: Value | None = None,
    dtype: Value | None = None, order: Value | None = None, casting: Value | None = None,
) -> Value:  # fmt: skip
    if given(dtype):
        stager.refuse("numpy.einsum with dtype=", "convert the operands")
    words, result, values = parsed(stager, list(operands))
    lengths: dict[str, Expr] = {}
    for word, value in zip(words, values, strict=True):
        for letter, n in zip(word, value.shape, strict=True):
            old = lengths.setdefault(letter, n)
            if old == ONE:
                lengths[letter] = n
            elif n != ONE:
                message = f"operands could not be broadcast together with remapped shapes (axis '{letter}')"
                same(stager, old, n, message)
    pairs = [diagonals(stager, word, value) for word, value in zip(words, values, strict=True)]
    while len(pairs) > 2:
        i, j = _closest(pairs)
        others = [p for k, p in enumerate(pairs) if k not in (i, j)]
        needed = set(result).union(*(word for word, _ in others))
        kept = "".join(c for c in dict.fromkeys(pairs[i][0] + pairs[j][0]) if c in needed)
        made = array(stager, contracted(stager, pairs[i], pairs[j], kept))
        pairs = [*others, (kept, made)]
    if len(pairs) == 2:
        return finished(stager, contracted(stager, pairs[0], pairs[1], result), out)
    return finished(stager, one(stager, *pairs[0], result), out)


def _spelled(axes: Iterable[Any]) -> str:
    """A list of axes as letters."""
    return "".join("..." if k is Ellipsis else LETTERS[k] for k in axes)


def parsed(stager: Stager, operands: list[Value]) -> tuple[list[str], str, list[ArrayValue]]:
    """The letters of each operand and of the result; an ellipsis gets letters of its own."""
    if isinstance(operands[0], Static) and isinstance(operands[0].obj, str):
        text = operands[0].obj.replace(" ", "")
        values = [array(stager, v) for v in operands[1:]]
    else:  # operands and lists of their axes in turn, and perhaps one of the result
        last = operands[-1:] if len(operands) % 2 else []
        pairs = operands[: len(operands) - len(last)]
        text = ",".join(_spelled(stager.known(axes)) for axes in pairs[1::2])
        text += "".join("->" + _spelled(stager.known(axes)) for axes in last)
        values = [array(stager, v) for v in pairs[::2]]
    left, arrow, result = text.partition("->")
    words = left.split(",")
    if len(words) != len(values):
        message = "more operands provided to einstein sum function than specified in the subscripts string"
        fail(stager, ValueError, message)
    free = [c for c in LETTERS if c not in text]
    longest = 0
    for word, value in zip(words, values, strict=True):
        if "..." in word:
            longest = max(longest, value.ndim - len(word.replace("...", "")))
    dots = "".join(free[:longest])
    made = []
    for word, value in zip(words, values, strict=True):
        count = value.ndim - len(word.replace("...", ""))
        made.append(word.replace("...", dots[len(dots) - count :] if count > 0 else ""))
        if len(made[-1]) != value.ndim:
            much = "many" if count < 0 else "few"
            text = f"einstein sum subscripts string contains too {much} subscripts for operand"
            fail(stager, ValueError, text)
    if arrow:
        result = result.replace("...", dots)
    else:
        plain = "".join(made)
        result = dots + "".join(sorted(c for c in set(plain) if plain.count(c) == 1 and c not in dots))
    return made, result, values


def diagonals(stager: Stager, word: str, value: ArrayValue) -> tuple[str, ArrayValue]:
    """The operand with each letter once."""
    while len(set(word)) < len(word):
        letter = next(c for c in word if word.count(c) > 1)
        i = word.index(letter)
        j = word.index(letter, i + 1)
        value = diagonal_view(stager, storage.make(stager, value), 0, (i, j))
        word = "".join(c for k, c in enumerate(word) if k not in (i, j)) + letter
    return word, value


def _closest(pairs: list[tuple[str, ArrayValue]]) -> tuple[int, int]:
    """The two operands that share most letters."""
    count = len(pairs)
    both = [(i, j) for i in range(count) for j in range(i + 1, count)]
    return max(both, key=lambda ij: len(set(pairs[ij[0]][0]) & set(pairs[ij[1]][0])))


def one(stager: Stager, word: str, value: ArrayValue, result: str) -> Value:
    """Sums and transposes of one operand."""
    gone = tuple(k for k, c in enumerate(word) if c not in result)
    made: Value = sum_(stager, value, Static(gone)) if gone else value
    if not result:
        return made
    kept = [c for c in word if c in result]
    return permute(stager, array(stager, made), [kept.index(c) for c in result])


def contracted(stager: Stager, a: tuple[str, ArrayValue], b: tuple[str, ArrayValue], result: str) -> Value:
    """The product of two operands, summed over what is not in the result."""
    left, right = a[0], b[0]
    shared = [c for c in left if c in right and c not in result]
    if len(left) == len(right) == len(result) == 2 and len(shared) == 1:
        (k,) = shared
        i, j = left.replace(k, ""), right.replace(k, "")
        if i in result and j in result and i != j:
            x = permute(stager, a[1], [left.index(i), left.index(k)])
            y = permute(stager, b[1], [right.index(k), right.index(j)])
            made = array(stager, matrices(stager, x, y))
            return made if result == i + j else permute(stager, made, (1, 0))
    if result and set(left + right) == set(result):
        wide: list[Value] = [_spread(stager, word, value, result) for word, value in (a, b)]
        return ufunc(stager, np.multiply, wide)
    return Contraction(stager, (left, right), result, solid(stager, a[1]), solid(stager, b[1])).run()


def _spread(stager: Stager, word: str, value: ArrayValue, result: str) -> ArrayValue:
    """The operand with its axes as in the result, and axes of length 1 for what it lacks."""
    from tapeless.backends.native.staging.shapes import expand_dims

    order = [word.index(c) for c in result if c in word]
    made = permute(stager, value, order)
    missing = tuple(k for k, c in enumerate(result) if c not in word)
    return expand_dims(stager, made, Static(missing)) if missing else made
