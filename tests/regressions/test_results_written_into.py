"""Programs that write into what a function has just returned: its derivative needs what was there."""

import numpy as np
import pytest

from checking import check

TALL = np.array([[1.0, 0.3], [0.2, 2.0], [-0.4, 0.7], [0.5, -0.6]])
SQUARE = np.array([[2.0, 0.3], [0.1, 1.5]])


def pseudo_inverse(x):
    u, s, vt = np.linalg.svd(x, False)
    for i in range(2):
        s[i] = 1.0 / s[i]
    return np.dot(np.transpose(vt), s[:, np.newaxis] * np.transpose(u))


def singular_vectors(x):
    u, s, vt = np.linalg.svd(x, False)
    u *= u
    return u * s


def orthogonal(x):
    q, r = np.linalg.qr(x)
    r[0, 0] *= r[0, 0]
    return q @ r


def eigenvalues(x):
    w, v = np.linalg.eigh(x + x.T)
    w *= w
    v[0] *= 3.0
    return np.abs(v) * w


def determinant(x):
    sign, log = np.linalg.slogdet(np.stack([x, 2.0 * x]))
    log *= log
    return sign * log


@pytest.mark.parametrize("f", [pseudo_inverse, singular_vectors, orthogonal])
def test_factors_of_a_tall_matrix(f):
    check(f, TALL)


@pytest.mark.parametrize("f", [eigenvalues, determinant, orthogonal])
def test_factors_of_a_square_matrix(f):
    check(f, SQUARE)
