"""Programs of plain numbers: loops, branches, recursion, lists and dicts; each also reversed by hand."""

import math

from benchmarks.harness import JAX_JIT, Program, Settings, Table, compare


def sine(x):
    t, sign = 0.0, -1.0
    for i in range(1, 20):
        if i % 2 == 1:
            term = x**i / math.factorial(i)
            if abs(term) < 1e-8:
                return t
            sign = -sign
            t += sign * term
    return t


def sine_by_hand(x):
    t, sign = 0.0, -1.0
    record = []
    for i in range(1, 20):
        if i % 2 == 1:
            factorial = math.factorial(i)
            term = x**i / factorial
            if abs(term) < 1e-8:
                break
            sign = -sign
            t += sign * term
            record.append((sign, i, factorial))
    x_bar = 0.0
    for sign, i, factorial in reversed(record):
        x_bar += sign / factorial * i * x ** (i - 1)
    return t, x_bar


def newton_sqrt(a):
    x = a
    while abs(x * x - a) > 1e-12 * a:
        x = 0.5 * (x + a / x)
    return x


def newton_sqrt_by_hand(a):
    x = a
    record = []
    while abs(x * x - a) > 1e-12 * a:
        record.append(x)
        x = 0.5 * (x + a / x)
    a_bar, x_bar = 0.0, 1.0
    for before in reversed(record):
        half = 0.5 * x_bar
        quotient = half / before
        a_bar += quotient
        x_bar = half - quotient * a / before
    return x, a_bar + x_bar


def pendulum(theta, omega):
    for _ in range(1000):
        omega = omega - 0.005 * 9.81 * math.sin(theta)
        theta = theta + 0.01 * omega
        omega = omega - 0.005 * 9.81 * math.sin(theta)
    return 0.5 * omega * omega + theta


def pendulum_by_hand(theta, omega):
    before, after = [], []
    for _ in range(1000):
        before.append(theta)
        omega -= 0.005 * 9.81 * math.sin(theta)
        theta += 0.01 * omega
        after.append(theta)
        omega -= 0.005 * 9.81 * math.sin(theta)
    theta_bar, omega_bar = 1.0, omega
    for i in range(999, -1, -1):
        theta_bar -= omega_bar * 0.005 * 9.81 * math.cos(after[i])
        omega_bar += theta_bar * 0.01
        theta_bar -= omega_bar * 0.005 * 9.81 * math.cos(before[i])
    return 0.5 * omega * omega + theta, theta_bar, omega_bar


def powered(x):
    return power(x, 50)


def power(x, n):
    if n == 0:
        return 1.0
    return x * power(x, n - 1)


def powered_by_hand(x):
    value, record = power_forward(x, 50)
    return value, power_reverse(x, record, 1.0)


def power_forward(x, n):
    if n == 0:
        return 1.0, None
    below, record = power_forward(x, n - 1)
    return x * below, (below, record)


def power_reverse(x, record, bar):
    if record is None:
        return 0.0
    below, record = record
    return bar * below + power_reverse(x, record, bar * x)


def black_scholes(spot, strike, time, rate, sigma):
    spread = sigma * math.sqrt(time)
    d1 = (math.log(spot / strike) + (rate + 0.5 * sigma * sigma) * time) / spread
    d2 = d1 - spread
    n1 = 0.5 * (1.0 + math.erf(d1 / math.sqrt(2.0)))
    n2 = 0.5 * (1.0 + math.erf(d2 / math.sqrt(2.0)))
    return spot * n1 - strike * math.exp(-rate * time) * n2


def black_scholes_by_hand(spot, strike, time, rate, sigma):
    root = math.sqrt(time)
    spread = sigma * root
    moneyness = spot / strike
    drift = rate + 0.5 * sigma * sigma
    top = math.log(moneyness) + drift * time
    d1 = top / spread
    d2 = d1 - spread
    two = math.sqrt(2.0)
    e1, e2 = d1 / two, d2 / two
    n1 = 0.5 * (1.0 + math.erf(e1))
    n2 = 0.5 * (1.0 + math.erf(e2))
    discount = math.exp(-rate * time)
    present = strike * discount
    value = spot * n1 - present * n2

    density = 1.1283791670955126
    discount_bar = -n2 * strike
    strike_bar = -n2 * discount
    d2_bar = -present * 0.5 * density * math.exp(-e2 * e2) / two
    d1_bar = spot * 0.5 * density * math.exp(-e1 * e1) / two + d2_bar
    rate_bar = -discount_bar * discount * time
    time_bar = -discount_bar * discount * rate
    top_bar = d1_bar / spread
    spread_bar = -d2_bar - top_bar * d1
    drift_bar = top_bar * time
    time_bar += top_bar * drift + spread_bar * sigma * 0.5 / root
    moneyness_bar = top_bar / moneyness
    spot_bar = n1 + moneyness_bar / strike
    strike_bar -= moneyness_bar * moneyness / strike
    return value, spot_bar, strike_bar, time_bar, rate_bar + drift_bar, drift_bar * sigma + spread_bar * root


