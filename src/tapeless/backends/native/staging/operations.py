"""The operations of a Program that are not calls, one method each."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from collections.abc import Sequence as ListOf
from dataclasses import replace
from typing import Any

from tapeless.backends.native.nest import FALSE, TRUE, ZERO, Const, Expr, Ref, apply, const
from tapeless.backends.native.staging import growing
from tapeless.backends.native.staging.base import NeedsUnrolling, Text, describe
from tapeless.backends.native.staging.joins import Choice, Conflict, Maybe
from tapeless.backends.native.staging.mixed import of_one_class
from tapeless.backends.native.staging.scalars import Scalars
from tapeless.backends.native.staging.templates import written
from tapeless.backends.native.staging.values import (
    ArrayValue,
    Cell,
    ComplexNumber,
    Growing,
    Lazy,
    Mapping,
    Number,
    Sequence,
    Slice,
    Static,
    Value,
)
from tapeless.errors import NotCompilable
from tapeless.program.ir import Block, Lit, Op, Operand, Var

#: How often what follows may be staged for each path by itself.
SPLITS = 24


class Operations(Scalars):
    """Runs blocks and simple operations."""

    splits = 0

    # ---- variables

    def run(self, block: Block) -> None:
        self.run_operations(block.ops)

    def run_operations(self, ops: ListOf[Op]) -> None:
        frame = self.frames[-1]
        after = frame.live.after
        for k, op in enumerate(ops):
            self.line = op.line
            choice = self.choice_for(op)
            if choice is not None:
                self.by_paths(choice, ops[k:])
                return
            method = getattr(self, f"op_{op.kind}", None)
            if method is None:
                self.refuse(f"the operation {op.kind!r} is not compiled", "write it in another way")
            method(op)
            if not self.alive:
                return
            live = after[id(op)]
            for a in op.args:
                if isinstance(a, Var) and a not in live:
                    frame.env.pop(a, None)

    def choice_for(self, op: Op) -> Choice | None:
        """What an operation reads and is something else on each path of the program."""
        env = self.frames[-1].env
        if op.kind != "del":
            for a in op.args:
                if isinstance(a, Var):
                    value = env.get(a)
                    if isinstance(value, Choice):
                        return value
        return None

    def by_paths(self, choice: Choice, ops: ListOf[Op]) -> None:
        """Stage the rest of a block once for each path that the program may have come by."""
        self.splits += 1
        if self.splits > SPLITS:
            self.present(Conflict(choice.values), "a variable", "variable")
        at = choice.paths[0]

        def only(paths: set[int]) -> None:
            env = self.frames[-1].env
            for var, value in list(env.items()):
                if isinstance(value, Choice) and value.path is choice.path:
                    left = [(v, p) for v, p in zip(value.values, value.paths, strict=True) if p in paths]
                    values, numbers = zip(*left, strict=True)
                    env[var] = values[0] if len(left) == 1 else Choice(values, value.path, numbers)
            first, *others = [self.on_paths[choice.path][p] for p in paths]
            self.truths += [(f, v) for f, v in first.items() if all(o.get(f) is v for o in others)]
            self.run_operations(ops)

        live = self.frames[-1].live.after[id(ops[-1])]
        here = apply("eq", Ref(choice.path), const(at))
        self.fork(here, lambda: only({at}), lambda: only(set(choice.paths) - {at}), live)

    def read(self, operand: Operand) -> Value:
        if isinstance(operand, Lit):
            return self.constant(operand.value)
        env = self.frames[-1].env
        value = env.get(operand)
        if value is None:
            name = operand.name
            message = f"cannot access local variable '{name}' where it is not associated with a value"
            self.throw(UnboundLocalError, message)
            return Static(None)
        if isinstance(value, (Maybe, Conflict)):
            value = env[operand] = self.present(value, f"the variable {operand.name!r}", operand.name)
        return value

    def present(
        self, value: Value, what: str, name: str, kind: type[BaseException] = UnboundLocalError
    ) -> Value:
        """A value that may not be there, now that it is read."""
        if isinstance(value, Maybe) and value.otherwise is not None:
            known = self.learnt(value.bound)
            return value if known is None else value.value if known else value.otherwise
        if isinstance(value, Maybe):
            message = f"cannot access local variable '{name}' where it is not associated with a value"
            if kind is not UnboundLocalError:
                message = name
            self.check(value.bound, kind, message)
            return self.present(value.value, what, name, kind)
        if isinstance(value, Conflict):
            kinds = list({describe(v): None for v in value.each()})
            why = f"{what} is {' on one path and '.join(kinds) or 'unknown'} on another path of the program"
            try:
                self.refuse(why, "give it values of one kind")
            except NotCompilable as refusal:
                if value.loop is None:
                    raise
                raise NeedsUnrolling(value.loop, why, refusal) from None
        return value

    def assign(self, var: Var, value: Value) -> None:
        frame = self.frames[-1]
        uses = frame.live.uses.get(var, 0)
        named = var in frame.live.named
        if uses > 1:
            hint = var.name if named else "t"
            if isinstance(value, Number):
                value = replace(value, expr=self.bind(value.expr, hint))
            elif isinstance(value, ComplexNumber):
                re, im = self.bind(value.real, f"{hint}_re"), self.bind(value.imag, f"{hint}_im")
                value = ComplexNumber(re, im, value.kind)
        if isinstance(value, Lazy) and (uses > 1 or named):
            value = self.settle(value, uses, var.name)
        frame.env[var] = value

    def settle(self, value: Value, uses: int, hint: str) -> Value:
        return value

    def op_copy(self, op: Op) -> None:
        self.assign(op.outs[0], self.read(op.args[0]))

    def op_del(self, op: Op) -> None:
        var = op.args[0]
        if isinstance(var, Var):
            self.read(var)
            self.frames[-1].env.pop(var, None)

    # ---- operators

    def op_binary(self, op: Op) -> None:
        a, b = (self.read(x) for x in op.args)
        if self.alive:
            self.result(op, self.resolved(lambda x, y: self.binary(op.attrs["op"], x, y), a, b))

    def op_inplace(self, op: Op) -> None:
        a, b = (self.read(x) for x in op.args)
        if self.alive:
            self.result(op, self.resolved(lambda x, y: self.inplace(op.attrs["op"], x, y), a, b))

    def op_unary(self, op: Op) -> None:
        value = self.read(op.args[0])
        if not self.alive:
            return
        if op.attrs["op"] == "Not":
            condition = self.truth(value)
            made = (
                Static(not condition.value)
                if isinstance(condition, Const)
                else Number(self.not_(condition), bool)
            )
            self.assign(op.outs[0], made)
        else:
            self.result(op, self.resolved(lambda x: self.unary(op.attrs["op"], x), value))

    def op_compare(self, op: Op) -> None:
        a, b = (self.read(x) for x in op.args)
        if self.alive:
            name = op.attrs["op"]
            if name in ("is", "is not"):
                self.result(op, self.compare(name, a, b))
            else:
                self.result(op, self.resolved(lambda x, y: self.compare(name, x, y), a, b))

    def result(self, op: Op, value: Value) -> None:
        if self.alive:
            self.assign(op.outs[0], value)

    def resolved(self, function: Callable[..., Value], *values: Value) -> Value:
        """A function of values each of which may be one thing or another, on each path what it is there."""
        for k, v in enumerate(values):
            if isinstance(v, Maybe) and v.otherwise is not None:
                before, after = values[:k], values[k + 1 :]
                return self.choose_from(v, lambda one: self.resolved(function, *before, one, *after))  # noqa: B023
        return function(*values)

    def choose_from(self, maybe: Maybe, function: Callable[[Value], Value]) -> Value:
        value, otherwise = maybe.value, maybe.otherwise or Static(None)
        return self.choose(maybe.bound, lambda: function(value), lambda: function(otherwise))

    def binary(self, op: str, a: Value, b: Value) -> Value:
        raise NotImplementedError

    def inplace(self, op: str, a: Value, b: Value) -> Value:
        raise NotImplementedError

    def unary(self, op: str, a: Value) -> Value:
        raise NotImplementedError

    def compare(self, op: str, a: Value, b: Value) -> Value:
        raise NotImplementedError

    # ---- containers

    def display(self, op: Op) -> list[Value]:
        starred = op.attrs["starred"] or (False,) * len(op.args)
        items: list[Value] = []
        for operand, star in zip(op.args, starred, strict=True):
            value = self.read(operand)
            items += self.listed(value) if star else [value]
        return items

    def listed(self, value: Value) -> list[Value]:
        """The items of something iterable, one by one."""
        from tapeless.backends.native.staging import iteration_programs
        from tapeless.backends.native.staging.iterables import Generator

        if isinstance(value, Generator):
            made = self.call(Static(iteration_programs.all_of), [value], {})
            if not self.alive:
                return []
            if isinstance(made, Sequence):
                return made.items
            self.refuse("a generator runs a number of times that is not known", "use a list or an array")
        return self.items_of(self.iteration(value))

    def op_tuple(self, op: Op) -> None:
        self.assign(op.outs[0], Sequence(self.display(op), tuple))

    def op_list(self, op: Op) -> None:
        self.assign(op.outs[0], growing.born(self, (self.frames[-1].key, id(op)), self.display(op)))

    def op_set(self, op: Op) -> None:
        from tapeless.backends.native.staging import sets

        constant = len(op.args) > 2 and all(isinstance(a, Lit) for a in op.args)
        how = sets.of_constants if constant else sets.literal
        self.assign(op.outs[0], sets.born(self, how, *map(self.known, self.display(op))))

    def op_dict(self, op: Op) -> None:
        table: dict[Any, Value] = {}
        args, k = list(op.args), 0
        for spread in op.attrs["spread"]:
            if spread:
                table.update(self.table(self.read(args[k])))
                k += 1
            else:
                table[self.known(self.read(args[k]), "use keys that are known")] = self.read(args[k + 1])
                k += 2
        self.assign(op.outs[0], self.heap.born(Mapping(table)))

    def table(self, value: Value) -> dict[Any, Value]:
        """The items of a dict."""
        if isinstance(value, Mapping):
            return dict(value.items)
        if isinstance(value, Static) and isinstance(value.obj, dict):
            return {k: self.constant(v) for k, v in value.obj.items()}
        self.refuse(f"{describe(value)} is used as a dict", "use a dict with known keys")

    def op_slice(self, op: Op) -> None:
        self.assign(op.outs[0], Slice(*(self.read(a) for a in op.args)))

    def op_unpack(self, op: Op) -> None:
        value = self.read(op.args[0])
        items = self.listed(value)
        n, star = len(op.outs), op.attrs["star"]
        if star is None:
            if len(items) != n:
                if len(items) < n:
                    self.throw(ValueError, f"not enough values to unpack (expected {n}, got {len(items)})")
                else:
                    self.throw(ValueError, f"too many values to unpack (expected {n})")
                return
        else:
            if len(items) < n - 1:
                self.throw(
                    ValueError, f"not enough values to unpack (expected at least {n - 1}, got {len(items)})"
                )
                return
            end = len(items) - (n - 1 - star)
            rest: Value = self.heap.born(Sequence(items[star:end], list))
            items = [*items[:star], rest, *items[end:]]
        for out, item in zip(op.outs, items, strict=True):
            self.assign(out, item)

    # ---- cells and globals

    def op_new_cell(self, op: Op) -> None:
        self.frames[-1].env[op.outs[0]] = self.heap.born(Cell())

    def cell(self, operand: Operand) -> Cell:
        value = self.read(operand)
        assert isinstance(value, Cell)
        return value

    def op_load_cell(self, op: Op) -> None:
        cell, name = self.cell(op.args[0]), op.attrs["name"]
        value = cell.value
        if value is None:
            own = name in (self.frames[-1].program.code.co_cellvars if self.frames[-1].program.code else ())
            message = f"cannot access local variable '{name}' where it is not associated with a value"
            if not own:
                message = (
                    f"cannot access free variable '{name}' "
                    "where it is not associated with a value in enclosing scope"
                )
            self.throw(UnboundLocalError if own else NameError, message)
            return
        if isinstance(value, (Maybe, Conflict)):
            value = self.present(value, f"the variable {name!r}", name)
            self.heap.write(cell, value)
        self.assign(op.outs[0], value)

    def op_store_cell(self, op: Op) -> None:
        cell, value = self.cell(op.args[0]), self.read(op.args[1])
        if isinstance(value, Number):
            value = replace(value, expr=self.bind(value.expr, "t"))
        elif isinstance(value, ComplexNumber):
            value = ComplexNumber(self.bind(value.real), self.bind(value.imag), value.kind)
        elif isinstance(value, ArrayValue):
            value = self.settle(value, 2, "t")
        self.heap.write(cell, value)

    def op_del_cell(self, op: Op) -> None:
        self.heap.write(self.cell(op.args[0]), None)

    def op_import(self, op: Op) -> None:
        attrs, frame = op.attrs, self.frames[-1]
        package = frame.namespace.get("__package__") or frame.namespace.get("__name__", "")
        name = "." * attrs["level"] + attrs["module"]
        module = importlib.import_module(name, package if attrs["level"] else None)
        if not attrs["names"]:
            if not attrs["asname"]:
                module = importlib.import_module(attrs["module"].split(".")[0])
            self.assign(op.outs[0], Static(module))
            return
        for out, part in zip(op.outs, attrs["names"], strict=True):
            found = getattr(module, part, None)
            if found is None:
                found = importlib.import_module(f"{name}.{part}", package if attrs["level"] else None)
            self.assign(out, self.imported(found, module, part))

    def imported(self, found: Any, module: Any, name: str) -> Value:
        raise NotImplementedError

    def op_yield(self, op: Op) -> None:
        self.refuse("a generator is used in a way that is not compiled", "use a list")

    op_yield_from = op_yield

    def op_format(self, op: Op) -> None:
        how, values = ("f", op.attrs["template"]), [self.read(a) for a in op.args]
        self.assign(op.outs[0], self.text(how, values))

    def text(self, how: tuple[Any, ...], values: list[Value]) -> Value:
        """A text made of values, now if they are all known."""
        if all(isinstance(v, Static) for v in values):
            return Static(written(how, [v.obj for v in values]))  # type: ignore[attr-defined]
        from tapeless.backends.native.staging.builtin_objects import deepcopy

        # what is written is what an object holds now
        values = [of_one_class(self, v) for v in values]
        return Text(how, tuple(v if isinstance(v, Text) else deepcopy(self, self.stored(v)) for v in values))

    def stored(self, value: Value) -> Value:
        raise NotImplementedError

    # ---- truth

    def truth(self, value: Value) -> Expr:
        """Whether a value is true."""
        if isinstance(value, Static):
            return const(bool(value.obj))
        if isinstance(value, Maybe):
            bound, other = value.bound, self.truth(value.otherwise or Static(None))
            return apply("any", apply("all", bound, self.truth(value.value)),
                         apply("all", apply("not", bound), other))  # fmt: skip
        if self.is_number(value) or self.is_complex(value):
            return self.number_truth(value)
        if isinstance(value, Sequence):
            return TRUE if value.items else FALSE
        if isinstance(value, Mapping):
            return TRUE if value.items else FALSE
        if isinstance(value, Growing):
            return apply("gt", value.length.expr, ZERO)
        return self.other_truth(value)

    def other_truth(self, value: Value) -> Expr:
        raise NotImplementedError
