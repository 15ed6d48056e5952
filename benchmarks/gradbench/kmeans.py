"""kmeans: the cost of a clustering, its gradient and its diagonal Hessian, which give a Newton step."""

import numpy as np

import tapeless as tl


def cost(centroids, points):
    """The summed squared distance of each point to the nearest centroid."""
    difference = points[:, None, :] - centroids[None, :, :]
    return np.sum(np.min(np.sum(difference**2, axis=2), axis=1))


def direction(centroids, points):
    """Newton's direction. The Hessian is diagonal, so its product with ones is all of it."""
    gradient, diagonal = tl.jvp(
        tl.grad(cost), (centroids, points), (np.ones_like(centroids), np.zeros_like(points))
    )
    return gradient / diagonal


def data(k=10, n=1000, d=8):
    points = np.random.default_rng(31337).random((n, d))
    return points[-k:].copy(), points  # so that no cluster is empty
