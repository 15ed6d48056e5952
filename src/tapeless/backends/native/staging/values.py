"""What a variable of the program stands for while it is staged.

A value is known (`Static`), a number computed at run time (`Number`, `ComplexNumber`), an array (`View`:
storage seen through a map of indices; `Lazy`: an expression an element, not computed yet), or a structure of
values that exists at compile time only (`Sequence`, `Mapping`, `Instance`, `Closure`, …).

Numbers are captured as expressions over scalars that are assigned once a block, so a value keeps its meaning
until its block ends; what outlives it goes through a variable that staging assigns (loops, branches).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from types import FunctionType
from typing import Any

from tapeless.backends.native.nest import Array, Expr, Load, apply

#: An element while it is staged: an expression, or a pair (real, imaginary).
Element = Expr | tuple[Expr, Expr]
Index = tuple[Expr, ...]


class Value:
    """Something a variable stands for."""

    __slots__ = ()


@dataclass(eq=False, slots=True)
class Static(Value):
    """An object known at compile time: a literal, a function, a module, a class, a dtype, None."""

    obj: Any


@dataclass(eq=False, slots=True)
class Number(Value):
    """A number of run time: `kind` is its Python type (float, int, bool, np.float64, np.int64, …)."""

    expr: Expr
    kind: type


@dataclass(eq=False, slots=True)
class ComplexNumber(Value):
    """`kind` is complex, np.complex128 or np.complex64."""

    real: Expr
    imag: Expr
    kind: type


class ArrayValue(Value):
    """An array: a shape of `I64` expressions (constants if known) and NumPy's name of its dtype."""

    __slots__ = ()
    shape: tuple[Expr, ...]
    dtype: str

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def element(self, index: Index) -> Element:
        """The element at an index that is in range."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Axis:
    """How an axis of the storage is addressed: `start + step * (index along axis `of` of the view)`.

    `of` None is a fixed index.  `more` are further (step, of) to add: storage split by a reshape, windows.
    """

    start: Expr
    step: Expr
    of: int | None
    more: tuple[tuple[Expr, int], ...] = ()


@dataclass(eq=False, slots=True)
class View(ArrayValue):
    """Storage through a map of indices: slices, integers, transposes, new axes, broadcasts, any step.

    An axis of the view that no axis of the storage names is a broadcast (or new) axis.  Storage of a complex
    array has a last axis of length 2 that the view does not show (`dtype` is then complex).
    """

    array: Array
    axes: tuple[Axis, ...]
    shape: tuple[Expr, ...]
    dtype: str

    @property
    def whole(self) -> bool:
        """Whether the view is its storage: same axes, in order, from 0 by 1 (the caller compares lengths)."""
        from tapeless.backends.native.nest import ONE, ZERO

        return len(self.axes) == self.ndim and all(a == Axis(ZERO, ONE, k) for k, a in enumerate(self.axes))

    def address(self, index: Index) -> Index:
        """The index into the storage of the element at `index` of the view."""
        made = []
        for a in self.axes:
            at = a.start
            for step, of in (*a.more, *(() if a.of is None else ((a.step, a.of),))):
                at = apply("add", at, apply("mul", step, index[of]))
            made.append(at)
        return tuple(made)

    def element(self, index: Index) -> Element:
        from tapeless.backends.native.nest import ONE, ZERO

        at = self.address(index)
        if self.dtype.startswith("complex"):
            return Load(self.array, (*at, ZERO)), Load(self.array, (*at, ONE))
        return Load(self.array, at)


class Flat(View):
    """`a.flat`: the elements in a row.  Storing by an index reaches the array; a slice of it is a copy."""

    __slots__ = ()


@dataclass(eq=False)
class Lazy(ArrayValue):
    """An array that is computed where it is used, or once, into storage (`made`), if need be.

    `reads` are the roots of the storage that its elements load: it is made before one of them is written.
    `cost` is roughly the number of operations an element takes.  `home` is the storage it gets when made (so
    those computed from it read `home` too).  `uses` is how often the program reads it, `consumers` how many
    lazies are computed from it, `serial` its age, `picked` whether it is the value of `a[integers or mask]`,
    `consumed` the operation that was last computed from it.
    """

    shape: tuple[Expr, ...]
    dtype: str
    compute: Callable[[Index], Element]
    reads: frozenset[Array]
    cost: int = 1
    made: View | None = None
    home: Array | None = None
    uses: int = 1
    consumers: int = 0
    serial: int = 0
    picked: bool = False
    consumed: int = -1

    def element(self, index: Index) -> Element:
        return self.compute(index) if self.made is None else self.made.element(index)


@dataclass(eq=False, slots=True)
class Sequence(Value):
    """A tuple, NamedTuple or list of known length; `kind` is its class.  A list is shared by identity."""

    items: list[Value]
    kind: type
    site: Any = None
    """Where the program makes a list."""


@dataclass(eq=False, slots=True)
class Growing(Value):
    """A list of a length known at run time only: the numbers of its items, in columns of storage that grow.

    `spec` says how an item is stored, `site` where the list was made, `depth` in how many derivatives.
    """

    columns: tuple[Array, ...]
    spec: Any
    length: Number
    site: Any
    depth: int
    kind: type = list


@dataclass(eq=False, slots=True)
class Mapping(Value):
    """A dict with known keys."""

    items: dict[Any, Value]
    kind: type = dict


@dataclass(eq=False, slots=True)
class Instance(Value):
    """An object of a Python class, by its fields; shared by identity."""

    cls: type
    fields: dict[str, Value]


class Fields(Mapping):
    """The `__dict__` of an object: what it holds are the object's fields."""

    __slots__ = ("owner",)

    def __init__(self, owner: Instance) -> None:
        self.owner = owner
        self.kind = dict

    @property
    def items(self) -> dict[Any, Value]:
        return self.owner.fields

    @items.setter
    def items(self, items: dict[Any, Value]) -> None:
        self.owner.fields = items


@dataclass(eq=False, slots=True)
class Opaque(Value):
    """A field of an object from outside that staging has no value for: it may be there, not be read.

    `path` is where it comes from, `cls` its class.
    """

    path: Any
    cls: type


@dataclass(eq=False, slots=True)
class Cell(Value):
    """A closure cell; `value` None is empty."""

    value: Value | None = None


@dataclass(eq=False, slots=True)
class Closure(Value):
    """A Python function, perhaps made by the program: its function object or code, cells and defaults."""

    function: FunctionType
    cells: tuple[Cell, ...]
    defaults: tuple[Value, ...] = ()
    kwdefaults: dict[str, Value] = field(default_factory=dict)


@dataclass(eq=False, slots=True)
class Bound(Value):
    """A method and the value it is bound to."""

    function: Value
    owner: Value


@dataclass(eq=False, slots=True)
class Range(Value):
    """`range(start, stop, step)`; the step is known."""

    start: Expr
    stop: Expr
    step: int


@dataclass(eq=False, slots=True)
class RandomNumbers(Value):
    """A random generator of NumPy: the address of a Python object (0 is the one behind `np.random`)."""

    handle: Expr
    cls: type


@dataclass(eq=False, slots=True)
class Slice(Value):
    start: Value
    stop: Value
    step: Value
