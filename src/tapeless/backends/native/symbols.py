"""Where the functions and objects are that machine code names, beyond what the process itself exports."""

from __future__ import annotations

import ctypes
import functools
import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

#: How BLAS and LAPACK builds spell a Fortran name: NumPy's wheels, 64-bit integers, plain.
SPELLINGS = ("scipy_{}_64_", "{}_64_", "{}64_", "scipy_{}_", "{}_")

#: How many doubles at once the functions of `vector_math` take.
LANES = (2, 4, 8)


def address(name: str) -> int | None:
    """The address of a symbol; None for those that the linker finds by itself."""
    family, _, rest = name.partition(".")
    if name == "numpy.PyArray_New":
        return int(_numpy_table()[93])
    if family == "numpy":
        return id(np.bool_ if rest == "bool" else getattr(np, rest))
    if family == "math":
        return _function(rest)
    if name in ("sin", "cos", "sincos"):
        return _function(name)
    if family == "special":
        from tapeless.backends.native import special

        return special.address(rest)
    if family == "vector":
        return int(_vectors(rest.partition(".")[0])[name])
    if family == "fortran":
        return _fortran(rest)
    if name == "tapeless.callback":
        from tapeless.backends.native import callbacks

        return callbacks.address()
    if name in ("tapeless.take", "tapeless.give"):
        from tapeless.backends.native import memory

        return int(memory.library()[f"tl_{rest}"])
    if name == "tapeless.handler":
        from tapeless.backends.native import memory

        return id(memory.handler())
    if name == "tapeless.parallel":
        from tapeless.backends.native import threads

        return threads.pool()
    return None


@functools.cache
def _function(name: str) -> int:
    """A function of C's mathematical library."""
    library = ctypes.CDLL(None)  # Python itself is linked to it
    return ctypes.cast(getattr(library, name), ctypes.c_void_p).value or 0


@functools.cache
def _vectors(name: str) -> Any:
    """The linked library of a function on several doubles."""
    from tapeless.backends.native import kernel

    def text() -> str:
        from tapeless.backends.native import vector_math

        return vector_math.text(name)

    exports = [f"vector.{name}.{lanes}" for lanes in LANES]
    return kernel.link(compiled(f"vector.{name}", text), (f"math.{name}",), exports)


def compiled(key: str, text: Callable[[], str]) -> bytes:
    """The object code of a module of this package's own, compiled unless it is on disk."""
    from tapeless.backends.native import cache, kernel

    code = cache.read(key)
    if not isinstance(code, bytes):
        from tapeless.backends.native import machine

        with kernel.LOCK:
            made: bytes = kernel.target().emit_object(machine.optimised(text()))
        cache.write(key, made)
        return made
    return code


@functools.cache
def _numpy_table() -> Any:
    """The table of NumPy's C functions."""
    core = importlib.import_module("numpy._core" if hasattr(np, "_core") else "numpy.core")
    return ctypes.cast(_pointer(core._multiarray_umath._ARRAY_API, None), ctypes.POINTER(ctypes.c_void_p))


def _pointer(capsule: Any, name: bytes | None) -> int:
    get = ctypes.pythonapi.PyCapsule_GetPointer
    get.restype, get.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    return int(get(capsule, name))


@functools.cache
def _fortran(name: str) -> int:
    """A routine of the library that NumPy itself is linked to (already loaded); otherwise SciPy's."""
    library = ctypes.CDLL(importlib.import_module("numpy.linalg._umath_linalg").__file__)
    for spelling in SPELLINGS:
        found = getattr(library, spelling.format(name), None)
        if found is not None:
            return ctypes.cast(found, ctypes.c_void_p).value or 0
    both = [
        importlib.import_module(f"scipy.linalg.cython_{part}").__pyx_capi__ for part in ("blas", "lapack")
    ]
    capsule = (both[0] | both[1])[name]
    get = ctypes.pythonapi.PyCapsule_GetName
    get.restype, get.argtypes = ctypes.c_char_p, [ctypes.py_object]
    return _pointer(capsule, get(capsule))
