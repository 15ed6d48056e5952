"""What the program prints: by Python itself, called back with the numbers and arrays."""

from __future__ import annotations

import pickle
import sys
from typing import TYPE_CHECKING, Any

from tapeless.backends.native.nest import Array, Expr, Intrinsic, Ref, Scalar
from tapeless.backends.native.staging import storage
from tapeless.backends.native.staging.builtin_table import NONE, lowers
from tapeless.backends.native.staging.templates import ArrayResult, Template
from tapeless.backends.native.staging.values import ArrayValue, Opaque, Value

if TYPE_CHECKING:
    from tapeless.backends.native.staging.stager import Stager


@lowers(print)
def print_(
    s: Stager, *args: Value, sep: Value = NONE, end: Value = NONE, file: Value = NONE, flush: Value = NONE
) -> Value:
    stream = s.known(file, "print to sys.stdout or sys.stderr")
    if stream not in (None, sys.stdout, sys.stderr):
        s.refuse("print into a file", "print to sys.stdout, or write the file outside the compiled function")
    options = {"sep": s.known(sep), "end": s.known(end), "flush": bool(s.known(flush))}
    made, operands = shown(s, args)
    call_back(s, "print", operands, (made, options, stream is sys.stderr))
    return NONE


def call_back(s: Stager, name: str, operands: list[Scalar | Array], payload: Any) -> None:
    """Emit a call of Python that gives nothing back."""
    text = pickled(s, payload)
    ins: list[Array | Expr] = [Ref(x) if isinstance(x, Scalar) else x for x in operands]
    s.emit(Intrinsic(name, (), tuple(ins), {"payload": text}))


def pickled(s: Stager, payload: Any) -> str:
    try:
        return pickle.dumps(payload).hex()
    except Exception:
        s.refuse("an object that cannot be pickled is given to Python", "give it what the object is made of")


def shown(s: Stager, values: tuple[Value, ...]) -> tuple[list[Template], list[Scalar | Array]]:
    """How objects are made again when they are shown, and what of."""
    from tapeless.backends.native.staging.outputs import Outputs

    class Shown(Outputs):
        """Objects of the arguments are made again, too."""

        def array(self, value: ArrayValue) -> Template:
            view = storage.materialise(s, value)
            if not view.array.contiguous or view.array.alias is not None:
                view = storage.store_copy(s, view)
            self.results.append(view.array)
            return ArrayResult(len(self.results) - 1, view.dtype)

        def opaque(self, value: Opaque) -> Template:
            return s.refuse(
                f"{value.path}, of class {value.cls.__name__}, is shown", "show what is needed of it"
            )

    results: list[Scalar | Array] = []
    builder = Shown(s, results)
    builder.lifted = {}
    return [builder.template(v) for v in values], results
