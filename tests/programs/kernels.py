"""Kernels of linear algebra, stencils and simulation, as their authors write them: slices, in place."""

import numpy as np


def jacobi1d(A, B):
    for _ in range(1, 5):
        B[1:-1] = 0.33333 * (A[:-2] + A[1:-1] + A[2:])
        A[1:-1] = 0.33333 * (B[:-2] + B[1:-1] + B[2:])
    return (A * B).sum()


def jacobi2d(A, B):
    for _ in range(1, 4):
        B[1:-1, 1:-1] = 0.2 * (A[1:-1, 1:-1] + A[1:-1, :-2] + A[1:-1, 2:] + A[2:, 1:-1] + A[:-2, 1:-1])
        A[1:-1, 1:-1] = 0.2 * (B[1:-1, 1:-1] + B[1:-1, :-2] + B[1:-1, 2:] + B[2:, 1:-1] + B[:-2, 1:-1])
    return (A**2).sum()


def seidel(A):
    N = len(A)
    for _ in range(2):
        for i in range(1, N - 1):
            A[i, 1:-1] += (
                A[i - 1, :-2]
                + A[i - 1, 1:-1]
                + A[i - 1, 2:]
                + A[i, 2:]
                + A[i + 1, :-2]
                + A[i + 1, 1:-1]
                + A[i + 1, 2:]
            )
            for j in range(1, N - 1):
                A[i, j] += A[i, j - 1]
                A[i, j] /= 9.0
    return (A * A).sum()


def lu(A):
    n = A.shape[0]
    for i in range(n):
        for j in range(i):
            A[i, j] -= A[i, :j] @ A[:j, j]
            A[i, j] /= A[j, j]
        for j in range(i, n):
            A[i, j] -= A[i, :i] @ A[:i, j]
    return np.log(np.abs(np.diag(A))).sum() + A[-1, 0]


def cholesky(A):
    A[0, 0] = np.sqrt(A[0, 0])
    for i in range(1, A.shape[0]):
        for j in range(i):
            A[i, j] -= np.dot(A[i, :j], A[j, :j])
            A[i, j] /= A[j, j]
        A[i, i] -= np.dot(A[i, :i], A[i, :i])
        A[i, i] = np.sqrt(A[i, i])
    return np.tril(A).sum()


def trisolv(L, b):
    x = np.empty_like(b)
    for i in range(len(b)):
        x[i] = (b[i] - L[i, :i] @ x[:i]) / L[i, i]
    return (x * x).sum()


def durbin(r):
    y = np.empty_like(r)
    alpha = -r[0]
    beta = 1.0
    y[0] = -r[0]
    for k in range(1, r.shape[0]):
        beta *= 1.0 - alpha * alpha
        alpha = -(r[k] + np.dot(np.flip(r[:k]), y[:k])) / beta
        y[:k] += alpha * np.flip(y[:k])
        y[k] = alpha
    return (y * y).sum()


def gramschmidt(A):
    Q = np.zeros_like(A)
    R = np.zeros((A.shape[1], A.shape[1]))
    for k in range(A.shape[1]):
        nrm = np.dot(A[:, k], A[:, k])
        R[k, k] = np.sqrt(nrm)
        Q[:, k] = A[:, k] / R[k, k]
        for j in range(k + 1, A.shape[1]):
            R[k, j] = np.dot(Q[:, k], A[:, j])
            A[:, j] -= Q[:, k] * R[k, j]
    return R.sum() + Q[0].sum()


def correlation(data):
    mean = np.mean(data, axis=0)
    std = np.std(data, axis=0)
    std[std <= 0.1] = 1.0
    data -= mean
    data /= np.sqrt(len(data)) * std
    corr = np.eye(data.shape[1])
    for i in range(data.shape[1] - 1):
        corr[i + 1 :, i] = corr[i, i + 1 :] = data[:, i] @ data[:, i + 1 :]
    return (corr**2).sum()


def fdtd(ex, ey, hz):
    for t in range(3):
        ey[0, :] = 0.1 * t
        ey[1:, :] -= 0.5 * (hz[1:, :] - hz[:-1, :])
        ex[:, 1:] -= 0.5 * (hz[:, 1:] - hz[:, :-1])
        hz[:-1, :-1] -= 0.7 * (ex[:-1, 1:] - ex[:-1, :-1] + ey[1:, :-1] - ey[:-1, :-1])
    return (ex**2 + ey**2 + hz**2).sum()


def nbody(pos, mass, vel):
    def acc(pos):
        x = pos[:, 0:1]
        y = pos[:, 1:2]
        dx = x.T - x
        dy = y.T - y
        inv = dx**2 + dy**2 + 0.1**2
        near = inv > 0
        inv[near] = inv[near] ** (-1.5)
        return np.hstack(((dx * inv) @ mass, (dy * inv) @ mass))

    a = acc(pos)
    for _ in range(4):
        vel += a * 0.01
        pos += vel * 0.01
        a = acc(pos)
        vel += a * 0.01
    return 0.5 * np.sum(mass * vel**2) + pos.sum()


def softmax(x):
    m = np.max(x, axis=-1, keepdims=True)
    e = np.exp(x - m)
    s = np.sum(e, axis=-1, keepdims=True)
    return ((e / s) ** 2).sum()


def conv2d(inp, w):
    K = w.shape[0]
    H = inp.shape[1] - K + 1
    W = inp.shape[2] - K + 1
    out = np.empty((inp.shape[0], H, W, w.shape[3]))
    for i in range(H):
        for j in range(W):
            out[:, i, j, :] = np.sum(
                inp[:, i : i + K, j : j + K, :, np.newaxis] * w[np.newaxis, :, :, :], axis=(1, 2, 3)
            )
    return np.maximum(out, 0).sum()


