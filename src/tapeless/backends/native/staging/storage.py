"""Where array values live: fresh storage, lazies and when they are made, nests of loops that store them.

A lazy is evaluated inside the nest that uses it.  It is made (given storage) if the program reads it often
and it is not cheap, or before what it reads is written.  Lazies that only another lazy uses are never made
for their own sake: `before_write` makes the youngest first and then gives up those it was computed from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, NoReturn
from weakref import WeakKeyDictionary, WeakSet

from tapeless.backends.native.affine import affine, plus
from tapeless.backends.native.nest import (
    ONE,
    ZERO,
    Alias,
    Alloc,
    Array,
    Assign,
    Const,
    Dim,
    Expr,
    For,
    Intrinsic,
    Load,
    Ref,
    Scalar,
    Stmt,
    Store,
    apply,
    const,
    expressions,
    leaves,
    walk,
)
from tapeless.backends.native.staging import elements
from tapeless.backends.native.staging.elements import convert, is_complex, is_float, stored
from tapeless.backends.native.staging.values import ArrayValue, Axis, Element, Index, Lazy, View

if TYPE_CHECKING:
    from tapeless.backends.native.staging.stager import Stager

Shape = tuple[Expr, ...]
#: A lazy of at most this cost is computed wherever it is used, rather than once into storage.
CHEAP = 4
BORROWED = "it is an item of a list whose length is known at run time only"
#: The cost of an elementary function, and of a loop for an element.
FUNCTION, LOOP = 10, 1000


class State:
    """What the arrays of one staging have in common."""

    def __init__(self) -> None:
        self.memo: list[dict[tuple[ArrayValue, Index], Element]] = []
        """Elements computed in the nests that are open, innermost last."""
        self.shapes: dict[Array, Shape] = {}
        """The shapes given to storage."""
        self.disordered: set[Array] = set()
        """Storage whose elements NumPy may have in another order (see `strides`)."""
        self.turned: WeakKeyDictionary[Lazy, tuple[Lazy, Sequence[int]]] = WeakKeyDictionary()
        """Lazies that NumPy has as views of another with its axes in this order."""
        self.copied: dict[Array, View] = {}
        """Storage that stands for a view that is not whole, while a derivative is taken by it."""
        self.borrowed: WeakSet[Lazy] = WeakSet()
        """Copies of what a list holds: the program may write into the list's own only."""
        self.serial = 0
        self.operation = 0
        """How many operations of the program have been staged."""


_STATES: WeakKeyDictionary[Stager, State] = WeakKeyDictionary()


def state(stager: Stager) -> State:
    return _STATES.setdefault(stager, State())


class Raised(Exception):
    """The operation that is being staged raises whenever it is reached: it has no value."""


def fail(stager: Stager, kind: type[BaseException], *args: object) -> NoReturn:
    """The program raises here whenever it comes here."""
    stager.throw(kind, *args)
    raise Raised


# ---- shapes


def same_length(a: Expr, b: Expr) -> bool:
    """Whether two lengths are certainly equal."""
    return a == b or not plus(affine(a), affine(b), -1)


def known_length(e: Expr) -> int | None:
    return int(e.value) if isinstance(e, Const) else None


def settled_length(stager: Stager, n: Expr) -> Expr:
    """A length; 1 if it is 1 in this call, since axes of length 1 broadcast."""
    if not isinstance(n, Const) and stager.ranges.proves(apply("eq", n, ONE)):
        return ONE
    return n


def same_shape(a: Shape, b: Shape) -> bool:
    return len(a) == len(b) and all(map(same_length, a, b))


def size_of(shape: Shape) -> Expr:
    total: Expr = ONE
    for n in shape:
        total = apply("mul", total, n)
    return total


# ---- storage


def fresh(stager: Stager, shape: Sequence[Expr], dtype: str, hint: str = "t") -> View:
    """New storage; its content is unspecified."""
    return place(
        stager, stager.array(stored(dtype), len(shape) + is_complex(dtype), hint), tuple(shape), dtype
    )


def place(stager: Stager, array: Array, shape: Shape, dtype: str) -> View:
    """The view of an array that is given storage here."""
    full = (*shape, const(2)) if is_complex(dtype) else shape
    stager.emit(Alloc(array, full))
    state(stager).shapes[array] = full
    return whole_view(array, shape, dtype)


