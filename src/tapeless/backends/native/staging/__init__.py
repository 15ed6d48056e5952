"""Staging: a Program and the types of its arguments become a nest, by abstract interpretation."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tapeless.backends.native.staging.base import Replay
    from tapeless.backends.native.staging.stager import Staged, stage
else:

    def __getattr__(name):
        """Entries from disk need paths and templates only, so staging is loaded when it is asked for."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from tapeless.backends.native.staging import base, stager

        return getattr(base if name == "Replay" else stager, name)


__all__ = ["Replay", "Staged", "stage"]
