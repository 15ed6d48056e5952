"""Generated programs: value and effects against the plain call, the modes against each other and
finite differences.

`TAPELESS_PROPERTY_EXAMPLES` (default 2000) is the number of programs, `TAPELESS_PROPERTY_SEED` picks others.
A failure shows a program reduced to what still fails, ready to be pasted into a file.
"""

import importlib.util
import itertools
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from program_source import programs, smallest

import tapeless as tl
from checking import Check, Outcome, clone, finite_difference, kind, run, scalarised, vector
from tapeless.errors import NotCompilable

EXAMPLES = int(os.environ.get("TAPELESS_PROPERTY_EXAMPLES", "2000"))
COMPILED = EXAMPLES // 8  # each takes two compilations
SEED = os.environ.get("TAPELESS_PROPERTY_SEED")
EXPECTED = (ValueError, KeyError, RuntimeError)  # the last: a dict that grows while it is iterated
SHARDS = 8  # tests, so that several processes share the work
numbers = itertools.count()

POINTS = [
    (0.42, -0.67, [0.31, -0.52, 0.93], [0.7, -0.2, 1.1]),
    (1.23, 0.38, [-0.74, 1.18, 0.27], [0.2]),
    (-0.36, 1.41, [0.88, 0.46, -1.05], [-0.53, 0.91]),
]


def load(source: str, folder: Path):
    """The program, from a file, as a user's would be."""
    name = f"generated_{next(numbers)}"
    path = folder / f"{name}.py"
    path.write_text(source)
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.program


def arguments(point: int) -> tuple:
    x, y, a, items = POINTS[point]
    a = np.array(a)
    return x, y, a, np.outer(a, [0.6, -0.9, 1.2]) + np.arange(9.0).reshape(3, 3) * 0.07, list(items)


def smooth_slope(check: Check) -> np.ndarray | None:
    """Finite differences, or None where the program has a kink or a jump close by."""
    try:
        coarse, coarse_error = finite_difference(check.along(check.direction), 1e-3)
        fine, fine_error = finite_difference(check.along(check.direction), 1e-5)
    except Exception:  # noqa: BLE001  another branch raised
        return None
    if coarse.shape != check.outputs.shape or fine.shape != check.outputs.shape:
        return None
    scale = 1.0 + np.max(np.abs(fine))
    if max(coarse_error, np.max(np.abs(coarse - fine))) > 1e-6 * scale:
        return None
    return coarse


def hold(program, args: tuple, order: int) -> None:
    check = Check(program, args, order, 1e-5, False, 0, 1e-3, tl)
    if check.prepare():
        check.check_forward()
        want = smooth_slope(check)
        if want is not None:
            scale = check.slope_scale + np.max(np.abs(want))
            np.testing.assert_allclose(check.forward, want, rtol=1e-5, atol=1e-5 * scale, err_msg="jvp")
        check.check_reverse()
        if order > 1:
            check.check_linearize()
            check.check_gradient()
            check.check_second_order()


def hold_compiled(program, args: tuple, tally: Counter) -> None:
    """The program and its gradient as machine code, if they compile: value, effects and derivative."""
    check = Check(program, args, 1, 1e-5, False, 0, 1e-3, tl)
    check.prepare()
    plain = check.plain
    tally["tried"] += 1
    tally["compiled"] += compiled("jit", program, args, plain, plain.value, 1e-12)
    if plain.error is not None:
        return
    real = kind(check.value) == "real"
    scalar = program if real else scalarised(program, len(args), check.value, check.weights)
    gradient = tl.grad(scalar, argnums=tuple(range(len(args))))
    slope = run(gradient, clone(args)).value
    tally["tried"] += 1
    tally["compiled"] += compiled("jit of grad", gradient, args, plain, slope, 1e-9)


def compiled(name: str, f, args: tuple, plain: Outcome, value, tolerance: float) -> bool:
    got = run(tl.jit(f), clone(args))
    if isinstance(got.error, NotCompilable):
        return False
    assert type(got.error) is type(plain.error), f"{name}: raised {got.error!r}, plain {plain.error!r}"
    assert got.printed == plain.printed, f"{name}: printed {got.printed!r}"
    pairs = [("arguments", got.args, plain.args)]
    pairs += (
        [("value", got.value, value)]
        if plain.error is None
        else [("error", got.error.args, plain.error.args)]
    )
    for what, ours, theirs in pairs:
        found, want = vector(ours, shared=False), vector(theirs, shared=False)
        assert found.shape == want.shape, f"{name}: {what}: {found.size} numbers for {want.size}"
        scale = 1.0 + np.max(np.abs(want), initial=0.0)
        np.testing.assert_allclose(found, want, 0, tolerance * scale, err_msg=f"{name}: {what}")
    return True


def failure(
    source: str, folder: Path, point: int, order: int, tally: Counter | None = None
) -> BaseException | None:
    """What is wrong with a program; with a tally, of its compiled form."""
    try:
        if tally is None:
            hold(load(source, folder), arguments(point), order)
        else:
            hold_compiled(load(source, folder), arguments(point), tally)
    except Exception as error:  # noqa: BLE001  any failure is reduced and then raised
        return error
    return None


def same_kind(a: BaseException | None, b: BaseException) -> bool:
    return a is not None and type(a) is type(b) and str(a).split(":")[:2] == str(b).split(":")[:2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("generated")


def property_of(shard: int, examples: int, tally: Counter | None = None):
    @settings(
        max_examples=-(-examples // SHARDS),
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
        print_blob=False,
    )
    @seed(1000 * int(SEED or 0) + shard)
    @given(
        source=programs() if tally is None else programs(3, 2),
        point=st.integers(0, 2),
        second=st.integers(0, 9),
    )
    def holds(folder, source, point, second):
        order = 2 if second == 9 else 1
        error = failure(source, folder, point, order, tally)
        if error is not None:
            again = None if tally is None else Counter()
            small = smallest(
                source, lambda text: same_kind(failure(text, folder, point, order, again), error)
            )
            error = failure(small, folder, point, order, again) or error
            body = small[small.index("def program") :]
            error.add_note(f"at arguments{arguments(point)}, order {order}\n{body}")
            raise error

    return holds


@pytest.mark.parametrize("shard", range(SHARDS))
def test_generated_programs(folder, shard):
    property_of(shard, EXAMPLES)(folder=folder)


@pytest.mark.parametrize("shard", range(SHARDS))
def test_generated_programs_compiled(folder, shard):
    tally = Counter()
    property_of(shard, COMPILED, tally)(folder=folder)
    assert tally["compiled"] >= 0.7 * tally["tried"], dict(tally)


def test_the_generator_reaches_what_it_should(folder):
    """Most programs run to the end, many branches of the grammar occur, few end in an exception."""
    seen, ended = [], []

    @settings(max_examples=400, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @seed(0)
    @given(source=programs())
    def collect(source):
        seen.append(source[source.index("def program") :])
        outcome = run(load(source, folder), arguments(len(seen) % 3))
        assert outcome.error is None or type(outcome.error) in EXPECTED, outcome.error
        if outcome.error is None:
            assert np.all(np.isfinite(vector(outcome.value)))
            ended.append(source)

    collect()
    assert len(ended) > 0.75 * len(seen)
    text = "\n".join(seen)
    for form in (
        "elif",
        "while",
        "break",
        "continue",
        "try:",
        "finally:",
        "nonlocal",
        "np.add.at",
        ".T",
        "Box(",
    ):
        assert text.count(form) >= 5, f"{form!r} hardly occurs"
