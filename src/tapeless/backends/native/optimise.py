"""What is done to every nest before it becomes machine code."""

from __future__ import annotations

from tapeless.backends.native.afresh import afresh
from tapeless.backends.native.defer import defer
from tapeless.backends.native.delay import delay
from tapeless.backends.native.fuse import fuse
from tapeless.backends.native.interchange import interchange
from tapeless.backends.native.jam import jam
from tapeless.backends.native.late import late
from tapeless.backends.native.layout import lay_out
from tapeless.backends.native.lengths import known_lengths
from tapeless.backends.native.momentary import momentary
from tapeless.backends.native.nest import Function
from tapeless.backends.native.passing import passing
from tapeless.backends.native.peeled import peel
from tapeless.backends.native.products import multiply
from tapeless.backends.native.staggered import stagger
from tapeless.backends.native.started import start
from tapeless.backends.native.sums import sums
from tapeless.backends.native.unstored import unstored
from tapeless.backends.native.vanishing import leave_out, put_back


def optimise(fn: Function, *, parallel: bool = False) -> Function:
    """A nest that computes the same faster, if no two array parameters share memory.

    With `parallel`, loops stay loops, which threads can share.
    """
    fn = known_lengths(fn if parallel else sums(afresh(fn)))
    fn = fn if parallel else late(fn)
    fn = momentary(fuse(fn if parallel else multiply(fn)))
    peeled = peel(fn)
    fn = fn if peeled is fn else momentary(fuse(peeled))
    fn = jam(in_order(leave_out(unstored(delay(defer(fn)), parallel=parallel))))
    return fn if parallel else stagger(passing(start(fn)))


def in_order(fn: Function) -> Function:
    """A nest with arrays and loops in one order; what arrays turned have left apart is looked at again."""
    for _ in range(2):
        made = lay_out(fn)
        if made is fn:
            break
        fn = fuse(known_lengths(interchange(put_back(made))))
    return interchange(put_back(fn))
