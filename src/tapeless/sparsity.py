"""The sparsity pattern of a Jacobian, from words of 64 bits in which a bit says "depends on these columns".

`propagate` carries the words of an argument through a program to those of its result.  The columns are
split into groups, one bit each, and the groups into groups: at each level, groups that no row has in common
share the 64 bits.  So a banded matrix of a million columns takes a dozen runs, not 15,625.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from tapeless.colouring import Integers, colour, count_of

Words = np.ndarray[Any, np.dtype[np.uint64]]
WORD = 64
#: How many words are taken apart at once.
CHUNK = 1 << 16


@dataclass(eq=False)
class Pattern:
    """Where a matrix of this shape may differ from zero: the entries in order of rows, then of columns."""

    shape: tuple[int, int]
    rows: Integers
    columns: Integers
    found: dict[tuple[bool, int], Integers] = field(default_factory=dict, repr=False)
    weights: dict[tuple[bool, str], Any] = field(default_factory=dict, repr=False)

    @cached_property
    def starts(self) -> Integers:
        """Where each row starts, as in SciPy's `indptr`."""
        return np.searchsorted(self.rows, np.arange(self.shape[0] + 1))

    @cached_property
    def column_colours(self) -> Integers:
        return colour(self.rows, self.columns, self.shape[1])

    @cached_property
    def row_colours(self) -> Integers:
        return colour(self.columns, self.rows, self.shape[0])

    @cached_property
    def indices(self) -> tuple[Any, Any]:
        """`indices` and `indptr` of SciPy, in the type that it would choose."""
        small = max(len(self.rows), *self.shape) < 2**31
        kind = np.int32 if small else np.int64
        return self.columns.astype(kind), self.starts.astype(kind)

    @cached_property
    def column_count(self) -> int:
        return count_of(self.column_colours)

    @cached_property
    def row_count(self) -> int:
        return count_of(self.row_colours)

    @cached_property
    def lanes(self) -> Any:
        """The colour of each entry's column, of few colours."""
        return self.column_colours[self.columns].astype(np.uint8)

    @cached_property
    def by_columns(self) -> Integers:
        """Where the entries are among the sums of columns, [row, colour]."""
        return self.rows * self.column_count + self.column_colours[self.columns]

    @cached_property
    def by_rows(self) -> Integers:
        """Where the entries are among the sums of rows, [colour, column]."""
        return self.row_colours[self.rows] * self.shape[1] + self.columns

    def places(self, forward: bool, width: int) -> Integers:
        """Where the entries are among sums with `width` colours in the last axis; short where they fit."""
        if (forward, width) not in self.found:
            found = (
                self.rows * width + self.column_colours[self.columns]
                if forward
                else self.columns * width + self.row_colours[self.rows]
            )
            short = self.shape[0 if forward else 1] * width < 2**31
            self.found[forward, width] = found.astype(np.int32) if short else found
        return self.found[forward, width]

    def ones(self, forward: bool, dtype: Any) -> Any:
        """The weights of columns (rows) that are summed as they are; not to be written."""
        key = forward, dtype.name
        if key not in self.weights:
            self.weights[key] = np.ones(self.shape[1 if forward else 0], dtype)
        return self.weights[key]

    def same(self, other: Pattern) -> bool:
        return (
            self.shape == other.shape
            and np.array_equal(self.rows, other.rows)
            and np.array_equal(self.columns, other.columns)
        )

    def forward(self, mode: str) -> bool:
        """Whether to compute the matrix by columns: if those take no more colours than the rows."""
        return self.fewer if mode == "auto" else mode == "forward"

    @cached_property
    def fewer(self) -> bool:
        widest = int(np.diff(self.starts).max()) if self.shape[0] else 0
        if self.column_count <= widest + 2:  # as good as it gets; rows are seldom much better
            tallest = int(np.bincount(self.columns).max()) if len(self.columns) else 0
            if tallest >= self.column_count:
                return True
        return self.column_count <= self.row_count


def find(propagate: Callable[[Words], Words], width: int, height: int) -> Pattern:
    """The pattern of the matrix of `height` rows and `width` columns that `propagate` stands for.

    >>> import numpy as np
    >>> pattern = find(lambda w: w[1:] | w[:-1], 4, 3)
    >>> pattern.rows.tolist(), pattern.columns.tolist()
    ([0, 0, 1, 1, 2, 2], [0, 1, 1, 2, 2, 3])
    """
    starts = np.array([0, width], np.int64)  # of the groups of columns
    rows, groups = np.arange(height), np.zeros(height, np.int64)
    if not width:
        rows, groups = rows[:0], groups[:0]
    seen = False
    while len(rows) and not (seen and len(starts) - 1 == width):
        rows, groups, starts = _split(propagate, rows, groups, starts)
        seen = True
    order = np.lexsort((groups, rows))
    return Pattern((height, width), rows[order], groups[order])


def _split(
    propagate: Callable[[Words], Words], rows: Integers, groups: Integers, starts: Integers
) -> tuple[Integers, Integers, Integers]:
    """Every group of columns in up to 64 parts, and the parts on which the rows depend."""
    sizes = np.diff(starts)
    parts = np.minimum(sizes, WORD)
    first = np.concatenate([[0], np.cumsum(parts)])  # the number of each group's first part
    group = np.repeat(np.arange(len(sizes)), parts)
    part = np.arange(first[-1]) - first[group]
    new_starts = np.append(starts[group] + sizes[group] * part // parts[group], starts[-1])
    part_of = np.repeat(np.arange(first[-1]), np.diff(new_starts))  # of each column
    group_of = group[part_of]
    own = part_of - first[group_of]
    colours = colour(rows, groups, len(sizes))
    found: list[tuple[Integers, Integers]] = []
    for run in _runs(colours, parts):
        offset = np.full(count_of(colours), -1)
        for c, (low, _) in run.items():
            offset[c] = low
        shift = offset[colours[group_of]]
        bits = np.uint64(1) << (own + np.maximum(shift, 0)).astype(np.uint64)
        words = propagate(np.where(shift >= 0, bits, np.uint64(0)))
        for c, (low, high) in run.items():
            mine = colours[groups] == c
            found += _parts(words, rows[mine], first[groups[mine]], low, high)
    empty = np.zeros(0, np.int64)
    return (
        np.concatenate([empty, *(r for r, _ in found)]),
        np.concatenate([empty, *(p for _, p in found)]),
        new_starts,
    )


def _runs(colours: Integers, parts: Integers) -> list[dict[int, tuple[int, int]]]:
    """The range of bits of each colour in each run: small groups of several colours share a word."""
    runs: list[dict[int, tuple[int, int]]] = [{}]
    low = 0
    for c in range(count_of(colours)):
        size = int(parts[colours == c].max(initial=0))
        if low + size > WORD:
            runs.append({})
            low = 0
        runs[-1][c] = (low, low + size)
        low += size
    return runs


def _parts(
    words: Words, rows: Integers, first: Integers, low: int, high: int
) -> list[tuple[Integers, Integers]]:
    """The rows and the numbers of the parts whose bits, from `low` to `high`, are set in the rows' words."""
    found = []
    for at in range(0, len(rows), CHUNK):
        mine = words[rows[at : at + CHUNK]].astype("<u8")
        whole = np.unpackbits(mine.view(np.uint8).reshape(len(mine), 8), axis=1, bitorder="little")
        entry, bit = np.nonzero(whole[:, low:high])
        found.append((rows[at : at + CHUNK][entry], first[at : at + CHUNK][entry] + bit))
    return found
