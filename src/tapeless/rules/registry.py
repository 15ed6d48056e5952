"""The rule book: one derivative rule for every primitive that is not Python underneath.

There are three ways to give a rule, and one way to say that there is nothing to differentiate:

    elementwise(np.tanh, partials=lambda y, x: 1 - y * y, rows=[(0.3,)])      # nonlinear, elementwise
    elementwise(np.arctan2, partials=(lambda y, a, b: ..., lambda y, a, b: ...))  # one per operand,
                                                              # or one that returns a tuple of partials

    @jvp_rule(np.linalg.inv, rows=[...])                                      # nonlinear: its tangent
    def _(a, da, *, out): return -out @ da @ out

    @transpose_rule(np.sum, rows=[...])                                       # linear: its transpose
    def _(ct, a, axis=None, dtype=None, out=None, keepdims=False): ...

    nondifferentiable(len, np.argmax)

A function that takes functions (an integral, a root) has a twin instead: Python that is opened in its place.

    @twin(scipy.optimize.brentq)
    def _(f, a, b, args=(), ...): ...

A partial is a number, an array, or None where that operand has no derivative. Broadcasting, dtypes and
complexness are settled centrally (`spaces.fit`, `spaces.fold`), never in a rule. A real result keeps
Re(p dx), so `abs` and `angle` of complex numbers are elementwise too. Several names of one primitive share
one rule object.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable, Sequence
from types import FunctionType
from typing import Any

import numpy as np

from tapeless.rule_table import RULES
from tapeless.rules.compat import implementation


class Row:
    """One line of a rule's test table: a call, and what is special about it."""

    __slots__ = ("args", "kwargs", "note")

    def __init__(self, args: tuple[Any, ...], kwargs: dict[str, Any], note: str = "") -> None:
        self.args = args
        self.kwargs = kwargs
        self.note = note

    def __repr__(self) -> str:
        return f"Row({self.args!r}, {self.kwargs!r})"


def row(*args: Any, **kwargs: Any) -> Row:
    """A test call with these arguments."""
    return Row(args, kwargs)


def singular(*args: Any, **kwargs: Any) -> Row:
    """A test call at a point where a partial is infinite, or where the derivative is a convention: there
    only strong zeros, silence and agreement of the modes are tested, not finite differences."""
    return Row(args, kwargs, "singular")


def _rows(rows: Sequence[Any]) -> list[Row]:
    return [
        r if isinstance(r, Row) else Row(tuple(r) if isinstance(r, (tuple, list)) else (r,), {}) for r in rows
    ]


class Rule:
    """What is known about a primitive. `kind` is "elementwise", "jvp", "linear" or "nondifferentiable"."""

    kind = ""

    def __init__(self, functions: Sequence[Any], rows: Sequence[Any] = ()) -> None:
        self.functions = list(functions)
        self.function = self.functions[0]
        self.rows = _rows(rows)

    @property
    def name(self) -> str:
        qualname = getattr(self.function, "__qualname__", None) or getattr(self.function, "__name__", "?")
        module = getattr(self.function, "__module__", None)
        owner = getattr(self.function, "__objclass__", None)
        if module is None and owner is not None:
            module = owner.__module__
        return f"{module}.{qualname}" if module else str(qualname)

    def __repr__(self) -> str:
        return f"<{self.kind} rule of {self.name}>"


class Elementwise(Rule):
    """`partials` is one callable `(y, *operands) -> partial or tuple`, or a tuple of callables, one per
    operand.

    `names` are the operands' names, `constant` says that the partials do not depend on values (the function
    is linear).
    """

    kind = "elementwise"

    def __init__(self, functions: Sequence[Any], partials: Any, rows: Sequence[Any], constant: bool) -> None:
        super().__init__(functions, rows)
        self.partials = partials
        self.constant = constant
        self.separate = isinstance(partials, tuple)
        first = next(p for p in partials if p is not None) if self.separate else partials
        parameters = list(inspect.signature(first).parameters.values())[1:]
        self.variadic = any(p.kind is p.VAR_POSITIONAL for p in parameters)
        self.names = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
        self.limit = 1_000_000 if self.variadic else len(self.names)  # a further argument is a ufunc's `out`


_HEARD = {"dinitial", "dstart", "dmean", "dleft", "dright"}


