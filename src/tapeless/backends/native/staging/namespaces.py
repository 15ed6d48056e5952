"""What `array_api_compat`, as SciPy and others hold it, says of arrays and modules: here all are NumPy's.

It asks `sys.modules` which libraries are loaded, and keeps what it has found out in caches.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tapeless.backends.native.staging.values import ArrayValue, ComplexNumber, Number, Static, Value

if TYPE_CHECKING:
    from tapeless.backends.native.staging.base import Base

HOME = "array_api_compat.common._helpers"
#: Whether something is an array of another library, or of one that computes later.
OTHERS = {
    f"is_{name}_array" for name in ("cupy", "torch", "ndonnx", "dask", "jax", "pydata_sparse", "lazy")
}  # fmt: skip
#: Asked of what is known: a module, a class, the name of a device.
OF_KNOWN = {"_issubclass_fast", "_check_device", "_is_array_api_cls"}


def answer(stager: Base, function: Any, args: list[Value], kwargs: dict[str, Value]) -> Value | None:
    """The result of such a function; None if it is another one, or is opened like any."""
    if not str(getattr(function, "__module__", "")).endswith(HOME):
        return None
    name = str(getattr(function, "__name__", ""))
    if name in OF_KNOWN or (name.startswith("is_") and name.endswith("_namespace")):
        named = {k: stager.known(v) for k, v in kwargs.items()}
        return Static(function(*(stager.known(a) for a in args), **named))
    if name == "array_namespace" and all(map(_of_numpy, args)):
        named = {k: stager.known(v) for k, v in kwargs.items()}
        return Static(function(np.empty(0), **named))
    if len(args) != 1 or kwargs:
        return None
    if name in OTHERS:
        return Static(False) if _of_numpy(args[0]) else None
    if name in ("is_numpy_array", "is_array_api_obj", "is_writeable_array"):
        return Static(_is_array(args[0])) if _of_numpy(args[0]) else None
    if name == "device" and isinstance(args[0], ArrayValue):
        return Static("cpu")
    return None


def _is_array(value: Value) -> bool:
    """Whether a value is an array or a number of NumPy's."""
    if isinstance(value, (Number, ComplexNumber)):
        return issubclass(value.kind, np.generic)
    return isinstance(value, ArrayValue) or (isinstance(value, Static) and isinstance(value.obj, np.generic))


def _of_numpy(value: Value) -> bool:
    """Whether a value is a number, an array, or nothing that a library of arrays knows."""
    if isinstance(value, Static):
        return value.obj is None or isinstance(value.obj, (bool, int, float, complex, str, np.generic))
    return isinstance(value, (Number, ComplexNumber, ArrayValue))
