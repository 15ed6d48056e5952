"""Compiled code that can be called: linked into the process, with a built-in function as its door.

It imports nothing of what compiles, so that a kernel from the cache starts fast.
"""

from __future__ import annotations

import ctypes
import functools
import itertools
import pickle
import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import llvmlite.binding as llvm

from tapeless.backends.native import symbols

if TYPE_CHECKING:
    from tapeless.backends.native.nest import Function

#: LLVM's own state is one for the process.
LOCK = threading.RLock()
#: The status of a kernel that ran out of memory.
NO_MEMORY = -1


class Mismatch(TypeError):
    """The arguments are not those that the kernel was compiled for."""


@dataclass
class Code:
    """Object code and what is needed to link and call it; it can be pickled if the nest's failures can."""

    name: str
    object: bytes
    imports: tuple[str, ...]
    signature: tuple[type, ...]
    may_overlap: bool
    nest: Function | bytes  # pickled until it is wanted

    def __getstate__(self) -> dict[str, Any]:
        nest = self.nest if isinstance(self.nest, bytes) else pickle.dumps(self.nest, protocol=5)
        return {**self.__dict__, "nest": nest}

    @property
    def fn(self) -> Function:
        if isinstance(self.nest, bytes):
            made: Function = pickle.loads(self.nest)
            self.nest = made
        return self.nest


# ---- linking


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


#: A library's name cannot be used twice.
_names = itertools.count()


def link(code: bytes, imports: Sequence[str], exports: Sequence[str]) -> llvm.ResourceTracker:
    """Object code made part of this process, for as long as what is returned lives."""
    with LOCK:
        library = llvm.JITLibraryBuilder().add_object_img(code).add_current_process()
        for name in imports:
            at = symbols.address(name)
            if at is not None:
                library.import_symbol(name, at)
        for name in exports:
            library.export_symbol(name)
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

    def __init__(self, code: Code, metadata: Any = None) -> None:
        self.code, self.metadata = code, metadata
        self.library = link(code.object, code.imports, ("tl_entry",))
        self.miss: Callable[..., Any] = self._mismatch
        self._overlapping: Kernel | None = None
        owner = (self._miss, self._fail, [self.library])
        self.call = builtin(self.library["tl_entry"], owner, code.name)

    def _miss(self, *args: Any) -> Any:
        """The arguments are not what was compiled for, or share memory."""
        from tapeless.backends.native.machine import compile, fits

        if not self.code.may_overlap and fits(self.code, args):
            if self._overlapping is None:
                self._overlapping = compile(self.code.fn, self.code.signature, may_overlap=True)
            return self._overlapping.call(*args)
        return self.miss(*args)

    def _mismatch(self, *args: Any) -> Any:
        raise Mismatch(f"{self.code.name} was compiled for other arguments")

    def _fail(self, status: int) -> None:
        from tapeless.backends.native import callbacks

        if status == NO_MEMORY:
            raise MemoryError
        if status < 0:
            raise callbacks.pending.pop()
        failure = self.code.fn.failures[status - 1]
        raise failure.type(*failure.args)

    @property
    def ir(self) -> str:
        """LLVM's text of the body, as it was written."""
        from tapeless.backends.native.llvm import body

        return body(self.code.fn, may_overlap=self.code.may_overlap)

    @property
    def optimised_ir(self) -> str:
        from tapeless.backends.native.machine import optimised

        with LOCK:
            return str(optimised(self.ir))

    @property
    def assembly(self) -> str:
        from tapeless.backends.native.machine import optimised

        with LOCK:
            made: str = target().emit_assembly(optimised(self.ir))
        return re.sub(r"\n\s*\.cfi_.*", "", made)
