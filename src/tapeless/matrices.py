"""Jacobians and Hessians as arrays, column by column or row by row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tapeless.api import Argnums, Pullback, Transformed, grad, jvp
from tapeless.errors import NotDifferentiableError, StructureError
from tapeless.rules.spaces import space_of
from tapeless.runtime.linearized import Linearized
from tapeless.runtime.structure import outputs_of
from tapeless.runtime.tracebacks import user_frames_only
from tapeless.sparse import SparseJacobian
from tapeless.transformed import derived, positions


class Jacobian(Transformed):
    """The function that `jacobian`, `jacfwd` and `jacrev` return."""

    mode = "auto"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        where = positions(self.fun, self.argnums, args, kwargs)
        wanted = [args[w] if isinstance(w, int) else kwargs[w] for w in where]
        for x in wanted:
            if space_of(x) is None:
                raise NotDifferentiableError(
                    "the jacobian is taken with respect to a number or an array of floats, "
                    f"not a {type(x).__name__}"
                )
        with user_frames_only():
            lin = Linearized(self.fun, args, kwargs, where, "jacobian")
        outputs = outputs_of(lin.run, lin.value, lin.tangent, {})

        def block(k: int) -> Any:
            before, after = (None,) * k, (None,) * (len(wanted) - k - 1)
            return _assemble(
                lin.value,
                wanted[k],
                self.mode,
                lambda t: lin.push((*before, t, *after), outputs),
                lambda ct: Pullback(lin, outputs)(ct)[k],
            )

        blocks = tuple([block(k) for k in range(len(wanted))])
        return blocks if isinstance(self.argnums, (tuple, list)) else blocks[0]


class JacFwd(Jacobian):
    mode = "forward"


class JacRev(Jacobian):
    mode = "reverse"


def _assemble(value: Any, x: Any, mode: str, linear: Any, back: Any) -> Any:
    """The matrix of a linear map, given as itself and as its transpose."""
    out = space_of(value)
    if out is None:
        if isinstance(value, (tuple, list)):
            raise StructureError(
                "jacobian needs a function whose result is a number or an array; stack its results"
            )
        raise StructureError(
            f"jacobian needs a function whose result is a number or an array, not a {type(value).__name__}"
        )
    n, m = int(np.size(x)), int(np.size(value))
    complex_ = np.iscomplexobj(x) or np.iscomplexobj(value)
    forward = mode == "forward" or (mode == "auto" and (n <= m or complex_))
    shape = (*np.shape(value), *np.shape(x))
    if forward:
        columns = np.empty((n, *np.shape(value)), np.result_type(out.dtype, np.asarray(x).dtype))
        for k in range(n):
            columns[k] = linear(_unit(x, k))
        whole = np.moveaxis(columns, 0, -1).reshape(shape)
    else:
        rows = np.empty((m, *np.shape(x)), np.result_type(out.dtype, np.asarray(x).dtype))
        for k in range(m):
            rows[k] = back(_unit(value, k))
        whole = rows.reshape(shape)
    return whole if shape else whole[()].item() if type(x) is float and type(value) is float else whole[()]


def _unit(x: Any, k: int) -> Any:
    """The k-th unit tangent of a number or array."""
    if not isinstance(x, np.ndarray):
        return 1.0
    e = np.zeros(x.shape, x.dtype)
    e.reshape(-1)[k] = 1
    return e


def jacobian(fun: Callable[..., Any], argnums: Argnums = 0, *, sparse: Any = False) -> Callable[..., Any]:
    """The Jacobian of a function of numbers and arrays.

    Its shape is `(*shape of the result, *shape of the argument)`.  The program runs once; the linear map is
    then applied to unit tangents, or its transpose to unit cotangents, whichever are fewer.

    With `sparse` it is a matrix of SciPy, a `csr_array`, of the result's elements by the argument's: columns
    (or rows) that have no entry in the same place are computed together.  `True` has the places of entries
    found; they can also be given, as a matrix of SciPy or an array that is not zero there.  A given pattern
    is checked in each call.

    >>> import numpy as np, tapeless as tl
    >>> tl.jacobian(lambda x: x * x)(np.array([1.0, 2.0]))
    array([[2., 0.],
           [0., 4.]])
    >>> made = tl.jacobian(lambda x: x[1:] * x[:-1], sparse=True)(np.array([1.0, 2.0, 4.0]))
    >>> made.nnz, made.toarray()
    (4, array([[2., 1., 0.],
           [0., 4., 2.]]))
    """
    if sparse is not False and sparse is not None:
        return SparseJacobian(fun, argnums, sparse)
    return derived(fun, lambda f: Jacobian(f, argnums, False))  # type: ignore[no-any-return]


def jacfwd(fun: Callable[..., Any], argnums: Argnums = 0) -> Callable[..., Any]:
    """`jacobian`, column by column: for functions with fewer inputs than results."""
    return derived(fun, lambda f: JacFwd(f, argnums, False))  # type: ignore[no-any-return]


def jacrev(fun: Callable[..., Any], argnums: Argnums = 0) -> Callable[..., Any]:
    """`jacobian`, row by row: for functions with fewer results than inputs."""
    return derived(fun, lambda f: JacRev(f, argnums, False))  # type: ignore[no-any-return]


def hessian(fun: Callable[..., Any], argnums: int = 0, *, sparse: Any = False) -> Callable[..., Any]:
    """The Hessian of a function whose result is one real number: the Jacobian of its gradient.

    With `sparse` it is a matrix of SciPy, as in `jacobian`.

    >>> import numpy as np, tapeless as tl
    >>> tl.hessian(lambda x: x[0] ** 2 * x[1])(np.array([1.0, 2.0]))
    array([[4., 2.],
           [2., 0.]])
    """
    if sparse is not False and sparse is not None:
        return SparseJacobian(grad(fun, argnums), argnums, sparse, "forward")
    return derived(fun, lambda f: JacFwd(grad(f, argnums), argnums, False))  # type: ignore[no-any-return]


def hvp(fun: Callable[..., Any], primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> Any:
    """The product of the Hessian with a vector, without forming the Hessian (forward over reverse).

    >>> import tapeless as tl
    >>> tl.hvp(lambda x: x**3, (2.0,), (1.0,))
    12.0
    """
    if len(primals) == 1:
        return jvp(grad(fun), primals, tangents)[1]
    return jvp(grad(fun, tuple(range(len(primals)))), primals, tangents)[1]
