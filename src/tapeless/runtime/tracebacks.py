"""Tracebacks that show the user's frames only."""

from __future__ import annotations

import os
import sys
import sysconfig
from types import FrameType, TracebackType
from typing import Any

from tapeless.autodiff.dual import DUAL_CODES

_HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


_PATHS = ("stdlib", "platstdlib", "purelib", "platlib")
_LIBRARIES = (*{sysconfig.get_path(name) + os.sep for name in _PATHS}, "<frozen ")


def user_frame() -> FrameType | None:
    """The innermost frame of the program that is being differentiated."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and (
        frame.f_code not in DUAL_CODES or frame.f_code.co_filename.startswith(_HERE)
    ):
        frame = frame.f_back
    return frame


def own_frame(frame: FrameType | None) -> FrameType | None:
    """The innermost of `frame` and its callers in the program that is no code of an installed library."""
    while frame is not None and (
        frame.f_code not in DUAL_CODES or frame.f_code.co_filename.startswith((_HERE, *_LIBRARIES))
    ):
        frame = frame.f_back
    return frame


class user_frames_only:
    """Take the frames of tapeless out of the traceback of an exception that passes.

    `TAPELESS_TRACEBACK=full` in the environment keeps them.
    """

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is not None and os.environ.get("TAPELESS_TRACEBACK") != "full":
            error.__traceback__ = cleaned(error.__traceback__)
            seen = {id(error)}
            other = error.__cause__ or error.__context__
            while other is not None and id(other) not in seen:
                seen.add(id(other))
                other.__traceback__ = cleaned(other.__traceback__)
                other = other.__cause__ or other.__context__


def cleaned(trace: TracebackType | None) -> TracebackType | None:
    """The traceback without the frames whose code is in this package."""
    frames = []
    while trace is not None:
        if not trace.tb_frame.f_code.co_filename.startswith(_HERE):
            frames.append(trace)
        trace = trace.tb_next
    result: TracebackType | None = None
    for one in reversed(frames):
        result = TracebackType(result, one.tb_frame, one.tb_lasti, one.tb_lineno)
    return result
