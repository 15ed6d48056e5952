"""ba: bundle adjustment, the reprojection errors of observed points, and their sparse Jacobian.

A camera is eleven numbers: a rotation vector, the centre, the focal length, the principal point and two
radial distortions. An observation sees one point by one camera and has one weight.
"""

import functools

import numpy as np

import tapeless as tl
from benchmarks.gradbench.data import adbench

CAMERA, POINT = 11, 3
#: What moves each of the two errors of an observation: of the principal point its own coordinate only.
MOVED_BY = np.array([[k for k in range(CAMERA + POINT + 1) if k != other] for other in (8, 7)])


def rotate(rotation, points):
    """Each point turned about its vector, by the vector's length (Rodrigues)."""
    angle = np.sqrt(np.sum(rotation**2, axis=1, keepdims=True))
    still = angle == 0.0
    axis = rotation / np.where(still, 1.0, angle)
    cosine, sine = np.cos(angle), np.sin(angle)
    along = np.sum(axis * points, axis=1, keepdims=True)
    turned = points * cosine + np.cross(axis, points) * sine + axis * along * (1.0 - cosine)
    return np.where(still, points + np.cross(rotation, points), turned)


def project(cameras, points):
    seen = rotate(cameras[:, 0:3], points - cameras[:, 3:6])
    flat = seen[:, :2] / seen[:, 2:]
    square = np.sum(flat**2, axis=1, keepdims=True)
    distortion = 1.0 + cameras[:, 9:10] * square + cameras[:, 10:11] * square**2
    return flat * distortion * cameras[:, 6:7] + cameras[:, 7:9]


def errors(cameras, points, weights, observations, features):
    """Two reprojection errors and one weight error for each observation."""
    seen = project(cameras[observations[:, 0]], points[observations[:, 1]])
    return weights[:, None] * (seen - features), 1.0 - weights**2


def residuals(parameters, n_cameras, n_points, observations, features):
    """All errors by all parameters: the cameras', the points', the weights."""
    cameras, points, weights = np.split(
        parameters, [CAMERA * n_cameras, CAMERA * n_cameras + POINT * n_points]
    )
    found = errors(
        cameras.reshape(n_cameras, CAMERA), points.reshape(n_points, POINT), weights, observations, features
    )
    return np.concatenate([error.ravel() for error in found])


def jacobian(cameras, points, weights, observations, features, by_parameters=None):
    """All errors by all parameters, sparse."""
    by_parameters = tl.jacobian(residuals, sparse=True) if by_parameters is None else by_parameters
    parameters = np.concatenate([cameras.ravel(), points.ravel(), weights])
    return by_parameters(parameters, len(cameras), len(points), observations, features)


def compiled_jacobian():
    """`jacobian` by compiled code."""
    return functools.partial(jacobian, by_parameters=tl.jacobian(tl.jit(residuals), sparse=True))


def data(name="ba1_n49_m7776_p31843"):
    """One camera, point, weight and feature, repeated, as GradBench has it."""
    read = adbench(f"ba/{name}.txt")
    if read is not None:
        lines = read.read_text(encoding="ascii").splitlines()[:5]
    else:
        lines = [
            "2 10 10" if name == "test" else " ".join(part[1:] for part in name.split("_")[1:]),
            "1.797201 0.590697 -0.635786 90.859550 29.361415 28.777534 211.628116 -0.284531 -14.762924"
            " 0.058931 0.069976",
            "4.173048 5.586898 1.403869",
            "0.417022",
            "-525.672849 161.811929",
        ]
    (n, m, p), camera, point, weight, feature = ([float(v) for v in line.split()] for line in lines)
    observed = np.arange(int(p))
    observations = np.stack([observed % int(n), observed % int(m)], axis=1)
    return (
        np.tile(camera, (int(n), 1)),
        np.tile(point, (int(m), 1)),
        np.tile(weight, int(p)),
        observations,
        np.tile(feature, (int(p), 1)),
    )
