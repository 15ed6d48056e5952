"""ba, ht and kmeans: compressed derivatives against dense ones, values by other formulas."""

from typing import Any

import numpy as np
import pytest
from benchmarks.gradbench import ba, ht, kmeans
from differences import along, directions
from scipy.spatial.transform import Rotation

import tapeless as tl


def bundle(seed: int = 0) -> tuple[Any, ...]:
    """ADBench's test problem, with the copies of cameras, points and weights made different."""
    cameras, points, weights, observations, features = ba.data("test")
    rng = np.random.default_rng(seed)
    cameras = cameras * rng.uniform(0.9, 1.1, cameras.shape)
    points = points * rng.uniform(0.9, 1.1, points.shape)
    return cameras, points, weights * rng.uniform(0.5, 1.5, weights.shape), observations, features


def test_ba_value_observation_by_observation() -> None:
    cameras, points, weights, observations, features = bundle()
    seen, weight_errors = ba.errors(cameras, points, weights, observations, features)
    for i, (camera, point) in enumerate(observations):
        c = cameras[camera]
        x = Rotation.from_rotvec(c[:3]).apply(points[point] - c[3:6])
        p = x[:2] / x[2]
        r = p @ p
        p = p * (1.0 + c[9] * r + c[10] * r**2) * c[6] + c[7:9]
        np.testing.assert_allclose(seen[i], weights[i] * (p - features[i]), rtol=1e-11)
    np.testing.assert_array_equal(weight_errors, 1.0 - weights**2)


@pytest.mark.parametrize("mode", [tl.jacfwd, tl.jacrev])
def test_ba_sparse_jacobian_is_the_dense_one(mode: Any) -> None:
    args = bundle()

    def errors(*parts: np.ndarray) -> Any:
        return np.concatenate([error.ravel() for error in ba.errors(*parts, *args[3:])])

    blocks = mode(errors, argnums=(0, 1, 2))(*args[:3])
    p = len(args[2])
    dense = np.concatenate([block.reshape(3 * p, -1) for block in blocks], axis=1)
    sparse = ba.jacobian(*args)
    # of the principal point an error depends on its own coordinate only: 14 parameters each, and a weight
    assert sparse.nnz == 29 * p
    np.testing.assert_allclose(sparse.toarray(), dense, rtol=1e-12, atol=1e-12)
    compiled = ba.compiled_jacobian()(*args)
    np.testing.assert_allclose(compiled.toarray(), dense, rtol=1e-12, atol=1e-12)


def test_ba_jacobian_against_differences() -> None:
    args = bundle()
    tangents = directions(args, (0, 1, 2), 3)
    want = np.concatenate(
        [along(lambda *a, k=k: ba.errors(*a)[k], args, (0, 1, 2), tangents).ravel() for k in (0, 1)]
    )
    got = ba.jacobian(*args) @ np.concatenate([t.ravel() for t in tangents[:3]])
    np.testing.assert_allclose(got, want, rtol=1e-7)


def test_ba_camera_that_is_not_turned() -> None:
    """At angle 0 the rotation is linear in its vector: no NaN from the branch that divides by the angle."""
    cameras, points, weights, observations, features = bundle()
    cameras[:, :3] = 0.0
    got = ba.jacobian(cameras, points, weights, observations, features).toarray()
    tiny = cameras.copy()
    tiny[:, :3] = [1e-9, -2e-9, 1e-9]
    near = ba.jacobian(tiny, points, weights, observations, features).toarray()
    assert np.all(np.isfinite(got))
    np.testing.assert_allclose(got, near, rtol=1e-6, atol=1e-3)


