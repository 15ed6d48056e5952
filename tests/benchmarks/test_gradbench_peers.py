"""The driver of GradBench's own native programs, with small programs of the same protocol in their place."""

import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest
from benchmarks.gradbench.interface import Problem, problems
from benchmarks.harness import Settings

from benchmarks import gradbench_peers as peers

PROGRAM = """#!{python}
import json, math, sys
x = json.load(open(sys.argv[1]))["x"]
total = sum(map(math.exp, x))
print(json.dumps(math.log(total) if sys.argv[2] == "primal" else [{factor} * math.exp(v) / total for v in x]))
for nanoseconds in (3000, 2000, 4000):
    print(json.dumps({{"name": "evaluate", "nanoseconds": nanoseconds * (1 + (sys.argv[2] == "gradient"))}}))
"""


def lse() -> Problem:
    return next(problem for problem in problems(smoke=True) if problem.module == "lse")


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`manual` is right, `codipack` has one derivative in a thousand off, the others do not build."""

    def build(checkout: Path, tool: str, module: str) -> Path:
        factors = {"manual": 1.0, "codipack": 1.001}
        if tool not in factors:
            raise peers.Cannot("does not build: no such library")
        program = checkout / tool
        program.write_text(PROGRAM.format(python=sys.executable, factor=factors[tool]))
        program.chmod(0o755)
        return program

    monkeypatch.setattr(peers, "build", build)
    monkeypatch.setattr(peers, "find_spec", lambda name: None)
    return tmp_path


def test_a_program_that_agrees_is_timed_by_its_best_run(checkout: Path) -> None:
    best, out = peers.measure(lse(), checkout, Settings(smoke=True))
    assert set(best) == {peers.TAPELESS, "manual"}
    assert best["manual"] == [2e-6, 4e-6]
    assert out["codipack"] == "another derivative"
    assert out["tapenade"] == out["enzyme"] == "does not build: no such library"


def test_the_verdict_is_by_the_least_multiple_of_the_tools_and_by_hand() -> None:
    took = {"tapeless": [1e-3, 3e-3], "manual": [4e-3, 4e-3], "adept": [1e-3, 2e-3], "finite": [1e-3, 9e-3]}
    row = peers.verdict(lse(), took)
    assert row == ["lse", "3×", "2× (adept): yes", "1× (manual): no", "–", "3", "2 (adept)"]
    assert len(row) == len(peers.VERDICT)


def test_of_a_descent_there_is_only_the_time() -> None:
    problem = next(problem for problem in problems(smoke=True) if problem.module == "saddle")
    row = peers.verdict(problem, {"tapeless": [math.nan, 3e-3], "finite": [math.nan, 4e-3]})
    assert row == ["saddle rr", "–", "–", "–", "–", "3", "4 (finite)"]


def test_the_derivative_that_is_compared_is_not_all_zero() -> None:
    problem = next(problem for problem in problems(smoke=False) if problem.module == "ode")
    assert problem.small is not None
    assert all(problem.small.ours(problem.small.calls()[1]()))


def test_a_problem_that_nobody_else_takes_part_in_has_a_row_too() -> None:
    assert peers.verdict(lse(), {"tapeless": [1e-3, 3e-3]})[2:] == ["–", "–", "–", "3", "–"]


def test_a_program_that_does_not_end_takes_no_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "program"
    program.write_text(f"#!{sys.executable}\nimport time; time.sleep(60)\n")
    program.chmod(0o755)
    monkeypatch.setattr(peers, "PATIENCE", 0.1)
    with pytest.raises(peers.Cannot, match="takes more than"):
        peers.executed(program)("gradient", tmp_path)


def test_nothing_is_measured_without_a_checkout() -> None:
    (table,) = peers.run(Settings(smoke=True))
    assert not table.rows
    assert "--gradbench" in table.notes[0]


def test_a_tool_without_the_problem_is_absent(tmp_path: Path) -> None:
    with pytest.raises(peers.Cannot, match="^-$"):
        peers.build(tmp_path, "tapenade", "lse")


def test_every_problem_has_inputs_that_json_takes() -> None:
    found = list(problems(smoke=True))
    modules = {problem.module for problem in found}
    assert len(modules) == 11
    for problem in found:
        again = json.loads(json.dumps(problem.inputs, default=np.ndarray.tolist))
        assert again.keys() == problem.inputs.keys()


def test_the_rows_of_ba_that_are_compared_have_a_column_for_each_number() -> None:
    problem = next(problem for problem in problems(smoke=True) if problem.module == "ba")
    value, derivative = problem.calls()
    assert len(problem.ours(value())) == 3
    row = [*range(1, 8), 0.0, *range(8, 15)]  # of the principal point the other coordinate moves nothing
    theirs = problem.theirs({"vals": [*row, *row, 5.0], "rows": [], "cols": []})
    assert len(problem.ours(derivative())) == len(theirs) == 29
