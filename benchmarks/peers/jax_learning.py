"""Layers and small networks for JAX."""

import jax
import jax.numpy as jnp
from jax import lax

jax.config.update("jax_enable_x64", True)


def softmax(x, weights):
    return jnp.sum(weights * jax.nn.softmax(x, axis=-1))


def mlp(x, w1, b1, w2, b2, w3, b3, labels):
    n = x.shape[0]
    x = jax.nn.relu(x @ w1 + b1)
    x = jax.nn.relu(x @ w2 + b2)
    return -jnp.sum(labels * jax.nn.log_softmax(x @ w3 + b3, axis=-1)) / n


def convolved(x, weights):
    layout = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(x, weights, (1, 1), "VALID", dimension_numbers=layout)


def pooled(x):
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


def conv2d(x, weights, bias):
    out = convolved(x, weights) + bias
    return jnp.sum(out * out)


def lenet(x, c1, d1, c2, d2, w1, b1, w2, b2, w3, b3):
    x = pooled(jax.nn.relu(convolved(x, c1) + d1))
    x = pooled(jax.nn.relu(convolved(x, c2) + d2))
    x = jnp.reshape(x, (x.shape[0], -1))
    x = jax.nn.relu(x @ w1 + b1)
    x = jax.nn.relu(x @ w2 + b2)
    x = x @ w3 + b3
    return jnp.sum(x * x)


def normalised(x):
    mean = jnp.mean(x, axis=0, keepdims=True)
    variance = jnp.var(x, axis=0, keepdims=True)
    spread = variance > 0.0
    std = jnp.where(spread, jnp.sqrt(jnp.where(spread, variance, 1.0)), 0.0)
    return (x - mean) / jnp.sqrt(std + 1e-5)


def resnet(x, w1, w2, w3):
    padded = jnp.pad(convolved(x, w1), ((0, 0), (1, 1), (1, 1), (0, 0)))
    y = jax.nn.relu(normalised(padded))
    y = jax.nn.relu(normalised(convolved(y, w2)))
    out = jax.nn.relu(normalised(convolved(y, w3)) + x)
    return jnp.sum(out * out)


def attention(x, wq, wk, wv):
    q, k, v = x @ wq, x @ wk, x @ wv
    out = jax.nn.softmax(q @ k.T / jnp.sqrt(q.shape[1]), axis=-1) @ v
    return jnp.sum(out * out)


def kmeans_cost(points, centres):
    distances = jnp.sum((points[:, None, :] - centres[None, :, :]) ** 2, axis=-1)
    return jnp.sum(jnp.min(distances, axis=1))
