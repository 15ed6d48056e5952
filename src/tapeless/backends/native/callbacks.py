"""What kernels call back: operations that NumPy does best, on memory that the kernel holds."""

from __future__ import annotations

import ctypes
import functools
import importlib
import io
import logging
import math
import pickle
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tapeless.random_state import set_state, state_of

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


#: The generator behind `np.random`.
GLOBAL = np.random.mtrand._rand


class _Held(threading.local):
    """What this thread has to show when the nest has ended: calls that print or log."""

    def __init__(self) -> None:
        self.shown: list[Callable[[], None]] = []
        self.generators: dict[str, Any] = {}
        """Random generators that nests have made, by the place that made them."""
        self.states: dict[int, tuple[Any, Any]] = {}
        """Generators from outside, and what state they were in."""


held = _Held()


def _print(outs: list[Any], ins: list[Any], flags: dict[str, Any]) -> None:
    from tapeless.backends.native.staging.templates import Call

    templates, how, error = flags["payload"]
    call = Call(tuple(ins), (), {})
    objects = [t.build(call) for t in templates]
    if isinstance(how, Logged):
        held.shown.append(functools.partial(how.show, objects))
    else:
        text = io.StringIO()
        print(*objects, sep=how["sep"], end=how["end"], file=text)
        held.shown.append(functools.partial(_write, text.getvalue(), error, how["flush"]))
    if not flags.get("held"):
        settle()


def _write(text: str, error: bool, flush: bool) -> None:
    print(text, end="", file=sys.stderr if error else None, flush=flush)


@dataclass(frozen=True)
class Logged:
    """A message to a logger from a line of the program; `by_module`: by a function of `logging` itself."""

    logger: logging.Logger
    level: int
    by_module: bool
    filename: str
    line: int
    function: str

    def show(self, objects: list[Any]) -> None:
        logger = self.logger
        if self.by_module and not logger.handlers:
            logging.basicConfig()
        if logger.isEnabledFor(self.level):
            message, *args = objects
            place = (self.filename, self.line, message, tuple(args), None, self.function)
            logger.handle(logger.makeRecord(logger.name, self.level, *place))


def _objects(templates: list[Any], values: list[Any]) -> list[Any]:
    if not templates:
        return []
    from tapeless.backends.native.staging.templates import Call

    call = Call(tuple(values), (), {})
    return [t.build(call) for t in templates]


def _random(outs: list[Any], ins: list[Any], flags: dict[str, Any]) -> None:
    what, *rest = flags["payload"]
    if what == "clock":
        outs[0][...] = getattr(time, rest[0])()
        return
    if what == "make":
        site, name, templates = rest
        made = held.generators[site] = getattr(np.random, name)(*_objects(templates, ins))
        outs[0][...] = id(made)
        return
    owner = ins[0]
    if flags.get("held") and not any(owner is x for x in held.generators.values()):
        held.states.setdefault(id(owner), (owner, state_of(owner)))
    if what == "seed":
        owner.seed(*_objects(rest[0], ins[1:]))
    elif what == "shuffle":
        outs[0][...] = np.arange(len(outs[0]))
        owner.shuffle(outs[0])
    else:
        name, names, templates, options, sized = rest
        params = dict(zip(names, _objects(templates, ins[1:]), strict=True))
        size = {"size": outs[0].shape} if sized else {}
        outs[0][...] = getattr(owner, name)(**params, **size, **options)


def generator(address: int) -> Any:
    """The random generator at an address; 0 is that of `np.random`."""
    return ctypes.cast(address, ctypes.py_object).value if address else GLOBAL


def settle() -> None:
    """Show what was held back."""
    held.states.clear()
    shown, held.shown = held.shown, []
    for show in shown:
        show()


def take_back() -> None:
    """The plain program makes the call again: it prints and draws by itself."""
    held.shown.clear()
    for owner, state in held.states.values():
        set_state(owner, state)
    held.states.clear()


def _settle(outs: list[Any], ins: list[Any], flags: dict[str, Any]) -> None:
    settle()


def _several(function: Callable[..., Any]) -> Callable[[list[Any], list[Any], dict[str, int]], None]:
    def run(outs: list[Any], ins: list[Any], flags: dict[str, int]) -> None:
        for out, value in zip(outs, function(ins[0]), strict=True):
            out[...] = value

    return run


def _complex(function: Callable[..., Any]) -> Callable[[list[Any], list[Any], dict[str, int]], None]:
    """A function of complex matrices; stored with a last axis of length 2."""

    def run(outs: list[Any], ins: list[Any], flags: dict[str, int]) -> None:
        made = function(ins[0].view(np.complex128)[..., 0])
        for out, value in zip(outs, made if isinstance(made, tuple) else (made,), strict=True):
            target = out.view(np.complex128)[..., 0] if np.iscomplexobj(value) else out
            target[...] = value

    return run


