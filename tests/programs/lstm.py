"""A stacked LSTM of nested dataclasses; the layers keep and change their own state."""

from dataclasses import dataclass

import numpy as np


def sigmoid(x):
    return 0.5 * (np.tanh(0.5 * x) + 1.0)


@dataclass
class Dense:
    weight: np.ndarray
    bias: np.ndarray

    def __call__(self, x):
        return x @ self.weight + self.bias


@dataclass
class State:
    hidden: np.ndarray
    cell: np.ndarray


@dataclass
class LSTMLayer:
    forget: Dense
    take: Dense
    candidate: Dense
    output: Dense
    state: State

    def __call__(self, x):
        joined = np.concatenate([x, self.state.hidden], axis=-1)
        self.state.cell *= sigmoid(self.forget(joined))
        self.state.cell += sigmoid(self.take(joined)) * np.tanh(self.candidate(joined))
        self.state.hidden = sigmoid(self.output(joined)) * np.tanh(self.state.cell)
        return self.state.hidden

    def reset(self):
        self.state.hidden = np.zeros_like(self.state.hidden)
        self.state.cell[:] = 0.0


@dataclass
class Model:
    layers: list
    head: Dense
    steps: int = 0

    def __call__(self, x):
        for layer in self.layers:
            x = layer(x)
        self.steps += 1
        return self.head(x)

    def reset(self):
        for layer in self.layers:
            layer.reset()

    def loss(self, inputs, targets):
        self.reset()
        total = 0.0
        for x, target in zip(inputs, targets, strict=True):
            error = self(x) - target
            total += np.mean(error**2)
        return total / len(inputs)


def make_dense(rng, n_in, n_out):
    return Dense(rng.standard_normal((n_in, n_out)) * 0.5, rng.standard_normal(n_out) * 0.1)


def make_model(features, hidden, depth, batch, seed=0):
    rng = np.random.default_rng(seed)
    layers = []
    for k in range(depth):
        n = (features if k == 0 else hidden) + hidden
        gates = [make_dense(rng, n, hidden) for _ in range(4)]
        layers.append(LSTMLayer(*gates, State(np.zeros((batch, hidden)), np.zeros((batch, hidden)))))
    return Model(layers, make_dense(rng, hidden, features))


def make_data(features, batch, steps, seed=1):
    rng = np.random.default_rng(seed)
    data = rng.standard_normal((steps + 1, batch, features))
    return data[:-1], data[1:]
