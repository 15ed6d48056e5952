"""Arrays that a result goes into, given by position: what was in them is gone, with its derivative."""

import numpy as np
import pytest

import tapeless as tl
from checking import check
from tapeless.errors import UntrackedMutationError

X, Y = np.array([0.5, -0.32, 0.2]), np.array([0.13, 0.27, 0.31])
K = np.array([1.0, 2.0, 3.0])
WRITERS = {
    "cumsum": lambda x, y: np.cumsum(K, 0, None, y),
    "cumsum of an argument": lambda x, y: np.cumsum(x, 0, None, y),
    "sum": lambda x, y: np.sum(K.reshape(1, 3), 0, None, y),
    "any": lambda x, y: np.any(x.reshape(1, 3) > 0, 0, y),
    "take": lambda x, y: np.take(K, [0, 1, 1], None, y),
    "clip": lambda x, y: np.clip(K, 0, 1, y),
    "clip in place": lambda x, y: np.clip(y, 0.2, 0.3, y),
    "clip, a method": lambda x, y: K.clip(0, 1, y),
    "round": lambda x, y: np.round(x, 1, y),
    "fix": lambda x, y: np.fix(x, y),
    "isneginf": lambda x, y: np.isneginf(x, y),
    "dot": lambda x, y: np.dot(np.diag(K), K, y),
    "dot of an argument": lambda x, y: np.dot(np.diag(K), x * x, y),
    "outer": lambda x, y: np.outer(K[:1], K, y.reshape(1, 3)),
    "reduce": lambda x, y: np.logical_or.reduce(np.stack([x > 0, x < 0]), 0, None, y),
    "comparison where": lambda x, y: np.equal(x, x, y, where=x > 0),
}


@pytest.mark.parametrize("name", WRITERS)
def test_what_is_overwritten(name):
    def program(x, y):
        WRITERS[name](x, y)
        return (y * x).sum() + y[1]

    check(program, X.copy(), Y.copy())


def test_more_arguments_by_position_are_refused():
    with pytest.raises(UntrackedMutationError, match="by name"):
        tl.grad(lambda x, y: np.sum(K.reshape(1, 3), 0, None, y, True) + (y * x).sum())(X, Y.reshape(1, 3))


def test_out_of_an_own_function_is_an_argument_as_any():
    @tl.custom_jvp
    def weighted(x, out):
        return x * out

    @weighted.defjvp
    def _(primals, tangents):
        (x, out), (dx, dout) = primals, tangents
        return x * out, dx * out + x * dout

    np.testing.assert_array_equal(tl.grad(lambda x, y: weighted(x, y).sum(), 1)(X, Y), X)