def whole_view(array: Array, shape: Shape, dtype: str) -> View:
    return View(array, tuple(Axis(ZERO, ONE, k) for k in range(len(shape))), tuple(shape), dtype)


def argument(stager: Stager, param: Array, dtype: str, shape: Shape | None = None) -> View:
    """The view of a whole array parameter; its lengths may be known by other names."""
    ndim = param.ndim - is_complex(dtype)
    if shape is None:
        shape = tuple(Dim(param, k) for k in range(ndim))
    state(stager).shapes[param] = (*shape, const(2)) if is_complex(dtype) else shape
    return whole_view(param, shape, dtype)


def filled(stager: Stager, shape: Sequence[Expr], dtype: str, value: Element, hint: str = "t") -> View:
    target = fresh(stager, shape, dtype, hint)
    with nest(stager, target.shape) as index:
        store(stager, target, index, value)
    return target


def is_whole(stager: Stager, view: View) -> bool:
    """Whether a view is all of its storage, row-major."""
    if not (view.whole and view.array.contiguous):
        return False
    full = state(stager).shapes.get(view.array)
    return full is not None and same_shape(full[: view.ndim], view.shape)


def store(stager: Stager, target: View, index: Index, value: Element, *, add: bool = False) -> None:
    """`target[index] = value` (or `+=`), the value being of the target's dtype."""
    at = target.address(index)
    if isinstance(value, tuple):
        for k, part in enumerate([stager.bind(part) for part in value]):  # the second may read the first
            stager.emit(Store(target.array, (*at, const(k)), part, add))
    else:
        stager.emit(Store(target.array, at, value, add))


def zero_of(view: View) -> Element:
    return elements.zero(view.dtype)


# ---- nests


@contextmanager
def layer(stager: Stager) -> Iterator[None]:
    """A block of a nest: elements computed in it are known in it."""
    memo = state(stager).memo
    memo.append({})
    try:
        yield
    finally:
        memo.pop()


@contextmanager
def nest(
    stager: Stager,
    shape: Sequence[Expr],
    independent: bool | Sequence[bool] = True,
    order: Sequence[int] = (),
) -> Iterator[Index]:
    """Loops over a shape, the axes in the given order from outside in; yields the index."""
    flags = [independent] * len(shape) if isinstance(independent, bool) else independent
    index: list[Expr] = [ZERO] * len(shape)
    with ExitStack() as stack:
        for k in order or range(len(shape)):
            (index[k],) = stack.enter_context(stager.loops((shape[k],), flags[k]))
            stack.enter_context(layer(stager))
        if not shape:
            stack.enter_context(layer(stager))
        yield tuple(index)


def at(stager: Stager, value: ArrayValue, index: Index) -> Element:
    """The element at an index in range; what several lazies of one nest share is computed once."""
    if not isinstance(value, Lazy) or value.made is not None or value.consumers + value.uses < 3:
        return value.element(index)
    memo = state(stager).memo
    key = (value, index)
    for known in memo:
        if key in known:
            return known[key]
    made = value.element(index)
    if memo:
        made = elements.bind(stager, made)
        memo[-1][key] = made
    return made


# ---- lazies


def lazy(
    stager: Stager,
    shape: Sequence[Expr],
    dtype: str,
    compute: Callable[[Index], Element],
    sources: Sequence[ArrayValue] = (),
    cost: int = 1,
) -> Lazy:
    """An array by its elements, which are computed from `sources`."""
    from tapeless.backends.native.staging import strides

    counted = state(stager)
    reads: set[Array] = set()
    for source in dict.fromkeys(sources):
        reads |= roots(source)
        if isinstance(source, Lazy) and source.consumed != counted.operation:
            source.consumed = counted.operation
            source.consumers += 1
    counted.serial += 1
    made = Lazy(tuple(shape), dtype, compute, frozenset(reads), cost, serial=counted.serial)
    made.home = stager.array(stored(dtype), len(made.shape) + is_complex(dtype), "t")
    if len(made.shape) > 1 and any(strides.disorders(stager, source) for source in sources):
        counted.disordered.add(made.home)
    stager.live_lazies.add(made)
    return made


def turned(stager: Stager, made: Lazy, source: Lazy, order: Sequence[int]) -> None:
    """Note that an array which is computed by itself here is a view of another's memory in NumPy."""
    assert made.home is not None
    state(stager).disordered.add(made.home)
    state(stager).turned[made] = source, order


