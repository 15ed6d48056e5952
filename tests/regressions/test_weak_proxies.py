"""Weak proxies among the arguments of functions without source."""

import gc
import weakref

import tapeless as tl
from tapeless.runtime.mirrors import references


class Held:
    def __init__(self, value):
        self.value = value


def test_what_a_proxy_stands_for_may_be_gone():
    def f(x):
        kept, gone = Held(x), Held(1.0)
        proxies = [weakref.proxy(gone), {"inside": weakref.proxy(gone)}]
        del gone
        return kept.value * gc.is_tracked(proxies)

    assert f(2.0) == 2.0 and tl.grad(f)(2.0) == 1.0 and tl.jvp(f, (2.0,), (3.0,)) == (2.0, 3.0)


def test_a_proxy_in_what_c_returns():
    def f(x):
        kept = Held(x)
        return gc.get_referents([weakref.proxy(kept)])[0].value ** 2

    assert tl.grad(f)(2.0) == 4.0


def test_the_walk_of_what_can_be_reached_passes_proxies():
    held = Held(1.0)
    proxy = weakref.proxy(held)
    assert list(references([proxy])) == [proxy] and list(references(proxy)) == [held]
    del held
    assert list(references(proxy)) == []


def test_keys_that_hold_proxies_of_what_is_gone():
    """As numba's compiled functions do."""

    class Key:
        pass

    def f(x):
        gone, key = Held(1.0), Key()
        key.gone = weakref.proxy(gone)
        del gone
        table = {key: x * x}
        return table.get(key, x) + table.get(Key(), x)

    assert f(3.0) == 12.0 and tl.grad(f)(3.0) == 7.0 and tl.jvp(f, (3.0,), (1.0,)) == (12.0, 7.0)
    assert tl.grad(tl.grad(f))(3.0) == 2.0
