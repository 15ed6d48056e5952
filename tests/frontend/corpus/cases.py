"""How a corpus file says which functions to run, and with what."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

CASES: list[tuple[Callable[..., Any], tuple[tuple[Any, ...], ...]]] = []


def case(*arguments: tuple[Any, ...]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Run the function with each tuple of arguments (with none, if none is given)."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        CASES.append((function, arguments or ((),)))
        return function

    return register


class Noisy:
    """Prints every operation done to it."""

    def __init__(self, name: str, value: Any = 0) -> None:
        self.__dict__.update(name=name, value=value)

    def __repr__(self) -> str:
        return f"<{self.name}>"

    def __bool__(self) -> bool:
        print("bool", self.name)
        return bool(self.value)

    def __getattr__(self, attr: str) -> Noisy:
        if attr.startswith("__"):
            raise AttributeError(attr)
        print("get", self.name, attr)
        return Noisy(f"{self.name}.{attr}", self.value)

    def __setattr__(self, attr: str, value: Any) -> None:
        print("set", self.name, attr, value)

    def __delattr__(self, attr: str) -> None:
        print("del", self.name, attr)

    def __getitem__(self, key: Any) -> Noisy:
        print("item", self.name, key)
        return Noisy(f"{self.name}[{key}]", self.value)

    def __setitem__(self, key: Any, value: Any) -> None:
        print("setitem", self.name, key, value)

    def __delitem__(self, key: Any) -> None:
        print("delitem", self.name, key)

    def __call__(self, *args: Any, **kwargs: Any) -> Noisy:
        print("call", self.name, args, kwargs)
        return Noisy(f"{self.name}()", self.value)

    def __iter__(self) -> Any:
        print("iter", self.name)
        for i in range(3):
            print("next", self.name, i)
            yield i

    def keys(self) -> list[str]:
        print("keys", self.name)
        return ["a", "b"]

    def __format__(self, spec: str) -> str:
        print("format", self.name, repr(spec))
        return f"{self.name}:{spec}"

    def __index__(self) -> int:
        print("index", self.name)
        return 1

    def __enter__(self) -> Noisy:
        print("enter", self.name)
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> bool:
        print("exit", self.name, kind, error, trace is not None)
        return bool(self.value)

    def __neg__(self) -> Noisy:
        print("neg", self.name)
        return self

    def __contains__(self, item: Any) -> bool:
        print("contains", self.name, item)
        return True


def _operator(name: str) -> None:
    def method(self: Noisy, other: Any) -> Noisy:
        print(name, self.name, other)
        return Noisy(f"{name}({self.name},{other})", self.value)

    setattr(Noisy, f"__{name}__", method)


for _name in ("add", "sub", "mul", "matmul", "truediv", "iadd", "imul", "lt", "le", "gt", "eq", "ne", "radd"):
    _operator(_name)
Noisy.__hash__ = object.__hash__  # type: ignore[method-assign]


def say(name: str, value: Any = None) -> Any:
    """Prints, then gives `value`: to see in which order things happen."""
    print("say", name)
    return value
