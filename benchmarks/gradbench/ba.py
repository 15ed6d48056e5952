"""ba: bundle adjustment, the reprojection errors of observed points, and their sparse Jacobian.

A camera is eleven numbers: a rotation vector, the centre, the focal length, the principal point and two
radial distortions. An observation sees one point by one camera and has one weight.
"""

import numpy as np
from scipy.sparse import csr_array

import tapeless as tl
from benchmarks.gradbench.data import adbench

CAMERA, POINT = 11, 3


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


def jacobian(cameras, points, weights, observations, features):
    """All errors by all parameters, sparse."""
    parts = blocks(cameras, points, weights, observations, features)
    return assemble(*parts, observations, len(cameras), len(points))


def blocks(cameras, points, weights, observations, features):
    """The derivatives of each observation's errors by the numbers that they depend on.

    No error depends on two cameras, two points or two weights, so one tangent moves the same coordinate of
    all of them: 15 directions give every entry.
    """
    _, push = tl.linearize(lambda c, x, w: errors(c, x, w, observations, features), cameras, points, weights)
    found = np.empty((len(weights), 2, CAMERA + POINT + 1))
    weight_error = np.zeros(len(weights))
    for i in range(CAMERA + POINT + 1):
        moved_cameras, moved_points = np.zeros_like(cameras), np.zeros_like(points)
        moved_weights = np.zeros_like(weights)
        if i < CAMERA:
            moved_cameras[:, i] = 1.0
        elif i < CAMERA + POINT:
            moved_points[:, i - CAMERA] = 1.0
        else:
            moved_weights[:] = 1.0
        found[:, :, i], weight_error = push(moved_cameras, moved_points, moved_weights)
    return found, weight_error


def compiled_jacobian():
    """`jacobian` with its numbers from compiled code; the sparse matrix is SciPy's."""
    compiled = tl.jit(blocks)

    def by_compiled(cameras, points, weights, observations, features):
        parts = compiled(cameras, points, weights, observations, features)
        return assemble(*parts, observations, len(cameras), len(points))

    return by_compiled


def assemble(blocks, weight_error, observations, n_cameras, n_points):
    """The sparse matrix of the blocks [observation, error, parameter] and the weight errors' derivatives."""
    p = len(blocks)
    after = CAMERA * n_cameras + POINT * n_points + np.arange(p)
    columns = np.concatenate(
        [
            CAMERA * observations[:, :1] + np.arange(CAMERA),
            CAMERA * n_cameras + POINT * observations[:, 1:] + np.arange(POINT),
            after[:, None],
        ],
        axis=1,
    )
    columns = np.repeat(columns[:, None, :], 2, axis=1)
    width = CAMERA + POINT + 1
    starts = np.concatenate([width * np.arange(2 * p), 2 * width * p + np.arange(p + 1)])
    values = np.concatenate([blocks.ravel(), weight_error])
    return csr_array(
        (values, np.concatenate([columns.ravel(), after]), starts),
        shape=(3 * p, CAMERA * n_cameras + POINT * n_points + p),
    )


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
