"""Option contracts that compose: a little language of contracts, valued on a binomial lattice."""

import math
from dataclasses import dataclass


class Contract:
    def __add__(self, other):
        return Both(self, other)

    def __rmul__(self, k):
        return Scaled(k, self)

    def __neg__(self):
        return Scaled(-1.0, self)

    def __sub__(self, other):
        return self + -other

    def __or__(self, other):
        return Either(self, other)


@dataclass
class Zero(Contract):
    """Pays one unit at a step."""

    step: int

    def value(self, node, market):
        return market.to_expiry(node, self.step, lambda end: 1.0)


@dataclass
class European(Contract):
    strike: float
    step: int
    kind: str = "call"

    def payoff(self, spot):
        intrinsic = spot - self.strike
        return max(intrinsic if self.kind == "call" else -intrinsic, 0.0)

    def value(self, node, market):
        return market.to_expiry(node, self.step, lambda end: self.payoff(market.spot(end)))


class American(European):
    def value(self, node, market):
        memo = {}

        def at(node):
            if node not in memo:
                exercise = self.payoff(market.spot(node))
                if node[0] < self.step:
                    exercise = max(exercise, market.discounted(at, node))
                memo[node] = exercise
            return memo[node]

        return at(node)


@dataclass
class Both(Contract):
    first: Contract
    second: Contract

    def value(self, node, market):
        return self.first.value(node, market) + self.second.value(node, market)


@dataclass
class Either(Contract):
    """The holder chooses now."""

    first: Contract
    second: Contract

    def value(self, node, market):
        return max(self.first.value(node, market), self.second.value(node, market))


@dataclass
class Scaled(Contract):
    factor: float
    inner: Contract

    def value(self, node, market):
        return self.factor * self.inner.value(node, market)


@dataclass
class Later(Contract):
    """Acquires another contract at a later step, worthless if that is negative there."""

    step: int
    inner: Contract

    def value(self, node, market):
        return market.to_expiry(node, self.step, lambda end: max(self.inner.value(end, market), 0.0))


@dataclass
class Market:
    """A recombining lattice; a node is (step, number of up moves)."""

    spot0: float
    volatility: float
    rate: float
    dt: float = 0.25

    def __post_init__(self):
        self.up = math.exp(self.volatility * math.sqrt(self.dt))
        self.down = 1.0 / self.up
        growth = math.exp(self.rate * self.dt)
        self.p = (growth - self.down) / (self.up - self.down)
        self.factor = 1.0 / growth

    def spot(self, node):
        step, ups = node
        return self.spot0 * self.up**ups * self.down ** (step - ups)

    def discounted(self, value, node):
        step, ups = node
        later = self.p * value((step + 1, ups + 1)) + (1.0 - self.p) * value((step + 1, ups))
        return self.factor * later

    def to_expiry(self, node, expiry, payoff):
        """Roll the payoff at `expiry` back to `node`."""
        step, ups = node
        values = [payoff((expiry, ups + k)) for k in range(expiry - step + 1)]
        while len(values) > 1:
            values = [
                self.factor * (self.p * high + (1.0 - self.p) * low)
                for low, high in zip(values, values[1:], strict=False)
            ]
        return values[0]


def call(strike, step):
    return European(strike, step)


def put(strike, step):
    return European(strike, step, kind="put")


def straddle(strike, step):
    return call(strike, step) + put(strike, step)


def butterfly(low, mid, high, step):
    return call(low, step) - 2.0 * call(mid, step) + call(high, step)


def chooser(strike, choose, step):
    return Later(choose, call(strike, step) | put(strike, step))
