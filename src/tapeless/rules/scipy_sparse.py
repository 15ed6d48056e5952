"""SciPy's sparse matrices: sums over their elements, which NumPy computes by the elements' places.

The values are those of the C++ code; the formulas here, opened in its place, give the derivatives by the
elements and by what they multiply. Read only when a function of `scipy.sparse` is first looked up.
"""
# The twins are opened like functions of the program: they stay without annotations.
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

from __future__ import annotations

import numpy as np

from tapeless.rules.compat import find
from tapeless.rules.registry import Linear, jvp_rule, row, twin
from tapeless.rules.tangents import tangent
from tapeless.rules.twins import exactly, plainly, refuse

_LEFT_OUT = "elements of a sparse matrix that happen to be 0 are left out, and have no derivative"
_TOOLS = find("scipy.sparse._sparsetools")


def tool(name):
    return getattr(_TOOLS, name, None)


def spread(starts):
    """The row of each element, from where rows start."""
    return np.repeat(np.arange(len(starts) - 1), np.diff(starts))


def added(function, args, where, made):
    """Write what a function adds to its argument number `where`, with the derivative of a formula."""
    output = args[where]
    found = np.array(output)
    plainly(function, *args[:where], found, *args[where + 1 :])
    output[...] = exactly(found, output + np.reshape(made, output.shape))


def summed(size, places, terms):
    total = np.zeros((size, *terms.shape[1:]), terms.dtype)
    np.add.at(total, places, terms)
    return total


# ---- products ----------------------------------------------------------------------------------------


@twin(tool("csr_matvec"))
def _csr_matvec(*args):
    n, _, starts, columns, data, x, _ = args
    added(tool("csr_matvec"), args, 6, summed(n, plainly(spread, starts), data * x[columns]))


@twin(tool("csc_matvec"))
def _csc_matvec(*args):
    n, _, starts, rows, data, x, _ = args
    added(tool("csc_matvec"), args, 6, summed(n, rows, data * x[plainly(spread, starts)]))


@twin(tool("csr_matvecs"))
def _csr_matvecs(*args):
    n, _, count, starts, columns, data, x, _ = args
    terms = data[:, None] * np.reshape(x, (-1, count))[columns]
    added(tool("csr_matvecs"), args, 7, np.ravel(summed(n, plainly(spread, starts), terms)))


@twin(tool("csc_matvecs"))
def _csc_matvecs(*args):
    n, _, count, starts, rows, data, x, _ = args
    terms = data[:, None] * np.reshape(x, (-1, count))[plainly(spread, starts)]
    added(tool("csc_matvecs"), args, 7, np.ravel(summed(n, rows, terms)))


@twin(tool("coo_matvec"))
def _coo_matvec(*args):
    _, rows, columns, data, x, y = args
    added(tool("coo_matvec"), args, 5, summed(len(y), rows, data * x[columns]))


@twin(tool("dia_matvec"))
def _dia_matvec(*args):
    n, m, _, length, offsets, data, x, _ = args
    total = np.zeros(n)
    for d, k in enumerate(offsets.tolist()):
        first, last = max(0, k), min(m, length, n + k)
        if first < last:
            total[first - k : last - k] += data[d, first:last] * x[first:last]
    added(tool("dia_matvec"), args, 7, total)


@twin(tool("csr_matmat"))
def _csr_matmat(*args):
    n, m, starts, columns, data, other_starts, other_columns, other, out_starts, out_columns, out = args
    found = np.empty_like(out)
    plainly(tool("csr_matmat"), *args[:10], found)
    left, right = plainly(pairs, starts, columns, other_starts)
    keys = plainly(spread, starts)[left] * m + other_columns[right]
    put(out, found, out_starts, out_columns, m, keys, data[left] * other[right])


def pairs(starts, columns, other_starts):
    """The elements of both factors that are multiplied with one another."""
    counts = np.diff(other_starts)[columns]
    left = np.repeat(np.arange(len(columns)), counts)
    first = np.repeat(np.cumsum(counts) - counts, counts)
    return left, np.arange(len(left)) - first + np.repeat(other_starts[columns], counts)


def put(out, found, starts, columns, m, keys, terms):
    """Terms of elements, by row * m + column, into the elements that the result has."""
    places = plainly(places_of, starts, columns, m, keys)
    if places is None:
        refuse(_LEFT_OUT)
    n = plainly(int, starts[-1])
    out[:n] = exactly(found[:n], summed(n, places, terms))
    out[n:] = found[n:]  # what no row has


def places_of(starts, columns, m, keys):
    n = starts[-1]
    own = spread(starts) * m + columns[:n]
    order = np.argsort(own)
    places = np.searchsorted(own[order], keys)
    if n == 0 or (places >= n).any():
        return None if len(keys) else keys
    return order[places] if (own[order[places]] == keys).all() else None


def combined(name, sign):
    @twin(tool(name))
    def _(*args):
        _, m, starts, columns, data, other_starts, other_columns, other, out_starts, out_columns, out = args
        found = np.empty_like(out)
        plainly(tool(name), *args[:10], found)
        keys = np.concatenate(
            (plainly(spread, starts) * m + columns, plainly(spread, other_starts) * m + other_columns)
        )
        put(out, found, out_starts, out_columns, m, keys, np.concatenate((data, sign * other)))