def _called(outs: list[Any], ins: list[Any], flags: dict[str, Any]) -> None:
    """A function by its name; operands of complex numbers have a last axis of length 2."""
    module, name, pairs, places, options = flags["payload"]
    operands = [x.view(np.complex128)[..., 0] if p else x for x, p in zip([*outs, *ins], pairs, strict=True)]
    given = [operands[len(outs) + k] for k in places]
    made = getattr(importlib.import_module(module), name)(*given, **options)
    for out, value in zip(operands, made if isinstance(made, tuple) else (made,), strict=False):
        out[...] = value


OPERATIONS: dict[str, Callable[[list[Any], list[Any], dict[str, int]], None]] = {
    "sort": _sort,
    "fft": _fft,
    "slogdet": _several(np.linalg.slogdet),
    "qr": _several(np.linalg.qr),
    "eigh": _several(np.linalg.eigh),
    "svd": _several(functools.partial(np.linalg.svd, full_matrices=False)),
    "complex_det": _complex(np.linalg.det),
    "complex_slogdet": _complex(np.linalg.slogdet),
    "complex_cholesky": _complex(np.linalg.cholesky),
    "complex_qr": _complex(np.linalg.qr),
    "complex_eigh": _complex(np.linalg.eigh),
    "complex_svd": _complex(functools.partial(np.linalg.svd, full_matrices=False)),
    "called": _called,
    "print": _print,
    "settle": _settle,
    "random": _random,
}


#: Names of numbers in the nest -> their types in C.
NUMBERS: dict[str, Any] = {
    "f64": ctypes.c_double, "f32": ctypes.c_float, "i64": ctypes.c_int64, "bool": ctypes.c_bool,
}  # fmt: skip


class _Place:
    """A number that an operation gives: assigned as an array without axes is."""

    __slots__ = ("number",)

    def __init__(self, number: Any) -> None:
        self.number = number

    def __setitem__(self, index: Any, value: Any) -> None:
        self.number.value = value


@functools.cache
def _plan(text: bytes) -> tuple[Any, list[tuple[Any, np.dtype[Any] | None, int]], Any, int, dict[str, Any]]:
    """The operation, its operands (type in C or dtype, and axes), words, outputs, and what it is told."""
    name, outs, ins, flags, payload = text.decode().split("|")

    def operand(words: str) -> tuple[Any, np.dtype[Any] | None, int]:
        kind, _, ndim = words.partition(":")
        return (None, np.dtype(kind), int(ndim)) if ndim else (NUMBERS[kind], None, 0)

    written, read = ([operand(w) for w in group.split(",") if w] for group in (outs, ins))
    given: dict[str, Any] = {k: int(v) for k, _, v in (f.partition("=") for f in flags.split(",") if f)}
    if payload:
        given["payload"] = pickle.loads(bytes.fromhex(payload))
    if name == "random" and given["payload"][0] not in ("make", "clock"):
        read[0] = (ctypes.py_object, None, 0)
    kinds = written + read
    total = ctypes.c_int64 * sum(1 + ndim for _, _, ndim in kinds)
    return OPERATIONS[name], kinds, total, len(written), given


def _run(text: bytes, words: int) -> int:
    """`words` is the address of each operand's address and lengths, one after the other."""
    try:
        operation, kinds, total, count, given = _plan(text)
        table = total.from_address(words)[:]
        operands: list[Any] = []
        at = 0
        for number, dtype, ndim in kinds:
            if number is not None:
                place = number.from_address(table[at])
                if len(operands) < count:
                    operands.append(_Place(place))
                elif number is ctypes.py_object:
                    operands.append(place.value if place else GLOBAL)
                else:
                    operands.append(place.value)
                at += 1
                continue
            assert dtype is not None
            shape = table[at + 1 : at + 1 + ndim]
            size = dtype.itemsize * math.prod(shape)
            if size:
                bytes_at: Any = (ctypes.c_char * size).from_address(table[at])
                operands.append(np.frombuffer(bytes_at, dtype).reshape(shape))
            else:
                operands.append(np.empty(shape, dtype))
            at += 1 + ndim
        operation(operands[:count], operands[count:], given)
    except np.linalg.LinAlgError:
        return FAILED
    except BaseException as error:
        pending.append(error)
        return RAISED
    return DONE


run = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_char_p, ctypes.c_void_p)(_run)


def address() -> int:
    return ctypes.cast(run, ctypes.c_void_p).value or 0
