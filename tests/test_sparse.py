"""Sparse Jacobians agree with dense ones, on both roads, and never miss an entry."""

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

import tapeless as tl
from tapeless.colouring import colour, count_of
from tapeless.errors import NotCompilable, NotDifferentiableError, StructureError
from tapeless.sparse import SparseJacobian
from tapeless.sparsity import Pattern, find

X = np.random.default_rng(0).uniform(0.5, 1.5, 40)
MIXING = np.random.default_rng(1).normal(size=(4, 4))


def banded(x):
    y = x.copy()
    y[1:-1] += np.sin(x[2:]) * x[:-2]
    return y


def recurrence(x):
    y = np.zeros(len(x))
    for i in range(len(x)):
        y[i] = x[i] ** 2 + (x[i - 1] if i else 0.0)
    return y


def arrow(x):
    y = x * x[0]
    y[0] = np.sum(x**2)
    return y


def block(x):
    return np.concatenate([MIXING @ x[4 * k : 4 * k + 4] ** 2 for k in range(10)])


def full(x):
    return x * np.sum(x)


def nothing(x):
    return np.ones(len(x)) + 0.0 * len(x)


def few_rows(x):
    return np.array([x[0] * x[1], x[2], np.sum(x)])


def spectrum(x):
    return np.fft.fft(x[:8]).real * x[:8]


def solved(x):
    return np.linalg.solve(MIXING + 3.0 * np.eye(4), x[:4]) * x[4]


def ordered(x):
    return np.sort(x)[::2]


def chosen(x):
    return np.where(x > 1.0, x, x[::-1])


def largest(x):
    return np.maximum(x[1:], x[:-1]).reshape(3, 13).T


def pieces(x):
    return np.concatenate([np.diff(x), np.cumsum(x[:3]), x.reshape(8, 5).sum(axis=1)])


def contracted(x):
    return np.einsum("ij,j->i", MIXING, x[:4]) + np.outer(x[:2], x[2:4]).ravel()


def branches(x):
    y = x.copy()
    for i in range(1, len(x)):
        if x[i] > 1.0:
            y[i] = x[i] * x[i - 1]
    return y


def looked_up(x):
    y = np.zeros(len(x))
    for i in range(len(x)):
        y[i] = x[i] * x[int(10 * x[i])]
    return y


def steps(x):
    y = x
    while y[0] < 3.0:
        y = y + 0.5 * np.roll(y, 1)
    return y


def exchanged(x):
    a, b = x.copy(), np.zeros(len(x))
    for _ in range(3):
        b[1:-1] = a[1:-1] * a[2:] + a[:-2]
        a, b = b, a
    return a


PROGRAMS = [
    banded, recurrence, arrow, block, full, nothing, few_rows, spectrum, solved, ordered, chosen, largest,
    pieces,
    contracted, branches, looked_up, steps, exchanged,
]  # fmt: skip


def dense(f, x, *args):
    return tl.jacobian(f)(x, *args).reshape(-1, x.size)


