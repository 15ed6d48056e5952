"""Products of arrays (multilinear: transposes), inverses and determinants, also for stacks of matrices."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from tapeless.rules.compat import find, find_all
from tapeless.rules.registry import jvp_rule, row, transpose_rule

_V = np.array([0.5, -1.5, 2.0])
_A = np.array([[0.5, -1.5, 2.0], [1.25, 0.75, -0.25]])
_B = np.cos(np.arange(24.0) ** 2).reshape(2, 3, 4)
_S = np.array([[3.0, 0.5, -0.2], [0.4, 2.5, 0.3], [-0.6, 0.2, 1.5]])
_STACK = np.stack((_S, _S.T + 0.7 * np.eye(3)))
_Z = _S + 1j * np.array([[0.2, -0.4, 0.1], [0.3, 0.5, -0.2], [0.0, 0.6, -0.1]])
_SPD = _S @ _S.T + np.eye(3)


def plus(s: Any, t: Any) -> Any:
    """The sum of two tangents, either of which may be None."""
    return t if s is None else s if t is None else s + t


def minus(s: Any, t: Any) -> Any:
    """The difference of two tangents, either of which may be None."""
    return s if t is None else -t if s is None else s - t


def transposed(a: Any) -> Any:
    """The transposed matrices of a stack."""
    return np.swapaxes(a, -1, -2)


def adjoint(a: Any) -> Any:
    """The conjugate transposed matrices of a stack."""
    return np.conjugate(np.swapaxes(a, -1, -2))


# ---- products ------------------------------------------------------------------------------------


def matmul_transpose(ct: Any, a: Any, b: Any, wrt: int) -> Any:
    """ct @ b^H or a^H @ ct, where vectors count as a row on the left and a column on the right."""
    left, right = (a if a.ndim > 1 else a[None, :]), (b if b.ndim > 1 else b[:, None])
    if b.ndim == 1:
        ct = np.expand_dims(ct, -1)
    if a.ndim == 1:
        ct = np.expand_dims(ct, -2)
    if wrt == 0:
        out = np.matmul(ct, adjoint(right))
        return out[..., 0, :] if a.ndim == 1 else out
    out = np.matmul(adjoint(left), ct)
    return out[..., 0] if b.ndim == 1 else out


@transpose_rule(
    [operator.matmul, np.matmul],
    each=(0, 1),
    rows=[
        row(_A, _S),
        row(_V, _S),
        row(_S, _V),
        row(_V, _V),
        row(_A, _B),
        row(_B, _B[0].T),
        row(_V, _B),
        row(_STACK, _V),
    ],
)
def _(ct: Any, x1: Any, x2: Any, *, wrt: int) -> Any:
    return matmul_transpose(ct, np.asarray(x1), np.asarray(x2), wrt)


@transpose_rule(
    [np.dot, np.ndarray.dot],
    each=(0, 1),
    rows=[
        row(_A, _S),
        row(_V, _V),
        row(_A, _V),
        row(2.0, _A),
        row(_A, 1.5),
        row(_S, _B),
        row(_B, _B[0].T),
        row(_V, _B),
    ],
)
def _(ct: Any, a: Any, b: Any, out: Any = None, *, wrt: int) -> Any:
    a, b = np.asarray(a), np.asarray(b)
    if a.ndim == 0 or b.ndim == 0:
        return (
            ct * np.conjugate(b if wrt == 0 else a)
            if (a if wrt == 0 else b).ndim
            else np.sum(ct * np.conjugate(b if wrt == 0 else a))
        )
    if a.ndim <= 2 and b.ndim <= 2:
        return matmul_transpose(ct, a, b, wrt)
    if wrt == 0:  # sum over all axes of b but the one that was contracted
        axes = [*range(b.ndim - 2), b.ndim - 1] if b.ndim > 1 else []
        return np.tensordot(ct, np.conjugate(b), axes=(list(range(a.ndim - 1, a.ndim - 1 + len(axes))), axes))
    axes = list(range(a.ndim - 1))
    moved = np.tensordot(np.conjugate(a), ct, axes=(axes, axes))
    return np.moveaxis(moved, 0, -2) if b.ndim > 1 else moved


@transpose_rule(np.vdot, each=(0, 1), rows=[row(_V, _V), row(_A, _A), row(_Z, _S + 1j)])
def _(ct: Any, a: Any, b: Any, *, wrt: int) -> Any:
    return np.reshape(
        (np.conjugate(ct) * np.ravel(b)) if wrt == 0 else ct * np.ravel(a), np.shape(a if wrt == 0 else b)
    )


@transpose_rule(
    np.inner, each=(0, 1), rows=[row(_V, _V), row(_A, _S), row(_A, _V), row(2.0, _A), row(_B, _B[0])]
)
def _(ct: Any, a: Any, b: Any, *, wrt: int) -> Any:
    a, b = np.asarray(a), np.asarray(b)
    if a.ndim == 0 or b.ndim == 0:
        return ct * np.conjugate(b if wrt == 0 else a)
    if wrt == 0:
        axes = list(range(b.ndim - 1))
        return np.tensordot(ct, np.conjugate(b), axes=([a.ndim - 1 + k for k in axes], axes))
    axes = list(range(a.ndim - 1))
    return np.tensordot(ct, np.conjugate(a), axes=(axes, axes))


@transpose_rule(np.outer, each=(0, 1), rows=[row(_V, _V), row(_A, _V)])
def _(ct: Any, a: Any, b: Any, out: Any = None, *, wrt: int) -> Any:
    if wrt == 0:
        return np.reshape(ct @ np.conjugate(np.ravel(b)), np.shape(a))
    return np.reshape(np.conjugate(np.ravel(a)) @ ct, np.shape(b))


def _einsum_parts(args: Any) -> tuple[list[str], str, list[int]]:
    """Subscripts of the operands and of the result, without ellipses, and the positions of the operands."""
    if isinstance(args[0], str):
        text, places = args[0].replace(" ", ""), list(range(1, len(args)))
    else:
        pairs = len(args) // 2
        places = [2 * k for k in range(pairs)]
        texts = [_letters(args[2 * k + 1]) for k in range(pairs)]
        text = ",".join(texts) + ("->" + _letters(args[-1]) if len(args) % 2 else "")
    left, arrow, result = text.partition("->")
    terms = left.split(",")
    spare = [c for c in "ZYXWVUTSRQPONMLKJIHGFEDCBAzyxwvutsrqponmlkjihgfedcba" if c not in text]
    extra = [np.ndim(args[p]) - len(term.replace("...", "")) for p, term in zip(places, terms, strict=False)]
    widest = max([n for n, term in zip(extra, terms, strict=False) if "..." in term], default=0)
    dots = "".join(spare[:widest])
    terms = [t.replace("...", dots[widest - n :] if n else "") for t, n in zip(terms, extra, strict=False)]
    if not arrow:
        letters = sorted({c for t in terms for c in t if c not in dots})
        result = dots + "".join(c for c in letters if sum(t.count(c) for t in terms) == 1)
    return terms, result.replace("...", dots), places


def _letters(subscripts: Any) -> str:
    alphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    return "".join("..." if s is Ellipsis else alphabet[s] for s in subscripts)


@transpose_rule(
    [np.einsum, *find_all("numpy._core.multiarray.c_einsum")],
    each=tuple(range(32)),
    rows=[
        row("ij,jk->ik", _A, _S),
        row("ij,jk", _A, _S),
        row("ij->j", _A),
        row("ii->i", _S),
        row("ii", _S),
        row("ij,j,i", _A, _V, _V[:2]),
        row("...i,ij->...j", _B[:, :, :3], _S),
        row("ij,kj->i", _A, _S),
        row(_A, [0, 1], _S, [1, 2], [0, 2]),
        row("bij,bjk->bik", _STACK, _STACK),
        row("iij->j", np.stack((_S, _S, _S), -1)),
        row("i...,i...->...", _A, _A[:, :1]),
    ],
)
def _(
    ct: Any,
    *args: Any,
    wrt: int,
    optimize: Any = False,
    dtype: Any = None,
    order: Any = None,
    casting: Any = None,
) -> Any:
    terms, result, places = _einsum_parts(args)
    k = places.index(wrt)
    shape = np.shape(args[wrt])
    target = "".join(dict.fromkeys(terms[k]))
    others = [(terms[j], np.conjugate(args[places[j]])) for j in range(len(terms)) if j != k]
    sizes = dict(zip(terms[k], shape, strict=False))
    lost = [c for c in target if c not in result and not any(c in t for t, _ in others)]
    subscripts = ",".join([result, *(t for t, _ in others), *lost]) + "->" + target
    found = np.einsum(
        subscripts, ct, *(a for _, a in others), *(np.ones(sizes[c]) for c in lost), optimize=optimize
    )
    if target == terms[k]:
        return found
    # an index twice in one operand: its cotangent lies on the diagonal, found here by marking it with ones
    for place, c in enumerate(terms[k]):
        if c in terms[k][:place]:
            unit = np.eye(sizes[c])
            spread = [sizes[d] if d == c else 1 for d in target]
            row_of = [1] * place
            for q, d in enumerate(terms[k][:place]):
                row_of[q] = sizes[c] if d == c and terms[k].index(c) == q else 1
            later = [1] * (found.ndim - place)
            axis = terms[k].index(c)
            mask = np.reshape(unit, [*row_of, sizes[c], *later]) if axis < place else unit
            found = np.expand_dims(found, place) * mask
            del spread
    return found


@transpose_rule(np.kron, each=(0, 1), rows=[row(_A, _S), row(_V, _V), row(_V, _A), row(_A, 2.0)])
def _(ct: Any, a: Any, b: Any, *, wrt: int) -> Any:
    n = max(np.ndim(a), np.ndim(b))
    first = (1,) * (n - np.ndim(a)) + np.shape(a)
    second = (1,) * (n - np.ndim(b)) + np.shape(b)
    ct = np.reshape(ct, [size for pair in zip(first, second, strict=False) for size in pair])
    if wrt == 0:
        other = np.reshape(np.conjugate(b), [size for n_b in second for size in (1, n_b)])
        return np.reshape(np.sum(ct * other, axis=tuple(range(1, 2 * n, 2))), np.shape(a))
    other = np.reshape(np.conjugate(a), [size for n_a in first for size in (n_a, 1)])
    return np.reshape(np.sum(ct * other, axis=tuple(range(0, 2 * n, 2))), np.shape(b))


# ---- inverse, determinant ------------------------------------------------------------------------

_SQUARE = [row(_S), row(_STACK), row(_Z), row(-_S)]


@jvp_rule([np.linalg.inv, *find_all("numpy.linalg._umath_linalg.inv")], rows=_SQUARE)
def _(a: Any, da: Any, *, out: Any, signature: Any = None) -> Any:
    return -(out @ da @ out)


# solving is linear in the right-hand side, and its tangent solves with the same matrix
@jvp_rule(
    np.linalg.solve,
    rows=[
        row(_S, _V),
        row(_S, _S.T),
        row(_STACK, _STACK),
        row(_Z, _V),
        row(_STACK, _S),
        row(_S, _STACK),
        row(_STACK, _V),
    ],
)
def _(a: Any, b: Any, da: Any, db: Any, *, out: Any) -> Any:
    vector = np.ndim(b) == 1
    moved = None if da is None else (da @ out[..., None])[..., 0] if vector else da @ out
    return solve_linear(a, minus(db, moved), vector)


def _of_cores(name: str, vector: bool, rows: Any) -> None:
    """The function below `solve`, which libraries call for themselves."""

    @jvp_rule(find(f"numpy.linalg._umath_linalg.{name}"), rows=rows)
    def _(a: Any, b: Any, da: Any, db: Any, *, out: Any, signature: Any = None) -> Any:
        t = db if da is None else minus(db, (da @ out[..., None])[..., 0] if vector else da @ out)
        return solve_linear(a, t, vector)


_of_cores("solve1", True, [row(_S, _V), row(_STACK, _V)])
_of_cores("solve", False, [row(_S, _S.T), row(_STACK, _S)])


def solve_linear(a: Any, t: Any, vector: bool) -> Any:
    """The inverse of `a` times a tangent: as a product, since a tangent may be symbolic."""
    inverse = np.linalg.inv(a)
    return inverse @ t if not vector else (inverse @ t[..., None])[..., 0]


@jvp_rule(np.linalg.det, rows=[*_SQUARE, row(np.array([[1.0, 2.0], [2.0, 4.0]])), row(np.zeros((2, 2)))])
def _(a: Any, da: Any, *, out: Any) -> Any:
    return np.sum(cofactors(np.asarray(a)) * da, axis=(-2, -1))


def cofactors(a: Any) -> Any:
    """The derivative of the determinant by each element, det(a) times the transposed inverse.

    Near a singular matrix, where that fails, Faddeev and LeVerrier's recursion divides by integers only.
    """
    n = a.shape[-1]
    size = np.prod(np.sqrt(np.sum(np.abs(a) ** 2, axis=-1)), axis=-1)
    determinant = np.linalg.det(a)
    if np.all(np.abs(determinant) > 1e-10 * size):
        return np.reshape(determinant, (*np.shape(determinant), 1, 1)) * transposed(np.linalg.inv(a))
    eye = np.eye(n)
    adjugate = eye + 0 * a
    for k in range(1, n):
        product = a @ adjugate
        adjugate = product - eye * (np.sum(product * eye, axis=(-2, -1), keepdims=True) / k)
    return transposed(adjugate) * (-1.0) ** (n - 1)


@jvp_rule(np.linalg.slogdet, rows=_SQUARE)
def _(a: Any, da: Any, *, out: Any) -> Any:
    sign, _ = out
    rate = np.sum(transposed(np.linalg.inv(a)) * da, axis=(-2, -1))
    if not np.iscomplexobj(sign):
        return None, rate
    return sign * rate.imag * 1j, rate.real


def symmetric_part(da: Any, uplo: str) -> Any:
    """The Hermitian tangent that `eigh` sees: it reads one triangle."""
    n = da.shape[-1]
    read = da * (np.triu(np.ones((n, n))) if uplo.upper() == "U" else np.tril(np.ones((n, n))))
    diagonal = (da.real if da.dtype.kind == "c" else da) * np.eye(n)
    strict = read * (1 - np.eye(n))
    return strict + adjoint(strict) + diagonal


@jvp_rule(np.linalg.pinv, rows=[row(_S), row(_A), row(_A.T), row(_Z), row(_B), row(_SPD, hermitian=True)])
def _(a: Any, da: Any, rcond: Any = None, hermitian: bool = False, *, rtol: Any = None, out: Any) -> Any:
    if hermitian:  # NumPy reads one triangle
        a, da = symmetric_part(a, "L"), symmetric_part(da, "L")
    dah = adjoint(da)
    rows, columns = np.eye(a.shape[-2]) - a @ out, np.eye(a.shape[-1]) - out @ a
    inner = adjoint(out) @ out
    return -(out @ da @ out) + (out @ adjoint(out)) @ dah @ rows + columns @ dah @ inner
