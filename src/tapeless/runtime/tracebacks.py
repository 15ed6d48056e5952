"""Tracebacks that show the user's frames only."""

from __future__ import annotations

import os
from types import TracebackType
from typing import Any

_HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


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
