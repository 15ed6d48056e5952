"""What is known about particular callables: tables that other files fill."""

from __future__ import annotations

from types import FunctionType
from typing import Any

#: callable -> handler(run, args, tangents, keywords, keyword tangents) -> (value, companion)
HANDLERS: dict[Any, Any] = {}
#: C function -> a Python function that does the same and is opened in its place
TWINS: dict[Any, FunctionType] = {}
#: name of a C accelerator -> what registers the twins of its functions, when one is first needed
ACCELERATORS: dict[str, Any] = {}
#: type of a callable object -> handler(run, object, args, tangents, keywords, keyword tangents)
CALLABLE_TYPES: dict[type, Any] = {}
#: modules whose functions give back the function they are given in another form, opened when it is called
COMPILING_MODULES = frozenset({"numba.core.decorators", "numba.np.ufunc.decorators"})
#: modules whose functions are run as they are: they make text, look at types, or talk to the system
INERT_MODULES = (
    frozenset(
        "warnings logging re os posixpath ntpath genericpath pathlib inspect typing enum abc _py_abc weakref "
        "threading contextvars time datetime locale string traceback linecache tokenize sys io tempfile "
        "shutil subprocess platform sysconfig importlib importlib._bootstrap importlib._bootstrap_external "
        "textwrap pprint reprlib types _weakrefset codecs json.encoder numpy._core.arrayprint "
        "numpy.core.arrayprint numpy._core._ufunc_config numpy.core._ufunc_config numpy._core.getlimits "
        "numpy._core._type_aliases numpy._core.numerictypes numpy._core._dtype numpy.exceptions numpy._utils "
        "numpy._utils._inspect typing_extensions collections.abc _collections_abc_ scipy._lib._array_api_ "
        "scipy._lib.deprecation rich tapeless.runtime.outside".split()
    )
    | COMPILING_MODULES
)
#: those of them whose results are text or nothing at all, whatever they are given
TEXT_MODULES = frozenset(
    "warnings logging traceback pprint reprlib textwrap string re linecache json".split()
)
_COPYING = (
    "__copy__", "__deepcopy__", "__reduce_ex__", "__reduce__", "__getstate__", "__setstate__",
    "__getnewargs__", "__getnewargs_ex__", "__new__",
)  # fmt: skip
_FILLING = ("__iter__", "items", "__setitem__", "append", "extend")


def copied_by_python(kind: type) -> bool:
    """Whether a class says in Python how its objects are copied."""
    names = _COPYING + (_FILLING if issubclass(kind, (list, dict)) else ())
    return any(hasattr(vars(cls).get(name), "__code__") for cls in kind.__mro__ for name in names)


#: modules written in C whose functions look at types or talk to the system, and keep nothing
INERT_EXTENSIONS = frozenset({"_abc"})
