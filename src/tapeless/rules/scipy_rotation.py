"""SciPy's rotations: the values are those of its compiled functions; functions of the same names in Python,
which SciPy has for other array libraries, are opened in their place and give the derivatives.

Read only when a function of `scipy.spatial.transform` is first looked up.
"""
# The twins are opened like functions of the program: they stay without annotations.
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

from __future__ import annotations

import numpy as np

from tapeless.rules.compat import find
from tapeless.rules.registry import nondifferentiable, twin
from tapeless.rules.twins import exactly, plainly, refuse

_NAMES = (
    "apply as_davenport as_euler as_matrix as_mrp as_quat as_rotvec compose_quat from_davenport from_euler "
    "from_matrix _from_matrix_orthogonal from_mrp from_quat inv magnitude mean pow setitem"
).split()
_RIGID = (
    "_create_transformation_matrix apply as_dual_quat as_exp_coords compose_transforms from_dual_quat "
    "from_exp_coords from_matrix from_rotation from_translation inv mean normalize_dual_quaternion pow "
    "setitem"
).split()


def array(compiled, *args, **options):
    """What a compiled function gives, which may be a window of Cython's on an array."""
    found = compiled(*args, **options)
    return found if isinstance(found, float) else np.asarray(found)


def signed(found, formula):
    """The formula's quaternions with the signs of those found, which are the same rotations."""
    return formula * np.where(np.sum(found * formula, axis=-1, keepdims=True) < 0, -1.0, 1.0)


def same(compiled, formula, quaternions=False):
    @twin(compiled)
    def _(*args, **options):
        found, known = plainly(array, compiled, *args, **options), formula(*args, **options)
        return exactly(found, signed(found, known) if quaternions else known)


for _module, _names in (("_rotation", _NAMES), ("_rigid_transform", _RIGID)):
    for _name in _names:
        _formula = find(f"scipy.spatial.transform.{_module}_xp.{_name}")
        if _formula is not None:
            mean = _name == "mean" and _names is _NAMES
            same(find(f"scipy.spatial.transform.{_module}_cy.{_name}"), _formula, quaternions=mean)
nondifferentiable(find("scipy.spatial.transform._rotation_cy.approx_equal"))


def from_rotvec(rotvec, degrees=False):
    """By the square of the angle: SciPy's takes its root, which has no derivatives at 0."""
    r = rotvec * (np.pi / 180) if degrees else rotvec
    square = np.sum(r * r, axis=-1, keepdims=True)
    small = square < 1e-4
    half = np.sqrt(np.where(small, 1.0, square)) / 2
    near = 0.5 - square / 48 * (1 - square / 80 * (1 - square / 168))
    scale = np.where(small, near, np.sin(half) / (2 * half))
    cosine = np.where(small, 1 - square / 8 * (1 - square / 48 * (1 - square / 120)), np.cos(half))
    return np.concatenate((r * scale, cosine), axis=-1)


for _module in ("cy", "xp"):  # rigid transformations use the second
    same(find(f"scipy.spatial.transform._rotation_{_module}.from_rotvec"), from_rotvec)
_ALIGN = find("scipy.spatial.transform._rotation_cy.align_vectors")
_ALIGNED = find("scipy.spatial.transform._rotation_xp.align_vectors")


def align(a, b, weights=None, return_sensitivity=False):
    if return_sensitivity:
        refuse("Rotation.align_vectors has no derivative rule with return_sensitivity=True")
    found, distance, nothing = plainly(aligned, a, b, weights)
    quat, apart, _ = _ALIGNED(a, b, weights)
    return exactly(found, signed(found, quat)), exactly(distance, apart), nothing


def aligned(a, b, weights):
    found, distance, nothing = _ALIGN(a, b, weights)
    return np.asarray(found), distance, nothing


if _ALIGNED is not None:
    twin(_ALIGN)(align)
