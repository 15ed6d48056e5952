"""ht: hand tracking, the distances of observed points from a posed hand, and their Jacobian.

The pose is 26 numbers: a rotation, a translation and 20 angles of fingers. In the "complicated" form each
point also has two coordinates `us` on its triangle, on which no other point depends.
"""

import functools
from dataclasses import dataclass

import numpy as np

import tapeless as tl
from benchmarks.gradbench.data import adbench

FINGERS, BONES = 5, 22


@dataclass
class Hand:
    parents: np.ndarray  # bones
    base_relatives: np.ndarray  # bones, 4, 4
    inverse_base_absolutes: np.ndarray  # bones, 4, 4
    base_positions: np.ndarray  # vertices, 4
    weights: np.ndarray  # vertices, bones
    triangles: np.ndarray  # triangles, 3


def pose_parameters(theta, bones):
    """Rows: rotation, scale, translation, wrist, four bones a finger, forearm."""
    pose = np.zeros((bones + 3, 3))
    pose[0] = theta[0:3]
    pose[1] = 1.0
    pose[2] = theta[3:6]
    i, row = 6, 5
    for _ in range(FINGERS):
        for bone in range(3):
            pose[row, 0] = theta[i]
            i += 1
            if bone == 0:
                pose[row, 1] = theta[i]
                i += 1
            row += 1
        row += 1
    return pose


def euler_rotation(angles):
    x, z, y = angles
    about_x = np.array([[1.0, 0.0, 0.0], [0.0, np.cos(x), -np.sin(x)], [0.0, np.sin(x), np.cos(x)]])
    about_y = np.array([[np.cos(y), 0.0, np.sin(y)], [0.0, 1.0, 0.0], [-np.sin(y), 0.0, np.cos(y)]])
    about_z = np.array([[np.cos(z), -np.sin(z), 0.0], [np.sin(z), np.cos(z), 0.0], [0.0, 0.0, 1.0]])
    return about_z @ about_y @ about_x


def axis_rotation(vector):
    angle = np.sqrt(np.sum(vector**2))
    if angle < 1e-4:
        return np.eye(3)
    x, y, z = vector / angle
    return axis_entries(x, y, z, np.sin(angle), np.cos(angle))


def axis_entries(x, y, z, s, c):
    """The rotation about the unit vector (x, y, z) by the angle with sine `s` and cosine `c`."""
    return np.array(
        [
            [x * x + (1 - x * x) * c, x * y * (1 - c) - z * s, x * z * (1 - c) + y * s],
            [x * y * (1 - c) + z * s, y * y + (1 - y * y) * c, y * z * (1 - c) - x * s],
            [x * z * (1 - c) - y * s, z * y * (1 - c) + x * s, z * z + (1 - z * z) * c],
        ]
    )


def bone_transforms(hand, pose):
    """The motion of each bone against the hand at rest, down the tree of bones."""
    absolutes = np.zeros((len(hand.parents), 4, 4))
    for bone, parent in enumerate(hand.parents):
        turn = np.eye(4)
        turn[:3, :3] = euler_rotation(pose[bone + 3])
        relative = hand.base_relatives[bone] @ turn
        absolutes[bone] = relative if parent == -1 else absolutes[parent] @ relative
    return absolutes @ hand.inverse_base_absolutes


def vertices(theta, hand):
    """The posed hand's vertices: each is moved by its bones, weighted."""
    pose = pose_parameters(theta, len(hand.parents))
    positions = np.zeros((len(hand.base_positions), 3))
    for bone, transform in enumerate(bone_transforms(hand, pose)):
        moved = hand.base_positions @ transform.T
        positions += hand.weights[:, bone : bone + 1] * moved[:, :3]
    rotation = axis_rotation(pose[0]) * pose[1]
    return positions @ rotation.T + pose[2]


def errors(theta, hand, correspondences, points):
    return points - vertices(theta, hand)[correspondences]


def errors_on_triangles(theta, us, hand, correspondences, points):
    corners = vertices(theta, hand)[hand.triangles[correspondences]]
    u, v = us[:, :1], us[:, 1:]
    return points - (u * corners[:, 0] + v * corners[:, 1] + (1.0 - u - v) * corners[:, 2])


