"""A stacked LSTM as in the ∂P paper: hidden = features = 4, 4 time steps, small batches, plain NumPy.

With batches this small nearly all of the time is overhead. Extrapolated to an empty batch and divided by
the number of NumPy operations, it is the overhead of one operation.
"""

import numpy as np

from benchmarks.harness import (
    BY_HAND,
    CONTENDERS,
    JAX_JIT,
    NATIVE,
    PLAIN,
    TAPELESS,
    Program,
    Settings,
    Table,
    Target,
    contenders,
    geometric_mean,
    seconds,
)

SIZE, STEPS = 4, 4
OPERATIONS_A_CELL = 25


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def lstm(layers, xs):
    rows = xs[0].shape[0]
    states = [(np.zeros((rows, 4)), np.zeros((rows, 4))) for _ in layers]
    for x in xs:
        for k, (w, b) in enumerate(layers):
            h, c = states[k]
            gates = np.concatenate([x, h], axis=1) @ w + b
            i = sigmoid(gates[:, :4])
            f = sigmoid(gates[:, 4:8])
            o = sigmoid(gates[:, 8:12])
            g = np.tanh(gates[:, 12:])
            c = f * c + i * g
            h = o * np.tanh(c)
            states[k] = (h, c)
            x = h
    return np.sum(x * x)


def lstm_by_hand(layers, xs):
    rows = xs[0].shape[0]
    states = [(np.zeros((rows, 4)), np.zeros((rows, 4))) for _ in layers]
    record = []
    for x in xs:
        for k, (w, b) in enumerate(layers):
            h, c = states[k]
            both = np.concatenate([x, h], axis=1)
            gates = both @ w + b
            i = sigmoid(gates[:, :4])
            f = sigmoid(gates[:, 4:8])
            o = sigmoid(gates[:, 8:12])
            g = np.tanh(gates[:, 12:])
            before = c
            c = f * c + i * g
            t = np.tanh(c)
            x = h = o * t
            states[k] = (h, c)
            record.append((both, i, f, o, g, before, t))
    value = np.sum(x * x)

    layer_bars = [(np.zeros_like(w), np.zeros_like(b)) for w, b in layers]
    x_bars = [None] * len(xs)
    h_bars, c_bars = [0.0] * len(layers), [0.0] * len(layers)
    above = 2.0 * x
    gates_bar = np.empty((rows, 16))
    for step in range(len(xs) - 1, -1, -1):
        for k in range(len(layers) - 1, -1, -1):
            both, i, f, o, g, before, t = record.pop()
            h_bar = above + h_bars[k]
            c_bar = c_bars[k] + h_bar * o * (1.0 - t * t)
            gates_bar[:, :4] = c_bar * g * i * (1.0 - i)
            gates_bar[:, 4:8] = c_bar * before * f * (1.0 - f)
            gates_bar[:, 8:12] = h_bar * t * o * (1.0 - o)
            gates_bar[:, 12:] = c_bar * i * (1.0 - g * g)
            c_bars[k] = c_bar * f
            w_bar, b_bar = layer_bars[k]
            w_bar += both.T @ gates_bar
            b_bar += gates_bar.sum(axis=0)
            both_bar = gates_bar @ layers[k][0].T
            above, h_bars[k] = both_bar[:, :4], both_bar[:, 4:]
        x_bars[step] = above
        above = 0.0
    return value, layer_bars, x_bars


def program(layers, batch):
    random = np.random.default_rng(0)
    weights = [
        (random.normal(0.0, 0.3, (2 * SIZE, 4 * SIZE)), random.normal(0.0, 0.1, 4 * SIZE))
        for _ in range(layers)
    ]
    xs = [random.normal(0.0, 1.0, (batch, SIZE)) for _ in range(STEPS)]
    return Program(f"{layers} layers, batch {batch}", lstm, (weights, xs), lstm_by_hand)


def run(settings: Settings) -> list[Table]:
    batches = (1, 8) if settings.smoke else (1, 2, 4, 8)
    times = Table("Stacked LSTM", ["program", "plain µs", *[f"{name} ×" for name in CONTENDERS[1:]]])
    overhead = Table(
        "Stacked LSTM: µs of overhead per NumPy operation, extrapolated to batch 0",
        ["layers", "operations", "plain program", *CONTENDERS[1:]],
    )
    factors = []
    hand_factors = []
    for layers in (1,) if settings.smoke else (1, 2, 3):
        measured: dict[str, list[float]] = {}
        for batch in batches:
            case = program(layers, batch)
            calls, out = contenders(case, settings)
            took = seconds(calls, settings)
            row = [case.name, f"{took[PLAIN] * 1e6:.1f}"]
            for name in CONTENDERS:
                measured.setdefault(name, []).append(took.get(name, float("nan")))
                if name != PLAIN:
                    missing = out.get(name, "-").split(":")[0]
                    row.append(f"{took[name] / took[PLAIN]:.3g}" if name in took else missing)
            times.rows.append(row)
            for name in (TAPELESS, BY_HAND):
                if name in out:
                    times.failures.append(f"{case.name}, {name}: {out[name]}")
            if TAPELESS in took:
                factors.append(took[TAPELESS] / took[PLAIN])
            hand_factors.append(took[BY_HAND] / took[PLAIN] if BY_HAND in took else float("nan"))
        operations = layers * STEPS * OPERATIONS_A_CELL + 2
        at_zero = {name: np.polyfit(batches, values, 1)[1] for name, values in measured.items()}
        cells = [f"{(at_zero[name] - at_zero[PLAIN]) / operations * 1e6:.2f}" for name in CONTENDERS[1:]]
        plain = f"{at_zero[PLAIN] / operations * 1e6:.2f} in all"
        overhead.rows.append([str(layers), str(operations), plain, *cells])
        native, compiled = at_zero[NATIVE], at_zero[JAX_JIT]
        if np.isfinite(native):
            what = f"compiled, {layers} layers, an operation in all"
            overhead.targets.append(Target(what, native / operations * 1e6, 0.1, " µs"))
        if np.isfinite(native) and np.isfinite(compiled):
            what = f"compiled, {layers} layers, batch {batches[-1]}, by JAX jit"
            overhead.targets.append(Target(what, measured[NATIVE][-1] / measured[JAX_JIT][-1], 1.0))
    if factors:
        times.targets.append(Target("LSTM, geometric mean", geometric_mean(factors), 3.5))
    overhead.notes.append("Overhead: value and gradient, less the plain program.")
    return [times, overhead]
