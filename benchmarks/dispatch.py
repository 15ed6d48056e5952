"""What a call costs when nothing is computed: of a derivative, and of a callee known only at run time."""

import math

import numpy as np

from benchmarks.harness import Settings, Table, Target, seconds


def identity(x):
    return x


def one_by_hand(x):
    return 1.0


def double(x):
    return x + x


def one_name(x):
    return double(x)


def four_names(x):
    return quadruple(twice(half(double(x))))


def half(x):
    return 0.5 * x


def twice(x):
    return x + x


def quadruple(x):
    return 4.0 * x


def first_of_pair(x, y):
    return x[0] + y[0]


def first_of_list(xs):
    return xs[0]


STEPS = [math.sin, half, double]


def through_a_list(x, steps, n):
    for i in range(n):
        x = steps[i % 3](x)
    return x


def through_names(x, steps, n):
    for i in range(n):
        if i % 3 == 0:
            x = math.sin(x)
        elif i % 3 == 1:
            x = half(x)
        else:
            x = double(x)
    return x


def cached_calls(settings: Settings) -> Table:
    import tapeless as tl

    table = Table("A cached call of grad(f)", ["function", "plain µs", "grad µs", "extra µs"])
    array = np.ones(1)
    cases = [
        ("identity of a float", identity, (1.0,), 0.30),
        ("one guarded name", one_name, (1.0,), 0.32),
        ("four guarded names", four_names, (1.0,), 0.38),
        ("two arrays", first_of_pair, (array, array), 2.40),
        ("a list of ten floats", first_of_list, ([1.0] * 10,), 0.60),
    ]
    for name, function, args, limit in cases:
        try:
            gradient = tl.grad(function)
            calls = {"plain": lambda f=function, a=args: f(*a), "grad": lambda g=gradient, a=args: g(*a)}
            took = seconds(calls, settings)
        except Exception as error:
            table.failures.append(f"{name}: {type(error).__name__}: {error}")
            continue
        extra = (took["grad"] - took["plain"]) * 1e6
        table.rows.append([name, f"{took['plain'] * 1e6:.3f}", f"{took['grad'] * 1e6:.3f}", f"{extra:.3f}"])
        table.targets.append(Target(f"cached call, {name}", extra, limit, " µs"))
    return table


def dynamic_calls(settings: Settings) -> Table:
    import tapeless as tl

    table = Table("A callee known only at run time", ["program", "plain µs a call", "extra µs a call"])
    count = 30 if settings.smoke else 300
    times = {}
    for name, function in [("through a list", through_a_list), ("through names", through_names)]:
        try:
            both = tl.value_and_grad(function)
            args = (0.7, STEPS, count)
            calls = {"plain": lambda f=function, a=args: f(*a), "both": lambda g=both, a=args: g(*a)}
            took = seconds(calls, settings)
        except Exception as error:
            table.failures.append(f"{name}: {type(error).__name__}: {error}")
            continue
        plain, extra = took["plain"] / count * 1e6, (took["both"] - took["plain"]) / count * 1e6
        times[name] = took
        table.rows.append([name, f"{plain:.3f}", f"{extra:.3f}"])
    if len(times) == 2:
        static = 3.0 * times["through names"]["plain"]
        cost = (times["through a list"]["both"] - static) / count * 1e6
        table.targets.append(Target("a cached dynamic dispatch, forward and back", cost, 1.0, " µs"))
        table.notes.append("The dispatch: what is beyond three times the plain program with named callees.")
    return table


def run(settings: Settings) -> list[Table]:
    return [cached_calls(settings), dynamic_calls(settings)]
