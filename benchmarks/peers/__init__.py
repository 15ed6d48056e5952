"""The kernels by other tools: compiled by Numba, rewritten for JAX, run eagerly by PyTorch and autograd.

Each function here takes a kernel and gives a call of no arguments, or says by `Cannot` why there is none.
"""

import importlib
import types
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.harness import rebound
from benchmarks.kernels import Kernel


class Cannot(Exception):
    """What a tool cannot express, in a word or two."""


def module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise Cannot("absent") from error


def numba_primal(kernel: Kernel) -> Callable[..., float]:
    """The program itself, with the functions that it calls, under `numba.njit`."""
    njit = module("numba").njit
    scope = dict(kernel.plain.__globals__)
    for name, value in list(scope.items()):
        if isinstance(value, types.FunctionType) and value.__module__ == kernel.plain.__module__:
            scope[name] = njit(types.FunctionType(value.__code__, scope, name, value.__defaults__))
    return scope[kernel.name]


def jax_version(kernel: Kernel) -> Callable[..., Any]:
    """The kernel of the same name for JAX; importing it sets JAX to double precision."""
    version = getattr(module(f"benchmarks.peers.jax_{kernel.family}"), kernel.name, None)
    if version is None:
        raise Cannot("cannot")
    return version


def jax_gradient(kernel: Kernel, args: Sequence[Any]) -> Callable[[], Any]:
    """Value and gradient, jitted; Python's integers are static, as shapes and lengths of loops must be."""
    jax = module("jax")
    static = tuple(n for n, value in enumerate(args) if type(value) is int)
    both = jax.jit(jax.value_and_grad(jax_version(kernel), argnums=kernel.argnums), static_argnums=static)
    moved = [value if type(value) is int else jax.tree.map(jax.numpy.asarray, value) for value in args]
    return lambda: jax.block_until_ready(both(*moved))


def torch_gradient(kernel: Kernel, args: Sequence[Any]) -> Callable[[], Any]:
    from benchmarks.peers import eager

    torch = module("torch")
    torch.set_num_threads(1)
    function = eager.out_of_place(kernel.plain, eager.torch_names(torch))

    def call() -> Any:
        leaves = [eager.tensors(torch, args[n], True) for n in kernel.argnums]
        taken = [eager.tensors(torch, value, False) for value in args]
        for n, leaf in zip(kernel.argnums, leaves, strict=True):
            taken[n] = eager.copied(leaf)  # a leaf may not be written to
        value = function(*taken)
        flat = eager.flat(leaves)
        return value, torch.autograd.grad(value, flat, materialize_grads=True)

    return call


def autograd_gradient(kernel: Kernel, args: Sequence[Any]) -> Callable[[], Any]:
    from benchmarks.peers import eager

    autograd = module("autograd")
    function = rebound(kernel.plain, eager.autograd_names(module("autograd.numpy")))
    both = autograd.value_and_grad(function, argnum=kernel.argnums)
    return lambda: both(*args)
