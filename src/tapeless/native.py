"""Compiled functions: `jit`, and `compiled` to look at what it made."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

from tapeless.transformed import Transformed

_LOCK = threading.RLock()
_MISSED = object()


class Jitted(Transformed):
    """What `jit` returns: a function that is compiled when it is first called with arguments of new types."""

    def __init__(self, fun: Callable[..., Any], fallback: bool = False, parallel: bool = False) -> None:
        super().__init__(fun, 0, False)
        self.fallback, self.parallel = fallback, parallel
        self.entries: list[Any] = []

    def __reduce__(self) -> Any:
        return Jitted, (self.fun, self.fallback, self.parallel)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.slowly(args, kwargs, None)

    def slowly(self, args: tuple[Any, ...], kwargs: dict[str, Any], tried: Any) -> Any:
        """A call that the front entry did not take: by another entry, or by a new one."""
        for entry in self.entries:
            if entry is not tried and entry.takes(args, kwargs):
                result = entry.probe(*args, **kwargs)
                if result is not _MISSED:
                    self.to_front(entry)
                    return result
        from tapeless.errors import BackendError

        try:
            entry = self.entry(args, kwargs)
        except BackendError:
            if self.fallback:
                return self.fun(*args, **kwargs)
            raise
        return entry.probe(*args, **kwargs)

    def entry(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A new entry for these arguments."""
        from tapeless.backends.native.entry import make_entry  # LLVM is loaded when it is first needed

        with _LOCK:
            entry = make_entry(self.fun, args, kwargs, _MISSED, parallel=self.parallel)
            self.entries = [*self.entries, entry]
            self.to_front(entry)
        return entry

    def to_front(self, entry: Any) -> None:
        """Let calls go straight to an entry."""

        def miss(*args: Any, **kwargs: Any) -> Any:
            return self.slowly(args, kwargs, entry)

        self.__class__ = type("Jitted", (Jitted,), {"__call__": staticmethod(entry.call_or(miss))})


def jit(fun: Callable[..., Any], *, fallback: bool = False, parallel: bool = False) -> Callable[..., Any]:
    """Compile a function to native code when it is called, for the types of its arguments.

    The function may be a derivative: `jit(grad(f))`, `jit(value_and_grad(f))`, `jit(hessian(f))`.  What
    cannot be compiled raises `NotCompilable`, which names the line and the reason; with `fallback` such a
    call runs in CPython.  With `parallel`, iterations that do not depend on each other run in threads.

    >>> import tapeless as tl
    >>> def power(x, n):
    ...     y = 1.0
    ...     for _ in range(n):
    ...         y *= x
    ...     return y
    >>> tl.jit(power)(1.5, 3), tl.jit(tl.grad(power))(1.5, 3)
    (3.375, 6.75)
    """
    return Jitted(fun, fallback, parallel)


class Vmap(Transformed):
    """What `vmap` returns."""

    def __init__(self, fun: Callable[..., Any], in_axes: Any = 0, out_axes: Any = 0) -> None:
        super().__init__(fun, 0, False)
        self.in_axes, self.out_axes = in_axes, out_axes
        self.jitted: Jitted | None = None

    def __reduce__(self) -> Any:
        return Vmap, (self.fun, self.in_axes, self.out_axes)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.jitted is None:
            self.jitted = Jitted(self)
        return self.jitted(*args, **kwargs)


def vmap(fun: Callable[..., Any], in_axes: Any = 0, out_axes: Any = 0) -> Callable[..., Any]:
    """A function of one entry as a function of a batch: a native loop, with any control flow in its body.

    `in_axes` is the axis of each argument that runs over the batch (one for all, or one an argument; None for
    an argument that is the same for every entry), `out_axes` that of the results.

    >>> import numpy as np, tapeless as tl
    >>> def steps(n, x):
    ...     count = 0.0
    ...     while n > 1.0:
    ...         n, count = n * x, count + 1.0
    ...     return count
    >>> tl.vmap(steps, in_axes=(0, None))(np.array([1.0, 8.0, 1000.0]), 0.5)
    array([ 0.,  3., 10.])
    """
    return Vmap(fun, in_axes, out_axes)


def compiled(fun: Callable[..., Any], *args: Any, show: str = "loops", **kwargs: Any) -> str:
    """What `jit(fun)` makes of a call with these arguments, as text.

    `show` is "loops" (Python loops over scalars and elements), "llvm" (LLVM's intermediate representation,
    optimised) or "assembly".

    >>> import tapeless as tl
    >>> print(tl.compiled(lambda x: x * x + 1.0, 3.0))  # doctest: +ELLIPSIS
    def ...
    """
    from tapeless.backends.native.entry import loops, make_entry

    inner = fun.fun if isinstance(fun, Jitted) else fun
    if show == "loops":
        return loops(inner, args, kwargs)
    if show not in ("llvm", "assembly"):
        raise ValueError(f"show is 'loops', 'llvm' or 'assembly', not {show!r}")
    kernel = make_entry(inner, args, kwargs, None).kernel
    return str(kernel.optimised_ir if show == "llvm" else kernel.assembly)


def export(
    fun: Callable[..., Any], args: tuple[Any, ...], file: str | os.PathLike[str], *, numba: bool = False
) -> None:
    """Write `fun`, for arguments of these types, as a Python module of one function that needs no tapeless.

    The function may be a derivative.  Its name is that of `fun` and its arguments are positional.  What
    `fun` reads from outside its arguments is written out as it is now.  With `numba` the loops are compiled by
    Numba when they are first called; without it they run in CPython, on NumPy arrays.

    >>> import tapeless as tl, pathlib, runpy, tempfile
    >>> def cube(x):
    ...     return x**3
    >>> file = pathlib.Path(tempfile.mkdtemp(), "cube_grad.py")
    >>> tl.export(tl.grad(cube), (2.0,), file)
    >>> runpy.run_path(str(file))["cube"](3.0)
    27.0
    """
    from tapeless.backends.native.export import export as write

    write(fun, args, file, numba=numba)
