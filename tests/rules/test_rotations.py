"""SciPy's rotations and rigid transformations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapeless as tl

transform = pytest.importorskip("scipy.spatial.transform")
pytest.importorskip("scipy.spatial.transform._rotation_xp")
R = transform.Rotation

Q = np.array([0.1, 0.2, 0.3, 0.9])
QS = np.array([[0.1, 0.2, 0.3, 0.9], [0.4, -0.3, 0.2, 0.5], [-0.2, 0.6, 0.1, 0.7]])
TURN = np.array([0.3, -0.2, 0.5])
POINTS = np.array([[1.0, 2.0, 3.0], [0.5, -1.0, 0.7], [-0.4, 0.8, 1.5]])


def stored(q: Any, r: Any) -> Any:
    turns = R.from_quat(q)
    turns[1] = R.from_rotvec(r)
    return turns.as_matrix()


CASES: list[tuple[str, Any, Any]] = [
    ("apply", lambda q, v: R.from_quat(q).apply(v), (QS, POINTS)),
    ("apply inverse", lambda q, v: R.from_quat(q).apply(v, inverse=True), (Q, POINTS)),
    ("vectors", lambda r: R.from_rotvec(r).as_matrix(), (TURN,)),
    ("near nothing", lambda r: R.from_rotvec(r, degrees=True).as_quat(), (0.02 * TURN,)),
    ("as vectors", lambda q: R.from_quat(q).as_rotvec(degrees=True), (QS,)),
    ("Euler", lambda a: R.from_euler("zxz", a).as_quat(), (TURN,)),
    ("as Euler", lambda q: R.from_quat(q).as_euler("ZYX", degrees=True), (QS,)),
    ("Davenport", lambda a: R.from_davenport(np.eye(3), "extrinsic", a).as_mrp(), (TURN,)),
    ("matrix", lambda m: R.from_matrix(m).as_quat(canonical=True), (np.eye(3) + 0.1 * POINTS,)),
    ("product", lambda q, r: (R.from_quat(q) * R.from_rotvec(r).inv()).as_matrix(), (QS, TURN)),
    ("power", lambda q, n: (R.from_quat(q) ** n).magnitude(), (QS, 1.5)),
    ("mean", lambda q, w: R.from_quat(q).mean(weights=w).as_matrix(), (QS, np.array([0.2, 0.3, 0.5]))),
    ("slerp", lambda q, t: transform.Slerp([0, 1, 2.0], R.from_quat(q))(t).as_rotvec(), (QS, 1.3)),
    ("item", stored, (QS, TURN)),
]


@pytest.mark.parametrize("case", CASES, ids=[c[0] for c in CASES])
def test_rotation(case: Any) -> None:
    name, f, args = case
    tl.check_grads(f, args, order=1)


def test_alignment() -> None:
    def f(a, b):
        turn, distance = R.align_vectors(a, b)
        return np.sum(turn.as_matrix() * a) + distance

    tl.check_grads(f, (POINTS, POINTS[::-1] + 0.2), order=1)
    with pytest.raises(NotImplementedError, match="return_sensitivity"):
        tl.grad(lambda a: np.sum(R.align_vectors(a, POINTS, return_sensitivity=True)[2]))(POINTS + 0.1)


def test_values_are_those_of_scipy() -> None:
    def f(r):
        return (R.from_rotvec(r) * R.from_quat(Q)).as_matrix()[0, 1]

    assert tl.value_and_grad(f)(TURN)[0] == f(TURN) == tl.jvp(f, (TURN,), (TURN,))[0]


def test_second_order_at_no_rotation() -> None:
    def f(r):
        return np.sum(R.from_rotvec(r).apply(POINTS) ** 3)

    r, h = np.zeros(3), 1e-4
    found = tl.hessian(f)(r)
    gradient = tl.grad(f)
    for i in range(3):
        step = h * np.eye(3)[i]
        np.testing.assert_allclose(
            found[i], (gradient(step) - gradient(-step)) / (2 * h), rtol=1e-5, atol=1e-4
        )


@pytest.mark.skipif(not hasattr(transform, "RigidTransform"), reason="SciPy has no rigid transformations yet")
def test_rigid() -> None:
    T = transform.RigidTransform

    def f(q, v):
        a, b = T.from_components(v, R.from_quat(q)), T.from_exp_coords(np.concatenate((v, v * v)))
        return (a * b.inv()).apply(2 * v) + a.as_exp_coords()[:3] + a.as_dual_quat()[4:7]

    tl.check_grads(f, (Q, POINTS[0]), order=1)
