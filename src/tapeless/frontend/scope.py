"""Which names of a function are local, captured by an inner function, or somebody else's."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

Inner = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.GeneratorExp | ast.ClassDef
_COMPREHENSION = ast.ListComp | ast.SetComp | ast.DictComp


def parameters(args: ast.arguments) -> list[str]:
    """All parameter names, in the order of the code object's variables."""
    names = [a.arg for a in (*args.posonlyargs, *args.args, *args.kwonlyargs)]
    return names + [a.arg for a in (args.vararg, args.kwarg) if a is not None]


def target_names(target: ast.AST) -> Iterator[str]:
    """Names that an assignment to `target` binds."""
    for node in ast.walk(target):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store | ast.Del):
            yield node.id


def walrus_names(node: ast.GeneratorExp) -> set[str]:
    """Names that `:=` inside a generator expression binds: in the function around it."""
    found: set[str] = set()
    rest: list[ast.AST] = [node]
    while rest:
        one = rest.pop()
        if isinstance(one, ast.NamedExpr):
            found.add(one.target.id)
        rest += [n for n in ast.iter_child_nodes(one) if not isinstance(n, ast.Lambda)]
    return found


class Names(ast.NodeVisitor):
    """Names bound and used directly in one scope, and the scopes written inside it."""

    def __init__(self) -> None:
        self.bound: set[str] = set()
        self.used: set[str] = set()
        self.globals: set[str] = set()
        self.nonlocals: set[str] = set()
        self.inner: list[Inner] = []
        self._hidden: list[set[str]] = []

    def read(self, nodes: Iterable[ast.AST]) -> Names:
        for node in nodes:
            self.visit(node)
        return self

    def visit_Name(self, node: ast.Name) -> None:
        if any(node.id in names for names in self._hidden):
            return
        (self.used if isinstance(node.ctx, ast.Load) else self.bound).add(node.id)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if isinstance(node.target, ast.Name) and not node.simple and node.value is None:
            return  # `(name): annotation` binds nothing
        self.generic_visit(node)

    def visit_Global(self, node: ast.Global) -> None:
        self.globals.update(node.names)

    def visit_Nonlocal(self, node: ast.Nonlocal) -> None:
        self.nonlocals.update(node.names)

    def visit_Import(self, node: ast.Import) -> None:
        self.bound.update((a.asname or a.name.split(".")[0]) for a in node.names)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        self.bound.update(a.asname or a.name for a in node.names)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        if node.name:
            self.bound.add(node.name)
        self.generic_visit(node)

    def visit_MatchAs(self, node: ast.MatchAs) -> None:
        if node.name:
            self.bound.add(node.name)
        self.generic_visit(node)

    def visit_MatchStar(self, node: ast.MatchStar) -> None:
        if node.name:
            self.bound.add(node.name)

    def visit_MatchMapping(self, node: ast.MatchMapping) -> None:
        if node.rest:
            self.bound.add(node.rest)
        self.generic_visit(node)

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self.bound.add(node.target.id)
        self.visit(node.value)

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> None:
        for default in (*node.args.defaults, *node.args.kw_defaults):
            if default is not None:
                self.visit(default)
        for decorator in getattr(node, "decorator_list", []):
            self.visit(decorator)
        if not isinstance(node, ast.Lambda):
            self.bound.add(node.name)
        self.inner.append(node)

        if not isinstance(node, ast.Lambda):
            args = node.args
            every = [*args.posonlyargs, *args.args, *args.kwonlyargs, args.vararg, args.kwarg]
            for note in (*(a.annotation for a in every if a is not None), node.returns):
                if note is not None:
                    self.visit(note)

    visit_FunctionDef = _function
    visit_AsyncFunctionDef = _function
    visit_Lambda = _function

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for part in (*node.decorator_list, *node.bases, *node.keywords):
            self.visit(part)
        self.bound.add(node.name)
        self.inner.append(node)

    def visit_GeneratorExp(self, node: ast.GeneratorExp) -> None:
        self.visit(node.generators[0].iter)
        self.bound |= walrus_names(node)
        self.inner.append(node)

    def _comprehension(self, node: ast.ListComp | ast.SetComp | ast.DictComp) -> None:
        self.visit(node.generators[0].iter)
        self._hidden.append({n for g in node.generators for n in target_names(g.target)})
        for i, generator in enumerate(node.generators):
            if i:
                self.visit(generator.iter)
            for test in generator.ifs:
                self.visit(test)
        if isinstance(node, ast.DictComp):
            self.visit(node.key)
            self.visit(node.value)
        else:
            self.visit(node.elt)
        self._hidden.pop()

    visit_ListComp = _comprehension
    visit_SetComp = _comprehension
    visit_DictComp = _comprehension


def free_names(node: Inner) -> set[str]:
    """Names that `node`, a scope inside another, may take from the scopes around it."""
    names = Names()
    bound: set[str] = set()
    match node:
        case ast.Lambda():
            names.read([node.body])
            bound = set(parameters(node.args))
        case ast.GeneratorExp():
            for i, generator in enumerate(node.generators):
                names.read([*([generator.iter] if i else []), *generator.ifs])
                bound.update(target_names(generator.target))
            names.read([node.elt])
            names.used |= walrus_names(node)
            names.bound = set()
        case ast.ClassDef():
            names.read(node.body)
        case _:
            names.read(node.body)
            bound = set(parameters(node.args))
    free = set(names.used)
    for inner in names.inner:
        free |= free_names(inner)
    if isinstance(node, ast.ClassDef):
        inner_free = {name for inner in names.inner for name in free_names(inner)}
        return (names.used - names.bound - names.globals) | inner_free | names.nonlocals
    return (free - ((names.bound | bound) - names.nonlocals) - names.globals) | names.nonlocals


def captured_names(names: Names) -> set[str]:
    """Names of a scope that scopes inside it may read or rebind."""
    return {name for inner in names.inner for name in free_names(inner)}
