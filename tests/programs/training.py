"""A training loop: momentum updates in place, mini-batches, learning-rate decay, early stopping."""

import numpy as np


class Network:
    def __init__(self, sizes, seed=0):
        rng = np.random.default_rng(seed)
        self.weights = [
            rng.standard_normal((m, n)) / np.sqrt(m) for m, n in zip(sizes, sizes[1:], strict=False)
        ]
        self.biases = [np.zeros(n) for n in sizes[1:]]

    def parameters(self):
        for w, b in zip(self.weights, self.biases, strict=True):
            yield w
            yield b

    def forward(self, x):
        self.activations = [x]
        for k, (w, b) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = x @ w + b
            if k < len(self.weights) - 1:
                x = np.tanh(x)
            self.activations.append(x)
        return x

    def backward(self, error):
        """Gradients by hand, in the order of `parameters`."""
        gradients = []
        for k in reversed(range(len(self.weights))):
            below = self.activations[k]
            gradients.append(error.sum(axis=0))
            gradients.append(below.T @ error)
            error = error @ self.weights[k].T
            error *= 1.0 - below**2
        return gradients[::-1]


class Momentum:
    def __init__(self, parameters, rate, momentum):
        self.parameters = list(parameters)
        self.velocity = [np.zeros_like(p) for p in self.parameters]
        self.rate = rate
        self.momentum = momentum

    def step(self, gradients):
        for p, v, g in zip(self.parameters, self.velocity, gradients, strict=True):
            v *= self.momentum
            v -= self.rate * g
            p += v

    def decay(self, factor):
        self.rate *= factor


def batches(x, y, size):
    for start in range(0, len(x), size):
        yield x[start : start + size], y[start : start + size]


def mean_squared(network, x, y):
    return np.mean((network.forward(x) - y) ** 2)


def train(network, x, y, rate, momentum, epochs=3, size=4, patience=1e-9):
    optimiser = Momentum(network.parameters(), rate, momentum)
    history = [mean_squared(network, x, y)]
    for epoch in range(epochs):
        for bx, by in batches(x, y, size):
            error = 2.0 * (network.forward(bx) - by) / by.size
            optimiser.step(network.backward(error))
        history.append(mean_squared(network, x, y))
        print(f"epoch {epoch}: {history[-1]:.6f}")
        if history[-2] - history[-1] < patience:
            break
        optimiser.decay(0.9)
    return history
