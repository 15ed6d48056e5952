"""lstm: a character LSTM with diagonal weights; the loss by its main and extra parameters."""

import numpy as np

from benchmarks.gradbench.data import adbench


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def loss(main, extra, state, sequence):
    """`main`: a row of weights and one of biases a layer; `state`: a hidden and a cell row a layer."""
    size = sequence.shape[1]
    state = state.copy()
    total = 0.0
    for t in range(len(sequence) - 1):
        x = sequence[t] * extra[0]
        for layer in range(0, len(state), 2):
            weight, bias = main[layer], main[layer + 1]
            hidden, cell = state[layer], state[layer + 1]
            forget = sigmoid(x * weight[:size] + bias[:size])
            ingate = sigmoid(hidden * weight[size : 2 * size] + bias[size : 2 * size])
            outgate = sigmoid(x * weight[2 * size : 3 * size] + bias[2 * size : 3 * size])
            change = np.tanh(hidden * weight[3 * size :] + bias[3 * size :])
            cell *= forget
            cell += ingate * change
            hidden[:] = outgate * np.tanh(cell)
            x = hidden
        y = x * extra[1] + extra[2]
        total += np.sum(sequence[t + 1] * (y - np.log(np.sum(np.exp(y)) + 2.0)))
    return -total / ((len(sequence) - 1) * size)


def data(layers=2, length=1024, size=14):
    read = adbench(f"lstm/lstm_l{layers}_c1024.txt")
    if read is not None:
        main, extra, state, sequence = _read(read)
        return main, extra, state, sequence[:length]
    rng = np.random.default_rng(31337)
    text = (rng.random((length, size)) < 0.5).astype(float)
    return (
        rng.random((2 * layers, 4 * size)), rng.random((3, size)), rng.random((2 * layers, size)), text
    )  # fmt: skip


def _read(path):
    rows = [
        [float(number) for number in line.split()] for line in path.read_text().splitlines() if line.strip()
    ]
    layers = int(rows[0][0])
    main, extra = rows[1 : 2 * layers + 1], rows[2 * layers + 1 : 2 * layers + 4]
    state, sequence = rows[2 * layers + 4 : 4 * layers + 4], rows[4 * layers + 4 :]
    return np.array(main), np.array(extra), np.array(state), np.array(sequence)
