"""Colouring of a sparse matrix: columns of one colour have no row in common.

So one product of the matrix with a vector, the sum of the unit vectors of a colour, gives all entries of
those columns (Curtis, Powell and Reid 1974).  The colouring is greedy, and of distance 2 in the bipartite
graph of rows and columns (Gebremedhin, Manne and Pothen 2005).
"""

from __future__ import annotations

from typing import Any

import numpy as np

Integers = np.ndarray[Any, np.dtype[np.int64]]


def colour(rows: Integers, columns: Integers, count: int) -> Integers:
    """The colour of each of `count` columns, for entries at (rows, columns); 0 for a column without any.

    Columns are taken as they come and by falling number of entries; the better colouring is kept.

    >>> import numpy as np
    >>> rows = np.array([0, 0, 1, 1, 2, 2])
    >>> colour(rows, np.array([0, 1, 1, 2, 2, 3]), 4).tolist()
    [0, 1, 0, 1]
    """
    order = np.argsort(columns, kind="stable")
    starts = np.searchsorted(columns[order], np.arange(count + 1))
    members = rows[order].tolist()
    degrees = np.diff(starts)
    height = int(rows.max()) + 1 if len(rows) else 0
    fewest = int(np.bincount(rows).max()) if len(rows) else 0  # a row's entries all differ in colour
    best = _greedy(np.arange(count), starts, members, height)
    if count_of(best) > fewest:
        other = _greedy(np.argsort(-degrees, kind="stable"), starts, members, height)
        best = min(best, other, key=count_of)
    return best


def count_of(colours: Integers) -> int:
    """How many colours there are."""
    return int(colours.max()) + 1 if len(colours) else 0


def _greedy(order: Integers, starts: Integers, members: list[int], height: int) -> Integers:
    """Each column gets the first colour that none of its rows has seen; a row's colours are bits."""
    seen = [0] * height
    bounds = starts.tolist()
    colours = [0] * len(order)
    for column in order.tolist():
        rows = members[bounds[column] : bounds[column + 1]]
        used = 0
        for row in rows:
            used |= seen[row]
        bit = ~used & (used + 1)  # the lowest bit that is not set
        colours[column] = bit.bit_length() - 1
        for row in rows:
            seen[row] |= bit
    return np.array(colours, np.int64)
