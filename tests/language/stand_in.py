"""A stand-in for the package whose derivatives are finite differences, and broken versions of it.

The checker is tested with it: the honest one must pass, every broken one must be caught.
"""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

from checking import (
    Rebuilder,
    as_tangent,
    clone,
    field_names,
    finite_difference,
    quiet,
    tangent_vector,
    vector,
    with_values,
)


class TangentBuilder(Rebuilder):
    """Gradients of objects are plain records of their fields."""

    def build_object(self, x: Any) -> Any:
        new = SimpleNamespace()
        self.memo[id(x)] = new
        for name in field_names(x):
            setattr(new, name, self.build(getattr(x, name)))
        return new


class StandIn:
    """`jvp`, `vjp`, `linearize`, `transpose` and `grad` of a Jacobian taken by finite differences."""

    def program(self, f: Callable[..., Any]) -> Callable[..., Any]:
        """What is differentiated in place of `f`."""
        return f

    def jacobian_of(self, f: Callable[..., Any], args: tuple) -> np.ndarray:
        f, args = self.program(f), clone(args)
        point = vector(args)

        def along(direction):
            return lambda t: vector(quiet(f, clone(with_values(args, point + t * direction))), shared=False)

        columns = [finite_difference(along(e), 0.05)[0] for e in np.eye(point.size)]
        return np.stack(columns, axis=1) if columns else np.zeros((vector(quiet(f, args), False).size, 0))

    def linearize(self, f, *args):
        template = clone(args)
        out = f(*args)
        shape = clone(out)
        jacobian = self.jacobian_of(f, template)

        def linear(*tangents):
            pushed = jacobian @ tangent_vector(tangents, template, "tangent")
            return TangentBuilder(pushed, "tangent", shared=False).build(shape)

        linear.jacobian, linear.template, linear.shape = jacobian, template, shape
        return out, linear

    def transpose(self, linear):
        def pullback(cotangent):
            pulled = linear.jacobian.T @ tangent_vector(cotangent, linear.shape, "cotangent", shared=False)
            return TangentBuilder(pulled, "tangent").build(linear.template)

        return pullback

    def jvp(self, f, primals, tangents):
        out, linear = self.linearize(f, *primals)
        return out, linear(*tangents)

    def vjp(self, f, *primals):
        out, linear = self.linearize(f, *primals)
        return out, self.transpose(linear)

    def grad(self, f, argnums=0):
        indices = (argnums,) if isinstance(argnums, int) else argnums

        def gradient(*args):
            out, pullback = self.vjp(f, *args)
            full = pullback(as_tangent(out, np.ones(1)))
            picked = tuple(full[i] for i in indices)
            return picked[0] if isinstance(argnums, int) else picked

        return gradient
