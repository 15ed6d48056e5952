"""The order of items by `<` of their keys: merges of longer and longer runs; equal ones stay as they were."""

from __future__ import annotations

from typing import Any


def keys_of(key: Any, items: Any) -> list[Any]:
    return [key(item) for item in items]


def sort(keys: Any, order: Any, merged: Any, backwards: bool) -> None:
    """Put into `order` where the items are, first to last; `merged` is as long."""
    n = len(keys)
    for k in range(n):
        order[k] = n - 1 - k if backwards else k
    width = 1
    while width < n:
        low = 0
        while low < n:
            middle, high = min(low + width, n), min(low + 2 * width, n)
            left, right = low, middle
            for k in range(low, high):
                if right < high and (left >= middle or keys[order[right]] < keys[order[left]]):
                    merged[k] = order[right]
                    right += 1
                else:
                    merged[k] = order[left]
                    left += 1
            low = high
        for k in range(n):
            order[k] = merged[k]
        width *= 2
    if backwards:
        order.reverse()
