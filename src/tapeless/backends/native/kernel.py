"""Compiled code that can be called: linked into the process, with a built-in function as its door.

It imports nothing of what compiles, so that a kernel from the cache starts fast.
"""

from __future__ import annotations

import ctypes
import functools
import itertools
import pickle
import re
import struct
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import llvmlite.binding as llvm

from tapeless.backends.native import symbols
from tapeless.backends.native.watch import table

if TYPE_CHECKING:
    from tapeless.backends.native.nest import Failure, Function
    from tapeless.backends.native.staging.paths import Guard

#: LLVM's own state is one for the process.
LOCK = threading.RLock()
#: The status of a kernel that ran out of memory.
NO_MEMORY = -1


class Careful(ArithmeticError):
    """A derivative is not a number: it has to be computed with strong zeros."""


class Again(Exception):
    """The plain function has to make this call."""


class Mismatch(TypeError):
    """The arguments are not those that the kernel was compiled for."""


@dataclass
class Code:
    """Object code and what is needed to link and call it; it can be pickled if the nest's failures can."""

    name: str
    object: bytes
    imports: tuple[str, ...]
    signature: tuple[type, ...]
    output: tuple[Any, ...]
    may_overlap: bool
    parallel: bool
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
    """This machine, with everything its processor can do.

    Addresses have 64 bits: the linker gives each section a place of its own, and in a process with large
    arrays these can be further apart than the 2 GB that the small code model allows.
    """
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(),
        features=llvm.get_host_cpu_features().flatten(),
        opt=3,
        reloc="static",
        codemodel="large",
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


METH_FASTCALL, METH_KEYWORDS = 0x80, 0x2


def builtin(
    at: int,
    miss: Callable[..., Any],
    fail: Callable[..., Any],
    guards: Sequence[Guard],
    owner: Any,
    name: str,
) -> Any:
    """A built-in function of the machine code at an address; `owner` lives as long as it."""
    # a PyMethodDef in a bytes object, which the collector of cycles cannot take away too early
    spelled = name.encode()
    flags = METH_FASTCALL | METH_KEYWORDS
    method = struct.pack("PPiP", _address(spelled), at, flags, 0)
    make = ctypes.pythonapi.PyCFunction_NewEx
    make.restype, make.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.py_object, ctypes.py_object]
    return make(_address(method), (miss, fail, table(guards), (owner, method, spelled, guards)), None)


def _address(content: bytes) -> int:
    return ctypes.cast(ctypes.c_char_p(content), ctypes.c_void_p).value or 0


class Kernel:
    """Compiled code.  `call(*params)` gives the tuple of results, or raises what the nest raises."""

    def __init__(self, code: Code, metadata: Any = None) -> None:
        self.code, self.metadata = code, metadata
        self.library = link(code.object, code.imports, ("tl_entry",))
        self.overlapping: Kernel | None = None
        self.call = self.door(self.mismatch, self.careful)

    def door(
        self,
        miss: Callable[..., Any],
        careful: Callable[..., Any],
        replay: Callable[..., Any] | None = None,
        shared: Callable[..., Any] | None = None,
        guards: Sequence[Guard] = (),
    ) -> Callable[..., Any]:
        """A function of the kernel's parameters, for as long as the `guards` hold.

        `miss` gets what the kernel was not compiled for, `careful` the calls for which a derivative is NaN,
        and `replay`, if there is one, those that raise.  Arrays that share memory, one of them written, go to
        `shared`: staging has read and differentiated the program as if they did not.
        """
        door = Door(self, miss, careful, replay, shared, guards)
        made: Callable[..., Any] = builtin(
            self.library["tl_entry"], door.missed, door.failed, guards, self.library, self.code.name
        )
        return made

    def mismatch(self, *args: Any, **kwargs: Any) -> Any:
        raise Mismatch(f"{self.code.name} was compiled for other arguments")

    def careful(self, *args: Any, **kwargs: Any) -> Any:
        raise Careful(f"a derivative of {self.code.name} is not a number")

    def may_overlap(self) -> Kernel:
        """The same for arguments that share memory."""
        from tapeless.backends.native.machine import compile

        with LOCK:
            if self.overlapping is None:
                code = self.code
                self.overlapping = compile(
                    code.fn, code.signature, code.output, may_overlap=True, parallel=code.parallel
                )
        return self.overlapping

    @property
    def ir(self) -> str:
        """LLVM's text of the body, as it was written."""
        from tapeless.backends.native.llvm import body
        from tapeless.backends.native.optimise import optimise

        code = self.code
        fn = code.fn if code.may_overlap else optimise(code.fn, parallel=code.parallel)
        return body(fn, may_overlap=code.may_overlap, parallel=code.parallel)

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


class Door:
    """What a kernel does with calls that it does not finish."""

    def __init__(
        self,
        kernel: Kernel,
        miss: Callable[..., Any],
        careful: Callable[..., Any],
        replay: Callable[..., Any] | None,
        shared: Callable[..., Any] | None,
        guards: Sequence[Guard],
    ) -> None:
        self.guards = guards
        self.kernel, self.miss, self.careful, self.replay = kernel, miss, careful, replay
        #: what takes arguments that share memory; without it, the nest as it stands, compiled for them
        self.overlapping = shared

    def missed(self, *args: Any, **kwargs: Any) -> Any:
        """The arguments are not what was compiled for, or share memory, or a name means something else."""
        from tapeless.backends.native.machine import fits

        if not all(guard.holds((), {}) for guard in self.guards):
            return self.miss(*args, **kwargs)
        if kwargs or self.kernel.code.may_overlap or not fits(self.kernel.code, args):
            return self.miss(*args, **kwargs)
        if self.overlapping is None:
            self.overlapping = self.kernel.may_overlap().door(self.miss, self.careful, self.replay)
        return self.overlapping(*args)

    def failed(self, status: int) -> Callable[..., Any]:
        """What takes the call instead, where the kernel has returned a status."""
        from tapeless.backends.native import callbacks

        if self.replay is not None:
            callbacks.take_back()
        callbacks.settle()
        if status == NO_MEMORY:
            raise MemoryError
        if status < 0:
            error = callbacks.pending.pop()
            if self.replay is not None:
                return self.replay
            raise error
        failure = self.kernel.code.fn.failures[status - 1]
        if failure.type is Mismatch:
            return self.miss
        if failure.type is Careful:
            return self.careful
        return self.replay or raiser(failure, self.kernel.code.name)


def raiser(failure: Failure, name: str) -> Callable[..., Any]:
    """A function that raises a failure where the program does: its frame has that file and line."""

    # fmt: off
    def raise_it(*args: Any, **kwargs: Any) -> Any: raise failure.type(*failure.args)  # noqa: E704
    # fmt: on

    raise_it.__code__ = raise_it.__code__.replace(
        co_filename=failure.filename or "<nest>",
        co_firstlineno=failure.line or 1,
        co_name=name,
        co_qualname=name,
    )
    return raise_it
