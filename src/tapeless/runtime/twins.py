"""Python twins of builtin and C functions: ordinary functions that are opened in their place.

Each does what the original does, as its documentation gives it; companions then follow by themselves.
"""

from __future__ import annotations

import builtins
import collections
import functools
import importlib
import importlib.util
import itertools
import operator
import sys
from types import FunctionType, ModuleType
from typing import Any

from tapeless.runtime.calls import ACCELERATORS, HANDLERS, TWINS

_MISSING = object()


def twin(*originals: Any) -> Any:
    """Register a function as the twin of C functions."""

    def decorate(f: FunctionType) -> FunctionType:
        for original in originals:
            TWINS[original] = f
        return f

    return decorate


# ---- builtins


def strict_zip(iterables):  # type: ignore[no-untyped-def]
    """`zip(*iterables, strict=True)`."""
    iterators = [iter(it) for it in iterables]
    while iterators:
        items = []
        for k in range(len(iterators)):
            try:
                items.append(next(iterators[k]))
            except StopIteration:
                if k > 0:
                    plural = " " if k == 1 else "s 1-"
                    raise ValueError(f"zip() argument {k + 1} is shorter than argument{plural}{k}") from None
                for j in range(1, len(iterators)):
                    try:
                        next(iterators[j])
                    except StopIteration:
                        continue
                    plural = " " if j == 1 else "s 1-"
                    raise ValueError(f"zip() argument {j + 1} is longer than argument{plural}{j}") from None
                return
        yield tuple(items)


@twin(builtins.any)
def _any(iterable):  # type: ignore[no-untyped-def]
    for item in iterable:
        if item:
            return True
    return False


@twin(builtins.all)
def _all(iterable):  # type: ignore[no-untyped-def]
    for item in iterable:
        if not item:
            return False
    return True


@twin(builtins.min)
def _min(*args, key=None, default=_MISSING):  # type: ignore[no-untyped-def]
    if len(args) > 1 and default is not _MISSING:
        raise TypeError("Cannot specify a default for min() with multiple positional arguments")
    found = False
    best = best_key = None
    for item in args[0] if len(args) == 1 else args:
        item_key = item if key is None else key(item)
        if not found or item_key < best_key:
            found, best, best_key = True, item, item_key
    if found:
        return best
    if default is _MISSING:
        raise ValueError("min() arg is an empty sequence" if sys.version_info < (3, 12) else "min() iterable argument is empty")
    return default


@twin(builtins.max)
def _max(*args, key=None, default=_MISSING):  # type: ignore[no-untyped-def]
    if len(args) > 1 and default is not _MISSING:
        raise TypeError("Cannot specify a default for max() with multiple positional arguments")
    found = False
    best = best_key = None
    for item in args[0] if len(args) == 1 else args:
        item_key = item if key is None else key(item)
        if not found or item_key > best_key:
            found, best, best_key = True, item, item_key
    if found:
        return best
    if default is _MISSING:
        raise ValueError("max() arg is an empty sequence" if sys.version_info < (3, 12) else "max() iterable argument is empty")
    return default


@twin(builtins.sorted)
def _sorted(iterable, /, *, key=None, reverse=False):  # type: ignore[no-untyped-def]
    items = [item for item in iterable]
    items.sort(key=key, reverse=reverse)
    return items


@twin(list.sort)
def _sort(items, *, key=None, reverse=False):  # type: ignore[no-untyped-def]
    keys = items if key is None else [key(item) for item in items]
    order = _order(keys, reverse)
    old = items[:]
    for i in range(len(order)):
        items[i] = old[order[i]]


def _order(keys, reverse):  # type: ignore[no-untyped-def]
    """The positions that sort the keys, by a stable merge that asks the same `<` as `list.sort`."""
    if comparable_in_c(keys):
        return sorted_positions(keys, reverse)
    positions = list(range(len(keys)))
    if reverse:
        positions.reverse()
    done = _merge(keys, positions)
    if reverse:
        done.reverse()
    return done


