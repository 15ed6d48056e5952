"""Layers and small networks, written with arrays and loops over windows."""

import numpy as np

from benchmarks.kernels import ARRAY, LOOP, Kernel


def relu(x):
    return np.maximum(x, 0.0)


def softmax_rows(x):
    shifted = np.exp(x - np.max(x, axis=-1, keepdims=True))
    return shifted / np.sum(shifted, axis=-1, keepdims=True)


def softmax(x, weights):
    return np.sum(weights * softmax_rows(x))


def mlp(x, w1, b1, w2, b2, w3, b3, labels):
    x = relu(x @ w1 + b1)
    x = relu(x @ w2 + b2)
    x = softmax_rows(x @ w3 + b3)
    return -np.sum(labels * np.log(x)) / x.shape[0]


def convolved(x, weights):
    """Valid convolution of images (batch, height, width, channels)."""
    k = weights.shape[0]
    n, h, w, _ = x.shape
    out = np.empty((n, h - k + 1, w - k + 1, weights.shape[3]))
    for i in range(h - k + 1):
        for j in range(w - k + 1):
            out[:, i, j, :] = np.sum(
                x[:, i : i + k, j : j + k, :, np.newaxis] * weights[np.newaxis, :, :, :], axis=(1, 2, 3)
            )
    return out


def pooled(x):
    n, h, w, c = x.shape
    out = np.empty((n, h // 2, w // 2, c))
    for i in range(h // 2):
        for j in range(w // 2):
            out[:, i, j, :] = np.max(x[:, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2, :], axis=(1, 2))
    return out


def conv2d(x, weights, bias):
    out = convolved(x, weights) + bias
    return np.sum(out * out)


def lenet(x, c1, d1, c2, d2, w1, b1, w2, b2, w3, b3):
    x = pooled(relu(convolved(x, c1) + d1))
    x = pooled(relu(convolved(x, c2) + d2))
    x = np.reshape(x, (x.shape[0], -1))
    x = relu(x @ w1 + b1)
    x = relu(x @ w2 + b2)
    x = x @ w3 + b3
    return np.sum(x * x)


def normalised(x):
    mean = np.mean(x, axis=0, keepdims=True)
    std = np.std(x, axis=0, keepdims=True)
    return (x - mean) / np.sqrt(std + 1e-5)


def resnet(x, w1, w2, w3):
    """A bottleneck block: two 1×1 convolutions about a 3×3 one, and the way past them."""
    n, h, w, _ = x.shape
    padded = np.zeros((n, h + 2, w + 2, w1.shape[3]))
    padded[:, 1:-1, 1:-1, :] = convolved(x, w1)
    y = relu(normalised(padded))
    y = relu(normalised(convolved(y, w2)))
    y = normalised(convolved(y, w3))
    out = relu(y + x)
    return np.sum(out * out)


def attention(x, wq, wk, wv):
    q = x @ wq
    k = x @ wk
    v = x @ wv
    scores = softmax_rows(q @ k.T / np.sqrt(q.shape[1]))
    out = scores @ v
    return np.sum(out * out)


def kmeans_cost(points, centres):
    """The sum of the squared distances to the nearest centre, point by point."""
    total = 0.0
    for i in range(points.shape[0]):
        best = np.inf
        for c in range(centres.shape[0]):
            distance = 0.0
            for d in range(points.shape[1]):
                step = points[i, d] - centres[c, d]
                distance += step * step
            if distance < best:
                best = distance
        total += best
    return total


def make_softmax(n, m):
    rng = np.random.default_rng(42)
    return rng.standard_normal((n, m)), rng.standard_normal((n, m))


def make_mlp(batch, inputs, hidden):
    rng = np.random.default_rng(42)
    widths = [inputs, hidden, hidden // 2, 10]
    layers = []
    for a, b in zip(widths[:-1], widths[1:], strict=True):
        layers += [rng.standard_normal((a, b)) / np.sqrt(a), 0.1 * rng.standard_normal(b)]
    return rng.standard_normal((batch, inputs)), *layers, np.eye(10)[rng.integers(0, 10, batch)]


def make_conv2d(batch, size, k, channels):
    rng = np.random.default_rng(42)
    return (
        rng.random((batch, size, size, 3)),
        rng.standard_normal((k, k, 3, channels)) / k,
        rng.standard_normal(channels),
    )


def make_lenet(batch, size):
    rng = np.random.default_rng(42)
    after = ((size - 4) // 2 - 4) // 2
    flat = after * after * 16
    return (
        rng.standard_normal((batch, size, size, 1)),
        rng.standard_normal((5, 5, 1, 6)) / 5, 0.1 * rng.standard_normal(6),
        rng.standard_normal((5, 5, 6, 16)) / 12, 0.1 * rng.standard_normal(16),
        rng.standard_normal((flat, 120)) / np.sqrt(flat), 0.1 * rng.standard_normal(120),
        rng.standard_normal((120, 84)) / 11, 0.1 * rng.standard_normal(84),
        rng.standard_normal((84, 10)) / 9, 0.1 * rng.standard_normal(10),
    )  # fmt: skip


def make_resnet(batch, size, wide, narrow):
    rng = np.random.default_rng(42)
    return (
        rng.standard_normal((batch, size, size, wide)),
        rng.standard_normal((1, 1, wide, narrow)) / np.sqrt(wide),
        rng.standard_normal((3, 3, narrow, narrow)) / np.sqrt(9 * narrow),
        rng.standard_normal((1, 1, narrow, wide)) / np.sqrt(narrow),
    )


def make_attention(n, d):
    rng = np.random.default_rng(42)
    return rng.standard_normal((n, d)), *(rng.standard_normal((d, d)) / np.sqrt(d) for _ in range(3))


def make_kmeans(n, k, d):
    rng = np.random.default_rng(42)
    return rng.standard_normal((n, d)), rng.standard_normal((k, d))


KERNELS = [
    Kernel(softmax, make_softmax, ((3, 5), (32, 64), (128, 512)), (0, 1), ARRAY),
    Kernel(mlp, make_mlp, ((3, 6, 8), (8, 64, 64), (32, 256, 256)), tuple(range(7)), ARRAY),
    Kernel(conv2d, make_conv2d, ((2, 5, 2, 3), (2, 16, 3, 8), (4, 32, 5, 16)), (0, 1, 2), LOOP),
    Kernel(lenet, make_lenet, ((1, 16), (1, 28), (4, 28)), tuple(range(1, 11)), LOOP),
    Kernel(resnet, make_resnet, ((5, 3, 4, 2), (2, 8, 16, 4), (4, 14, 64, 16)), (0, 1, 2, 3), LOOP),
    Kernel(attention, make_attention, ((4, 3), (32, 16), (128, 64)), (0, 1, 2, 3), ARRAY),
    Kernel(kmeans_cost, make_kmeans, ((6, 3, 2), (100, 5, 3), (1000, 10, 4)), (0, 1), LOOP),
]
