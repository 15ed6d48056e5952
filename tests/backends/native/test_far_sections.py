"""Kernels link in processes whose free memory is in small pieces, far apart, as beside large arrays."""

import os
import subprocess
import sys
import textwrap

import pytest

PROGRAM = """
    import ctypes, mmap, sys
    import numpy as np
    import tapeless as tl
    import many

    C = ctypes.CDLL(None)
    C.mmap.restype = ctypes.c_void_p
    C.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]
    C.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    RESERVE = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000  # MAP_NORESERVE: addresses, no memory
    GB = 2**30

    x = np.linspace(0.0, 1.0, 5)
    for k in range(40):
        start = C.mmap(None, 8 * GB, 0, RESERVE, -1, 0)
        for part in range(3):  # holes of a page or two, 2.5 GB apart, are what is found first
            C.munmap(start + part * 5 * GB // 2, 4096 * (1 + (k + part) % 2))
        slope = tl.jit(tl.grad(getattr(many, f"f{k}")))(x)
        want = (k + 0.5) / np.cosh(x) ** 2 + 1.7 * k * np.cos(x) + 1 / (1 + x * x)
        np.testing.assert_allclose(slope, want, 1e-12)
    print("linked")
"""
FUNCTION = """
def f{k}(x):
    return np.sum(np.tanh(x) * ({k} + 0.5) + np.sin(x) * (1.7 * {k}) + np.arctan(x))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux's mmap")
def test_sections_far_apart(tmp_path):
    (tmp_path / "many.py").write_text(
        "import numpy as np\n" + "".join(FUNCTION.format(k=k) for k in range(40))
    )
    (tmp_path / "main.py").write_text(textwrap.dedent(PROGRAM))
    where = os.pathsep.join([str(tmp_path), *sys.path])
    done = subprocess.run(
        [sys.executable, str(tmp_path / "main.py")],
        env={**os.environ, "PYTHONPATH": where, "TAPELESS_CACHE_DIR": ""},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (0, "linked\n"), done.stderr[-2000:]
