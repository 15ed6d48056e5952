"""What a call of a compiled function costs when nothing is computed, and what a second process waits for."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.harness import Settings, Table, Target, seconds

SCALE = 2.0


def first_of_five(a, b, c, d, e):
    return a[0] + b[0] + c[0] + d[0] + e[0]


def scaled(a):
    a[0] = SCALE


def add(x, y):
    return x + y


def copied(a):
    return a + 1.0


class Model:
    def __init__(self):
        self.weight, self.shift = np.ones(1), 1.0


def of_model(model, x):
    return model.weight[0] * x + model.shift


PROGRAM = """
import numpy as np
import time

cpu, start = time.process_time(), time.perf_counter()
import tapeless as tl


def f(a, b, n):
    s = 0.0
    for i in range(n):
        s += np.sum(np.sin(a) * b)
    return s


tl.jit(tl.value_and_grad(f, (0, 1)))(np.ones(5), np.ones(5), 3)
print(time.perf_counter() - start, time.process_time() - cpu)
"""


def calls(settings: Settings) -> Table:
    import tapeless as tl

    table = Table("A call of a compiled function", ["function", "plain µs", "compiled µs"])
    arrays = tuple(np.ones(1) for _ in range(5))
    cases = [
        ("two floats", add, (1.0, 2.0), 0.2),
        ("five arrays", first_of_five, arrays, 1.0),
        ("five arrays, their gradients", tl.grad(first_of_five, tuple(range(5))), arrays, 2.0),
        ("a new array", copied, arrays[:1], 0.5),
        ("an array and a global", scaled, arrays[:1], 0.5),
        ("an object of two fields", of_model, (Model(), 1.0), 1.5),
    ]
    for name, f, args, limit in cases:
        jitted = tl.jit(f)
        try:
            both = {"plain": lambda f=f, a=args: f(*a), "compiled": lambda j=jitted, a=args: j(*a)}
            took = {name: 1e6 * time for name, time in seconds(both, settings).items()}
        except Exception as error:
            table.failures.append(f"{name}: {type(error).__name__}: {error}")
            continue
        table.rows.append([name, f"{took['plain']:.3f}", f"{took['compiled']:.3f}"])
        table.targets.append(Target(f"compiled call, {name}", took["compiled"], limit, " µs"))
    table.notes.append("Each with the call of a lambda around it. The gradients are five new arrays.")
    return table


def second_process(settings: Settings) -> Table:
    table = Table("A function that an earlier process has compiled", ["what", "ms"])
    env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    times = []
    with tempfile.TemporaryDirectory() as folder:
        env |= {"PYTHONPYCACHEPREFIX": folder, "TAPELESS_CACHE_DIR": folder}
        Path(folder, "program.py").write_text(PROGRAM, encoding="utf-8")
        for _ in range(3 if settings.smoke else 8):
            done = subprocess.run(
                [sys.executable, str(Path(folder, "program.py"))],
                capture_output=True, text=True, check=False, env=env,
            )  # fmt: skip
            if done.returncode != 0:
                table.failures.append(f"second process: {done.stderr.strip().splitlines()[-1]}")
                return table
            times.append(tuple(map(float, done.stdout.split())))
    wall, cpu = map(min, zip(*times[1:], strict=True))
    table.rows.append(["the first process", f"{times[0][0] * 1e3:.0f}"])
    table.rows.append(["from `import tapeless` to the result, NumPy imported already", f"{wall * 1e3:.0f}"])
    table.rows.append(["of that, processor time", f"{cpu * 1e3:.0f}"])
    table.targets.append(Target("second process, value and gradient", wall * 1e3, 150.0, " ms"))
    return table


def run(settings: Settings) -> list[Table]:
    return [calls(settings), second_process(settings)]
