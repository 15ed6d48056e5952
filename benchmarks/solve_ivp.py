"""Class-heavy code whose types are not inferred: SciPy's solve_ivp, opened through its own source."""

import importlib.util

import numpy as np

from benchmarks.harness import PEERS, Program, Settings, Table, compare


def rabbits_and_foxes(t, y, birth, eaten, death, born):
    return [y[0] * (birth - eaten * y[1]), y[1] * (born * y[0] - death)]


def final_state(method):
    def solved(y0, birth, eaten, death, born):
        from scipy.integrate import solve_ivp

        rates = (birth, eaten, death, born)
        solution = solve_ivp(rabbits_and_foxes, (0.0, 5.0), y0, method=method, args=rates)
        return np.sum(solution.y[:, -1])

    return solved


CLASS_HEAVY = dict.fromkeys(PEERS, "cannot")


def run(settings: Settings) -> list[Table]:
    if importlib.util.find_spec("scipy") is None:
        table = Table("solve_ivp", ["program"])
        table.notes.append("SciPy is absent: pip install tapeless[scipy]")
        return [table]
    args = (np.array([10.0, 5.0]), 1.5, 1.0, 3.0, 1.0)
    methods = ("RK45",) if settings.smoke else ("RK23", "RK45", "DOP853")
    programs = [
        Program(f"solve_ivp {method}", final_state(method), args, None, 25.0, CLASS_HEAVY)
        for method in methods
    ]
    return [compare("solve_ivp", programs, settings)]