def posed(theta: np.ndarray, hand: ht.Hand) -> np.ndarray:
    """The vertices of the posed hand, vertex by vertex, with SciPy's rotations."""
    turns = [np.zeros(3) for _ in hand.parents]
    for finger in range(5):
        angles = theta[6 + 4 * finger : 10 + 4 * finger]
        first = 2 + 4 * finger
        turns[first] = np.array([angles[0], 0.0, angles[1]])
        turns[first + 1] = np.array([angles[2], 0.0, 0.0])
        turns[first + 2] = np.array([angles[3], 0.0, 0.0])

    def absolute(bone: int) -> np.ndarray:
        turn = np.eye(4)
        turn[:3, :3] = Rotation.from_euler("xyz", turns[bone]).as_matrix()
        here = hand.base_relatives[bone] @ turn
        return here if hand.parents[bone] == -1 else absolute(hand.parents[bone]) @ here

    transforms = [absolute(b) @ hand.inverse_base_absolutes[b] for b in range(len(hand.parents))]
    whole = Rotation.from_rotvec(theta[:3])
    return np.array(
        [
            whole.apply(sum(w * (t @ position)[:3] for w, t in zip(row, transforms, strict=True)))
            + theta[3:6]
            for position, row in zip(hand.base_positions, hand.weights, strict=True)
        ]
    )


def test_ht_value() -> None:
    theta, hand, correspondences, points = ht.data(complicated=False)
    want = points - posed(theta, hand)[correspondences]
    np.testing.assert_allclose(ht.errors(theta, hand, correspondences, points), want, rtol=1e-9, atol=1e-12)


def test_ht_jacobian() -> None:
    theta, hand, correspondences, points = ht.data(complicated=False, points=5)
    got = ht.jacobian(theta, hand, correspondences, points)
    want = tl.jacrev(ht.errors)(theta, hand, correspondences, points).reshape(-1, len(theta))
    np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-13)
    tangents = directions((theta,), (0,), 1)
    numeric = along(lambda theta: ht.errors(theta, hand, correspondences, points), (theta,), (0,), tangents)
    np.testing.assert_allclose(got @ tangents[0], numeric.ravel(), rtol=1e-7, atol=1e-9)


def test_ht_compressed_jacobian_is_the_dense_one() -> None:
    theta, us, hand, correspondences, points = ht.data(complicated=True, points=5)
    got = ht.jacobian_on_triangles(theta, us, hand, correspondences, points)
    by_theta, by_us = tl.jacfwd(ht.errors_on_triangles, argnums=(0, 1))(
        theta, us, hand, correspondences, points
    )
    np.testing.assert_allclose(got[:, 2:], by_theta.reshape(-1, len(theta)), rtol=1e-11, atol=1e-13)
    for i in range(5):
        np.testing.assert_allclose(got[3 * i : 3 * i + 3, :2], by_us[i, :, i], rtol=1e-11, atol=1e-13)
        assert not np.any(np.delete(by_us[i], i, axis=1))


def test_kmeans() -> None:
    centroids, points = kmeans.data(4, 40, 3)
    distances = np.array([[np.sum((p - c) ** 2) for c in centroids] for p in points])
    nearest = distances.argmin(axis=1)
    value, grad = tl.value_and_grad(kmeans.cost)(centroids, points)
    assert value == pytest.approx(distances.min(axis=1).sum(), rel=1e-12)
    sums = np.array([[2.0 * np.sum(c - points[nearest == k], axis=0)] for k, c in enumerate(centroids)])[:, 0]
    np.testing.assert_allclose(grad, sums, rtol=1e-10)
    # Newton's direction leads to the means of the clusters
    means = np.array([points[nearest == k].mean(axis=0) for k in range(4)])
    np.testing.assert_allclose(kmeans.direction(centroids, points), centroids - means, rtol=1e-10)


@pytest.mark.parametrize("way", ["forward over reverse", "hvp", "dense"])
def test_kmeans_hessian(way: str) -> None:
    centroids, points = kmeans.data(3, 20, 2)

    def cost(centroids: np.ndarray) -> Any:
        return kmeans.cost(centroids, points)

    nearest = np.array([np.argmin([np.sum((p - c) ** 2) for c in centroids]) for p in points])
    want = np.repeat(2.0 * np.bincount(nearest, minlength=3)[:, None], 2, axis=1)
    ones = np.ones_like(centroids)
    if way == "hvp":
        got = tl.hvp(cost, (centroids,), (ones,))
    elif way == "dense":
        full = tl.hessian(cost)(centroids).reshape(6, 6)
        assert np.count_nonzero(full - np.diag(np.diag(full))) == 0
        got = np.diag(full).reshape(3, 2)
    else:
        got = tl.jvp(tl.grad(cost), (centroids,), (ones,))[1]
    np.testing.assert_allclose(got, want, rtol=1e-12)
