"""Calls: arguments are bound, Python functions are staged in place, classes make objects."""

from __future__ import annotations

import dataclasses
import functools
import types
from collections import deque
from collections.abc import Callable
from typing import Any, cast

from tapeless.backends.native.nest import Ref
from tapeless.backends.native.staging import constants
from tapeless.backends.native.staging.base import Frame, NeedsKnown, describe
from tapeless.backends.native.staging.callables import Cached, Method, Partial
from tapeless.backends.native.staging.joins import Maybe
from tapeless.backends.native.staging.liveness import liveness
from tapeless.backends.native.staging.paths import Field, Fixed, Guard, Held, Item, Path
from tapeless.backends.native.staging.recursion import Recursion
from tapeless.backends.native.staging.unboxing import unboxed
from tapeless.backends.native.staging.values import (
    ArrayValue,
    Bound,
    Cell,
    Closure,
    ComplexNumber,
    Instance,
    Mapping,
    Number,
    Sequence,
    Static,
    Value,
)
from tapeless.errors import SourceUnavailableError, UnsupportedSyntaxError
from tapeless.frontend.lower import lower
from tapeless.program.ir import Op, Program

#: How deep calls may be nested when they are staged in place.
DEEPEST = 400
#: After so many calls of a function inside itself, what it is given is taken to be known.
RECURSION = 3


