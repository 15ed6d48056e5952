"""What kernels call back: operations that NumPy does best, on memory that the kernel holds."""

from __future__ import annotations

import ctypes
import functools
import io
import pickle
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

#: Statuses: done, a failure of the operation (a singular matrix, say), an exception that is in `pending`.
DONE, FAILED, RAISED = 0, 1, -2
pending: list[BaseException] = []


def _sort(outs: list[Any], ins: list[Any], flags: dict[str, int]) -> None:
    order = np.argsort(ins[0], axis=-1, kind="stable")
    outs[1][...] = order
    outs[0][...] = np.take_along_axis(ins[0], order, axis=-1)


def _fft(outs: list[Any], ins: list[Any], flags: dict[str, int]) -> None:
    transform = np.fft.ifft if flags.get("inverse") else np.fft.fft
    outs[0].view(np.complex128)[..., 0] = transform(ins[0].view(np.complex128)[..., 0])


class _Held(threading.local):
    """What this thread has to show when the nest has ended: texts, and whether they are errors."""

    def __init__(self) -> None:
        self.texts: list[tuple[bool, str]] = []


held = _Held()


def _print(outs: list[Any], ins: list[Any], flags: dict[str, Any]) -> None:
    from tapeless.backends.native.staging.templates import Call

    templates, options, error = flags["payload"]
    call = Call(tuple(x.item() if x.ndim == 0 else x for x in ins), (), {})
    text = io.StringIO()
    print(*[t.build(call) for t in templates], sep=options["sep"], end=options["end"], file=text)
    held.texts.append((error, text.getvalue()))
    if not flags.get("held"):
        settle(options["flush"])


def settle(flush: bool = False) -> None:
    """Show what was held back."""
    texts, held.texts = held.texts, []
    for error, text in texts:
        print(text, end="", file=sys.stderr if error else None, flush=flush)


def take_back() -> None:
    """The plain program makes the call again: it prints by itself."""
    held.texts.clear()


def _settle(outs: list[Any], ins: list[Any], flags: dict[str, Any]) -> None:
    settle()


def _several(function: Callable[..., Any]) -> Callable[[list[Any], list[Any], dict[str, int]], None]:
    def run(outs: list[Any], ins: list[Any], flags: dict[str, int]) -> None:
        for out, value in zip(outs, function(ins[0]), strict=True):
            out[...] = value

    return run


OPERATIONS: dict[str, Callable[[list[Any], list[Any], dict[str, int]], None]] = {
    "sort": _sort,
    "fft": _fft,
    "slogdet": _several(np.linalg.slogdet),
    "qr": _several(np.linalg.qr),
    "eigh": _several(np.linalg.eigh),
    "svd": _several(functools.partial(np.linalg.svd, full_matrices=False)),
    "print": _print,
    "settle": _settle,
}


@functools.cache
def _plan(text: bytes) -> tuple[Any, list[tuple[np.dtype[Any], int]], int, dict[str, Any]]:
    """The operation, its operands (type and axes), how many of them are written, and its flags."""
    name, outs, ins, flags, payload = text.decode().split("|")

    def operand(words: str) -> tuple[np.dtype[Any], int]:
        kind, _, ndim = words.partition(":")
        return np.dtype({"f64": "float64", "f32": "float32", "i64": "int64"}.get(kind, kind)), int(ndim or 0)

    written, read = ([operand(w) for w in group.split(",") if w] for group in (outs, ins))
    given: dict[str, Any] = {k: int(v) for k, _, v in (f.partition("=") for f in flags.split(",") if f)}
    if payload:
        given["payload"] = pickle.loads(bytes.fromhex(payload))
    return OPERATIONS[name], written + read, len(written), given


def _run(text: bytes, words: int) -> int:
    """`words` is the address of each operand's address and lengths, one after the other."""
    try:
        operation, kinds, count, flags = _plan(text)
        arrays, at = [], words
        for dtype, ndim in kinds:
            place, *shape = (ctypes.c_int64 * (1 + ndim)).from_address(at)
            at += 8 * (1 + ndim)
            size = dtype.itemsize * int(np.prod(shape, dtype=np.int64))
            if size:
                bytes_at: Any = (ctypes.c_char * size).from_address(place)
                arrays.append(np.frombuffer(bytes_at, dtype).reshape(shape))
            else:
                arrays.append(np.empty(shape, dtype))
        operation(arrays[:count], arrays[count:], flags)
    except np.linalg.LinAlgError:
        return FAILED
    except BaseException as error:
        pending.append(error)
        return RAISED
    return DONE


run = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_char_p, ctypes.c_void_p)(_run)


def address() -> int:
    return ctypes.cast(run, ctypes.c_void_p).value or 0