class Jvp(Rule):
    """`tangent(*primals, *tangents, *statics, **statics)`: the first `count` arguments have derivatives."""

    kind = "jvp"

    def __init__(
        self,
        functions: Sequence[Any],
        tangent: Callable[..., Any],
        rows: Sequence[Any],
        count: int | None,
        sequence: bool,
    ) -> None:
        super().__init__(functions, rows)
        self.tangent = tangent
        parameters = list(inspect.signature(tangent).parameters.values())
        plain = [p for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
        self.count = len([p for p in plain if p.default is p.empty]) // 2 if count is None else count
        self.names = [p.name for p in plain[: self.count]]
        self.further = [p.name for p in plain[2 * self.count :]]
        # the parameter `dinitial` of a rule is the tangent of the argument `initial`
        self.heard = {p.name[1:]: p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.name in _HEARD}
        self.wants_out = any(p.name == "out" and p.kind is p.KEYWORD_ONLY for p in parameters)
        self.sequence = sequence


class Linear(Rule):
    """A function that is linear in the arguments at `positions`.

    `form` "one": one argument; `transpose(ct, *args, **kwargs)` returns its cotangent. "joint": linear in
    all of them together; "each": multilinear, linear in each while the others stay fixed. With the last two
    `transpose` takes a keyword-only `wrt`, the position whose cotangent is asked for. `sequence` says that
    the argument may be a list or tuple (also nested) whose elements have derivatives of their own: the
    cotangent is then indexed likewise. `apply(*args, **kwargs)` is the function itself, on tangents in the
    place of values.
    """

    kind = "linear"

    def __init__(
        self,
        functions: Sequence[Any],
        transpose: Callable[..., Any],
        rows: Sequence[Any],
        form: str,
        positions: tuple[int, ...],
        sequence: bool,
        apply: Callable[..., Any] | None,
    ) -> None:
        super().__init__(functions, rows)
        self.transpose = transpose
        self.form = form
        self.positions = positions
        self.sequence = sequence
        self.apply: Callable[..., Any] = self.function if apply is None else apply
        parameters = list(inspect.signature(transpose).parameters.values())[1:]
        operands = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
        self.names = operands[: max(positions) + 1]
        self.further = operands[max(positions) + 1 :]
        # with so many arguments there is one that is added to the linear part
        self.affine = operands.index("initial") + 1 if "initial" in operands else 1_000_000
        # a rule may bring its own operation for the record, where a transpose by value would be too slow
        self.operation: Callable[..., Any] | None = None


class Nondifferentiable(Rule):
    """The result carries no derivative, and the call keeps and changes nothing."""

    kind = "nondifferentiable"


class Twin(Rule):
    """`twin` is a Python function with the same arguments, which an active call opens instead."""

    kind = "twin"

    def __init__(self, functions: Sequence[Any], twin: FunctionType) -> None:
        super().__init__(functions)
        self.twin = twin


_rules: dict[Any, Rule] = RULES
# how often that has changed, but for rules that are loaded for functions that had none
changes = 0
# for tests and `unregister`: what a later registration has hidden
_hidden: dict[Any, list[Rule]] = {}
# called with a function that has no rule, to load the rules of an optional library; see `on_missing`
_loaders: list[Callable[[Any], bool]] = []


def register(rule: Rule) -> Rule:
    """Enter the rule under each of its functions. A later rule overrides an earlier one."""
    global changes
    changes += 1
    for function in rule.functions:
        if function in _rules:
            _hidden.setdefault(function, []).append(_rules[function])
        _rules[function] = rule
    return rule


def unregister(function: Any) -> None:
    """Take back the latest rule of `function`; an overridden one is in force again."""
    global changes
    changes += 1
    earlier = _hidden.get(function)
    if earlier:
        _rules[function] = earlier.pop()
    else:
        _rules.pop(function, None)


def lookup(function: Any) -> Rule | None:
    """The rule for a function, ufunc, method descriptor, attribute descriptor or operator-module function,
    or None."""
    try:
        rule = _rules.get(function)
    except TypeError:  # unhashable: an object with __call__, never a primitive
        return None
    if rule is None:
        global changes
        before = changes
        for loader in _loaders:
            if loader(function):
                changes = before
                return _rules.get(function)
    return rule


def all_rules() -> list[Rule]:
    """Every rule in force, each once."""
    return list({id(rule): rule for rule in _rules.values()}.values())


def on_missing(loader: Callable[[Any], bool]) -> None:
    """Call `loader(function)` for functions without a rule; it returns True when it has just registered
    more rules."""
    _loaders.append(loader)


def _present(functions: Any) -> list[Any]:
    """The functions that this version of the library has (compat.find gives None for the others)."""
    listed = functions if isinstance(functions, (list, tuple)) else [functions]
    found = [f for f in listed if f is not None]
    return found + [f for f in map(implementation, found) if f is not None and f not in found]


def elementwise(
    functions: Any, partials: Any, rows: Sequence[Any] = (), constant: bool = False
) -> Rule | None:
    """Give the partials of an elementwise function, or of several names of one."""
    present = _present(functions)
    return register(Elementwise(present, partials, rows, constant)) if present else None


def jvp_rule(
    functions: Any, rows: Sequence[Any] = (), count: int | None = None, sequence: bool = False
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give the tangent of a function: `(primals..., tangents..., statics...)`.

    A tangent is None where there is none. A keyword-only parameter `out` receives the result. `count` is
    the number of arguments with derivatives, by default half the parameters without a default. It must be
    linear in the tangents.
    """

    def decorate(tangent: Callable[..., Any]) -> Callable[..., Any]:
        present = _present(functions)
        if present:
            register(Jvp(present, tangent, rows, count, sequence))
        return tangent

    return decorate


def transpose_rule(
    functions: Any,
    linear: tuple[int, ...] = (0,),
    *,
    joint: tuple[int, ...] = (),
    each: tuple[int, ...] = (),
    sequence: bool = False,
    apply: Callable[..., Any] | None = None,
    rows: Sequence[Any] = (),
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give the transpose of a linear function: `(ct, *args, **kwargs) -> cotangent`; see `Linear` for the
    forms."""

    def decorate(transpose: Callable[..., Any]) -> Callable[..., Any]:
        present = _present(functions)
        if present:
            form, positions = ("joint", joint) if joint else ("each", each) if each else ("one", linear)
            register(Linear(present, transpose, rows, form, positions, sequence, apply))
        return transpose

    return decorate


def nondifferentiable(*functions: Any) -> None:
    """Declare functions whose result has no derivative, and which keep and change nothing."""
    for function in _present(functions):
        register(Nondifferentiable([function]))


def twin(*functions: Any) -> Callable[[Any], Any]:
    """Give a Python function that does the same as these, for the derivative."""

    def decorate(function: Any) -> Any:
        present = _present(functions)
        if present:
            register(Twin(present, function))
        return function

    return decorate


def bind(
    names: Sequence[str], args: Sequence[Any], kwargs: dict[str, Any]
) -> tuple[list[Any], dict[str, Any]]:
    """Move keyword arguments that name an operand to their position."""
    args = list(args)
    if kwargs:
        kwargs = dict(kwargs)
        while any(name in kwargs for name in names[len(args) :]):
            args.append(kwargs.pop(names[len(args)], None))
    return args, kwargs


def unknown(function: str, argument: str) -> Any:
    """For a partial that nobody has written down: unknown is never zero."""
    raise NotImplementedError(
        f"{function} has no derivative rule for its argument {argument}: give one with "
        f"tapeless.rules.elementwise, or pass {argument} as a constant"
    )


# the rules of these are read when one of their functions is first asked for: importing tapeless imports no
# SciPy
_LAZY = {
    "scipy.special": "tapeless.rules.scipy",
    "scipy.linalg": "tapeless.rules.scipy_linalg",
    "scipy.fft": "tapeless.rules.scipy_fft",
    "scipy.integrate": "tapeless.rules.scipy_integrate",
    "scipy.optimize": "tapeless.rules.scipy_optimize",
    "scipy.ndimage": "tapeless.rules.scipy_ndimage",
    "scipy.signal": "tapeless.rules.scipy_signal",
    "scipy.interpolate": "tapeless.rules.scipy_interpolate",
    "scipy.spatial": "tapeless.rules.scipy_spatial",
    "scipy.spatial.transform": "tapeless.rules.scipy_rotation",
    "scipy.sparse": "tapeless.rules.scipy_sparse",
    "scipy.stats": "tapeless.rules.scipy_stats",
}


def _load_scipy(function: Any) -> bool:
    module = getattr(function, "__module__", None) or type(function).__module__
    if not isinstance(module, str) or not (module.startswith("scipy.") or isinstance(function, np.ufunc)):
        return False
    loaded = False
    for library, rules in _LAZY.items():
        if library in sys.modules and rules not in sys.modules:
            importlib.import_module(rules)
            loaded = True
    return loaded


on_missing(_load_scipy)