def spmv(val, x, row, col):
    y = np.empty(row.size - 1)
    for i in range(row.size - 1):
        cols = col[row[i] : row[i + 1]]
        vals = val[row[i] : row[i + 1]]
        y[i] = vals @ x[cols]
    return (y * y).sum()


def thomas(a, b, c, d):
    n = len(d)
    cp = np.zeros(n)
    dp = np.zeros(n)
    cp[0] = c[0] / b[0]
    dp[0] = d[0] / b[0]
    for i in range(1, n):
        m = b[i] - a[i] * cp[i - 1]
        cp[i] = c[i] / m
        dp[i] = (d[i] - a[i] * dp[i - 1]) / m
    x = np.zeros(n)
    x[-1] = dp[-1]
    for i in range(n - 2, -1, -1):
        x[i] = dp[i] - cp[i] * x[i + 1]
    return (x**2).sum()


def arc(t1, p1, t2, p2):
    temp = np.sin((t2 - t1) / 2) ** 2 + np.cos(t1) * np.cos(t2) * np.sin((p2 - p1) / 2) ** 2
    return (2 * np.arctan2(np.sqrt(temp), np.sqrt(1 - temp))).sum()


def deriche(img, alpha):
    W, H = img.shape
    k = (1 - np.exp(-alpha)) ** 2 / (1 + alpha * np.exp(-alpha) * 2 - np.exp(2 * alpha))
    a1 = k
    a2 = k * np.exp(-alpha) * (alpha - 1)
    b1 = 2.0 ** (-alpha)
    b2 = -np.exp(-2 * alpha)
    y1 = np.empty_like(img)
    y1[:, 0] = a1 * img[:, 0]
    y1[:, 1] = a1 * img[:, 1] + a2 * img[:, 0] + b1 * y1[:, 0]
    for j in range(2, H):
        y1[:, j] = a1 * img[:, j] + a2 * img[:, j - 1] + b1 * y1[:, j - 1] + b2 * y1[:, j - 2]
    return (y1 * y1).sum()


def adi(u):
    N = u.shape[0]
    v = np.empty_like(u)
    p = np.empty_like(u)
    q = np.empty_like(u)
    a = -0.5
    b = 2.0
    c = -0.5
    for _ in range(2):
        v[0, 1 : N - 1] = 1.0
        p[1 : N - 1, 0] = 0.0
        q[1 : N - 1, 0] = v[0, 1 : N - 1]
        for j in range(1, N - 1):
            p[1 : N - 1, j] = -c / (a * p[1 : N - 1, j - 1] + b)
            q[1 : N - 1, j] = (
                -a * u[j, 0 : N - 2]
                + (1.0 + 2.0 * a) * u[j, 1 : N - 1]
                - c * u[j, 2:N]
                - a * q[1 : N - 1, j - 1]
            ) / (a * p[1 : N - 1, j - 1] + b)
        v[N - 1, 1 : N - 1] = 1.0
        for j in range(N - 2, 0, -1):
            v[j, 1 : N - 1] = p[1 : N - 1, j] * v[j + 1, 1 : N - 1] + q[1 : N - 1, j]
        u[1 : N - 1, 1 : N - 1] = v[1 : N - 1, 1 : N - 1] * 0.5 + u[1 : N - 1, 1 : N - 1] * 0.5
    return (u * u).sum()


def doitgen(A, C4):
    for r in range(A.shape[0]):
        for q in range(A.shape[1]):
            A[r, q, :] = A[r, q, :] @ C4
    return (A**2).sum()


def symm(alpha, beta, C, A, B):
    temp = np.empty((C.shape[1],))
    C *= beta
    for i in range(C.shape[0]):
        for j in range(C.shape[1]):
            C[:i, j] += alpha * B[i, j] * A[i, :i]
            temp[j] = B[:i, j] @ A[i, :i]
        C[i, :] += alpha * B[i, :] * A[i, i] + alpha * temp
    return (C * C).sum()


def covariance(data):
    data -= np.mean(data, axis=0)
    cov = np.zeros((data.shape[1],) * 2)
    for i in range(data.shape[1]):
        cov[i:, i] = cov[i, i:] = data[:, i] @ data[:, i:] / (len(data) - 1.0)
    return (cov**2).sum()


def hdiff(inf, coeff):
    ni, nj, nk = coeff.shape
    lap = 4.0 * inf[1 : ni + 3, 1 : nj + 3, :] - (
        inf[2 : ni + 4, 1 : nj + 3, :]
        + inf[0 : ni + 2, 1 : nj + 3, :]
        + inf[1 : ni + 3, 2 : nj + 4, :]
        + inf[1 : ni + 3, 0 : nj + 2, :]
    )
    res = lap[1:, 1 : nj + 1, :] - lap[:-1, 1 : nj + 1, :]
    flx = np.where(res * (inf[2 : ni + 3, 2 : nj + 2, :] - inf[1 : ni + 2, 2 : nj + 2, :]) > 0, 0, res)
    res2 = lap[1 : ni + 1, 1:, :] - lap[1 : ni + 1, :-1, :]
    fly = np.where(res2 * (inf[2 : ni + 2, 2 : nj + 3, :] - inf[2 : ni + 2, 1 : nj + 2, :]) > 0, 0, res2)
    out = inf[2 : ni + 2, 2 : nj + 2, :] - coeff * (
        flx[1:, :, :] - flx[:-1, :, :] + fly[:, 1:, :] - fly[:, :-1, :]
    )
    return (out**2).sum()
