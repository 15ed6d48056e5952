"""The rule book: derivative rules of primitives, one file a subject, and the functions that use them.

`lookup(function)` finds a rule, `tangent(rule, y, args, kwargs, targs, tkwargs)` applies it.
"""

# reading these files enters their rules; they come first, for one is called like a function exported below
from tapeless.rules import elementwise as _elementwise  # noqa: F401
from tapeless.rules import (  # noqa: F401
    extremes,
    factorisations,
    indexing,
    linalg,
    mathematics,
    operators,
    reductions,
    repeated,
    shape,
    signal,
)
from tapeless.rules.registry import (
    Elementwise,
    Jvp,
    Linear,
    Nondifferentiable,
    Rule,
    Twin,
    all_rules,
    elementwise,
    jvp_rule,
    lookup,
    nondifferentiable,
    register,
    row,
    singular,
    transpose_rule,
    unregister,
)
from tapeless.rules.tangents import tangent

__all__ = [
    "Elementwise",
    "Jvp",
    "Linear",
    "Nondifferentiable",
    "Rule",
    "Twin",
    "all_rules",
    "elementwise",
    "jvp_rule",
    "lookup",
    "nondifferentiable",
    "register",
    "row",
    "singular",
    "tangent",
    "transpose_rule",
    "unregister",
]
