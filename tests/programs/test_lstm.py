"""The LSTM by its parameters, its inputs and its state."""

import lstm
import numpy as np

import tapeless as tl
from checking import check

INPUTS, TARGETS = lstm.make_data(2, 2, 3)


def loss_by_model(model):
    return model.loss(INPUTS, TARGETS)


def predictions(inputs):
    model = lstm.make_model(2, 3, 2, 2)
    return [model(x) for x in inputs]


def carries_state(model):
    """Without a reset the state that came in matters, and the state that goes out has a derivative."""
    for x in INPUTS:
        y = model(x)
    return y, model.layers[0].state


def test_loss_by_the_model():
    check(loss_by_model, lstm.make_model(2, 2, 2, 2))


def test_predictions_by_inputs():
    check(predictions, INPUTS)


def test_state_in_and_out():
    model = lstm.make_model(2, 2, 1, 2)
    model.layers[0].state.cell += 0.3
    check(carries_state, model)


def test_gradient_has_the_shape_of_the_model():
    model = lstm.make_model(2, 3, 2, 2)
    gradient = tl.grad(loss_by_model)(model)
    assert isinstance(gradient, tl.Tangent)
    assert gradient.layers[1].forget.weight.shape == (6, 3)
    assert gradient.steps is None
    np.testing.assert_array_equal(gradient.layers[0].state.cell, np.zeros((2, 3)))
    better = lstm.make_model(2, 3, 2, 2)
    for _ in range(5):
        better = tl.update(better, lambda p, g: p - 0.2 * g, tl.grad(loss_by_model)(better))
    assert loss_by_model(better) < loss_by_model(lstm.make_model(2, 3, 2, 2))
