"""Machine code: a nest compiled for this processor, linked into the process, called from Python."""

from __future__ import annotations

import ctypes
import functools
import itertools
import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import llvmlite.binding as llvm
import numpy as np

from tapeless.backends.native import callbacks, symbols
from tapeless.backends.native.llvm import NO_MEMORY, body
from tapeless.backends.native.llvm_entry import CLASSES, DEFAULT, entry
from tapeless.backends.native.nest import Array, Failure, Function, Scalar

#: LLVM's own state is one for the process.
LOCK = threading.RLock()


class Mismatch(TypeError):
    """The arguments are not those that the kernel was compiled for."""


@dataclass(slots=True)
class Code:
    """Object code and what is needed to link and call it; it can be pickled if the failures can."""

    object: bytes
    imports: tuple[str, ...]
    failures: list[Failure]
    fn: Function
    signature: tuple[type, ...]
    may_overlap: bool = False
    metadata: Any = field(default=None)


# ---- LLVM


@functools.cache
def target() -> llvm.TargetMachine:
    """This machine, with everything its processor can do."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(),
        features=llvm.get_host_cpu_features().flatten(),
        opt=3,
        reloc="pic",
        codemodel="small",
    )


@functools.cache
def linker() -> llvm.LLJIT:
    return llvm.create_lljit_compiler(target())


def parse(text: str) -> llvm.ModuleRef:
    target()
    made = llvm.parse_assembly(text)
    made.triple = target().triple
    made.data_layout = str(target().target_data)
    return made


def optimised(text: str) -> llvm.ModuleRef:
    """The module of some text after LLVM's passes (those of -O3)."""
    module = parse(text)
    options = llvm.create_pipeline_tuning_options(speed_level=3)
    options.loop_vectorization = options.slp_vectorization = True
    options.loop_interleaving = options.loop_unrolling = True
    builder = llvm.create_pass_builder(target(), options)
    builder.getModulePassManager().run(module, builder)
    return module


def text_of(fn: Function, signature: Sequence[type], may_overlap: bool) -> tuple[str, str]:
    """The body's and the entry's text; they are two modules, so that neither's names meet the other's."""
    return body(fn, may_overlap=may_overlap), entry(fn, signature, may_overlap=may_overlap)


def compile(
    fn: Function,
    signature: Sequence[type | None] | None = None,
    *,
    may_overlap: bool = False,
    parallel: bool = False,
) -> Kernel:
    """A nest as a function of Python.

    `signature` names the exact class of each scalar argument (`float`, `numpy.float32`, …; None for arrays,
    which their `Array` describes).  Arguments that share memory, one of them written, are taken only with
    `may_overlap`; without it they go to a version that is compiled when they first come.
    """
    classes = tuple(
        object if isinstance(p, Array) else (given or DEFAULT[p.type])
        for p, given in zip(fn.params, signature or [None] * len(fn.params), strict=True)
    )
    for p, cls in zip(fn.params, classes, strict=True):
        if isinstance(p, Scalar) and (cls not in CLASSES or CLASSES[cls][2] != p.type):
            raise TypeError(f"{p.name} is {p.type}, which no {cls.__name__} is")
    with LOCK:
        module = optimised(body(fn, may_overlap=may_overlap))
        module.link_in(parse(entry(fn, classes, may_overlap=may_overlap)))
        made = target().emit_object(module)
        names = tuple(
            f.name for f in itertools.chain(module.functions, module.global_variables) if f.is_declaration
        )
    imports = tuple(n for n in names if not n.startswith("llvm."))
    return Kernel(Code(made, imports, fn.failures, fn, classes, may_overlap))


#: A library's name cannot be used twice.
_names = itertools.count()


def link(code: Code) -> llvm.ResourceTracker:
    """Object code made part of this process, for as long as what is returned lives."""
    with LOCK:
        library = llvm.JITLibraryBuilder().add_object_img(code.object).add_current_process()
        for name in code.imports:
            at = symbols.address(name)
            if at is not None:
                library.import_symbol(name, at)
        library.export_symbol("tl_entry").export_symbol("tl_body")
        return library.link(linker(), f"tapeless.{next(_names)}")


# ---- calling


class _MethodDef(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_char_p),
        ("call", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    ]


METH_FASTCALL = 0x80


def builtin(at: int, owner: Any, name: str) -> Callable[..., Any]:
    """A built-in function of the machine code at an address; `owner` is what it gets as `self`."""
    method = _MethodDef(name.encode(), at, METH_FASTCALL, None)
    _keep(owner, method)
    make = ctypes.pythonapi.PyCFunction_NewEx
    make.restype, make.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.py_object, ctypes.py_object]
    made: Callable[..., Any] = make(ctypes.addressof(method), owner, None)
    return made


def _keep(owner: Any, what: Any) -> None:
    owner[-1].append(what)


class Kernel:
    """Compiled code.  `call(*params)` gives the tuple of results, or raises what the nest raises."""

    def __init__(self, code: Code) -> None:
        self.code = code
        self.library = link(code)
        self.miss: Callable[..., Any] = self._mismatch
        self._overlapping: Kernel | None = None
        owner = (self._miss, self._fail, [self.library])
        self.call = builtin(self.library["tl_entry"], owner, code.fn.name)

    def _miss(self, *args: Any) -> Any:
        """The arguments are not what was compiled for, or share memory."""
        if not self.code.may_overlap and _fits(self.code, args):
            if self._overlapping is None:
                self._overlapping = compile(self.code.fn, self.code.signature, may_overlap=True)
            return self._overlapping.call(*args)
        return self.miss(*args)

    def _mismatch(self, *args: Any) -> Any:
        raise Mismatch(f"{self.code.fn.name} was compiled for other arguments")

    def _fail(self, status: int) -> None:
        if status == NO_MEMORY:
            raise MemoryError
        if status < 0:
            raise callbacks.pending.pop()
        failure = self.code.failures[status - 1]
        raise failure.type(*failure.args)

    @property
    def ir(self) -> str:
        """LLVM's text of the body, as it was written."""
        return body(self.code.fn, may_overlap=self.code.may_overlap)

    @property
    def optimised_ir(self) -> str:
        with LOCK:
            return str(optimised(self.ir))

    @property
    def assembly(self) -> str:
        with LOCK:
            made: str = target().emit_assembly(optimised(self.ir))
        return re.sub(r"\n\s*\.cfi_.*", "", made)


def _fits(code: Code, args: Sequence[Any]) -> bool:
    """Are the arguments what the signature says, so that only shared memory can be in the way?"""
    if len(args) != len(code.fn.params):
        return False
    from tapeless.backends.native.llvm_entry import written

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
