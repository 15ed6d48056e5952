"""Calls that take long let other threads of Python run: the interpreter's lock is released for them."""

from __future__ import annotations

from tapeless.backends.native.effort import whole
from tapeless.backends.native.intrinsics import CALLED_BACK
from tapeless.backends.native.llvm import Emitter
from tapeless.backends.native.nest import Check, Const, Function, Intrinsic, apply, walk

#: A call of so many statements is long: it takes tens of microseconds, and the release a tenth of one.
LONG = 100_000


def is_long(fn: Function) -> str | None:
    """The module that defines `tl_long(frame)`, which is not 0 where a call takes long; None if none does.

    Nests that call Python back keep its lock.
    """
    if any(isinstance(s, Intrinsic) and s.name in CALLED_BACK for s in walk(fn.body)):
        return None
    quick = apply("le", whole(fn), LONG)
    if isinstance(quick, Const) and quick.value:
        return None
    text = Emitter(Function("", fn.params, [Check(quick, 0)], []), False, {}).module()
    return text.replace("@tl_body(", "@tl_long(")
