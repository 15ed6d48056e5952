"""det: a determinant by expansion by minors, recursively, with rows and columns unlinked and linked again."""

import numpy as np


def minor(a, size, next_row, next_column):
    """The determinant of the rows and columns that are still linked; the last entry of a list is its head."""
    head = len(a)
    row = next_row[head]
    column = next_column[head]
    if size == 1:
        return a[row, column]
    total = 0.0
    sign = 1.0
    before = head
    next_row[head] = next_row[row]
    for _ in range(size):
        next_column[before] = next_column[column]
        total += sign * a[row, column] * minor(a, size - 1, next_row, next_column)
        next_column[before] = column
        before, column = column, next_column[column]
        sign = -sign
    next_row[head] = row
    return total


def determinant(a):
    size = len(a)
    following = list(range(1, size + 1)) + [0]
    return minor(a, size, following.copy(), following.copy())


def data(size=5):
    return (np.random.default_rng(31337).random((size, size)),)
