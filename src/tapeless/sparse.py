"""Sparse Jacobians: the pattern is found or given, the matrix is computed by colours of columns or rows."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np

from tapeless.colouring import Integers
from tapeless.errors import NotDifferentiableError, StructureError
from tapeless.native import Jitted
from tapeless.sparsity import Pattern, Words, find
from tapeless.transformed import Argnums, Transformed, positions, shared

#: A given pattern is checked against a product with a random vector, to this relative difference.
TOLERANCES = {"float64": 1e-8, "float32": 1e-3}
#: Colours that compiled code takes at once.
WIDTHS = (1, 2, 4, 8, 16)
#: A run of compiled code for several colours takes as long as so many colours more.
RUN = 3


class SparseJacobian(Transformed):
    """The function that `jacobian(fun, sparse=...)` returns: its results are SciPy's `csr_array`."""

    def __init__(
        self, fun: Callable[..., Any], argnums: Argnums, sparse: Any = True, mode: str = "auto"
    ) -> None:
        super().__init__(fun, argnums, False)
        self.sparse, self.mode = sparse, mode
        self.given = None if sparse is True else _given(sparse)
        self.memory = shared(fun, "patterns", _Memory)

    def __reduce__(self) -> Any:
        return SparseJacobian, (self.fun, self.argnums, self.sparse, self.mode)

    def compiled_by(self, make: Callable[[Any], Jitted]) -> SparseJacobian:
        """The same by compiled code: `jit` of it."""
        fun = self.fun if isinstance(self.fun, Jitted) else make(self.fun)
        return SparseJacobian(fun, self.argnums, self.sparse, self.mode)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        where = positions(self.fun, self.argnums, args, kwargs)
        wanted = [args[w] if isinstance(w, int) else kwargs[w] for w in where]
        for x in wanted:
            if not isinstance(x, np.ndarray) or x.dtype.name not in TOLERANCES:
                got = f"array of {x.dtype}" if isinstance(x, np.ndarray) else type(x).__name__
                raise NotDifferentiableError(
                    f"a sparse jacobian is taken with respect to an array of floats, not a {got}"
                )
        many = isinstance(self.argnums, (tuple, list))
        if many and self.given is not None:
            raise StructureError("a given pattern is for one argument; call jacobian for each of them")
        if isinstance(self.fun, Jitted):
            last = len(where) - 1
            blocks = [
                _Native(self, w, x, args, kwargs, k < last).matrix()
                for k, (w, x) in enumerate(zip(where, wanted, strict=True))
            ]
        else:
            blocks = self.in_python(where, wanted, args, kwargs)
        return tuple(blocks) if many else blocks[0]

    def in_python(self, where: Any, wanted: list[Any], args: Any, kwargs: Any) -> list[Any]:
        lin, outputs = _linearized(self.fun, where, args, kwargs)
        return [_InPython(self, lin, outputs, k, wanted[k]).matrix() for k in range(len(wanted))]


#: What a sparse Jacobian is taken of.
NEEDED = "a sparse jacobian needs a function whose result is an array of floats"


def _linearized(fun: Any, where: list[Any], args: Any, kwargs: Any) -> tuple[Any, Any]:
    """One run in CPython, and what its record says of the result."""
    from tapeless.runtime.linearized import Linearized
    from tapeless.runtime.structure import outputs_of
    from tapeless.runtime.tracebacks import user_frames_only

    with user_frames_only():
        lin = Linearized(fun, args, kwargs, where, "jacobian")
    value = lin.value
    if not isinstance(value, np.ndarray) or value.dtype.kind == "c":
        got = f"array of {value.dtype}" if isinstance(value, np.ndarray) else type(value).__name__
        raise StructureError(f"{NEEDED}, not a {got}")
    return lin, outputs_of(lin.run, value, lin.tangent, {})


#: What a given pattern may have wrong.
ROWS = "the pattern has another number of rows than the result has elements"


class _Memory:
    """The patterns that were found for a function."""

    def __init__(self) -> None:
        self.known: list[_Known] = []
        """By compiled code, the latest first."""
        self.last: Pattern | None = None
        """In the last run in CPython."""