combined("csr_plus_csr", 1.0)
combined("csr_minus_csr", -1.0)

# ---- the same elements in another order --------------------------------------------------------------


def moved(name, where, into):
    """A function that only moves elements, from its argument number `where`: it moves their numbers, too."""

    @twin(tool(name))
    def _(*args):
        data = args[where]
        numbers = plainly(np.arange, data.size, dtype=float)
        if where == into:  # in place
            plainly(tool(name), *args[:where], numbers)
            data[...] = data[numbers.astype(int)]
        else:
            order = np.zeros(args[into].shape)
            plainly(tool(name), *args[:where], numbers, *args[where + 1 : into], order)
            args[into][...] = data[order.astype(int)]


moved("coo_tocsr", 5, 8)
moved("csr_tocsc", 4, 7)
moved("csr_sort_indices", 3, 3)


@twin(tool("csr_sum_duplicates"))
def _csr_sum_duplicates(n, m, starts, columns, data):
    keys = plainly(spread, starts) * m + columns
    found, old = np.array(data), data.copy()
    plainly(tool("csr_sum_duplicates"), n, m, starts, columns, found)
    put(data, found, starts, columns, m, keys, old)


@twin(tool("csr_todense"))
def _csr_todense(*args):
    n, m, starts, columns, data, out = args
    made = summed(n * m, plainly(spread, starts) * m + columns, data)
    added(
        tool("csr_todense"),
        args,
        5,
        np.reshape(made, out.shape) if out.flags.c_contiguous else np.reshape(made, (n, m)),
    )


@twin(tool("coo_todense"))
def _coo_todense(*args):
    n, m, _, rows, columns, data, out, fortran = args
    places = rows + n * columns if fortran else m * rows + columns
    added(tool("coo_todense"), args, 6, np.reshape(summed(n * m, places, data), out.shape))


@twin(tool("dia_tocsr"))
def _dia_tocsr(n, m, count, length, offsets, data, order, out, columns, starts):
    marks = plainly(numbered, n, m, offsets, data)
    if marks is None:
        refuse(_LEFT_OUT)
    taken = np.zeros(out.shape)
    found = plainly(tool("dia_tocsr"), n, m, count, length, offsets, marks, order, taken, columns, starts)
    out[...] = np.where(taken > 0, np.ravel(data)[np.maximum(taken.astype(int) - 1, 0)], 0.0)
    return found


def numbered(n, m, offsets, data):
    """Numbers from 1 in the place of elements; None where some are 0, which the matrix leaves out."""
    marks = np.zeros(data.shape)
    for d, k in enumerate(offsets.tolist()):
        first, last = max(0, k), min(m, data.shape[1], n + k)
        if (data[d, first:last] == 0).any():
            return None
        marks[d, first:last] = d * data.shape[1] + np.arange(first, max(first, last)) + 1.0
    return marks


# ---- solving -----------------------------------------------------------------------------------------

_GSSV = find("scipy.sparse.linalg._dsolve._superlu.gssv")


def solved(data, b, indices, starts, flag):
    """The solution for a vector, of a matrix by columns (flag 1) or rows."""
    options = {"ColPerm": "COLAMD"}
    x, code = _GSSV(len(b), len(data), data, indices, starts, np.array(b), flag, options=options)
    if code:
        x.fill(np.nan)
    return x


def _backwards(ct, data, b, indices, starts, flag):
    return solved(np.conj(data), ct, indices, starts, 1 - flag)


_LINEAR = Linear([solved], _backwards, (), "one", (1,), False, solved)
_I, _P = np.array([0, 1, 1, 2, 0, 2], np.intc), np.array([0, 2, 4, 6], np.intc)


@jvp_rule(
    solved,
    rows=[row(np.array([2.0, 0.3, 3.0, -0.4, 0.7, 2.5]), np.array([1.0, -0.5, 2.0]), _I, _P, 1)],
    count=2,
)
def _(data, b, ddata, db, indices, starts, flag, *, out):
    if ddata is not None:
        across = spread(starts)
        rows, columns = (indices, across) if flag else (across, indices)
        change = np.bincount(rows, ddata * out[columns], len(b))
        db = -change if db is None else db - change
    return tangent(_LINEAR, out, (data, out, indices, starts, flag), {}, (None, db), {})


@twin(_GSSV)
def _gssv(n, nnz, data, indices, starts, b, flag, options=None):
    found, code = plainly(_GSSV, n, nnz, data, indices, starts, np.array(b), flag, options=options)
    if b.dtype.kind == "c" or data.dtype.kind == "c":
        refuse("scipy.sparse.linalg.spsolve has a derivative rule for real matrices")
    if b.ndim == 1:
        return exactly(found, solved(data, b, indices, starts, flag)), code
    made = [solved(data, b[:, k], indices, starts, flag) for k in range(b.shape[1])]
    return exactly(found, np.reshape(np.stack(made, axis=1), found.shape)), code