def smoothed(u, k):
    u = list(u)
    for _ in range(20):
        for i in range(1, len(u) - 1):
            u[i] = u[i] + k * (u[i - 1] * u[i + 1] - u[i] * u[i])
    total = 0.0
    for value in u:
        total += value * value
    return total


def smoothed_by_hand(u, k):
    u = list(u)
    last = len(u) - 1
    record = []
    for _ in range(20):
        for i in range(1, last):
            record.append(u[i])
            u[i] = u[i] + k * (u[i - 1] * u[i + 1] - u[i] * u[i])
    total = 0.0
    for value in u:
        total += value * value
    u_bar = [2.0 * value for value in u]
    k_bar = 0.0
    for _ in range(20):
        for i in range(last - 1, 0, -1):
            bar, before = u_bar[i], record.pop()
            left, right = u[i - 1], u[i + 1]
            u[i] = before
            scaled = bar * k
            k_bar += bar * (left * right - before * before)
            u_bar[i - 1] += scaled * right
            u_bar[i + 1] += scaled * left
            u_bar[i] = bar - 2.0 * scaled * before
    return total, u_bar, k_bar


def accounts(rate, deposit):
    book = {"cash": 100.0, "bonds": 50.0, "tax": 0.0}
    for _ in range(50):
        book["bonds"] = book["bonds"] * (1.0 + rate)
        interest = book["cash"] * rate
        book["cash"] = book["cash"] + deposit + interest
        book["tax"] = book["tax"] + 0.2 * interest
    return book["cash"] + book["bonds"] - book["tax"]


def accounts_by_hand(rate, deposit):
    book = {"cash": 100.0, "bonds": 50.0, "tax": 0.0}
    bonds, cash = [], []
    for _ in range(50):
        bonds.append(book["bonds"])
        book["bonds"] *= 1.0 + rate
        cash.append(book["cash"])
        interest = book["cash"] * rate
        book["cash"] += deposit + interest
        book["tax"] += 0.2 * interest
    bar = {"cash": 1.0, "bonds": 1.0, "tax": -1.0}
    rate_bar = deposit_bar = 0.0
    for i in range(49, -1, -1):
        interest_bar = 0.2 * bar["tax"] + bar["cash"]
        deposit_bar += bar["cash"]
        rate_bar += interest_bar * cash[i] + bar["bonds"] * bonds[i]
        bar["cash"] += interest_bar * rate
        bar["bonds"] *= 1.0 + rate
    return book["cash"] + book["bonds"] - book["tax"], rate_bar, deposit_bar


LEVELS = [math.sin(0.7 * i) + 1.5 for i in range(12)]
MINUTES = {JAX_JIT: "compiles for minutes"}
PROGRAMS = [
    Program("sine, Taylor series", sine, (0.5,), sine_by_hand, 4.5),
    Program("Newton square root, while", newton_sqrt, (2.0,), newton_sqrt_by_hand, 4.5),
    Program("pendulum, 1000 leapfrog steps", pendulum, (0.5, 0.1), pendulum_by_hand, 4.5, MINUTES),
    Program("power 50, recursive", powered, (1.02,), powered_by_hand, 4.5),
    Program("Black–Scholes", black_scholes, (100.0, 95.0, 0.5, 0.02, 0.2), black_scholes_by_hand, 4.5),
    Program("list updates in a loop", smoothed, (LEVELS, 0.1), smoothed_by_hand, 4.5),
    Program("dict updates in a loop", accounts, (0.03, 10.0), accounts_by_hand, 4.5),
]


def run(settings: Settings) -> list[Table]:
    return [compare("Scalar programs", PROGRAMS, settings, mean=3.0)]
