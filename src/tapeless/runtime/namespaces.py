"""What is reached through an object that stands for a place: modules' names, `eval` and `exec`, context
variables, slots, weak references."""

from __future__ import annotations

import ast
import builtins
import contextvars
import io
import sys
import threading
import types
import weakref
from types import CodeType, FunctionType
from typing import Any

from tapeless.errors import MissingRuleError
from tapeless.runtime.calls import HANDLERS
from tapeless.runtime.handlers import Pair, handle, made_plainly
from tapeless.runtime.tracebacks import user_frame

# ---- modules


def _globals_here() -> dict[str, Any]:
    frame = user_frame()
    assert frame is not None
    return frame.f_globals


@handle(builtins.globals)
def _globals(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    return _globals_here(), None


_texts: dict[Any, FunctionType] = {}


def function_of(text: str, filename: str, kind: str, module: dict[str, Any]) -> FunctionType:
    """A function that does what `eval(text)` or `exec(text)` does: its names are those of `module`."""
    key = (text, filename, kind, id(module))
    made = _texts.get(key)
    if made is not None and made.__globals__ is module:
        return made
    tree: Any = ast.parse(text.lstrip(" \t") if kind == "eval" else text, filename, kind)
    if kind == "eval":
        body: list[ast.stmt] = [ast.Return(tree.body)]
    else:
        stored = {
            n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Load)
        } | {n.name for n in ast.walk(tree) if isinstance(n, (ast.FunctionDef, ast.ClassDef))}
        for n in ast.walk(tree):
            if isinstance(n, (ast.Import, ast.ImportFrom)):
                stored |= {a.asname or a.name.split(".")[0] for a in n.names}
        stores = [ast.Global(sorted(stored))] if stored else []
        body = [*stores, *(tree.body or [ast.Pass()])]
    name = "evaluated"
    nothing = ast.arguments(posonlyargs=[], args=[], kwonlyargs=[], kw_defaults=[], defaults=[])
    node = ast.FunctionDef(name=name, args=nothing, body=body, decorator_list=[], lineno=1, col_offset=0)
    if sys.version_info >= (3, 12):
        node.type_params = []
    module_tree = ast.fix_missing_locations(ast.Module([node], []))
    names: dict[str, Any] = {}
    exec(compile(module_tree, filename, "exec"), module, names)
    f: FunctionType = names[name]
    from tapeless.frontend.source import GENERATED  # the frontend is imported when first needed

    GENERATED[f.__code__] = node
    _texts[key] = f
    return f


def _evaluated(run: Any, f: Any, kind: str, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    """`eval` and `exec` of text: opened where its names may lead to something active."""
    text, *spaces = args
    module = spaces[0] if spaces else kw.get("globals", _globals_here())
    names = spaces[1] if len(spaces) > 1 else kw.get("locals")
    here = [x for x in (module, names) if x is not None]
    if isinstance(text, CodeType) and any(
        run.reaches((x[n],), (run.look(x, n),)) for x in here for n in text.co_names if n in x
    ):
        run.refuse(
            MissingRuleError,
            f"{kind}() of compiled code whose names lead to values with derivatives: pass it the text",
        )
    if not isinstance(text, str) or not run.reaches(here):
        run.snapshots.clear()
        return f(*args, **kw), None
    if names is not None and names is not module:
        if kind == "exec":
            run.untracked("a separate namespace of locals by exec()")
        both = {**module, **names}
        for space in here:
            for key in space:
                run.put(both, key, run.look(space, key))
        module = both
    module.setdefault("__builtins__", builtins)
    run.module_stores = True
    for key in module:
        module[key] = module[key]  # a run around this one learns in this way that the names may be active
    return run.call(function_of(text, "<string>", kind, module), (), ())  # type: ignore[no-any-return]


HANDLERS[builtins.eval] = lambda run, args, ts, kw, kts: _evaluated(run, eval, "eval", args, ts, kw, kts)
HANDLERS[builtins.exec] = lambda run, args, ts, kw, kts: _evaluated(run, exec, "exec", args, ts, kw, kts)


# ---- context variables


@handle(contextvars.ContextVar.set)
def _set_variable(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    variable, value = args
    token = variable.set(value)
    run.put(token, "before", run.look(variable, "value"))
    run.put(variable, "value", ts[1])
    return token, None


@handle(contextvars.ContextVar.get)
def _get_variable(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    if len(args) > 1 and args[0] not in contextvars.copy_context():
        return args[1], ts[1]
    return args[0].get(*args[1:]), run.look(args[0], "value")


@handle(contextvars.ContextVar.reset)
def _reset_variable(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    args[0].reset(args[1])
    run.put(args[0], "value", run.look(args[1], "before"))
    return None, None


# ---- slots and other descriptors, asked for by name


@handle(types.MemberDescriptorType.__set__, types.GetSetDescriptorType.__set__)
def _set_member(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    run.plain_setattr(args[1], args[0].__name__, args[2], ts[2])
    return None, None


@handle(types.MemberDescriptorType.__get__, types.GetSetDescriptorType.__get__)
def _get_member(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    member, x = args[:2]
    value = member.__get__(*args[1:])
    if x is None:
        return value, None
    if member.__name__ == "__dict__":
        run.share_dict(x, value)
    return value, run.look(x, member.__name__)


@handle(property.__get__)
def _get_property(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    if args[1] is None or args[0].fget is None:
        return args[0].__get__(*args[1:]), None
    return run.call(args[0].fget, (args[1],), (ts[1],))  # type: ignore[no-any-return]


@handle(property.__set__)
def _set_property(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    if args[0].fset is None:
        args[0].__set__(*args[1:])
    return run.call(args[0].fset, args[1:], ts[1:])  # type: ignore[no-any-return]


@handle(types.SimpleNamespace)
def _simple_namespace(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    x = types.SimpleNamespace(*args, **kw)
    for source in args:
        for key, _, _, t in run.mapping_items(dict(source)):
            run.put(x, key, t)
    for key, t in kts.items():
        run.put(x, key, t)
    return x, None


# ---- weak references


for _maker in (weakref.ref, weakref.proxy):
    HANDLERS[_maker] = made_plainly(_maker)
HANDLERS[weakref.ref.__new__] = made_plainly(weakref.ref.__new__)
HANDLERS[weakref.ref.__init__] = made_plainly(weakref.ref.__init__)


# ---- locks and files


def _left(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    """The end of a `with`: the exception that passes, whatever it carries, is not looked at."""
    if type(args[0]).__module__ not in ("_thread", "_io", "builtins"):  # its `close` may be in Python
        return run.foreign(type(args[0]).__exit__, args, ts, kw, kts)  # type: ignore[no-any-return]
    return args[0].__exit__(*args[1:]), None


for _kind in (type(threading.Lock()), type(threading.RLock()), io.IOBase.__base__, memoryview):
    HANDLERS[_kind.__exit__] = _left  # type: ignore[union-attr]

__all__ = ["function_of"]
