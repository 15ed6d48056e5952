"""Hypergradients: the end of a training run by its learning rate, its start and its data.

Also the other way round: a training loop, as a user writes it, that calls the gradient and updates in place.
"""

import numpy as np
import training
from training import Network

import tapeless as tl
from checking import check

X = np.random.default_rng(3).standard_normal((6, 2))
Y = np.sin(X[:, :1]) * X[:, 1:]


def final_loss(rate, momentum):
    return training.train(Network([2, 3, 1]), X, Y, rate, momentum)[-1]


def history_by_start(network):
    return training.train(network, X, Y, 0.1, 0.8, epochs=2)


def final_loss_by_data(x, y):
    return training.train(Network([2, 2, 1]), x, y, 0.1, 0.5, epochs=2)[-1]


def test_by_learning_rate_and_momentum():
    check(final_loss, 0.1, 0.7)


def test_by_the_start():
    check(history_by_start, Network([2, 2, 1], seed=4))


def test_by_the_data():
    check(final_loss_by_data, X, Y, step=1e-3)


def test_by_hand_and_by_the_package():
    network = Network([2, 3, 1])
    gradient = tl.grad(lambda n: training.mean_squared(n, X, Y))(network)
    by_hand = network.backward(2.0 * (network.forward(X) - Y) / Y.size)
    ours = [g for pair in zip(gradient.weights, gradient.biases, strict=True) for g in pair]
    for a, b in zip(ours, by_hand, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-14)


def inner_training(scale):
    """A loop that steps along `tl.grad`, itself differentiated."""
    w = np.array([0.3, -0.2])
    gradient = tl.grad(lambda w: np.mean((np.tanh(X @ w * scale) - Y[:, 0]) ** 2))
    for _ in range(3):
        w -= 0.5 * gradient(w)
    return np.mean((np.tanh(X @ w * scale) - Y[:, 0]) ** 2)


def test_a_training_loop_that_uses_grad_is_differentiated():
    check(inner_training, 1.3, order=1)