def jacobian(theta, hand, correspondences, points):
    return tl.jacfwd(errors)(theta, hand, correspondences, points).reshape(-1, len(theta))


def jacobian_on_triangles(theta, us, hand, correspondences, points, by_pose=None, by_points=None):
    """Columns: the two coordinates of the row's own point, then the pose."""
    by_pose = tl.jacfwd(errors_on_triangles) if by_pose is None else by_pose
    by_points = tl.jacobian(errors_on_triangles, 1, sparse=True) if by_points is None else by_points
    args = theta, us, hand, correspondences, points
    own = by_points(*args)  # two entries a row
    return np.concatenate([own.data.reshape(-1, 2), by_pose(*args).reshape(-1, len(theta))], axis=1)


def compiled_on_triangles():
    """`jacobian_on_triangles` by compiled code."""
    return functools.partial(
        jacobian_on_triangles,
        by_pose=tl.jit(tl.jacfwd(errors_on_triangles)),
        by_points=tl.jacobian(tl.jit(errors_on_triangles), 1, sparse=True),
    )


def data(complicated=True, points=100):
    kind = "complicated" if complicated else "simple"
    read, model = adbench(f"hand/{kind}_small/hand1_t26_c100.txt"), adbench("hand/model")
    if read is None or model is None:
        return _made(complicated, points)
    lines = [line.split() for line in read.read_text(encoding="ascii").splitlines()]
    count, angles = int(lines[0][0]), int(lines[0][1])
    table = np.array([[float(number) for number in line] for line in lines[1 : count + 1]])
    correspondences, seen = table[:points, 0].astype(int), table[:points, 1:].copy()
    theta = np.array([float(line[0]) for line in lines[-angles:]])
    if not complicated:
        return theta, load(model), correspondences, seen
    us = np.array([[float(number) for number in line] for line in lines[count + 1 : 2 * count + 1]])
    return theta, us[:points], load(model), correspondences, seen


def load(folder):
    bones = [line.split(":") for line in (folder / "bones.txt").read_text(encoding="ascii").split()]
    matrices = np.array([[float(number) for number in bone[2:34]] for bone in bones]).reshape(-1, 2, 4, 4)
    triangles = np.loadtxt(folder / "triangles.txt", int, delimiter=":")
    lines = [line.split(":") for line in (folder / "vertices.txt").read_text(encoding="ascii").split()]
    positions, weights = np.ones((len(lines), 4)), np.zeros((len(lines), len(bones)))
    for vertex, line in enumerate(lines):
        positions[vertex, :3] = [float(number) for number in line[:3]]
        for i in range(int(line[8])):
            weights[vertex, int(line[9 + 2 * i])] = float(line[10 + 2 * i])
    parents = np.array([int(bone[1]) for bone in bones])
    return Hand(parents, matrices[:, 0].copy(), matrices[:, 1].copy(), positions, weights, triangles)


def _made(complicated, points, n_vertices=544, n_triangles=1084):
    """A hand of the same shape from seeded numbers."""
    rng = np.random.default_rng(31337)
    parents = np.array([-1] + [0 if i % 4 == 0 else i for i in range(4 * FINGERS)] + [0])
    weights = rng.random((n_vertices, BONES)) * (rng.random((n_vertices, BONES)) < 0.15)
    positions = np.concatenate([rng.normal(size=(n_vertices, 3)), np.ones((n_vertices, 1))], axis=1)
    relatives, inverses = rng.normal(0.0, 0.5, (2, BONES, 4, 4))
    relatives[:, 3] = inverses[:, 3] = [0.0, 0.0, 0.0, 1.0]
    triangles = rng.integers(0, n_vertices, (n_triangles, 3))
    hand = Hand(parents, relatives, inverses, positions, weights, triangles)
    theta, seen = rng.normal(0.0, 0.3, 26), rng.normal(size=(points, 3))
    if not complicated:
        return theta, hand, rng.integers(0, n_vertices, points), seen
    return theta, rng.random((points, 2)), hand, rng.integers(0, n_triangles, points), seen
