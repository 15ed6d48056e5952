"""What compiled programs log, and what they ask a clock: as the plain program does, once."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator

import numpy as np
import pytest

import tapeless as tl

log = logging.getLogger(__name__)


class Recorder(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str, str, str, int]] = []

    def emit(self, r: logging.LogRecord) -> None:
        self.found.append((r.name, r.levelname, r.getMessage(), r.funcName, r.lineno))


@pytest.fixture
def records() -> Iterator[list[tuple[str, str, str, str, int]]]:
    handler = Recorder()
    root = logging.getLogger()
    root.addHandler(handler)
    log.setLevel(logging.INFO)
    yield handler.found
    root.removeHandler(handler)
    log.setLevel(logging.NOTSET)


class Solver:
    def __init__(self) -> None:
        self.log = log
        self.steps = 0

    def root(self, a):
        x = a
        while abs(x * x - a) > 1e-9:
            x = 0.5 * (x + a / x)
            self.steps += 1
            self.log.info("step %d: %.6f", self.steps, x)
        self.log.debug("not shown: %s", self)
        return x


def solved(a):
    solver = Solver()
    return solver.root(a) + solver.steps


def levels(x):
    log.debug("never")
    log.warning(f"x is {x}")
    log.log(logging.ERROR, "%s", [x, 2])
    logging.error("values %(x)g", {"x": x})
    logging.getLogger("tapeless.tests.other").critical("end")
    if log.isEnabledFor(logging.DEBUG):
        x = x + 1000.0
    return x * log.getEffectiveLevel()


@pytest.mark.parametrize("program", [solved, levels])
def test_messages_are_those_of_the_plain_program(program, records):
    value = program(2.0)
    wanted = records[:]
    records.clear()
    fast = tl.jit(program)
    for _ in range(2):
        assert fast(2.0) == pytest.approx(value)
        assert records == wanted
        records.clear()
    slope = tl.jit(tl.value_and_grad(program))(2.0)
    assert slope[0] == pytest.approx(value)
    assert slope[1] == pytest.approx(tl.grad(program)(2.0))
    assert records[: len(wanted)] == wanted
    assert len(records) == 2 * len(wanted)  # one more by the plain gradient


def test_a_level_may_change_between_calls(records):
    fast = tl.jit(levels)
    assert fast(2.0) == levels(2.0)
    log.setLevel(logging.DEBUG)
    records.clear()
    assert fast(2.0) == levels(2.0) == 1002.0 * logging.DEBUG
    half = len(records) // 2
    assert records[:half] == records[half:]
    assert records[0][2] == "never"
    log.setLevel(logging.CRITICAL)
    records.clear()
    fast(2.0)
    assert [r[1] for r in records] == ["ERROR", "CRITICAL"]  # those that are not of this logger


def test_a_method_of_the_logger_itself_is_not_passed_over(monkeypatch, records):
    fast = tl.jit(levels)
    fast(2.0)
    seen = []
    monkeypatch.setattr(log, "warning", seen.append)
    with pytest.raises(tl.TapelessError, match="methods of its own"):
        fast(3.0)
    assert not seen


def failing(x):
    log.info("before %g", x)
    if x > 1.0:
        raise ValueError(f"too large: {x}")
    return x


def test_a_call_that_is_made_again_logs_once(records):
    fast = tl.jit(failing)
    assert fast(0.5) == 0.5
    with pytest.raises(ValueError, match=r"too large: 2\.0"):
        fast(2.0)
    assert [r[2] for r in records] == ["before 0.5", "before 2"]


def between(x):
    log.info("first")
    print("second", x)
    log.info("third")
    return x


def test_messages_and_prints_are_in_order(capsys, records):
    handler = logging.StreamHandler(stream := __import__("sys").stdout)
    handler.setStream(stream)
    log.addHandler(handler)
    try:
        between(1.0)
        wanted = capsys.readouterr().out
        tl.jit(between)(1.0)
        assert capsys.readouterr().out == wanted == "first\nsecond 1.0\nthird\n"
    finally:
        log.removeHandler(handler)


def timed(x):
    start = time.perf_counter()
    total = 0.0
    for k in range(200000):
        total += math.sin(x * k)
    elapsed = time.perf_counter() - start
    return total, elapsed, time.time_ns()


def test_a_clock_is_read_where_the_program_reads_it():
    fast = tl.jit(timed)
    for _ in range(2):
        before = time.time_ns()
        total, elapsed, now = fast(0.3)
        assert total == pytest.approx(timed(0.3)[0])
        assert type(elapsed) is float
        assert 1e-5 < elapsed < 60.0
        assert type(now) is int
        assert before <= now <= time.time_ns()


def squared(x):
    start = time.time()
    y = (x * x).sum()
    log.debug("took %s", time.time() - start)
    return y


def test_a_clock_does_not_change_a_derivative():
    x = np.array([1.0, 2.0])
    np.testing.assert_array_equal(tl.jit(tl.grad(squared))(x), 2 * x)
    np.testing.assert_array_equal(tl.jit(tl.hessian(squared))(x), 2 * np.eye(2))
