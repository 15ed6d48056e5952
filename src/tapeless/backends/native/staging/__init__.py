"""Staging: a Program and the types of its arguments become a nest, by abstract interpretation."""

from tapeless.backends.native.staging.base import Replay
from tapeless.backends.native.staging.stager import Staged, stage

__all__ = ["Replay", "Staged", "stage"]