class _Block:
    """The Jacobian by one argument, in one call."""

    owner: SparseJacobian
    x: Any

    def pattern(self) -> Pattern:
        """The pattern for this call."""
        raise NotImplementedError

    def sums(self, colours: Integers, weights: Any, count: int, shape: tuple[int, int], forward: bool) -> Any:
        """The sums of the columns of each colour, times their weights: [row, colour]; or those of the rows:
        [colour, column]."""
        raise NotImplementedError

    def entries(self, pattern: Pattern, colours: Integers, count: int, forward: bool) -> Any:
        """The entries of the matrix in the order of the pattern."""
        sums = self.sums(colours, pattern.ones(forward, self.x.dtype), count, pattern.shape, forward)
        if sums.shape != ((pattern.shape[0], count) if forward else (count, pattern.shape[1])):
            raise StructureError(ROWS)
        return np.take(sums.reshape(-1), pattern.by_columns if forward else pattern.by_rows)

    def matrix(self) -> Any:
        from scipy.sparse import csr_array  # type: ignore[import-untyped]

        pattern = self.owner.given or self.pattern()
        height, width = pattern.shape
        if width != self.x.size:
            raise StructureError(
                f"the pattern has {width} columns, but the argument has {self.x.size} elements"
            )
        forward = pattern.forward(self.owner.mode)
        colours = pattern.column_colours if forward else pattern.row_colours
        count = pattern.column_count if forward else pattern.row_count
        direction = None
        if self.owner.given is not None:
            direction = np.random.default_rng(0).uniform(0.5, 1.5, len(colours)).astype(self.x.dtype)
            expected = self.along(direction, pattern.shape, forward)
        entries = self.entries(pattern, colours, count, forward)
        indices, starts = pattern.indices
        made = csr_array((entries, indices.copy(), starts.copy()), shape=pattern.shape)
        if direction is not None:
            self.check(made, direction, expected, forward)
        return made

    def along(self, direction: Any, shape: tuple[int, int], forward: bool) -> Any:
        """The derivative in a direction, or the cotangent."""
        return self.sums(np.zeros(len(direction), np.int64), direction, 1, shape, forward).reshape(-1)

    def check(self, made: Any, v: Any, expected: Any, forward: bool) -> None:
        """Compare the product with a random vector with the derivative in that direction."""
        turned = made if forward else made.T
        found, scale = turned @ v, abs(turned) @ v
        with np.errstate(invalid="ignore"):
            off = abs(found - expected) > TOLERANCES[self.x.dtype.name] * (scale + abs(expected))
        if off.any():
            at = int(np.argmax(off))
            raise StructureError(
                f"the given pattern does not cover the jacobian: {'row' if forward else 'column'} {at} has "
                "an entry elsewhere; give a pattern with all entries, or sparse=True to have it found"
            )


class _InPython(_Block):
    def __init__(self, owner: SparseJacobian, lin: Any, outputs: Any, k: int, x: Any) -> None:
        self.owner, self.lin, self.outputs, self.k, self.x = owner, lin, outputs, k, x

    def pattern(self) -> Pattern:
        """Found anew from the record of this very call."""
        from tapeless.runtime.dependence import propagate

        def words(given: Words) -> Words:
            return propagate(self.lin, self.k, self.outputs, given)

        memory = self.owner.memory
        made = find(words, self.x.size, self.lin.value.size)
        if memory.last is not None and made.same(memory.last):
            made = memory.last  # whose colours are known
        memory.last = made
        return made

    def sums(self, colours: Integers, weights: Any, count: int, shape: tuple[int, int], forward: bool) -> Any:
        from tapeless.api import Pullback

        lin, value = self.lin, self.lin.value
        like = self.x if forward else value
        if len(colours) != like.size:
            raise StructureError(ROWS)
        dtype = np.result_type(self.x.dtype, value.dtype)
        made = np.zeros((value.size, count) if forward else (count, self.x.size), dtype)
        others = len(lin.plans) - self.k - 1
        for c in range(count):
            seed = np.where(colours == c, weights, 0).astype(like.dtype).reshape(like.shape)
            if forward:
                tangents = ((None,) * self.k) + (seed,) + (None,) * others
                made[:, c] = lin.push(tangents, self.outputs, fixed=True).reshape(-1)
            else:
                made[c] = Pullback(lin, self.outputs)(seed)[self.k].reshape(-1)
        return made


