"""Derivative functions as objects: what was asked for.  How it is computed is imported when one is called.

So `import tapeless` is quick, and a compiled gradient that is found on disk never loads the rest.
"""

from __future__ import annotations

import functools
import types
import weakref
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

Argnums = int | str | Sequence[int | str]
V = TypeVar("V")

#: The attribute of a function under which its `Versions` are.
VERSIONS = "__tapeless__"


class Versions:
    """What was specialised or compiled for one function, by transformation and options.

    It hangs on the function itself, so that `grad(f)` written anew in every iteration is made once and yet
    dies with `f`.
    """

    def __init__(self, fun: Any) -> None:
        self.owner = weakref.ref(fun)
        self.made: dict[Any, Any] = {}

    def __reduce__(self) -> Any:  # for who pickles functions with their attributes
        return dict, ()


def shared(fun: Any, key: Any, make: Callable[[], V]) -> V:
    """What belongs to `fun` and `key`, made if need be.

    Functions have it, and derivatives of functions; everything else makes its own every time.
    """
    if isinstance(fun, Transformed):
        kind, (fun, *options) = fun.__reduce__()
        return shared(fun, (key, kind, *options), make)
    if type(fun) is not types.FunctionType:
        return make()
    versions = fun.__dict__.get(VERSIONS)
    if (
        not isinstance(versions, Versions) or versions.owner() is not fun
    ):  # `functools.wraps` copies attributes
        versions = fun.__dict__[VERSIONS] = Versions(fun)
    try:
        found: V = versions.made[key]
    except KeyError:
        found = versions.made.setdefault(key, make())
    except TypeError:  # argnums that cannot be hashed
        found = make()
    return found


class Transformed:
    """A derivative function: called like the function it was made from, with its name and signature."""

    def __init__(self, fun: Callable[..., Any], argnums: Argnums, has_aux: bool) -> None:
        functools.update_wrapper(self, fun, updated=())  # type: ignore[arg-type]
        self.fun, self.argnums, self.has_aux = fun, argnums, has_aux

    def __reduce__(self) -> Any:
        return type(self), (self.fun, self.argnums, self.has_aux)

    def __repr__(self) -> str:
        return f"<{type(self).__name__.lower()} of {getattr(self.fun, '__qualname__', self.fun)}>"


class Specialised:
    """The entries that the typed road has made for a gradient function, and what it has refused."""

    def __init__(self) -> None:
        self.entries: list[Any] = []
        self.refused: set[Any] = set()
        self.front: type[Gradient] | None = None
        self.long = False  # whether the last run by the untyped road did many operations


def derived(fun: Any, make: Callable[[Any], Any]) -> Any:
    """`make(fun)`; of a compiled function, that is compiled too."""
    from tapeless.native import Jitted

    return fun.derived(make) if isinstance(fun, Jitted) else make(fun)


