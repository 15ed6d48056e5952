"""Compiled functions: `jit`, `vmap`; `compiled` to look at what was made, `export` to take it elsewhere."""

from __future__ import annotations

import os
import sys
import threading
import types
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tapeless.transformed import Transformed, shared

#: LLVM compiles one thing at a time, and one function is compiled once, whoever asks.
_LOCK = threading.RLock()
#: What staging raises where it has met something that nobody has thought of.
_DEFECTS = (
    ArithmeticError, AssertionError, AttributeError, LookupError, NotImplementedError, RuntimeError,
    TypeError, ValueError,
)  # fmt: skip

#: So many calls at most have strong zeros at once, where those before needed them.
LONGEST = 16


@dataclass(frozen=True)
class Options:
    """What `jit` was asked for; `careful` derivatives have strong zeros."""

    fallback: bool = False
    parallel: bool = False
    cache: bool = True
    careful: bool = False


class Compiled:
    """The entries that one function has with some options; all its `Jitted` share them.

    Each entry checks whether a call is one that it was made for.  The one that is called most is the front:
    the `__call__` of the class of the `Jitted`, so that a call goes straight to it, perhaps to machine code.
    """

    def __init__(self, fun: Callable[..., Any], options: Options) -> None:
        self.fun, self.options = fun, options
        #: what runs in CPython: a batched function would come back here
        self.in_python = fun.one_by_one if isinstance(fun, Vmap) else fun
        self.entries: list[Any] = []
        self.front: Any = None
        self.plain: set[Any] = set()
        """The kinds of calls that run in CPython."""
        self.looked_up: set[Any] = set()
        """The kinds of calls that were looked for on disk."""
        self.strict: Compiled | None = None
        self.spell = 1
        """How many calls after one whose derivative has a NaN are made with strong zeros at once."""
        self.call: Callable[..., Any] = self
        """What takes a call: the front, once there is one."""
        self.parts: dict[Any, Jitted] = {}
        """Derivatives of the function, compiled, by what they are."""
        self.kind: type[Jitted] = types.new_class("Jitted", (Jitted,))
        self.kind.__module__ = Jitted.__module__

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.slowly(args, kwargs, None)

    def slowly(self, args: tuple[Any, ...], kwargs: dict[str, Any], tried: Any) -> Any:
        """A call that the front did not take: by another entry, or by a new one."""
        try:
            return self.find(args, kwargs, tried)
        except Exception as error:
            from tapeless.runtime.tracebacks import user_frames_only

            user_frames_only().__exit__(type(error), error, error.__traceback__)
            raise

    def find(self, args: tuple[Any, ...], kwargs: dict[str, Any], tried: Any) -> Any:
        from tapeless.backends.native.entry import MISSED

        done = {id(tried)}
        made: Any = None
        while True:
            entries = self.entries
            for entry in entries:
                if id(entry) in done or not entry.takes(args, kwargs):
                    continue
                done.add(id(entry))
                result = entry.probe(*args, **kwargs)
                if result is not MISSED:
                    self.count(entry)
                    return result
            key = _kinds(args, kwargs)
            if made is not None:  # not even the new entry takes the call
                self.no_entry(made, args, kwargs)
                self.plain.add(key)
            if key in self.plain:
                return self.in_python(*args, **kwargs)
            with _LOCK:
                if self.entries is not entries:  # another thread has made some
                    continue
                if self.options.cache and key not in self.looked_up:
                    self.looked_up.add(key)
                    if self.add(self.from_disk(args, kwargs)):
                        continue
                try:
                    made = self.make(args, kwargs)
                except Exception:
                    if not self.options.fallback:
                        raise
                    self.plain.add(key)
                else:
                    self.add([made])

    def make(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A new entry."""
        from tapeless.backends.native import build, disk  # LLVM is loaded when it is first needed
        from tapeless.errors import NotCompilable, TapelessError

        try:
            made, opened = build.make_entry(self.fun, args, kwargs, self.options, self.left)
        except (TapelessError, NameError):
            raise
        except _DEFECTS as error:
            name = getattr(self.fun, "__qualname__", repr(self.fun))
            raise NotCompilable(
                f"{name} cannot be compiled: {type(error).__name__}: {error}. This is a defect of tapeless; "
                "please report it. jit(..., fallback=True) runs such a function in CPython"
            ) from error
        if self.options.cache:
            disk.store(self.fun, args, kwargs, self.options, made, opened)
        return made

    def from_disk(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
        from tapeless.backends.native import disk

        return disk.load(self.fun, args, kwargs, self.options, self.left)

    def left(self, *args: Any, **kwargs: Any) -> Any:
        """A call that an entry cannot make: CPython does, or another entry if it was to find out a result."""
        calls = sys.modules.get("tapeless.backends.native.python_calls")
        if calls is None or not calls.KEPT.results:
            return self.in_python(*args, **kwargs)
        try:
            return self.slowly(args, kwargs, None)
        finally:
            calls.KEPT.results.clear()

    def add(self, entries: list[Any]) -> bool:
        """Make entries known; the first of all becomes the front."""
        from tapeless.backends.native.entry import MISSED

        for entry in entries:
            entry.probe = entry.call_or(lambda *args, **kwargs: MISSED, self.carefully)
        if entries:
            self.entries = [*self.entries, *entries]
            if self.front is None:
                self.to_front(entries[0])
        return bool(entries)

    def count(self, entry: Any) -> None:
        """An entry that is used often behind the front takes its place."""
        entry.hits += 1
        if entry.hits % 16 == 0 and entry is not self.front:
            self.to_front(entry)

    def to_front(self, entry: Any) -> None:
        """Let calls go straight to an entry."""

        def miss(*args: Any, **kwargs: Any) -> Any:
            return self.slowly(args, kwargs, entry)

        self.front = entry
        self.take_calls(entry.call_or(miss, self.carefully))

    def take_calls(self, call: Callable[..., Any]) -> None:
        self.call = call
        self.kind.__call__ = staticmethod(call)  # type: ignore[method-assign]

    def carefully(self, *args: Any, **kwargs: Any) -> Any:
        """A call in which a derivative has come out as NaN: again, with strong zeros."""
        if self.strict is None:
            self.strict = Compiled(self.fun, replace(self.options, careful=True))
        strict, left = self.strict, self.spell
        self.spell = min(2 * left, LONGEST)

        def at_once(*args: Any, **kwargs: Any) -> Any:
            nonlocal left
            left -= 1
            if left <= 0:
                self.to_front(self.front)
            return strict.call(*args, **kwargs)

        self.take_calls(at_once)
        return strict.call(*args, **kwargs)

    def no_entry(self, made: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """A call that the entry just made for it refuses; nothing has been written yet.

        An array may be one that only the plain program can be told not to write; else this is an error.
        """
        from tapeless.errors import NotCompilable

        found = [path.read(args, kwargs) for path in made.plan.inputs]
        locked = any(isinstance(x, np.ndarray) and not x.flags.writeable for x in found)
        if not locked and not self.options.fallback:
            raise NotCompilable(
                f"{made.plan.name} cannot be compiled for this call: its arguments are not what they seem; "
                "jit(..., fallback=True) runs such a call in CPython"
            )


def _kinds(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What a call is like, roughly."""
    return tuple(map(_kind, args)), tuple((k, _kind(v)) for k, v in kwargs.items())


def _kind(x: Any, depth: int = 8) -> Any:
    if type(x) is np.ndarray:
        return x.dtype, x.shape, x.flags.num
    if type(x) in (tuple, list) and depth:  # a list may hold itself
        return type(x), tuple(_kind(v, depth - 1) for v in x)
    return (int, -(2**63) <= x < 2**63) if type(x) is int else type(x)


class Jitted(Transformed):
    """What `jit` returns: a function that is compiled when it is first called with arguments of new types."""

    def __init__(
        self, fun: Callable[..., Any], fallback: bool = False, parallel: bool = False, cache: bool = True
    ) -> None:
        super().__init__(fun, 0, False)
        self.options = Options(fallback, parallel, cache)
        self.compiled = shared(fun, self.options, lambda: Compiled(fun, self.options))
        self.__class__ = self.compiled.kind

    def __reduce__(self) -> Any:
        return Jitted, (self.fun, self.options.fallback, self.options.parallel, self.options.cache)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.compiled.slowly(args, kwargs, None)

    def __get__(self, owner: Any, cls: type | None = None) -> Any:
        """A jitted function in a class is a method."""
        return self if owner is None else types.MethodType(self, owner)

    @property
    def entries(self) -> list[Any]:
        return self.compiled.entries

    def derived(self, make: Callable[[Any], Any]) -> Jitted:
        """`make` of the plain function, compiled like this one."""
        return Jitted(make(self.fun), self.options.fallback, self.options.parallel, self.options.cache)

    def part(self, key: Any, make: Callable[[Any], Any]) -> Jitted:
        """The same, made once for a key."""
        if key not in self.compiled.parts:
            self.compiled.parts[key] = self.derived(make)
        return self.compiled.parts[key]


def jit(
    fun: Callable[..., Any], *, fallback: bool = False, parallel: bool = False, cache: bool = True
) -> Callable[..., Any]:
    """Compile a function to native code when it is called, for the types of its arguments.

    The function may be a derivative: `jit(grad(f))`, `jit(value_and_grad(f))`, `jit(hessian(f))`.  What
    cannot be compiled raises `NotCompilable`, which names the line and the reason; with `fallback` such a
    call runs in CPython.  With `parallel`, iterations that do not depend on each other run in threads.
    Compiled code is kept on disk (in `$TAPELESS_CACHE_DIR`, or where the user's caches are) unless `cache`
    is false or that variable is empty.

    >>> import tapeless as tl
    >>> def power(x, n):
    ...     y = 1.0
    ...     for _ in range(n):
    ...         y *= x
    ...     return y
    >>> tl.jit(power)(1.5, 3), tl.jit(tl.grad(power))(1.5, 3)
    (3.375, 6.75)
    """
    if hasattr(fun, "compiled_by"):  # a sparse jacobian, whose matrix is put together outside
        return fun.compiled_by(lambda f: Jitted(f, fallback, parallel, cache))  # type: ignore[no-any-return]
    return Jitted(fun, fallback, parallel, cache)


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

    def one_by_one(self, *args: Any, **kwargs: Any) -> Any:
        """The same in CPython."""
        from tapeless.batches import one_by_one

        return one_by_one(self.fun, self.in_axes, self.out_axes, args, kwargs)


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
    from tapeless.backends.native.build import loops, make_entry

    inner = fun.fun if isinstance(fun, Jitted) else fun
    if show == "loops":
        return loops(inner, args, kwargs)
    if show not in ("llvm", "assembly"):
        raise ValueError(f"show is 'loops', 'llvm' or 'assembly', not {show!r}")
    kernel = make_entry(inner, args, kwargs, Options(), inner)[0].kernel
    return str(kernel.optimised_ir if show == "llvm" else kernel.assembly)


def export(
    fun: Callable[..., Any], args: tuple[Any, ...], file: str | os.PathLike[str], *, numba: bool = False
) -> None:
    """Write `fun`, for arguments of these types, as a Python module of one function that needs no tapeless.

    The function may be a derivative.  Its name is that of `fun` and its arguments are positional.  What
    `fun` reads from outside its arguments is written out as it is now.  With `numba` the loops are compiled
    by Numba when they are first called; without it they run in CPython, on NumPy arrays.

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