class Calls(Recursion):
    """Calls of functions, methods and classes."""

    # ---- operations

    def arguments(self, op: Op, operands: tuple[Any, ...]) -> tuple[list[Value], dict[str, Value]]:
        starred, keywords = op.attrs["starred"], op.attrs["keywords"]
        count = len(operands) - len(keywords)
        starred = starred or (False,) * count
        args: list[Value] = []
        for operand, star in zip(operands[:count], starred, strict=True):
            value = self.read(operand)
            args += self.listed(value) if star else [value]
        kwargs: dict[str, Value] = {}
        for name, operand in zip(keywords, operands[count:], strict=True):
            value = self.read(operand)
            more = self.table(value) if name is None else {name: value}
            for k in more:
                if k in kwargs:
                    self.throw(TypeError, f"got multiple values for keyword argument '{k}'")
            kwargs.update(more)
        return args, kwargs

    def op_call(self, op: Op) -> None:
        function = self.read(op.args[0])
        args, kwargs = self.arguments(op, op.args[1:])
        if self.alive:
            self.result(op, self.call(function, args, kwargs, op))

    def op_call_method(self, op: Op) -> None:
        owner = self.read(op.args[0])
        args, kwargs = self.arguments(op, op.args[1:])
        if self.alive:
            name = op.attrs["name"]
            if op.attrs.get("special"):
                self.result(op, self.special(owner, name, args, op))
            else:
                self.result(op, self.call_method(owner, name, args, kwargs, op))

    def special(self, owner: Value, name: str, args: list[Value], op: Op) -> Value:
        """A method that Python looks up on the class: of a context manager."""
        if isinstance(owner, Static) and type(owner.obj).__module__.split(".")[0] in ("numpy", "contextlib"):
            return Static(None)
        return self.call_method(owner, name, args, {}, op)

    def call_method(
        self, owner: Value, name: str, args: list[Value], kwargs: dict[str, Value], op: Op | None = None
    ) -> Value:
        if isinstance(owner, Maybe):
            return self.resolved(lambda x: self.call_method(x, name, args, kwargs, op), owner)
        method = self.getattr(owner, name)
        return self.call(method, args, kwargs, op) if self.alive else method

    def getattr(self, owner: Value, name: str) -> Value:
        raise NotImplementedError

    def op_function(self, op: Op) -> None:
        attrs, frame = op.attrs, self.frames[-1]
        values = [self.read(a) for a in op.args]
        code: types.CodeType = attrs["code"]
        cells = tuple(v for v in values[len(values) - attrs["cells"] :] if isinstance(v, Cell))
        names = attrs["kwdefaults"]
        defaults = tuple(values[: attrs["defaults"]])
        named = dict(zip(names, values[attrs["defaults"] :], strict=False))
        empty = tuple(types.CellType() for _ in code.co_freevars)
        made = types.FunctionType(code, frame.namespace, attrs["name"], None, empty)
        self.assign(op.outs[0], Closure(made, cells, defaults, named))

    def op_free_cell(self, op: Op) -> None:
        self.assign(op.outs[0], self.free[-1][op.attrs["name"]])

    # ---- calling

    def __init__(self, known: Any) -> None:
        super().__init__(known)
        self.free: list[dict[str, Cell]] = []
        self.yields: list[Callable[[Value], None] | None] = []
        """Who takes the values of the generators that run, innermost last; None for other functions."""
        self.in_rules: list[Any] = []
        """The functions whose own derivative rules are staged."""
        self.ruled: dict[str, set[int]] = {}
        """The operands by which functions that are called back have their derivatives by rules."""
        self.made_functions: dict[int, Closure] = {}
        """The functions in classes that the program makes, by what stands for them."""
        self.made_classes: set[type] = set()
        self.factories: dict[Any, tuple[type, Value]] = {}
        """The kinds of defaultdict made."""
        self.records: dict[int | type, Value] = {}
        """The objects that are items of lists that grow, and one of each class of those."""
        self.unwound += [self.free, self.yields, self.runs, self.in_rules, self.rules_from]

    def call(
        self, function: Value, args: list[Value], kwargs: dict[str, Value], op: Op | None = None
    ) -> Value:
        """The result of a call."""
        if isinstance(function, Maybe):
            return self.resolved(lambda f: self.call(f, args, kwargs, op), function)
        if isinstance(function, Closure):
            code = function.function.__code__
            cells = dict(zip(code.co_freevars, function.cells, strict=True))
            return self.inline(
                function.function, cells, function.defaults, function.kwdefaults, args, kwargs, op
            )
        if isinstance(function, Bound):
            return self.call_bound(function, args, kwargs, op)
        if isinstance(function, Static):
            return self.call_object(function.obj, args, kwargs, op)
        if isinstance(function, Instance):
            return self.call_method(function, "__call__", args, kwargs, op)
        if isinstance(function, Cached):
            return self.without_effects(lambda: self.call(function.function, args, kwargs, op))
        if isinstance(function, Partial):
            return self.call(function.function, [*function.args, *args], {**function.kwargs, **kwargs}, op)
        cls = self.class_of(function)
        plain = isinstance(function, (Number, ComplexNumber, ArrayValue, Sequence, Mapping))
        if plain and cls is not None and all("__call__" not in base.__dict__ for base in cls.__mro__):
            return self.not_called(cls)
        self.refuse(f"{describe(function)} is called", "call a function")

    def class_of(self, value: Value) -> type | None:
        raise NotImplementedError

    def not_called(self, cls: type) -> Value:
        name = f"numpy.{cls.__name__}" if cls.__module__ == "numpy" else cls.__name__
        self.throw(TypeError, f"'{name}' object is not callable")
        return Static(None)

    def call_bound(self, bound: Bound, args: list[Value], kwargs: dict[str, Value], op: Op | None) -> Value:
        function = bound.function
        if isinstance(function, Static) and isinstance(function.obj, Method):
            return function.obj.run(self, bound.owner, args, kwargs)
        return self.call(function, [bound.owner, *args], kwargs, op)

    def call_object(
        self, obj: Any, args: list[Value], kwargs: dict[str, Value], op: Op | None = None
    ) -> Value:
        """Call a Python object that is known."""
        if any(isinstance(a, Maybe) for a in args) and not isinstance(obj, (types.FunctionType, type)):
            return self.resolved(lambda *some: self.call_object(obj, list(some), kwargs, op), *args)
        if id(obj) in self.made_functions:
            return self.call(self.made_functions[id(obj)], args, kwargs, op)
        found = self.builtin(obj, args, kwargs, op)
        if found is not None:
            return found
        from tapeless.backends.native.staging import transformations

        settled = constants.called(self, obj, args, kwargs)
        if settled is not None:
            return settled

        if self.differentiated and isinstance(obj, types.FunctionType):
            self.guard_rule(obj)
        if transformations.handles(obj):
            return transformations.call(self, obj, args, kwargs)
        if isinstance(obj, types.FunctionType):
            from tapeless.backends.native.staging.twins import twin_of

            return self.call_function(twin_of(self, obj, args, kwargs) or obj, args, kwargs, op)
        if isinstance(obj, types.MethodType):
            owner = self.lift_owner(obj.__self__)
            return self.call_object(obj.__func__, [owner, *args], kwargs, op)
        if isinstance(obj, functools.partial):
            held = [self.outside(v) for v in obj.args]
            named = self.live_keywords(Field(Fixed(Held(obj)), "keywords"), obj.keywords)
            return self.call_object(obj.func, [*held, *args], {**named, **kwargs}, op)
        if isinstance(obj, type):
            return self.construct(obj, args, kwargs, op)
        wrapped = getattr(obj, "__wrapped__", None)
        if isinstance(obj, functools._lru_cache_wrapper) and wrapped is not None:
            return self.without_effects(lambda: self.call_object(wrapped, args, kwargs, op))
        python = getattr(obj, "py_func", None)
        if isinstance(python, types.FunctionType) and type(obj).__module__.startswith("numba"):
            return unboxed(self, self.call_object(python, args, kwargs, op))
        method = getattr(type(obj), "__call__", None)  # noqa: B004
        if isinstance(method, types.FunctionType):
            return self.call_object(method, [self.outside(obj), *args], kwargs, op)
        from tapeless.backends.native.staging import called_back

        back = called_back.call(self, obj, args, kwargs)  # type: ignore[arg-type]
        if back is not None:
            return back
        if not callable(obj):
            return self.not_called(type(obj))
        name = getattr(obj, "__qualname__", None) or type(obj).__name__
        module = getattr(obj, "__module__", None)
        self.refuse(
            f"{f'{module}.{name}' if module else name} is called, which has no compiled form",
            "call it outside the compiled function",
        )

    def without_effects(self, call: Callable[[], Value]) -> Value:
        """A call of a function with a cache: it is made every time, which must not make a difference."""
        level, clock, shown = self.heap.open(), self.heap.clock, self.shown
        value = call()
        changed = [o for o, _ in self.heap.since(level).held.values() if 0 <= self.heap.age(o) <= clock]
        self.heap.close(level)
        if changed or self.shown != shown:
            self.refuse("a function with a cache changes or prints something", "leave out the cache")
        return value

    def outside(self, obj: Any) -> Value:
        """An object held by another one that is known."""
        return self.lift(obj, Fixed(Held(obj)), getattr(obj, "__name__", "held"))

    lift_owner = outside

    def live_keywords(self, path: Path, table: dict[str, Any]) -> dict[str, Value]:
        """What is passed by name, in a dict that anybody can change."""
        self.guards[path, "keys"] = Guard(path, "keys", tuple(table))
        return {k: self.lift(v, Item(path, k), k) for k, v in table.items()}

    def builtin(self, obj: Any, args: list[Value], kwargs: dict[str, Value], op: Op | None) -> Value | None:
        """The result of a function that staging knows; None if it does not."""
        raise NotImplementedError

    def call_function(
        self, function: types.FunctionType, args: list[Value], kwargs: dict[str, Value], op: Op | None
    ) -> Value:
        cells = {
            name: self.cell_of(cell, name)
            for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
        }
        home = Fixed(Held(function))
        code, at, named_at = (Field(home, n) for n in ("__code__", "__defaults__", "__kwdefaults__"))
        self.guard(code, "is", function.__code__)
        if function.__defaults__ is None:
            self.guard(at, "is", None)
        else:
            self.guard(at, "length", len(function.__defaults__))
        defaults = tuple(self.lift(v, Item(at, i)) for i, v in enumerate(function.__defaults__ or ()))
        named: dict[str, Value] = {}
        if function.__kwdefaults__ is None:
            self.guard(named_at, "is", None)
        else:
            named = self.live_keywords(named_at, function.__kwdefaults__)
        return self.inline(function, cells, defaults, named, args, kwargs, op)

    def program_of(self, function: types.FunctionType) -> Program:
        try:
            return lower(function.__code__, function.__globals__)
        except (SourceUnavailableError, UnsupportedSyntaxError) as error:
            self.refuse(
                f"{function.__qualname__} cannot be read: {error}", "call it outside the compiled function"
            )

    def inline(
        self,
        function: types.FunctionType,
        cells: dict[str, Cell],
        defaults: tuple[Value, ...],
        named: dict[str, Value],
        args: list[Value],
        kwargs: dict[str, Value],
        op: Op | None,
    ) -> Value:
        """Stage the body of a Python function in place; that of a generator when it is asked for values."""
        program = self.program_of(function)
        bound = self.bind_arguments(function, program, defaults, named, args, kwargs)
        if bound is None:
            return Static(None)
        recursive = self.recursion(function, program, cells, bound, op)
        if recursive is not None:
            return recursive
        self.not_too_deep(program, bound)
        if program.is_generator:
            return self.generator(
                lambda take: self.in_place(function, program, cells, bound, op, take), cells
            )
        return self.in_place(function, program, cells, bound, op, None)

    def generator(self, run: Callable[[Callable[[Value], None]], Any], cells: dict[str, Cell]) -> Value:
        raise NotImplementedError

    def in_place(
        self,
        function: types.FunctionType,
        program: Program,
        cells: dict[str, Cell],
        bound: dict[str, Value],
        op: Op | None,
        take: Callable[[Value], None] | None,
    ) -> Value:
        outer_key = self.frames[-1].key if self.frames else ()
        key = (*outer_key, id(op), id(program))
        frame = Frame(program, liveness(program), {}, function.__globals__, function, key, self.line)
        frame.given = bound
        line = self.line
        self.frames.append(frame)
        self.free.append(cells)
        base, marks, born = self.block, self.marks(), self.heap.clock
        frame.returns = self.open_target("return", keep_env=False)
        for param in program.params:
            self.assign(param.var, bound[param.name])
        self.line = program.firstline
        self.yields.append(take)
        self.run(program.body)
        result = self.close_target(frame.returns, base, marks, born, Static(None))
        self.yields.pop()
        self.free.pop()
        self.frames.pop()
        self.line = line
        return Static(None) if result is None else result

    def not_too_deep(self, program: Program, bound: dict[str, Value]) -> None:
        depth = sum(f.program is program for f in self.frames)
        if depth >= RECURSION:
            for value in bound.values():
                if isinstance(value, Number):
                    for leaf in self.origins(value.expr):
                        if (
                            isinstance(leaf, Ref)
                            and leaf.var in self.sources
                            and leaf.var.type in ("i64", "bool")
                        ):
                            raise NeedsKnown(self.sources[leaf.var], "the depth of a recursion depends on it")
        if len(self.frames) > DEEPEST or depth > DEEPEST // 4:
            self.refuse(
                f"{program.name} calls itself to a depth that is not known",
                "write it as a loop, or give its depth by an integer argument",
            )

    def bind_arguments(
        self,
        function: types.FunctionType,
        program: Program,
        defaults: tuple[Value, ...],
        named: dict[str, Value],
        args: list[Value],
        kwargs: dict[str, Value],
    ) -> dict[str, Value] | None:
        """The values of the parameters; None if the call raises."""
        name = function.__qualname__
        simple = [p for p in program.params if p.kind in ("positional", "standard")]
        bound: dict[str, Value] = {}
        rest = dict(kwargs)
        for param, value in zip(simple, args, strict=False):
            bound[param.name] = value
        vararg = next((p for p in program.params if p.kind == "vararg"), None)
        if vararg is not None:
            bound[vararg.name] = Sequence(list(args[len(simple) :]), tuple)
        elif len(args) > len(simple):
            plural = "" if len(simple) == 1 else "s"
            were = "was" if len(args) == 1 else "were"
            self.throw(
                TypeError,
                f"{name}() takes {len(simple)} positional argument{plural} but {len(args)} {were} given",
            )
            return None
        by_default = dict(zip([p.name for p in simple[len(simple) - len(defaults) :]], defaults, strict=True))
        for param in program.params:
            if param.kind in ("standard", "keyword") and param.name in rest:
                if param.name in bound:
                    self.throw(TypeError, f"{name}() got multiple values for argument '{param.name}'")
                    return None
                bound[param.name] = rest.pop(param.name)
        missing = []
        for param in program.params:
            if param.name in bound or param.kind in ("vararg", "kwarg"):
                continue
            default = (named if param.kind == "keyword" else by_default).get(param.name)
            if default is None:
                missing.append(param.name)
            else:
                bound[param.name] = default
        if missing:
            many = "arguments" if len(missing) > 1 else "argument"
            texts = [repr(m) for m in missing]
            listed = texts[0] if len(texts) == 1 else " and ".join([", ".join(texts[:-1]), texts[-1]])
            self.throw(TypeError, f"{name}() missing {len(missing)} required positional {many}: {listed}")
            return None
        kwarg = next((p for p in program.params if p.kind == "kwarg"), None)
        if kwarg is not None:
            bound[kwarg.name] = self.heap.born(Mapping(rest))
        elif rest:
            self.throw(TypeError, f"{name}() got an unexpected keyword argument '{next(iter(rest))}'")
            return None
        return bound

    def op_yield(self, op: Op) -> None:
        take = self.yields[-1]
        assert take is not None
        take(self.stored(self.read(op.args[0])))
        if self.alive:
            self.assign(op.outs[0], Static(None))

    def op_yield_from(self, op: Op) -> None:
        take = self.yields[-1]
        assert take is not None
        from tapeless.backends.native.staging.iterables import Generator

        values = self.read(op.args[0])
        result: Value = Static(None)
        if isinstance(values, Generator):
            result = values.consume(cast(Any, self), take)
        else:
            for value in self.listed(values):
                take(value)
        if self.alive:
            self.assign(op.outs[0], result)

    # ---- classes

    def construct(self, cls: type, args: list[Value], kwargs: dict[str, Value], op: Op | None) -> Value:
        """An object of a Python class."""
        if issubclass(cls, BaseException):
            return self.construct_exception(cls, args, kwargs, op)
        if issubclass(cls, tuple):
            return self.construct_tuple(cls, args, kwargs, op)
        if cls is deque:
            from tapeless.backends.native.staging.deques import construct

            return construct(self, args, kwargs, op)
        if issubclass(cls, dict):
            from tapeless.backends.native.staging import tables

            table = tables.construct(self, cls, args, kwargs, op)
            if table is not None:
                return table
        settled = constants.made(self, cls, args, kwargs)
        if settled is not None:
            return settled
        meta = type(cls)
        if meta is not type and "__call__" in meta.__dict__ and meta.__module__ != "abc":
            self.refuse(f"the class {cls.__qualname__} makes its objects by its metaclass", "make it outside")
        self.guard_order(cls)
        for name in ("__new__", "__init__"):
            self.on_class(cls, name)
        new, init = cls.__new__, cls.__init__
        if new is not object.__new__:
            if not isinstance(new, types.FunctionType) or cls.__module__.split(".")[0] == "numpy":
                self.refuse(
                    f"an object of class {cls.__qualname__} is made", "make it outside the compiled function"
                )
            made = self.call_object(new, [Static(cls), *args], kwargs, op)
            if not isinstance(made, Instance) or not issubclass(made.cls, cls):
                return made
            init = made.cls.__init__
        else:
            made = self.heap.born(Instance(cls, {}))
        if isinstance(init, types.FunctionType):
            if dataclasses.is_dataclass(cls) and init.__code__.co_filename == "<string>":
                self.dataclass_init(cls, made, args, kwargs, op)
            else:
                self.call_object(init, [made, *args], kwargs, op)
        elif init is not object.__init__:
            self.refuse(
                f"an object of class {cls.__qualname__} is made", "make it outside the compiled function"
            )
        elif (args or kwargs) and new is object.__new__:
            self.throw(TypeError, f"{cls.__name__}() takes no arguments")
        return made

    def dataclass_init(
        self, cls: type, made: Instance, args: list[Value], kwargs: dict[str, Value], op: Op | None
    ) -> None:
        """What the `__init__` that dataclasses writes does."""
        fields = list(getattr(cls, "__dataclass_fields__").values())  # noqa: B009
        kinds = [getattr(f, "_field_type").name for f in fields]  # noqa: B009
        wanted = [f for f, k in zip(fields, kinds, strict=True) if f.init and k != "_FIELD_CLASSVAR"]
        given = dict(zip([f.name for f in wanted if not f.kw_only], args, strict=False))
        if len(args) > len(given):
            self.throw(
                TypeError,
                f"{cls.__name__}.__init__() takes {len(wanted) + 1} positional arguments "
                f"but {len(args) + 1} were given",
            )
            return
        for k, v in kwargs.items():
            if k in given or k not in {f.name for f in wanted}:
                self.throw(TypeError, f"{cls.__name__}.__init__() got an unexpected keyword argument '{k}'")
                return
            given[k] = v
        after: list[Value] = []
        for f, k in zip(fields, kinds, strict=True):
            if k == "_FIELD_CLASSVAR":
                continue
            if f.name in given:
                value = given[f.name]
            elif f.default is not dataclasses.MISSING:
                value = (
                    self.outside(f.default)
                    if not isinstance(f.default, (int, float, str))
                    else Static(f.default)
                )
            elif f.default_factory is not dataclasses.MISSING:
                value = self.call_object(f.default_factory, [], {}, op)
            elif f.init:
                self.throw(
                    TypeError, f"{cls.__name__}.__init__() missing 1 required positional argument: '{f.name}'"
                )
                return
            else:
                continue
            if k == "_FIELD_INITVAR":
                after.append(value)
            else:
                self.set_field(made, f.name, value)
        post = getattr(cls, "__post_init__", None)
        if post is not None and self.alive:
            self.call_object(post, [made, *after], {}, op)

    def set_field(self, made: Instance, name: str, value: Value) -> None:
        self.heap.touch(made)
        made.fields[name] = self.stored(value)

    def stored(self, value: Value) -> Value:
        """A value as a container keeps it: numbers in variables."""
        if isinstance(value, Number):
            return dataclasses.replace(value, expr=self.bind(value.expr))
        if isinstance(value, ComplexNumber):
            return ComplexNumber(self.bind(value.real), self.bind(value.imag), value.kind)
        if isinstance(value, ArrayValue):
            return self.settle(value, 2, "t")
        return value

    def construct_exception(
        self, cls: type, args: list[Value], kwargs: dict[str, Value], op: Op | None
    ) -> Value:
        made = self.heap.born(Instance(cls, {"args": Sequence(list(args), tuple)}))
        init = cls.__init__  # type: ignore[misc]
        if isinstance(init, types.FunctionType):
            self.call_object(init, [made, *args], kwargs, op)
        value: Value = made
        return value

    def construct_tuple(self, cls: type, args: list[Value], kwargs: dict[str, Value], op: Op | None) -> Value:
        if isinstance(cls.__init__, types.FunctionType):  # type: ignore[misc]
            self.refuse(
                f"a tuple of class {cls.__qualname__} has attributes", "make it outside the compiled function"
            )
        names = getattr(cls, "_fields", None)
        new = cls.__new__
        generated = (
            names is not None and isinstance(new, types.FunctionType) and "<" in new.__code__.co_filename
        )
        if names is None or not generated:
            if isinstance(new, types.FunctionType):
                return self.call_object(new, [Static(cls), *args], kwargs, op)
            return Sequence(self.listed(args[0]) if args else [], cls)
        table = dict(zip(names, args, strict=False))
        table.update(kwargs)
        for k, v in getattr(cls, "_field_defaults", {}).items():
            table.setdefault(k, Static(v))
        if set(table) != set(names) or len(args) > len(names):
            missing = [n for n in names if n not in table]
            many = "arguments" if len(missing) > 1 else "argument"
            listed = " and ".join(map(repr, missing))
            self.throw(
                TypeError,
                f"{cls.__name__}.__new__() missing {len(missing)} required positional {many}: {listed}",
            )
            return Static(None)
        return Sequence([table[n] for n in names], cls)
