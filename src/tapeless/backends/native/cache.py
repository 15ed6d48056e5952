"""Object code on disk, so that a second process neither stages nor compiles.

One file an entry, in `$TAPELESS_CACHE_DIR` or the user's cache directory (an empty variable: no cache).  Its
name is a hash of the caller's key and of all that object code depends on: this package, LLVM, Python, NumPy
and the processor.  It begins with a hash of the rest: what does not agree is as if it were not there.
"""

from __future__ import annotations

import functools
import hashlib
import os
import pickle
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tapeless.backends.native.kernel import Kernel

VARIABLE = "TAPELESS_CACHE_DIR"
DAY = 24 * 3600.0
#: After so many days without use a file is taken away.
LONG = 60


def directory() -> Path | None:
    """Where the files are; None if nothing is to be kept."""
    chosen = os.environ.get(VARIABLE)
    if chosen is not None:
        return Path(chosen) if chosen else None
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "tapeless"


@functools.cache
def surroundings() -> bytes:
    """What object code depends on besides the program."""
    import llvmlite
    import llvmlite.binding as llvm
    import numpy

    versions = [
        llvmlite.__version__,
        numpy.__version__,
        sys.implementation.cache_tag,
        sys.abiflags,
        sys.platform,
    ]
    stamps = sorted(_stamps(str(Path(__file__).parents[2])))
    processor = [llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()]
    return "\n".join([*map(str, versions), *processor, *stamps]).encode()


def _stamps(folder: str) -> Iterator[str]:
    """The files of this package, and when each was changed."""
    with os.scandir(folder) as found:
        for one in found:
            if one.name.endswith(".py"):
                yield f"{one.path} {one.stat().st_mtime_ns}"
            elif "." not in one.name and not one.name.startswith("_") and one.is_dir():
                yield from _stamps(one.path)


def _file(key: str) -> Path | None:
    base = directory()
    name = hashlib.sha256(surroundings() + b"\0" + key.encode()).hexdigest()
    return base / name[:2] / name if base is not None else None


@functools.cache
def tidy(base: Path) -> None:
    """Take away what nobody has used for long; once a process, when it writes something."""
    for path in base.glob("??/*"):
        try:
            if path.stat().st_mtime < time.time() - LONG * DAY:
                path.unlink()
        except OSError:  # another process was faster
            continue


def read(key: str) -> Any:
    """What was written under a key, or None."""
    path = _file(key)
    if path is None:
        return None
    try:
        found = path.read_bytes()
        if path.stat().st_mtime < time.time() - DAY:
            os.utime(path)  # so that what is used stays young
        digest, content = found[:32], found[32:]
        return pickle.loads(content) if hashlib.sha256(content).digest() == digest else None
    except Exception:  # not there, cut short, of classes that are gone: all the same
        return None


def write(key: str, value: Any) -> bool:
    """Keep a value under a key; False if it cannot be kept."""
    path = _file(key)
    if path is None:
        return False
    try:
        import tempfile  # reading is what has to be quick

        content = pickle.dumps(value, protocol=5)
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as out:
                out.write(hashlib.sha256(content).digest() + content)
            os.replace(name, path)  # readers see the whole file or none
            tidy(path.parents[1])
        except BaseException:
            os.unlink(name)
            raise
    except Exception:  # a class that cannot be pickled, a full or read-only disk
        return False
    return True


def store(key: str, kernel: Kernel, metadata: Any = None) -> bool:
    """Keep a kernel, and anything that can be pickled with it; False if that is not possible."""
    return write(key, (kernel.code, metadata))


def load(key: str) -> Kernel | None:
    """The kernel of a key, its `metadata` as it was stored; None if there is none."""
    found = read(key)
    if found is None:
        return None
    from tapeless.backends.native.kernel import Kernel

    try:
        code, metadata = found
        return Kernel(code, metadata)
    except (RuntimeError, TypeError, ValueError, AttributeError):  # no kernel, or none that LLVM takes
        return None
