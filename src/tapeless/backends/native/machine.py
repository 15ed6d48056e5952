"""Machine code of nests: LLVM's passes for this processor."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import llvmlite.binding as llvm
import numpy as np

from tapeless.backends.native.kernel import LOCK, Code, Kernel, Mismatch, target
from tapeless.backends.native.llvm import body
from tapeless.backends.native.llvm_entry import CLASSES, DEFAULT, Output, entry, plain, written
from tapeless.backends.native.nest import Array, Function, Scalar
from tapeless.backends.native.optimise import optimise
from tapeless.backends.native.release import is_long

__all__ = ["Kernel", "Mismatch", "compile"]

#: Loops of functions of so many lines are not unrolled: it takes most of the time of compiling them.
LONG = 4000
#: Functions of so many lines get LLVM's quick passes only, for the same reason.
HUGE = 20000


def parse(text: str) -> llvm.ModuleRef:
    target()
    made = llvm.parse_assembly(text)
    made.verify()
    made.triple = target().triple
    made.data_layout = str(target().target_data)
    return made


def optimised(text: str) -> llvm.ModuleRef:
    """The module of some text after LLVM's passes: those of -O3 but its vectoriser of straight-line code.

    That one (SLP) moves a load above the store it depends on, in LLVM 22 at least, and gains loops nothing.
    """
    module = parse(text)
    # of the longest function, but for very many that threads share
    lines = max(max(part.count("\n") for part in text.split("\ndefine ")), text.count("\n") // 3)
    options = llvm.create_pipeline_tuning_options(speed_level=3 if lines < HUGE else 1)
    options.loop_vectorization, options.slp_vectorization = lines < HUGE, False
    options.loop_interleaving = True
    options.loop_unrolling = lines < LONG
    builder = llvm.create_pass_builder(target(), options)
    builder.getModulePassManager().run(module, builder)
    # LLVM makes one call of C's sine and cosine; until here it must not know them: their vectors are ours
    both = [f for f in module.functions if f.name in ("math.sin", "math.cos")]
    for f in both if len(both) == 2 else ():
        f.name = f.name.removeprefix("math.")
    return module


def compile(
    fn: Function,
    signature: Sequence[type | None] | None = None,
    output: Output | None = None,
    *,
    may_overlap: bool = False,
    parallel: bool = False,
) -> Kernel:
    """A nest as a function of Python.

    `signature` names the exact class of each scalar argument (`float`, `numpy.float32`, …; None for arrays,
    which their `Array` describes), `output` what is returned (see `llvm_entry`).  Arguments that share
    memory, one of them written, are taken only with `may_overlap`; without it they go to a version that is
    compiled when they first come.  With `parallel` threads share the long independent loops.
    """
    classes = tuple(
        object if isinstance(p, Array) else (given or DEFAULT[p.type])
        for p, given in zip(fn.params, signature or [None] * len(fn.params), strict=True)
    )
    for p, cls in zip(fn.params, classes, strict=True):
        if isinstance(p, Scalar) and (cls not in CLASSES or CLASSES[cls][2] != p.type):
            raise TypeError(f"{p.name} is {p.type}, which no {cls.__name__} is")
    output = plain(fn) if output is None else output
    with LOCK:
        nest = fn if may_overlap else optimise(fn, parallel=parallel)
        module = optimised(body(nest, may_overlap=may_overlap, parallel=parallel))
        long = is_long(fn)
        if long is not None:
            module.link_in(optimised(long))
        releases = long is not None
        module.link_in(parse(entry(fn, classes, output, may_overlap=may_overlap, releases=releases)))
        made = target().emit_object(module)
        names = tuple(
            f.name for f in itertools.chain(module.functions, module.global_variables) if f.is_declaration
        )
    imports = tuple(n for n in (*names, "sincos") if not n.startswith("llvm.") and n.encode() in made)
    return Kernel(Code(fn.name, made, imports, classes, output, may_overlap, parallel, fn))


def fits(code: Code, args: Sequence[Any]) -> bool:
    """Are the arguments what the signature says, so that only shared memory can be in the way?"""
    if len(args) != len(code.fn.params):
        return False
    for p, cls, x in zip(code.fn.params, code.signature, args, strict=True):
        if isinstance(p, Scalar):
            if type(x) is not cls or (isinstance(x, int) and not -(2**63) <= x < 2**63):
                return False
            continue
        if type(x) is not np.ndarray or x.dtype != np.dtype(p.dtype) or x.ndim != p.ndim:
            return False
        flags = x.flags
        if not flags.aligned or (p.contiguous and not flags.c_contiguous):
            return False
        if (p in written(code.fn) and not flags.writeable) or any(s % x.itemsize for s in x.strides):
            return False
    return True
