"""Whether a Program is well formed: run after every pass in the test suite."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from tapeless.errors import VerifyError
from tapeless.program.ir import VOCABULARY, Block, Lit, Op, Operand, Program, Signature, Var
from tapeless.program.printer import excerpt

BINARY = frozenset(
    "Add Sub Mult MatMult Div FloorDiv Mod Pow LShift RShift BitOr BitXor BitAnd".split()
)  # fmt: skip
UNARY = frozenset("UAdd USub Not Invert".split())
COMPARE = frozenset(["==", "!=", "<", "<=", ">", ">=", "is", "is not", "in", "not in"])
LOOPS = ("for", "while", "loop")
PARAM_KINDS = ("positional", "standard", "vararg", "keyword", "kwarg")


def verify(program: Program, typed: bool = False) -> None:
    """Raise `VerifyError`, naming the operation and its place, if `program` is not well formed.

    In a `typed` Program temporaries may share the name `_`, and a call may have any number of results.
    """
    _Verifier(program, typed).run()


class _Verifier:
    def __init__(self, program: Program, typed: bool) -> None:
        self.program = program
        self.typed = typed
        self.path: list[str] = []
        self.op: Op | None = None
        self.names: dict[str, Var] = {}
        self.cells = {
            op.outs[0]
            for op in program.body.walk()
            if op.kind in ("new_cell", "free_cell") and len(op.outs) == 1
        }
        code = program.code
        self.source_names = frozenset() if code is None else frozenset((*code.co_varnames, *code.co_cellvars))

    def run(self) -> None:
        program = self.program
        ranks = []
        for param in program.params:
            self.expect(
                param.kind in PARAM_KINDS,
                f"kind of parameter {param.name!r}",
                "one of " + ", ".join(PARAM_KINDS),
                repr(param.kind),
            )
            ranks.append(PARAM_KINDS.index(param.kind))
        if ranks != sorted(ranks):
            self.fail("parameters are out of order, expected " + ", ".join(PARAM_KINDS))
        for kind in ("vararg", "kwarg"):
            if sum(param.kind == kind for param in program.params) > 1:
                self.fail(f"there are two parameters of kind {kind!r}, expected at most one")
        assigned: set[Var] = set()
        for param in program.params:
            self.name(param.var)
            if param.var in assigned:
                self.fail(f"variable {param.var.name!r} is two parameters, expected one")
            assigned.add(param.var)
        self.block(program.body, assigned, loop=False, handler=False)

    # ---- failing

    def fail(self, message: str) -> NoReturn:
        where = "/".join([self.program.name, *self.path])
        op = self.op
        line = 0 if op is None else op.line
        what = "" if op is None else f"`{op.kind}` at {where}: "
        error = VerifyError(
            f"{what or where + ': '}{message}\n{self.context()}", filename=self.program.filename, line=line
        )
        raise error

    def context(self) -> str:
        """Ten lines of the Program around the operation that is wrong."""
        if self.op is None:
            return "  (in the parameters)"
        try:
            return excerpt(self.program, self.op)
        except (ValueError, KeyError, StopIteration, RuntimeError, AttributeError, TypeError) as error:
            return f"  (the Program cannot be shown: {error!r})"

    def expect(self, condition: bool, what: str, expected: Any, got: Any) -> None:
        if not condition:
            self.fail(f"{what}: expected {expected}, got {got}")

    # ---- blocks

    def block(self, block: Block, assigned: set[Var], *, loop: bool, handler: bool) -> None:
        """Check `block`; `assigned` gains what it may assign."""
        for i, op in enumerate(block.ops):
            self.path.append(str(i))
            self.op = op
            signature = VOCABULARY.get(op.kind)
            if signature is None:
                self.fail(f"unknown kind {op.kind!r}, expected one of the vocabulary of program.ir")
            self.shape(op, signature)
            last = i == len(block.ops) - 1
            self.expect(
                last or not signature.terminator,
                "position of a terminator",
                "last in its block",
                f"operation {i} of {len(block.ops)}",
            )
            for index, arg in enumerate(op.args):
                self.use(op, index, arg, assigned)
            if op.kind in ("break", "continue"):
                self.expect(loop, "place", "inside a loop", "no loop around it")
            check = CHECKS.get(op.kind)
            if check is not None:
                check(self, op)
            self.blocks(op, assigned, loop=loop, handler=handler)
            self.op = op
            for out in op.outs:
                self.name(out)
                assigned.add(out)
            self.path.pop()

    def blocks(self, op: Op, assigned: set[Var], *, loop: bool, handler: bool) -> None:
        if op.kind in LOOPS:
            assigned.update(out for block in op.blocks[:-1] for inner in block.walk() for out in inner.outs)
            assigned.update(op.outs)
        if op.kind == "try":
            assigned.update(op.outs)
        for i, block in enumerate(op.blocks):
            body = op.kind in LOOPS and i < len(op.blocks) - 1
            self.path.append(f"{op.kind}{i}")
            self.block(block, assigned, loop=loop or body, handler=handler or (op.kind == "try" and i == 1))
            self.path.pop()

    def shape(self, op: Op, signature: Signature) -> None:
        self.counted(op, "operands", signature.args, len(op.args))
        if not (self.typed and op.kind in ("call", "call_method")):
            self.counted(op, "results", signature.outs, len(op.outs))
        self.counted(op, "blocks", signature.blocks, len(op.blocks))
        for name in signature.attrs:
            self.expect(
                name in op.attrs,
                f"attribute {name!r}",
                "a value",
                f"none (has: {', '.join(op.attrs) or 'none'})",
            )
        for index, arg in enumerate(op.args):
            self.expect(isinstance(arg, Var | Lit), f"operand {index}", "a Var or a Lit", repr(arg))
        for index, out in enumerate(op.outs):
            self.expect(isinstance(out, Var), f"result {index}", "a Var", repr(out))

    def counted(self, op: Op, what: str, expected: int | None, got: int) -> None:
        self.expect(expected is None or expected == got, f"number of {what}", expected, got)

    # ---- variables

    def name(self, var: Var) -> None:
        if self.typed and var.name == "_":
            return
        other = self.names.setdefault(var.name, var)
        if other is not var:
            self.fail(f"two variables are named {var.name!r}, expected a name of its own for each")
        if not var.name.isidentifier():
            self.fail(f"a variable is named {var.name!r}, expected an identifier")

    def use(self, op: Op, index: int, arg: Operand, assigned: set[Var]) -> None:
        if isinstance(arg, Lit):
            return
        if op.kind == "while":
            return  # the condition block assigns it
        if arg not in assigned and arg.name not in self.source_names:
            self.fail(f"operand {index}: expected a variable assigned before on some path, got {arg.name!r}")
        wants = index in self.cell_positions(op)
        is_cell = arg in self.cells
        if wants and not is_cell:
            self.fail(f"operand {index}: expected a cell (from new_cell or free_cell), got {arg.name!r}")
        if is_cell and not wants and op.kind in VOCABULARY and op.kind != "copy":
            self.fail(f"operand {index}: expected a value, got the cell {arg.name!r}")

    def cell_positions(self, op: Op) -> range:
        if op.kind in ("load_cell", "store_cell", "del_cell"):
            return range(1)
        if op.kind in ("function", "class"):
            return range(max(0, len(op.args) - int(op.attrs["cells"])), len(op.args))
        return range(0)


# ---- one check a kind


def _one_of(attr: str, allowed: frozenset[str]) -> Callable[[_Verifier, Op], None]:
    def check(v: _Verifier, op: Op) -> None:
        v.expect(
            op.attrs[attr] in allowed,
            f"attribute {attr!r}",
            f"one of {', '.join(sorted(allowed))}",
            op.attrs[attr],
        )

    return check


def _starred(v: _Verifier, op: Op) -> None:
    v.expect(
        len(op.attrs["starred"]) == len(op.args),
        "length of 'starred'",
        len(op.args),
        len(op.attrs["starred"]),
    )


def _spread(v: _Verifier, op: Op) -> None:
    wanted = sum(1 if spread else 2 for spread in op.attrs["spread"])
    v.expect(wanted == len(op.args), "number of operands by 'spread'", wanted, len(op.args))


def _call(v: _Verifier, op: Op) -> None:
    cells = op.attrs["cells"] if op.kind == "class" else 0
    wanted = (op.kind != "class") + len(op.attrs["starred"]) + len(op.attrs["keywords"]) + cells
    v.expect(wanted == len(op.args), "number of operands by 'starred' and 'keywords'", wanted, len(op.args))


def _function(v: _Verifier, op: Op) -> None:
    wanted = op.attrs["defaults"] + len(op.attrs["kwdefaults"]) + op.attrs["cells"]
    v.expect(
        wanted == len(op.args),
        "number of operands by 'defaults', 'kwdefaults' and 'cells'",
        wanted,
        len(op.args),
    )
    free = len(op.attrs["code"].co_freevars)
    v.expect(
        free == op.attrs["cells"], "number of cells by the code's free variables", free, op.attrs["cells"]
    )


def _unpack(v: _Verifier, op: Op) -> None:
    star = op.attrs["star"]
    v.expect(
        star is None or 0 <= star < len(op.outs), "attribute 'star'", f"None or below {len(op.outs)}", star
    )


def _format(v: _Verifier, op: Op) -> None:
    wanted = sum(0 if isinstance(part, str) else 1 + bool(part[1]) for part in op.attrs["template"])
    v.expect(wanted == len(op.args), "number of operands by 'template'", wanted, len(op.args))


def _raise(v: _Verifier, op: Op) -> None:
    if op.attrs["cause"]:
        v.expect(len(op.args) == 2, "number of operands of a raise with a cause", 2, len(op.args))
    else:
        v.expect(len(op.args) < 2, "number of operands of a raise", "0 or 1", len(op.args))


def _import(v: _Verifier, op: Op) -> None:
    wanted = len(op.attrs["names"]) or 1
    v.expect(wanted == len(op.outs), "number of results by 'names'", wanted, len(op.outs))


def _del(v: _Verifier, op: Op) -> None:
    v.expect(isinstance(op.args[0], Var), "operand 0", "a variable", repr(op.args[0]))


def _free_cell(v: _Verifier, op: Op) -> None:
    v.expect(
        op.attrs["name"] in v.program.freevars,
        "attribute 'name'",
        f"a free variable of the program ({', '.join(v.program.freevars) or 'it has none'})",
        op.attrs["name"],
    )


def _yield(v: _Verifier, op: Op) -> None:
    v.expect(v.program.is_generator, "place", "a generator", "a Program that is not one")


def _while(v: _Verifier, op: Op) -> None:
    outs = {out for inner in op.blocks[0].walk() for out in inner.outs}
    test = op.args[0]
    v.expect(
        isinstance(test, Lit) or test in outs, "operand 0", "assigned by the condition block", repr(test)
    )


CHECKS: dict[str, Callable[[_Verifier, Op], None]] = {
    "binary": _one_of("op", BINARY),
    "inplace": _one_of("op", BINARY),
    "augitem": _one_of("op", BINARY),
    "unary": _one_of("op", UNARY),
    "compare": _one_of("op", COMPARE),
    "tuple": _starred,
    "list": _starred,
    "set": _starred,
    "dict": _spread,
    "call": _call,
    "call_method": _call,
    "class": _call,
    "function": _function,
    "unpack": _unpack,
    "format": _format,
    "raise": _raise,
    "import": _import,
    "del": _del,
    "free_cell": _free_cell,
    "yield": _yield,
    "yield_from": _yield,
    "while": _while,
}
