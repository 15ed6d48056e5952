"""Linear operations that runs enter into their records beside those of the rule book: quicker forms of the
same."""

from __future__ import annotations

from typing import Any

import numpy as np

from tapeless.rules import lookup
from tapeless.rules.operations import Apply, Operation


class Stack(Operation):
    """A vector whose items are the parents; a parent that is None is zero."""

    __slots__ = ("dtype",)

    def __init__(self, dtype: Any) -> None:
        self.dtype = dtype

    def apply(self, *tangents: Any, careful: bool = False) -> Any:
        return np.array([0.0 if t is None else t for t in tangents], self.dtype)

    def transpose(self, ct: Any, careful: bool = False) -> tuple[Any, ...]:
        return tuple(ct.tolist())


class Product(Apply):
    """A product of vectors and matrices: the cotangents are written down at once."""

    __slots__ = ()

    def transpose(self, ct: Any, careful: bool = False) -> tuple[Any, ...]:
        if careful:
            return Apply.transpose(self, ct, True)
        if len(self.paths) == 2:
            return self.left(ct), self.right(ct)
        return (self.left(ct),) if self.paths[0][0] == 0 else (self.right(ct),)

    def left(self, ct: Any) -> Any:
        a, b = self.args
        if b.dtype.kind == "c":
            b = b.conj()
        if b.ndim == 1:
            return ct[:, None] * b if a.ndim == 2 else ct * b
        return np.dot(ct, b.T)

    def right(self, ct: Any) -> Any:
        a, b = self.args
        if a.dtype.kind == "c":
            a = a.conj()
        if a.ndim == 1:
            return a[:, None] * ct if b.ndim == 2 else a * ct
        return np.dot(a.T, ct)


PRODUCTS = frozenset({lookup(np.dot), lookup(np.matmul)})
#: rules of functions that make an array of a list of numbers
STACKS = frozenset({lookup(np.array), lookup(np.asarray)})


def is_product(rule: Any, args: tuple[Any, ...]) -> bool:
    """Whether a rule is that of products, and the operands are vectors and matrices."""
    if rule not in PRODUCTS or len(args) != 2:
        return False
    a, b = args
    return type(a) is np.ndarray and type(b) is np.ndarray and 0 < a.ndim < 3 and 0 < b.ndim < 3
