"""Bootstrapping a discount curve from bond prices; the Newton iteration differentiates its own residual."""

import math
from dataclasses import dataclass, field

import tapeless as tl


@dataclass
class Bond:
    maturity: int
    coupon: float
    price: float

    def cashflows(self):
        for year in range(1, self.maturity + 1):
            yield year, self.coupon + (1.0 if year == self.maturity else 0.0)


@dataclass
class Curve:
    """Zero rates at yearly nodes, linear in between."""

    times: list = field(default_factory=list)
    rates: list = field(default_factory=list)

    def rate(self, t):
        if not self.times:
            raise ValueError("empty curve")
        if t <= self.times[0]:
            return self.rates[0]
        for k in range(1, len(self.times)):
            if t <= self.times[k]:
                w = (t - self.times[k - 1]) / (self.times[k] - self.times[k - 1])
                return (1.0 - w) * self.rates[k - 1] + w * self.rates[k]
        return self.rates[-1]

    def discount(self, t):
        return math.exp(-self.rate(t) * t)

    def extended(self, t, rate):
        return Curve([*self.times, t], [*self.rates, rate])

    def forward(self, start, end):
        return (self.discount(start) / self.discount(end) - 1.0) / (end - start)


def present_value(bond, curve):
    return sum(amount * curve.discount(t) for t, amount in bond.cashflows())


class NoConvergence(Exception):
    pass


def newton(residual, guess, tolerance=1e-12, limit=50):
    slope = tl.grad(residual)
    x = guess
    for _ in range(limit):
        step = residual(x) / slope(x)
        x = x - step
        if abs(step) < tolerance:
            return x
    raise NoConvergence(f"no root near {guess}")


def bootstrap(bonds):
    curve = Curve()
    for bond in sorted(bonds, key=lambda b: b.maturity):

        def mispricing(rate, bond=bond, curve=curve):
            return present_value(bond, curve.extended(float(bond.maturity), rate)) - bond.price

        guess = curve.rates[-1] if curve.rates else 0.05
        curve = curve.extended(float(bond.maturity), newton(mispricing, guess))
    return curve


def swap_value(curve, maturity, fixed_rate, notional=1.0):
    floating = 0.0
    fixed = 0.0
    for year in range(1, maturity + 1):
        discount = curve.discount(float(year))
        floating += curve.forward(year - 1.0, float(year)) * discount
        fixed += fixed_rate * discount
    return notional * (floating - fixed)


def value_by_prices(prices, coupons=(0.02, 0.025, 0.03, 0.032), fixed_rate=0.035):
    bonds = [Bond(k + 1, c, p) for k, (c, p) in enumerate(zip(coupons, prices, strict=True))]
    return swap_value(bootstrap(bonds), len(bonds), fixed_rate, notional=100.0)