class _Native(_Block):
    def __init__(
        self, owner: SparseJacobian, at: int | str, x: Any, args: Any, kwargs: Any, trial: bool
    ) -> None:
        """A `trial` leaves no trace: it prints nothing and changes nothing."""
        self.owner, self.at, self.x, self.args, self.kwargs = owner, at, x, args, kwargs
        self.trial = trial
        self.fun: Jitted = owner.fun  # type: ignore[assignment]

    def pattern(self) -> Pattern:
        """What was found for a call like this one, or found now."""
        memory = self.owner.memory
        for known in memory.known:
            if known.at == self.at and known.fits(self.args, self.kwargs):
                return known.pattern
        at = self.at
        run = self.fun.part(("words", at), lambda f: Dependence(f, at))
        kept = copy.deepcopy((self.args, self.kwargs))

        def words(given: Words) -> Words:
            args, kwargs = copy.deepcopy(kept)
            made, _ = run(given.view(np.int64).reshape(self.x.shape), *args, **kwargs)
            return np.asarray(made.reshape(-1).view(np.uint64))

        seed = np.zeros(self.x.shape, np.int64)
        plan, (value, read) = _served(run, (seed, *self.args), self.kwargs)
        made = find(words, self.x.size, value.size)
        for known in memory.known:
            if made.same(known.pattern):
                made = known.pattern
        if plan is not None:
            latest = _Known(self.at, made, plan, read, self.args, self.kwargs)
            memory.known = [latest, *memory.known[:7]]
        return made

    def entries(self, pattern: Pattern, colours: Integers, count: int, forward: bool) -> Any:
        """Of few colours, picked by the run itself."""
        if not 0 < count <= WIDTHS[-1]:
            return super().entries(pattern, colours, count, forward)
        width = next(w for w in WIDTHS[1:] if w >= count)
        ones = pattern.ones(forward, self.x.dtype)
        # threads share loops whose places are proved to be apart, which rows of any length are not
        rows = forward and not self.fun.options.parallel
        places = (pattern.indices[1], pattern.lanes) if rows else pattern.places(forward, width)
        return self.run(colours, ones, count, pattern.shape, forward, width, places)

    def sums(self, colours: Integers, weights: Any, count: int, shape: tuple[int, int], forward: bool) -> Any:
        width = min(WIDTHS, key=lambda w: -(-count // w) * (w + RUN))  # so that few lanes are empty
        made = self.run(colours, weights, count, shape, forward, width, None)
        return made.reshape((shape[0], count) if forward else (count, shape[1]))

    def run(
        self, colours: Integers, weights: Any, count: int, shape: Any, forward: bool, width: int, places: Any
    ) -> Any:
        at, direct = self.at, places is not None
        trial, args, kwargs = self.trial, self.args, self.kwargs
        if trial:
            args, kwargs = copy.deepcopy((args, kwargs))
        key = ("colours", at, forward, width, direct, trial)
        run = self.fun.part(key, lambda f: Compressed(f, at, forward, width, direct, trial))
        size = shape[0] if forward else shape[1]
        return run(colours, weights, count, size, places, *args, **kwargs)

    def along(self, direction: Any, shape: tuple[int, int], forward: bool) -> Any:
        trial, self.trial = self.trial, True
        made = super().along(direction, shape, forward)
        self.trial = trial
        return made


def _served(run: Jitted, args: Any, kwargs: Any) -> tuple[Any, Any]:
    """The plan of the entry that serves a call (None in CPython), and what it gives."""
    from tapeless.backends.native.entry import MISSED

    run(*copy.deepcopy(args), **copy.deepcopy(kwargs))
    for entry in run.entries:
        if entry.takes(args, kwargs):
            found = entry.probe(*copy.deepcopy(args), **copy.deepcopy(kwargs))
            if found is not MISSED:
                return entry.plan, found
    return None, run(*copy.deepcopy(args), **copy.deepcopy(kwargs))


class _Known:
    """A pattern, and what it depends on: guards, shapes, and the values that the nest of words reads."""

    def __init__(
        self, at: int | str, pattern: Pattern, plan: Any, read: tuple[int, ...], args: Any, kwargs: Any
    ) -> None:
        self.at, self.pattern, self.guards = at, pattern, plan.guards
        x = args[at] if isinstance(at, int) else kwargs[at]
        self.words = np.broadcast_to(np.int64(0), x.shape)  # in the place of the first argument
        self.inputs: list[tuple[Any, Any]] = []
        given = (self.words, *args)
        for k, path in enumerate(plan.inputs):
            value = path.read(given, kwargs)
            exact = k in read or not isinstance(value, (float, np.floating, np.ndarray))
            if value is not given[0]:
                self.inputs.append((path, _Seen(value, exact)))

    def fits(self, args: Any, kwargs: Any) -> bool:
        given = (self.words, *args)
        try:
            return all(g.holds(given, kwargs) for g in self.guards) and all(
                seen.like(path.read(given, kwargs)) for path, seen in self.inputs
            )
        except (AttributeError, KeyError, IndexError, ValueError, TypeError):
            return False


class _Seen:
    """What was seen of an input: its type and shape, and its value where that counts."""

    def __init__(self, value: Any, exact: bool) -> None:
        self.form = _form(value)
        self.exact = exact
        self.value: Any = copy.copy(value) if exact else None

    def like(self, value: Any) -> bool:
        if _form(value) != self.form:
            return False
        if not self.exact:
            return True
        if not isinstance(value, np.ndarray):
            return bool(value == self.value)
        return np.array_equal(value, self.value, equal_nan=value.dtype.kind == "f")


def _form(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return type(value), value.dtype, value.shape, value.flags.c_contiguous
    return type(value)


def _given(sparse: Any) -> Pattern:
    """The pattern that a SciPy sparse matrix or an array of truths stands for."""
    from scipy.sparse import coo_array, issparse

    if not issparse(sparse):
        sparse = np.asarray(sparse)
        if sparse.dtype.kind not in "biuf" or sparse.ndim != 2:
            raise StructureError(
                "sparse is True, or a pattern: a matrix of SciPy or an array with two axes that is not zero "
                "where the jacobian may differ from zero"
            )
        sparse = coo_array(sparse != 0)
    entries = sparse.tocoo()
    if entries.ndim != 2:
        raise StructureError("a pattern has two axes: the result's elements and the argument's")
    rows, columns = (np.asarray(x, np.int64) for x in entries.coords)
    unique = np.unique(rows * max(entries.shape[1], 1) + columns)
    return Pattern(entries.shape, unique // max(entries.shape[1], 1), unique % max(entries.shape[1], 1))


class Dependence(Transformed):
    """On which elements of the argument `at` the elements of the result depend: words of bits, compiled.

    With them come the numbers of the inputs whose values were read.
    """

    def __init__(self, fun: Callable[..., Any], at: int | str) -> None:
        super().__init__(fun, 0, False)
        self.at = at

    def __reduce__(self) -> Any:
        return Dependence, (self.fun, self.at)

    def __call__(self, words: Any, *args: Any, **kwargs: Any) -> Any:
        """The same in CPython."""
        from tapeless.runtime.dependence import propagate

        lin, outputs = _linearized(self.fun, [self.at], args, kwargs)
        return propagate(lin, 0, outputs, words.reshape(-1).view(np.uint64)).view(np.int64), ()


class Compressed(Transformed):
    """Sums of columns (of rows, unless `forward`) of the Jacobian by colours, compiled, `width` at once.

    If `direct`, the result is elements of these sums, by their places in an array [..., colour] of `width`
    colours, or by where each row's start and by their colours.
    """

    def __init__(
        self, fun: Callable[..., Any], at: int | str, forward: bool, width: int, direct: bool, silent: bool
    ) -> None:
        super().__init__(fun, 0, False)
        self.at, self.forward, self.width, self.direct, self.silent = at, forward, width, direct, silent

    def __reduce__(self) -> Any:
        return Compressed, (self.fun, self.at, self.forward, self.width, self.direct, self.silent)

    def __call__(
        self, colours: Any, weights: Any, count: int, size: int, places: Any, *args: Any, **kwargs: Any
    ) -> Any:
        """The same in CPython."""
        lin, outputs = _linearized(self.fun, [self.at], args, kwargs)
        x = args[self.at] if isinstance(self.at, int) else kwargs[self.at]
        block = _InPython(SparseJacobian(self.fun, self.at), lin, outputs, 0, x)
        shape = (size, len(colours)) if self.forward else (len(colours), size)
        made = block.sums(colours, weights, count, shape, self.forward)
        if not self.direct:
            return made
        wide = np.zeros((size, self.width), made.dtype)
        wide[:, :count] = made if self.forward else made.T
        if isinstance(places, tuple):
            starts, lanes = places
            places = np.repeat(np.arange(size), np.diff(starts)) * self.width + lanes
        return np.take(wide.reshape(-1), places)