def agree(made, expected):
    assert made.shape == expected.shape
    assert made.dtype == expected.dtype
    np.testing.assert_allclose(made.toarray(), expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("f", PROGRAMS)
def test_sparse_jacobians_are_the_dense_ones(f):
    expected = dense(f, X)
    agree(tl.jacobian(f, sparse=True)(X), expected)
    compiled = tl.jacobian(tl.jit(f), sparse=True)
    agree(compiled(X), expected)
    other = X[::-1].copy()  # other branches, indices and numbers of steps
    agree(compiled(other), dense(f, other))
    agree(tl.jit(tl.jacobian(f, sparse=True))(X), expected)


@pytest.mark.parametrize("f", [banded, few_rows, block])
@pytest.mark.parametrize("compile", [lambda f: f, tl.jit])
def test_a_pattern_can_be_given(f, compile):
    expected = dense(f, X)
    places = np.zeros(expected.shape, bool)
    places[expected != 0] = True
    for pattern in (places, scipy.sparse.csr_array(places), scipy.sparse.coo_matrix(places.astype(float))):
        agree(tl.jacobian(compile(f), sparse=pattern)(X), expected)
    rows, columns = np.nonzero(expected)
    places[rows[len(rows) // 2], columns[len(rows) // 2]] = False
    with pytest.raises(StructureError, match="does not cover"):
        tl.jacobian(compile(f), sparse=places)(X)
    with pytest.raises(StructureError, match="columns"):
        tl.jacobian(compile(f), sparse=places[:, 1:])(X)
    with pytest.raises(StructureError, match="rows"):
        tl.jacobian(compile(f), sparse=places[1:])(X)
    with pytest.raises(StructureError, match="two axes"):
        tl.jacobian(compile(f), sparse=places[0])


@pytest.mark.parametrize("compile", [lambda f: f, tl.jit])
def test_other_types_and_layouts(compile):
    single = X.astype(np.float32)
    found = tl.jacobian(compile(banded), sparse=True)(single)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.toarray(), dense(banded, single), rtol=1e-5)
    strided = np.stack([X, X], axis=1)[:, 0]
    agree(tl.jacobian(compile(banded), sparse=True)(strided), dense(banded, X))
    table = X.reshape(8, 5)
    agree(tl.jacobian(compile(banded), sparse=True)(table), dense(banded, table))


@pytest.mark.parametrize("compile", [lambda f: f, tl.jit])
def test_several_arguments(compile):
    def both(x, y, scale):
        return scale * x * y[::-1]

    made = tl.jacobian(compile(both), (0, 1), sparse=True)(X, X + 1.0, 2.0)
    assert isinstance(made, tuple)
    agree(made[0], np.diag(2.0 * (X[::-1] + 1.0)))
    agree(made[1], np.diag(2.0 * X)[:, ::-1])
    agree(tl.jacobian(compile(both), "y", sparse=True)(X, y=X + 1.0, scale=2.0), np.diag(2.0 * X)[:, ::-1])


def gathered(x, places, stride=1):
    return x[places] * x[::stride][: len(places)]


def test_a_pattern_that_depends_on_indices_is_found_again():
    rng = np.random.default_rng(2)
    compiled = tl.jacobian(tl.jit(gathered), sparse=True)
    for _ in range(3):
        places = rng.integers(0, 40, 20)
        for stride in (1, 2):
            agree(compiled(X, places, stride), dense(gathered, X, places, stride))
    places[:] = np.arange(20)  # the same array, other indices
    agree(compiled(X, places), dense(gathered, X, places))


def test_a_pattern_that_does_not_depend_on_numbers_is_found_once():
    def f(x):
        return x[1:] * x[:-1]

    compiled = tl.jacobian(tl.jit(f), sparse=True)
    compiled(X)
    (known,) = compiled.memory.known
    agree(compiled(X + 1.0), dense(f, X + 1.0))
    assert compiled.memory.known == [known]
    agree(compiled(X[:30]), dense(f, X[:30]))
    assert len(compiled.memory.known) == 2
    assert tl.jacobian(tl.jit(f), sparse=True).memory is compiled.memory


def chosen(x):
    return x[x > 1.0] ** 2 * x[-1]


def kept(x):
    items = []
    for v in x:
        if v > 1.0:
            items.append(v * v)
    return np.array(items)


def added(x):
    return np.cumsum(x[x > 1.0])


@pytest.mark.parametrize("mode", ["forward", "reverse"])
@pytest.mark.parametrize("f", [chosen, kept, added])
def test_results_whose_length_is_known_once_the_program_has_run(f, mode):
    compiled = SparseJacobian(tl.jit(f), 0, mode=mode)
    for x in (X, X[::-1].copy(), X[:5], X[:2] + 1.0, np.full(3, 0.5), X):
        agree(compiled(x), dense(f, x))
    whole = SparseJacobian(tl.jit(f), 0, np.ones((3, 4)), mode)
    few = np.array([2.0, 0.5, 3.0, 1.5])
    agree(whole(few), dense(f, few))
    with pytest.raises(StructureError, match="another number of rows"):
        whole(few + 1.0)


def guarded(x):
    if x[0] < 0.0:
        raise ValueError("negative")
    i = int(x[1])
    if i >= len(x):
        raise IndexError("too far")
    return x * x[i]


def test_programs_that_raise():
    compiled = tl.jacobian(tl.jit(guarded), sparse=True)
    agree(compiled(X), dense(guarded, X))
    for k, value, error in ((0, -1.0, ValueError), (1, 1e6, IndexError)):
        bad = X.copy()
        bad[k] = value
        with pytest.raises(error):
            compiled(bad)
        with pytest.raises(error):
            tl.jacobian(guarded, sparse=True)(bad)


def overwritten(x):
    x[1:] *= x[:-1]
    return x


@pytest.mark.parametrize("compile", [lambda f: f, tl.jit])
def test_the_argument_is_changed_once(compile):
    x, plain = X.copy(), X.copy()
    expected = dense(overwritten, X.copy())
    agree(tl.jacobian(compile(overwritten), sparse=True)(x), expected)
    overwritten(plain)
    np.testing.assert_array_equal(x, plain)


@pytest.mark.parametrize("compile", [lambda f: f, tl.jit])
def test_the_argument_is_changed_once_with_a_given_pattern(compile):
    x, plain = X.copy(), X.copy()
    expected = dense(overwritten, X.copy())
    agree(tl.jacobian(compile(overwritten), sparse=expected)(x), expected)
    overwritten(plain)
    np.testing.assert_array_equal(x, plain)


def talking(x, y):
    print("sum", np.sum(x))
    y[0] += 1.0
    return x * x[::-1] * y[0]


@pytest.mark.parametrize("compile", [lambda f: f, tl.jit])
def test_the_program_prints_once(compile, capsys):
    x, y = np.ones(40), np.ones(2)
    tl.jacobian(compile(talking), (0, 1), sparse=True)(x, y)
    assert capsys.readouterr().out == "sum 40.0\n"
    assert y[0] == 2.0
    tl.jacobian(compile(talking), sparse=np.ones((40, 40)))(x, y)
    tl.jacfwd(compile(talking))(x, y)
    assert capsys.readouterr().out == "sum 40.0\n" * 2
    assert y[0] == 4.0


def drawn(x, generator):
    return x * x[::-1] * generator.normal(size=len(x))


def drawn_full(x, generator):
    return np.sum(x) * x * generator.normal(size=len(x))


def placed(x, generator):
    return x[generator.integers(0, len(x), 5)]


def test_random_numbers_are_drawn_once():
    expected = tl.jacfwd(drawn)(X, np.random.default_rng(1))
    agree(tl.jacobian(drawn, sparse=True)(X, np.random.default_rng(1)), expected)
    generators = [np.random.default_rng(1) for _ in range(4)]
    np.testing.assert_allclose(tl.jit(tl.jacfwd(drawn))(X, generators[0]), expected, rtol=1e-12)
    np.testing.assert_allclose(tl.jit(tl.jacrev(drawn))(X, generators[1]), expected, rtol=1e-12)
    agree(tl.jit(tl.jacobian(drawn, sparse=True))(X, generators[2]), expected)
    drawn(X, generators[3])
    assert len({g.integers(2**40) for g in generators}) == 1
    expected = tl.jacfwd(drawn_full)(X, np.random.default_rng(1))
    agree(tl.jit(tl.jacobian(drawn_full, sparse=True))(X, np.random.default_rng(1)), expected)
    with pytest.raises(NotCompilable, match="random"):
        tl.jit(tl.jacobian(drawn, sparse=np.ones((40, 40))))(X, generators[0])
    with pytest.raises(NotCompilable, match="random"):
        tl.jit(tl.jacobian(placed, sparse=True))(X, generators[0])


def energy(x):
    return np.sum((x[1:] - x[:-1]) ** 4) + np.sum(np.cos(x))


@pytest.mark.parametrize("compile", [lambda f: f, tl.jit])
def test_hessians(compile):
    expected = tl.hessian(energy)(X)
    made = tl.hessian(compile(energy), sparse=True)(X)
    agree(made, expected)
    assert made.nnz == 3 * len(X) - 2


def test_few_colours():
    places = banded_places(1000, 2)
    assert count_of(places.column_colours) == 5
    tall = Pattern((1000, 3), np.arange(1000), np.arange(1000) % 3)
    assert tall.forward("auto")
    assert count_of(tall.column_colours) == 1


def banded_places(n, reach):
    rows, columns = np.indices((n, n))
    return Pattern((n, n), *np.nonzero(abs(rows - columns) <= reach))


def test_large_patterns_take_few_runs():
    runs = []

    def shifted(words):
        runs.append(1)
        return words | np.roll(words, 1) | np.roll(words, -1)

    pattern = find(shifted, 300_000, 300_000)
    assert len(pattern.rows) == 900_000
    assert len(runs) < 16


def test_errors():
    with pytest.raises(NotDifferentiableError, match="not a float"):
        tl.jacobian(banded, sparse=True)(1.0)
    with pytest.raises(NotDifferentiableError, match="array of int64"):
        tl.jacobian(tl.jit(banded), sparse=True)(np.arange(3))
    for compile in (lambda f: f, tl.jit):
        with pytest.raises(StructureError, match="array of floats"):
            tl.jacobian(compile(energy), sparse=True)(X)
        with pytest.raises(StructureError, match="one argument"):
            tl.jacobian(compile(gathered), (0, 1), sparse=np.eye(2))(X, X)


def inside(x):
    return tl.jacobian(banded, sparse=True)(x)


def test_inside_compiled_programs_it_is_refused():
    with pytest.raises(NotCompilable, match="sparse jacobian"):
        tl.jit(inside)(X)


matrices = st.integers(0, 12).flatmap(
    lambda n: st.lists(st.lists(st.booleans(), min_size=n, max_size=n), max_size=12).map(
        lambda rows: np.array(rows, bool).reshape(len(rows), n)
    )
)


@given(matrices)
@settings(deadline=None)
def test_columns_of_one_colour_share_no_row(matrix):
    rows, columns = np.nonzero(matrix)
    colours = colour(rows, columns, matrix.shape[1])
    assert len(colours) == matrix.shape[1]
    for c in range(count_of(colours)):
        assert (matrix[:, colours == c].sum(axis=1) <= 1).all()
    if matrix.size:
        assert count_of(colours) >= matrix.sum(axis=1).max()


@given(st.integers(0, 300), st.integers(0, 8), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=60)
def test_patterns_are_found_exactly(width, height, seed):
    rng = np.random.default_rng(seed)
    matrix = rng.random((height, width)) < rng.choice([0.0, 0.02, 0.3, 1.0])

    def propagate(words):
        return np.bitwise_or.reduce(np.where(matrix, words, np.uint64(0)), axis=1, initial=np.uint64(0))

    pattern = find(propagate, width, height)
    found = np.zeros(matrix.shape, bool)
    found[pattern.rows, pattern.columns] = True
    np.testing.assert_array_equal(found, matrix)
    assert (np.diff(pattern.starts) == matrix.sum(axis=1)).all()


statements = st.lists(
    st.tuples(
        st.sampled_from(["shift", "scale", "where", "store", "sum", "take", "turn"]),
        st.integers(0, 11),
        st.integers(0, 11),
    ),
    max_size=6,
)


@given(statements, st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=60)
def test_generated_programs(program, seed):
    def f(x):
        y = x.copy()
        for what, i, j in program:
            if what == "shift":
                y = y + np.roll(y, i)
            elif what == "scale":
                y = y * x[j]
            elif what == "where":
                y = np.where(y > x[i], y, x)
            elif what == "store":
                y[i] = np.sin(y[j])
            elif what == "sum":
                y[i:] += y[j:].sum()
            elif what == "take":
                y = y[(np.arange(12) * i + j) % 12]
            else:
                y = y.reshape(3, 4).T.ravel()
        return y

    x = np.random.default_rng(seed).uniform(0.5, 1.5, 12)
    agree(tl.jacobian(f, sparse=True)(x), dense(f, x))