class Gradient(Transformed):
    """What `grad` and `value_and_grad` return.

    A call takes the typed road where the program can be specialised for its arguments, else the untyped
    one.  The specialised entry that fits checks its own guards, and is made the `__call__` of a class of its
    own, so that a call of the gradient function goes straight to generated code.
    """

    with_value = False
    #: the entry that calls go straight to
    first: Any = None

    def __init__(self, fun: Callable[..., Any], argnums: Argnums, has_aux: bool) -> None:
        super().__init__(fun, argnums, has_aux)
        key = (self.with_value, tuple(argnums) if isinstance(argnums, list) else argnums, has_aux)
        self.specialised = shared(fun, key, Specialised)
        if self.specialised.front is not None:
            self.__class__ = self.specialised.front

    def __reduce__(self) -> Any:
        return (ValueAndGrad if self.with_value else Grad), (self.fun, self.argnums, self.has_aux)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.slowly(args, kwargs, None)

    @property
    def entries(self) -> list[Any]:
        return self.specialised.entries

    def slowly(self, args: tuple[Any, ...], kwargs: dict[str, Any], stale: Any) -> Any:
        """A call that no front entry took: by another entry, by a new one, or by the untyped road."""
        from tapeless.runtime.tracebacks import user_frames_only

        key = call_key(args, kwargs)
        if stale is not None and stale.key == key:
            self.specialised.entries = [e for e in self.entries if e is not stale]
        for entry in self.entries:
            if entry.key == key and entry is not stale:
                entry.hits += 1
                if entry.hits % 16 == 0 or self.is_first(entry):
                    self.to_front(entry)
                with user_frames_only():
                    return entry.call(*args, **kwargs)
        entry = None if key in self.specialised.refused else self.typed_entry(args, kwargs, key)
        if entry is None:
            return self.untyped(args, kwargs)
        with user_frames_only():
            return entry.call(*args, **kwargs)

    def untyped(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The derivative by the untyped road."""
        from tapeless.api import untyped_gradient
        from tapeless.runtime.nesting import in_room

        if self.specialised.long:
            return in_room(untyped_gradient, self, args, kwargs)
        return untyped_gradient(self, args, kwargs)

    def typed_entry(self, args: tuple[Any, ...], kwargs: dict[str, Any], key: Any = None) -> Any:
        """The entry for these arguments, specialised now if need be; None for the untyped road."""
        import tapeless.api  # noqa: F401  with which come all rules
        from tapeless.backends.python.entry import reverse_entry
        from tapeless.specialise.types import NotTyped

        key = call_key(args, kwargs) if key is None else key
        for known in self.entries:
            if known.key == key:
                return known
        if key in self.specialised.refused:
            return None
        where = positions(self.fun, self.argnums, args, kwargs)
        nums = tuple(w for w in where if isinstance(w, int))
        if len(nums) != len(where):
            return None
        many = isinstance(self.argnums, (tuple, list))
        try:
            entry: Any = reverse_entry(
                self.fun,
                args,
                kwargs,
                nums if many else nums[0],
                with_value=self.with_value,
                has_aux=self.has_aux,
            )
        except NotTyped:
            self.specialised.refused.add(key)
            return None
        entry.key, entry.hits = key, 0
        entry.miss = functools.partial(respecialise, self, entry)
        self.specialised.entries = [*self.entries, entry]
        self.to_front(entry)
        return entry

    def to_front(self, entry: Any) -> None:
        """Let calls of this gradient function go straight to an entry."""
        front = self.specialised.front
        if front is None or front.first is not entry:
            base = ValueAndGrad if self.with_value else Grad
            call = self.by_position(entry) if self.from_the_end() else entry.call
            front = type(base.__name__, (base,), {"__call__": staticmethod(call), "first": entry})
            self.specialised.front = front
        self.__class__ = front

    def is_first(self, entry: Any) -> bool:
        """Whether calls of the last front that was made, by whichever gradient function, go to an entry."""
        front = self.specialised.front
        return front is not None and front.first is entry

    def from_the_end(self) -> bool:
        """Whether an argument is counted from the last one that a call gives by position."""
        wanted = self.argnums if isinstance(self.argnums, (tuple, list)) else (self.argnums,)
        return any(not isinstance(n, str) and n < 0 for n in wanted)

    def by_position(self, entry: Any) -> Callable[..., Any]:
        """Calls of an entry that go the long way where they give arguments by keyword."""
        return lambda *args, **kwargs: self.slowly(args, kwargs, None) if kwargs else entry.call(*args)


def respecialise(gradient: Gradient, entry: Any, *args: Any, **kwargs: Any) -> Any:
    """The guards of an entry have refused a call."""
    return gradient.slowly(args, kwargs, entry)


def call_key(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What a specialisation depends on: the types of the arguments, in depth."""
    together = tuple([type(a) in (tuple, list, dict) and not _flat(a) and parts_shared(a) for a in args])
    return together, tuple([_key(a) for a in args]), tuple((k, _key(v)) for k, v in kwargs.items())


def parts_shared(value: Any) -> bool:
    """Whether two parts of `value` are one storage."""
    from tapeless.specialise.types import shared

    return shared(value)


def _flat(x: Any) -> bool:
    """Whether a container holds nothing but numbers, text and functions."""
    return _SHALLOW.issuperset(map(type, x.values() if type(x) is dict else x))


_SHALLOW = frozenset({
    float, int, bool, complex, str, type(None), np.float64, types.FunctionType, types.BuiltinFunctionType,
})  # fmt: skip


def _key(x: Any, depth: int = 0) -> Any:
    kind = type(x)
    if kind in _SHALLOW:
        return kind
    if kind is np.ndarray:
        return kind, x.dtype, x.ndim
    if depth > 8:  # deeper than any program is specialised for, or a cycle
        return kind
    if isinstance(x, tuple):
        return kind, *[_key(e, depth + 1) for e in x]
    if kind is list:
        if _flat(x):
            return kind, *dict.fromkeys(map(type, x))
        return kind, *{_key(e, depth + 1): None for e in x}
    if kind is dict:
        return kind, *[(k, _key(v, depth + 1)) for k, v in x.items()]
    return kind


class Grad(Gradient):
    """What `grad` returns."""


class ValueAndGrad(Gradient):
    """What `value_and_grad` returns."""

    with_value = True


def grad(fun: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False) -> Callable[..., Any]:
    """The gradient of a function whose result is one real number.

    `argnums` says with respect to which arguments: a position, a parameter's name, or a sequence of them
    (then a tuple comes back).  The gradient has the shape of the argument.  With `has_aux` the function
    returns `(value, aux)` and the gradient function `(gradient, aux)`.

    >>> import tapeless as tl
    >>> tl.grad(lambda x: x * x)(3.0)
    6.0
    """
    return derived(fun, lambda f: Grad(f, argnums, has_aux))  # type: ignore[no-any-return]


def value_and_grad(
    fun: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """Like `grad`, but the function returned gives `(value, gradient)`.

    >>> import tapeless as tl
    >>> tl.value_and_grad(lambda x: x * x)(3.0)
    (9.0, 6.0)
    """
    return derived(fun, lambda f: ValueAndGrad(f, argnums, has_aux))  # type: ignore[no-any-return]


def positions(fun: Any, argnums: Argnums, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[int | str]:
    """Where the differentiated arguments are in this call: a position, or a keyword."""
    wanted: list[Any] = list(argnums) if isinstance(argnums, (tuple, list)) else [argnums]
    found: list[int | str] = []
    for one in wanted:
        if isinstance(one, str):
            if one in kwargs:
                found.append(one)
                continue
            names = _parameters(fun)
            if one not in names:
                raise TypeError(
                    f"{_name(fun)} has no parameter {one!r}; its parameters are {', '.join(names)}"
                )
            one = names.index(one)
        if not -len(args) <= one < len(args):
            names = _parameters(fun)
            if 0 <= one < len(names) and names[one] in kwargs:
                found.append(names[one])
                continue
            raise TypeError(
                f"argnums {one} is out of range: "
                f"{_name(fun)} was called with {len(args)} positional arguments"
            )
        found.append(one % len(args) if args else one)
    return found


def _parameters(fun: Any) -> list[str]:
    import inspect  # which takes longer to load than all of this

    return list(inspect.signature(fun).parameters)


def _name(fun: Any) -> str:
    return getattr(fun, "__name__", None) or type(fun).__name__