def roots(value: ArrayValue) -> set[Array]:
    """The storage that the elements of a value are read from."""
    if isinstance(value, View):
        return {value.array.root}
    assert isinstance(value, Lazy) and value.home is not None
    if value.made is not None:
        return {value.made.array.root}
    return {value.home, *value.reads}


def cost(value: ArrayValue) -> int:
    return value.cost if isinstance(value, Lazy) and value.made is None else 1


def make(stager: Stager, value: ArrayValue) -> View:
    """The value in storage; a lazy is computed here if it has not been."""
    if isinstance(value, View):
        return value
    assert isinstance(value, Lazy) and value.home is not None
    if value.made is None:
        with stager.home(value):
            target = place(stager, value.home, value.shape, value.dtype)
            fill(stager, target, value)
        value.made = target
        if value in state(stager).borrowed:
            stager.frozen[target.array] = BORROWED
    return value.made


def fill(stager: Stager, target: View, value: ArrayValue) -> None:
    """Store a value of the same shape in storage that it does not read."""
    from tapeless.backends.native.staging import under_mask

    one_by_one = under_mask.pending(value)
    if one_by_one is not None:
        under_mask.fill_compressed(stager, target, one_by_one)
        return
    with nest(stager, target.shape, order=storage_order(target)) as index:
        store(stager, target, index, convert(at(stager, value, index), value.dtype, target.dtype))


def storage_order(view: View) -> list[int]:
    """The axes of a view as its storage has them, the broadcast ones first."""
    inside = [a.of for a in view.axes if a.of is not None]
    for a in view.axes:
        inside += [of for _, of in a.more]
    order = list(dict.fromkeys(inside))
    return [k for k in range(view.ndim) if k not in order] + order


def store_copy(stager: Stager, value: ArrayValue) -> View:
    """Fresh storage that holds the value."""
    if isinstance(value, Lazy) and value.made is None and value.uses <= 1 and not value.consumers:
        return make(stager, value)
    target = fresh(stager, value.shape, value.dtype)
    fill(stager, target, value)
    return target


def in_a_list(stager: Stager, value: ArrayValue) -> bool:
    """Whether a list of a length known at run time only has a copy of an array, or it is such a copy."""
    if isinstance(value, Lazy):
        return value in state(stager).borrowed or (value.made is not None and in_a_list(stager, value.made))
    assert isinstance(value, View)
    return value.array.root in stager.frozen


def materialise(stager: Stager, value: ArrayValue) -> View:
    """Storage that is all of its array, row-major, and holds the value: the value itself if it is so."""
    view = make(stager, value)
    return view if is_whole(stager, view) else store_copy(stager, view)


def settle(stager: Stager, value: ArrayValue, uses: int) -> ArrayValue:
    """What a value becomes when it gets a name that the program reads `uses` times."""
    if isinstance(value, Lazy) and value.made is None:
        value.uses = max(value.uses, uses)
        if uses > 1 and value.cost > CHEAP:
            make(stager, value)
    return value


def flush(stager: Stager) -> None:
    """Make every lazy that is not just a part of another one: control flow begins here."""
    for value in _youngest_first(stager):
        if not _given_up(value):
            make(stager, value)


@contextmanager
def attempt(stager: Stager) -> Iterator[list[Stmt]]:
    """Statements that may be given up, or come later: nothing that they check is known outside."""
    facts = len(stager.ranges.facts)
    with stager.collect() as body:
        yield body
    del stager.ranges.facts[facts:]


@contextmanager
def writing(stager: Stager, root: Array, *besides: ArrayValue) -> Iterator[list[Stmt]]:
    """A nest that writes `root`, and what must be made before it; it reads the lazies `besides` itself."""
    with attempt(stager) as body:
        yield body
    before_write(stager, root, *besides)
    for value in besides:
        if isinstance(value, Lazy) and value.made is None and root in value.reads:
            give_up(stager, value)
    for stmt in body:
        stager.emit(stmt)


def before_write(stager: Stager, root: Array, *besides: ArrayValue) -> None:
    """Make every live lazy that reads `root`, which is about to be written, but for some."""
    stager.heap.check(root)
    parts = []
    for value in _youngest_first(stager):
        if root not in value.reads or value in besides:
            continue
        if _given_up(value):
            parts.append(value)
        else:
            make(stager, value)
    for value in parts:
        give_up(stager, value)


