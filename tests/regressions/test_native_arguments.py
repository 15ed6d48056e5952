"""Compiled functions whose arguments or results are of an unusual kind."""

import numpy as np
import pytest

import tapeless as tl
from tapeless.errors import NotScalarError


def test_a_list_that_holds_itself():
    loop = [0.3, 0.8]
    loop.append(loop)
    assert tl.jit(lambda a: a[2][2][0] * a[1] ** 2)(loop) == pytest.approx(0.3 * 0.64)


class Table(dict):
    pass


def test_the_gradient_by_a_class_of_dict():
    slope = tl.grad(lambda d: d["p"] * d["q"])
    got, want = (f(Table(p=0.3, q=0.4)) for f in (tl.jit(slope), slope))
    assert got == want == {"p": 0.4, "q": 0.3}
    assert type(got) is type(want)


def distance(x):
    if x > 1.0:
        return None
    return x * x


def test_the_gradient_of_what_may_be_none():
    slope = tl.jit(tl.grad(distance))
    assert slope(0.5) == 1.0
    with pytest.raises(NotScalarError, match="NoneType"):
        slope(1.5)


class Sizes:
    def __init__(self, layers):
        self.layers = layers


sizes = Sizes(2)


def of_named_weights(w, x):
    """The keys hold the index of a loop, whose end an object outside gives."""
    for layer in range(sizes.layers):
        x = np.tanh(w[f"layer.{layer}.weight"] @ x) + w.get("layer.{}.bias".format(layer))  # noqa: UP032
    return x.sum()


def test_keys_that_hold_the_index_of_a_loop():
    r = np.random.default_rng(0)
    w = {f"layer.{k}.weight": r.normal(size=(3, 3)) for k in range(3)} | {
        f"layer.{k}.bias": r.normal(size=3) for k in range(3)
    }
    fast, plain = tl.jit(tl.grad(of_named_weights)), tl.grad(of_named_weights)
    for sizes.layers in (2, 3):
        made, want = fast(w, np.ones(3)), plain(w, np.ones(3))
        assert made.keys() == want.keys()
        for k in want:
            np.testing.assert_allclose(made[k], want[k], rtol=1e-12, atol=0)


class Channel(str):
    def __new__(cls, name, low):
        made = super().__new__(cls, name)
        made.low, made.limit = low, lambda x: max(x, low)
        return made


channels = (Channel("r", 0.2), Channel("g", 0.4))


def limited(x, y):
    return sum((3.0 if c == "g" else 2.0) * c.limit(v) - c.low for c, v in zip(channels, (x, y), strict=True))


def test_texts_with_attributes_of_their_own():
    both = tl.value_and_grad(limited, (0, 1))
    assert tl.jit(both)(0.5, 0.1) == both(0.5, 0.1)
