"""What a user waits for: the import, and the first derivative of a function of thirty lines."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.harness import Settings, Table, Target

PROGRAM = """
import math
import numpy as np


def trajectory(v, angle, drag):
    x, y = 0.0, 0.0
    vx = v * math.cos(angle)
    vy = v * math.sin(angle)
    dt = 0.01
    highest = 0.0
    steps = 0
    history = []
    while y >= 0.0 and steps < 400:
        speed = math.sqrt(vx * vx + vy * vy)
        vx -= drag * speed * vx * dt
        vy -= (9.81 + drag * speed * vy) * dt
        x += vx * dt
        y += vy * dt
        if y > highest:
            highest = y
        history.append(speed)
        steps += 1
    fastest = max(history)
    slowest = min(history)
    total = 0.0
    for i, speed in enumerate(history):
        if i % 2 == 0:
            total += speed
        else:
            total -= 0.5 * speed
    table = np.array([x, highest, total])
    weights = np.array([1.0, 0.5, 0.01])
    score = (table * weights).sum() + 0.1 * (fastest - slowest)
    return score
"""

MEASURE = """
import time
import numpy
start = time.perf_counter()
import tapeless as tl
imported = time.perf_counter() - start
from trajectory import trajectory
start = time.perf_counter()
gradient = tl.value_and_grad(trajectory)
gradient(20.0, 0.8, 0.01)
first = time.perf_counter() - start
again = float("inf")
for _ in range(3):
    start = time.perf_counter()
    gradient(20.0, 0.8, 0.01)
    again = min(again, time.perf_counter() - start)
print(imported, first - again)
"""


def run(settings: Settings) -> list[Table]:
    table = Table("Waiting for the first result", ["what", "ms"])
    imports, firsts = [], []
    env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    with tempfile.TemporaryDirectory() as folder:
        env["PYTHONPYCACHEPREFIX"] = folder  # as for an installed package, bytecode is there but for once
        Path(folder, "trajectory.py").write_text(PROGRAM, encoding="utf-8")
        Path(folder, "measure.py").write_text(MEASURE, encoding="utf-8")
        for _ in range(2 if settings.smoke else 7):
            command = [sys.executable, str(Path(folder, "measure.py"))]
            done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
            if done.returncode != 0:
                table.failures.append(f"first call: {done.stderr.strip().splitlines()[-1]}")
                return [table]
            imported, first = map(float, done.stdout.split())
            imports.append(imported)
            firsts.append(first)
    table.rows.append(["import tapeless, NumPy imported already", f"{min(imports) * 1e3:.1f}"])
    table.rows.append(["first value and gradient of 30 lines, without the run", f"{min(firsts) * 1e3:.1f}"])
    table.targets.append(Target("import beyond NumPy", min(imports) * 1e3, 150.0, " ms"))
    table.targets.append(Target("first call, 30 lines", min(firsts) * 1e3, 100.0, " ms"))
    return [table]