def _youngest_first(stager: Stager) -> list[Lazy]:
    live = [v for v in stager.live_lazies if v.made is None]
    return sorted(live, key=lambda v: -v.serial)


def _given_up(value: Lazy) -> bool:
    """Whether all that reads a lazy has been computed from it already."""
    return 0 < value.consumers >= value.uses


def give_up(stager: Stager, value: Lazy) -> None:
    """The lazy must not be computed any more: what it reads is about to change."""

    def stale(index: Index) -> Element:
        stager.refuse("a value is used after what it was computed from changed", "give the value a name")

    value.compute = stale
    if hasattr(value, "mask"):
        value.mask = None
    value.consumers = value.uses = 1


# ---- stores of whole values


def assign(stager: Stager, target: View, new: ArrayValue, *, add: bool = False) -> None:
    """`target[...] = new` (or `+=`, of floats), shapes being equal; the new values are all read first."""
    root = target.array.root
    if isinstance(new, View) and not add and (new.array, new.axes) == (target.array, target.axes):
        return  # each element is stored where it is
    if root in roots(new):
        if isinstance(new, Lazy) and new.made is None and new.uses > 1:
            make(stager, new)
        else:
            with attempt(stager) as body:
                _store_nest(stager, target, new, add)
            if not aligned(stager, body, target):
                new = make(stager, new) if isinstance(new, Lazy) else store_copy(stager, new)
    with writing(stager, root, new):
        _store_nest(stager, target, new, add)


def _store_nest(stager: Stager, target: View, new: ArrayValue, add: bool) -> None:
    assert not add or is_float(stored(target.dtype))
    from tapeless.backends.native.staging import under_mask

    if under_mask.pending(new) is not None:  # its elements are found one after the other
        if not add:
            fill(stager, target, new)
            return
        new = make(stager, new)
    with nest(stager, target.shape, order=storage_order(target)) as index:
        store(stager, target, index, convert(at(stager, new, index), new.dtype, target.dtype), add=add)


def aligned(stager: Stager, body: list[Stmt], target: View) -> bool:
    """Whether a nest reads the storage that it writes only where it writes it, or where it never does."""
    root = target.array.root
    inner = {s.var for s in walk(body) if isinstance(s, (For, Assign))}
    stores = [s for s in walk(body) if isinstance(s, Store) and s.array.root is root]
    with ExitStack() as inside:
        for stmt in walk(body):
            if isinstance(stmt, Intrinsic):
                return False
            if isinstance(stmt, For):
                inside.enter_context(stager.ranges.loop(stmt.var, stmt.start, stmt.stop, stmt.step))
            for e in expressions(stmt):
                for leaf in leaves(e):
                    if not (isinstance(leaf, Load) and leaf.array.root is root):
                        continue
                    for s in stores:
                        if leaf.array is not s.array:
                            return False
                        if not _equal_index(leaf.index, s.index) and not _apart(
                            stager, leaf.index, s.index, inner
                        ):
                            return False
    return True


def _equal_index(a: Index, b: Index) -> bool:
    return all(map(same_length, a, b))


def _apart(stager: Stager, a: Index, b: Index, inner: set[Scalar]) -> bool:
    """Whether two indices of any two iterations differ on an axis, where one of them is the same in all."""

    def varies(e: Expr) -> bool:
        return any(isinstance(leaf, Ref) and leaf.var in inner for leaf in leaves(e))

    decide, stager.ranges.decide = stager.ranges.decide, None
    found = any(
        not (varies(x) and varies(y)) and stager.ranges.proves(apply("ne", x, y))
        for x, y in zip(a, b, strict=True)
    )
    stager.ranges.decide = decide
    return found


# ---- other shapes of the same storage


def alias(stager: Stager, view: View, shape: Sequence[Expr]) -> View:
    """The memory of a whole view in another shape."""
    array = view.array
    full = tuple(shape)
    if is_complex(view.dtype):
        full = (*full, const(2))
    made = Array(f"{array.name}_r", array.dtype, len(full), alias=array)
    stager.emit(Alias(made, full))
    state(stager).shapes[made] = full
    return whole_view(made, tuple(shape), view.dtype)
