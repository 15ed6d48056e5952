"""Programs of the typed road, with arguments: scalars, control flow, calls, containers, arrays."""

import math

import numpy as np

EPSILON = 1e-8


def sine(x):
    t, sign = 0.0, -1.0
    for i in range(1, 20):
        if i % 2 == 1:
            term = x**i / math.factorial(i)
            if abs(term) < EPSILON:
                return t
            print("i =", i)
            sign = -sign
            t += sign * term
    return t


def newton(a):
    x = a
    while abs(x * x - a) > 1e-12:
        x = 0.5 * (x + a / x)
    return x


def pendulum(q0, p0):
    q, p = q0, p0
    dt = 0.01
    for _ in range(100):
        p = p - 0.5 * dt * math.sin(q)
        q = q + dt * p
        p = p - 0.5 * dt * math.sin(q)
    return q * q + p


def power(x, n):
    if n == 0:
        return 1.0
    half = power(x, n // 2)
    return half * half * x if n % 2 else half * half


def even(x, n):
    return 1.0 if n == 0 else x * odd(x, n - 1)


def odd(x, n):
    return x if n <= 1 else math.sin(x) * even(x, n - 1)


def normal(d):
    return 0.5 * (1.0 + math.erf(d / math.sqrt(2.0)))


def black_scholes(s, k, t, r, v):
    d1 = (math.log(s / k) + (r + 0.5 * v * v) * t) / (v * math.sqrt(t))
    d2 = d1 - v * math.sqrt(t)
    return s * normal(d1) - k * math.exp(-r * t) * normal(d2)


def containers(x):
    xs = [0.0] * 10
    d = {}
    for i in range(10):
        xs[i] = x * i
        d[i % 3] = xs[i] * x
    total = 0.0
    for k in range(30):
        xs[k % 10] += d[k % 3] * 0.01
        d[k % 3] = d[k % 3] * 0.9 + xs[k % 10] * 0.1
        total += xs[(k * 3) % 10] + d.get(7, 0.5)
    return total


def stack(x):
    xs = [x, 2.0]
    for i in range(5):
        xs.append(xs[-1] * math.cos(xs[i]))
        if i == 3:
            xs.append(x)
    y = 1.0
    while len(xs) > 2:
        y = y * 0.5 + xs.pop()
    return y + xs[0] * xs[1]


def escapes(x, n):
    y = x
    count = 0
    while True:
        y = y * y * 0.3 + x
        count += 1
        if y > 2.0:
            break
        if count > n:
            continue_with = y * x
            return continue_with + y
        if count % 2:
            continue
        y = y + 0.1 * x
    return y * count


def nested(x):
    total = 0.0
    for i in range(4):
        a = x + i
        j = 0
        while a < 6.0:
            a = a * 1.5 + x * j
            j += 1
            if j > 2:
                break
        for k in range(j):
            total = total + math.tanh(a * 0.1) * k * x
    return total


def swaps(x, y):
    for _ in range(7):
        x, y = y * 0.9, x + 0.1 * y * y
    return x * y


def largest(x, y):
    return max(x * y, x + y, 0.1) * min(x, y) + abs(x - y)


def zipped(xs, y):
    total = 0.0
    for i, (a, b) in enumerate(zip(xs, xs, strict=False)):
        total += a * b * i + y
    return total


def pairs(p, q):
    a, b = p
    c = (a * q, b + q)
    d = (*c,)[0] if False else c[0]
    return d * c[1]


def matrix_net(w, b, x):
    h = np.tanh(w @ x + b)
    return np.sum(h**2)


def lstm_step(w, u, b, x):
    h = np.zeros((x.shape[1], 3))
    c = np.zeros((x.shape[1], 3))
    for t in range(x.shape[0]):
        j = np.concatenate([x[t] @ w, h @ u], axis=1)
        z = 1.0 / (1.0 + np.exp(-(j[:, :3] + b)))
        c = z * c + np.tanh(j[:, 3:]) * z
        h = z * np.tanh(c)
    return np.sum(h * h)


def stores(x):
    a = np.zeros(5)
    for i in range(5):
        a[i] = x[i] * i
    a[1:3] += x[:2]
    square = a * a
    a[a > 1.0] *= 2.0
    a[0] = x[4]
    return (a * a).sum() + square.sum()


def rosenbrock(x):
    return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def broadcast(x, y):
    return np.sum(np.exp(0.1 * x[:, None] * y) / (1 + x[:, None] ** 2)) + np.mean(x)


def elements(x):
    total = 0.0
    for v in x:
        total = total + math.sin(v) * v
    return total + x[0] * x[-1]


RNG = np.random.default_rng(0)


def array(*shape):
    return RNG.standard_normal(shape)


PROGRAMS = [
    (sine, (0.7,), (0,)),
    (sine, (2.5,), (0,)),
    (newton, (2.0,), (0,)),
    (pendulum, (1.0, 0.2), (0, 1)),
    (power, (1.1, 13), (0,)),
    (power, (1.1, 0), (0,)),
    (even, (1.2, 6), (0,)),
    (black_scholes, (100.0, 95.0, 0.5, 0.03, 0.2), (0, 1, 2, 3, 4)),
    (containers, (0.3,), (0,)),
    (stack, (0.7,), (0,)),
    (escapes, (0.4, 6), (0,)),
    (escapes, (1.3, 6), (0,)),
    (nested, (0.6,), (0,)),
    (swaps, (0.6, 0.8), (0, 1)),
    (largest, (0.6, 0.8), (0, 1)),
    (largest, (1.6, 1.1), (0, 1)),
    (zipped, ([0.5, 1.5, -0.7], 0.3), (0, 1)),
    (pairs, ((0.5, 1.5), 0.3), (0, 1)),
    (matrix_net, (array(3, 4), array(3), array(4)), (0, 1, 2)),
    (lstm_step, (array(2, 3), array(3, 3), array(3), array(4, 2, 2)), (0, 1, 2)),
    (stores, (array(5),), (0,)),
    (rosenbrock, (array(6),), (0,)),
    (broadcast, (array(3), array(4)), (0, 1)),
    (elements, (array(4),), (0,)),
]
IDS = [f"{f.__name__}{i}" for i, (f, _, _) in enumerate(PROGRAMS)]
