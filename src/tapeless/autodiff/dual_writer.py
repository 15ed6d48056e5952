"""Prints a dual program: the text that `autodiff.dual` compiles."""

from __future__ import annotations

from typing import Any

import numpy as np

from tapeless.program.ir import Block, Op, Operand, Program, Var

_PRINTABLE = (type(None), bool, int, float, str, bytes, type(Ellipsis))
_INACTIVE = {
    "compare", "function", "class", "import", "new_cell", "free_cell", "format", "matches", "slice", "list",
    "set", "dict",
}  # fmt: skip


_SYMBOLS = {"Add": "+", "Sub": "-", "Mult": "*", "Div": "/", "FloorDiv": "//", "Mod": "%", "Pow": "**"}
#: types whose operators are Python's and NumPy's own
PLAIN = frozenset({
    int, float, bool, complex, str, bytes, type(None),
    np.float64, np.int64, np.bool_, np.float32, np.complex128,
})  # fmt: skip
#: types of which Python itself knows what is true
TRUTHS = PLAIN | {list, tuple, dict, set, np.ndarray}


class Writer:
    """Prints the dual program as Python; `origin` holds the source line of each printed line."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.lines: list[str] = []
        self.origin: list[int] = []
        self.depth = 0
        self.line = program.firstline
        self.constants: list[Any] = []
        self.globals: set[str] = set()
        self.name = program.name if program.name.isidentifier() else "lambda_"
        self.active = _maybe_active(program)
        self.deleted = {op.args[0] for op in program.body.walk() if op.kind == "del"}
        #: variables that have a value where the next operation is
        self.bound = {p.var for p in program.params} - self.deleted
        names = {v.name for v in program.variables()} | set(program.code.co_names if program.code else ())
        self.d = "_d"
        while any(name.endswith(self.d) for name in names):
            self.d += "d"
        self.prefix = "_"
        while f"{self.prefix}tl" in names:
            self.prefix += "2"
        self.flags = 0
        ops = list(program.body.walk())
        #: variables that are True or False and nothing else
        self.tests = {o for op in ops if _is_test(op) for o in op.outs}
        self.tests -= {o for op in ops if not _is_test(op) for o in op.outs}
        self.tests -= {p.var for p in program.params}

    # ---- printing

    def put(self, text: str) -> None:
        self.lines.append("    " * self.depth + text.replace("\x01", self.prefix))
        self.origin.append(self.line)

    def function(self) -> str:
        program = self.program
        slot = ", \x01slot" if program.is_generator else ""
        self.put(f"def {self.name}(\x01tl, \x01args, \x01ts, \x01fn, \x01k{slot}):")
        self.depth += 1
        names = [p.var.name for p in program.params]
        if names:
            comma = "," if len(names) == 1 else ""
            self.put(f"{', '.join(names)}{comma} = \x01args")
            self.put(f"{', '.join(n + self.d for n in names)}{comma} = \x01ts")
        self.block(program.body)
        if program.is_generator:
            self.put("if False: yield")
        elif not program.body.ops or program.body.ops[-1].kind != "return":
            self.put("return None, None")
        return "\n".join(self.lines) + "\n"

    def block(self, block: Block, last: str = "pass") -> None:
        if not block.ops:
            self.put(last)
        for op in block.ops:
            self.op(op)
            if not op.blocks:
                self.bound.update(v for v in op.outs if v not in self.deleted)

    def nested(self, block: Block, bound: tuple[Var, ...] = ()) -> None:
        """A block that may not run: what it assigns has a value inside only."""
        self.depth += 1
        outside, self.bound = self.bound, self.bound.union(bound) - self.deleted
        self.block(block)
        self.bound = outside
        self.depth -= 1

    # ---- operands

    def value(self, x: Operand) -> str:
        if isinstance(x, Var):
            return x.name
        value = x.value
        if isinstance(value, _PRINTABLE) and value == value and value not in (float("inf"), float("-inf")):
            text = repr(value)
            return f"({text})" if text.startswith("-") else text
        return self.constant(value)

    def constant(self, value: Any) -> str:
        for i, known in enumerate(self.constants):
            if known is value:
                return f"\x01k[{i}]"
        self.constants.append(value)
        return f"\x01k[{len(self.constants) - 1}]"

    def tangent(self, x: Operand) -> str:
        return f"{x.name}{self.d}" if isinstance(x, Var) and x in self.active else "None"

    def both(self, x: Operand) -> str:
        return f"{self.value(x)}, {self.tangent(x)}"

    def display(self, parts: list[str]) -> str:
        return f"({', '.join(parts)}{',' if len(parts) == 1 else ''})"

    def tangents(self, args: tuple[Operand, ...]) -> str:
        return self.display([self.tangent(a) for a in args])

    def values(self, args: tuple[Operand, ...]) -> str:
        return self.display([self.value(a) for a in args])

    def results(self, op: Op) -> str:
        return f"{op.outs[0].name}, {op.outs[0].name}{self.d}"

    # ---- operations

    def op(self, op: Op) -> None:
        self.line = op.line or self.line
        getattr(self, f"op_{op.kind}")(op)
        if op.kind in _INACTIVE:
            for out in op.outs:
                if out in self.active:
                    self.put(f"{out.name}{self.d} = None")

    def give(self, op: Op, call: str) -> None:
        self.put(f"{self.results(op)} = {call}")

    def op_copy(self, op: Op) -> None:
        source, out = op.args[0], op.outs[0]
        self.put(f"{out.name} = {self.value(source)}")
        if out in self.active:
            self.put(f"{out.name}{self.d} = {self.tangent(source)}")

    def op_binary(self, op: Op) -> None:
        name, operands = op.attrs["op"], f"{self.both(op.args[0])}, {self.both(op.args[1])}"
        method = f"{name}(" if name in ("Add", "Sub", "Mult", "Div") else f"binary({name!r}, "
        self.at_once(op, _SYMBOLS.get(name), f"\x01tl.{method}{operands})")

    def at_once(self, op: Op, symbol: str | None, call: str) -> None:
        """An operator: of plain values without companions it is Python's own, without a call of the run."""
        if symbol is None or not self.plain(op.args):
            self.give(op, call)
            return
        tests, quick = [], []
        for a in op.args[:1] if op.args[0] is op.args[-1] else op.args:
            # a value that may be unbound is looked at before its companion: it goes by its own name
            test = [f"{self.tangent(a)} is None"] if self.tangent(a) != "None" else []
            if isinstance(a, Var) and a in self.bound:
                quick += test
                tests += self.plain((a,))
            else:
                tests += self.plain((a,)) + test
        tests = quick + tests
        plainly = f"({self.value(op.args[0])} {symbol} {self.value(op.args[1])}, None)"
        self.give(op, f"{plainly} if {' and '.join(tests)} else {call}")

    def plain(self, args: tuple[Operand, ...]) -> list[str]:
        """Tests that the variables among operands are of types that Python itself knows; none if a constant
        is not."""
        types, plain = self.constant(type), self.constant(PLAIN)
        found = [f"{types}({a.name}) in {plain}" for a in args if isinstance(a, Var)]
        return found if all(isinstance(a, Var) or type(a.value) in PLAIN for a in args) else []

    def op_inplace(self, op: Op) -> None:
        name = op.attrs["op"]
        call = f"\x01tl.inplace({name!r}, {self.both(op.args[0])}, {self.both(op.args[1])})"
        self.at_once(op, _SYMBOLS.get(name), call)

    def op_unary(self, op: Op) -> None:
        if op.attrs["op"] == "Not":
            self.put(f"{op.outs[0].name} = not ({self.truth(op.args[0])})")
            self.put(f"{op.outs[0].name}{self.d} = None")
        else:
            self.give(op, f"\x01tl.unary('{op.attrs['op']}', {self.both(op.args[0])})")

    def op_compare(self, op: Op) -> None:
        a, b, out, how = self.value(op.args[0]), self.value(op.args[1]), op.outs[0].name, op.attrs["op"]
        if how in ("is", "is not"):
            self.put(f"{out} = {a} {how} {b}")
        else:
            call = f"\x01tl.compare('{how}', {self.both(op.args[0])}, {self.both(op.args[1])})"
            checks = self.plain(op.args) if how not in ("in", "not in") else []
            self.put(
                f"{out} = " + (f"{a} {how} {b} if {' and '.join(checks)} else {call}" if checks else call)
            )

    def op_matches(self, op: Op) -> None:
        self.put(f"{op.outs[0].name} = \x01tl.matches({self.value(op.args[0])}, {self.value(op.args[1])})")

    def op_format(self, op: Op) -> None:
        template = self.constant(op.attrs["template"])
        self.put(f"{op.outs[0].name} = \x01tl.format({template}, {self.values(op.args)})")

    def op_slice(self, op: Op) -> None:
        out = op.outs[0].name
        self.put(f"{out} = {self.constant(slice)}({', '.join(self.value(a) for a in op.args)})")
        checks = [self.tangent(a) for a in op.args if self.tangent(a) != "None"]
        if checks:
            test = " is not None or ".join(checks)
            self.put(f"if {test} is not None: \x01tl.slice_filled({out}, {self.tangents(op.args)})")

    def op_tuple(self, op: Op) -> None:
        out = op.outs[0].name
        if any(op.attrs["starred"]):
            self.give(
                op, f"\x01tl.spread({op.attrs['starred']}, {self.values(op.args)}, {self.tangents(op.args)})"
            )
            return
        self.put(f"{out} = {self.values(op.args)}")
        checks = [self.tangent(a) for a in op.args if self.tangent(a) != "None"]
        if checks:
            test = " is None and ".join(checks)
            self.put(f"{out}{self.d} = None if {test} is None else {self.tangents(op.args)}")
        else:
            self.put(f"{out}{self.d} = None")

    def _display(self, op: Op) -> None:
        out, kind = op.outs[0].name, op.kind
        if any(op.attrs["starred"]):
            spread = f"\x01tl.spread({op.attrs['starred']}, {self.values(op.args)}, {self.tangents(op.args)})"
            self.put(f"{out} = \x01tl.{kind}_of(*{spread})")
            return
        inner = ", ".join(self.value(a) for a in op.args)
        self.put(f"{out} = {f'[{inner}]' if kind == 'list' else f'{{{inner}}}' if inner else '{*()}'}")
        checks = [self.tangent(a) for a in op.args if self.tangent(a) != "None"]
        if checks:
            test = " is not None or ".join(checks)
            both = f"{self.values(op.args)}, {self.tangents(op.args)}"
            self.put(f"if {test} is not None: \x01tl.{kind}_filled({out}, {both})")

    op_list = _display
    op_set = _display

    def op_dict(self, op: Op) -> None:
        spread, out = op.attrs["spread"], op.outs[0].name
        if not spread:
            self.put(f"{out} = {{}}")
            return
        pairs, args = [], list(op.args)
        for is_spread in spread:
            key = None if is_spread else args.pop(0)
            value = args.pop(0)
            name = "None, None" if key is None else self.both(key)
            pairs.append(f"({is_spread}, {name}, {self.both(value)})")
        self.put(f"{out} = \x01tl.dict_of({self.display(pairs)})")

    def op_unpack(self, op: Op) -> None:
        names = [o.name for o in op.outs]
        comma = "," if len(names) == 1 else ""
        left = f"{', '.join(names)}{comma}"
        right = f"{', '.join(n + self.d for n in names)}{comma}"
        star = op.attrs["star"]
        if not names:
            left = right = "_"
        self.put(f"({left}), ({right}) = \x01tl.unpack({self.both(op.args[0])}, {len(names)}, {star})")

    # ---- storage

    def op_getattr(self, op: Op) -> None:
        self.give(op, f"\x01tl.getattr({self.both(op.args[0])}, {op.attrs['name']!r})")

    def op_setattr(self, op: Op) -> None:
        self.put(f"\x01tl.setattr({self.value(op.args[0])}, {op.attrs['name']!r}, {self.both(op.args[1])})")

    def op_delattr(self, op: Op) -> None:
        self.put(f"\x01tl.delattr({self.value(op.args[0])}, {op.attrs['name']!r})")

    def op_getitem(self, op: Op) -> None:
        self.give(op, f"\x01tl.getitem({self.both(op.args[0])}, {self.both(op.args[1])})")

    def op_setitem(self, op: Op) -> None:
        self.put(
            f"\x01tl.setitem({self.value(op.args[0])}, {self.both(op.args[1])}, {self.both(op.args[2])})"
        )

    def op_delitem(self, op: Op) -> None:
        self.put(f"\x01tl.delitem({self.value(op.args[0])}, {self.value(op.args[1])})")

    def op_new_cell(self, op: Op) -> None:
        self.put(f"{op.outs[0].name} = \x01tl.new_cell()")

    def op_free_cell(self, op: Op) -> None:
        index = self.program.freevars.index(op.attrs["name"])
        self.put(f"{op.outs[0].name} = \x01fn.__closure__[{index}]")

    def op_load_cell(self, op: Op) -> None:
        self.give(op, f"\x01tl.load_cell({self.value(op.args[0])}, {op.attrs['name']!r})")

    def op_store_cell(self, op: Op) -> None:
        self.put(f"\x01tl.store_cell({self.value(op.args[0])}, {self.both(op.args[1])})")

    def op_del_cell(self, op: Op) -> None:
        self.put(f"\x01tl.del_cell({self.value(op.args[0])}, {op.attrs['name']!r})")

    def op_global(self, op: Op) -> None:
        out, name = op.outs[0].name, op.attrs["name"]
        self.put(f"{out} = {name}")
        if op.outs[0] in self.active:
            found = f"\x01tl.global_tangent(\x01fn.__globals__, {name!r})"
            self.put(f"{out}{self.d} = \x01tl.module_stores and {found}")

    def op_store_global(self, op: Op) -> None:
        self.put(f"\x01tl.store_global(\x01fn.__globals__, {op.attrs['name']!r}, {self.both(op.args[0])})")

    def op_del_global(self, op: Op) -> None:
        self.put(f"\x01tl.del_global(\x01fn.__globals__, {op.attrs['name']!r})")

    def op_del(self, op: Op) -> None:
        self.put(f"del {self.value(op.args[0])}")

    # ---- calls

    def arguments(self, args: tuple[Operand, ...], op: Op) -> str:
        starred, keywords = op.attrs["starred"], op.attrs["keywords"]
        n = len(starred)
        positional, named = args[:n], args[n:]
        if any(starred):
            text = f"*\x01tl.spread_call({starred}, {self.values(positional)}, {self.tangents(positional)})"
        else:
            text = f"{self.values(positional)}, {self.tangents(positional)}"
        if None in keywords:
            text += f", *\x01tl.spread_keywords({keywords}, {self.values(named)}, {self.tangents(named)})"
        elif keywords:
            values = ", ".join(f"{k!r}: {self.value(v)}" for k, v in zip(keywords, named, strict=True))
            tangents = ", ".join(f"{k!r}: {self.tangent(v)}" for k, v in zip(keywords, named, strict=True))
            text += f", {{{values}}}, {{{tangents}}}"
        return text

    def op_call(self, op: Op) -> None:
        self.give(op, f"\x01tl.call({self.value(op.args[0])}, {self.arguments(op.args[1:], op)})")

    def op_call_method(self, op: Op) -> None:
        name = op.attrs["name"]
        self.give(
            op, f"\x01tl.call_method({self.both(op.args[0])}, {name!r}, {self.arguments(op.args[1:], op)})"
        )

    def op_function(self, op: Op) -> None:
        a, out = op.attrs, op.outs[0].name
        defaults = op.args[: a["defaults"]]
        named = op.args[a["defaults"] : len(op.args) - a["cells"]]
        cells = op.args[len(op.args) - a["cells"] :]
        kwdefaults = ", ".join(f"{k!r}: {self.value(v)}" for k, v in zip(a["kwdefaults"], named, strict=True))
        code = self.constant(a["code"])
        self.put(
            f"{out} = \x01tl.make_function({code}, \x01fn.__globals__, {self.values(defaults)}, "
            f"{{{kwdefaults}}}, {self.values(cells)}, {self.tangents(defaults)}, {self.tangents(named)})"
        )

    def op_class(self, op: Op) -> None:
        a, out = op.attrs, op.outs[0].name
        n = len(op.args) - a["cells"]
        args, cells = op.args[:n], op.args[n:]
        bases = self.arguments(args, op)
        made = f"{self.constant(a['code'])}, {a['name']!r}, \x01fn, {self.values(cells)}"
        self.put(f"{out} = \x01tl.make_class({made}, {bases})")

    def op_import(self, op: Op) -> None:
        a = op.attrs
        names = ", ".join(o.name for o in op.outs)
        comma = "," if len(op.outs) == 1 else ""
        what = f"{a['module']!r}, {a['names']!r}, {a['level']}, {a['asname'] is not None}"
        self.put(f"{names}{comma} = \x01tl.import_(\x01fn.__globals__, {what})")

    def op_yield(self, op: Op) -> None:
        out = op.outs[0].name
        self.put(f"\x01slot.out = {self.tangent(op.args[0])}")
        self.put(f"{out} = yield {self.value(op.args[0])}")
        self.put(f"{out}{self.d} = \x01slot.take()")

    def op_yield_from(self, op: Op) -> None:
        self.give(op, f"yield from \x01tl.yield_from({self.both(op.args[0])}, \x01slot)")

    # ---- control

    def truth(self, x: Operand) -> str:
        """A test of `x`, which may ask a special method of it."""
        name = self.value(x)
        if not isinstance(x, Var) or x in self.tests:
            return name
        plainly = f"{name} if {self.constant(type)}({name}) in {self.constant(TRUTHS)}"
        return f"{name} is True or {name} is not False and ({plainly} else \x01tl.truth({self.both(x)}))"

    def op_if(self, op: Op) -> None:
        self.put(f"if {self.truth(op.args[0])}:")
        self.nested(op.blocks[0])
        if op.blocks[1].ops:
            self.put("else:")
            self.nested(op.blocks[1])

    def op_while(self, op: Op) -> None:
        cond, body, orelse = op.blocks
        self.flags += 1
        flag = f"\x01else{self.flags}"
        if orelse.ops:
            self.put(f"{flag} = False")
        self.put("while True:")
        self.depth += 1
        if cond.ops:
            self.block(cond)
        self.put(f"if not ({self.truth(op.args[0])}):")
        self.put(f"    {f'{flag} = True; ' if orelse.ops else ''}break")
        self.depth -= 1
        self.nested(body)
        if orelse.ops:
            self.put(f"if {flag}:")
            self.nested(orelse)

    def op_for(self, op: Op) -> None:
        self.put(f"for {self.results(op)} in \x01tl.iterate({self.both(op.args[0])}):")
        self.nested(op.blocks[0], op.outs)
        if op.blocks[1].ops:
            self.put("else:")
            self.nested(op.blocks[1])

    def op_try(self, op: Op) -> None:
        body, handler, orelse, final = op.blocks
        self.put("try:")
        self.nested(body)
        if op.attrs["handles"]:
            caught = op.outs[0].name
            self.put(f"except BaseException as {caught}_:")
            self.depth += 1
            self.put(f"if {caught}_ is \x01tl.failure: raise")
            self.put(f"{caught} = {caught}_")
            self.block(handler)
            self.depth -= 1
        if orelse.ops:
            self.put("else:")
            self.nested(orelse)
        if op.attrs["finally_"]:
            self.put("finally:")
            self.nested(final)

    def op_return(self, op: Op) -> None:
        if self.program.is_generator:
            self.put(f"\x01slot.returned = {self.tangent(op.args[0])}")
            self.put(f"return {self.value(op.args[0])}")
        else:
            self.put(f"return {self.both(op.args[0])}")

    def op_break(self, op: Op) -> None:
        self.put("break")

    def op_continue(self, op: Op) -> None:
        self.put("continue")

    def op_raise(self, op: Op) -> None:
        args = [self.value(a) for a in op.args]
        self.put(f"raise {' from '.join(args)}".rstrip())


def _is_test(op: Op) -> bool:
    how = op.attrs.get("op")
    return op.kind == "matches" or op.kind == "compare" and how in ("is", "is not") or how == "Not"


def _maybe_active(program: Program) -> set[Var]:
    """Variables whose companion may be something else than None."""
    active = {p.var for p in program.params}
    ops = list(program.body.walk())
    used_as_value = {a for op in ops for i, a in enumerate(op.args) if not (op.kind == "call" and i == 0)}
    for op in ops:
        if op.kind in _INACTIVE or op.kind == "try" or (op.kind == "unary" and op.attrs["op"] == "Not"):
            continue
        if op.kind == "global" and (op.outs[0] not in used_as_value):
            continue
        if op.kind != "copy":
            active.update(op.outs)
    changed = True
    while changed:
        changed = False
        for op in ops:
            if op.kind == "copy" and op.args[0] in active and op.outs[0] not in active:
                active.add(op.outs[0])
                changed = True
    return active
