"""Python twins of the functions of `itertools`."""
# The twins are read as source and opened like functions of the program: they stay without annotations.
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

from __future__ import annotations

import itertools
import operator
import sys
from typing import Any

from tapeless.runtime.calls import HANDLERS
from tapeless.runtime.handlers import made_plainly
from tapeless.runtime.twins import twin

_NOTHING = object()


@twin(itertools.accumulate)
def _accumulate(iterable, func=None, *, initial=None):
    return _accumulate_items(iter(iterable), func, initial)


def _accumulate_items(iterator, func, initial):
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
def _chain(*iterables):
    for iterable in iterables:
        yield from iterable


@twin(itertools.chain.from_iterable)
def _chain_from_iterable(iterables):
    for iterable in iterables:
        yield from iterable


@twin(itertools.combinations)
def _combinations(iterable, r):
    pool = tuple(iterable)
    return _picks(pool, choices_of(itertools.combinations, range(len(pool)), r))


@twin(itertools.combinations_with_replacement)
def _combinations_with_replacement(iterable, r):
    pool = tuple(iterable)
    return _picks(pool, choices_of(itertools.combinations_with_replacement, range(len(pool)), r))


@twin(itertools.permutations)
def _permutations(iterable, r=None):
    pool = tuple(iterable)
    return _picks(pool, choices_of(itertools.permutations, range(len(pool)), r))


def _picks(pool, choices):
    for choice in choices:
        yield tuple([pool[i] for i in choice])


@twin(itertools.product)
def _product(*iterables, repeat=1):
    pools = [tuple(pool) for pool in iterables] * repeat
    return _product_items(pools)


def _product_items(pools):
    for choice in choices_of(itertools.product, *[range(len(pool)) for pool in pools]):
        yield tuple([pools[k][choice[k]] for k in range(len(pools))])


@twin(itertools.compress)
def _compress(data, selectors):
    for d, s in zip(data, selectors):  # noqa: B905
        if s:
            yield d


@twin(itertools.count)
def _count(start=0, step=1):
    n = start
    while True:
        yield n
        n += step


@twin(itertools.cycle)
def _cycle(iterable):
    saved = []
    for element in iterable:
        yield element
        saved.append(element)
    while saved:
        for element in saved:
            yield element


@twin(itertools.dropwhile)
def _dropwhile(predicate, iterable):
    iterator = iter(iterable)
    for x in iterator:
        if not predicate(x):
            yield x
            break
    for x in iterator:
        yield x


@twin(itertools.takewhile)
def _takewhile(predicate, iterable):
    for x in iterable:
        if not predicate(x):
            break
        yield x


@twin(itertools.filterfalse)
def _filterfalse(predicate, iterable):
    for x in iterable:
        if not (x if predicate is None else predicate(x)):
            yield x


class _Groups:
    """What `groupby` iterates over: a key and an iterator of the items that share it."""

    def __init__(self, iterator, key):
        self.iterator, self.key = iterator, key
        self.target = self.current_key = self.current = _NOTHING
        self.done = False

    def __iter__(self):
        return self

    def __next__(self):
        if self.done:
            raise StopIteration
        while self.current_key is self.target or self.current_key == self.target:
            self.current = next(self.iterator)
            self.current_key = self.current if self.key is None else self.key(self.current)
        self.target = self.current_key
        return (self.current_key, self.group(self.target))

    def group(self, target):
        while not self.done and self.current_key == target:
            yield self.current
            try:
                self.current = next(self.iterator)
            except StopIteration:
                self.done = True
                return
            self.current_key = self.current if self.key is None else self.key(self.current)


@twin(itertools.groupby)
def _groupby(iterable, key=None):
    return _Groups(iter(iterable), key)


@twin(itertools.islice)
def _islice(iterable, *args):
    s = slice(*args)
    start, stop = _islice_index(s.start, 0), _islice_index(s.stop, None)
    if stop == -1:
        raise ValueError("Stop argument for islice() must be None or an integer: 0 <= x <= sys.maxsize.")
    if start < 0 or stop is not None and stop < 0:
        raise ValueError("Indices for islice() must be None or an integer: 0 <= x <= sys.maxsize.")
    step = _islice_index(s.step, 1)
    if step < 1:
        raise ValueError("Step for islice() must be a positive integer or None.")
    return _islice_items(iter(iterable), start, stop, step)


def _islice_index(i, missing):
    """An index as `islice` takes it: whatever is none is -1."""
    if i is None:
        return missing
    try:
        i = operator.index(i)
    except Exception:
        return -1
    return i if i <= sys.maxsize else -1


def _islice_items(iterator, start, stop, step):
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
def _pairwise(iterable):
    iterator = iter(iterable)
    try:
        a = next(iterator)
    except StopIteration:
        return
    for b in iterator:
        yield a, b
        a = b


@twin(itertools.repeat)
def _repeat(object, times=None):
    if times is None:
        while True:
            yield object
    for _ in range(times):
        yield object


@twin(itertools.starmap)
def _starmap(function, iterable):
    for args in iterable:
        yield function(*args)


@twin(itertools.tee)
def _tee(iterable, n=2):
    iterator = iter(iterable)
    queues: list[list[Any]] = [[] for _ in range(n)]
    return tuple([_tee_items(iterator, queues, queues[i]) for i in range(n)])


def _tee_items(iterator, queues, mine):
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
def _zip_longest(*iterables, fillvalue=None):
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


HANDLERS[choices_of] = made_plainly(choices_of)
