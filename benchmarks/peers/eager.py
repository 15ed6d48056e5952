"""What PyTorch and autograd call the functions of NumPy and `math` that the kernels use."""

import ast
import inspect
import math
import textwrap
import types
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np


def tensors(torch: Any, value: Any, active: bool) -> Any:
    if isinstance(value, list):
        return [tensors(torch, part, active) for part in value]
    if isinstance(value, np.ndarray):
        return torch.tensor(value, requires_grad=active)
    if active:
        return torch.tensor(value, dtype=torch.float64, requires_grad=True)
    return value


def copied(value: Any) -> Any:
    return [copied(part) for part in value] if isinstance(value, list) else value.clone()


def flat(values: Sequence[Any]) -> list[Any]:
    return [leaf for v in values for leaf in (flat(v) if isinstance(v, list) else [v])]


class OutOfPlace(ast.NodeTransformer):
    """`x += y` as `x = x + y`, as people write it for PyTorch: there even a number is changed in place."""

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.stmt:
        if not isinstance(node.target, ast.Name):
            return node
        before = ast.Name(node.target.id, ast.Load())
        return ast.Assign([node.target], ast.BinOp(before, node.op, node.value))


def out_of_place(function: Callable[..., Any], names: dict[str, Any]) -> Callable[..., Any]:
    """The function and those of its module that it may call, with other meanings of some names."""
    scope = dict(function.__globals__) | names
    for name, value in list(scope.items()):
        if isinstance(value, types.FunctionType) and value.__module__ == function.__module__:
            tree = OutOfPlace().visit(ast.parse(textwrap.dedent(inspect.getsource(value))))
            exec(compile(ast.fix_missing_locations(tree), name, "exec"), scope)
    return scope[function.__name__]


def torch_names(torch: Any) -> dict[str, Any]:
    """`np` and `math` for code that is given tensors."""
    torch.Tensor.copy = torch.Tensor.clone

    def tensor(x: Any) -> Any:
        return x if isinstance(x, torch.Tensor) else torch.tensor(x, dtype=torch.float64)

    def scalar(name: str) -> Any:
        by_torch, by_math = getattr(torch, name), getattr(math, name)
        return lambda x: by_torch(x) if isinstance(x, torch.Tensor) else by_math(x)

    def reduced(function: Any) -> Any:
        def call(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
            axis = tuple(range(x.dim())) if axis is None else axis
            return function(x, dim=axis, keepdim=keepdims)

        return call

    def made(function: Any) -> Any:
        return lambda shape: function(shape, dtype=torch.float64)

    def deviation(x: Any, dim: Any, keepdim: bool) -> Any:
        return torch.std(x, dim=dim, keepdim=keepdim, correction=0)

    def bound(function: Any) -> Any:
        return lambda a, b: function(tensor(a), tensor(b))

    unary = ("sin", "cos", "exp", "log", "sqrt", "tanh", "erf")
    both = {name: scalar(name) for name in unary if hasattr(math, name)}
    np_like = types.SimpleNamespace(
        **both, sum=reduced(torch.sum), mean=reduced(torch.mean), max=reduced(torch.amax),
        std=reduced(deviation), zeros=made(torch.zeros), empty=made(torch.empty),
        eye=lambda n: torch.eye(n, dtype=torch.float64), inf=math.inf, newaxis=None,
        maximum=bound(torch.maximum), where=torch.where, outer=torch.outer, dot=torch.dot,
        flip=lambda x: torch.flip(x, (0,)), hstack=torch.hstack, reshape=torch.reshape,
        arctan2=torch.atan2, logical_and=torch.logical_and,
    )  # fmt: skip
    math_like = types.SimpleNamespace(**both, factorial=math.factorial)
    return {"np": np_like, "math": math_like}


def autograd_names(anp: Any) -> dict[str, Any]:
    """`np` and `math` for code that is given autograd's boxes."""
    from autograd.scipy import special

    math_like = types.SimpleNamespace(
        sin=anp.sin, cos=anp.cos, exp=anp.exp, log=anp.log, sqrt=anp.sqrt, erf=special.erf,
        factorial=math.factorial,
    )  # fmt: skip
    return {"np": anp, "math": math_like}
