"""Entries of the record for primitives: written down at once where the rule book's own road is longer."""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np

from tapeless.autodiff.linear import Lin
from tapeless.rules.operations import Apply, Scale
from tapeless.rules.registry import Elementwise, Linear
from tapeless.rules.spaces import FLOAT, Space, Symbolic, space_of
from tapeless.runtime.operations import STACKS, Product, Stack, is_product
from tapeless.runtime.primitives import REALS, may_warn, needs_result
from tapeless.runtime.scalars import ScalarRecording

#: arrays of no more elements are copied again rather than looked up
_SMALL = 16
#: which operands of a product are the parents of its entry
_LEFT: tuple[tuple[int, ...], ...] = ((0,),)
_RIGHT: tuple[tuple[int, ...], ...] = ((1,),)
_BOTH = _LEFT + _RIGHT


class Entries(ScalarRecording):
    """What a result depends on, as an entry; and the copies of values that entries keep."""

    def scalar(self, rule: Any, f: Any, args: Any, ts: Any) -> tuple[Any, Any]:
        y = result = f(args[0]) if len(args) == 1 else f(*args)
        if type(y) is float:
            pass
        elif type(y) is np.float64:  # Python's floats raise where NumPy's would warn
            y = y.item()
            args = [a.item() if type(a) is np.float64 else a for a in args]
        else:
            return self.give(y, self.derive(rule, y, args, {}, ts, {}), args)
        if len(ts) == 1:
            t = ts[0]
            if t is None:
                return result, None
            try:
                p = rule.partials[0](y, args[0]) if rule.separate else rule.partials(y, args[0])
                return result, self.times(p if type(p) is float else float(p), t)
            except (ArithmeticError, ValueError, TypeError, NotImplementedError):
                with np.errstate(all="ignore"):
                    return result, self.derive(rule, result, args, {}, ts, {})
        parents: list[int] = []
        factors: list[float] = []
        try:
            if rule.separate:
                for p, t in zip(rule.partials, ts):  # noqa: B905
                    if t is not None and p is not None:
                        factors.append(float(p(y, *args)))
                        parents.append(t.index)
            else:
                ps = rule.partials(y, *args)
                for p, t in zip(ps if type(ps) is tuple else (ps,), ts):  # noqa: B905
                    if t is not None and p is not None:
                        factors.append(float(p))
                        parents.append(t.index)
        except (ArithmeticError, ValueError, TypeError, NotImplementedError):
            with np.errstate(all="ignore"):
                return result, self.derive(rule, result, args, {}, ts, {})
        if not parents:
            return result, None
        return result, self.record.append(tuple(factors), tuple(parents), FLOAT)

    def general(self, rule: Any, f: Any, args: Any, ts: Any, kw: Any, kts: Any) -> tuple[Any, Any]:
        if args and type(args[0]) is list and rule in STACKS and REALS.issuperset(map(type, args[0])):
            m = self.mirrors.get(id(args[0]))
            value = f(*args, **kw)
            if m is None or value.dtype.kind in "iub":
                return value, None
            if type(value) is np.ndarray and value.dtype.kind in "fc" and value.ndim == 1:
                parents = tuple([None if t is None else t.index for t in m.data])
                space = Space("array", value.dtype, value.shape)
                self.new_array(value, self.record.append(Stack(value.dtype), parents, space))
                return value, None
        return super().general(rule, f, args, ts, kw, kts)

    def finished(
        self, rule: Any, value: Any, y: Any, args: Any, kw: Any, targs: Any, tkw: Any
    ) -> tuple[Any, Any]:
        if type(value) is np.ndarray and value.base is None and value is y and value.dtype.kind in "fc":
            m = self.arrays.get(id(value))
            if m is None or m() is not value:  # memory of its own, which was not known
                t = self.derived(rule, y, args, kw, targs, tkw)
                if t is not None:
                    self.new_array(value, t)
                return value, None
        return super().finished(rule, value, y, args, kw, targs, tkw)

    def derived(self, rule: Any, y: Any, args: Any, kw: Any, targs: Any, tkw: Any) -> Any:
        if type(rule) is Elementwise:
            if not kw and type(y) is np.ndarray and y.dtype.kind in "fc":
                return self.slopes(rule, y, args, targs)
            if rule.constant:
                return self.derive(rule, y, args, kw, targs, tkw)
        if type(rule) is not Linear:
            kept = tuple([self.frozen(a) for a in args])
            return self.derive(rule, self.frozen(y) if needs_result(rule) else y, kept, kw, targs, tkw)
        if not kw and is_product(rule, args):
            return self.product(rule, y, args, targs)
        moving = rule.positions[0] if rule.form == "one" else alone(targs)  # it lends its shape only
        kept = tuple([args[k] if k == moving else self.frozen(args[k]) for k in range(len(args))])
        simple = not kw and rule.operation is None and len(args) < rule.affine
        if simple and moving in rule.positions and moving < len(args):
            t, space = targs[moving], space_of(y)
            if space is not None and isinstance(t, Symbolic):
                return self.record.append(Apply(rule, kept, {}, ((moving,),)), (t.index,), space)
        return self.derive(rule, y, kept, {k: self.frozen(v) for k, v in kw.items()}, targs, tkw)

    def product(self, rule: Any, y: Any, args: Any, targs: Any) -> Any:
        """The entry of a product of vectors and matrices; who moves alone lends its shape only."""
        (a, b), (ta, tb) = args, targs
        space = space_of(y)
        if space is None:
            return self.derive(rule, y, args, {}, targs, {})
        parents: tuple[Any, ...]
        if tb is None:
            b, paths, parents = self.frozen(b), _LEFT, (ta.index,)
        elif ta is None:
            a, paths, parents = self.frozen(a), _RIGHT, (tb.index,)
        else:
            a, b, paths, parents = self.frozen(a), self.frozen(b), _BOTH, (ta.index, tb.index)
        return self.record.append(Product(rule, (a, b), {}, paths), parents, space)

    def slopes(self, rule: Any, y: Any, args: Any, targs: Any) -> Any:
        """The entry of an elementwise function that gave an array.  Its partials are evaluated at once: only
        what they share with the operands must be copied."""
        if len(args) > rule.limit:
            args, targs = args[: rule.limit], targs[: rule.limit]
        try:
            if may_warn(rule):
                with np.errstate(all="ignore"):
                    ps = partials(rule, y, args, targs)
            else:
                ps = partials(rule, y, args, targs)
        except (ArithmeticError, ValueError, NotImplementedError):
            return self.derive(rule, self.frozen(y), tuple([self.frozen(a) for a in args]), {}, targs, {})
        space = None
        factors: list[Any] = []
        parents: list[int] = []
        for p, t in zip(ps, targs):  # noqa: B905
            if t is None or p is None:
                continue
            if type(t) is not Lin:
                return self.derive(rule, y, tuple([self.frozen(a) for a in args]), {}, targs, {})
            if isinstance(p, np.ndarray) and (p is y or p.base is not None or [a for a in args if a is p]):
                p = self.frozen(p)
            factors.append(p)
            parents.append(t.index)
            space = t.space
        if space is None:
            return None
        if space.kind != "array" or space.shape != y.shape or space.dtype is not y.dtype:
            space = Space("array", y.dtype, y.shape)
        return self.record.append(Scale(tuple(factors)), tuple(parents), space)

    def add_tangents(self, ts: Any, value: Any) -> Any:
        return self.record.add([t for t in ts if t is not None], value)

    def frozen(self, x: Any) -> Any:
        """A copy of an array that the record may keep: one copy for each state of the array."""
        if type(x) is np.ndarray:
            if x.size <= _SMALL:  # to remember the copy would cost more than another one
                return x.copy()
            found = self.snapshots.get(id(x))
            if found is not None and found[0]() is x:
                return found[1]
            copy = x.copy()
            self.snapshots[id(x)] = (weakref.ref(x), copy)
            return copy
        if isinstance(x, np.ndarray):
            return np.array(x)
        if type(x) is list or (
            isinstance(x, tuple) and any(isinstance(e, (np.ndarray, list, tuple)) for e in x)
        ):
            make = getattr(x, "_make", type(x))  # of a NamedTuple, as `np.linalg.svd` returns one
            return make([self.frozen(e) for e in x])
        return x


def partials(rule: Elementwise, y: Any, args: Any, targs: Any) -> Any:
    """The partials by the operands that have companions."""
    if not rule.separate:
        ps = rule.partials(y, *args)
        return ps if type(ps) is tuple else (ps,)
    return [None if t is None or p is None else p(y, *args) for p, t in zip(rule.partials, targs)]  # noqa: B905


def alone(ts: Any) -> int:
    """The place of the only companion that is there; -1 if there are several."""
    found = -1
    for k in range(len(ts)):
        if ts[k] is not None:
            if found >= 0:
                return -1
            found = k
    return found
