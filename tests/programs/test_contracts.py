"""Greeks of composed contracts, by the market and by the contract."""

import contracts
from contracts import American, Market, Zero

from checking import check


def price(spot, volatility, rate):
    market = Market(spot, volatility, rate)
    book = (
        contracts.straddle(1.03, 4)
        + 0.5 * American(1.1, 4, kind="put")
        - contracts.butterfly(0.83, 1.01, 1.22, 3)
        + 3.0 * Zero(2)
    )
    return book.value((0, 0), market)


def chooser_price(spot, volatility, strike):
    return contracts.chooser(strike, 2, 5).value((0, 0), Market(spot, volatility, 0.02))


def by_contract(contract):
    return contract.value((0, 0), Market(1.0, 0.25, 0.03))


def test_a_book_by_the_market():
    check(price, 1.0, 0.2, 0.03, step=1e-3)


def test_a_chooser():
    check(chooser_price, 1.0, 0.25, 1.04, step=1e-3)


def test_by_the_contract_object():
    check(by_contract, 0.5 * contracts.straddle(1.03, 3) + contracts.call(0.93, 2), step=1e-3)


def test_parity():
    import tapeless as tl

    def parity(strike):
        portfolio = contracts.call(strike, 4) - contracts.put(strike, 4)
        return portfolio.value((0, 0), Market(1.0, 0.2, 0.03))

    discount = Zero(4).value((0, 0), Market(1.0, 0.2, 0.03))
    assert abs(tl.grad(parity)(1.03) + discount) < 1e-12