def _merge(keys, positions):  # type: ignore[no-untyped-def]
    n = len(positions)
    if n < 2:
        return positions
    left, right = _merge(keys, positions[: n // 2]), _merge(keys, positions[n // 2 :])
    out = []
    i = j = 0
    while i < len(left) and j < len(right):
        if keys[right[j]] < keys[left[i]]:
            out.append(right[j])
            j += 1
        else:
            out.append(left[i])
            i += 1
    return out + left[i:] + right[j:]


def comparable_in_c(keys: Any) -> bool:
    """Whether C may compare the keys: numbers, strings, and tuples of them."""
    for key in keys:
        if isinstance(key, tuple):
            if not comparable_in_c(key):
                return False
        elif type(key).__module__ not in ("builtins", "numpy", "datetime"):
            return False
    return True


def sorted_positions(keys: Any, reverse: bool) -> list[int]:
    """Positions of the sorted keys (`sorted` itself, run as it is)."""
    plain = list(keys)
    return sorted(range(len(plain)), key=plain.__getitem__, reverse=bool(reverse))


@twin(functools.reduce)
def _reduce(function, sequence, initial=_MISSING):  # type: ignore[no-untyped-def]
    it = iter(sequence)
    if initial is _MISSING:
        try:
            value = next(it)
        except StopIteration:
            raise TypeError("reduce() of empty iterable with no initial value") from None
    else:
        value = initial
    for element in it:
        value = function(value, element)
    return value


@twin(builtins.reversed)
def _reversed(sequence):  # type: ignore[no-untyped-def]
    if hasattr(type(sequence), "__reversed__") and not isinstance(sequence, (list, dict, range)):
        return sequence.__reversed__()
    if isinstance(sequence, (dict, range)):
        return iter(list(sequence)[::-1])
    if not hasattr(sequence, "__len__"):
        raise TypeError(f"'{type(sequence).__name__}' object is not reversible")
    return _reversed_items(sequence, len(sequence))


def _reversed_items(sequence, n):  # type: ignore[no-untyped-def]
    for i in range(n - 1, -1, -1):
        yield sequence[i]


# ---- itertools


@twin(itertools.accumulate)
def _accumulate(iterable, func=None, *, initial=None):  # type: ignore[no-untyped-def]
    return _accumulate_items(iter(iterable), func, initial)


def _accumulate_items(iterator, func, initial):  # type: ignore[no-untyped-def]
    total = initial
    if initial is None:
        try:
            total = next(iterator)
        except StopIteration:
            return
    yield total
    for element in iterator:
        total = total + element if func is None else func(total, element)
        yield total


@twin(itertools.chain)
def _chain(*iterables):  # type: ignore[no-untyped-def]
    for iterable in iterables:
        yield from iterable


@twin(itertools.chain.from_iterable)
def _chain_from_iterable(iterables):  # type: ignore[no-untyped-def]
    for iterable in iterables:
        yield from iterable


@twin(itertools.combinations)
def _combinations(iterable, r):  # type: ignore[no-untyped-def]
    pool = tuple(iterable)
    return _picks(pool, choices_of(itertools.combinations, range(len(pool)), r))


@twin(itertools.combinations_with_replacement)
def _combinations_with_replacement(iterable, r):  # type: ignore[no-untyped-def]
    pool = tuple(iterable)
    return _picks(pool, choices_of(itertools.combinations_with_replacement, range(len(pool)), r))


@twin(itertools.permutations)
def _permutations(iterable, r=None):  # type: ignore[no-untyped-def]
    pool = tuple(iterable)
    return _picks(pool, choices_of(itertools.permutations, range(len(pool)), r))


def _picks(pool, choices):  # type: ignore[no-untyped-def]
    for choice in choices:
        yield tuple([pool[i] for i in choice])


@twin(itertools.product)
def _product(*iterables, repeat=1):  # type: ignore[no-untyped-def]
    pools = [tuple(pool) for pool in iterables] * repeat
    return _product_items(pools)


def _product_items(pools):  # type: ignore[no-untyped-def]
    for choice in choices_of(itertools.product, *[range(len(pool)) for pool in pools]):
        yield tuple([pools[k][choice[k]] for k in range(len(pools))])


@twin(itertools.compress)
def _compress(data, selectors):  # type: ignore[no-untyped-def]
    for d, s in zip(data, selectors):  # noqa: B905
        if s:
            yield d


@twin(itertools.count)
def _count(start=0, step=1):  # type: ignore[no-untyped-def]
    n = start
    while True:
        yield n
        n += step


@twin(itertools.cycle)
def _cycle(iterable):  # type: ignore[no-untyped-def]
    saved = []
    for element in iterable:
        yield element
        saved.append(element)
    while saved:
        for element in saved:
            yield element


@twin(itertools.dropwhile)
def _dropwhile(predicate, iterable):  # type: ignore[no-untyped-def]
    iterator = iter(iterable)
    for x in iterator:
        if not predicate(x):
            yield x
            break
    for x in iterator:
        yield x


@twin(itertools.takewhile)
def _takewhile(predicate, iterable):  # type: ignore[no-untyped-def]
    for x in iterable:
        if not predicate(x):
            break
        yield x


@twin(itertools.filterfalse)
def _filterfalse(predicate, iterable):  # type: ignore[no-untyped-def]
    for x in iterable:
        if not (x if predicate is None else predicate(x)):
            yield x


class _Groups:
    """What `groupby` iterates over: a key and an iterator of the items that share it."""

    def __init__(self, iterator, key):  # type: ignore[no-untyped-def]
        self.iterator, self.key = iterator, key
        self.target = self.current_key = self.current = _MISSING
        self.done = False

    def __iter__(self):  # type: ignore[no-untyped-def]
        return self

    def __next__(self):  # type: ignore[no-untyped-def]
        if self.done:
            raise StopIteration
        while self.current_key is self.target or self.current_key == self.target:
            self.current = next(self.iterator)
            self.current_key = self.current if self.key is None else self.key(self.current)
        self.target = self.current_key
        return (self.current_key, self.group(self.target))

    def group(self, target):  # type: ignore[no-untyped-def]
        while not self.done and self.current_key == target:
            yield self.current
            try:
                self.current = next(self.iterator)
            except StopIteration:
                self.done = True
                return
            self.current_key = self.current if self.key is None else self.key(self.current)


@twin(itertools.groupby)
def _groupby(iterable, key=None):  # type: ignore[no-untyped-def]
    return _Groups(iter(iterable), key)


@twin(itertools.islice)
def _islice(iterable, *args):  # type: ignore[no-untyped-def]
    s = slice(*args)
    start, stop, step = s.start or 0, s.stop, s.step or 1
    if (stop is not None and stop < 0) or start < 0 or step < 1:
        raise ValueError("Indices for islice() must be None or an integer: 0 <= x <= sys.maxsize.")
    return _islice_items(iter(iterable), start, stop, step)


def _islice_items(iterator, start, stop, step):  # type: ignore[no-untyped-def]
    position, wanted = 0, start
    while stop is None or wanted < stop:
        while position <= wanted:
            try:
                item = next(iterator)
            except StopIteration:
                return
            position += 1
        yield item
        wanted += step
    while stop is not None and position < stop:
        try:
            next(iterator)
        except StopIteration:
            return
        position += 1


@twin(itertools.pairwise)
def _pairwise(iterable):  # type: ignore[no-untyped-def]
    iterator = iter(iterable)
    try:
        a = next(iterator)
    except StopIteration:
        return
    for b in iterator:
        yield a, b
        a = b


@twin(itertools.repeat)
def _repeat(item, times=None):  # type: ignore[no-untyped-def]
    if times is None:
        while True:
            yield item
    for _ in range(times):
        yield item


@twin(itertools.starmap)
def _starmap(function, iterable):  # type: ignore[no-untyped-def]
    for args in iterable:
        yield function(*args)


@twin(itertools.tee)
def _tee(iterable, n=2):  # type: ignore[no-untyped-def]
    iterator = iter(iterable)
    queues = [[] for _ in range(n)]
    return tuple([_tee_items(iterator, queues, queues[i]) for i in range(n)])


def _tee_items(iterator, queues, mine):  # type: ignore[no-untyped-def]
    while True:
        if not mine:
            try:
                item = next(iterator)
            except StopIteration:
                return
            for queue in queues:
                queue.append(item)
        yield mine.pop(0)


@twin(itertools.zip_longest)
def _zip_longest(*iterables, fillvalue=None):  # type: ignore[no-untyped-def]
    iterators = [iter(it) for it in iterables]
    active = len(iterators)
    done = [False] * active
    while active:
        values = []
        for i in range(len(iterators)):
            value = fillvalue
            if not done[i]:
                try:
                    value = next(iterators[i])
                except StopIteration:
                    done[i] = True
                    active -= 1
                    if not active:
                        return
            values.append(value)
        yield tuple(values)


def choices_of(function: Any, *args: Any) -> list[Any]:
    """Choices among positions, which have no derivative: the C function itself."""
    return list(function(*args))


# ---- functools, collections


@twin(functools.cmp_to_key)
def _cmp_to_key(compare):  # type: ignore[no-untyped-def]
    return functools.partial(_Compared, compare)


class _Compared:
    def __init__(self, compare, obj):  # type: ignore[no-untyped-def]
        self.compare, self.obj = compare, obj

    def __lt__(self, other):  # type: ignore[no-untyped-def]
        return self.compare(self.obj, other.obj) < 0

    def __gt__(self, other):  # type: ignore[no-untyped-def]
        return self.compare(self.obj, other.obj) > 0

    def __eq__(self, other):  # type: ignore[no-untyped-def]
        return self.compare(self.obj, other.obj) == 0

    __hash__ = None  # type: ignore[assignment]


@twin(collections._count_elements)  # type: ignore[attr-defined]
def _count_elements(mapping, iterable):  # type: ignore[no-untyped-def]
    for element in iterable:
        mapping[element] = mapping.get(element, 0) + 1


# ---- modules of the standard library that have a C accelerator


def _without_accelerator(name: str, accelerators: list[str]) -> ModuleType:
    """The Python source of a module, loaded beside the real one, without its C accelerator."""
    spec = importlib.util.find_spec(name)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    saved = {a: sys.modules.get(a) for a in accelerators}
    try:
        for a in accelerators:
            sys.modules[a] = None  # type: ignore[assignment]
        spec.loader.exec_module(module)
    finally:
        for a, found in saved.items():
            if found is None:
                sys.modules.pop(a, None)
            else:
                sys.modules[a] = found
    return module


def _register_module(name: str, accelerators: list[str]) -> None:
    real, python = importlib.import_module(name), _without_accelerator(name, accelerators)
    for attribute, f in vars(python).items():
        original = getattr(real, attribute, None)
        if type(f) is FunctionType and original is not None and type(original) is not FunctionType:
            TWINS[original] = f


for _real, _accelerator in (("heapq", "_heapq"), ("bisect", "_bisect"), ("statistics", "_statistics")):
    ACCELERATORS[_accelerator] = functools.partial(_register_module, _real, [_accelerator])


@twin(operator.add)
def _op_add(a, b):  # type: ignore[no-untyped-def]
    return a + b


@twin(operator.sub)
def _op_sub(a, b):  # type: ignore[no-untyped-def]
    return a - b


@twin(operator.mul)
def _op_mul(a, b):  # type: ignore[no-untyped-def]
    return a * b


@twin(operator.truediv)
def _op_truediv(a, b):  # type: ignore[no-untyped-def]
    return a / b


@twin(operator.pow)
def _op_pow(a, b):  # type: ignore[no-untyped-def]
    return a**b


@twin(operator.mod)
def _op_mod(a, b):  # type: ignore[no-untyped-def]
    return a % b


@twin(operator.floordiv)
def _op_floordiv(a, b):  # type: ignore[no-untyped-def]
    return a // b


@twin(operator.matmul)
def _op_matmul(a, b):  # type: ignore[no-untyped-def]
    return a @ b


@twin(operator.neg)
def _op_neg(a):  # type: ignore[no-untyped-def]
    return -a


@twin(operator.pos)
def _op_pos(a):  # type: ignore[no-untyped-def]
    return +a


@twin(operator.iadd)
def _op_iadd(a, b):  # type: ignore[no-untyped-def]
    a += b
    return a


@twin(operator.isub)
def _op_isub(a, b):  # type: ignore[no-untyped-def]
    a -= b
    return a


@twin(operator.imul)
def _op_imul(a, b):  # type: ignore[no-untyped-def]
    a *= b
    return a


@twin(operator.itruediv)
def _op_itruediv(a, b):  # type: ignore[no-untyped-def]
    a /= b
    return a


@twin(operator.ipow)
def _op_ipow(a, b):  # type: ignore[no-untyped-def]
    a **= b
    return a


@twin(operator.imod)
def _op_imod(a, b):  # type: ignore[no-untyped-def]
    a %= b
    return a


@twin(operator.ifloordiv)
def _op_ifloordiv(a, b):  # type: ignore[no-untyped-def]
    a //= b
    return a


@twin(operator.imatmul)
def _op_imatmul(a, b):  # type: ignore[no-untyped-def]
    a @= b
    return a


@twin(operator.iand)
def _op_iand(a, b):  # type: ignore[no-untyped-def]
    a &= b
    return a


@twin(operator.ior)
def _op_ior(a, b):  # type: ignore[no-untyped-def]
    a |= b
    return a


@twin(operator.ixor)
def _op_ixor(a, b):  # type: ignore[no-untyped-def]
    a ^= b
    return a


@twin(operator.ilshift)
def _op_ilshift(a, b):  # type: ignore[no-untyped-def]
    a <<= b
    return a


@twin(operator.irshift)
def _op_irshift(a, b):  # type: ignore[no-untyped-def]
    a >>= b
    return a


@twin(operator.iconcat)
def _op_iconcat(a, b):  # type: ignore[no-untyped-def]
    a += b
    return a


@twin(operator.and_)
def _op_and_(a, b):  # type: ignore[no-untyped-def]
    return a & b


@twin(operator.or_)
def _op_or_(a, b):  # type: ignore[no-untyped-def]
    return a | b


@twin(operator.xor)
def _op_xor(a, b):  # type: ignore[no-untyped-def]
    return a ^ b


@twin(operator.lshift)
def _op_lshift(a, b):  # type: ignore[no-untyped-def]
    return a << b


@twin(operator.rshift)
def _op_rshift(a, b):  # type: ignore[no-untyped-def]
    return a >> b


@twin(operator.lt)
def _op_lt(a, b):  # type: ignore[no-untyped-def]
    return a < b


@twin(operator.le)
def _op_le(a, b):  # type: ignore[no-untyped-def]
    return a <= b


@twin(operator.gt)
def _op_gt(a, b):  # type: ignore[no-untyped-def]
    return a > b


@twin(operator.ge)
def _op_ge(a, b):  # type: ignore[no-untyped-def]
    return a >= b


@twin(operator.eq)
def _op_eq(a, b):  # type: ignore[no-untyped-def]
    return a == b


@twin(operator.ne)
def _op_ne(a, b):  # type: ignore[no-untyped-def]
    return a != b


@twin(operator.concat)
def _op_concat(a, b):  # type: ignore[no-untyped-def]
    return a + b


@twin(operator.getitem)
def _op_getitem(a, b):  # type: ignore[no-untyped-def]
    return a[b]


@twin(operator.setitem)
def _op_setitem(a, b, c):  # type: ignore[no-untyped-def]
    a[b] = c


@twin(operator.delitem)
def _op_delitem(a, b):  # type: ignore[no-untyped-def]
    del a[b]


def _as_it_is(f: Any) -> Any:
    return lambda run, args, ts, kw, kts: (f(*args, **kw), None)


for _helper in (choices_of, comparable_in_c, sorted_positions):
    HANDLERS[_helper] = _as_it_is(_helper)
