"""Derivatives of ordinary Python programs.

import tapeless as tl
tl.grad(f)(x)
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tapeless.api import jvp as jvp
    from tapeless.api import linearize as linearize
    from tapeless.api import program as program
    from tapeless.api import source as source
    from tapeless.api import transpose as transpose
    from tapeless.api import vjp as vjp
    from tapeless.check import check_grads as check_grads
    from tapeless.check import finite_difference as finite_difference
    from tapeless.custom import checkpoint as checkpoint
    from tapeless.custom import constant as constant
    from tapeless.custom import custom_jvp as custom_jvp
    from tapeless.custom import custom_vjp as custom_vjp
    from tapeless.custom import gradient_hook as gradient_hook
    from tapeless.custom import stop_gradient as stop_gradient
    from tapeless.custom import update as update
    from tapeless.errors import TapelessError as TapelessError
    from tapeless.matrices import hessian as hessian
    from tapeless.matrices import hvp as hvp
    from tapeless.matrices import jacfwd as jacfwd
    from tapeless.matrices import jacobian as jacobian
    from tapeless.matrices import jacrev as jacrev
    from tapeless.native import compiled as compiled
    from tapeless.native import export as export
    from tapeless.native import jit as jit
    from tapeless.native import vmap as vmap
    from tapeless.rules.registry import jvp_rule as jvp_rule
    from tapeless.rules.registry import transpose_rule as transpose_rule
    from tapeless.runtime.tangent import Tangent as Tangent
    from tapeless.transformed import grad as grad
    from tapeless.transformed import value_and_grad as value_and_grad
else:
    #: Where each name is; a module is imported when a name of it is first used, so that importing
    #: tapeless takes no time.
    HOMES = {
        "tapeless.api": "jvp linearize program source transpose vjp",
        "tapeless.check": "check_grads finite_difference",
        "tapeless.custom": "checkpoint constant custom_jvp custom_vjp gradient_hook stop_gradient update",
        "tapeless.errors": "TapelessError",
        "tapeless.matrices": "hessian hvp jacfwd jacobian jacrev",
        "tapeless.native": "compiled export jit vmap",
        "tapeless.rules.registry": "jvp_rule transpose_rule",
        "tapeless.runtime.tangent": "Tangent",
        "tapeless.transformed": "grad value_and_grad",
    }
    # a package of this name exists: loaded later, it would replace the function
    importlib.import_module("tapeless.program")
    del program

    def __getattr__(name):
        for home, names in HOMES.items():
            if name in names.split():
                found = globals()[name] = getattr(importlib.import_module(home), name)
                return found
        raise AttributeError(f"module 'tapeless' has no attribute {name!r}")

    def __dir__():
        return sorted({*globals(), *__all__})

    __all__ = sorted(name for names in HOMES.values() for name in names.split())

__version__ = "0.1.0"
