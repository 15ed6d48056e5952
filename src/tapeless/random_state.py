"""The state of NumPy's random generators, of both kinds."""

from __future__ import annotations

from typing import Any


def state_of(generator: Any) -> Any:
    """The state of a `Generator` or a `RandomState`, to be given back by `set_state`."""
    inner = getattr(generator, "bit_generator", None)
    return generator.get_state(legacy=False) if inner is None else inner.state


def set_state(generator: Any, state: Any) -> None:
    """Put a generator back into a state that it had."""
    inner = getattr(generator, "bit_generator", None)
    if inner is None:
        generator.set_state(state)
    else:
        inner.state = state
