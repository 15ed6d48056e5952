"""The functions of `heapq`: the same comparisons as its own, so that a heap is the same list at any time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Before = Callable[[Any, Any], Any]


def less(a: Any, b: Any) -> Any:
    return a < b


def greater(a: Any, b: Any) -> Any:
    return b < a


def rise(heap: Any, top: int, at: int, before: Before) -> None:
    """The item at a place goes up to where it belongs, at most to `top`."""
    item = heap[at]
    while at > top:
        above = (at - 1) // 2
        if not before(item, heap[above]):
            break
        heap[at] = heap[above]
        at = above
    heap[at] = item


def sink(heap: Any, at: int, before: Before) -> None:
    """The item at a place goes down to a leaf, by the children that come first, and up from there."""
    top, end = at, len(heap)
    item = heap[at]
    below = 2 * at + 1
    while below < end:
        if below + 1 < end and not before(heap[below], heap[below + 1]):
            below += 1
        heap[at] = heap[below]
        at = below
        below = 2 * at + 1
    heap[at] = item
    rise(heap, top, at, before)


def _heapify(heap: Any, before: Before) -> None:
    for at in range(len(heap) // 2 - 1, -1, -1):
        sink(heap, at, before)


def _heappop(heap: Any, before: Before) -> Any:
    if not heap:
        raise IndexError("index out of range")
    last = heap.pop()
    if not heap:
        return last
    first = heap[0]
    heap[0] = last
    sink(heap, 0, before)
    return first


def _heapreplace(heap: Any, item: Any, before: Before) -> Any:
    if not heap:
        raise IndexError("index out of range")
    first = heap[0]
    heap[0] = item
    sink(heap, 0, before)
    return first


def heappush(heap: Any, item: Any) -> None:
    heap.append(item)
    rise(heap, 0, len(heap) - 1, less)


def heappushpop(heap: Any, item: Any) -> Any:
    if not heap:
        return item
    if not heap[0] < item:
        return item
    first = heap[0]
    heap[0] = item
    sink(heap, 0, less)
    return first


def heapify(heap: Any) -> None:
    _heapify(heap, less)


def heappop(heap: Any) -> Any:
    return _heappop(heap, less)


def heapreplace(heap: Any, item: Any) -> Any:
    return _heapreplace(heap, item, less)


def heapify_max(heap: Any) -> None:
    _heapify(heap, greater)


def heappop_max(heap: Any) -> Any:
    return _heappop(heap, greater)


def heapreplace_max(heap: Any, item: Any) -> Any:
    return _heapreplace(heap, item, greater)
