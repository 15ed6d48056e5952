"""Runs one of GradBench's Enzyme programs by the clang, Enzyme and JIT of the wheel `enzyme_ad`.

`python -m benchmarks.gradbench.enzyme_host CHECKOUT MODULE` compiles `tools/enzyme/MODULE.cpp`, then calls
its `main` for each line of stdin, which names a file of inputs and a function. Where `CLANG_RESOURCE_DIR`
is set, clang's own headers are read from there: the wheel has none.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import subprocess
import sys
from typing import Any

import numpy as np

MARK = "-- done"
SOURCE = """
#define main gradbench_main
#include "{program}"
#undef main
#include <cstdlib>
#include <iostream>
template <std::size_t N> void run(enzyme::tensor<double, N>& status) {{
  char name[] = "enzyme";
  char* arguments[] = {{name, std::getenv("GRADBENCH_INPUT"), std::getenv("GRADBENCH_FUNCTION")}};
  status[0] = gradbench_main(3, arguments);
  std::cout << "{mark}" << std::endl;
}}
"""


def headers() -> list[str]:
    """Where this machine's C++ compiler looks for headers, in its order."""
    asked = subprocess.run(
        ["c++", "-E", "-x", "c++", "-", "-v"], input="", capture_output=True, text=True, check=True
    )
    between = asked.stderr.split("search starts here:")[-1].split("End of search list")[0]
    folders = [line.strip() for line in between.splitlines() if line.strip()]
    own = os.environ.get("CLANG_RESOURCE_DIR")
    return [folder for folder in folders if own is None or "/lib/gcc" not in folder or "c++" in folder]


def options(checkout: str) -> list[str]:
    """`-O3 -march=native -std=c++17`, as clang's inner program spells it."""
    import llvmlite.binding as llvm

    out = ["-O3", "-std=c++17", "-w", "-target-cpu", llvm.get_host_cpu_name(), "-fgnuc-version=4.2.1"]
    out += ["-fcxx-exceptions", "-fexceptions", "-vectorize-loops", "-vectorize-slp", f"-I{checkout}/cpp"]
    if own := os.environ.get("CLANG_RESOURCE_DIR"):
        out += ["-resource-dir", own]
    for folder in headers():
        out += ["-internal-isystem", folder]
    return out


def compiled(checkout: str, module: str) -> Any:
    """A call without arguments that runs the program's `main` with the environment's input and function."""
    importlib.import_module("jax")  # the wheel's library links to its MLIR
    ctypes.CDLL("libstdc++.so.6", ctypes.RTLD_GLOBAL)
    enzyme = importlib.import_module("enzyme_ad.jax.enzyme_call")
    source = SOURCE.format(program=f"{checkout}/tools/enzyme/{module}.cpp", mark=MARK)
    shapes: list[Any] = [("double", [1])]
    identifier, _ = enzyme.create_enzyme_kernel(
        source, "run", shapes, [], options(checkout), enzyme.ABI.Primal, enzyme.Language.CPP, False, "", "cpu"
    )
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    prototype = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)
    callback = prototype(pointer(enzyme.get_callback(), b"xla._CUSTOM_CALL_TARGET"))
    number, status = np.array([identifier], np.int64), np.zeros(1)
    arguments = (ctypes.c_void_p * 1)(number.ctypes.data)

    def call() -> None:
        callback(status.ctypes.data, ctypes.addressof(arguments))
        if status[0]:
            raise SystemExit(int(status[0]))

    return call


def main() -> None:
    call = compiled(*sys.argv[1:])
    for line in sys.stdin:
        os.environ["GRADBENCH_INPUT"], os.environ["GRADBENCH_FUNCTION"] = line.rsplit(maxsplit=1)
        call()


if __name__ == "__main__":
    main()
